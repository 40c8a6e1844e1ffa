"""For every reader: what axe finds, and what it cannot see: keyboard, focus, names, targets, contrast modes."""

import re

import pytest
from facts import findings

CHAPTERS = ["book/foundations/measures", "book/policy/why-entropy-falls"]
PAGES = ["search", "genindex"]  # written by Sphinx, not in the table of contents


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_on_pages_outside_the_contents(read, name):
    assert findings(read().open(name)) == []


def test_axe_can_find_something(read):
    tab = read().open("book/errata")
    tab.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"\"><button></button>')")
    assert {f.split(":")[0] for f in findings(tab)} >= {"critical image-alt", "critical button-name"}


@pytest.mark.parametrize("name, place", [
    ("notebooks/policy/why-entropy-falls", ".highlight pre span.k"), ("book/policy/why-entropy-falls", "article p"),
    ("book/policy/why-entropy-falls", "article p a.reference"), ("book/notation", "article td *"),
])
def test_axe_sees_one_pale_word_among_many(read, name, place):
    """Of the words of one ink on one ground axe looks at one: a word that is too pale is found wherever it stands."""
    tab = read().open(name, figures=False)
    tab.evaluate("""(place) => {
        const speaks = (e) => [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
        [...document.querySelectorAll(place)].filter((e) => e.checkVisibility() && speaks(e)).at(-1).style.color = "#ccc"; }""", place)
    assert {f.split(":")[0] for f in findings(tab)} == {"serious color-contrast"}


def test_axe_sees_one_link_that_looks_like_its_text(read):
    tab = read().open("book/policy/why-entropy-falls", figures=False)
    tab.evaluate("""() => {
        const link = [...document.querySelectorAll("article p a.reference")].filter((each) => each.checkVisibility()).at(-1);
        link.style.cssText = "color: #444; text-decoration: none; border: 0; font-weight: inherit"; }""")  # axe passes the very same ink
    assert [f.split(":")[0] for f in findings(tab)] == ["serious link-in-text-block"]


FOCUS = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const box = e.getClientRects()[0], style = getComputedStyle(e); // a link may run over two lines
  const middle = document.elementsFromPoint(box.x + box.width / 2, box.y + Math.min(box.height / 2, 8));
  window.order ??= [];
  const after = order.length && !(order.at(-1).compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING);
  order.push(e);
  return {
    what: `${e.tagName}.${e.className.baseVal ?? e.className} ${e.textContent.trim().slice(0, 40)}`,
    inView: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth && box.width > 0,
    covered: middle[0] && !e.contains(middle[0]) && !middle[0].contains(e),
    // a handle in a picture shows the focus by its stroke instead
    outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
      || e instanceof SVGElement && [...e.querySelectorAll("*")].some((part) => parseFloat(getComputedStyle(part).strokeWidth) >= 2 && getComputedStyle(part).stroke !== "none"),
    backwards: Boolean(after),
  }; }"""


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", [CHAPTERS[0], "notebooks/foundations/measures"])
def test_the_tab_key_leads_through_the_page_in_order_and_in_sight(read, name, width):
    tab = read(width, reduced_motion="reduce").open(name)
    tab.evaluate("scrollTo(0, 0)")
    stops = []
    for _ in range(140):
        tab.keyboard.press("Tab")
        stop = tab.evaluate(FOCUS)
        if stop is None:
            break
        stops.append(stop)
    assert len(stops) > 60
    assert [s["what"] for s in stops if not s["inView"]] == [], "out of view"
    assert [s["what"] for s in stops if s["covered"]] == [], "under something else"
    assert [s["what"] for s in stops if not s["outline"]] == [], "without a visible focus"
    assert [s["what"] for s in stops if s["backwards"]] == [], "out of order"


def test_the_first_stop_skips_to_the_text(read):
    tab = read().open(CHAPTERS[0])
    tab.keyboard.press("Tab")
    link = tab.locator(".skip-link a")
    assert link.evaluate("e => e === document.activeElement")
    tab.wait_for_function("document.querySelector('.skip-link').getBoundingClientRect().top >= 0")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("Boolean(document.activeElement.closest('main'))")


def test_search_is_a_dialog_that_gives_the_focus_back(read):
    tab = read().open("book/errata")
    button = tab.locator(".search-button-field")
    button.focus()
    tab.keyboard.press("Enter")
    dialog = tab.get_by_role("dialog", name="Search")
    dialog.wait_for(timeout=5000)
    assert tab.evaluate("document.activeElement.id") == "search-input"
    for _ in range(8):
        tab.keyboard.press("Tab")
        assert tab.evaluate("!document.activeElement.closest('main, .bd-sidebar-primary')"), "the focus left the dialog"
    tab.locator("#search-input").focus()
    tab.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert button.evaluate("e => e === document.activeElement")
    tab.keyboard.press("Control+k")
    dialog.wait_for()


@pytest.mark.parametrize("toggle, panel", [("Pages of the book", "The book"), ("Sections of this page", "On this page")])
def test_sidebars_are_dialogs_on_a_phone(read, toggle, panel):
    tab = read(390, 800).open(CHAPTERS[0])
    button = tab.get_by_role("button", name=toggle)
    assert button.get_attribute("aria-expanded") == "false"
    button.focus()
    tab.keyboard.press("Enter")
    dialog = tab.get_by_role("dialog", name=panel)
    dialog.wait_for()
    assert button.get_attribute("aria-expanded") == "true"
    for _ in range(3):
        assert dialog.evaluate("d => d.contains(document.activeElement)"), "the focus left the dialog"
        tab.keyboard.press("Tab")
    tab.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert button.get_attribute("aria-expanded") == "false"
    assert button.evaluate("e => e === document.activeElement")


def test_a_wide_page_can_hide_the_list_of_pages(read):
    tab = read(1280).open(CHAPTERS[0])
    button = tab.get_by_role("button", name="Pages of the book")
    assert button.get_attribute("aria-expanded") == "true"
    button.click()
    assert button.get_attribute("aria-expanded") == "false"
    tab.locator(".bd-sidebar-primary").wait_for(state="hidden")


def test_the_colour_switch_says_its_state_and_keeps_it(read):
    reader = read()
    tab = reader.open("book/errata")
    button = tab.locator(".theme-switch-button")
    assert button.get_attribute("aria-label") == "Colours: as the system. Press for dark."
    button.click()
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    assert button.get_attribute("aria-label") == "Colours: dark. Press for light."
    reader.open("book/cite")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"


MOVING = """() => [...document.querySelectorAll("*")].filter((e) => {
  const s = getComputedStyle(e);
  return s.transitionDuration.split(", ").some((t) => parseFloat(t)) || s.animationName !== "none" || s.scrollBehavior === "smooth";
}).map((e) => `${e.tagName}.${e.className.baseVal ?? e.className}`).slice(0, 5)"""


def test_nothing_moves_by_itself_where_motion_is_not_wanted(read):
    for name in (CHAPTERS[0], "notebooks/foundations/measures"):
        assert read(reduced_motion="reduce").open(name).evaluate(MOVING) == []
    assert read().open(CHAPTERS[0]).evaluate(MOVING) != [], "the test must be able to see a transition"


UNSEEN = """() => {
  const unlike = (e) => { const s = getComputedStyle(e); return s.color !== s.backgroundColor && Number(s.opacity) > 0; };
  const icons = [...document.querySelectorAll(".fa-solid")].filter((e) => e.checkVisibility());
  const page = getComputedStyle(document.body).backgroundColor;
  return [
    ...icons.filter((e) => getComputedStyle(e).backgroundColor === page),
    ...[...document.querySelectorAll("a.check-badge, .explorable-reset")].filter((e) => !unlike(e) || getComputedStyle(e).borderTopStyle === "none"),
    ...[...document.querySelectorAll("input[type=range]")].filter((e) => e.checkVisibility() && getComputedStyle(e).appearance === "none"),
  ].map((e) => `${e.tagName}.${e.className}`); }"""


def test_forced_colours_leave_controls_to_see(read):
    tab = read(forced_colors="active").open(CHAPTERS[0])
    assert tab.evaluate("matchMedia('(forced-colors: active)').matches")
    assert tab.evaluate(UNSEEN) == []


CODE_INK = """() => {
  const numbers = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return m; };
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = numbers(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0.99) return c; } return [255, 255, 255]; };
  const low = {};
  for (const e of document.querySelectorAll(".highlight pre, .highlight span")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const [a, b] = [light(numbers(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low[e.className] = ((a + 0.05) / (b + 0.05)).toFixed(2);
  }
  return low; }"""


def test_every_kind_of_word_in_code_can_be_read(read, site, with_sign):
    """On the fewest pages, in reading order, that hold every kind."""
    reader, known = read(), set()
    for name in with_sign('class="highlight'):
        kinds = set(re.findall(r'<span class="([a-z]\w?|ansi[\w-]*)">', (site / f"{name}.html").read_text("utf8"))) - known
        if not kinds:
            continue
        known |= kinds
        tab = reader.open(name, figures=False)
        for scheme in ("light", "dark"):
            tab.evaluate("(scheme) => { document.documentElement.dataset.theme = scheme; }", scheme)
            assert tab.evaluate(CODE_INK) == {}, (name, scheme)


def test_what_scrolls_sideways_can_be_reached_by_keyboard(read):
    for name in (*CHAPTERS, "book/notation", "notebooks/foundations/measures", "book/results-policy"):
        tab = read(390, 800).open(name)
        tab.wait_for_timeout(500)  # regions are named when the page has come to rest
        unreached = tab.evaluate("""() => [...document.querySelectorAll("main *")].filter((e) =>
          ["auto", "scroll"].includes(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1 && e.clientWidth
          && !(e.tabIndex >= 0 && e.getAttribute("aria-label") && e.getAttribute("role"))
        ).map((e) => `${e.tagName}.${e.className}`)""")
        assert unreached == [], name


def test_code_can_be_copied(read, with_sign):
    context = {"permissions": ["clipboard-read", "clipboard-write"]}
    tab = read(**context).open(with_sign('class="highlight-ipython3')[0])
    button = tab.get_by_role("button", name="Copy this code").first
    button.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.querySelector('.copy-code').textContent === 'Copied'")
    code = tab.locator("div.highlight > pre").first.inner_text()
    assert tab.evaluate("navigator.clipboard.readText()").strip() == code.strip() and code.strip()
