"""Two-layer Lorenz-96 and models of its slow layer alone: closures fitted to residuals or rewarded by a spectrum, and how their statistics are judged.

Taught in the chapter "Turbulence on a coarse grid" (waves/turbulence).
Units: the model's own (a unit of time is about five days of weather); states are [..., K]; entropies in nats.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import array_api_compat as compat
import numpy as np

from labutils._inputs import finite, namespace, number, positive, whole


class BlowUp(ArithmeticError):
    """A state left every bound or became NaN: `time` says when, `run` which member of the ensemble."""

    def __init__(self, time, run, size):
        super().__init__(f"the model blew up at t = {time:g} in run {run}: |X| = {size:.3g}; take a smaller step or a closure that damps")
        self.time, self.run = time, run


# The truth -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwoLayer:
    """K slow variables X on a ring, each with J fast ones Y (Lorenz 1996):

    X_k' = -X_{k-1} (X_{k-2} - X_{k+1}) - X_k + F - (h c / b) sum_j Y_{j,k}
    Y_j' = -c b Y_{j+1} (Y_{j+2} - Y_{j-1}) - c Y_j + (h c / b) X_k,  all Y on one ring of K J places

    slow K, fast J, forcing F, coupling h, c (how much faster), b (how much smaller).
    Errors: ValueError for fewer than 4 slow places or no fast ones, c or b that are not > 0, a forcing or coupling that is not finite.
    """

    slow: int = 36
    fast: int = 10
    forcing: float = 10.0
    coupling: float = 1.0
    c: float = 10.0
    b: float = 10.0

    def __post_init__(self):
        whole("slow", self.slow, 4), whole("fast", self.fast, 1), positive("c", self.c), positive("b", self.b)
        for name in ("forcing", "coupling"):
            number(name, getattr(self, name), "must be finite", math.isfinite)

    @property
    def dim(self):
        return self.slow * (1 + self.fast)

    def rates(self, z):
        """dz/dt of states z [..., K + K J]: X first, then Y place by place."""
        xp = compat.array_namespace(z)
        x, y = z[..., :self.slow], z[..., self.slow:]
        g = self.coupling * self.c / self.b
        near = xp.reshape(y, (*y.shape[:-1], self.slow, self.fast))
        dx = advection(x) - x + self.forcing - g * xp.sum(near, axis=-1)
        dy = -self.c * self.b * _shift(xp, y, 1) * (_shift(xp, y, 2) - _shift(xp, y, -1)) - self.c * y
        dy = dy + g * xp.reshape(xp.broadcast_to(x[..., None], near.shape), y.shape)
        return xp.concat([dx, dy], axis=-1)

    def push(self, z):
        """What the fast layer does to each slow variable [..., K]: -(h c / b) sum_j Y_{j,k}."""
        xp = compat.array_namespace(z)
        y = z[..., self.slow:]
        return -self.coupling * self.c / self.b * xp.sum(xp.reshape(y, (*y.shape[:-1], self.slow, self.fast)), axis=-1)


def _shift(xp, x, by):
    """x_{k+by} on a ring."""
    return xp.roll(x, -by, axis=-1)


def advection(x):
    """-X_{k-1} (X_{k-2} - X_{k+1}) on a ring [..., K]: it keeps sum X²."""
    xp = compat.array_namespace(x)
    return -_shift(xp, x, -1) * (_shift(xp, x, -2) - _shift(xp, x, 1))


def rk4(rates, x, h):
    """One step of the classical fourth-order scheme."""
    k1 = rates(x)
    k2 = rates(x + h / 2 * k1)
    k3 = rates(x + h / 2 * k2)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + rates(x + h * k3))


# Models of the slow layer ----------------------------------------------------------------------------


SCALE = 4.0
"""Closures are polynomials in X/SCALE, so that their coefficients are of one size."""


def polynomial(x, theta):
    """U(X_k) = sum_i theta_i (X_k/4)^i, the same at each place: [..., K].

    x      [..., K]
    theta  [..., p], one closure for each state of the batch, or [p] for all
    """
    out = 0 * x
    for i in reversed(range(theta.shape[-1])):
        out = out * (x / SCALE) + theta[..., i, None]
    return out


def coarse_rates(x, theta, forcing=10.0):
    """X_k' = -X_{k-1} (X_{k-2} - X_{k+1}) - X_k + F + U(X_k): the slow layer with a closure for the fast one.

    Errors: ValueError for shapes that do not fit, fewer than 4 places, values that are not finite.
    """
    _checked(x, theta)
    return advection(x) - x + forcing + polynomial(x, theta)


def fit(x, push, degree=3):
    """Least squares of the push of the fast layer on powers of X/4 at the same place: (theta [degree + 1], residuals [..., K]).

    x, push  [..., K] of one shape

    Errors: ValueError for shapes that differ, or fewer values than coefficients.
    Source: Wilks (2005).
    """
    namespace(x=x, push=push)
    degree = whole("degree", degree, 0)
    if x.shape != push.shape or math.prod(x.shape) <= degree:
        raise ValueError(f"x and push must have one shape with more than {degree} values; got {tuple(x.shape)} and {tuple(push.shape)}")
    x, push = np.asarray(x), np.asarray(push)
    powers = (x.reshape(-1, 1) / SCALE) ** np.arange(degree + 1)
    theta = np.linalg.lstsq(powers, push.ravel(), rcond=None)[0]
    return theta, push - polynomial(x, theta)


def lag_correlation(series):
    """Correlation of a series [time, ...] with itself one sample later, all places together (mean removed)."""
    series = series - series.mean()
    return float(np.mean(series[1:] * series[:-1]) / np.mean(series**2))


@np.errstate(over="ignore", invalid="ignore")             # a blow-up is reported by its time
def run(x, theta, steps, h=0.02, *, forcing=10.0, every=1, noise=None, bound=1e3, strict=True):
    """States [steps // every + 1, ..., K] of the slow layer with a closure, by RK4, the start among them.

    noise  None, or (size, memory, rng): in each step U has a random part e that is held over the step and goes
           on as e <- memory e + size sqrt(1 - memory²) normal, an AR(1) at each place (Wilks 2005)
    strict  False: neither the step nor the states are refused; a state that leaves the bound becomes NaN, the others go on

    Errors: those of `coarse_rates`; ValueError for a step at which RK4 amplifies the damping -X + U'(X) X at the
    start, fewer steps than `every`, a size < 0 or a memory outside [0, 1) of the noise; BlowUp with the time as soon as |X| exceeds `bound` or is NaN.
    """
    xp = _checked(x, theta)
    h, steps, every = positive("h", h), whole("steps", steps, 1), _every(every, steps)
    slope = -1 + sum(i * theta[..., i, None] * (x / SCALE) ** (i - 1) / SCALE for i in range(1, theta.shape[-1]))
    worst = h * float(xp.max(-slope * xp.ones_like(x)))
    if strict and worst > 2.785:
        raise ValueError(f"h must be smaller: h times the fastest damping at the start is {worst:.3g}, and RK4 allows 2.785; got h = {h:g}")
    e = 0 * x
    if noise is not None:
        size, memory, rng = noise
        number("size", size, "must be finite and >= 0", lambda v: 0 <= v < math.inf)
        if not 0 <= memory < 1:
            raise ValueError(f"memory must lie in [0, 1); got {memory!r}")
        e = size * rng.normal(size=tuple(x.shape))
    kept = [x]
    for i in range(1, steps + 1):
        x = rk4(lambda s: advection(s) - s + forcing + polynomial(s, theta) + e, x, h)
        if noise is not None:
            e = memory * e + size * math.sqrt(1 - memory**2) * rng.normal(size=tuple(x.shape))
        if not strict:
            x = xp.where(xp.max(abs(x), axis=-1, keepdims=True) <= bound, x, xp.asarray(math.nan, dtype=x.dtype))
        elif i % 10 == 0 or i == steps:
            _bounded(xp, x, i * h, bound)
        if i % every == 0:
            kept.append(x)
    return xp.stack(kept)


@np.errstate(over="ignore", invalid="ignore")             # a blow-up is reported by its time
def run_truth(model, z, steps, h=0.0025, *, every=1, bound=1e3):
    """States [steps // every + 1, ..., K + K J] of both layers by RK4, the start among them.

    Errors: ValueError for a shape that does not fit, fewer steps than `every` or a step with h c > 2.785, at which RK4 amplifies the damping of the
    fast layer; BlowUp with the time as soon as a value exceeds `bound` or is NaN.
    """
    xp = namespace(z=z)
    finite(z=z)
    h, steps, every = positive("h", h), whole("steps", steps, 1), _every(every, steps)
    if z.shape[-1] != model.dim:
        raise ValueError(f"z must have {model.dim} values on its last axis, {model.slow} slow and {model.slow * model.fast} fast; got shape {tuple(z.shape)}")
    if h * model.c > 2.785:
        raise ValueError(f"h must be smaller: h c is {h * model.c:.3g}, and RK4 allows 2.785; got h = {h:g}")
    kept = [z]
    for i in range(1, steps + 1):
        z = rk4(model.rates, z, h)
        if i % 10 == 0 or i == steps:
            _bounded(xp, z, i * h, bound)
        if i % every == 0:
            kept.append(z)
    return xp.stack(kept)


def settled(model, runs, rng, *, time=10.0, h=0.0025):
    """States [runs, K + K J] of the truth after a while, from random ones."""
    z = np.concatenate([3 + rng.normal(size=(runs, model.slow)), 0.1 * rng.normal(size=(runs, model.slow * model.fast))], axis=1)
    steps = round(time / h)
    return run_truth(model, z, steps, h, every=steps)[-1]


def _every(every, steps):
    if whole("every", every, 1) > steps:
        raise ValueError(f"every must be at most the {steps} steps, or nothing but the start is kept; got {every}")
    return every


def _bounded(xp, x, time, bound):
    size = xp.max(abs(x), axis=-1)
    if not bool(xp.all(size <= bound)):
        run = int(xp.argmax(xp.astype(~(xp.reshape(size, (-1,)) <= bound), xp.int64)))
        raise BlowUp(time, run, float(xp.reshape(size, (-1,))[run]))


def _checked(x, theta):
    xp = namespace(x=x, theta=theta)
    finite(x=x, theta=theta)
    if x.ndim < 1 or x.shape[-1] < 4:
        raise ValueError(f"x must have at least 4 places on its last axis; got shape {tuple(x.shape)}")
    if theta.ndim < 1 or (theta.ndim > 1 and theta.shape[:-1] != x.shape[:-1]):
        raise ValueError(f"theta must be [p] or one for each state, {tuple(x.shape[:-1])} and p; got shape {tuple(theta.shape)}")
    return xp


# What statistics say ---------------------------------------------------------------------------------


def spectrum(x):
    """S_m = <|x_m|²> for m = 0..K//2, x_m = (1/K) sum_k X_k exp(-2 pi i m k / K), the mean over all axes but the last.

    <X²> = S_0 + 2 (S_1 + ... ) with S_{K/2} once: it holds the second moments of a field that is alike at all places, and
    nothing else.
    """
    xp = namespace(x=x)
    power = abs(xp.fft.rfft(x, axis=-1, norm="forward")) ** 2
    return xp.mean(xp.reshape(power, (-1, power.shape[-1])), axis=0)


def mismatch(power, target):
    """Mean over m of (log S_m - log target_m)² [...]: what the reward is the negative of.

    Errors: ValueError for a spectrum that is not > 0.
    """
    xp = namespace(power=power, target=target)
    if not (bool(xp.all(power > 0)) and bool(xp.all(target > 0))):
        raise ValueError("power and target must be > 0 at every wavenumber")
    return xp.mean((xp.log(power) - xp.log(target)) ** 2, axis=-1)


def gaussian_twin(rng, x, draws):
    """Normal fields [draws, K] with the mean and the spectrum of the fields x [n, K], and random phases.

    Of all laws with these second moments, alike at all places, this one has the largest entropy.
    """
    mean, places = float(np.mean(x)), x.shape[-1]
    power = np.asarray(spectrum(np.asarray(x) - mean))
    white = np.fft.rfft(rng.normal(size=(draws, places)), axis=-1, norm="forward")          # <|.|²> = 1/K
    return mean + np.fft.irfft(white * np.sqrt(power * places), n=places, axis=-1, norm="forward")


def shares(x, edges):
    """Shares of all values of x in the bins [-inf, e_0], ..., [e_last, inf]: [bins + 2]; nothing is left out."""
    counts = np.histogram(np.asarray(x).ravel(), np.concatenate([[-np.inf], edges, [np.inf]]))[0]
    return counts / counts.sum()


def beyond(x, level, mean, spread):
    """Share of the values above mean + level * spread, and below mean - level * spread."""
    z = (np.asarray(x) - mean) / positive("spread", spread)
    return float(np.mean(z > level)), float(np.mean(z < -level))


def blocked(values):
    """(mean, standard error) of values [blocks, ...], one a block so long that blocks are nearly independent.

    Errors: ValueError for fewer than 4 blocks.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 4:
        raise ValueError(f"values must hold at least 4 blocks; got {len(values)}")
    return values.mean(0), values.std(0, ddof=1) / math.sqrt(len(values))


# Evolution -------------------------------------------------------------------------------------------


class Search(NamedTuple):
    """means [generations + 1, d] of the search, scores [generations] the mean over the better half, covariance [d, d] at the end."""

    means: Any
    scores: Any
    covariance: Any


def evolve(score, start, spread, rng, *, generations=30, population=16, rate=0.3):
    """Raises a score that has no gradient: draw a normal population, keep the better half, move mean and covariance there.

    score   takes theta [population, d], returns [population]; -inf for what failed
    spread  standard deviation of the first population, a number or [d]
    rate    share by which the covariance is renewed each time, measured around the old mean

    Errors: ValueError for a population < 4, a rate outside (0, 1], a spread that is not > 0, a score of another shape or NaN.
    Source: Hansen (2016), the rank-mu update alone.
    """
    start = np.asarray(start, dtype=float)
    number("rate", rate, "must lie in (0, 1]", lambda v: 0 < v <= 1)
    if not np.all((np.asarray(spread) > 0) & np.isfinite(spread)):
        raise ValueError(f"spread must be finite and > 0; got {spread!r}")
    population, generations = whole("population", population, 4), whole("generations", generations, 1)
    mean, cov = start, np.diag(np.broadcast_to(np.asarray(spread, dtype=float) ** 2, start.shape))
    better = population // 2
    weight = np.log(better + 0.5) - np.log(np.arange(1, better + 1))
    weight = weight / weight.sum()
    means, scores = [mean], []
    for _ in range(generations):
        draws = rng.normal(size=(population, len(start))) @ np.linalg.cholesky(cov).T
        found = np.asarray(score(mean + draws), dtype=float)
        if found.shape != (population,) or np.isnan(found).any():
            raise ValueError(f"score must return {population} numbers, -inf for a failure and never NaN; got shape {found.shape}")
        best = np.argsort(-found, kind="stable")[:better]
        cov = (1 - rate) * cov + rate * (draws[best].T * weight) @ draws[best]
        mean = mean + weight @ draws[best]
        means.append(mean)
        scores.append(float(np.mean(found[best])))
    return Search(np.stack(means), np.array(scores), cov)
