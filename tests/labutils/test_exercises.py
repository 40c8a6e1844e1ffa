"""Feedback on a reader's function: what holds, what breaks, for what input, and what a reader may do wrong."""

import numpy as np
import pytest

from labutils.exercises import feedback, holds, near

DOUBLE = holds("it doubles", lambda f, x: near(f(x), 2 * np.asarray(x)), [1.0, np.array([1.0, 2.0])], why="Add it to itself.")


def test_a_right_answer_passes():
    found = feedback(lambda x: 2 * x, DOUBLE, holds("it is odd", lambda f: f(-1) == -f(1)))
    assert found.passed and repr(found) == "✓ it doubles\n✓ it is odd\nAll properties hold."
    found.require()


def test_a_wrong_answer_is_told_which_property_broke_and_for_what_input():
    def square(x):
        return np.asarray(x) ** 2 + 1.0

    found = feedback(square, holds("it is even", lambda f, x: near(f(x), f(-x)), [1.0]), DOUBLE)
    assert found.broken == ("it doubles",)
    assert repr(found).splitlines() == ["✓ it is even", "✗ it doubles", "    square([1., 2.]) gives [2., 5.]", "    Add it to itself.",
                                        "1 of 2 properties hold."]
    with pytest.raises(AssertionError, match="it doubles"):
        found.require()


@pytest.mark.parametrize("answer", [lambda x: None, lambda x: ...])
def test_a_stub_is_told_that_nothing_is_returned(answer):
    found = feedback(answer, DOUBLE)
    assert not found.passed and "Nothing is returned yet" in repr(found) and found.broken == ("it doubles",)


def test_an_error_of_the_answer_is_reported_with_its_input():
    def broken(x):
        return 1 / 0

    assert "broken(1) stops with ZeroDivisionError: division by zero" in repr(feedback(broken, DOUBLE))


def test_a_result_that_cannot_be_used_is_shown():
    text = repr(feedback(lambda x: "two", DOUBLE))
    assert "cannot be used here" in text and "'two'" in text


def test_an_answer_that_changes_its_argument_is_told_so_and_cannot_spoil_the_next_case():
    def inplace(x):
        x *= 2
        return x

    case = np.array([1.0, 2.0])
    found = feedback(inplace, holds("it doubles", lambda f, x: near(f(x), 2 * x), [case]))
    assert repr(found) == "inplace([1., 2.]) changes its argument: work on a copy." and case.tolist() == [1.0, 2.0] and not found.passed


def test_an_exception_gets_no_word_on_what_it_is_not():
    assert "Add it to itself" not in repr(feedback(lambda x: 1 / 0, DOUBLE))


def test_a_function_that_is_returned_is_watched_too():
    def shift(g, by):
        return lambda x: g(x + by)

    text = repr(feedback(shift, holds("it shifts back", lambda f, g: near(f(g, 1)(2.0), g(1.0)), [np.square])))
    assert "shift(square, 1)(2) gives 9" in text


def test_a_generator_is_handed_on_and_an_object_comes_back_as_it_is():
    class Law:
        mean = 0.5

        def __call__(self, x):
            return x

    rng = np.random.default_rng(0)
    draws = lambda r: r.normal()
    assert feedback(draws, holds("two draws differ", lambda f: f(rng) != f(rng))).passed
    assert feedback(lambda: Law(), holds("it keeps its mean", lambda f: f().mean == 0.5)).passed


@pytest.mark.parametrize("case, inside", [([1.0, [2.0]], 1), ({"a": [1.0]}, "a"), (([1.0],), 0)])
def test_what_lies_inside_is_kept_from_change_too(case, inside):
    def spoil(box):
        box[inside].append(9.0)
        return 1.0

    found = feedback(spoil, holds("it is 1", lambda f: f(case) == 1))
    assert "changes its argument" in repr(found) and "9.0" not in repr(case)


def test_the_same_call_is_shown_once():
    assert repr(feedback(lambda: 2, holds("it is 1", lambda f: f() == 1 or f() == 1))).count("gives 2") == 1


def test_cases_that_are_tuples_are_spread():
    assert feedback(np.add, holds("it adds", lambda f, a, b, c: f(a, b) == c, [(1, 2, 3), (2, 2, 4)])).passed


def test_functions_may_be_arguments():
    found = feedback(lambda g: g(2), holds("it calls", lambda f, g: f(g) == 4, [lambda x: x * x, lambda x: x + 3]))
    assert "gives 5" in repr(found) and "<lambda>" not in repr(found).split("gives")[0].split("(", 1)[1]


def test_long_input_is_shown_short():
    text = repr(feedback(lambda x: x, holds("it sorts", lambda f, x: near(f(x), np.sort(x)), [np.arange(1000.0)[::-1]])))
    assert max(map(len, text.splitlines())) < 240 and "..." in text


@pytest.mark.parametrize("a, b, same", [
    (1, 1 + 1e-12, True), (1, 1.001, False), (np.nan, np.nan, False), (np.inf, np.inf, True), (np.inf, -np.inf, False),
    (1 + 1e-12j, 1, True), (1 + 5j, 1, False), (1, 1 + 5j, False), (1 + 5j, 1 + 5j, True),
    ([1, 2], [1, 2], True), ([1, 2], [[1, 2]], False), ([2, 2], 2, True), (1e12, 1e12 + 1, True)])
def test_near(a, b, same):
    assert near(a, b) is same


@pytest.mark.parametrize("call, error, message", [
    (lambda: feedback(3, DOUBLE), TypeError, "answer must be a function"),
    (lambda: feedback(abs), TypeError, "properties must not be empty"),
    (lambda: feedback(abs, "it doubles"), TypeError, "made with holds"),
    (lambda: holds("", abs), ValueError, "sentence must be a text"),
    (lambda: holds("it is", 3), TypeError, "test must be a function"),
    (lambda: holds("it is", abs, []), ValueError, "cases must not be empty")])
def test_bad_use_is_one_clear_line(call, error, message):
    with pytest.raises(error, match=message):
        call()
