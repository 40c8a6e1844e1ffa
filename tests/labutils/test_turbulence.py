"""Flows on a coarse grid: what they keep, their equilibrium, eddy viscosities; two-layer Lorenz-96 and its closures."""

import math
import warnings

import numpy as np
import pytest
import torch

from labutils import closure, turbulence, turbulence_runs

RNG = np.random.default_rng(3)
MADE = turbulence.grid(16)
FLOWS = turbulence.random_flow(RNG, MADE, 1, 5, runs=3)


# Flows -------------------------------------------------------------------------------------------------


def test_transforms_are_inverse_and_parseval_holds():
    fields = turbulence.to_space(FLOWS, 16)
    assert np.allclose(turbulence.to_modes(fields, MADE), FLOWS, atol=1e-15)
    E, Z = turbulence.invariants(FLOWS, MADE)
    assert np.allclose(Z, 0.5 * np.mean(fields**2, axis=(-2, -1)), rtol=1e-13)
    u, v = turbulence.to_space(MADE.factors[0] * FLOWS, 16), turbulence.to_space(MADE.factors[1] * FLOWS, 16)
    assert np.allclose(E, 0.5 * np.mean(u**2 + v**2, axis=(-2, -1)), rtol=1e-13)
    for of, want in (("enstrophy", Z), ("energy", E)):
        assert np.allclose(turbulence.spectrum(FLOWS, MADE, of=of).sum(-1), want, rtol=1e-13)


def test_velocity_has_no_divergence_and_the_right_curl():
    k = 1j * MADE.kx, 1j * MADE.ky
    u, v = MADE.factors[0] * FLOWS, MADE.factors[1] * FLOWS
    assert np.abs(k[0] * u + k[1] * v).max() < 1e-14
    assert np.abs(k[0] * v - k[1] * u - FLOWS).max() < 1e-14


def test_jacobian_against_finite_differences():
    made = turbulence.grid(64)
    w = turbulence.resized(FLOWS[0], MADE, made)
    x = 2 * math.pi / 64
    slope = lambda f, axis: (8 * (np.roll(f, -1, axis) - np.roll(f, 1, axis)) - np.roll(f, -2, axis) + np.roll(f, 2, axis)) / (12 * x)
    psi, omega = turbulence.to_space(-w / np.where(made.k2 > 0, made.k2, 1), 64), turbulence.to_space(w, 64)
    jacobian = slope(psi, 0) * slope(omega, 1) - slope(psi, 1) * slope(omega, 0)
    got = -turbulence.to_space(turbulence.tendency(w, turbulence.Flow(made)), 64)
    assert np.abs(got - jacobian).max() < 0.02 * np.abs(jacobian).max()


def test_energy_and_enstrophy_stay_and_orders():
    change = turbulence.tendency(FLOWS, turbulence.Flow(MADE))
    product = MADE.weight * np.real(np.conj(FLOWS) * change)
    assert abs(product.sum((-2, -1))).max() < 1e-12
    assert abs((product / np.where(MADE.k2 > 0, MADE.k2, 1)).sum((-2, -1))).max() < 1e-12
    last = [turbulence.run(FLOWS[:1], turbulence.Flow(MADE), round(0.4 / h), h)[-1] for h in (0.02, 0.01, 0.005, 0.0025)]
    miss = [np.abs(a - last[-1]).max() for a in last[:2]]
    assert 3.7 < math.log2(miss[0] / miss[1]) < 4.4


def test_taylor_green_drag_and_forcing():
    w = turbulence.taylor_green(MADE, 2)
    assert turbulence.to_space(w, 16)[0, 0] == pytest.approx(4.0)
    end = turbulence.run(w, turbulence.Flow(MADE, viscosity=0.03, drag=0.2), 200, 0.005, every=200)[-1]
    assert np.abs(end - w * math.exp(-(2 * 0.03 * 4 + 0.2))).max() < 1e-10
    force = turbulence.to_space(turbulence.kolmogorov(MADE, 3, 2.0), 16)
    x = np.arange(16) * math.pi / 8
    assert np.abs(force - 2 * (np.cos(3 * x)[:, None] + np.cos(3 * x)[None, :])).max() < 1e-12


def test_resized_is_a_sharp_filter():
    fine = turbulence.grid(32)
    w = turbulence.random_flow(RNG, fine, 1, 10)
    down = turbulence.resized(w, fine, MADE)
    assert np.array_equal(turbulence.resized(down, MADE, fine), w * (abs(fine.kx) <= 5) * (fine.ky <= 5))


@pytest.mark.parametrize("ratio", [1.02, 3.0, 10.0, 17.0, 40.0, 49.5])
def test_equilibrium_has_the_asked_means_and_is_a_maximum(ratio):
    law = turbulence.equilibrium(MADE, 2.0, 2.0 * ratio)
    E, Z = turbulence.invariants(np.sqrt(law.power) + 0j, MADE)
    assert E == pytest.approx(2.0, rel=1e-9) and Z == pytest.approx(2.0 * ratio, rel=1e-9)
    pairs = turbulence.half(MADE)
    assert law.alpha * 2.0 + law.gamma * 2.0 * ratio == pytest.approx(pairs.sum(), rel=1e-9)
    k2, best = MADE.k2[pairs], turbulence.mode_entropy(law.power, MADE)
    move = np.linalg.svd(np.stack([1 / k2, np.ones(len(k2))]))[2][2:].T @ RNG.normal(size=len(k2) - 2)
    for size in (0.1, 0.5):
        power = np.zeros_like(law.power)
        power[pairs] = law.power[pairs] + size * move / np.max(-move / law.power[pairs])
        other = power + np.where(pairs, 0.0, law.power)
        assert turbulence.mode_entropy(other, MADE) < best


def test_equilibrium_at_equal_enstrophy_for_all():
    pairs = turbulence.half(MADE)
    law = turbulence.equilibrium(MADE, 1.0, pairs.sum() / np.sum(1 / MADE.k2[pairs]))
    assert abs(law.alpha) < 1e-6 and np.ptp(law.power[pairs]) < 1e-6


def test_levelled_keeps_both_invariants():
    E, Z = turbulence.invariants(np.sqrt(turbulence.levelled(FLOWS, MADE)) + 0j, MADE)
    e, z = turbulence.invariants(FLOWS, MADE)
    assert E == pytest.approx(e.mean()) and Z == pytest.approx(z.mean())


@pytest.mark.parametrize("eddy", turbulence.EDDIES)
def test_eddies_only_take(eddy):
    flow = turbulence.Flow(MADE, eddy=eddy, constant=0.3)
    plain = turbulence.tendency(FLOWS, turbulence.Flow(MADE))
    loss = np.sum(MADE.weight * np.real(np.conj(FLOWS) * (turbulence.tendency(FLOWS, flow) - plain)), axis=(-2, -1))
    nu = turbulence.eddy_viscosity(FLOWS, flow)
    wx, wy = (turbulence.to_space(MADE.factors[i] * FLOWS, 16) for i in (2, 3))
    assert nu.min() >= 0 and np.allclose(loss, -np.mean(nu * (wx**2 + wy**2), axis=(-2, -1)), rtol=1e-12)
    double = turbulence.eddy_viscosity(2 * FLOWS, flow)
    assert np.allclose(double, 2 * nu)


def test_smagorinsky_strain_by_hand():
    x = np.arange(16) * math.pi / 8
    psi = np.cos(2 * x)[:, None] * np.sin(x)[None, :]
    flow = turbulence.Flow(MADE, eddy="smagorinsky", constant=0.5)
    nu = turbulence.eddy_viscosity(turbulence.to_modes(-5 * psi, MADE), flow)
    cross, stretch = -2 * np.sin(2 * x)[:, None] * np.cos(x)[None, :], -3 * psi
    assert np.allclose(nu, (0.5 * math.pi / 5) ** 2 * np.sqrt(4 * cross**2 + stretch**2), atol=1e-12)


def test_leith_by_hand():
    x = np.arange(16) * math.pi / 8
    w = turbulence.to_modes(3 * np.cos(2 * x)[:, None] * np.ones(16), MADE)
    nu = turbulence.eddy_viscosity(w, turbulence.Flow(MADE, eddy="leith", constant=0.5))
    assert np.allclose(nu, (0.5 * math.pi / 5) ** 3 * abs(6 * np.sin(2 * x))[:, None], atol=1e-12)


@pytest.mark.parametrize("points", [9, 12, 15, 24])
def test_a_grid_whose_points_are_divisible_by_three_has_no_aliases(points):
    made = turbulence.grid(points)
    assert 3 * made.cut < points <= 3 * made.cut + 3
    w = turbulence.random_flow(np.random.default_rng(0), made, 1, 2 * made.cut)
    change = made.weight * np.real(np.conj(w) * turbulence.tendency(w, turbulence.Flow(made)))
    assert abs(change.sum()) < 1e-10


def test_tail_begins_after_two_thirds():
    x = np.arange(16) * math.pi / 8
    wave = lambda k: turbulence.to_modes(np.cos(k * x)[:, None] * np.ones(16), MADE)
    assert float(turbulence.tail(wave(3), MADE)) < 1e-20 and float(turbulence.tail(wave(4), MADE)) == pytest.approx(1)
    assert float(turbulence.tail(wave(3) + wave(4), MADE)) == pytest.approx(0.5)
    w = wave(3) + 0.15 * wave(4)                                              # 2.2 % of the enstrophy
    with pytest.warns(UserWarning, match=r"2\.\d % of the enstrophy"):
        turbulence.run(w, turbulence.Flow(MADE, viscosity=1e-4), 1, 0.001)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        turbulence.run(wave(3) + 0.13 * wave(4), turbulence.Flow(MADE, viscosity=1e-4), 1, 0.001)        # 1.7 %


def test_a_blow_up_is_called_when_the_speed_leaves_the_limit():
    flow, h = turbulence.Flow(MADE, forcing=turbulence.kolmogorov(MADE, 2, 10.0)), 0.05
    when = 2.83 / (h * math.sqrt(50)) / (10.0 / 2 * math.sqrt(2))               # the speed grows as 10 t sqrt(2) / 2
    with pytest.raises(turbulence.BlowUp) as caught:
        turbulence.run(0j * FLOWS[0], flow, 100, h)
    assert when <= caught.value.time <= when + h + 1e-9


def test_eddies_count_for_the_step():
    flow = turbulence.Flow(MADE)
    turbulence.check_step(flow, 0.05, 0.0, 1.0)                                 # h nu_e k² = 2.5
    with pytest.raises(ValueError, match="h must be smaller"):
        turbulence.check_step(flow, 0.06, 0.0, 1.0)


def test_entropy_of_complex_modes():
    pairs = turbulence.half(MADE).sum()
    assert turbulence.mode_entropy(np.full(MADE.k2.shape, 0.7), MADE) == pytest.approx(pairs * math.log(math.pi * math.e * 0.7))


def test_numpy_is_torch():
    w = torch.from_numpy(FLOWS)
    made = turbulence.grid(16, like=w.real)
    for eddy in (None, "leith", "smagorinsky"):
        a = turbulence.run(FLOWS, turbulence.Flow(MADE, 0.01, 0.1, turbulence.kolmogorov(MADE, 3), eddy, 0.2), 20, 0.01, warn=False)[-1]
        b = turbulence.run(w, turbulence.Flow(made, 0.01, 0.1, turbulence.kolmogorov(made, 3), eddy, 0.2), 20, 0.01, warn=False)[-1]
        assert np.abs(a - b.numpy()).max() < 1e-13
    assert np.allclose(turbulence.spectrum(w, made), turbulence.spectrum(FLOWS, MADE))


def test_bad_flows_are_named():
    with pytest.raises(ValueError, match=r"h must be smaller: one RK4 step of 0\.5 .*limit 2\.785"):
        turbulence.run(FLOWS, turbulence.Flow(MADE, viscosity=0.2), 5, 0.5)
    with pytest.raises(turbulence.BlowUp, match=r"blew up at t = .* exceeds") as caught:
        turbulence.run(FLOWS, turbulence.Flow(MADE, forcing=turbulence.kolmogorov(MADE, 2, 500.0)), 2000, 0.02)
    assert 0 < caught.value.time < 10
    loose = turbulence.run(FLOWS, turbulence.Flow(MADE, forcing=turbulence.kolmogorov(MADE, 2, 500.0)), 200, 0.02, every=200, strict=False)
    assert np.isnan(loose[-1]).all()
    with pytest.warns(UserWarning, match=r"grid of 16² does not resolve this flow: \d"):
        turbulence.run(FLOWS, turbulence.Flow(MADE, viscosity=1e-4), 5, 0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        turbulence.run(turbulence.taylor_green(MADE), turbulence.Flow(MADE, viscosity=1e-2), 5, 0.01)
    for call, message in (
            (lambda: turbulence.grid(4), "points must be a whole number >= 8; got 4"),
            (lambda: turbulence.grid(16, round_cut=9), "round_cut must lie between 1 and 5"),
            (lambda: turbulence.kolmogorov(MADE, 7), "wavenumber must be at most 5"),
            (lambda: turbulence.equilibrium(MADE, 1.0, 60.0), "enstrophy / energy must lie strictly between 1 and 50"),
            (lambda: turbulence.mode_entropy(0 * MADE.k2, MADE), "power must be > 0"),
            (lambda: turbulence.spectrum(FLOWS, MADE, of="mass"), "of must be"),
            (lambda: turbulence.invariants(FLOWS[..., :4], MADE), "w must be complex coefficients of shape"),
            (lambda: turbulence.random_flow(RNG, MADE, 30, 40), "low and high must enclose"),
            (lambda: turbulence.eddy_viscosity(FLOWS, turbulence.Flow(MADE, eddy="leith", constant=-0.1)), "constant must be >= 0"),
            (lambda: turbulence.eddy_viscosity(FLOWS, turbulence.Flow(MADE, eddy="leith", constant=np.full(2, 0.1))), r"constant must be a number or one for each flow, \(3,\); got shape \(2,\)"),
            (lambda: turbulence.tendency(FLOWS, turbulence.Flow(MADE, viscosity=-1.0)), "viscosity must be finite and >= 0; got -1.0"),
            (lambda: turbulence.run(FLOWS, turbulence.Flow(MADE, drag=-1.0), 5, 0.01, strict=False), "drag must be finite and >= 0; got -1.0"),
            (lambda: turbulence.tendency(FLOWS, turbulence.Flow(MADE, forcing=np.zeros(9, dtype=complex))), "forcing must have the shape"),
            (lambda: turbulence.taylor_green(MADE, 9), r"wavenumber must be such that the grid keeps \(9, 9\)"),
            (lambda: turbulence.taylor_green(turbulence.grid(16, round_cut=5), 4), r"wavenumber must be such that the grid keeps \(4, 4\)"),
            (lambda: turbulence.to_modes(np.zeros((8, 8)), MADE), r"field must have the shape \[\.\.\., 16, 16\]"),
            (lambda: turbulence.to_space(FLOWS, 32), r"w must have the shape \[\.\.\., 32, 17\]"),
            (lambda: turbulence.run(FLOWS, turbulence.Flow(MADE), 2, 0.01, every=5), "every must be at most the 2 steps"),
            (lambda: turbulence.eddy_viscosity(FLOWS, turbulence.Flow(MADE, eddy="other")), "eddy must be one of smagorinsky, leith")):
        with pytest.raises(ValueError, match=message):
            call()


# Two-layer Lorenz-96 -----------------------------------------------------------------------------------


MODEL = closure.TwoLayer(slow=8, fast=4)
Z = np.concatenate([3 + RNG.normal(size=(2, 8)), 0.1 * RNG.normal(size=(2, 32))], axis=1)


def test_rates_place_by_place():
    x, y, got = Z[0, :8], Z[0, 8:], MODEL.rates(Z)[0]
    for k in range(8):
        want = -x[k - 1] * (x[k - 2] - x[(k + 1) % 8]) - x[k] + 10 - y[4 * k:4 * k + 4].sum()
        assert got[k] == pytest.approx(want, abs=1e-12)
    for j in range(32):
        want = -100 * y[(j + 1) % 32] * (y[(j + 2) % 32] - y[j - 1]) - 10 * y[j] + x[j // 4]
        assert got[8 + j] == pytest.approx(want, abs=1e-12)
    assert np.allclose(MODEL.push(Z)[0], -y.reshape(8, 4).sum(1))


def test_advection_keeps_the_square_and_orders():
    x = RNG.normal(size=(5, 12))
    assert np.abs(np.sum(x * closure.advection(x), axis=-1)).max() < 1e-12
    ends = [closure.run_truth(MODEL, Z, round(0.04 / h), h)[-1] for h in (0.004, 0.002, 0.001, 0.00025)]
    miss = [np.abs(e - ends[-1]).max() for e in ends[:3]]
    assert 3.6 < math.log2(miss[0] / miss[1]) < 4.4


def test_fit_recovers_a_polynomial_and_runs_with_it():
    x, theta = RNG.normal(size=(50, 8)) * 3, np.array([0.2, -1.5, 0.1, 0.05])
    found, rest = closure.fit(x, closure.polynomial(x, theta))
    assert np.allclose(found, theta, atol=1e-12) and np.abs(rest).max() < 1e-12
    drag = closure.run(np.full((2, 8), 2.0), np.array([0.0, -4.0]), 2000, 0.02, every=2000)[-1]
    assert np.allclose(drag, 5.0, atol=1e-9)             # all alike: 0 = -X + F - X
    per = closure.run(np.tile(x[:2], (2, 1)), np.repeat(np.stack([theta, 0 * theta]), 2, axis=0), 20, every=20)[-1]
    assert np.allclose(per[2:], closure.run(x[:2], 0 * theta, 20, every=20)[-1])


def test_noise_is_an_ar1():
    rng = np.random.default_rng(0)
    still = closure.run(np.zeros((400, 8)), np.array([-10.0]), 1, 1e-4, noise=(2.0, 0.5, rng))[-1]
    assert np.std(still / 1e-4) == pytest.approx(2.0, rel=0.05)
    many = closure.run(np.zeros((2000, 8)), np.array([-10.0]), 6, 1e-6, noise=(2.0, 0.8, rng))
    e = np.diff(many, axis=0) / 1e-6
    assert np.allclose(e.std(axis=(1, 2)), 2.0, rtol=0.04)                       # the size does not change with time
    for lag in (1, 2):
        assert np.mean(e[lag:] * e[:-lag]) / 4 == pytest.approx(0.8**lag, abs=0.03)


def test_lag_is_one_sample():
    assert closure.lag_correlation(np.array([1.0, -1.0] * 8)) == pytest.approx(-1.0)
    assert closure.lag_correlation(5 + np.array([1.0, 1.0, -1.0, -1.0] * 50)) == pytest.approx(0.0, abs=0.01)


def test_spectrum_and_twin():
    x = 2 + RNG.normal(size=(4000, 8)) ** 2
    power = closure.spectrum(x)
    total = power[0] + 2 * power[1:-1].sum() + power[-1]
    assert total == pytest.approx(np.mean(x**2), rel=1e-12)
    twin = closure.gaussian_twin(np.random.default_rng(1), x, 40000)
    assert np.allclose(closure.spectrum(twin), power, rtol=0.03)
    z = (twin - twin.mean()) / twin.std()
    assert abs(np.mean(z**3)) < 0.03 and abs(np.mean(z**4) - 3) < 0.06
    assert closure.mismatch(power, power) == 0 and closure.mismatch(2 * power, power) == pytest.approx(math.log(2) ** 2)


def test_shares_beyond_blocked():
    assert np.allclose(closure.shares(np.array([-9.0, 0.1, 0.2, 9.0]), np.array([0.0, 1.0])), [0.25, 0.5, 0.25])
    assert closure.beyond(np.array([-5.0, 0.0, 0.0, 7.0]), 3, 0.0, 2.0) == (0.25, 0.0)
    mean, error = closure.blocked(np.arange(16.0))
    assert mean == 7.5 and error == pytest.approx(np.std(np.arange(16), ddof=1) / 4)


def test_evolution_climbs_and_survives_failures():
    def score(theta):
        value = -np.sum((theta - np.array([1.0, -2.0])) ** 2, axis=1)
        return np.where(theta[:, 0] > 2.5, -np.inf, value)

    found = closure.evolve(score, np.zeros(2), 1.0, np.random.default_rng(0), generations=60, population=12)
    assert np.allclose(found.means[-1], [1, -2], atol=0.05) and found.scores[-1] > found.scores[0]


def test_numpy_is_torch_for_layers():
    x, theta = RNG.normal(size=(3, 8)), np.array([0.1, -1.0, 0.05])
    assert np.allclose(closure.run_truth(MODEL, Z, 40), closure.run_truth(MODEL, torch.from_numpy(Z), 40).numpy(), atol=1e-11)
    assert np.allclose(closure.run(x, theta, 40), closure.run(torch.from_numpy(x), torch.from_numpy(theta), 40).numpy(), atol=1e-12)
    assert np.allclose(closure.spectrum(x), closure.spectrum(torch.from_numpy(x)).numpy())


def test_bad_layers_are_named():
    x = RNG.normal(size=(2, 8))
    with pytest.raises(closure.BlowUp, match=r"blew up at t = .* in run 1") as caught:
        closure.run(np.stack([x[0], 9 + x[1]]), np.stack([np.zeros(4), np.array([0, 0, 0, 40.0])]), 400)
    assert 0 < caught.value.time < 2 and caught.value.run == 1
    loose = closure.run(np.stack([x[0], 9 + x[1]]), np.stack([np.zeros(4), np.array([0, 0, 0, 40.0])]), 400, every=400, strict=False)[-1]
    assert np.isfinite(loose[0]).all() and np.isnan(loose[1]).all()
    for call, message in (
            (lambda: closure.run(x, np.array([0.0, -800.0]), 5), r"h must be smaller: h times the fastest damping at the start is 4\.02"),
            (lambda: closure.run_truth(MODEL, Z, 5, 0.3), r"h c is 3, and RK4 allows 2\.785; got h = 0\.3"),
            (lambda: closure.run_truth(MODEL, Z[:, :9], 5), "z must have 40 values"),
            (lambda: closure.run(x[:, :3], np.zeros(2), 5), "x must have at least 4 places"),
            (lambda: closure.run(x, np.zeros((3, 2)), 5), "theta must be"),
            (lambda: closure.run(x * np.nan, np.zeros(2), 5), "x must be finite"),
            (lambda: closure.run(x, np.zeros(2), 5, noise=(1.0, 1.0, RNG)), r"memory must lie in \[0, 1\)"),
            (lambda: closure.run(x, np.zeros(2), 5, noise=(-1.0, 0.5, RNG)), "size must be finite and >= 0; got -1.0"),
            (lambda: closure.run(x, np.zeros(2), 2, every=5), "every must be at most the 2 steps"),
            (lambda: closure.run_truth(MODEL, Z, 2, every=5), "every must be at most the 2 steps"),
            (lambda: closure.TwoLayer(slow=3), "slow must be a whole number >= 4; got 3"),
            (lambda: closure.TwoLayer(c=0.0), "c must be a number > 0"),
            (lambda: closure.evolve(lambda t: -t[:, 0], np.zeros(2), 1.0, RNG, rate=2), r"rate must lie in \(0, 1\]; got 2"),
            (lambda: closure.evolve(lambda t: -t[:, 0], np.zeros(2), -1.0, RNG), "spread must be finite and > 0"),
            (lambda: closure.fit(x, x[:1]), "x and push must have one shape"),
            (lambda: closure.mismatch(np.zeros(3), np.ones(3)), "must be > 0"),
            (lambda: closure.blocked([1.0, 2.0]), "at least 4 blocks"),
            (lambda: closure.evolve(lambda t: np.full(len(t), np.nan), np.zeros(2), 1.0, RNG), "score must return 16 numbers")):
        with pytest.raises(ValueError, match=message):
            call()


# Stored runs -------------------------------------------------------------------------------------------


def test_packing_is_inverse():
    w = turbulence.random_flow(RNG, MADE, 1, 5)[0]
    assert np.abs(turbulence_runs.unpacked(turbulence_runs.packed(w, 5), MADE) - w).max() < 1e-5


def test_the_reward_prefers_the_truer_closure(monkeypatch):
    stored, seen = turbulence_runs.load()["lorenz"], {}
    monkeypatch.setattr(closure, "evolve", lambda score, *rest, **more: seen.update(score=score))
    turbulence_runs.rewarded(4, np.array(stored["few"]), 0, time=8.0)
    good, none, burst = seen["score"](np.array([stored["fit few"]["theta"][0], np.zeros(4), [0, 0, 0, 40.0]]))
    assert 0 > good > none > burst == -np.inf


def test_stored_runs_are_whole():
    stored = turbulence_runs.load()
    total = {name: np.array(stored["lorenz"][name]["counts"]).sum(1) for name in ("none", "line", "cubic", "fit many")}
    assert all(len(set(t.tolist())) == 1 and len(t) == turbulence_runs.TRAINED for t in total.values())
    assert np.array(stored["flow"]["leith power"]).shape[:2] == (len(turbulence_runs.CONSTANTS), turbulence_runs.SEEDS)


def test_longer_trainings_are_whole_and_run_again():
    longer, runs = turbulence_runs.load()["longer"], turbulence_runs
    power, counts = (np.array(longer["cubic"][part]) for part in ("power", "counts"))
    assert np.array(longer["sets power"]).shape == (runs.SETS, 19) and power.shape == (len(runs.GENERATIONS), runs.LONGER, 19)
    assert len(set(counts.sum(-1).ravel().tolist())) == 1
    x0 = closure.settled(runs.LAYERS, 8, np.random.default_rng(0))[:, :36]
    theta = np.concatenate([np.array(longer["cubic"]["theta"][-1]), np.array(longer["fit"]["theta"])])
    again = runs.slow_runs(x0, theta, time=30.0, settle=10.0)[0]
    stored = np.concatenate([power[-1], np.array(longer["fit"]["power"])])
    own, other = closure.mismatch(again, stored), closure.mismatch(again, np.roll(stored, 4, axis=0))        # cubics against fits
    assert own.max() < 0.03 and own.mean() < 0.5 * other.mean()
