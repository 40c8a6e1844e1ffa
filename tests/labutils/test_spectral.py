"""Spectral entropy: closed forms, bounds, the bias of samples, extremes of volume, anchors, every message."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import info, spectral
from scipy.linalg import logm
from scipy.optimize import minimize


def rng(seed=0):
    return np.random.default_rng(seed)


def turn(d, seed=0):
    return np.linalg.qr(rng(seed).normal(size=(d, d)))[0]


spectra = st.lists(st.floats(1e-3, 10), min_size=2, max_size=8).map(np.array)


class TestEntropy:
    def test_flat_and_single(self):
        assert spectral.effective_rank(np.ones(7)) == pytest.approx(7, abs=1e-12)
        assert spectral.effective_rank([3.0, 0, 0]) == pytest.approx(1, abs=1e-15)

    def test_power_law_of_64(self):
        assert spectral.effective_rank(spectral.power_law(64, 1)) == pytest.approx(29.118, abs=1e-3)

    def test_is_von_neumanns(self):
        a = rng(1).normal(size=(6, 4))
        rho = a.T @ a / np.trace(a.T @ a)
        assert spectral.spectral_entropy(np.linalg.eigvalsh(rho)) == pytest.approx(-np.trace(rho @ logm(rho)).real, abs=1e-12)

    @given(spectra, st.floats(1e-200, 1e200))
    @settings(max_examples=40, deadline=None)
    def test_scale_and_order_of_the_bounds(self, lam, c):
        ranks = [float(spectral.effective_rank(lam, order)) for order in (np.inf, 2, 1, 0)]
        assert 1 - 1e-12 <= ranks[0] and (np.diff(ranks) >= -1e-9).all() and ranks[-1] == pytest.approx(len(lam))
        assert spectral.effective_rank(c * lam) == pytest.approx(ranks[2], rel=1e-9)

    def test_participation_ratio_is_order_2(self):
        lam = np.array([4.0, 2, 1])
        assert spectral.effective_rank(lam, 2) == pytest.approx(49 / 21)

    def test_batches_and_torch(self):
        lam = rng(2).random((3, 5))
        got = spectral.effective_rank(torch.tensor(lam))
        assert np.allclose(got.numpy(), [spectral.effective_rank(row) for row in lam])


class TestFeatures:
    def test_spectrum_is_that_of_the_covariance(self):
        x = rng(3).normal(size=(30, 4))
        assert np.allclose(spectral.covariance_spectrum(x), np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1])
        assert np.allclose(spectral.covariance_spectrum(x, centre=False), np.linalg.eigvalsh(x.T @ x / 30)[::-1])

    def test_rankme_does_not_feel_turns_shifts_and_scale(self):
        x = rng(4).normal(size=(50, 5)) * [3, 2, 1, 1, 0.1]
        moved = 7 * x @ turn(5) + 100
        for of in ("eigenvalues", "singular values"):
            assert spectral.rankme(moved, of) == pytest.approx(spectral.rankme(x, of), rel=1e-9)
        assert spectral.rankme(x * [1, 1, 1, 1, 10]) > spectral.rankme(x) + 0.1

    @given(st.integers(0, 1000))
    @settings(max_examples=20, deadline=None)
    def test_singular_values_never_give_less(self, seed):
        x = rng(seed).normal(size=(20, 6)) * rng(seed + 1).random(6)
        assert spectral.rankme(x, "singular values") >= spectral.rankme(x) - 1e-12

    def test_exponent(self):
        for alpha in (0.3, 1, 2.5):
            assert spectral.decay_exponent(3 * spectral.power_law(40, alpha)) == pytest.approx(alpha, abs=1e-12)
        kink = np.r_[np.ones(5), spectral.power_law(50, 2)[5:] * 36]
        assert spectral.decay_exponent(kink, first=6) == pytest.approx(2, abs=1e-12)


class TestSample:
    @pytest.mark.parametrize("d, n", [(3, 10), (10, 10), (10, 4)])
    def test_page(self, d, n):
        x = rng(d * n).normal(size=(4000, n, d)) + 1j * rng(d * n + 1).normal(size=(4000, n, d))
        lam = np.linalg.svd(x, compute_uv=False) ** 2
        H = info.entropy(lam / lam.sum(-1, keepdims=True))
        assert H.mean() == pytest.approx(spectral.page_entropy(d, n), abs=5 * H.std() / math.sqrt(4000))

    def test_page_is_symmetric_and_tends_to_its_limit(self):
        assert spectral.page_entropy(5, 9) == spectral.page_entropy(9, 5)
        assert spectral.page_entropy(200, 1000) == pytest.approx(math.log(200) - 0.1, abs=1e-5)
        assert spectral.page_entropy(1, 4) == pytest.approx(0, abs=1e-12)

    def test_correction_of_the_participation_ratio(self):
        C = spectral.power_law(40, 0.5)
        raw, corrected = np.array([[spectral.participation_ratio(x, c) for c in (False, True)]
                                   for x in rng(5).normal(size=(200, 30, 40)) * np.sqrt(C)]).T
        truth = C.sum() ** 2 / (C**2).sum()
        assert truth - raw.mean() > 8 and abs(corrected.mean() - truth) < 2   # a ratio of two unbiased numbers

    def test_correction_solves_the_two_means(self):
        x = rng(17).normal(size=(12, 3)) * [2, 1, 1]
        S, f = np.cov(x.T), 11
        square = (np.trace(S @ S) - np.trace(S) ** 2 / f) / (1 + 1 / f - 2 / f**2)
        trace = np.trace(S) ** 2 - 2 * square / f
        assert spectral.participation_ratio(x, True) == pytest.approx(trace / square)
        assert spectral.participation_ratio(x) == pytest.approx(np.trace(S) ** 2 / np.trace(S @ S))

    def test_moments_behind_the_correction(self):
        C, f = np.array([3.0, 1, 0.5]), 7
        S = np.array([np.cov(x.T) for x in rng(6).normal(size=(20000, f + 1, 3)) * np.sqrt(C)])
        second, first = (S**2).sum((1, 2)), np.trace(S, axis1=1, axis2=2) ** 2
        for got, want in ((second, (1 + 1 / f) * (C**2).sum() + C.sum() ** 2 / f), (first, C.sum() ** 2 + 2 * (C**2).sum() / f)):
            assert got.mean() == pytest.approx(want, abs=5 * got.std() / math.sqrt(20000))


class TestVolume:
    def test_is_the_determinant(self):
        W = rng(7).normal(size=(5, 5))
        s = np.linalg.svd(W, compute_uv=False)
        assert spectral.log_volume(s) == pytest.approx(np.linalg.slogdet(W)[1])
        assert spectral.condition_number(s) == pytest.approx(np.linalg.cond(W))

    @given(spectra)
    @settings(max_examples=30, deadline=None)
    def test_two_divergences(self, s):
        d, p = len(s), spectral.shares(s**2)
        u = np.full(d, 1 / d)
        gap = spectral.volume_bound(d, float(np.linalg.norm(s))) - spectral.log_volume(s)
        assert gap == pytest.approx(d / 2 * info.kl(u, p), abs=1e-9)
        assert math.log(d) - spectral.spectral_entropy(s**2) == pytest.approx(info.kl(p, u), abs=1e-9)

    @pytest.mark.parametrize("d, cond", [(2, 3.0), (3, 10.0), (8, 3.0), (8, 10.0), (8, 1.2), (20, 100.0)])
    def test_range(self, d, cond):
        v = spectral.volume_range(d, cond)
        for s, value in ((v.lowest, v.low), (v.highest, v.high)):
            assert np.linalg.norm(s) == pytest.approx(math.sqrt(d)) and spectral.condition_number(s) == pytest.approx(cond)
            assert spectral.log_volume(s) == pytest.approx(value)
        assert v.high == pytest.approx(-math.log((1 + cond**2) / (2 * cond)))
        inner = np.exp(rng(8).beta(0.3, 0.3, size=(4000, d)) * math.log(cond))
        inner[:, 0], inner[:, 1] = 1, cond
        inner *= math.sqrt(d) / np.linalg.norm(inner, axis=1, keepdims=True)
        values = spectral.log_volume(inner)
        assert values.min() >= v.low - 1e-9 and values.max() <= v.high + 1e-9

    def test_range_against_an_optimiser(self):
        f = lambda t: -spectral.log_volume(np.r_[1, 10, np.exp(t)] * math.sqrt(5) / np.linalg.norm(np.r_[1, 10, np.exp(t)]))
        best = minimize(f, np.full(3, 1.0), bounds=[(0, math.log(10))] * 3)
        assert -best.fun == pytest.approx(spectral.volume_range(5, 10.0).high, abs=1e-7)

    def test_range_closes_at_1_and_scales(self):
        v = spectral.volume_range(4, 1.0)
        assert v.low == pytest.approx(0, abs=1e-12) and v.high == pytest.approx(0, abs=1e-12)
        assert spectral.volume_range(4, 5.0, 20.0).low == pytest.approx(spectral.volume_range(4, 5.0).low + 4 * math.log(10))


class TestFeatureCount:
    def test_disjoint_equal_features(self):
        z = np.kron(np.eye(6), np.ones((3, 1)))
        assert spectral.feature_count(np.c_[z, np.zeros((18, 4))]) == pytest.approx(6)

    def test_shares_are_of_plain_activity(self):
        z = np.array([[9.0, -1], [0, 0]])
        assert spectral.feature_count(z) == pytest.approx(math.exp(-0.9 * math.log(0.9) - 0.1 * math.log(0.1)))

    def test_permutation_scale_and_one(self):
        z = rng(9).random((40, 7))
        assert spectral.feature_count(5 * z[:, ::-1]) == pytest.approx(spectral.feature_count(z))
        assert spectral.feature_count(z * np.eye(7)[2]) == pytest.approx(1)

    def test_interference(self):
        W = rng(10).normal(size=(2, 3, 5))
        gram = np.swapaxes(W, 1, 2) @ W
        want = [sum(g[i, j] ** 2 for i in range(5) for j in range(5) if i != j) for g in gram]
        assert np.allclose(spectral.interference(W), want)
        assert spectral.interference(np.eye(4)) == pytest.approx(0)


class TestRelative:
    def test_invariance(self):
        x, a = rng(11).normal(size=(20, 6)), rng(12).normal(size=(9, 6))
        Q = turn(6, 13)
        r = spectral.relative(x, a)
        assert np.allclose(spectral.relative(3.1 * x @ Q, 3.1 * a @ Q), r, atol=1e-14)
        assert abs(spectral.relative(x + 2, a + 2) - r).max() > 0.1
        assert abs(spectral.relative(x * [5, 1, 1, 1, 1, 1], a * [5, 1, 1, 1, 1, 1]) - r).max() > 0.1

    def test_directions_come_back_from_spanning_anchors(self):
        x, a = rng(14).normal(size=(20, 6)), rng(15).normal(size=(9, 6))
        unit = a / np.linalg.norm(a, axis=1, keepdims=True)
        back = spectral.relative(x, a) @ np.linalg.pinv(unit).T
        assert np.allclose(back, x / np.linalg.norm(x, axis=1, keepdims=True))

    def test_torch(self):
        x = rng(16).normal(size=(4, 3))
        assert np.allclose(spectral.relative(torch.tensor(x), torch.tensor(x)).numpy(), spectral.relative(x, x))


BAD = [
    (lambda: spectral.shares([1.0, -1.0]), "spectrum must be >= 0 everywhere; got -1 at 1"),
    (lambda: spectral.shares([0.0, 0.0]), "spectrum must have a number > 0; all are 0"),
    (lambda: spectral.shares([1.0, np.inf]), "spectrum must be finite; got inf"),
    (lambda: spectral.shares([1.0, np.nan]), "spectrum must be >= 0 everywhere; got nan at 1"),
    (lambda: spectral.shares([]), "spectrum must not be empty"),
    (lambda: spectral.covariance_spectrum(np.ones(3)), "x must have at least two axes, cases and columns; got shape (3,)"),
    (lambda: spectral.covariance_spectrum([[1.0, np.nan]]), "x must be finite; got nan"),
    (lambda: spectral.rankme(np.eye(3), "traces"), "of must be 'eigenvalues' or 'singular values'; got 'traces'"),
    (lambda: spectral.power_law(0, 1), "d must be a whole number >= 1; got 0"),
    (lambda: spectral.power_law(3, -1), "alpha must be a finite number >= 0; got -1"),
    (lambda: spectral.decay_exponent([1.0, 2.0, 3.0]), "spectrum must be numbers > 0, largest first"),
    (lambda: spectral.decay_exponent([3.0, 2.0]), "first and last must enclose three of the 2 numbers; got 1 and 2"),
    (lambda: spectral.page_entropy(2.5, 3), "d must be a whole number >= 1; got 2.5"),
    (lambda: spectral.participation_ratio(np.ones((2, 2))), "x must be [n, d] with n >= 3 cases; got shape (2, 2)"),
    (lambda: spectral.participation_ratio(np.ones((4, 2))), "x must vary; all cases are equal"),
    (lambda: spectral.log_volume([1.0, 0.0]), "sigma must be finite and > 0; got 0"),
    (lambda: spectral.condition_number([1.0, -2.0]), "sigma must be finite and > 0; got -2"),
    (lambda: spectral.volume_bound(3, 0), "frobenius must be a number > 0; got 0"),
    (lambda: spectral.volume_range(1, 2), "d must be a whole number >= 2; got 1"),
    (lambda: spectral.volume_range(3, 0.5), "cond must be a finite number >= 1; got 0.5"),
    (lambda: spectral.feature_count(np.zeros((3, 2))), "spectrum must have a number > 0; all are 0"),
    (lambda: spectral.interference([1.0]), "W must have at least two axes"),
    (lambda: spectral.relative(np.eye(3), np.eye(2)), "x and anchors must have as many columns; got 3 and 2"),
    (lambda: spectral.relative(np.zeros((1, 2)), np.eye(2)), "x must have no row of zeros: it has no direction"),
]


@pytest.mark.parametrize("call, message", BAD, ids=[m[:40] for _, m in BAD])
def test_messages(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
