"""Estimates of the information that layers of a network hold: bins, noise, kernels, neighbours.

Taught in the chapter "The information bottleneck, exact and contested" (bottleneck/information-bottleneck).
Units: nats. Activations are t [N, d], one row an input; labels y [N] are whole numbers.
"""

import numpy as np
from scipy.signal import fftconvolve
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.special import digamma, gammaln, ndtr, ndtri

from labutils import info

RULES = ("fixed", "scaled", "quantile")
UNITS = ("tanh", "relu")
GRID = 8_000_000
"""The most places of the grid of a noisy unit."""


# One unit, exactly ---------------------------------------------------------------------------------


def unit_information(w, edges, unit="tanh"):
    """H(bin of T) for T = unit(w X) with X standard normal: exact, from normal distribution functions.

    P(T < e) = Phi(artanh(e) / w) for tanh; 0 for e <= 0 and Phi(e / w) for e > 0 for relu.

    w      a number > 0 or an array of them: the weight
    edges  [B + 1] increasing edges of the bins [e_i, e_{i+1}); they must cover what T can be

    Errors: ValueError for w <= 0, edges that do not increase or leave more than 1e-12 outside.
    Source: chapter bottleneck/information-bottleneck, step 10; paper 097.
    """
    _one_of("unit", unit, UNITS)
    w, edges = _real("w", w), _real("edges", edges, infinite=True)
    if not (w > 0).all():
        raise ValueError(f"w must be > 0; got {w.min():.6g}")
    if edges.ndim != 1 or edges.size < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"edges must be at least two increasing numbers; got {edges}")
    mass = np.diff(_below(unit, w[..., None], edges), axis=-1)
    missing = 1 - mass.sum(-1)
    if not (missing <= 1e-12).all():
        raise ValueError(f"edges must cover all values of the unit; {missing.max():.3g} of the probability is outside")
    return info.entropy(mass / mass.sum(-1, keepdims=True))


def noisy_unit_information(w, sigma, unit="tanh"):
    """I(X; T + sigma N) for T = unit(w X), X and N standard normal: h(T + sigma N) - h(sigma N).

    T is put on a grid of spacing sigma / 40 with its exact probabilities, and convolved with the noise.
    The grid counts as noise of variance sigma^2 / 19200: the value is right to about 3e-5 nats.

    Errors: ValueError for w or sigma <= 0, an unknown unit, and a sigma so small against the range of T
    (2, or 8.3 w for relu) that the grid would need more than 8 million places; there
    h(T) - 1/2 log(2 pi e sigma^2) is close, if T has a density.
    Source: chapter bottleneck/information-bottleneck, step 11; paper 045.
    """
    _one_of("unit", unit, UNITS)
    w, sigma = _positive("w", w), _positive("sigma", sigma)
    low, high = {"tanh": (-np.tanh(8.3 * w), np.tanh(8.3 * w)), "relu": (0.0, 8.3 * w)}[unit]  # Phi(-8.3) is 5e-17
    if not (high - low) * 40 / sigma < GRID:
        raise ValueError(f"sigma must be at least {(high - low) * 40 / GRID:.2g} for a {unit} unit with w = {w:g}; got {sigma:g}")
    dt = sigma / 40
    first, last = round(low / dt), round(high / dt)
    mass = np.diff(_below(unit, w, (np.arange(first, last + 2) - 0.5) * dt), prepend=0.0, append=1.0)
    mass[1] += mass[0]  # the tails beyond the grid
    mass[-2] += mass[-1]
    noise = np.exp(-0.5 * (np.arange(-360, 361) / 40) ** 2)
    density = np.maximum(fftconvolve(mass[1:-1], noise / (noise.sum() * dt)), 0.0)
    density /= density.sum() * dt
    return float(info.differential_entropy(density, dt) - 0.5 * np.log(2 * np.pi * np.e * sigma**2))


def _below(unit, w, edges):
    """P(T < e) for each edge; w broadcasts against the edges."""
    if unit == "tanh":
        inside = np.abs(edges) < 1
        place = np.where(inside, np.arctanh(np.where(inside, edges, 0.0)), np.where(edges > 0, np.inf, -np.inf))
        return ndtr(place / w)
    return np.where(edges > 0, ndtr(np.maximum(edges, 0.0) / w), 0.0)


# Bins ----------------------------------------------------------------------------------------------


def cells(t, rule="fixed", bins=30, width=2 / 30):
    """The cell of each input: all units of the layer are binned, inputs in the same bins share a cell.

    rule  "fixed": bins of `width`, the same for all layers and times, aligned at 0; a value on an
          edge goes to the bin nearer 0, so that 1 shares the last bin of [-1, 1]
          "scaled": `bins` equal bins from the least to the greatest activation of this layer
          "quantile": `bins` bins of equally many inputs, for each unit by itself (ties stay together)

    Returns [N] whole numbers. Errors: ValueError for NaN, an unknown rule, bins < 2, width <= 0,
    and for "scaled" a layer that is constant.
    Source: chapter bottleneck/information-bottleneck, step 10; papers 045 and 097.
    """
    t = _activations("t", t)
    _one_of("rule", rule, RULES)
    if rule == "fixed":
        place = np.floor(t * (1 - 1e-9) / _positive("width", width))
    else:
        if not (isinstance(bins, (int, np.integer)) and bins >= 2):
            raise ValueError(f"bins must be a whole number >= 2; got {bins!r}")
        if rule == "scaled":
            low, high = t.min(), t.max()
            if not high > low:
                raise ValueError(f"t must vary for the rule 'scaled'; all activations are {low:g}")
            place = np.minimum(np.floor((t - low) / (high - low) * bins), bins - 1)
        else:
            rank = np.stack([np.searchsorted(np.sort(c), c, side="left") for c in t.T], axis=1)
            place = np.floor(rank * bins / len(t))
    return np.unique(place, axis=0, return_inverse=True)[1].reshape(-1)


def binned_information(t, y, rule="fixed", bins=30, width=2 / 30):
    """(I(X;T), I(T;Y)) of the binned layer over the N inputs, each taken as equally likely.

    The bin is a function of the input, so I(X;T) = H(bin T), at most log N.

    Errors: as in `cells`, and ValueError for labels of another length.
    Source: chapter bottleneck/information-bottleneck, step 10; paper 097.
    """
    cell, y = cells(t, rule, bins, width), _labels(y, len(t))
    joint = np.zeros((cell.max() + 1, y.max() + 1))
    np.add.at(joint, (cell, y), 1 / len(cell))
    return float(info.entropy(joint.sum(1))), float(info.mutual_information(joint))


# Noise and kernels -----------------------------------------------------------------------------------


def kernel_bounds(t, sigma):
    """(lower, upper) for I(X; T + sigma N) over N equally likely inputs, N standard normal.

    lower = -1/N sum_i log 1/N sum_j exp(-|t_i - t_j|^2 / (8 sigma^2))
    upper = the same with 2 sigma^2: the law of T + sigma N is a mixture of N normals
    Both lie between 0 and log N.

    Errors: ValueError for NaN, sigma <= 0.
    Source: chapter bottleneck/information-bottleneck, step 11; Kolchinsky and Tracey (2017).
    """
    t, sigma = _activations("t", t), _positive("sigma", sigma)
    distance = cdist(t, t, "sqeuclidean")  # from differences: a common offset takes no digits
    return tuple(float(-np.log(np.exp(-distance / (c * sigma**2)).mean(1)).mean()) for c in (8, 2))


def noisy_information(t, sigma, rng, draws=1):
    """Monte Carlo value of I(X; T + sigma N), what `kernel_bounds` enclose: [draws] unbiased estimates.

    Errors: as in `kernel_bounds`. Source: chapter bottleneck/information-bottleneck, step 11.
    """
    t, sigma = _activations("t", t), _positive("sigma", sigma)
    t = t - t.mean(0)  # an offset must not swallow the noise
    found = []
    for _ in range(draws):
        noise = rng.normal(size=t.shape)
        distance = cdist(t + sigma * noise, t, "sqeuclidean")
        own = (noise**2).sum(1) * sigma**2
        found.append(-np.log(np.exp((own[:, None] - distance) / (2 * sigma**2)).mean(1)).mean())
    return np.array(found)


# Neighbours ------------------------------------------------------------------------------------------


def knn_entropy(x, k=5):
    """Kozachenko and Leonenko's estimate of h(X) from samples x [N, d].

    h = psi(N) - psi(k) + log c_d + d/N sum_i log eps_i, eps_i the distance to the k-th neighbour and
    c_d the volume of the unit ball.

    Errors: ValueError for NaN, k outside 1..N-1, repeated points (a distance of 0).
    Source: chapter bottleneck/information-bottleneck, step 11; paper 045.
    """
    x = _activations("x", x)
    n, d = x.shape
    distance = _kth(x, k, 2)
    ball = 0.5 * d * np.log(np.pi) - gammaln(d / 2 + 1)
    return float(digamma(n) - digamma(k) + ball + d * np.log(distance).mean())


def knn_information(x, y, k=5):
    """Estimate of I(X;Y) from paired samples: the first of Kraskov, Stögbauer and Grassberger.

    I = psi(k) + psi(N) - mean[psi(n_x + 1) + psi(n_y + 1)], n_x and n_y the points strictly nearer
    in X and in Y than the k-th neighbour in both, by the largest coordinate.

    Errors: as in `knn_entropy`, and for samples of different lengths.
    Source: chapter bottleneck/information-bottleneck, step 11; paper 045.
    """
    x, y = _activations("x", x), _activations("y", y)
    if len(x) != len(y):
        raise ValueError(f"x and y must have the same length; got {len(x)} and {len(y)}")
    radius = np.nextafter(_kth(np.hstack([x, y]), k, np.inf), 0)
    near = [cKDTree(a).query_ball_point(a, radius, p=np.inf, return_length=True) for a in (x, y)]
    return float(digamma(k) + digamma(len(x)) - sum(digamma(n).mean() for n in near))


def class_information(t, y, k=5):
    """Estimate of I(T;Y) for a class Y: h(T) - sum_y p(y) h(T|y), each by `knn_entropy`.

    Errors: as in `knn_entropy`; each class needs more than k members.
    Source: chapter bottleneck/information-bottleneck, step 11; paper 045.
    """
    t = _activations("t", t)
    y = _labels(y, len(t))
    parts = [t[y == c] for c in np.unique(y)]
    return knn_entropy(t, k) - sum(len(part) / len(t) * knn_entropy(part, k) for part in parts)


def principal(x, dims):
    """The first principal components of x [N, d]: a linear code of `dims` numbers an input.

    Errors: ValueError for NaN, dims outside 1..d. Source: chapter step 11; paper 045.
    """
    x = _activations("x", x)
    if not (isinstance(dims, (int, np.integer)) and 1 <= dims <= x.shape[1]):
        raise ValueError(f"dims must be a whole number from 1 to {x.shape[1]}; got {dims!r}")
    centred = x - x.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return centred @ vectors[:, ::-1][:, :dims]


def _kth(x, k, p):
    if not (isinstance(k, (int, np.integer)) and 1 <= k < len(x)):
        raise ValueError(f"k must be a whole number from 1 to {len(x) - 1}; got {k!r}")
    distance = cKDTree(x).query(x, k + 1, p=p)[0][:, -1]
    if not (distance > 0).all():
        raise ValueError(f"points must be distinct: point {int(np.argmin(distance))} has {k} others in its place"
                         " (add noise, or use bins)")
    return distance


# What is accepted ------------------------------------------------------------------------------------


def _real(name, x, infinite=False):
    try:
        x = np.asarray(x, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers in a rectangular array; got {x!r}") from None
    if np.isnan(x).any() or not (infinite or np.isfinite(x).all()):
        raise ValueError(f"{name} must be finite numbers; got {x[~np.isfinite(x)][0]}")
    return x


def _activations(name, t):
    t = _real(name, t)
    if t.ndim == 1:
        t = t[:, None]
    if t.ndim != 2 or 0 in t.shape:
        raise ValueError(f"{name} must be [N, d]; got shape {t.shape}")
    return t


def _labels(y, n):
    y = np.asarray(y)
    if y.shape != (n,) or y.dtype.kind not in "iu" or y.min() < 0:
        raise ValueError(f"y must be {n} whole numbers >= 0; got shape {y.shape}, dtype {y.dtype}")
    return y


def _positive(name, value):
    value = info._number(name, value)
    if not 0 < value < np.inf:
        raise ValueError(f"{name} must be finite and > 0; got {value:g}")
    return value


def _one_of(name, value, known):
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
