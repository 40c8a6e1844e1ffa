"""Entropy and mutual information from samples: counts, bins, kernels, neighbours, bounds.

Taught in the chapter "Estimating information from samples" (foundations/estimation).
Units: nats, unless an argument `base` says otherwise (base=2 gives bits).
"""

import math

import numpy as np

from labutils import info
from labutils._inputs import whole
from labutils.runtime import need

CORRECTIONS = (None, "miller-madow", "jackknife")
BOUNDS = ("infonce", "nwj", "dv")
BLOCK = 2_000_000
"""How many pairs of points a kernel sum holds in memory at once."""


# Counting --------------------------------------------------------------------------------------


def plugin(x, correction=None, base=None):
    """Entropy of a sample of labels: count them, and put the shares in for the probabilities.

    x           [n] labels of any sortable kind, or [n, m]: a row is a label
    correction  as in `entropy_plugin`

    Errors: ValueError for an empty sample, NaN, another shape, an unknown correction.
    Source: chapter foundations/estimation, step 1.
    """
    return float(entropy_plugin(np.bincount(_labels("x", x)), correction, base=base))


def entropy_plugin(counts, correction=None, axis=-1, base=None):
    """Plug-in entropy of counts, as it is or with its bias of first order taken off.

    None            H^ = -sum_k (c_k/n) log(c_k/n);   E H^ - H = -(K-1)/2n + O(1/n^2)
    "miller-madow"  H^ + (K_seen - 1) / 2n, with K_seen the number of values that were seen
    "jackknife"     n H^ - (n-1)/n sum_k c_k H^(one case of k left out)

    counts  [..., K] whole numbers >= 0 along `axis`, n > 0 in all (n > 1 for the jackknife)
    Returns counts' shape without `axis`. The plug-in lies in [0, log n]; a corrected value need not.

    Errors: ValueError for counts that are not whole or < 0, an empty sample, an unknown correction.
    Source: chapter foundations/estimation, step 1.
    """
    _one_of("correction", correction, CORRECTIONS)
    xp, c, n = _counts(counts, axis)
    value = _counted(xp, c, n, axis)
    if correction == "miller-madow":
        value = value + (xp.sum(xp.astype(c > 0, c.dtype), axis=axis) - 1) / (2 * n)
    elif correction == "jackknife":
        if not bool(xp.all(n > 1)):
            raise ValueError("counts must add up to 2 or more for the jackknife; got 1")
        value = _jackknifed(xp, c, n, axis, value)
    return value / _unit(base) + 0.0


def plugin_mean(p, n):
    """The mean of the plug-in entropy over all samples of size n from a pmf, exactly.

    E H^ = log n - 1/n sum_k sum_c Binomial(c; n, p_k) c log c

    p  [K] pmf;  n >= 1

    Errors: ValueError for a pmf that is not one, n < 1. Source: chapter foundations/estimation, step 1.
    """
    p = np.asarray(p, dtype=float)
    if p.ndim != 1 or not ((p >= 0).all() and abs(p.sum() - 1) <= 1e-9):
        raise ValueError(f"p must be a pmf [K], >= 0 and with sum 1; got shape {p.shape} and sum {p.sum():.6g}")
    whole("n", n, 1)
    stats = need("scipy.stats")
    seen = np.arange(2, n + 1)  # 0 log 0 = 1 log 1 = 0
    cost = np.array([stats.binom.pmf(seen, n, v) @ (seen * np.log(seen)) for v in np.unique(p)])
    return float(math.log(n) - cost[np.searchsorted(np.unique(p), p)].sum() / n)


def mi_plugin(counts, correction=None, base=None):
    """Plug-in mutual information of a table of counts [..., K_x, K_y]: H^(X) + H^(Y) - H^(X,Y).

    With full support the bias is (K_x - 1)(K_y - 1)/2n at first order, upwards.
    correction  as in `entropy_plugin`, for each of the three entropies

    Errors: those of `entropy_plugin`, and a table without two axes.
    Source: chapter foundations/estimation, step 1.
    """
    xp, (counts,) = info._arrays(counts=counts)
    if counts.ndim < 2:
        raise ValueError(f"counts must have two axes, one a variable; got shape {tuple(counts.shape)}")
    both = xp.reshape(counts, (*counts.shape[:-2], counts.shape[-2] * counts.shape[-1]))
    one = lambda c: entropy_plugin(c, correction, base=base)
    return one(xp.sum(counts, axis=-1)) + one(xp.sum(counts, axis=-2)) - one(both)


def mi_histogram(x, y, bins=8, kind="equal-mass", correction=None, base=None):
    """Mutual information of binned samples: cut each coordinate into bins, then `mi_plugin`.

    x, y  [n] or [n, m]; with several coordinates a cell is a box of bins
    bins  how many for each coordinate, a whole number >= 2
    kind  "equal-mass": each bin holds as many points; "equal-width": from the smallest to the largest

    Binning alone can only lose information; sampling adds about (K_x - 1)(K_y - 1)/2n.
    Never above log n.

    Errors: ValueError for NaN, lengths that differ, too few points, a constant coordinate, bad bins.
    Source: chapter foundations/estimation, step 3.
    """
    x, y = _pair(x, y, least=2)
    whole("bins", bins, 2)
    _one_of("kind", kind, ("equal-mass", "equal-width"))
    _one_of("correction", correction, CORRECTIONS)
    cx, cy = (_cells(name, z, bins, kind) for name, z in (("x", x), ("y", y)))
    joint = np.bincount(_labels("cells", np.stack([cx, cy], axis=1)))
    H = lambda c: float(entropy_plugin(c, correction, base=base))
    return H(np.bincount(cx)) + H(np.bincount(cy)) - H(joint)


def _cells(name, z, bins, kind):
    """The box in which each point lies, as a label 0, 1, ..."""
    _varies(name, z)
    if kind == "equal-mass":
        edges = [np.quantile(c, np.arange(1, bins) / bins) for c in z.T]
    else:
        edges = [np.linspace(c.min(), c.max(), bins + 1)[1:-1] for c in z.T]
    return _labels(name, np.stack([np.searchsorted(e, c, "right") for e, c in zip(edges, z.T)], axis=1))


def mi_gaussian(x, y, base=None):
    """Mutual information of the Gaussian with the sample's covariance: 1/2 log(det A det B / det C).

    x, y  [n] or [n, m]. Right for Gaussian data only; blind to whatever a covariance does not see.

    Errors: ValueError for NaN, lengths that differ, fewer points than coordinates, a singular covariance.
    Source: chapter foundations/estimation, step 2.
    """
    x, y = _pair(x, y, least=2)
    both = np.concatenate([x, y], axis=1)
    if len(x) <= both.shape[1]:
        raise ValueError(
            f"x and y must have more points than coordinates; got {len(x)} points, {both.shape[1]} coordinates"
        )
    parts = []
    for z in (x, y, both):
        scaled = (z - z.mean(0)) / np.where(z.std(0) > 0, z.std(0), 1.0)
        covariance = scaled.T @ scaled / len(z)
        logdet = np.linalg.slogdet(covariance)[1]
        if not np.linalg.eigvalsh(covariance)[0] > 1e-13:
            raise ValueError("x and y must have a covariance of full rank; got one that is singular")
        parts.append(logdet)
    return (parts[0] + parts[1] - parts[2]) / 2 / _unit(base)


# Kernels ---------------------------------------------------------------------------------------


def log_kde(at, points, h):
    """Log of a Gaussian kernel density: log 1/n sum_i N(at; points_i, h^2).

    at, points  [l, m] and [n, m] ([l] and [n] for one coordinate)
    h           width > 0, a number or one a coordinate [m]
    Returns [l].

    Errors: ValueError for NaN, dimensions that differ, a width <= 0.
    Source: chapter foundations/estimation, step 4; paper 136.
    """
    at, points, h = _kernel_input(at, points, h)
    middle = points.mean(0)  # small numbers keep their digits when squared
    top, total, _ = _kernel_sums((at - middle) / h, (points - middle) / h)
    d = at.shape[1]
    return top + np.log(total / len(points)) - d / 2 * math.log(2 * math.pi) - np.log(h).sum()


def kernel_participation(at, points, h):
    """How few points make a kernel density: Y = sum_i w_i^2 / (sum_i w_i)^2, between 1/n and 1.

    1/Y is the effective number of points behind the estimate. Arguments as in `log_kde`; [l].

    Errors: those of `log_kde`. Source: chapter foundations/estimation, step 4; paper 136.
    """
    at, points, h = _kernel_input(at, points, h)
    middle = points.mean(0)
    _, total, squares = _kernel_sums((at - middle) / h, (points - middle) / h)
    return squares / total**2


def _kernel_sums(at, points, leave_out=False):
    """(largest log weight, sum of weights over it, sum of squares) of exp(-|at - point|^2 / 2)."""
    top, total, squares = (np.empty(len(at)) for _ in range(3))
    size = np.sum(points**2, 1)
    step = max(1, BLOCK // len(points))
    for start in range(0, len(at), step):
        some = slice(start, min(start + step, len(at)))
        here = at[some]
        log_w = here @ points.T - (np.sum(here**2, 1)[:, None] + size) / 2
        np.minimum(log_w, 0.0, out=log_w)  # rounding only: a squared distance is not below 0
        if leave_out:
            rows = np.arange(some.start, some.stop)
            log_w[rows - start, rows] = -np.inf
        top[some] = log_w.max(1)
        w = np.exp(log_w - top[some][:, None])
        total[some], squares[some] = w.sum(1), (w * w).sum(1)
    return top, total, squares


def kde_entropy(x, h=None, base=None):
    """Differential entropy by a kernel density, each point judged by the others.

    h^ = -1/n sum_i log rho^_(-i)(x_i), with Gaussian kernels of width h

    x  [n] or [n, m]
    h  width > 0, a number or one a coordinate; None for the normal rule, (4/((m+2) n))^(1/(m+4))
       standard deviations of each coordinate

    Errors: ValueError for NaN, fewer than 2 points, a constant coordinate, a width <= 0.
    Source: chapter foundations/estimation, step 4.
    """
    x = _points("x", x, least=2)
    n, d = x.shape
    if h is None:
        _varies("x", x)
        h = x.std(0, ddof=1) * (4 / ((d + 2) * n)) ** (1 / (d + 4))
    _, x, h = _kernel_input(x, x, h)
    centred = (x - x.mean(0)) / h
    top, total, _ = _kernel_sums(centred, centred, leave_out=True)
    log_rho = top + np.log(total / (n - 1)) - d / 2 * math.log(2 * math.pi) - np.log(h).sum()
    return float(-log_rho.mean()) / _unit(base)


def mi_kde(x, y, h=None, base=None):
    """Mutual information from three kernel entropies, h(X) + h(Y) - h(X,Y), with one width for all.

    x, y  [n] or [n, m], brought to standard deviation 1 first
    h     width in standard deviations; None for the normal rule in the joint space

    Errors: those of `kde_entropy`, and lengths that differ.
    Source: chapter foundations/estimation, step 4.
    """
    x, y = _pair(x, y, least=2)
    for name, z in (("x", x), ("y", y)):
        _varies(name, z)
    x, y = x / x.std(0), y / y.std(0)
    both = np.concatenate([x, y], axis=1)
    if h is None:
        n, d = both.shape
        h = (4 / ((d + 2) * n)) ** (1 / (d + 4))
    return kde_entropy(x, h, base) + kde_entropy(y, h, base) - kde_entropy(both, h, base)


def kernel_rate(lam):
    """Relative entropy, a dimension, of the points that a Gaussian kernel asks for.

    x and y have independent standard normal coordinates; the kernel e^(-lam |x-y|^2/2) tilts y, and
    the tilted law costs  C(lam) = 1/2 log(1 + lam) - lam / (2 (1 + lam)^2)  nats a dimension.
    lam = 1/h^2 >= 0, a number or an array

    Errors: ValueError for a negative lam. Source: chapter foundations/estimation, step 4; paper 136.
    """
    lam = np.asarray(lam, dtype=float)
    if not (lam >= 0).all():
        raise ValueError(f"lam must be >= 0; got {lam.min():.6g}")
    return np.log1p(lam) / 2 - lam / (2 * (1 + lam) ** 2)


def kernel_widths(alpha):
    """The three widths of a kernel density of e^(alpha m) points in many dimensions (Gaussian model).

    Returns {"freeze": h_G, "normal": sqrt(2) h_G, "best": h of the smallest D(rho‖rho^)}, where
    C(1/h_G^2) = alpha and best^2 = (2 + lam)/(1 + lam)^2 at lam = 1/h_G^2.

    alpha  log n / m > 0

    Errors: ValueError for alpha <= 0. Source: chapter foundations/estimation, step 4; paper 136.
    """
    alpha = float(alpha)
    if not (alpha > 0 and math.isfinite(alpha)):
        raise ValueError(f"alpha must be a number > 0; got {alpha!r}")
    high = 1.0
    while kernel_rate(high) < alpha:
        high *= 2
    lam = need("scipy.optimize").brentq(lambda v: float(kernel_rate(v)) - alpha, 0.0, high, xtol=1e-13)
    h = lam**-0.5
    return {"freeze": h, "normal": math.sqrt(2) * h, "best": math.sqrt(2 + lam) / (1 + lam)}


def kernel_exact(dim, log_n, h):
    """A Gaussian kernel density in the Gaussian model, exactly, at any number of points.

    x has |x|^2 = dim, the points y_1, ..., y_n are standard normal. With w_i = e^(-|x-y_i|^2 / 2 h^2),
    Z = sum_i w_i and Phi(t) = E e^(-t w), which is an integral over a noncentral chi-square law,

    E log Z = int dt/t (e^-t - Phi(t)^n),   E[sum_i w_i^2 / Z^2] = n int dt t E[w^2 e^(-t w)] Phi(t)^(n-1)

    dim  a whole number >= 1;  log_n  log of the number of points > 0;  h  width > 0
    Returns {"log_density": E log rho^_h(x), "participation": the mean of `kernel_participation`}.

    Over u = log t, Phi^n falls from 1 to 0 once; E log Z = -gamma - (mean of u under that fall), so
    only the fall is integrated, and n enters by its log.

    Errors: ValueError for a dim, a log_n or an h outside these ranges, and for an h so narrow that the
    law of |x - y| would need more than 200 000 places.
    Source: chapter foundations/estimation, step 4; paper 136.
    """
    whole("dim", dim, 1)
    for name, value in (("log_n", log_n), ("h", h)):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a number > 0; got {value!r}")
    root, log_p = _distances(dim, log_n, h)
    log_w = -(root**2) / (2 * h * h)

    def fall(u):  # log(-n log Phi), log(n E (tw)^2 e^(-tw))
        v = u + log_w
        tw = np.exp(np.minimum(v, 30.0))
        x = _log_total(log_p + np.where(v < -30, v, np.log(-np.expm1(-np.maximum(tw, 1e-14)))))
        lost = x + tw_log1p(x)
        return log_n + lost, log_n + _log_total(log_p + 2 * v - tw)

    def tw_log1p(x):  # log(-log(1 - e^x)) - x, kept where e^x is small
        p = math.exp(x)
        return math.log(-math.log1p(-min(p, 1 - 1e-16)) / p) if p > 1e-8 else p / 2

    def where(level):
        low, high = -log_n - 60 - float(log_w.max()), 60 - float(log_w.min())
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if fall(middle)[0] < level else (low, middle)
        return low

    # Phi^n from 1 - 2e-15 to 1e-21; u = z + e^z, since the fall has details of size 1, and of size u where u is large
    ends = [v - float(need("scipy.special").wrightomega(v)) for v in (where(-34.0), where(3.9))]
    z, step = np.linspace(*ends, 601, retstep=True)
    u = z + np.exp(z)
    lost, squares = np.array([fall(v) for v in u]).T
    still = np.trapezoid(np.exp(-np.exp(lost)) * (1 + np.exp(z)), z) + (step**2 / 12 - step**4 / 720) * math.exp(z[0])
    logs = -np.euler_gamma - u[0] - still  # with what the trapezium rule leaves at the lower end, where Phi^n = 1
    shares = np.trapezoid(np.exp(squares - np.exp(lost) * -math.expm1(-log_n)) * (1 + np.exp(z)), z)
    density = logs - log_n - dim / 2 * math.log(2 * math.pi * h * h)
    return {"log_density": float(density), "participation": float(shares)}


def _distances(dim, log_n, h):
    """A grid of |x - y| and its log probabilities, without what has less than e^-60 / n."""
    ive = need("scipy.special").ive

    def law(root):
        with np.errstate(divide="ignore"):
            log_p = np.log(ive(dim / 2 - 1, math.sqrt(dim) * root)) + dim / 2 * np.log(root)
        log_p += math.sqrt(dim) * root - (root**2 + dim) / 2
        return log_p - _log_total(log_p)

    root = np.linspace(0, 2 * math.sqrt(dim) + 8, 4001)[1:]
    kept = root[law(root) > -log_n - 60]
    low, high = max(kept[0] - root[0], 0.0), kept[-1]
    places = max(4000, math.ceil((high - low) * high / (0.5 * h * h)))  # log w in steps of 1/2 at most
    if places > 200_000:
        least = math.sqrt((high - low) * high / 1e5)
        raise ValueError(f"h must be at least {least:.2g} for dim = {dim} and log_n = {log_n:g}; got {h!r}")
    root = low + (np.arange(places) + 0.5) * (high - low) / places
    return root, law(root)


def _log_total(a):
    top = float(a.max())
    return top + math.log(float(np.exp(a - top).sum()))


# Neighbours ------------------------------------------------------------------------------------


def entropy_knn(x, k=4, period=None, base=None):
    """Differential entropy from distances to the k-th neighbour (Kozachenko and Leonenko).

    h^ = psi(n) - psi(k) + m log 2 + m/n sum_i log eps_i,  eps_i the largest coordinate difference to
    the k-th nearest other point (a ball of that norm has volume (2 eps)^m)

    x       [n] or [n, m] of a density; k < n
    period  side of a periodic box that holds x in [0, period), or None for open space

    Errors: ValueError for NaN, k >= n, points with k or more exact copies (no density has them).
    Source: chapter foundations/estimation, step 5.
    """
    x = _points("x", x, least=2)
    n, d = x.shape
    _neighbours(k, n)
    if period is not None and not (period > 0 and (x >= 0).all() and (x < period).all()):
        raise ValueError(f"period must be > 0 and hold all x in [0, period); got {period!r}")
    radius = _tree(x, period).query(x, k=[k + 1], p=np.inf)[0][:, 0]
    _apart("x", radius, k)
    psi = need("scipy.special").digamma
    return float(psi(n) - psi(k) + d * (math.log(2) + np.log(radius).mean())) / _unit(base)


def ksg(x, y, k=4, kind=1, base=None):
    """Mutual information from neighbours (Kraskov, Stögbauer and Grassberger).

    kind 1  psi(k) + psi(n) - mean[psi(n_x + 1) + psi(n_y + 1)],  n_x the points closer in x than the
            k-th neighbour in the joint space (largest of both distances)
    kind 2  psi(k) - 1/k + psi(n) - mean[psi(n_x) + psi(n_y)],  n_x the points at most as far in x as
            the farthest of the k neighbours is in x; the same for y

    x, y  [n] or [n, m] of a density; k < n. Within a variable distances are largest coordinate
    differences. Never above psi(n) - psi(k). Values that repeat within x or y belong to no density:
    a few of them do little, a discrete variable biases the answer.

    Errors: ValueError for NaN, lengths that differ, k >= n, a constant coordinate, points with k or
    more exact copies.
    Source: chapter foundations/estimation, step 5.
    """
    _one_of("kind", kind, (1, 2))
    x, y = _pair(x, y, least=2)
    n = len(x)
    _neighbours(k, n)
    for name, z in (("x", x), ("y", y)):
        _varies(name, z)
    x, y = x - np.median(x, axis=0), y - np.median(y, axis=0)
    both = np.concatenate([x, y], axis=1)
    psi = need("scipy.special").digamma
    radius, near = _tree(both).query(both, k=range(2, k + 2), p=np.inf)
    _apart("(x, y)", radius[:, -1], k)
    if kind == 1:
        inside = [psi(_closer(z, radius[:, -1], strictly=True) + 1) for z in (x, y)]
        value = psi(k) + psi(n) - np.mean(inside[0] + inside[1])
    else:
        near = _without_itself(near, both, k)
        inside = []
        for z in (x, y):
            reach = abs(z[near] - z[:, None]).max(axis=(1, 2))
            inside.append(psi(_closer(z, reach, strictly=False)))
        value = psi(k) - 1 / k + psi(n) - np.mean(inside[0] + inside[1])
    return float(value) / _unit(base)


def _without_itself(near, points, k):
    """Neighbour lists [n, k] without the point itself, which a tree may list late among copies."""
    own = near == np.arange(len(points))[:, None]
    if own.any():
        wide = _tree(points).query(points, k=range(1, k + 2), p=np.inf)[1]
        keep = wide != np.arange(len(points))[:, None]
        return np.stack([row[mask][:k] for row, mask in zip(wide, keep)])
    return near


def _closer(z, radius, strictly):
    """How many other points lie within `radius` of each point of z, [n]."""
    slack = 4 * np.finfo(float).eps * (abs(z).max(1) + radius)  # a rounded sum must not decide
    reach = radius - slack if strictly else radius + slack
    if z.shape[1] == 1:
        order = np.argsort(z[:, 0])
        line, at, far = z[order, 0], z[order, 0], reach[order]
        low, high = np.searchsorted(line, at - far, "left"), np.searchsorted(line, at + far, "right")
        count = np.empty(len(z), dtype=np.int64)
        count[order] = high - low
    else:
        count = _tree(z).query_ball_point(z, np.maximum(reach, 0.0), p=np.inf, return_length=True)
    return np.maximum(count - 1, 0)


def _tree(points, period=None):
    return need("scipy.spatial").cKDTree(points, boxsize=period)


def _neighbours(k, n):
    whole("k", k, 1)
    if not k < n:
        raise ValueError(f"k must be less than the number of points; got k = {k}, {n} points")


def _apart(name, radius, k):
    if not (radius > 0).all():
        raise ValueError(
            f"{name} must have no point with {k} or more exact copies (k = {k}); got"
            f" {int((radius == 0).sum())} such points: count them (plugin), or take a larger k"
        )


# Bounds ----------------------------------------------------------------------------------------


def mi_bound(scores, kind="infonce", base=None):
    """A variational bound from a matrix of critic scores: true pairs on the diagonal.

    "infonce"  mean_i [f_ii - log 1/N sum_j e^(f_ij)]         never above log N
    "nwj"      mean_i f_ii - mean_(i != j) e^(f_ij - 1)       a lower bound on average
    "dv"       mean_i f_ii - log mean_(i != j) e^(f_ij)       above its own bound on average

    scores  [..., N, N], f_ij = f(x_i, y_j), N >= 2; the pairs off the diagonal stand for independence
    Returns [...].

    Errors: ValueError for NaN or +inf, a matrix that is not square, N < 2, an unknown kind.
    Source: chapter foundations/estimation, step 6.
    """
    _one_of("kind", kind, BOUNDS)
    xp, (f,) = info._arrays(scores=scores)
    if f.ndim < 2 or f.shape[-1] != f.shape[-2] or f.shape[-1] < 2:
        raise ValueError(f"scores must be square matrices [..., N, N], N >= 2; got shape {tuple(f.shape)}")
    if bool(xp.any(xp.isnan(f) | (f == xp.inf))):
        raise ValueError("scores must not contain NaN or +inf")
    N = f.shape[-1]
    own = xp.eye(N, dtype=f.dtype, **_place(f))
    paired = xp.sum(xp.where(own == 1, f, 0.0), axis=-1)
    if kind == "infonce":
        return xp.mean(paired - _log_sum(xp, f) + math.log(N), axis=-1) / _unit(base)
    others = xp.reshape(xp.where(own == 1, -math.inf, f), (*f.shape[:-2], N * N))
    log_mean = _log_sum(xp, others) - math.log(N * (N - 1))
    taken = log_mean if kind == "dv" else xp.exp(log_mean - 1)
    return (xp.mean(paired, axis=-1) - taken) / _unit(base)


def _log_sum(xp, f):
    top = xp.max(f, axis=-1, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0.0)
    return xp.log(xp.sum(xp.exp(f - top), axis=-1)) + top[..., 0]


# The spectrum of a diffusion -------------------------------------------------------------------


def diffusion_spectral_entropy(x, sigma, t=1, base=None):
    """Entropy of the spectrum of a random walk on the points (DSE).

    A_ij = exp(-|x_i - x_j|^2 / 2 sigma^2), P = A / row sums, a_i = |lambda_i|^t / sum_j |lambda_j|^t,
    H = -sum_i a_i log a_i: between 0 (one cluster) and log n (n lonely points)

    x      [n] or [n, m];  sigma > 0 width;  t > 0 steps of the walk

    Errors: ValueError for NaN, sigma <= 0, t <= 0.
    Source: chapter foundations/estimation, step 8; Liao and others (paper 015), who divide the density
    out of A before they form P.
    """
    x = _points("x", x, least=1)
    for name, value in (("sigma", sigma), ("t", t)):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a number > 0; got {value!r}")
    distance = need("scipy.spatial.distance")
    A = np.exp(-distance.squareform(distance.pdist(x, "sqeuclidean")) / (2 * sigma**2))
    root = np.sqrt(A.sum(1))
    lam = abs(np.linalg.eigvalsh(A / root[:, None] / root))  # the walk's eigenvalues: similar matrices
    a = lam**t / (lam**t).sum()
    a = a[a > 0]
    return float(-(a * np.log(a)).sum()) / _unit(base) + 0.0


def diffusion_spectral_information(x, labels, sigma, t=1, repeats=5, rng=None, base=None):
    """DSMI: spectral entropy of a random part of x, minus the mean entropy within each label.

    sum_b p(b) [H(part of x as large as the class) - H(x of class b)], the first averaged over
    `repeats` parts. It may be negative, and is no mutual information.

    x  [n] or [n, m];  labels  [n];  rng  a NumPy generator for the parts

    Errors: ValueError for NaN, lengths that differ, no generator, sigma <= 0, t <= 0, repeats < 1.
    Source: chapter foundations/estimation, step 8; paper 015.
    """
    x = _points("x", x, least=2)
    classes = _labels("labels", labels)
    if len(classes) != len(x):
        raise ValueError(f"labels must have one entry a point; got {len(classes)} for {len(x)} points")
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a NumPy generator, such as np.random.default_rng(1); got {rng!r}")
    whole("repeats", repeats, 1)
    H = lambda some: diffusion_spectral_entropy(some, sigma, t, base)
    total = 0.0
    for b in range(classes.max() + 1):
        inside = np.flatnonzero(classes == b)
        parts = [H(x[rng.choice(len(x), len(inside), replace=False)]) for _ in range(repeats)]
        total += len(inside) / len(x) * (np.mean(parts) - H(x[inside]))
    return float(total)


# What is accepted ------------------------------------------------------------------------------


def _place(x):
    return {"device": x.device} if hasattr(x, "detach") else {}


def _counts(counts, axis):
    xp, (c,) = info._arrays(counts=counts)
    if not (isinstance(axis, int) and -c.ndim <= axis < c.ndim):
        raise ValueError(f"axis must be one of the {c.ndim} axes of counts; got {axis!r}")
    if math.prod(c.shape) == 0:
        raise ValueError(f"counts must not be empty; got shape {tuple(c.shape)}")
    counted = (c >= 0) & (c == xp.floor(c)) & xp.isfinite(c)  # NaN fails it too
    if not bool(xp.all(counted)):
        bad = np.asarray(c.detach().cpu() if hasattr(c, "detach") else c)
        bad = bad[~((bad >= 0) & (bad == np.floor(bad)) & np.isfinite(bad))][0]
        raise ValueError(f"counts must be whole numbers >= 0; got {bad:.6g}")
    n = xp.sum(c, axis=axis)
    if not bool(xp.all(n > 0)):
        raise ValueError("counts must hold at least one case; got a sum of 0")
    return xp, c, n


def _counted(xp, c, n, axis):
    """log n - 1/n sum c log c: no share is formed."""
    return xp.log(n) - xp.sum(_c_log_c(xp, c), axis=axis) / n


def _c_log_c(xp, c):
    return c * xp.log(xp.where(c > 0, c, 1.0))


def _jackknifed(xp, c, n, axis, value):
    total = xp.sum(_c_log_c(xp, c), axis=axis, keepdims=True)
    left = total - _c_log_c(xp, c) + _c_log_c(xp, xp.where(c > 0, c - 1, 0.0))
    m = xp.expand_dims(n, axis=axis) - 1
    without = xp.log(m) - left / m  # entropy with one case of k left out
    return n * value - (n - 1) / n * xp.sum(c * without, axis=axis)


def _labels(name, x):
    """Labels 0, 1, ... in place of any sortable values or rows."""
    x = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
    if x.ndim not in (1, 2) or x.shape[0] == 0:
        raise ValueError(f"{name} must have shape [n] or [n, m], n >= 1; got {x.shape}")
    if x.dtype.kind == "f" and np.isnan(x).any():
        raise ValueError(f"{name} must not contain NaN; got {int(np.isnan(x).sum())} of them")
    return np.unique(x, axis=0 if x.ndim == 2 else None, return_inverse=True)[1].reshape(-1)


def _points(name, x, least):
    """Points [n, m] in float64."""
    x = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
    if x.dtype.kind not in "fiub":
        raise ValueError(f"{name} must be real numbers; got dtype {x.dtype}")
    x = x.astype(float)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(f"{name} must have shape [n] or [n, m]; got {x.shape}")
    if len(x) < least:
        raise ValueError(f"{name} must have at least {least} points; got {len(x)}")
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"{name} must be finite; got {x[row, column]} at ({row}, {column})")
    return x


def _pair(x, y, least):
    x, y = _points("x", x, least), _points("y", y, least)
    if len(x) != len(y):
        raise ValueError(f"x and y must have as many points; got {len(x)} and {len(y)}")
    return x, y


def _varies(name, x):
    still = (x == x[0]).all(0)
    if still.any():
        raise ValueError(
            f"{name} must vary in every coordinate; coordinate {int(np.argmax(still))} is constant"
            f" at {x[0, np.argmax(still)]:.6g} (leave it out: it carries no information)"
        )


def _kernel_input(at, points, h):
    at, points = _points("at", at, 1), _points("points", points, 1)
    d = points.shape[1]
    if at.shape[1] != d:
        raise ValueError(f"at and points must have one dimension; got {at.shape[1]} and {d}")
    h = np.asarray(h, dtype=float)
    if h.shape not in ((), (d,)) or not (np.isfinite(h).all() and (h > 0).all()):
        raise ValueError(f"h must be a width > 0, or one a coordinate [{d}]; got {h.tolist()}")
    return at, points, np.broadcast_to(h, (d,))


def _one_of(name, value, known):
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}; got {value!r}")


def _unit(base):
    if base is None:
        return 1.0
    if not (isinstance(base, (int, float)) and base > 1 and math.isfinite(base)):
        raise ValueError(f"base must be a number > 1, or None for nats; got {base!r}")
    return math.log(base)
