"""Exact fronts, finite volumes and conditioning: truths, orders, limits and bad input."""

import math
import re

import numpy as np
import pytest
from scipy.integrate import quad

from labutils import conservation as co

ROOM = np.full(12, 1 / 12)


@pytest.fixture
def model():
    rng = np.random.default_rng(3)
    A = rng.normal(size=(12, 12))
    return rng.normal(size=12), A @ A.T / 12 + 0.1 * np.eye(12)


# Exact solutions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [0.5, 1.0, 3.0, 6.0])
def test_the_wave_solves_its_equation_and_holds_what_came_in(m):
    x, t, h = np.linspace(0, 0.6, 13), 1.0, 1e-4
    u = lambda dx, dt: co.wave(x + dx, t + dt, m)
    flow = lambda dx: -(u(dx, 0) ** m) * (u(dx + h, 0) - u(dx - h, 0)) / (2 * h)
    assert np.allclose((u(0, h) - u(0, -h)) / (2 * h), -(flow(h) - flow(-h)) / (2 * h), atol=1e-4)
    assert np.isclose(co.wave_mass(0.7, m), quad(lambda r: float(co.wave(0.0, r, m)), 0, 0.7)[0], rtol=1e-7)
    edges = np.linspace(0, 1, 9)
    assert np.isclose(co.wave_mass(0.7, m, edges[:-1], edges[1:]).sum(), co.wave_mass(0.7, m))
    assert float(co.wave(0.8, 0.7, m)) == 0.0 and co.wave_mass(0.7, m, 0.8, 0.9) == 0.0


@pytest.mark.parametrize("m", [1.0, 2.0, 4.0])
def test_the_drop_keeps_its_mass(m):
    for t in (0.3, 1.0, 4.0):
        assert np.isclose(2 * quad(lambda x: float(co.barenblatt(x, t, m, 0.7)), 0, 20, limit=400, points=[0.5, 1, 2, 4])[0], co.barenblatt_mass(m, 0.7), rtol=1e-4)


@pytest.mark.parametrize("star", [0.1, 0.5, 0.9])
def test_the_jump_moves_by_what_flows_to_it(star):
    z, t = co.stefan_root(star), 0.2
    front = 2 * z * math.sqrt(t)
    near = co.stefan(np.array([front - 2e-6, front - 1e-6, front + 1e-6]), t, star)
    assert near[2] == 0 and np.isclose(near[1], star, atol=1e-4)
    assert np.isclose((near[0] - near[1]) / 1e-6, star * z / math.sqrt(t), rtol=1e-3)
    assert np.isclose(co.stefan_mass(t, star), quad(lambda x: float(co.stefan(np.array([x]), t, star)[0]), 0, front)[0])
    edges = np.linspace(0, 3, 40)
    assert np.isclose(co.stefan_mass(t, star, edges[:-1], edges[1:]).sum(), co.stefan_mass(t, star))


def test_wave_and_drop_in_torch():
    torch = pytest.importorskip("torch")
    x = np.linspace(0, 1, 7)
    for f in (co.wave, co.barenblatt):
        assert np.allclose(f(torch.tensor(x), 0.5, 3.0).numpy(), f(x, 0.5, 3.0), atol=1e-14)


# Finite volumes ----------------------------------------------------------------------------------------


def power(m):
    return co.by_potential(lambda u: u ** (m + 1) / (m + 1))


def test_a_ripple_shrinks_by_its_factor_and_nothing_is_lost():
    x = (np.arange(16) + 0.5) / 16
    for j in (1, 5, 15):
        for r in (0.1, 0.5):
            u = 2 + np.cos(j * np.pi * x)
            run = co.march(u, 1 / 16, lambda a, b, gap: -(b - a) / gap, 1.0, 3 * r / 256, number_=r)
            assert run.steps == 3 and np.allclose(run.u, 2 + (1 - 4 * r * math.sin(j * math.pi / 32) ** 2) ** 3 * np.cos(j * np.pi * x))
            assert run.inflow == 0 and np.isclose(run.u.sum(), u.sum(), rtol=1e-14)


@pytest.mark.parametrize("flux", [power(2.0), co.by_mean(lambda u: u**2), co.by_mean(lambda u: u**2, "harmonic")])
def test_the_sum_changes_by_the_inflow_only(flux):
    u = np.random.default_rng(0).uniform(0, 1, (3, 20))
    run = co.march(u, 0.05, flux, 1.5, 0.1, left=lambda t: 1.0, right=lambda t: 0.3)
    assert np.allclose(run.u.sum(-1) * 0.05 - u.sum(-1) * 0.05, run.inflow, atol=1e-14)
    assert run.u.min() >= 0 and run.u.max() <= 1                          # no new extremes at 0.3
    assert np.allclose(co.march(u[1], 0.05, flux, 1.5, 0.1, left=lambda t: 1.0, right=lambda t: 0.3).u, run.u[1])


def test_second_order_on_a_smooth_field():
    def off(n):
        e = np.linspace(0, 1, n + 1)
        run = co.march(co.wave_mass(2.0, 3.0, e[:-1], e[1:]) * n, 1 / n, power(3.0), 6.3, 0.1, left=lambda t: co.wave(0.0, t, 3.0),
                       right=lambda t: co.wave(1.0, t, 3.0), start=2.0, number_=0.5)
        return np.mean(abs(run.u - co.wave_mass(2.1, 3.0, e[:-1], e[1:]) * n))
    assert np.allclose(np.log2([off(10) / off(20), off(20) / off(40)]), 2, atol=0.05)


def test_the_drop_by_finite_volumes():
    x = (np.arange(120) + 0.5) / 20 - 3
    start = co.barenblatt(x, 0.2, 2.0)
    run = co.march(start, 0.05, power(2.0), 2.5, 0.4)
    assert np.mean(abs(run.u - co.barenblatt(x, 0.6, 2.0))) < 3e-3
    assert np.isclose(run.u.sum(), start.sum(), rtol=1e-13) and run.inflow == 0


def test_a_harmonic_mean_lets_nothing_into_empty_ground():
    flux = co.by_mean(lambda u: u**2, "harmonic")
    assert np.all(co.march(np.zeros(10), 0.1, flux, 1.0, 0.3, left=lambda t: 1.0).u == 0)


def test_march_in_torch():
    torch = pytest.importorskip("torch")
    u = np.linspace(1, 0, 12)
    args = (1 / 12, power(1.0), 1.0, 0.05)
    got = co.march(torch.tensor(u), *args, left=lambda t: 1.0)
    want = co.march(u, *args, left=lambda t: 1.0)
    assert np.allclose(got.u.numpy(), want.u, atol=1e-14) and np.isclose(float(got.inflow), want.inflow)


def test_march_refuses_and_reports():
    heat = lambda a, b, gap: -(b - a) / gap
    with pytest.raises(ValueError, match=r"number_ = dt max\(k\) / dx² must be <= 0.5 for explicit finite volumes; got 0.6"):
        co.march(np.zeros(9), 0.1, heat, 1.0, 1.0, number_=0.6)
    with pytest.raises(RuntimeError, match=r"the field blew up at t = 0\.\d+ \(step \d+ of \d+\)"):
        co.march(np.zeros(30), 1 / 30, heat, 1.0, 1.0, left=lambda t: 1.0, number_=0.6, beyond=True)
    with pytest.raises(ValueError, match=r"u must have at least 3 cells on its last axis; got shape \(2,\)"):
        co.march(np.zeros(2), 0.1, heat, 1.0, 1.0)
    with pytest.raises(ValueError, match="u must be finite; got nan"):
        co.march(np.array([0.0, np.nan, 1.0]), 0.1, heat, 1.0, 1.0)
    with pytest.raises(ValueError, match="dx must be a number > 0; got 0"):
        co.march(np.zeros(9), 0, heat, 1.0, 1.0)
    with pytest.raises(ValueError, match="kind must be arithmetic or harmonic; got 'geometric'"):
        co.by_mean(lambda u: u, "geometric")
    for wrong in (lambda: co.wave(0.0, 1.0, 0.0), lambda: co.wave_mass(1.0, -1.0), lambda: co.barenblatt(np.zeros(2), 1.0, -1.0)):
        with pytest.raises(ValueError, match="m must be > 0"):
            wrong()
    with pytest.raises(ValueError, match="t must be > 0; got 0"):
        co.barenblatt(np.zeros(2), 0.0, 1.0)
    for star in (1, 0, 1e-20):
        with pytest.raises(ValueError, match=f"star must lie strictly between 0 and 1, not within 1e-12 of them; got {star}"):
            co.stefan_root(star)
    for name in ("left", "right"):
        with pytest.raises(TypeError, match=f"{name} must be a function of time, or None for a closed wall; got float"):
            co.march(np.zeros(9), 0.1, heat, 1.0, 1.0, **{name: 1.0})


def test_a_wall_counts_from_the_time_it_is_reached_and_is_taken_at_the_start_of_a_step():
    heat = lambda a, b, gap: -(b - a) / gap
    run = co.march(np.zeros(20), 0.05, heat, 1.0, 1.0, left=lambda t: math.sin(math.pi * t))
    assert 0.3 < run.u.max() < 1                                            # a wall that is 0 at the start and at the end
    one = co.march(np.zeros(4), 0.25, heat, 1.0, 0.3 / 16, left=lambda t: 1.0 if t == 0 else 5.0)
    assert one.steps == 1 and np.isclose(one.inflow, 0.3 / 16 / 0.125) and np.isclose(one.u[0], 0.6)


def test_a_blow_up_is_reported_at_once_with_the_number_that_was_used():
    heat = lambda a, b, gap: -(b - a) / gap
    with pytest.raises(RuntimeError) as failed:
        co.march(np.zeros(30), 1 / 30, heat, 1.0, 1.0, left=lambda t: 1.0, number_=0.7, beyond=True)
    top, limit, used = (float(re.search(pattern, str(failed.value)).group(1)) for pattern in (r"is ([\d.e+]+), ten", r"are ([\d.e+]+);", r"dx² is ([\d.]+),"))
    assert limit == 10 and 10 < top < 30 and 0.69 < used <= 0.7
    with pytest.raises(RuntimeError, match=r"stable is 0.5 if no k exceeds largest = 0.5"):
        co.march(np.zeros(30), 1 / 30, heat, 0.5, 1.0, left=lambda t: 1.0, number_=0.3)      # largest is too small


def test_between_a_third_and_a_half_a_cell_may_pass_its_data():
    heat = lambda a, b, gap: -(b - a) / gap
    start = np.array([0.0, 1.0] * 3)
    step = lambda r: co.march(start, 1 / 6, heat, 1.0, r / 36, left=lambda t: 1.0, number_=r).u
    assert np.isclose(step(0.5)[0], 1.5) and step(1 / 3).max() <= 1 and step(1 / 3).min() >= 0


# Conditioning --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("rows", [1, 2])
def test_conditioning_is_that_of_the_joint_gaussian(model, noise, rows):
    mean, cov = model
    G = np.random.default_rng(1).uniform(size=(rows, 12))
    b = np.arange(rows) + 0.5
    new, new_cov = co.condition(mean, cov, G, b, noise)
    S = G @ cov @ G.T + noise**2 * np.eye(rows)
    gain = cov @ G.T @ np.linalg.inv(S)
    assert np.allclose(new, mean + gain @ (b - G @ mean)) and np.allclose(new_cov, cov - gain @ S @ gain.T)
    if noise == 0:
        assert np.allclose(G @ new, b, atol=1e-13) and np.allclose(G @ new_cov, 0, atol=1e-13)


def test_one_row_many_fields_and_the_shrinking(model):
    mean, cov = model
    fields = np.stack([mean, 2 * mean])
    new, both = co.condition(fields, np.stack([cov, 3 * cov]), ROOM, np.array([0.1, 0.2]), 0.2)
    assert np.allclose(new[1], co.condition(2 * mean, 3 * cov, ROOM, 0.2, 0.2)[0]) and both.shape == (2, 12, 12)
    s = ROOM @ cov @ ROOM
    assert np.isclose((ROOM @ new[0] - 0.1) / (ROOM @ mean - 0.1), 0.04 / (0.04 + s)) and np.isclose(co.shrink(cov, ROOM, 0.2), 0.04 / (0.04 + s))
    assert co.shrink(cov, ROOM, 0.0) == 0
    assert np.isclose(co.information(cov, ROOM, 0.2), 0.5 * np.log1p(s / 0.04))
    assert co.price(mean, cov, ROOM, ROOM @ mean + 9.0, 0.2) > co.information(cov, ROOM, 0.2) > co.price(mean, cov, ROOM, ROOM @ mean, 0.2) > 0


def test_the_price_is_a_divergence_and_averages_to_the_information(model):
    mean, cov = model
    size = lambda C: np.linalg.slogdet(C)[1]
    for b in (-1.0, 0.4, 2.0):
        new, told = co.condition(mean, cov, ROOM, b, 0.2)
        d = new - mean
        want = (np.trace(np.linalg.solve(cov, told)) - 12 + d @ np.linalg.solve(cov, d) + size(cov) - size(told)) / 2
        assert np.isclose(co.price(mean, cov, ROOM, b, 0.2), want)
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    spread = math.sqrt(ROOM @ cov @ ROOM + 0.04)
    prices = [co.price(mean, cov, ROOM, ROOM @ mean + spread * v, 0.2) for v in nodes]
    assert np.isclose(weights @ prices / weights.sum(), co.information(cov, ROOM, 0.2))


def test_the_plain_shift_never_moves_away(model):
    rng = np.random.default_rng(8)
    truth, mean = rng.normal(size=(2, 50, 12))
    moved = np.stack([co.shift(m, ROOM, ROOM @ t) for m, t in zip(mean, truth, strict=True)])
    assert np.all(np.sum((moved - truth) ** 2, axis=1) <= np.sum((mean - truth) ** 2, axis=1))
    with pytest.raises(ValueError, match="G must not be 0 everywhere for shift"):
        co.shift(mean, 0 * ROOM, 1.0)


def test_plain_repairs_are_special_models(model):
    mean = abs(model[0]) + 0.1
    G = np.linspace(0.5, 1.5, 12) / 12
    assert np.allclose(co.shift(mean, G, 0.3), co.condition(mean, 5 * np.eye(12), G, 0.3)[0])
    assert np.allclose(co.rescale(mean, G, 0.3), mean * 0.3 / (G @ mean))
    assert np.allclose(co.rescale(mean, G, 0.3), co.condition(mean, np.diag(mean / G), G, 0.3)[0])
    many = np.stack([mean, 2 * mean])
    assert np.allclose(co.rescale(many, G, 0.3)[1], co.rescale(mean, G, 0.3)) and np.allclose(co.shift(many, G, 0.3) @ G, 0.3)


def test_conditioning_in_torch(model):
    torch = pytest.importorskip("torch")
    mean, cov = model
    for noise in (0.0, 0.3):
        got = co.condition(torch.tensor(mean), torch.tensor(cov), torch.tensor(ROOM), 0.4, noise)
        want = co.condition(mean, cov, ROOM, 0.4, noise)
        assert all(np.allclose(g.numpy(), w, atol=1e-14) for g, w in zip(got, want, strict=True))
    assert np.isclose(float(co.information(torch.tensor(cov), torch.tensor(ROOM), 0.3)), co.information(cov, ROOM, 0.3))


def test_conditioning_refuses(model):
    mean, cov = model
    bad = cov - 2 * np.linalg.eigvalsh(cov)[-1] * np.eye(12) / 2
    with pytest.raises(ValueError, match=r"cov must have no negative eigenvalue; the smallest is -\d"):
        co.condition(mean, bad, ROOM, 0.0)
    with pytest.raises(ValueError, match="cov must be symmetric; entries differ"):
        co.condition(mean, cov + np.triu(np.ones((12, 12)), 1), ROOM, 0.0)
    with pytest.raises(ValueError, match=r"cov must be \[..., n, n\] for a mean of n = 12; got shape \(11, 11\)"):
        co.condition(mean, cov[1:, 1:], ROOM, 0.0)
    with pytest.raises(ValueError, match=r"G must be \[n\] or \[r, n\] with n = 12; got shape \(11,\)"):
        co.condition(mean, cov, ROOM[1:], 0.0)
    with pytest.raises(ValueError, match=r"b must fit budgets of shape \(\); got shape \(3,\)"):
        co.condition(mean, cov, ROOM, np.zeros(3))
    with pytest.raises(ValueError, match="b must be finite"):
        co.condition(mean, cov, ROOM, np.nan)
    with pytest.raises(ValueError, match="noise must be finite and >= 0; got -0.1"):
        co.condition(mean, cov, ROOM, 0.0, -0.1)
    with pytest.raises(ValueError, match="leaves no room to move it"):
        co.condition(mean, 0 * cov, ROOM, 0.0)
    with pytest.raises(ValueError, match="rows of G must differ: seen through Σ they depend on each other"):
        co.condition(mean, cov, np.stack([ROOM, ROOM]), np.zeros(2))
    assert np.isfinite(co.condition(mean, cov, np.stack([ROOM, ROOM]), np.zeros(2), 0.1)[0]).all()
    with pytest.raises(ValueError, match="noise must be > 0 for information"):
        co.information(cov, ROOM, 0.0)
    with pytest.raises(ValueError, match="price needs one row and noise > 0; got 2 rows"):
        co.price(mean, cov, np.stack([ROOM, 2 * ROOM]), np.zeros(2), 0.1)
    with pytest.raises(ValueError, match="G must be one row here; got 2"):
        co.shrink(cov, np.stack([ROOM, 2 * ROOM]), 0.1)
    with pytest.raises(ValueError, match="G mean must not be 0 for rescale; got 0"):
        co.rescale(np.zeros(12), ROOM, 1.0)
    with pytest.raises(TypeError, match="mean must be a NumPy array or a torch tensor; got list"):
        co.condition(list(mean), cov, ROOM, 0.0)


# Gaussian process and scores -------------------------------------------------------------------------------


def test_the_process_learns_its_noise_and_its_evidence_has_its_gradient():
    rng = np.random.default_rng(5)
    x = rng.uniform(-1, 1, (80, 2))
    clean = np.sin(3 * x[:, 0]) + 0.2 * x[:, 1]
    fitted = co.fit(x, clean + 0.1 * rng.normal(size=80))
    assert 0.06 < fitted.noise < 0.14 and fitted.lengths[0] < fitted.lengths[1]
    new = rng.uniform(-0.8, 0.8, (30, 2))
    mean, cov = fitted.predict(new)
    miss = (mean - np.sin(3 * new[:, 0]) - 0.2 * new[:, 1]) / np.sqrt(np.diag(cov))
    assert np.sqrt(np.mean(miss**2)) < 2 and np.linalg.eigvalsh(cov)[0] > 0
    for factor in (0.8, 1.25):                                             # the evidence is at its top
        K = co.kernel(x, x, fitted.lengths * factor, fitted.amplitude) + (fitted.noise**2 + 1e-8) * np.eye(80)
        z = fitted.y - fitted.y.mean()
        assert -0.5 * (z @ np.linalg.solve(K, z) + np.linalg.slogdet(2 * np.pi * K)[1]) < fitted.evidence
    with pytest.raises(ValueError, match=r"x must be \[N, d\] and y \[N\]"):
        co.fit(x, clean[1:])
    with pytest.raises(ValueError, match="lengths must be > 0; got -1"):
        co.kernel(x, x, -1.0)
    with pytest.raises(ValueError, match="x and y must have as many coordinates; got 2 and 1"):
        co.kernel(x, x[:, :1], 1.0)
    with pytest.raises(ValueError, match=r"lengths must be a number or have 2 entries; got shape \(3,\)"):
        co.kernel(x, x, [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="y must be finite; got nan"):
        co.fit(x, np.where(np.arange(80) == 3, np.nan, clean))


def test_the_gradient_of_the_evidence():
    rng = np.random.default_rng(6)
    x, z = rng.uniform(-1, 1, (15, 2)), rng.normal(size=15)
    squares, p, h = (x[:, None] - x[None]) ** 2, np.array([-0.3, 0.4, 0.1, -1.0]), 1e-5
    value, slope = co._surprise(p, squares, z)
    by_hand = co.kernel(x, x, np.exp(p[:2]), math.exp(p[2])) + (math.exp(2 * p[3]) + 1e-8) * np.eye(15)
    assert np.isclose(value, (z @ np.linalg.solve(by_hand, z) + np.linalg.slogdet(2 * np.pi * by_hand)[1]) / 2)
    sides = [(co._surprise(p + h * e, squares, z)[0] - co._surprise(p - h * e, squares, z)[0]) / (2 * h) for e in np.eye(4)]
    assert np.allclose(slope, sides, rtol=1e-5, atol=1e-7)


def test_scores_and_fronts():
    m, s = np.array([[0.0, 1.0]]), np.array([[1.0, 2.0]])
    assert np.isclose(co.log_likelihood(m, s, np.zeros((1, 2)))[0], (2 * -0.5 * math.log(2 * math.pi) - math.log(2) - 1 / 8) / 2)
    with pytest.raises(ValueError, match="deviation must be > 0; got 0"):
        co.log_likelihood(m, 0 * s, m)
    x = np.array([0.0, 1.0, 2.0, 3.0])
    u = np.array([[1, 1, 0, 0], [1, 0, 1, 0.5], [1, 1, 1, 1], [0, 0, 0, 0], [0.9, 0.7, 0.3, 0.1]], dtype=float)
    assert np.allclose(co.front(x, u, 0.5), [1.5, 3.0, 3.0, 0.0, 1.5])
    with pytest.raises(ValueError, match=r"x must be \[n\] and u \[..., n\]"):
        co.front(x, u[:, 1:], 0.5)
    with pytest.raises(ValueError, match="u must be finite; got nan"):
        co.front(x, np.full(4, np.nan), 0.5)
