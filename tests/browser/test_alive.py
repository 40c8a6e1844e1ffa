"""What a reader does on a page: move a slider, go dark, follow a badge, filter the atlas."""

import pytest

SHAPES = """f => [...f.querySelectorAll("svg path, svg line, svg text")].map(
  (mark) => [mark.getAttribute("d"), mark.getAttribute("transform"), mark.textContent].join()
).sort().join("|")"""
SPOKEN = "s => s.getAttribute('aria-valuetext')"
# The key that moves a box or a list to another value; a list may stand at its end.
OTHER = """s => !s.matches("select") ? "Space"
  : s.selectedIndex < s.options.length - 1 ? "ArrowDown" : "ArrowUp"
"""
# The text colour at the graphic: axes and labels are drawn in currentColor.
INK = "f => getComputedStyle(f.querySelector('svg text')).fill"


@pytest.fixture
def with_explorable(with_sign):
    """The pages that have an explorable."""
    return with_sign('id="explore-')


def first_slider(reader):
    """(figure, slider) of the first picture of the page that has a slider."""
    figure = reader.tab.locator("figure.explorable:has(input[type=range])").first
    figure.scroll_into_view_if_needed()
    return figure, figure.locator("input[type=range]").first


def changed(figure, before, patience=10_000):
    """True as soon as the picture differs from what it was."""
    for _ in range(patience // 50):
        if figure.evaluate(SHAPES) != before:
            return True
        figure.page.wait_for_timeout(50)
    return False


def press_until_changed(figure, slider, before, times=5):
    """Press an arrow key; a grid may hold neighbours that look the same, so up to five times."""
    at_end = slider.evaluate("s => s.valueAsNumber >= Number(s.max)")
    for _ in range(times):
        slider.press("ArrowLeft" if at_end else "ArrowRight")
        if changed(figure, before, 1000):
            return True
    return False


def test_every_explorable_of_the_book_moves_by_keyboard(read, with_explorable):
    assert with_explorable, "no page has an explorable"
    for name in with_explorable:
        reader = read()
        reader.open(name)
        for figure in reader.tab.locator("figure.explorable:has(.explorable-control)").all():
            label = f"{name}#{figure.get_attribute('id')}"
            for slider in figure.locator("input[type=range]").all():
                slider.scroll_into_view_if_needed()
                slider.focus()
                before, shown = figure.evaluate(SHAPES), slider.evaluate(SPOKEN)
                assert press_until_changed(figure, slider, before), label
                assert slider.evaluate(SPOKEN) != shown, label
                assert slider.evaluate("s => s.labels[0]?.textContent.trim()"), f"{label}: no name"
            for switch in figure.locator("input[type=checkbox], select").all():
                before = figure.evaluate(SHAPES)
                switch.focus()
                switch.press(switch.evaluate(OTHER))
                assert changed(figure, before), label
                assert switch.evaluate("s => s.labels[0]?.textContent.trim()"), f"{label}: no name"
        assert reader.complaints == [], name


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
