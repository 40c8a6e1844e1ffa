"""How long a Gaussian process keeps its sign: crossings, the Slepian model, independent intervals.

Taught in the chapter "Fluctuations, repulsion and persistence" (jaynes/fluctuations).
Time is in the unit of the covariance's argument; an exponent theta (the page's vartheta) is a rate, 1 / time.
A covariance r (the page's varrho) is a function of lags t >= 0, written so that it takes complex arrays too:
derivatives are those of its analytic form, from imaginary steps.
"""

import math

import numpy as np
from scipy.optimize import brentq

STEP = 1e-20

# Covariances -------------------------------------------------------------------------------------


def diffusion(dimensions):
    """Covariance of a field that diffuses from white noise, in logarithmic time: sech(t/2)^(dim/2).

    Errors: ValueError for a number of dimensions <= 0.
    Source: chapter jaynes/fluctuations, step 10.
    """
    if not (np.ndim(dimensions) == 0 and dimensions > 0):
        raise ValueError(f"dimensions must be a number > 0; got {dimensions!r}")

    def r(t):  # (2 / (1 + e^-t))^p e^(-pt/2), which does not overflow
        return (2 / (1 + np.exp(-t))) ** (dimensions / 2) * np.exp(-dimensions * t / 4)

    return r


def random_acceleration(t):
    """Covariance of the integral of Brownian motion, in logarithmic time: (3/2)e^(-t/2) - (1/2)e^(-3t/2).

    Source: chapter jaynes/fluctuations, step 10.
    """
    return 1.5 * np.exp(-t / 2) - 0.5 * np.exp(-1.5 * t)


# The Slepian model --------------------------------------------------------------------------------


def curvature(r):
    """-r''(0), the mean square of the process's derivative: from the values of r around t = 0.

    They are taken on a circle whose radius follows the scale of r, so the unit of time is free.

    Errors: ValueError where r(0) is not 1, where r is not analytic around 0 (an absolute value of t, say),
    where r'(0+) is not 0 (then r''(0) is infinite), or where -r''(0) is not positive.
    Source: chapter jaynes/fluctuations, step 10.
    """
    start = float(np.real(r(np.array([1e-15]))[0]))
    if not abs(start - 1) <= 1e-8:
        raise ValueError(f"r must be a correlation, with r(0) = 1; got {start:.6g}")
    radius = 1e-12
    while radius < 1e12 and abs(1 - np.real(r(np.array([2 * radius]))[0])) <= 1e-3:
        radius *= 2  # up to where r has just begun to move
    ring = radius * np.exp(2j * np.pi * (np.arange(32) + 0.5) / 32)
    around = np.asarray(r(ring))  # Taylor coefficients of an analytic function, by Cauchy's formula
    zeroth, first, second = (np.mean(around * ring**-k).real for k in range(3))
    if not abs(zeroth - 1) <= 1e-8:
        raise ValueError(
            f"r must be analytic around 0 and take complex lags (no absolute value of t);"
            f" got a mean of {zeroth:.6g} on a circle around r(0) = 1 of radius {radius:.3g}"
        )
    if not abs(first) * radius <= 1e-10:
        raise ValueError(
            f"r must be flat at 0, since otherwise r''(0) is infinite and so is the number of zeros"
            f" (Ornstein-Uhlenbeck is such a process); got the slope r'(0+) = {first:.6g}"
        )
    if not second < 0:
        raise ValueError(f"r must have r''(0) < 0; got {2 * second:.6g}")
    return -2 * second


def slepian_mean(r, t):
    """Mean sign of a stationary Gaussian process, a time t after it crossed 0 from below.

    M(t) = -r'(t) / sqrt(-r''(0) (1 - r(t)^2)),  M(0) = 1

    r   covariance with r(0) = 1; it must take complex arrays
    t   lags >= 0; the relative error is about 1e-16 / t^2 for small t > 0

    Errors: ValueError for a negative lag, those of `curvature`, |r(t)| >= 1 at a lag t > 0.
    Source: chapter jaynes/fluctuations, step 11; paper 054.
    """
    t = np.asarray(t, dtype=float)
    if not (t >= 0).all():
        raise ValueError(f"t must be >= 0; got {t.min() if t.size else t}")
    scale = math.sqrt(curvature(r))
    later = np.where(t > 0, t, 1.0)
    value = np.asarray(r(later + 1j * STEP))
    r_t, slope = value.real, value.imag / STEP
    if not (np.abs(r_t) < 1).all():
        bad = ~(np.abs(r_t) < 1)
        raise ValueError(f"r must lie strictly between -1 and 1 at lags > 0; got {r_t[bad].flat[0]:.6g} at t = {later[bad].flat[0]:.6g}")
    return np.where(t > 0, -slope / (scale * np.sqrt((1 - r_t) * (1 + r_t))), 1.0)


def iia_exponent(r, horizon=4000.0):
    """Decay rate theta of long intervals if intervals were independent (independent-interval approximation).

    The smallest theta > 0 with  theta * int_0^inf e^(theta t) M(t) dt = 1.

    horizon  how far to look for the end of M, which must fall below 1e-60 there

    Errors: those of `slepian_mean`; ValueError where M does not decay exponentially within the
    horizon, or where no such theta lies below 0.8 of its rate of decay: nearer to the rate the
    integral is not resolved. No theta below the rate does not mean that there is no law: where
    the mean sign oscillates, a real zero of 1 + s LM, continued, may lie beyond the rate.
    Source: chapter jaynes/fluctuations, step 12; paper 054.
    """
    edges = np.concatenate([[0.0], np.geomspace(0.05, horizon, 400)])
    E = np.abs(slepian_mean(r, edges))
    last = np.flatnonzero(E > 1e-60)[-1] + 1
    if last >= edges.size:
        raise ValueError(f"r must decay exponentially: the mean sign is still {E[-1]:.3g} at t = {horizon:g}")
    u, w = np.polynomial.legendre.leggauss(12)
    fine = np.linspace(0, edges[last], 1 + max(400, int(8 * edges[last])))
    middle, half = (fine[1:] + fine[:-1])[:, None] / 2, np.diff(fine)[:, None] / 2
    t, weight = (middle + half * u).ravel(), (half * w).ravel()
    weight = weight * slepian_mean(r, t)
    excess = lambda theta: theta * np.sum(weight * np.exp(theta * t)) - 1
    rate = -math.log(1e-60) / edges[last]  # M decays about like this
    grid = rate * np.linspace(0, 1, 201)
    above = np.flatnonzero([excess(theta) > 0 for theta in grid])
    theta = brentq(excess, grid[above[0] - 1], grid[above[0]], xtol=1e-13) if above.size else math.inf
    tail = t > 0.8 * edges[last]
    if not theta < rate or abs(np.sum(weight[tail] * np.exp(theta * t[tail]))) > 1e-8:
        raise ValueError(
            f"r has no exponent within reach: theta * int e^(theta t) M dt = 1 has no solution below 0.8 of the rate"
            f" {rate:.3g} at which the mean sign decays (nearer to the rate none is resolved)"
        )
    return theta


def iia_density(r, horizon=20.0, n=2000):
    """What the approximation takes for the density of an interval: t, f(t), each [n + 1].

    Laplace transform (1 - s LM) / (1 + s LM); solved as f = g/2 + (g * f)/2 with g = -M', by the
    trapezoidal rule. It is a density where M decreases; otherwise f may be negative.

    Errors: those of `slepian_mean`; ValueError for horizon <= 0 or n not whole or < 10.
    Source: chapter jaynes/fluctuations, step 13; paper 054.
    """
    if not horizon > 0 or not _whole(n, 10):
        raise ValueError(f"horizon must be > 0 and n a whole number >= 10; got {horizon!r} and {n!r}")
    t = np.linspace(0, horizon, n + 1)
    dt = t[1]
    g = -np.gradient(slepian_mean(r, t), dt, edge_order=2)
    f = np.zeros_like(t)
    f[0] = g[0] / 2
    for k in range(1, n + 1):
        past = dt * (g[1:k] @ f[k - 1 : 0 : -1] + g[k] * f[0] / 2)
        f[k] = (g[k] / 2 + past / 2) / (1 - dt * g[0] / 4)
    return t, f


# Simulation ---------------------------------------------------------------------------------------


def gaussian_path(r, n, dt, paths=1, seed=None):
    """Paths of a stationary Gaussian process on a grid: [paths, n], exact in law at the grid points.

    Circulant embedding: the covariance on a circle of 2 n points has eigenvalues by a Fourier
    transform; independent normals with these variances, transformed back, give two paths at a time.

    Errors: ValueError where r(0) is not 1 or r is not finite, or where the circle's covariance has a negative eigenvalue
    (more than rounding): then take more points, so that r has decayed at their end.
    Source: chapter jaynes/fluctuations, step 12.
    """
    if not _whole(n, 2) or not dt > 0 or not _whole(paths, 1):
        raise ValueError(f"n must be a whole number >= 2, dt > 0 and paths a whole number >= 1; got {n!r}, {dt!r} and {paths!r}")
    row = np.asarray(r(dt * np.arange(n + 1)), dtype=float)
    if not abs(row[0] - 1) <= 1e-12:
        raise ValueError(f"r must be a correlation, with r(0) = 1; got {row[0]:.6g}")
    if not np.isfinite(row).all():
        k = int(np.flatnonzero(~np.isfinite(row))[0])
        raise ValueError(f"r must be finite; got {row[k]} at t = {dt * k:.6g}")
    power = np.fft.fft(np.concatenate([row, row[-2:0:-1]])).real
    if power.min() < -1e-9 * power.max():
        raise ValueError(
            f"r and n must give a non-negative circulant embedding; got the eigenvalue {power.min():.3g}"
            f" (r at the end is {row[-1]:.3g}): take more points"
        )
    root = np.sqrt(np.maximum(power, 0.0) / power.size)  # what is below 0 is rounding
    rng = np.random.default_rng(seed)
    out = np.empty((paths, n))
    for k in range(0, paths, 2):
        noise = rng.standard_normal((2, power.size))
        pair = np.fft.fft(root * (noise[0] + 1j * noise[1]))[:n]
        out[k : k + 2] = np.stack([pair.real, pair.imag])[: paths - k]
    return out


def survival(path, steps):
    """Share of all windows of so many grid steps, in one path, in which the sign does not change.

    path   [n];  steps  whole numbers >= 0 below n. A run of k equal signs holds max(k - steps, 0) windows.

    Errors: ValueError for another shape, NaN in the path, or steps outside 0 to n - 1.
    Source: chapter jaynes/fluctuations, step 12.
    """
    path, steps = np.asarray(path), np.asarray(steps)
    if path.ndim != 1 or path.size < 2:
        raise ValueError(f"path must have one axis and at least 2 points; got shape {path.shape}")
    if np.isnan(path).any():
        raise ValueError("path must be free of NaN, which has no sign")
    if not ((steps >= 0) & (steps < path.size)).all():
        raise ValueError(f"steps must lie between 0 and {path.size - 1}; got {steps}")
    turns = np.flatnonzero(np.diff(path > 0))
    runs = np.diff(np.concatenate([[-1], turns, [path.size - 1]]))
    counts = np.bincount(runs, minlength=path.size + 1)
    k = np.arange(counts.size)
    many, mass = np.cumsum(counts[::-1])[::-1], np.cumsum((counts * k)[::-1])[::-1]
    return (mass[steps] - steps * many[steps]) / (path.size - steps)


def intervals(path, dt):
    """Lengths of the complete intervals between sign changes, in order; crossings by straight lines.

    Errors: ValueError for another shape than [n] with n >= 2, or NaN in the path.
    Source: chapter jaynes/fluctuations, step 12.
    """
    path = np.asarray(path, dtype=float)
    if path.ndim != 1 or path.size < 2:
        raise ValueError(f"path must have one axis and at least 2 points; got shape {path.shape}")
    if np.isnan(path).any():
        raise ValueError("path must be free of NaN, which has no sign")
    k = np.flatnonzero(np.diff(path > 0))
    return dt * np.diff(k + path[k] / (path[k] - path[k + 1]))


# Helpers ------------------------------------------------------------------------------------------


def _whole(value, least):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least
