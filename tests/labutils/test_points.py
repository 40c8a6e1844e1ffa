"""The Coulomb gas, determinantal processes and volume sampling: closed forms, lists, properties."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import info, points
from scipy.stats import binom, gamma

settings.register_profile("points", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("points")

SIZES = st.integers(2, 60)
SEEDS = st.integers(0, 10**6)


def kernel(values, seed, real=False):
    rng = np.random.default_rng(seed)
    raw = rng.standard_normal((2, len(values), len(values)))
    basis = np.linalg.qr(raw[0] + (0 if real else 1j) * raw[1])[0]
    K = (basis * np.asarray(values)) @ basis.conj().T
    return (K + K.conj().T) / 2


# The gas -----------------------------------------------------------------------------------------


def test_energy_of_two_points_by_hand():
    x = np.array([[0.5, 0.0], [-0.5, 1.0]])
    assert points.coulomb_energy(x) == pytest.approx(-math.log(math.sqrt(2)) + 0.25 + 1.25, abs=1e-14)
    assert points.coulomb_energy(np.zeros((2, 2))) == math.inf


@given(SEEDS, st.integers(2, 9))
def test_energy_does_not_change_under_rotation_or_renaming(seed, N):
    rng = np.random.default_rng(seed)
    x, a = rng.standard_normal((3, N, 2)), rng.uniform(0, 6)
    turn = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    E = points.coulomb_energy(x)
    assert E.shape == (3,)
    np.testing.assert_allclose(points.coulomb_energy(x @ turn), E, rtol=1e-10)
    np.testing.assert_allclose(points.coulomb_energy(x[:, rng.permutation(N)]), E, rtol=1e-10)


def test_energy_is_the_same_in_torch_and_has_the_force_as_gradient():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(1).standard_normal((5, 6, 2))
    t = torch.tensor(x, requires_grad=True)
    E = points.coulomb_energy(t)
    np.testing.assert_allclose(E.detach().numpy(), points.coulomb_energy(x), rtol=1e-13)
    E.sum().backward()
    gap = x[:, :, None] - x[:, None]
    square = (gap**2).sum(-1, keepdims=True) + np.eye(6)[:, :, None]
    np.testing.assert_allclose(t.grad.numpy(), -(gap / square).sum(2) + 6 * x, atol=1e-10)


@given(SIZES)
def test_cumulants_of_the_square_are_those_of_a_gamma(N):
    got = points.radial_cumulants(lambda r: r**2, N, 6)
    total = N * (N + 1) / 2
    want = [total * math.factorial(q - 1) / N**q for q in range(1, 7)]
    np.testing.assert_allclose(got, want, rtol=1e-7)


@given(SIZES, st.floats(-2, 2), st.floats(-3, 3))
def test_cumulants_shift_and_scale(N, a, b):
    f = lambda r: np.cos(2 * r)
    base = points.radial_cumulants(f, N, 4)
    moved = points.radial_cumulants(lambda r: a * f(r) + b, N, 4)
    want = [a * base[0] + N * b] + [a**q * base[q - 1] for q in (2, 3, 4)]
    np.testing.assert_allclose(moved, want, atol=1e-9)


def test_cumulants_agree_with_scipy_quadrature():
    f, N = lambda r: np.exp(-r), 7
    means = [[gamma(i).expect(lambda g: f(np.sqrt(g / N)) ** q) for q in (1, 2, 3)] for i in range(1, N + 1)]
    a, b, c = np.array(means).T
    want = [a.sum(), (b - a**2).sum(), (c - 3 * a * b + 2 * a**3).sum()]
    np.testing.assert_allclose(points.radial_cumulants(f, N, 3), want, atol=1e-8)


@pytest.mark.parametrize("f, h1, h2", [
    (lambda r: np.exp(-(r**2)), -math.exp(-1), math.exp(-1)),
    (lambda r: np.sin(2 * r**2), 2 * math.cos(2), -4 * math.sin(2)),
])
def test_higher_cumulants_tend_to_the_edge(f, h1, h2):
    sizes = np.array([800, 1600, 3200])
    k = np.array([points.radial_cumulants(f, int(N), 4) for N in sizes])
    for got, want in ((k[:, 2] * sizes, h1**3), (k[:, 3] * sizes**2, 3 * h1**4 + 4 * h1**3 * h2)):
        errors = np.abs(got - want)
        assert errors[-1] < 0.05 * abs(want)
        np.testing.assert_allclose(errors[:-1] / errors[1:], 2, rtol=0.1)


def test_ginibre_has_the_radii_of_gammas():
    z = points.ginibre(6, 4000, seed=3)
    square = np.abs(z) ** 2
    assert z.shape == (4000, 6)
    for power, want in ((1, 21 / 6), (2, sum(i * (i + 1) for i in range(1, 7)) / 36)):
        sample = (square**power).sum(1)
        assert abs(sample.mean() - want) < 4.5 * sample.std() / math.sqrt(4000)


def test_metropolis_finds_the_size_law():
    for beta in (1.0, 3.0):
        total = lambda z: np.sum(np.abs(z) ** 2, axis=1)
        seen, taken = points.metropolis(5, beta, total, chains=300, sweeps=150, burn=80, seed=2)
        x, w = points.size_law(5, beta)
        assert seen.shape == (150, 300) and 0.2 < taken < 0.95
        error = seen.mean(0).std(ddof=1) / math.sqrt(300)
        assert abs(seen.mean() - x @ w) < 4.5 * error
        square = (seen**2).mean(0)
        assert abs(square.mean() - x**2 @ w) < 4.5 * square.std(ddof=1) / math.sqrt(300)


@given(SIZES, st.floats(0.3, 6))
def test_size_law_has_the_moments_of_its_gamma(N, beta):
    x, w = points.size_law(N, beta)
    shape, rate = N + beta * N * (N - 1) / 4, beta * N / 2
    assert w.sum() == pytest.approx(1)
    assert x @ w == pytest.approx(shape / rate, rel=1e-6)
    assert (x - x @ w) ** 2 @ w == pytest.approx(shape / rate**2, rel=1e-5)


def test_disc_probabilities_fall_with_the_shell_and_count_the_area():
    p = points.disc_probabilities(500, 0.6)
    assert (np.diff(p) <= 0).all() and p.sum() == pytest.approx(180, abs=0.01)
    np.testing.assert_allclose(p, [gamma(i).cdf(180) for i in range(1, 501)], atol=1e-12)


# Determinantal processes --------------------------------------------------------------------------


def test_count_law_of_equal_coins_is_binomial():
    np.testing.assert_allclose(points.count_law(np.full(9, 0.3)), binom(9, 0.3).pmf(np.arange(10)), atol=1e-15)


def test_count_law_in_torch():
    torch = pytest.importorskip("torch")
    p = np.array([0.1, 0.7, 0.5])
    np.testing.assert_allclose(points.count_law(torch.tensor(p)).numpy(), points.count_law(p), atol=1e-15)


@given(SEEDS, st.lists(st.floats(0, 1), min_size=2, max_size=6), st.booleans())
def test_law_of_subsets(seed, values, real):
    K = kernel(values, seed, real)
    law, N = points.subset_law(K), len(values)
    bits = (np.arange(2**N)[:, None] >> np.arange(N)) & 1
    assert law.sum() == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(law @ bits, np.diag(K).real, atol=1e-9)
    np.testing.assert_allclose([law[bits.sum(1) == k].sum() for k in range(N + 1)], points.count_law(values), atol=1e-9)
    coins = lambda p: sum(float(info.entropy([min(max(q, 0), 1), 1 - min(max(q, 0), 1)])) for q in p)
    H = float(info.entropy(law / law.sum()))
    assert coins(values) - 1e-7 <= H <= coins(np.diag(K).real) + 1e-7
    for i, j in combinations(range(N), 2):
        assert law[(bits[:, i] & bits[:, j]) == 1].sum() <= K[i, i].real * K[j, j].real + 1e-9


def test_sampler_follows_the_list():
    K = kernel([0.9, 0.5, 0.15], 4)
    rng = np.random.default_rng(5)
    n = 6000
    seen = np.bincount([int(np.sum(2 ** points.sample_dpp(K, rng))) for _ in range(n)], minlength=8)
    want = points.subset_law(K) * n
    assert np.sum((seen - want) ** 2 / want) < 29.9  # chi-square with 7 degrees of freedom, 1e-4


def test_projection_sampler_follows_the_list():
    X = np.random.default_rng(6).standard_normal((6, 2))
    subsets, p = points.volume_law(X, 2)
    rng, n = np.random.default_rng(7), 6000
    draws = [tuple(points.sample_projection(X, rng)) for _ in range(n)]
    seen = np.array([draws.count(tuple(s)) for s in subsets])
    keep = p * n > 1
    assert np.sum((seen - p * n)[keep] ** 2 / (p * n)[keep]) < 45
    assert seen.sum() == n


def test_reverse_sampler_follows_the_list():
    X = np.random.default_rng(8).standard_normal((6, 2))
    subsets, p = points.volume_law(X, 4)
    rng, n = np.random.default_rng(9), 6000
    draws = [tuple(points.volume_sample(X, 4, rng)) for _ in range(n)]
    seen = np.array([draws.count(tuple(s)) for s in subsets])
    keep = p * n > 1
    assert np.sum((seen - p * n)[keep] ** 2 / (p * n)[keep]) < 45
    assert seen.sum() == n


def test_samples_are_sorted_sets_and_a_seed_repeats_them():
    X = np.random.default_rng(0).standard_normal((30, 4))
    for draw in (lambda s: points.sample_projection(X, s), lambda s: points.volume_sample(X, 9, s),
                 lambda s: points.volume_sample(X, 4, s)):
        a = draw(3)
        assert (np.diff(a) > 0).all() and np.array_equal(a, draw(3))
    assert points.volume_sample(X, 30).tolist() == list(range(30))


# Least squares --------------------------------------------------------------------------------------


@given(SEEDS, st.sampled_from([(6, 2), (7, 3), (8, 2)]))
def test_volume_sampling_is_unbiased_and_costs_m_plus_one(seed, size):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal(size), rng.standard_normal(size[0])
    subsets, p = points.volume_law(X, size[1])
    assert p.sum() == pytest.approx(1, abs=1e-9)
    c = np.array([points.fit(X, y, s) for s in subsets])
    best = np.linalg.lstsq(X, y, rcond=None)[0]
    loss = np.sum((y - c @ X.T) ** 2, axis=1)
    np.testing.assert_allclose(p @ c, best, atol=1e-6)
    assert p @ loss / np.sum((y - X @ best) ** 2) == pytest.approx(size[1] + 1, rel=1e-6)


@given(SEEDS)
def test_leverages(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((12, 3))
    h = points.leverage(X)
    assert (h > 0).all() and (h <= 1 + 1e-12).all() and h.sum() == pytest.approx(3)
    np.testing.assert_allclose(h, np.diag(X @ np.linalg.inv(X.T @ X) @ X.T), atol=1e-10)
    np.testing.assert_allclose(points.leverage(X @ rng.standard_normal((3, 3))), h, atol=1e-6)
    assert (h / 3) @ points.christoffel_weights(X) == pytest.approx(1)


def test_leverage_in_torch():
    torch = pytest.importorskip("torch")
    X = np.random.default_rng(2).standard_normal((10, 3))
    np.testing.assert_allclose(points.leverage(torch.tensor(X)).numpy(), points.leverage(X), atol=1e-13)
    np.testing.assert_allclose(points.christoffel_weights(torch.tensor(X)).numpy(), points.christoffel_weights(X), rtol=1e-12)


def test_chebyshev_density_of_legendre_leverages():
    """The Christoffel density of polynomials on an interval tends to the arcsine law."""
    x = -1 + 2 * (np.arange(4000) + 0.5) / 4000
    h = points.leverage(np.polynomial.legendre.legvander(x, 39)) / 40 * 4000 / 2
    inner = np.abs(x) < 0.8
    smooth = np.convolve(h, np.ones(400) / 400, "same")
    np.testing.assert_allclose(smooth[inner], 1 / (np.pi * np.sqrt(1 - x[inner] ** 2)), rtol=0.04)


def test_rescaled_sample_mixes_a_projection_and_leverage_draws():
    X = np.random.default_rng(3).standard_normal((20, 3))
    rows, w = points.rescaled_sample(X, 8, 1)
    assert rows.shape == (8,) and len(set(rows[:3])) == 3
    np.testing.assert_array_equal(w, points.christoffel_weights(X)[rows])
    rng, n = np.random.default_rng(4), 3000
    many = np.bincount(np.concatenate([points.rescaled_sample(X, 8, rng)[0] for _ in range(n)]), minlength=20) / n
    h = points.leverage(X)  # each draw, repelling or not, shows row i with chance h_i / m
    assert np.abs(many - 8 * h / 3).max() < 5 * math.sqrt(8 * h.max() / 3 / n)


def test_weighted_fit_is_weighted_least_squares():
    rng = np.random.default_rng(5)
    X, y, w = rng.standard_normal((9, 2)), rng.standard_normal(9), rng.uniform(0.5, 2, 9)
    want = np.linalg.solve((X.T * w) @ X, (X.T * w) @ y)
    np.testing.assert_allclose(points.fit(X, y, np.arange(9), w), want, atol=1e-12)


def test_complex_features_have_real_chances_that_the_samplers_follow():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((5, 2)) + 1j * rng.standard_normal((5, 2))
    subsets, chance = points.volume_law(X, 3)
    want = [np.linalg.det(X[s].conj().T @ X[s]).real for s in subsets]
    assert chance.dtype == float
    np.testing.assert_allclose(chance, np.array(want) / np.sum(want), atol=1e-13)
    place = {tuple(s): k for k, s in enumerate(subsets)}
    seen = np.bincount([place[tuple(points.volume_sample(X, 3, rng))] for _ in range(4000)], minlength=len(chance))
    assert np.sum((seen - 4000 * chance) ** 2 / (4000 * chance)) < 33.7  # chi-square, 9 degrees of freedom, 1e-4


def test_ties_keep_the_mean_and_lower_the_loss():
    X, y = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [1, 2.0]]), np.array([1, -1, 2, 0.5, 3])
    subsets, chance = points.volume_law(X, 2)
    fits = np.array([points.fit(X, y, s) if p > 1e-12 else [0, 0] for s, p in zip(subsets, chance)])
    best = points.fit(X, y, np.arange(5))
    np.testing.assert_allclose(chance @ fits, best, atol=1e-12)
    assert chance @ np.sum((y - fits @ X.T) ** 2, axis=1) / np.sum((y - X @ best) ** 2) < 2.5


def test_rounding_of_a_probability_leaves_a_law():
    law = points.count_law([1 + 5e-10, -5e-10, 0.5])
    assert law.min() >= 0 and law.sum() == pytest.approx(1, abs=1e-15)


def test_weights_of_a_list_are_those_of_the_array():
    np.testing.assert_allclose(points.christoffel_weights(GOOD.tolist()), points.christoffel_weights(GOOD))


# What bad input is told --------------------------------------------------------------------------------

GOOD = np.random.default_rng(0).standard_normal((6, 2))
FLAT = np.ones((6, 2))
BARE = np.array([[1.0], [0.0], [2.0]])


@pytest.mark.parametrize("call, message", [
    (lambda: points.coulomb_energy(np.zeros((1, 2))), r"x must have shape \[..., N, 2\] with N >= 2; got \(1, 2\)"),
    (lambda: points.coulomb_energy(np.full((2, 2), np.nan)), "x must be finite everywhere"),
    (lambda: points.radial_cumulants(np.cos, 0), "N must be a whole number >= 1; got 0"),
    (lambda: points.radial_cumulants(np.cos, 3, 7), "order must be at most 6; got 7"),
    (lambda: points.radial_cumulants(lambda r: 1.0, 3), r"f must return finite values of the shape .* got \(\)"),
    (lambda: points.radial_cumulants(lambda r: r / 0 if False else np.full(r.shape, np.inf), 3), "f must return finite"),
    (lambda: points.ginibre(3, 0), "samples must be a whole number >= 1; got 0"),
    (lambda: points.metropolis(1, 2, abs), "N must be a whole number >= 2; got 1"),
    (lambda: points.metropolis(3, 0, abs), "beta must be a number > 0; got 0"),
    (lambda: points.metropolis(3, 2, abs, step=-1), "step must be a number > 0; got -1"),
    (lambda: points.metropolis(3, 2, abs, burn=-1), "burn must be a whole number >= 0; got -1"),
    (lambda: points.size_law(3, -2), "beta must be a number > 0; got -2"),
    (lambda: points.size_law(3, 2, 4), "nodes must be a whole number >= 8; got 4"),
    (lambda: points.disc_probabilities(4, 0), "radius must be a number > 0; got 0"),
    (lambda: points.count_law([0.5, 1.2]), r"probabilities must be a list of numbers in \[0, 1\]; got \[0.5 1.2\]"),
    (lambda: points.sample_dpp(np.ones(3)), r"kernel must be a square array of finite numbers; got shape \(3,\)"),
    (lambda: points.sample_dpp([[0.5, 0.1], [0.0, 0.5]]), "kernel must be Hermitian within 1e-10; got a difference of 0.1"),
    (lambda: points.sample_dpp(np.diag([0.5, 1.5])), r"kernel must have eigenvalues in \[0, 1\]; got 1.5"),
    (lambda: points.subset_law(np.diag([-0.2, 0.5])), r"kernel must have eigenvalues in \[0, 1\]; got -0.2"),
    (lambda: points.subset_law(np.eye(15) / 2), "kernel must have at most 14 items to list all subsets; got 15"),
    (lambda: points.sample_projection(FLAT), "features must be of full rank m = 2; got rank 1"),
    (lambda: points.sample_projection(np.ones((2, 3))), r"features must be finite, of shape \[N, m\] with N >= m >= 1; got shape \(2, 3\)"),
    (lambda: points.leverage(np.full((3, 1), np.inf)), "features must be finite"),
    (lambda: points.christoffel_weights(BARE), "features must have no row of leverage 0, which is never drawn; got 0"),
    (lambda: points.volume_sample(GOOD, 1), "n must lie between 2 and 6; got 1"),
    (lambda: points.volume_law(GOOD, 7), "n must lie between 2 and 6; got 7"),
    (lambda: points.volume_law(np.random.default_rng(0).standard_normal((40, 10)), 10), "features and n must give at most 200000 subsets"),
    (lambda: points.rescaled_sample(GOOD, 1), "n must be at least the number m = 2 of features; got 1"),
    (lambda: points.fit(GOOD, np.ones(6), [1]), "index must choose rows of rank m = 2; got rank 1 from 1 rows"),
    (lambda: points.fit(GOOD, np.ones(6), [0, 1], [1.0, -1.0]), "weights must be 2 finite numbers >= 0, .* got a smallest of -1"),
    (lambda: points.fit(GOOD, np.ones(6), [0, 1], np.ones(6)), r"weights must be 2 finite numbers .* got shape \(6,\)"),
    (lambda: points.fit(GOOD, np.full(6, np.nan), [0, 1]), "y must be finite at the chosen rows; got NaN"),
    (lambda: points.fit(GOOD * np.inf, np.ones(6), [0, 1]), "features must be finite at the chosen rows"),
    (lambda: points.size_law(3, "2"), "beta must be a number > 0; got '2'"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
