"""Maximum entropy over paths: tilted chains, their responses, and the entropy that they produce.

Taught in the chapter "Maximum entropy over paths" (jaynes/paths).
Units: nats; a rate is in nats per unit of the time in which W is given, a chain counts in steps.

A chain of n states is a matrix P[x, y] = P(y|x), rows sum to 1, or one matrix a step, [L, n, n].
"""

import math
from typing import NamedTuple

import numpy as np

from labutils import info
from labutils._inputs import whole

MOST_PATHS = 2_000_000
"""The most paths that `all_paths` writes down."""


# Tilting a chain ---------------------------------------------------------------------------------


def tilt(P0, f, lam):
    """The chain that a constraint on each step makes of a reference: one normalisation a state.

    P_t(y|x) = P0(y|x) e^(-lam_t f(x,y)) / Z_t(x),   Z_t(x) = sum_y P0(y|x) e^(-lam_t f(x,y))

    P0   [n, n] reference, or [L, n, n] if it changes with time
    f    [n, n] what is constrained, or [A, n, n] for several of them
    lam  a number, or [L] one a step; for several constraints [A], or [L, A]

    f does not change with time: [L, n, n] with lam [L] is L constraints on one and the same step.
    Returns (P, log_z): [n, n] and [n] for one step, [L, n, n] and [L, n] for L of them.
    Of all chains with the mean of f that step t has, P_t is the nearest to P0 in relative entropy,
    given where the chain stands before the step.

    Errors: ValueError for a row that does not sum to 1, shapes that do not match, NaN, and a
    product lam f beyond the range of floats. e^(-lam f) itself may be beyond it.
    Source: chapter jaynes/paths, step 1; paper 002.
    """
    xp, P0, price = _price(P0, f, lam)
    return _weighed(xp, P0, -price)


def whole_paths(p0, P0, f, lam):
    """The ensemble with one normalisation for whole paths (maximum caliber), as a chain.

    p(path) = p0(x_0) prod_t P0(x_t+1|x_t) e^(-lam_t f(x_t, x_t+1)) / Z

    It is a Markov chain again: with z_L = 1 and z_t(x) = sum_y P0(y|x) e^(-lam_t f) z_t+1(y),
    P_t(y|x) = P0(y|x) e^(-lam_t f(x,y)) z_t+1(y) / z_t(x), started in p0(x) z_0(x) / Z.

    p0  [n] law of the first state before anything is known; P0, f, lam as in `tilt`, L steps

    Returns (start [n], P [L, n, n], log Z).

    Errors: as in `tilt`, and for a lam without steps. Source: chapter jaynes/paths, step 5.
    """
    xp, P0, price = _price(P0, f, lam)
    if price.ndim != 3:
        raise ValueError(f"lam must have one value a step; got shape {tuple(price.shape[:-2])}")
    if price.shape[0] == 0:
        raise ValueError("lam must have at least one step; got none")
    xp, p0, P0 = _start(p0, P0)
    log_z, kernels = xp.zeros_like(p0), []
    for t in reversed(range(price.shape[0])):
        step, log_z = _weighed(xp, P0 if P0.ndim == 2 else P0[t], log_z - price[t])
        kernels.append(step)
    start, total = _weighed(xp, p0, log_z)
    return start, xp.stack(kernels[::-1]), total


def scgf(P0, f, u):
    """Scaled cumulant generating function of the sum of f along a long path.

    psi(u) = lim (1/L) log <e^(u sum_t f(x_t, x_t+1))> = log of the largest eigenvalue of P0 e^(u f)

    P0  [n, n] irreducible; f [n, n]; u a number or [U]

    Returns the shape of u. psi(0) = 0, psi'(0) is the stationary mean of f.

    Errors: as in `tilt`; ValueError for a chain that is not irreducible, and for u so large that
    e^(u f) leaves no eigenvector that floats can hold.
    Source: chapter jaynes/paths, step 6.
    """
    xp, P0, f, u = _tilted(P0, f, u)
    each = [_perron(xp, P0, f, one)[2] for one in xp.reshape(u, (-1,))]
    return xp.reshape(xp.stack(each), tuple(u.shape)) if each else xp.zeros_like(u)


def doob(P0, f, u):
    """The stationary chain that looks like P0 on its way to an unusual mean of f: Doob's transform.

    P(y|x) = P0(y|x) e^(u f(x,y)) z(y) / (e^psi z(x)),   z the right eigenvector to e^psi, psi = scgf

    P0 [n, n] irreducible; f [n, n]; u a number

    Returns P [n, n]. Its stationary mean of f is psi'(u).

    Errors: as in `scgf`, and for u that is no number. Source: chapter jaynes/paths, step 6.
    """
    xp, P0, f, u = _tilted(P0, f, u)
    if u.ndim:
        raise ValueError(f"u must be one number; got shape {tuple(u.shape)}")
    weight, z, _ = _perron(xp, P0, f, u)
    return weight * z / xp.sum(weight * z, axis=-1, keepdims=True)


def _weighed(xp, p, exponent):
    """(pmf p e^exponent / sum, log sum) along the last axis; exponents where p is 0 do not count."""
    there = p > 0
    exponent = xp.where(there, exponent, -math.inf)
    top = xp.max(exponent, axis=-1, keepdims=True)
    weight = xp.where(there, p * xp.exp(exponent - top), 0.0)
    total = xp.sum(weight, axis=-1, keepdims=True)
    return weight / total, (xp.log(total) + top)[..., 0]


def _perron(xp, P0, f, u):
    """P0 e^(u f) up to a factor, its positive right eigenvector, and the log of its eigenvalue."""
    top = xp.max(xp.where(P0 > 0, u * f, -math.inf))
    weight = xp.where(P0 > 0, P0 * xp.exp(xp.where(P0 > 0, u * f - top, 0.0)), 0.0)
    values, vectors = xp.linalg.eig(weight)
    largest = int(xp.argmax(abs(values)))
    value, z = abs(values)[largest], abs(vectors[:, largest])
    rest = abs(xp.sum(weight * z, axis=-1) - value * z)
    if not bool((value > 0) & xp.all(rest <= 1e-6 * value * z) & xp.all(z > 0)):
        raise ValueError(f"u must leave P0 e^(u f) an eigenvector that floats can hold; got u = {float(u):.6g}")
    return weight, z, xp.log(value) + top


# Following it ------------------------------------------------------------------------------------


def propagate(p0, P):
    """The law of the state at each time: p_t+1 = p_t P_t.

    p0 [n] pmf; P [L, n, n]

    Returns [L+1, n], the first row p0.

    Errors: ValueError for p0 or a row of P that is no pmf, shapes that do not match.
    Source: chapter jaynes/paths, step 1.
    """
    xp, p, P = _start(p0, P, steps=True)
    laws = [p]
    for t in range(P.shape[0]):
        laws.append(laws[-1] @ P[t])
    return xp.stack(laws)


def means(p0, P, f):
    """What each step contributes on average: <f_t> = sum_xy p_t(x) P_t(y|x) f(x,y).

    p0 [n]; P [L, n, n]; f [n, n]

    Returns [L]. Errors: as in `propagate`. Source: chapter jaynes/paths, step 1.
    """
    xp, p0, P = _start(p0, P, steps=True)
    f = _observable("f", f, P)
    return xp.sum(propagate(p0, P)[:-1, :, None] * P * f, axis=(-2, -1))


def caliber(p0, P, P0):
    """Entropy of the transitions against a reference: C = -<sum_t log P_t / P0> <= 0.

    p0 [n]; P [L, n, n]; P0 [n, n] or [L, n, n]
    -inf where P takes a step that P0 forbids. For `tilt` it is sum_t (<log Z_t> + lam_t <f_t>).

    Returns a number. Errors: as in `propagate`. Source: chapter jaynes/paths, step 2.
    """
    xp, p0, P = _start(p0, P, steps=True)
    _, P0 = _chain("P0", P0)
    apart = info.kl(P, P0 + xp.zeros_like(P))
    p = propagate(p0, P)[:-1]
    return -xp.sum(xp.where(p > 0, p * xp.where(p > 0, apart, 0.0), 0.0))


def path_free_energy(p0, P0, f, lam):
    """Path free energy of the tilted chain: A = -sum_t <log Z_t(x_t)>.

    p0 [n]; P0, f, lam as in `tilt`, L steps

    Returns a number. Errors: as in `whole_paths`. Source: chapter jaynes/paths, step 2; paper 002.
    """
    P, log_z = tilt(P0, f, lam)
    if P.ndim != 3:
        raise ValueError("lam must have one value a step; got those of one step alone")
    xp, p0, P = _start(p0, P, steps=True)
    return -xp.sum(propagate(p0, P)[:-1] * log_z)


def response(p0, P, f, g=None):
    """How the mean of g at step t answers to the multiplier of f at step s, in a tilted chain.

    R[t, s] = d<g_t>/dlam_s = -<g_t (f_s - E[f_s|x_s])>

    p0 [n]; P [L, n, n] the tilted chain itself; f [n, n]; g [n, n], f if not given

    Returns [L, L]; 0 for t < s: f_s is centred on what was known when step s began. Exact, by
    carrying the L differences forward: L^2 n^2 operations.

    Errors: as in `propagate`. Source: chapter jaynes/paths, step 3; paper 002.
    """
    return -_two_times(p0, P, f, g, conditional=True)


def covariance(p0, P, f, g=None):
    """Covariance of what two steps contribute: C[t, s] = Cov(g_t, f_s) of any chain.

    In `whole_paths` the response d<g_t>/dlam_s is -C[t, s], for t < s too.

    Shapes and errors as in `response`. Source: chapter jaynes/paths, step 5.
    """
    forward = _two_times(p0, P, f, g, conditional=False)
    back = forward if g is None else _two_times(p0, P, g, f, conditional=False)
    xp, _ = info._arrays(forward=forward)
    return xp.tril(forward) + xp.triu(xp.matrix_transpose(back), k=1)


def _two_times(p0, P, f, g, conditional):
    """[L, L]: <g_t (f_s - centre)> for t >= s, centred on x_s or on nothing but the law."""
    xp, p0, P = _start(p0, P, steps=True)
    f = _observable("f", f, P)
    g = f if g is None else _observable("g", g, P)
    p, steps = propagate(p0, P), P.shape[0]
    given = xp.sum(P * f, axis=-1, keepdims=True)  # E[f_t|x_t]: [L, n, 1]
    if not conditional:
        given = xp.sum(p[:-1, :, None] * given, axis=-2, keepdims=True)  # <f_t>: [L, 1, 1]
    ahead = xp.sum(P * g, axis=-1)  # E[g_t|x_t]: [L, n]
    carried = xp.zeros((0, P.shape[-1]), dtype=P.dtype, **_place(P))  # [s, y], one row a past step
    rows = []
    for t in range(steps):
        now = p[t][:, None] * P[t] * (f - given[t])  # [x, y]
        past = carried @ ahead[t]
        rest = xp.zeros((steps - t - 1,), dtype=P.dtype, **_place(P))
        rows.append(xp.concat([past, xp.sum(now * g)[None], rest]))
        carried = xp.concat([carried @ P[t], xp.sum(now, axis=0)[None, :]])
    return xp.stack(rows)


# Entropy production ------------------------------------------------------------------------------


class Production(NamedTuple):
    """Information lost by running forward: total = flow + change, in nats."""

    total: object
    flow: object
    change: object


def stationary(P):
    """The law that a chain or a rate matrix leaves as it is: pi P = pi, or pi W = 0.

    P  [n, n], rows that sum to 1 (a chain) or to 0 (rates, W[x, y] from x to y)

    States are taken out one by one, without a subtraction (Grassmann, Taksar and Heyman), so each
    entry keeps its digits, however small it is. States that are left for good are exactly 0.

    Errors: ValueError for rows that sum to neither, more than one stationary law, or a law with an
    entry beyond the range of floats.
    Source: chapter jaynes/paths, step 7.
    """
    xp, P, _ = _chain_or_rates("P", P)
    off = _off_diagonal(xp, P)
    core = np.flatnonzero(_reach(off).all(axis=0))  # what all states lead to
    if not len(core):
        raise ValueError("P must have one stationary law; got classes of states that never meet")
    rest, taken = off[core, :][:, core], []
    for k in range(len(core) - 1, 0, -1):
        into = rest[:k, k] / xp.sum(rest[k, :k])  # the last state is passed at once
        rest = rest[:k, :k] + into[:, None] * rest[k, None, :k]
        taken.append(into)
    law = xp.ones((1,), dtype=P.dtype, **_place(P))
    for into in taken[::-1]:
        law = xp.concat([law, (law @ into)[None]])
        law = law / xp.max(law)
    if not bool(xp.all(xp.isfinite(law) & (law > 0))):
        raise ValueError("P must have a stationary law within the range of floats; got an entry beyond it")
    place = np.zeros((len(core), len(P)))
    place[np.arange(len(core)), core] = 1.0
    return law / xp.sum(law) @ xp.asarray(place, dtype=P.dtype, **_place(P))


def _reach(there):
    """[x, y], NumPy: whether y can be reached from x, by jumps of positive chance."""
    there = np.asarray(there.detach().cpu() if hasattr(there, "detach") else there) > 0
    there = there | np.eye(len(there), dtype=bool)
    for _ in range(len(there).bit_length()):
        there = there.astype(np.float32) @ there.astype(np.float32) > 0
    return there


def entropy_production(P, p=None, reverse=None):
    """Information lost in a step: what forward tells against a chain that runs it backwards.

    total_t = <log p_t(x) P_t(y|x) / (p_t+1(y) R_t(x|y))> = D(forward pair || reverse pair) >= 0
    flow_t  = <log P_t(y|x) / R_t(x|y)>      change_t = H(p_t+1) - H(p_t)      total = flow + change

    P        [n, n], or [L, n, n]
    p        [n] law at the start; None for the stationary one (then P is [n, n])
    reverse  the reverse kernel, reverse[y, x] = R(x|y), in the shape of P; None for P itself

    With P itself the flow is heat over temperature only under local detailed balance.

    Returns `Production` of numbers for P [n, n], of [L] for P [L, n, n].

    Errors: as in `propagate`; ValueError that names the step if reverse forbids what P takes,
    for then the entropy production is infinite.
    Source: chapter jaynes/paths, step 7; paper 002.
    """
    if p is None:
        if np.ndim(P) == 3:
            raise ValueError("p must be given for a chain with one matrix a step")
        p = stationary(P)
    xp, p, P = _start(p, P)
    single = P.ndim == 2
    reverse = P if reverse is None else _chain("reverse", reverse)[1]
    if reverse.shape != P.shape:
        raise ValueError(f"reverse must have the shape {tuple(P.shape)} of P; got {tuple(reverse.shape)}")
    P, reverse = (x[None, ...] if single else x for x in (P, reverse))
    laws = propagate(p, P)
    pair = laws[:-1, :, None] * P
    back = xp.matrix_transpose(reverse)  # [x, y] = R(x|y)
    never = (pair > 0) & (back == 0)
    if bool(xp.any(never)):
        t, x, y = info._where(never)
        raise ValueError(
            f"reverse must allow what P does; P goes {x} -> {y} with {float(P[t, x, y]):.3g} and"
            f" reverse goes {y} -> {x} with 0: the entropy production is infinite"
        )
    total = xp.sum(info._kl_terms(xp, pair, laws[1:, None, :] * back), axis=(-2, -1))
    flow = xp.sum(pair * info._log_ratio(xp, P, back), axis=(-2, -1))
    entropy = info.entropy(laws)
    change = entropy[1:] - entropy[:-1]
    return Production(*(x[0] if single else x for x in (total, flow, change)))


def entropy_production_rate(W, p=None):
    """Entropy production rate of a jump process: e = sum_(x<y) J_xy log(p_x W_xy / (p_y W_yx)).

    J_xy = p_x W_xy - p_y W_yx.  flow = sum_(x<y) J_xy log(W_xy / W_yx),  change = dH/dt

    W  [n, n] rates from x to y, rows sum to 0
    p  [n] law now; None for the stationary one, where change = 0

    Returns `Production` of numbers, in nats per unit of time.

    Errors: ValueError for rows that do not sum to 0, a negative rate, p that is no pmf; one that
    names the jump if it has no reverse, for then the rate is infinite.
    Source: chapter jaynes/paths, step 8.
    """
    xp, W, _ = _chain_or_rates("W", W, chain=False)
    p = stationary(W) if p is None else info._pmf("p", p, -1)[1]
    if p.shape != W.shape[:1]:
        raise ValueError(f"p must have shape ({W.shape[0]},); got {tuple(p.shape)}")
    off = _off_diagonal(xp, W)
    there = p[:, None] * off
    back, off_back = xp.matrix_transpose(there), xp.matrix_transpose(off)
    never = (there > 0) & (off_back == 0)
    if bool(xp.any(never)):
        x, y = info._where(never)
        raise ValueError(
            f"W must allow the way back; it goes {x} -> {y} with {float(W[x, y]):.3g} and {y} -> {x}"
            " with 0: the entropy production is infinite"
        )
    if bool(xp.any((there > 0) & (back == 0))):
        total = math.inf + 0 * xp.sum(there)
    else:
        total = xp.sum((there - back) * info._log_ratio(xp, there, back)) / 2
    flow = xp.sum(there * info._log_ratio(xp, off, off_back))
    drift = p @ W
    change = -xp.sum(drift * info._log(xp, p))
    if bool(xp.any((p == 0) & (drift > 0))):
        change = math.inf + 0 * change
    return Production(total, flow, change)


class Cycle(NamedTuple):
    """A closed walk, its affinity (nats a turn) and the current through its chord."""

    states: tuple
    affinity: object
    current: object


def cycles(W):
    """Schnakenberg's cycles: entropy production = sum_c current_c affinity_c.

    affinity = log prod W[x, y] / W[y, x] around the cycle; current = the stationary one through the
    edge that closes it. The edges of a tree have no cycle; each other edge closes one.

    W  [n, n] rates (rows sum to 0) or a chain (rows sum to 1); all steps have a way back

    Returns a list of `Cycle`, one an edge outside the tree; empty for a tree, where detailed
    balance cannot fail.

    Errors: as in `stationary`, and for a jump without a way back.
    Source: chapter jaynes/paths, step 8.
    """
    xp, W, _ = _chain_or_rates("W", W)
    off, p = _off_diagonal(xp, W), stationary(W)
    there = np.asarray(off.detach().cpu() if hasattr(off, "detach") else off) > 0
    if (there != there.T).any():
        x, y = info._where(there & ~there.T)
        raise ValueError(f"W must allow the way back of each jump; got {x} -> {y} alone")
    parent, line = {0: None}, [0]
    for x in line:  # breadth first: the list grows as it is read
        new = [int(y) for y in np.flatnonzero(there[x]) if int(y) not in parent]
        parent |= dict.fromkeys(new, x)
        line += new
    found = []
    for x in range(len(there)):
        for y in range(x + 1, len(there)):
            if there[x, y] and parent.get(y) != x and parent.get(x) != y:
                down, up = _to_root(parent, x), _to_root(parent, y)
                while len(down) > 1 and len(up) > 1 and down[-2] == up[-2]:
                    down.pop(), up.pop()
                walk = [x, *up, *down[-2::-1]]  # over the edge, up to where both meet, and down
                pairs = list(zip(walk[:-1], walk[1:]))
                affinity = sum(xp.log(off[a, b]) - xp.log(off[b, a]) for a, b in pairs)
                found.append(Cycle(tuple(walk[:-1]), affinity, p[x] * off[x, y] - p[y] * off[y, x]))
    return found


def _to_root(parent, x):
    way = [x]
    while parent[way[-1]] is not None:
        way.append(parent[way[-1]])
    return way


# Single paths ------------------------------------------------------------------------------------


def all_paths(p0, P):
    """Every path and its probability: p(x_0 ... x_L) = p0(x_0) prod_t P_t(x_t+1|x_t).

    p0 [n]; P [L, n, n], n^(L+1) at most 2 000 000

    Returns (paths [n^(L+1), L+1] whole numbers of NumPy, the last state runs fastest;
    probabilities [n^(L+1)]).

    Errors: as in `propagate`, and for more paths than that. Source: chapter jaynes/paths, step 9.
    """
    xp, p0, P = _start(p0, P, steps=True)
    steps, n = P.shape[0], P.shape[-1]
    if n ** (steps + 1) > MOST_PATHS:
        raise ValueError(f"P must have at most {MOST_PATHS} paths; got {n}^{steps + 1}")
    weight = p0
    for t in range(steps):
        weight = xp.reshape(xp.reshape(weight, (-1, n))[:, :, None] * P[t], (-1,))
    digits = n ** np.arange(steps, -1, -1)
    return np.arange(n ** (steps + 1))[:, None] // digits % n, weight


def simulate(P, steps, rng, walkers=1, start=None):
    """Draw paths of a chain of k letters' memory: the next state given the last k.

    P      [n, n] for k = 1, or [n, ..., n] with k + 1 axes: P[x_t-k+1, ..., x_t, x_t+1]
    steps  how many states after the first k; rng a NumPy generator; walkers drawn side by side
    start  [k] states to begin with; None for zeros

    Returns whole numbers [walkers, steps + k], NumPy.

    Errors: ValueError for a row that does not sum to 1, axes of different lengths, a bad start.
    Source: chapter jaynes/paths, step 10.
    """
    P = np.asarray(P.detach().cpu() if hasattr(P, "detach") else P, dtype=float)
    if P.ndim < 2 or len(set(P.shape)) != 1:
        raise ValueError(f"P must have k + 1 axes of one length; got shape {P.shape}")
    n, k = P.shape[0], P.ndim - 1
    start = np.zeros(k, dtype=int) if start is None else np.asarray(start)
    if start.shape != (k,) or start.dtype.kind not in "iu" or not ((start >= 0) & (start < n)).all():
        raise ValueError(f"start must hold {k} states below {n}, whole numbers; got {start!r}")
    for name, value in (("steps", steps), ("walkers", walkers)):
        whole(name, value, 1)
    info._pmf("P", P, -1)
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a NumPy generator, such as numpy.random.default_rng(0); got {rng!r}")
    edges = np.cumsum(P.reshape(-1, n), axis=1)
    edges[:, -1] = 1.0  # what rounding leaves of the last step
    out = np.empty((walkers, steps + k), dtype=np.int64)
    out[:, :k] = start
    code = np.full(walkers, int(start @ n ** np.arange(k - 1, -1, -1)))
    luck = rng.random((steps, walkers, 1))
    for t in range(steps):
        drawn = np.count_nonzero(luck[t] >= edges[code], axis=1)
        out[:, t + k] = drawn
        code = (code * n + drawn) % n**k
    return out


# What is accepted --------------------------------------------------------------------------------


def _place(x):
    return {"device": x.device} if hasattr(x, "detach") else {}


def _chain(name, P):
    """The namespace and P, after making sure that its rows are pmfs over its own states."""
    xp, (P,) = info._arrays(**{name: P})
    if P.ndim not in (2, 3) or P.shape[-1] != P.shape[-2]:
        raise ValueError(f"{name} must have shape [n, n] or [L, n, n]; got {tuple(P.shape)}")
    return info._pmf(name, P, -1)


def _start(p0, P, steps=False):
    """p0 and P as arrays of one library and matching shape."""
    xp, (p0, P) = info._arrays(p0=p0, P=P)
    info._pmf("p0", p0, -1), _chain("P", P)
    if steps and P.ndim != 3:
        raise ValueError(f"P must have one matrix a step, [L, n, n]; got {tuple(P.shape)}")
    if p0.ndim != 1 or p0.shape[0] != P.shape[-1]:
        raise ValueError(f"p0 must have shape ({P.shape[-1]},); got {tuple(p0.shape)}")
    return xp, p0, P


def _observable(name, f, P):
    xp, (_, f) = info._arrays(P=P, **{name: f})
    if tuple(f.shape) != tuple(P.shape[-2:]):
        raise ValueError(f"{name} must have shape {tuple(P.shape[-2:])}; got {tuple(f.shape)}")
    if not bool(xp.all(xp.isfinite(f))):
        raise ValueError(f"{name} must be finite; got {info._first(f, ~xp.isfinite(f))}")
    return f


def _price(P0, f, lam):
    """The namespace, P0, and lam f in the shape [n, n] or [L, n, n]."""
    xp, (P0, f, lam) = info._arrays(P0=P0, f=f, lam=lam)
    _chain("P0", P0)
    for name, x in (("f", f), ("lam", lam)):
        if not bool(xp.all(xp.isfinite(x))):
            raise ValueError(f"{name} must be finite; got {info._first(x, ~xp.isfinite(x))}")
    n = P0.shape[-1]
    if f.ndim not in (2, 3) or tuple(f.shape[-2:]) != (n, n):
        raise ValueError(f"f must have shape [{n}, {n}] or [A, {n}, {n}]; got {tuple(f.shape)}")
    if f.ndim == 2:
        f, lam = f[None, ...], lam[..., None]
    if lam.ndim not in (1, 2) or lam.shape[-1] != f.shape[0]:
        raise ValueError(
            f"lam must be a number or one a step, and one a constraint of f ({f.shape[0]});"
            f" got shape {tuple(lam.shape)}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        price = xp.sum(lam[..., None, None] * f, axis=-3)
    if not bool(xp.all(xp.isfinite(price))):
        raise ValueError("lam f must be within the range of floats; got a product beyond it")
    if P0.ndim == 3 and not (price.ndim == 3 and price.shape[0] == P0.shape[0]):
        raise ValueError(f"lam must have one value for each of {P0.shape[0]} steps; got {tuple(lam.shape)}")
    return xp, P0, price


def _tilted(P0, f, u):
    xp, (P0, f, u) = info._arrays(P0=P0, f=f, u=u)
    _chain("P0", P0)
    if P0.ndim != 2:
        raise ValueError(f"P0 must have shape [n, n]; got {tuple(P0.shape)}")
    if not bool(xp.all(xp.isfinite(u))):
        raise ValueError(f"u must be finite; got {info._first(u, ~xp.isfinite(u))}")
    reach = _reach(P0)
    if not reach.all():
        x, y = info._where(~reach)
        raise ValueError(f"P0 must be irreducible; got no way from {x} to {y}")
    f = _observable("f", f, P0)
    with np.errstate(over="ignore"):
        product = u[..., None, None] * f
    if not bool(xp.all(xp.isfinite(product))):
        raise ValueError("u f must be within the range of floats; got a product beyond it")
    return xp, P0, f, u


def _chain_or_rates(name, P, chain=True):
    """(namespace, P, whether its rows sum to 0): anything else is refused, a chain too if not wanted."""
    xp, (P,) = info._arrays(**{name: P})
    if P.ndim != 2 or P.shape[0] != P.shape[1] or P.shape[0] < 2:
        raise ValueError(f"{name} must have shape [n, n], n >= 2; got {tuple(P.shape)}")
    off = _off_diagonal(xp, P)
    if not bool(xp.all(off >= 0)):
        bad = ~(off >= 0)
        raise ValueError(f"{name} must be >= 0 off its diagonal; got {info._first(off, bad)} at {info._where(bad)}")
    total, size = xp.sum(P, axis=-1), xp.max(xp.sum(off, axis=-1))
    unlike = ~(abs(total) <= 1e-9 * size)
    if not bool(xp.any(unlike)):
        return xp, P, True
    if not chain:
        raise ValueError(f"{name} must have rows that sum to 0 (rates, with their diagonal); got {info._first(total, unlike)}")
    try:
        return *_chain(name, P), False
    except ValueError as error:
        raise ValueError(f"{name} must be rates, with rows that sum to 0, or a chain; as a chain {error}") from None


def _off_diagonal(xp, W):
    return xp.where(xp.eye(W.shape[0], dtype=xp.bool, **_place(W)), 0.0, W)
