"""What a reader does on a page: move a slider, go dark, follow a badge, filter the atlas."""

import pytest
from conftest import pages

SHAPES = "f => [...f.querySelectorAll('svg path, svg line, svg text')].map((m) => [m.getAttribute('d'), m.getAttribute('transform'), m.textContent].join()).sort().join('|')"
# The text colour at the graphic: axes and labels are drawn in currentColor.
INK = "f => getComputedStyle(f.querySelector('svg text')).fill"


def with_explorable(site):
    return [name for name in pages() if (site / f"{name}.html").is_file()
            and 'id="explore-' in (site / f"{name}.html").read_text(encoding="utf8")]


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


def test_every_explorable_of_the_book_moves_by_keyboard(read, site):
    names = with_explorable(site)
    assert names, "no page has an explorable"
    for name in names:
        reader = read()
        reader.open(name)
        for figure in reader.tab.locator("figure.explorable:has(input[type=range])").all():
            label = f"{name}#{figure.get_attribute('id')}"
            for slider in figure.locator("input[type=range]").all():
                slider.scroll_into_view_if_needed()
                slider.focus()
                before, shown = figure.evaluate(SHAPES), slider.evaluate("s => s.getAttribute('aria-valuetext')")
                assert press_until_changed(figure, slider, before), label
                assert slider.evaluate("s => s.getAttribute('aria-valuetext')") != shown, label
                assert slider.evaluate("s => s.labels[0]?.textContent.trim()"), f"{label}: a slider without a label"
        assert reader.complaints == [], name


@pytest.fixture
def opened(read, site):
    reader = read()
    reader.open(with_explorable(site)[0])
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
    opened.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.tab.mouse.down()
    for share in (0.3, 0.1, 0.9):  # ends far from wherever the slider began
        opened.tab.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2, steps=4)
    if not changed(figure, before, 500):
        opened.tab.mouse.move(box["x"] + 3, box["y"] + box["height"] / 2, steps=4)
    opened.tab.mouse.up()
    assert changed(figure, before)
    assert figure.evaluate("f => f.querySelector('svg').dataset.mine") == "yes"


def test_the_picture_announces_its_state(opened):
    figure, slider = first_slider(opened)
    figure.evaluate("f => f.addEventListener('explorable:change', (e) => { window.heard = e.detail; })")
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


def test_a_picture_that_cannot_be_drawn_says_what_it_would_show(read, site):
    reader = read()
    reader.tab.route("**/vega.min.js*", lambda route: route.abort())
    reader.open(with_explorable(site)[0])
    figure = reader.tab.locator("figure.explorable").first
    assert "It shows: " in figure.locator(".explorable-failed").inner_text()


def test_a_badge_leads_to_its_check(read, site):
    names = [n for n in pages() if 'class="check-badge"' in (site / f"{n}.html").read_text(encoding="utf8")]
    assert names, "no page has a badge"
    reader = read()
    reader.open(names[0])
    badge = reader.tab.locator("a.check-badge >> visible=true").first
    badge.scroll_into_view_if_needed()
    badge.click()
    reader.settle()
    target = reader.tab.locator(":target")
    assert target.count() == 1 and "check-line" in target.get_attribute("class")
    assert reader.tab.evaluate("() => { const b = document.querySelector(':target').getBoundingClientRect(); return b.top >= 0 && b.bottom <= innerHeight; }")


def test_the_atlas_narrows_to_what_is_asked(read):
    reader = read()
    tab = reader.open("book/atlas")
    rows = tab.locator("table.atlas tbody tr")
    everything = rows.count()
    assert everything == 150 and tab.locator("table.atlas tbody tr >> visible=true").count() == everything
    tab.locator(".atlas-filter input[type=search]").fill("covariance")
    tab.wait_for_function(f"[...document.querySelectorAll('table.atlas tbody tr')].filter((r) => r.offsetParent).length < {everything}")
    shown = tab.locator("table.atlas tbody tr >> visible=true")
    assert 0 < shown.count() < everything
    assert all("covariance" in row.inner_text().lower() for row in shown.all())
    tab.locator(".atlas-filter input[type=search]").fill("")
    tab.wait_for_function(f"[...document.querySelectorAll('table.atlas tbody tr')].filter((r) => r.offsetParent).length === {everything}")
    assert reader.complaints == []
