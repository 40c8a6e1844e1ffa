"""The ledger: one line in a notebook that ties a result to a labelled equation or claim.

Explained in the chapter "How to use this book". A check passes only if the right value passes
and every wrong variant fails; it has no units of its own, the compared quantities carry them.
"""

import json
import re
import sys
from dataclasses import asdict, dataclass, field

import numpy as np

MIME = "application/vnd.entropylab.check+json"
LABEL = re.compile(r"(eq|claim|num)(-[a-z0-9]+)+")

ledger = []
"""All records of this session, in order."""


class CheckError(AssertionError):
    """A check did not hold: the right value failed, or a wrong variant passed."""


@dataclass(frozen=True)
class Record:
    """What a passed check leaves behind; the book builds its badges from these."""

    label: str
    kind: str
    rule: str
    caught: list = field(default_factory=list)
    margin: str = ""
    quote: str | None = None

    def line(self):
        """The one line a reader sees, the same to the byte on every machine."""
        text = f"✓ {self.label}: {self.kind}, {self.rule}; caught: {', '.join(self.caught)} ({self.margin} margin)"
        return text + (f"; quoted as {self.quote}" if self.quote is not None else "")

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": self.line(), MIME: json.loads(json.dumps(asdict(self)))}


def equal(label, got, want, tol, wrong, quote=None):
    """An exact identity: max |got - want| <= tol, in absolute terms.

    label   the equation or claim, such as "eq-entropy-covariance"
    got, want   numbers or arrays of one shape (want may be a scalar); NumPy or torch
    tol     absolute tolerance >= 0, in the units of got
    wrong   {name: wrong value of want}; each must miss by more than tol somewhere
    quote   a format such as "{:.2f}" for a number that the prose quotes (got must be a scalar)

    Errors: CheckError when it does not hold; ValueError for NaN, shapes that differ, no wrong variant.
    """
    _common(label, wrong)
    tol = _nonnegative("tol", tol)
    got, want = _array("got", got), _array("want", want)
    error = _distance("want", got, want)
    if not error <= tol:
        raise CheckError(f"{label}: |got - want| = {error:.3g} exceeds tol = {tol:g} (got {_show(got)}, want {_show(want)})")
    misses = {name: _distance(f"wrong[{name!r}]", got, _array(name, value)) for name, value in wrong.items()}
    for name, miss in misses.items():
        if not miss > tol:
            raise CheckError(f"{label}: the wrong variant {name!r} passes too: it misses by {miss:.3g}, tol = {tol:g}")
    return _passed(label, "equal", f"to {tol:g}", misses, tol, _quote(quote, got))


def order(label, h, error, order, tol=0.1, *, wrong, quote=None):
    """A convergence order: the slope of log error on log h is `order` within `tol`.

    h, error   positive arrays [n], n >= 3: the step and the error at that step
    wrong      {name: error array of a wrong formula}; its slope must be off by more than tol

    Errors: CheckError when the slope is off or a wrong one is not; ValueError for bad arrays.
    """
    _common(label, wrong)
    tol = _nonnegative("tol", tol)
    slope = _slope("error", h, error)
    if not abs(slope - order) <= tol:
        raise CheckError(f"{label}: slope {slope:.4f} is not {order} within {tol}")
    slopes = {name: _slope(f"wrong[{name!r}]", h, values) for name, values in wrong.items()}
    for name, value in slopes.items():
        if not abs(value - order) > tol:
            raise CheckError(f"{label}: the wrong variant {name!r} has slope {value:.4f}, also {order} within {tol}")
    misses = {name: abs(value - order) for name, value in slopes.items()}
    return _passed(label, "order", f"slope {order:g} within {tol:g}", misses, tol, _quote(quote, slope))


def bound(label, values, lower=None, upper=None, slack=0.0, *, wrong, quote=None):
    """A bound that no draw violates: lower - slack <= values <= upper + slack.

    values        array of N random draws
    lower, upper  numbers or arrays of the shape of values; at least one of them
    slack         for rounding only, >= 0
    wrong         {name: values that should break the bound}; each must break it at least once
    quote         formats the value nearest to the bound (max for upper, min for lower)

    Errors: CheckError when a draw violates it or a wrong variant never does.
    """
    _common(label, wrong)
    slack = _nonnegative("slack", slack)
    if lower is None and upper is None:
        raise ValueError("bound needs lower or upper; got neither")
    values = _array("values", values)
    excess = _excess("values", values, lower, upper)
    if not excess <= slack:
        raise CheckError(f"{label}: a draw of {values.size} violates the bound by {excess:.3g} (slack {slack:g})")
    misses = {name: _excess(f"wrong[{name!r}]", _array(name, value), lower, upper) for name, value in wrong.items()}
    for name, miss in misses.items():
        if not miss > slack:
            raise CheckError(f"{label}: the wrong variant {name!r} never violates the bound")
    extreme = values.max() if upper is not None else values.min()
    rule = f"never violated in {values.size} draws"
    return _passed(label, "bound", rule, misses, max(slack, 1e-12), _quote(quote, extreme))


def close(label, samples, want, sigmas=4.0, *, wrong, quote=None):
    """A statistical estimate: |mean(samples) - want| <= sigmas standard errors over the seeds.

    samples  array [n], n >= 4: one independent estimate a seed
    wrong    {name: wrong value of want}; each must lie outside, which shows that the test has power

    Errors: CheckError when the mean is too far off or a wrong want is not.
    """
    _common(label, wrong)
    mean, width, n = _mean_and_error("samples", samples)
    width *= _positive("sigmas", sigmas)
    if width == 0:
        raise ValueError("samples must vary over the seeds; all are equal (use equal for exact values)")
    error = _distance("want", mean, _array("want", want))
    if not error <= width:
        raise CheckError(f"{label}: mean {mean:.6g} over {n} seeds is {error:.3g} from {want}, allowed {width:.3g}")
    misses = {name: _distance(name, mean, _array(name, value)) for name, value in wrong.items()}
    for name, miss in misses.items():
        if not miss > width:
            raise CheckError(f"{label}: the wrong value {name!r} = {wrong[name]} lies within {width:.3g} of the mean too")
    return _passed(label, "close", f"within {sigmas:g} standard errors over {n} seeds", misses, width, _quote(quote, mean))


def direction(label, differences, margin=0.0, *, wrong, quote=None):
    """A claimed effect over paired seeds: mean - 2 standard errors > margin.

    differences  array [n], n >= 4: treatment minus control, one pair a seed
    wrong        {name: differences in which the effect must not show, such as a random control}

    Errors: CheckError when the effect is not carried by the seeds or shows in a wrong variant.
    """
    _common(label, wrong)
    mean, error, n = _mean_and_error("differences", differences)
    floor = mean - 2 * error
    if not floor > margin:
        raise CheckError(f"{label}: mean {mean:.4g} - 2 s.e. = {floor:.4g} over {n} seeds does not exceed {margin:g}")
    misses = {}
    for name, values in wrong.items():
        wrong_mean, wrong_error, _ = _mean_and_error(f"wrong[{name!r}]", values)
        if wrong_mean - 2 * wrong_error > margin:
            raise CheckError(f"{label}: the wrong variant {name!r} shows the effect too (mean {wrong_mean:.4g})")
        misses[name] = mean - wrong_mean
    rule = f"mean minus 2 standard errors over {n} paired seeds exceeds {margin:g}"
    return _passed(label, "direction", rule, misses, 2 * error, _quote(quote, mean))


def symbolic(label, expression, wrong, quote=None):
    """A proof by sympy: the expression simplifies to 0 and no wrong one does.

    expression   a sympy expression (or a list of them), the difference of both sides
    wrong        {name: expression that must not vanish}

    Errors: CheckError with what is left over; ModuleNotFoundError without sympy.
    """
    from labutils.runtime import need

    sympy = need("sympy")
    _common(label, wrong)

    def residue(expressions):
        expressions = expressions if isinstance(expressions, (list, tuple)) else [expressions]
        left = [sympy.simplify(sympy.sympify(e)) for e in expressions]
        return [e for e in left if e != 0]

    if left := residue(expression):
        raise CheckError(f"{label}: sympy leaves {left[0]}")
    for name, value in wrong.items():
        if not residue(value):
            raise CheckError(f"{label}: the wrong variant {name!r} vanishes too")
    return _passed(label, "symbolic", "proved by sympy", dict.fromkeys(wrong, np.inf), 1.0, _quote(quote, 0))


def _passed(label, kind, rule, misses, unit, quoted):
    ratio = min(misses.values()) / unit if unit > 0 else np.inf
    margin = "narrow" if ratio < 10 else "clear" if ratio < 1000 else "wide"
    record = Record(label, kind, rule, sorted(misses), margin, quoted)
    ledger.append(record)
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        ipython.display.display(record)
    else:
        print(record.line())


def _common(label, wrong):
    if not isinstance(label, str) or not LABEL.fullmatch(label):
        raise ValueError(f"label must look like eq-..., claim-... or num-...; got {label!r}")
    if not isinstance(wrong, dict) or not wrong:
        raise ValueError(f"wrong must name at least one wrong variant, as {{name: value}}; got {wrong!r}")


def _array(name, value):
    if hasattr(value, "detach"):
        value = value.detach().cpu().resolve_conj().numpy()
    array = np.asarray(value)
    if array.dtype == object or array.dtype.kind not in "biufc":
        raise ValueError(f"{name} must be numbers; got {value!r}")
    array = array.astype(complex if array.dtype.kind == "c" else float)
    if array.size == 0:
        raise ValueError(f"{name} must not be empty; got shape {array.shape}")
    if np.isnan(array).any():
        raise ValueError(f"{name} must not contain NaN; got {_show(array)}")
    return array


def _distance(name, got, want):
    got = np.asarray(got)
    if want.shape not in ((), got.shape):
        raise ValueError(f"{name} must have the shape {got.shape} of got or be a scalar; got {want.shape}")
    equal_infinite = np.isinf(got) & (got == want)
    with np.errstate(invalid="ignore"):
        return float(np.max(np.where(equal_infinite, 0.0, np.abs(got - want))))


def _slope(name, h, error):
    h, error = _array("h", h), _array(name, error)
    if h.ndim != 1 or h.shape != error.shape or h.size < 3:
        raise ValueError(f"h and {name} must be arrays of one length >= 3; got {h.shape} and {error.shape}")
    if not ((h > 0).all() and (error > 0).all()):
        raise ValueError(f"h and {name} must be positive; got minima {h.min():.3g} and {error.min():.3g}")
    return float(np.polyfit(np.log(h), np.log(error), 1)[0])


def _excess(name, values, lower, upper):
    parts = []
    for bound_name, limit, sign in (("lower", lower, -1), ("upper", upper, 1)):
        if limit is not None:
            limit = _array(bound_name, limit)
            if limit.shape not in ((), values.shape):
                raise ValueError(f"{bound_name} must have the shape {values.shape} of {name}; got {limit.shape}")
            parts.append(np.max(sign * (values - limit)))
    return float(max(parts))


def _mean_and_error(name, values):
    values = _array(name, values)
    if values.ndim != 1 or values.size < 4:
        raise ValueError(f"{name} must be a list over at least 4 seeds; got shape {values.shape}")
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size)), values.size


def _nonnegative(name, value):
    if not value >= 0:
        raise ValueError(f"{name} must be >= 0; got {value!r}")
    return float(value)


def _positive(name, value):
    if not value > 0:
        raise ValueError(f"{name} must be > 0; got {value!r}")
    return float(value)


def _quote(form, value):
    if form is None:
        return None
    if np.size(value) != 1:
        raise ValueError(f"quote needs a scalar; got shape {np.shape(value)}")
    text = form.format(float(np.asarray(value).reshape(())))
    if text == form:
        raise ValueError(f"quote must contain a field such as {{:.2f}}; got {form!r}")
    return text


def _show(array):
    return f"{array.item():.6g}" if array.size == 1 else np.array2string(array.ravel()[:4], precision=6)
