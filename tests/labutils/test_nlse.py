"""Exact waves satisfy the equation; entropies meet closed forms; each solver has its order and says what went wrong."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import nlse

PAIR = {"amplitude": (2.0, 1.5), "velocity": (2.0, -2.0), "centre": (-9.86174986, 9.81566648), "phase": (6.00371651, 0.06140795)}


def residual(wave, t, length, points=1024, h=1e-3):
    """i psi_t + psi_xx / 2 + |psi|² psi, the derivative in t by a stencil of order 6."""
    g = nlse.ring(points, length)
    weights = {-3: -1, -2: 9, -1: -45, 1: 45, 2: -9, 3: 1}
    psi = wave(g.x, t)
    psi_t = sum(w * wave(g.x, t + i * h) for i, w in weights.items()) / (60 * h)
    psi_xx = np.fft.ifft(-g.k**2 * np.fft.fft(psi))
    return np.max(abs(1j * psi_t + psi_xx / 2 + abs(psi) ** 2 * psi))


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


# Exact waves


@settings(max_examples=15, deadline=None)
@given(amplitude=st.floats(0.5, 2.5), velocity=st.floats(-3, 3), centre=st.floats(-5, 5), phase=st.floats(-3, 3))
def test_soliton_solves_the_equation(amplitude, velocity, centre, phase):
    def wave(x, t):
        return nlse.soliton(x, t, amplitude=amplitude, velocity=velocity, centre=centre, phase=phase)

    assert residual(wave, 0.3, 120.0, points=4096) < 1e-8
    g = nlse.ring(4096, 120.0)
    mass, momentum, energy = nlse.invariants(wave(g.x, 0.3), 120.0)
    assert mass == pytest.approx(2 * amplitude, abs=1e-10)
    assert momentum == pytest.approx(2 * amplitude * velocity, abs=1e-9)
    assert energy == pytest.approx(amplitude * velocity**2 - amplitude**3 / 3, abs=1e-8)


def test_one_soliton_is_a_special_case_of_many():
    x = nlse.ring(256, 40.0).x
    one = nlse.solitons(x, 0.7, [1.3], [0.4], [-1.0], [0.2])
    assert np.allclose(one, nlse.soliton(x, 0.7, amplitude=1.3, velocity=0.4, centre=-1.0, phase=0.2), atol=1e-14)


@pytest.mark.parametrize("t", [0.0, 4.9, 9.0])
def test_two_solitons_solve_the_equation(t):
    assert residual(lambda x, t: nlse.solitons(x, t, **PAIR), t, 60.0) < 2e-7


def test_three_solitons_solve_the_equation():
    def wave(x, t):
        return nlse.solitons(x, t, [1.0, 1.4, 0.7], [0.5, -0.5, 0.0], [-2.0, 2.0, 0.0], [0.0, 1.0, 2.0])

    assert residual(wave, 0.5, 80.0) < 1e-8


def test_far_positions_do_not_overflow():
    psi = nlse.solitons(np.linspace(-400, 400, 11), 0.0, **PAIR)
    assert np.all(np.isfinite(psi)) and abs(psi[0]) < 1e-100


@pytest.mark.parametrize("place", [0, 1])
def test_shift_is_read_off_the_exact_solution(place):
    """Peaks long before and long after the meeting, against two lines."""
    other = 1 - place
    a, v = PAIR["amplitude"], PAIR["velocity"]

    def peak(t, near):
        x = near + np.linspace(-2, 2, 40001)
        return x[np.argmax(abs(nlse.solitons(x, t, **PAIR)))]

    start, end = -20.0, 30.0
    guess = PAIR["centre"][place]
    before, after = peak(start, guess + v[place] * start), peak(end, guess + v[place] * end)
    measured = (after - before - v[place] * (end - start)) * math.copysign(1, v[place])
    assert measured == pytest.approx(nlse.shift(a[place], a[other], v[place] - v[other]), abs=2e-4)


def test_satsuma_yajima():
    assert residual(nlse.satsuma_yajima, 0.3, 60.0) < 1e-7
    x = nlse.ring(256, 40.0).x
    assert np.allclose(nlse.satsuma_yajima(x, 0.0), 2 / np.cosh(x), atol=1e-14)
    assert abs(nlse.satsuma_yajima(np.array([0.0]), math.pi / 4))[0] == pytest.approx(4, abs=1e-12)
    assert np.allclose(abs(nlse.satsuma_yajima(x, 0.2)), abs(nlse.satsuma_yajima(x, 0.2 + math.pi / 2)), atol=1e-12)


@pytest.mark.parametrize("a", [0.1, 0.25, 0.4])
def test_akhmediev(a):
    length = 3 * 2 * math.pi / (2 * math.sqrt(1 - 2 * a))
    for t in (-2.0, 0.0, 0.7):
        assert residual(lambda x, t: nlse.akhmediev(x, t, a), t, length, points=512) < 1e-8
    assert abs(nlse.akhmediev(np.array([0.0]), 0.0, a))[0] == pytest.approx(1 + 2 * math.sqrt(2 * a))
    assert np.max(abs(abs(nlse.akhmediev(nlse.ring(64, length).x, 400.0, a)) - 1)) < 1e-9


@pytest.mark.parametrize("amplitude, q", [(1.0, 1.0), (1.0, math.sqrt(2)), (1.0, 0.5), (0.7, 0.9)])
def test_growth_is_measured(amplitude, q):
    """A ripple put on the growing mode grows at the rate of the formula."""
    g = nlse.ring(64, 4 * 2 * math.pi / q)
    rate = float(nlse.growth_rate(q, amplitude))
    # (u + i v) cos qx with u_t = q²/2 v, v_t = (2a² - q²/2) u: growing along (q²/2, rate)
    psi0 = amplitude + 1e-7 * (q * q / 2 + 1j * rate) * np.cos(q * g.x) / math.hypot(q * q / 2, rate)
    s = nlse.solve(psi0, [0.0, 1.0, 3.0], g.length, tol=1e-13)
    size = [abs(np.fft.fft(p * np.exp(-1j * amplitude**2 * t))[4]) for p, t in zip(s.psi, s.t, strict=True)]
    assert math.log(size[2] / size[1]) / 2 == pytest.approx(rate, abs=1e-5)


def test_growth_stops_at_twice_the_amplitude():
    rate = nlse.growth_rate(np.array([0.0, math.sqrt(2), 2.0, 2.1, -1.0]))
    assert rate[0] == 0 and rate[1] == pytest.approx(1) and rate[2] == 0 and rate[3] == 0
    assert rate[4] == pytest.approx(math.sqrt(3) / 2)


# Entropies


@settings(max_examples=15, deadline=None)
@given(amplitude=st.floats(0.7, 2.5), velocity=st.floats(-2, 2), points=st.sampled_from([512, 1024]))
def test_soliton_entropies_do_not_depend_on_the_grid(amplitude, velocity, points):
    g = nlse.ring(points, 80.0)
    psi = nlse.soliton(g.x, amplitude=amplitude, velocity=velocity)
    assert nlse.entropies(psi, 80.0) == pytest.approx(nlse.soliton_entropies(amplitude), abs=1e-7)
    assert sum(nlse.soliton_entropies(amplitude)) == pytest.approx(4 - math.log(2 * math.pi))
    h_x, h_k = nlse.entropies(psi, 80.0, grid=True)
    wanted = nlse.soliton_entropies(amplitude)
    assert h_x == pytest.approx(wanted[0] - math.log(g.dx), abs=1e-7) and h_k == pytest.approx(wanted[1] - math.log(g.dk), abs=1e-7)


def test_other_orders_of_a_soliton():
    a, g = 2.0, nlse.ring(1024, 60.0)
    psi = nlse.soliton(g.x, amplitude=a)
    assert nlse.entropies(psi, 60.0, 2)[0] == pytest.approx(math.log(3 / a), abs=1e-9)
    assert nlse.entropies(psi, 60.0, math.inf)[0] == pytest.approx(math.log(2 / a), abs=1e-9)
    assert nlse.entropies(psi, 60.0, 2, "tsallis")[0] == pytest.approx(1 - a / 3, abs=1e-9)
    assert nlse.entropies(psi, 60.0, 0.5, "tsallis")[0] == pytest.approx(2 * (math.pi / math.sqrt(2 * a) - 1), abs=1e-6)
    assert nlse.entropies(psi, 60.0, 2, "tsallis", grid=True)[0] == pytest.approx(1 - a * g.dx / 3, abs=1e-9)
    assert nlse.entropies(psi, 60.0, 1, "tsallis") == pytest.approx(nlse.entropies(psi, 60.0), abs=1e-12)


def test_floor_is_reached_by_a_gaussian_and_missed_by_a_plane_wave():
    g = nlse.ring(1024, 60.0)
    gauss = np.exp(-g.x**2 / 2 + 0.5j * g.x)
    assert sum(nlse.entropies(gauss, 60.0)) == pytest.approx(nlse.uncertainty_floor(), abs=1e-9)
    for a in (2.0, 0.75, 5.0):
        pair = nlse.entropies(gauss, 60.0, a)[0] + nlse.entropies(gauss, 60.0, a / (2 * a - 1))[1]
        assert pair == pytest.approx(nlse.uncertainty_floor(a), abs=1e-8)
    plane = np.exp(1j * g.k[3] * g.x)
    assert sum(nlse.entropies(plane, 60.0)) == pytest.approx(math.log(2 * math.pi), abs=1e-9)
    assert math.log(2 * math.pi) < nlse.uncertainty_floor()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.floats(0.5, 20.0), order=st.sampled_from([1, 2, 0.75]))
def test_no_field_on_a_ring_lies_below_log_two_pi(seed, width, order):
    rng = np.random.default_rng(seed)
    g = nlse.ring(128, 30.0)
    psi = (rng.standard_normal(128) + 1j * rng.standard_normal(128)) * np.exp(-((g.x / width) ** 2))
    partner = order / (2 * order - 1)
    assert nlse.entropies(psi, 30.0, order)[0] + nlse.entropies(psi, 30.0, partner)[1] >= math.log(2 * math.pi) - 1e-9


# Solvers


@pytest.mark.parametrize("method, steps, order", [
    ("strang", (0.016, 0.008, 0.004), 2), ("yoshida4", (0.016, 0.008), 4), ("suzuki4", (0.016, 0.008), 4),
    ("etdrk4", (0.02, 0.01), 4), ("interaction", (0.1, 0.05), 8)])
def test_order(method, steps, order):
    g = nlse.ring(240, 60.0)  # 2 pi / k_max² = 0.04: no splitting step resonates

    psi0 = nlse.solitons(g.x, 0.0, [1.0, 0.8], [0.5, -0.5], [-1.5, 1.5], [0.0, 1.0])
    # the same points followed far below what is measured: the error of the grid itself (8e-8) is left out
    truth = nlse.solve(psi0, [0.0, 2.0], 60.0, tol=1e-14).psi[-1]
    assert distance(truth, nlse.solitons(g.x, 2.0, [1.0, 0.8], [0.5, -0.5], [-1.5, 1.5], [0.0, 1.0])) < 1e-7
    errors = [distance(nlse.solve(psi0, [0.0, 2.0], 60.0, method=method, dt=dt).psi[-1], truth) for dt in steps]
    slopes = [math.log(a / b) / math.log(2) for a, b in zip(errors, errors[1:], strict=False)]
    assert all(abs(slope - order) < (0.25 if order < 8 else 1.0) for slope in slopes), (errors, slopes)


@pytest.mark.parametrize("method, tol, error", [
    ("strang", 1e-7, 3e-4), ("yoshida4", 1e-9, 2e-7), ("suzuki4", 1e-9, 2e-7), ("etdrk4", 1e-9, 2e-7), ("interaction", 1e-9, 2e-7)])
def test_tolerance_is_met(method, tol, error):
    g = nlse.ring(512, 50.0)
    s = nlse.solve(nlse.solitons(g.x, 4.0, **PAIR), [4.0, 5.0, 6.0], 50.0, method=method, tol=tol)
    for t, psi in zip(s.t, s.psi, strict=True):
        assert distance(psi, nlse.solitons(g.x, t, **PAIR)) < error
    mass, momentum, energy = nlse.invariants(s.psi, 50.0)
    assert np.max(abs(mass - mass[0])) < 1e-7 and np.max(abs(momentum - momentum[0])) < 1e-4
    assert np.max(abs(energy - energy[0])) < (1e-2 if method == "strang" else 1e-5)


def test_times_inside_a_step_are_as_good_as_steps():
    g = nlse.ring(512, 50.0)
    psi0 = nlse.solitons(g.x, 4.0, **PAIR)
    few = nlse.solve(psi0, [4.0, 6.0], 50.0, tol=1e-10)
    many = nlse.solve(psi0, np.linspace(4, 6, 401), 50.0, tol=1e-10)
    assert many.steps == few.steps
    worst = max(distance(p, nlse.solitons(g.x, t, **PAIR)) for t, p in zip(many.t, many.psi, strict=True))
    assert worst < 1e-6
    assert distance(many.psi[-1], few.psi[-1]) < 1e-13


def test_a_batch_is_what_its_fields_are():
    g = nlse.ring(128, 30.0)
    fields = np.stack([nlse.soliton(g.x, amplitude=a, velocity=v) for a, v in ((1.0, 0.0), (1.2, 1.0))])
    together = nlse.solve(fields, [0.0, 1.0], 30.0, method="suzuki4", dt=0.01).psi[-1]
    alone = [nlse.solve(f, [0.0, 1.0], 30.0, method="suzuki4", dt=0.01).psi[-1] for f in fields]
    assert np.allclose(together, np.stack(alone), atol=1e-13)


@pytest.mark.parametrize("method", nlse.METHODS)
def test_torch_runs_the_same_lines(method):
    torch = pytest.importorskip("torch")
    g = nlse.ring(128, 30.0)
    psi0 = nlse.soliton(g.x, amplitude=1.2, velocity=0.5)
    dt = 0.01
    ours = nlse.solve(psi0, [0.0, 0.5], 30.0, method=method, dt=dt)
    theirs = nlse.solve(torch.as_tensor(psi0), [0.0, 0.5], 30.0, method=method, dt=dt)
    assert np.allclose(ours.psi, theirs.psi.numpy(), atol=1e-12) and ours.transforms == theirs.transforms
    h = nlse.entropies(torch.as_tensor(psi0), 30.0)
    assert float(h[0]) == pytest.approx(float(nlse.entropies(psi0, 30.0)[0]))


@pytest.mark.parametrize("method, count", [("strang", 2), ("yoshida4", 6), ("suzuki4", 10), ("etdrk4", 8), ("interaction", 24), ("filtered", 24)])
def test_transforms_are_counted(method, count, monkeypatch):
    g = nlse.ring(128, 30.0)
    calls = {"n": 0}
    for name in ("fft", "ifft"):
        inner = getattr(np.fft, name)

        def counted(*args, inner=inner, **named):
            calls["n"] += 1
            return inner(*args, **named)

        monkeypatch.setattr(np.fft, name, counted)
    runs = []
    for steps in (5, 10):
        calls["n"] = 0
        s = nlse.solve(nlse.soliton(g.x), [0.0, 0.01 * steps], 30.0, method=method, dt=0.01)
        runs.append((s.transforms, calls["n"] - 1))  # one is for the tail
    assert runs[0][0] == runs[0][1] and runs[1][0] == runs[1][1]
    assert runs[1][0] - runs[0][0] == 5 * count


def test_the_filter_is_another_equation_that_keeps_its_own_energy():
    g = nlse.ring(512, 50.0)
    psi0 = nlse.solitons(g.x, 4.0, **PAIR)
    s = nlse.solve(psi0, [4.0, 6.0], 50.0, method="filtered", tol=1e-11)
    sigma = nlse.smooth_cut(g.k)
    own = nlse.invariants(s.psi, 50.0, damping=sigma).energy
    true = nlse.invariants(s.psi, 50.0).energy
    assert abs(own[1] - own[0]) < 1e-8
    assert distance(s.psi[-1], nlse.solitons(g.x, 6.0, **PAIR)) > 1e-5
    assert abs(true[1] - true[0]) > 20 * abs(own[1] - own[0])
    none = nlse.solve(psi0, [4.0, 6.0], 50.0, method="filtered", tol=1e-11, filter=np.ones(512))
    assert distance(none.psi[-1], nlse.solitons(g.x, 6.0, **PAIR)) < 1e-6


# What is refused


def test_an_unresolved_field_is_named():
    g = nlse.ring(64, 50.0)
    with pytest.warns(RuntimeWarning, match="spectrum has not decayed.*highest third"):
        nlse.solve(nlse.soliton(g.x, amplitude=2.0), [0.0, 0.1], 50.0)
    assert nlse.tail(nlse.soliton(g.x, amplitude=2.0), 50.0) > 1e-4


def test_a_field_that_does_not_close_is_named():
    g = nlse.ring(512, 20.0)
    with pytest.warns(RuntimeWarning, match="must close on the ring"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the spectrum")
        nlse.solve(np.exp(-((g.x - 9) ** 2)) + 0.3 * g.x + 0j, [0.0, 0.001], 20.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nlse.solve(nlse.soliton(g.x, amplitude=2.0) * 1.0, [0.0, 0.01], 20.0)
        nlse.solve(np.exp(1j * g.k[2] * g.x), [0.0, 0.01], 20.0)


def test_a_resonant_splitting_step_is_named():
    g = nlse.ring(512, 50.0)
    with pytest.warns(RuntimeWarning, match="resonance of splitting at 0.006"):
        nlse.solve(nlse.soliton(g.x), [0.0, 0.02], 50.0, method="suzuki4", dt=0.01)


def test_the_filtered_step_has_a_stability_limit():
    from scipy.integrate import DOP853

    def gain(y):
        slopes = []
        for row in DOP853.A[:12]:
            slopes.append(1j * y * (1 + sum(a * k for a, k in zip(row[: len(slopes)], slopes, strict=False))))
        return abs(1 + sum(b * k for b, k in zip(DOP853.B, slopes, strict=True)))

    assert gain(nlse.IMAGINARY) <= 1 and gain(1.03 * nlse.IMAGINARY) > 1
    g = nlse.ring(512, 50.0)
    with pytest.raises(ValueError, match="dt must be at most 0.0115"):
        nlse.solve(nlse.soliton(g.x), [0.0, 1.0], 50.0, method="filtered", dt=0.013)


def test_blow_up_is_reported_with_its_time(monkeypatch):
    monkeypatch.setattr(nlse, "IMAGINARY", 1e9)
    g = nlse.ring(256, 20.0)
    with warnings.catch_warnings(), pytest.raises(RuntimeError, match=r"blew up before t = 0\.\d+"):
        warnings.simplefilter("ignore")
        nlse.solve(nlse.soliton(g.x), [0.0, 5.0], 20.0, method="filtered", dt=0.04)


@pytest.mark.parametrize("call, message", [
    (lambda g, psi: nlse.ring(7, 1.0), "points must be even"),
    (lambda g, psi: nlse.ring(8, 0.0), "length must be"),
    (lambda g, psi: nlse.soliton(g.x, amplitude=0.0), "amplitude must be"),
    (lambda g, psi: nlse.solitons(g.x, 0.0, [1, 1], [0, 0], [0, 1], [0, 0]), "must differ"),
    (lambda g, psi: nlse.solitons(g.x, 0.0, [1, 2], [0], [0, 1], [0, 0]), "velocity must hold 2"),
    (lambda g, psi: nlse.shift(1.0, 1.0, 0.0), "never part"),
    (lambda g, psi: nlse.akhmediev(g.x, 0.0, 0.5), "strictly between 0 and 1/2"),
    (lambda g, psi: nlse.growth_rate(1.0, -1.0), "amplitude must be"),
    (lambda g, psi: nlse.invariants(abs(psi), 10.0), "must be complex"),
    (lambda g, psi: nlse.invariants(psi * np.nan, 10.0), "must be finite; it is not at 64"),
    (lambda g, psi: nlse.invariants(psi[:5], 10.0), "even number of points"),
    (lambda g, psi: nlse.densities(0 * psi, 10.0), "must not be 0 everywhere"),
    (lambda g, psi: nlse.entropies(psi, 10.0, 0), "order must be > 0"),
    (lambda g, psi: nlse.uncertainty_floor(0.5), "order must be > 1/2"),
    (lambda g, psi: nlse.solve(psi, [0.0], 10.0), "two or more increasing times"),
    (lambda g, psi: nlse.solve(psi, [0.0, 1.0, 0.5], 10.0), "two or more increasing times"),
    (lambda g, psi: nlse.solve(psi, [0.0, 1.0], 10.0, method="euler"), "method must be one of"),
    (lambda g, psi: nlse.solve(psi, [0.0, 1.0], 10.0, tol=0.0), "tol must be"),
    (lambda g, psi: nlse.solve(psi, [0.0, 1.0], 10.0, dt=-1.0), "dt must be"),
    (lambda g, psi: nlse.solve(psi, [0.0, 1.0], 10.0, filter=g.k), "belongs to method 'filtered'"),
    (lambda g, psi: nlse.solve(psi, [0.0, 1.0], 10.0, method="filtered", filter=g.k[:5]), "filter must have shape"),
    (lambda g, psi: nlse.solve(0 * psi, [0.0, 1.0], 10.0), "must not be 0 everywhere"),
])
def test_refused(call, message):
    g = nlse.ring(64, 10.0)
    with pytest.raises(ValueError, match=message):
        call(g, nlse.soliton(g.x, amplitude=2.0))
