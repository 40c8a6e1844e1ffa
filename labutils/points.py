"""Points that repel: the Coulomb gas of a plane, determinantal processes, and subsets for regression.

Taught in the chapter "Fluctuations, repulsion and persistence" (jaynes/fluctuations).
Lengths are in units of the droplet's radius, entropies in nats, probabilities without unit.
"""

import math
from itertools import combinations

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj
from scipy.special import gammainc, gammaln

from labutils._inputs import positive, whole

MOST = 200_000
"""The most subsets that an exhaustive law lists."""

# The Coulomb gas of a disc -------------------------------------------------------------------------


def coulomb_energy(x):
    """Energy of N equal charges in a plane, in a trap that holds them in a disc of radius 1.

    E(x) = -sum_{i<j} log|x_i - x_j| + (N/2) sum_i |x_i|^2

    x  [..., N, 2] positions, N >= 2; returns [...]. At inverse temperature beta the gas is
    distributed as e^{-beta E}; beta = 2 is the Ginibre ensemble. +inf where two points coincide.

    Errors: ValueError for another shape, or positions that are not finite.
    Source: chapter jaynes/fluctuations, step 1.
    """
    x = x if is_array_api_obj(x) else np.asarray(x, dtype=float)
    xp = array_namespace(x)
    if x.ndim < 2 or x.shape[-1] != 2 or x.shape[-2] < 2:
        raise ValueError(f"x must have shape [..., N, 2] with N >= 2; got {tuple(x.shape)}")
    if not bool(xp.all(xp.isfinite(x))):
        raise ValueError("x must be finite everywhere; got NaN or infinity")
    N = x.shape[-2]
    gap = xp.sum((x[..., :, None, :] - x[..., None, :, :]) ** 2, axis=-1)
    gap = gap + xp.eye(N, dtype=x.dtype)  # |x_i - x_i|^2 = 0 becomes 1, whose log is 0
    with np.errstate(divide="ignore"):
        repulsion = -xp.sum(xp.log(gap), axis=(-2, -1)) / 4  # squares and ordered pairs
    return repulsion + N / 2 * xp.sum(x**2, axis=(-2, -1))


def radial_cumulants(f, N, order=4, nodes=96):
    """Exact cumulants of sum_i f(|z_i|) in the Ginibre ensemble of N points, droplet radius 1.

    The radii are independent, N|z_i|^2 = Gamma(i, 1) in law, so cumulants add:
    kappa_q = sum_i kappa_q( f(sqrt(Gamma_i / N)) ), each by Gauss-Legendre quadrature.

    f      takes an array of radii r >= 0, returns an array of its shape (smooth for r > 0)
    order  1 to 6; returns the array kappa_1, ..., kappa_order
    nodes  for each particle, over six units of sqrt(Gamma_i) to both sides

    Errors: ValueError for N or order out of range, values of f of another shape or not finite.
    Source: chapter jaynes/fluctuations, steps 1 and 2.
    """
    N, order, nodes = whole("N", N, 1), whole("order", order, 1), whole("nodes", nodes, 16)
    if order > 6:
        raise ValueError(f"order must be at most 6; got {order}")
    i = np.arange(1, N + 1)[:, None]
    low, high = np.maximum(np.sqrt(i) - 6, 0), np.sqrt(i) + 6
    u, w = np.polynomial.legendre.leggauss(nodes)
    x = (low + high) / 2 + (high - low) / 2 * u  # sqrt(Gamma_i)
    mass = w * (high - low) / 2 * np.exp(math.log(2) + (2 * i - 1) * np.log(x) - x**2 - gammaln(i))
    values = np.asarray(f(x / math.sqrt(N)))
    if values.shape != x.shape or not np.isfinite(values).all():
        raise ValueError(f"f must return finite values of the shape {x.shape} of its radii; got {values.shape}")
    mean = np.sum(mass * values, axis=1)
    m = [np.sum(mass * (values - mean[:, None]) ** q, axis=1) for q in range(7)]
    each = [mean, m[2], m[3], m[4] - 3 * m[2] ** 2, m[5] - 10 * m[2] * m[3],
            m[6] - 15 * m[2] * m[4] - 10 * m[3] ** 2 + 30 * m[2] ** 3]
    return np.array([k.sum() for k in each[:order]])


def ginibre(N, samples=1, seed=None):
    """Eigenvalues of a complex Gaussian matrix over sqrt(N): complex [samples, N], nearly in a disc.

    They have the law e^{-2 E} of `coulomb_energy`.

    Errors: ValueError for N or samples < 1.
    Source: chapter jaynes/fluctuations, step 1.
    """
    N, samples = whole("N", N, 1), whole("samples", samples, 1)
    rng = np.random.default_rng(seed)
    real, imaginary = rng.standard_normal((2, samples, N, N))
    return np.linalg.eigvals((real + 1j * imaginary) / math.sqrt(2 * N))


def metropolis(N, beta, statistic, chains=200, sweeps=1000, burn=200, step=None, seed=None):
    """The gas at any inverse temperature, by moves of one point at a time.

    statistic  takes positions, complex [chains, N]; returns [chains] or [chains, k]
    step       standard deviation of a move in each direction; sqrt(1 / (beta N)) if not given
    Returns what statistic said after each sweep, [sweeps, chains(, k)], and the share of moves taken.
    The chains are independent; sweeps of one chain are not: take errors over chains.

    Errors: ValueError for beta or step <= 0, and for N < 2, chains, sweeps < 1, burn < 0.
    Source: chapter jaynes/fluctuations, step 5.
    """
    N, chains, sweeps = whole("N", N, 2), whole("chains", chains, 1), whole("sweeps", sweeps, 1)
    burn, beta = whole("burn", burn, 0), positive("beta", beta)
    step = math.sqrt(1 / (beta * N)) if step is None else positive("step", step)
    rng = np.random.default_rng(seed)
    radius, angle = np.sqrt(rng.random((chains, N))), 2 * np.pi * rng.random((chains, N))
    z = radius * np.exp(1j * angle)
    seen, taken = [], 0
    for sweep in range(burn + sweeps):
        moves = step * (rng.standard_normal((N, chains)) + 1j * rng.standard_normal((N, chains)))
        luck = np.log(rng.random((N, chains)))
        for i in range(N):
            old, new = z[:, i].copy(), z[:, i] + moves[i]
            others = np.delete(z, i, axis=1)
            gain = np.log(np.abs((new[:, None] - others) / (old[:, None] - others))).sum(axis=1)
            accept = luck[i] < beta * (gain - N / 2 * (np.abs(new) ** 2 - np.abs(old) ** 2))
            z[accept, i] = new[accept]
            taken += accept.sum() if sweep >= burn else 0
        if sweep >= burn:
            seen.append(statistic(z))
    return np.array(seen), taken / (sweeps * N * chains)


def size_law(N, beta, nodes=32):
    """Values of sum_i |z_i|^2 and their weights: the gas's size has an exact law at any temperature.

    sum_i |z_i|^2 = Gamma(N + beta N (N - 1) / 4, rate beta N / 2), independent of the shape z / size.
    nodes  evenly spaced in log x, over all but the far tails; the weights sum to 1

    Errors: ValueError for N < 2, beta <= 0, nodes < 8.
    Source: chapter jaynes/fluctuations, step 5.
    """
    N, beta, nodes = whole("N", N, 2), positive("beta", beta), whole("nodes", nodes, 8)
    shape, rate = N + beta * N * (N - 1) / 4, beta * N / 2
    high = shape + 9 * math.sqrt(shape) + 18
    x = np.geomspace(shape * math.exp(-12 / math.sqrt(shape)), high, nodes)
    mass = np.exp(shape * np.log(x / shape) - (x - shape))  # of log x, so no factor 1 / x
    return x / rate, mass / mass.sum()


def disc_probabilities(N, radius):
    """How likely each of the N independent radii of a Ginibre sample is to lie in a disc.

    p_i = P(Gamma(i, 1) <= N radius^2): the points inside are as many as N independent coins give.

    Errors: ValueError for N < 1 or radius <= 0.
    Source: chapter jaynes/fluctuations, step 6.
    """
    N = whole("N", N, 1)
    return gammainc(np.arange(1, N + 1), N * positive("radius", radius) ** 2)


# Determinantal point processes -------------------------------------------------------------------------


def count_law(probabilities):
    """How many of independent coins show heads: the pmf of 0, ..., K heads, [K + 1].

    For a determinantal process the coins have the kernel's eigenvalues.

    A probability up to 1e-9 outside [0, 1] is an eigenvalue's rounding and counts as 0 or 1.

    Errors: ValueError for a probability farther outside [0, 1].
    Source: chapter jaynes/fluctuations, step 7.
    """
    p = probabilities if is_array_api_obj(probabilities) else np.asarray(probabilities, dtype=float)
    xp = array_namespace(p)
    if p.ndim != 1 or p.shape[0] == 0 or not bool(xp.all((p >= -1e-9) & (p <= 1 + 1e-9))):
        raise ValueError(f"probabilities must be a list of numbers in [0, 1]; got {p}")
    p = xp.clip(p, 0.0, 1.0)
    law = xp.ones(1, dtype=p.dtype)
    none = xp.zeros(1, dtype=p.dtype)
    for k in range(p.shape[0]):
        law = xp.concat([law * (1 - p[k]), none]) + xp.concat([none, law * p[k]])
    return law


def sample_dpp(kernel, seed=None):
    """One draw from the determinantal process with P(A in S) = det(K_A): a sorted array of items.

    Each eigenvector of K enters with the probability of its eigenvalue; the chosen ones span a
    projection, whose points are drawn one after another, each with the chance of what is left
    of its feature after the part along the earlier ones is taken out.

    kernel  [N, N] Hermitian with eigenvalues in [0, 1]

    Errors: ValueError for a kernel that is not square or Hermitian, or an eigenvalue outside [0, 1].
    Source: chapter jaynes/fluctuations, step 7.
    """
    values, vectors = _spectrum(kernel)
    rng = np.random.default_rng(seed)
    return _one_by_one(vectors[:, rng.random(values.size) < values], rng)


def sample_projection(features, seed=None):
    """m of N rows with P(S) = |det(X_S)|^2 / det(X^H X): a sorted array of m row numbers.

    features  X, [N, m] of full rank; only its span matters

    Errors: ValueError for features that are not a finite [N, m] array of rank m.
    Source: chapter jaynes/fluctuations, step 8.
    """
    return _one_by_one(np.linalg.qr(_features(features))[0], np.random.default_rng(seed))


def subset_law(kernel):
    """P(S) of a determinantal process for all subsets: [2^N], item i in S where bit i of the index is 1.

    P(S) = |det(K - I_{not S})|, which is det(L_S) / det(I + L) with L = K (I - K)^{-1} where that exists.

    Errors: those of `sample_dpp`; ValueError for more than 14 items.
    Source: chapter jaynes/fluctuations, step 7.
    """
    _spectrum(kernel)
    K = np.asarray(kernel)
    N = K.shape[0]
    if N > 14:
        raise ValueError(f"kernel must have at most 14 items to list all subsets; got {N}")
    out = 1 - ((np.arange(2**N)[:, None] >> np.arange(N)) & 1)
    return np.abs(np.linalg.det(K - out[:, :, None] * np.eye(N)))


# Points for least squares -------------------------------------------------------------------------


def leverage(features):
    """Leverages l_i = x_i^T (X^T X)^{-1} x_i of the N rows: each in [0, 1], their sum is m.

    features  X, [N, m] of full rank

    Errors: ValueError for features that are not a finite [N, m] array of rank m.
    Source: chapter jaynes/fluctuations, step 8.
    """
    features = _features(features)
    xp = array_namespace(features)
    basis = xp.linalg.qr(features)[0]
    return xp.sum(xp.abs(basis) ** 2, axis=-1)


def christoffel_weights(features):
    """Weights w_i = m / (N l_i) of rows drawn with chance l_i / m: their mean over draws is 1.

    They undo the preference for rows of large leverage l_i; 1 / w is the Christoffel density.

    Errors: ValueError for features that are not of full rank, or a row with leverage 0.
    Source: chapter jaynes/fluctuations, step 9.
    """
    features = _features(features)
    h = leverage(features)
    xp = array_namespace(h)
    if not bool(xp.min(h) > 0):
        raise ValueError(f"features must have no row of leverage 0, which is never drawn; got {float(xp.min(h))}")
    return features.shape[1] / (features.shape[0] * h)


def volume_sample(features, n, seed=None):
    """n of N rows without replacement, P(S) in proportion to det(X_S^H X_S): sorted row numbers.

    Rows are taken out one by one, each with chance (1 - its leverage among those left) over their sum.
    For n = m it is `sample_projection`.

    Errors: ValueError for features not of full rank, or n outside m to N.
    Source: chapter jaynes/fluctuations, step 8.
    """
    X = np.asarray(_features(features))
    n = _between("n", n, *X.shape[::-1])
    rng = np.random.default_rng(seed)
    if n == X.shape[1]:
        return _one_by_one(np.linalg.qr(X)[0], rng)
    left = np.arange(X.shape[0])
    Q = np.linalg.qr(X)[0]  # the same span, so the same leverages
    inverse = np.eye(X.shape[1])
    while left.size > n:
        rows = Q[left]
        half = rows @ inverse
        room = np.maximum(1 - np.sum(half * rows.conj(), axis=1).real, 0.0)  # 1 - h >= 0 but for rounding
        out = rng.choice(left.size, p=room / room.sum())
        inverse = inverse + np.outer(half[out].conj(), half[out]) / room[out]
        left = np.delete(left, out)
    return left


def rescaled_sample(features, n, seed=None):
    """n rows with replacement, m that repel and n - m on their own, and their weights.

    The law is proportional to det(X_S^T W_S X_S) times that of n independent Christoffel draws:
    m rows from `sample_projection`, the others with chance l_i / m; weights as `christoffel_weights`.

    Errors: ValueError for features not of full rank or with a row of leverage 0, or n < m.
    Source: chapter jaynes/fluctuations, step 9; paper 113.
    """
    X = np.asarray(_features(features))
    if whole("n", n, 1) < X.shape[1]:
        raise ValueError(f"n must be at least the number m = {X.shape[1]} of features; got {n}")
    weights, rng = christoffel_weights(X), np.random.default_rng(seed)
    first = _one_by_one(np.linalg.qr(X)[0], rng)
    h = X.shape[1] / (X.shape[0] * weights)
    rest = rng.choice(X.shape[0], size=n - X.shape[1], p=h / h.sum())
    index = np.concatenate([first, rest])
    return index, weights[index]


def fit(features, y, index, weights=None):
    """Coefficients of least squares on the rows `index`: argmin_c sum_i w_i (y_i - x_i^T c)^2, [m].

    weights  one for each chosen row (not for each row of the table), finite and >= 0; all 1 if not given

    Errors: ValueError for weights of another shape, negative or not finite, for features or labels that are
    not finite at the chosen rows, and where these rows do not determine the coefficients.
    Source: chapter jaynes/fluctuations, step 8.
    """
    weights = np.ones(len(index)) if weights is None else np.asarray(weights, dtype=float)
    if weights.shape != (len(index),) or not (np.isfinite(weights) & (weights >= 0)).all():
        got = f"shape {weights.shape}" if weights.shape != (len(index),) else f"a smallest of {weights.min():.6g}"
        raise ValueError(f"weights must be {len(index)} finite numbers >= 0, one for each chosen row; got {got}")
    root = np.sqrt(weights)
    A, b = np.asarray(features)[index] * root[:, None], np.asarray(y)[index] * root
    for name, values in (("features", A), ("y", b)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must be finite at the chosen rows; got NaN or infinity")
    c, _, rank, _ = np.linalg.lstsq(A, b, rcond=None)
    if rank < A.shape[1]:
        raise ValueError(f"index must choose rows of rank m = {A.shape[1]}; got rank {rank} from {len(index)} rows")
    return c


def volume_law(features, n):
    """All subsets of n rows, [count, n], and their probabilities under volume sampling, [count].

    P(S) = det(X_S^H X_S) / (C(N - m, n - m) det(X^H X)), by Cauchy and Binet.

    Errors: ValueError for features not of full rank, n outside m to N, or more than 200000 subsets.
    Source: chapter jaynes/fluctuations, step 8.
    """
    X = np.asarray(_features(features))
    N, m = X.shape
    n = _between("n", n, m, N)
    if math.comb(N, n) > MOST:
        raise ValueError(f"features and n must give at most {MOST} subsets; got {math.comb(N, n)}")
    Q = np.linalg.qr(X)[0]
    subsets = np.array(list(combinations(range(N), n)))
    rows = Q[subsets]
    return subsets, np.linalg.det(np.swapaxes(rows, 1, 2).conj() @ rows).real / math.comb(N - m, n - m)


# Helpers ---------------------------------------------------------------------------------------------


def _one_by_one(V, rng):
    """Points of the projection onto the span of V's orthonormal columns, one after another."""
    V, chosen = V.copy(), []
    for _ in range(V.shape[1]):
        chance = np.sum(np.abs(V) ** 2, axis=1)
        i = rng.choice(chance.size, p=chance / chance.sum())
        chosen.append(i)
        along = V @ V[i].conj() / math.sqrt(chance[i])
        V = V - np.outer(along, V[i] / math.sqrt(chance[i]))
    return np.sort(np.array(chosen, dtype=int))


def _spectrum(kernel):
    K = np.asarray(kernel)
    if K.ndim != 2 or K.shape[0] != K.shape[1] or K.size == 0 or not np.isfinite(K).all():
        raise ValueError(f"kernel must be a square array of finite numbers; got shape {K.shape}")
    skew = np.max(np.abs(K - K.conj().T))
    if skew > 1e-10:
        raise ValueError(f"kernel must be Hermitian within 1e-10; got a difference of {skew:.3g} from its transpose")
    values, vectors = np.linalg.eigh(K)
    if values[0] < -1e-9 or values[-1] > 1 + 1e-9:
        worst = values[0] if values[0] < -1e-9 else values[-1]
        raise ValueError(f"kernel must have eigenvalues in [0, 1]; got {worst:.6g}")
    return values, vectors


def _features(features):
    X = features if is_array_api_obj(features) else np.asarray(features, dtype=float)
    xp = array_namespace(X)
    if X.ndim != 2 or X.shape[1] < 1 or X.shape[0] < X.shape[1] or not bool(xp.all(xp.isfinite(X))):
        raise ValueError(f"features must be finite, of shape [N, m] with N >= m >= 1; got shape {tuple(X.shape)}")
    singular = xp.linalg.svdvals(X)
    rank = int(xp.sum(xp.astype(singular > 1e-12 * singular[0], xp.int64)))
    if rank < X.shape[1]:
        raise ValueError(f"features must be of full rank m = {X.shape[1]}; got rank {rank}")
    return X


def _between(name, value, least, most):
    if not least <= whole(name, value, 0) <= most:
        raise ValueError(f"{name} must lie between {least} and {most}; got {value}")
    return int(value)
