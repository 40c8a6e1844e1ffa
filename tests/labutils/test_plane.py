"""Estimates of the information in a layer: exact cases, other implementations, every message."""

import re

import numpy as np
import pytest
from labutils import plane
from scipy.integrate import quad
from scipy.stats import norm, special_ortho_group

RNG = np.random.default_rng(3)
BITS = np.log(2)


class TestUnit:
    def test_thirty_bins_of_a_tanh_unit(self):
        """The hump: most bits near w = 0.87, one bit for a unit that only says the sign."""
        edges = np.linspace(-1, 1, 31)
        w = np.geomspace(0.1, 1000, 2001)
        H = plane.unit_information(w, edges) / BITS
        assert abs(H.max() - 4.8998) < 1e-3 and abs(w[H.argmax()] - 0.87) < 0.01
        assert abs(plane.unit_information(0.886, edges) / BITS - 4.8994) < 1e-3
        assert abs(H[-1] - 1.02) < 1e-3

    def test_relu_units(self):
        edges = lambda w: np.append(np.arange(-1, 8 * w / 0.07 + 2) * 0.07, np.inf)
        assert abs(plane.unit_information(0.1, edges(0.1), "relu") / BITS - 1.094) < 1e-3
        assert abs(plane.unit_information(30.0, edges(30.0), "relu") / BITS - 5.886) < 2e-3
        scaled = [plane.unit_information(w, np.append(np.arange(30) / 30 * 3.5 * w, np.inf) - 1e-12, "relu") for w in (0.1, 1.0, 100.0)]
        assert np.ptp(scaled) < 1e-9

    def test_against_samples(self):
        x, edges = RNG.normal(size=400_000), np.linspace(-1, 1, 13)
        share = np.histogram(np.tanh(1.7 * x), edges)[0] / len(x)
        assert abs(plane.unit_information(1.7, edges) + (share * np.log(share)).sum()) < 2e-3

    def test_noisy_unit_against_quadrature(self):
        w, sigma = 3.0, 0.2
        x = w * norm.ppf((np.arange(2000) + 0.5) / 2000)
        f = lambda t: np.exp(-((t - np.tanh(x)) ** 2) / (2 * sigma**2)).mean() / (sigma * np.sqrt(2 * np.pi))
        h = quad(lambda t: -f(t) * np.log(f(t)), -2.2, 2.2, limit=400)[0]
        assert abs(plane.noisy_unit_information(w, sigma) - (h - 0.5 * np.log(2 * np.pi * np.e * sigma**2))) < 1e-3

    @pytest.mark.parametrize("w, sigma", [(0.3, 0.01), (0.6, 0.001), (1.0, 0.003)])
    def test_small_noise_leaves_the_entropy_of_the_unit(self, w, sigma):
        """h(T) - h(sigma N), where h(T) = h(X) + E log dT/dX; more than log 4000 where sigma is small."""
        slope = quad(lambda x: norm.pdf(x) * (np.log(w) - 2 * np.logaddexp(w * x, -w * x) + 2 * np.log(2)), -12, 12)[0]
        want = 0.5 * np.log(2 * np.pi * np.e) + slope - 0.5 * np.log(2 * np.pi * np.e * sigma**2)
        got = plane.noisy_unit_information(w, sigma)
        assert -1e-4 < got - want < (0.02 if w == 1 else 2e-3)  # at w = 1 the density climbs steeply near the ends

    @pytest.mark.parametrize("w", [1.0, 30.0])
    def test_noisy_relu_against_quadrature(self, w):
        sigma = 0.5
        def f(t):  # half an atom at 0, half a half-normal, each with noise
            s = np.hypot(w, sigma)
            return 0.5 * norm.pdf(t, scale=sigma) + norm.pdf(t, scale=s) * norm.cdf(t * w / (sigma * s))
        points = [-4.0, -1.0, 0.0, 1.0, 4.0, 3 * w]
        h = sum(quad(lambda t: -f(t) * np.log(f(t)), a, b, limit=300)[0] for a, b in zip(points, [*points[1:], 9 * w]))
        assert abs(plane.noisy_unit_information(w, sigma, "relu") - (h - 0.5 * np.log(2 * np.pi * np.e * sigma**2))) < 1e-4

    def test_only_the_ratio_of_weight_and_noise_counts_for_relu(self):
        a, b = plane.noisy_unit_information(1.0, 0.01, "relu"), plane.noisy_unit_information(100.0, 1.0, "relu")
        assert abs(a - b) < 1e-9

    def test_noise_gives_the_hump_too(self):
        values = [plane.noisy_unit_information(w, 0.05) / BITS for w in (0.1, 1.0, 3.0, 100.0)]
        assert np.allclose(values, [1.149, 3.332, 2.671, 1.108], atol=2e-3)

    def test_small_w_is_a_gaussian_channel(self):
        assert abs(plane.noisy_unit_information(0.01, 0.05) - 0.5 * np.log1p(0.04)) < 1e-4


class TestBins:
    def test_rules(self):
        t = np.array([[0.0], [0.05], [0.5], [1.0]])
        assert len(set(plane.cells(t, "fixed", width=0.1))) == 3
        assert len(set(plane.cells(t, "scaled", bins=2))) == 2
        assert len(set(plane.cells(t, "quantile", bins=2))) == 2

    def test_scaled_ignores_scale_and_quantile_ignores_any_monotone_map(self):
        t = RNG.normal(size=(300, 3))
        assert (plane.cells(t, "scaled") == plane.cells(7 * t, "scaled")).all()
        assert (plane.cells(t, "quantile") == plane.cells(np.tanh(t), "quantile")).all()

    def test_ties_stay_together(self):
        t = np.maximum(RNG.normal(size=(200, 1)), 0)
        cell = plane.cells(t, "quantile", bins=10)
        assert len(set(cell[t[:, 0] == 0])) == 1

    def test_information_is_the_entropy_of_the_cells(self):
        t, y = np.repeat(np.arange(4.0), 5)[:, None], np.repeat([0, 0, 1, 1], 5)
        a, b = plane.binned_information(t, y, "fixed", width=0.5)
        assert np.isclose(a, np.log(4)) and np.isclose(b, np.log(2))


class TestNoise:
    def test_bounds_enclose_the_truth_and_log_n(self):
        t = RNG.normal(size=(300, 2))
        for sigma in (0.05, 0.3, 2.0):
            low, high = plane.kernel_bounds(t, sigma)
            truth = plane.noisy_information(t, sigma, np.random.default_rng(0), 20)
            error = 3 * truth.std() / np.sqrt(20)
            assert 0 <= low <= truth.mean() + error and truth.mean() - error <= high <= np.log(300) + 1e-12

    def test_an_offset_changes_nothing(self):
        t = np.round(RNG.normal(size=(60, 2)) * 1024) / 1024  # so that t + 2^27, about 1.3e8, is exact
        for sigma in (0.01, 0.3):
            assert np.allclose(plane.kernel_bounds(t + 2**27, sigma), plane.kernel_bounds(t, sigma), atol=1e-12)
            far, near = (plane.noisy_information(x, sigma, np.random.default_rng(0), 3) for x in (t + 2**27, t))
            assert np.allclose(far, near, atol=1e-6)

    def test_one_point_far_away_spoils_no_other(self):
        t = np.r_[np.arange(50.0)[:, None] / 100, [[1e9]]]
        low, high = plane.kernel_bounds(t[:50], 0.1)
        far = plane.kernel_bounds(t, 0.1)
        assert np.allclose(far, [(50 * v + 50 * np.log(51 / 50) + np.log(51)) / 51 for v in (low, high)], atol=1e-12)

    def test_far_apart_points_hold_log_n(self):
        assert np.allclose(plane.kernel_bounds(np.arange(50.0)[:, None] * 100, 0.1), np.log(50))

    def test_one_gaussian(self):
        t = RNG.normal(size=(2000, 1))
        got = plane.noisy_information(t, 1.0, np.random.default_rng(1), 10).mean()
        assert abs(got - 0.5 * np.log(2)) < 0.03


class TestNeighbours:
    @pytest.mark.parametrize("d", [1, 3])
    def test_entropy_of_a_gaussian(self, d):
        values = [plane.knn_entropy(np.random.default_rng(s).normal(size=(2000, d))) for s in range(6)]
        assert abs(np.mean(values) - 0.5 * d * np.log(2 * np.pi * np.e)) < 0.05

    def test_entropy_by_its_formula(self):
        x = RNG.random((60, 2))
        distance = np.sort(np.linalg.norm(x[:, None] - x, axis=-1), axis=1)[:, 3]
        from scipy.special import digamma
        want = digamma(60) - digamma(3) + np.log(np.pi) + 2 * np.log(distance).mean()
        assert np.isclose(plane.knn_entropy(x, 3), want)

    def test_information_by_counting(self):
        x, y = RNG.random((80, 2)), RNG.random((80, 1))
        far = lambda a: np.abs(a[:, None] - a).max(-1)
        radius = np.sort(np.maximum(far(x), far(y)), axis=1)[:, 4]
        from scipy.special import digamma
        counts = [(far(a) < radius[:, None]).sum(1) for a in (x, y)]  # counts the point itself: n + 1
        want = digamma(4) + digamma(80) - sum(digamma(c).mean() for c in counts)
        assert np.isclose(plane.knn_information(x, y, 4), want)

    def test_lossy_compression_rescues_the_estimate(self):
        """Two latent pairs of correlation 0.9 in D dimensions, noise 0.3: 1.145 nats, whatever D."""
        truth = -np.log(1 - (0.9 / 1.09) ** 2)
        assert abs(truth - 1.145) < 1e-3
        got = {"raw": [], "coded": []}
        for seed in range(3):
            r = np.random.default_rng(seed)
            z = r.normal(size=(1000, 2))
            w = 0.9 * z + np.sqrt(0.19) * r.normal(size=(1000, 2))
            u, v = (special_ortho_group.rvs(64, random_state=r)[:, :2] for _ in range(2))
            x, y = (a @ b.T + 0.3 * r.normal(size=(1000, 64)) for a, b in ((z, u), (w, v)))
            got["raw"].append(plane.knn_information(x, y))
            got["coded"].append(plane.knn_information(plane.principal(x, 2), plane.principal(y, 2)))
        assert abs(np.mean(got["coded"]) - truth) < 0.08 and truth - np.mean(got["raw"]) > 0.4

    def test_class_information(self):
        y = np.repeat([0, 1], 1000)
        values = [plane.class_information(np.random.default_rng(s).normal(size=(2000, 1)) + 20 * y[:, None], y) for s in range(4)]
        assert abs(np.mean(values) - np.log(2)) < 0.05

    def test_principal_finds_the_large_directions(self):
        x = RNG.normal(size=(500, 3)) * [0.1, 5.0, 1.0]
        code = plane.principal(x, 2)
        assert abs(np.corrcoef(code[:, 0], x[:, 1])[0, 1]) > 0.99 and abs(np.corrcoef(code[:, 1], x[:, 2])[0, 1]) > 0.99


T = RNG.normal(size=(30, 2))
Y = np.arange(30) % 3
BAD = [
    (lambda: plane.unit_information(-1.0, [-1, 0, 1]), "w must be > 0; got -1"),
    (lambda: plane.unit_information(1.0, [0, 0, 1]), "edges must be at least two increasing numbers"),
    (lambda: plane.unit_information(1.0, [0, 1]), "edges must cover all values of the unit"),
    (lambda: plane.unit_information(1.0, [-1, 1], "sine"), "unit must be one of tanh, relu; got 'sine'"),
    (lambda: plane.noisy_unit_information(1.0, 0.0), "sigma must be finite and > 0; got 0"),
    (lambda: plane.noisy_unit_information(1.0, 1e-7), "sigma must be at least 1e-05 for a tanh unit with w = 1; got 1e-07"),
    (lambda: plane.noisy_unit_information(1e4, 0.1, "relu"), "sigma must be at least 0.41 for a relu unit with w = 10000; got 0.1"),
    (lambda: plane.cells([[np.nan]]), "t must be finite numbers; got nan"),
    (lambda: plane.cells(np.ones((4, 2)), "scaled"), "t must vary for the rule 'scaled'; all activations are 1"),
    (lambda: plane.cells(T, "otsu"), "rule must be one of fixed, scaled, quantile; got 'otsu'"),
    (lambda: plane.cells(T, "scaled", bins=1), "bins must be a whole number >= 2; got 1"),
    (lambda: plane.cells(T, width=-1), "width must be finite and > 0; got -1"),
    (lambda: plane.cells(np.ones((2, 2, 2))), "t must be [N, d]; got shape (2, 2, 2)"),
    (lambda: plane.binned_information(T, Y[:5]), "y must be 30 whole numbers >= 0; got shape (5,)"),
    (lambda: plane.binned_information(T, Y * 0.5), "y must be 30 whole numbers >= 0"),
    (lambda: plane.kernel_bounds(T, -1), "sigma must be finite and > 0; got -1"),
    (lambda: plane.knn_entropy(T, 30), "k must be a whole number from 1 to 29; got 30"),
    (lambda: plane.knn_entropy(np.zeros((30, 2))), "points must be distinct: point 0 has 5 others in its place"),
    (lambda: plane.knn_information(T, T[:5]), "x and y must have the same length; got 30 and 5"),
    (lambda: plane.principal(T, 3), "dims must be a whole number from 1 to 2; got 3"),
    (lambda: plane.cells("abc"), "t must be numbers in a rectangular array"),
]


@pytest.mark.parametrize("call, message", BAD, ids=[m[:40] for _, m in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
