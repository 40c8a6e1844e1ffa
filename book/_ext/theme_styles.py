"""The theme's styles, without what no page uses, in one file.

The theme brings a dozen style sheets of 450 kB, most of it a framework's. A rule stays if each class and id
that it asks for stands in a page or in a script of the book. The book's own sheets stay as they are.
"""

import re

import tinycss2

MERGED = "theme.css"
# In this order; the book's own sheets come after.
THEME = ("basic.css", "styles/bootstrap.css", "styles/pydata-sphinx-theme.css", "pygments.css",
         "styles/sphinx-book-theme.css", "togglebutton.css", "copybutton.css", "mystnb.", "proof.css",
         "exercise.css", "sphinx-design.min.css")
IMPORT_ONLY = "styles/theme.css"  # which imports basic.css and holds nothing else
LINK = re.compile(r'\s*<link [^>]*?href="(?P<root>[^"]*)_static/(?P<name>[^"?]+)(?:\?[^"]*)?"[^>]*>')
ATTRIBUTE = re.compile(r"""\b(?:class|id)=(?:"([^"]*)"|'([^']*)'|([\w-]+))""")
NAME = re.compile(r"[A-Za-z_][\w-]*")
READ = re.compile(r"(--[\w-]+)(?!\s*:|[\w-])")
DECLARED = re.compile(r"""(--(?:bs|pst|sd|sbt)-[\w-]+):(?:"[^"]*"|'[^']*'|[^;{}"'])*;?""")
WANTED = re.compile(r"[.#]((?:\\.|[\w-])+)")


def words(pages, scripts):
    """Every class and id of these pages, and every word of these scripts."""
    found = {name for html in pages for parts in ATTRIBUTE.findall(html) for part in parts for name in part.split()}
    return found | {name for script in scripts for name in NAME.findall(script)}


def needed(selector, known):
    """True if what a selector asks for can exist. What stands inside brackets is not asked for."""
    bare = re.sub(r"\[[^\]]*\]", "", selector)
    for _ in range(3):
        bare = re.sub(r"\([^()]*\)", "", bare)
    return all(name.replace("\\", "") in known for name in WANTED.findall(bare))


def prune(css, known):
    """A style sheet without the rules whose classes and ids are not known."""
    kept = []
    for rule in tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True):
        if rule.type == "at-rule":
            kept.append(_at_rule(rule, known))
        elif rule.type == "qualified-rule":
            selectors = [s for s in _selectors(rule.prelude) if needed(s, known)]
            if selectors:
                kept.append(f"{','.join(selectors)}{{{tinycss2.serialize(rule.content).strip()}}}")
    return "\n".join(filter(None, kept))


def _at_rule(rule, known):
    name, prelude = rule.lower_at_keyword, tinycss2.serialize(rule.prelude).strip()
    content = tinycss2.serialize(rule.content).strip() if rule.content is not None else None
    if name in ("media", "supports", "layer", "container") and content:
        inner = prune(content, known)
        return f"@{name} {prelude}{{{inner}}}" if inner else ""
    if name == "font-face" and "Font Awesome" in content or name == "charset":
        return ""
    return f"@{name} {prelude};" if content is None else f"@{name} {prelude}{{{content}}}"


def _selectors(prelude):
    """The parts of a selector list; commas inside brackets do not part."""
    parts = [[]]
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return [tinycss2.serialize(part).strip() for part in parts]


def without_idle_names(css, others):
    """A style sheet without the custom properties of a framework that nothing reads."""
    while True:
        read = set(READ.findall(css)) | set(READ.findall(others))
        shorter = DECLARED.sub(lambda match: match.group() if match[1] in read else "", css)
        if shorter == css:
            return css
        css = shorter


def merge(site, pages):
    """Write the one style sheet and lead the pages to it; returns {path: html} of the pages that change."""
    static = site / "_static"
    pages = {path: html for path, html in pages.items() if "data-content_root=" in html}
    used = {match["name"] for html in pages.values() for match in LINK.finditer(html)}
    if IMPORT_ONLY not in used:  # done already
        return {}
    used.add("basic.css")
    names = [name for start in THEME for name in sorted(used) if name.startswith(start)]
    scripts = [path.read_text(encoding="utf8") for path in static.rglob("*.js") if "vendor" not in path.parts]
    known = words(pages.values(), scripts)
    sheets = [prune((static / name).read_text(encoding="utf8"), known) for name in names]
    own = "".join(path.read_text(encoding="utf8") for path in static.glob("*.css") if path.name not in names)
    (static / MERGED).write_text(without_idle_names("\n".join(sheets), own) + "\n", encoding="utf8")
    names.append(IMPORT_ONLY)
    for name in names:
        (static / name).unlink()
    changed = {}
    for path, html in pages.items():
        first = []

        def link(match, first=first):
            if match["name"] not in names:
                return match.group()
            first.append(match)
            return f'\n    <link rel="stylesheet" href="{match["root"]}_static/{MERGED}" />' if len(first) == 1 else ""

        local = LINK.sub(link, html)
        if local != html:
            changed[path] = local
    return changed
