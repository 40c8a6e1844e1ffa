"""Langevin paths and what their currents produce: closed forms, other solvers, both libraries, bad input."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import langevin

settings.register_profile("langevin", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("langevin")

TRAP = (1.3, 0.7, 0.5, 0.4)  # v0, gamma, A, eps
TURN = np.array([[-1.0, 2.0], [-2.0, -1.0]])


@st.composite
def systems(draw, size=None):
    """A stable M and a positive D of 2 to 4 dimensions."""
    n = size or draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    M, root = rng.standard_normal((n, n)), rng.standard_normal((n, n))
    M = M - (np.linalg.eigvals(M).real.max() + draw(st.floats(0.2, 2.0))) * np.eye(n)
    return M, root @ root.T + 0.1 * np.eye(n)


# Linear systems


@given(systems())
def test_lyapunov_is_that_of_scipy(system):
    M, D = system
    Sigma = langevin.lyapunov(M, D)
    assert np.allclose(Sigma, scipy.linalg.solve_continuous_lyapunov(M, -2 * D), rtol=1e-9, atol=1e-10)


@given(systems())
def test_the_current_of_a_linear_system_has_no_trace_and_costs_nothing_negative(system):
    M, D = system
    found = langevin.linear_entropy_production(M, D)
    assert abs(np.trace(found.velocity)) < 1e-8 * np.abs(M).max()
    assert found.total >= 0 and np.isclose(found.per.sum(), found.total)
    # the score-free form of the mean, E[b D^-1 b] + E[div b]
    free = np.trace(np.linalg.solve(D, M @ found.covariance @ M.T)) + np.trace(M)
    assert np.isclose(found.total, free, rtol=1e-7, atol=1e-8)


@given(systems(), st.floats(0.5, 2.0))
def test_gradients_produce_nothing_and_coordinates_do_not_matter(system, c):
    M, D = system
    K = D @ (M @ M.T + np.eye(len(M)))  # D times a symmetric matrix
    assert abs(langevin.linear_entropy_production(-K, D).total) < 1e-8
    T = np.eye(len(M)) + c * np.triu(np.ones_like(M), 1)
    seen = langevin.linear_entropy_production(T @ M @ np.linalg.inv(T), T @ D @ T.T).total
    assert np.isclose(seen, langevin.linear_entropy_production(M, D).total, rtol=1e-6, atol=1e-8)


def test_trapped_swimmer_has_the_known_rates():
    M, D = langevin.trapped_swimmer(*TRAP)
    even = langevin.linear_entropy_production(M, D)
    odd = langevin.linear_entropy_production(M, D, parity=[1, -1])
    assert np.isclose(even.total, 2.4645833, atol=1e-7) and np.isclose(odd.total, 1.7604167, atol=1e-7)
    assert np.allclose(even.per, [2.12831, 0.33627], atol=5e-6)
    assert np.isclose(even.total + odd.total, 1.3**2 / 0.4)


@given(st.floats(0.1, 3), st.floats(0.1, 3), st.floats(0.1, 3), st.floats(0.1, 3))
def test_trapped_swimmer_closed_forms(v0, gamma, A, eps):
    M, D = langevin.trapped_swimmer(v0, gamma, A, eps)
    assert np.isclose(langevin.linear_entropy_production(M, D).total, v0**2 * gamma / (eps * (gamma + A)))
    odd = langevin.linear_entropy_production(M, D, [1, -1]).total
    assert np.isclose(odd, A * v0**2 / (eps * (gamma + A)))


def test_inertia_is_reversible_only_if_momentum_turns_over():
    M = np.array([[0.0, 1.0], [-2.0, -0.5]])  # position and momentum, noise on the momentum alone
    D = np.diag([0.0, 0.3])
    assert abs(langevin.linear_entropy_production(M, D, parity=[1, -1]).total) < 1e-12
    with pytest.raises(ValueError, match="current of size .* in a direction without noise"):
        langevin.linear_entropy_production(M, D)


@given(systems(), st.sampled_from([None, 1]))
def test_a_film_never_shows_more_than_there_is_and_all_of_it_in_the_end(system, odd):
    M, D = system
    parity = None
    if odd:
        parity = np.array([-1.0] + [1.0] * (len(M) - 1))
        D = np.where(np.outer(parity, parity) > 0, D, 0)
    rate = langevin.linear_entropy_production(M, D, parity).total
    shown = [langevin.watched_rate(M, D, tau, parity) for tau in (1e-2, 1e-3, 1e-4)]
    errors = [abs(s - rate) for s in shown]
    assert errors[2] <= max(errors[0], 1e-6 * (1 + rate)) and errors[2] < 0.02 * (1 + rate)
    if not odd:
        coarse = [langevin.watched_rate(M, D, tau) for tau in (0.25, 0.5, 1.0)]
        # doubling the step drops every second picture: it can only hide
        assert all(b <= a + 1e-8 for a, b in zip([rate, *coarse], coarse))


def test_torch_and_numpy_agree_on_linear_systems():
    M, D = langevin.trapped_swimmer(*TRAP)
    here = langevin.linear_entropy_production(M, D, [1, -1])
    there = langevin.linear_entropy_production(torch.tensor(M), torch.tensor(D), [1, -1])
    for name in ("total", "per", "covariance", "velocity"):
        assert np.allclose(getattr(here, name), getattr(there, name).numpy(), atol=1e-12)
    M = torch.tensor(M, requires_grad=True)
    langevin.linear_entropy_production(M, D).total.backward()
    h = np.array([[0, 1e-5], [0, 0]])
    M = M.detach().numpy()
    slope = (langevin.linear_entropy_production(M + h, D).total - langevin.linear_entropy_production(M - h, D).total) / 2e-5
    assert np.isclose(slope, 2 * 1.3 * 0.7 / (0.4 * 1.2), rtol=1e-6)


# Paths


def well(z):
    return z - z**3


@pytest.mark.parametrize("scheme", ["euler", "heun"])
def test_strong_order_is_one(scheme):
    rng, fine, T = np.random.default_rng(3), 4096, 2.0
    noise, z0 = rng.standard_normal((fine, 500, 1)), rng.standard_normal((500, 1))
    truth = langevin.simulate(well, 0.5, z0, T / fine, fine, noise=noise, scheme="heun")
    steps, errors = [16, 32, 64, 128], []
    for c in steps:
        joined = noise.reshape(fine // c, c, 500, 1).sum(1) / math.sqrt(c)
        z = langevin.simulate(well, 0.5, z0, T * c / fine, fine // c, noise=joined, scheme=scheme)
        errors.append(np.sqrt(((z - truth) ** 2).mean()))
    assert abs(np.polyfit(np.log(steps), np.log(errors), 1)[0] - 1) < 0.12


@given(systems(2))
def test_the_exact_step_has_the_law_of_the_process(system):
    M, D = system
    F, root = langevin._exact_step(M, D, 0.3)
    Sigma = langevin.lyapunov(M, D)
    assert np.allclose(F, scipy.linalg.expm(0.3 * M))
    assert np.allclose(root @ root.T, Sigma - F @ Sigma @ F.T, atol=1e-9 * np.abs(Sigma).max())


@pytest.mark.parametrize("dt", [1e-6, 0.3, 5.0, 10.0, 100.0])
def test_the_exact_step_is_exact_however_long(dt):
    M, D = np.array([[-1, 0.5], [0.2, -2]]), np.diag([1, 0.3])
    F, root = langevin._exact_step(M, D, dt)
    Sigma = langevin.lyapunov(M, D)
    assert np.allclose(F, scipy.linalg.expm(M * dt), atol=1e-14)
    assert np.allclose(root @ root.T, Sigma - F @ Sigma @ F.T, rtol=1e-8)
    stiff = np.diag([-1.0, -1e4])
    root = langevin._exact_step(stiff, np.eye(2), dt)[1]
    assert np.allclose((root @ root.T).diagonal(), -np.expm1(2 * np.diag(stiff) * dt) / -np.diag(stiff), rtol=1e-8)


def test_pictures_taken_in_haste_are_not_spoiled_by_rounding():
    rate = langevin.linear_entropy_production(TURN, [1.0, 0.4]).total
    for tau in (1e-7, 1e-9):
        assert np.isclose(langevin.watched_rate(TURN, [1.0, 0.4], tau), rate, rtol=1e-5)


def test_samples_take_a_matrix_a_list_and_a_seed_of_numpy():
    z = np.random.default_rng(0).standard_normal((50, 2))
    as_function = langevin.entropy_production(z, lambda z: z @ TURN.T, 1.0, scored=-z)
    as_matrix = langevin.entropy_production(z, TURN, 1.0, scored=(-z).tolist())
    assert as_function.total == as_matrix.total
    run = lambda seed: langevin.simulate(TURN, 1.0, np.zeros((2, 2)), 0.1, 3, seed=seed)
    assert (run(np.int64(4)) == run(4)).all()


def test_walkers_reach_the_stationary_covariance():
    z = langevin.simulate(TURN, 0.5, np.zeros((40000, 2)), 0.5, 12, seed=1, scheme="exact")
    assert np.allclose(np.cov(z.T), 0.5 * np.eye(2), atol=0.02)
    z = langevin.simulate(TURN, 0.5, np.zeros((40000, 2)), 0.01, 500, seed=2, scheme="heun")
    assert np.allclose(np.cov(z.T), 0.5 * np.eye(2), atol=0.02)


@pytest.mark.parametrize("scheme", langevin.SCHEMES)
def test_torch_and_numpy_walk_the_same_path(scheme):
    rng = np.random.default_rng(0)
    noise, z0 = rng.standard_normal((20, 5, 2)), rng.standard_normal((5, 2))
    D = np.array([[0.5, 0.2], [0.2, 0.4]])
    here = langevin.simulate(TURN, D, z0, 0.05, 20, noise=noise, scheme=scheme, every=5, period=(1.0, math.inf))
    there = langevin.simulate(
        TURN, D, torch.tensor(z0), 0.05, 20, noise=torch.tensor(noise), scheme=scheme, every=5, period=(1.0, math.inf)
    )
    assert here.shape == (4, 5, 2) and np.allclose(here, there.numpy(), atol=1e-12)
    assert np.abs(here[..., 0]).max() <= 0.5


def test_a_seed_is_a_path():
    run = lambda seed, z: langevin.simulate(TURN, 1.0, z, 0.1, 3, seed=seed)
    z = np.zeros((4, 2))
    assert (run(5, z) == run(5, z)).all() and (run(5, z) != run(6, z)).all()
    z = torch.zeros(4, 2)
    assert (run(5, z) == run(5, z)).all() and run(5, z).dtype == torch.float32


# Entropy production from samples


def test_both_estimators_find_the_linear_rate_and_the_split():
    M, D = langevin.trapped_swimmer(*TRAP)
    truth = langevin.linear_entropy_production(M, D)
    z = np.random.default_rng(1).multivariate_normal([0, 0], truth.covariance, 100000)
    score = -np.linalg.inv(truth.covariance)
    learned = langevin.entropy_production(z, lambda z: z @ M.T, D, score=lambda z: z @ score.T)
    free = langevin.entropy_production(z, lambda z: z @ M.T, D, divergence=lambda z: np.broadcast_to(np.diag(M), z.shape))
    assert abs(learned.total - truth.total) < 4 * learned.error < 0.05 * truth.total
    assert abs(free.total - truth.total) < 4 * free.error
    assert np.allclose(learned.per, truth.per, rtol=0.02)
    assert learned.local.shape == (100000,) and (learned.local >= 0).all()
    wrong = langevin.entropy_production(z, lambda z: z @ M.T, 1.0, score=lambda z: z @ score.T)
    assert abs(wrong.total - truth.total) > 0.2 * truth.total  # the D before s matters
    there = langevin.entropy_production(
        torch.tensor(z), lambda z: z @ torch.tensor(M.T), D, score=lambda z: z @ torch.tensor(score.T)
    )
    assert np.allclose(there.per.numpy(), learned.per) and np.isclose(float(there.error), learned.error, rtol=1e-4)


def test_grid_has_the_linear_rate_with_order_two():
    edges = lambda n: (np.linspace(-6, 6, n + 1),) * 2
    errors = [langevin.fokker_planck(lambda z: z @ TURN.T, 1.0, edges(n)).total - 8 for n in (24, 48, 96)]
    slopes = np.diff(np.log(errors)) / np.log(0.5)
    assert np.all(np.abs(slopes - 2) < 0.1) and errors[-1] < 0.03
    grid = langevin.fokker_planck(lambda z: z @ TURN.T, 1.0, edges(96))
    x, y = np.meshgrid(*grid.centres, indexing="ij")
    assert np.allclose(grid.density, np.exp(-(x**2 + y**2) / 2) / (2 * np.pi), atol=2e-3)
    inside = x**2 + y**2 < 9
    assert np.allclose(grid.velocity[inside], np.stack([2 * y, -2 * x], -1)[inside], atol=0.15)
    assert np.isclose(grid.local.sum() * 0.125**2, grid.total) and np.isclose(grid.per.sum(), grid.total)


def test_ring_has_its_known_rates():
    ring = langevin.Ring()
    coarse, fine = ring.truth(80, 61), ring.truth(160, 81)
    assert abs(coarse.total - 0.39566) < 1e-4 and abs(fine.total - 0.39643) < 1e-4
    third = fine.total + (fine.total - coarse.total) / 3  # errors fall by about four
    assert abs(third - 0.3969) < 5e-4
    assert np.allclose(fine.per, [0.3644, 0.0324], atol=5e-4)
    assert np.isclose(langevin.Ring(k=0.0).truth(80, 61).total, 0.625, atol=1e-4)
    assert abs(langevin.Ring(v0=0.0).truth(80, 61).total) < 1e-12


def test_ring_by_simulation_and_without_a_score():
    ring = langevin.Ring()
    z = ring.samples(20000, seed=4, dt=0.05)
    found = langevin.entropy_production(z, ring.drift, ring.diffusion, divergence=ring.divergence)
    assert abs(found.total - 0.3969) < 4 * found.error
    h = 1e-5
    for a in range(2):
        step = h * np.eye(2)[a]
        slope = (ring.drift(z + step) - ring.drift(z - step))[:, a] / (2 * h)
        assert np.allclose(slope, ring.divergence(z)[:, a], atol=1e-6)


@pytest.mark.parametrize("modes, degree", [(1, 1), (3, 4)])
def test_basis_derivatives_are_those_of_differences(modes, degree):
    z = np.random.default_rng(0).uniform(-2, 2, (7, 2))
    basis, h = langevin.fourier_hermite(16.0, modes, degree, scale=1.3), 1e-4
    first, second = basis(z)
    assert first.shape == second.shape == ((2 * modes + 1) * (degree + 1) - 1, 7, 2)
    for a in range(2):
        step = h * np.eye(2)[a]
        assert np.allclose((basis(z + step)[0] - basis(z - step)[0])[..., a] / (2 * h), second[..., a], atol=1e-5)
    mixed = [(basis(z + h * np.eye(2)[a])[0] - basis(z - h * np.eye(2)[a])[0])[..., 1 - a] for a in range(2)]
    assert np.allclose(*mixed, atol=1e-7)  # the first entries are gradients


def test_fit_finds_a_score_that_the_basis_holds():
    """ρ ∝ exp(0.8 cos(2πx/4)) times a normal g: its log is in the basis."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-2, 2, 400000)
    x = x[rng.uniform(size=x.size) < np.exp(0.8 * np.cos(np.pi * x / 2) - 0.8)]
    z = np.stack([x, rng.standard_normal(x.size)], -1)
    fit = langevin.fit_score_basis(langevin.fourier_hermite(4.0, 2, 2), z, [0.5, 2.0], ridge=0)
    truth = np.stack([-0.8 * np.pi / 2 * np.sin(np.pi * z[:, 0] / 2), -z[:, 1]], -1)
    s, divergence = fit.with_divergence(z)
    assert np.sqrt(((s - truth) ** 2).mean()) < 0.02 and np.allclose(s, fit(z))
    exact = 0.5 * -0.8 * (np.pi / 2) ** 2 * np.cos(np.pi * z[:, 0] / 2) - 2.0
    assert np.sqrt(((divergence - exact) ** 2).mean()) < 0.06
    loss = ((s**2) @ np.array([0.5, 2.0]) + 2 * divergence).mean()
    assert np.isclose(loss, fit.loss)
    smaller = langevin.fit_score_basis(langevin.fourier_hermite(4.0, 1, 2), z, [0.5, 2.0], ridge=0)
    assert np.allclose(fit.first(8).theta[:8], smaller.theta) and fit.loss <= smaller.loss


# What bad input is told


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: langevin.lyapunov(np.diag([-1.0, 0.5]), 1.0), "got the eigenvalue 0.5"),
        (lambda: langevin.lyapunov(np.zeros((2, 2)), 1.0), "negative real part; got the eigenvalue 0"),
        (lambda: langevin.lyapunov(np.ones((2, 3)), 1.0), r"M must have shape \[n, n\]; got \(2, 3\)"),
        (lambda: langevin.lyapunov(TURN, [1.0, -1.0]), "no negative eigenvalue; got -1"),
        (lambda: langevin.lyapunov(TURN, [1.0, 1.0, 1.0]), r"shape \[2\] or \[2, 2\]; got \(3,\)"),
        (lambda: langevin.lyapunov(TURN, np.triu(np.ones((2, 2)))), "finite and symmetric"),
        (lambda: langevin.lyapunov(TURN * np.nan, 1.0), "M must be finite everywhere"),
        (lambda: langevin.linear_entropy_production(TURN, 1.0, [1, 0]), r"each \+1 or -1; got \[1.0, 0.0\]"),
        (lambda: langevin.linear_entropy_production(TURN, np.array([[1, 0.5], [0.5, 1]]), [1, -1]), "mix even and odd"),
        (lambda: langevin.linear_entropy_production(-np.eye(2), [1.0, 0.0]), "reaches only 1 of 2 directions"),
        (lambda: langevin.watched_rate(TURN, 1.0, 0.0), "tau must be a number > 0; got 0.0"),
        (lambda: langevin.trapped_swimmer(1, 1, 1, 0.0), "eps must be > 0: at temperature zero .* got 0.0"),
        (lambda: langevin.trapped_swimmer(1, 0, 1, 1), "gamma must be a number > 0; got 0"),
        (lambda: langevin.Ring(eps=0), "at temperature zero"),
        (lambda: langevin.Ring(length=-1.0), "length must be a number > 0; got -1.0"),
        (lambda: langevin.Ring(k=-1.0), "k must be >= 0 and v0 finite; got k = -1.0"),
        (lambda: langevin.simulate(TURN, 1.0, np.zeros(2), 0.5, 3, seed=1), r"stable; got dt = 0.5 with the rate -1[+-]2j"),
        (lambda: langevin.simulate(well, 1.0, np.zeros(1), 0.5, 3, seed=1, rate=5.0), "rate -5, which grows by 1.5 a step"),
        (lambda: langevin.simulate(well, 1.0, 9 * np.ones(1), 0.5, 30, seed=1), "a walker is not after step"),
        (lambda: langevin.simulate(TURN, 1.0, np.zeros(2), 0.0, 3, seed=1), "dt must be a number > 0; got 0.0"),
        (lambda: langevin.simulate(TURN, 1.0, np.zeros(2), 0.1, 0, seed=1), "steps must be a whole number >= 1; got 0"),
        (lambda: langevin.simulate(TURN, 1.0, np.zeros(2), 0.1, 3, seed=-1), "seed must be a whole number >= 0"),
        (lambda: langevin.simulate(TURN, 1.0, np.zeros(2), 0.1, 3), "either seed or noise; got none"),
        (lambda: langevin.simulate(TURN, 1.0, np.zeros(2), 0.1, 3, noise=np.zeros((2, 2))), r"noise must have shape \(3, 2\)"),
        (lambda: langevin.simulate(TURN, 1.0, np.zeros(2), 0.1, 3, 1, "milstein"), "scheme must be one of euler"),
        (lambda: langevin.simulate(well, 1.0, np.zeros(2), 0.1, 3, 1, "exact"), "needs a drift that is a matrix"),
        (lambda: langevin.simulate(lambda z: z[..., :1], 1.0, np.zeros(2), 0.1, 3, 1), "drift must return the shape"),
        (lambda: langevin.simulate(np.ones((3, 3)), 1.0, np.zeros(2), 0.1, 3, 1), r"matrix \[2, 2\]; got shape \(3, 3\)"),
        (lambda: langevin.simulate(TURN, 1.0, np.zeros(2), 0.1, 3, 1, period=(1.0,)), "period must be 2 widths"),
        (lambda: langevin.simulate(TURN, 1.0, np.array([np.inf, 0]), 0.1, 3, 1), "z0 must be finite"),
        (lambda: langevin.simulate(TURN, 1.0, np.zeros((0, 2)), 0.1, 3, 1), "not be empty"),
        (lambda: langevin.entropy_production(np.zeros((3, 2)), well, [1.0, 0.0], score=well), "must be invertible"),
        (lambda: langevin.entropy_production(np.zeros((3, 2)), well, 1.0), "exactly one of score, scored and divergence"),
        (lambda: langevin.entropy_production(np.zeros((3, 2)), well, 1.0, score=lambda z: z[:1]), "score must return the shape"),
        (lambda: langevin.fit_score_basis(langevin.fourier_hermite(1.0, 1, 1), np.zeros((3, 2)), 1.0, ridge=-1), "ridge must be >= 0"),
        (lambda: langevin.fit_score_basis(well, np.zeros((3, 2)), np.array([[1, 0.5], [0.5, 1]])), "diagonal for a fit"),
        (lambda: langevin.fourier_hermite(0.0, 1, 1), "period must be a number > 0"),
        (lambda: langevin.fourier_hermite(1.0, 0, 1), "modes must be a whole number >= 1; got 0"),
        (lambda: langevin.fokker_planck(well, 1.0, ([0, 1, 3, 4], [0, 1, 2, 3])), "must rise evenly"),
        (lambda: langevin.fokker_planck(well, 1.0, ([0, 1], [0, 1, 2, 3])), "at least 4 numbers"),
        (lambda: langevin.fokker_planck(well, np.array([[1, 0.5], [0.5, 1]]), ([0, 1, 2, 3],) * 2), "diagonal on a grid"),
        (lambda: langevin.fokker_planck(well, [1.0, 0.0], ([0, 1, 2, 3],) * 2), "must be invertible"),
        (lambda: langevin.fokker_planck(lambda z: z * np.nan, 1.0, ([0, 1, 2, 3],) * 2), "drift must be finite"),
        (lambda: langevin.fokker_planck(lambda z: -1e3 * z, 1.0, ([0, 1, 2, 3],) * 2), "below 700 at every face"),
        (lambda: langevin.fokker_planck(lambda z: -z, 0.02, (np.linspace(-6, 6, 61),) * 2), "density must be positive"),
        (lambda: langevin.Ring(eps=0.002).truth(80, 61), "density must be positive"),
        (lambda: langevin.Ring(length=3.0).samples(5, 1), "length must be above 4"),
        (lambda: langevin.simulate(TURN, 1.0, np.zeros(2), 0.1, 3, 1, every=4), "every must be at most steps = 3"),
        (lambda: langevin.simulate(-TURN, 1.0, np.zeros(2), 1e4, 3, 1, "exact"), "dt must be short enough"),
        (lambda: langevin.entropy_production(np.zeros((3, 2)), well, 1.0, scored=np.full((3, 2), np.nan)), "score must be finite"),
        (lambda: langevin.entropy_production(np.zeros((3, 2)), lambda z: z + np.inf, 1.0, score=well), "drift must be finite"),
    ],
)
def test_bad_input_gets_one_clear_line(call, message):
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
