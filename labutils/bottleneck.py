"""The information bottleneck: exact solutions, the curve, its transitions, and two closed forms.

Taught in the chapter "The information bottleneck, exact and contested" (bottleneck/information-bottleneck).
Units: nats; a joint pmf is [X, Y], a representation Z of X is an encoder p(z|x) [X, K].
"""

import math
from typing import Any, NamedTuple

import numpy as np

from labutils import info

SAME = 1e-7
"""Clusters whose p(y|z) agree to this are one cluster."""
EMPTY = 1e-12
"""Clusters of less probability than this are dropped from a start."""


class Bottleneck(NamedTuple):
    """What `solve` returns; all arrays carry the shape of beta in front, [...] below.

    beta        [...]
    encoder     [..., X, K] p(z|x); unused clusters have p(z|x) = 0 and stand last
    weights     [..., K]    p(z)
    decoder     [..., K, Y] p(y|z); 0 for unused clusters
    i_xz, i_zy  [...]       I(X;Z), I(Z;Y)
    value       [...]       the functional I(X;Z) - beta I(Z;Y)
    clusters    [...]       how many clusters are in use
    residual    [...]       largest change of p(z,y) in one more step
    gap         [...]       certificate: no encoder is lower than value - gap (see `certificate`)
    """

    beta: Any
    encoder: Any
    weights: Any
    decoder: Any
    i_xz: Any
    i_zy: Any
    value: Any
    clusters: Any
    residual: Any
    gap: Any


class Transition(NamedTuple):
    """A value of beta at which the number of clusters changes, from `before` to `after`.

    low, high  the branch from below is certified at low and beaten at high; around 1/eta_KL for
               the first departure from a constant Z
    kind       "splits": at high a cluster of the branch is unstable to second order, beta sigma_2^2 > 1;
               "appears": all are stable, and a cluster at a distance does better
    """

    low: float
    high: float
    before: int
    after: int
    kind: str


class Curve(NamedTuple):
    """What `curve` returns: the solutions (a `Bottleneck` over beta) and the transitions."""

    solutions: Bottleneck
    transitions: list


class Gaussian(NamedTuple):
    """What `gaussian` returns.

    critical    [n]         beta at which each mode switches on, smallest first
    gains       [..., n]    squared gains alpha_i^2 of the modes, in units where modes have variance 1
    projection  [..., n, d] rows alpha_i v_i: Z = projection X + unit noise
    i_xz, i_zy  [...]
    """

    critical: Any
    gains: Any
    projection: Any
    i_xz: Any
    i_zy: Any


class Symmetric(NamedTuple):
    """What `symmetric_binary` returns: beta_c, the flip probability of the encoder, both informations."""

    critical: Any
    flip: Any
    i_xz: Any
    i_zy: Any


# The alternating minimisation --------------------------------------------------------------------


def step(pxy, beta, joint):
    """One step of the alternating minimisation: (value before it, encoder, joint after it).

    p(z|x) = p(z) exp(-beta D(p(y|x)‖p(y|z))) / Z(x, beta), then p(z,y) = sum_x p(x,y) p(z|x)

    joint  [..., K, Y] the present p(z,y); beta of the shape in front
    value  [...] free functional -sum_x p(x) log Z(x, beta) of the present p(z), p(y|z): it never
           rises from one step to the next, and at a fixed point it is
           I(X;Z) + beta (I(X;Y) - I(Z;Y)).

    Errors: ValueError for a joint pmf that is none or has an empty row or column, beta <= 0.
    Source: chapter bottleneck/information-bottleneck, steps 2 and 3.
    """
    xp, problem, beta = _problem(pxy, beta)
    joint = _given_joint(xp, joint, problem)
    value, q, after, _ = _step(xp, problem, beta, joint)
    return value, xp.matrix_transpose(q), after


def certificate(pxy, beta, joint):
    """How far the fixed point `joint` can be from the global minimum: gap = log max_s rho(s).

    rho(s) = sum_x p(x)/Z(x, beta) exp(-beta D(p(y|x)‖s)) for a new cluster that decodes to s.
    For any positive Z(x, beta) no encoder has a functional below -sum_x p(x) log Z - log max rho,
    so gap = 0 proves a global minimum, and gap > 0 names the cluster that is missing.

    Returns (gap [...], s [..., Y]). The maximum over s is searched, by Newton: from the peaks of a
    grid of 4001 points for two x or two y, else from the best ends of climbs that start at all p(y|x),
    at points between pairs of them and at p(y); and from both sides of the cluster that is nearest
    to instability, where a better one can hide behind a low ridge.

    Errors: as in `step`. Source: chapter bottleneck/information-bottleneck, step 4.
    """
    xp, problem, beta = _problem(pxy, beta)
    joint = _given_joint(xp, joint, problem)
    *_, log_z = _step(xp, problem, beta, joint)
    return _best_cluster(xp, problem, beta, log_z, joint)


def solve(pxy, beta, *, start=None, search=True, tol=None, steps=6000):
    """The least that must be remembered: encoders that minimise I(X;Z) - beta I(Z;Y).

    pxy     [X, Y] joint pmf
    beta    a number > 0 or an array of them, solved side by side
    start   [..., K, Y] joint p(z,y) to start from; None for the finest one, Z = X
    search  False stays on the branch of the start. True compares with Z constant, asks the
            certificate for a missing cluster, and goes on until there is none: an annealing that
            leaves no better minimum behind as far as the certificate sees.
    tol     largest change of p(z,y) in a step at the end; None for 64 eps of the dtype
    steps   most steps of a descent; steps are extrapolated (SQUAREM) where that lowers the value

    Next to a transition two encoders can differ by less than rounding in the functional. There the
    descent may end at a residual above tol; it is accepted if the gap is below 1e-9, and both are reported.

    Errors: as in `step`; RuntimeError when `steps` do not suffice.
    Source: chapter bottleneck/information-bottleneck, steps 2 to 4.
    """
    xp, problem, beta = _problem(pxy, beta)
    shape, flat = tuple(beta.shape), xp.reshape(beta, (-1,))
    tol = 64 * float(xp.finfo(flat.dtype).eps) if tol is None else info._number("tol", tol)
    if not tol > 0:
        raise ValueError(f"tol must be > 0; got {tol:g}")
    joint = problem.pxy if start is None else _given_joint(xp, start, problem)
    joint = xp.broadcast_to(joint, (*shape, *joint.shape[-2:]))
    joint = xp.reshape(joint, (flat.shape[0], *joint.shape[-2:]))
    if search:
        joint, residual, gap = _global(xp, problem, flat, joint, tol, steps)
    else:
        joint, residual = _descend(xp, problem, flat, joint, tol, steps)
        joint = _merged(xp, joint)
        gap = _certified(xp, problem, flat, joint)
    return _report(xp, problem, flat, joint, residual, gap, shape)


def curve(pxy, betas=None, *, rtol=1e-8):
    """Solutions along beta and every transition between neighbours, located by bisection.

    betas  [B] increasing; None for 48 values, geometric from 0.9 to 40 times 1/eta_KL
    rtol   relative width of the interval [low, high] to which a transition is located

    Between neighbours the branch of the lower one is followed upwards. Where it stays certified
    (gap <= 1e-12, no cluster with beta sigma_2^2 > 1) nothing happens; else its last certified
    beta is found by bisection. Two transitions between neighbours that undo each other could
    stay unseen: then the curve is still between its chords and its tangents of slope 1/beta.

    Errors: as in `solve`; ValueError for betas that do not increase.
    Source: chapter bottleneck/information-bottleneck, step 5.
    """
    if betas is None:
        eta = contraction(pxy)
        if eta == 0:
            raise ValueError("betas must be given where X and Y are independent: Z is constant for all")
        betas = np.geomspace(0.9, 40, 48) / eta
    xp, problem, betas = _problem(pxy, betas)
    if betas.ndim != 1 or betas.shape[0] < 2 or not bool(xp.all(betas[1:] > betas[:-1])):
        raise ValueError("betas must be an increasing array of at least two values")
    if not 0 < info._number("rtol", rtol) < 1:
        raise ValueError(f"rtol must lie between 0 and 1; got {rtol!r}")
    found = solve(problem.pxy, betas)
    joints = found.weights[..., None] * found.decoder
    _, kept, _ = _follow(xp, problem, betas[1:], joints[:-1])
    same = kept & (found.clusters[1:] == found.clusters[:-1])
    transitions = []
    for i in range(betas.shape[0] - 1):
        if not bool(same[i]):
            transitions += _bisect(xp, problem, found, joints, i, rtol)
    return Curve(found, transitions)


def critical_beta(pxy):
    """Where Z = constant stops being a local minimum: 1 / sigma_2^2.

    sigma_2 is the second singular value of p(x,y) / sqrt(p(x) p(y)), the maximal correlation of
    X and Y; inf where they are independent. The constant can stop being the *global* minimum
    before: at 1 / `contraction`.

    Errors: as in `step`. Source: chapter bottleneck/information-bottleneck, step 6.
    """
    xp, problem, _ = _problem(pxy, 1.0)
    value = _second_singular(xp, problem)
    return math.inf if value < 1e-14 else 1 / value


def contraction(pxy):
    """The contraction coefficient eta_KL = sup_u D(Tu‖p_Y) / D(u‖p_X) over pmfs u of x, T = p(y|x).

    Z = constant is the global minimum exactly for beta <= 1 / eta_KL, and eta_KL is the slope of
    the curve at its origin. Never below sigma_2^2, its limit as u tends to p_X.
    Searched by a climb whose ratio never falls (each u is tilted by its own image) from all
    p(y|x), points between pairs, and for two x or two y a grid of 401.

    Errors: as in `step`. Source: chapter bottleneck/information-bottleneck, step 6.
    """
    xp, problem, _ = _problem(pxy, 1.0)
    local = _second_singular(xp, problem)
    if local < 1e-14:
        return 0.0
    s = xp.concat([_candidates(xp, problem, 401), _nearby(xp, problem)], axis=0)
    log_px, log_py = xp.log(problem.px), xp.log(problem.py)

    def normal(log_u):
        log_u = log_u - xp.max(log_u, axis=-1, keepdims=True)
        return log_u - xp.log(xp.sum(xp.exp(log_u), axis=-1, keepdims=True))

    def tilted(s, ratio):
        log_s = xp.where(s > 0, info._log(xp, s), -1e30)
        return normal(log_px + ((log_s - log_py) @ problem.p_yx.mT) / ratio[..., None])

    def ratios(log_u):
        u = xp.exp(log_u)
        s = u @ problem.p_yx
        cost = xp.sum(info._kl_terms(xp, u, problem.px + 0 * u), axis=-1)
        gain = xp.sum(info._kl_terms(xp, s, problem.py + 0 * s), axis=-1)
        return xp.where(cost > 1e-12, gain / xp.where(cost > 0, cost, 1.0), 0.0), s

    log_u = tilted(s, 0 * s[:, 0] + local)
    lengths = xp.asarray([1.0, 2.0, 4.0, 16.0, 64.0, 256.0, 1024.0], dtype=s.dtype, device=s.device)[:, None, None]
    best = local
    for count in range(500):
        ratio, s = ratios(log_u)
        last, best = best, max(best, float(xp.max(ratio)))
        if count == 10:  # go on with the best twenty
            kept = xp.argsort(ratio, descending=True)[:20]
            log_u, s, ratio = xp.take(log_u, kept, axis=0), xp.take(s, kept, axis=0), xp.take(ratio, kept)
        if count > 20 and best - last <= 1e-16:
            break
        after = tilted(s, xp.maximum(ratio, 0 * ratio + local))
        if count < 10:
            log_u = after
            continue
        leaps = normal(xp.clip(log_u + lengths * (after - log_u), -700.0, 700.0))
        place = xp.argmax(ratios(leaps)[0], axis=0)
        log_u = xp.sum(xp.where((place[None, :] == xp.arange(7, device=s.device)[:, None])[..., None], leaps, 0.0), axis=0)
    return best


# Closed forms -------------------------------------------------------------------------------------


def gaussian(cov_x, cov_xy, cov_y, beta):
    """The bottleneck of jointly Gaussian X and Y: modes switch on one by one.

    lambda_i eigenvalues of cov_{x|y} cov_x^-1, beta_i = 1/(1 - lambda_i),
    alpha_i^2 = (beta (1 - lambda_i) - 1) / lambda_i where beta > beta_i, else 0
    I(X;Z) = 1/2 sum log((beta - 1)(1 - lambda_i)/lambda_i), I(Z;Y) = I(X;Z) - 1/2 sum log(beta (1 - lambda_i))

    cov_x [d, d], cov_xy [d, e], cov_y [e, e]; beta a number > 0 or an array
    n = min(d, e) modes; 1 - lambda_i is the squared canonical correlation.

    Errors: ValueError for shapes that do not match, matrices that are no covariances, a
    correlation of 1 (Y would tell a part of X exactly), beta <= 0.
    Source: chapter bottleneck/information-bottleneck, step 8; Chechik and others (2005).
    """
    xp, (cov_x, cov_xy, cov_y, beta) = info._arrays(cov_x=cov_x, cov_xy=cov_xy, cov_y=cov_y, beta=beta)
    _positive_beta(xp, beta)
    roots = []
    for name, cov in (("cov_x", cov_x), ("cov_y", cov_y)):
        if cov.ndim != 2 or cov.shape[0] != cov.shape[1] or cov.shape[0] == 0:
            raise ValueError(f"{name} must be a square matrix; got shape {tuple(cov.shape)}")
        if not bool(xp.all(abs(cov - cov.mT) <= 1e-9 * xp.max(abs(cov)))):
            raise ValueError(f"{name} must be symmetric; got {cov}")
        values, vectors = xp.linalg.eigh(cov)
        if not bool(xp.all(values > 1e-12 * xp.max(abs(values)))):
            raise ValueError(f"{name} must be positive definite; got the eigenvalue {float(values[0]):.6g}")
        roots.append((vectors / xp.sqrt(values)) @ vectors.mT)
    if tuple(cov_xy.shape) != (cov_x.shape[0], cov_y.shape[0]):
        raise ValueError(
            f"cov_xy must have shape {(cov_x.shape[0], cov_y.shape[0])}; got {tuple(cov_xy.shape)}")
    u, correlation, _ = xp.linalg.svd(roots[0] @ cov_xy @ roots[1], full_matrices=False)
    if not bool(xp.all(correlation < 1 - 1e-12)):
        raise ValueError(
            f"cov_xy must leave every correlation below 1; got {float(xp.max(correlation)):.12g}")
    known = correlation**2                                              # 1 - lambda_i, largest first
    ratio = beta[..., None] * known
    on = ratio > 1
    gains = xp.where(on, (ratio - 1) / (1 - known), 0.0)
    i_xz = 0.5 * xp.sum(xp.log1p(gains), axis=-1)
    i_zy = i_xz - 0.5 * xp.sum(xp.log(xp.where(on, ratio, 1.0)), axis=-1)
    projection = xp.sqrt(gains)[..., None] * (u.mT @ roots[0])
    critical = xp.where(known > 0, 1 / xp.where(known > 0, known, 1.0), math.inf)
    return Gaussian(critical, gains, projection, i_xz, i_zy)


def symmetric_binary(flip, beta):
    """The bottleneck of a fair bit X seen through a channel that flips it with probability `flip`.

    The encoder flips too, with a = (1 - t)/2 and artanh t = beta c artanh(c t), c = 1 - 2 flip;
    t = 0 up to beta_c = 1/c^2. I(X;Z) = log 2 - h(a), I(Z;Y) = log 2 - h(a * flip): the global
    minimum, by Mrs. Gerber's lemma.

    flip  a number strictly between 0 and 1/2; beta a number > 0 or an array
    Solved for tau = artanh t by bisection to the last digit.

    Errors: ValueError for a flip outside (0, 1/2), beta <= 0.
    Source: chapter bottleneck/information-bottleneck, step 7.
    """
    flip = info._number("flip", flip)
    if not 0 < flip < 0.5:
        raise ValueError(f"flip must lie strictly between 0 and 1/2; got {flip:g}")
    xp, (beta,) = info._arrays(beta=beta)
    _positive_beta(xp, beta)
    c = 1 - 2 * flip
    low, high = 0 * beta, beta * c * math.atanh(c)
    low = xp.where(beta * c * c > 1, 1e-12, low)                        # t = 0 solves it too: start above
    for _ in range(200):
        middle = 0.5 * (low + high)
        below = beta * c * xp.atanh(c * xp.tanh(middle)) > middle
        low, high = xp.where(below, middle, low), xp.where(below, high, middle)
    tau = xp.where(beta * c * c > 1, 0.5 * (low + high), 0.0)
    t = xp.tanh(tau)
    a = xp.exp(-2 * tau) / (1 + xp.exp(-2 * tau))
    return Symmetric(1 / c**2, a, _fair_minus(xp, t), _fair_minus(xp, c * t))


def _fair_minus(xp, t):
    """log 2 - h((1 - t)/2) = ((1 + t) log(1 + t) + (1 - t) log(1 - t)) / 2, digits kept near 0."""
    low = xp.where(t < 1, xp.log1p(-xp.where(t < 1, t, 0.0)), 0.0)
    exact = 0.5 * ((1 + t) * xp.log1p(t) + (1 - t) * low)
    return xp.where(t < 1e-3, t**2 / 2 + t**4 / 12 + t**6 / 30, exact)


# What the functions above are made of ---------------------------------------------------------------


class _Problem(NamedTuple):
    pxy: Any
    px: Any
    py: Any
    p_yx: Any
    h_yx: Any


def _problem(pxy, beta):
    xp, (pxy, beta) = info._arrays(pxy=pxy, beta=beta)
    if pxy.ndim != 2:
        raise ValueError(f"pxy must be a joint pmf [X, Y]; got shape {tuple(pxy.shape)}")
    info._pmf("pxy", pxy, (0, 1))
    _positive_beta(xp, beta)
    pxy = pxy / xp.sum(pxy)  # it is 1 to rounding, as `_pmf` has made sure
    px, py = xp.sum(pxy, axis=1), xp.sum(pxy, axis=0)
    for name, p, what in (("row", px, "p(x)"), ("column", py, "p(y)")):
        if not bool(xp.all(p > 0)):
            raise ValueError(f"pxy must have {what} > 0 for every {name}; got 0 in {name} {info._where(p == 0)}")
    p_yx = pxy / px[:, None]
    return xp, _Problem(pxy, px, py, p_yx, -xp.sum(p_yx * info._log(xp, p_yx), axis=-1)), beta


def _positive_beta(xp, beta):
    bad = ~((beta > 0) & (beta < math.inf))
    if bool(xp.any(bad)):
        raise ValueError(f"beta must be finite and > 0; got {info._first(beta, bad)}")


def _given_joint(xp, joint, problem):
    _, (joint, _) = info._arrays(joint=joint, pxy=problem.pxy)
    if joint.ndim < 2 or joint.shape[-1] != problem.py.shape[0]:
        raise ValueError(f"joint must be p(z,y) of shape [..., K, {problem.py.shape[0]}]; got {tuple(joint.shape)}")
    info._pmf("joint", joint, (joint.ndim - 2, joint.ndim - 1))
    return joint


def _scores(xp, problem, beta, s):
    """-beta D(p(y|x)‖s) [..., K, X] for clusters s [..., K, Y]; about -1e30 stands for -inf."""
    log_s = xp.where(s > 0, info._log(xp, s), -1e30)
    return beta[..., None, None] * (log_s @ problem.p_yx.mT + problem.h_yx)


def _step(xp, problem, beta, joint):
    """(value, p(z|x) as [..., K, X], new joint, log Z [..., X])."""
    r = xp.sum(joint, axis=-1)
    s = joint / xp.where(r > 0, r, 1.0)[..., None]
    score = xp.where(r > 0, info._log(xp, r), -1e38)[..., None] + _scores(xp, problem, beta, s)
    top = xp.max(score, axis=-2, keepdims=True)
    q = xp.exp(score - top)
    total = xp.sum(q, axis=-2, keepdims=True)
    log_z = (top + xp.log(total))[..., 0, :]
    q = q / total
    return -xp.sum(problem.px * log_z, axis=-1), q, (q * problem.px) @ problem.p_yx, log_z


def _descend(xp, problem, beta, joint, tol, steps, strict=True):
    """Steps to a fixed point, two at a time and extrapolated (SQUAREM on log p(z,y)); in a strict
    descent every fifth time by Newton. A leap is taken only where the value does not rise."""
    eps = float(xp.finfo(joint.dtype).tiny) if hasattr(xp.finfo(joint.dtype), "tiny") else 1e-300
    slack = 8 * float(xp.finfo(joint.dtype).eps)  # a value is known no better
    reach = 0 * beta + 4.0  # the longest leap: grows where leaps succeed, shrinks where they fail
    for count in range(steps // 3 + 1):
        if strict is not False and count % 5 == 4:
            joint = _newton(xp, problem, beta, joint)
        _, _, one, _ = _step(xp, problem, beta, joint)
        _, _, two, _ = _step(xp, problem, beta, one)
        residual = xp.max(abs(one - joint), axis=(-2, -1))
        if bool(xp.all(residual <= tol)):
            return two, residual
        a, b, c = (info._log(xp, xp.where(m > eps, m, 1.0)) for m in (joint, one, two))
        first, second = b - a, c - 2 * b + a
        norm = xp.sqrt(xp.sum(first**2, axis=(-2, -1)))
        bend = xp.sqrt(xp.sum(second**2, axis=(-2, -1)))
        length = xp.where(bend > 1e-300, norm / xp.where(bend > 1e-300, bend, 1.0), 1.0)
        length = xp.minimum(xp.clip(length, 1.0, 1e6), reach)[:, None, None]
        leap = a + xp.clip(2 * length * first + length**2 * second, -40.0, 40.0)
        leap = xp.where(two > eps, xp.exp(xp.clip(leap, -690.0, 5.0)), 0.0)
        leap = leap / xp.sum(leap, axis=(-2, -1), keepdims=True)
        here, *_ = _step(xp, problem, beta, two)
        there, _, after, _ = _step(xp, problem, beta, leap)
        good = there <= here + slack * (1 + abs(here))
        joint = xp.where(good[:, None, None], after, two)
        reach = xp.where(good, xp.where(length[:, 0, 0] >= reach, 4 * reach, reach), xp.maximum(reach / 4, 0 * reach + 1.0))
    if not strict:
        return joint, residual
    _stopped(tol, steps, float(xp.max(residual)))


def _settled(xp, problem, beta, joint, tol, steps, rounds):
    """A descent for at most `steps`, with rounds of Newton alone where the value is too flat to lead it."""
    joint, residual = _descend(xp, problem, beta, joint, tol, min(steps, 600), strict=None)
    for _ in range(min(rounds, steps // 600)):
        slow = residual > tol
        if not bool(xp.any(slow)):
            break
        part = joint[slow, ...]
        for _ in range(20):
            part = _newton(xp, problem, beta[slow], part)
        joint[slow, ...], residual[slow] = _descend(xp, problem, beta[slow], part, tol, 300, strict=None)
    return joint, residual


def _stopped(tol, steps, residual):
    raise RuntimeError(
        f"the iteration must reach a change below tol = {tol:g} within steps = {steps};"
        f" the largest is {residual:.3g}: raise one of them")


def _newton(xp, problem, beta, joint):
    """One Newton step down the value in theta = log p(z,y), kept where it helps.

    The Hessian is taken in the metric of p(z,y), and each of its eigenvalues by its size, so that
    the step leaves saddles; of five lengths the one with the lowest value is taken.
    """
    here, q, after, _ = _step(xp, problem, beta, joint)
    n, k, y = joint.shape
    r, r_next = xp.sum(joint, axis=-1, keepdims=True), xp.sum(after, axis=-1, keepdims=True)
    s = joint / xp.where(r > 0, r, 1.0)
    b = beta[:, None, None]
    eye_k, eye_y = (xp.eye(i, dtype=joint.dtype, device=joint.device) for i in (k, y))
    slope = (1 - b[..., None]) * s[..., None, :] + b[..., None] * problem.p_yx  # B Z X Y: d score / d theta
    mixed = q[:, :, None, :] * (eye_k[..., None] - q[:, None, :, :])           # B Z Z' X: d q / d score
    moved = (mixed[..., None] * problem.pxy).mT @ slope[:, None, ...]          # B Z Z' Y Y': d next / d theta
    shift = ((mixed * problem.px)[..., None, :] @ slope[:, None, ...])[..., 0, :]  # B Z Z' Y'
    own = r_next[..., None] * (s[..., None] * eye_y - s[..., None] * s[:, :, None, :])
    inner = s[:, :, None, :, None] * shift[..., None, :] + eye_k[..., None, None] * own[:, :, None, ...]
    hessian = -(1 - b[..., None, None]) * inner - b[..., None, None] * moved
    hessian = xp.reshape(xp.permute_dims(hessian, (0, 1, 3, 2, 4)), (n, k * y, k * y))
    root = xp.reshape(xp.sqrt(joint), (n, k * y))
    safe = xp.where(root > 0, root, 1.0)
    hessian = hessian / safe[:, :, None] / safe[:, None, :] - root[:, :, None] * root[:, None, :]
    hessian = xp.where((root[:, :, None] > 0) & (root[:, None, :] > 0), hessian, 0.0)
    hessian = hessian + xp.eye(k * y, dtype=joint.dtype, device=joint.device)
    gradient = xp.reshape(joint - (1 - b) * r_next * s - b * after, (n, k * y)) / safe
    values, vectors = xp.linalg.eigh(0.5 * (hessian + hessian.mT))
    along = (vectors.mT @ gradient[..., None])[..., 0] / xp.clip(abs(values), 1e-12, None)
    move = -xp.reshape((vectors @ along[..., None])[..., 0] / safe, joint.shape)
    off = xp.max(abs(after - joint), axis=(-2, -1))
    best, chosen = here, joint
    slack = 4 * float(xp.finfo(joint.dtype).eps) * (1 + abs(here))
    for length in (1.0, 0.5, 0.25, 0.1, 0.03):
        leap = xp.where(joint > 0, joint * xp.exp(xp.clip(length * move, -2.0, 2.0)), 0.0)
        leap = leap / xp.sum(leap, axis=(-2, -1), keepdims=True)
        there, _, next_, _ = _step(xp, problem, beta, leap)
        closer = xp.max(abs(next_ - leap), axis=(-2, -1)) < off
        kept = (there < best - slack) | (closer & (there < best + slack))
        chosen = xp.where(kept[:, None, None], leap, chosen)
        best = xp.where(kept, there, best)
        off = xp.where(kept, xp.max(abs(next_ - leap), axis=(-2, -1)), off)
    return chosen


def _merged(xp, joint, same=SAME, empty=EMPTY):
    """Equal clusters added up, empty ones emptied; the first of a group keeps the place."""
    r = xp.sum(joint, axis=-1)
    joint = xp.where((r > empty)[..., None], joint, 0.0)
    joint = joint / xp.sum(joint, axis=(-2, -1), keepdims=True)
    s = joint / xp.where(r > empty, r, 1.0)[..., None]
    near = xp.max(abs(s[..., :, None, :] - s[..., None, :, :]), axis=-1) <= same
    first = xp.argmax(xp.astype(near, xp.int32), axis=-1)
    place = xp.arange(joint.shape[-2], device=joint.device)
    member = xp.astype(first[..., :, None] == place, joint.dtype)
    return member.mT @ joint


def _used(xp, joint):
    return xp.sum(xp.astype(xp.sum(joint, axis=-1) > 0, xp.int32), axis=-1)


def _global(xp, problem, beta, joint, tol, steps):
    """From a rough descent with few clusters: split what is unstable, add what is missing."""
    joint, _ = _descend(xp, problem, beta, joint, 1e-7, 600, strict=False)
    value, *_ = _step(xp, problem, beta, joint)
    joint = _merged(xp, joint, 1e-3, 1e-3)
    constant = xp.concat([problem.py[None, :], 0 * joint[0, 1:, :]], axis=0)[None, ...] + 0 * joint
    trivial, *_ = _step(xp, problem, beta, constant)
    joint = xp.where((value < trivial - 1e-14)[:, None, None], joint, constant)
    room = problem.px.shape[0] + 2 - joint.shape[1]
    if room > 0:
        none = xp.zeros((joint.shape[0], room, joint.shape[2]), dtype=joint.dtype, device=joint.device)
        joint = xp.concat([joint, none], axis=1)
    enough = max(1e-13, 4 * float(xp.finfo(joint.dtype).eps))
    residual, gap, todo = 0 * beta, 0 * beta + math.inf, xp.ones(beta.shape, dtype=xp.bool, device=joint.device)
    for _ in range(3 * joint.shape[1]):
        here, before = beta[todo], joint[todo, ...]
        before, off = _settled(xp, problem, here, before, tol, steps, 1)
        part = _merged(xp, before)
        again = _used(xp, part) < _used(xp, before)  # a merger moves p(z,y) by more than tol
        bent, wide, more = 0 * part[..., 0], 0 * here + math.inf, again & False
        if not bool(xp.all(again)):
            still = ~again
            at, now = here[still], part[still, ...]
            _, q, _, log_z = _step(xp, problem, at, now)
            bent[still, ...], v = _bend(xp, problem, at, now, q)
            wide[still], s = _best_cluster(xp, problem, at, log_z, now)
            unstable = xp.max(bent[still, ...], axis=-1) > 1 + 1e-9
            stuck = (wide[still] <= 1e-10) & (wide[still] > 0.5 * gap[todo][still])  # the value is known no better
            more[still] = ((wide[still] > enough) & ~stuck) | unstable
            now = _with_cluster(xp, problem, at, now, s, more[still] & ~unstable)
            part[still, ...] = xp.where(unstable[:, None, None], _split(xp, now, bent[still, ...], v), now)
        joint[todo, ...], residual[todo], gap[todo] = part, off, wide
        todo[xp.asarray(todo, copy=True)] = more | again
        if not bool(xp.any(todo)):
            break
    if bool(xp.any(todo)):
        part, residual[todo] = _settled(xp, problem, beta[todo], joint[todo, ...], tol, steps, 10)
        joint[todo, ...] = _merged(xp, part)
        gap[todo] = _certified(xp, problem, beta[todo], joint[todo, ...])
    joint, residual, gap = _without_twins(xp, problem, beta, joint, residual, gap)
    if bool(xp.any((residual > tol) & (gap > 1e-9))):
        _stopped(tol, steps, float(xp.max(residual)))
    return joint, residual, gap


def _without_twins(xp, problem, beta, joint, residual, gap):
    """Next to a transition a cluster can end beside a twin, apart by little more than SAME: they are added
    up where the value does not tell them apart."""
    coarse = _merged(xp, joint, 100 * SAME)
    here, *_ = _step(xp, problem, beta, joint)
    there, _, after, _ = _step(xp, problem, beta, coarse)
    slack = 8 * float(xp.finfo(joint.dtype).eps) * (1 + abs(here))
    twins = (_used(xp, coarse) < _used(xp, joint)) & (there <= here + slack)
    if bool(xp.any(twins)):
        joint[twins, ...], residual[twins] = coarse[twins, ...], xp.max(abs(after - coarse), axis=(-2, -1))[twins]
        gap[twins] = _certified(xp, problem, beta[twins], joint[twins, ...])
    return joint, residual, gap


def _certified(xp, problem, beta, joint):
    """The gap of fixed points."""
    *_, log_z = _step(xp, problem, beta, joint)
    return _best_cluster(xp, problem, beta, log_z, joint)[0]


def _bend(xp, problem, beta, joint, q):
    """beta sigma_2^2 of each cluster (0 for empty ones), and the direction in y of its softest mode."""
    r = xp.sum(joint, axis=-1)
    u = xp.where((r > 0)[..., None], q * problem.px / xp.where(r > 0, r, 1.0)[..., None], problem.px)
    u = xp.where(u > 1e-12, u, 0.0)  # an input that all but left a cluster moves no more inside it
    s = u @ problem.p_yx
    scaled = xp.sqrt(u)[..., :, None] * problem.p_yx / xp.sqrt(xp.where(s > 0, s, 1.0))[..., None, :]
    scaled = scaled - xp.sqrt(u)[..., :, None] * xp.sqrt(s)[..., None, :]  # takes the first mode, 1, away
    _, sigma, vt = xp.linalg.svd(scaled, full_matrices=False)
    bent = xp.where(r > 0, beta[..., None] * sigma[..., 0] ** 2, 0.0)
    return bent, vt[..., 0, :] * xp.sqrt(s)


def _split(xp, joint, bent, v):
    """The least stable cluster in two, a little to either side of its softest mode."""
    r = xp.sum(joint, axis=-1)
    place = xp.arange(joint.shape[1], device=joint.device)
    worst = xp.astype(place == xp.argmax(bent, axis=-1)[:, None], joint.dtype)[..., None]
    free = xp.astype(place == xp.argmin(r, axis=-1)[:, None], joint.dtype)[..., None]
    old = xp.sum(worst * joint, axis=1, keepdims=True)
    v = xp.sum(worst * v, axis=1, keepdims=True)
    ratio = xp.where(old > 0, v * xp.sum(old, axis=-1, keepdims=True) / xp.where(old > 0, old, 1.0), 0.0)
    tilt = 0.01 * ratio / (xp.max(abs(ratio), axis=-1, keepdims=True) + 1e-300)
    tilt = tilt - xp.sum(tilt * old, axis=-1, keepdims=True) / xp.sum(old, axis=-1, keepdims=True)
    return joint + (free - worst) * 0.5 * old + (worst - free) * 0.5 * old * tilt


def _with_cluster(xp, problem, beta, joint, s, more):
    """A new cluster s in the first free place, where `more`, at the best of a few weights.

    It takes each input from the clusters that have it, so that p(x) stays: joint = q(z|x) (p(x) - w u(x))
    p(y|x) and w u(x) p(y|x), w up to min p(x)/u(x). Each weight gets some steps to settle before it is
    judged; the best is refined.
    """
    if not bool(xp.any(more)):
        return joint
    beta, old, s = beta[more], joint[more, ...], s[more, ...]
    free = xp.argmin(xp.sum(old, axis=-1), axis=-1)
    place = xp.astype(xp.arange(old.shape[1], device=old.device) == free[:, None], old.dtype)[..., None]
    value, q, _, log_z = _step(xp, problem, beta, old)
    _, u, image = _rho(xp, problem, beta, xp.log(problem.px) - log_z, s)
    most = 1 / xp.max(u / problem.px, axis=-1)
    best, chosen, share = value, old, 0 * most

    def tried(trial_share):
        weight = (trial_share * most)[:, None, None]
        trial = (q * (problem.px - weight * u[:, None, :])) @ problem.p_yx + weight * place * image[:, None, :]
        for _ in range(40):
            value, _, trial, _ = _step(xp, problem, beta, trial)
        better = value < best
        return (xp.where(better, value, best), xp.where(better[:, None, None], trial, chosen),
                xp.where(better, trial_share, share))

    for first in (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9):
        best, chosen, share = tried(0 * most + first)
    for factor in (0.5, 2.0, 0.7, 1.4):
        best, chosen, share = tried(xp.clip(factor * share, 0.0, 0.9))
    joint = xp.asarray(joint, copy=True)
    joint[more, ...] = chosen
    return joint


def _candidates(xp, problem, points):
    """Clusters to start a search from: all p(y|x), points between pairs, p(y). Where all of them
    lie on a line, as for two x or two y, a grid of `points` along it."""
    rows = problem.p_yx
    if 2 in rows.shape:
        ends = (int(xp.argmin(rows[:, 0])), int(xp.argmax(rows[:, 0]))) if rows.shape[1] == 2 else (0, 1)
        share = xp.linspace(0, 1, points, dtype=rows.dtype, device=rows.device)[:, None]
        return (1 - share) * rows[ends[0], :] + share * rows[ends[1], :]
    found = [problem.py[None, :]]
    for share in (0.0, 0.1, 0.3, 0.5):
        pairs = (1 - share) * rows[:, None, :] + share * rows[None, :, :]
        found.append(xp.reshape(pairs, (-1, rows.shape[1])) if share else rows)
    return xp.concat(found, axis=0)


def _nearby(xp, problem):
    """Clusters on either side of p(y) along the softest mode."""
    one = xp.ones(1, dtype=problem.py.dtype, device=problem.py.device)
    q = xp.ones((1, 1, problem.px.shape[0]), dtype=problem.py.dtype, device=problem.py.device)
    _, v = _bend(xp, problem, one, problem.py[None, None, :], q)
    v = v[0, 0, :] / xp.max(abs(v[0, 0, :] / problem.py))
    share = xp.asarray([-0.9, -0.5, -0.2, -0.05, 0.05, 0.2, 0.5, 0.9], dtype=v.dtype, device=v.device)
    s = problem.py + share[:, None] * v
    return s / xp.sum(s, axis=-1, keepdims=True)


def _rho(xp, problem, beta, weight, s):
    """(log rho [...], u [..., X], image u p(y|x) [..., Y]) of clusters s [..., Y]; u is the law of x in a
    new cluster, and the image is a next s that never lowers rho. weight = log p(x)/Z(x), [..., X]."""
    terms = weight + _scores(xp, problem, beta, s[..., None, :])[..., 0, :]
    top = xp.max(terms, axis=-1, keepdims=True)
    u = xp.exp(terms - top)
    total = xp.sum(u, axis=-1, keepdims=True)
    u = u / total
    return (top + xp.log(total))[..., 0], u, u @ problem.p_yx


def _best_cluster(xp, problem, beta, log_z, joint):
    """(log max rho, its s) over clusters s, for beta of shape [...].

    Climbs from many starts, then Newton from the best that are apart. Where a cluster is nearly
    unstable a better one can lie close to it, behind a low ridge: climbs crawl there, so Newton also
    starts on both sides of that cluster, along its softest mode.
    """
    shape, size = tuple(beta.shape), problem.py.shape[0]
    beta, weight = xp.reshape(beta, (-1,)), xp.reshape(xp.log(problem.px) - log_z, (-1, problem.px.shape[0]))
    joint = xp.reshape(joint, (-1, *joint.shape[-2:]))
    r = xp.sum(joint, axis=-1, keepdims=True)
    own = xp.where(r > 0, joint / xp.where(r > 0, r, 1.0), problem.py)
    s = _candidates(xp, problem, 4001)
    s = xp.broadcast_to(s, (beta.shape[0], *s.shape))
    b, w = beta[:, None], weight[:, None, :]
    if 2 in problem.p_yx.shape:  # the peaks of a grid
        value, *_ = _rho(xp, problem, b, w, s)
        edge = xp.full((beta.shape[0], 1), -math.inf, dtype=value.dtype, device=value.device)
        before, after = xp.concat([edge, value[:, :-1]], axis=1), xp.concat([value[:, 1:], edge], axis=1)
        value = xp.where((value >= before) & (value >= after), value, -math.inf)
    else:
        for _ in range(20):
            *_, s = _rho(xp, problem, b, w, s)
        value, *_ = _rho(xp, problem, b, w, s)
    starts = xp.concat([own, _apart(xp, s, value, own, 8), _beside(xp, problem, b, w, own, r)], axis=1)
    count = starts.shape[1]
    flat = lambda a: xp.reshape(xp.broadcast_to(a, (beta.shape[0], count, *a.shape[2:])), (-1, *a.shape[2:]))
    value, s = _climbed(xp, problem, flat(b), flat(w), xp.reshape(starts, (-1, size)), flat(own[:, None, ...]))
    value, s = xp.reshape(value, (-1, count)), xp.reshape(s, (-1, count, size))
    pick = xp.astype(xp.argmax(value, axis=-1)[:, None] == xp.arange(count, device=s.device), s.dtype)
    s = (pick[:, None, :] @ s)[:, 0, :]
    return xp.reshape(xp.maximum(xp.max(value, axis=-1), 0 * beta), shape), xp.reshape(s, (*shape, size))


def _apart(xp, s, value, own, count):
    """The best `count` of s [B, S, Y] by value [B, S] that differ from one another and from `own`."""
    found = []
    for k in range(own.shape[1]):
        value = xp.where(xp.max(abs(s - own[:, k : k + 1, :]), axis=-1) > 1e-4, value, -math.inf)
    for _ in range(count):
        pick = xp.astype(xp.argmax(value, axis=-1)[:, None] == xp.arange(s.shape[1], device=s.device), s.dtype)
        found.append(pick[:, None, :] @ s)
        value = xp.where(xp.max(abs(s - found[-1]), axis=-1) > 0.01, value, -math.inf)
    return xp.concat(found, axis=1)


def _modes(xp, problem, s, u, image):
    """(left vectors, sigma^2, sqrt s) of [(p(y|x) - image) sqrt(u/s)], the softest last: the curvature of
    log rho in log s is beta (beta sigma^2 - 1) along each of them, -beta across."""
    root = xp.sqrt(xp.where(s > 0, s, 1.0))
    spread = (problem.p_yx - image[..., None, :]) * xp.sqrt(u)[..., None] / root[..., None, :]
    spread = xp.where(s[..., None, :] > 0, spread, 0.0)
    if s.shape[-1] <= u.shape[-1]:  # the smaller square: quicker
        square, left = xp.linalg.eigh(spread.mT @ spread)
        return left, xp.clip(square, 0.0, None), root
    left, sigma, _ = xp.linalg.svd(spread.mT, full_matrices=False)
    return xp.flip(left, axis=-1), xp.flip(sigma, axis=-1) ** 2, root


def _beside(xp, problem, b, w, own, r):
    """Starts on both sides of the cluster of each row that is nearest to instability, [B, 14, Y]."""
    _, u, image = _rho(xp, problem, b, w, own)
    left, square, root = _modes(xp, problem, own, u, image)
    bent = xp.where(r[..., 0] > 0, b * square[..., -1], 0.0)
    pick = xp.astype(xp.argmax(bent, axis=-1)[:, None] == xp.arange(own.shape[1], device=own.device), own.dtype)[:, None, :]
    s, v = pick @ own, pick @ (left[..., -1] / root)
    v = v / (xp.max(abs(xp.where(s > 0, v, 0.0)), axis=-1, keepdims=True) + 1e-300)
    share = xp.asarray([d * side for d in (0.004, 0.01, 0.025, 0.06, 0.15, 0.4, 0.8) for side in (-1, 1)],
                       dtype=s.dtype, device=s.device)
    share = xp.where(xp.max(bent, axis=-1)[:, None] > 0.8, share, 0.0)  # a stiff cluster has no near rival
    s = s * xp.exp(share[..., None] * v)
    return s / xp.sum(s, axis=-1, keepdims=True)


def _climbed(xp, problem, beta, weight, s, own):
    """Newton up log rho in log s, [F] starts at once: (log rho, s). Each curvature counts by its size, so
    that a start leaves saddles; of some lengths and the plain climb the highest is taken. A step is at
    most 0.3 of the way to the nearest of the clusters own [F, K, Y], lest it leap over a ridge to it; a
    start that still comes within 1e-3 of one is left there, and one that begins on it stays if it is at rest."""
    value, u, image = _rho(xp, problem, beta, weight, s)
    todo = xp.ones(beta.shape, dtype=xp.bool, device=s.device)
    for _ in range(40):
        here, b, w, at, m = s[todo, ...], beta[todo], weight[todo, ...], value[todo], image[todo, ...]
        left, square, root = _modes(xp, problem, here, u[todo, ...], m)
        slope = xp.where(here > 0, (m - here) / root, 0.0)
        factor = 1 / xp.clip(abs(1 - b[:, None] * square), 1e-9, None) - 1
        along = (left.mT @ slope[..., None])[..., 0]
        move = xp.where(here > 0, (slope + (left @ (factor * along)[..., None])[..., 0]) / root, 0.0)
        near = xp.min(xp.max(2 * abs(here[:, None, :] - own[todo, ...]) / (here[:, None, :] + own[todo, ...] + 1e-300), axis=-1), axis=-1)
        reach = xp.where(near > 1e-6, 0.3 * near, 1.5)
        shrink = xp.minimum(reach / (xp.max(abs(move), axis=-1) + 1e-300), 0 * reach + 1.0)[:, None]
        best, chosen = at, here
        for length in (1.0, 0.3, 0.1, 0.0):
            leap = here * xp.exp(length * shrink * move) if length else m
            leap = leap / xp.sum(leap, axis=-1, keepdims=True)
            there, *_ = _rho(xp, problem, b, w, leap)
            higher = there > best
            best, chosen = xp.where(higher, there, best), xp.where(higher[:, None], leap, chosen)
        s[todo, ...] = chosen
        moving = (best > at + 1e-16) & (xp.max(abs(chosen - here), axis=-1) > 1e-10) & ((near > 1e-3) | (near < 1e-6))
        todo[xp.asarray(todo, copy=True)] = moving
        if not bool(xp.any(todo)):
            break
        value, u, image = _rho(xp, problem, beta, weight, s)
    return _rho(xp, problem, beta, weight, s)[0], s


def _second_singular(xp, problem):
    """sigma_2^2 of the joint pmf itself."""
    one = xp.ones(1, dtype=problem.py.dtype, device=problem.py.device)
    q = xp.ones((1, 1, problem.px.shape[0]), dtype=problem.py.dtype, device=problem.py.device)
    bent, _ = _bend(xp, problem, one, problem.py[None, None, :], q)
    return float(bent[0, 0])


def _follow(xp, problem, beta, joint):
    """The branch of `joint` at beta: (joint, whether it is certified there, whether it splits)."""
    joint = _merged(xp, joint)
    before, tol = _used(xp, joint), 64 * float(xp.finfo(joint.dtype).eps)
    joint, residual = _descend(xp, problem, beta, joint, tol, 600, strict=None)
    joint = _merged(xp, joint)
    _, q, _, log_z = _step(xp, problem, beta, joint)
    bent, _ = _bend(xp, problem, beta, joint, q)
    splits = xp.max(bent, axis=-1) > 1 + 1e-10
    gap, _ = _best_cluster(xp, problem, beta, log_z, joint)
    whole = (before == _used(xp, joint)) & (residual <= 1e4 * tol)
    return joint, whole & ~splits & (gap <= 1e-12), splits


def _bisect(xp, problem, found, joints, i, rtol):
    """All transitions seen between the neighbours i and i + 1."""
    low, end = float(found.beta[i]), float(found.beta[i + 1])
    joint, count = joints[i : i + 1], int(found.clusters[i])
    transitions = []
    for _ in range(2 * problem.px.shape[0]):
        high = end
        after, good, splits = _at(xp, problem, end, joint)
        if good and int(_used(xp, after)[0]) == count:
            break
        if count == 1:  # its threshold is known to more digits than a gap shows
            first = 1 / contraction(problem.pxy)
            low, high = max(low, first * (1 - rtol / 2)), min(high, first * (1 + rtol / 2))
            splits = critical_beta(problem.pxy) <= high
        while high - low > rtol * high:
            middle = 0.5 * (low + high)
            after, good, bad = _at(xp, problem, middle, joint)
            if good and int(_used(xp, after)[0]) == count:
                low, joint = middle, after
            else:
                high, splits = middle, bad
        above = min(high * (1 + 1e-3), end)
        new = solve(problem.pxy, above * xp.ones(1, dtype=joint.dtype, device=joint.device))
        transitions.append(Transition(low, high, count, int(new.clusters[0]), "splits" if splits else "appears"))
        low, count, joint = above, int(new.clusters[0]), new.weights[..., None] * new.decoder
        if above >= end:
            break
    return transitions


def _at(xp, problem, beta, joint):
    beta = beta * xp.ones(1, dtype=joint.dtype, device=joint.device)
    joint, good, splits = _follow(xp, problem, beta, joint)
    return joint, bool(good[0]), bool(splits[0])


def _report(xp, problem, beta, joint, residual, gap, shape):
    _, q, joint, _ = _step(xp, problem, beta, joint)
    r = xp.sum(joint, axis=-1)
    decoder = joint / xp.where(r > 0, r, 1.0)[..., None]
    order = xp.argsort(xp.where(r > 0, decoder[..., 0], -1.0), axis=-1, descending=True, stable=True)
    pick = xp.astype(order[..., None] == xp.arange(r.shape[-1], device=r.device), r.dtype)
    r, decoder, q = (pick @ r[..., None])[..., 0], pick @ decoder, pick @ q
    size = problem.px.shape[0]
    i_xz = xp.sum(info._kl_terms(xp, q * problem.px, r[..., None] * problem.px), axis=(-2, -1))
    joint = pick @ joint
    i_zy = xp.sum(info._kl_terms(xp, joint, r[..., None] * problem.py), axis=(-2, -1))
    clusters = xp.sum(xp.astype(r > 0, xp.int32), axis=-1)
    width = max(int(xp.max(clusters)), min(size, r.shape[-1]))
    r, decoder, q = r[..., :width], decoder[..., :width, :], q[..., :width, :]
    return Bottleneck(*(xp.reshape(a, (*shape, *a.shape[1:])) for a in (
        beta, q.mT, r, decoder, i_xz, i_zy, i_xz - beta * i_zy, clusters, residual, gap)))
