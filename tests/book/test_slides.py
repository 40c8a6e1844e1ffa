"""Slides of a chapter from its page."""

import pytest
import slides
from bs4 import BeautifulSoup

PAGE = """<html><head><meta charset="utf-8"><link rel="stylesheet" href="../../_static/book.css"><script src="../../_static/frame.js"></script>
<script defer src="../../_static/explorable.js"></script></head><body><article><section id="t"><h1>Title<a class="headerlink">#</a></h1>
<p class="page-line">Chapter 1.1</p><p>A promise.</p><figure class="explorable" id="explore-a"><input id="explore-a-x"></figure>
<section id="one"><h2>1. One<a class="headerlink">#</a></h2><p><a href="#x">First</a> said. Then <b>more</b> of it. A third.</p>
<div class="math notranslate" id="equation-eq-a">\\[a\\]</div><p class="check-badges">checked</p>
<details class="step"><summary>Why<span>(1)</span></summary><div class="step-body"><p>Because.</p><div class="step-checks">verified</div></div></details>
<div class="claim"><p>It holds.</p></div>
<section id="one-a"><h3>2. Inside</h3><p>Deep.</p></section></section>
<section id="exercises"><h2>Exercises</h2><p>Do it.</p></section>
<section id="summary"><h2>Summary</h2><ul><li>All.</li></ul></section></section></article></body></html>"""


@pytest.fixture(scope="module")
def deck():
    return BeautifulSoup(slides.deck(PAGE, "book/part/chapter"), "html.parser")


def words(deck):
    return [" ".join(section.get_text(" ").split()) for section in deck.select(".slides section:not(:has(section))")]


def test_slides_follow_the_page(deck):
    assert words(deck) == ["Title A promise.", "Title", "One First said. Then more of it. \\[a\\]", "One It holds.", "Why Because.", "Inside Deep.",
                           "Summary All.", words(deck)[-1]]
    assert "the exercises" in words(deck)[-1] and "Do it" not in deck.get_text()


def test_derivations_go_down(deck):
    stack = deck.select_one(".slides > section:has(> section)")
    assert len(stack.find_all("section", recursive=False)) == 3


def test_pictures_keep_their_names_and_no_other_place_does(deck):
    assert [tag["id"] for tag in deck.body.find_all(id=True)] == ["explore-a", "explore-a-x"]


def test_links_inside_the_page_lead_to_the_page(deck):
    assert {a["href"].split("#")[0] for a in deck.find_all("a")} == {"chapter.html"}


def test_a_deck_loads_what_it_needs_from_the_site(deck):
    scripts = [tag["src"] for tag in deck.find_all("script")]
    assert scripts == ["../../_static/explorable.js", "../../_static/vendor/reveal/reveal.js", "../../_static/slides.js"]
    assert all("://" not in tag.get("href", "") for tag in deck.find_all("link"))


def test_a_long_paragraph_is_cut_after_a_sentence_and_formulas_stay():
    soup = BeautifulSoup(f"<p>Let <span>x. y</span> be. {'Long ' * 60}end. More.</p>", "html.parser")
    assert slides.lead(soup.p, soup).get_text() == f"Let x. y be. {'Long ' * 60}end."


def test_every_chapter_has_slides(site):
    import build
    import plan
    chapters = [f"book/{name}" for name in plan.chapters(plan.read(slides.ROOT / "book" / "parts.yml"))]
    written = [name for name in build.pages() if name in chapters]
    assert len(written) > 20 and all((site / f"{name}-slides.html").is_file() for name in written)
