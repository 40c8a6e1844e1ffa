"""Entropy of spectra: effective dimension, its bias in samples, volumes of linear maps, shared anchors.

Taught in the chapter "Spectral entropy and effective dimension" (bottleneck/spectral-entropy).
Entropies and log-volumes in nats; features are [n, d], one case a row; spectra lie along the last axis.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from labutils import info
from labutils._inputs import number, positive, whole
from labutils.runtime import need


class Volumes(NamedTuple):
    """What `volume_range` returns: log-volumes in nats and singular values that reach them, largest first."""

    low: float
    high: float
    lowest: Any
    highest: Any


# One entropy for every spectrum --------------------------------------------------------------------


def shares(spectrum, axis=-1):
    """p_i = lambda_i / sum_j lambda_j of numbers lambda_i >= 0, such as the eigenvalues of a covariance.

    Errors: ValueError for a negative or infinite number, NaN, a sum of 0.
    Source: chapter bottleneck/spectral-entropy, step 1.
    """
    xp, (lam,) = info._arrays(spectrum=spectrum)
    info._axes("spectrum", lam, axis)
    info._nonnegative(xp, "spectrum", lam)
    if not bool(xp.all(xp.isfinite(lam))):
        raise ValueError("spectrum must be finite; got inf")
    top = xp.max(lam, axis=axis, keepdims=True)
    if not bool(xp.all(top > 0)):
        raise ValueError("spectrum must have a number > 0; all are 0")
    lam = lam / top                                       # neither overflow nor underflow in the sum
    return lam / xp.sum(lam, axis=axis, keepdims=True)


def spectral_entropy(spectrum, order=1, axis=-1, base=None):
    """H_spec = H(p), p_i = lambda_i / sum_j lambda_j: of the Rényi order `order`, Shannon's by default.

    Of the eigenvalues of a density matrix rho >= 0, tr rho = 1, it is von Neumann's -tr rho log rho.

    spectrum  [..., d] numbers >= 0: eigenvalues, or whatever else is to be spread over directions
    Errors: as in `shares` and `info.entropy`. Source: chapter bottleneck/spectral-entropy, step 1.
    """
    return info.entropy(shares(spectrum, axis), order=order, axis=axis, base=base)


def effective_rank(spectrum, order=1, axis=-1):
    """exp H_spec: how many equal numbers would be as spread out; between 1 and how many are > 0.

    order  1 is RankMe of whatever spectrum is given, 2 the participation ratio, 0 the rank
    Errors: as in `spectral_entropy`. Source: chapter bottleneck/spectral-entropy, step 2.
    """
    H = spectral_entropy(spectrum, order, axis)
    return math.exp(H) if isinstance(H, float) else info.array_namespace(H).exp(H)


def covariance_spectrum(x, centre=True):
    """Eigenvalues of the covariance x'x / n, largest first: min(n, d) of them, the others are 0.

    x       [..., n, d] features
    centre  take the mean of the n cases away first
    Errors: ValueError for fewer than two axes or cases, NaN.
    Source: chapter bottleneck/spectral-entropy, step 1.
    """
    xp, x = _features(x)
    if centre:
        x = x - xp.mean(x, axis=-2, keepdims=True)
    return xp.linalg.svdvals(x) ** 2 / x.shape[-2]


def rankme(x, of="eigenvalues", centre=True):
    """Effective rank of features [..., n, d], by one of two definitions that go by this name.

    of  "eigenvalues": p_i ~ sigma_i^2, the eigenvalues of the covariance (Li et al. 2025)
        "singular values": p_i ~ sigma_i, of the matrix of features itself (Garrido et al. 2023);
        never less than the other, and another ranking of representations

    Errors: ValueError for another `of`, features that are all equal, NaN.
    Source: chapter bottleneck/spectral-entropy, step 3; paper 023.
    """
    lam = covariance_spectrum(x, centre)
    if of not in ("eigenvalues", "singular values"):
        raise ValueError(f"of must be 'eigenvalues' or 'singular values'; got {of!r}")
    return effective_rank(lam if of == "eigenvalues" else lam**0.5)


def power_law(d, alpha):
    """lambda_i = i^-alpha, i = 1..d. Errors: ValueError for d < 1, alpha that is no finite number >= 0."""
    alpha = number("alpha", alpha, "must be a finite number >= 0", lambda a: 0 <= a < math.inf)
    return np.arange(1.0, whole("d", d, 1) + 1) ** -alpha


def decay_exponent(spectrum, first=1, last=None):
    """alpha of lambda_i ~ i^-alpha: least squares of log lambda_i on log i for i = first..last.

    spectrum  [d] numbers > 0, largest first
    Errors: ValueError for numbers that are not > 0 or rise, fewer than three in the range.
    Source: chapter bottleneck/spectral-entropy, step 3; paper 023 (alpha-ReQ).
    """
    lam = np.asarray(spectrum, dtype=float)
    if lam.ndim != 1 or not ((lam > 0) & np.isfinite(lam)).all() or (np.diff(lam) > 0).any():
        raise ValueError(f"spectrum must be numbers > 0, largest first; got shape {lam.shape}, least {np.min(lam, initial=np.inf):.3g}")
    last = len(lam) if last is None else last
    if not (isinstance(first, int) and isinstance(last, int) and 1 <= first and first + 2 <= last <= len(lam)):
        raise ValueError(f"first and last must enclose three of the {len(lam)} numbers; got {first!r} and {last!r}")
    place = np.arange(first, last + 1)
    return float(-np.polyfit(np.log(place), np.log(lam[place - 1]), 1)[0])


# In a sample ---------------------------------------------------------------------------------------


def page_entropy(d, n):
    """Mean H_spec of the sample covariance of n complex Gaussian cases in d equal directions, exactly.

    With m = min(d, n), M = max(d, n): psi(mM + 1) - psi(M + 1) - (m - 1)/(2M), about log m - m/(2M),
    though the true H_spec is log d. The mean of the cases is known; where it is taken from the sample,
    give n - 1. For real cases the exact value differs, the approximation holds.

    Errors: ValueError unless d and n are whole numbers >= 1.
    Source: chapter bottleneck/spectral-entropy, step 5; Page 1993.
    """
    m, M = sorted((whole("d", d, 1), whole("n", n, 1)))
    psi = need("scipy.special").digamma
    return float(psi(m * M + 1) - psi(M + 1) - (m - 1) / (2 * M))


def participation_ratio(x, corrected=False):
    """exp H_2 of the covariance of features x [n, d]: (tr S)^2 / tr S^2, S = centred x'x / (n - 1).

    corrected  replace both by estimates that are right on average for Gaussian cases (their ratio is
               so to leading order only). With f = n - 1,
               E tr S^2 = (1 + 1/f) tr C^2 + (tr C)^2 / f and E (tr S)^2 = (tr C)^2 + 2 tr C^2 / f

    Errors: ValueError for fewer than 3 cases, NaN, features that are all equal; with `corrected`
    for a sample so small that the corrected tr C^2 is not > 0.
    Source: chapter bottleneck/spectral-entropy, step 5.
    """
    _, x = _features(x)
    if x.ndim != 2 or x.shape[0] < 3:
        raise ValueError(f"x must be [n, d] with n >= 3 cases; got shape {tuple(x.shape)}")
    f = x.shape[0] - 1
    lam = covariance_spectrum(x) * (f + 1) / f
    first, second = float(lam.sum()) ** 2, float((lam**2).sum())
    if not second > 0:
        raise ValueError("x must vary; all cases are equal")
    if corrected:
        # the two means are linear in ((tr C)^2, tr C^2): solve them
        first, second = np.linalg.solve([[1, 2 / f], [1 / f, 1 + 1 / f]], [first, second])
        if not second > 0:
            raise ValueError(f"x has too few cases for the correction; n = {f + 1} leaves tr C^2 = {second:.3g}")
    return float(first / second)


# Volumes of linear maps ----------------------------------------------------------------------------


def condition_number(sigma):
    """cond = sigma_max / sigma_min of singular values [..., d] > 0.

    Errors: ValueError for one that is not finite and > 0.
    """
    xp, sigma = _singular(sigma)
    return xp.max(sigma, axis=-1) / xp.min(sigma, axis=-1)


def log_volume(sigma):
    """log|det W| = sum_i log sigma_i, in nats, of singular values [..., d]: what W adds to h(x).

    Errors: ValueError for a singular value that is not finite and > 0.
    Source: chapter bottleneck/spectral-entropy, step 6; paper 009.
    """
    xp, sigma = _singular(sigma)
    return xp.sum(xp.log(sigma), axis=-1)


def volume_bound(d, frobenius):
    """Largest log|det W| at a given Frobenius norm: d log(frobenius / sqrt(d)), at equal sigma_i."""
    return whole("d", d, 1) * math.log(positive("frobenius", frobenius) / math.sqrt(d))


def volume_range(d, cond, frobenius=None):
    """Least and largest log|det W| among matrices d x d of one condition number and Frobenius norm.

    high = d log(F/sqrt d) - log((1 + cond^2)/(2 cond)): one pair apart, all others at F/sqrt d
    low  = k log cond + d/2 log(F^2 / (d - k + k cond^2)): k values at the top, d - k at the bottom,
           k the better of the two whole numbers around d (1/log cond^2 - 1/(cond^2 - 1))

    frobenius  the norm F; sqrt(d) if not given, so that the bound of `volume_bound` is 0
    Returns Volumes(low, high, lowest, highest).
    Errors: ValueError for d < 2, cond < 1, a norm that is not > 0.
    Source: chapter bottleneck/spectral-entropy, step 8.
    """
    d = whole("d", d, 2)
    cond = number("cond", cond, "must be a finite number >= 1", lambda c: 1 <= c < math.inf)
    F = math.sqrt(d) if frobenius is None else positive("frobenius", frobenius)
    K = cond**2
    pair = np.array([2 * K / (1 + K), *np.ones(d - 2), 2 / (1 + K)])
    k = 1 if K - 1 < 1e-6 else d * (1 / math.log(K) - 1 / (K - 1))
    steps = []
    for top in {min(max(r, 1), d - 1) for r in (math.floor(k), math.ceil(k))}:
        two = np.where(np.arange(d) < top, K, 1.0)
        steps.append(np.sqrt(two / two.sum()) * F)
    lowest = min(steps, key=lambda s: float(log_volume(s)))
    highest = np.sqrt(pair / d) * F
    return Volumes(float(log_volume(lowest)), float(log_volume(highest)), lowest, highest)


# Features in superposition -------------------------------------------------------------------------


def feature_count(codes):
    """F = exp H(p), p_i = sum_s |z_i(s)| / sum_js |z_j(s)|: effective number of features in use.

    codes  [..., S, m] activations of m dictionary elements on S samples
    F over the number of neurons is the ratio psi of the chapter.

    Errors: ValueError for NaN, codes that are all 0, fewer than two axes.
    Source: chapter bottleneck/spectral-entropy, step 10; paper 016.
    """
    xp, z = _features(codes, "codes")
    return effective_rank(xp.sum(abs(z), axis=-2))


def interference(W):
    """Sum over i != j of (w_i . w_j)^2 for the columns w_i of W [..., N, m]: how much features overlap.

    Errors: ValueError for NaN, fewer than two axes. Source: chapter bottleneck/spectral-entropy, step 11.
    """
    xp, W = _features(W, "W")
    gram = xp.matrix_transpose(W) @ W
    return xp.sum(gram**2, axis=(-2, -1)) - xp.sum(xp.sum(W**2, axis=-2) ** 2, axis=-1)


# Anchors -------------------------------------------------------------------------------------------


def relative(x, anchors):
    """Relative representation r_i(x) = cos of the angle between x and anchor i.

    x [n, d], anchors [K, d]; returns [n, K]. The same after x -> c Q x for all points and anchors,
    c > 0 and Q orthogonal, and after no other linear map.

    Errors: ValueError for a row of zeros, NaN, different d.
    Source: chapter bottleneck/spectral-entropy, step 15; paper 058.
    """
    (xp, x), (_, anchors) = _features(x), _features(anchors, "anchors")
    if x.shape[-1] != anchors.shape[-1]:
        raise ValueError(f"x and anchors must have as many columns; got {x.shape[-1]} and {anchors.shape[-1]}")
    unit = []
    for name, rows in (("x", x), ("anchors", anchors)):
        length = xp.sqrt(xp.sum(rows**2, axis=-1, keepdims=True))
        if not bool(xp.all(length > 0)):
            raise ValueError(f"{name} must have no row of zeros: it has no direction")
        unit.append(rows / length)
    return unit[0] @ xp.matrix_transpose(unit[1])


# What is accepted ----------------------------------------------------------------------------------


def _features(x, name="x"):
    xp, (x,) = info._arrays(**{name: x})
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"{name} must have at least two axes, cases and columns; got shape {tuple(x.shape)}")
    bad = ~xp.isfinite(x)
    if bool(xp.any(bad)):
        raise ValueError(f"{name} must be finite; got {info._first(x, bad)}")
    return xp, x


def _singular(sigma):
    xp, (sigma,) = info._arrays(sigma=sigma)
    info._axes("sigma", sigma, -1)
    bad = ~((sigma > 0) & xp.isfinite(sigma))
    if bool(xp.any(bad)):
        raise ValueError(f"sigma must be finite and > 0; got {info._first(sigma, bad)}")
    return xp, sigma
