"""Pairs of variables whose mutual information is known, to try estimators on.

Taught in the chapter "Estimating information from samples" (foundations/estimation). Units: nats.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from labutils.runtime import need


@dataclass(frozen=True)
class Pair:
    """A law of (X, Y): draw(n, rng) gives two arrays [n, m]; information is I(X;Y) in nats.

    ratio(x, y) is log p(x,y) / (p(x) p(y)), the best critic, where it is known: for x, y [..., m].
    """

    name: str
    information: float
    draw: Callable
    ratio: Callable | None = None

    def warped(self, f, g=None, name=None):
        """The same information through invertible maps f of x and g of y (f again if not given)."""
        g = f if g is None else g

        def draw(n, rng):
            x, y = self.draw(n, rng)
            return f(x), g(y)

        return replace(self, name=name or f"{self.name}, warped", draw=draw, ratio=None)


def gaussian(information, dim=1):
    """`dim` independent pairs of normal variables, all with one correlation, I = -dim/2 log(1-r^2).

    Errors: ValueError for a negative information, dim < 1.
    Source: chapter foundations/estimation, step 2.
    """
    _information(information)
    _dimension(dim)
    r = math.sqrt(-math.expm1(-2 * information / dim))
    s = math.exp(-information / dim)  # sqrt(1 - r^2) without loss of digits

    def draw(n, rng):
        x, e = rng.normal(size=(2, n, dim))
        return x, r * x + s * e

    def ratio(x, y):
        return information + ((y**2 - ((y - r * x) / s) ** 2) / 2).sum(-1)

    return Pair(f"Gaussian, {dim}-D" if dim > 1 else "Gaussian", float(information), draw, ratio)


def student(correlation, freedom):
    """Two variables of one bivariate Student law: dependent even at correlation 0.

    I = h(X) + h(Y) - h(X,Y), from the entropy of the multivariate t law with `freedom` degrees.

    Errors: ValueError for a correlation outside (-1, 1), freedom <= 0.
    Source: chapter foundations/estimation, step 2.
    """
    _correlation(correlation)
    if not (freedom > 0 and math.isfinite(freedom)):
        raise ValueError(f"freedom must be a number > 0; got {freedom!r}")
    special = need("scipy.special")
    v = float(freedom)

    def h(d):  # entropy of the standard d-dimensional t law
        size = special.gammaln(v / 2) - special.gammaln((v + d) / 2) + d / 2 * math.log(v * math.pi)
        return size + (v + d) / 2 * (special.digamma((v + d) / 2) - special.digamma(v / 2))

    value = float(2 * h(1) - h(2) - math.log1p(-(correlation**2)) / 2)

    def draw(n, rng):
        x, e = rng.normal(size=(2, n, 1))
        y = correlation * x + math.sqrt(1 - correlation**2) * e
        scale = np.sqrt(v / rng.chisquare(v, size=(n, 1)))
        return x * scale, y * scale

    return Pair(f"Student, {freedom:g} degrees", value, draw)


def uniform_noise(width):
    """X uniform on [0, 1], Y = X + noise uniform on [-width, width].

    I = width - log(2 width) up to width 1/2, then 1/(4 width).

    Errors: ValueError for width <= 0. Source: chapter foundations/estimation, step 2.
    """
    if not (width > 0 and math.isfinite(width)):
        raise ValueError(f"width must be a number > 0; got {width!r}")
    value = width - math.log(2 * width) if width <= 0.5 else 1 / (4 * width)

    def draw(n, rng):
        x = rng.random((n, 1))
        return x, x + rng.uniform(-width, width, (n, 1))

    return Pair(f"uniform noise {width:g}", float(value), draw)


def cross(correlation):
    """Half of the pairs have correlation r, half -r: uncorrelated, yet dependent.

    Both margins are standard normal; I = E log[(p_r + p_-r)/2 / (p p)] by Gauss-Hermite quadrature.

    Errors: ValueError for a correlation outside (-1, 1), or beyond 0.99 in size (quadrature).
    Source: chapter foundations/estimation, step 2.
    """
    _correlation(correlation)
    r = abs(float(correlation))
    if r > 0.99:
        raise ValueError(f"correlation must be at most 0.99 in size for the quadrature; got {correlation!r}")

    def ratio(x, y):
        q, cross_term = (x**2 + y**2) * r * r, 2 * r * x * y
        parts = [(s * cross_term - q) / (2 * (1 - r * r)) for s in (1, -1)]
        return (np.logaddexp(*parts) - math.log(2) - math.log1p(-r * r) / 2)[..., 0]

    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    weights = weights / weights.sum()
    x, e = nodes[:, None, None], nodes[None, :, None]
    y = r * x + math.sqrt(1 - r * r) * e  # by symmetry one of the two laws is enough
    value = float(weights @ ratio(x + 0 * y, y) @ weights)

    def draw(n, rng):
        x, e = rng.normal(size=(2, n, 1))
        sign = rng.choice([-1.0, 1.0], size=(n, 1))
        return x, sign * r * x + math.sqrt(1 - r * r) * e

    return Pair(f"cross {r:g}", value, draw, ratio)


def spiral(x, speed=2.0):
    """Turn each point about the origin in its first two coordinates, the farther out the more.

    Invertible, and it keeps volumes. x  [n, m], m >= 2.

    Errors: ValueError for fewer than two coordinates.
    """
    if x.ndim != 2 or x.shape[1] < 2:
        raise ValueError(f"x must have shape [n, m], m >= 2; got {x.shape}")
    angle = speed * np.sqrt((x**2).sum(1))
    c, s = np.cos(angle), np.sin(angle)
    turned = np.stack([c * x[:, 0] - s * x[:, 1], s * x[:, 0] + c * x[:, 1]], axis=1)
    return np.concatenate([turned, x[:, 2:]], axis=1)


def spread(x):
    """A monotone map that makes tails heavy, coordinate by coordinate: x -> x |x|^2 + x."""
    return x * np.abs(x) ** 2 + x


def noisy_sources(centres, noise, split):
    """Real points as a law: one of the centres by lot, plus normal noise; X and Y are its two parts.

    centres  [N, D] real data; noise > 0 its standard deviation; split  how many coordinates are X's
    The law is a mixture of N Gaussians, so the density ratio is known, and I is its mean.
    Returns a function of (n, rng): x [n, split], y [n, D - split], log ratios [n], whose mean is an
    unbiased estimate of I(X;Y) with a standard error.

    Errors: ValueError for NaN, a noise <= 0, a split that leaves nothing.
    Source: chapter foundations/estimation, "Something real".
    """
    centres = np.asarray(centres, dtype=float)
    if centres.ndim != 2 or not np.isfinite(centres).all():
        raise ValueError(f"centres must be finite and have shape [N, D]; got shape {centres.shape}")
    if not (noise > 0 and math.isfinite(noise)):
        raise ValueError(f"noise must be a number > 0; got {noise!r}")
    if not (isinstance(split, int) and 0 < split < centres.shape[1]):
        raise ValueError(f"split must lie between 1 and {centres.shape[1] - 1}; got {split!r}")
    parts = centres[:, :split] / noise, centres[:, split:] / noise

    def draw(n, rng):
        pick = rng.integers(len(centres), size=n)
        z = centres[pick] + noise * rng.normal(size=(n, centres.shape[1]))
        x, y = z[:, :split], z[:, split:]
        a, b = (_log_weights(v / noise, c) for v, c in zip((x, y), parts))
        log_ratio = _log_mean(a + b) - _log_mean(a) - _log_mean(b)
        return x, y, log_ratio

    return draw


def _log_weights(at, centres):
    return at @ centres.T - ((at**2).sum(1)[:, None] + (centres**2).sum(1)) / 2


def _log_mean(a):
    top = a.max(1, keepdims=True)
    return np.log(np.exp(a - top).mean(1)) + top[:, 0]


def _information(value):
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"information must be a number >= 0; got {value!r}")


def _dimension(value):
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"dim must be a whole number >= 1; got {value!r}")


def _correlation(value):
    if not -1 < value < 1:
        raise ValueError(f"correlation must lie between -1 and 1; got {value!r}")
