"""The site asks nothing of the outside: what a page loads lies beside it, so it works from disk.

Adds the book's style and scripts to the pages that need them, then, when all pages are written,
drops or redirects what the theme and the outputs would fetch, and warns (`-W` stops the build) if a
resource still points outside. Ordinary links for a reader to follow may point anywhere.
"""

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import frame
import letters
import policy
import theme_styles
from sphinx.util import logging

logger = logging.getLogger(__name__)

# Addresses that tools are known to write, and what the book has in their place (None: not needed).
CDN = r"(?:https?:)?//(?:cdn\.jsdelivr\.net/npm|unpkg\.com|cdnjs\.cloudflare\.com/ajax/libs)/"
REDIRECTS = [
    (re.compile(CDN + r"mathjax[@/].*\.js"), "vendor/mathjax/startup.js"),
    (re.compile(CDN + r"vega-lite(?:@[\w.]*)?(?:/|$|\?)"), None),
    (re.compile(CDN + r"vega(?:@[\w.]*)?(?:/|$|\?)"), "vendor/vega/vega.min.js"),
    (re.compile(CDN + r"(?:require\.js|requirejs|thebe|@jupyter-widgets/html-manager)[@/]"), None),
]
# The theme's icon font: 1.5 MB of script on each page. book.css draws the dozen icons in use.
ICON_FONT = "_static/vendor/fontawesome/"

# Signs of scripts for a kernel that the site does not have.
THEBE = ("THEBE_JS_URL", "binderOptions", "kernelName = ")
MATH = ('math"', "math notranslate")  # in the site, and while Sphinx writes it
PLAYED = ('class="quiz ', 'class="quiz-record"', 'class="exercise')
# The book's own scripts and styles, each with the signs of a page that needs it.
NEEDED = {
    "chart.js": 'class="explorable"', "explorable.js": 'class="explorable"',
    "atlas.js": 'class="atlas-filter"', "steps.js": 'class="step"', "meanings.js": "means-",
    "launch.js": 'class="launch"', "copy.js": 'class="highlight',
    "progress.js": PLAYED, "quiz.js": 'class="quiz ', "quiz.css": PLAYED,
    "mathjax-config.js": MATH, "vendor/mathjax/startup.js": MATH,
    "launch.css": 'class="launch"', "steps.css": 'class="step',
    "atlas.css": ('class="atlas', 'class="papers'),
    "map.css": ('class="map-', 'class="verdict-dot', 'class="check-shown'),
    # brought by tools
    "togglebutton.js": "dropdown admonition", "design-tabs.js": "sd-tab-set",
}
# What no page needs, and what only Sphinx's own pages (search, index) do.
UNUSED = ("clipboard.min.js", "copybutton.js", "copybutton.css", "sphinx-thebe")
THEME_SCRIPTS = ("scripts/bootstrap.js", "scripts/pydata-sphinx-theme.js", "scripts/sphinx-book-theme.js")  # see frame.js
SPHINX_ONLY = ("documentation_options.js", "doctools.js", "sphinx_highlight.js")

# Pages that are laid out in another way, by what they hold: labs and long tables take more room than
# text, notes stand in a margin, and the front page is a picture of the book.
LAYOUTS = {
    "wide": ('class="cell docutils', 'class="results"', 'class="atlas"'),
    "noted": ('<aside class="margin sidebar">',),
    "front": ('class="map-parts"',),
    "mapped": ('class="map-cards"', 'class="map-cards map-all-labs"'),
}

# The theme learns only after the page is drawn whether the system is dark; say so before.
FIRST_PAINT = (
    'dataset.theme = localStorage.getItem("theme") || "auto";',
    'dataset.theme = [localStorage.getItem("mode")].find((m) => m === "light" || m === "dark")'
    ' || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");',
)

OUTSIDE = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.I)
SCHEMES = re.compile(r"\s*(?:https?|ftp|wss?):", re.I)
VALUE = r"""(?:"[^"]*"|'[^']*'|[^\s>]+)"""  # of an attribute
CSS_ADDRESS = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""", re.I)
JS_STRING = re.compile(r"""(["'`])((?:https?:)?//[^"'`\s\\]+)\1""")
JS_LOADS = re.compile(
    r"(?:\bfetch|\bimport|\bimportScripts|\bWorker|\bEventSource|\bWebSocket|sendBeacon)\(\s*$"
)
JS_HOSTS = re.compile(
    r"//(?:cdn\.|unpkg\.|cdnjs\.|esm\.|ajax\.googleapis|fonts\.g|polyfill|.*bootstrapcdn|.*jspm)",
    re.I,
)
JS_FILES = re.compile(r"\.(?:m?js|css|wasm|woff2?|ttf)(?:[?#].*)?$", re.I)
# What a browser fetches by itself, by tag. Everything in a <link> is fetched but these relations.
FETCHED = {
    "script": ["src"], "img": ["src", "srcset"], "source": ["src", "srcset"], "iframe": ["src"],
    "video": ["src", "poster"], "audio": ["src"], "track": ["src"], "embed": ["src"],
    "object": ["data"], "input": ["src"], "image": ["href", "xlink:href"],
    "use": ["href", "xlink:href"], "body": ["background"], "form": ["action"],
}
LINKS_ONLY = {"next", "prev", "index", "search", "author", "help", "license", "bookmark", "up"}
USELESS_LINKS = {"canonical", "preconnect", "dns-prefetch"}


class Tags(HTMLParser):
    """All start tags of a page with their places, and the text inside scripts and styles."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.starts = [0] + [m.end() for m in re.finditer("\n", html)]
        self.found, self.inside = [], None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        line, column = self.getpos()
        start = self.starts[line - 1] + column
        raw = self.get_starttag_text()
        entry = {"tag": tag, "attributes": {k: v or "" for k, v in attributes},
                 "start": start, "end": start + len(raw), "text": ""}
        self.found.append(entry)
        self.inside = entry if tag in ("script", "style") else None

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside is not None:
            self.inside["text"] += data


def is_outside(address):
    """True for an address that leaves the site, or that breaks in a page opened from disk."""
    return bool(OUTSIDE.match(address) or SCHEMES.match(address) or address.startswith("/"))


def redirect(address):
    """(known, replacement) of an outside address; None as replacement when nothing needs it."""
    for pattern, replacement in REDIRECTS:
        if pattern.match(address):
            return True, replacement
    return False, None


def localise(html, root=""):
    """A page as the book serves it: no tag fetches from a known place outside.

    `root` leads from the page to the site's top. Doing it again changes nothing.
    """
    edits = []
    for entry in Tags(html).found:
        tag, attributes = entry["tag"], entry["attributes"]
        name = "href" if tag == "link" else "src"
        address = attributes.get(name, "")
        whole = (entry["start"], _end(html, entry), "")
        rel = set(attributes.get("rel", "").lower().split())
        if tag == "link" and rel & USELESS_LINKS:
            edits.append(whole)
        elif tag == "meta" and attributes.get("property", "").startswith("og:"):
            edits.append(whole)
        elif tag in ("link", "script") and ICON_FONT in address:
            edits.append(whole)
        elif tag in ("link", "script") and address and is_outside(address):
            known, replacement = redirect(address)
            if known and replacement is None:
                edits.append(whole)
            elif known:
                raw = html[entry["start"]:entry["end"]]
                raw = re.sub(rf"\s(?:integrity|crossorigin|referrerpolicy)(?:={VALUE})?", "", raw)
                raw = re.sub(rf"(\s{name}=){VALUE}", rf'\1"{root}_static/{replacement}"', raw)
                edits.append((entry["start"], entry["end"], raw))
        elif tag == "script" and any(sign in entry["text"] for sign in THEBE):
            edits.append(whole)
    for start, end, text in reversed(edits):
        html = html[:start] + text + html[end:]
    html = frame.mend(html.replace(*FIRST_PAINT))
    # A class, since `:has()` makes sliders slow.
    layouts = [name for name, signs in LAYOUTS.items() if any(sign in html for sign in signs)]
    if layouts:
        html = html.replace('class="bd-article-container"', f'class="bd-article-container {" ".join(layouts)}"')
    return html


def _end(html, entry):
    """Where an element ends: with its closing tag for a script."""
    if entry["tag"] != "script":
        return entry["end"]
    return html.lower().index("</script>", entry["end"]) + len("</script>")


def outside(html):
    """What a page would fetch from outside, as (where, address) pairs; the book wants []."""
    found = []
    for entry in Tags(html).found:
        tag, attributes = entry["tag"], entry["attributes"]
        rel = set(attributes.get("rel", "").lower().split())
        names = FETCHED.get(tag, [])
        if tag == "link" and not (rel and rel <= LINKS_ONLY):
            names = ["href"]
        for name in names:
            value = attributes.get(name, "")
            parts = [value]
            if name == "srcset":
                parts = [part.split()[0] for part in value.split(",") if part.strip()]
            found += [(f"<{tag} {name}>", part) for part in parts if is_outside(part)]
        if tag == "a" and attributes.get("ping"):
            found.append(("<a ping>", attributes["ping"]))
        if tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh":
            target = attributes.get("content", "").partition("url=")[2]
            found += [("<meta refresh>", target)] if is_outside(target) else []
        found += [(f"<{tag} style>", a) for a in outside_css(attributes.get("style", ""))]
        if tag == "style":
            found += [("<style>", a) for a in outside_css(entry["text"])]
        if tag == "script":
            kind = attributes.get("type", "")
            check = outside_spec if "json" in kind else outside_js
            found += [("<script>", a) for a in check(entry["text"])]
    return found


def outside_css(css):
    """Addresses that a style sheet would fetch from outside."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    return [a for pair in CSS_ADDRESS.findall(css) for a in pair if a and is_outside(a)]


def outside_js(script):
    """String constants from which a script would load something outside.

    A heuristic: constants on a known delivery host, constants that name a loadable file, and
    constants handed to a loading call. The browser tests record what is really asked for.
    """
    found = []
    for match in JS_STRING.finditer(script):
        address = match.group(2)
        before = script[max(0, match.start() - 30):match.start()]
        if JS_HOSTS.search(address) or JS_FILES.search(address) or JS_LOADS.search(before):
            found.append(address)
    return found


def outside_spec(text):
    """Addresses in the data of a Vega-Lite chart (`url` anywhere; `$schema` is only a name)."""
    try:
        spec = json.loads(text)
    except ValueError:
        return []
    found, queue = [], [spec]
    while queue:
        node = queue.pop()
        if isinstance(node, dict):
            texts = [node[key] for key in ("url", "href") if isinstance(node.get(key), str)]
            found += [text for text in texts if is_outside(text)]
            queue += node.values()
        elif isinstance(node, list):
            queue += node
    return found


# Blanks around braces and semicolons, after commas and after the colon of a declaration.
BLANKS = re.compile(r"""(?P<kept>/\*!.*?\*/|"[^"]*"|'[^']*'|url\([^)]*\))|\s*(?P<sign>[{};])\s*|(?P<sign2>[,:])\s+""", re.S)


def inline_fonts(css, folder):
    """A style sheet with its fonts inside: some browsers refuse font files to pages from disk."""
    def data(match):
        font = base64.b64encode((folder / match.group(1)).read_bytes()).decode()
        return f"url(data:font/woff2;base64,{font})"
    return re.sub(r"""url\(["']?(vendor/[^"')]+\.woff2)["']?\)""", data, css)


def dress(app, pagename, templatename, context, doctree):
    """Before a page is written: the scripts and styles that it needs and no others."""
    body = context.get("body") or ""
    scripts, styles = context["script_files"], context["css_files"]
    needed = {name for name, signs in NEEDED.items() for sign in ([signs] if isinstance(signs, str) else signs) if sign in body}
    idle = [name for name in NEEDED if name not in needed] + list(UNUSED)
    if templatename == "page.html":
        idle += SPHINX_ONLY
    idle = tuple(f"_static/{name}" for name in idle)
    # In place: the builder puts its own lists back after each page.
    scripts[:] = [s for s in scripts if not _is_idle(s, idle)]
    styles[:] = [s for s in styles if not str(s.filename).startswith(idle)]


def _is_idle(script, idle):
    """True for a script that the page does not need, and for the settings of one."""
    body = str(script.attributes.get("body"))
    return (str(script.filename).startswith(idle) or THEBE[0] in body or "DOCUMENTATION_OPTIONS" in body
            or "_static/togglebutton.js" in idle and body.startswith(("let toggle", "var toggle")))


def finish(app, exception):
    """When all pages are written: localise them, then look for what still points outside."""
    if exception is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    shutil.rmtree(site / ICON_FONT, ignore_errors=True)
    clean(site)
    for where, address in survey(site):
        logger.warning("%s fetches %s from outside the site", where, address, type="selfhost")


def clean(site):
    """Rewrite the built files in place; doing it again changes nothing."""
    for pattern in ("**/*.map", "*webpack-macros.html", *(f"{name}*" for name in (*UNUSED, *THEME_SCRIPTS))):
        for path in site.glob(f"_static/{pattern}"):
            path.unlink()
    for path in site.glob("_static/*.js"):
        script = path.read_text(encoding="utf8")
        if (less := thin(script)) != script:
            path.write_text(less, encoding="utf8")
    written = {path: path.read_text(encoding="utf8") for path in sorted(site.rglob("*.html"))}
    # Classes that no style and no script asks for: they stand at every formula and at every claim.
    lighter = {path: html.replace("math notranslate nohighlight", "math").replace('class="claim docutils container"', 'class="claim"')
               .replace('step-body docutils container', 'step-body') for path, html in written.items()}
    pages = {path: localise(html, "../" * (len(path.relative_to(site).parts) - 1)) for path, html in lighter.items()}
    pages |= theme_styles.merge(site, pages)
    for path, html in pages.items():
        if (sealed := policy.seal(html)) != written[path]:
            path.write_text(sealed, encoding="utf8")
    for path in sorted((site / "_static").rglob("*.js")):
        script = path.read_text(encoding="utf8")
        local = re.sub(r"//# sourceMappingURL=\S+\s*$", "", script)
        # Fallbacks inside the vendored libraries, which their settings never reach.
        if "vendor" in path.parts:
            local = local.replace("https://cdn.jsdelivr.net", ".")
        if local != script:
            path.write_text(local, encoding="utf8")
    letters.part_site(site)
    for path in sorted((site / "_static").rglob("*.css")):
        css = path.read_text(encoding="utf8")
        local = inline_fonts(slim(css), path.parent)
        if local != css:
            path.write_text(local, encoding="utf8")


def slim(css):
    """A style sheet without comments (not licences) and without the blanks that mean nothing; what is quoted stays."""
    css = re.sub(r"/\*(?!!).*?\*/\n?", "", css, flags=re.S)
    return BLANKS.sub(lambda match: match["kept"] or match["sign"] or match["sign2"], css)


def thin(script):
    """A script without what only its authors read: lines of comments (not licences) and indentation."""
    script = re.sub(r"^[ \t]*(?://.*|/\*(?!!)[^*]*(?:\*(?!/)[^*]*)*\*/[ \t]*)\n", "", script, flags=re.M)
    return re.sub(r"^[ \t]+", "", script, flags=re.M)


def survey(site):
    """(where, address) of everything in a built site that would be fetched from outside."""
    for path in sorted(site.rglob("*")):
        check = {".html": outside, ".css": _named(outside_css), ".js": _named(outside_js),
                 ".svg": outside}.get(path.suffix)
        if check and "_sources" not in path.parts:
            for where, address in check(path.read_text(encoding="utf8", errors="replace")):
                yield f"{path.relative_to(site)} {where}".strip(), address


def _named(check):
    return lambda text: [("", address) for address in check(text)]


def setup(app):
    app.add_css_file("book.css", priority=900)
    app.add_css_file("access.css", priority=901)
    app.add_js_file("mathjax-config.js", priority=100)
    app.add_js_file("chart.js", loading_method="defer")
    app.add_js_file("explorable.js", loading_method="defer")
    app.add_js_file("print.js", loading_method="defer")
    app.add_js_file("frame.js", loading_method="defer")
    app.add_js_file("copy.js", loading_method="defer")
    app.connect("html-page-context", dress, priority=900)
    app.connect("build-finished", finish, priority=900)  # after the theme has written its last file
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
