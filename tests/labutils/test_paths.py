"""Maximum entropy over paths: tilted chains, responses, entropy production, fluctuation theorems."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm, null_space

from labutils import info, paths

SEEDS = st.integers(0, 10_000)


def system(seed=0, n=5, T=6):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(n), size=n), rng.normal(size=(n, n)), rng.normal(size=T)


def reversible(seed=0, n=5):
    """(pi, P) with detailed balance."""
    w = np.random.default_rng(seed).exponential(size=(n, n))
    w = w + w.T
    return w.sum(1) / w.sum(), w / w.sum(1, keepdims=True)


def rates(seed=0, n=6):
    W = np.random.default_rng(seed).exponential(size=(n, n))
    np.fill_diagonal(W, 0)
    return W - np.diag(W.sum(1))


def ring(a, b, n=3):
    W = a * np.roll(np.eye(n), 1, axis=1) + b * np.roll(np.eye(n), -1, axis=1)
    return W - np.diag(W.sum(1))


def metropolis(E, force=0.0):
    """Rates on a line of energies, in detailed balance; with a force the ends are joined to a ring."""
    E, n = np.asarray(E), len(E)
    W = np.zeros((n, n))
    for x in range(n if force else n - 1):
        y = (x + 1) % n
        W[x, y] = min(1, np.exp(E[x] - E[y])) * np.exp(force / 2)
        W[y, x] = min(1, np.exp(E[y] - E[x])) * np.exp(-force / 2)
    return W - np.diag(W.sum(1))


def brute_force(p0, P0, f, lam):
    """(paths, f along them, weights of the whole-path ensemble, log Z): by writing all paths down."""
    walk, weight = paths.all_paths(p0, np.repeat(P0[None], len(lam), axis=0))
    along = f[walk[:, :-1], walk[:, 1:]]
    tilted = weight * np.exp(-along @ lam)
    return walk, along, tilted / tilted.sum(), np.log(tilted.sum())


def slope(function, lam, s, h=1e-5):
    step = h * np.eye(len(lam))[s]
    return (function(lam + step) - function(lam - step)) / (2 * h)


# ---------------------------------------------------------------- the tilted chain

def test_a_tilted_chain_is_the_formula():
    p0, P0, f, lam = system()
    P, log_z = paths.tilt(P0, f, lam)
    for t, x in ((0, 0), (3, 4)):
        weight = P0[x] * np.exp(-lam[t] * f[x])
        assert np.allclose(P[t, x], weight / weight.sum(), atol=1e-15)
        assert log_z[t, x] == pytest.approx(np.log(weight.sum()), abs=1e-14)
    one, log_one = paths.tilt(P0, f, lam[0])
    assert np.array_equal(one, P[0]) and np.array_equal(log_one, log_z[0])


def test_several_constraints_and_a_reference_in_time():
    p0, P0, f, lam = system()
    two = np.stack([f, f.T**2])
    both = np.stack([lam, lam[::-1]], axis=1)
    P, _ = paths.tilt(P0, two, both)
    step = paths.tilt(paths.tilt(P0, two[0], lam)[0], two[1], lam[::-1])[0]
    assert np.allclose(P, step, atol=1e-14)
    assert np.allclose(paths.tilt(P0, two, both[2])[0], P[2], atol=1e-15)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_no_chain_with_the_same_means_has_more_caliber(seed):
    """Move each row so that sum and the step's mean stay: caliber falls."""
    p0, P0, f, lam = system(seed, 4, 3)
    P, _ = paths.tilt(P0, f, lam)
    p = paths.propagate(p0, P)[:-1]
    rng = np.random.default_rng(seed)
    for t in range(3):
        move = rng.normal(size=(4, 4))
        move -= move.mean(1, keepdims=True)  # rows still sum to 1
        weighted = p[t][:, None] * (f - f.mean(1, keepdims=True))
        move -= weighted * (p[t][:, None] * move * f).sum() / (p[t][:, None] * weighted * f).sum()
        here = lambda Q: (p[t] * info.kl(Q, P0)).sum()  # noqa: B023
        eps = 0.2 * (P[t] / np.abs(move).clip(1e-9)).min()
        assert abs((p[t][:, None] * move * f).sum()) < 1e-10
        assert here(P[t]) <= min(here(P[t] + eps * move), here(P[t] - eps * move)) + 1e-14


def test_propagation_and_means_by_hand():
    p0, P0, f, lam = system()
    P, _ = paths.tilt(P0, f, lam)
    p = paths.propagate(p0, P)
    assert p.shape == (7, 5) and np.allclose(p[2], p0 @ P[0] @ P[1], atol=1e-15)
    assert paths.means(p0, P, f)[1] == pytest.approx(np.einsum("x,xy,xy", p0 @ P[0], P[1], f), abs=1e-14)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_caliber_identity(seed):
    p0, P0, f, lam = system(seed)
    P, log_z = paths.tilt(P0, f, lam)
    plus = paths.caliber(p0, P, P0) + paths.path_free_energy(p0, P0, f, lam)
    assert plus == pytest.approx(lam @ paths.means(p0, P, f), abs=1e-12)
    assert paths.caliber(p0, P, P0) <= 0


def test_caliber_of_a_forbidden_step_is_minus_infinity():
    assert paths.caliber([0.5, 0.5], np.full((1, 2, 2), 0.5), np.eye(2)) == -math.inf
    assert paths.caliber([1.0, 0.0], [[[1.0, 0.0], [0.5, 0.5]]], np.eye(2)) == 0  # a state never seen


# ---------------------------------------------------------------- responses

@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_response_is_the_derivative_at_any_driving(seed):
    p0, P0, f, lam = system(seed)
    g = np.random.default_rng(seed + 1).normal(size=f.shape)
    R = paths.response(p0, paths.tilt(P0, f, lam)[0], f, g)
    for s in range(6):
        want = slope(lambda x: paths.means(p0, paths.tilt(P0, f, x)[0], g), lam, s)
        assert np.abs(R[:, s] - want).max() < 1e-9
    assert (np.triu(R, 1) == 0).all()


def test_residual_of_the_fluctuation_dissipation_theorem():
    """Complex step: no cancellation, so the residual is rounding."""
    p0, P0, f, lam = system(3)
    P, _ = paths.tilt(P0, f, lam)
    R, h = paths.response(p0, P, f), 1e-30
    for s in range(6):
        weight = P0 * np.exp(-(lam + 1j * h * np.eye(6)[s])[:, None, None] * f)
        chain, p = weight / weight.sum(-1, keepdims=True), p0 + 0j
        for t in range(6):
            assert abs((p[:, None] * chain[t] * f).sum().imag / h - R[t, s]) < 1e-10
            p = p @ chain[t]


def test_response_is_the_average_over_all_paths():
    p0, P0, f, lam = system(4, 3, 4)
    P, _ = paths.tilt(P0, f, lam)
    walk, weight = paths.all_paths(p0, P)
    along = f[walk[:, :-1], walk[:, 1:]]
    given_x = np.stack([(P[s] * f).sum(1)[walk[:, s]] for s in range(4)], axis=1)
    want = -(weight[:, None, None] * along[:, :, None] * (along - given_x)[:, None, :]).sum(0)
    assert np.abs(want - paths.response(p0, P, f)).max() < 1e-14


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_whole_paths_are_the_weighted_paths(seed):
    p0, P0, f, lam = system(seed, 3, 5)
    start, P, log_z = paths.whole_paths(p0, P0, f, lam)
    walk, along, weight, want = brute_force(p0, P0, f, lam)
    assert log_z == pytest.approx(want, abs=1e-12)
    assert np.abs(paths.all_paths(start, P)[1] - weight).max() < 1e-14
    g = np.random.default_rng(seed).normal(size=f.shape)
    other = g[walk[:, :-1], walk[:, 1:]]
    cov = (other - weight @ other).T @ (weight[:, None] * (along - weight @ along))
    assert np.abs(paths.covariance(start, P, f, g) - cov).max() < 1e-13
    assert np.abs(paths.covariance(start, P, f) - paths.covariance(start, P, f).T).max() < 1e-14


def test_whole_paths_answer_before_the_cause():
    p0, P0, f, lam = system(0)
    start, P, _ = paths.whole_paths(p0, P0, f, lam)
    C = paths.covariance(start, P, f)
    for s in (0, 5):
        def mean(x):
            start, P, _ = paths.whole_paths(p0, P0, f, x)
            return paths.means(start, P, f)
        assert np.abs(slope(mean, lam, s) + C[:, s]).max() < 1e-9
    assert abs(C[0, 5]) > 1e-4


def test_whole_paths_keep_their_digits_over_many_steps():
    p0, P0, f, _ = system()
    lam = np.full(2000, 3.0)
    start, P, log_z = paths.whole_paths(p0, P0, f, lam)
    assert np.isfinite(log_z) and np.allclose(P.sum(-1), 1, atol=1e-13)
    assert log_z / 2000 == pytest.approx(paths.scgf(P0, f, -3.0), abs=5e-3)


def test_only_what_the_reference_allows_counts():
    P0, f = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, -1000.0], [0.0, 0.0]])
    P, log_z = paths.tilt(P0, f, 1.0)  # the step 0 -> 1, of huge weight, does not exist
    assert np.array_equal(P, P0) and np.array_equal(log_z, [0, 0])
    start, whole, total = paths.whole_paths([0.5, 0.5], P0, f, [1.0, 1.0])
    assert np.array_equal(whole, [P0, P0]) and np.array_equal(start, [0.5, 0.5]) and total == 0


@pytest.mark.parametrize("c", [800.0, -800.0])
def test_a_constant_changes_the_normalisation_alone(c):
    p0, P0, f, lam = system()
    P, log_z = paths.tilt(P0, f + c, 1.0)
    assert np.allclose(P, paths.tilt(P0, f, 1.0)[0], atol=1e-13)
    assert np.allclose(log_z, paths.tilt(P0, f, 1.0)[1] - c, atol=1e-12)
    plain, shifted = (paths.whole_paths(p0, P0, g, np.ones(3)) for g in (f, f + c))
    assert np.allclose(plain[1], shifted[1], atol=1e-12) and shifted[2] == pytest.approx(plain[2] - 3 * c, abs=1e-11)
    assert paths.scgf(P0, f + c, 1.0) == pytest.approx(paths.scgf(P0, f, 1.0) + c, abs=1e-11)
    assert np.allclose(paths.doob(P0, f + c, 1.0), paths.doob(P0, f, 1.0), atol=1e-12)


# ---------------------------------------------------------------- long times

@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(-2, 2))
def test_the_driven_chain_has_the_mean_that_psi_says(seed, s):
    _, P0, f, _ = system(seed)
    P = paths.doob(P0, f, s)
    assert np.allclose(P.sum(-1), 1, atol=1e-13)
    want = (paths.scgf(P0, f, s + 1e-5) - paths.scgf(P0, f, s - 1e-5)) / 2e-5
    assert paths.means(paths.stationary(P), P[None], f)[0] == pytest.approx(want, abs=1e-7)


def test_psi_is_the_limit_and_convex():
    p0, P0, f, _ = system()
    s = np.linspace(-2, 2, 41)
    psi = paths.scgf(P0, f, s)
    assert psi[20] == pytest.approx(0, abs=1e-14) and (np.diff(psi, 2) > 0).all()
    gap = [abs(paths.whole_paths(p0, P0, f, np.full(T, -1.0))[2] / T - paths.scgf(P0, f, 1.0)) for T in (100, 200)]
    assert gap[0] / gap[1] == pytest.approx(2, abs=1e-3)


def test_symmetry_of_the_entropy_flow():
    _, P0, _, _ = system()
    flow = np.log(P0 / P0.T)
    s = np.linspace(-2, 1, 13)
    assert np.allclose(paths.scgf(P0, flow, s), paths.scgf(P0, flow, -1 - s), atol=1e-13)


# ---------------------------------------------------------------- stationary laws and entropy production

@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(2, 9))
def test_stationary_laws(seed, n):
    P = np.random.default_rng(seed).dirichlet(np.full(n, 0.5), size=n)
    law = paths.stationary(P)
    assert np.allclose(law @ P, law, atol=1e-13) and law.sum() == pytest.approx(1, abs=1e-14)
    W = rates(seed, n)
    assert np.allclose(paths.stationary(W) @ W, 0, atol=1e-12)
    assert np.allclose(paths.stationary(1e6 * W), paths.stationary(W), atol=1e-13)
    kernel = null_space(W.T)[:, 0]
    assert np.allclose(paths.stationary(W), kernel / kernel.sum(), atol=1e-12)


def test_states_that_hardly_ever_change_keep_their_digits():
    P = np.array([[1 - 1e-13, 1e-13], [3e-13, 1 - 3e-13]])
    assert np.allclose(paths.stationary(P), [0.75, 0.25], atol=1e-15)


@pytest.mark.parametrize("E", [(0, 0, 30), (0, 0, 36), (0, 0, 40), (0, 36, 0), (0, 20, 40, 20, 0), (700, 0, 0), (0, 350, 700)])
def test_deep_landscapes_keep_each_entry(E):
    W = metropolis(E)
    want = np.exp(-np.array(E, dtype=float))
    want /= want.sum()
    for chain in (W, np.eye(len(E)) + W / 4):
        assert np.abs(paths.stationary(chain) / want - 1).max() < 1e-12
    made = paths.entropy_production_rate(W)
    assert max(abs(x) for x in made) < 1e-12
    assert abs(paths.entropy_production(np.eye(len(E)) + W / 4).total) < 1e-12
    assert paths.cycles(W) == []


def test_a_driven_ring_with_one_site_that_is_hardly_ever_seen():
    W = metropolis([0.0, 40.0, 0.0, 0.0], force=1.0)
    (cycle,) = paths.cycles(W)
    made = paths.entropy_production_rate(W)
    assert cycle.affinity == pytest.approx(4 * np.sign(cycle.affinity), abs=1e-12)
    assert 0 < made.total == pytest.approx(cycle.affinity * cycle.current, rel=1e-6)
    assert abs(made.change) < 1e-12


def test_a_state_that_is_left_for_good_has_law_zero():
    law = paths.stationary([[0.5, 0.25, 0.25], [0, 0.5, 0.5], [0, 0.5, 0.5]])
    assert law[0] == 0 and np.allclose(law, [0, 0.5, 0.5], atol=1e-15)


def test_rates_of_the_three_state_ring():
    made = paths.entropy_production_rate(ring(1.3, 0.4))
    assert made.total == pytest.approx(1.0607895, abs=5e-8)
    assert made.total == pytest.approx(0.9 * np.log(1.3 / 0.4), abs=1e-14)
    assert made.change == pytest.approx(0, abs=1e-15)
    (cycle,) = paths.cycles(ring(1.3, 0.4))
    assert cycle.affinity == pytest.approx(3 * np.log(1.3 / 0.4), abs=1e-14)
    assert cycle.current == pytest.approx(0.3, abs=1e-15)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(3, 7), st.booleans())
def test_schnakenbergs_sum(seed, n, chain):
    W = rates(seed, n)
    if chain:
        W = np.eye(n) + W / (1.5 * np.abs(W).max())
        total = paths.entropy_production(W).total
    else:
        total = paths.entropy_production_rate(W).total
    found = paths.cycles(W)
    assert len(found) == n * (n - 1) // 2 - (n - 1)
    assert sum(c.affinity * c.current for c in found) == pytest.approx(total, abs=1e-12)


def test_cycles_follow_edges_that_exist():
    W = np.zeros((5, 5))
    for x, y in ((0, 1), (1, 2), (2, 3), (3, 1), (3, 4)):  # a triangle with two tails
        W[x, y], W[y, x] = 2.0 + x, 1.0 + y
    W -= np.diag(W.sum(1))
    (cycle,) = paths.cycles(W)
    assert set(cycle.states) == {1, 2, 3}
    tree = np.diag([1.0, 2.0, 3.0], 1) + np.diag([1.0, 1.0, 1.0], -1)
    tree -= np.diag(tree.sum(1))
    assert paths.cycles(tree) == []
    assert paths.entropy_production_rate(tree).total == pytest.approx(0, abs=1e-14)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_information_lost_is_a_divergence_for_any_reverse_kernel(seed):
    p0, P0, f, lam = system(seed, 4, 5)
    P, _ = paths.tilt(P0, f, lam)
    R = np.random.default_rng(seed + 1).dirichlet(np.ones(4), size=(5, 4))
    made = paths.entropy_production(P, p0, R)
    p = paths.propagate(p0, P)
    for t in range(5):
        forward, back = p[t][:, None] * P[t], (p[t + 1][:, None] * R[t]).T
        assert made.total[t] == pytest.approx(info.kl(forward, back, axis=(0, 1)), abs=1e-12)
    assert (made.total >= 0).all()
    assert np.allclose(made.total, made.flow + made.change, atol=1e-12)
    assert np.allclose(made.change, np.diff(info.entropy(p)), atol=1e-14)
    bayes = np.swapaxes(p[:-1, :, None] * P / p[1:, None, :], 1, 2)
    assert np.abs(paths.entropy_production(P, p0, bayes).total).max() < 1e-13


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_rate_out_of_the_stationary_law(seed):
    W = rates(seed)
    p = np.random.default_rng(seed + 1).dirichlet(np.ones(6))
    made, dt = paths.entropy_production_rate(W, p), 1e-6
    later = p @ expm(dt * W)
    assert made.change == pytest.approx((info.entropy(later) - info.entropy(p)) / dt, rel=1e-3, abs=1e-4)
    assert made.total == pytest.approx(made.flow + made.change, abs=1e-12) and made.total >= 0


def test_a_chain_in_small_steps_becomes_the_rate():
    W, dt = rates(), np.array([1e-3, 5e-4, 2.5e-4])
    want = paths.entropy_production_rate(W).total
    gap = [abs(paths.entropy_production(np.eye(6) + d * W).total / d - want) for d in dt]
    assert max(gap) < 1e-10  # the same currents and affinities, at any step


def test_detailed_balance_produces_nothing():
    law, P = reversible()
    assert np.allclose(paths.stationary(P), law, atol=1e-14)
    assert paths.entropy_production(P).total < 1e-15
    assert all(abs(c.affinity) < 1e-13 for c in paths.cycles(P))


def test_infinite_rates_out_of_an_empty_state():
    made = paths.entropy_production_rate(ring(1.0, 0.5), [1.0, 0.0, 0.0])
    assert made.total == math.inf and made.change == math.inf and math.isfinite(made.flow)


# ---------------------------------------------------------------- single paths

def test_fluctuation_theorems_by_enumeration():
    p0, P0, f, lam = system(7, 3, 4)
    P, _ = paths.tilt(P0, f, lam)
    walk, weight = paths.all_paths(p0, P)
    assert walk.shape == (3**5, 5) and weight.sum() == pytest.approx(1, abs=1e-14)
    end = paths.propagate(p0, P)[-1]
    total = np.log(p0[walk[:, 0]]) - np.log(end[walk[:, -1]])
    for t in range(4):
        total += np.log(P[t, walk[:, t], walk[:, t + 1]] / P[t, walk[:, t + 1], walk[:, t]])
    assert weight @ np.exp(-total) == pytest.approx(1, abs=1e-13)
    assert weight @ total == pytest.approx(paths.entropy_production(P, p0).total.sum(), abs=1e-12)


def test_paths_by_hand():
    walk, weight = paths.all_paths([0.25, 0.75], [[[0.5, 0.5], [0.1, 0.9]]])
    assert walk.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert np.allclose(weight, [0.125, 0.125, 0.075, 0.675], atol=1e-15)


def test_simulated_paths_have_the_frequencies_of_their_chain():
    rng = np.random.default_rng(1)
    P = rng.dirichlet(np.ones(3), size=(3, 3))
    drawn = paths.simulate(P, 20_000, np.random.default_rng(2), walkers=5, start=[2, 1])
    assert drawn.shape == (5, 20_002) and (drawn[:, :2] == [2, 1]).all()
    counts = np.zeros((3, 3, 3))
    np.add.at(counts, (drawn[:, :-2], drawn[:, 1:-1], drawn[:, 2:]), 1)
    seen = counts.sum(-1, keepdims=True)
    assert (np.abs(counts / seen - P) < 5 * np.sqrt(P * (1 - P) / seen)).all()
    again = paths.simulate(P, np.int64(20_000), np.random.default_rng(2), walkers=5, start=[2, 1])
    assert np.array_equal(drawn, again)


# ---------------------------------------------------------------- NumPy and torch

def test_torch_gives_the_same_numbers_and_gradients():
    torch = pytest.importorskip("torch")
    t = torch.tensor
    p0, P0, f, lam = system()
    P, log_z = paths.tilt(P0, f, lam)
    start, whole, total = paths.whole_paths(p0, P0, f, lam)
    args = t(p0), t(P0), t(f), t(lam)
    pairs = [
        (paths.tilt(*args[1:])[0], P), (paths.response(t(p0), t(P), t(f)), paths.response(p0, P, f)),
        (paths.whole_paths(*args)[1], whole), (paths.covariance(t(start), t(whole), t(f)), paths.covariance(start, whole, f)),
        (paths.scgf(t(P0), t(f), t([0.3], dtype=torch.float64)), paths.scgf(P0, f, [0.3])), (paths.doob(t(P0), t(f), 0.3), paths.doob(P0, f, 0.3)),
        (paths.entropy_production(t(P), t(p0)).total, paths.entropy_production(P, p0).total),
        (paths.caliber(t(p0), t(P), t(P0)), paths.caliber(p0, P, P0)), (paths.stationary(t(P0)), paths.stationary(P0)),
        (paths.all_paths(t(p0), t(P))[1], paths.all_paths(p0, P)[1]),
        (paths.entropy_production_rate(t(rates())).total, paths.entropy_production_rate(rates()).total),
        (paths.path_free_energy(*args), paths.path_free_energy(p0, P0, f, lam)),
    ]
    learned = t(P0, requires_grad=True)
    assert np.array_equal(paths.simulate(learned, 9, np.random.default_rng(0)), paths.simulate(P0, 9, np.random.default_rng(0)))
    for got, want in pairs:
        assert np.abs(got.numpy() - want).max() < 1e-12
    assert [c.states for c in paths.cycles(t(rates()))] == [c.states for c in paths.cycles(rates())]
    R = torch.autograd.functional.jacobian(lambda x: paths.means(t(p0), paths.tilt(t(P0), t(f), x)[0], t(f)), t(lam))
    assert np.abs(R.numpy() - paths.response(p0, P, f)).max() < 1e-13
    grad = torch.autograd.functional.jacobian(lambda x: paths.whole_paths(t(p0), t(P0), t(f), x)[2], t(lam))
    assert np.abs(grad.numpy() + paths.means(start, whole, f)).max() < 1e-13


# ---------------------------------------------------------------- what is refused

HALF = np.full((2, 2), 0.5)
WRONG = np.array([[0.5, 0.6], [0.5, 0.5]])
ONE_WAY = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])


@pytest.mark.parametrize("call, message", [
    (lambda: paths.tilt(WRONG, HALF, 1.0), r"P0 must sum to 1 along axis -1 within .*; got 1.1"),
    (lambda: paths.tilt(HALF[0], HALF, 1.0), r"P0 must have shape \[n, n\] or \[L, n, n\]; got \(2,\)"),
    (lambda: paths.tilt(HALF, np.ones((3, 3)), 1.0), r"f must have shape \[2, 2\] or \[A, 2, 2\]; got \(3, 3\)"),
    (lambda: paths.tilt(HALF, HALF, math.nan), "lam must be finite; got nan"),
    (lambda: paths.tilt(HALF, [[1, math.inf], [0, 0]], 1.0), "f must be finite; got inf"),
    (lambda: paths.tilt(HALF, [HALF, HALF], [1.0, 2.0, 3.0]), r"lam must be a number or one a step, and one a constraint of f \(2\); got shape \(3,\)"),
    (lambda: paths.tilt([HALF, HALF], HALF, [1.0]), r"lam must have one value for each of 2 steps"),
    (lambda: paths.tilt(HALF, 1e200 * HALF, 1e200), "lam f must be within the range of floats; got a product beyond it"),
    (lambda: paths.whole_paths([0.5, 0.5], HALF, HALF, 1.0), r"lam must have one value a step; got shape \(\)"),
    (lambda: paths.whole_paths([0.5, 0.5], HALF, HALF, []), "lam must have at least one step; got none"),
    (lambda: paths.path_free_energy([0.5, 0.5], HALF, HALF, 1.0), "lam must have one value a step"),
    (lambda: paths.propagate([0.5, 0.6], [HALF]), "p0 must sum to 1"),
    (lambda: paths.propagate([0.5, 0.5], [WRONG]), "P must sum to 1"),
    (lambda: paths.propagate([0.5, 0.5], HALF), r"P must have one matrix a step, \[L, n, n\]; got \(2, 2\)"),
    (lambda: paths.propagate([1 / 3] * 3, [HALF]), r"p0 must have shape \(2,\); got \(3,\)"),
    (lambda: paths.means([0.5, 0.5], [HALF], np.ones(2)), r"f must have shape \(2, 2\); got \(2,\)"),
    (lambda: paths.response([0.5, 0.5], [HALF], HALF, np.ones(2)), r"g must have shape \(2, 2\)"),
    (lambda: paths.scgf([HALF], HALF, 0.0), r"P0 must have shape \[n, n\]; got \(1, 2, 2\)"),
    (lambda: paths.scgf(HALF, HALF, math.inf), "u must be finite; got inf"),
    (lambda: paths.doob(HALF, HALF, [0.0, 1.0]), r"u must be one number; got shape \(2,\)"),
    (lambda: paths.doob(np.eye(2), HALF, 0.1), "P0 must be irreducible; got no way from 0 to 1"),
    (lambda: paths.scgf([[1.0, 0.0], [0.5, 0.5]], HALF, 0.1), "P0 must be irreducible; got no way from 0 to 1"),
    (lambda: paths.scgf(HALF, 1e200 * HALF, [0.0, 1e200]), "u f must be within the range of floats"),
    (lambda: paths.doob(HALF, [[0.0, 1.0], [0.0, 0.0]], 1e4), "u must leave .* an eigenvector that floats can hold; got u = 10000"),
    (lambda: paths.stationary(metropolis([0.0, 500.0, 1000.0])), "P must have a stationary law within the range of floats"),
    (lambda: paths.stationary(ring(1.0, 2.0) + 3 * np.eye(3)), "P must be rates, with rows that sum to 0, or a chain; as a chain P must sum to 1 .* got 3"),
    (lambda: paths.entropy_production_rate(ring(1.0, 2.0) + 3 * np.eye(3)), r"W must have rows that sum to 0 \(rates, with their diagonal\); got 3"),
    (lambda: paths.stationary(np.eye(2)), "P must have one stationary law; got classes"),
    (lambda: paths.stationary(np.zeros((2, 2))), "P must have one stationary law; got classes"),
    (lambda: paths.stationary([[-1.0, 1.0], [2.0, -1.0]]), "P must be >= 0 everywhere; got -1"),
    (lambda: paths.stationary([[0.0, -1.0], [1.0, 0.0]]), r"P must be >= 0 off its diagonal; got -1 at \(0, 1\)"),
    (lambda: paths.stationary(np.ones((2, 3))), r"P must have shape \[n, n\], n >= 2; got \(2, 3\)"),
    (lambda: paths.entropy_production([HALF]), "p must be given for a chain with one matrix a step"),
    (lambda: paths.entropy_production(HALF, reverse=[HALF]), r"reverse must have the shape \(2, 2\) of P; got \(1, 2, 2\)"),
    (lambda: paths.entropy_production(ONE_WAY), r"P goes 0 -> 1 with 0.5 and reverse goes 1 -> 0 with 0: the entropy production is infinite"),
    (lambda: paths.entropy_production_rate(HALF), r"W must have rows that sum to 0 \(rates, with their diagonal\); got 1"),
    (lambda: paths.entropy_production_rate(ring(1.0, 0.0)), r"it goes 0 -> 1 with 1 and 1 -> 0 with 0: the entropy production is infinite"),
    (lambda: paths.entropy_production_rate(ring(1.0, 0.5), [0.5, 0.5]), r"p must have shape \(3,\); got \(2,\)"),
    (lambda: paths.cycles(ring(1.0, 0.0)), "W must allow the way back of each jump; got 0 -> 1 alone"),
    (lambda: paths.all_paths([0.5, 0.5], np.repeat(HALF[None], 25, 0)), r"P must have at most 2000000 paths; got 2\^26"),
    (lambda: paths.simulate(HALF[0], 3, None), r"P must have k \+ 1 axes of one length; got shape \(2,\)"),
    (lambda: paths.simulate(WRONG, 3, None), "P must sum to 1"),
    (lambda: paths.simulate(HALF, 0, None), "steps must be a whole number >= 1; got 0"),
    (lambda: paths.simulate(HALF, 3, None, walkers=1.5), "walkers must be a whole number >= 1; got 1.5"),
    (lambda: paths.simulate(HALF, 3, None, start=[2]), "start must hold 1 states below 2"),
    (lambda: paths.simulate(HALF, 3, None, start=[0.7]), "start must hold 1 states below 2, whole numbers; got array.*0.7"),
    (lambda: paths.simulate(HALF, True, None), "steps must be a whole number >= 1; got True"),
    (lambda: paths.simulate(HALF, 3, 7), r"rng must be a NumPy generator, such as numpy.random.default_rng\(0\); got 7"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
