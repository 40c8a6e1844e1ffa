"""Every place has an address that stays when something is inserted elsewhere."""

import re

import links_ext
import pytest

STEP = "```{dropdown} Step 1. What happens\nThis.\n```\n"
EXERCISE = "```{exercise} Warm-up\n:label: ex-warm\nDo it.\n```\n\n```{solution} ex-warm\n:class: dropdown\nDone.\n```\n"


@pytest.fixture
def book(tiny_book):
    tiny_book.extensions = ["myst_nb", "sphinx_design", "sphinx_exercise", "links_ext"]
    return tiny_book


def ids(html):
    return set(re.findall(r'id="([^"]+)"', html))


def test_steps_and_solutions_are_named_by_what_they_say(book):
    book.page("index", f"# Home\n\n{STEP}\n{EXERCISE}")
    assert book.build() == ""
    html = book.html("index")
    assert {"step-what-happens", "ex-warm", "solution-ex-warm"} <= ids(html)
    for anchor, what in (("step-what-happens", "step"), ("ex-warm", "exercise"), ("solution-ex-warm", "solution")):
        assert f'<a class="headerlink" href="#{anchor}" title="Link to this {what}">#</a>' in html


def test_an_address_stays_when_something_is_inserted_before_it(book):
    book.page("index", f"# Home\n\n{STEP}\n{EXERCISE}")
    book.build()
    before = ids(book.html("index"))
    another = EXERCISE.replace("ex-warm", "ex-more")
    book.page("index", f"# Home\n\n{STEP.replace('1. What', '1. What else')}\n{another}\n{STEP}\n{EXERCISE}")
    book.build()
    assert before <= ids(book.html("index"))


def test_two_steps_of_one_name_are_reported(book):
    book.page("index", f"# Home\n\n{STEP}\n{STEP.replace('Step 1', 'Step 2')}")
    assert "two steps of a page are called 'Step 2. What happens'" in book.build()


def test_no_id_is_there_twice(book):
    book.page("index", f"# Home\n\n{EXERCISE}\n{EXERCISE.replace('ex-warm', 'ex-more')}")
    book.build()
    found = re.findall(r'\bid="([^"]+)"', book.html("index"))
    assert len(found) == len(set(found))


@pytest.mark.parametrize("html, anchor", [
    ('<div class="claim docutils container" id="claim-a"><p>So.</p></div>', "claim-a"),
    ('<div class="check-line" id="check-eq-a">ok</div>', "check-eq-a"),
    ('<figure class="explorable" id="explore-a"><div></div></figure>', "explore-a"),
    ('<figure class="picture"><div class="picture-view" role="img" aria-label="A bar that grows with every step '
     'it takes">', "picture-a-bar-that-grows-with-every"),
    ('<tr role="row" id="paper-001" data-verdict="x"><th scope="row">001</th>', "paper-001"),
    ('<tr class="row-odd" id="symbol-a-b"><td><p>a</p></td>', "symbol-a-b"),
])
def test_every_place_has_a_link(html, anchor):
    body = links_ext.linked(html)
    assert body.count(f'href="#{anchor}"') == 1 and f'id="{anchor}"' in body


def test_a_picture_with_controls_keeps_its_own_link():
    moving = '<figure class="explorable" id="explore-a"><a class="explorable-link">Link</a></figure>'
    still = '<figure class="explorable" id="explore-b"></figure>'
    assert links_ext.linked(moving + still).count("headerlink") == 1
