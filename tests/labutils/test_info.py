"""Properties of the measures, of the lattice, and of what bad input is told."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import info

settings.register_profile("info", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("info")

ORDERS = (0, 0.3, 0.95, 1, 1.05, 2, 7.5, math.inf)
NAMED = ("kl", "reverse-kl", "jeffreys", "js", "hellinger", "tv", "chi2", "neyman-chi2")


@st.composite
def pmfs(draw, size=None, zeros=True):
    """A pmf of 2 to 6 outcomes, now and then with exact zeros or with a dominant outcome."""
    n = size or draw(st.integers(2, 6))
    low = 0.0 if zeros else 1e-6
    grain = st.one_of(st.floats(0.01, 1.0), st.sampled_from([low, max(low, 1e-9), 1e3]))
    masses = np.array(draw(st.lists(grain, min_size=n, max_size=n)))
    masses[draw(st.integers(0, n - 1))] += 0.1
    return masses / masses.sum()


@st.composite
def pairs(draw, zeros=True, count=2):
    n = draw(st.integers(2, 6))
    return tuple(draw(pmfs(n, zeros)) for _ in range(count))


@st.composite
def joints(draw, ndim=2):
    shape = tuple(draw(st.integers(2, 3)) for _ in range(ndim))
    return draw(pmfs(math.prod(shape))).reshape(shape)


@st.composite
def partitions(draw, count=2, size=8):
    weights = draw(st.one_of(st.none(), pmfs(size)))
    labels = st.lists(st.integers(0, 4), min_size=size, max_size=size)
    return tuple(info.Partition(draw(labels), weights) for _ in range(count))


def uniform(n):
    return np.full(n, 1 / n)


# Entropies ------------------------------------------------------------------------------------


def test_known_entropies():
    assert info.entropy(uniform(8), base=2) == pytest.approx(3, abs=1e-15)
    assert info.entropy([0.5, 0.25, 0.25], base=2) == pytest.approx(1.5, abs=1e-15)
    assert info.entropy([0.9, 0.1], order=2) == pytest.approx(-math.log(0.82), abs=1e-15)
    assert info.entropy([0.9, 0.1], order=math.inf) == pytest.approx(-math.log(0.9), abs=1e-16)
    assert info.entropy([0.9, 0.1, 0.0], order=0) == pytest.approx(math.log(2), abs=1e-15)
    assert info.entropy([0.9, 0.1], order=2, kind="tsallis") == pytest.approx(0.18, abs=1e-15)
    assert info.entropy([0.9, 0.1, 0.0], order=0, kind="tsallis") == 1
    assert info.entropy([0.9, 0.1], order=math.inf, kind="tsallis") == 0
    for order in ORDERS:
        for kind in info.KINDS:
            assert info.entropy([1.0, 0.0, 0.0], order, kind) == 0


@given(pmfs(), st.sampled_from(ORDERS))
def test_entropy_bounds(p, order):
    h = info.entropy(p, order)
    assert -1e-14 <= h <= math.log(p.size) + 1e-12
    assert info.entropy(uniform(p.size), order) == pytest.approx(math.log(p.size), abs=1e-12)
    assert info.entropy(p[::-1], order) == pytest.approx(h, abs=1e-13)


@given(pmfs())
def test_renyi_falls_with_the_order(p):
    values = [info.entropy(p, order) for order in ORDERS]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(values))


@given(pmfs(), pmfs(), st.sampled_from(ORDERS))
def test_renyi_is_additive_and_tsallis_is_not(p, q, order):
    both = np.outer(p, q).ravel()
    assert info.entropy(both, order) == pytest.approx(
        info.entropy(p, order) + info.entropy(q, order), abs=1e-11
    )
    if order != math.inf:
        a, b = (info.entropy(x, order, "tsallis") for x in (p, q))
        assert info.entropy(both, order, "tsallis") == pytest.approx(
            a + b + (1 - order) * a * b, rel=1e-10, abs=1e-11
        )


def exact(p, order, kind):
    """The same entropy in 60 digits, of the pmf that the floats stand for once normalised."""
    with mpmath.workdps(60):
        total = mpmath.fsum(p)
        p = [mpmath.mpf(x) / total for x in p if x > 0]
        a = mpmath.mpf(order)
        if order == 1:
            return float(-mpmath.fsum(x * mpmath.log(x) for x in p))
        power = mpmath.fsum(x**a for x in p)
        return float((1 - power) / (a - 1) if kind == "tsallis" else mpmath.log(power) / (1 - a))


@pytest.mark.parametrize("kind", info.KINDS)
@pytest.mark.parametrize(
    "step", [0, 1e-15, -1e-12, 1e-8, -1e-5, 1e-3, 0.0999, 0.1001, -0.0999, -0.1001]
)
def test_no_digits_are_lost_near_order_one(kind, step):
    rng = np.random.default_rng(1)
    for p in (
        rng.dirichlet(np.ones(5)),
        rng.dirichlet(np.full(200, 0.1)),
        np.array([1 - 1e-9, 1e-9]),
    ):
        want = exact(p, 1 + step, kind)
        assert info.entropy(p, 1 + step, kind) == pytest.approx(
            want, abs=5e-15 * (1 + want) + 1e-14 * abs(want)
        )


@pytest.mark.parametrize("kind", info.KINDS)
@pytest.mark.parametrize("order", [0.01, 0.5, 1.5, 2, 10, 300])
def test_other_orders_against_sixty_digits(kind, order):
    p = np.random.default_rng(2).dirichlet(np.full(50, 0.3))
    assert info.entropy(p, order, kind) == pytest.approx(exact(p, order, kind), rel=1e-13)


@given(pmfs(), st.sampled_from(info.KINDS))
def test_the_limits_are_reached(p, kind):
    p = p[p > 1e-3] / p[p > 1e-3].sum()
    assert info.entropy(p, 1 + 1e-9, kind) == pytest.approx(info.entropy(p), abs=1e-7)
    assert info.entropy(p, 1e-9, kind) == pytest.approx(info.entropy(p, 0, kind), abs=1e-6)
    assert info.entropy(p, 1e6, kind) == pytest.approx(info.entropy(p, math.inf, kind), abs=1e-5)


def test_axes_and_batches():
    p = np.random.default_rng(3).dirichlet(np.ones(4), size=(2, 3))
    each = [[info.entropy(p[i, j]) for j in range(3)] for i in range(2)]
    assert np.allclose(info.entropy(p), each, atol=1e-15)
    assert np.allclose(info.entropy(np.moveaxis(p, -1, 0), axis=0), each, atol=1e-15)
    joint = p / 6
    assert info.entropy(joint, axis=(0, 1, 2)) == pytest.approx(
        info.entropy(joint.ravel()), abs=1e-14
    )
    assert np.allclose(
        info.kl(p, p[0, 0]), [[info.kl(x, p[0, 0]) for x in row] for row in p], atol=1e-16
    )
    for order in ORDERS:
        assert info.entropy(p, order).shape == (2, 3)


def test_bits_are_nats_over_log_two():
    p, q = [0.7, 0.2, 0.1], [0.2, 0.3, 0.5]
    for measure in (info.cross_entropy, info.kl, info.jeffreys, info.js):
        assert measure(p, q, base=2) == pytest.approx(measure(p, q) / math.log(2), abs=1e-15)
    assert info.entropy(p, 2, base=2) == pytest.approx(info.entropy(p, 2) / math.log(2), abs=1e-15)


# Divergences ----------------------------------------------------------------------------------


@given(pairs())
def test_divergences_are_never_negative(pq):
    p, q = pq
    for measure in (info.kl, info.jeffreys, info.js):
        assert measure(p, q) >= 0
        assert measure(p, p) == 0
    assert info.kl(p, q) == pytest.approx(info.cross_entropy(p, q) - info.entropy(p), abs=1e-11)
    assert info.jeffreys(p, q) == pytest.approx(info.kl(p, q) + info.kl(q, p), rel=1e-9, abs=1e-12)
    assert info.jeffreys(p, q) == pytest.approx(info.jeffreys(q, p), rel=1e-12, abs=1e-15)
    assert info.js(p, q) == pytest.approx(info.js(q, p), abs=1e-15)
    assert info.js(p, q) <= math.log(2) + 1e-15


def test_zeros_and_infinities():
    p, q = [0.5, 0.5, 0.0], [0.5, 0.0, 0.5]
    assert info.kl(p, q) == math.inf and info.cross_entropy(p, q) == math.inf
    assert info.jeffreys(p, q) == math.inf
    assert info.kl([1.0, 0.0], [0.5, 0.5]) == pytest.approx(math.log(2), abs=1e-16)
    assert info.js([1.0, 0.0], [0.0, 1.0]) == pytest.approx(math.log(2), abs=1e-16)
    assert info.js([1.0, 0.0], [0.0, 1.0], (0.2, 0.8)) == pytest.approx(
        info.entropy([0.2, 0.8]), abs=1e-15
    )
    assert info.js([1.0, 0.0], [0.0, 1.0], (1, 0)) == 0
    assert info.kl([1e-320, 1.0], [0.5, 0.5]) == pytest.approx(math.log(2), abs=1e-15)


def test_close_pmfs_keep_their_digits():
    p = np.array([0.3, 0.3, 0.4])
    d = np.array([1.0, -2.0, 1.0])
    for size in (1e-3, 1e-6, 1e-8):
        q = p + size * d
        with mpmath.workdps(50):
            e = [(mpmath.mpf(float(x)), mpmath.mpf(float(y))) for x, y in zip(p, q)]
            want = float(mpmath.fsum(x * mpmath.log(x / y) - x + y for x, y in e))
        assert info.kl(p, q) == pytest.approx(want, rel=1e-7, abs=0)


@given(pairs(count=3))
def test_root_of_js_is_a_metric(pqr):
    p, q, r = pqr
    d = lambda a, b: math.sqrt(info.js(a, b))  # noqa: E731
    assert d(p, r) <= d(p, q) + d(q, r) + 1e-9


def test_kl_jeffreys_and_js_break_the_triangle():
    p, q, r = [0.9, 0.1], [0.5, 0.5], [0.1, 0.9]
    for measure in (info.kl, info.jeffreys, info.js):
        assert measure(p, r) > measure(p, q) + measure(q, r) + 1e-3
    # the root of Jeffreys fails as well
    a, b, c = [0.999, 0.001], [0.9, 0.1], [0.5, 0.5]
    triples = itertools.permutations((a, b, c))
    gaps = [
        math.sqrt(info.jeffreys(x, z))
        - math.sqrt(info.jeffreys(x, y))
        - math.sqrt(info.jeffreys(y, z))
        for x, y, z in triples
    ]
    assert max(gaps) > 1e-3


@given(pairs(count=4), st.floats(0, 1))
def test_joint_convexity(four, t):
    p, q, r, s = four
    mix_p, mix_q = t * p + (1 - t) * r, t * q + (1 - t) * s
    for measure in (info.kl, info.js, info.jeffreys):
        parts = [w * measure(a, b) for w, a, b in ((t, p, q), (1 - t, r, s)) if w > 0]
        assert measure(mix_p, mix_q) <= sum(parts) + 1e-12


@given(pairs(), st.data())
def test_data_processing(pq, data):
    p, q = pq
    channel = np.stack([data.draw(pmfs(3)) for _ in p])
    for name in NAMED:
        before, after = info.fdiv(p, q, name), info.fdiv(p @ channel, q @ channel, name)
        assert after <= before + 1e-9 * (1 + before)
    assert info.kl(p @ channel, q @ channel) <= info.kl(p, q) + 1e-12


@given(pairs())
def test_named_fdivergences(pq):
    p, q = pq
    assert info.fdiv(p, q, "kl") == pytest.approx(info.kl(p, q), rel=1e-9, abs=1e-12)
    assert info.fdiv(p, q, "reverse-kl") == pytest.approx(info.kl(q, p), rel=1e-9, abs=1e-12)
    assert info.fdiv(p, q, "jeffreys") == pytest.approx(info.jeffreys(p, q), rel=1e-9, abs=1e-12)
    assert info.fdiv(p, q, "js") == pytest.approx(info.js(p, q), abs=1e-12)
    assert info.fdiv(p, q, "tv") == pytest.approx(0.5 * abs(p - q).sum(), abs=1e-12)
    assert info.fdiv(p, q, "hellinger") == pytest.approx(1 - np.sqrt(p * q).sum(), abs=1e-12)
    assert info.fdiv(p, q, "neyman-chi2") == pytest.approx(
        info.fdiv(q, p, "chi2"), rel=1e-9, abs=1e-12
    )
    for name in NAMED:
        assert info.fdiv(p, p, name) == pytest.approx(0, abs=1e-14)


@given(pairs(), st.floats(-2, 3))
def test_alpha_family(pq, a):
    p, q = pq
    alpha = lambda x, y, a: info.fdiv(x, y, "alpha", alpha=a)  # noqa: E731
    assert alpha(p, q, a) >= -1e-12
    assert alpha(p, q, a) == pytest.approx(alpha(q, p, 1 - a), rel=1e-8, abs=1e-11)
    assert alpha(p, q, 1) == pytest.approx(info.kl(p, q), rel=1e-9, abs=1e-12)
    assert alpha(p, q, 0) == pytest.approx(info.kl(q, p), rel=1e-9, abs=1e-12)
    assert alpha(p, q, 0.5) == pytest.approx(4 * info.fdiv(p, q, "hellinger"), abs=1e-12)
    assert alpha(p, q, 2) == pytest.approx(info.fdiv(p, q, "chi2") / 2, rel=1e-9, abs=1e-12)


def test_alpha_is_continuous_at_both_ends():
    p, q = [0.7, 0.2, 0.1], [0.2, 0.3, 0.5]
    for a in (1e-9, -1e-9, 1 - 1e-9, 1 + 1e-9):
        nearest = info.fdiv(p, q, "alpha", alpha=round(a))
        assert info.fdiv(p, q, "alpha", alpha=a) == pytest.approx(nearest, abs=1e-8)


def test_a_callable_needs_its_limits_only_where_supports_differ():
    square = lambda t: (t - 1) ** 2  # noqa: E731
    p, q = [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]
    assert info.fdiv(p, q, square, at_zero=1.0) == pytest.approx(info.fdiv(p, q, "chi2"), abs=1e-15)
    with pytest.raises(ValueError, match="at_zero must be given"):
        info.fdiv(p, q, square)
    with pytest.raises(ValueError, match="at_infinity must be given"):
        info.fdiv(q, p, square)
    assert info.fdiv(q, p, square, at_infinity=math.inf) == math.inf
    with pytest.raises(ValueError, match=r"f must vanish at 1; got f\(1\) = 1"):
        info.fdiv(p, q, lambda t: t)


# Two variables --------------------------------------------------------------------------------


@given(joints())
def test_chain_rule_and_mutual_information(pxy):
    x, y, both = info.entropy(pxy.sum(1)), info.entropy(pxy.sum(0)), info.entropy(pxy, axis=(0, 1))
    assert both == pytest.approx(y + info.conditional_entropy(pxy), abs=1e-12)
    assert both == pytest.approx(x + info.conditional_entropy(pxy, (1, 0)), abs=1e-12)
    mi = info.mutual_information(pxy)
    assert mi == pytest.approx(x + y - both, abs=1e-12)
    assert 0 <= mi <= min(x, y) + 1e-12
    assert mi == pytest.approx(info.mutual_information(pxy.T), abs=1e-14)


@given(joints(3))
def test_chain_rule_of_mutual_information(pxyz):
    whole = info.mutual_information(pxyz, ((0, 1), 2))
    first = info.mutual_information(pxyz.sum(1), (0, 1))
    rest = 0.0
    for i in range(pxyz.shape[0]):
        if (mass := pxyz[i].sum()) > 0:
            rest += mass * info.mutual_information(pxyz[i] / mass)
    assert whole == pytest.approx(first + rest, abs=1e-11)
    assert first <= whole + 1e-12  # forgetting a variable never adds information


def test_independent_and_copied_variables():
    p = np.array([0.2, 0.3, 0.5])
    assert info.mutual_information(np.outer(p, p)) == pytest.approx(0, abs=1e-16)
    assert info.mutual_information(np.diag(p)) == pytest.approx(info.entropy(p), abs=1e-15)
    assert info.conditional_entropy(np.diag(p)) == 0
    batch = np.stack([np.outer(p, p), np.diag(p)])
    assert info.mutual_information(batch).shape == (2,)
    assert info.mutual_information(np.moveaxis(batch, 0, -1), (0, 1)).shape == (2,)


@given(joints(3))
def test_shannon_and_rajski_are_metrics(pxyz):
    pairs = {(0, 1): pxyz.sum(2), (1, 2): pxyz.sum(0), (0, 2): pxyz.sum(1)}
    for distance in (info.shannon_distance, info.rajski_distance):
        d = {k: float(distance(v)) for k, v in pairs.items()}
        assert d[0, 1] == pytest.approx(float(distance(pairs[0, 1].T)), abs=1e-12)
        for a, b, c in itertools.permutations(d.values()):
            assert a <= b + c + 1e-10
    assert all(-1e-15 <= info.rajski_distance(v) <= 1 + 1e-12 for v in pairs.values())


def test_other_normalisations_are_not_metrics():
    rng = np.random.default_rng(5)
    triples = rng.dirichlet(np.full(8, 0.3), size=4000).reshape(-1, 2, 2, 2)
    pairs = [triples.sum(axis) for axis in (1, 2, 3)]

    def violations(distance):
        a, b, c = (distance(p) for p in pairs)
        worst = np.maximum(a - b - c, np.maximum(b - a - c, c - a - b))
        return int((worst > 1e-9).sum())

    mi = info.mutual_information
    hx, hy = (lambda p: info.entropy(p.sum(-1))), (lambda p: info.entropy(p.sum(-2)))
    assert violations(info.rajski_distance) == 0
    assert violations(info.shannon_distance) == 0
    assert violations(lambda p: 1 - mi(p) / np.minimum(hx(p), hy(p))) > 0
    assert violations(lambda p: 1 - 2 * mi(p) / (hx(p) + hy(p))) > 0


# Differential entropy -------------------------------------------------------------------------


@pytest.mark.parametrize("n", [200, 2000])
def test_differential_entropy_does_not_follow_the_grid(n):
    x, dx = np.linspace(-10, 10, n, retstep=True)
    f = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    want = 0.5 * math.log(2 * math.pi * math.e)
    assert info.differential_entropy(f, dx) == pytest.approx(want, abs=1e-9)
    assert info.entropy(f * dx / (f * dx).sum()) == pytest.approx(want - math.log(dx), abs=1e-9)
    assert info.differential_entropy(f, np.full(n, dx), base=2) == pytest.approx(
        want / math.log(2), abs=1e-9
    )


def test_differential_entropy_may_be_negative_and_scales():
    f = np.full(100, 10.0)
    assert info.differential_entropy(f, 0.001) == pytest.approx(-math.log(10), abs=1e-12)
    with pytest.raises(ValueError, match=r"mass sum\(density \* dx\) = 1 within 0.001; got 2"):
        info.differential_entropy(f, 0.002)
    with pytest.raises(ValueError, match="dx must be > 0; got -1"):
        info.differential_entropy(f, -1)
    with pytest.raises(ValueError, match="one width a cell"):
        info.differential_entropy(f, np.ones(3))


# The lattice ----------------------------------------------------------------------------------


@given(partitions(3))
def test_lattice_laws(xyz):
    x, y, z = xyz
    assert x | x == x and x & x == x
    assert x | y == y | x and x & y == y & x
    assert (x | y) | z == x | (y | z) and (x & y) & z == x & (y & z)
    assert x | (x & y) == x and x & (x | y) == x
    assert (x <= y) == (x | y == y) == (x & y == x)
    assert x & y <= x <= x | y
    assert (x & y) | (x & z) <= x & (y | z)  # distributive in one direction only


def test_the_lattice_is_not_distributive():
    x, y, z = (info.Partition(labels) for labels in ("aab", "aba", "baa"))
    assert x & (y | z) == x
    assert (x & y) | (x & z) == info.Partition("aaa")
    assert not x & (y | z) <= (x & y) | (x & z)


@given(partitions(3))
def test_partition_metrics(xyz):
    x, y, z = xyz
    for d in (info.Partition.shannon_distance, info.Partition.rajski_distance):
        assert d(x, z) <= d(x, y) + d(y, z) + 1e-10
        assert d(x, y) == pytest.approx(d(y, x), abs=1e-12)
        assert (d(x, y) < 1e-12) == (x == y) or x.entropy() < 1e-6
        join, meet = x | y, x & y
        assert d(x, join) + d(join, y) == pytest.approx(d(x, y), abs=1e-12)
        assert d(x, y) <= d(x, meet) + d(meet, y) + 1e-12
    assert (x & y).entropy() <= x.mutual_information(y) + 1e-12


@given(joints())
def test_partitions_of_a_joint_pmf(pxy):
    x, y = info.Partition.from_joint(pxy)
    assert x.entropy() == pytest.approx(info.entropy(pxy.sum(1)), abs=1e-12)
    assert x.conditional_entropy(y) == pytest.approx(info.conditional_entropy(pxy), abs=1e-12)
    assert x.mutual_information(y) == pytest.approx(info.mutual_information(pxy), abs=1e-12)
    assert x.shannon_distance(y) == pytest.approx(info.shannon_distance(pxy), abs=1e-12)
    assert x.rajski_distance(y) == pytest.approx(info.rajski_distance(pxy), abs=1e-12)


def test_chinese_remainder_is_tight_and_a_shared_factor_is_not_enough():
    n = np.arange(12)
    whole, parts = info.Partition(n), [info.Partition(n % 3), info.Partition(n % 4)]
    assert parts[0] | parts[1] == whole
    assert sum(whole.rajski_distance(p) for p in parts) == pytest.approx(1, abs=1e-14)
    parts = [info.Partition(n % 2), info.Partition(n % 6)]
    assert sum(whole.rajski_distance(p) for p in parts) == pytest.approx(1, abs=1e-14)
    assert parts[0] | parts[1] != whole


def test_points_without_weight_do_not_count():
    x = info.Partition([0, 1, 1], [0.5, 0.5, 0.0])
    y = info.Partition([0, 1, 0], [0.5, 0.5, 0.0])
    assert x == y and x & y == x and x.blocks == 2
    assert x.labels.tolist() == [0, 1, -1]


def test_a_long_chain_and_many_points():
    n = 20001
    x, y = info.Partition(np.arange(n) // 2), info.Partition((np.arange(n) + 1) // 2)
    assert (x & y).blocks == 1 and (x & y).entropy() == 0
    assert x | y == info.Partition(np.arange(n))
    assert info.Partition(np.zeros(n)).rajski_distance(info.Partition(np.ones(n))) == 0


def test_labels_may_be_rows_and_words():
    rows = info.Partition([[0, 1], [0, 1], [1, 0]])
    assert (
        rows == info.Partition(["red", "red", "blue"])
        and repr(rows) == "Partition(2 blocks of 3 points)"
    )
    assert np.allclose(np.sort(rows.pmf), [1 / 3, 2 / 3])
    assert rows.entropy(base=2) == pytest.approx(info.entropy([1 / 3, 2 / 3], base=2), abs=1e-15)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: info.Partition([[[1]]]), r"labels must have shape \[N\] or \[N, k\]"),
        (lambda: info.Partition([]), "labels must have shape"),
        (lambda: info.Partition([0.0, math.nan]), "labels must not contain NaN; got NaN at 1"),
        (lambda: info.Partition([0, 1], [0.5, 0.6]), "weights must sum to 1 .* got 1.1"),
        (lambda: info.Partition([0, 1], [1.0]), r"weights must have shape \(2,\)"),
        (lambda: info.Partition("ab") | info.Partition("abc"), "must divide the same points"),
        (lambda: info.Partition.from_joint(np.ones((1, 1, 1))), "must sum to 1|must have shape"),
    ],
)
def test_bad_partitions(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_partition_of_something_else():
    with pytest.raises(TypeError, match="other side must be a Partition; got list"):
        info.Partition("ab") | ["a", "b"]
    assert info.Partition("ab") != ["a", "b"]


# Semantic information -------------------------------------------------------------------------


@given(pairs(zeros=False), st.data())
def test_semantic_information_is_a_difference_of_two_kls(pq, data):
    prior, posterior = pq
    truth = np.array(
        data.draw(st.lists(st.floats(0.01, 1), min_size=prior.size, max_size=prior.size))
    )
    believed = info.semantic_bayes(prior, truth)
    assert believed.sum() == pytest.approx(1, abs=1e-12)
    want = info.kl(posterior, prior) - info.kl(posterior, believed)
    assert info.semantic_information(prior, truth, posterior) == pytest.approx(want, abs=1e-11)
    assert info.semantic_information(prior, truth, posterior) <= info.kl(posterior, prior) + 1e-12


def test_semantic_information_by_hand():
    prior, truth = uniform(4), [1.0, 1.0, 0.0, 0.0]
    assert info.logical_probability(prior, truth) == 0.5
    assert info.semantic_information(prior, truth, [0.5, 0.5, 0, 0], base=2) == pytest.approx(
        1, abs=1e-15
    )
    assert info.semantic_information(prior, truth, [0.5, 0, 0.5, 0]) == -math.inf
    assert info.semantic_information(prior, [1.0] * 4, [0.7, 0.1, 0.1, 0.1]) == 0
    both = info.semantic_information(
        prior, [truth, truth[::-1]], [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    )
    assert np.allclose(both, math.log(2))


@pytest.mark.parametrize(
    "prior, truth, posterior, message",
    [
        ([0.5, 0.5], [0.5, 1.5], [1.0, 0.0], r"truth must lie in \[0, 1\]; got 1.5"),
        ([0.5, 0.5], [0.0, 0.0], [1.0, 0.0], "logical probability 0"),
        ([0.5, 0.5], [1.0, 1.0, 1.0], [1.0, 0.0], "prior and truth must have matching shapes"),
        ([1.0, 0.0], [1.0, 1.0], [0.5, 0.5], "prior must be > 0 wherever posterior is"),
    ],
)
def test_bad_semantics(prior, truth, posterior, message):
    with pytest.raises(ValueError, match=message):
        info.semantic_information(prior, truth, posterior)


# Trade names ----------------------------------------------------------------------------------


def test_trade_names_are_jeffreys():
    g, b = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    woe = info.weight_of_evidence(g, b)
    assert np.allclose(woe, np.log(g / b))
    assert info.information_value(g, b) == pytest.approx(((g - b) * woe).sum(), abs=1e-15)
    assert info.stability_index(g, b) == info.jeffreys(g, b)
    assert info.weight_of_evidence([1.0, 0.0], [0.5, 0.5])[1] == -math.inf
    with pytest.raises(ValueError, match="bin 2 is empty in both"):
        info.weight_of_evidence([0.5, 0.5, 0.0], [0.5, 0.5, 0.0])


def test_sampling_law_of_jeffreys():
    rng = np.random.default_rng(7)
    g, b, n_g, n_b, draws = (
        np.array([0.3, 0.25, 0.2, 0.15, 0.1]),
        np.array([0.15, 0.2, 0.2, 0.2, 0.25]),
        4000,
        800,
        4000,
    )
    js = info.jeffreys(rng.multinomial(n_g, g, draws) / n_g, rng.multinomial(n_b, b, draws) / n_b)
    sd = math.sqrt(info.jeffreys_variance(g, b, n_g, n_b))
    assert js.std(ddof=1) == pytest.approx(sd, rel=4 / math.sqrt(2 * draws) + 0.02)
    null = info.jeffreys_statistic(
        rng.multinomial(n_g, g, draws) / n_g, rng.multinomial(n_b, g, draws) / n_b, n_g, n_b
    )
    assert null.mean() == pytest.approx(4, abs=4 * math.sqrt(8 / draws) + 0.02)
    assert null.var(ddof=1) == pytest.approx(8, rel=0.15)
    assert info.jeffreys_variance(g, g, n_g, n_b) == pytest.approx(0, abs=1e-18)
    with pytest.raises(ValueError, match="p must be > 0 everywhere; got 0 at 1"):
        info.jeffreys_variance([1.0, 0.0], [0.5, 0.5], 10, 10)
    with pytest.raises(ValueError, match="n_p must be a number of cases >= 1; got 0"):
        info.jeffreys_statistic(g, b, 0, 10)


# torch ----------------------------------------------------------------------------------------


def test_numpy_and_torch_agree():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(8)
    p, q = rng.dirichlet(np.ones(6), size=(2, 5))
    p[0] = [0.5, 0.5, 0, 0, 0, 0]
    tp, tq = torch.asarray(p), torch.asarray(q)
    for order in ORDERS:
        for kind in info.KINDS:
            assert np.allclose(
                info.entropy(tp, order, kind), info.entropy(p, order, kind), atol=1e-14
            )
    for measure in (
        info.kl,
        info.jeffreys,
        info.js,
        info.cross_entropy,
        *((lambda a, b, n=n: info.fdiv(a, b, n)) for n in NAMED),
    ):
        assert np.allclose(measure(tp, tq), measure(p, q), atol=1e-13)
    joint = rng.dirichlet(np.ones(6), size=3).reshape(3, 2, 3)
    for measure in (
        info.mutual_information,
        info.conditional_entropy,
        info.shannon_distance,
        info.rajski_distance,
    ):
        assert np.allclose(measure(torch.asarray(joint)), measure(joint), atol=1e-14)
    truth = rng.uniform(size=6)
    assert np.allclose(
        info.semantic_information(tq, torch.asarray(truth), tp),
        info.semantic_information(q, truth, p),
    )
    assert np.allclose(info.weight_of_evidence(tp, tq), info.weight_of_evidence(p, q))
    assert np.allclose(
        info.jeffreys_variance(tq, tq.roll(1, -1), 9, 9),
        info.jeffreys_variance(q, np.roll(q, 1, -1), 9, 9),
    )


def test_gradients_against_finite_differences():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(9)
    z, w = rng.normal(size=6), rng.dirichlet(np.ones(6))
    softmax = lambda z: np.exp(z - z.max()) / np.exp(z - z.max()).sum()  # noqa: E731
    measures = [
        lambda p, o=o, k=k: info.entropy(p, o, k)
        for o in (0.5, 0.95, 1, 1.02, 2, math.inf)
        for k in info.KINDS
    ]
    measures += [lambda p, n=n: info.fdiv(p, like(w, p), n) for n in NAMED]
    measures += [
        lambda p: info.kl(p, like(w, p)),
        lambda p: info.kl(like(w, p), p),
        lambda p: info.js(p, like(w, p)),
        lambda p: info.jeffreys(p, like(w, p)),
        lambda p: info.cross_entropy(p, like(w, p)),
    ]

    def like(array, other):
        return torch.asarray(array) if hasattr(other, "detach") else array

    step = 1e-5
    for measure in measures:
        logits = torch.tensor(z, requires_grad=True)
        value = measure(torch.softmax(logits, -1))
        if not value.requires_grad:
            continue
        (grad,) = torch.autograd.grad(value, logits)
        numeric = [
            (measure(softmax(z + step * e)) - measure(softmax(z - step * e))) / (2 * step)
            for e in np.eye(6)
        ]
        assert np.allclose(grad, numeric, atol=1e-8)


def test_gradients_stay_finite_at_a_zero():
    torch = pytest.importorskip("torch")
    p = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64, requires_grad=True)
    for measure in (
        info.entropy,
        lambda p: info.entropy(p, 2),
        lambda p: info.entropy(p, 0.95),
        lambda p: info.kl(p, torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)),
        lambda p: info.js(p, torch.tensor([0.0, 0.5, 0.5], dtype=torch.float64)),
    ):
        (grad,) = torch.autograd.grad(measure(p), p)
        assert torch.isfinite(grad).all()


def test_low_precision_is_computed_in_float32():
    torch = pytest.importorskip("torch")
    p = torch.softmax(torch.linspace(-2, 2, 1000), -1)
    for dtype in (torch.float16, torch.bfloat16):
        h = info.entropy(p.to(dtype))
        assert h.dtype == torch.float32 and abs(float(h - info.entropy(p))) < 0.02
    assert info.entropy(np.full(4, 0.25, dtype=np.float16)).dtype == np.float32


def test_whole_numbers_and_mixed_arguments():
    torch = pytest.importorskip("torch")
    assert info.entropy(np.array([1, 0])) == 0 and info.entropy(torch.tensor([1, 0])) == 0
    assert float(info.kl([0.5, 0.5], torch.tensor([0.25, 0.75]))) == pytest.approx(0.1438, abs=1e-4)
    with pytest.raises(
        TypeError, match="arguments must be arrays of one library; got p: numpy, q: torch"
    ):
        info.kl(np.array([0.5, 0.5]), torch.tensor([0.5, 0.5]))


# Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: info.entropy([0.5, 0.6]), r"p must sum to 1 along axis -1 within 3e-12; got 1.1"),
        (lambda: info.entropy([1.5, -0.5]), "p must be >= 0 everywhere; got -0.5 at 1"),
        (lambda: info.entropy([0.5, math.nan]), "p must be >= 0 everywhere; got nan at 1"),
        (lambda: info.entropy([0.5, math.inf]), "p must sum to 1 .* got inf"),
        (lambda: info.entropy([[0.5, 0.5], [0.9, 0.2]]), "p must sum to 1 .* got 1.1"),
        (lambda: info.entropy([[0.5, 0.5], [0.1]]), "p must be numbers in a rectangular array"),
        (lambda: info.entropy(["a"]), "p must be numbers"),
        (lambda: info.entropy(np.array([0.5j, 1])), "p must be real; got dtype complex128"),
        (lambda: info.entropy(np.empty((0, 2))), r"p must not be empty; got shape \(0, 2\)"),
        (lambda: info.entropy(0.5), "p must be an array with at least one axis; got 0.5"),
        (lambda: info.entropy([0.5, 0.5], axis=1), "axis must be one of the 1 axes of p; got 1"),
        (
            lambda: info.entropy([[1.0]], axis=(0, 0)),
            r"axis must not repeat or be empty; got \(0, 0\)",
        ),
        (lambda: info.entropy([0.5, 0.5], order=-1), "order must be a number >= 0; got -1"),
        (lambda: info.entropy([0.5, 0.5], order=math.nan), "order must be a number >= 0; got nan"),
        (lambda: info.entropy([0.5, 0.5], order="two"), "order must be a number; got 'two'"),
        (
            lambda: info.entropy([0.5, 0.5], kind="gibbs"),
            "kind must be one of renyi, tsallis; got 'gibbs'",
        ),
        (
            lambda: info.entropy([0.5, 0.5], base=0),
            "base must be a number > 1, or None for nats; got 0",
        ),
        (
            lambda: info.entropy([0.5, 0.5], 2, "tsallis", base=2),
            "base must be None for kind 'tsallis'",
        ),
        (
            lambda: info.kl([0.5, 0.5], [0.2, 0.3, 0.5]),
            r"p and q must have matching shapes.*\(2,\) and \(3,\)",
        ),
        (lambda: info.kl([0.5, 0.5], [1.0]), "p and q must have matching shapes"),
        (
            lambda: info.kl(np.full((2, 2), 0.5), np.full((3, 2), 0.5)),
            "p and q must have matching shapes",
        ),
        (
            lambda: info.js([0.5, 0.5], [0.5, 0.5], (0.5, 0.6)),
            r"weights must be two numbers >= 0 .* \(0.5, 0.6\)",
        ),
        (
            lambda: info.fdiv([0.5, 0.5], [0.5, 0.5], "renyi"),
            "f must be a callable or one of kl, .*got 'renyi'",
        ),
        (
            lambda: info.fdiv([0.5, 0.5], [0.5, 0.5], "alpha"),
            "alpha must be a finite number .* got None",
        ),
        (
            lambda: info.mutual_information(np.full((2, 2), 0.5)),
            r"pxy must sum to 1 along axis \(0, 1\).* got 2",
        ),
        (
            lambda: info.mutual_information([0.5, 0.5]),
            "axis must be one of the 1 axes of pxy; got -2",
        ),
        (
            lambda: info.mutual_information(np.full((2, 2), 0.25), (0, 0)),
            r"axes of X and of Y must differ; got \(0, 0\)",
        ),
        (lambda: info.mutual_information(np.full((2, 2), 0.25), 0), "axes must be a pair"),
        (
            lambda: info.differential_entropy([-1.0], 1.0),
            "density must be >= 0 everywhere; got -1 at 0",
        ),
    ],
)
def test_bad_input_gets_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_tolerance_follows_dtype_and_length():
    single = np.array([0.2, 0.3, 0.5], dtype=np.float32)
    info.entropy(single)
    with pytest.raises(ValueError, match="within 3e-12"):
        info.entropy(single.astype(float))  # rounded to float32: off by 3e-8, and it is told so
    with pytest.raises(ValueError, match="within 1e-05"):
        info.entropy(single * np.float32(1.0001))
    with pytest.raises(ValueError, match="within 0.02; got 1.0997"):
        info.entropy(np.full(11, 0.1, dtype=np.float16))


@pytest.mark.parametrize("lonely", [0.5, None])
def test_a_lone_number_is_no_pmf(lonely):
    with pytest.raises(ValueError, match="^p must be"):
        info.entropy(lonely)
