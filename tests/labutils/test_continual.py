"""Beliefs over binary weights, learning one task after another, sets of beliefs and their pools."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, norm

from labutils import continual as ct
from labutils import info

means = st.lists(st.floats(-0.999, 0.999), min_size=1, max_size=8)


# ---------------------------------------------------------------- the divergence of two beliefs


@settings(max_examples=60, deadline=None)
@given(means, st.integers(0, 10**6))
def test_kl_is_the_divergence_of_the_joint_pmfs(m, seed):
    m = np.array(m)
    other = np.random.default_rng(seed).uniform(-0.999, 0.999, m.size)
    joint = lambda v: np.prod([np.array([(1 + a) / 2, (1 - a) / 2])[np.arange(2**m.size) >> i & 1] for i, a in enumerate(v)], axis=0)
    assert np.isclose(ct.kl_weights(m, other), info.kl(joint(m), joint(other)), atol=1e-9)
    assert ct.kl_weights(m, other) >= 0 and ct.kl_weights(m, m) == 0


def test_kl_at_the_ends():
    assert np.isclose(ct.kl_weights(np.array([1.0]), np.array([0.0])), np.log(2))
    assert ct.kl_weights(np.array([0.0]), np.array([1.0])) == np.inf
    assert ct.kl_weights(np.array([1.0]), np.array([1.0])) == 0


def test_the_parabola_touches():
    m1 = np.array([0.3, -0.9, 0.0])
    for h in (1e-3, -1e-3):
        assert np.isclose(ct.kl_quadratic(m1 + h, m1), ct.kl_weights(m1 + h, m1), rtol=2e-2)
    assert np.isclose(ct.kl_quadratic(np.array([0.5]), np.array([0.0])), 0.125)


# ---------------------------------------------------------------- cost, slope, torch


def case(seed=0, N=12, P=9):
    r = np.random.default_rng(seed)
    return r.uniform(-0.95, 0.95, N), r.standard_normal((P, N)), r.choice([-1.0, 1.0], P), r


def test_cost_is_the_log_chance_of_each_label():
    m, X, y, _ = case()
    want = -sum(norm.logcdf(s * (m @ x) / np.sqrt(np.sum((1 - m**2) * x**2))) for x, s in zip(X, y, strict=True))
    assert np.isclose(ct.data_cost(m, X, y), want, atol=1e-12)


def test_slope_is_that_of_the_cost_for_autograd_and_for_differences():
    torch = pytest.importorskip("torch")
    m, X, y, _ = case(2)
    leaf = torch.tensor(m, requires_grad=True)
    cost = ct.data_cost(leaf, torch.tensor(X), torch.tensor(y))
    slope = torch.autograd.grad(cost, leaf)[0].numpy()
    assert np.allclose(ct.cost_gradient(m, X, y), slope, atol=1e-10)
    assert np.allclose(ct.cost_gradient(torch.tensor(m), torch.tensor(X), torch.tensor(y)).numpy(), slope, atol=1e-10)
    assert np.isclose(cost.item(), ct.data_cost(m, X, y), atol=1e-12)


def test_slope_of_the_divergence_is_the_difference_of_fields():
    torch = pytest.importorskip("torch")
    r = np.random.default_rng(5)
    m, old = np.tanh(r.normal(0, 2, (2, 30)))
    leaf = torch.tensor(m, requires_grad=True)
    slope = torch.autograd.grad(ct.kl_weights(leaf, torch.tensor(old)), leaf)[0].numpy()
    assert np.abs(slope - (np.arctanh(m) - np.arctanh(old))).max() < 1e-8


def test_extreme_margins_keep_their_digits():
    m, X, y = np.array([0.999999]), np.array([[1.0]]), np.array([-1.0])
    assert np.isfinite(ct.data_cost(m, X, y)) and np.isfinite(ct.cost_gradient(m, X, y)).all()
    assert ct.data_cost(m, X, y) > 1e5


def test_learning_goes_downhill_and_both_metrics_end_together():
    m, X, y, r = case(3, N=15, P=12)
    old = 0.3 * r.standard_normal(15)
    F = lambda t: ct.data_cost(np.tanh(t), X, y) + ct.kl_weights(np.tanh(t), np.tanh(old))
    ends = [ct.learn(old, X, y, 1.0, 4000, 12, 0.1, np.random.default_rng(0), metaplastic=k) for k in (True, False)]
    assert np.abs(ends[0] - ends[1]).max() < 1e-6
    best = minimize(F, old, method="BFGS", options={"gtol": 1e-9})
    assert F(old) > F(ends[0]) and abs(F(ends[0]) - best.fun) < 1e-8


def test_many_weights_at_once_are_each_alone():
    m, X, y, r = case(4)
    old = r.standard_normal(12)
    both = ct.learn(old, X, y, np.array([0.2, 2.0]), 5, 3, 0.05, np.random.default_rng(9))
    for k, w in enumerate((0.2, 2.0)):
        assert np.allclose(both[k], ct.learn(old, X, y, w, 5, 3, 0.05, np.random.default_rng(9)), atol=1e-13)


def test_learning_is_the_same_on_torch():
    torch = pytest.importorskip("torch")
    m, X, y, r = case(6)
    old = r.standard_normal(12)
    a = ct.learn(old, X, y, 0.7, 4, 3, 0.05, np.random.default_rng(1))
    b = ct.learn(torch.tensor(old), torch.tensor(X), torch.tensor(y), 0.7, 4, 3, 0.05, np.random.default_rng(1))
    assert np.allclose(a, b.numpy(), atol=1e-12)


def test_a_stiff_prior_holds():
    m, X, y, r = case(7)
    old = r.standard_normal(12)
    assert np.abs(ct.learn(old, X, y, 1e4, 200, 9, 1e-5, r) - old).max() < 1e-2


# ---------------------------------------------------------------- mixtures and products


def test_moments_of_a_mixture_against_draws():
    r = np.random.default_rng(0)
    w, mu = np.array([0.3, 0.7]), np.array([[1.0, 0.0], [-2.0, 1.0]])
    C = np.array([[[1.0, 0.4], [0.4, 2.0]], [[0.5, 0.0], [0.0, 0.2]]])
    k = r.random(400_000) < 0.3
    x = np.where(k[:, None], r.multivariate_normal(mu[0], C[0], len(k)), r.multivariate_normal(mu[1], C[1], len(k)))
    mean, cov = ct.mixture_moments(w, mu, C)
    assert np.abs(mean - x.mean(0)).max() < 0.01 and np.abs(cov - np.cov(x.T)).max() < 0.03


def test_product_of_gaussians_is_their_product():
    r = np.random.default_rng(1)
    w, mu = np.array([0.2, 0.5, 0.3]), r.standard_normal((3, 2))
    L = np.array([a @ a.T + np.eye(2) for a in r.standard_normal((3, 2, 2))])
    mean, total = ct.product_of_experts(w, mu, L)
    x = r.standard_normal((20, 2))
    log = sum(a * multivariate_normal(m, np.linalg.inv(l)).logpdf(x) for a, m, l in zip(w, mu, L, strict=True))
    own = multivariate_normal(mean, np.linalg.inv(total)).logpdf(x)
    assert np.ptp(log - own) < 1e-10


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(2, 7), st.integers(0, 10**6))
def test_pools_minimise_their_divergences(n, K, seed):
    r = np.random.default_rng(seed)
    w, p, q = r.dirichlet(np.ones(n)), r.dirichlet(np.ones(K), n), r.dirichlet(np.ones(K))
    linear, log, c = ct.pools(w, p)
    to = lambda x: w @ [info.kl(row, x) for row in p]
    from_ = lambda x: w @ [info.kl(x, row) for row in p]
    assert to(linear) <= to(q) + 1e-12 and from_(log) <= from_(q) + 1e-12
    assert np.isclose(from_(log), -np.log(c), atol=1e-10) and c <= 1 + 1e-12


def test_the_highest_density_region_of_a_normal_is_its_interval():
    x = np.arange(-8, 8, 0.001)
    level, inside = ct.highest_density(norm.pdf(x), 0.001, 0.95)
    assert abs(np.abs(x[inside]).max() - 1.959964) < 2e-3 and abs(level - norm.pdf(1.959964)) < 2e-4
    assert 0.95 <= norm.pdf(x)[inside].sum() * 0.001 < 0.9515


def test_of_equal_densities_no_more_are_taken_than_the_mass_needs():
    level, inside = ct.highest_density(np.ones(10), 0.1, 0.55)
    assert level == 1 and inside.sum() == 6
    level, inside = ct.highest_density([1.0, 3.0, 1.0, 3.0, 2.0], 0.1, 0.65)
    assert level == 2 and inside.tolist() == [False, True, False, True, True]


def test_mass_above_is_never_over_one():
    assert ct.mass_above(0.5, 20, 10) == 1.0


def test_mass_above_against_a_grid_and_draws():
    x = np.arange(-14, 14, 2e-4)
    for w, s in ((0.5, 2.0), (0.3, 3.0), (0.9, 1.5), (0.5, 0.8)):
        f = w * norm.pdf(x - s) + (1 - w) * norm.pdf(x + s)
        at = w * norm.pdf((2 * w - 2) * s) + (1 - w) * norm.pdf(2 * w * s)
        assert abs(ct.mass_above(w, s) - f[f > at].sum() * 2e-4) < 1e-3
    r = np.random.default_rng(0)
    z = r.standard_normal((200_000, 5))
    z[:, 0] += 3.0 * np.where(r.random(len(z)) < 0.4, 1, -1)
    log_f = lambda v: np.logaddexp(np.log(0.4) - (v[..., 0] - 3) ** 2 / 2, np.log(0.6) - (v[..., 0] + 3) ** 2 / 2) - np.sum(v[..., 1:] ** 2, -1) / 2
    star = np.array([-0.6, 0, 0, 0, 0])
    assert abs(ct.mass_above(0.4, 3.0, 5) - np.mean(log_f(z) > log_f(star))) < 4e-3
    assert ct.mass_above(0.5, 0.0) == 0 and ct.mass_above(1.0, 3.0) < 1e-6


def test_the_limit_is_where_the_mass_is_reached():
    for mass, d in ((0.95, 1), (0.5, 3), (0.99, 2)):
        s = ct.separation_limit(0.5, mass, d)
        assert abs(ct.mass_above(0.5, s, d) - mass) < 1e-6
        assert ct.mass_above(0.5, s - 0.05, d) < mass < ct.mass_above(0.5, s + 0.05, d)
    assert ct.separation_limit(0.5, 1e-6) > 1                      # the middle is a peak up to 1


def test_logistic_posterior_is_the_minimum_and_its_curvature():
    r = np.random.default_rng(0)
    X, y, a = r.standard_normal((40, 4)), r.choice([-1.0, 1.0], 40), r.uniform(0, 2, 40)
    E = lambda w: a @ np.logaddexp(0, -y * (X @ w)) + 0.7 * w @ w / 2
    w, H = ct.logistic_posterior(X, y, 0.7, a)
    found = minimize(E, np.zeros(4), method="BFGS", options={"gtol": 1e-10})
    assert np.abs(w - found.x).max() < 1e-6
    h, I = 1e-4, np.eye(4)
    numeric = [[(E(w + h * (I[i] + I[j])) - E(w + h * (I[i] - I[j])) - E(w - h * (I[i] - I[j])) + E(w - h * (I[i] + I[j]))) / (4 * h * h)
                for j in range(4)] for i in range(4)]
    assert np.abs(H - numeric).max() < 1e-5


def test_separable_data_still_converge():
    w, H = ct.logistic_posterior(np.array([[1.0], [2.0], [-1.0]]) * 50, np.array([1.0, 1.0, -1.0]), 1e-3)
    p = 1 / (1 + np.exp(50 * w[0]))
    assert np.isfinite(w).all() and w[0] > 0 and p < 0.01


# ---------------------------------------------------------------- errors


m2, X2, y2 = np.array([0.1, 0.2]), np.ones((3, 2)), np.array([1.0, -1.0, 1.0])
rng = np.random.default_rng(0)


@pytest.mark.parametrize("call, message", [
    (lambda: ct.kl_weights([1.2], [0.0]), r"m must lie in \[-1, 1\]; got 1.2"),
    (lambda: ct.kl_weights([0.2], [float("nan")]), r"m1 must lie in \[-1, 1\]"),
    (lambda: ct.kl_weights([0.2, 0.1], [0.1]), "m and m1 must have the same last axis"),
    (lambda: ct.kl_quadratic([0.2], [1.0]), "m1 must lie strictly between"),
    (lambda: ct.preactivation([1.0, 0.0], X2), "m must lie strictly between -1 and 1"),
    (lambda: ct.preactivation(m2, np.ones((3, 4))), r"inputs must be \[..., P, N\] with N = 2"),
    (lambda: ct.data_cost(m2, X2, [1, 0, 1]), "labels must be -1 or 1"),
    (lambda: ct.data_cost(m2, X2, [1.0]), r"labels must be \[..., P\] with P = 3; got \(1,\)"),
    (lambda: ct.data_cost(m2, X2 * np.nan, y2), "inputs must be finite numbers"),
    (lambda: ct.preactivation(m2, np.array([[1.0, np.inf]])), "inputs must be finite numbers"),
    (lambda: ct.data_cost(m2, 0 * X2, y2), "inputs must not contain a row of zeros"),
    (lambda: ct.mixture_moments([1.0], [[np.nan]], np.ones((1, 1, 1))), "means and covariances must be finite numbers"),
    (lambda: ct.product_of_experts([1.0], [[0.0]], [[[-1.0]]]), "precisions must be symmetric and positive definite"),
    (lambda: ct.product_of_experts([1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.0, 1.0]]]), "precisions must be symmetric"),
    (lambda: ct.separation_limit(0.99), "weight, mass and dimensions must have their limit between 0.05 and 25"),
    (lambda: ct.separation_limit(0.5, 0.95, 2000), "weight, mass and dimensions must have their limit"),
    (lambda: ct.logistic_posterior(X2 * np.nan, y2, 1.0), "inputs must be finite numbers"),
    (lambda: ct.learn(m2, X2, y2, -1.0, 1, 1, 0.1, rng), "weight must be >= 0"),
    (lambda: ct.learn(m2, X2, y2, 1.0, 0, 1, 0.1, rng), "passes must be > 0; got 0"),
    (lambda: ct.learn(m2, X2, y2, 1.0, 1, 1, 0.0, rng), "rate must be > 0; got 0.0"),
    (lambda: ct.learn(m2, X2, y2, 1.0, 1, 4, 0.1, rng), "batch must be at most the number of examples 3; got 4"),
    (lambda: ct.mixture_moments([0.5, 0.6], np.ones((2, 1)), np.ones((2, 1, 1))), "weights must be >= 0 and sum to 1"),
    (lambda: ct.mixture_moments([0.5, 0.5], np.ones((3, 1)), np.ones((3, 1, 1))), "means and covariances must be"),
    (lambda: ct.product_of_experts([1.0], np.ones((1, 2)), np.ones((1, 2, 3))), "means and precisions must be"),
    (lambda: ct.pools([0.5, 0.5], [[1.0, 0.0], [0.0, 1.0]]), "pmfs must have an outcome that all of them allow"),
    (lambda: ct.pools([0.5, 0.5], [[1.0, 0.0]]), "pmfs must be"),
    (lambda: ct.pools([1.0], [[0.5, 0.4]]), "pmfs must be >= 0 and sum to 1"),
    (lambda: ct.highest_density(np.ones(10), 0.1, 1.0), "mass must lie between 0 and 1"),
    (lambda: ct.highest_density(np.ones(10), 0.2, 0.9), "density must be >= 0"),
    (lambda: ct.mass_above(1.2, 1.0), r"weight must lie in \[0, 1\]"),
    (lambda: ct.mass_above(0.5, -1.0), r"separation must lie in \[0, 30\)"),
    (lambda: ct.mass_above(0.5, 1.0, 0), "dimensions must be a whole number >= 1"),
    (lambda: ct.separation_limit(0.0), "weight must lie between 0 and 1"),
    (lambda: ct.separation_limit(0.5, 1.0), "mass must lie between 0 and 1"),
    (lambda: ct.logistic_posterior(X2, y2[:2], 1.0), "inputs, labels and weights must be"),
    (lambda: ct.logistic_posterior(X2, [0, 1, 1], 1.0), "labels must be -1 or 1"),
    (lambda: ct.logistic_posterior(X2, y2, 0.0), "prior must be > 0"),
])
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
