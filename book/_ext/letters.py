"""The font of the equations, in the order of need: first what the book writes, the rest when a page asks.

MathJax's font draws some 2,600 letters and signs, of which the book uses a few hundred. They are listed in
`letters.txt`, which `book/_tools/list_letters.py` writes. Here the font is parted by this list: `svg.js`, which
each page with a formula loads, keeps them, and gains those that stood in files of alphabets; all others go
to one file for each style, which MathJax fetches by itself for a page that needs one. A list that is behind
costs bytes, never a letter. What no file in the tree holds is set in the page's own type, and a browser test
names it.
"""

import json
import re
from pathlib import Path

LIST = Path(__file__).with_name("letters.txt")
FONT = "_static/vendor/mathjax/fonts/mathjax-newcm-font"
SETUP = 'MathJax._.output.fonts["mathjax-newcm"].svg_ts.MathJaxNewcmFont.dynamicSetup("",'
PARTED = "/* parted: see letters.py */"
TOKEN = re.compile(r'"[^"]*"|[\[\]{}(),:]|[^"\[\]{}(),:]+')


def listed(path=LIST):
    """{style: codes} of the list: a line names a style, then its characters in hexadecimal, runs as `41-5a`."""
    found = {}
    for line in path.read_text(encoding="utf8").splitlines():
        if line and not line.startswith("#"):
            style, _, codes = line.partition(":")
            found[style] = set()
            for run in codes.split():
                first, _, last = run.partition("-")
                found[style] |= set(range(int(first, 16), int(last or first, 16) + 1))
    return found


def runs(codes):
    """Numbers as the runs [first, last] of neighbours."""
    found = []
    for code in sorted(codes):
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


def written(used):
    """The text of a list."""
    lines = ["# The letters and signs that the book's equations use, by style. `python book/_tools/list_letters.py` writes them."]
    for style in sorted(used):
        words = (f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in runs(used[style]))
        lines.append(f"{style}: {' '.join(words)}")
    return "\n".join(lines) + "\n"


def parts(script, start):
    """The members of the object that opens at `start`, as ({key: text of the value}, where it ends)."""
    members, key, begun, depth = {}, "", 0, 0
    for token in TOKEN.finditer(script, start):
        text = token.group()
        if text in "[{(":
            depth += 1
        elif text in "]})":
            depth -= 1
        elif text == ":" and depth == 1:
            begun = token.end()
        elif depth == 1 and not begun and text != ",":
            key = text.strip('"')
        if begun and (depth == 0 or text == "," and depth == 1):
            members[key], begun = script[begun:token.start()], 0
        if depth == 0:
            return members, token.end()
    raise ValueError(f"the object at {start} does not end")


def glyphs(text):
    """{code: text of its drawing} of one style."""
    return {int(float(code)): drawing for code, drawing in parts(text, 0)[0].items()}


def spelled(styles):
    """Styles and their glyphs as script."""
    inside = (f"{json.dumps(style)}:{{{','.join(f'{c}:{d}' for c, d in drawn.items())}}}" for style, drawn in styles.items())
    return "{" + ",".join(inside) + "}"


def part(font, alphabets, used):
    """(font, {name: file}) of a font's script, {name: script} of its alphabets, and the letters in use.

    Errors: ValueError when the scripts do not look like those of the version in the tree.
    """
    head = re.search(r"\w+\.defaultChars=(?=\{)", font)
    dynamic = re.search(r"defineDynamicFiles\((?=\[)", font)
    if not head or not dynamic:
        raise ValueError("MathJax's font has another form than letters.py knows")
    styles, end = parts(font, head.end())
    styles = {style: glyphs(text) for style, text in styles.items()}
    close = font.index("]])", dynamic.end()) + 2
    files = json.loads(re.sub(r"([{,])([\w$-]+):", r'\1"\2":', font[dynamic.end():close]))
    files = [entry for entry in files if entry[0] in alphabets]  # no other can be fetched
    # What the alphabets hold of the letters in use.
    for entry in files:
        name, ranges = entry[0], entry[1]
        wanted = {style: _codes(ranges[style]) & used.get(style, set()) for style in ranges}
        if not any(wanted.values()):
            continue
        script = alphabets[name]
        drawn, _ = parts(script, script.index("{", script.index("dynamicSetup(")))
        for style, codes in wanted.items():
            of_style = glyphs(drawn[style]) if style in drawn else {}
            found = {code: of_style[code] for code in sorted(codes) if code in of_style}
            styles.setdefault(style, {}).update(found)
            ranges[style] = [a if a == b else [a, b] for a, b in runs(_codes(ranges[style]) - set(found))]
    rest = {}
    for style, drawn in styles.items():
        spare = {code: drawing for code, drawing in drawn.items() if code not in used.get(style, ())}
        if spare:
            name = f"rest-{style.strip('-')}"
            styles[style] = {code: drawing for code, drawing in drawn.items() if code not in spare}
            rest[name] = f'{SETUP}"{name}",{spelled({style: spare})});\n'
            files.append([name, {style: [a if a == b else [a, b] for a, b in runs(spare)]}])
    listing = json.dumps(files, separators=(",", ":"))
    font = font[:head.end()] + spelled(styles) + font[end:dynamic.end()] + listing + font[close:]
    return PARTED + font, rest


def _codes(ranges):
    pairs = (r if isinstance(r, list) else [r, r] for r in ranges)
    return {code for first, last in pairs for code in range(int(first), int(last) + 1)}


def part_site(site, used=None):
    """Part the font of a built site; doing it again changes nothing."""
    folder = site / FONT
    path = folder / "svg.js"
    if not path.is_file() or (font := path.read_text(encoding="utf8")).startswith(PARTED):
        return
    alphabets = {each.stem: each.read_text(encoding="utf8") for each in (folder / "svg/dynamic").glob("*.js")}
    font, rest = part(font, alphabets, listed() if used is None else used)
    path.write_text(font, encoding="utf8")
    for name, script in rest.items():
        (folder / "svg/dynamic" / f"{name}.js").write_text(script, encoding="utf8")
