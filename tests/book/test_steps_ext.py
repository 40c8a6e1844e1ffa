"""Steps of a derivation in a tiny book: what they hold, and what is reported."""

import re

import pytest
from test_checks_ext import book_with, record

EQUATIONS = "\n$$ a = b $$ (eq-a)\n\n$$ c = d $$ (eq-c)\n\n$$ e = f $$ (eq-e)\n\n## The derivation\n\nWords.\n\n"
RECORDS = [record("eq-a", caught=("x < y", "sign flipped")), record("eq-c"), record("eq-e"), record("eq-e")]


def step(label, title="Why $a$ is so"):
    return f"```{{step}} {title}\n:proves: {label}\nBecause $x$.\n```\n\n"


@pytest.fixture
def book(tiny_book):
    tiny_book.extensions.append("steps_ext")

    def build(text, records=RECORDS):
        return book_with(tiny_book, EQUATIONS + text, records)

    return build


def test_a_step_is_native_details_that_end_with_its_check(book, tiny_book):
    assert book(step("eq-a")) == ""
    html = tiny_book.html("page")
    found = re.search(r'<details class="step" name="steps" id="step-eq-a">(.*?)</details>', html, re.S)[1]
    summary, body = found.split("</summary>")
    assert "Why " in summary and ">(1)<" in summary and "derives equation 1" in summary
    assert body.index("Because") < body.index("equal, to 1e-12")
    assert 'href="notebooks/lab.html#check-eq-a"' in body and "<li>x &lt; y</li><li>sign flipped</li>" in body
    assert "step-next" not in html and "steps-all" not in html


def test_a_step_may_prove_several_equations(book, tiny_book):
    assert book(step("eq-a eq-e")) == ""
    html = tiny_book.html("page")
    assert 'id="step-eq-a"' in html and ">(1) (3)<" in html and "derives equations 1, 3" in html
    assert html.count('<span class="step-kind">') == 3 and "lab.html#check-eq-e-2" in html


def test_each_step_leads_to_the_next(book, tiny_book):
    assert book(step("eq-a", "One") + step("eq-c", "Two")) == ""
    html = tiny_book.html("page")
    assert re.findall(r'<a class="step-next[^"]*" href="#(step-eq-.)">Next step: (\w+)</a>', html) == [("step-eq-c", "Two")]
    assert "steps-all" not in html


def test_from_three_steps_on_a_button_unfolds_them_all(book, tiny_book):
    assert book("### Below\n\n" + step("eq-a") + step("eq-c") + step("eq-e")) == ""
    html = tiny_book.html("page")
    assert html.count('class="steps-all"') == 1 and ">Unfold all 3 steps</button>" in html
    assert html.index("The derivation<") < html.index('class="steps-all"') < html.index("Words.")


@pytest.mark.parametrize("text, message", [
    (step("eq-gone"), "a step proves 'eq-gone', which is no equation of this page"),
    (step("eq-gone"), "a step proves 'eq-gone', which no notebook checks"),
    (step("eq-a") + step("eq-a"), "more than one step proves 'eq-a'"),
    (step("def-a"), "a step must name in :proves: the equations that it derives"),
    ("```{step} Why\nBecause.\n```\n", "a step must name in :proves:"),
])
def test_a_step_without_its_equation_or_check_is_reported(book, text, message):
    assert message in book(text)


def test_a_step_of_an_unchecked_equation_is_reported(book):
    assert "a step proves 'eq-c', which no notebook checks" in book(step("eq-c"), [record("eq-a"), record("eq-e")])
