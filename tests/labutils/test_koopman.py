"""Koopman fits, linear-Gaussian information, entropy under a budget, InfoNCE in a window, and every message."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import info, koopman
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import minimize


def system(seed, d=None, radius=0.9):
    rng = np.random.default_rng(seed)
    d = d or int(rng.integers(1, 5))
    K, A = rng.normal(size=(2, d, d))
    return K * radius / abs(np.linalg.eigvals(K)).max(), A @ A.T + 0.05 * np.eye(d)


def logdet(m):
    return np.linalg.slogdet(m)[1]


seeds = st.integers(0, 10_000)


class TestFit:
    def test_monomials_in_order(self):
        x = np.array([[2.0, 3.0], [-1.0, 0.5]])
        want = np.array([[1, 2, 3, 4, 6, 9], [1, -1, 0.5, 1, -0.5, 0.25]])
        assert np.array_equal(koopman.monomials(x, 2), want)
        assert koopman.monomials(x, 0).shape == (2, 1) and koopman.monomials(np.ones((4, 3)), 3).shape == (4, 20)

    @given(seeds)
    @settings(max_examples=20, deadline=None)
    def test_finds_a_linear_map_and_rolls_it(self, seed):
        K, _ = system(seed)
        x = np.random.default_rng(seed).normal(size=(50, len(K)))
        found = koopman.fit(x, x @ K.T)
        assert np.allclose(found, K, atol=1e-9)
        assert np.allclose(koopman.rollout(found, x[0], 3), [x[0], K @ x[0], K @ K @ x[0], K @ K @ K @ x[0]], atol=1e-8)

    def test_a_nonlinear_map_closes_on_three_observables_not_on_two(self):
        x = np.random.default_rng(0).normal(size=(300, 2))
        y = np.stack([0.9 * x[:, 0], 0.5 * x[:, 1] + 1.3 * x[:, 0] ** 2], axis=1)
        three = lambda x: np.stack([x[:, 0], x[:, 1], x[:, 0] ** 2], axis=1)
        assert np.allclose(np.sort(np.linalg.eigvals(koopman.fit(three(x), three(y))).real), [0.5, 0.81, 0.9], atol=1e-10)
        assert abs(koopman.fit(x, y) @ x.T - y.T).max() > 0.5

    def test_ridge_is_the_least_of_its_objective(self):
        rng = np.random.default_rng(1)
        a, b = rng.normal(size=(2, 20, 3))
        loss = lambda K: ((a @ K.T - b) ** 2).sum() + 0.7 * (K**2).sum()
        K = koopman.fit(a, b, ridge=0.7)
        assert all(loss(K) < loss(K + 1e-3 * rng.normal(size=(3, 3))) for _ in range(20))

    def test_torch_gives_the_same(self):
        torch = pytest.importorskip("torch")
        a, b = np.random.default_rng(2).normal(size=(2, 30, 4))
        for ridge in (0.0, 0.1):
            assert np.allclose(koopman.fit(torch.tensor(a), torch.tensor(b), ridge), koopman.fit(a, b, ridge), atol=1e-10)
        assert np.allclose(koopman.monomials(torch.tensor(a), 2), koopman.monomials(a, 2))


class TestInformation:
    @given(seeds, st.sampled_from([0.3, 0.9, 0.999]))
    @settings(max_examples=30, deadline=None)
    def test_stationary_solves_lyapunov(self, seed, radius):
        K, Q = system(seed, radius=radius)
        S = koopman.stationary(K, Q)
        assert np.allclose(S, solve_discrete_lyapunov(K, Q), rtol=1e-7, atol=1e-9 * abs(S).max())

    @given(seeds, st.integers(1, 6))
    @settings(max_examples=30, deadline=None)
    def test_information_is_what_the_entropies_say(self, seed, n):
        K, Q = system(seed)
        path = koopman.path_covariance(K, Q, n)
        d = len(K)
        ends = [*range(d), *range(n * d, (n + 1) * d)]
        want = logdet(path[:d, :d]) - 0.5 * logdet(path[np.ix_(ends, ends)])
        got = koopman.information(K, Q, n)
        assert np.isclose(got, want, rtol=1e-7, atol=1e-9)
        assert np.isclose(koopman.gaussian_information(path, ends[:d], ends[d:]), got, rtol=1e-7, atol=1e-9)
        assert got >= koopman.mode_information(np.linalg.eigvals(K), n) - 1e-9

    def test_card_values_of_three_modes(self):
        k = np.array([0.99, 0.9, 0.5])
        for n, want in ((1, 2.9327), (2, 2.18295), (5, 1.3886), (20, 0.5602)):
            assert abs(koopman.information(np.diag(k), np.diag(1 - k * k), n) - want) < 6e-5
            assert abs(koopman.mode_information(k, n) - want) < 6e-5

    @given(seeds)
    @settings(max_examples=20, deadline=None)
    def test_invariant_under_coordinates_and_chain_rule(self, seed):
        K, Q = system(seed, d=3)
        A = np.random.default_rng(seed).normal(size=(3, 3)) + 2 * np.eye(3)
        back = np.linalg.inv(A)
        if np.linalg.cond(A) < 100:
            assert np.isclose(koopman.information(A @ K @ back, A @ Q @ A.T), koopman.information(K, Q), rtol=1e-6)
        S = koopman.path_covariance(K, Q, 1)
        whole = koopman.gaussian_information(S, [0], [3, 4])
        assert np.isclose(whole, koopman.gaussian_information(S, [0], [3]) + koopman.gaussian_information(S, [0], [4], given=[3]), atol=1e-9)

    def test_blocks_of_a_path(self):
        K, Q = system(3, d=2)
        S, path = solve_discrete_lyapunov(K, Q), koopman.path_covariance(K, Q, 2)
        A = np.block([[np.eye(2), np.zeros((2, 4))], [K, np.eye(2), np.zeros((2, 2))], [K @ K, K, np.eye(2)]])
        noises = np.zeros((6, 6))                                          # of z_0, of the first step, of the second
        noises[:2, :2], noises[2:4, 2:4], noises[4:, 4:] = S, Q, Q
        assert np.allclose(path, A @ noises @ A.T, rtol=1e-9)

    @pytest.mark.parametrize("call, text", [
        (lambda: koopman.stationary(np.eye(2), np.eye(2)), "K must have eigenvalues inside the unit circle; got one of modulus 1"),
        (lambda: koopman.stationary(np.eye(3) / 2, np.eye(2)), "K must be finite and of the shape (2, 2) of Q; got shape (3, 3)"),
        (lambda: koopman.stationary(np.eye(2) / 2, np.array([[1, 0.5], [0, 1]])), "Q must be symmetric"),
        (lambda: koopman.stationary(np.eye(2) / 2, -np.eye(2)), "Q must have no negative eigenvalue; got -1"),
        (lambda: koopman.information(np.diag([0.5, 0.5]), np.diag([1.0, 0.0])), "must be invertible"),
        (lambda: koopman.information(np.eye(1) / 2, np.eye(1), 0), "n must be a whole number >= 1; got 0"),
        (lambda: koopman.gaussian_information(np.eye(3), [0], [0, 1]), "a, b and given must be disjoint"),
        (lambda: koopman.gaussian_information(np.ones((2, 2)) + 1e-17, [0], [1]), "the information is infinite"),
        (lambda: koopman.mode_information([0.5, 1.0]), "k must have |k| < 1; got 1"),
    ])
    def test_messages(self, call, text):
        with pytest.raises(ValueError, match=re.escape(text)):
            call()


class TestSpectralEntropy:
    @given(seeds)
    @settings(max_examples=20, deadline=None)
    def test_is_the_entropy_of_the_shares(self, seed):
        z = np.random.default_rng(seed).normal(size=(30, 4)) * [1, 2, 3, 0.1]
        C = koopman.covariance(z)
        assert np.allclose(C, np.cov(z.T))
        lam = np.linalg.eigvalsh(C)
        assert np.isclose(koopman.von_neumann(C), info.entropy(lam / lam.sum()), atol=1e-12)

    def test_ends(self):
        assert np.isclose(koopman.von_neumann(np.eye(5) * 3.0), math.log(5))
        assert koopman.von_neumann(np.diag([2.0, 0.0, 0.0])) == 0

    def test_gradient_points_uphill(self):
        torch = pytest.importorskip("torch")
        z = torch.tensor(np.random.default_rng(0).normal(size=(40, 3)) * [3, 1, 0.3], requires_grad=True)
        H = koopman.von_neumann(koopman.covariance(z))
        H.backward()
        with torch.no_grad():
            assert koopman.von_neumann(koopman.covariance(z + 0.1 * z.grad)) > H

    @pytest.mark.parametrize("C, text", [
        (np.zeros((2, 2)), "C must have a trace > 0; got 0"), (np.diag([1.0, -0.5]), "C must have no negative eigenvalue"),
        (np.full((2, 2), np.nan), "C must be finite; got nan"),
    ])
    def test_messages(self, C, text):
        with pytest.raises(ValueError, match=re.escape(text)):
            koopman.von_neumann(C)


class TestBudget:
    def test_card_values(self):
        g = (8, 2, 0.7, 0.2)
        assert np.allclose(koopman.water_filling(g).p, [0.6875, 0.3125, 0, 0], atol=1e-12)
        for gamma, rank in ((0, 1.86), (0.01, 1.868), (0.05, 1.92), (0.2, 2.67), (1, 3.78)):
            assert abs(math.exp(koopman.water_filling(g, gamma).entropy) - rank) < 0.006

    @given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=7), st.one_of(st.just(0.0), st.floats(1e-3, 100)), st.floats(0.1, 10))
    @settings(max_examples=60, deadline=None)
    def test_feasible_certified_and_best(self, g, gamma, budget):
        f = koopman.water_filling(g, gamma, budget)
        g = np.array(g)
        assert np.isclose(f.p.sum(), budget, rtol=1e-9) and (f.p >= 0).all()
        assert -1e-13 <= f.gap < 1e-9 * max(1, gamma, g.max() * budget)
        value = lambda p: 0.5 * np.log1p(g * p).sum() + gamma * info.entropy(p / budget)
        assert np.isclose(f.information + gamma * f.entropy, value(f.p), atol=1e-9)
        for p in np.random.default_rng(0).dirichlet(np.ones(len(g)), size=30) * budget:
            assert value(p) <= value(f.p) + f.gap + 1e-9 * max(1, gamma)
        if gamma > 0:
            slope = g / (2 * (1 + g * f.p)) - gamma / budget * (1 + f.log_p - math.log(budget))
            assert np.allclose(slope, f.multiplier, atol=1e-8 * max(1, gamma / budget, g.max()))

    def test_against_another_solver(self):
        g, gamma = np.array([5.0, 1.0, 0.3]), 0.1
        soft = lambda v: np.exp(v) / np.exp(v).sum()
        loss = lambda v: -0.5 * np.log1p(g * soft(v)).sum() - gamma * info.entropy(soft(v))
        found = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-9})
        assert np.allclose(koopman.water_filling(g, gamma).p, soft(found.x), atol=1e-5)

    def test_underflow_keeps_its_logarithm(self):
        f = koopman.water_filling((8, 2, 0.7, 0.2), 3e-4)
        assert f.p[3] == 0 and f.gap < 1e-12
        assert np.isclose(f.log_p[3], (0.1 - f.multiplier) / 3e-4 - 1, rtol=1e-12)

    @pytest.mark.parametrize("args, text", [
        (([1.0, 0.0],), "gains must be a list of finite numbers > 0"), (([1.0], -1), "gamma must be a finite number >= 0; got -1"),
        (([1.0], 0.0, 0.0), "budget must be a number > 0; got 0.0"),
    ])
    def test_messages(self, args, text):
        with pytest.raises(ValueError, match=re.escape(text)):
            koopman.water_filling(*args)


class TestWindow:
    def test_against_loops(self):
        z = np.random.default_rng(0).normal(size=(3, 12, 4))
        u, found = z / np.linalg.norm(z, axis=-1, keepdims=True), []
        for window in u:
            terms = []
            for n in range(2, 10):
                e = np.exp(window @ window[n] / 0.3)
                near = [m for m in range(12) if 0 < abs(m - n) <= 2]
                terms.append(np.log(e[near].mean() / np.delete(e, n).mean()))
            found.append(np.mean(terms))
        got, ceiling = koopman.window_information(z, k=2, temperature=0.3)
        assert np.allclose(got, found, atol=1e-12) and np.isclose(ceiling, math.log(11 / 4))

    @given(seeds, st.integers(1, 3), st.floats(0.01, 2))
    @settings(max_examples=30, deadline=None)
    def test_never_above_its_ceiling(self, seed, k, temperature):
        z = np.random.default_rng(seed).normal(size=(4, 10, 2)).cumsum(1)
        estimate, ceiling = koopman.window_information(z, k, temperature)
        assert (estimate <= ceiling + 1e-12).all()

    def test_a_constant_window_tells_nothing_and_torch_agrees(self):
        torch = pytest.importorskip("torch")
        assert np.allclose(koopman.window_information(np.ones((2, 16, 3)))[0], 0, atol=1e-12)
        z = np.random.default_rng(1).normal(size=(2, 16, 3))
        assert np.allclose(koopman.window_information(torch.tensor(z))[0], koopman.window_information(z)[0], atol=1e-12)

    def test_messages(self):
        with pytest.raises(ValueError, match=r"z must hold windows of more than 2k \+ 1 = 7 times; got shape \(7, 2\)"):
            koopman.window_information(np.ones((7, 2)))
        with pytest.raises(ValueError, match="temperature must be a number > 0; got 0"):
            koopman.window_information(np.ones((9, 2)), temperature=0)
