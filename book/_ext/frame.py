"""The frame that the theme puts around a page, mended: names, states and landmarks; nothing that no one sees.

`frame.js` is the script that goes with it. Text in, text out; doing it again changes nothing.
"""

import re

# The theme writes its buttons by script. They stand in the page; access.css hides them without scripts.
WRITTEN = re.compile(r"<script>\s*document\.write\(`(.*?)`\);?\s*</script>", re.S)
# A second copy of the title and contents for paper, which the book's print style does not show.
PRINT_COPY = re.compile(r'<div id="jb-print-docs-body".*?(?=<div id="searchbox">)', re.S)
# In the list of pages: a chapter's line, then the switch that unfolds its labs.
UNFOLD = re.compile(r'(<a class="[^"]*reference internal" href="[^"]*">(.*?)</a><details[^>]*>)<summary>'
                    r'<span class="toctree-toggle" role="presentation">')
VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1" />'

EDITS = [
    (re.compile(r'\s*<meta name="docsearch:language"[^>]*>'), ""),
    (WRITTEN, r"\1"),
    (PRINT_COPY, ""),
    # A landmark that holds nothing, places for what the book has not, and what belonged to Bootstrap.
    (re.compile(r'<header class="bd-header [^>]*>\s*</header>'), ""),
    (re.compile(r'<footer class="bd-footer">\s*</footer>'), ""),
    (re.compile(r'<div class="footer-item">\s*</div>'), ""),
    (re.compile(r'<div class="sidebar-header-items [^>]*>\s*</div>'), ""),
    (re.compile(r'<div class="sidebar-primary-items__end [^>]*>\s*</div>'), ""),
    (re.compile(r'<div id="rtd-footer-container"></div>'), ""),
    (re.compile(r'<div id="pst-scroll-pixel-helper"></div>|<div class="sbt-scroll-pixel-helper"></div>'), ""),
    (re.compile(r'<button type="button" class="btn rounded-pill" id="pst-back-to-top">.*?</button>', re.S), ""),
    (re.compile(r'<div class="pst-async-banner-revealer.*?</aside>\s*</div>', re.S), ""),
    (re.compile(r' data-bs-[a-z-]+="[^"]*"| data-offset="180"'), ""),
    (re.compile(r"<!-- (?:Loaded before other|Pre-loaded scripts|Scripts loaded after).*?-->"), ""),
    # Names and roles.
    (re.compile(r' aria-level="2"( class="caption") role="heading"'), r"\1"),
    (re.compile(r'<div class="bd-sidebar-primary bd-sidebar">'),
     '<div class="bd-sidebar-primary bd-sidebar" role="region" aria-label="The book">'),
    (re.compile(r'<div class="bd-sidebar-secondary bd-toc">'),
     '<div class="bd-sidebar-secondary bd-toc" role="region" aria-label="On this page">'),
    (re.compile(r'<nav class="bd-links bd-docs-nav" aria-label="Main">'),
     '<nav class="bd-links bd-docs-nav" aria-label="Pages of the book">'),
    (re.compile(r'<nav class="bd-toc-nav page-toc">'), '<nav class="bd-toc-nav page-toc" aria-label="Sections of this page">'),
    (re.compile(r'<div class="search-button__search-container">'),
     '<div class="search-button__search-container" role="dialog" aria-modal="true" aria-label="Search">'),
    (re.compile(r'(<button class="sidebar-toggle primary-toggle btn btn-sm") title="Toggle primary sidebar"'),
     r'\1 type="button" title="Pages of the book" aria-label="Pages of the book"'),
    (re.compile(r'(<button class="sidebar-toggle secondary-toggle btn btn-sm") title="Toggle secondary sidebar"'),
     r'\1 type="button" title="Sections of this page" aria-label="Sections of this page"'),
    (re.compile(r'(<button class="btn btn-sm nav-link pst-navbar-icon theme-switch-button") title="light/dark" aria-label="light/dark"'),
     r'\1 type="button" title="Colours" aria-label="Colours"'),
    (re.compile(r'(<button class="btn [^"]*search-button__button") title'), r'\1 type="button" title'),
    (re.compile(r'<i class="(fa[^"]*|theme-switch[^"]*)"(?! aria)'), r'<i class="\1" aria-hidden="true"'),
    (UNFOLD, r'\1<summary aria-label="Labs of: \2"><span class="toctree-toggle">'),
    (re.compile(r'(<div class="citation" id="[^"]*") role="doc-biblioentry"'), r'\1 role="listitem"'),
    (re.compile(r'(<(?:div|article) class="bd-content)"(?=.*?class="bd-sidebar-secondary)', re.S), r'\1 with-contents"'),
    # Scripts wait for the text; those of Sphinx's own pages have lines in between that count on them.
    (re.compile(r'<script (?:async="async" )?src="(?![^"]*(?:documentation_options|doctools|sphinx_highlight|searchtools|language_data|searchindex))'),
     '<script defer="defer" src="'),
    (re.compile(r"\n\s*\n\s*"), "\n"),
]
# Scripts and styles of the theme that frame.js and the icons of book.css replace.
REPLACED = re.compile(
    r'\s*<script src="[^"]*_static/scripts/(?:bootstrap|pydata-sphinx-theme|sphinx-book-theme)\.js[^"]*"></script>'
    r'|\s*<link rel="preload" as="script" href="[^"]*_static/scripts/[^"]*" ?/>'
)


# In code: names, signs and blanks have the ink of the page and need no mark; a line for the test runner goes.
INKED = re.compile(r'<span class="(?:n|nn|na|nv|o|p|w|nt|nl|x|nx)">([^<]*)</span>')
FOR_TESTS = re.compile(r'<span class="c1"># NBVAL_CHECK_OUTPUT</span>\n?')


def listing(html):
    """A listing as the page shows it."""
    return INKED.sub(r"\1", FOR_TESTS.sub("", html)).replace("<pre><span></span>", "<pre>")


def mend(html):
    """A page of the book with its frame mended; other pages as they are."""
    if "data-content_root=" not in html:
        return html
    html = REPLACED.sub("", html)
    kept = []

    def keep(match):  # blank lines count where text is shown as it is typed
        kept.append(listing(match.group()))
        return f"\0{len(kept) - 1}\0"

    html = re.sub(r"<(pre|textarea)\b.*?</\1>|<script\b[^>]*json[^>]*>.*?</script>", keep, html, flags=re.S)
    for pattern, replacement in EDITS:
        html = pattern.sub(replacement, html)
    if html.count('name="viewport"') > 1:  # each tool brings its own
        html = re.sub(r'\s*<meta name="viewport"[^>]*>', "", html)
        html = html.replace('<meta charset="utf-8" />', f'<meta charset="utf-8" />\n    {VIEWPORT}', 1)
    if 'rel="icon"' not in html:  # or a browser asks a server for favicon.ico
        html = html.replace("</title>", '</title>\n    <link rel="icon" href="data:," />', 1)
    return re.sub(r"\0(\d+)\0", lambda match: kept[int(match.group(1))], html)
