"""The book on paper: a chapter as it prints, and a few pages bound into a PDF. Every page is looked at in test_pages.py."""

import io
import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import paper
import pytest

import pdf

CHAPTER, LAB = "book/policy/why-entropy-falls", "notebooks/policy/why-entropy-falls"
ORDER = [(0, None, "A part"), (1, CHAPTER, None), (2, LAB, None), (0, "book/notation", None)]
FACTS = {"title": "A book: about it", "authors": "A", "abstract": "It is short.", "keywords": "x",
         "date": "2026-01-02", "version": "1", "address": "https://example.org"}


@pytest.fixture
def on_paper(read):
    """on_paper(name): a page laid out for A4, as printing lays it out."""
    def open_page(name):
        reader = read(paper.TEXT_WIDTH, 970)
        reader.tab.emulate_media(media="print")
        reader.tab.goto((reader.site / f"{name}.html").as_uri())
        assert reader.tab.evaluate(pdf.FAULTS, pdf.PATIENCE) == []
        return reader

    return open_page


def test_the_state_of_a_figure_is_the_one_that_was_set(on_paper):
    tab = on_paper(CHAPTER).tab
    figure = tab.locator("figure.explorable:has(input[type=range])").first
    figure.locator("input[type=range]").first.evaluate(
        "s => { s.value = s.max; s.dispatchEvent(new Event('input', { bubbles: true })); }")
    shown = figure.locator("output").first.inner_text() or figure.locator("output").first.text_content()
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    name = figure.locator("label").first.text_content()
    assert f"{name} = {shown}" in figure.locator(".explorable-state").inner_text()


def test_a_dark_screen_prints_white(read):
    reader = read(scheme="dark")
    tab = reader.open(CHAPTER)
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.emulate_media(media="print", color_scheme="dark")
    look = "getComputedStyle(document.body)"
    assert tab.evaluate(f"{look}.backgroundColor") == "rgb(255, 255, 255)"
    assert tab.evaluate(f"{look}.color") == "rgb(17, 17, 17)"


def test_figures_far_from_the_screen_are_drawn_before_anyone_prints(read):
    """A first look loads what it sees; a key, a finger or the wheel, and the rest comes while nothing else is to do."""
    reader = read(height=600)
    reader.tab.goto((reader.site / f"{CHAPTER}.html").as_uri())
    reader.tab.wait_for_function("document.documentElement.dataset.math && document.querySelector('[data-drawn=yes]')")
    reader.tab.wait_for_timeout(500)
    undrawn = reader.tab.locator("figure.explorable:not([data-drawn])").count()
    assert undrawn, "a chapter has a figure far from the screen"
    reader.tab.keyboard.press("Control")
    reader.tab.wait_for_function("""[...document.querySelectorAll("figure.explorable")]
        .every((figure) => figure.dataset.drawn === "yes")""")
    assert reader.tab.evaluate("scrollY") == 0


def test_equations_are_set_again_for_paper_and_for_a_new_width(read):
    """A phone breaks an equation that fits on paper; a wide window that becomes narrow breaks it too."""
    parts = """() => { const formula = document.querySelector("#equation-eq-entropy-curvature mjx-container");
        return formula.querySelector("svg").getBoundingClientRect().width /
            parseFloat(getComputedStyle(formula).fontSize); }"""
    reader = read(390, 800)
    tab = reader.open(CHAPTER)
    narrow = tab.evaluate(parts)
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.evaluate(parts) > 1.3 * narrow
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.evaluate(parts) == pytest.approx(narrow)
    tab.set_viewport_size({"width": 1280, "height": 800})
    tab.wait_for_function(f"({parts})() > {1.1 * narrow}")
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.wait_for_function(f"Math.abs(({parts})() - {narrow}) < 0.5")


@pytest.fixture(scope="module")
def bound(site):
    """(sheets, the bound book, the count of its links) of a chapter, its lab and the notation."""
    with ThreadPoolExecutor(1) as pool:  # a browser of its own, beside the one of the other tests
        sheets = pool.submit(pdf.print_sheets, site, ORDER, FACTS, lambda line: None).result()
    writer, tally = pdf.bind(sheets, ORDER, FACTS, f"{site.as_uri()}/")
    data = io.BytesIO()
    writer.write(data)
    return sheets, pdf.PdfReader(data), tally


@pytest.fixture(scope="module")
def texts(bound):
    return [page.extract_text() for page in bound[1].pages]


def starts(sheets):
    """{page: number of its first sheet of paper in the book}"""
    found, first = {}, 0
    for sheet in sheets:
        found[sheet.name] = first
        first += len(sheet.pdf.pages)
    return found


def test_every_page_has_text_and_its_number(bound, texts):
    front = len(bound[0][0].pdf.pages)
    for number, text in enumerate(texts):
        words = text.split()
        assert len(words) > 8, f"page {number} is empty"
        if number >= front:
            assert str(number - front + 1) in words[-1:] + words[:12], f"page {number} has no number"


def test_links_lead_to_the_right_place(bound, texts, site):
    sheets, book, tally = bound
    first = starts(sheets)
    lost = {address for _, address in tally["lost"]}
    inside = [f"{site.as_uri()}/{name}.html" for name in first if name]
    assert not [address for address in lost if address.split("#")[0] in inside], "an anchor was not found"
    lab, chapter = sheets[2], sheets[1]
    checks = {name: place for name, place in pdf.places(lab.pdf).items() if re.fullmatch("check-eq-[a-z-]+", name)}
    assert len(checks) > 10
    for name, (page, _) in checks.items():
        assert name.removeprefix("check-") in texts[first[LAB] + page], name
    html = (site / f"{CHAPTER}.html").read_text(encoding="utf8")
    numbers = dict(re.findall(r'id="(equation-eq-[a-z-]+)">\s*<span class="eqno">(\(\d+\))', html))
    equations = {name: place for name, place in pdf.places(chapter.pdf).items() if name in numbers}
    assert len(equations) > 10
    for name, (page, _) in equations.items():
        assert numbers[name] in texts[first[CHAPTER] + page], name
    targets = set()
    for number, page in enumerate(book.pages):
        for link in [each.get_object() for each in page.get("/Annots", [])]:
            if "/Dest" in link:
                where = book.get_page_number(link["/Dest"][0].get_object())
                targets.add((number >= first[LAB], where))
                assert 0 <= where < len(book.pages) and 0 < link["/Dest"][3] <= 842
            elif "/A" in link:
                assert not str(link["/A"]["/URI"]).startswith("file:")
    assert (False, first[LAB] + min(page for page, _ in checks.values())) in targets, "no badge leads to the lab"


def test_a_place_is_where_its_words_stand(bound):
    """The height of a heading's destination is that of the heading, not a margin above it."""
    sheet = bound[0][1]
    places, off = pdf.places(sheet.pdf), []
    for level, text, identity in sheet.headings:
        if level == 2 and identity in places:
            page, height = places[identity]
            found = []
            sheet.pdf.pages[page].extract_text(visitor_text=lambda words, cm, tm, font, size: found.append(
                (words, tm[5] * cm[3] + cm[5])))
            near = [y for words, y in found if words.strip() and words.strip() in text and len(words.strip()) > 3]
            off.append(min(abs(height - y) for y in near))
    assert off and max(off) < 45


def test_what_is_folded_on_the_screen_is_in_the_pdf(bound, texts, site):
    html = (site / f"{CHAPTER}.html").read_text(encoding="utf8")
    solutions = re.findall(r'class="solution dropdown admonition"', html)
    words = " ".join(" ".join(texts).split())
    assert len(solutions) > 2 and words.count("Solution to") >= len(solutions)
    step = re.search(r"<details.*?<p[^>]*>([^<]{20,60})", html, re.S).group(1)
    assert " ".join(unescape(step).split()[:3]) in words
    assert re.search(r"Drawn with .*step size η = [\d.]+", words)


def test_contents_and_outline_name_the_pages(bound, texts):
    sheets, book, _ = bound
    first, front = starts(sheets), len(sheets[0].pdf.pages)
    contents = " ".join(texts[1:front])
    for sheet in sheets[1:]:
        assert sheet.title.split(":")[0] in contents and str(first[sheet.name] - front + 1) in contents

    def flat(items):
        for item in items:
            yield from flat(item) if isinstance(item, list) else [item]

    items = [(item.title, book.get_destination_page_number(item)) for item in flat(book.outline)]
    assert ("A part", first[CHAPTER]) in items and (sheets[2].title, first[LAB]) in items
    assert len(items) > 15
    for title, page in items[3:]:
        assert title.split(":")[0].split()[0] in texts[page], title


def test_a_page_that_cannot_be_printed_is_named(site, tmp_path):
    page = (site / "book" / "cite.html").read_text(encoding="utf8")
    broken = ('<figure class="explorable" id="explore-lost"><div class="explorable-view" aria-label="x"></div>'
              '<script type="application/json" class="explorable-record">{}</script></figure>')
    (tmp_path / "book").mkdir()
    (tmp_path / "_static").symlink_to(site / "_static")
    (tmp_path / "book" / "cite.html").write_text(page.replace("</article>", f"{broken}</article>"), encoding="utf8")
    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdf, "PATIENCE", 500)
        with pytest.raises(pdf.Fault, match="book/cite: the figure explore-lost was not drawn"):
            pool.submit(pdf.print_sheets, tmp_path, [(0, "book/cite", None)], FACTS, print).result()
