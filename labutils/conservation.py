"""Fields that spread, and learned models of them: finite volumes, exact fronts, and conditioning a Gaussian on a budget.

Taught in the chapter "Learning that respects conservation laws" (waves/conservation).
Units: those of the field, of x and of t; information in nats.
"""

import math
from typing import Any, NamedTuple

import array_api_compat as compat
import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import beta, erf

from labutils._inputs import finite, namespace, number, positive, whole

STABLE = 0.5
"""Largest number dt max(k) / dx² at which the explicit scheme is stable."""


# Exact solutions of u_t = (k(u) u_x)_x ---------------------------------------------------------------


def wave(x, t, m):
    """The wave that runs into empty ground with k = u^m: u = (m (t - x)_+)^(1/m), front at x = t.

    x, t, m  broadcast; NumPy arrays or torch tensors, or numbers; m > 0

    Errors: ValueError for m <= 0. Source: chapter waves/conservation; Hansen and others (2023).
    """
    xp, x, t, m = _three(x, t, m)
    behind = m * xp.where(t > x, t - x, 0 * (t - x))
    return behind ** (1 / m)


def wave_mass(t, m, low=0.0, high=math.inf):
    """Integral of `wave` from low to high at time t; from 0 on it is all that came in, m^(1 + 1/m) t^(1 + 1/m) / (m + 1).

    With cell edges for low and high it gives exact sums over cells. low and high broadcast with t and m.

    Errors: ValueError for m <= 0.
    """
    t, m, low, high = (np.asarray(v, dtype=float) for v in (t, m, low, high))
    if not np.all(m > 0):
        raise ValueError(f"m must be > 0; got {m.min():g}")
    area = lambda edge: m ** (1 / m) * np.maximum(t - edge, 0.0) ** (1 + 1 / m) * m / (m + 1)
    return area(low) - area(np.minimum(high, np.maximum(t, low)))


def barenblatt(x, t, m, c=1.0):
    """A drop that spreads, k = u^m: u = t^-a (c - a m x² / (2 t^2a))_+^(1/m) with a = 1/(m + 2).

    x, t, m  broadcast, t > 0, m > 0; c > 0 sets the mass, `barenblatt_mass`

    Errors: ValueError for t, m or c that is not > 0. Source: chapter waves/conservation; Vázquez (2007).
    """
    c = positive("c", c)
    xp, x, t, m = _three(x, t, m)
    if not bool(xp.all(t > 0)):
        raise ValueError(f"t must be > 0; got {float(xp.min(t)):g}")
    a = 1 / (m + 2)
    inside = c - a * m / 2 * x**2 / t ** (2 * a)
    return t**-a * xp.where(inside > 0, inside, 0 * inside) ** (1 / m)


def barenblatt_mass(m, c=1.0):
    """Integral of `barenblatt` over all x, the same at all times: c^(1/m + 1/2) sqrt(2 (m + 2) / m) B(1/2, 1 + 1/m)."""
    m, c = positive("m", m), positive("c", c)
    return c ** (1 / m + 0.5) * math.sqrt(2 * (m + 2) / m) * float(beta(0.5, 1 + 1 / m))


def stefan_root(star):
    """z of the Stefan front x = 2 z sqrt(t): star erf(z) z exp(z²) = (1 - star) / sqrt(pi).

    star  value just behind the front, from 1e-12 to 1 - 1e-12

    Errors: ValueError for star outside these.
    """
    star = number("star", star, "must lie strictly between 0 and 1, not within 1e-12 of them", lambda v: 1e-12 <= v <= 1 - 1e-12)
    return brentq(lambda z: star * float(erf(z)) * z * math.exp(z * z) - (1 - star) / math.sqrt(math.pi), 1e-9, 6.0, xtol=1e-15)


def stefan(x, t, star):
    """Ground that conducts only where u >= star (k = 1 there, else 0), u = 1 at x = 0, empty at first.

    u = 1 - (1 - star) erf(x / 2 sqrt(t)) / erf(z) up to the front 2 z sqrt(t), with z = stefan_root(star), and 0 beyond:
    a jump of height star.

    x [n], t > 0 a number

    Errors: ValueError for t <= 0 or star outside (0, 1). Source: chapter waves/conservation; Hansen and others (2023).
    """
    t, z = positive("t", t), stefan_root(star)
    x = np.asarray(x, dtype=float)
    return np.where(x <= 2 * z * math.sqrt(t), 1 - (1 - star) * erf(x / (2 * math.sqrt(t))) / erf(z), 0.0)


def stefan_mass(t, star, low=0.0, high=math.inf):
    """Integral of `stefan` from low to high; from 0 on it is what came in, 2 (1 - star) sqrt(t / pi) / erf(z).

    low, high  [n] edges of cells, or numbers
    Errors: those of `stefan`.
    """
    t, z = positive("t", t), stefan_root(star)
    front, root = 2 * z * math.sqrt(t), math.sqrt(t)
    def area(edge):
        s = np.clip(np.asarray(edge, dtype=float), None, front) / (2 * root)
        return 2 * root * (s - (1 - star) / erf(z) * (s * erf(s) + (np.exp(-s * s) - 1) / math.sqrt(math.pi)))
    return area(high) - area(low)


def _three(x, t, m):
    """The namespace of x, t, m and the three as floating arrays of it; m > 0."""
    arrays = [v for v in (x, t, m) if compat.is_array_api_obj(v)]
    xp = compat.array_namespace(*arrays) if arrays else np
    like = next((v for v in arrays if xp.isdtype(v.dtype, "real floating")), None)
    dtype = xp.float64 if like is None else like.dtype
    x, t, m = (xp.asarray(v, dtype=dtype) for v in (x, t, m))
    if not bool(xp.all(m > 0)):
        raise ValueError(f"m must be > 0; got {float(xp.min(m)):g}")
    return xp, x, t, m


# Finite volumes ----------------------------------------------------------------------------------------


class March(NamedTuple):
    """u [..., n] cell means at the end, inflow [...] that has come in through both ends, number dt max(k)/dx² used, steps."""

    u: Any
    inflow: Any
    number: float
    steps: int


def by_potential(potential):
    """Flux between neighbours from K(u), the integral of k: -(K(right) - K(left)) / gap."""
    return lambda left, right, gap: -(potential(right) - potential(left)) / gap


def by_mean(k, kind="arithmetic"):
    """Flux from a mean of k on both sides, -mean(k) (right - left) / gap; kind arithmetic or harmonic.

    The harmonic mean is 0 where one side is empty and k(0) = 0: no front ever enters empty ground.

    Errors: ValueError for another kind.
    """
    if kind not in ("arithmetic", "harmonic"):
        raise ValueError(f"kind must be arithmetic or harmonic; got {kind!r}")

    def flux(left, right, gap):
        a, b = k(left), k(right)
        total = a + b
        mean = total / 2 if kind == "arithmetic" else 2 * a * b / (total + (total == 0))
        return -mean * (right - left) / gap

    return flux


def march(u, dx, flux, largest, time, *, left=None, right=None, start=0.0, number_=0.3, beyond=False):
    """Explicit finite volumes for u_t = (k(u) u_x)_x: each cell loses to its neighbour what the neighbour gains.

    u_i <- u_i + dt/dx (F_{i-1/2} - F_{i+1/2}), so sum(u) dx changes by the inflow at the ends and by nothing else.

    u            [..., n] cell means at `start`, NumPy or torch
    flux         of (left, right, gap): `by_potential` or `by_mean`
    largest      largest k that occurs; dt = number_ dx² / largest, or a little less, so that steps fit
    left, right  value at the wall as a function of time, half a cell away; None lets nothing through
    number_      dt largest / dx²: up to 1/2 the root mean square distance from a steady field does not grow, for constant
                 k; up to 1/3 no cell leaves the range of the data, at walls too
    beyond       lets a larger number run, to see what happens

    Second order in dx on smooth fields (dt goes with dx²).

    Errors: ValueError for shapes, dx, time or a number above 1/2 (the number and the limit are named); RuntimeError
    when |u| exceeds ten times its data (the start, and the walls until then) or is not finite, with the time at which it
    did; TypeError for a wall that is no function.
    Source: chapter waves/conservation; LeVeque (2002).
    """
    xp = namespace(u=u)
    finite(u=u)
    if u.ndim < 1 or u.shape[-1] < 3:
        raise ValueError(f"u must have at least 3 cells on its last axis; got shape {tuple(u.shape)}")
    dx, largest, time, number_ = (positive(n, v) for n, v in (("dx", dx), ("largest", largest), ("time", time), ("number_", number_)))
    if number_ > STABLE and not beyond:
        raise ValueError(f"number_ = dt max(k) / dx² must be <= {STABLE:g} for explicit finite volumes; got {number_:g}")
    steps = math.ceil(time * largest / (number_ * dx * dx) - 1e-9)
    dt = time / steps
    for name, f in (("left", left), ("right", right)):
        if f is not None and not callable(f):
            raise TypeError(f"{name} must be a function of time, or None for a closed wall; got {type(f).__name__}")
    wall = lambda f, t: None if f is None else f(t)
    size = lambda v: float(xp.max(xp.abs(nothing + v)))
    data = max(float(xp.max(xp.abs(u))), 1e-300)                       # largest value of the start and of the walls so far
    inflow = xp.zeros_like(u[..., 0])
    nothing = xp.zeros_like(u[..., :1])
    for step in range(steps):
        t = start + step * dt
        inner = flux(u[..., :-1], u[..., 1:], dx)
        low, high = wall(left, t), wall(right, t)
        data = max(data, *(size(v) for v in (low, high) if v is not None), 0.0)
        first = nothing if low is None else flux(nothing + low, u[..., :1], dx / 2)
        last = nothing if high is None else flux(u[..., -1:], nothing + high, dx / 2)
        faces = xp.concat([first, inner, last], axis=-1)
        u = u + dt / dx * (faces[..., :-1] - faces[..., 1:])
        inflow = inflow + dt * (first - last)[..., 0]
        top = float(xp.max(xp.abs(u)))
        if not top <= 10 * data:
            raise RuntimeError(f"the field blew up at t = {t + dt:.4g} (step {step + 1} of {steps}): |u| is {top:.3g}, "
                               f"ten times the data are {10 * data:.3g}; dt largest / dx² is {dt * largest / dx**2:.3g}, "
                               f"stable is {STABLE:g} if no k exceeds largest = {largest:g}")
    return March(u, inflow, dt * largest / dx**2, steps)


# Conditioning on a budget --------------------------------------------------------------------------------


def condition(mean, cov, G, b, noise=0.0):
    """A Gaussian field given its budget b = G u + noise e, e normal with variance 1:

    mean' = mean - Σ Gᵀ (noise² + G Σ Gᵀ)⁻¹ (G mean - b),   Σ' = Σ - Σ Gᵀ (noise² + G Σ Gᵀ)⁻¹ G Σ

    mean   [..., n]
    cov    [..., n, n] symmetric, no negative eigenvalue
    G      [n] one row (such as dx everywhere), or [r, n] rows
    b      a number or [...]; with rows [..., r]
    noise  >= 0, in the units of b; 0 makes the budget exact

    Errors: ValueError for shapes, a cov that is not symmetric or has a negative eigenvalue, a noise < 0, or a
    budget that cannot be met because Σ leaves no room (G Σ Gᵀ = 0 and noise 0).
    Source: chapter waves/conservation; Hansen and others (2023).
    """
    xp, rows, noise = _gaussian(mean, cov, G, noise)
    wide, S = _spread(xp, cov, rows, noise)                         # Σ Gᵀ [..., n, r] and noise² + G Σ Gᵀ [..., r, r]
    gap = _gap(xp, mean, rows, G, b)                                 # [..., r]
    gain = xp.matrix_transpose(xp.linalg.solve(S, xp.matrix_transpose(wide)))   # [..., n, r]
    new = mean - xp.matmul(gain, gap[..., None])[..., 0]
    cov_new = cov - xp.matmul(gain, xp.matrix_transpose(wide))
    return new, (cov_new + xp.matrix_transpose(cov_new)) / 2


def shrink(cov, G, noise):
    """What the update leaves of the violation G mean - b, for one row: noise² / (noise² + G Σ Gᵀ)."""
    xp, rows, noise = _gaussian(cov[..., 0], cov, G, noise)
    if rows.shape[0] != 1:
        raise ValueError(f"G must be one row here; got {rows.shape[0]}")
    _, S = _spread(xp, cov, rows, noise)
    return noise**2 / S[..., 0, 0]


def information(cov, G, noise):
    """Nats that the budget tells about the field, on average over budgets that the model expects: ½ log det(1 + G Σ Gᵀ / noise²).

    It is the mutual information of field and budget, and the drop of the entropy of the field.

    Errors: those of `condition`, and ValueError for noise 0, when it is infinite.
    """
    xp, rows, noise = _gaussian(cov[..., 0], cov, G, noise)
    if noise == 0:
        raise ValueError("noise must be > 0 for information: an exact number tells infinitely much about a continuous one; got 0")
    _, S = _spread(xp, cov, rows, noise)
    return xp.linalg.slogdet(S / noise**2)[1] / 2


def price(mean, cov, G, b, noise):
    """Nats that this budget b cost: D(conditioned || before), for one row

    ½ [log((s + noise²)/noise²) - s/(s + noise²) + s (G mean - b)² / (s + noise²)²],  s = G Σ Gᵀ

    Its mean over budgets b ~ N(G mean, s + noise²) is `information`.

    Errors: those of `information`; ValueError for more than one row.
    """
    xp, rows, noise = _gaussian(mean, cov, G, noise)
    if rows.shape[0] != 1 or noise == 0:
        raise ValueError(f"price needs one row and noise > 0; got {rows.shape[0]} rows and noise {noise:g}")
    _, S = _spread(xp, cov, rows, noise)
    total = S[..., 0, 0]
    s, gap = total - noise**2, _gap(xp, mean, rows, G, b)[..., 0]
    return (xp.log(total / noise**2) - s / total + s * gap**2 / total**2) / 2


def shift(mean, G, b):
    """The field moved by the same amount in proportion to G, so that G u = b: the nearest field in the plain distance.

    It is `condition` with Σ any multiple of 1 and no noise.

    Errors: ValueError when G is 0 everywhere.
    """
    xp, rows = _row(mean, G)
    if not bool(xp.any(G != 0)):
        raise ValueError("G must not be 0 everywhere for shift: no field has another budget")
    return mean - _gap(xp, mean, rows, G, b) * rows[0] / xp.sum(rows[0] ** 2)


def rescale(mean, G, b):
    """The field times b / (G mean). It is `condition` with Σ = diag(mean / G) and no noise, where that is a covariance: mean / G >= 0.

    Errors: ValueError when G mean is 0.
    """
    xp, rows = _row(mean, G)
    mass = xp.matmul(mean[..., None, :], rows[0][:, None])[..., 0]
    if bool(xp.any(mass == 0)):
        raise ValueError("G mean must not be 0 for rescale; got 0")
    return mean - mean / mass * _gap(xp, mean, rows, G, b)


def _row(mean, G):
    xp = namespace(mean=mean, G=G)
    finite(mean=mean, G=G)
    if G.ndim != 1 or mean.ndim < 1 or mean.shape[-1] != G.shape[0]:
        raise ValueError(f"G must be one row as long as mean; got shapes {tuple(G.shape)} and {tuple(mean.shape)}")
    return xp, G[None, :]


def _gaussian(mean, cov, G, noise):
    """Checked namespace, rows [r, n] and noise of a Gaussian and its budget."""
    xp = namespace(mean=mean, cov=cov, G=G)
    finite(mean=mean, cov=cov, G=G)
    n = mean.shape[-1] if mean.ndim else 0
    if cov.ndim < 2 or tuple(cov.shape[-2:]) != (n, n):
        raise ValueError(f"cov must be [..., n, n] for a mean of n = {n}; got shape {tuple(cov.shape)}")
    if G.ndim not in (1, 2) or G.shape[-1] != n or G.shape[0] < 1:
        raise ValueError(f"G must be [n] or [r, n] with n = {n}; got shape {tuple(G.shape)}")
    noise = number("noise", noise, "must be finite and >= 0", lambda v: 0 <= v < math.inf)
    size = float(xp.max(xp.abs(cov)))
    tiny = 100 * n * float(xp.finfo(cov.dtype).eps) * size
    uneven = float(xp.max(xp.abs(cov - xp.matrix_transpose(cov))))
    if uneven > tiny:
        raise ValueError(f"cov must be symmetric; entries differ from their mirror images by up to {uneven:.3g}")
    least = float(xp.min(xp.linalg.eigvalsh(cov)))
    if least < -tiny:
        raise ValueError(f"cov must have no negative eigenvalue; the smallest is {least:.3g}")
    return xp, (G if G.ndim == 2 else G[None, :]), noise


def _spread(xp, cov, rows, noise):
    wide = xp.matmul(cov, xp.matrix_transpose(rows))
    s = xp.matmul(rows, wide)
    own = xp.linalg.eigvalsh(s)
    room = xp.min(own) + noise**2
    if not float(room) > (1e-14 * float(xp.max(xp.abs(own))) if rows.shape[0] > 1 else 0.0):
        if rows.shape[0] > 1 and float(xp.max(own)) > 0:
            raise ValueError("rows of G must differ: seen through Σ they depend on each other, and noise 0 cannot weigh one against another")
        raise ValueError("G Σ Gᵀ + noise² must be > 0: the model is certain of its budget, and noise 0 leaves no room to move it; got 0")
    return wide, s + noise**2 * xp.eye(rows.shape[0], dtype=cov.dtype, device=compat.device(cov))


def _gap(xp, mean, rows, G, b):
    """G mean - b [..., r]."""
    value = xp.matmul(rows, mean[..., None])[..., 0]
    b = xp.asarray(b, dtype=mean.dtype, device=compat.device(mean))
    if not bool(xp.all(xp.isfinite(b))):
        raise ValueError("b must be finite; got NaN or infinity")
    b = b[..., None] if G.ndim == 1 else b
    try:
        shape = np.broadcast_shapes(tuple(value.shape), tuple(b.shape))
    except ValueError:
        shape = None
    if shape is None or shape != tuple(value.shape):
        raise ValueError(f"b must fit budgets of shape {tuple(value.shape[:-1] if G.ndim == 1 else value.shape)}; got shape {tuple(b.shape[:-1] if G.ndim == 1 else b.shape)}")
    return value - b


# A Gaussian process -----------------------------------------------------------------------------------------


def kernel(x, y, lengths, amplitude=1.0):
    """Squared exponential: amplitude² exp(-½ Σ_d ((x_d - y_d) / lengths_d)²) [n, k] for x [n, d], y [k, d] (or [n], [k]).

    lengths  a number, or [d]
    Errors: ValueError for x and y of different d, lengths of another shape or not > 0.
    """
    x, y = (np.asarray(v, dtype=float).reshape(len(v), -1) for v in (x, y))
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must have as many coordinates; got {x.shape[1]} and {y.shape[1]}")
    if np.shape(lengths) not in ((), (1,), x.shape[1:]):
        raise ValueError(f"lengths must be a number or have {x.shape[1]} entries; got shape {np.shape(lengths)}")
    lengths = np.broadcast_to(np.asarray(lengths, dtype=float), x.shape[1:])
    if not np.all(lengths > 0):
        raise ValueError(f"lengths must be > 0; got {lengths.min():g}")
    gap = (x / lengths)[:, None] - (y / lengths)[None]
    return positive("amplitude", amplitude) ** 2 * np.exp(-0.5 * np.sum(gap * gap, axis=-1))


class Process(NamedTuple):
    """A fitted process: lengths [d], amplitude, noise; x [N, d] and the weights with which y enters."""

    lengths: Any
    amplitude: float
    noise: float
    x: Any
    y: Any
    evidence: float

    def predict(self, new):
        """Mean [k] and covariance [k, k] of the field without noise at places new [k, d]."""
        level = self.y.mean()
        K = kernel(self.x, self.x, self.lengths, self.amplitude) + self.noise**2 * np.eye(len(self.x))
        cross = kernel(new, self.x, self.lengths, self.amplitude)
        solved = np.linalg.solve(K, cross.T).T
        cov = kernel(new, new, self.lengths, self.amplitude) - solved @ cross.T
        return level + solved @ (self.y - level), (cov + cov.T) / 2 + 1e-10 * np.eye(len(new))


def _surprise(p, squares, z):
    """Minus the log likelihood of z [N], in nats, and its gradient, at logarithms p of lengths [d], amplitude and noise.

    squares [N, N, d]: squared distances along each coordinate
    """
    d = squares.shape[-1]
    scale = np.exp(-2 * p[:d])
    core = np.exp(2 * p[d] - 0.5 * squares @ scale)
    L = np.linalg.cholesky(core + (np.exp(2 * p[d + 1]) + 1e-8) * np.eye(len(z)))
    inverse = np.linalg.inv(L)
    a = inverse.T @ (inverse @ z)
    W = (inverse.T @ inverse - np.outer(a, a)) / 2                       # derivative of the loss by the matrix
    grad = [np.sum(W * core * squares[..., i]) * scale[i] for i in range(d)]
    grad += [2 * np.sum(W * core), 2 * np.exp(2 * p[d + 1]) * np.trace(W)]
    return z @ a / 2 + np.log(np.diag(L)).sum() + len(z) / 2 * math.log(2 * math.pi), np.array(grad)


def fit(x, y, steps=60, start=0.5):
    """A Gaussian process whose lengths, amplitude and noise make the data most likely (L-BFGS on their logarithms).

    x [N, d], y [N]; the mean of y is taken as the level. `evidence` is the log likelihood in nats.

    Errors: ValueError for shapes that do not fit, or numbers that are not finite.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    finite(x=x, y=y)
    if x.ndim != 2 or y.shape != x.shape[:1] or len(y) < 3:
        raise ValueError(f"x must be [N, d] and y [N] with N >= 3; got shapes {x.shape} and {y.shape}")
    steps, d, z = whole("steps", steps, 1), x.shape[1], y - y.mean()
    squares = (x[:, None] - x[None]) ** 2                              # (N, N, d)
    begin = np.concatenate([np.log(start * x.std(axis=0) + 1e-12), [math.log(y.std() + 1e-12)], [math.log(0.05)]])
    limits = [(b - 4, b + 4) for b in begin[:d + 1]] + [(math.log(1e-4), math.log(1.0))]
    best = minimize(_surprise, begin, args=(squares, z), jac=True, method="L-BFGS-B", bounds=limits, options={"maxiter": steps})
    p = best.x
    return Process(np.exp(p[:d]), float(np.exp(p[d])), float(np.exp(p[d + 1])), x, y, -float(best.fun))


# Scores ---------------------------------------------------------------------------------------------------


def log_likelihood(mean, deviation, truth):
    """Mean over cells of the log density of normals at the truth, in nats a cell (up to the unit of the field).

    mean, deviation, truth  [..., n], deviation > 0

    Errors: ValueError for a deviation that is not > 0.
    """
    xp = namespace(mean=mean, deviation=deviation, truth=truth)
    if not bool(xp.all(deviation > 0)):
        raise ValueError(f"deviation must be > 0; got {float(xp.min(deviation)):g}")
    z = (truth - mean) / deviation
    return xp.mean(-(z * z) / 2 - xp.log(deviation) - math.log(2 * math.pi) / 2, axis=-1)


def front(x, u, level):
    """Where fields fall below `level` for the last time, by a straight line between cells: [...] for u [..., n].

    A field that never reaches the level has its front at x[0], one that never falls below it at x[-1].

    Errors: ValueError for shapes that do not fit, or a field that is not finite.
    """
    x, u = np.asarray(x, dtype=float), np.asarray(u, dtype=float)
    if x.ndim != 1 or u.shape[-1:] != x.shape:
        raise ValueError(f"x must be [n] and u [..., n]; got shapes {x.shape} and {u.shape}")
    finite(x=x, u=u)
    above = u >= level
    last = len(x) - 1 - np.argmax(above[..., ::-1], axis=-1)
    i = np.minimum(last, len(x) - 2)[..., None]
    a, b = np.take_along_axis(u, i, -1)[..., 0], np.take_along_axis(u, i + 1, -1)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        place = x[i[..., 0]] + (a - level) / (a - b) * (x[i[..., 0] + 1] - x[i[..., 0]])
    place = np.where(last == len(x) - 1, x[-1], place)
    return np.where(above.any(axis=-1), place, x[0])
