"""Knots land where a function bends, tolerances are met, and what a midpoint test cannot see is shown."""

import math

import numpy as np
import pytest
from labutils import knots
from scipy.integrate import quad
from scipy.interpolate import CubicSpline


def sech(x):
    return 2 / np.cosh(2 * x)


def bump(x, place=0.37, width=0.004):
    return 1e-3 + np.exp(-(((x - place) / width) ** 2) / 2)


@pytest.mark.parametrize("f, low, high", [(np.exp, -5.0, 5.0), (lambda u: 1 / (u * (1 + u) ** 2), 0.01, 10.0), (lambda x: 2 + np.sin(3 * x), 0.0, 6.0)])
@pytest.mark.parametrize("tol", [1e-4, 1e-6, 1e-8])
def test_smooth_functions_are_met(f, low, high, tol):
    k = knots.choose(f, low, high, tol)
    assert knots.worst(k, f)[1] < 3 * tol
    assert k.evaluations == len(k.x) == len(k.y) and np.all(np.diff(k.x) > 0)
    assert np.array_equal(k.y, f(k.x))
    widths = (high - low) / 5 / np.diff(k.x)
    assert np.allclose(np.log2(widths), np.round(np.log2(widths)), atol=1e-9)  # bisections of the first five bins


def test_each_evaluation_is_made_once():
    asked = []

    def f(x):
        asked.extend(x.tolist())
        return np.exp(x)

    k = knots.choose(f, 0.0, 3.0, 1e-7)
    assert sorted(asked) == k.x.tolist()


def test_bins_that_pass_are_not_halved_again():
    k = knots.choose(lambda u: 1 / (u * (1 + u) ** 2), 0.01, 10.0, 1e-6)
    assert np.diff(k.x).max() > 1000 * np.diff(k.x).min()


def test_a_cubic_is_done_at_once():
    k = knots.choose(lambda x: x**3 - 2 * x + 5, -1.0, 2.0, 1e-10)
    assert (k.evaluations, k.rounds) == (11, 1)


def test_a_narrow_bump_is_missed_until_someone_looks():
    for tol in (1e-4, 1e-6, 1e-8):
        k = knots.choose(bump, 0.0, 1.0, tol)
        assert k.evaluations == 11 and knots.worst(k, bump)[1] > 0.9
    assert knots.worst(knots.choose(bump, 0.0, 1.0, 1e-6, refine=1), bump)[0] < 1e-6
    assert knots.worst(knots.choose(bump, 0.0, 1.0, 1e-6, start=20), bump)[0] < 1e-6


def test_a_wave_between_the_points_asked_is_not_seen():
    def f(x):
        return 1 + np.sin(10 * np.pi * x) ** 2

    k = knots.choose(f, 0.0, 1.0, 1e-6)
    assert k.evaluations == 11 and knots.worst(k, f)[0] > 0.9


def test_both_tests_ask_the_same_question():
    """Simpson's rule is exact for cubics, so the second difference is 2/3 of the first times the width."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 5, 12))
    spline, f = CubicSpline(x, np.cos(3 * x)), lambda t: np.cos(3 * t)
    low, high = x[:-1], x[1:]
    middle = (low + high) / 2
    simpson = (high - low) * (f(low) + 4 * f(middle) + f(high)) / 6
    integral = np.array([spline.integrate(a, b) for a, b in zip(low, high, strict=True)])
    assert np.allclose(integral - simpson, 2 / 3 * (high - low) * (spline(middle) - f(middle)), atol=1e-14)


def test_the_bound_holds_and_a_fifth_of_it_is_usual():
    fourth = abs(16 * sech(np.linspace(-10, 10, 20001))).max() * 5  # max |f''''| of 2 sech 2x is 160
    dense = np.linspace(-10, 10, 200001)
    for n in (100, 200, 800):
        t = np.linspace(-10, 10, n + 1)
        error = np.max(abs(CubicSpline(t, sech(t))(dense) - sech(dense)))
        assert error < knots.bound(20 / n, fourth)
    assert error / knots.bound(20 / n, fourth) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("rate, length", [(1.0, 10.0), (4.0, 3.0)])
def test_saving_of_an_exponential_in_closed_form(rate, length):
    x = np.linspace(0, length, 20001)
    found, h, rho = knots.saving(x, rate**4 * np.exp(rate * x))
    q = rate * length / 4
    assert found == pytest.approx(q / (1 - math.exp(-q)), rel=1e-6)
    assert found == pytest.approx(length * math.exp(-h)) and np.trapezoid(rho, x) == pytest.approx(1)
    # knots of that density give the error of `saving` times as many equal bins
    cells = 400
    place = np.concatenate([[0], np.cumsum((rho[1:] + rho[:-1]) / 2 * np.diff(x))])
    t = np.interp(np.linspace(0, place[-1], cells + 1), place, x)
    equal = np.linspace(0, length, round(cells * found) + 1)
    truth = np.exp(rate * x)
    errors = [np.max(abs(CubicSpline(k, np.exp(rate * k))(x) - truth)[2000:-2000]) for k in (t, equal)]
    inner = (np.exp(rate * x[-2000]) / np.exp(rate * length))
    assert errors[0] * inner == pytest.approx(errors[1], rel=0.1)


def test_constant_bending_saves_nothing():
    assert knots.saving(np.linspace(0, 1, 11), np.ones(11))[0] == pytest.approx(1)


def test_surface_density_is_the_integral():
    for x in (0.05, 0.5, 0.99999, 1.0, 1.0003, 4.0, 30.0):
        truth = quad(lambda z, x=x: 1 / (math.hypot(x, z) * (1 + math.hypot(x, z)) ** 2), -math.inf, math.inf, epsabs=1e-13)[0]
        assert float(knots.surface_density(x)) == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("call, message", [
    (lambda: knots.choose(np.exp, 1.0, 1.0, 1e-3), "low must lie below high"),
    (lambda: knots.choose(np.exp, 0.0, math.inf, 1e-3), "high must be finite"),
    (lambda: knots.choose(np.exp, 0.0, 1.0, 1.0), "tol must lie strictly between"),
    (lambda: knots.choose(np.exp, 0.0, 1.0, 1e-3, scale=-1.0), "scale must be finite and >= 0"),
    (lambda: knots.choose(np.exp, 0.0, 1.0, 1e-3, start=3), "start must be a whole number >= 4"),
    (lambda: knots.choose(lambda x: 1.0, 0.0, 1.0, 1e-3), r"f must return one number a place"),
    (lambda: knots.choose(lambda x: np.where(x > 0, x, np.nan), 0.0, 1.0, 1e-3), "f must be finite.*nan at 0"),
    (lambda: knots.bound(0.0, 1.0), "width must be"),
    (lambda: knots.bound(1.0, -1.0), "fourth must be finite and >= 0"),
    (lambda: knots.saving([0, 1, 2], [0, 0, 0]), "must not be 0 everywhere"),
    (lambda: knots.saving([0, 1, 2], [1, 1]), "two rows of one length"),
    (lambda: knots.saving([0, 2, 1], [1, 1, 1]), "must increase"),
    (lambda: knots.surface_density(0.0), "x must be finite and > 0"),
])
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_jump_is_named():
    with pytest.raises(RuntimeError, match="halved any more|do not suffice"):
        knots.choose(lambda x: np.where(x < 0.3, 1.0, 2.0), 0.0, 1.0, 1e-6)
    with pytest.raises(RuntimeError, match="most = 50 evaluations"):
        knots.choose(np.exp, -5.0, 5.0, 1e-9, most=50)
