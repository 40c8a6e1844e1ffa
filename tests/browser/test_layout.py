"""Facts of layout: nothing jumps, overlaps or is cut off, at any width, zoom or spacing of text."""

import pytest

SHIFTS = """window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });"""
LIMIT = 0.1  # what Web Vitals call good; one unit is a page that moves by its own height
CHAPTERS = ["book/foundations/measures", "book/policy/why-entropy-falls"]


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps_while_the_page_comes_and_is_scrolled(read, page_name, width):
    reader = read(width, 900)
    tab = reader.tab
    tab.add_init_script(SHIFTS)
    tab.goto((reader.site / f"{page_name}.html").as_uri())
    tab.wait_for_load_state("load")
    if tab.locator(".math").count():
        tab.wait_for_selector("html[data-math=ready]")
    tab.wait_for_timeout(500)
    height = tab.evaluate("document.documentElement.scrollHeight")
    for top in range(0, height, 800):
        tab.evaluate(f"scrollTo({{ top: {top}, behavior: 'instant' }})")
        tab.wait_for_timeout(60)
    tab.wait_for_timeout(300)
    assert tab.evaluate("shift") < LIMIT


# Boxes of the frame that must not lie on each other, and text that is wider or higher than its box.
OVERLAPS = """() => {
  const parts = [".bd-sidebar-primary", ".bd-article", ".bd-sidebar-secondary"].map((s) => document.querySelector(s))
    .filter((e) => e?.checkVisibility({ checkVisibilityCSS: true })).map((e) => [e, e.getBoundingClientRect()])
    .filter(([, b]) => b.width && b.right > 0 && b.left < innerWidth);
  return parts.flatMap(([e, a], i) => parts.slice(i + 1).filter(([, b]) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1).map(([o]) => `${e.className} lies on ${o.className}`));
}"""
CUT = """() => [...document.querySelectorAll("main :is(p, li, h1, h2, h3, td, th, figcaption, label, output, button, a, summary, .check-line, .claim)")]
  .filter((e) => e.checkVisibility() && !e.closest("mjx-container, .sr-only, svg")).filter((e) => {
    const s = getComputedStyle(e);
    const clipsX = ["hidden", "clip"].includes(s.overflowX), clipsY = ["hidden", "clip"].includes(s.overflowY);
    return clipsX && e.scrollWidth > e.clientWidth + 1 || clipsY && e.scrollHeight > e.clientHeight + 1;
  }).map((e) => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 40)}`)"""
# Labels of a picture (axes, legends, numbers) that lie on each other.
LABELS = """() => [...document.querySelectorAll("figure.picture svg")].filter((e) => e.checkVisibility()).flatMap((svg) => {
  const texts = [...svg.querySelectorAll("text:not([transform*=rotate])")].map((t) => [t.textContent, t.getBoundingClientRect()]).filter(([, b]) => b.width);
  return texts.flatMap(([word, a], i) => texts.slice(i + 1).filter(([, b]) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 3 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3
  ).map(([other]) => `${word} | ${other}`)); })"""
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("width", [1440, 1024, 768])
def test_nothing_overlaps_or_is_cut_off(read, page_name, width):
    tab = read(width).open(page_name)
    assert tab.evaluate(OVERLAPS) == []
    assert tab.evaluate(CUT) == []
    assert tab.evaluate(LABELS) == []
    assert tab.evaluate(SIDEWAYS) == 0


def test_the_overlap_test_can_fail(read):
    tab = read(1440).open(CHAPTERS[0])
    tab.evaluate("document.querySelector('.bd-article').style.marginLeft = '-200px'")
    assert tab.evaluate(OVERLAPS) != []


# WCAG 1.4.12: a reader's own spacing of lines, letters, words and paragraphs.
SPACED = """* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }
p { margin-bottom: 2em !important; }"""


@pytest.mark.parametrize("width", [1280, 320])
def test_wide_spacing_of_text_cuts_nothing_off(read, page_name, width):
    tab = read(width, 800).open(page_name)
    tab.add_style_tag(content=SPACED)
    assert tab.evaluate(CUT) == []
    assert tab.evaluate(OVERLAPS) == []
    assert tab.evaluate(SIDEWAYS) == 0


@pytest.mark.parametrize("name", CHAPTERS)
def test_at_twice_the_size_nothing_is_lost(read, name):
    """A page of 1280 px at 200 % has 640 px to lay itself out in; WCAG 1.4.4 also asks for larger text alone."""
    tab = read(640, 450, device_scale_factor=2).open(name)
    assert tab.evaluate(SIDEWAYS) == 0 and tab.evaluate(CUT) == []
    tab = read(1280).open(name)
    tab.evaluate("document.documentElement.style.fontSize = '32px'")
    tab.wait_for_timeout(600)
    assert tab.evaluate(SIDEWAYS) == 0 and tab.evaluate(CUT) == []
