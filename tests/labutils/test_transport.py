"""Waves keep their values along characteristics until they break; then an entropy falls by exactly the cube of the jump."""

import math

import numpy as np
import pytest

from labutils import info, spectral, transport

TURN = 2 * math.pi


def ring(n):
    return TURN * np.arange(n) / n


class TestCharacteristics:
    def test_derivative_is_exact_for_what_it_resolves(self):
        x = ring(32)
        f = np.exp(np.sin(x))
        assert np.allclose(transport.derivative(f), np.cos(x) * f, atol=1e-9)
        assert np.allclose(transport.derivative(np.sin(ring(32)), length=1.0), TURN * np.cos(x), atol=1e-12)
        assert np.allclose(transport.derivative(np.sin(ring(9))), np.cos(ring(9)), atol=1e-12)

    @pytest.mark.parametrize("height", [0.5, 1.0, 3.0])
    def test_breaking_time_of_a_sine(self, height):
        assert transport.breaking_time(height * np.sin(ring(64))) == pytest.approx(1 / height)
        assert transport.breaking_time(7 + height * np.sin(ring(64))) == pytest.approx(1 / height)

    def test_it_is_the_steepest_fall_that_breaks(self):
        x = ring(4096)
        wave = np.sin(x) + np.sin(2 * x) / 2              # rises with slope 2, falls with 9/8
        assert transport.breaking_time(wave) == pytest.approx(8 / 9, rel=1e-5)
        assert transport.breaking_time(-wave) == pytest.approx(1 / 2, rel=1e-5)

    def test_a_ring_of_another_length(self):
        label = np.arange(64) / 64
        assert transport.breaking_time(np.sin(TURN * label), length=1.0) == pytest.approx(1 / TURN)
        with pytest.raises(ValueError, match="below t_b = 0.159"):
            transport.places(label, np.sin(TURN * label), 0.2, length=1.0)
        X = label + 0.04 * np.sin(TURN * label)
        assert np.allclose(transport.second_derivative(np.sin(TURN * X), X, length=1.0), -TURN**2 * np.sin(TURN * X), atol=1e-7)

    def test_nothing_breaks_at_one_speed(self):
        assert transport.breaking_time(np.full(16, 3.0)) == math.inf

    def test_places_cross_only_after_breaking(self):
        x = ring(400)
        assert np.all(np.diff(transport.places(x, np.sin(x), 0.999)) > 0)
        with pytest.raises(ValueError, match="below t_b = 1, .*got 1.5"):
            transport.places(x, np.sin(x), 1.5)
        assert np.any(np.diff(transport.places(x, np.sin(x), 1.5, past_breaking=True)) < 0)

    def test_kepler(self):
        x, t = np.linspace(-3, 9, 50), 1.7
        y = transport.kepler_label(x, t, 3.0, 0.6)
        assert np.allclose(y + 0.6 * np.sin(y) + 3.0 * t, x + 0.6 * np.sin(x), atol=1e-12)
        assert np.allclose(transport.kepler_label(x, t, 3.0, 0.0), x - 3 * t)
        # along the flow: x' = speed / (1 + bend cos x), by small steps of RK4
        z, h, c = 0.4, 1e-3, lambda z: 3.0 / (1 + 0.6 * math.cos(z))
        for _ in range(1000):
            a = c(z); b = c(z + h / 2 * a); d = c(z + h / 2 * b); e = c(z + h * d)
            z += h / 6 * (a + 2 * b + 2 * d + e)
        assert transport.kepler_label(z, 1.0, 3.0, 0.6) == pytest.approx(0.4, abs=1e-9)

    def test_viscosity_by_label(self):
        label = ring(128)
        X = label + 0.3 * np.sin(label)
        assert np.allclose(transport.second_derivative(np.sin(X), X), -np.sin(X), atol=1e-9)
        assert not np.allclose(transport.derivative(transport.derivative(np.sin(X))), -np.sin(X), atol=0.1)
        with pytest.raises(ValueError, match="dX/dx0 > 0; got -0.5"):
            transport.second_derivative(np.sin(X), label + 1.5 * np.sin(label))


class TestShocks:
    def test_entropy_solution_before_breaking_is_the_implicit_one(self):
        x = ring(200)
        u = transport.entropy_solution(np.sin, x, 0.8, -1, 1)
        assert np.allclose(u, np.sin(x - 0.8 * u), atol=1e-12)
        assert np.array_equal(transport.entropy_solution(np.sin, x, 0.0, -1, 1), np.sin(x))

    def test_after_breaking_the_shock_of_a_sine_rests(self):
        u = transport.entropy_solution(np.sin, np.array([math.pi - 1e-6, math.pi + 1e-6]), 2.0, -1, 1)
        assert u[0] > 0.9 and u[1] == pytest.approx(-u[0], abs=1e-6)

    def test_a_step_upwards_opens_into_a_fan(self):
        u = transport.entropy_solution(lambda y: np.tanh(y / 1e-4), np.array([-0.5, 0.0, 0.5]), 1.0, -1, 1, labels=40001)
        assert np.allclose(u, [-0.5, 0, 0.5], atol=1e-3)

    def test_godunov_keeps_the_mean_and_approaches_the_entropy_solution(self):
        errors = []
        for n in (100, 200, 400):
            edge = TURN * np.arange(n + 1) / n
            means = (np.cos(edge[:-1]) - np.cos(edge[1:])) * n / TURN * 0.5 + 1
            steps = math.ceil(3 * n / TURN * 1.6)
            u = transport.godunov(means, TURN / n, 3 / steps, steps)
            assert u.mean() == pytest.approx(means.mean(), abs=1e-12)
            truth = transport.entropy_solution(lambda y: 1 + 0.5 * np.sin(y), (edge[1:] + edge[:-1]) / 2, 3.0, 0.5, 1.5)
            errors.append(np.mean(abs(u - truth)))
        assert errors[0] / errors[2] > 3

    def test_godunov_in_a_mirror(self):
        u = np.random.default_rng(1).normal(size=30)
        assert np.allclose(transport.godunov(-u[::-1], 1.0, 0.2, 9), -transport.godunov(u, 1.0, 0.2, 9)[::-1])
        fan = transport.godunov(np.where(np.arange(60) < 30, -1.0, 1.0), 0.1, 0.05, 20)   # opens at 30: x / t, no standing jump
        assert np.max(np.diff(fan)) < 0.5

    def test_courant(self):
        with pytest.raises(ValueError, match=r"<= 1 .*got 1.5: take dt <= 0.6667"):
            transport.godunov(1.5 * np.ones(8), 1.0, 1.0, 1)

    def test_godunov_of_many_at_once(self):
        u = np.random.default_rng(0).normal(size=(3, 20))
        assert np.allclose(transport.godunov(u, 1.0, 0.2, 5)[1], transport.godunov(u[1], 1.0, 0.2, 5))

    def test_shock_losses(self):
        assert transport.shock(1.0, -1.0) == (0.0, 8 / 12)
        # a small jump: entropy'' jump^3 / 12, and u log u has the second derivative 1/u
        assert transport.shock(2.001, 1.999, "shannon").loss == pytest.approx(0.002**3 / 12 / 2, rel=1e-3)
        assert transport.shock(1.4, 0.6, "shannon").loss > 0
        assert transport.shock(1.0, 1.0).loss == 0

    def test_entropy_of_a_density(self):
        assert transport.density_entropy(np.ones(50), 0.1) == pytest.approx(math.log(5))
        with pytest.raises(ValueError, match="must be > 0 to be a density; got 0"):
            transport.density_entropy(np.array([1.0, 0.0]), 0.1)


class TestRank:
    def picture(self, kind, speed, m=128, n=128, **kwargs):
        return transport.snapshots(lambda y: transport.profile(kind, y, **kwargs), speed, np.arange(m) / m, ring(n))

    @pytest.mark.parametrize("speed", [1.0, 10.0, 30.0, 100.0])
    def test_a_sine_has_rank_two_at_every_speed(self, speed):
        s = np.linalg.svd(self.picture("sine", speed), compute_uv=False)
        assert (s > 1e-12 * s[0]).sum() == 2

    def test_full_turns_give_fourier(self):
        A = self.picture("gaussian", TURN)
        want = np.sort(abs(np.fft.fft(A[0])))[::-1]
        assert np.allclose(np.linalg.svd(A, compute_uv=False), want, atol=1e-9)

    @pytest.mark.parametrize("width", [0.2, 0.5, 0.8])
    def test_effective_rank_of_a_gaussian(self, width):
        s = np.linalg.svd(self.picture("gaussian", TURN, width=width), compute_uv=False)
        assert spectral.effective_rank(s**2) == pytest.approx(math.sqrt(math.pi * math.e) / width, rel=2e-3)
        assert info.entropy(s**2 / np.sum(s**2)) == pytest.approx(0.5 * math.log(math.pi * math.e) - math.log(width), rel=2e-3)

    def test_gaussian_wraps(self):
        x = ring(64)
        for width in (0.3, 2.0):
            f = transport.profile("gaussian", x, width)
            assert np.allclose(f, transport.profile("gaussian", x + TURN, width)) and np.allclose(f[1:], f[1:][::-1])
            assert f.mean() == pytest.approx(width / math.sqrt(TURN), rel=1e-9)

    def test_a_picture_has_a_row_for_each_time(self):
        A = transport.snapshots(lambda y: y, 3.0, np.array([0.0, 1.0]), np.array([5.0, 6.0, 8.0]))
        assert np.array_equal(A, [[5, 6, 8], [2, 3, 5]])

    def test_a_step_is_up_on_the_first_half(self):
        x = np.array([0.1, 1.0, 3.1, math.pi, 3.2, 6.2, -0.1, TURN + 0.1])
        assert np.array_equal(transport.profile("step", x), [1, 1, 1, 0, -1, -1, -1, 1])

    @pytest.mark.parametrize("turns, fourier", [(1, True), (3, True), (2, False), (4, False)])
    def test_fourier_needs_turns_without_a_common_factor(self, turns, fourier):
        A = self.picture("gaussian", turns * TURN, 64, 64, width=0.05)
        want = np.sort(abs(np.fft.fft(A[0])))[::-1]
        assert np.allclose(np.linalg.svd(A, compute_uv=False), want, atol=1e-9) == fourier

    def test_width(self):
        assert np.allclose(transport.width_from_tail(np.array([4.0, 3.0, 0.0])), [1, 0.6, 0])
        assert transport.width_from_tail(np.array([1e-200, 1e-201])) == pytest.approx([1, 0.1 / math.sqrt(1.01)])


class TestLoss:
    @pytest.mark.parametrize("weight", [0.1, 1.0, 50.0])
    def test_rates_solve_their_equation(self, weight):
        m = np.sqrt(transport.propagation_rates(2.0, weight, 6))
        assert np.allclose(m * np.sin(2 * m), weight * np.cos(2 * m), atol=1e-9) and np.all(np.diff(m) > 0)
        assert transport.propagation_rates(2.0, 1e9, 1)[0] == pytest.approx((math.pi / 4) ** 2)

    def test_rates_are_those_of_the_discretised_loss(self):
        n, weight = 400, 3.0
        stiff = np.zeros((n, n))
        for i in range(n - 1):
            stiff[i:i + 2, i:i + 2] += np.array([[1, -1], [-1, 1.0]]) * (n - 1)
        stiff[0, 0] += weight
        mass = np.full(n, 1 / (n - 1)); mass[[0, -1]] /= 2
        rates = np.linalg.eigvalsh(stiff / np.sqrt(mass[:, None] * mass))
        assert np.allclose(rates[:3], transport.propagation_rates(1.0, weight, 3), rtol=1e-3)

    def test_frozen_network(self):
        f = transport.frozen(1.0, 3.0, [0, 1e3, 1e7])
        assert f.error[0] == pytest.approx(1) and f.error[2] < 1e-3 and f.least < 1e-9
        assert f.singular[0] == 1 and np.all(np.diff(f.singular) <= 0)
        assert transport.frozen(30.0, 3.0, [1e7]).error[0] > 0.9

    @pytest.mark.parametrize("weight", [1.0, 9.0])
    def test_frozen_descent_is_gradient_descent(self, weight):
        """Two hundred steps by hand, on a matrix built another way."""
        rng = np.random.default_rng(3)
        slope, centre = 2.0 * rng.normal(size=5), rng.uniform(size=5)
        t = (np.arange(40) + 0.5) / 40
        value = lambda t: np.append(np.tanh(slope * (t - centre)), 1.0)
        change = lambda t: np.append(slope / np.cosh(slope * (t - centre)) ** 2, 0.0)
        A = np.array([(change(s) + 4j * value(s)) / math.sqrt(40) for s in t] + [math.sqrt(weight) * value(0.0)])
        w, size = np.zeros(6, complex), np.linalg.norm(A, 2) ** 2
        for _ in range(200):
            w -= A.conj().T @ (A @ w - np.append(np.zeros(40), math.sqrt(weight))) / size
        grid = np.linspace(0, 1, 301)
        error = np.sqrt(np.mean([abs(value(s) @ w - np.exp(-4j * s)) ** 2 for s in grid]))
        assert transport.frozen(4.0, 2.0, [200], features=5, points=40, seed=3, weight=weight).error[0] == pytest.approx(error, abs=1e-9)


class TestNumpyAndTorch:
    def test_same_numbers(self):
        torch = pytest.importorskip("torch")
        x = ring(64)
        X, U = x + 0.3 * np.sin(x), np.cos(x)
        T = torch.tensor
        for a, b in [(transport.derivative(T(U)), transport.derivative(U)),
                     (transport.second_derivative(T(U), T(X)), transport.second_derivative(U, X)),
                     (transport.godunov(T(U), 0.1, 0.05, 7), transport.godunov(U, 0.1, 0.05, 7)),
                     (transport.width_from_tail(T([3.0, 1.0])), transport.width_from_tail(np.array([3.0, 1.0]))),
                     *((transport.profile(k, T(x)), transport.profile(k, x)) for k in ("sine", "gaussian", "step")),
                     (transport.snapshots(torch.sin, 2.0, T(x), T(x)), transport.snapshots(np.sin, 2.0, x, x)),
                     (transport.places(T(x), T(U), 0.5), transport.places(x, U, 0.5))]:
            assert np.allclose(a.numpy(), b, atol=1e-10)
        assert transport.breaking_time(T(U)) == pytest.approx(1)
        assert float(transport.density_entropy(T(2 + U), 0.1)) == pytest.approx(transport.density_entropy(2 + U, 0.1))


class TestRuns:
    def test_slopes_carried_forward_are_those_of_autograd(self):
        torch = pytest.importorskip("torch")
        from labutils import transport_runs as runs

        S = {f: torch.tensor([[float(getattr(runs.Arm("euler", 3, stretch=2, frame=0.7), f))]]) for f in runs.Arm._fields if f != "way"}
        S["frequencies"] = torch.tensor([[1.5, -2.0]])
        net = runs.start([4], 9, [2.0], given=7)
        x, t = torch.rand(1, 6, requires_grad=True), torch.rand(1, 6, requires_grad=True)
        u, u_t, u_x = runs.apply(net, *(lambda a, *b: (a, b))(*runs.inputs(S, x, t)))
        want = torch.autograd.grad(u.sum(), (t, x))
        assert torch.allclose(u_t, want[0], atol=1e-5) and torch.allclose(u_x, want[1], atol=1e-5)

    @pytest.mark.parametrize("arm", ["euler sine 10", "euler bend 10", "euler burgers", "euler hump 10"])
    def test_the_exact_answer_has_no_residual(self, arm):
        torch = pytest.importorskip("torch")
        from labutils import transport_runs as runs

        a = runs.ARMS[arm]
        S = {f: torch.tensor([[float(getattr(a, f))]], dtype=torch.float64) for f in runs.Arm._fields if f != "way"}
        x, t, h = torch.linspace(0.1, 6, 40, dtype=torch.float64)[None], torch.full((1, 40), 0.31, dtype=torch.float64), 1e-2
        u = runs.exact(S, x, t).double()
        u_t = (runs.exact(S, x, t + h) - runs.exact(S, x, t - h)).double() / (2 * h)
        u_x = (runs.exact(S, x + h, t) - runs.exact(S, x - h, t)).double() / (2 * h)
        c = a.speed / (1 + a.bend * x.cos()) + a.burgers * u
        assert float(abs(u_t + c * u_x).max()) < 0.03 * float(abs(c * u_x).max() + 0.1)

    def settings(self, arm, copies=1, **more):
        torch = pytest.importorskip("torch")
        from labutils import transport_runs as runs

        S = {f: torch.full((copies, 1), float(getattr(arm, f)), dtype=torch.float64) for f in runs.Arm._fields if f != "way"}
        return S | {"length": S["span"] / arm.windows, "frequencies": torch.zeros((copies, 0), dtype=torch.float64)} | more

    def points(self, n=40):
        torch = pytest.importorskip("torch")
        return torch.linspace(0.1, 6.2, n, dtype=torch.float64)[None], ((torch.arange(n, dtype=torch.float64) * 0.37) % 1)[None]

    def test_the_exact_flow_has_no_loss(self, monkeypatch):
        """Nets are replaced by functions of the inputs (t, cos x0, sin x0) and of their derivatives by t."""
        from labutils import transport_runs as runs

        monkeypatch.setattr(runs, "apply", lambda net, at, along=(): [net(at, None), *(net(at, d) for d in along)])
        x, t = self.points()
        straight = lambda c: lambda at, d: c * (at if d is None else d)[..., 0]
        kept = lambda at, d: (at if d is None else d)[..., 2]
        S = self.settings(runs.Arm("lagrange", 7, residual=0.25))
        assert float(runs.lagrange_loss(S, [straight(7), kept], x, t, x, x.sin())) == pytest.approx(0, abs=1e-20)
        assert float(runs.lagrange_loss(S, [straight(5), kept], x, t, x, x.sin())) == pytest.approx(0.25 * 4)
        assert float(runs.lagrange_loss(S, [straight(7), kept], x, t, x, x.sin() + 0.5)) == pytest.approx(0.25)
        growing = lambda at, d: kept(at, d) + straight(3)(at, d)
        assert float(runs.lagrange_loss(S, [straight(7), growing], x, t, x, x.sin())) == pytest.approx(0.25 * 9)
        burgers = lambda at, d: at[..., 0] * at[..., 2] if d is None else d[..., 0] * at[..., 2] + at[..., 0] * d[..., 2]
        S = self.settings(runs.Arm("lagrange", burgers=1))
        assert float(runs.lagrange_loss(S, [burgers, kept], x, t, x, x.sin())) == pytest.approx(0, abs=1e-20)
        S = self.settings(runs.Arm("lagrange", 3, bend=0.5))
        c = 3 / (1 - 0.5 * x.cos())                       # where the label has gone half round
        assert float(runs.lagrange_loss(S, [lambda at, d: 0 * x + (math.pi if d is None else 0), kept], x, t, x, x.sin())) == pytest.approx(float((c**2).mean()) + math.pi**2)

    def test_the_exact_wave_has_no_loss(self, monkeypatch):
        """The moving frame gives sin(x - frame t) as an input: it is the answer where frame = speed, and off by (speed - frame) cos elsewhere."""
        from labutils import transport_runs as runs

        monkeypatch.setattr(runs, "apply", lambda net, at, along=(): [net(at), *(net(d) for d in along)])
        x, t = self.points()
        answer = lambda a: a[..., 2]
        loss = lambda aim=0.0, **arm: float(runs.euler_loss(self.settings(runs.Arm("euler", **arm)), answer, x, t, x, x.sin() + aim))
        slope = float(((x - 7 * t).cos() ** 2).mean())
        assert loss(speed=7, frame=7) == pytest.approx(0, abs=1e-20)
        assert loss(speed=9, frame=7, residual=0.25) == pytest.approx(0.25 * 4 * slope)
        assert loss(speed=7, frame=7, residual=0.25, aim=0.5) == pytest.approx(0.25)
        burgers = float((((x - 7 * t).sin() - 7) ** 2 * (x - 7 * t).cos() ** 2).mean())
        assert loss(burgers=1, frame=7) == pytest.approx(burgers)
        assert loss(speed=7, frame=7, data=True) == pytest.approx(0, abs=1e-10)
        assert loss(speed=9, frame=7, data=True) == pytest.approx(float((((x - 7 * t).sin() - (x - 9 * t).sin()) ** 2).mean()), rel=1e-4)

    def test_causal_weights_count_what_lies_before(self, monkeypatch):
        torch = pytest.importorskip("torch")
        from labutils import transport_runs as runs

        monkeypatch.setattr(runs, "apply", lambda net, at, along=(): [0 * at[..., 0], *(torch.full_like(d[..., 0], 2.0) * (i == 0) for i, d in enumerate(along))])
        t = ((torch.arange(runs.BINS) + 0.5) / runs.BINS)[None]                          # u_t = 2, u_x = 0: the residual is 2 everywhere
        S = {name: v.float() for name, v in self.settings(runs.Arm("euler", 3, causal=0.1, residual=0.5)).items()}
        want = 0.5 * np.mean(4 * np.exp(-0.1 * 0.5 * 4 * np.arange(runs.BINS)))
        assert float(runs.euler_loss(S, None, t, t, t, 0 * t)) == pytest.approx(want, rel=1e-5)

    def test_windows_follow_one_another(self, monkeypatch):
        torch = pytest.importorskip("torch")
        from labutils import transport_runs as runs

        arm = runs.Arm("euler", 4, windows=2, steps=100)
        monkeypatch.setitem(runs.ARMS, "two", arm)
        seen, asked, loss = [], [], runs.euler_loss

        def watch(S, net, x, t, x0, aim):
            seen.append((x0, aim, float(t.max())))
            return loss(S, net, x, t, x0, aim)

        monkeypatch.setattr(runs, "euler_loss", watch)
        monkeypatch.setattr(runs, "_answer", lambda S, nets, x, t: (asked.append(t), 0 * x + 7, x)[1:])
        monkeypatch.setattr(runs, "judge", lambda S, found: {"error": np.full(1, len(found))})
        assert runs.train(["two"], [0])["error"] == 2 and len(seen) == 100
        assert torch.allclose(seen[49][1], seen[49][0].sin()) and torch.all(seen[50][1] == 7)
        assert all(float(t) == 0.5 for t in asked) and max(late for *_, late in seen) <= 0.5

    def test_each_window_is_judged_in_its_own_time(self, monkeypatch):
        from labutils import transport_runs as runs

        S = {name: v.float() for name, v in self.settings(runs.Arm("euler", 4, windows=2)).items()}
        monkeypatch.setattr(runs, "_answer", lambda S, nets, x, t: ((x - 4 * (t + nets)).sin(), x))
        good, bad = runs.judge(S, [0.0, 0.5]), runs.judge(S, [0.5, 0.0])
        assert good["error"].max() < 1e-5 and good["late"].max() < 1e-5 and bad["late"].min() > 0.5

    def test_the_file_has_every_arm(self):
        from labutils import transport_runs as runs

        stored = runs.load()
        assert list(stored) == list(runs.ARMS)
        assert all(row["error"].shape == (runs.SEEDS,) and row["late"].shape == (runs.SEEDS, runs.GRID[0]) for row in stored.values())

    def test_what_trains_together_must_match(self):
        pytest.importorskip("torch")
        from labutils import transport_runs as runs

        with pytest.raises(ValueError, match="must share way, windows, steps, waves and data; got windows, data"):
            runs.train(["windows", "data"], [0], stop=1)

    @pytest.mark.parametrize("names, seeds, stop, message", [
        (["nope"], [0], None, "names must be keys of ARMS; got 'nope'"),
        ([], [0], None, "names and seeds must not be empty"),
        (["data"], [], None, "names and seeds must not be empty"),
        (["data"], [0], 5, "stop must lie between 40 and the 3000 steps of a window; got 5"),
        (["windows"], [0], 301, "the 300 steps of a window; got 301"),
    ])
    def test_bad_training_is_named(self, names, seeds, stop, message):
        pytest.importorskip("torch")
        from labutils import transport_runs as runs

        with pytest.raises(ValueError, match=message):
            runs.train(names, seeds, stop=stop)


@pytest.mark.parametrize("call, message", [
    (lambda: transport.places(ring(16), np.sin(ring(16)), -1.0), "t must be finite and >= 0; got -1"),
    (lambda: transport.breaking_time(np.linspace(0, 1, 32)), "speed must be periodic; it jumps by 1 at the seam"),
    (lambda: transport.breaking_time(np.array([0.0, np.nan] * 8)), "speed must be finite; got nan"),
    (lambda: transport.breaking_time(np.zeros((4, 8))), "speed must be one row"),
    (lambda: transport.derivative([1.0, 2.0]), "f must be a NumPy array or a torch tensor; got list"),
    (lambda: transport.entropy_solution(np.sin, ring(8), 1.0, 1, -1), "low must lie below high"),
    (lambda: transport.entropy_solution(np.sin, ring(8), 1.0, -0.5, 0.5), "u0 must stay within low and high"),
    (lambda: transport.entropy_solution(np.sin, ring(8), 1.0, -1, 0.5), "u0 must stay within low and high; got values from -1 to 1"),
    (lambda: transport.entropy_solution(np.sin, ring(8), 1.0, -0.5, 1), "u0 must stay within low and high; got values from -1 to 1"),
    (lambda: transport.entropy_solution(np.sin, ring(8), 0.0, -1, 0.5), "u0 must stay within low and high"),
    (lambda: transport.entropy_solution(np.sin, np.array([0.0, np.nan]), 1.0, -1, 1), "x must be finite; got nan"),
    (lambda: transport.entropy_solution(lambda y: np.sqrt(y), np.array([1.0, np.inf]), 1.0, -1, 1), "x must be finite; got inf"),
    (lambda: transport.entropy_solution(lambda y: 0 * y + np.nan, ring(8), 1.0, -1, 1), "u0 must be finite; got nan"),
    (lambda: transport.entropy_solution(np.sin, np.zeros((2, 3)), 1.0, -1, 1), "x must be one row of places; got shape .2, 3."),
    (lambda: transport.entropy_solution(np.sin, np.zeros(0), 1.0, -1, 1), "x must be one row of places; got shape .0,."),
    (lambda: transport.entropy_solution(np.sin, ring(8), 1.0, -1, np.inf), "high must be finite; got inf"),
    (lambda: transport.kepler_label(np.nan, 1.0, 1.0, 0.5), "x must be finite; got nan"),
    (lambda: transport.kepler_label(0.0, np.array([1.0, np.inf]), 1.0, 0.5), "t must be finite; got inf"),
    (lambda: transport.kepler_label(0.0, 1.0, np.nan, 0.5), "speed must be finite; got nan"),
    (lambda: transport.snapshots(np.sin, np.nan, ring(8), ring(8)), "speed must be finite; got nan"),
    (lambda: transport.snapshots(np.sin, 1.0, np.array([0.0, np.nan]), ring(8)), "times must be finite; got nan"),
    (lambda: transport.places(ring(16), np.sin(ring(8)), 0.1), "label and speed must have the same shape; got .16,. and .8,."),
    (lambda: transport.places(np.append(ring(15), np.nan), np.sin(ring(16)), 0.1), "label must be finite; got nan"),
    (lambda: transport.second_derivative(np.sin(ring(8)), ring(16)), "U and X must have the same shape; got .8,. and .16,."),
    (lambda: transport.derivative(np.array(1.0)), "f must have 4 or more places on its last axis; got shape"),
    (lambda: transport.derivative(np.ones(3)), "f must have 4 or more places on its last axis; got shape .3,."),
    (lambda: transport.godunov(np.array(1.0), 1.0, 0.5, 1), "u must have 2 or more places on its last axis; got shape"),
    (lambda: transport.density_entropy(np.ones(0), 1.0), "u must have 1 or more places on its last axis; got shape .0,."),
    (lambda: transport.kepler_label(0.0, 1.0, 1.0, 1.0), "bend must lie strictly between -1 and 1; got 1.0"),
    (lambda: transport.godunov(np.ones(8), 0.0, 1.0, 1), "dx must be a number > 0; got 0.0"),
    (lambda: transport.shock(0.0, 1.0), "left must be >= right: a step upwards opens into a fan; got 0 and 1"),
    (lambda: transport.shock(1.0, 0.0, "shannon"), "right must be > 0 where u is a density; got 0"),
    (lambda: transport.shock(1.0, 0.0, "log"), "entropy must be 'square' or 'shannon'; got 'log'"),
    (lambda: transport.profile("square", ring(8)), "kind must be sine, gaussian or step; got 'square'"),
    (lambda: transport.profile("gaussian", ring(8), 0.0), "width must be a number > 0; got 0.0"),
    (lambda: transport.snapshots(np.sin, 1.0, np.ones((2, 2)), ring(8)), "times and x must be rows"),
    (lambda: transport.width_from_tail(np.array([1.0, 2.0])), "largest first"),
    (lambda: transport.propagation_rates(0.0, 1.0), "span must be a number > 0; got 0.0"),
    (lambda: transport.frozen(1.0, 0.0, [1]), "scale must be a number > 0; got 0.0"),
    (lambda: transport.frozen(1.0, 1.0, [-1]), "steps must be >= 0; got -1"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
