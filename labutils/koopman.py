"""Koopman operators fitted to data, the information that linear-Gaussian latents pass on, entropy under a trace budget.

Taught in the chapter "Information shapes Koopman representation" (bottleneck/koopman).
Informations and entropies in nats. States and observables stand along the last axis, cases before; z' = K z.
"""

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, device

from labutils import spectral
from labutils._inputs import finite, namespace, number, positive, whole


class Filling(NamedTuple):
    """What `water_filling` returns.

    p            [d] shares of the budget, sum to `budget`; log_p their logs, exact where p underflows
    multiplier   mu, the common derivative of the objective in all open p_i; with gamma = 0 what one more
                 unit of budget is worth, nats
    information  sum_i 1/2 log(1 + g_i p_i), nats
    entropy      H(p / budget), nats
    gap          certificate, nats: no other p has an objective higher by more than this
    """

    p: Any
    log_p: Any
    multiplier: float
    information: float
    entropy: float
    gap: float


# A Koopman matrix from data ------------------------------------------------------------------------


def monomials(x, degree):
    """All monomials of x [..., d] up to a degree, the constant 1 first: [..., m], in order of degree.

    Errors: TypeError unless x is an array of floating-point numbers; ValueError for a degree < 0.
    Source: chapter bottleneck/koopman, step 2.
    """
    xp = namespace(x=x)
    columns = [xp.ones_like(x[..., 0])]
    for order in range(1, whole("degree", degree, 0) + 1):
        for which in itertools.combinations_with_replacement(range(x.shape[-1]), order):
            term = x[..., which[0]]
            for i in which[1:]:
                term = term * x[..., i]
            columns.append(term)
    return xp.stack(columns, axis=-1)


def fit(now, after, ridge=0.0):
    """K of least sum_n |K now_n - after_n|^2 + ridge |K|^2: DMD of states, EDMD of observables.

    now, after  [n, m] observables of n cases at one time and a step later; K is [m, m]
    ridge 0     the least-squares map of least norm

    Errors: TypeError for anything but float arrays; ValueError for NaN, shapes that differ, ridge < 0.
    Source: chapter bottleneck/koopman, step 2.
    """
    xp = namespace(now=now, after=after)
    finite(now=now, after=after)
    if now.ndim != 2 or tuple(now.shape) != tuple(after.shape):
        raise ValueError(f"now and after must have one shape [n, m]; got {tuple(now.shape)} and {tuple(after.shape)}")
    ridge = number("ridge", ridge, "must be a finite number >= 0", lambda r: 0 <= r < math.inf)
    if ridge == 0:
        return (xp.linalg.pinv(now) @ after).mT
    square = now.mT @ now + ridge * xp.eye(now.shape[1], dtype=now.dtype, device=device(now))
    return xp.linalg.solve(square, now.mT @ after).mT


def rollout(K, start, steps):
    """z, K z, K^2 z, ... from z = start [..., m]: [..., steps + 1, m].

    Errors: TypeError for anything but float arrays; ValueError for shapes that do not fit, steps < 0.
    Source: chapter bottleneck/koopman, step 2.
    """
    xp = namespace(K=K, start=start)
    if K.ndim != 2 or K.shape[0] != K.shape[1] or start.shape[-1:] != K.shape[:1]:
        raise ValueError(f"K must be square and start have its size; got {tuple(K.shape)} and {tuple(start.shape)}")
    path = [start]
    for _ in range(whole("steps", steps, 0)):
        path.append(path[-1] @ K.mT)
    return xp.stack(path, axis=-2)


# Linear-Gaussian latents ---------------------------------------------------------------------------


def stationary(K, Q):
    """The covariance that z' = K z + w, w ~ N(0, Q), keeps: Sigma = K Sigma K' + Q.

    By doubling: after j rounds the sum of K^i Q K^i' over i < 2^j.

    Errors: ValueError unless K and Q are square and fit, Q is symmetric and >= 0, |eigenvalues of K| < 1.
    Source: chapter bottleneck/koopman, step 3.
    """
    K, Q = _system(K, Q)
    total, power = Q, K
    for _ in range(200):
        more = power @ total @ power.T
        total, power = total + more, power @ power
        if abs(more).max() <= 1e-17 * abs(total).max():
            break
    return (total + total.T) / 2


def path_covariance(K, Q, steps):
    """Covariance of (z_0, z_1, ..., z_steps) in one row, stationary: block (i, j) is K^(i-j) Sigma for i >= j.

    Returns [(steps + 1) d, (steps + 1) d]. Errors: those of `stationary`; ValueError for steps < 0.
    Source: chapter bottleneck/koopman, step 3.
    """
    K, Q = _system(K, Q)
    S, n = stationary(K, Q), whole("steps", steps, 0) + 1
    lags = [np.linalg.matrix_power(K, j) @ S for j in range(n)]
    return np.block([[lags[i - j] if i >= j else lags[j - i].T for j in range(n)] for i in range(n)])


def gaussian_information(cov, a, b, given=()):
    """I(A;B|C) of jointly Gaussian coordinates: 1/2 log [det S_AC det S_BC / (det S_C det S_ABC)].

    cov      [d, d] covariance; a, b, given  lists of coordinates, disjoint
    Computed as -1/2 log det(1 - C C') of the canonical correlations C of A and B given C.

    Errors: ValueError for a covariance that is not symmetric, sets that overlap or are empty, and
    where A or B is a function of the others (the covariance given C is singular).
    Source: chapter bottleneck/koopman, step 5.
    """
    cov = _covariance("cov", cov)
    a, b, c = (list(s) for s in (a, b, given))
    if not a or not b or len({*a, *b, *c}) != len(a) + len(b) + len(c):
        raise ValueError(f"a, b and given must be disjoint, a and b not empty; got {a}, {b}, {c}")
    rest = a + b
    S = cov[np.ix_(rest, rest)]
    if c:
        S = S - cov[np.ix_(rest, c)] @ np.linalg.solve(cov[np.ix_(c, c)], cov[np.ix_(c, rest)])
    n = len(a)
    return _from_correlations(_correlations(S[:n, :n], S[:n, n:], S[n:, n:]))


def information(K, Q, n=1):
    """I(z_0; z_n) of the stationary z' = K z + w: -1/2 log det(1 - M M'), M = Sigma^-1/2 K^n Sigma^1/2.

    The singular values of M are the canonical correlations of now and then.

    Errors: those of `stationary`; ValueError for n < 1, noise so small that z_0 determines z_n.
    Source: chapter bottleneck/koopman, step 4.
    """
    return _from_correlations(canonical_correlations(K, Q, n))


def canonical_correlations(K, Q, n=1):
    """Singular values of Sigma^-1/2 K^n Sigma^1/2, largest first: the correlations of z_0 and z_n.

    Errors and source: as in `information`.
    """
    K, Q = _system(K, Q)
    S = stationary(K, Q)
    return _correlations(S, S @ np.linalg.matrix_power(K.T, whole("n", n, 1)), S)


def mode_information(k, n=1):
    """-1/2 sum_i log(1 - k_i^2n): `information` of modes with the multipliers k_i along the last axis, real or complex.

    Of a normal K (in coordinates with Sigma = 1). For any other K it is a lower bound.

    Errors: ValueError for |k| >= 1, n < 1. Source: chapter bottleneck/koopman, steps 3 and 4.
    """
    k = abs(np.asarray(k))
    if not (k < 1).all():
        raise ValueError(f"k must have |k| < 1; got {np.max(k):g}")
    return -0.5 * np.sum(np.log1p(-k ** (2 * whole("n", n, 1))), axis=-1)


# Spectral entropy ----------------------------------------------------------------------------------


def covariance(z):
    """Covariance [..., d, d] of rows z [..., n, d] about their mean, over n - 1.

    Errors: TypeError for anything but float arrays; ValueError for fewer than two rows.
    Source: chapter bottleneck/koopman, step 8.
    """
    xp = namespace(z=z)
    if z.ndim < 2 or z.shape[-2] < 2:
        raise ValueError(f"z must be rows [..., n, d] with n >= 2; got shape {tuple(z.shape)}")
    z = z - xp.mean(z, axis=-2, keepdims=True)
    return z.mT @ z / (z.shape[-2] - 1)


def von_neumann(C):
    """H_spec = -tr rho log rho, rho = C / tr C, of covariances C [..., d, d], nats.

    A tiny negative eigenvalue is rounding and counts as 0; gradients pass through the eigenvalues > 0.

    Errors: TypeError for anything but float arrays; ValueError for a trace that is not > 0, an
    eigenvalue below -1e-5 (single) or -1e-10 (double) of the trace.
    Source: chapter bottleneck/koopman, step 8.
    """
    xp = namespace(C=C)
    finite(C=C)
    trace = xp.linalg.trace(C)
    if not bool(xp.all(trace > 0)):
        raise ValueError(f"C must have a trace > 0; got {float(xp.min(trace)):g}")
    lam = xp.linalg.eigvalsh(C / trace[..., None, None])
    if not bool(xp.min(lam) >= -(float(xp.finfo(C.dtype).eps) ** 0.65)):
        raise ValueError(f"C must have no negative eigenvalue; got {float(xp.min(lam)):g} of the trace")
    return spectral.spectral_entropy(xp.where(lam > 0, lam, xp.zeros_like(lam)))


# A budget of variance ------------------------------------------------------------------------------


def water_filling(gains, gamma=0.0, budget=1.0):
    """The p >= 0 with sum p = budget of largest sum_i 1/2 log(1 + g_i p_i) + gamma H(p / budget).

    gamma 0   water-filling: p_i = max(0, 1/(2 mu) - 1/g_i)
    gamma > 0 every p_i > 0: with a budget of 1 the root of g_i / (2 (1 + g_i p_i)) - gamma (1 + log p_i) = mu
    gap       max_i f_i - sum_i p_i f_i (budget 1), f_i the derivatives at p: by concavity no other p gains more

    Errors: ValueError unless gains are finite numbers > 0, gamma a finite number >= 0, budget > 0.
    Source: chapter bottleneck/koopman, steps 7 and 8.
    """
    g = np.asarray(gains, dtype=float)
    if g.ndim != 1 or len(g) == 0 or not ((g > 0) & np.isfinite(g)).all():
        raise ValueError(f"gains must be a list of finite numbers > 0; got {gains!r}")
    gamma = number("gamma", gamma, "must be a finite number >= 0", lambda v: 0 <= v < math.inf)
    b = positive("budget", budget)
    g = g * b                                                     # shares of a budget of 1 from here on
    if gamma == 0:
        order = np.sort(1 / g)
        count = np.arange(1, len(g) + 1)
        level = (1 + np.cumsum(order)) / count                    # 1/(2 mu) if this many modes are open
        level = level[np.nonzero(level > order)[0][-1]]
        s = np.maximum(0.0, level - 1 / g)
        with np.errstate(divide="ignore"):
            log_s = np.log(s)
        slope = g / (2 * (1 + g * s))
    else:
        log_s = _open_all(g, gamma)
        s = np.exp(log_s)
        slope = g / (2 * (1 + g * s)) - gamma * (1 + log_s)
    gap = float(np.max(slope) - s @ slope) + abs(float(s.sum()) - 1) * float(np.max(abs(slope)))
    entropy = -float(np.sum(s[s > 0] * log_s[s > 0]))
    return Filling(b * s, log_s + math.log(b), float(s @ slope) / b, 0.5 * float(np.sum(np.log1p(g * s))), entropy, gap)


def _open_all(g, gamma):
    """log of the shares s that solve g/(2(1 + g s)) - gamma (1 + log s) = mu, sum s = 1.

    Both the shares at one mu and mu itself: some bisections, then Newton steps.
    """
    value = lambda l: g / (2 * (1 + g * np.exp(l))) - gamma * (1 + l)
    slope = lambda l: -0.5 * np.exp(l) * (g / (1 + g * np.exp(l))) ** 2 - gamma

    def logs(mu):
        # the first term lies between 0 and g/2, so log s lies between these two
        low, high = np.full(len(g), -1 - mu / gamma), np.minimum(-1 + (g / 2 - mu) / gamma, 50.0)
        for _ in range(25):
            middle = (low + high) / 2
            above = value(middle) > mu
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        l = (low + high) / 2
        for _ in range(6):
            l = l - (value(l) - mu) / slope(l)
        return l

    # below: some s is at least 1; above: all are at most 1/d
    low = float(np.max(g / (2 * (1 + g)))) - gamma
    high = float(np.max(g)) / 2 + gamma * (math.log(len(g)) - 1)
    for _ in range(25):
        mu = (low + high) / 2
        low, high = (mu, high) if np.sum(np.exp(logs(mu))) > 1 else (low, mu)
    mu = (low + high) / 2
    for _ in range(6):
        l = logs(mu)
        mu = mu - (np.sum(np.exp(l)) - 1) / np.sum(np.exp(l) / slope(l))
    return logs(mu)


# InfoNCE inside a window ---------------------------------------------------------------------------


def window_information(z, k=3, temperature=0.07):
    """InfoNCE of latents with their neighbours in one window, and its ceiling: (estimate [...], ceiling), nats.

    z  [..., T, d]; an anchor n has 2k positives n-k..n+k without n; all other times of the same window
       are negatives. With cosines s_nm and weights e_nm = exp(s_nm / temperature)

       estimate = mean over anchors of log [(1/2k) sum_pos e / (1/(T-1)) sum_all e] <= log((T - 1) / 2k) = ceiling

    Errors: TypeError for anything but float arrays; ValueError for a window of T <= 2k + 1, temperature <= 0.
    Source: chapter bottleneck/koopman, step 11; paper 031.
    """
    xp = namespace(z=z)
    k, temperature = whole("k", k, 1), positive("temperature", temperature)
    T = z.shape[-2] if z.ndim > 1 else 0
    if T <= 2 * k + 1:
        raise ValueError(f"z must hold windows of more than 2k + 1 = {2 * k + 1} times; got shape {tuple(z.shape)}")
    size = xp.linalg.vector_norm(z, axis=-1, keepdims=True)
    unit = z / xp.where(size > 0, size, xp.ones_like(size))
    scores = (unit @ unit.mT)[..., k:T - k, :] / temperature
    apart = np.abs(np.arange(k, T - k)[:, None] - np.arange(T)[None, :])
    hide = lambda mask: xp.asarray(np.where(mask, -np.inf, 0.0), dtype=scores.dtype, device=device(scores))
    every, near = scores + hide(apart == 0), scores + hide((apart == 0) | (apart > k))
    ceiling = math.log((T - 1) / (2 * k))
    return xp.mean(_logsumexp(xp, near) - _logsumexp(xp, every), axis=-1) + ceiling, ceiling


def _logsumexp(xp, a):
    top = xp.max(a, axis=-1, keepdims=True)
    return xp.squeeze(top, axis=-1) + xp.log(xp.sum(xp.exp(a - top), axis=-1))


# What is accepted ----------------------------------------------------------------------------------


def _covariance(name, S):
    S = np.asarray(S, dtype=float)
    if S.ndim != 2 or S.shape[0] != S.shape[1] or not np.isfinite(S).all():
        raise ValueError(f"{name} must be a square matrix of finite numbers; got shape {S.shape}")
    if abs(S - S.T).max() > 1e-9 * abs(S).max():
        raise ValueError(f"{name} must be symmetric; got a difference of {abs(S - S.T).max():.3g} from its transpose")
    return (S + S.T) / 2


def _system(K, Q):
    """K and Q as float matrices that describe a stationary process."""
    K, Q = np.asarray(K, dtype=float), _covariance("Q", Q)
    if K.shape != Q.shape or not np.isfinite(K).all():
        raise ValueError(f"K must be finite and of the shape {Q.shape} of Q; got shape {K.shape}")
    if np.linalg.eigvalsh(Q)[0] < -1e-12 * max(abs(Q).max(), 1e-300):
        raise ValueError(f"Q must have no negative eigenvalue; got {np.linalg.eigvalsh(Q)[0]:.3g}")
    radius = abs(np.linalg.eigvals(K)).max()
    if not radius < 1:
        raise ValueError(f"K must have eigenvalues inside the unit circle; got one of modulus {radius:.6g}")
    return K, Q


def _correlations(A, AB, B):
    """Canonical correlations of two blocks: singular values of A^-1/2 AB B^-1/2."""
    roots = []
    for name, S in (("a", A), ("b", B)):
        if np.linalg.eigvalsh(S)[0] <= 1e-14 * abs(S).max():
            raise ValueError(f"the covariance of {name} must be invertible; its least eigenvalue is {np.linalg.eigvalsh(S)[0]:.3g}")
        roots.append(np.linalg.cholesky(S))
    left = np.linalg.solve(roots[0], AB)
    return np.linalg.svd(np.linalg.solve(roots[1], left.T).T, compute_uv=False)


def _from_correlations(r):
    if not (r < 1 - 1e-15).all():
        raise ValueError(f"one side determines a part of the other: a canonical correlation is {r.max():.17g}; the information is infinite")
    return float(-0.5 * np.sum(np.log1p(-r * r)))
