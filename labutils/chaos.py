"""Chaotic systems, their Lyapunov spectra and entropies, and forecasts of them measured in Lyapunov times.

Taught in the chapter "Forecasting chaos" (waves/chaos).
Exponents in nats a unit of time (nats a step for maps), entropies in nats; states are [..., dim].
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, combinations_with_replacement, permutations
from typing import Any, NamedTuple

import array_api_compat as compat
import numpy as np

from labutils import info
from labutils._inputs import finite, namespace, number, positive, whole
from labutils.runtime import data_path


class BlowUp(ArithmeticError):
    """A state left every bound or became NaN: `time` says when, `run` which member of the ensemble."""

    def __init__(self, name, time, run, size):
        super().__init__(f"{name} blew up at t = {time:g} in run {run}: |x| = {size:.3g}; take a smaller h or another start")
        self.time, self.run = time, run


# Systems ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flow:
    """dx/dt = f(x) with its Jacobian; `rates` and `slopes` take (xp, x_1, ..., x_dim).

    rates   returns the dim components of f
    slopes  returns {(i, j): df_i/dx_j} without the zeros
    start   a state in the basin of the attractor
    h       a step for RK4, 100 to 300 of them a period
    period  of the strongest oscillation, roughly
    """

    name: str
    rates: Callable
    slopes: Callable
    start: tuple
    h: float
    period: float

    @property
    def dim(self):
        return len(self.start)

    def f(self, x):
        """f(x) [..., dim]."""
        xp = compat.array_namespace(x)
        return xp.stack([r + 0 * x[..., 0] for r in self.rates(xp, *(x[..., i] for i in range(self.dim)))], axis=-1)

    def jacobian(self, x):
        """df_i/dx_j [..., dim, dim]."""
        xp = compat.array_namespace(x)
        matrix = xp.zeros((*x.shape, self.dim), dtype=x.dtype, device=compat.device(x))
        for (i, j), value in self.slopes(xp, *(x[..., i] for i in range(self.dim))).items():
            matrix[..., i, j] = value
        return matrix

    def divergence(self, x):
        """Trace of the Jacobian [...]: the rate at which a small volume grows."""
        matrix = self.jacobian(x)
        return sum(matrix[..., i, i] for i in range(self.dim))


@dataclass(frozen=True)
class Map:
    """x' = F(x), one step at a time; `image` and `slopes` as in `Flow`, of F itself."""

    name: str
    image: Callable
    slopes: Callable
    start: tuple

    dim = Flow.dim
    jacobian = Flow.jacobian

    def f(self, x):
        """F(x) [..., dim]."""
        xp = compat.array_namespace(x)
        return xp.stack(list(self.image(xp, *(x[..., i] for i in range(self.dim)))), axis=-1)


def lorenz(sigma=10.0, rho=28.0, beta=8 / 3):
    """x' = σ(y-x), y' = x(ρ-z) - y, z' = xy - βz: a convecting layer of fluid (Lorenz 1963)."""
    return Flow("Lorenz", lambda xp, x, y, z: (sigma * (y - x), x * (rho - z) - y, x * y - beta * z),
                lambda xp, x, y, z: {(0, 0): -sigma, (0, 1): sigma, (1, 0): rho - z, (1, 1): -1.0, (1, 2): -x,
                                     (2, 0): y, (2, 1): x, (2, 2): -beta},
                (-9.79, -15.04, 20.53), 0.01, 1.50)


def rossler(a=0.2, b=0.2, c=5.7):
    """x' = -y-z, y' = x + ay, z' = b + z(x-c): one spiral that folds back (Rössler 1976)."""
    return Flow("Rossler", lambda xp, x, y, z: (-y - z, x + a * y, b + z * (x - c)),
                lambda xp, x, y, z: {(0, 1): -1.0, (0, 2): -1.0, (1, 0): 1.0, (1, 1): a, (2, 0): z, (2, 2): x - c},
                (6.51, 0.48, 0.34), 0.02, 5.91)


def chen(a=35.0, b=3.0, c=28.0):
    """x' = a(y-x), y' = (c-a)x - xz + cy, z' = xy - bz (Chen and Ueta 1999)."""
    return Flow("Chen", lambda xp, x, y, z: (a * (y - x), (c - a) * x - x * z + c * y, x * y - b * z),
                lambda xp, x, y, z: {(0, 0): -a, (0, 1): a, (1, 0): c - a - z, (1, 1): c, (1, 2): -x,
                                     (2, 0): y, (2, 1): x, (2, 2): -b},
                (3.27, 5.30, 19.44), 0.004, 0.587)


def halvorsen(a=1.4, b=4.0):
    """x' = -ax - b(y+z) - y², and cyclically."""
    return Flow("Halvorsen", lambda xp, x, y, z: (-a * x - b * (y + z) - y * y, -a * y - b * (z + x) - z * z, -a * z - b * (x + y) - x * x),
                lambda xp, x, y, z: {(0, 0): -a, (0, 1): -b - 2 * y, (0, 2): -b, (1, 0): -b, (1, 1): -a, (1, 2): -b - 2 * z,
                                     (2, 0): -b - 2 * x, (2, 1): -b, (2, 2): -a},
                (-8.68, -2.47, 0.07), 0.01, 1.49)


def thomas(a=1.85, b=10.0):
    """x' = -ax + b sin y, and cyclically: no polynomial of low degree (Thomas 1999)."""
    return Flow("Thomas", lambda xp, x, y, z: (-a * x + b * xp.sin(y), -a * y + b * xp.sin(z), -a * z + b * xp.sin(x)),
                lambda xp, x, y, z: {(0, 0): -a, (0, 1): b * xp.cos(y), (1, 1): -a, (1, 2): b * xp.cos(z),
                                     (2, 0): b * xp.cos(x), (2, 2): -a},
                (2.20, 2.36, 3.22), 0.02, 4.97)


def rucklidge(a=2.0, b=6.7):
    """x' = -ax + by - yz, y' = x, z' = -z + y² (Rucklidge 1992)."""
    return Flow("Rucklidge", lambda xp, x, y, z: (-a * x + b * y - y * z, x, -z + y * y),
                lambda xp, x, y, z: {(0, 0): -a, (0, 1): b - z, (0, 2): -y, (1, 0): 1.0, (2, 1): 2 * y, (2, 2): -1.0},
                (1.93, 3.19, 5.78), 0.04, 6.07)


def sprott_a():
    """x' = y, y' = -x + yz, z' = 1 - y²: a thermostatted oscillator, no attractor (Nosé; Sprott 1994)."""
    return Flow("SprottA", lambda xp, x, y, z: (y, -x + y * z, 1 - y * y),
                lambda xp, x, y, z: {(0, 1): 1.0, (1, 0): -1.0, (1, 1): z, (1, 2): y, (2, 1): -2 * y},
                (0.0, 5.0, 0.0), 0.02, 6.37)


def sprott_b():
    """x' = yz, y' = x - y, z' = 1 - xy (Sprott 1994)."""
    return Flow("SprottB", lambda xp, x, y, z: (y * z, x - y, 1 - x * y),
                lambda xp, x, y, z: {(0, 1): z, (0, 2): y, (1, 0): 1.0, (1, 1): -1.0, (2, 0): -y, (2, 1): -x},
                (1.69, 1.48, -0.54), 0.05, 11.05)


def hyper_rossler(a=0.25, b=3.0, c=0.5, d=0.05):
    """x' = -y-z, y' = x + ay + w, z' = b + xz, w' = -cz + dw: two positive exponents (Rössler 1979)."""
    return Flow("HyperRossler", lambda xp, x, y, z, w: (-y - z, x + a * y + w, b + x * z, -c * z + d * w),
                lambda xp, x, y, z, w: {(0, 1): -1.0, (0, 2): -1.0, (1, 0): 1.0, (1, 1): a, (1, 3): 1.0,
                                        (2, 0): z, (2, 2): x, (3, 2): -c, (3, 3): d},
                (-20.0, 0.0, 0.0, 15.0), 0.005, 6.0)


def lorenz96(forcing=20.0, dim=4):
    """x_i' = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F on a ring (Lorenz 1996)."""
    def slopes(xp, *x):
        found = {}
        for i in range(dim):
            for j, value in ((i, -1.0), ((i + 1) % dim, x[i - 1]), ((i - 2) % dim, -x[i - 1]), ((i - 1) % dim, x[(i + 1) % dim] - x[i - 2])):
                found[i, j] = found.get((i, j), 0.0) + value
        return found

    whole("dim", dim, 4)
    start = (-2.47, 0.10, 1.59, 10.21) if dim == 4 else tuple(1.0 + 0.1 * math.cos(i * i) for i in range(dim))
    return Flow("Lorenz96", lambda xp, *x: tuple((x[(i + 1) % dim] - x[i - 2]) * x[i - 1] - x[i] + forcing for i in range(dim)),
                slopes, start, 0.01, 2.2)


def duffing(delta=0.1, gamma=0.35, omega=1.4):
    """x' = y, y' = -δy + x - x³ + γ cos φ, φ' = ω: a driven beam between two magnets."""
    return Flow("Duffing", lambda xp, x, y, z: (y, -delta * y + x - x**3 + gamma * xp.cos(z), omega),
                lambda xp, x, y, z: {(0, 1): 1.0, (1, 0): 1 - 3 * x * x, (1, 1): -delta, (1, 2): -gamma * xp.sin(z)},
                (-1.16, -0.51, 0.0), 0.04, 7.45)


def genesio_tesi(a=0.44, b=1.1, c=1.0):
    """x' = y, y' = z, z' = -cx - by - az + x² (Genesio and Tesi 1992)."""
    return Flow("GenesioTesi", lambda xp, x, y, z: (y, z, -c * x - b * y - a * z + x * x),
                lambda xp, x, y, z: {(0, 1): 1.0, (1, 2): 1.0, (2, 0): -c + 2 * x, (2, 1): -b, (2, 2): -a},
                (-0.054, -0.262, 0.335), 0.04, 5.94)


def flows():
    """The twelve flows of the chapter, with the parameters of the collection of Gilpin (2021), in a list."""
    return [lorenz(), rossler(), chen(), halvorsen(), thomas(), rucklidge(), sprott_a(), sprott_b(), hyper_rossler(),
            lorenz96(), duffing(), genesio_tesi()]


def logistic(r=4.0):
    """x' = r x (1-x) on [0, 1]. At r = 4 the density is 1/(π√(x(1-x))) and Λ = log 2."""
    return Map("logistic", lambda xp, x: (r * x * (1 - x),), lambda xp, x: {(0, 0): r * (1 - 2 * x)}, (0.3,))


def skew_tent(a=0.4):
    """x' = x/a below a, (1-x)/(1-a) above: uniform density, Λ = h_b(a)."""
    number("a", a, "must lie strictly between 0 and 1", lambda v: 0 < v < 1)
    return Map("skew tent", lambda xp, x: (xp.where(x < a, x / a, (1 - x) / (1 - a)),),
               lambda xp, x: {(0, 0): xp.where(x < a, 1 / a + 0 * x, -1 / (1 - a) + 0 * x)}, (0.3,))


def baker(a=0.4, squeeze=(0.3, 0.2)):
    """Cut the unit square at x = a, stretch both strips to width 1, squeeze them to heights s_1, s_2.

    Λ = (h_b(a), a log s_1 + (1-a) log s_2).
    """
    number("a", a, "must lie strictly between 0 and 1", lambda v: 0 < v < 1)
    one, two = squeeze
    return Map("baker", lambda xp, x, y: (xp.where(x < a, x / a, (x - a) / (1 - a)), xp.where(x < a, one * y, 1 - two + two * y)),
               lambda xp, x, y: {(0, 0): xp.where(x < a, 1 / a + 0 * x, 1 / (1 - a) + 0 * x), (1, 1): xp.where(x < a, one + 0 * x, two + 0 * x)},
               (0.3, 0.4))


def cat():
    """(x, y)' = (2x + y, x + y) mod 1: Λ = ±log((3+√5)/2)."""
    return Map("cat", lambda xp, x, y: ((2 * x + y) % 1.0, (x + y) % 1.0),
               lambda xp, x, y: {(0, 0): 2.0, (0, 1): 1.0, (1, 0): 1.0, (1, 1): 1.0}, (0.3, 0.4))


def henon(a=1.4, b=0.3):
    """x' = 1 - ax² + y, y' = bx (Hénon 1976): the exponents sum to log b."""
    return Map("Henon", lambda xp, x, y: (1 - a * x * x + y, b * x), lambda xp, x, y: {(0, 0): -2 * a * x, (0, 1): 1.0, (1, 0): b},
               (0.1, 0.1))


# Steps in time ---------------------------------------------------------------------------------------


def growth(z):
    """R(z) = 1 + z + z²/2 + z³/6 + z⁴/24: what one RK4 step does to a mode of rate λ, with z = hλ."""
    return 1 + z * (1 + z / 2 * (1 + z / 3 * (1 + z / 4)))


def largest_step(rates):
    """The largest h at which RK4 lets no decaying mode of these (complex) rates grow: |R(hλ)| <= 1 up to it.

    rates  numbers λ; those with a real part >= 0 ask nothing. inf if none decays.
    Errors: ValueError for NaN or infinite rates.
    """
    rates = np.asarray(rates, dtype=complex).ravel()
    if not np.isfinite(rates).all():
        raise ValueError(f"rates must be finite; got {rates[~np.isfinite(rates)][0]}")
    rates = rates[rates.real < -1e-12 * abs(rates)]
    if not rates.size:
        return math.inf
    low, high = np.zeros(rates.size), 3.0 / abs(rates)                    # the region lies within |z| < 3
    for _ in range(60):
        middle = (low + high) / 2
        stable = abs(growth(middle * rates)) <= 1
        low, high = np.where(stable, middle, low), np.where(stable, high, middle)
    return float(low.min())


def step(flow, x, h):
    """One step of RK4 (of the map itself for a `Map`): x [..., dim] at a time h later; the error is O(h⁵)."""
    if isinstance(flow, Map):
        return flow.f(x)
    k1 = flow.f(x)
    k2 = flow.f(x + h / 2 * k1)
    k3 = flow.f(x + h / 2 * k2)
    k4 = flow.f(x + h * k3)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def tangent_step(flow, x, u, h):
    """One step of x [..., dim] and of the vectors u [..., dim, k] that it carries along.

    For a flow this is RK4 on x' = f, u' = J(x)u, which is the exact derivative of `step`.
    """
    if isinstance(flow, Map):
        return flow.f(x), flow.jacobian(x) @ u
    k1, m1 = flow.f(x), flow.jacobian(x) @ u
    y = x + h / 2 * k1
    k2, m2 = flow.f(y), flow.jacobian(y) @ (u + h / 2 * m1)
    y = x + h / 2 * k2
    k3, m3 = flow.f(y), flow.jacobian(y) @ (u + h / 2 * m2)
    y = x + h * k3
    k4, m4 = flow.f(y), flow.jacobian(y) @ (u + h * m3)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), u + h / 6 * (m1 + 2 * m2 + 2 * m3 + m4)


def integrate(flow, x, steps, h=None, *, every=1, bound=1e6):
    """States [steps // every + 1, ..., dim] from x [..., dim], kept at every so many steps, x among them.

    Errors: ValueError for a step at which RK4 is unstable at the start (`check_step`), or bad numbers;
    BlowUp, with the time and the run, as soon as a coordinate exceeds `bound` or is NaN.
    """
    xp, h = _ready(flow, x, h)
    whole("steps", steps, 1)
    whole("every", every, 1)
    kept = [x]
    for i in range(1, steps + 1):
        x = _guarded(flow, step, i, h, bound, x)[0]
        if i % every == 0:
            kept.append(x)
    return xp.stack(kept)


def check_step(flow, x, h):
    """Errors: ValueError if RK4 with step h amplifies a mode that decays in the flow at one of the states x."""
    rates = np.linalg.eigvals(np.asarray(flow.jacobian(x), dtype=float))
    limit = largest_step(rates)
    if h > limit:
        raise ValueError(f"h must be at most {limit:.3g}, where RK4 is stable for the fastest decay of {flow.name} at the start; got {h:g}")


def ensemble(flow, runs, rng, *, warm=2000, h=None, width=1e-2):
    """Starts [runs, dim] on the attractor: perturbed copies of flow.start after so many warm-up steps."""
    whole("runs", runs, 1)
    x = np.asarray(flow.start) + width * rng.normal(size=(runs, flow.dim)) * (1 + abs(np.asarray(flow.start)))
    if isinstance(flow, Map):
        x = np.asarray(flow.start) + min(width, 0.05) * rng.uniform(-1, 1, size=(runs, flow.dim))
    return integrate(flow, x, warm, h, every=warm)[-1]


def _ready(flow, x, h):
    xp = namespace(x=x)
    finite(x=x)
    if x.ndim < 1 or x.shape[-1] != flow.dim:
        raise ValueError(f"x must have the {flow.dim} coordinates of {flow.name} on its last axis; got shape {tuple(x.shape)}")
    if isinstance(flow, Map):
        return xp, 1.0
    h = positive("h", flow.h if h is None else h)
    check_step(flow, x, h)
    return xp, h


def _guarded(flow, move, i, h, bound, *state):
    """One step, or BlowUp with its time."""
    with np.errstate(over="ignore", invalid="ignore"):
        after = move(flow, *state, h)
    after = after if isinstance(after, tuple) else (after,)
    x = after[0]
    size = compat.array_namespace(x).max(abs(x), axis=-1)
    if not bool((size <= bound).all()):
        flat = np.asarray(size, dtype=float).ravel()
        run = int(np.argmax(~(flat <= bound)))
        raise BlowUp(flow.name, i * h, run, flat[run])
    return after


# Exponents, dimension, entropy -----------------------------------------------------------------------


class Spectrum(NamedTuple):
    """Exponents by QR: their mean over the runs, its standard error, and each run [runs, dim]; x [runs, dim] where they ended."""

    mean: Any
    error: Any
    runs: Any
    divergence: Any
    x: Any


def lyapunov_spectrum(flow, x, steps, h=None, *, warm=None, every=5, bound=1e6):
    """Λ_i = lim (1/t) Σ log R_ii, from QR of the carried vectors; one estimate for each start in x [runs, dim].

    steps  that count; before them `warm` steps (as many, if not given) turn the vectors into place
    every  steps between two QR decompositions
    Returns a `Spectrum`; its `divergence` [runs] is the mean of the trace of J (log |det J| for a map) along the
    same path, to which the exponents of a flow must sum up to the error of the integrator.
    Errors: ValueError as in `integrate`, or for fewer than 2 runs; BlowUp.
    Source: chapter waves/chaos, step 2.
    """
    xp, h = _ready(flow, x, h)
    if x.ndim != 2 or x.shape[0] < 2:
        raise ValueError(f"x must be [runs, dim] with at least 2 runs, for a spread; got shape {tuple(x.shape)}")
    steps, every = whole("steps", steps, 1), whole("every", every, 1)
    warm = steps if warm is None else whole("warm", warm, 0)
    # vectors in general position: along the axes some could stay in a subspace and miss an exponent
    turn = np.linalg.qr(np.sin(1.0 + np.arange(flow.dim**2).reshape(flow.dim, flow.dim) ** 1.5))[0]
    u = xp.stack([xp.asarray(turn, dtype=x.dtype, device=compat.device(x))] * x.shape[0])
    total, volume, one = 0 * x, 0 * x[:, 0], isinstance(flow, Map)
    for i in range(1, warm + steps + 1):
        if i > warm:
            volume = volume + (xp.log(abs(xp.linalg.det(flow.jacobian(x)))) if one else flow.divergence(x))
        x, u = _guarded(flow, tangent_step, i, h, bound, x, u)
        if i % every == 0 or i in (warm, warm + steps):
            u, r = xp.linalg.qr(u)
            if i > warm:
                total = total + xp.log(abs(xp.linalg.diagonal(r)))
    found = total / (steps * h)
    error = xp.std(found, axis=0, correction=1) / math.sqrt(x.shape[0])
    return Spectrum(xp.mean(found, axis=0), error, found, volume / steps, x)


def measured_spectra():
    """{name: {"mean", "error", "divergence"}} of long runs of `flows`, stored by `labutils.chaos_runs`."""
    return json.loads(data_path("chaos-spectra.json").read_text(encoding="utf-8"))


def kaplan_yorke(exponents):
    """dim_KY = j + (Λ_1 + ... + Λ_j)/|Λ_{j+1}|, j the last count at which the sum is not negative.

    exponents  [dim], largest first. If even the sum of all is >= 0 the dimension is that of the space.
    Errors: ValueError for an empty list, NaN, or exponents that are not sorted.
    """
    lam = np.asarray(exponents, dtype=float)
    if lam.ndim != 1 or not lam.size or not np.isfinite(lam).all():
        raise ValueError(f"exponents must be a list of finite numbers; got {exponents!r}")
    if (np.diff(lam) > 0).any():
        raise ValueError(f"exponents must be sorted, largest first; got {lam.tolist()}")
    sums = np.cumsum(lam)
    if sums[0] < 0:
        return 0.0
    j = int(np.nonzero(sums >= 0)[0][-1]) + 1
    return float(lam.size) if j == lam.size else j + float(sums[j - 1] / abs(lam[j]))


def pesin(exponents):
    """h_KS = sum of the positive Λ_i, in nats a unit of time: an equality where the measure is smooth along
    the unstable directions (Pesin), an upper bound always (Ruelle)."""
    lam = np.asarray(exponents, dtype=float)
    if not np.isfinite(lam).all():
        raise ValueError(f"exponents must be finite; got {exponents!r}")
    return float(lam[lam > 0].sum())


def block_entropies(symbols, longest):
    """[H_1, ..., H_longest] of the words in a sequence of whole numbers 0..K-1, plug-in plus (words - 1)/2n.

    symbols  [n], or [runs, n] whose rows are followed separately
    H_L - H_{L-1} falls towards the entropy rate of the symbols; if their partition generates, that is h_KS.
    Errors: ValueError if the words become too many to be seen ten times each.
    """
    s = np.atleast_2d(np.asarray(symbols))
    if not np.issubdtype(s.dtype, np.integer) or s.size == 0 or s.min() < 0:
        raise ValueError("symbols must be whole numbers >= 0; got " + (f"dtype {s.dtype}" if s.size else "none"))
    whole("longest", longest, 1)
    base, found = int(s.max()) + 1, []
    code = np.zeros_like(s, dtype=np.int64)
    for length in range(1, longest + 1):
        code = s.astype(np.int64) if length == 1 else code[:, :-1] * base + s[:, length - 1:]
        counts = np.unique(code, return_counts=True)[1]
        n = code.size
        if n < 10 * counts.size:
            raise ValueError(f"longest must leave ten words for each kind; at {length} there are {counts.size} kinds in {n} words")
        p = counts / n
        found.append(-np.sum(p * np.log(p)) + (counts.size - 1) / (2 * n))
    return np.array(found)


# Permutation entropy ---------------------------------------------------------------------------------


class Ordinal(NamedTuple):
    """Entropy of the order patterns in nats, the share of log(order!), their counts, and how many never came."""

    entropy: float
    share: float
    counts: Any
    missing: int
    bias: float


def ordinal_patterns(x, order, delay=1, *, ties="raise", rng=None):
    """Which of the order! patterns each window (x_t, x_{t+delay}, ...) has, as a number [n - (order-1) delay].

    ties  "raise"; "first": of equal values the earlier counts as smaller; "random": a coin (rng) decides
    Errors: ValueError for a short series, NaN, order not in 2..8, equal values in a window under "raise".
    """
    x = np.asarray(x, dtype=float)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError("x must be a list of finite numbers; got " + (f"shape {x.shape}" if x.ndim != 1 else "NaN or infinity in it"))
    if not isinstance(order, (int, np.integer)) or not 2 <= order <= 8:
        raise ValueError(f"order must be a whole number from 2 to 8; got {order!r}")
    whole("delay", delay, 1)
    n = x.size - (order - 1) * delay
    if n < 1:
        raise ValueError(f"x must have more than (order - 1) delay = {(order - 1) * delay} values; got {x.size}")
    if ties not in ("raise", "first", "random"):
        raise ValueError(f"ties must be 'raise', 'first' or 'random'; got {ties!r}")
    windows = np.stack([x[i * delay:i * delay + n] for i in range(order)], axis=1)
    if ties == "raise" and (np.diff(np.sort(windows, axis=1), axis=1) == 0).any():
        raise ValueError("x must have no equal values within a window unless ties says how to break them; got equal values")
    if ties == "random":
        if rng is None:
            raise ValueError("rng must be given when ties are broken at random; got None")
        ranks = np.lexsort((rng.random(windows.shape), windows), axis=1)
    else:
        ranks = np.argsort(windows, axis=1, kind="stable")
    code = np.zeros(n, dtype=np.int64)
    for i in range(order):                                                   # Lehmer code: a number for each order
        code = code * (order - i) + (ranks[:, i + 1:] < ranks[:, i:i + 1]).sum(axis=1)
    return code


def permutation_entropy(x, order, delay=1, *, ties="raise", rng=None):
    """Entropy of the order patterns of length `order` (Bandt and Pompe 2002), plug-in, with its bias beside it.

    `bias` = -(patterns seen - 1)/2n is the first-order bias if the n windows were independent; subtract it or
    report it. `missing` counts patterns that never came: with few data not all of them are forbidden.
    """
    counts = np.bincount(ordinal_patterns(x, order, delay, ties=ties, rng=rng), minlength=math.factorial(order))
    n, seen = counts.sum(), counts[counts > 0]
    entropy = float(info.entropy(seen / n))
    return Ordinal(entropy, entropy / math.lgamma(order + 1), counts, int((counts == 0).sum()), -(seen.size - 1) / (2 * n))


def noise_bias(order):
    """C with E[H] = log order! - C/2n for the plug-in entropy of the n overlapping windows of white noise, delay 1.

    C = Σ_k [1 - p + 2 Σ_l (P(k, and k again l later)/p - p)] with p = 1/order! and l < order. Windows that do not
    overlap have C = order! - 1. Exact, by going through the orders of 2 order - 1 numbers.
    Errors: ValueError unless order is 2, 3, 4 or 5.
    """
    if not isinstance(order, (int, np.integer)) or not 2 <= order <= 5:
        raise ValueError(f"order must be a whole number from 2 to 5; got {order!r}")
    kinds = math.factorial(order)
    total = kinds - 1.0
    for lag in range(1, order):
        every = np.array(list(permutations(range(order + lag))), dtype=np.int8)
        same = np.all(every[:, :order].argsort(axis=1) == every[:, lag:].argsort(axis=1), axis=1)
        total += 2 * (kinds * same.mean() - 1)
    return total


def tent_patterns(order):
    """Exact chances {pattern: Fraction} of the order patterns of the tent map, so of the logistic map at r = 4.

    A pattern lists the times from the smallest value to the largest. Both maps have the same patterns because
    sin²(πu/2) carries one into the other and keeps order. Exact: each T^i is linear between dyadic points, so the
    order can change only where two of the lines cross.
    Errors: ValueError unless 2 <= order <= 7.
    """
    if not isinstance(order, (int, np.integer)) or not 2 <= order <= 7:
        raise ValueError(f"order must be a whole number from 2 to 7; got {order!r}")
    pieces = 2 ** (order - 1)
    chances = {}
    for k in range(pieces):
        left, right = Fraction(k, pieces), Fraction(k + 1, pieces)
        lines, a, b, middle = [], Fraction(1), Fraction(0), (left + right) / 2
        for _ in range(order):                                               # T^i(u) = a u + b on this piece
            lines.append((a, b))
            a, b = (2 * a, 2 * b) if a * middle + b < Fraction(1, 2) else (-2 * a, 2 - 2 * b)
        cuts = {left, right} | {(d - b) / (a - c) for (a, b), (c, d) in combinations(lines, 2) if a != c and left < (d - b) / (a - c) < right}
        cuts = sorted(cuts)
        for low, high in zip(cuts, cuts[1:]):
            u = (low + high) / 2
            pattern = tuple(sorted(range(order), key=lambda i: lines[i][0] * u + lines[i][1]))
            chances[pattern] = chances.get(pattern, 0) + high - low
    return chances


# Forecasts -------------------------------------------------------------------------------------------


def valid_time(truth, forecast, scale, tolerance=0.3, h=1.0):
    """Time up to which the error stays below `tolerance` sizes of the attractor, in units of h (VPT).

    truth, forecast  [..., steps, dim]; the first entry is one step ahead
    scale            [dim] standard deviations of the coordinates
    error_t = sqrt(mean over the coordinates of ((forecast - truth)/scale)²); a NaN in a forecast ends it.
    Returns (times [...], censored [...]): the latter marks forecasts that were still good at the end.
    """
    truth, forecast, scale = (np.asarray(a, dtype=float) for a in (truth, forecast, scale))
    if truth.shape != forecast.shape or truth.ndim < 2 or scale.shape != truth.shape[-1:]:
        raise ValueError(f"truth, forecast and scale must be [..., steps, dim] twice and [dim]; got {truth.shape}, {forecast.shape}, {scale.shape}")
    positive("tolerance", tolerance)
    if not (scale > 0).all():
        raise ValueError(f"scale must be > 0 in each coordinate; got {scale.min()}")
    with np.errstate(over="ignore", invalid="ignore"):
        bad = ~(np.sqrt(np.mean(((forecast - truth) / scale) ** 2, axis=-1)) < tolerance)
    censored = ~bad.any(axis=-1)
    return np.where(censored, truth.shape[-2], bad.argmax(axis=-1)) * positive("h", h), censored


def smape(truth, forecast):
    """200/T Σ |y - ŷ|/(|y| + |ŷ|), in percent, at most 200: its value changes when a constant is added to both."""
    truth, forecast = np.asarray(truth, dtype=float), np.asarray(forecast, dtype=float)
    if truth.shape != forecast.shape or not truth.size:
        raise ValueError(f"truth and forecast must have one shape; got {truth.shape} and {forecast.shape}")
    total = abs(truth) + abs(forecast)
    if not (total > 0).all():
        raise ValueError("truth and forecast must not both be 0 anywhere; got 0")
    return float(200 * np.mean(abs(truth - forecast) / total))


class Forecaster:
    """What learns from one series [n, dim] and continues histories [runs, length, dim].

    Series are standardised by mean and spread of the training series; what is learned is the change in one step.
    `history` is how many values of the past a forecast needs.
    """

    history = 1

    def fit(self, series):
        series = np.asarray(series, dtype=float)
        if series.ndim != 2 or not np.isfinite(series).all():
            raise ValueError(f"series must be a finite [n, dim] array; got shape {series.shape}")
        if len(series) < self.history + 10:
            raise ValueError(f"series must have at least {self.history + 10} rows for {type(self).__name__}; got {len(series)}")
        self.mean, self.scale = series.mean(axis=0), series.std(axis=0)
        if not (self.scale > 0).all():
            raise ValueError("series must vary in each coordinate; one is constant")
        self._fit((series - self.mean) / self.scale)
        return self

    def forecast(self, past, steps):
        """The next steps [runs, steps, dim] after past [runs, length, dim], each from the forecast before it.

        A forecast that runs away is NaN from there on.
        """
        past = np.asarray(past, dtype=float)
        if past.ndim != 3 or past.shape[1] < self.history:
            raise ValueError(f"past must be [runs, length >= {self.history}, dim]; got shape {past.shape}")
        x, found = (past - self.mean) / self.scale, []
        state = self._begin(x)
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(whole("steps", steps, 1)):
                new, state = self._next(state)
                found.append(np.where(abs(new) < 50, new, np.nan))
        return np.stack(found, axis=1) * self.scale + self.mean

    # a window of the last values is the state of most forecasters
    def _begin(self, x):
        return x[:, -self.history:]

    def _next(self, window):
        new = window[:, -1] + self._change(window)
        return new, np.concatenate([window[:, 1:], new[:, None]], axis=1)


class Polynomial(Forecaster):
    """Ridge regression of the change on all monomials up to `degree` of the last `delays` values.

    degree 1 is a linear autoregression, degree 2 the "next generation reservoir" (Gauthier et al. 2021).
    """

    def __init__(self, degree=1, delays=1, ridge=1e-8):
        self.degree, self.history = whole("degree", degree, 1), whole("delays", delays, 1)
        self.ridge = number("ridge", ridge, "must be >= 0", lambda v: v >= 0)

    def _features(self, window):
        flat = window.reshape(len(window), -1)
        columns = [np.ones(len(flat))]
        for degree in range(1, self.degree + 1):
            for pick in combinations_with_replacement(range(flat.shape[1]), degree):
                columns.append(np.prod(flat[:, pick], axis=1))
        return np.stack(columns, axis=1)

    def _fit(self, x):
        windows = np.stack([x[i:len(x) - self.history + i] for i in range(self.history)], axis=1)
        self.weights = _ridge(self._features(windows), np.diff(x, axis=0)[self.history - 1:], self.ridge)

    def _change(self, window):
        return self._features(window) @ self.weights


class Terms(Polynomial):
    """Ridge regression of the change on given terms of each of the last `delays` states: a learned multistep method.

    terms  a function of raw states [runs, delays, dim] that returns features [runs, delays, k], such as those of f
    """

    def __init__(self, terms, delays=2, ridge=1e-8):
        super().__init__(1, delays, ridge)
        self.terms = terms

    def _features(self, window):
        found = np.asarray(self.terms(window * self.scale + self.mean), dtype=float)
        return np.concatenate([np.ones((len(found), 1)), found.reshape(len(found), -1)], axis=1)


class Field(Forecaster):
    """x' = Σ c_k term_k(x) with known terms and unknown numbers c, then RK4 with a step of one sample.

    c is fitted to x_{n+1} - x_n = (1/24) Σ c_k (-t_{n-1} + 13 t_n + 13 t_{n+1} - t_{n+2})_k, the integral of the cubic
    through four samples, in units of the time between samples.
    terms  a function of raw states [..., dim] that returns [..., k]
    """

    def __init__(self, terms, ridge=1e-12):
        self.terms, self.ridge = terms, number("ridge", ridge, "must be >= 0", lambda v: v >= 0)

    def _known(self, x):
        t = np.asarray(self.terms(x * self.scale + self.mean), dtype=float)
        return np.concatenate([np.ones((*t.shape[:-1], 1)), t], axis=-1)

    def _fit(self, x):
        t = self._known(x)
        self.weights = _ridge((-t[:-3] + 13 * t[1:-2] + 13 * t[2:-1] - t[3:]) / 24, x[2:-1] - x[1:-2], self.ridge)

    def _change(self, window):
        x, f = window[:, -1], lambda x: self._known(x) @ self.weights
        k1 = f(x)
        k2 = f(x + k1 / 2)
        k3 = f(x + k2 / 2)
        return (k1 + 2 * k2 + 2 * k3 + f(x + k3)) / 6


class Neighbours(Forecaster):
    """The mean change that followed the k most similar windows of the training series (Lorenz's analogues)."""

    def __init__(self, k=3, delays=1):
        self.k, self.history = whole("k", k, 1), whole("delays", delays, 1)

    def _fit(self, x):
        self.windows = np.stack([x[i:len(x) - self.history + i] for i in range(self.history)], axis=1).reshape(len(x) - self.history, -1)
        self.changes = np.diff(x, axis=0)[self.history - 1:]
        self.squares = (self.windows**2).sum(axis=1)

    def _change(self, window):
        distance = self.squares - 2 * window.reshape(len(window), -1) @ self.windows.T
        near = np.argpartition(distance, self.k - 1, axis=1)[:, :self.k]
        return self.changes[near].mean(axis=1)


class Reservoir(Forecaster):
    """An echo state network: r' = (1-a) r + a tanh(W r + V x + b), of which only the linear read-out is learned.

    size, radius, leak, reach   units, spectral radius of W, a, spread of V
    """

    history = 100

    def __init__(self, size=300, radius=0.8, leak=0.8, reach=0.3, ridge=1e-7, seed=0):
        self.size, self.radius, self.leak, self.reach = whole("size", size, 2), positive("radius", radius), positive("leak", leak), positive("reach", reach)
        self.ridge, self.seed = number("ridge", ridge, "must be >= 0", lambda v: v >= 0), seed

    def _push(self, r, x):
        return (1 - self.leak) * r + self.leak * np.tanh(r @ self.inner + x @ self.outer + self.shift)

    def _readout(self, r, x):
        return np.concatenate([np.ones((len(r), 1)), x, r, r**2], axis=1)

    def _fit(self, x):
        rng = np.random.default_rng(self.seed)
        inner = rng.normal(size=(self.size, self.size)) * (rng.random((self.size, self.size)) < 10 / self.size)
        self.inner = inner * self.radius / max(abs(np.linalg.eigvals(inner)))
        self.outer = rng.uniform(-self.reach, self.reach, size=(x.shape[1], self.size))
        self.shift = rng.uniform(-0.2, 0.2, size=self.size)
        r, states = np.zeros((1, self.size)), []
        for row in x[:-1]:
            r = self._push(r, row[None])
            states.append(r[0])
        skip = min(self.history, len(x) // 3)                                 # the start of the reservoir is forgotten first
        self.weights = _ridge(self._readout(np.array(states)[skip:], x[skip:-1]), np.diff(x, axis=0)[skip:], self.ridge)

    def _begin(self, x):
        r = np.zeros((len(x), self.size))
        for i in range(x.shape[1] - 1):
            r = self._push(r, x[:, i])
        return r, x[:, -1]

    def _next(self, state):
        r, x = state
        r = self._push(r, x)
        new = x + self._readout(r, x) @ self.weights
        return new, (r, new)


def _ridge(features, targets, ridge):
    """Least squares with ridge times the number of rows times the mean square of each column."""
    size = np.sqrt(np.mean(features**2, axis=0)) + 1e-300
    a = features / size
    if len(a) >= a.shape[1] and ridge > 0:
        return np.linalg.solve(a.T @ a + ridge * len(a) * np.eye(a.shape[1]), a.T @ targets) / size[:, None]
    penal = math.sqrt(ridge * len(a)) * np.eye(a.shape[1])
    return np.linalg.lstsq(np.vstack([a, penal]), np.vstack([targets, np.zeros((a.shape[1], targets.shape[1]))]), rcond=None)[0] / size[:, None]
