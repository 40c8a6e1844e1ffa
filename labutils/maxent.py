"""Maximum entropy under constraints: the pmf that claims no more than is known.

Taught in the chapter "Maximum entropy from information alone" (jaynes/maximum-entropy).
Units: nats; a multiplier has the inverse unit of its feature.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from labutils import info
from labutils._inputs import whole


@dataclass(frozen=True)
class MaxEnt:
    """What `solve` found: p = mu e^(-lambda.f) / Z, and how good it is. Leading axes are a batch.

    pmf          [..., X]
    multipliers  [..., A]  lambda
    log_z        [...]     log Z = log sum_x mu e^(-lambda.f)
    entropy      [...]     H = -sum_x p log(p / mu), computed from the pmf alone
    means        [..., A]  the means that p has
    covariance   [..., A, A]  Cov_p(f_a, f_b) = -d means_a / d lambda_b
    residual     [...]     largest |mean - target|, each in units of its feature's reach |f - F|
    gap          [...]     log Z + lambda.F - H. The first two terms bound the entropy of every pmf
                           with these means from above, so H is the largest up to gap.
    """

    pmf: Any
    multipliers: Any
    log_z: Any
    entropy: Any
    means: Any
    covariance: Any
    residual: Any
    gap: Any


def solve(features, targets, prior=None, tol=None, steps=200):
    """The pmf of largest entropy relative to a prior measure, among those with given means.

    maximise H[p] = -sum_x p log(p / mu)  subject to  sum_x p f_a = F_a,  sum_x p = 1
    through its dual: minimise log Z(lambda) + lambda.F, a convex function, by Newton steps
    (the curvature is the covariance) with backtracking.

    features  [..., A, X] values f_a(x)
    targets   [..., A] the means F_a
    prior     [..., X] measure mu >= 0, not necessarily of sum 1; None for mu = 1 (then H is
              Shannon's). States with mu = 0 have p = 0, whatever is asked.
    tol       largest residual (see MaxEnt); eps^(3/4) of the dtype if None
    steps     most Newton steps
    Leading axes are a batch: many targets, priors and feature sets at once, of NumPy or torch.

    Redundant features (affinely dependent on the support) leave lambda open; the one of least
    norm is returned, and the pmf is the same for all.

    Errors: ValueError for shapes that do not match, values that are not finite, a prior that is
    not a measure; for targets that contradict each other; for targets outside the convex hull of
    the points f(x), with the constraints and a direction a in which max_x a.f(x) < a.F; for
    targets on its boundary, where some multiplier would have to be infinite.
    Source: chapter jaynes/maximum-entropy, steps 3 and 7.
    """
    xp, f, F, mu, lead = _problem(features, targets, prior)
    A, X = f.shape[-2:]
    eps = float(xp.finfo(f.dtype).eps)
    tol = eps**0.75 if tol is None else info._number("tol", tol)
    if not tol > 0:
        raise ValueError(f"tol must be > 0; got {tol:g}")
    if not isinstance(steps, (int, np.integer)) or steps < 1:
        raise ValueError(f"steps must be a whole number >= 1; got {steps!r}")

    on = mu > 0
    log_mu = xp.where(on, info._log(xp, mu), -math.inf)
    apart = xp.abs(f - F[..., None]) > _rounding(eps, xp.abs(f), xp.abs(F)[..., None])
    g = xp.where(on[:, None, :] & apart, f - F[..., None], 0.0)
    size = xp.max(xp.abs(g), axis=-1, keepdims=True)
    size = xp.where(size > 0, size, 1.0)
    _one_by_one(f, F, on, lead)
    g = g / size  # every feature reaches 1 from its target
    T, null = _directions(xp, g, on, eps)
    _consistent(xp, f, F, g, on, null, size, tol, lead)
    h = xp.matrix_transpose(T) @ g  # uncorrelated and of variance 1 under the uniform pmf

    y = xp.zeros_like(F)
    value, p = _dual(xp, y, h, log_mu)
    for step in range(steps + 1):
        residual = xp.max(xp.abs(_mean(g, p)), axis=-1)
        _separated(xp, f, F, y, T, h, on, size, eps, lead)
        busy = residual > tol
        if step == steps or not bool(xp.any(busy)):
            break
        y, value, p = _newton(xp, y, value, p, h, log_mu, null, busy, eps)
    y, p, residual = _polished(xp, y, value, p, g, h, log_mu, null, residual, eps)

    _not_on_the_boundary(f, F, g, p, y, T, on, size, residual, tol, lead)
    if bool(xp.any(residual > tol)):
        worst = info._first(residual, residual == xp.max(residual))
        raise ValueError(
            f"steps must be enough to bring the residual to tol = {tol:.2g}; got {worst} after {steps}"
        )
    multipliers = _shortest(xp, (T @ y[..., None])[..., 0] / size[..., 0], null, size)
    return _answer(xp, f, F, mu, p, multipliers, residual, lead)


def log_partition(multipliers, features, prior=None):
    """log Z(lambda) = log sum_x mu(x) e^(-lambda.f(x)).

    multipliers [..., A], features [..., A, X], prior [..., X] or None for mu = 1; returns [...].
    Convex in lambda. Its slope is minus the mean of f, its curvature the covariance of f.

    Errors: as in `solve`. Source: chapter jaynes/maximum-entropy, step 3.
    """
    return _exponential(multipliers, features, prior)[0]


def exponential_pmf(multipliers, features, prior=None):
    """p(x) = mu(x) e^(-lambda.f(x)) / Z(lambda), shape [..., X]; arguments as in `log_partition`.

    Errors: as in `solve`. Source: chapter jaynes/maximum-entropy, step 3.
    """
    return _exponential(multipliers, features, prior)[1]


def response(pmf, features, observables=None):
    """How means answer to multipliers: d<o_b> / d lambda_a = -Cov_p(o_b, f_a).

    pmf [..., X], features [..., A, X], observables [..., B, X] (None: the features themselves).
    Returns [..., B, A]. At fixed multipliers of the others.

    Errors: ValueError for a pmf that is not one, shapes that do not match.
    Source: chapter jaynes/maximum-entropy, step 3.
    """
    observables = features if observables is None else observables
    xp, (pmf, features, observables) = info._arrays(
        pmf=pmf, features=features, observables=observables
    )
    info._pmf("pmf", pmf, -1)
    for name, each in (("features", features), ("observables", observables)):
        if each.ndim < 2 or each.shape[-1] != pmf.shape[-1]:
            raise ValueError(
                f"{name} must have shape [..., {name[0].upper()}, X] with X = {pmf.shape[-1]}, the"
                f" length of pmf; got {tuple(each.shape)}"
            )
    p = pmf[..., None, :]
    centred = features - xp.sum(features * p, axis=-1, keepdims=True)
    return -((observables * p) @ xp.matrix_transpose(centred))


# Counting ---------------------------------------------------------------------------------------


def log_multiplicity(counts):
    """log W, the number of sequences with these counts: W = N! / prod_k n_k!, N = sum_k n_k.

    counts  [..., K] whole numbers >= 0 (NumPy); returns [...].

    Errors: ValueError for counts that are not whole numbers >= 0.
    Source: chapter jaynes/maximum-entropy, step 1.
    """
    counts = np.asarray(counts)
    if counts.ndim == 0 or counts.shape[-1] == 0:
        raise ValueError(f"counts must have shape [..., K] with K >= 1; got {counts.shape}")
    bad = ~((counts >= 0) & (counts == np.floor(counts)) & (counts < math.inf))
    if bad.any():
        raise ValueError(
            f"counts must be whole numbers >= 0; got {counts[bad][0]:g} at {info._where(bad)}"
        )
    return _log_factorial(counts.sum(-1)) - _log_factorial(counts).sum(-1)


def _log_factorial(n):
    values, at = np.unique(n, return_inverse=True)
    return np.array([math.lgamma(v + 1) for v in values])[at.reshape(np.shape(n))] if values.size else np.zeros(np.shape(n))


def labelled_counts(ions, share, weight=1.0, size=None):
    """How many of M labelled ions are in the pore: the pmf of n, exactly.

    P(n) = C(M, n) (s w)^n (1 - s)^(M - n) / (1 - s + s w)^M,  n = 0, 1, ..., size - 1

    C(M, n) counts the assignments of labels that leave n unchanged. As M grows at z = M s w, it
    tends to M^n / n!, and P to the Poisson law z^n e^(-z) / n!.

    ions    M, a whole number >= 1
    share   s = v / V, the volume of the pore in that of the bath, between 0 and 1
    weight  w = e^(-beta u), an ion's Boltzmann factor in the pore
    size    how many n to return; None for all M + 1

    Returns [size] (NumPy); without all n it sums to less than 1.

    Errors: ValueError for numbers out of these ranges.
    Source: chapter jaynes/maximum-entropy, step 6; paper 002.
    """
    ions, share, weight = whole("ions", ions, 1), _share(share), info._number("weight", weight)
    if not 0 < weight < math.inf:
        raise ValueError(f"weight must be a number > 0; got {weight:g}")
    size = ions + 1 if size is None else size
    if not isinstance(size, (int, np.integer)) or not 1 <= size <= ions + 1:
        raise ValueError(f"size must be a whole number from 1 to ions + 1 = {ions + 1}; got {size!r}")
    n = np.arange(size)
    log_choices = np.concatenate([[0.0], np.cumsum(np.log((ions - n[:-1]) / (n[:-1] + 1)))])
    log_odds = math.log(share) + math.log(weight) - math.log1p(-share)  # of an ion to be inside
    return np.exp(log_choices + n * log_odds - ions * np.logaddexp(0.0, log_odds))


def bath_measure(filled, ions, share, sites):
    """Prior measure of a configuration of a pore with sites, from the ways to label its ions.

    mu = M (M-1) ... (M-n+1) (s / (1 - L s))^n for n filled sites of L.
    These are the ways to fill them, s^n (1 - L s)^(M - n) each, over those of the empty pore,
    (1 - L s)^M: that number is too small for a float in a large bath, and only ratios matter.
    The sites tell the ions apart by place, so no 1/n! appears; as M grows at c = M s / (1 - L s),
    mu tends to c^n.

    filled  [...] how many sites each configuration fills, whole numbers from 0 to L
    ions    M >= L;  share  s = (volume of a site) / V with L s < 1;  sites  L

    Errors: ValueError for numbers out of these ranges.
    Source: chapter jaynes/maximum-entropy, step 6; paper 002.
    """
    ions, share = whole("ions", ions, 1), _share(share)
    if not isinstance(sites, (int, np.integer)) or not 1 <= sites <= ions or sites * share >= 1:
        raise ValueError(
            f"sites must be a whole number from 1 to ions = {ions} with sites * share < 1; got {sites!r}"
        )
    filled = np.asarray(filled)
    bad = ~((filled >= 0) & (filled <= sites) & (filled == np.floor(filled)))
    if bad.any():
        raise ValueError(f"filled must be whole numbers from 0 to sites = {sites}; got {filled[bad][0]:g}")
    filled = filled.astype(int)
    log_labels = np.concatenate([[0.0], np.cumsum(np.log(ions - np.arange(sites)))])
    return np.exp(log_labels[filled] + filled * (math.log(share) - math.log1p(-sites * share)))


def _share(value):
    value = info._number("share", value)
    if not 0 < value < 1:
        raise ValueError(f"share must lie between 0 and 1; got {value:g}")
    return value


# Inputs -----------------------------------------------------------------------------------------


def _measure(xp, f, prior):
    """The prior as an array, after making sure that it is a measure."""
    if prior is None:
        return xp.ones_like(f[..., 0, :])
    xp, (_, mu) = info._arrays(features=f, prior=prior)
    if mu.ndim == 0:
        raise ValueError(f"prior must have shape [..., X], one number a state; got {mu}")
    info._nonnegative(xp, "prior", mu)
    _finite(xp, "prior", mu)
    if not bool(xp.all(xp.max(mu, axis=-1) > 0)):
        raise ValueError("prior must be > 0 somewhere; got 0 for every state")
    return mu


def _problem(features, targets, prior):
    """Namespace, features [B, A, X], targets [B, A], prior [B, X], and the batch shape."""
    xp, (f, F) = info._arrays(features=features, targets=targets)
    _matched(xp, f, "targets", F)
    mu = _measure(xp, f, prior)
    lead = _lead(f, mu, targets=F)
    A, X = f.shape[-2:]
    f = xp.reshape(xp.broadcast_to(f, (*lead, A, X)), (-1, A, X))
    F = xp.reshape(xp.broadcast_to(F, (*lead, A)), (-1, A))
    return xp, f, F, xp.reshape(xp.broadcast_to(mu, (*lead, X)), (-1, X)), lead


def _matched(xp, f, name, each):
    """Refuse features that are no [..., A, X], and what has not one number for each of them."""
    if f.ndim < 2 or math.prod(f.shape) == 0:
        raise ValueError(f"features must have shape [..., A, X], A and X >= 1; got {tuple(f.shape)}")
    if each.ndim < 1 or each.shape[-1] != f.shape[-2]:
        raise ValueError(
            f"{name} must have shape [..., A] with A = {f.shape[-2]}, one a feature; got {tuple(each.shape)}"
        )
    _finite(xp, "features", f)
    _finite(xp, name, each)


def _lead(f, mu, **other):
    (name, array), = other.items()
    if mu.shape[-1] != f.shape[-1]:
        raise ValueError(
            f"prior must have shape [..., X] with X = {f.shape[-1]}, one a state; got {tuple(mu.shape)}"
        )
    shapes = [tuple(f.shape[:-2]), tuple(array.shape[:-1]), tuple(mu.shape[:-1])]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(
            f"features, {name} and prior must have leading axes that broadcast; got {shapes[0]},"
            f" {shapes[1]} and {shapes[2]}"
        ) from None


def _finite(xp, name, x):
    bad = ~xp.isfinite(x)
    if bool(xp.any(bad)):
        raise ValueError(f"{name} must be finite; got {info._first(x, bad)} at {info._where(bad)}")


def _exponential(multipliers, features, prior):
    xp, (f, lam) = info._arrays(features=features, multipliers=multipliers)
    _matched(xp, f, "multipliers", lam)
    mu = _measure(xp, f, prior)
    _lead(f, mu, multipliers=lam)
    power = xp.where(mu > 0, info._log(xp, mu), -math.inf) - (lam[..., None, :] @ f)[..., 0, :]
    return _normalised(xp, power)


# Newton -----------------------------------------------------------------------------------------


def _normalised(xp, power):
    """log sum_x e^power and the pmf e^power / sum."""
    top = xp.max(power, axis=-1, keepdims=True)
    weights = xp.exp(power - top)
    total = xp.sum(weights, axis=-1, keepdims=True)
    return (top + xp.log(total))[..., 0], weights / total


def _dual(xp, y, h, log_mu):
    """log sum_x mu e^(-y.h), the function to minimise, and its pmf."""
    return _normalised(xp, log_mu - (y[:, None, :] @ h)[:, 0, :])


def _mean(f, p):
    return (f @ p[..., None])[..., 0]


def _directions(xp, g, on, eps):
    """Matrix T [B, A, A] whose columns combine the features into independent ones of variance 1
    (columns of 0 where there are fewer), and the combinations [B, A, A] that do not vary at all."""
    A, X = g.shape[-2:]
    count = xp.sum(xp.astype(on, g.dtype), axis=-1)[:, None, None]
    centred = xp.where(on[:, None, :], g - xp.sum(g, axis=-1, keepdims=True) / count, 0.0)
    if X < A:
        nothing = xp.zeros((g.shape[0], A, A - X), dtype=g.dtype, device=g.device)
        centred = xp.concat([centred, nothing], axis=-1)
    U, spread, _ = xp.linalg.svd(centred, full_matrices=False)
    varies = (spread > 8 * eps * max(A, X) * xp.clip(spread[:, :1], 1.0))[:, None, :]
    scale = xp.sqrt(count) / xp.where(varies, spread[:, None, :], 1.0)
    return xp.where(varies, U * scale, 0.0), xp.where(varies, 0.0, U)


def _newton(xp, y, value, p, h, log_mu, null, busy, eps):
    """One damped Newton step of the problems that are `busy`."""
    mean = _mean(h, p)  # minus the slope of the dual
    centred = h - mean[:, :, None]  # first: E[hh] - mean mean would cancel where one state has nearly all mass
    curvature = (centred * p[:, None, :]) @ xp.matrix_transpose(centred)
    one = xp.eye(h.shape[-2], dtype=h.dtype, device=h.device)
    idle = xp.astype(xp.sum(xp.abs(null), axis=-2) > 0, h.dtype)
    trace = xp.sum(curvature * one, axis=(-2, -1))[:, None, None]
    curvature = curvature + one * (idle[:, None, :] + 4 * eps * trace + xp.finfo(h.dtype).tiny ** 0.5)
    d = xp.linalg.solve(curvature, mean[..., None])[..., 0]
    reach = xp.max(xp.abs((d[:, None, :] @ h)[:, 0, :]), axis=-1)
    t = xp.where(busy, 1 / xp.clip(reach / 40, 1.0), 0.0)  # no weight changes by more than e^40
    gain = xp.sum(mean * d, axis=-1)
    for _ in range(60):
        trial = y + t[:, None] * d
        new, pmf = _dual(xp, trial, h, log_mu)
        worse = new > value - 1e-4 * t * gain + 16 * eps * (1 + xp.abs(value))
        if not bool(xp.any(worse)):
            break
        t = xp.where(worse, t / 2, t)
    return trial, new, pmf


def _polished(xp, y, value, p, g, h, log_mu, null, residual, eps):
    """One step more where it helps: near the solution a Newton step squares the error."""
    z, _, q = _newton(xp, y, value, p, h, log_mu, null, residual >= 0, eps)
    after = xp.max(xp.abs(_mean(g, q)), axis=-1)
    better = (after < residual)[:, None]
    return xp.where(better, z, y), xp.where(better, q, p), xp.where(better[:, 0], after, residual)


def _shortest(xp, multipliers, null, size):
    """The multipliers of least norm: take off what combinations of no effect contribute."""
    if not bool(xp.any(null != 0)):
        return multipliers
    idle = null / size
    part = idle @ (xp.linalg.pinv(idle) @ multipliers[..., None])
    return multipliers - part[..., 0]


def _answer(xp, f, F, mu, p, multipliers, residual, lead):
    A, X = f.shape[-2:]
    log_mu = xp.where(mu > 0, info._log(xp, mu), -math.inf)
    log_z, p = _normalised(xp, log_mu - (multipliers[:, None, :] @ f)[:, 0, :])
    entropy = -xp.sum(p * (info._log(xp, p) - info._log(xp, mu)), axis=-1)
    means = _mean(f, p)
    centred = f - means[..., None]
    shape = lambda x, *last: xp.reshape(x, (*lead, *last))
    return MaxEnt(
        pmf=shape(p, X),
        multipliers=shape(multipliers, A),
        log_z=shape(log_z),
        entropy=shape(entropy),
        means=shape(means, A),
        covariance=shape((centred * p[:, None, :]) @ xp.matrix_transpose(centred), A, A),
        residual=shape(residual),
        gap=shape(log_z + xp.sum(multipliers * F, axis=-1) - entropy),
    )


# What cannot be met ------------------------------------------------------------------------------


def _rounding(eps, x, y):
    """How far apart two numbers may be that were meant to be equal."""
    return 4 * eps * (x + y)


def _numpy(*arrays):
    return [np.asarray(a.detach().cpu() if hasattr(a, "detach") else a) for a in arrays]


def _which(lead, b):
    """Words that name a problem of a batch."""
    return f" in problem {tuple(int(i) for i in np.unravel_index(b, lead))}" if lead else ""


def _vector(a):
    a = a / np.abs(a).max()
    return "(" + ", ".join(f"{x:.4g}" for x in a + 0.0) + ")"


def _below(most, target):
    by = f" (by {target - most:.2g})" if f"{most:.6g}" == f"{target:.6g}" else ""
    return f"max a.f = {most:.6g} < a.F = {target:.6g}{by}"


def _listed(indices):
    indices = [int(i) for i in indices]
    return f"constraint {indices[0]}" if len(indices) == 1 else f"constraints {indices}"


def _one_by_one(f, F, on, lead):
    """Refuse a target that its own feature never reaches."""
    f, F, on = _numpy(f, F, on)
    low = np.where(on[:, None, :], f, np.inf).min(-1)
    high = np.where(on[:, None, :], f, -np.inf).max(-1)
    noise = _rounding(np.finfo(F.dtype).eps, np.maximum(abs(low), abs(high)), abs(F))
    outside = (F < low - noise) | (F > high + noise)
    if outside.any():
        b, a = np.argwhere(outside)[0]
        sign, most = (1, high[b, a]) if F[b, a] > high[b, a] else (-1, -low[b, a])
        raise ValueError(
            f"targets must lie in the convex hull of the features; constraint {a}{_which(lead, b)}"
            f" cannot be met: its target is {F[b, a]:.6g}, and f lies from {low[b, a]:.6g} to"
            f" {high[b, a]:.6g}. Separating direction a = {sign} along {a}, in which"
            f" {_below(most, sign * F[b, a])}"
        )


def _consistent(xp, f, F, g, on, null, size, tol, lead):
    """Refuse targets of redundant features that contradict each other."""
    if not bool(xp.any(null != 0)):
        return
    count = xp.sum(xp.astype(on, g.dtype), axis=-1)[:, None]
    offset = (xp.matrix_transpose(null) @ (xp.sum(g, axis=-1) / count)[..., None])[..., 0]
    f, F, size, null, offset, on = _numpy(f, F, size[..., 0], null, offset, on)
    for b in np.flatnonzero(np.abs(offset).max(-1) > max(tol, 1e-13)):
        n = (null[b] @ offset[b]) / size[b]
        n[np.abs(n * size[b]) < 1e-9 * np.abs(n * size[b]).max()] = 0.0
        a = -n / np.abs(n).max()
        value = (a @ f[b][:, on[b]]).mean()
        value = 0.0 if abs(value) < 1e-9 * (np.abs(a) @ np.abs(f[b])).max() else value
        raise ValueError(
            f"targets must not contradict each other; {_listed(np.flatnonzero(a))}{_which(lead, b)} are"
            f" redundant: with a = {_vector(a)}, a.f is {value:.6g} in every state, and"
            f" a.F is {a @ F[b]:.6g}"
        )


def _separated(xp, f, F, y, T, h, on, size, eps, lead):
    """Refuse a problem as soon as its multipliers prove that no pmf has these means."""
    along = (y[:, None, :] @ h)[:, 0, :]  # lambda.(f - F)
    least = xp.min(xp.where(on, along, math.inf), axis=-1)
    noise = 64 * eps * xp.max((xp.abs(y)[:, None, :] @ xp.abs(h))[:, 0, :], axis=-1)
    if not bool(xp.any(least > noise)):
        return
    b = int(np.flatnonzero(_numpy(least > noise)[0])[0])
    f, F, on, size, lam = _numpy(f[b], F[b], on[b], size[b, :, 0], (T[b] @ y[b][:, None])[:, 0])
    a = _sparse(-lam / size, f[:, on] - F[:, None], size)
    raise ValueError(
        f"targets must lie in the convex hull of the features; {_listed(np.flatnonzero(a))}"
        f"{_which(lead, b)} cannot be met together. Separating direction a = {_vector(a)}, in which"
        f" {_below((a @ f[:, on]).max() / np.abs(a).max(), a @ F / np.abs(a).max())}"
    )


def _separates(a, g):
    """Whether a.(f - F) < 0 in every state, beyond rounding."""
    noise = 64 * np.finfo(g.dtype).eps * (np.abs(a) @ np.abs(g)).max()
    return (a @ g).max() < -noise


def _sparse(a, g, size):
    """Leave out of a separating direction the constraints that it does not need, smallest first."""
    for i in np.argsort(np.abs(a * size)):
        without = a.copy()
        without[i] = 0.0
        if without.any() and _separates(without, g):
            a = without
    return a


def _not_on_the_boundary(f, F, g, p, y, T, on, size, residual, tol, lead):
    """Refuse targets that only pmfs with forced zeros have: there the multipliers diverge."""
    f, F, g, p, on, residual = _numpy(f, F, g, p, on, residual)
    low = np.where(on[:, None, :], f, np.inf).min(-1)
    high = np.where(on[:, None, :], f, -np.inf).max(-1)
    noise = _rounding(np.finfo(F.dtype).eps, np.maximum(abs(low), abs(high)), abs(F))
    edge = ((F <= low + noise) | (F >= high - noise)) & (high - low > 2 * noise)
    if edge.any():
        b, a = np.argwhere(edge)[0]
        raise ValueError(
            f"targets must lie inside the convex hull of the features, not on its boundary; the target"
            f" {F[b, a]:.6g} of constraint {a}{_which(lead, b)} is an extreme of its feature: its"
            f" multiplier would be infinite, and only the states with f_{a} = {F[b, a]:.6g} remain"
        )
    small = np.sqrt(np.finfo(g.dtype).eps)
    faint = on & ~(p > small * p.max(-1, keepdims=True))
    for b in np.flatnonzero(faint.any(-1) | (residual > tol)):
        lam = (_numpy(T[b])[0] @ _numpy(y[b])[0][:, None])[:, 0]
        a = _face(g[b][:, on[b]], faint[b][on[b]], -lam)
        if a is None:
            continue
        values = a @ g[b][:, on[b]]
        stay = np.flatnonzero(on[b])[values > -1e-9]
        shown = ", ".join(str(int(x)) for x in stay[:6]) + (", ..." if stay.size > 6 else "")
        raise ValueError(
            f"targets must lie inside the convex hull of the features, not on its boundary;"
            f" {_listed(np.flatnonzero(a))}{_which(lead, b)} leave only the states {shown} ({stay.size} of"
            f" {on[b].sum()}), and multipliers along a = {_vector(a / _numpy(size)[0][b, :, 0])} would be infinite"
        )


def _face(g, faint, away):
    """A direction a with a.g <= 0 in all states and < 0 in some, or None if there is none.

    The bright states must lie on the face, so a is orthogonal to them: first the part of the
    diverging multipliers that is, then, if that fails, whatever a linear program finds.
    """
    found = _orthogonal(g[:, ~faint], away)
    if found is None:
        return None
    if (a := _checked(found, g)) is not None:
        return a
    try:
        from scipy.optimize import linprog
    except ModuleNotFoundError:
        return None
    lp = linprog(g.sum(-1), A_ub=g.T, b_ub=np.zeros(g.shape[1]), bounds=(-1, 1))
    if lp.status != 0 or lp.fun > -1e-6:
        return None
    exact = _orthogonal(g[:, lp.x @ g > -1e-7], lp.x)
    return None if exact is None else _checked(exact, g)


def _orthogonal(g, a):
    """The part of a that is orthogonal to all columns of g; None if nothing is."""
    if g.shape[1] == 0:
        return a
    U, s, _ = np.linalg.svd(g, full_matrices=g.shape[1] < g.shape[0])
    rank = int((s > 1e-10 * max(1.0, s[0])).sum())
    kept = U[:, rank:] @ (U[:, rank:].T @ a)
    return kept if np.abs(kept).max(initial=0) > 1e-9 * np.abs(a).max() else None


def _checked(a, g):
    """a, scaled and without noise, if it proves that F lies on the boundary."""
    a = a / np.abs(a).max()
    a[np.abs(a) < 1e-10] = 0.0
    values = a @ g
    noise = 256 * np.finfo(g.dtype).eps * g.shape[0]
    on_face = np.abs(values) <= noise
    return a if on_face.any() and not on_face.all() and (values[~on_face] < 0).all() else None
