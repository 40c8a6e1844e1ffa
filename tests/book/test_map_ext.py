"""The plan of the book, the maps that are made from it, and what a page says of itself, in a tiny book."""

import re

import atlas_data
import plan
import pytest
import yaml
from build import pages
from sphinx.errors import SphinxError

PLAN = [
    {"slug": "policy", "title": "Learning & entropy", "about": "What a policy loses.", "chapters": [
        {"slug": "falls", "title": "Planned title", "question": "Why does it fall?"},
        {"slug": "later", "title": "A later chapter", "question": "And then?", "needs": ["policy/falls"]}]},
    {"slug": "waves", "title": "Waves", "about": "What a wave keeps.", "chapters": [
        {"slug": "nlse", "title": "Solitons", "question": "What stays?", "needs": ["policy/falls", "policy/later"]}]},
]
LAB = "# A lab\n\n**Question.** Does it fall?\n\nAbout 15 minutes to work through. It runs in about 8 s on a CPU.\n"
PAGES = {
    "index": "# Front\n\nThe front.\n\n```{map}\n```\n\n```{toctree}\nbook/policy/index\nbook/policy/falls\nbook/atlas\n"
             "book/labs\n```\n",
    "book/policy/index": "# Part 1\n\nThe part.\n\n```{map} policy\n```\n",
    "book/policy/falls": "---\nminutes: 20\nhardware: a laptop\n---\n\n# Why it falls\n\nAfter this page you can say why. "
                         "More.\n\n```{toctree}\n/notebooks/policy/falls\n```\n",
    "book/atlas": "# Atlas\n\n```{atlas}\n```\n",
    "book/labs": "# Labs\n\n```{labs}\n```\n",
    "notebooks/policy/falls": LAB,
}


def paper(number, chapter, verdict="planned"):
    planned = verdict == "planned"
    return {"id": number, "slug": f"p{number}", "title": f"Paper <{number}>", "source": "A, 2020", "note": "",
            "part": chapter.split("/")[0], "chapter": chapter, "lab": None if planned else "policy/falls",
            "claim": "Entropy falls by the covariance when the step is small.", "verdict": verdict,
            "evidence": [] if planned else ["eq-a"]}


PAPERS = [paper(0, "policy/falls", "reproduced"), paper(1, "policy/falls"), paper(2, "policy/later"),
          paper(3, "waves/nlse")]


@pytest.fixture
def book(tiny_book):
    """Builds the tiny book with this plan, these papers and pages; gives back the warnings."""
    from labutils.checks import Record

    tiny_book.extensions += ["atlas_ext", "pages_ext", "map_ext"]

    def build(parts=PLAN, papers=PAPERS, **changed):
        texts = {**PAGES, **changed}
        lab = texts.pop("notebooks/policy/falls")
        for name, text in texts.items():
            tiny_book.page(name, text)
        record = Record("eq-a", "equal", "to 1e-12", ["sign flipped"], "wide", None)
        tiny_book.notebook("notebooks/policy/falls", [dict(record._repr_mimebundle_())], title=lab.removeprefix("# "))
        tiny_book.page("book/policy/falls", texts["book/policy/falls"] + "\n$$ a $$ (eq-a)\n")
        for name, data in (("parts", parts), ("papers", papers)):
            (tiny_book.source / "book" / f"{name}.yml").write_text(yaml.safe_dump(data), encoding="utf8")
        return tiny_book.build(templates_path=[])

    return build


def part(html, slug):
    return re.search(rf'<li class="map-part[^>]*id="part-{slug}">.*?</p></li>', html, re.S).group()


def card(html, slug):
    return re.search(rf'<li class="map-card[^>]*id="chapter-{slug}">.*?(?=<li class="map-card|</ol>)', html, re.S).group()


def test_map_of_the_book_shows_what_is_written_and_what_is_tested(book, tiny_book):
    assert book() == ""
    html = tiny_book.html("index")
    policy, waves = part(html, "policy"), part(html, "waves")
    assert '<a href="book/policy/index.html">Learning &amp; entropy</a>' in policy
    assert '<li class="map-chapter open"><span class="map-title"><a href="book/policy/falls.html">Why it falls</a>' in policy
    assert '<li class="map-chapter planned"><span class="map-title">A later chapter</span>' in policy
    assert 'aria-label="Papers: 1 reproduced, 1 planned"' in policy and policy.count("verdict-dot") == 3
    assert "<b>1</b> of 2 chapters written" in policy and "<b>1</b> of 3 papers tested" in policy
    assert "<b>0</b> of 1 chapters written" in waves and "<a " not in waves


def test_a_chapter_in_the_table_of_contents_changes_the_map(book, tiny_book):
    later = "---\nminutes: 5\nhardware: a laptop\n---\n\n# Now written\n\nIt is.\n"
    assert book(**{"book/policy/later": later, "index": PAGES["index"].replace("book/atlas\n", "book/atlas\nbook/policy/later\n", 1)}) == ""
    policy = part(tiny_book.html("index"), "policy")
    assert '<a href="book/policy/later.html">Now written</a>' in policy and "<b>2</b> of 2 chapters" in policy


def test_map_of_a_part_shows_its_chapters_in_reading_order(book, tiny_book):
    assert book() == ""
    html = tiny_book.html("book/policy/index")
    assert re.findall(r'id="chapter-([a-z]+)"', html) == ["falls", "later"]
    falls, later = card(html, "falls"), card(html, "later")
    assert '<a href="falls.html">Why it falls</a>' in falls and "Why does it fall?" in falls and ">open<" in falls
    for words in ("20 minutes", "1 lab, 15 minutes", "runs on a laptop", ">A lab</a>", "15 min"):
        assert words in falls
    assert 'role="img" aria-label="reproduced:"' in falls and '<a href="../atlas.html#paper-000">Paper &lt;0&gt;</a>' in falls
    assert ">planned<" in later and 'Read first: <a href="falls.html">Why it falls</a>' in later
    assert "minutes" not in later


def test_all_labs_stand_under_their_chapters(book, tiny_book):
    assert book() == ""
    html = tiny_book.html("book/labs")
    assert 'Chapter 1.1: <a href="policy/falls.html">Why it falls</a>' in html
    assert '<a href="../notebooks/policy/falls.html">A lab</a>' in html and "Does it fall?" in html
    assert "runs in 8 seconds on a CPU" in html


def test_line_under_the_title(book, tiny_book):
    assert book() == ""
    chapter, lab = tiny_book.html("book/policy/falls"), tiny_book.html("notebooks/policy/falls")
    line = re.compile(r'<p class="page-line">(.*?)</p>')
    assert re.sub("<[^>]+>", "", line.search(chapter)[1]) == "Chapter 1.1 20 minutes 1 lab, 15 minutes runs on a laptop"
    assert re.sub("<[^>]+>", "", line.search(lab)[1]) == "Lab of chapter 1.1 15 minutes runs in 8 seconds on a CPU"
    assert 'href="../../book/policy/falls.html"' in line.search(lab)[1]
    assert not line.search(tiny_book.html("book/policy/index"))


@pytest.mark.parametrize("front", ["", "---\nhardware: a laptop\n---\n\n", "---\nminutes: soon\nhardware: a laptop\n---\n\n",
                                   "---\nminutes: 20\n---\n\n"])
def test_a_chapter_that_hides_its_minutes_is_reported(book, front):
    text = front + PAGES["book/policy/falls"].split("---\n\n")[1]
    assert "must begin with front matter that has minutes" in book(**{"book/policy/falls": text})


def test_a_lab_that_hides_its_minutes_is_reported(book):
    assert "first cell of a lab must say" in book(**{"notebooks/policy/falls": "# A lab\n\nDoes it fall?\n"})


@pytest.mark.parametrize("text, about", [
    ("Question. Does it?", "Does it?"), ("One. Two.", "One. Two."),
    ("A first sentence. " + "word " * 50, "A first sentence."), ("word " * 60, "word " * 37 + "…")])
def test_promise_is_a_line_or_two(text, about):
    from pages_ext import promise

    assert promise(text) == about


def test_papers_and_plan_must_agree(book):
    with pytest.raises(SphinxError, match="a paper belongs to waves/other, which the plan does not have\n"
                                          "no paper belongs to waves/nlse"):
        book(papers=[*PAPERS[:3], paper(3, "waves/other")])


def test_unknown_part_is_reported(book):
    assert "the plan has no part 'stars'" in book(**{"book/labs": "# Labs\n\n```{map} stars\n```\n"})


def broken(**change):
    chapter = {**PLAN[1]["chapters"][0], **change}
    return [PLAN[0], {**PLAN[1], "chapters": [{k: v for k, v in chapter.items() if v is not None}]}]


@pytest.mark.parametrize("parts, rule", [
    ({"a": 1}, "must be a list of parts"),
    (broken(question=None), "chapter waves/nlse: must have question"),
    (broken(question=" "), "chapter waves/nlse: question must be a text; got ' '"),
    (broken(papers=3), "chapter waves/nlse: has the unknown key 'papers'"),
    (broken(slug="Big One"), "slug must be of small letters"),
    (broken(needs=["waves/nlse"]), "needs 'waves/nlse', which does not stand before it"),
    ([PLAN[0], PLAN[0]], "chapter policy/falls: slug must be unique"),
    ([{**PLAN[0], "chapters": "many"}], "part policy: chapters must be a list of chapters"),
])
def test_a_broken_plan_is_refused(parts, rule):
    assert any(rule in line for line in plan.problems(parts))


def test_plan_of_the_book_is_sound_and_whole(root):
    parts = plan.read(root / "book" / "parts.yml")
    chapters = plan.chapters(parts)
    assert len(parts) == 9 and len(chapters) == 50
    assert tuple(part["slug"] for part in parts) == atlas_data.PARTS
    assert {paper["chapter"] for paper in atlas_data.read(root / "book" / "papers.yml")} == set(chapters)
    for chapter in chapters.values():
        assert chapter["question"].endswith("?"), chapter["name"]
    written = [name for name in pages() if re.fullmatch(r"book/[a-z]+/(?!index$|exercises$)[a-z-]+", name)]
    assert written and {name.removeprefix("book/") for name in written} <= set(chapters)
