"""Chaos: Jacobians, steps, spectra against closed forms, entropies of partitions, order patterns, forecasts, messages."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from labutils import chaos
from scipy.integrate import solve_ivp

FLOWS = chaos.flows()
GOLD = math.log((3 + math.sqrt(5)) / 2)


def rng(seed=0):
    return np.random.default_rng(seed)


def coin(a):
    return -a * math.log(a) - (1 - a) * math.log(1 - a)


def _escape(t, y):
    return np.abs(y).max() - 1e6


_escape.terminal = True


class TestSystems:
    @pytest.mark.parametrize("flow", [*FLOWS, chaos.lorenz96(8.0, 7), chaos.logistic(), chaos.skew_tent(), chaos.baker(), chaos.cat(), chaos.henon()],
                             ids=lambda f: f"{f.name}-{f.dim}")
    def test_jacobian_is_the_derivative(self, flow):
        x = np.asarray(flow.start) + 0.01 * rng().normal(size=(6, flow.dim))
        eye, e = np.eye(flow.dim), 1e-6
        slope = np.stack([(flow.f(x + e * eye[j]) - flow.f(x - e * eye[j])) / (2 * e) for j in range(flow.dim)], axis=-1)
        assert np.allclose(flow.jacobian(x), slope, rtol=1e-6, atol=1e-5)

    def test_twelve_with_names_of_their_own(self):
        assert len({f.name for f in FLOWS}) == 12

    @pytest.mark.parametrize("flow, want", [(chaos.lorenz(), -41 / 3), (chaos.chen(), -10), (chaos.halvorsen(), -4.2), (chaos.thomas(), -5.55),
                                            (chaos.rucklidge(), -3), (chaos.sprott_b(), -1), (chaos.lorenz96(), -4), (chaos.duffing(), -0.1),
                                            (chaos.genesio_tesi(), -0.44)], ids=lambda v: getattr(v, "name", ""))
    def test_constant_divergences(self, flow, want):
        assert flow.divergence(rng().normal(size=(5, flow.dim))) == pytest.approx(np.full(5, want), abs=1e-12)

    def test_torch_gives_the_same(self):
        for flow in (chaos.lorenz(), chaos.thomas(), chaos.duffing()):
            x = np.asarray([flow.start, flow.start]) + 0.1
            a = chaos.integrate(flow, x, 20)
            b = chaos.integrate(flow, torch.tensor(x), 20)
            assert np.allclose(a, b.numpy(), atol=1e-10)
        x = chaos.ensemble(chaos.lorenz(), 3, rng())
        a, b = (chaos.lyapunov_spectrum(chaos.lorenz(), v, 50, warm=10) for v in (x, torch.tensor(x)))
        assert np.allclose(a.runs, b.runs.numpy(), atol=1e-8) and np.allclose(a.error, b.error.numpy(), atol=1e-8)


class TestSteps:
    def test_agrees_with_an_eighth_order_method(self):
        for flow in FLOWS:
            x = chaos.ensemble(flow, 1, rng(), warm=300)[0]
            time = 40 * flow.h
            want = solve_ivp(lambda t, y: flow.f(y), (0, time), x, method="DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
            got = chaos.integrate(flow, x, 160, flow.h / 4)[-1]
            assert np.abs(got - want).max() < 1e-5 * (1 + np.abs(x).max()), flow.name

    def test_fourth_order(self):
        flow, x = chaos.lorenz(), np.array([1.0, 2, 20])
        fine = chaos.integrate(flow, x, 1600, 0.0005)[-1]
        errors = [np.linalg.norm(chaos.integrate(flow, x, n, 0.8 / n)[-1] - fine) for n in (80, 160, 320)]
        assert np.polyfit(np.log([1 / 80, 1 / 160, 1 / 320]), np.log(errors), 1)[0] == pytest.approx(4, abs=0.2)

    def test_tangent_is_the_derivative_of_the_step(self):
        flow, x, e = chaos.lorenz(), np.array([1.0, 2, 20]), 1e-6
        y, u = chaos.tangent_step(flow, x, np.eye(3), 0.05)
        slope = np.stack([(chaos.step(flow, x + e * d, 0.05) - chaos.step(flow, x - e * d, 0.05)) / (2 * e) for d in np.eye(3)], axis=-1)
        assert np.allclose(y, chaos.step(flow, x, 0.05)) and np.allclose(u, slope, atol=1e-7)

    def test_kept_states(self):
        kept = chaos.integrate(chaos.lorenz(), np.ones((2, 3)), 10, every=3)
        assert kept.shape == (4, 2, 3)
        assert np.array_equal(kept[2], chaos.integrate(chaos.lorenz(), np.ones((2, 3)), 6)[-1])

    def test_largest_steps(self):
        real = chaos.largest_step([-2.0])
        assert abs(chaos.growth(-2 * real)) == pytest.approx(1, abs=1e-9) and real == pytest.approx(2.785293563 / 2, abs=1e-8)
        assert chaos.largest_step([1.0, 0.0, 2j]) == math.inf
        assert chaos.largest_step([-1.0, -10.0]) == pytest.approx(0.2785293563)

    def test_an_unstable_step_is_refused(self):
        with pytest.raises(ValueError, match=r"h must be at most 0\.122, where RK4 is stable for the fastest decay of Lorenz at the start; got 0\.5"):
            chaos.integrate(chaos.lorenz(), np.zeros(3) + 1e-3, 10, 0.5)

    def test_blow_up_is_told_with_its_time_and_run(self):
        x = np.array([[0.0, 0, 0], [50.0, 0, 0]])
        with pytest.raises(chaos.BlowUp, match=r"GenesioTesi blew up at t = [\d.]+ in run 1: \|x\| = .*smaller h or another start") as caught:
            chaos.integrate(chaos.genesio_tesi(), x, 1000, 0.02)
        fine = solve_ivp(lambda t, y: chaos.genesio_tesi().f(y), (0, 3), x[1], events=_escape, rtol=1e-9).t_events[0][0]
        assert caught.value.run == 1 and caught.value.time == pytest.approx(fine, abs=0.05)
        exact = 1 / 3.0                                                       # x' = x^2 from 3 is infinite at t = 1/3
        flow = chaos.Flow("square", lambda xp, x: (x * x,), lambda xp, x: {(0, 0): 2 * x}, (3.0,), 1e-4, 1.0)
        with pytest.raises(chaos.BlowUp) as caught:
            chaos.integrate(flow, np.array([3.0]), 10000)
        assert caught.value.time == pytest.approx(exact, abs=1e-3)

    def test_messages(self):
        flow = chaos.lorenz()
        for call, text in (
            (lambda: chaos.integrate(flow, np.ones(2), 3), r"x must have the 3 coordinates of Lorenz on its last axis; got shape \(2,\)"),
            (lambda: chaos.integrate(flow, np.array([1.0, np.nan, 0]), 3), "x must be finite; got nan"),
            (lambda: chaos.integrate(flow, np.ones(3), 0), "steps must be a whole number >= 1; got 0"),
            (lambda: chaos.integrate(flow, np.ones(3), 3, -0.1), r"h must be a number > 0; got -0\.1"),
            (lambda: chaos.lyapunov_spectrum(flow, np.ones(3), 3), r"x must be \[runs, dim\] with at least 2 runs, for a spread; got shape \(3,\)"),
            (lambda: chaos.largest_step([math.nan]), "rates must be finite"),
            (lambda: chaos.skew_tent(1.0), r"a must lie strictly between 0 and 1; got 1\.0"),
            (lambda: chaos.lorenz96(8, 3), "dim must be a whole number >= 4; got 3"),
        ):
            with pytest.raises(ValueError, match=text):
                call()


class TestSpectra:
    def test_maps_in_closed_form(self):
        for system, want in ((chaos.logistic(), [math.log(2)]), (chaos.skew_tent(0.3), [coin(0.3)]), (chaos.cat(), [GOLD, -GOLD]),
                             (chaos.baker(0.3, (0.25, 0.4)), [coin(0.3), 0.3 * math.log(0.25) + 0.7 * math.log(0.4)])):
            found = chaos.lyapunov_spectrum(system, chaos.ensemble(system, 40, rng(1), warm=60), 2000, warm=30)
            assert np.all(abs(found.mean - want) < 4 * found.error + 1e-12), system.name

    def test_henon_sums_to_log_b(self):
        system = chaos.henon()
        found = chaos.lyapunov_spectrum(system, chaos.ensemble(system, 20, rng()), 1000, warm=100)
        assert np.allclose(found.runs.sum(axis=1), math.log(0.3), atol=1e-12)
        assert found.mean[0] == pytest.approx(0.4192, abs=4 * found.error[0])

    def test_linear_flow_has_its_eigenvalues(self):
        flow = chaos.Flow("linear", lambda xp, x, y: (0.1 * x + y, -0.2 * y), lambda xp, x, y: {(0, 0): 0.1, (0, 1): 1.0, (1, 1): -0.2}, (1e-9, 1e-9), 0.05, 1.0)
        found = chaos.lyapunov_spectrum(flow, np.full((2, 2), 1e-9), 400, warm=1000)
        assert np.allclose(found.mean, [0.1, -0.2], atol=1e-6)

    def test_exponents_sum_to_the_divergence(self):
        for flow in (chaos.lorenz(), chaos.rossler(), chaos.sprott_b()):
            found = chaos.lyapunov_spectrum(flow, chaos.ensemble(flow, 5, rng()), 400)
            assert np.allclose(found.runs.sum(axis=1), found.divergence, atol=2e-2), flow.name

    def test_a_stable_step_can_be_too_large(self):
        flow = chaos.hyper_rossler()
        start = chaos.ensemble(flow, 8, rng())
        gaps = [abs(np.mean(s.runs.sum(axis=1) - s.divergence)) for s in (chaos.lyapunov_spectrum(flow, start, int(6 / h), h) for h in (0.02, 0.005))]
        assert gaps[1] < 0.1 * gaps[0]

    def test_stored_spectra(self):
        stored = chaos.measured_spectra()
        assert list(stored) == [f.name for f in FLOWS]
        for name, s in stored.items():
            assert sum(s["mean"]) == pytest.approx(s["divergence"], abs=2e-3 * (1 + abs(s["divergence"]))), name
            assert min(abs(m) / e if e else abs(m) / 1e-4 for m, e in zip(s["mean"], s["error"])) < 4, f"{name} has no zero exponent"
        flow = chaos.lorenz()
        again = chaos.lyapunov_spectrum(flow, chaos.ensemble(flow, 64, rng(5)), 1500, warm=800)
        assert np.all(abs(again.mean - stored["Lorenz"]["mean"]) < 4 * np.hypot(again.error, stored["Lorenz"]["error"]))

    def test_dimension(self):
        assert chaos.kaplan_yorke([0.9, 0, -14.57]) == pytest.approx(2 + 0.9 / 14.57)
        assert chaos.kaplan_yorke([-0.1, -2]) == 0 and chaos.kaplan_yorke([0.5, 0, -0.5]) == 3 and chaos.kaplan_yorke([0.0, -1]) == 1
        for bad, text in (([0.1, 0.2], "sorted"), ([], "list of finite"), ([math.nan], "list of finite")):
            with pytest.raises(ValueError, match=text):
                chaos.kaplan_yorke(bad)
        assert chaos.pesin([0.3, 0.1, 0, -5]) == pytest.approx(0.4)

    def test_blocks_of_a_fair_coin_and_of_a_cycle(self):
        coins = rng().integers(0, 2, size=200_000)
        assert np.allclose(np.diff(chaos.block_entropies(coins, 6)), math.log(2), atol=1e-4)
        assert np.allclose(chaos.block_entropies(np.tile([0, 1, 2], 1000), 4), math.log(3), atol=2e-3)
        with pytest.raises(ValueError, match="longest must leave ten words for each kind; at 4 there are"):
            chaos.block_entropies(coins[:100], 8)
        with pytest.raises(ValueError, match="symbols must be whole numbers"):
            chaos.block_entropies([0.5], 1)


class TestOrder:
    def test_tent_by_hand(self):
        two, three = chaos.tent_patterns(2), chaos.tent_patterns(3)
        assert two == {(0, 1): Fraction(2, 3), (1, 0): Fraction(1, 3)}
        assert (2, 1, 0) not in three and len(three) == 5 and sum(three.values()) == 1
        assert three[0, 1, 2] == Fraction(1, 3)

    def test_long_series_agrees(self):
        x = chaos.integrate(chaos.logistic(), np.array([0.3]), 200_000)[100:, 0]
        for order in (3, 5):
            exact = chaos.tent_patterns(order)
            want = -sum(float(p) * math.log(p) for p in exact.values())
            got = chaos.permutation_entropy(x, order)
            assert got.entropy == pytest.approx(want, abs=4e-3) and got.missing == math.factorial(order) - len(exact)

    def test_every_order_has_its_own_number(self):
        from itertools import permutations
        codes = [int(chaos.ordinal_patterns(np.array(p, dtype=float), 4)[0]) for p in permutations(range(4))]
        assert sorted(codes) == list(range(24))

    def test_monotone_and_delay(self):
        x = np.arange(50.0)
        assert chaos.permutation_entropy(x, 4).entropy == 0 and chaos.permutation_entropy(x, 4).missing == 23
        saw = np.tile([0.0, 1.0], 50) + 1e-6 * np.arange(100)
        assert chaos.permutation_entropy(saw, 2, delay=2).entropy == 0
        assert chaos.ordinal_patterns(x, 3, delay=5).size == 40

    def test_invariance_and_limits(self):
        x = rng().normal(size=50_000)
        a = chaos.permutation_entropy(x, 4)
        assert a.entropy == chaos.permutation_entropy(np.exp(x), 4).entropy
        assert a.share == pytest.approx(1, abs=1e-3) and a.bias == pytest.approx(-23 / (2 * 49_997))

    def test_overlap(self):
        assert chaos.noise_bias(2) == pytest.approx(1 / 3)
        draws = [math.log(6) - chaos.permutation_entropy(rng(s).normal(size=302), 3).entropy for s in range(600)]
        assert 600 * np.mean(draws) == pytest.approx(chaos.noise_bias(3), abs=4 * 600 * np.std(draws) / 600**0.5)
        with pytest.raises(ValueError, match="order must be a whole number from 2 to 5; got 6"):
            chaos.noise_bias(6)

    def test_ties(self):
        x = rng().integers(0, 3, size=20_000).astype(float)
        with pytest.raises(ValueError, match="no equal values within a window unless ties says"):
            chaos.permutation_entropy(x, 3)
        first = chaos.permutation_entropy(x, 3, ties="first").share
        fair = chaos.permutation_entropy(x, 3, ties="random", rng=rng(1)).share
        assert fair == pytest.approx(1, abs=2e-3) and first < 0.95
        with pytest.raises(ValueError, match="rng must be given"):
            chaos.permutation_entropy(x, 3, ties="random")

    def test_messages(self):
        for call, text in ((lambda: chaos.permutation_entropy(np.ones(3), 9), "order must be a whole number from 2 to 8; got 9"),
                           (lambda: chaos.permutation_entropy(np.arange(3.0), 4), r"more than \(order - 1\) delay = 3 values; got 3"),
                           (lambda: chaos.permutation_entropy([1, np.nan, 2], 2), "finite"),
                           (lambda: chaos.permutation_entropy(np.arange(5.0), 2, ties="drop"), "ties must be"),
                           (lambda: chaos.tent_patterns(8), "from 2 to 7; got 8")):
            with pytest.raises(ValueError, match=text):
                call()


class TestForecasts:
    @pytest.fixture
    def lorenz(self):
        flow = chaos.lorenz()
        train = chaos.integrate(flow, chaos.ensemble(flow, 1, rng(3))[0], 4000, every=2)
        test = chaos.integrate(flow, chaos.ensemble(flow, 6, rng(4)), 1400, every=2).transpose(1, 0, 2)
        return train, test[:, :101], test[:, 101:]

    def test_valid_time(self):
        truth = np.zeros((2, 10, 2))
        forecast = truth.copy()
        forecast[0, 4:] = 1
        times, censored = chaos.valid_time(truth, forecast, np.ones(2), 0.3, h=0.5)
        assert times.tolist() == [2.0, 5.0] and censored.tolist() == [False, True]
        forecast[1, 2] = np.nan
        assert chaos.valid_time(truth, forecast, np.ones(2), 0.3)[0].tolist() == [4, 2]
        with pytest.raises(ValueError, match="scale must be > 0"):
            chaos.valid_time(truth, forecast, np.zeros(2))
        with pytest.raises(ValueError, match="truth, forecast and scale"):
            chaos.valid_time(truth, forecast[:, :3], np.ones(2))

    def test_smape(self):
        assert chaos.smape([1, 2], [1, 2]) == 0 and chaos.smape([1.0], [-1.0]) == 200 and chaos.smape([1.0], [3.0]) == 100
        with pytest.raises(ValueError, match="both be 0"):
            chaos.smape([0.0], [0.0])

    def test_quadratic_step_is_learned_exactly(self):
        x = chaos.integrate(chaos.logistic(3.9), np.array([0.3]), 400)
        model = chaos.Polynomial(degree=2, ridge=0.0).fit(x[:300])
        assert np.allclose(model.forecast(x[None, 300:301], 3)[0], x[301:304], atol=1e-7)

    def test_linear_oscillation_is_learned_by_a_linear_model(self):
        t = np.arange(300)[:, None]
        x = np.cos(0.3 * t) + 0.5 * np.cos(0.7 * t)
        model = chaos.Polynomial(degree=1, delays=4, ridge=1e-14).fit(x[:200])
        assert np.allclose(model.forecast(x[None, :200], 50)[0], x[200:250], atol=1e-3)

    def test_neighbours_repeat_what_they_have_seen(self, lorenz):
        train = lorenz[0]
        model = chaos.Neighbours(k=1).fit(train)
        assert np.allclose(model.forecast(train[None, 100:101], 5)[0], train[101:106])

    @pytest.mark.parametrize("model, floor", [(chaos.Polynomial(2, 2), 3.0), (chaos.Polynomial(1, 4), 0.05), (chaos.Neighbours(), 0.3), (chaos.Reservoir(200), 1.5)],
                             ids=["quadratic", "linear", "neighbours", "reservoir"])
    def test_lorenz(self, lorenz, model, floor):
        train, past, future = lorenz
        model.fit(train)
        times, _ = chaos.valid_time(future, model.forecast(past, future.shape[1]), train.std(axis=0), h=0.02 * 0.9056)
        assert np.median(times) > floor

    def test_a_run_away_forecast_is_nan(self):
        x = chaos.integrate(chaos.logistic(3.9), np.array([0.3]), 100)
        model = chaos.Polynomial(2, ridge=0.0).fit(x)
        assert np.isnan(model.forecast(np.full((1, 1, 1), 1.5), 20)[0, -1, 0])

    def test_messages(self):
        for call, text in ((lambda: chaos.Polynomial().fit(np.ones(30)), "series must be a finite"),
                           (lambda: chaos.Polynomial().fit(np.ones((30, 1))), "vary in each coordinate"),
                           (lambda: chaos.Reservoir().fit(np.ones((30, 1))), "at least 110 rows for Reservoir; got 30"),
                           (lambda: chaos.Polynomial(0), "degree must be a whole number >= 1; got 0"),
                           (lambda: chaos.Polynomial(1, 3).fit(rng().normal(size=(40, 1))).forecast(np.ones((1, 2, 1)), 3), r"past must be \[runs, length >= 3, dim\]")):
            with pytest.raises(ValueError, match=text):
                call()
