"""Crossings, the Slepian mean, independent intervals and exact simulation: closed forms and properties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import persistence
from scipy.optimize import brentq
from scipy.special import digamma

settings.register_profile("persistence", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("persistence")

plane = persistence.diffusion(2)
bell = lambda t: np.exp(-(t**2) / 2)
matern = lambda t: (1 + t) * np.exp(-t)
COVARIANCES = [plane, persistence.diffusion(1), persistence.diffusion(7), persistence.random_acceleration, bell, matern]


@given(st.floats(0.5, 12), st.floats(0, 30))
def test_diffusion_is_a_power_of_the_secant(d, t):
    assert persistence.diffusion(d)(t) == pytest.approx((1 / math.cosh(t / 2)) ** (d / 2), rel=1e-12)
    assert persistence.curvature(persistence.diffusion(d)) == pytest.approx(d / 8, rel=1e-9)


def test_curvature_of_other_processes():
    assert persistence.curvature(persistence.random_acceleration) == pytest.approx(0.75, rel=1e-10)
    assert persistence.curvature(bell) == pytest.approx(1, rel=1e-10)
    assert persistence.curvature(matern) == pytest.approx(1, rel=1e-10)
    assert persistence.curvature(lambda t: plane(3 * t)) == pytest.approx(9 / 4, rel=1e-9)


def test_mean_sign_in_closed_form():
    t = np.linspace(0, 40, 200)
    np.testing.assert_allclose(persistence.slepian_mean(plane, t), 1 / np.cosh(t / 2), atol=1e-12)
    t = np.linspace(0.05, 6, 50)
    np.testing.assert_allclose(persistence.slepian_mean(bell, t), t / np.sqrt(np.expm1(t**2)), atol=1e-12)


@pytest.mark.parametrize("r", COVARIANCES)
def test_mean_sign_starts_at_one_and_integrates_to_the_crossing_rate(r):
    """The slope of (2/pi) arcsin r is -2 rate E_0, so the integral of E_0 is 1 / (2 rate)."""
    t = np.linspace(0, 120, 120_001)
    E = persistence.slepian_mean(r, t)
    assert E[0] == 1 and (np.abs(E) <= 1 + 1e-9).all()
    rate = math.sqrt(persistence.curvature(r)) / math.pi
    assert np.trapezoid(E, t) == pytest.approx(1 / (2 * rate), rel=2e-5)


def test_exponent_against_digamma():
    for d in (2,):
        secant = lambda x: digamma((1.5 - x) / 2) - digamma((0.5 - x) / 2)
        want = brentq(lambda x: x * secant(x) - 1, 0.01, 0.45, xtol=1e-14)
        assert persistence.iia_exponent(persistence.diffusion(d)) == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("d, published", [(1, 0.1203), (2, 0.1862), (3, 0.2358)])
def test_exponent_against_published_values(d, published):
    assert persistence.iia_exponent(persistence.diffusion(d)) == pytest.approx(published, abs=6e-5)


@given(st.floats(0.5, 2.5), st.sampled_from(COVARIANCES))
def test_exponent_is_a_rate(a, r):
    assert persistence.iia_exponent(lambda t: r(a * t)) == pytest.approx(a * persistence.iia_exponent(r), rel=1e-6)


@pytest.mark.parametrize("r", COVARIANCES)
def test_density_is_one_and_has_the_mean_of_the_crossings(r):
    t, f = persistence.iia_density(r, 120, 6000)
    assert f.min() > -1e-6
    assert np.trapezoid(f, t) == pytest.approx(1, abs=2e-3)
    mean = math.pi / math.sqrt(persistence.curvature(r))
    assert np.trapezoid(t * f, t) == pytest.approx(mean, rel=0.01)


def test_tail_of_the_density_has_the_exponent():
    t, f = persistence.iia_density(plane, 40, 4000)
    slope = np.polyfit(t[2000:], np.log(f[2000:]), 1)[0]
    assert -slope == pytest.approx(persistence.iia_exponent(plane), rel=1e-3)


def test_density_is_of_second_order():
    ends = [np.interp(4.0, *persistence.iia_density(matern, 8, n)) for n in (200, 400, 800, 3200)]
    errors = np.abs(np.array(ends[:3]) - ends[3])
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.25)


def test_oscillation_makes_the_density_negative_and_takes_the_exponent():
    wild = lambda t: plane(t) * np.cos(1.5 * t)
    assert persistence.iia_density(wild, 20, 2000)[1].min() < -1e-3
    with pytest.raises(ValueError, match="r has no exponent within reach: .* below 0.8 of the rate 0.5"):
        persistence.iia_exponent(wild)


def oscillator(b):
    return lambda t: np.exp(-t) * (np.cos(b * t) + np.sin(b * t) / b)


def test_a_law_may_have_no_exponent_below_the_rate():
    """A damped oscillator: M decays as a wave, its density is positive and falls faster than M."""
    for b, rate in ((2.0, 1.134), (2.5, 1.457)):
        t, f = persistence.iia_density(oscillator(b), 12, 2400)
        assert persistence.slepian_mean(oscillator(b), t).min() < -0.1
        assert f.min() > 0 and np.trapezoid(f, t) == pytest.approx(1, abs=2e-5)
        late = (t > 6) & (t < 11)
        assert -np.polyfit(t[late], np.log(f[late]), 1)[0] == pytest.approx(rate, abs=0.01)
        with pytest.raises(ValueError, match="nearer to the rate none is resolved"):
            persistence.iia_exponent(oscillator(b))


@pytest.mark.parametrize("speed", [1e-7, 1e-3, 25.0, 50.0, 1e6])
def test_any_unit_of_time(speed):
    r = lambda t: plane(speed * t)
    assert persistence.curvature(r) / speed**2 == pytest.approx(0.25, rel=1e-10)
    assert persistence.slepian_mean(r, 2 / speed) == pytest.approx(1 / np.cosh(1), rel=1e-10)


# Simulation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("r", [plane, persistence.random_acceleration, bell])
def test_paths_have_the_covariance(r):
    x = persistence.gaussian_path(r, 256, 0.25, paths=6000, seed=1)
    assert x.shape == (6000, 256)
    for lag in (0, 1, 4, 12):
        products = x[:, 100] * x[:, 100 + lag]
        assert abs(products.mean() - r(0.25 * lag)) < 4.5 * products.std() / math.sqrt(6000)
    assert abs(np.corrcoef(x[::2, 100], x[1::2, 100])[0, 1]) < 4.5 / math.sqrt(3000)  # two paths of one transform


def test_an_odd_number_of_paths_and_a_seed():
    x = persistence.gaussian_path(plane, 800, 0.1, paths=3, seed=4)
    assert x.shape == (3, 800) and np.array_equal(x, persistence.gaussian_path(plane, 800, 0.1, paths=3, seed=4))


@given(st.integers(0, 10**6), st.integers(2, 40))
def test_survival_counts_windows(seed, n):
    path = np.random.default_rng(seed).standard_normal(n)
    steps = np.arange(n)
    want = [np.mean([len(set(path[i : i + k + 1] > 0)) == 1 for i in range(n - k)]) for k in steps]
    np.testing.assert_allclose(persistence.survival(path, steps), want, atol=1e-12)


def test_survival_at_one_step_is_an_arcsine():
    x = persistence.gaussian_path(plane, 4096, 0.5, paths=40, seed=2)
    got = np.array([persistence.survival(p, np.array([0, 1])) for p in x])
    assert (got[:, 0] == 1).all()
    want = 0.5 + math.asin(plane(0.5)) / math.pi
    assert abs(got[:, 1].mean() - want) < 4.5 * got[:, 1].std() / math.sqrt(40)


def test_intervals_of_a_cosine():
    t = 0.01 * np.arange(3000)
    np.testing.assert_allclose(persistence.intervals(np.cos(t), 0.01), math.pi, atol=1e-4)
    assert persistence.intervals(np.ones(5), 0.1).size == 0


# What bad input is told ---------------------------------------------------------------------------------


@pytest.mark.parametrize("call, message", [
    (lambda: persistence.diffusion(0), "dimensions must be a number > 0; got 0"),
    (lambda: persistence.curvature(lambda t: 2 * plane(t)), r"r must be a correlation, with r\(0\) = 1; got 2"),
    (lambda: persistence.slepian_mean(lambda t: np.exp(-t), [1.0]), r"r''\(0\) is infinite .*Ornstein-Uhlenbeck.* r'\(0\+\) = -1"),
    (lambda: persistence.curvature(lambda t: np.cosh(t)), r"r must have r''\(0\) < 0; got 1"),
    (lambda: persistence.slepian_mean(plane, [-1.0]), "t must be >= 0; got -1"),
    (lambda: persistence.slepian_mean(np.cos, [2 * np.pi]), "r must lie strictly between -1 and 1 at lags > 0; got 1 at t = 6.28319"),
    (lambda: persistence.iia_exponent(lambda t: 1 / (1 + t**2)), "r must decay exponentially: the mean sign is still .* at t = 4000"),
    (lambda: persistence.iia_density(plane, 0), "horizon must be > 0 and n a whole number >= 10; got 0"),
    (lambda: persistence.gaussian_path(plane, 1, 0.1), "n must be a whole number >= 2, dt > 0 and paths a whole number >= 1; got 1"),
    (lambda: persistence.gaussian_path(plane, 8.0, 0.1), "n must be a whole number >= 2, .*; got 8.0"),
    (lambda: persistence.gaussian_path(lambda t: np.where(t > 1, np.nan, plane(t)), 50, 0.1), "r must be finite; got nan at t = 1.1"),
    (lambda: persistence.survival([1.0, np.nan, 1.0], 1), "path must be free of NaN"),
    (lambda: persistence.intervals([1.0, np.nan, 1.0], 0.1), "path must be free of NaN"),
    (lambda: persistence.curvature(lambda t: plane(np.abs(t))), "r must be analytic around 0 and take complex lags"),
    (lambda: persistence.iia_density(plane, 9, 20.0), "n a whole number >= 10; got 9 and 20.0"),
    (lambda: persistence.gaussian_path(lambda t: 3 * plane(t), 10, 0.1), r"r must be a correlation, with r\(0\) = 1; got 3"),
    (lambda: persistence.gaussian_path(bell, 10, 0.1), "r and n must give a non-negative circulant embedding; got the eigenvalue -.* take more points"),
    (lambda: persistence.survival(np.ones((2, 2)), 1), r"path must have one axis and at least 2 points; got shape \(2, 2\)"),
    (lambda: persistence.survival(np.ones(4), 4), "steps must lie between 0 and 3; got 4"),
    (lambda: persistence.intervals([1.0], 0.1), r"path must have one axis and at least 2 points; got shape \(1,\)"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
