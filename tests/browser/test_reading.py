"""What a reader meets on the way: the map, the steps of a derivation, notes in the margin, the next page."""

import re
from pathlib import Path

import plan
import pytest
from build import pages

ROOT = Path(__file__).resolve().parents[2]

BOXES = """() => [...document.querySelectorAll("aside.margin")].map((note) => {
  const box = (e) => { const r = e.getBoundingClientRect(); return [r.left, r.right, r.top + scrollY, r.bottom + scrollY]; };
  let next = note.nextElementSibling;
  while (next && next.matches("aside, .target, span")) next = next.nextElementSibling;
  return { note: box(note), next: next && box(next), text: box(document.querySelector(".bd-article h2 ~ p")) };
})"""


@pytest.fixture
def stepped(read, with_sign):
    """A reader of each page that has steps."""
    names = with_sign('class="step"')
    assert names, "no page has steps"

    def open_all(**options):
        for name in names:
            reader = read(**options)
            reader.open(name)
            yield reader

    return open_all


def open_steps(tab):
    return tab.evaluate("[...document.querySelectorAll('details.step[open]')].map((s) => s.id)")


def top(locator):
    return locator.evaluate("e => e.getBoundingClientRect().top")


def test_one_step_is_open_at_a_time_and_what_one_opens_stays_in_place(stepped):
    for reader in stepped():
        tab, steps = reader.tab, reader.tab.locator("details.step")
        for place in range(min(4, steps.count())):
            if place == 2:  # not every browser keeps what one looks at in place by itself
                tab.add_style_tag(content="* { overflow-anchor: none }")
            summary = steps.nth(place).locator("summary")
            summary.evaluate("s => scrollTo({top: s.getBoundingClientRect().top + scrollY - 300, behavior: 'instant'})")
            before = top(summary)
            summary.focus()
            summary.press("Enter")
            tab.wait_for_timeout(300)
            assert open_steps(tab) == [steps.nth(place).get_attribute("id")]
            assert abs(top(summary) - before) <= 2, f"step {place} of {tab.url} jumped"
        assert reader.complaints == []


def test_a_step_ends_with_its_check_and_leads_to_the_next(stepped):
    for reader in stepped():
        tab = reader.tab
        first, second = (tab.locator("details.step").nth(i) for i in range(2))
        first.locator("summary").click()
        assert first.locator(".step-checks a >> visible=true").count() >= 1
        link = first.locator("a.step-next")
        link.focus()
        link.press("Enter")
        tab.wait_for_timeout(200)
        name = second.get_attribute("id")
        assert open_steps(tab) == [name] and tab.url.endswith(f"#{name}")
        assert tab.evaluate("document.activeElement.parentElement.id") == name
        assert 0 <= top(second.locator("summary")) <= 450


def test_all_steps_unfold_and_fold(stepped):
    for reader in stepped():
        tab, button = reader.tab, reader.tab.locator(".steps-all button")
        count = tab.locator("details.step").count()
        assert button.count() == (count > 2)  # two are opened by hand
        if count <= 2:
            continue
        assert button.inner_text() == f"Unfold all {count} steps"
        button.focus()
        button.press("Enter")
        assert len(open_steps(tab)) == count and button.inner_text() == f"Fold all {count} steps"
        button.press("Enter")
        assert open_steps(tab) == [] and button.inner_text() == f"Unfold all {count} steps"
        for place in range(2):
            tab.locator("details.step").nth(place).locator("summary").click()
        assert len(open_steps(tab)) == 1, "after folding, steps open one at a time again"


def test_a_link_to_a_folded_step_opens_it(read, site, with_sign):
    for name in with_sign('class="step"'):
        step = re.findall(r'<details class="step" name="steps" id="([^"]+)"', (site / f"{name}.html").read_text("utf8"))[-1]
        tab = read().tab
        tab.goto((site / f"{name}.html").as_uri() + f"#{step}")
        tab.wait_for_selector("html[data-math=ready]")
        assert open_steps(tab) == [step]
        tab.wait_for_timeout(500)
        assert 0 <= top(tab.locator(f"#{step}")) <= 450
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.parentElement.id") == step


def test_steps_fold_without_scripts_and_are_open_in_print(chromium, site, with_sign):
    name = with_sign('class="step"')[0]
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((site / f"{name}.html").as_uri())
    body = tab.locator("details.step .step-body").first
    assert not body.is_visible() and not tab.locator(".steps-all").is_visible()
    tab.locator("details.step > summary").first.click()
    assert body.is_visible()
    tab.locator("details.step > summary").first.click()
    tab.emulate_media(media="print")
    assert body.is_visible() and not tab.locator("a.step-next").first.is_visible()
    context.close()


@pytest.mark.parametrize("width", [1440, 1920])
def test_notes_stand_beside_their_text_and_clear_of_the_contents(read, with_sign, width):
    names = with_sign('<aside class="margin sidebar">')
    assert names, "no page has notes"
    for name in names:
        tab = read(width).open(name)
        contents = tab.locator(".bd-sidebar-secondary")
        boxes, edge = tab.evaluate(BOXES), contents.bounding_box()["x"]
        assert 1 <= len(boxes) <= 12
        for box in boxes:
            assert box["next"], f"a note of {name} is the last thing of its section: it stands beside nothing"
            (left, right, start, end), text_right = box["note"], box["text"][1]
            assert left >= text_right + 8 and right <= edge - 8, name
            assert right - left >= 150
            assert abs(start - box["next"][2]) <= 40, f"a note of {name} does not stand beside its text"
        for above, below in zip(boxes, boxes[1:]):
            assert above["note"][3] <= below["note"][2], f"notes of {name} overlap"
        tab.locator("aside.margin").last.scroll_into_view_if_needed()
        tab.wait_for_timeout(300)
        nav = contents.locator("nav.page-toc")
        assert nav.evaluate("n => getComputedStyle(n).opacity") == "1"
        assert contents.evaluate("c => getComputedStyle(c).maxHeight") != "48px"


@pytest.mark.parametrize("width", [390, 1280])
def test_notes_stand_in_the_text_where_there_is_no_margin(read, with_sign, width):
    for name in with_sign('<aside class="margin sidebar">'):
        tab = read(width).open(name)
        for box in tab.evaluate(BOXES):
            (left, right, start, end), (text_left, text_right, *_) = box["note"], box["text"]
            assert abs(left - text_left) <= 2 and right <= text_right + 2 and right <= width
            assert end <= box["next"][2], f"a note of {name} overlaps its text"


def test_the_text_has_a_good_measure(read, with_sign):
    """Some 70 characters a line of running text, on a desk: one measure holds for all pages."""
    found = []
    for name in with_sign('class="step"'):
        tab = read(1920).open(name)
        widths = tab.evaluate("""() => [...document.querySelectorAll(".bd-article section > section > p")].map((p) => {
          const range = document.createRange(); range.selectNodeContents(p);
          const lines = new Set([...range.getClientRects()].map((r) => Math.round(r.bottom / 14))).size;
          return p.querySelector(".math") || lines < 4 ? 0 : p.textContent.length / lines; }).filter(Boolean)""")
        found += widths
    assert len(found) >= 50 and 64 <= sum(found) / len(found) <= 75, sum(found) / len(found)


def test_the_front_page_maps_the_whole_book(read):
    reader = read(1440)
    tab = reader.open("book/index")
    parts = plan.read(ROOT / "book/parts.yml")
    planned = len(plan.chapters(parts))
    assert tab.locator(".map-part").count() == len(parts) and tab.locator(".map-chapter").count() == planned >= 46
    assert tab.locator(".map-parts .verdict-dot").count() == 150
    written = [name for name in pages() if re.fullmatch(r"book/[a-z]+/(?!index$)[a-z-]+", name)]
    assert tab.locator(".map-chapter.open a").count() == len(written) >= 2
    counts = [[int(n) for n in re.findall(r"\d+", line.inner_text())] for line in tab.locator(".map-counts").all()]
    assert [sum(column) for column in zip(*counts)][:2] == [len(written), planned]
    tested = sum(int(n) for n in tab.locator(".atlas-counts strong").all_inner_texts()[:4])
    assert [sum(column) for column in zip(*counts)][2:] == [tested, 150]
    assert tab.locator(".bd-sidebar-secondary").count() == 0


def test_the_doors_of_the_front_page_open(read):
    reader = read(390, 800)
    tab = reader.open("book/index")
    for place, words in enumerate(["Start reading", "Open the labs"]):
        door = tab.locator(".doors a").nth(place)
        assert door.inner_text() == words and door.bounding_box()["height"] >= 44
        address = door.get_attribute("href")
        assert (reader.site / "book" / address).is_file()


def test_the_cards_say_what_comes_before_and_after(read, site):
    names = pages()
    tab = read().tab
    for place, name in enumerate(names):
        tab.goto((site / f"{name}.html").as_uri(), wait_until="commit")
        tab.wait_for_selector("nav.prev-next-area", state="attached")
        tab.wait_for_load_state("domcontentloaded")
        cards = {c: tab.locator(f"a.{c}-{w}") for c, w in (("left", "prev"), ("right", "next"))}
        assert cards["left"].count() == (place > 0) and cards["right"].count() == (place < len(names) - 1), name
        for card in (c for c in cards.values() if c.count()):
            kind = card.locator(".prev-next-subtitle span").first.inner_text()
            assert kind in ("chapter", "lab", "part", "reference", "front page"), name
            assert len(card.locator(".prev-next-promise").inner_text()) >= 15, f"{name}: {card.inner_text()}"
            if kind in ("chapter", "lab"):
                assert re.search(r"\d+ minutes", card.locator(".prev-next-subtitle").inner_text()), name
