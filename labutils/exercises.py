"""Exercises that answer back: feedback that tries properties of a reader's function, never its values against ours.

Used by the exercise notebook of every chapter; explained in "How to use this book". It has no units of
its own. A property is a sentence, a test, the cases to try it on, and a word for who breaks it:

    feedback(entropy_bits,
             holds("n equal outcomes carry log2 n bits", lambda f, n: near(f(np.full(n, 1 / n)), np.log2(n)), [1, 2, 8],
                   why="Which base has your logarithm?"))
"""

import inspect
from dataclasses import dataclass

import numpy as np

SHOWN = 2
"""Calls of the reader's function that a broken property shows: the last ones."""


class _Nothing(Exception):
    """The function returned None or an ellipsis: it is not written yet."""


class _Changed(Exception):
    """The function changed what it was given."""


@dataclass(frozen=True)
class Property:
    """A sentence that is true of every right answer, and how it is tried; made by `holds`."""

    sentence: str
    test: object
    cases: tuple
    why: str = ""


def holds(sentence, test, cases=None, why=""):
    """A property of a right answer.

    sentence  what must be true, for the reader
    test      f -> true or false; with cases f, case -> true or false (a tuple is spread: f, *case)
    cases     what to try it on; the first that fails is shown
    why       what to look at when it is broken

    Errors: ValueError for an empty sentence or no cases, TypeError for a test that cannot be called.
    """
    if not isinstance(sentence, str) or not sentence.strip():
        raise ValueError(f"sentence must be a text that is not empty; got {sentence!r}")
    if not callable(test):
        raise TypeError(f"test must be a function of the answer; got {test!r}")
    given = ((),) if cases is None else tuple(case if isinstance(case, tuple) else (case,) for case in cases)
    if not given:
        raise ValueError("cases must not be empty; leave it out for a test of the answer alone")
    return Property(sentence, test, given, why)


def near(a, b, tol=1e-9):
    """True if a and b have one shape (b may be a number) and differ by at most tol (1 + |b|) everywhere; NaN is near nothing.

    Complex numbers are compared as such: one with an imaginary part is not near a real one.
    """
    a, b = (np.asarray(x, dtype=complex if np.iscomplexobj(x) else float) for x in (a, b))
    if b.ndim and a.shape != b.shape:
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.all((a == b) | np.isfinite(b) & (np.abs(a - b) <= tol * (1 + np.abs(b)))))


@dataclass(frozen=True)
class Report:
    """What feedback found: its text is what a notebook shows, `broken` the sentences that did not hold."""

    lines: tuple
    broken: tuple

    @property
    def passed(self):
        return not self.broken

    def __repr__(self):
        return "\n".join(self.lines)

    def require(self):
        """For graders: the report if every property holds, AssertionError with its text if one does not."""
        if not self.passed:
            raise AssertionError(f"\n{self!r}")
        return self


def feedback(answer, *properties):
    """Try every property on a reader's function and give a Report: which hold, which break, and for what input.

    answer      the function; it gets copies of arrays, lists and dictionaries, and one that changes them is told so
    properties  as made by `holds`

    Errors: TypeError for an answer that cannot be called or a property that `holds` did not make; what
    the answer itself raises is part of the report.
    """
    if not callable(answer):
        raise TypeError(f"answer must be a function; got {answer!r}")
    if not properties:
        raise TypeError("properties must not be empty; make them with holds(...)")
    lines, broken = [], []
    for prop in properties:
        if not isinstance(prop, Property):
            raise TypeError(f"properties must be made with holds(...); got {prop!r}")
        try:
            complaint = _first_failure(answer, prop)
        except (_Nothing, _Changed) as found:
            name = getattr(answer, "__name__", "the function")
            line = (f"Nothing is returned yet: write {name} above, and run both cells again." if isinstance(found, _Nothing)
                    else f"{found} changes its argument: work on a copy.")
            return Report((line,), tuple(p.sentence for p in properties))
        if complaint is None:
            lines.append(f"✓ {prop.sentence}")
        else:
            broken.append(prop.sentence)
            lines += [f"✗ {prop.sentence}", *("    " + line for line in complaint)]
    held = len(properties) - len(broken)
    lines.append("All properties hold." if not broken else f"{held} of {len(properties)} properties hold.")
    return Report(tuple(lines), tuple(broken))


def _first_failure(answer, prop):
    """None if the property holds, else lines that say for what input it does not."""
    for case in prop.cases:
        calls = []
        watched = _watched(answer, calls)
        try:
            if prop.test(watched, *_copied(case)):
                continue
        except (_Nothing, _Changed):
            raise
        except Exception as error:  # noqa: BLE001 the reader's function may raise anything
            inside = calls and calls[-1][2] is _UNFINISHED
            said = f"{type(error).__name__}: {error}"
            return [f"{calls[-1][0]}({calls[-1][1]}) stops with {said}" if inside else f"what it gives cannot be used here ({said})",
                    *([] if inside else _shown(calls))]
        return [*(_shown(calls) or [f"for {', '.join(map(_short, case))}"]), *([prop.why] if prop.why else [])]
    return None


_UNFINISHED = object()


def _watched(answer, calls, name=None):
    """The answer, with its calls noted as [name, arguments, result] and its arguments kept from change.

    Arrays, lists and dictionaries are copied; a generator or a network is handed on as it is. A function that
    the answer returns is watched too, an object that can be called is not.
    """
    name = name or getattr(answer, "__name__", "your function")

    def call(*args, **kwargs):
        text = ", ".join([*map(_short, args), *(f"{k}={_short(v)}" for k, v in kwargs.items())])
        calls.append([name, text, _UNFINISHED])
        own = _copied((args, kwargs))
        result = answer(*own[0], **own[1])
        if result is None or result is Ellipsis:
            raise _Nothing
        if not _same(own, (args, kwargs)):
            raise _Changed(f"{name}({text})")
        calls[-1][2] = result
        return _watched(result, calls, f"{name}({text})") if inspect.isroutine(result) else result

    return call


def _copied(value):
    if type(value) in (tuple, list):
        return type(value)(map(_copied, value))
    if type(value) is dict:
        return {key: _copied(each) for key, each in value.items()}
    return value.copy() if isinstance(value, np.ndarray) else value


def _same(a, b):
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and bool(np.all((a == b) | ((a != a) & (b != b))))
    return callable(a) or not isinstance(a, (bool, int, float, complex, str)) or a == b or a != a


def _shown(calls):
    said = dict.fromkeys(f"{name}({text}) gives {_short(result)}" for name, text, result in calls if result is not _UNFINISHED)
    return list(said)[-SHOWN:]


def _short(value):
    """A value on one line of at most 100 characters."""
    if isinstance(value, (tuple, list)) and any(isinstance(v, np.ndarray) for v in value):
        return "(" + ", ".join(map(_short, value)) + ")"
    if isinstance(value, (np.ndarray, list, tuple)):
        try:
            array = np.asarray(value)
            if array.ndim and array.dtype != object:
                text = np.array2string(array, precision=4, threshold=12, edgeitems=3, suppress_small=False, separator=", ")
                text = " ".join(text.split())
                return text if len(text) <= 100 else f"an array of shape {array.shape} that begins {' '.join(text.split()[:4])} ..."
        except ValueError:
            pass
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    if callable(value):
        return getattr(value, "__name__", "a function").replace("<lambda>", "a function")
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else text[:97] + "..."
