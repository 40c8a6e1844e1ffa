"""Bottlenecks that a network can train: a rate and its split, Cauchy-Schwarz divergences, the linear code.

Taught in the chapter "Deep and variational bottlenecks" (bottleneck/deep-bottlenecks).
Units: nats. Samples are rows, x [N, d]; every function runs on NumPy arrays and on torch tensors,
and the kernel estimates can be differentiated.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from labutils import info
from labutils._inputs import finite, positive, whole

FORMS = ("derived", "released", "mean")


class Split(NamedTuple):
    """What `rate_split` returns.

    rate         mean D(q(z|x)‖p(z)) over the inputs, exact
    information  I_q(X;Z) for inputs drawn from these N: unbiased over the draws, at most log N
    marginal     D(q(z)‖p(z)) = rate - information
    error        standard error of the information over the draws of z
    """

    rate: Any
    information: Any
    marginal: Any
    error: Any


class Linear(NamedTuple):
    """What `linear_vae` returns; [...] is the shape of beta.

    active      [...]    how many latents carry anything
    encoder     [..., d] v of the mean v x of q(z|x), 0 where inactive
    noise       [..., d] variance of q(z|x), 1 where inactive
    decoder     [..., d] w of the mean w z of p(x|z)
    error       [..., d] mean squared error of each mode
    rate        [...]    I(X;Z), equal to the mean KL to the prior
    distortion  [...]    -E log p(x|z)
    """

    active: Any
    encoder: Any
    noise: Any
    decoder: Any
    error: Any
    rate: Any
    distortion: Any


# A rate and its two parts -------------------------------------------------------------------------


def gaussian_rate(mean, var):
    """D(q(z|x)‖N(0,1)) of each input for a Gaussian encoder with independent coordinates, [N].

    1/2 sum_k (mean_k^2 + var_k - 1 - log var_k)

    mean, var  [N, K]; var > 0

    Errors: ValueError for shapes that differ, a variance <= 0, numbers that are not finite.
    Source: chapter bottleneck/deep-bottlenecks, step 2.
    """
    xp, mean, var = _encoder(mean, var)
    return 0.5 * xp.sum(mean**2 + var - 1 - xp.log(var), axis=-1)


def rate_split(mean, var, rng, draws=16, batch=None):
    """The rate of a Gaussian encoder, split: rate = I_q(X;Z) + D(q(z)‖N(0,1)).

    The inputs are the N given ones, equally likely, so q(z) is a mixture of N normals that can be
    summed in full. Only z is drawn: `draws` values for each input.

    batch  None sums the mixture over all N. A number B puts B - 1 other inputs and the one itself
           in its place, as in a training batch: that is biased, and at most log B.

    Errors: as in `gaussian_rate`; ValueError for draws < 2 or a batch outside 2..N.
    Source: chapter bottleneck/deep-bottlenecks, steps 2 and 3.
    """
    _, mean, var = _encoder(mean, var)
    mean, var = np.asarray(mean, dtype=float), np.asarray(var, dtype=float)
    n = len(mean)
    whole("draws", draws, 2)
    if batch is not None and whole("batch", batch, 2) > n:
        raise ValueError(f"batch must be at most the {n} inputs; got {batch}")
    rate, log_scale = float(np.mean(gaussian_rate(mean, var))), -0.5 * np.log(2 * np.pi * var).sum(1)
    means = []
    for _ in range(draws):
        z = mean + np.sqrt(var) * rng.normal(size=mean.shape)
        own = log_scale - 0.5 * ((z - mean) ** 2 / var).sum(1)
        # log q(z_i|x_j): for all pairs by three matrix products, for a batch one by one
        if batch is None:
            pairs = log_scale - 0.5 * ((z**2) @ (1 / var).T - 2 * z @ (mean / var).T + (mean**2 / var).sum(1))
        else:
            steps = 1 + rng.choice(n - 1, batch - 1, replace=False)
            others = (np.arange(n)[:, None] + steps) % n
            off = -0.5 * ((z[:, None] - mean[others]) ** 2 / var[others]).sum(-1)
            pairs = np.concatenate([log_scale[others] + off, own[:, None]], axis=1)
        top = pairs.max(1)
        log_q = top + np.log(np.exp(pairs - top[:, None]).mean(1))
        means.append(np.mean(own - log_q))
    information = float(np.mean(means))
    return Split(rate, information, rate - information, float(np.std(means, ddof=1) / np.sqrt(draws)))


# Cauchy-Schwarz -----------------------------------------------------------------------------------


def cs_gaussian(mean_p, cov_p, mean_q, cov_q):
    """D_CS of two Gaussians: -2 log∫pq + log∫p^2 + log∫q^2, in closed form.

    m^T S^-1 m + log|S| - 1/2 log|2 cov_p| - 1/2 log|2 cov_q|, m = mean_p - mean_q, S = cov_p + cov_q

    mean [d], cov [d, d] symmetric and positive definite

    Errors: ValueError for shapes that do not match or a matrix that is no covariance.
    Source: chapter bottleneck/deep-bottlenecks, step 4.
    """
    xp, (mean_p, cov_p, mean_q, cov_q) = info._arrays(mean_p=mean_p, cov_p=cov_p, mean_q=mean_q, cov_q=cov_q)
    finite(mean_p=mean_p, cov_p=cov_p, mean_q=mean_q, cov_q=cov_q)
    if mean_p.ndim != 1 or mean_q.shape != mean_p.shape:
        raise ValueError(f"mean_p and mean_q must be vectors of one length; got {tuple(mean_p.shape)} and {tuple(mean_q.shape)}")
    d = mean_p.shape[0]
    for name, cov in (("cov_p", cov_p), ("cov_q", cov_q)):
        if tuple(cov.shape) != (d, d) or not bool(xp.all(abs(cov - cov.mT) <= 1e-9 * xp.max(abs(cov)))):
            raise ValueError(f"{name} must be a symmetric matrix of shape {(d, d)}; got {cov}")
        if not bool(xp.all(xp.linalg.eigvalsh(cov) > 0)):
            raise ValueError(f"{name} must be positive definite; got {cov}")
    m, S = mean_p - mean_q, cov_p + cov_q
    logdet = lambda a: xp.linalg.slogdet(a)[1]
    return m @ xp.linalg.solve(S, m) + logdet(S) - 0.5 * (logdet(2 * cov_p) + logdet(2 * cov_q))


def cs_information_gaussian(rho):
    """I_CS of two Gaussians of correlation rho: I(X;Z) + log(1 - rho^2/4), I(X;Z) = -1/2 log(1 - rho^2).

    rho  numbers strictly between -1 and 1

    Errors: ValueError for a correlation outside. Source: chapter bottleneck/deep-bottlenecks, step 5.
    """
    xp, (rho,) = info._arrays(rho=rho)
    if not bool(xp.all(abs(rho) < 1)):
        raise ValueError(f"rho must lie strictly between -1 and 1; got {rho}")
    return -0.5 * xp.log1p(-(rho**2)) + xp.log1p(-(rho**2) / 4)


def gram(x, y, s):
    """Gaussian kernel matrix exp(-‖x_i - y_j‖^2 / 2 s^2), [N, M].

    x [N, d], y [M, d]; s the width, a number > 0 in the unit of x

    Errors: ValueError for shapes that do not fit, s <= 0, numbers that are not finite.
    """
    xp, (x, y) = _points(x=x, y=y)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must have the same number of columns; got {x.shape[1]} and {y.shape[1]}")
    return xp.exp(-_squares(xp, x, y) / (2 * positive("s", s) ** 2))


def median_width(x):
    """The median distance between two different rows of x [N, d], a usual kernel width.

    (Of distances: code that returns the median of *squared* distances gives another unit.)

    Errors: ValueError for fewer than two rows or a median of 0.
    """
    _, (x,) = _points(x=x)
    x = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x, dtype=float)
    width = float(np.median(np.sqrt(_squares(np, x, x)[np.triu_indices(len(x), 1)]))) if len(x) > 1 else 0.0
    if not width > 0:
        raise ValueError("x must have at least two rows, most of them different")
    return width


def cs_divergence(x, y, s, diagonal=True):
    """Estimate of D_CS(p; q) from samples x of p and y of q: three means of kernels.

    log mean K(x,x') + log mean K(y,y') - 2 log mean K(x,y), K of width s

    Exactly D_CS of the two kernel densities of width s/sqrt(2): never negative, and aimed at the
    smoothed densities. The pairs of a point with itself bias it upwards by order 1/n.

    diagonal  False leaves those pairs out: then it can be negative, and is nearly free of bias

    Errors: as in `gram`; ValueError where all kernels vanish (s too small for these samples).
    Source: chapter bottleneck/deep-bottlenecks, step 4; paper 079.
    """
    xp, (x, y) = _points(x=x, y=y)
    within = [_mean_kernel(xp, gram(z, z, s), diagonal) for z in (x, y)]
    return _logs(xp, within[0], within[1], xp.mean(gram(x, y, s)))


def cs_information(x, z, s_x, s_z):
    """Estimate of I_CS(X;Z) = D_CS(p(x,z); p(x)p(z)) from N pairs of rows.

    log mean_ij K_ij Q_ij + log(mean_ij K_ij mean_ij Q_ij) - 2 log mean_j (mean_i K_ij mean_i Q_ij)

    Exactly D_CS of the kernel densities of the pairs and of the product of the marginals: between
    0 and log N. Where K is the identity it is -log mean_ij Q_ij, whatever the pairs; where both are, log N.

    x [N, d], z [N, e], widths s_x, s_z

    Errors: as in `gram`; ValueError for different numbers of rows.
    Source: chapter bottleneck/deep-bottlenecks, steps 5 and 6; paper 079.
    """
    xp, (x, z) = _points(x=x, z=z)
    _paired(x=x, z=z)
    K, Q = gram(x, x, s_x), gram(z, z, s_z)
    cross = xp.mean(xp.mean(K, axis=0) * xp.mean(Q, axis=0))
    return _logs(xp, xp.mean(K * Q), xp.mean(K) * xp.mean(Q), cross)


def cs_conditional(x, y, y_hat, s_x, s_y, form="released", diagonal=True):
    """Estimate of D_CS(p(y|x); q(ŷ|x)) from N triples: log B(y,y) + log B(ŷ,ŷ) - 2 log B(ŷ,y).

    B(a, b) = sum_j (sum_i K_ji L(a_j, b_i)) / ω_j, K a kernel on x, L one on the answers

    form  "derived": ω_j = (sum_i K_ji)^2, every x of the support counts alike
          "released": ω_j = sum_i K_ji^2, as in the authors' code
          "mean": ω_j = sum_i K_ji, the mean over inputs of Nadaraya and Watson
          The last two weigh x by how often it comes.
    diagonal  False leaves out i = j in the sums above ω_j, where L(y_j, y_j) = 1 whatever the model

    Errors: as in `gram`; ValueError for different numbers of rows, an unknown form.
    Source: chapter bottleneck/deep-bottlenecks, step 7; paper 079.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}; got {form!r}")
    xp, (x, y, y_hat) = _points(x=x, y=y, y_hat=y_hat)
    _paired(x=x, y=y, y_hat=y_hat)
    K = gram(x, x, s_x)
    weight = {"derived": lambda: xp.sum(K, axis=1) ** 2, "released": lambda: xp.sum(K**2, axis=1),
              "mean": lambda: xp.sum(K, axis=1)}[form]()
    if not diagonal:
        K = K * (1 - xp.eye(K.shape[0], dtype=K.dtype, device=x.device))
    B = [xp.sum(xp.sum(K * gram(a, b, s_y), axis=1) / weight) for a, b in ((y, y), (y_hat, y_hat), (y_hat, y))]
    return _logs(xp, *B)


# The linear code, exactly -------------------------------------------------------------------------


def linear_vae(lam, sigma2, beta, latents=None):
    """The best linear β-VAE of Gaussian data: distortion + beta rate, in closed form.

    Data with variances lam along its principal axes, decoder N(w z, sigma2), prior N(0, 1).
    A mode is active iff lam > beta sigma2 (and it is among the `latents` largest). Then
    w^2 = lam - beta sigma2, q(z|x) = N(w x / lam, beta sigma2 / lam), error beta sigma2,
    rate 1/2 log(lam / (beta sigma2)): Shannon's code with water level beta sigma2.

    lam [d] >= 0, sigma2 > 0 fixed; beta a number > 0 or an array; latents None for as many as modes

    Errors: ValueError for what breaks these rules. Source: chapter bottleneck/deep-bottlenecks, steps 10 and 11.
    """
    xp, (lam, beta) = info._arrays(lam=lam, beta=beta)
    finite(lam=lam, beta=beta)
    sigma2 = positive("sigma2", sigma2)
    if lam.ndim != 1 or lam.shape[0] == 0 or not bool(xp.all(lam >= 0)):
        raise ValueError(f"lam must be a vector of variances >= 0; got {lam}")
    if not bool(xp.all(beta > 0)):
        raise ValueError(f"beta must be > 0; got {beta}")
    d = lam.shape[0]
    k = d if latents is None else whole("latents", latents, 0)
    rank = xp.argsort(xp.argsort(-lam, stable=True), stable=True)
    level = beta[..., None] * sigma2
    on = (lam > level) & (rank < k)
    safe = xp.where(lam > 0, lam, 1.0)
    decoder = xp.sqrt(xp.where(on, lam - level, 0.0))
    noise = xp.where(on, level / safe, 1.0)
    error = xp.where(on, level, lam)
    rate = -0.5 * xp.sum(xp.log(noise), axis=-1)
    distortion = 0.5 * d * math.log(2 * math.pi * sigma2) + xp.sum(error, axis=-1) / (2 * sigma2)
    return Linear(xp.sum(xp.astype(on, xp.int64), axis=-1), decoder / safe, noise, decoder, error, rate, distortion)


def linear_cost(lam, sigma2, beta, encoder, noise, decoder):
    """(distortion, rate, information) of any linear code with independent modes, exact.

    z = encoder x + noise, x̂ = decoder z; the rate is the mean KL to N(0, 1), the information I(X;Z)

    lam, encoder, noise, decoder  [d]; noise a variance > 0. beta is not needed for the three values:
    distortion + beta rate is the cost, and is returned last.

    Errors: ValueError for sigma2 or a noise <= 0. Source: chapter bottleneck/deep-bottlenecks, steps 10 and 11.
    """
    xp, (lam, encoder, noise, decoder) = info._arrays(lam=lam, encoder=encoder, noise=noise, decoder=decoder)
    sigma2 = positive("sigma2", sigma2)
    if not bool(xp.all(noise > 0)):
        raise ValueError(f"noise must be > 0; got {noise}")
    d, power = lam.shape[0], encoder**2 * lam
    error = (1 - decoder * encoder) ** 2 * lam + decoder**2 * noise
    distortion = 0.5 * d * math.log(2 * math.pi * sigma2) + xp.sum(error) / (2 * sigma2)
    rate = 0.5 * xp.sum(power + noise - 1 - xp.log(noise))
    information = 0.5 * xp.sum(xp.log1p(power / noise))
    return distortion, rate, information, distortion + positive("beta", beta) * rate


# Recommending -------------------------------------------------------------------------------------


def ease(counts, penalty):
    """The linear model that predicts each item from the others: ‖X - X B‖^2 + penalty ‖B‖^2, diag B = 0.

    P = (X^T X + penalty I)^-1, B_ij = -P_ij / P_jj off the diagonal. Scores of users are X @ B.

    counts [users, items], penalty > 0

    Errors: ValueError for a penalty <= 0 or counts that are no matrix of finite numbers.
    Source: chapter bottleneck/deep-bottlenecks, step 13; Steck (2019).
    """
    xp, (counts,) = _points(counts=counts)
    eye = xp.eye(counts.shape[1], dtype=counts.dtype, device=counts.device)
    P = xp.linalg.inv(counts.mT @ counts + positive("penalty", penalty) * eye)
    return (1 - eye) * (-P / xp.sum(P * eye, axis=0))


def ranking(scores, seen, held, k=20):
    """(recall, gain) at k of each user with something held out: how well the unseen items are ranked.

    recall = hits in the first k / min(k, held items); gain is NDCG with relevance 1 for held items:
    sum over hits of 1 / log2(rank + 1), over the same sum of a perfect list.

    scores, seen, held  [users, items]: what the model says, what it was shown (never recommended
    again), what it should find. Ties are broken by the place in the list.

    Errors: ValueError for shapes that differ, k < 1, nobody with anything held out.
    Source: chapter bottleneck/deep-bottlenecks, step 13; paper 027.
    """
    scores, seen, held = (np.asarray(a, dtype=float) for a in (scores, seen, held))
    if scores.ndim != 2 or not scores.shape == seen.shape == held.shape:
        raise ValueError(f"scores, seen and held must be matrices of one shape; got {scores.shape}, {seen.shape}, {held.shape}")
    whole("k", k, 1)
    users = (held > 0).any(1)
    if not users.any():
        raise ValueError("held must have at least one item of one user")
    order = np.argsort(np.where(seen > 0, np.inf, -scores)[users], axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(held[users] > 0, order, axis=1)
    wanted = np.minimum((held[users] > 0).sum(1), k)
    discount = 1 / np.log2(np.arange(2, k + 2))[: hits.shape[1]]
    return hits.sum(1) / wanted, (hits * discount).sum(1) / np.cumsum(discount)[wanted - 1]


# Arguments ----------------------------------------------------------------------------------------


def _points(**named):
    """Matrices [N, d] with finite numbers; a vector counts as one column."""
    xp, arrays = info._arrays(**named)
    found = []
    for name, a in zip(named, arrays):
        if a.ndim not in (1, 2) or 0 in a.shape:
            raise ValueError(f"{name} must be rows of numbers, [N, d]; got shape {tuple(a.shape)}")
        finite(**{name: a})
        found.append(a[:, None] if a.ndim == 1 else a)
    return xp, found


def _paired(**named):
    rows = {name: a.shape[0] for name, a in named.items()}
    if len(set(rows.values())) > 1:
        raise ValueError(f"{', '.join(rows)} must have the same number of rows; got {', '.join(map(str, rows.values()))}")


def _squares(xp, x, y):
    both = xp.sum(x**2, axis=1)[:, None] + xp.sum(y**2, axis=1)[None, :] - 2 * x @ y.mT
    return xp.where(both > 0, both, 0.0 * both)


def _mean_kernel(xp, K, diagonal):
    n = K.shape[0]
    if diagonal:
        return xp.mean(K)
    if n < 2:
        raise ValueError("samples must have at least two rows without the diagonal; got 1")
    return (xp.sum(K) - xp.sum(xp.linalg.diagonal(K))) / (n * (n - 1))


def _logs(xp, pp, qq, pq):
    if not bool((pp > 0) & (qq > 0) & (pq > 0)):
        raise ValueError("s must be wide enough for samples to see each other; all kernels between them vanish")
    return xp.log(pp) + xp.log(qq) - 2 * xp.log(pq)


def _encoder(mean, var):
    xp, (mean, var) = info._arrays(mean=mean, var=var)
    if mean.ndim != 2 or mean.shape != var.shape or 0 in mean.shape:
        raise ValueError(f"mean and var must be matrices [N, K] of one shape; got {tuple(mean.shape)} and {tuple(var.shape)}")
    finite(mean=mean, var=var)
    if not bool(xp.all(var > 0)):
        raise ValueError(f"var must be > 0; got {float(xp.min(var)):g}")
    return xp, mean, var
