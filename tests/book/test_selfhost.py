"""The extension that keeps pages from asking for anything outside the site."""

import pytest
import selfhost


def page(head="", body=""):
    return f"<!DOCTYPE html>\n<html>\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n"


@pytest.mark.parametrize("address, replacement", [
    ("https://cdn.jsdelivr.net/npm/mathjax@3/es5/tex-mml-chtml.js", "mathjax/startup.js"),
    ("https://cdnjs.cloudflare.com/ajax/libs/mathjax/2.7.7/MathJax.js?c=TeX", "mathjax/startup.js"),
    ("https://cdn.jsdelivr.net/npm/vega@6", "vega/vega.min.js"),
    ("https://cdn.jsdelivr.net/npm/vega@6.4.0/build/vega.js?noext", "vega/vega.min.js"),
])
def test_known_scripts_come_from_the_site(address, replacement):
    local = selfhost.localise(page(f'<script defer="defer" src="{address}"></script>'), "../../")
    assert f'src="../../_static/vendor/{replacement}"></script>' in local
    assert selfhost.outside(local) == []


def test_checks_for_other_origins_are_dropped_with_the_origin():
    drop = 'integrity="sha384-abc" crossorigin="anonymous" referrerpolicy=no-referrer'
    tag = f'<script src="https://cdn.jsdelivr.net/npm/vega@6" {drop} data-keep="yes"></script>'
    local = selfhost.localise(page(tag))
    assert '<script src="_static/vendor/vega/vega.min.js" data-keep="yes"></script>' in local


@pytest.mark.parametrize("tag", [
    '<script src="https://cdnjs.cloudflare.com/ajax/libs/require.js/2.3.4/require.js"></script>',
    '<script src="https://unpkg.com/thebe@0.8.2/lib/index.js"></script>',
    '<script src="https://unpkg.com/vega-lite@6.4.1?noext"></script>',
    '<script src="https://unpkg.com/@jupyter-widgets/html-manager@1/dist/embed-amd.js"></script>',
    '<script>const THEBE_JS_URL = "https://unpkg.com/thebe@0.8.2/lib/index.js";</script>',
    '<script type="text/x-thebe-config">{ binderOptions: { repo: "a/b" } }</script>',
    '<script src="../_static/vendor/fontawesome/6.5.2/js/all.min.js?digest=1"></script>',
    '<link rel="preload" as="font" href="_static/vendor/fontawesome/6.5.2/webfonts/a.woff2" />',
    '<link rel="canonical" href="https://example.org/page.html" />',
    '<meta property="og:image" content="https://example.org/a.png" />',
])
def test_what_nothing_needs_is_removed(tag):
    local = selfhost.localise(page(f"<title>a</title>{tag}<meta name='b'>"))
    assert local == page("<title>a</title><meta name='b'>")


def test_a_clean_page_is_left_alone_to_the_byte():
    body = '<p title="a > b">α <a href="https://example.org">out</a>\n\r\f</p>'
    html = page('<script src="_static/a.js?v=1"></script>', body)
    assert selfhost.localise(html) == html
    assert selfhost.outside(html) == []


def test_tags_after_odd_line_ends_are_cut_at_the_right_place():
    odd = "<p>line\x0bline\x85line\u2028</p>\r\n"
    tag = '<script src="https://unpkg.com/thebe@1/x.js"></script>'
    assert selfhost.localise(page("", f"{odd}{tag}<p>end</p>")) == page("", f"{odd}<p>end</p>")


@pytest.mark.parametrize("html, address", [
    ('<script src="https://example.org/a.js"></script>', "https://example.org/a.js"),
    ('<script src="//example.org/a.js"></script>', "//example.org/a.js"),
    ('<script src="/a.js"></script>', "/a.js"),
    ('<link rel="stylesheet" href="//fonts.example.org/css">', "//fonts.example.org/css"),
    ('<link rel="icon" href="https://example.org/a.ico">', "https://example.org/a.ico"),
    ('<link rel="modulepreload" href="https://example.org/a.mjs">', "https://example.org/a.mjs"),
    ('<link href="https://example.org/a.css">', "https://example.org/a.css"),
    ('<img src="https://example.org/badge.svg" alt="">', "https://example.org/badge.svg"),
    ('<img src="a.png" srcset="b.png 1x, //example.org/c.png 2x" alt="">', "//example.org/c.png"),
    ('<iframe src="https://example.org/video"></iframe>', "https://example.org/video"),
    ('<object data="http://example.org/a.pdf"></object>', "http://example.org/a.pdf"),
    ('<svg><image xlink:href="https://example.org/a.png"/></svg>', "https://example.org/a.png"),
    ('<form action="https://example.org/search"></form>', "https://example.org/search"),
    ('<a href="b.html" ping="https://example.org/count">b</a>', "https://example.org/count"),
    ('<meta http-equiv="refresh" content="0; url=https://example.org/">', "https://example.org/"),
    ('<p style="background: url(//example.org/a.png)">a</p>', "//example.org/a.png"),
    ('<style>@import "https://example.org/a.css";</style>', "https://example.org/a.css"),
    ('<style>@font-face { src: url("//example.org/a.woff2") }</style>', "//example.org/a.woff2"),
    ('<script>const u = "//cdn.example.org/thing";</script>', "//cdn.example.org/thing"),
    ("<script>s.src = 'https://example.org/a.js?1';</script>", "https://example.org/a.js?1"),
    ('<script>fetch("https://example.org/data")</script>', "https://example.org/data"),
    ('<script>import("https://example.org/part")</script>', "https://example.org/part"),
    ('<script type="application/json">{"data": {"url": "https://example.org/a.csv"}}</script>',
     "https://example.org/a.csv"),
    ('<script type="application/json">{"layer": [{"mark": {"url": "//example.org/a"}}]}</script>',
     "//example.org/a"),
])
def test_the_guard_finds_what_points_outside(html, address):
    assert [found for _, found in selfhost.outside(page("", html))] == [address]


@pytest.mark.parametrize("html", [
    '<a href="https://example.org">a link for a reader</a>',
    '<link rel="next" href="b.html"><link rel="author" href="https://example.org">',
    '<img src="data:image/png;base64,AAAA" alt="">',
    '<p>https://cdn.example.org/a.js in a text, <code>fetch("https://example.org")</code></p>',
    '<svg xmlns="http://www.w3.org/2000/svg"><use href="#a"/></svg>',
    '<script>const ns = "http://www.w3.org/2000/svg"; // see https://example.org/a.js</script>',
    '<script type="application/json">{"$schema": "https://example.org/v6.json"}</script>',
    '<style>p { background: url(data:image/png,a) } /* url(//example.org/a.png) */</style>',
])
def test_the_guard_leaves_the_rest_alone(html):
    assert selfhost.outside(page("", html)) == []


def test_the_system_theme_is_known_before_the_first_paint():
    theirs = 'document.documentElement.dataset.theme = localStorage.getItem("theme") || "auto";'
    assert "prefers-color-scheme" in selfhost.localise(page(f"<script>{theirs}</script>"))


@pytest.mark.parametrize("css, less", [
    ("/* a note */\na { b: c; }\n", "a{b:c;}"),
    ("/*! a licence; kept */\na, b { c: d }", "/*! a licence; kept */\na,b{c:d}"),
    ("a :hover > b { c: 1px solid, 2px }", "a :hover > b{c:1px solid,2px}"),
    ('a::before { content: " ;  } " / ""; }', 'a::before{content:" ;  } " / "";}'),
    ("a { b: url(data:x;  y, { z) }", "a{b:url(data:x;  y, { z)}"),
    ("@media (min-width: 9px) {\n  a { width: calc(1px + 2px) }\n}", "@media (min-width:9px){a{width:calc(1px + 2px)}}"),
])
def test_a_style_sheet_loses_blanks_and_no_meaning(css, less):
    assert selfhost.slim(css) == less
    assert selfhost.slim(less) == less


def test_fonts_move_into_the_style_sheet(tmp_path):
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "a.woff2").write_bytes(b"font")
    css = '@font-face { src: url("vendor/a.woff2") format("woff2"); }'
    inside = "@font-face { src: url(data:font/woff2;base64,Zm9udA==) format(\"woff2\"); }"
    assert selfhost.inline_fonts(css, tmp_path) == inside


@pytest.fixture
def book(tiny_book):
    tiny_book.extensions = ["myst_nb", "selfhost"]
    return tiny_book


def test_a_build_takes_only_the_scripts_that_a_page_needs(book):
    book.page("index", "# Home\n\nText.\n\n```{toctree}\na\n```\n")
    book.page("a", "# A\n\n$x$\n\n```{raw} html\n<figure class=\"explorable\"></figure>\n```\n")
    assert book.build(mathjax_path="vendor/mathjax/startup.js") == ""
    for name in ("explorable.js", "mathjax-config.js", "vendor/mathjax/startup.js"):
        assert name not in book.html("index")
        assert name in book.html("a")
    assert "book.css" in book.html("index")


def test_a_build_with_an_outside_picture_warns(book):
    picture = '<img src="https://example.org/a.png" alt="">'
    book.page("index", f"# Home\n\n```{{raw}} html\n{picture}\n```\n")
    complaint = "index.html <img src> fetches https://example.org/a.png from outside the site"
    assert complaint in book.build()


def test_a_second_pass_changes_nothing(book):
    book.page("index", "# Home\n\n$x$\n")
    book.build()
    before = {p: p.read_bytes() for p in book.target.rglob("*") if p.is_file()}
    selfhost.clean(book.target)
    assert before == {p: p.read_bytes() for p in book.target.rglob("*") if p.is_file()}


@pytest.mark.parametrize("sign, layout", [
    ('<div class="cell docutils container">', "wide"), ('<aside class="margin sidebar">', "noted"),
    ('<ol class="map-parts">', "front"), ('<ul class="map-cards map-all-labs">', "mapped")])
def test_a_page_is_laid_out_by_what_it_holds(sign, layout):
    plain = page("", f'<div class="bd-article-container">{sign}</div>')
    once = selfhost.localise(plain)
    assert f'class="bd-article-container {layout}"' in once
    assert selfhost.localise(once) == once
    assert 'class="bd-article-container"' in selfhost.localise(plain.replace(sign, "<p>"))
