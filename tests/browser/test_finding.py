"""Finding things in a real browser: the search, the meanings of symbols and terms, links to any place."""

import pytest

CHAPTER, LAB = "book/policy/why-entropy-falls", "notebooks/policy/why-entropy-falls"
EQUATION = "#equation-eq-entropy-covariance"
OPEN = "() => document.querySelector('.search-button__wrapper').classList.contains('show')"
CARD, PANEL = "#meaning-card:popover-open", "#meanings:popover-open"


@pytest.fixture
def chapter(read):
    """A page that a test may change; its figures play no part."""
    reader = read()
    reader.open(CHAPTER, figures=False)
    return reader


@pytest.fixture(scope="module")
def searched(read_together):
    """A page for tests that only search."""
    reader = read_together()
    reader.open(CHAPTER, figures=False)
    return reader


def kinds(tab, box="#find-list"):
    return [text.split(" ")[0] for text in tab.locator(f"{box} .find-kind").all_inner_texts()]


def search(tab, words):
    """Type into the dialog; the first group of the answer."""
    if not tab.evaluate(OPEN):
        tab.keyboard.press("Control+k")
    tab.keyboard.press("Control+a")
    tab.keyboard.type(words)
    tab.wait_for_function("""(words) => document.querySelector('.search-button__wrapper .find-status').dataset.for
        === words""", arg=words)
    return tab.locator("#find-list [role=group]").first


# ------------------------------------------------------------------ search

def test_the_index_is_loaded_with_the_first_search_and_not_before(chapter):
    asked = lambda: [url for url in chapter.requests if url.endswith("find-index.js")]
    assert asked() == []
    search(chapter.tab, "entropy")
    assert len(asked()) == 1
    search(chapter.tab, "entropy covariance")
    assert len(asked()) == 1 and chapter.outside == [] and chapter.complaints == []


@pytest.mark.parametrize("words, kind, title, address", [
    ("entropy covariance", "Equations", "Entropy covariance", f"{CHAPTER}.html{EQUATION}"),
    ("bonus backfires", "Claims", "Bonus backfires", f"{CHAPTER}.html#claim-bonus-backfires"),
    ("π", "Symbols", "π, π_k", "book/notation.html#symbol-pi-pi-k-why-entropy-falls"),
    ("pi", "Symbols", "π, π_k", "book/notation.html#symbol-pi-pi-k-why-entropy-falls"),
    ("H_s", "Symbols", "H_s, Cov_s", "book/notation.html#symbol-H-s-Cov-s-why-entropy-falls"),
    ("Δz", "Symbols", "Δz, ΔH", "book/notation.html#symbol-Delta-z-Delta-H-why-entropy-falls"),
    ("R", "Symbols", "R", "book/notation.html#symbol-R-why-entropy-falls"),
    ("T", "Symbols", "T, π^T", "book/notation.html#symbol-T-pi-T-why-entropy-falls"),
    ("S", "Symbols", "S, S_k", "book/notation.html#symbol-S-S-k-why-entropy-falls"),  # not s
    ("t", "Symbols", "T, π^T", "book/notation.html#symbol-T-pi-T-why-entropy-falls"),
    ("beta", "Symbols", "β", "book/notation.html#symbol-beta-why-entropy-falls"),
    ("advantage", "Terms", "Advantage", "book/glossary.html#term-Advantage"),
    ("2505.22617", "Papers", "The Entropy Mechanism", "book/atlas.html#paper-001"),
    ("entropy-mechanism", "Papers", "The Entropy Mechanism", "book/atlas.html#paper-001"),
    ("does noise raise", "Exercises", "Does noise raise entropy?", f"{CHAPTER}.html#ex-noise"),
    ("two gradients two", "Pages", "4. Two gradients", f"{CHAPTER}.html#two-gradients-two-covariances"),
    ("answers grows certain", "Pages", "Why entropy falls", f"{CHAPTER}.html"),  # full text
])
def test_the_first_answer_is_what_was_meant(searched, words, kind, title, address):
    group = search(searched.tab, words)
    assert group.locator(".find-kind").inner_text().split(" ")[0].lower() == kind.lower()
    first = group.locator("[role=option]").first
    assert first.locator(".find-title").inner_text().startswith(title)
    assert first.evaluate("a => a.href").removeprefix(searched.site.as_uri() + "/") == address


def test_an_equation_shows_its_formula_and_where_it_stands(searched):
    first = search(searched.tab, "entropy covariance").locator("[role=option]").first
    assert "Cov_π(log π, Δz)" in first.locator(".find-formula").inner_text()
    place = first.locator(".find-page").inner_text()
    assert "The change of entropy is a covariance" in place and "Why entropy falls" in place


def test_results_are_reached_and_opened_by_keyboard(chapter):
    tab = chapter.tab
    search(tab, "entropy covariance")
    field = tab.locator(".search-button__wrapper input")
    assert field.get_attribute("aria-expanded") == "true"
    active = lambda: tab.locator(f"#{field.get_attribute('aria-activedescendant')}")
    tab.keyboard.press("ArrowDown")
    first = active().get_attribute("href")
    tab.keyboard.press("ArrowDown")
    assert active().get_attribute("href") != first
    assert tab.locator("[role=option][aria-selected=true]").count() == 1
    tab.keyboard.press("ArrowUp")
    assert active().get_attribute("href") == first
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**{EQUATION}")
    assert not tab.evaluate(OPEN)


def test_escape_closes_the_search_and_gives_the_focus_back(chapter):
    tab = chapter.tab
    button = tab.locator("button.search-button__button >> visible=true").first
    button.focus()
    button.press("Enter")
    search(tab, "entropy")
    tab.keyboard.press("Escape")
    assert not tab.evaluate(OPEN)
    assert button.evaluate("b => b === document.activeElement")


def test_the_number_of_results_is_announced(chapter):
    search(chapter.tab, "entropy covariance")
    status = chapter.tab.locator(".search-button__wrapper .find-status")
    assert status.get_attribute("role") == "status"
    assert status.inner_text().split()[0].isdigit()
    search(chapter.tab, "nothingofthekind")
    assert status.inner_text() == "Nothing found for nothingofthekind"
    assert chapter.tab.locator("#find-list a").count() == 0


def test_the_search_page_answers_its_address(read):
    reader = read()
    tab = reader.open("search", "?q=entropy")
    tab.wait_for_selector("#search-results a")
    assert {"SYMBOLS", "TERMS", "PAPERS", "PAGES"} <= {kind.upper() for kind in kinds(tab, "#search-results")}
    address = tab.locator("#search-results a").first.evaluate("a => a.href")
    assert (reader.site / address.removeprefix(reader.site.as_uri() + "/").split("#")[0]).is_file()
    assert reader.outside == [] and reader.complaints == []


@pytest.mark.parametrize("width", [390, 320])
def test_the_search_fits_a_phone(read, width):
    reader = read(width, 700, scheme="dark")
    tab = reader.open(CHAPTER)
    search(tab, "entropy covariance")
    boxes = "() => ['form.bd-search', '.find-box'].map((s) => document.querySelector('.search-button__wrapper ' + s).getBoundingClientRect())"
    for box in tab.evaluate(boxes):
        assert box["left"] >= 0 and box["right"] <= width and box["bottom"] <= 700
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_the_search_page_says_what_it_needs(read):
    reader = read(java_script_enabled=False)
    reader.tab.goto((reader.site / "search.html").as_uri())
    words = reader.tab.locator(".bd-search-container noscript").inner_text()
    assert "needs scripts" in words
    for link in reader.tab.locator(".bd-search-container noscript a").all():
        assert (reader.site / link.get_attribute("href")).is_file()


# ------------------------------------------------------------------ meanings

def letter(tab, tex, place=EQUATION):
    """The middle of a letter of a formula, in view."""
    tab.locator(place).evaluate("e => e.scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = tab.locator(f"{place} [data-latex='{tex}']").first.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_pointing_at_a_letter_shows_its_meaning_until_one_goes_away(chapter):
    tab = chapter.tab
    x, y = letter(tab, "z")
    tab.mouse.move(x, y)
    card = tab.locator(CARD)
    card.wait_for()
    words = card.inner_text()
    assert "logits" in words and "direction in which the logits move" in words  # z, and Δz of which it is a part
    assert "step size" not in words
    assert card.get_attribute("role") == "tooltip"
    assert card.locator("mjx-container svg").count() > 0, "its formulas are set"
    box = card.bounding_box()
    tab.mouse.move(box["x"] + 20, box["y"] + 12, steps=3)
    tab.wait_for_timeout(800)
    assert card.is_visible(), "one can go and read it"
    tab.mouse.move(5, 5)
    card.wait_for(state="hidden")
    assert chapter.complaints == [] and chapter.outside == []


def test_an_index_belongs_to_its_letter(chapter):
    tab = chapter.tab
    tab.mouse.move(*letter(tab, "k", "#equation-eq-entropy-gradient"))
    tab.locator(CARD).wait_for()
    assert "z_k" in tab.locator(CARD).inner_text() or "logits" in tab.locator(CARD).inner_text()


def test_escape_sends_a_card_away(chapter):
    tab = chapter.tab
    tab.mouse.move(*letter(tab, "H"))
    tab.locator(CARD).wait_for()
    assert "Shannon entropy" in tab.locator(CARD).inner_text()
    tab.keyboard.press("Escape")
    tab.locator(CARD).wait_for(state="hidden")


def test_a_tap_on_a_letter_shows_its_meaning(read):
    reader = read(390, 800, has_touch=True)
    tab = reader.open(CHAPTER)
    tab.touchscreen.tap(*letter(tab, "H"))
    tab.locator(CARD).wait_for()
    assert "Shannon entropy" in tab.locator(CARD).inner_text()
    box = tab.locator(CARD).bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    tab.touchscreen.tap(20, 400)
    tab.locator(CARD).wait_for(state="hidden")


def test_a_term_is_explained_on_focus_and_followed_by_the_second_tap(read):
    reader = read(390, 800, has_touch=True)
    tab = reader.open(CHAPTER)
    term = tab.locator("a.term >> visible=true").first
    term.scroll_into_view_if_needed()
    tab.keyboard.press("Tab")  # the keyboard is in use
    term.focus()
    tab.locator(CARD).wait_for()
    assert term.get_attribute("aria-describedby") == "meaning-card"
    assert len(tab.locator(CARD).inner_text()) > 30
    tab.keyboard.press("Escape")
    tab.locator(CARD).wait_for(state="hidden")
    term.evaluate("t => t.blur()")
    term.tap()
    tab.locator(CARD).wait_for()
    assert tab.url.endswith(f"{CHAPTER}.html")
    term.tap()
    tab.wait_for_url("**/glossary.html#term-*")


def test_the_symbols_of_an_equation_are_listed_by_keyboard(chapter):
    tab = chapter.tab
    button = tab.locator(f"{EQUATION} + p button")
    assert button.evaluate("b => b.innerText.trim() || b.textContent").startswith("symbols")
    button.focus()
    tab.keyboard.press("Enter")
    panel = tab.locator(PANEL)
    panel.wait_for()
    assert panel.evaluate("p => p.contains(document.activeElement)")
    assert button.get_attribute("aria-expanded") == "true"
    words = panel.inner_text()
    for meaning in ("step size", "Shannon entropy", "logits", "covariance", "policy at one state"):
        assert meaning in words
    assert "advantage" not in words and panel.locator("h2").inner_text() == "Symbols in equation 3"
    tab.keyboard.press("Escape")
    panel.wait_for(state="hidden")
    assert button.evaluate("b => b === document.activeElement") and button.get_attribute("aria-expanded") == "false"


def test_all_symbols_of_a_page_are_one_tab_stop(chapter):
    tab = chapter.tab
    tab.locator("button.page-symbols").focus()
    tab.keyboard.press("Enter")
    tab.locator(PANEL).wait_for()
    assert tab.locator(f"{PANEL} dt").count() > 15
    assert tab.locator(f"{PANEL} a", has_text="why entropy falls").first.evaluate("a => a.href").endswith(f"{CHAPTER}.html")
    assert tab.locator(".math [tabindex], .math[tabindex]").count() == 0


# ------------------------------------------------------------------ links to any place

IN_VIEW = """() => { const box = document.querySelector(':target').getBoundingClientRect();
  return box.height > 0 && box.top >= 0 && box.top < innerHeight / 3; }"""


def arrive(reader, page, anchor):
    """Follow a link from elsewhere and wait until the page is set, touching nothing."""
    reader.tab.goto((reader.site / f"{page}.html").as_uri() + f"#{anchor}")
    reader.tab.wait_for_function("document.documentElement.dataset.math || !document.querySelector('.math')")
    reader.tab.wait_for_function(IN_VIEW)


@pytest.mark.parametrize("anchor", [
    "step-eq-entropy-covariance", "solution-ex-noise", "claim-bonus-backfires", "ex-open-branch",
    "equation-eq-sequence-covariance", "explore-bandit-law",
])
def test_a_link_opens_and_shows_its_place(read, anchor):
    reader = read()
    arrive(reader, CHAPTER, anchor)
    place = reader.tab.locator(f"#{anchor}")
    assert place.evaluate("p => !p.closest('details:not([open]), .toggle-hidden') && !p.matches('.toggle-hidden')")
    assert "arrived" in place.get_attribute("class")


def test_a_link_within_the_page_opens_its_place_too(chapter):
    tab = chapter.tab
    tab.evaluate("location.hash = '#solution-ex-cooling'")
    tab.wait_for_function(IN_VIEW)
    assert not tab.locator("#solution-ex-cooling").evaluate("p => p.matches('.toggle-hidden')")
    assert tab.locator("#solution-ex-cooling .toggle-button").get_attribute("aria-expanded") == "true"


TOP = "() => document.querySelector(':target').getBoundingClientRect().top"
GROW = """(px) => { const box = document.createElement('div'); box.style.height = px + 'px';
  document.querySelector('.bd-article h1').after(box);
  const frames = (n) => new Promise((done) => n ? requestAnimationFrame(() => frames(n - 1).then(done)) : done());
  return frames(3); }"""


@pytest.fixture
def arrived(read):
    reader = read()
    arrive(reader, CHAPTER, "solution-ex-noise")
    reader.tab.add_style_tag(content="* { overflow-anchor: none }")  # a help that not every browser gives
    reader.tab.evaluate("explorables.show()")  # so that only the test makes the page grow
    reader.tab.wait_for_timeout(300)
    return reader.tab


def test_the_place_stays_in_view_while_the_page_grows(arrived):
    for pixels in (300, 900):
        top = arrived.evaluate(TOP)
        arrived.evaluate(GROW, pixels)
        assert abs(arrived.evaluate(TOP) - top) < 2


def test_a_reader_who_scrolls_is_left_alone(arrived):
    top = arrived.evaluate(TOP)
    arrived.mouse.move(640, 450)
    arrived.mouse.wheel(0, -60)
    arrived.wait_for_function(f"(top) => ({TOP})() > top + 30", arg=top)
    arrived.evaluate(GROW, 40)
    assert arrived.evaluate(TOP) > top + 60


def test_a_reader_who_has_gone_elsewhere_is_left_alone(arrived):
    arrived.evaluate("scrollTo({ top: 0, behavior: 'instant' })")  # as by a screen reader
    arrived.wait_for_timeout(100)  # until the page has noticed
    arrived.evaluate(GROW, 40)
    assert arrived.evaluate("scrollY") == 0


def test_a_link_symbol_copies_the_full_address(read):
    reader = read(permissions=["clipboard-read", "clipboard-write"])
    tab = reader.open(CHAPTER)
    link = tab.locator("#claim-sign-threshold > a.headerlink")
    assert link.evaluate("a => getComputedStyle(a).opacity") == "0"
    link.focus()
    tab.wait_for_function("getComputedStyle(document.activeElement).opacity === '1'")
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.querySelector('.link-copied').textContent === 'Link copied'")
    assert tab.locator(".link-copied").get_attribute("role") == "status"
    address = (reader.site / f"{CHAPTER}.html").as_uri() + "#claim-sign-threshold"
    assert tab.url == address
    assert tab.evaluate("navigator.clipboard.readText()") == address


def test_a_highlight_does_not_move_where_motion_is_unwanted(read):
    reader = read(reduced_motion="reduce")
    arrive(reader, CHAPTER, "claim-bonus-backfires")
    assert reader.tab.locator("#claim-bonus-backfires").evaluate("p => getComputedStyle(p).animationName") == "none"


def test_a_check_of_a_lab_is_a_place(read):
    reader = read()
    arrive(reader, LAB, "check-eq-one-token")
    assert reader.tab.locator("#check-eq-one-token > a.headerlink").count() == 1
