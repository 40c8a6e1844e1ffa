"""What a reader does on a page: move a slider, go dark, follow a badge, filter the atlas."""

import pytest
from controls import SHAPES, changed, press_until_changed, stuck

# The text colour at the graphic: axes and labels are drawn in currentColor.
INK = "f => getComputedStyle(f.querySelector('svg text')).fill"


def first_slider(reader):
    """(figure, slider) of the first picture of the page that has a slider."""
    figure = reader.tab.locator("figure.explorable:has(input[type=range])").first
    figure.scroll_into_view_if_needed()
    return figure, figure.locator("input[type=range]").first


def test_a_control_that_moves_nothing_is_found(opened):
    assert stuck(opened.tab) == []
    opened.tab.evaluate("document.querySelector('figure.explorable input').replaceWith(document.querySelector('figure.explorable input').cloneNode())")
    assert any("moves nothing" in fault for fault in stuck(opened.tab))


@pytest.fixture
def opened(read, with_sign):
    """A reader of the first page with a slider."""
    reader = read()
    reader.open(with_sign('<input type="range"')[0])
    return reader


def test_reset_brings_the_picture_back(opened):
    figure, slider = first_slider(opened)
    start = figure.evaluate(SHAPES)
    slider.focus()
    assert press_until_changed(figure, slider, start)
    moved = figure.evaluate(SHAPES)
    figure.locator(".explorable-reset").click()
    assert changed(figure, moved)
    opened.tab.wait_for_timeout(200)
    assert figure.evaluate(SHAPES) == start


def test_a_drag_redraws_in_place(opened):
    """Pulling the slider changes the picture without building a new one."""
    figure, slider = first_slider(opened)
    figure.evaluate("f => f.querySelector('svg').dataset.mine = 'yes'")
    before, box = figure.evaluate(SHAPES), slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    opened.tab.mouse.move(box["x"] + box["width"] / 2, middle)
    opened.tab.mouse.down()
    for share in (0.3, 0.1, 0.9):  # ends far from wherever the slider began
        opened.tab.mouse.move(box["x"] + box["width"] * share, middle, steps=4)
    if not changed(figure, before, 500):
        opened.tab.mouse.move(box["x"] + 3, middle, steps=4)
    opened.tab.mouse.up()
    assert changed(figure, before)
    assert figure.evaluate("f => f.querySelector('svg').dataset.mine") == "yes"


def test_the_picture_announces_its_state(opened):
    figure, slider = first_slider(opened)
    figure.evaluate("f => f.addEventListener('explorable:change', (e) => { heard = e.detail; })")
    slider.focus()
    assert press_until_changed(figure, slider, figure.evaluate(SHAPES))
    opened.tab.wait_for_function("window.heard")
    assert opened.tab.evaluate("window.heard") == figure.evaluate("f => f.explorable.state()")


def test_going_dark_turns_the_ink_of_figures(opened):
    tab, figure = opened.tab, first_slider(opened)[0]
    light = figure.evaluate(INK)
    for _ in range(3):
        tab.locator(".theme-switch-button").first.click()
        if tab.evaluate("document.documentElement.dataset.theme") == "dark":
            break
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    dark = figure.evaluate(INK)
    assert dark != light
    assert brightness(dark) > 150 > brightness(light)
    assert figure.evaluate("f => getComputedStyle(f).color") == dark


def brightness(colour):
    numbers = [float(n) for n in colour[colour.index("(") + 1:].rstrip(")").split(",")[:3]]
    return sum(numbers) / 3


# How much higher or lower, in px, a picture is than the place that its page kept for it.
OFF = """(kept) => [...document.querySelectorAll(".explorable-view")].filter((view) => view.checkVisibility()).map(
  (view) => Math.abs(view.getBoundingClientRect().height - parseFloat(view.style.getPropertyValue(kept)))).sort((a, b) => a - b)"""


@pytest.mark.parametrize("width, kept", [(1280, "--wide"), (390, "--narrow")])
def test_a_picture_takes_the_place_that_was_kept_for_it(read, width, kept):
    """Words that run long in this machine's font may move a few; most fit to the pixel."""
    off = read(width, 800).open("book/policy/why-entropy-falls").evaluate(OFF, kept)
    assert len(off) > 6 and off[len(off) // 2] < 4, off


def test_a_picture_that_cannot_be_drawn_says_what_it_would_show(read, with_sign):
    reader = read()
    reader.tab.route("**/vega.min.js*", lambda route: route.abort())
    reader.open(with_sign('class="explorable-spec"')[0])
    figure = reader.tab.locator("figure.explorable:has(.explorable-spec)").first
    assert "It shows: " in figure.locator(".explorable-failed").inner_text()


def test_a_badge_leads_to_its_check(read, with_sign):
    names = with_sign('class="check-badge"')
    assert names, "no page has a badge"
    reader = read()
    reader.open(names[0])
    badge = reader.tab.locator("a.check-badge >> visible=true").first
    badge.scroll_into_view_if_needed()
    badge.click()
    target = reader.tab.locator(".check-line:target")
    target.wait_for()
    if reader.tab.locator(".math").count():
        reader.tab.wait_for_selector("html[data-math=ready]")
    reader.tab.wait_for_function("""() => {
        const box = document.querySelector(":target").getBoundingClientRect();
        return box.top >= 0 && box.bottom <= innerHeight; }""")


def test_the_atlas_narrows_to_what_is_asked(read):
    reader = read()
    tab = reader.open("book/atlas")
    shown = tab.locator("table.atlas tbody tr >> visible=true")
    words = tab.locator(".atlas-filter input[type=search]")
    number = ("[...document.querySelectorAll('table.atlas tbody tr')]"
              ".filter((row) => row.offsetParent).length")
    assert shown.count() == 150
    words.fill("covariance")
    tab.wait_for_function(f"{number} < 150")
    assert 0 < shown.count() < 150
    assert all("covariance" in row.inner_text().lower() for row in shown.all())
    words.fill("")
    tab.wait_for_function(f"{number} === 150")
    assert reader.complaints == []
