"""Where to put points: cubic splines that choose their own knots, and what the choice can save.

Taught in the chapter "Where to put the points" (waves/knots).
Units: those of the function and of its argument; entropies in nats.
"""

import math
from typing import Any, Callable, NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from labutils._inputs import number, positive, whole


class Knots(NamedTuple):
    """spline (callable), x and y [K] its knots, evaluations of f (each is a knot), rounds of bisection."""

    spline: Callable
    x: Any
    y: Any
    evaluations: int
    rounds: int


def choose(f, low, high, tol, *, scale=0.0, start=6, refine=0, most=200_000):
    """A cubic spline (not-a-knot) through knots that are added until each bin passes two tests at its midpoint m:

    |s(m) - f(m)| <= tol (|f(m)| + scale)
    |int s - width (f(l) + 4 f(m) + f(r)) / 6| <= tol (|width (f(l) + 4 f(m) + f(r)) / 6| + scale width)

    The second is nearly the first again: Simpson's rule is exact for the cubic s, so int s minus the sum is
    2/3 of (s(m) - f(m)) width. It is stricter only where f changes its sign inside the bin.

    Every midpoint becomes a knot, whether its bin passes or not; the halves of a bin that passes are not
    asked again. So no evaluation is lost, and nothing outside the midpoints is ever looked at.

    f       takes an array [n], returns an array [n]
    scale   what counts as 0 in the relative tests; a function with zeros needs it > 0
    start   equally spaced knots to begin with, at least 4
    refine  times that all bins are asked once more after they have passed
    most    evaluations at most

    Errors: ValueError for low >= high, a tol outside (0, 1), a negative scale, an f that returns another
    shape or something not finite (the place is named); RuntimeError when `most` is reached.
    Source: chapter waves/knots; Vitenti and others (2025).
    """
    low, high = (number(name, v, "must be finite", math.isfinite) for name, v in (("low", low), ("high", high)))
    if not low < high:
        raise ValueError(f"low must lie below high; got {low:g} and {high:g}")
    tol = number("tol", tol, "must lie strictly between 0 and 1", lambda v: 0 < v < 1)
    scale = number("scale", scale, "must be finite and >= 0", lambda v: 0 <= v < math.inf)
    start, refine, most = whole("start", start, 4), whole("refine", refine, 0), whole("most", most, 5)
    x = np.linspace(low, high, start)
    y = _called(f, x)
    open_ = np.ones(start - 1, dtype=bool)
    rounds, left = 0, refine
    while True:
        if not open_.any():
            if not left:
                return Knots(CubicSpline(x, y), x, y, len(x), rounds)
            left, open_ = left - 1, np.ones(len(x) - 1, dtype=bool)
        if len(x) + open_.sum() > most:
            raise RuntimeError(f"most = {most} evaluations do not suffice for tol = {tol:g}: {open_.sum()} bins are open near"
                               f" {x[:-1][open_][0]:g}; raise scale, tol or most")
        spline, place = CubicSpline(x, y), np.flatnonzero(open_)
        l, r = x[place], x[place + 1]
        m, h = 0.5 * (l + r), r - l
        if not np.all((l < m) & (m < r)):
            raise RuntimeError(f"bins near {m[~((l < m) & (m < r))][0]:g} cannot be halved any more: f jumps there, or scale is too small")
        f_m = _called(f, m)
        simpson = h * (y[place] + 4 * f_m + y[place + 1]) / 6
        a, b, c, d = spline.c[:, place]                # of (x - l)³, ..., 1 in each bin
        integral = h * (d + h * (c / 2 + h * (b / 3 + h * a / 4)))
        passes = (abs(spline(m) - f_m) <= tol * (abs(f_m) + scale)) & (
            abs(integral - simpson) <= tol * (abs(simpson) + scale * h))
        x, y = np.insert(x, place + 1, m), np.insert(y, place + 1, f_m)
        state = open_.copy()
        state[place] = ~passes                        # both halves of a bin take its verdict
        open_ = np.repeat(state, np.where(open_, 2, 1))
        rounds += 1


def worst(knots, f, points=20):
    """The largest |s - f| and the largest |s - f| / |f| (over f != 0) at `points` places inside every bin.

    Errors: ValueError for a number of points < 1 or an f that is not finite.
    """
    points = whole("points", points, 1)
    share = np.arange(1, points + 1) / (points + 1)
    x = (knots.x[:-1, None] + np.diff(knots.x)[:, None] * share).reshape(-1)
    truth = _called(f, x)
    off = abs(knots.spline(x) - truth)
    return float(off.max()), float(np.max(off[truth != 0] / abs(truth[truth != 0]))) if np.any(truth != 0) else math.nan


def bound(width, fourth):
    """Largest error of a cubic spline with knots `width` apart: (5/384) h⁴ max |f''''| (complete spline).

    Far from the ends, where f'''' hardly changes over a bin, the error in its middle is h⁴ |f''''| / 384, a fifth.

    Errors: ValueError for a width that is not > 0, a fourth derivative < 0.
    Source: chapter waves/knots; Hall and Meyer (1976).
    """
    return 5 / 384 * positive("width", width) ** 4 * number("fourth", fourth, "must be finite and >= 0", lambda v: 0 <= v < math.inf)


def saving(x, fourth):
    """How many times fewer knots than equal spacing: L max rho = exp(log L - h_inf), with rho the density of
    knots that gives all bins the same error, proportional to |f''''|^(1/4), and h_inf its Rényi entropy of order infinity.

    x       [K] increasing places, dense enough for sums over them to be integrals
    fourth  [K] fourth derivative there (any sign); for relative errors divide it by |f| + scale

    Returns (saving, h_inf in nats, rho [K] with trapezoidal integral 1). At least 1; 1 only for a constant |f''''|.

    Errors: ValueError for shapes that differ, places that do not increase, a fourth derivative that is 0 everywhere.
    Source: chapter waves/knots.
    """
    x, fourth = np.asarray(x, dtype=float), np.asarray(fourth, dtype=float)
    if x.ndim != 1 or x.shape != fourth.shape or x.size < 3:
        raise ValueError(f"x and fourth must be two rows of one length, at least 3; got shapes {x.shape} and {fourth.shape}")
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(fourth)) and np.all(np.diff(x) > 0)):
        raise ValueError("x must increase and both must be finite")
    rho = abs(fourth) ** 0.25
    total = float(np.sum(0.5 * (rho[1:] + rho[:-1]) * np.diff(x)))
    if not total > 0:
        raise ValueError("fourth must not be 0 everywhere: one cubic then needs no knots inside")
    rho = rho / total
    h = -math.log(float(rho.max()))
    return (x[-1] - x[0]) * float(rho.max()), h, rho


def surface_density(x):
    """An NFW halo rho = 1 / (u (1 + u)²) seen from the side: S(x) = int rho(sqrt(x² + z²)) dz, over all z.

    S = 2 (1 - arccosh(1/x) / sqrt(1 - x²)) / (x² - 1) below x = 1, arccos for arccosh above, 2/3 at 1.

    x [n] > 0, in units of the scale radius

    Errors: ValueError for x <= 0.
    Source: chapter waves/knots; Wright and Brainerd (2000).
    """
    x = np.asarray(x, dtype=float)
    if not np.all(x > 0) or not np.all(np.isfinite(x)):
        raise ValueError("x must be finite and > 0")
    gap = x * x - 1
    near = abs(gap) < 1e-3
    safe = np.where(near, 2.0, x)
    wide = np.sqrt(abs(safe * safe - 1))
    angle = np.where(safe < 1, np.arccosh(np.maximum(1 / safe, 1.0)), np.arccos(np.minimum(1 / safe, 1.0)))
    series = 2 * (1 / 3 - gap / 5 + gap**2 / 7 - gap**3 / 9)
    return np.where(near, series, 2 * (1 - angle / wide) / (safe * safe - 1))


def _called(f, x):
    y = np.asarray(f(x), dtype=float)
    if y.shape != x.shape:
        raise ValueError(f"f must return one number a place, shape {x.shape}; got shape {y.shape}")
    if not np.all(np.isfinite(y)):
        raise ValueError(f"f must be finite between low and high; it is {y[~np.isfinite(y)][0]} at {x[~np.isfinite(y)][0]:g}")
    return y
