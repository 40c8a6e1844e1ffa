"""Entropies, divergences, and the lattice of partitions.

Taught in the chapter "Entropies, divergences and the lattice of information" (foundations/measures).
Units: nats, unless an argument `base` says otherwise (base=2 gives bits).
"""

import math

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

KINDS = ("renyi", "tsallis")


# Entropies -------------------------------------------------------------------------------------


def entropy(p, order=1, kind="renyi", axis=-1, base=None):
    """Average surprise of a pmf: Shannon at order 1, else Rényi or Tsallis.

    Shannon  H(p)   = -sum_k p_k log p_k
    Rényi    H_a(p) = log(sum_k p_k^a) / (1 - a);  H_0 = log |support|,  H_inf = -log max p
    Tsallis  T_a(p) = (1 - sum_k p_k^a) / (a - 1);  T_0 = |support| - 1,  T_inf = 0

    p      [..., K, ...] pmf along `axis` (an int, or a tuple for a joint pmf)
    order  a >= 0, math.inf included; near 1 the value tends to Shannon's with no loss of digits
    base   None for nats, 2 for bits; a Tsallis entropy has no unit and takes no base

    Returns p's shape without `axis`. Gradients are those along the simplex, 0 at entries p_k = 0.
    float16 and bfloat16 are computed in float32, here and everywhere below.
    A pmf must sum to 1 within min(0.02, sqrt(K) eps^(3/4)), eps of its dtype: about 3e-12 for
    three outcomes in float64, 1e-5 in float32.

    Errors: ValueError for a pmf that is not one, an order < 0, an unknown kind, a base <= 1.
    Source: chapter foundations/measures, steps 1 and 8.
    """
    order = _number("order", order)
    if not order >= 0:
        raise ValueError(f"order must be a number >= 0; got {order!r}")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    if kind == "tsallis" and base is not None:
        raise ValueError(f"base must be None for kind 'tsallis', which has no unit; got {base!r}")
    xp, p = _pmf("p", p, axis)
    log_p = _log(xp, p)
    step = order - 1
    if step == 0:
        value = -xp.sum(p * log_p, axis=axis)
    elif kind == "tsallis":
        value = _tsallis(xp, p, log_p, order, axis)
    elif order == 0:
        value = xp.log(_support_size(xp, p, axis))
    elif order == math.inf:
        value = -xp.log(xp.max(p, axis=axis))
    elif abs(step) <= 0.1:
        # sum p^a = 1 + sum p (p^(a-1) - 1): the second term is small and keeps its digits
        value = xp.log1p(xp.sum(p * xp.expm1(step * log_p), axis=axis)) / -step
    else:
        top = xp.max(p, axis=axis, keepdims=True)
        scaled = xp.where(p > 0, xp.exp(order * (log_p - xp.log(top))), 0.0)
        log_top = xp.sum(xp.log(top), axis=axis)
        value = (order * log_top + xp.log(xp.sum(scaled, axis=axis))) / -step
    return value / _unit(base) + 0.0  # -0.0 becomes 0.0


def _tsallis(xp, p, log_p, order, axis):
    step = order - 1
    if order == 0:
        return _support_size(xp, p, axis) - 1
    if order == math.inf:
        return 0 * xp.sum(p, axis=axis)
    if abs(step) <= 0.1:
        return -xp.sum(p * xp.expm1(step * log_p), axis=axis) / step
    return (1 - xp.sum(xp.where(p > 0, xp.exp(order * log_p), 0.0), axis=axis)) / step


def differential_entropy(density, dx, axis=-1, base=None, tol=1e-3):
    """Entropy of a sampled density, corrected for its grid: h = -sum_k f_k log(f_k) dx.

    The cells have the pmf p_k = f_k dx, whose discrete entropy is H(p) = h - log dx: it grows
    without end as the grid is refined. Adding log dx back leaves h, which converges.

    density  [..., K] values f_k >= 0 at the cell centres
    dx       width of a cell > 0, or an array [K] of widths
    tol      how far the mass sum f_k dx may be from 1 (a Riemann sum is not exact)

    Errors: ValueError for a width <= 0, a negative or NaN density, a mass off by more than tol.
    Source: chapter foundations/measures, step 10.
    """
    xp, (density, dx) = _arrays(density=density, dx=dx)
    axis = _axes("density", density, axis)
    if not bool(xp.all(dx > 0)):
        raise ValueError(f"dx must be > 0; got {_first(dx, ~(dx > 0))}")
    _nonnegative(xp, "density", density)
    if dx.ndim > 1 or (dx.ndim == 1 and (len(axis) != 1 or dx.shape[0] != density.shape[axis[0]])):
        raise ValueError(
            f"dx must be a number or have one width a cell; got shape {tuple(dx.shape)}"
            f" for a density of shape {tuple(density.shape)}"
        )
    if dx.ndim == 1:
        dx = xp.reshape(dx, tuple(-1 if a == axis[0] else 1 for a in range(density.ndim)))
    mass = xp.sum(density * dx, axis=axis)
    if not bool(xp.all(abs(mass - 1) <= tol)):
        worst = _first(mass, ~(abs(mass - 1) <= tol))
        raise ValueError(
            f"density must have mass sum(density * dx) = 1 within {tol:g}; got {worst}"
        )
    return -xp.sum(density * _log(xp, density) * dx, axis=axis) / _unit(base)


# Two pmfs --------------------------------------------------------------------------------------


def cross_entropy(p, q, axis=-1, base=None):
    """Average surprise at p for a reader who believes q: H(p, q) = -sum_k p_k log q_k.

    p, q  pmfs along `axis`, of one shape or broadcast over the batch
    0 log 0 = 0; the value is +inf where some p_k > 0 has q_k = 0.

    Errors: ValueError for a pmf that is not one, shapes that do not match.
    Source: chapter foundations/measures, step 3.
    """
    xp, p, q = _pmf_pair(p, q, axis)
    terms = xp.where((p > 0) & (q == 0), math.inf, -p * _log(xp, q))
    return xp.sum(terms, axis=axis) / _unit(base)


def kl(p, q, axis=-1, base=None):
    """Kullback-Leibler divergence D(p‖q) = sum_k p_k log(p_k / q_k) >= 0.

    Summed as p_k (r_k - log(1 + r_k)) with r_k = q_k / p_k - 1, the same number since both pmfs
    sum to 1: no term is negative, and digits survive when p is close to q.
    0 log 0 = 0; the value is +inf where some p_k > 0 has q_k = 0.

    Errors: ValueError for a pmf that is not one, shapes that do not match.
    Source: chapter foundations/measures, step 3.
    """
    xp, p, q = _pmf_pair(p, q, axis)
    return xp.sum(_kl_terms(xp, p, q), axis=axis) / _unit(base)


def jeffreys(p, q, axis=-1, base=None):
    """Jeffreys divergence J(p, q) = D(p‖q) + D(q‖p) = sum_k (p_k - q_k) log(p_k / q_k).

    Symmetric, >= 0, +inf where the supports differ; not a metric, nor is its root.

    Errors: ValueError for a pmf that is not one, shapes that do not match.
    Source: chapter foundations/measures, step 4.
    """
    xp, p, q = _pmf_pair(p, q, axis)
    terms = xp.where((p > 0) == (q > 0), (p - q) * _log_ratio(xp, p, q), math.inf)
    return xp.sum(terms, axis=axis) / _unit(base)


def js(p, q, weights=None, axis=-1, base=None):
    """Jensen-Shannon divergence: w D(p‖m) + v D(q‖m) with m = w p + v q.

    weights  (w, v) >= 0 that sum to 1; None for (1/2, 1/2)
    Always finite: at most the entropy of (w, v), so log 2 by default. Its root is a metric
    for equal weights.

    Errors: ValueError for a pmf that is not one, shapes that do not match, bad weights.
    Source: chapter foundations/measures, step 4.
    """
    w, v = (0.5, 0.5) if weights is None else (_number("weights", x) for x in weights)
    if not (w >= 0 and v >= 0 and abs(w + v - 1) <= 1e-12):
        raise ValueError(f"weights must be two numbers >= 0 that sum to 1; got {weights!r}")
    xp, p, q = _pmf_pair(p, q, axis)
    m = w * p + v * q
    # a weight of 0 would meet an infinite term, whose share is 0 by continuity
    parts = [a * _kl_terms(xp, x, m) for a, x in ((w, p), (v, q)) if a > 0]
    return xp.sum(sum(parts), axis=axis) / _unit(base)


def fdiv(p, q, f, axis=-1, *, alpha=None, at_zero=None, at_infinity=None):
    """f-divergence D_f(p‖q) = sum_k q_k f(p_k / q_k), f convex with f(1) = 0.

    f  a callable on arrays, or a name:
       "kl" t log t - t + 1, "reverse-kl" t - 1 - log t, "jeffreys" (t - 1) log t,
       "js" (t log t - (1 + t) log((1 + t)/2)) / 2, "hellinger" (sqrt t - 1)^2 / 2,
       "tv" |t - 1| / 2, "chi2" (t - 1)^2, "neyman-chi2" (t - 1)^2 / t,
       "alpha" (t^a - a (t - 1) - 1) / (a (a - 1)) with the argument alpha = a, any real number:
       kl at 1, reverse-kl at 0, 4 hellinger at 1/2, chi2 / 2 at 2
    at_zero      f(0+), used where p_k = 0 < q_k: adds q_k f(0+)
    at_infinity  lim f(t)/t = f*(0), used where q_k = 0 < p_k: adds p_k f*(0)
    Names know both limits. For a callable they must be given when they are needed.
    (q_k below p_k times the smallest normal number counts as 0.)

    Errors: ValueError for a pmf that is not one, shapes that do not match, an unknown name,
    f(1) != 0, a limit that is needed and missing.
    Source: chapter foundations/measures, step 5.
    """
    xp, p, q = _pmf_pair(p, q, axis)
    if callable(f):
        at_one = float(f(xp.asarray([1.0], dtype=p.dtype, device=p.device))[0])
        if not abs(at_one) <= 1e-6:
            raise ValueError(f"f must vanish at 1; got f(1) = {at_one:g}")
    else:
        f, at_zero, at_infinity = _generator(xp, f, alpha)
    both = (p > 0) & (q > p * xp.finfo(p.dtype).smallest_normal)
    ratio = xp.where(both, p, 1.0) / xp.where(both, q, 1.0)
    value = xp.sum(xp.where(both, q * f(ratio), 0.0), axis=axis)
    for name, limit, lone in (
        ("at_zero", at_zero, xp.where(~both & (p == 0), q, 0.0)),
        ("at_infinity", at_infinity, xp.where(~both & (p > 0), p, 0.0)),
    ):
        mass = xp.sum(lone, axis=axis)
        if not bool(xp.any(mass > 0)):
            continue
        if limit is None:
            raise ValueError(
                f"{name} must be given: f = {f!r} is needed at a pair of supports that differ"
            )
        value = value + (xp.where(mass > 0, math.inf, 0.0) if limit == math.inf else mass * limit)
    return value


def _generator(xp, name, alpha):
    """(f, f(0+), f*(0)) of a named f-divergence; all with f >= 0 and f'(1) = 0."""
    if name == "alpha":
        if alpha is None or not math.isfinite(_number("alpha", alpha)):
            raise ValueError(f"alpha must be a finite number for f = 'alpha'; got {alpha!r}")
        a = float(alpha)
        zero = 1 / a if a > 0 else math.inf
        slope = 1 / (1 - a) if a < 1 else math.inf
        return lambda t: _alpha_generator(xp, t, a), zero, slope
    table = {
        "kl": (lambda t: t * xp.log(t) - t + 1, 1.0, math.inf),
        "reverse-kl": (lambda t: t - 1 - xp.log(t), math.inf, 1.0),
        "jeffreys": (lambda t: (t - 1) * xp.log(t), math.inf, math.inf),
        "js": (
            lambda t: 0.5 * (t * xp.log(t) - (1 + t) * xp.log((1 + t) / 2)),
            0.5 * math.log(2),
            0.5 * math.log(2),
        ),
        "hellinger": (lambda t: 0.5 * (xp.sqrt(t) - 1) ** 2, 0.5, 0.5),
        "tv": (lambda t: 0.5 * abs(t - 1), 0.5, 0.5),
        "chi2": (lambda t: (t - 1) ** 2, 1.0, math.inf),
        "neyman-chi2": (lambda t: (t - 1) ** 2 / t, math.inf, 1.0),
    }
    if name not in table:
        known = ", ".join([*table, "alpha"])
        raise ValueError(f"f must be a callable or one of {known}; got {name!r}")
    return table[name]


def _alpha_generator(xp, t, a):
    """(t^a - a (t - 1) - 1) / (a (a - 1)), with no loss of digits near a = 0 and a = 1."""
    log_t = xp.log(t)
    if a > 0.5:
        power = log_t if a == 1 else xp.expm1((a - 1) * log_t) / (a - 1)  # (t^(a-1) - 1) / (a - 1)
        return (t * power - (t - 1)) / a
    power = log_t if a == 0 else xp.expm1(a * log_t) / a
    return (power - (t - 1)) / (a - 1)


# Two variables ---------------------------------------------------------------------------------


def mutual_information(pxy, axes=(-2, -1), base=None):
    """Mutual information I(X;Y) = D(p(x,y) ‖ p(x) p(y)) >= 0 of a joint pmf.

    pxy   [..., X, Y] joint pmf over both axes together; the others are a batch
    axes  (axes of X, axes of Y), each an int or a tuple: ((0, 1), 2) is I((A,B);C)

    Errors: ValueError for a joint pmf that is not one, axes that overlap or do not exist.
    Source: chapter foundations/measures, step 7.
    """
    xp, pxy, x, y = _joint(pxy, axes)
    px, py = xp.sum(pxy, axis=y, keepdims=True), xp.sum(pxy, axis=x, keepdims=True)
    return xp.sum(_kl_terms(xp, pxy, px * py), axis=x + y) / _unit(base)


def conditional_entropy(pxy, axes=(-2, -1), base=None):
    """What is left to ask about X once Y is known: H(X|Y) = -sum p(x,y) log p(x|y).

    pxy, axes  as in `mutual_information`; axes = (axes of X, axes of Y)

    Errors: ValueError for a joint pmf that is not one, axes that overlap or do not exist.
    Source: chapter foundations/measures, step 7.
    """
    xp, pxy, x, y = _joint(pxy, axes)
    py = xp.sum(pxy, axis=x, keepdims=True)
    return xp.sum(pxy * _log_ratio(xp, py, pxy), axis=x + y) / _unit(base)


def shannon_distance(pxy, axes=(-2, -1), base=None):
    """Shannon's distance of two variables: D_S(X,Y) = H(X|Y) + H(Y|X).

    A metric up to relabelling: 0 when each variable is a function of the other.

    Errors: as in `mutual_information`. Source: chapter foundations/measures, step 12; paper 071.
    """
    return conditional_entropy(pxy, axes, base) + conditional_entropy(pxy, axes[::-1], base)


def rajski_distance(pxy, axes=(-2, -1)):
    """Rajski's distance d_R(X,Y) = D_S(X,Y) / H(X,Y) = 1 - I(X;Y) / H(X,Y), between 0 and 1.

    0 when both variables are constant. No unit.

    Errors: as in `mutual_information`. Source: chapter foundations/measures, step 12; paper 071.
    """
    xp, pxy, x, y = _joint(pxy, axes)
    total = entropy(pxy, axis=x + y)
    return shannon_distance(pxy, axes) / xp.where(total > 0, total, 1.0)


# Partitions ------------------------------------------------------------------------------------


class Partition:
    """A random variable as the partition that it makes of a finite sample space.

    labels   [N] or [N, k]: the value of the variable at each of N points (any sortable labels;
             a word stands for its letters: "aab" has the blocks {0, 1} and {2})
    weights  [N] pmf of the points; None for equal weights

    Only which points share a value counts, not the values; points of weight 0 belong to no block.
    X <= Y     X is a function of Y
    X | Y      join: both variables together, X ∨ Y
    X & Y      meet: the finest variable that is a function of each, X ∧ Y (Gács and Körner)
    X == Y     the same partition

    Errors: ValueError for NaN labels, lengths that differ, weights that are no pmf, and for two
    partitions of different spaces.
    Source: chapter foundations/measures, steps 11 to 13; paper 071.
    """

    def __init__(self, labels, weights=None):
        labels = np.asarray(list(labels) if isinstance(labels, str) else labels)
        if labels.ndim not in (1, 2) or labels.shape[0] == 0:
            raise ValueError(f"labels must have shape [N] or [N, k], N >= 1; got {labels.shape}")
        if labels.dtype.kind == "f" and np.isnan(labels).any():
            raise ValueError(f"labels must not contain NaN; got NaN at {_where(np.isnan(labels))}")
        if weights is None:
            weights = np.full(labels.shape[0], 1 / labels.shape[0])
        else:
            weights = np.asarray(_pmf("weights", weights, -1)[1])
            if weights.shape != labels.shape[:1]:
                raise ValueError(
                    f"weights must have shape {labels.shape[:1]}, one a point; got {weights.shape}"
                )
        self.weights = weights
        support = weights > 0
        self.labels = np.full(labels.shape[0], -1)
        self.labels[support] = np.unique(labels[support], axis=0, return_inverse=True)[1].ravel()

    @classmethod
    def from_joint(cls, pxy):
        """The partitions X and Y of the cells of a joint pmf [X, Y]."""
        _, pxy, _, _ = _joint(pxy, (0, 1))
        pxy = np.asarray(pxy)
        if pxy.ndim != 2:
            raise ValueError(f"pxy must have shape [X, Y]; got {pxy.shape}")
        x, y = np.indices(pxy.shape)
        return cls(x.ravel(), pxy.ravel()), cls(y.ravel(), pxy.ravel())

    @property
    def blocks(self):
        """How many blocks there are, which is the number of values taken."""
        return int(self.labels.max()) + 1

    @property
    def pmf(self):
        """[blocks] the probability of each block."""
        on = self.labels >= 0
        mass = np.bincount(self.labels[on], self.weights[on])
        return mass / mass.sum()  # the sum is 1 up to the rounding of many small weights

    def join(self, other):
        """X ∨ Y: two points stay together when both variables agree on them."""
        self._same_space(other)
        return self._new(self.labels * other.blocks + other.labels)

    def meet(self, other):
        """X ∧ Y: blocks that overlap are merged until none do (connected components)."""
        self._same_space(other)
        parent = list(range(self.blocks + other.blocks))  # blocks of X, then blocks of Y

        def root(i):
            while parent[i] != i:
                parent[i] = i = parent[parent[i]]
            return i

        for x, y in set(zip(self.labels.tolist(), other.labels.tolist())) - {(-1, -1)}:
            parent[root(x)] = root(self.blocks + y)
        return self._new(np.array([root(x) if x >= 0 else -1 for x in self.labels.tolist()]))

    def entropy(self, base=None):
        """H(X) = -sum over blocks of P log P."""
        pmf = self.pmf  # no block is empty
        return float(-np.sum(pmf * np.log(pmf)) / _unit(base)) + 0.0  # -0.0 becomes 0.0

    def conditional_entropy(self, other, base=None):
        """H(X|Y) of this X given the other Y."""
        both = self.join(other)
        on = both.labels >= 0
        mass = np.bincount(both.labels[on], self.weights[on])
        given = np.bincount(other.labels[on], self.weights[on])
        block = np.zeros(both.blocks, dtype=int)
        block[both.labels[on]] = other.labels[on]
        return float(np.sum(mass * _log_ratio(np, given[block], mass)) / mass.sum() / _unit(base))

    def mutual_information(self, other, base=None):
        """I(X;Y) = H(X) - H(X|Y)."""
        return self.entropy(base) - self.conditional_entropy(other, base)

    def shannon_distance(self, other, base=None):
        """D_S(X,Y) = H(X|Y) + H(Y|X)."""
        return self.conditional_entropy(other, base) + other.conditional_entropy(self, base)

    def rajski_distance(self, other):
        """d_R(X,Y) = D_S(X,Y) / H(X,Y), between 0 and 1; 0 when both are constant."""
        total = self.join(other).entropy()
        return self.shannon_distance(other) / total if total > 0 else 0.0

    def __le__(self, other):
        return self.join(other).blocks == other.blocks

    def __eq__(self, other):
        return isinstance(other, Partition) and self <= other and other <= self

    __hash__ = None
    __or__ = join
    __and__ = meet

    def __repr__(self):
        return f"Partition({self.blocks} blocks of {self.labels.size} points)"

    def _new(self, labels):
        new = object.__new__(Partition)
        new.weights, new.labels = self.weights, np.full(self.labels.shape, -1)
        on = self.labels >= 0
        new.labels[on] = np.unique(labels[on], return_inverse=True)[1]
        return new

    def _same_space(self, other):
        if not isinstance(other, Partition):
            raise TypeError(f"the other side must be a Partition; got {type(other).__name__}")
        if not np.array_equal(self.weights, other.weights):
            raise ValueError(
                "both partitions must divide the same points with the same weights;"
                f" got {self!r} and {other!r}"
            )


# Semantic information ----------------------------------------------------------------------------


def logical_probability(prior, truth, axis=-1):
    """How much of the prior a statement covers: T(θ) = sum_x P(x) T(θ|x).

    prior  [..., X] pmf P(x)
    truth  [..., X] truth function T(θ|x), each in [0, 1]; it need not sum to anything

    Errors: ValueError for a prior that is no pmf, a truth outside [0, 1] or 0 wherever P > 0.
    Source: chapter foundations/measures, step 14; paper 137.
    """
    xp, prior, truth = _truth(prior, truth, axis)
    return xp.sum(prior * truth, axis=axis)


def semantic_bayes(prior, truth, axis=-1):
    """The prior as a true statement sharpens it: P(x|θ) = P(x) T(θ|x) / T(θ).

    Shapes and errors as in `logical_probability`. Source: chapter foundations/measures, step 14.
    """
    xp, prior, truth = _truth(prior, truth, axis)
    return prior * truth / xp.sum(prior * truth, axis=axis, keepdims=True)


def semantic_information(prior, truth, posterior, axis=-1, base=None):
    """Average information of a statement under the facts that go with it.

    I(X;θ) = sum_x P(x|y) log(T(θ|x) / T(θ)) = D(P(x|y)‖P(x)) - D(P(x|y)‖P(x|θ))

    posterior  [..., X] pmf P(x|y) of the facts when the statement is made
    Negative when the statement misleads; -inf when it is plainly false (T = 0 at a fact).
    Where posterior > 0 the prior must be > 0 too.

    Errors: as in `logical_probability`, and for a fact that the prior excludes.
    Source: chapter foundations/measures, step 14; paper 137.
    """
    xp, prior, truth = _truth(prior, truth, axis)
    _, _, posterior = _pmf_pair(prior, posterior, axis, names=("prior", "posterior"))
    if bool(xp.any((posterior > 0) & (prior == 0))):
        raise ValueError("prior must be > 0 wherever posterior is; got 0 at a fact that happens")
    log_truth = xp.where((posterior > 0) & (truth == 0), -math.inf, _log(xp, truth))
    covered = xp.sum(prior * truth, axis=axis)
    # a fact with posterior 0 adds nothing, whatever its truth
    terms = xp.where(posterior > 0, posterior * log_truth, 0.0)
    return (xp.sum(terms, axis=axis) - xp.log(covered)) / _unit(base)


# Trade names of credit scoring -------------------------------------------------------------------


def weight_of_evidence(good, bad):
    """Weight of evidence of each bin: WoE_k = log(good_k / bad_k), in nats.

    good, bad  [..., K] shares of the good and of the bad cases in bin k: two pmfs
    +inf or -inf in a bin that holds only one kind.

    Errors: ValueError for pmfs that are none, and for a bin that is empty in both.
    Source: chapter foundations/measures, step 16; paper 077.
    """
    xp, good, bad = _pmf_pair(good, bad, -1, names=("good", "bad"))
    empty = (good == 0) & (bad == 0)
    if bool(xp.any(empty)):
        raise ValueError(f"every bin must hold a case; bin {_where(empty)} is empty in both")
    one_kind = xp.where(bad == 0, math.inf, xp.where(good == 0, -math.inf, 0.0))
    return _log_ratio(xp, good, bad) + one_kind


def information_value(good, bad):
    """Information value IV = sum_k (good_k - bad_k) WoE_k: Jeffreys divergence, by its trade name.

    Shapes and errors as in `jeffreys`. Source: chapter foundations/measures, step 16; paper 077.
    """
    return jeffreys(good, bad)


def stability_index(expected, actual):
    """Population stability index PSI: Jeffreys divergence again, of one variable at two dates.

    Shapes and errors as in `jeffreys`. Source: chapter foundations/measures, step 16; paper 077.
    """
    return jeffreys(expected, actual)


def jeffreys_variance(p, q, n_p, n_q, axis=-1):
    """Sampling variance of J(p, q) when p and q are shares in samples of n_p and n_q cases.

    Delta method: Var_p[log(p/q) - q/p] / n_p + Var_q[log(q/p) - p/q] / n_q, to first order in
    1/n, for independent samples in which no bin comes out empty. It vanishes at p = q, where the
    law is another: see `jeffreys_statistic`.

    Errors: ValueError for pmfs that are none or have a 0, a sample size < 1.
    Source: chapter foundations/measures, step 17.
    """
    n_p, n_q = _size("n_p", n_p), _size("n_q", n_q)
    xp, p, q = _pmf_pair(p, q, axis)
    for name, x in (("p", p), ("q", q)):
        if not bool(xp.all(x > 0)):
            raise ValueError(f"{name} must be > 0 everywhere; got 0 at {_where(x == 0)}")
    ratio = _log_ratio(xp, p, q)

    def variance(weight, score):
        mean = xp.sum(weight * score, axis=axis, keepdims=True)
        return xp.sum(weight * (score - mean) ** 2, axis=axis)

    return variance(p, ratio - q / p) / n_p + variance(q, -ratio - p / q) / n_q


def jeffreys_statistic(p, q, n_p, n_q, axis=-1):
    """J(p, q) / (1/n_p + 1/n_q): chi-square with K - 1 degrees if both samples have one source.

    That is its limit in distribution as both samples grow, for K fixed bins of positive chance.

    Errors: ValueError for pmfs that are none, a sample size < 1.
    Source: chapter foundations/measures, step 16.
    """
    return jeffreys(p, q, axis) / (1 / _size("n_p", n_p) + 1 / _size("n_q", n_q))


# What is accepted --------------------------------------------------------------------------------


def _arrays(**named):
    """One array namespace and its arrays; lists and whole numbers become float arrays."""
    given = [x for x in named.values() if is_array_api_obj(x)]
    try:
        xp = array_namespace(*given) if given else array_namespace(np.empty(0))
    except TypeError:
        kinds = ", ".join(f"{n}: {type(x).__module__.split('.')[0]}" for n, x in named.items())
        raise TypeError(f"arguments must be arrays of one library; got {kinds}") from None
    place = {"device": given[0].device} if given and hasattr(given[0], "detach") else {}
    arrays = []
    for name, x in named.items():
        if not is_array_api_obj(x):
            try:
                x = np.asarray(x, dtype=float)
            except (TypeError, ValueError):
                raise ValueError(
                    f"{name} must be numbers in a rectangular array; got {x!r}"
                ) from None
            x = xp.asarray(x, dtype=given[0].dtype if given else None, **place)
        if not xp.isdtype(x.dtype, "real floating"):
            if xp.isdtype(x.dtype, "complex floating"):
                raise ValueError(f"{name} must be real; got dtype {x.dtype}")
            x = xp.astype(x, xp.float64)
        elif xp.finfo(x.dtype).bits < 32:
            x = xp.astype(x, xp.float32)
        arrays.append(x)
    return xp, arrays


def _pmf(name, p, axis):
    """The namespace and p as a float array, after making sure that it is a pmf along `axis`."""
    coarse = _eps(p)
    xp, (p,) = _arrays(**{name: p})
    axes = _axes(name, p, axis)
    _nonnegative(xp, name, p)
    total = xp.sum(p, axis=axes)
    size = math.prod(p.shape[a] for a in axes)
    tol = min(0.02, math.sqrt(size) * max(coarse, float(xp.finfo(p.dtype).eps)) ** 0.75)
    if not bool(xp.max(abs(total - 1)) <= tol):
        bad = ~(abs(total - 1) <= tol)
        raise ValueError(
            f"{name} must sum to 1 along axis {axis} within {tol:.1g}; got {_first(total, bad)}"
        )
    return xp, p


def _eps(p):
    """The rounding unit of the dtype in which p came, 0 for whatever has none."""
    try:
        return float(array_namespace(p).finfo(p.dtype).eps)
    except (TypeError, ValueError, AttributeError):
        return 0.0


def _pmf_pair(p, q, axis, names=("p", "q")):
    _arrays(**dict(zip(names, (p, q))))  # one library, before anything else
    if is_array_api_obj(p) != is_array_api_obj(q):
        _, (p, q) = _arrays(**dict(zip(names, (p, q))))
    (xp, p), (_, q) = _pmf(names[0], p, axis), _pmf(names[1], q, axis)
    try:
        same = all(p.shape[a] == q.shape[a] for a in (axis if isinstance(axis, tuple) else (axis,)))
        np.broadcast_shapes(tuple(p.shape), tuple(q.shape))
    except ValueError:
        same = False
    if not same:
        raise ValueError(
            f"{names[0]} and {names[1]} must have matching shapes, with as many outcomes along axis"
            f" {axis}; got {tuple(p.shape)} and {tuple(q.shape)}"
        )
    return xp, p, q


def _joint(pxy, axes):
    """The namespace, the joint pmf and the axes of X and of Y as tuples."""
    if not (isinstance(axes, (tuple, list)) and len(axes) == 2):
        raise ValueError(f"axes must be a pair (axes of X, axes of Y); got {axes!r}")
    xp, (pxy,) = _arrays(pxy=pxy)
    x, y = (_axes("pxy", pxy, a) for a in axes)
    if set(x) & set(y):
        raise ValueError(f"axes of X and of Y must differ; got {axes!r}")
    return *_pmf("pxy", pxy, x + y), x, y


def _truth(prior, truth, axis):
    xp, (prior, truth) = _arrays(prior=prior, truth=truth)
    _pmf("prior", prior, axis)
    outside = ~((truth >= 0) & (truth <= 1))
    if bool(xp.any(outside)):
        raise ValueError(f"truth must lie in [0, 1]; got {_first(truth, outside)}")
    try:
        np.broadcast_shapes(tuple(prior.shape), tuple(truth.shape))
        same = prior.shape[axis] == truth.shape[axis]
    except (ValueError, IndexError):
        same = False
    if not same:
        raise ValueError(
            f"prior and truth must have matching shapes; got {tuple(prior.shape)}"
            f" and {tuple(truth.shape)}"
        )
    if not bool(xp.all(xp.sum(prior * truth, axis=axis) > 0)):
        raise ValueError(
            "truth must be > 0 somewhere on the support of prior; got logical probability 0"
        )
    return xp, prior, truth


def _axes(name, array, axis):
    """Axes as a tuple of numbers 0 <= a < ndim."""
    if array.ndim == 0:
        raise ValueError(f"{name} must be an array with at least one axis; got {array}")
    axes = axis if isinstance(axis, tuple) else (axis,)
    found = []
    for a in axes:
        if not isinstance(a, int) or isinstance(a, bool) or not -array.ndim <= a < array.ndim:
            raise ValueError(f"axis must be one of the {array.ndim} axes of {name}; got {a!r}")
        found.append(a % array.ndim)
    if len(set(found)) != len(found) or not found:
        raise ValueError(f"axis must not repeat or be empty; got {axis!r}")
    return tuple(found)


def _nonnegative(xp, name, x):
    if math.prod(x.shape) == 0:
        raise ValueError(f"{name} must not be empty; got shape {tuple(x.shape)}")
    if not bool(xp.min(x) >= 0):  # NaN fails it too; one pass over the data, no temporary
        bad = ~(x >= 0)
        raise ValueError(f"{name} must be >= 0 everywhere; got {_first(x, bad)} at {_where(bad)}")


def _number(name, value):
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number; got {value!r}") from None


def _size(name, value):
    value = _number(name, value)
    if not (value >= 1 and math.isfinite(value)):
        raise ValueError(f"{name} must be a number of cases >= 1; got {value:g}")
    return value


def _unit(base):
    """The size of the unit in nats."""
    if base is None:
        return 1.0
    value = _number("base", base)
    if not (value > 1 and math.isfinite(value)):
        raise ValueError(f"base must be a number > 1, or None for nats; got {base!r}")
    return math.log(value)


def _first(x, bad):
    """The first offending value, for a message."""
    x, bad = (np.asarray(a.detach().cpu() if hasattr(a, "detach") else a) for a in (x, bad))
    return f"{x[bad][0]:.6g}"


def _where(bad):
    """The place of the first True, for a message."""
    place = np.argwhere(np.asarray(bad.detach().cpu() if hasattr(bad, "detach") else bad))[0]
    return int(place[0]) if place.size == 1 else tuple(int(i) for i in place)


# Arithmetic that keeps its digits ----------------------------------------------------------------


def _support_size(xp, p, axis):
    return xp.sum(xp.astype(p > 0, p.dtype), axis=axis)


def _log(xp, x):
    """log x, with 0 in place of -inf at x = 0 (its factor is 0)."""
    return xp.log(xp.where(x > 0, x, 1.0))


def _log_ratio(xp, a, b):
    """log(a / b) where both are > 0, else 0; exact to rounding when a is close to b."""
    both = (a > 0) & (b > 0)
    close = both & (abs(a - b) < b / 2)
    near = xp.log1p(xp.where(close, a - b, 0.0) / xp.where(close, b, 1.0))
    return xp.where(close, near, xp.where(both, _log(xp, a) - _log(xp, b), 0.0))


def _kl_terms(xp, p, q):
    """p log(p/q) - p + q, term by term >= 0: the last two add up to 0 over two pmfs."""
    close = abs(q - p) < p / 2
    r = xp.where(close, q - p, 0.0) / xp.where(close, p, 1.0)
    near = p * (r - xp.log1p(r))
    far = p * (_log(xp, p) - _log(xp, q)) + (q - p)
    return xp.where(close, near, xp.where((p > 0) & (q == 0), math.inf, far))
