"""Every page in Chromium, opened from disk: whole, quiet, and asking for nothing outside."""

import pytest

CUT_OFF = """() => {
  const edge = document.documentElement.clientWidth + 1;
  const clips = (e) => ["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX);
  const inside = (e) => e && (clips(e) || inside(e.parentElement));
  return [...document.querySelectorAll(".bd-article *")].filter((e) => {
    const box = e.getBoundingClientRect();
    const seen = box.width > 0 && !e.closest("mjx-assistive-mml, .sr-only");
    return seen && box.right > edge && !inside(e.parentElement);
  }).slice(0, 5).map((e) => `${e.tagName} ${e.className.baseVal ?? e.className} is cut off`);
}"""
EQUATIONS = """() => [...document.querySelectorAll(".math")].filter((e) =>
  !e.querySelector("mjx-container svg") || !e.querySelector("mjx-assistive-mml math")
  || e.querySelector("[data-mjx-error]")).map((e) => e.textContent.slice(0, 80))"""
FIGURES = """() => [...document.querySelectorAll(".explorable, .picture")].filter((f) => {
  if (f.closest("details:not([open])")) return false;
  const height = f.querySelector("svg")?.getBoundingClientRect().height ?? 0;
  return height < 60 || !f.querySelector("[role=img]")?.getAttribute("aria-label");
}).map((f) => f.id || f.className)"""
ICONS = """() => [...document.querySelectorAll(".fa-solid, .fa-regular, .fa-brands")].filter((e) =>
  getComputedStyle(e).webkitMaskImage === "none").map((e) => e.className)"""


def test_the_page_is_whole_on_a_desk(read, page_name):
    reader = read(1280)
    tab = reader.open(page_name)
    assert tab.evaluate(EQUATIONS) == [], "equations that are not set, or not readable aloud"
    assert tab.evaluate(FIGURES) == [], "figures that are not drawn, or have no label"
    assert tab.evaluate(ICONS) == [], "icons without a drawing"
    assert tab.evaluate(CUT_OFF) == []
    assert reader.outside == []
    assert reader.complaints == []


@pytest.mark.parametrize("width", [390, 320])
def test_the_page_never_scrolls_sideways_on_a_phone(read, page_name, width):
    reader = read(width, 800, scheme="dark")
    tab = reader.open(page_name)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(CUT_OFF) == []
    assert reader.outside == []
    assert reader.complaints == []
