"""Quizzes as a reader plays them, by hand and by keyboard, and the record that the browser keeps."""

import json
import re

import pytest
from facts import findings

MEASURES, POLICY, RECORD = "book/foundations/measures", "book/policy/why-entropy-falls", "book/progress"
DIE, GIBBS, ZERO = "quiz-measures-die", "quiz-measures-gibbs", "quiz-measures-order-zero"
BRANCH, RUNNER_UP = "quiz-why-entropy-falls-branch", "quiz-why-entropy-falls-runner-up"
STORED = "JSON.parse(localStorage.getItem('entropy-lab-record'))"


@pytest.fixture
def play(read):
    """play(page, quiz) opens a page and gives (reader, quiz)."""
    def start(page, name, **options):
        reader = read(**options)
        quiz = reader.open(page, figures=False).locator(f"#{name}")
        quiz.scroll_into_view_if_needed()
        return reader, quiz

    return start


def answer(quiz, text, unit=""):
    quiz.locator("[name=number]").fill(text)
    if quiz.locator("select").count():
        quiz.locator("select").select_option(unit)
    quiz.locator("[name=number]").press("Enter")
    return quiz.locator(".quiz-said").inner_text()


def mark(quiz):
    return quiz.locator(".quiz-mark").inner_text()


NATS, BITS = 1.6136, 2.3280  # the entropy of the die with mean 4.5


@pytest.mark.parametrize("text, unit, says, right", [
    ("1.61", "nats", "Right.", True),
    ("1,61", "nats", "Right.", True),
    ("2.33", "bits", "Right, in bits", True),
    ("1.61 nats", "bits", "Right.", True),
    ("  2,33 bits ", "", "Right, in bits", True),
    ("1.61e0", "nats", "Right.", True),
    ("0.161·10^1", "nats", "Right.", True),
    ("29/18", "nats", "Right.", True),
    ("ln 5", "nats", "Right.", True),
    ("log2(5)", "bits", "Right, in bits", True),
    ("2 ln 2.24", "nats", "Right.", True),
    ("1.61", "", "In which unit?", False),
    ("2.33", "nats", "That is the value in bits, and you said nats.", False),
    ("1.61", "bits", "That is the value in nats, and you said bits.", False),
    ("-1.61", "nats", "the sign is not", False),
    ("−1.61", "nats", "the sign is not", False),
    ("3.23", "nats", "twice", False),
    ("0.81", "nats", "half", False),
    ("16.1", "nats", "off by a factor 10.", False),
    ("0.0161", "nats", "off by a factor 1/100.", False),
    ("1.3", "nats", "No, that is not it.", False),
    ("1.12", "nats", "Off by a factor ln 2", False),
    ("1.79", "nats", "No, that is not it.", False),
    ("76 %", "nats", "This one is asked in nats.", False),
    *[(text, "nats", "That is no number.", False) for text in ("", "high", "1.2.3", "1 61", "1,234.5", "7/", "/4", "1/0", "1.61 nats nats", "alert(1)")],
])
def test_a_number_is_judged_with_its_unit(quizzes, text, unit, says, right):
    reader, quiz = quizzes
    said = answer(quiz, text, unit)
    assert says in said and quiz.locator(".quiz-said").get_attribute("data-right") == ("yes" if right else "no")
    assert quiz.locator("[name=number]").get_attribute("aria-invalid") == str(not right).lower()
    assert reader.complaints == []


@pytest.fixture(scope="module")
def quizzes(read_together):
    reader = read_together()
    return reader, reader.open(MEASURES, figures=False).locator(f"#{DIE}")


def test_other_slips_are_named(play):
    _, quiz = play(POLICY, RUNNER_UP)
    assert "the sign is not" in answer(quiz, "-0.26", "nats")
    assert "twice" in answer(quiz, "0.52", "nats")
    assert "Right" in answer(quiz, "+0.26", "nats")
    assert quiz.locator("details.quiz-answer").evaluate("d => d.open")


def test_a_plain_number_is_not_told_of_logarithms(play):
    _, quiz = play("book/policy/branching", "quiz-branching-pull")
    assert answer(quiz, "0.139") == "No, that is not it."
    assert "Right" in answer(quiz, "0.2")


def test_a_right_answer_is_passed_and_stays_so(play):
    reader, quiz = play(MEASURES, DIE)
    assert mark(quiz) == ""
    answer(quiz, "1.6", "nats")
    assert mark(quiz).startswith("✓ passed 20")
    quiz.locator("summary", has_text="Show the answer").click()
    quiz.locator("summary", has_text="Show the answer").click()
    assert mark(quiz).startswith("✓ passed 20")
    reader.tab.wait_for_timeout(300)  # a browser writes what it keeps a little later
    reader.tab.reload()
    reader.settle(figures=False)
    assert mark(quiz).startswith("✓ passed 20")
    assert reader.complaints == [] and reader.outside == []


def test_an_answer_that_was_looked_up_is_seen_and_not_passed(play):
    reader, quiz = play(MEASURES, DIE)
    quiz.locator("summary", has_text="Show the answer").press("Enter")
    assert "1.6136 nats, which is 2.33 bits." in quiz.locator(".quiz-answer").inner_text()
    reader.tab.wait_for_function(f"document.querySelector('#{DIE} .quiz-mark').textContent.startsWith('answer seen')")
    answer(quiz, "1.61", "nats")
    assert mark(quiz).startswith("✓ passed")


def test_hints_unfold_one_by_one(play):
    _, quiz = play(MEASURES, DIE)
    hints = quiz.locator(".quiz-hint")
    assert [hint.is_visible() for hint in hints.all()] == [True, False]
    quiz.locator("summary", has_text="Hint 1").press("Enter")
    assert [hint.is_visible() for hint in hints.all()] == [True, True]


ORDER = "list => [...list.children].map((item) => Number(item.dataset.place))"


def by_keyboard(quiz):
    """Bring the steps into order by their buttons alone, and leave out what does not belong."""
    for item in quiz.locator("li[data-place='-1']").all():
        item.locator(".quiz-out").press("Space")
        for _ in range(quiz.locator("li").count()):  # out of the way: what is left out counts for no place
            item.locator(".quiz-down").press("Enter")
    steps = quiz.locator("li:not([data-place='-1'])").count()
    for place in range(steps):
        button = quiz.locator(f"li[data-place='{place}'] .quiz-up")
        for _ in range(20):
            kept = [each for each in quiz.locator(".quiz-steps").evaluate(ORDER) if each >= 0]
            if kept.index(place) == place:
                break
            button.press("Enter")
            assert button.evaluate("b => b === document.activeElement"), "the focus must stay"
        else:
            pytest.fail(f"step {place} did not come to its place")


def test_steps_come_into_order_by_keyboard(play):
    reader, quiz = play(MEASURES, GIBBS)
    by_keyboard(quiz)
    assert re.search(r"[A-G] is number \d of \d\.", quiz.locator(".quiz-said").inner_text())
    quiz.get_by_role("button", name="Check the order").press("Enter")
    assert quiz.locator(".quiz-said").inner_text() == "Right: that is the derivation."
    assert mark(quiz).startswith("✓ passed") and reader.complaints == []


def test_the_first_step_out_of_place_is_named_with_its_reason(play):
    _, quiz = play(MEASURES, GIBBS)
    by_keyboard(quiz)
    quiz.locator("li[data-place='3'] .quiz-up").click()
    check = quiz.get_by_role("button", name="Check the order")
    check.click()
    letter = quiz.locator("li[data-place='3']").get_attribute("data-letter")
    assert f"The first 2 steps stand right. The first out of place is number 3, {letter}." in quiz.locator(".quiz-said").inner_text()
    reasons = [reason.is_visible() for reason in quiz.locator(".quiz-reason").all()]
    assert sum(reasons) == 1 and quiz.locator("li[data-place='3'] .quiz-reason").is_visible()
    quiz.locator("li[data-place='3'] .quiz-down").click()
    assert not quiz.locator("li[data-place='3'] .quiz-reason").is_visible()
    stray = quiz.locator("li[data-place='-1']").first
    stray.locator(".quiz-out").click()
    check.click()
    assert "it does not belong here" in quiz.locator(".quiz-said").inner_text()
    stray.locator(".quiz-out").click()
    quiz.locator("li[data-place='4'] .quiz-out").click()
    check.click()
    assert "1 of its steps are left out" in quiz.locator(".quiz-said").inner_text()
    assert mark(quiz) == ""


def test_a_step_is_pulled_by_hand(play):
    reader, quiz = play(MEASURES, GIBBS)
    before = quiz.locator(".quiz-steps").evaluate(ORDER)
    grip = quiz.locator(".quiz-letter").first
    box, last = grip.bounding_box(), quiz.locator(".quiz-steps li").nth(2).bounding_box()
    reader.tab.mouse.move(box["x"] + 8, box["y"] + 8)
    reader.tab.mouse.down()
    reader.tab.mouse.move(box["x"] + 8, last["y"] + last["height"] * 0.75, steps=12)
    reader.tab.mouse.up()
    after = quiz.locator(".quiz-steps").evaluate(ORDER)
    assert after[2] == before[0] and sorted(after) == sorted(before)
    reader.tab.mouse.move(box["x"] + 8, box["y"] + 8)
    assert quiz.locator(".quiz-steps").evaluate(ORDER) == after


def predicted(quiz):
    quiz.get_by_role("button", name="I predict this").click()


def test_a_choice_is_made_before_it_is_seen(play):
    reader, quiz = play(MEASURES, ZERO)
    predicted(quiz)
    assert quiz.locator(".quiz-said").inner_text() == "First choose one."
    quiz.get_by_label("It stays where it is.").check()
    predicted(quiz)
    assert "Now set tilt of the pmf to 2 in the picture" in quiz.locator(".quiz-said").inner_text()
    assert quiz.get_by_label("It rises.").is_disabled() and mark(quiz) == ""
    slider = reader.tab.locator("#explore-renyi-order input[type=range]")
    assert slider.get_attribute("aria-valuetext") == "0.5"
    slider.press("End")  # by hand: the answer comes when the setting is reached
    reader.tab.wait_for_function(f"document.querySelector('#{ZERO} .quiz-said').textContent === 'You foresaw it.'")
    assert mark(quiz).startswith("✓ passed") and reader.complaints == []


def test_a_wrong_choice_shows_what_the_picture_shows(play):
    reader, quiz = play(MEASURES, ZERO)
    quiz.get_by_label("It rises.").check()
    predicted(quiz)
    quiz.get_by_role("button", name="See it").click()
    assert "The picture says otherwise." in quiz.locator(".quiz-said").inner_text()
    assert "The picture shows: It stays where it is." in quiz.locator(".quiz-answer").inner_text()
    slider = reader.tab.locator("#explore-renyi-order input[type=range]")
    reader.tab.wait_for_function("document.querySelector('#explore-renyi-order input').ariaValueText === '2'")
    assert slider.get_attribute("aria-valuetext") == "2"
    reader.tab.wait_for_function(f"document.querySelector('#{ZERO} .quiz-mark').textContent.startsWith('answer seen')")


LINES = "f => [...f.querySelectorAll('.explorable-mark text')].map((t) => t.textContent)"


# How far, in px, the line of the truth is from where the band of the chart ends: at the same chance.
OFF = """f => { const right = (e) => e.getBoundingClientRect().right;
  const line = [...f.querySelectorAll('.explorable-mark path')].at(-1), band = f.querySelector('.mark-area path');
  return Math.abs(right(line) - right(band)); }"""


def test_a_place_is_chosen_on_the_slider_and_compared_with_the_chart(play):
    reader, quiz = play(POLICY, BRANCH)
    figure = reader.tab.locator("#explore-open-branch")
    reader.tab.wait_for_function("document.querySelector('#explore-open-branch').dataset.drawn")
    slider = quiz.locator("input[type=range]")
    assert slider.get_attribute("aria-valuetext") == "not chosen yet"
    predicted(quiz)
    assert quiz.locator(".quiz-said").inner_text() == "First move the slider."
    for _ in range(24):
        slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "0.74" and figure.evaluate(LINES) == ["you"]
    predicted(quiz)
    quiz.get_by_role("button", name="See it").click()
    assert quiz.locator(".quiz-said").inner_text() == "You said 0.74, the picture shows 0.75: well foreseen."
    assert figure.evaluate(LINES) == ["you", "it is here"] and mark(quiz).startswith("✓ passed")
    assert figure.evaluate(OFF) < 2, "the line stands where the chart has its place"
    reader.tab.set_viewport_size({"width": 800, "height": 900})  # drawn anew, the lines too
    reader.tab.wait_for_timeout(800)
    assert figure.evaluate(LINES) == ["you", "it is here"]
    assert reader.complaints == []


def test_a_place_is_chosen_by_a_click_on_the_chart(play):
    reader, quiz = play(POLICY, BRANCH)
    reader.tab.wait_for_function("document.querySelector('#explore-open-branch').dataset.drawn")
    canvas = reader.tab.locator("#explore-open-branch .explorable-canvas > svg").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 0.3, "y": box["height"] * 0.5})
    low = quiz.locator("input[type=range]").evaluate("s => s.valueAsNumber")
    canvas.click(position={"x": box["width"] * 0.6, "y": box["height"] * 0.5})
    high = quiz.locator("input[type=range]").evaluate("s => s.valueAsNumber")
    assert 0.1 < low < 0.35 and 0.4 < high < 0.7
    predicted(quiz)
    canvas.click(position={"x": box["width"] * 0.3, "y": box["height"] * 0.5})
    assert quiz.locator("input[type=range]").evaluate("s => s.valueAsNumber") == high, "a prediction that is made stays"
    quiz.get_by_role("button", name="See it").click()
    assert "too low" in quiz.locator(".quiz-said").inner_text()


def test_the_names_of_two_lines_at_one_height_stay_apart(play):
    reader, quiz = play("book/policy/shaping", "quiz-shaping-floor")
    reader.tab.wait_for_function("document.querySelector('#explore-ares').dataset.drawn")
    slider = quiz.locator("input[type=range]")
    slider.evaluate("s => { s.value = 0.3; s.dispatchEvent(new Event('input', { bubbles: true })); }")
    assert slider.get_attribute("aria-valuetext") == "0.30"
    predicted(quiz)
    quiz.get_by_role("button", name="See it").click()
    figure = reader.tab.locator("#explore-ares")
    assert figure.evaluate(LINES) == ["you", "it is here"]
    you, here = figure.evaluate("""f => [...f.querySelectorAll('.explorable-mark text')].map((t) => {
        const { left, right, top, bottom } = t.getBoundingClientRect(); return { left, right, top, bottom }; })""")
    assert abs(you["top"] - here["top"]) < you["bottom"] - you["top"], "both at one height, or the test tests nothing"
    assert here["right"] < you["left"]


def test_a_line_stands_in_the_middle_of_its_bar(play):
    reader, quiz = play("book/bottleneck/compression", "quiz-compression-threshold")
    reader.tab.wait_for_function("document.querySelector('#explore-dead-zone').dataset.drawn")
    quiz.locator("input[type=range]").press("ArrowLeft")
    predicted(quiz)
    quiz.get_by_role("button", name="See it").click()
    figure = reader.tab.locator("#explore-dead-zone")
    assert figure.evaluate(LINES) == ["you", "it is here"]
    off = figure.evaluate("""f => { const middle = (e) => { const box = e.getBoundingClientRect(); return box.left + box.width / 2; };
      const bars = [...f.querySelectorAll('.mark-rect.role-mark path')].filter((b) => b.getBoundingClientRect().height > 0);
      return [...f.querySelectorAll('.explorable-mark path')].map((l) => Math.min(...bars.map((b) => Math.abs(middle(b) - middle(l))))); }""")
    assert max(off) < 2


def test_every_prediction_of_the_book_can_be_seen(read, with_sign):
    """Each picture takes the settings that its quiz names."""
    for page in with_sign('data-kind="predict"'):
        reader = read()
        tab = reader.open(page, figures=False)
        for quiz in tab.locator("[data-kind=predict]").all():
            quiz.scroll_into_view_if_needed()
            chosen = quiz.locator("input").first
            chosen.press("ArrowRight") if chosen.get_attribute("type") == "range" else chosen.check()
            predicted(quiz)
            quiz.get_by_role("button", name="See it").click()
            quiz.locator(".quiz-answer[open]").wait_for()
            facts = json.loads(quiz.get_attribute("data-quiz"))
            tab.wait_for_timeout(300)
            state = tab.evaluate("(id) => document.getElementById(id).explorable.state()", facts["figure"])
            assert {key: pytest.approx(state[key]) for key in facts["set"]} == facts["set"]
        assert reader.complaints == [], page


# ---------------------------------------------------------------------- the record
def holding(reader, record):
    """A browser that has a record before the book is opened."""
    text = json.dumps(json.dumps(record))
    reader.tab.add_init_script(f"if (!localStorage.getItem('entropy-lab-record')) localStorage.setItem('entropy-lab-record', {text})")


def test_the_record_lists_marks_and_goes_from_browser_to_browser(play, read, tmp_path):
    reader, quiz = play(MEASURES, DIE)
    answer(quiz, "1.61", "nats")
    box = reader.tab.get_by_role("checkbox", name=re.compile("done: Exercise 1 "))
    box.check()
    reader.tab.get_by_role("checkbox", name=re.compile("done: Exercise 2 ")).check()
    reader.tab.get_by_role("checkbox", name=re.compile("done: Exercise 2 ")).uncheck()
    tab = reader.open(RECORD)
    page = tab.locator(".quiz-page", has_text="lattice of information")
    assert page.locator("summary .quiz-mark").inner_text().startswith("2 of ") and page.evaluate("p => p.open")
    assert tab.locator(".quiz-page[open]").count() == 1
    assert page.locator(f"[data-id={DIE}] .quiz-mark").inner_text().startswith("✓ passed 20")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Export").click()
    path = tmp_path / "record.json"
    download.value.save_as(path)
    held = json.loads(path.read_text("utf8"))
    assert held["version"] == 1 and {name: each["state"] for name, each in held["marks"].items()} == {
        DIE: "passed", "ex-measures-units": "done"}
    assert reader.complaints == [] and reader.outside == []

    other = read()
    holding(other, {"version": 1, "marks": {
        DIE: {"state": "seen", "on": "2020-01-01"}, "ex-measures-units": {"state": "done", "on": "2020-01-02"},
        GIBBS: {"state": "passed", "on": "2020-01-03"}}})
    tab = other.open(RECORD)
    tab.locator("[name=import]").set_input_files(path)
    tab.locator(".quiz-said", has_text="Merged: 0 new marks, 3 in all.").wait_for()
    kept = tab.evaluate(STORED)["marks"]
    assert kept[DIE] == held["marks"][DIE] and kept["ex-measures-units"]["on"] == "2020-01-02" and kept[GIBBS]["state"] == "passed"


@pytest.mark.parametrize("text, says", [
    ("no json", "it is not JSON"), ("[]", "it needs version 1"), ('{"version": 2, "marks": {}}', "it needs version 1"),
    ('{"version": 1, "marks": []}', "it needs version 1"),
    ('{"version": 1, "marks": {"quiz-a-b": {"state": "won", "on": "2026-01-01"}}}', "the mark quiz-a-b cannot be read"),
    ('{"version": 1, "marks": {"<b>": {"state": "done", "on": "2026-01-01"}}}', "the mark <b> cannot be read"),
    ('{"version": 1, "marks": {"ex-a": {"state": "done", "on": "yesterday"}}}', "the mark ex-a cannot be read"),
])
def test_a_file_that_is_no_record_gets_one_line(read, tmp_path, text, says):
    reader = read()
    holding(reader, {"version": 1, "marks": {"ex-measures-units": {"state": "done", "on": "2026-01-01"}}})
    tab = reader.open(RECORD)
    (tmp_path / "file.json").write_text(text, "utf8")
    tab.locator("[name=import]").set_input_files(tmp_path / "file.json")
    tab.locator(".quiz-said", has_text=says).wait_for()
    assert list(tab.evaluate(STORED)["marks"]) == ["ex-measures-units"] and reader.complaints == []


def test_the_record_is_erased_only_when_confirmed(play):
    reader, quiz = play(MEASURES, DIE)
    answer(quiz, "1.61", "nats")
    tab = reader.open(RECORD)
    tab.once("dialog", lambda dialog: dialog.dismiss())
    tab.get_by_role("button", name="Erase").click()
    assert tab.evaluate(STORED)["marks"]
    tab.once("dialog", lambda dialog: dialog.accept())
    tab.get_by_role("button", name="Erase").click()
    tab.locator(".quiz-said", has_text="erased").wait_for()
    assert tab.evaluate(STORED)["marks"] == {}


def test_where_nothing_may_be_kept_one_line_says_so(read):
    reader = read()
    reader.tab.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })")
    reader.open("book/errata")
    elsewhere = list(reader.complaints)  # what the theme makes of it
    reader.complaints.clear()
    tab = reader.open(MEASURES, figures=False)
    quiz = tab.locator(f"#{DIE}")
    assert tab.locator("text=This browser keeps nothing").count() == 0, "nobody has asked yet"
    assert answer(quiz, "1.61", "nats") == "Right." and mark(quiz).startswith("✓ passed")
    tab.get_by_role("checkbox", name=re.compile("done: Exercise 1 ")).check()
    assert tab.locator("text=This browser keeps nothing").count() == 1
    assert reader.complaints == elsewhere


def test_a_record_of_another_edition_is_left_as_it_is(read):
    reader = read()
    holding(reader, {"version": 9})
    tab = reader.open(RECORD)
    tab.locator("text=it is left as it is").wait_for()
    tab = reader.open(MEASURES, figures=False)
    answer(tab.locator(f"#{DIE}"), "1.61", "nats")
    assert tab.evaluate(STORED) == {"version": 9}


# ---------------------------------------------------------------------- for every reader
def test_without_scripts_the_question_stands_and_the_answer_is_folded(read, site):
    tab = read(java_script_enabled=False).tab
    tab.goto((site / f"{MEASURES}.html").as_uri())
    for name in (DIE, GIBBS, ZERO):
        quiz = tab.locator(f"#{name}")
        assert quiz.locator(".quiz-question").is_visible() and quiz.locator("summary", has_text="Show the answer").is_visible()
        assert not quiz.locator(".quiz-words").is_visible()
        assert not [each for each in quiz.locator("form, button").all() if each.is_visible()]
    assert tab.locator(f"#{GIBBS} .quiz-step").first.is_visible()
    assert tab.locator("[data-done]").count() == 0


def test_on_paper_stand_question_and_answer_and_no_buttons(play):
    reader, quiz = play(MEASURES, GIBBS)
    reader.tab.emulate_media(media="print")
    for name in (DIE, GIBBS, ZERO):
        quiz = reader.tab.locator(f"#{name}")
        assert quiz.locator(".quiz-question").is_visible()
        assert not [each for each in quiz.locator("form, button, .quiz-said").all() if each.is_visible()]
    assert not reader.tab.locator("[data-done]").first.is_visible()


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing_while_a_quiz_is_played(play, width, scheme):
    reader, quiz = play(MEASURES, DIE, width=width, scheme=scheme)
    answer(quiz, "2.33", "nats")
    gibbs = reader.tab.locator(f"#{GIBBS}")
    gibbs.locator(".quiz-out").first.click()
    gibbs.get_by_role("button", name="Check the order").click()
    zero = reader.tab.locator(f"#{ZERO}")
    zero.get_by_label("It rises.").check()
    predicted(zero)
    answer(quiz, "1.61", "nats")
    assert findings(reader.tab) == []


def test_axe_finds_nothing_on_a_record_with_marks(play):
    reader, quiz = play(MEASURES, DIE)
    answer(quiz, "1.61", "nats")
    tab = reader.open(RECORD)
    tab.evaluate("for (const page of document.querySelectorAll('.quiz-page')) page.open = true")
    assert findings(tab) == []
