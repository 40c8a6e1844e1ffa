"""Badges, claims, quoted numbers and pictures, built for real in a tiny book."""

import base64
import gzip
import json
import re

import pytest
from labutils.checks import MIME as CHECK, Record

TOC = "# Index\n\n```{toctree}\npage\nnotebooks/lab\n```\n"


def record(label, quote=None, caught=("sign flipped",)):
    made = Record(label, "equal", "to 1e-12", list(caught), "wide", quote)
    return {key: value for key, value in made._repr_mimebundle_().items()}


def book_with(tiny_book, page, bundles):
    tiny_book.page("index", TOC)
    tiny_book.page("page", "# Page\n\n" + page)
    tiny_book.notebook("notebooks/lab", bundles)
    return tiny_book.build()


EQUATION = "$$ a = b $$ (eq-a)\n"


def test_checked_equation_gets_a_badge_that_leads_to_its_check(tiny_book):
    assert book_with(tiny_book, EQUATION, [record("eq-a")]) == ""
    page, lab = tiny_book.html("page"), tiny_book.html("notebooks/lab")
    assert 'class="check-badge" href="notebooks/lab.html#check-eq-a"' in page
    assert "caught: sign flipped" in page
    assert 'id="check-eq-a"' in lab
    assert 'href="../page.html#equation-eq-a"' in lab


def test_unchecked_equation_is_reported(tiny_book):
    assert "'eq-a' has no check" in book_with(tiny_book, EQUATION, [])


def test_definition_needs_no_check(tiny_book):
    assert book_with(tiny_book, EQUATION.replace("eq-a", "def-a"), []) == ""


def test_other_equation_labels_are_reported(tiny_book):
    assert "must start with 'eq-'" in book_with(tiny_book, EQUATION.replace("eq-a", "foo"), [])


def test_check_of_nothing_is_reported(tiny_book):
    assert "'eq-b' belongs to no equation" in book_with(tiny_book, EQUATION, [record("eq-a"), record("eq-b")])


def test_second_check_of_a_label_has_its_own_anchor(tiny_book):
    assert book_with(tiny_book, EQUATION, [record("eq-a"), record("eq-a")]) == ""
    assert 'id="check-eq-a-2"' in tiny_book.html("notebooks/lab")
    assert "checked, 2 ways" in tiny_book.html("page")


def test_number_is_quoted_from_its_check(tiny_book):
    assert book_with(tiny_book, "It is {num}`num-share` nats.\n", [record("num-share", quote="0.42")]) == ""
    assert '>0.42</a>' in tiny_book.html("page")


def test_number_without_check_is_reported(tiny_book):
    assert "no check quotes the number 'num-share'" in book_with(tiny_book, "{num}`num-share`\n", [record("num-share")])


def test_claim_box(tiny_book):
    page = "```{claim} claim-small\nIt is small.\n```\n"
    assert book_with(tiny_book, page, [record("claim-small")]) == ""
    assert 'id="claim-small"' in tiny_book.html("page")
    assert 'href="notebooks/lab.html#check-claim-small"' in tiny_book.html("page")


def test_claim_without_check_is_reported(tiny_book):
    assert "claim 'claim-small' has no check" in book_with(tiny_book, "```{claim} claim-small\nIt is.\n```\n", [])


def test_claim_label_is_held_to_its_form(tiny_book):
    assert "must start with 'claim-'" in book_with(tiny_book, "```{claim} small\nIt is.\n```\n", [])


def test_results_table_lists_every_check(tiny_book):
    page = EQUATION + "\n```{results} lab\n```\n\n```{results}\n```\n\n{lab-count}`checks` checks, {lab-count}`variants` variants\n"
    assert book_with(tiny_book, page, [record("eq-a", caught=("x < y", "z"))]) == ""
    html = tiny_book.html("page")
    assert '<table class="results">' in html and "x &lt; y, z" in html and "1 checks, 2 variants" in html
    cells = ["1", "0", "0", "1", "2"]  # equations, claims, numbers, checks, variants
    assert "".join(f"<td>{cell}</td>" for cell in cells) in html


def test_results_of_a_part_without_checks_are_reported(tiny_book):
    page = EQUATION + "\n```{results} waves\n```\n"
    assert "no lab of waves has a check" in book_with(tiny_book, page, [record("eq-a")])


@pytest.fixture
def spec():
    return {"$schema": "https://vega.github.io/schema/vega-lite/v6.4.1.json", "mark": "bar",
            "title": {"text": "</script>", "color": "#737a84"}}


def explorable(spec, name="step"):
    record = {"name": name, "alt": "A bar that grows with the step", "caption": "Move it.", "positions": {"at_a": [1, 2]}}
    return {"application/vnd.vegalite.v6+json": spec, "text/plain": "alt",
            "application/vnd.entropylab.explorable+json": record}


def test_explorable_stands_in_the_lab_and_in_the_page(tiny_book, spec):
    assert book_with(tiny_book, "```{explorable} lab#step\n```\n", [explorable(spec)]) == ""
    for name in ("page", "notebooks/lab"):
        html = tiny_book.html(name)
        assert '<figure class="explorable" id="explore-step">' in html
        name = re.search(r'class="explorable-spec" data-name="(\w+)"', html).group(1)
        script = (tiny_book.target / f"_static/charts/{name}.js").read_text("utf8")
        chart = json.loads(gzip.decompress(base64.b64decode(script.split('"')[3])))["wide"]["chart"]
        assert chart["title"]["text"] == "</script>" and "#737a84" not in json.dumps(chart)


@pytest.mark.parametrize("target, message", [("lab#other", "has no explorable 'other'"), ("gone#step", "no notebook")])
def test_missing_explorable_is_reported(tiny_book, spec, target, message):
    assert message in book_with(tiny_book, f"```{{explorable}} {target}\n```\n", [explorable(spec)])


def test_picture_is_inline_in_the_colour_of_the_page(tiny_book):
    svg = ('<?xml version="1.0"?><svg width="9pt"><metadata><a href="http://x"/></metadata>'
           '<defs><path id="m1"/></defs><use xlink:href="#m1" clip-path="url(#m1)" style="fill: #737a84"/></svg>')
    picture = {"image/svg+xml": svg, "text/plain": "alt",
               "application/vnd.entropylab.picture+json": {"alt": 'A "line" that rises'}}
    assert book_with(tiny_book, "Text.\n", [picture, picture]) == ""
    html = tiny_book.html("notebooks/lab")
    assert 'aria-label="A &quot;line&quot; that rises"' in html
    assert "metadata" not in html and "fill: currentColor" in html
    assert 'id="p0_0"' in html and 'xlink:href="#p1_0"' in html and "url(#p1_0)" in html


def test_a_check_is_shown_with_its_equation_and_its_cell(tiny_book):
    assert book_with(tiny_book, EQUATION + "\n```{check} eq-a\n```\n", [record("eq-a")]) == ""
    shown = tiny_book.html("page").split('class="check-shown')[1]
    assert "a = b" in shown and 'href="notebooks/lab.html#check-eq-a"' in shown
    assert '<span class="k">pass</span>' in shown  # the source of the cell
    assert 'id="shown-eq-a"' in shown and "caught: sign flipped" in shown and 'href="#equation-eq-a"' in shown


def test_a_check_that_no_notebook_has_is_not_shown(tiny_book):
    assert "no notebook checks the equation 'eq-b'" in book_with(tiny_book, EQUATION + "\n```{check} eq-b\n```\n", [record("eq-a")])


@pytest.mark.parametrize("quoted, shown", [
    ("-0.32", "−0.32"), ("-.5 to -1", "−.5 to −1"), ("1e-12", "1e-12"), ("0.1-0.2", "0.1-0.2"), ("eq-2", "eq-2"), ("-", "-")])
def test_a_minus_is_a_minus(quoted, shown):
    from records import minus

    assert minus(quoted) == shown


def test_a_negative_number_is_quoted_with_a_minus(tiny_book):
    assert book_with(tiny_book, "{num}`num-share`\n", [record("num-share", quote="-0.42")]) == ""
    assert ">−0.42</a>" in tiny_book.html("page") and "quoted as −0.42" in tiny_book.html("notebooks/lab")
