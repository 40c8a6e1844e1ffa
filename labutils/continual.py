"""Learning one task after another: beliefs over binary weights, and sets of beliefs.

Taught in the chapter "Learning as statistical mechanics" (jaynes/learning-as-physics).
Divergences and costs in nats. The first half works on NumPy arrays and on torch tensors alike.
"""

import math

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

from labutils.runtime import need

# Beliefs over binary weights: q(w) = prod_i (1 + w_i m_i) / 2 ------------------------------------


def kl_weights(m, m1):
    """D(q‖q1) of two beliefs over weights -1 and +1, each weight by itself; sum over the last axis.

    sum_i sum_(+-) (1 +- m_i)/2 log((1 +- m_i) / (1 +- m1_i))

    m, m1  [..., N] mean weights in [-1, 1]
    0 log 0 = 0; +inf where q1 excludes what q allows.

    Errors: ValueError for a mean outside [-1, 1], or shapes that do not broadcast.
    Source: chapter jaynes/learning-as-physics, step 6.
    """
    xp, m, m1 = _means(m, m1)
    total = 0.0
    for sign in (1, -1):
        p, q = (1 + sign * m) / 2, (1 + sign * m1) / 2
        both = (p > 0) & (q > 0)
        ratio = xp.where(both, p, 1.0) / xp.where(both, q, 1.0)
        total = total + xp.where(both, p * xp.log(ratio), xp.where(p > 0, math.inf, 0.0))
    return xp.sum(total, axis=-1)


def kl_quadratic(m, m1):
    """The parabola that touches `kl_weights` at m = m1: half sum_i (m_i - m1_i)^2 / (1 - m1_i^2).

    Errors: ValueError for a mean outside [-1, 1], or m1 at an end.
    Source: chapter jaynes/learning-as-physics, step 6.
    """
    xp, m, m1 = _means(m, m1)
    if not bool(xp.all(abs(m1) < 1)):
        raise ValueError("m1 must lie strictly between -1 and 1: at an end the curvature is infinite")
    return xp.sum((m - m1) ** 2 / (1 - m1**2), axis=-1) / 2


def preactivation(m, inputs):
    """Mean and variance of w.x/sqrt(N) under the belief: m.x/sqrt(N) and sum (1 - m_i^2) x_i^2 / N.

    m       [..., N] mean weights
    inputs  [..., P, N]
    Returns two arrays [..., P].

    Errors: ValueError for a mean outside [-1, 1] or shapes that do not match.
    Source: chapter jaynes/learning-as-physics, step 7.
    """
    xp, m, inputs = _inputs(m, inputs)
    N = m.shape[-1]
    if not bool(xp.all(abs(m) < 1)):
        raise ValueError("m must lie strictly between -1 and 1: a belief without doubt has no Gaussian preactivation")
    mean = xp.matmul(inputs, m[..., None])[..., 0] / N**0.5
    variance = xp.matmul(inputs**2, (1 - m**2)[..., None])[..., 0] / N
    return mean, variance


def data_cost(m, inputs, labels):
    """-sum_mu log Phi(y mean / sqrt(variance)): surprise at the labels, preactivations taken as Gaussian.

    labels  [..., P] of -1 and +1
    Returns [...].

    Errors: as `preactivation`; labels other than -1 and 1.
    Source: chapter jaynes/learning-as-physics, step 7.
    """
    xp, m, inputs = _inputs(m, inputs)
    labels = _labels(xp, labels, inputs)
    mean, variance = preactivation(m, inputs)
    return -xp.sum(_log_phi(labels * mean / variance**0.5), axis=-1)


def cost_gradient(m, inputs, labels):
    """Slope of `data_cost` in the mean weights, [..., N].

    With u = y mean / sigma and r = phi(u)/Phi(u):  -sum_mu r [y x_i / (sqrt(N) sigma) + u m_i x_i^2 / (N sigma^2)].

    Errors: as `data_cost`.
    Source: chapter jaynes/learning-as-physics, step 7.
    """
    xp, m, inputs = _inputs(m, inputs)
    labels = _labels(xp, labels, inputs)
    N = m.shape[-1]
    mean, variance = preactivation(m, inputs)
    u = labels * mean / variance**0.5
    r = xp.exp(-(u**2) / 2 - _log_phi(u)) / math.sqrt(2 * math.pi)
    along = xp.matmul((r * labels / variance**0.5)[..., None, :], inputs)[..., 0, :] / N**0.5
    return -(along + m * xp.matmul((r * u / variance)[..., None, :], inputs**2)[..., 0, :] / N)


def learn(theta1, inputs, labels, weight, passes, batch, rate, rng, metaplastic=True):
    """Minimise F = data_cost(m) + weight D(q‖q1) over the fields theta, m = tanh(theta), from theta1.

    dF/dtheta_i = (1 - m_i^2) [d cost/d m_i + weight (theta_i - theta1_i)]

    theta1       [..., N] fields of the old belief: prior and start
    inputs       [..., P, N], labels [..., P]: the new task, of which mini-batches are taken
    weight       of the divergence: a number >= 0 or an array [...]
    rng          a NumPy Generator for the order of the examples
    metaplastic  True: plain descent in theta, with the factor 1 - m^2; False: without it, which is
                 natural-gradient descent
    Returns the new fields.

    Errors: as `data_cost`; ValueError for a negative weight, a rate or counts that are not > 0.
    Source: chapter jaynes/learning-as-physics, step 7; Li et al. 2022.
    """
    xp, theta1, inputs = _same(theta1=theta1, inputs=inputs)
    labels = _labels(xp, labels, inputs)
    weight = weight if is_array_api_obj(weight) else xp.asarray(weight, dtype=theta1.dtype)
    if not bool(xp.all(weight >= 0)):
        raise ValueError(f"weight must be >= 0; got {weight!r}")
    P = inputs.shape[-2]
    for name, value in (("passes", passes), ("batch", batch), ("rate", rate)):
        if not value > 0:
            raise ValueError(f"{name} must be > 0; got {value!r}")
    if batch > P:
        raise ValueError(f"batch must be at most the number of examples {P}; got {batch!r}")
    theta = theta1 + 0.0 * xp.sum(weight)
    theta = theta + xp.zeros(tuple(weight.shape) + (1,), dtype=theta1.dtype) if weight.ndim else theta
    for _ in range(passes):
        order = rng.permutation(P)
        for start in range(0, P - batch + 1, batch):
            now = xp.asarray(np.sort(order[start:start + batch]))
            m = xp.tanh(theta)
            slope = cost_gradient(m, xp.take(inputs, now, axis=-2), xp.take(labels, now, axis=-1))
            slope = slope * (P / batch) + weight[..., None] * (theta - theta1)
            theta = theta - rate * (slope * (1 - m**2) if metaplastic else slope)
    return theta


# Sets of beliefs, and two ways to mix them --------------------------------------------------------


def mixture_moments(weights, means, covariances):
    """Mean and covariance of sum_i w_i N(mu_i, C_i): sum w mu, and sum w (C + mu mu') - mean mean'.

    weights [n] a pmf, means [n, d], covariances [n, d, d]

    Errors: ValueError for weights that are no pmf, or shapes that do not match.
    Source: chapter jaynes/learning-as-physics, step 8.
    """
    w, mu, C = _experts(weights, means, covariances, "covariances")
    mean = w @ mu
    return mean, np.tensordot(w, C + mu[:, :, None] * mu[:, None, :], 1) - np.outer(mean, mean)


def product_of_experts(weights, means, precisions):
    """Mean and precision of the normalised product of N(mu_i, L_i^-1)^w_i: L = sum w L_i, L mean = sum w L_i mu_i.

    Errors: ValueError for weights that are no pmf, shapes that do not match, or precisions that are not
    symmetric and positive definite.
    Source: chapter jaynes/learning-as-physics, step 8.
    """
    w, mu, L = _experts(weights, means, precisions, "precisions")
    if not np.allclose(L, np.swapaxes(L, 1, 2), rtol=1e-9, atol=0) or not (np.linalg.eigvalsh(L) > 0).all():
        raise ValueError("precisions must be symmetric and positive definite; "
                         f"least eigenvalue {np.linalg.eigvalsh((L + np.swapaxes(L, 1, 2)) / 2).min()!r}")
    total = np.tensordot(w, L, 1)
    return np.linalg.solve(total, np.einsum("i,ijk,ik->j", w, L, mu)), total


def pools(weights, pmfs):
    """Linear and logarithmic pool of pmfs [n, K]: sum w p, and prod p^w / c. Returns (linear, log, c).

    Errors: ValueError for weights or rows that are no pmf, or rows whose supports do not meet.
    Source: chapter jaynes/learning-as-physics, step 8.
    """
    p, w = np.asarray(pmfs, dtype=float), _pmf("weights", weights)
    if p.ndim != 2 or p.shape[0] != w.size:
        raise ValueError(f"pmfs must be [{w.size}, K], a row a weight; got shape {p.shape}")
    for row in p:
        _pmf("pmfs", row)
    product = np.prod(p ** w[:, None], axis=0)
    if not product.sum() > 0:
        raise ValueError("pmfs must have an outcome that all of them allow; their product is 0")
    return w @ p, product / product.sum(), product.sum()


def highest_density(density, dx, mass=0.95):
    """The smallest set of cells that holds the mass: (level, mask). Cells denser than the level are in.

    density  [K] values at the centres of cells of width dx; sums to 1 within 1e-3
    The level is that of the last cell taken, so the set holds the mass and at most one cell more. Of
    cells that tie at the level those of lower index are taken first.

    Errors: ValueError for a mass outside (0, 1) or a density that is none.
    Source: chapter jaynes/learning-as-physics, step 8.
    """
    f = np.asarray(density, dtype=float)
    if not 0 < mass < 1:
        raise ValueError(f"mass must lie between 0 and 1; got {mass!r}")
    if f.ndim != 1 or not (f >= 0).all() or not abs(f.sum() * dx - 1) <= 1e-3:
        raise ValueError(f"density must be >= 0 in one dimension with sum(density * dx) = 1; got {f.sum() * dx!r}")
    order = np.argsort(-f, kind="stable")
    taken = np.searchsorted(np.cumsum(f[order]) * dx, mass) + 1
    order = order[:min(taken, f.size)]
    mask = np.zeros(f.size, dtype=bool)
    mask[order] = True
    return f[order[-1]], mask


def mass_above(weight, separation, dimensions=1):
    """Mass that w N(+s e, 1) + (1 - w) N(-s e, 1) puts where it is denser than at the best compromise.

    The compromise (2w - 1) s minimises w |x - s|^2 + (1 - w) |x + s|^2. It lies in the highest-density
    region of mass c exactly when this number is at most c.

    weight      w in [0, 1], separation s >= 0: half the distance of the centres over their width
    dimensions  of the space; the two centres differ along one of them

    Errors: ValueError for arguments out of range.
    Source: chapter jaynes/learning-as-physics, step 8.
    """
    w, s = float(weight), float(separation)
    if not 0 <= w <= 1:
        raise ValueError(f"weight must lie in [0, 1]; got {weight!r}")
    if not 0 <= s < 30:
        raise ValueError(f"separation must lie in [0, 30); got {separation!r}")
    if not (isinstance(dimensions, int) and dimensions >= 1):
        raise ValueError(f"dimensions must be a whole number >= 1; got {dimensions!r}")
    norm, brentq = need("scipy.stats").norm, need("scipy.optimize").brentq
    x = np.linspace(-3 * s - 10, 3 * s + 10, 40_001)
    log_g = lambda x: np.logaddexp(_times_log(w, norm.logpdf(x - s)), _times_log(1 - w, norm.logpdf(x + s)))
    excess = lambda x: log_g(x) - log_g((2 * w - 1) * s)
    if dimensions > 1:
        inside = need("scipy.stats").chi2.cdf(2 * np.maximum(excess(x), 0), dimensions - 1)
        return min(float(np.sum(np.exp(log_g(x)) * inside) * (x[1] - x[0])), 1.0)   # the sum may end at 1 + 1e-12
    signs = excess(x) > 0
    edges = [brentq(excess, x[i], x[i + 1], xtol=1e-13) for i in np.flatnonzero(signs[1:] != signs[:-1])]
    cdf = w * norm.cdf(np.array(edges) - s) + (1 - w) * norm.cdf(np.array(edges) + s)
    return float(np.sum(cdf[1::2] - cdf[0::2]))


def separation_limit(weight=0.5, mass=0.95, dimensions=1):
    """The half distance of two unit Gaussians from which on their best compromise is outside the region.

    Errors: ValueError for arguments out of range, a weight of 0 or 1 included, or a limit that is not
    between 0.05 and 25 half distances.
    Source: chapter jaynes/learning-as-physics, step 8.
    """
    if not 0 < weight < 1:
        raise ValueError(f"weight must lie between 0 and 1, both left out; got {weight!r}")
    if not 0 < mass < 1:
        raise ValueError(f"mass must lie between 0 and 1; got {mass!r}")
    excess = lambda s: mass_above(weight, s, dimensions) - mass
    if not excess(0.05) <= 0 <= excess(25):
        raise ValueError("weight, mass and dimensions must have their limit between 0.05 and 25; "
                         f"got {weight!r}, {mass!r}, {dimensions!r}")
    return need("scipy.optimize").brentq(excess, 0.05, 25, xtol=1e-10)


def logistic_posterior(inputs, labels, prior, weights=None):
    """Laplace's Gaussian for logistic regression: (mode, Hessian there) of the energy

    E(w) = sum_mu a_mu log(1 + exp(-y w.x)) + prior |w|^2 / 2,  by Newton's method.

    inputs [P, d], labels [P] of -1 and +1, prior > 0, weights [P] >= 0 (1 if not given)

    Errors: ValueError for shapes or values out of range.
    Source: chapter jaynes/learning-as-physics, step 8.
    """
    X, y = np.asarray(inputs, dtype=float), np.asarray(labels, dtype=float)
    a = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    if X.ndim != 2 or y.shape != X.shape[:1] or a.shape != y.shape:
        raise ValueError(f"inputs, labels and weights must be [P, d], [P], [P]; got {X.shape}, {y.shape}, {a.shape}")
    if not np.isin(y, (-1.0, 1.0)).all():
        raise ValueError("labels must be -1 or 1")
    if not np.isfinite(X).all():
        raise ValueError("inputs must be finite numbers")
    if not 0 < prior < math.inf or not ((a >= 0) & (a < math.inf)).all():
        raise ValueError(f"prior must be > 0 and weights >= 0; got prior={prior!r}, least weight {a.min()!r}")
    w = np.zeros(X.shape[1])

    def energy(w):
        return a @ np.logaddexp(0, -y * (X @ w)) + prior * w @ w / 2

    for _ in range(100):
        p = 1 / (1 + np.exp(np.clip(y * (X @ w), -700, 700)))     # chance of the other label
        slope = prior * w - X.T @ (a * p * y)
        H = (X.T * (a * p * (1 - p))) @ X + prior * np.eye(X.shape[1])
        step, size = np.linalg.solve(H, slope), 1.0
        while energy(w - size * step) > energy(w) + 1e-12 and size > 1e-8:
            size /= 2
        w = w - size * step
        if np.abs(step).max() < 1e-10:
            break
    p = 1 / (1 + np.exp(np.clip(y * (X @ w), -700, 700)))
    return w, (X.T * (a * p * (1 - p))) @ X + prior * np.eye(X.shape[1])


# Inputs ----------------------------------------------------------------------------------------


def _same(**arrays):
    values = [a if is_array_api_obj(a) else np.asarray(a, dtype=float) for a in arrays.values()]
    return array_namespace(*values), *values


def _in_range(xp, name, m):
    ok = abs(m) <= 1
    if not bool(xp.all(ok)):
        raise ValueError(f"{name} must lie in [-1, 1]; got {float(xp.reshape(m[~ok], (-1,))[0])!r}")


def _means(m, m1):
    xp, m, m1 = _same(m=m, m1=m1)
    _in_range(xp, "m", m)
    _in_range(xp, "m1", m1)
    if m.shape[-1:] != m1.shape[-1:]:
        raise ValueError(f"m and m1 must have the same last axis; got {tuple(m.shape)} and {tuple(m1.shape)}")
    return xp, m, m1


def _inputs(m, inputs):
    xp, m, inputs = _same(m=m, inputs=inputs)
    _in_range(xp, "m", m)
    if inputs.ndim < 2 or inputs.shape[-1] != m.shape[-1]:
        raise ValueError(f"inputs must be [..., P, N] with N = {m.shape[-1]}; got {tuple(inputs.shape)}")
    if not bool(xp.all(xp.isfinite(inputs))):
        raise ValueError("inputs must be finite numbers")
    if not bool(xp.all(xp.any(inputs != 0, axis=-1))):
        raise ValueError("inputs must not contain a row of zeros: its answer has no sign")
    return xp, m, inputs


def _labels(xp, labels, inputs):
    labels = labels if is_array_api_obj(labels) else np.asarray(labels, dtype=float)
    if not bool(xp.all((labels == 1) | (labels == -1))):
        raise ValueError("labels must be -1 or 1")
    if labels.shape[-1:] != inputs.shape[-2:-1]:
        raise ValueError(f"labels must be [..., P] with P = {inputs.shape[-2]}; got {tuple(labels.shape)}")
    return labels


def _log_phi(u):
    """log Phi(u), on either kind of array."""
    if isinstance(u, np.ndarray | np.generic):
        return need("scipy.special").log_ndtr(u)
    return need("torch").special.log_ndtr(u)


def _times_log(w, log_p):
    return log_p + math.log(w) if w > 0 else np.full_like(log_p, -np.inf)


def _pmf(name, p):
    p = np.asarray(p, dtype=float)
    if p.ndim != 1 or not (p >= 0).all() or not abs(p.sum() - 1) <= 1e-9:
        raise ValueError(f"{name} must be >= 0 and sum to 1; got {p.tolist()!r}")
    return p


def _experts(weights, means, matrices, name):
    w, mu, C = _pmf("weights", weights), np.asarray(means, dtype=float), np.asarray(matrices, dtype=float)
    if not (np.isfinite(mu).all() and np.isfinite(C).all()):
        raise ValueError(f"means and {name} must be finite numbers")
    if mu.ndim != 2 or mu.shape[0] != w.size or C.shape != mu.shape + mu.shape[-1:]:
        raise ValueError(f"means and {name} must be [n, d] and [n, d, d] for {w.size} weights; got {mu.shape} and {C.shape}")
    return w, mu, C
