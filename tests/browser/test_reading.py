"""What a reader meets on the way: the map, the steps of a derivation, notes in the margin, the next page."""

import re
from pathlib import Path

import facts
import plan
import pytest
from build import pages

ROOT = Path(__file__).resolve().parents[2]

@pytest.fixture
def stepped(read, site, with_sign):
    """A reader of the page with the most steps, and of the one with the fewest."""
    names = with_sign('class="step"')
    assert names, "no page has steps"
    count = {name: (site / f"{name}.html").read_text("utf8").count('<details class="step"') for name in names}
    names = [max(names, key=count.get), min(names, key=count.get)]

    def open_all(**options):
        for name in names:
            reader = read(**options)
            reader.open(name, figures=False)
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
    for name in with_sign('class="step"')[::5]:
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


def test_a_note_at_a_wrong_place_is_found(read, with_sign):
    tab = read(1440).open(with_sign('<aside class="margin sidebar">')[0], figures=False)
    assert tab.evaluate(facts.NOTES) == []
    tab.evaluate("document.querySelector('aside.margin').style.marginRight = '0px'")
    assert "reaches into the text" in tab.evaluate(facts.NOTES)[0]
    tab.evaluate("document.querySelector('aside.margin').parentElement.append(document.querySelector('aside.margin'))")
    assert "ends a section" in tab.evaluate(facts.NOTES)[0]


def test_the_contents_stay_clear_of_notes_further_down(read, with_sign):
    tab = read(1440).open(with_sign('<aside class="margin sidebar">')[0], figures=False)
    contents = tab.locator(".bd-sidebar-secondary")
    tab.locator("aside.margin").last.scroll_into_view_if_needed()
    tab.wait_for_timeout(300)
    assert contents.locator("nav.page-toc").evaluate("n => getComputedStyle(n).opacity") == "1"
    assert contents.evaluate("c => getComputedStyle(c).maxHeight") != "48px"


def test_the_text_has_a_good_measure(read, with_sign):
    """Some 70 characters a line of running text, on a desk: one measure holds for all pages."""
    found = []
    for name in with_sign('class="step"')[::3]:
        tab = read(1920).open(name, figures=False)
        widths = tab.evaluate("""() => [...document.querySelectorAll(".bd-article section > section > p")].map((p) => {
          const range = document.createRange(); range.selectNodeContents(p);
          const lines = new Set([...range.getClientRects()].map((r) => Math.round(r.bottom / 14))).size;
          return p.querySelector(".math") || lines < 4 ? 0 : p.textContent.length / lines; }).filter(Boolean)""")
        found += widths
    assert len(found) >= 25 and 64 <= sum(found) / len(found) <= 75, sum(found) / len(found)


def test_the_front_page_maps_the_whole_book(read):
    reader = read(1440)
    tab = reader.open("book/index")
    parts = plan.read(ROOT / "book/parts.yml")
    planned = len(plan.chapters(parts))
    assert tab.locator(".map-part").count() == len(parts) and tab.locator(".map-chapter").count() == planned >= 46
    assert tab.locator(".map-parts .verdict-dot").count() == 150
    written = [name for name in pages() if re.fullmatch(r"book/[a-z]+/(?!(index|exercises)$)[a-z-]+", name)]
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
