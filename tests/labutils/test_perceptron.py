"""The binary perceptron: enumeration, first moments, replica-symmetric states, capacity, Franz-Parisi."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import comb, log_ndtr, ndtr
from scipy.stats import norm

from labutils import perceptron as pc

# ---------------------------------------------------------------- enumeration


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(0, 6), st.integers(0, 10**6))
def test_version_space_is_what_trying_all_vectors_finds(N, P, seed):
    r = np.random.default_rng(seed)
    X, y = r.standard_normal((P, N)), r.choice([-1.0, 1.0], P)
    codes = pc.version_space(X, y)
    right = {w for w in itertools.product((1.0, -1.0), repeat=N) if all(s * np.dot(w, x) > 0 for x, s in zip(X, y, strict=True))}
    assert {tuple(w) for w in pc.weights(codes, N).tolist()} == right
    assert len(set(codes.tolist())) == len(codes)


def test_shells_count_distances():
    r = np.random.default_rng(1)
    codes, ref = np.unique(r.integers(0, 2**11, 300)), 777
    distance = np.sum(pc.weights(codes, 11) != pc.weights(ref, 11), axis=1)
    assert np.array_equal(pc.shell_counts(codes, 11, ref), np.bincount(distance, minlength=12))
    assert np.array_equal(pc.shell_counts(np.arange(2**11), 11), comb(11, np.arange(12)))
    assert np.array_equal(pc.shell_counts([], 3), np.zeros(4))


@pytest.mark.parametrize("inputs, labels, message", [
    (np.zeros(3), [1], "inputs must be finite numbers"),
    (np.full((1, 3), np.nan), [1], "inputs must be finite numbers"),
    (np.zeros((2, 3)), [1], "labels must have the shape"),
    (np.zeros((1, 3)), [0], "labels must be -1 or 1"),
    (np.zeros((1, 25)), [1], "1 to 24 columns"),
])
def test_bad_examples_are_named(inputs, labels, message):
    with pytest.raises(ValueError, match=message):
        pc.version_space(inputs, labels)


# ---------------------------------------------------------------- first moments


def test_mean_count_against_all_teachers():
    """Every teacher in turn, the same inputs: the mean over inputs is the formula within its error."""
    N, P, runs = 9, 4, 4000
    r = np.random.default_rng(3)
    counts = np.array([pc.shell_counts(pc.version_space(X, np.sign(X.sum(1))), N) for X in r.standard_normal((runs, P, N))])
    d = np.arange(N + 1)
    want = comb(N, d) * (1 - np.arccos(1 - 2 * d / N) / np.pi) ** P
    error = counts.std(0) / runs**0.5
    assert (np.abs(counts.mean(0) - want) <= 4.5 * error + 1e-12).all()


def test_annealed_entropy_at_known_points():
    assert pc.annealed_entropy(1.0, 2.0) == 0
    assert np.isclose(pc.annealed_entropy(0.0, 0.7), 0.3 * np.log(2))
    assert pc.annealed_entropy(-1.0, 0.5) == -math.inf and pc.annealed_entropy(-1.0, 0.0) == 0
    large = 4001
    exact = math.log(math.comb(large, 1200)) / large + 0.8 * np.log(1 - np.arccos(1 - 2 * 1200 / large) / np.pi)
    assert abs(exact - pc.annealed_entropy(1 - 2 * 1200 / large, 0.8)) < 2e-3


def test_first_moments_are_the_same_on_torch():
    torch = pytest.importorskip("torch")
    R = np.linspace(-1, 1, 41)
    for f in (pc.generalization_error, lambda r: pc.annealed_entropy(r, 0.9)):
        assert np.allclose(f(torch.tensor(R)).numpy(), f(R), atol=1e-14)


# ---------------------------------------------------------------- replica symmetry


def integral(f):
    return quad(lambda t: norm.pdf(t) * f(t), -10, 10, epsabs=1e-12, epsrel=1e-11, limit=400, points=[0])[0]


@pytest.mark.parametrize("field", [0.2, 1.0, 2.5, 4.0])
def test_states_against_another_quadrature(field):
    s = pc.teacher_student(field)
    assert np.isclose(s.overlap, integral(lambda z: np.tanh(field**0.5 * z + field) ** 2), atol=1e-9)
    assert np.isclose(s.overlap, integral(lambda z: np.tanh(field**0.5 * z + field)), atol=1e-9)       # Nishimori
    g = (s.overlap / (1 - s.overlap)) ** 0.5
    B = 2 * integral(lambda t: ndtr(g * t) * log_ndtr(g * t))
    site = integral(lambda z: np.logaddexp(field**0.5 * z + field, -(field**0.5) * z - field))
    assert np.isclose(s.entropy, -field * (1 + s.overlap) / 2 + site + s.alpha * B, atol=1e-8)


@pytest.mark.parametrize("solve", [pc.teacher_student, pc.storage])
def test_states_are_stationary_and_start_from_all_vectors(solve):
    early = solve(1e-4)
    assert early.alpha < 1e-3 and abs(early.entropy - np.log(2)) < 1e-3
    for f in (0.3, 1.2, 2.4):
        a, b = solve(f * (1 - 1e-5)), solve(f * (1 + 1e-5))
        slope = (b.entropy - a.entropy) / (b.alpha - a.alpha)
        R = solve(f).overlap
        g = (R / (1 - R)) ** 0.5
        want = pc.potential_terms(R)[1][0] if solve is pc.teacher_student else integral(lambda t, g=g: log_ndtr(g * t))
        assert np.isclose(slope, want, atol=2e-5)


def test_potential_is_highest_at_the_state():
    R = np.linspace(0.005, 0.9, 400)
    A, B = pc.potential_terms(R)
    for alpha in (0.4, 0.9, 1.2):
        state = pc.state_at(alpha)
        assert abs(R[np.argmax(A + alpha * B)] - state.overlap) < 0.005
        assert 0 <= state.entropy - np.max(A + alpha * B) < 1e-5
    assert [float(x[0]) for x in pc.potential_terms(1.0)] == [0.0, 0.0]
    near = pc.potential_terms([0.99999])
    assert abs(near[0][0]) < 1e-3 and abs(near[1][0]) < 1e-2


def test_the_classical_numbers():
    edge, last, full = pc.transition(), pc.spinodal(), pc.storage_capacity()
    assert abs(edge.alpha - 1.245) < 5e-4 and abs(edge.entropy) < 1e-12        # Gyorgyi; Sompolinsky et al.
    assert abs(last.alpha - 1.493) < 5e-4
    assert abs(full.alpha - 0.8331) < 1e-4 and abs(full.entropy) < 1e-12       # Krauth and Mezard
    assert pc.teacher_student(last.field * 1.05).alpha < last.alpha > pc.teacher_student(last.field * 0.95).alpha


def test_the_ends_of_what_is_allowed():
    A, B = pc.potential_terms([1e-10, 1 - 1e-5, 1 - 1e-6])
    assert abs(A[0] - np.log(2)) < 1e-6 and abs(B[0] + np.log(2)) < 1e-6         # nothing known: log 2 of each
    assert 0 < A[2] < A[1] < 1e-3 and 0 > B[2] > B[1] > -0.01
    low = pc.state_at(1e-8)
    assert abs(low.alpha - 1e-8) < 1e-12 and abs(low.entropy - np.log(2)) < 1e-6


def test_franz_parisi_meets_the_state_and_stays_below_the_mean():
    for alpha in (0.3, 0.8, 1.1):
        state = pc.state_at(alpha)
        s, q = pc.franz_parisi(state.overlap, alpha)
        assert abs(s - state.entropy) < 1e-8 and abs(q - state.overlap) < 1e-6
        h = 1e-4
        assert abs(pc.franz_parisi(state.overlap + h, alpha)[0] - pc.franz_parisi(state.overlap - h, alpha)[0]) < 1e-6
        for R in (0.2, 0.5, 0.8, 0.95):
            assert pc.franz_parisi(R, alpha)[0] <= pc.annealed_entropy(R, alpha) + 1e-9
    free = pc.franz_parisi(0.4, 1e-6)
    assert abs(free[0] - pc.annealed_entropy(0.4, 0.0)) < 1e-5 and abs(free[1] - 0.16) < 1e-5


def test_franz_parisi_is_stationary_in_the_overlap_of_copies():
    """The field times (1-q)/2 and the cost of an example, differentiated independently."""
    q, R, h = 0.55, 0.45, 1e-5
    slope = (pc._log_agreement(q + h, R) - pc._log_agreement(q - h, R)) / (2 * h)
    assert np.isclose(pc._information(q, R), -2 * slope, rtol=1e-6)


@pytest.mark.parametrize("call, message", [
    (lambda: pc.generalization_error(1.1), r"R must lie in \[-1, 1\]; got 1.1"),
    (lambda: pc.annealed_entropy(0.1, -1.0), "alpha must be a finite number >= 0; got -1.0"),
    (lambda: pc.teacher_student(0), "field must be a finite number > 0; got 0"),
    (lambda: pc.teacher_student(60.0), "field must leave 1 - overlap above 1e-9; got 60.0"),
    (lambda: pc.storage(-1.0), "field must be a finite number > 0"),
    (lambda: pc.state_at(1.6), "alpha must be below 1.4926"),
    (lambda: pc.state_at(0.0), "alpha must be a finite number > 0"),
    (lambda: pc.potential_terms([0.5, 0.0]), r"R must lie in \[1e-10, 1\]; got 0.0"),
    (lambda: pc.state_at(1e-9), "alpha must be at least 1e-8"),
    (lambda: pc.shell_counts([255], 3), r"codes must be whole numbers in \[0, 8\); got \[255\]"),
    (lambda: pc.shell_counts([1.5], 3), "codes must be whole numbers"),
    (lambda: pc.shell_counts([1], 3, reference=8), "reference must be whole numbers"),
    (lambda: pc.franz_parisi(1.0, 0.5), "R must lie between -1 and 1"),
    (lambda: pc.franz_parisi(0.5, 0.0), "alpha must be a finite number > 0"),
    (lambda: pc.franz_parisi(0.996, 1.4), "R and alpha must leave solutions that differ"),
])
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
