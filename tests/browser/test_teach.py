"""Slides and projector mode, as a lecturer meets them."""

import pytest

FLAGSHIPS = ["foundations/measures", "policy/why-entropy-falls", "jaynes/maximum-entropy", "bottleneck/information-bottleneck", "waves/nlse"]
PLACE = "() => { const at = Reveal.getIndices(); return [at.h, at.v]; }"
CURRENT = ".slides section.present:not(.stack)"


def open_deck(read, name, **kind):
    reader = read(1280, 720, **kind)
    reader.tab.goto(f"file://{reader.site}/book/{name}-slides.html")
    reader.tab.wait_for_function("window.Reveal?.isReady()")
    return reader


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", FLAGSHIPS)
def test_a_deck_opens_and_its_pictures_and_formulas_are_drawn(read, name, scheme):
    reader = open_deck(read, name, scheme=scheme)
    tab = reader.tab
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate(PLACE) == [1, 0]
    tab.wait_for_selector(f"{CURRENT} figure.explorable[data-drawn]")
    tab.evaluate("""() => {
      const section = document.querySelector('.slides section > div.math').closest('section');
      const { h, v } = Reveal.getIndices(section);
      Reveal.slide(h, v);
    }""")
    tab.wait_for_function(f"document.querySelector('{CURRENT} div.math mjx-container')?.getBoundingClientRect().width > 100")
    back = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, back[4:-1].split(",")[:3])) < 200) == (scheme == "dark")
    assert reader.complaints == []
    assert not [url for url in reader.requests if not url.startswith(("file:", "data:", "blob:"))]


def test_derivations_are_below_and_the_address_remembers_the_place(read):
    reader = open_deck(read, "policy/why-entropy-falls")
    tab = reader.tab
    for _ in range(4):
        tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate(PLACE)[1] == 1
    at = tab.evaluate(PLACE)
    tab.wait_for_function("location.hash.length > 2")
    tab.wait_for_timeout(1200)  # reveal.js writes the address once a second
    tab.reload()
    tab.wait_for_function("window.Reveal?.isReady()")
    assert tab.evaluate(PLACE) == at


def test_arrow_keys_on_a_slider_move_the_slider(read):
    tab = open_deck(read, "policy/why-entropy-falls").tab
    tab.keyboard.press("ArrowRight")
    slider = tab.locator(f"{CURRENT} input[type=range]").first
    tab.wait_for_selector(f"{CURRENT} figure.explorable[data-drawn]")
    before = slider.input_value()
    slider.press("ArrowRight")
    assert slider.input_value() != before and tab.evaluate(PLACE) == [1, 0]


def test_a_handle_of_an_enlarged_picture_follows_the_pointer(read):
    reader = read(1920, 1080)
    tab = reader.tab
    tab.goto(f"file://{reader.site}/book/policy/why-entropy-falls-slides.html#/4/1")
    tab.wait_for_selector("#explore-simplex[data-drawn]")
    assert tab.evaluate("Number(document.querySelector('#explore-simplex').style.zoom)") > 1.4
    handle = tab.locator("#explore-simplex svg [tabindex]").nth(1)
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 60, y - 30, steps=4)
    tab.mouse.up()
    moved = handle.bounding_box()
    assert abs(moved["x"] - box["x"] - 60) < 6 and abs(moved["y"] - box["y"] + 30) < 6


def test_projector_mode_lasts_for_the_tab_until_it_is_left(read):
    reader = read(1920, 1080)
    tab = reader.tab
    tab.goto(f"file://{reader.site}/book/foundations/measures.html")
    tab.wait_for_load_state("load")
    plain = tab.evaluate("document.querySelector('article h1').getBoundingClientRect().height")
    tab.goto(f"file://{reader.site}/book/foundations/measures.html?projector=on")
    tab.wait_for_function(f"document.querySelector('article h1').getBoundingClientRect().height > 1.3 * {plain}")
    assert not tab.locator(".bd-sidebar-primary").is_visible()
    tab.goto(f"file://{reader.site}/book/policy/why-entropy-falls.html")
    tab.get_by_role("button", name="Leave projector mode").click()
    assert tab.locator(".bd-sidebar-primary").is_visible()
    tab.goto(f"file://{reader.site}/book/foundations/measures.html")
    assert tab.locator(".leave-projector").count() == 0 and reader.complaints == []
