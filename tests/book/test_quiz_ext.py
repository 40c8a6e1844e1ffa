"""Quizzes in a tiny book: what stands in the page, where answers come from, and what is reported."""

import json
import re
from html import unescape

import exercises
import pytest
from test_checks_ext import TOC, record

CHART = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.4.1.json",
    "data": {"values": [{"x": x} for x in range(11)]},
    "transform": [{"calculate": "-pow(datum.x - peak, 2)", "as": "y"}, {"calculate": "datum.x < 5 ? 'low' : 'high'", "as": "half"}],
    "mark": "line",
    "encoding": {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "y", "type": "quantitative"},
                 "detail": {"field": "half", "type": "nominal"}},
    "params": [{"name": "peak", "value": 3, "bind": {"input": "range", "min": 0, "max": 10, "step": 1, "name": "peak"}}],
}
HILL = {"application/vnd.vegalite.v6+json": CHART,
        "application/vnd.entropylab.explorable+json": {"name": "hill", "alt": "A hill that moves", "caption": ""}}
NUMBERS = [record("num-entropy", "1.75"), record("num-share", "76 %"), record("num-change", "+0.26"), record("num-none", "0"),
           record("num-word", "twice"), record("num-unquoted")]

NUMBER = "```{number} quiz-page-size How large\n:answer: num-entropy\n:unit: bits\nHow large is $H$?\n:hint: Count.\n:hint: Take a log.\n---\nBecause.\n```\n"
ORDER = """```{order} quiz-page-steps Build it
Put these in order.

1. First $a$.

   Nothing is before it.
2. Then $b$.
3. Last $c$.

- Never $d$.

  It is false.

---
That is all.
```
"""
PICTURE = "```{explorable} lab#hill\n```\n"
AXIS = """```{predict} quiz-page-top Where is the top
:explorable: lab#hill
:set: peak=8
:truth: argmax y over x
:axis: 0 10 0.5
:label: place of x
Where?
---
There.
```
"""
CHOICE = """```{predict} quiz-page-way Which way
:explorable: lab#hill
:from: peak=3
:set: peak=8
:truth: change of y
:where: x=0
Which way does it go at 0?

- up: Upwards.
- down: Downwards, $y$ falls.
---
So.
```
"""


@pytest.fixture
def book(tiny_book):
    tiny_book.extensions += ["quiz_ext", "links_ext"]

    def build(text, records=NUMBERS):
        tiny_book.page("index", TOC)
        tiny_book.page("page", f"# Page\n\n{text}")
        tiny_book.notebook("notebooks/lab", [*records, HILL])
        return tiny_book.build()

    return build


def quiz(tiny_book, name):
    """(what the script gets, the HTML of a quiz)."""
    found = re.search(rf'<div class="quiz admonition" id="{name}".*?data-quiz=\'([^\']*)\'.*?</details></div>', tiny_book.html("page"), re.S)
    return json.loads(unescape(found[1])), found[0]


def test_a_number_takes_its_answer_from_the_ledger(book, tiny_book):
    assert book(NUMBER) == ""
    play, html = quiz(tiny_book, "quiz-page-size")
    assert (play["value"], play["unit"]) == (1.75, "bits") and 0.05 < play["within"] < 0.06
    assert 'href="notebooks/lab.html#check-num-entropy"' in html and "which is 1.21 nats." in html
    assert html.index("How large is") < html.index("<form") < html.index("Hint 1") < html.index("Hint 2") < html.index("Because.")
    assert re.search(r'"quiz-hint"><summary>Hint 1</summary>(?:(?!</details>).)*"quiz-hint"><summary>Hint 2<', html, re.S), "one inside the other"
    assert html.count("<details") == 3 and "disabled" in html


def test_a_share_has_no_choice_of_units(book, tiny_book):
    assert book(NUMBER.replace("num-entropy", "num-share").replace("bits", '"%"')) == ""
    play, html = quiz(tiny_book, "quiz-page-size")
    assert play["value"] == 76 and "<select" not in html and "76</a> %." in html


def test_an_order_is_shuffled_by_its_name_and_its_answer_is_by_letters(book, tiny_book):
    assert book(ORDER) == ""
    _, html = quiz(tiny_book, "quiz-page-steps")
    places = [int(place) for place in re.findall(r'data-place="(-?\d)"', html)]
    assert sorted(places) == [-1, 0, 1, 2] and [p for p in places if p >= 0] != [0, 1, 2]
    letters = {place: "ABCD"[at] for at, place in enumerate(places)}
    assert f"In order: {letters[0]}, {letters[1]}, {letters[2]}. Left out: {letters[-1]}." in html
    assert html.count('class="quiz-reason"') == 2 and quiz(tiny_book, "quiz-page-steps")[0] == {"steps": 3, "others": 1}
    first = html
    book(ORDER)
    assert quiz(tiny_book, "quiz-page-steps")[1] == first
    names = [f"quiz-page-steps-{letter}" for letter in "abcdefgh"]
    book("".join(ORDER.replace("quiz-page-steps", name) for name in names))
    orders = {re.sub(r"-1", "", "".join(re.findall(r'data-place="(-?\d)"', quiz(tiny_book, name)[1]))) for name in names}
    assert "012" not in orders and len(orders) > 2


def test_a_prediction_is_answered_by_the_chart(book, tiny_book):
    assert book(AXIS + CHOICE + PICTURE) == ""
    play, html = quiz(tiny_book, "quiz-page-top")
    assert (play["truth"], play["set"], play["line"], play["within"]) == (8, {"peak": 8}, "x", 0.5)
    assert 'type="range"' in html and "= 8.0." in html
    play, html = quiz(tiny_book, "quiz-page-way")
    assert play["truth"] == "down" and play["from"] == {"peak": 3}
    assert 'href="#explore-hill">The picture</a> shows: Downwards' in html and html.count('type="radio"') == 2


def test_a_prediction_may_rest_on_a_number_of_the_ledger(book, tiny_book):
    assert book(AXIS.replace("argmax y over x", "num-entropy") + PICTURE) == ""
    play, html = quiz(tiny_book, "quiz-page-top")
    assert play["truth"] == 1.75 and "line" not in play and "#check-num-entropy" in html


@pytest.mark.parametrize("question, where, truth", [
    ("argmax y over x", {}, 8), ("argmin y over x", {}, 0), ("argmax y over x", {"half": "low"}, 4), ("argmax y over half", {}, "high"),
    ("crossing of y at -9 over x", {}, 5), ("crossing of y at -56.5 over x", {}, 0.5), ("value of y", {"x": "6"}, -4),
])
def test_what_a_chart_shows(tiny_book, question, where, truth):
    import chart_truth

    found = chart_truth.truth({}, CHART, {"peak": 8}, chart_truth.understand(question), where)
    assert found == truth


def test_every_quiz_has_a_link_of_its_own(book, tiny_book):
    book(NUMBER + ORDER + AXIS + PICTURE)
    for name in ("quiz-page-size", "quiz-page-steps", "quiz-page-top"):
        assert f'<a class="headerlink" href="#{name}" title="Link to this quiz">#</a>' in tiny_book.html("page")


def test_the_record_lists_quizzes_and_exercises_page_by_page(book, tiny_book):
    tiny_book.extensions += ["sphinx_exercise"]
    tiny_book.page("record", "# Record\n\n```{record}\n```\n")
    exercise = "```{exercise} Try $x$\n:label: ex-page-try\nDo it.\n```\n"
    tiny_book.page("more", f"# More\n\n{exercise.replace('ex-page', 'ex-more')}")
    text = TOC.replace("page\n", "page\nmore\nrecord\n")
    tiny_book.page("page", f"# Page\n\n{exercise}{NUMBER}")
    tiny_book.page("index", text)
    tiny_book.notebook("notebooks/lab", NUMBERS)
    assert tiny_book.build() == ""
    html = tiny_book.html("record")
    assert re.findall(r'data-id="([^"]+)"><a href="([^"]+)"', html) == [
        ("ex-page-try", "page.html#ex-page-try"), ("quiz-page-size", "page.html#quiz-page-size"), ("ex-more-try", "more.html#ex-more-try")]


@pytest.mark.parametrize("text, message", [
    (NUMBER.replace("num-entropy", "num-gone"), "no check quotes the number 'num-gone'"),
    (NUMBER.replace("num-entropy", "num-unquoted"), "no check quotes the number 'num-unquoted'"),
    (NUMBER.replace("num-entropy", "1.75"), ":answer: must name a number of the ledger, num-...; got '1.75'"),
    (NUMBER.replace("num-entropy", "num-word"), "is quoted as 'twice', which holds no number"),
    (NUMBER.replace("num-entropy", "num-none"), "the number 'num-none' is 0"),
    (NUMBER.replace(":unit: bits\n", ""), ":unit: must be one of nats, bits, %, 1 (1 for a plain number); got None"),
    (NUMBER.replace(":unit: bits", ":unit: shannons"), "got 'shannons'"),
    (NUMBER.replace(":unit: bits", ":unit: bits\n:digits: 4"), "is quoted with fewer than 4 digits"),
    (NUMBER.replace(" How large\n", "\n"), "a quiz needs a title behind its name"),
    (NUMBER.replace("How large is $H$?\n", ""), "its body is empty"),
    (ORDER.replace("2. Then $b$.\n3. Last $c$.\n", ""), "an order needs at least two steps in a numbered list; got 1"),
    (AXIS.replace("lab#hill", "lab#valley") + PICTURE, "there is no explorable 'lab#valley'"),
    (AXIS.replace("lab#hill", "nowhere#hill") + PICTURE, "there is no explorable 'nowhere#hill'"),
    (AXIS, "predicts hill, which is no picture of this page"),
    (AXIS.replace("peak=8", "height=8"), "the explorable has no control 'height'; it has peak"),
    (AXIS.replace("peak=8", "peak=11"), "the control 'peak' takes 0 to 10; got 11"),
    (AXIS.replace("peak=8", "peak"), "a setting is written name=value; got 'peak'"),
    (AXIS.replace(":set: peak=8\n", ""), "a prediction needs :set:"),
    (AXIS.replace("argmax y over x", "the top"), "the truth must be 'argmax Y over X'"),
    (AXIS.replace("argmax y over x", "argmax z over x"), "the chart draws no rows with z, x"),
    (AXIS.replace("argmax y over x", "crossing of y at -9 over x").replace("peak=8", "peak=5"), "the line crosses -9 2 times"),
    (AXIS.replace("argmax y over x", "value of y"), "the chart draws several values of y at that setting; :where: must leave one"),
    (AXIS.replace("0 10 0.5", "0 5 0.5"), "what the picture shows, 8.0, does not lie on the axis 0 to 5"),
    (AXIS.replace("0 10 0.5", "0 10"), ":axis: takes its ends and a step"),
    (AXIS.replace(":label: place of x\n", ""), ":axis: needs a :label: in plain words; got ''"),
    (AXIS.replace("place of x", "place of $x$"), ":axis: needs a :label: in plain words; got 'place of $x$'"),
    (AXIS.replace(":axis: 0 10 0.5\n", ""), "needs either :axis: or a list of options"),
    (CHOICE.replace("- down: Downwards, $y$ falls.\n", ""), "the options need two or more different keys, among them what the picture shows; got up"),
    (CHOICE.replace("- up:", "- sideways:"), "the options of a change are up, down, same; got sideways, down"),
])
def test_a_quiz_that_cannot_be_asked_is_reported(book, text, message):
    found = [line for line in book(text).splitlines() if message in line]
    assert len(found) == 1 and "page" in found[0], found
    assert re.search(r"quiz '?\"?quiz-page-", found[0]), found[0]


@pytest.mark.parametrize("name, message", [
    ("quiz-other-size", "must start with 'quiz-page-'"), ("quiz-page-Größe", "must start with 'quiz-page-'"), ("size", "must start with 'quiz-page-'"),
])
def test_a_quiz_is_named_by_its_page(book, name, message):
    assert message in book(NUMBER.replace("quiz-page-size", name))


def test_two_quizzes_of_one_name_are_reported(book):
    assert "there is a quiz of that name in page" in book(NUMBER + NUMBER)


@pytest.mark.parametrize("chapter", exercises.chapters())
def test_every_chapter_asks(root, chapter):
    """Two quizzes or more, of two kinds or more."""
    text = (root / "book" / f"{chapter}.md").read_text(encoding="utf8")
    kinds = re.findall(r"(?m)^```\{(number|order|predict)\} quiz-", text)
    assert len(kinds) >= 2 and len(set(kinds)) >= 2
