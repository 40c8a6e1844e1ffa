"""Estimators against closed forms, brute force and other packages; what bad input is told."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import benchmarks_mi as known
from labutils import estimate, info, learned_mi
from scipy import integrate, stats
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_regression
from sklearn.neighbors import KernelDensity

settings.register_profile("estimate", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("estimate")
KINDS = (None, "miller-madow", "jackknife")


def rng(seed=0):
    return np.random.default_rng(seed)


# Counts ----------------------------------------------------------------------------------------


counts = st.lists(st.integers(0, 30), min_size=2, max_size=7).filter(lambda c: sum(c) > 1)


@given(counts)
def test_plugin_is_the_entropy_of_the_shares(c):
    c = np.array(c)
    value = float(estimate.entropy_plugin(c))
    assert value == pytest.approx(float(info.entropy(c / c.sum())), abs=1e-12)
    assert -1e-12 <= value <= math.log(c.sum()) + 1e-12


@given(counts)
def test_corrections_by_hand(c):
    c = np.array(c)
    n, plain = c.sum(), float(estimate.entropy_plugin(c))
    assert float(estimate.entropy_plugin(c, "miller-madow")) == pytest.approx(plain + ((c > 0).sum() - 1) / (2 * n))
    sample = np.repeat(np.arange(len(c)), c)
    without = [estimate.plugin(np.delete(sample, i)) for i in range(n)]
    assert float(estimate.entropy_plugin(c, "jackknife")) == pytest.approx(n * plain - (n - 1) * np.mean(without), abs=1e-9)


@given(counts, st.sampled_from(KINDS))
def test_numpy_and_torch_agree_and_batches_are_rows(c, kind):
    both = np.array([c, c[::-1]])
    rows = estimate.entropy_plugin(both, kind)
    assert np.allclose(rows, estimate.entropy_plugin(torch.tensor(both), kind).numpy(), atol=1e-12)
    assert np.allclose(rows, estimate.entropy_plugin(both.T, kind, axis=0), atol=1e-12)
    assert rows[0] == pytest.approx(float(estimate.entropy_plugin(c, kind)))
    assert np.allclose(rows / math.log(2), estimate.entropy_plugin(both, kind, base=2))


def test_plugin_takes_any_labels():
    assert estimate.plugin(["a", "b", "a", "b"], base=2) == pytest.approx(1)
    assert estimate.plugin(np.array([[0, 1], [0, 1], [1, 1], [0, 0]])) == pytest.approx(float(info.entropy([0.5, 0.25, 0.25])))
    assert estimate.plugin(np.full(9, 3.5)) == 0


@pytest.mark.parametrize("n", [1, 5, 40])
def test_the_mean_of_the_plugin_is_that_of_many_samples(n):
    p = np.array([0.5, 0.3, 0.1, 0.1])
    drawn = estimate.entropy_plugin(rng(1).multinomial(n, p, size=40_000))
    assert abs(drawn.mean() - estimate.plugin_mean(p, n)) < 5 * drawn.std() / 200 + 1e-12


def test_mi_of_a_table():
    table = rng(2).integers(1, 40, size=(3, 4))
    assert float(estimate.mi_plugin(table)) == pytest.approx(float(info.mutual_information(table / table.sum())), abs=1e-12)
    assert float(estimate.mi_plugin(np.outer([1, 2], [3, 4]))) == pytest.approx(0, abs=1e-12)
    assert torch.allclose(estimate.mi_plugin(torch.tensor(table)), torch.tensor(float(estimate.mi_plugin(table)), dtype=torch.float64))


def test_histogram_against_a_table_and_its_ceiling():
    x, y = known.gaussian(0.8).draw(500, rng(3))
    edges = [np.quantile(v, [0.25, 0.5, 0.75]) for v in (x, y)]
    table = np.histogram2d(*(np.searchsorted(e, v[:, 0], "right") for e, v in zip(edges, (x, y))), bins=4)[0]
    assert estimate.mi_histogram(x, y, 4) == pytest.approx(float(estimate.mi_plugin(table)), abs=1e-12)
    assert estimate.mi_histogram(x, y, 499) <= math.log(500) + 1e-12
    assert estimate.mi_histogram(x, y, 5, "equal-width") == pytest.approx(
        float(estimate.mi_plugin(np.histogram2d(x[:, 0], y[:, 0], bins=5)[0])), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_equal_mass_bins_see_only_ranks(seed):
    x, y = known.gaussian(0.8).draw(300, rng(seed))
    assert estimate.mi_histogram(np.exp(x), y**3, 7) == pytest.approx(estimate.mi_histogram(x, y, 7), abs=1e-12)


# Known truths ----------------------------------------------------------------------------------


def grid_information(density, reach):
    t = np.linspace(-reach, reach, 1601)
    cells = density(t[:, None], t[None, :])
    return float(info.mutual_information(cells / cells.sum()))


def test_truths_against_grids():
    r = 0.8
    bell = lambda r: lambda x, y: np.exp(-(x * x - 2 * r * x * y + y * y) / (2 * (1 - r * r))) / np.sqrt(1 - r * r)
    assert known.gaussian(-math.log(1 - r * r) / 2).information == pytest.approx(grid_information(bell(r), 9), abs=1e-8)
    assert known.cross(r).information == pytest.approx(
        grid_information(lambda x, y: bell(r)(x, y) + bell(-r)(x, y), 9), abs=1e-6)


@pytest.mark.parametrize("d", [1, 2])
def test_student_entropy_is_scipys(d):
    law = stats.t(4) if d == 1 else None
    if d == 1:
        assert 2 * law.entropy() - stats.multivariate_t(df=4, shape=np.eye(2)).entropy() == pytest.approx(
            known.student(0, 4).information, abs=1e-8)
    else:
        assert known.student(0.5, 1e7).information == pytest.approx(-math.log(0.75) / 2, abs=1e-6)


@pytest.mark.parametrize("width", [0.05, 0.5, 0.51, 2.0])
def test_noise_information_by_quadrature(width):
    f = lambda y: max(0.0, min(y + width, 1) - max(y - width, 0)) / (2 * width)
    surprise = lambda y: -f(y) * math.log(f(y)) if f(y) > 0 else 0.0
    ends = sorted({-width, width, 1 - width, 1 + width})
    h = sum(integrate.quad(surprise, a, b)[0] for a, b in zip(ends[:-1], ends[1:]))
    assert known.uniform_noise(width).information == pytest.approx(h - math.log(2 * width), abs=1e-7)


@pytest.mark.parametrize("pair", [known.gaussian(1.5, 3), known.cross(0.9), known.gaussian(0.0, 2)], ids=lambda p: p.name)
def test_the_mean_log_ratio_is_the_information(pair):
    r = pair.ratio(*pair.draw(40_000, rng(4)))
    assert abs(r.mean() - pair.information) < 4 * r.std() / 200 + 1e-12
    x, y = pair.draw(40_000, rng(5))
    shuffled = np.exp(pair.ratio(x, y[::-1]))
    assert abs(shuffled.mean() - 1) < 6 * shuffled.std() / 200 + 1e-12


def test_draws_have_the_named_law():
    x, y = known.student(0.6, 5).draw(20_000, rng(6))
    assert stats.kstest(x[:, 0], stats.t(5).cdf).pvalue > 1e-3 and stats.kstest(y[:, 0], stats.t(5).cdf).pvalue > 1e-3
    x, y = known.uniform_noise(0.3).draw(20_000, rng(7))
    assert stats.kstest(x[:, 0], "uniform").pvalue > 1e-3 and abs(y - x).max() <= 0.3
    x, y = known.cross(0.9).draw(20_000, rng(8))
    assert stats.kstest(y[:, 0], "norm").pvalue > 1e-3 and abs(np.corrcoef(x[:, 0], y[:, 0])[0, 1]) < 0.05


def test_the_spiral_keeps_radii_and_can_be_undone():
    x = rng(9).normal(size=(50, 3))
    turned = known.spiral(x, 2.0)
    assert np.allclose((turned**2).sum(1), (x**2).sum(1)) and np.allclose(turned[:, 2], x[:, 2])
    assert not np.allclose(turned[:, :2], x[:, :2])
    two = known.spiral(x[:, :2], 2.0)
    angle = 2.0 * np.linalg.norm(two, axis=1)
    back = np.stack([np.cos(angle) * two[:, 0] + np.sin(angle) * two[:, 1], np.cos(angle) * two[:, 1] - np.sin(angle) * two[:, 0]], 1)
    assert np.allclose(back, x[:, :2])


def test_real_points_as_a_law():
    far = np.array([[0.0, 0.0], [0.0, 0.0], [50.0, 50.0], [100.0, 100.0]])
    x, y, ratio = known.noisy_sources(far, 0.1, 1)(4000, rng(10))
    assert abs(ratio.mean() - float(info.entropy([0.5, 0.25, 0.25]))) < 0.05  # the three places are told apart
    crossed = np.array([[a, b] for a in (0.0, 50.0) for b in (0.0, 50.0)])
    assert abs(known.noisy_sources(crossed, 0.1, 1)(500, rng(11))[2]).max() < 1e-9  # all four pairs: independent


# Kernels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 3])
def test_kernel_density_is_scikit_learns(d):
    points, at = rng(1).normal(size=(300, d)) + 7, rng(2).normal(size=(40, d)) + 7
    theirs = KernelDensity(bandwidth=0.4).fit(points).score_samples(at)
    assert np.allclose(estimate.log_kde(at, points, 0.4), theirs, atol=1e-8)
    scaled = estimate.log_kde(at * 2, points * 2, [0.8] * d)
    assert np.allclose(scaled, theirs - d * math.log(2), atol=1e-8)


def test_blocks_change_nothing(monkeypatch):
    points, at = rng(1).normal(size=(100, 2)), rng(2).normal(size=(30, 2))
    whole = estimate.log_kde(at, points, 0.3), estimate.kde_entropy(points), estimate.kernel_participation(at, points, 0.3)
    monkeypatch.setattr(estimate, "BLOCK", 700)
    parts = estimate.log_kde(at, points, 0.3), estimate.kde_entropy(points), estimate.kernel_participation(at, points, 0.3)
    assert all(np.allclose(a, b, atol=1e-12) for a, b in zip(whole, parts))


def test_leave_one_out_by_hand_and_participation():
    x = rng(3).normal(size=(12, 2))
    each = [estimate.log_kde(x[i:i + 1], np.delete(x, i, 0), 0.5)[0] for i in range(12)]
    assert estimate.kde_entropy(x, 0.5) == pytest.approx(-np.mean(each), abs=1e-10)
    w = np.exp(-((x[:1] - x) ** 2).sum(1) / (2 * 0.5**2))
    assert estimate.kernel_participation(x[:1], x, 0.5)[0] == pytest.approx((w**2).sum() / w.sum() ** 2)
    assert estimate.kernel_participation(x[:1], x, 1e6)[0] == pytest.approx(1 / 12)


def test_kernel_entropy_of_a_normal_law():
    assert estimate.kde_entropy(rng(4).normal(size=4000)) == pytest.approx(math.log(2 * math.pi * math.e) / 2, abs=0.06)


def test_kernel_thresholds():
    for alpha in (0.05, 0.4, 2.0):
        w = estimate.kernel_widths(alpha)
        assert float(estimate.kernel_rate(w["freeze"] ** -2)) == pytest.approx(alpha, abs=1e-10)
        assert w["normal"] == pytest.approx(math.sqrt(2) * w["freeze"]) and w["best"] < w["freeze"]
    assert float(estimate.kernel_rate(0)) == 0


@pytest.mark.parametrize("lam", [0.2, 1.0, 6.0])
def test_the_price_of_a_kernels_points_is_a_divergence_of_normal_laws(lam):
    mean, var = lam / (1 + lam), 1 / (1 + lam)  # of y at x = 1, tilted by the kernel
    tilted, normal = stats.norm(mean, math.sqrt(var)), stats.norm()
    value = integrate.quad(lambda y: tilted.pdf(y) * (tilted.logpdf(y) - normal.logpdf(y)), -9, 10)[0]
    assert float(estimate.kernel_rate(lam)) == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize("dim, n, h", [(2, 50, 0.3), (6, 200, 0.7)])
def test_the_exact_kernel_mean_is_that_of_samples(dim, n, h):
    logs, shares = [], []
    for s in range(400):
        at = rng(s).normal(size=(4, dim))
        at *= math.sqrt(dim) / np.linalg.norm(at, axis=1, keepdims=True)
        points = rng(10_000 + s).normal(size=(n, dim))
        logs.append(estimate.log_kde(at, points, h).mean())
        shares.append(estimate.kernel_participation(at, points, h).mean())
    sure = estimate.kernel_exact(dim, math.log(n), h)
    assert abs(np.mean(logs) - sure["log_density"]) < 4 * np.std(logs) / 20
    assert abs(np.mean(shares) - sure["participation"]) < 4 * np.std(shares) / 20


@pytest.mark.parametrize("h", [0.1, 0.4, 2.0])
def test_the_exact_kernel_mean_of_two_points_in_one_dimension(h):
    """E log (w_1 + w_2) by a plain double integral: x = 1, both points standard normal."""
    y, width = np.linspace(-9, 9, 3601, retstep=True)
    p = np.exp(-(y**2) / 2) / math.sqrt(2 * math.pi) * width
    log_w = -((1 - y) ** 2) / (2 * h * h)
    both = np.logaddexp(log_w[:, None], log_w)
    share = np.exp(2 * log_w[:, None] - 2 * both) + np.exp(2 * log_w - 2 * both)
    sure = estimate.kernel_exact(1, math.log(2), h)
    assert sure["log_density"] == pytest.approx(p @ both @ p - math.log(2) - math.log(2 * math.pi * h * h) / 2, abs=2e-6)
    assert sure["participation"] == pytest.approx(p @ share @ p, abs=2e-6)


def test_the_exact_kernel_mean_at_any_number_of_points():
    """Beyond e^709 points, where n itself overflows: the mean density is exact and the sum is its mean."""
    lam, dim = 1.0, 40
    mean = dim * (-math.log1p(lam) / 2 - lam / (2 * (1 + lam))) - dim / 2 * math.log(2 * math.pi)
    assert estimate.kernel_exact(dim, 2000.0, 1.0)["log_density"] == pytest.approx(mean, abs=1e-6)
    narrow = estimate.kernel_exact(160, 32.0, 0.2)  # the nearest point alone
    assert 1 - narrow["participation"] == pytest.approx((0.2 / estimate.kernel_widths(0.2)["freeze"]) ** 2, rel=0.2)


# Neighbours ------------------------------------------------------------------------------------


def brute(x, y, k, kind):
    dx, dy = (abs(v[:, None] - v[None]).max(-1) for v in (x, y))
    for d in (dx, dy):
        np.fill_diagonal(d, np.inf)
    near = np.argsort(np.maximum(dx, dy), axis=1)[:, :k]
    if kind == 1:
        far = np.take_along_axis(np.maximum(dx, dy), near[:, -1:], 1)
        return digamma(k) + digamma(len(x)) - np.mean(sum(digamma((d < far).sum(1) + 1) for d in (dx, dy)))
    sides = [np.take_along_axis(d, near, 1).max(1, keepdims=True) for d in (dx, dy)]
    return digamma(k) - 1 / k + digamma(len(x)) - np.mean(sum(digamma((d <= e).sum(1)) for d, e in zip((dx, dy), sides)))


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("dim, offset", [(1, 0.0), (1, 1e5), (3, 0.0)])
def test_ksg_counts_like_brute_force(kind, k, dim, offset):
    for s in range(4):
        x, y = known.gaussian(1.0, dim).draw(120, rng(s))
        x = (x + offset) - offset  # what is left of x after an offset in floating point
        assert estimate.ksg(x + offset, y, k, kind) == pytest.approx(brute(x, y, k, kind), abs=1e-12)


def test_ksg_agrees_with_scikit_learn():
    x, y = known.gaussian(0.7).draw(2000, rng(1))
    x, y = x / x.std(), y / y.std()
    theirs = mutual_info_regression(x, y[:, 0], n_neighbors=3, random_state=0)[0]
    assert estimate.ksg(x, y, 3) == pytest.approx(theirs, abs=2e-3)


def test_ksg_is_symmetric_and_keeps_rigid_moves():
    x, y = known.gaussian(0.7, 2).draw(200, rng(2))
    for kind in (1, 2):
        plain = estimate.ksg(x, y, 4, kind)
        assert estimate.ksg(y, x, 4, kind) == pytest.approx(plain, abs=1e-12)
        assert estimate.ksg(8 * x, 8 * y, 4, kind) == pytest.approx(plain, abs=1e-12)
        assert estimate.ksg(-x[::-1], y[::-1], 4, kind) == pytest.approx(plain, abs=1e-12)
        assert estimate.ksg(torch.tensor(x), torch.tensor(y), 4, kind) == pytest.approx(plain, abs=1e-12)


@given(st.integers(1, 5), st.integers(6, 40), st.integers(0, 10**6))
def test_ksg_never_passes_its_ceiling(k, n, seed):
    x = rng(seed).normal(size=n)
    y = x + 1e-3 * rng(seed + 1).normal(size=n)
    assert estimate.ksg(x, y, k) <= digamma(n) - digamma(k) + 1e-12
    assert estimate.ksg(x, x, k) == pytest.approx(digamma(n) - digamma(k))


@pytest.mark.parametrize("pair", [known.gaussian(1.0), known.cross(0.9), known.uniform_noise(0.3), known.gaussian(0.8, 2),
                                  known.student(0.8, 8), known.gaussian(0.7).warped(np.arctan)], ids=lambda p: p.name)
def test_ksg_finds_the_truth(pair):
    assert estimate.ksg(*pair.draw(3000, rng(3))) == pytest.approx(pair.information, abs=0.08)


def test_entropy_by_neighbours():
    assert estimate.entropy_knn(rng(1).normal(size=4000)) == pytest.approx(math.log(2 * math.pi * math.e) / 2, abs=0.06)
    x = rng(2).normal(size=(300, 2))
    assert estimate.entropy_knn(3 * x) == pytest.approx(estimate.entropy_knn(x) + 2 * math.log(3), abs=1e-9)
    values = [estimate.entropy_knn(5 * rng(s).random((40, 1)), 2, period=5.0) for s in range(400)]
    assert abs(np.mean(values) - math.log(5)) < 4 * np.std(values) / 20


def test_gaussian_fit():
    x, y = known.gaussian(1.2, 2).draw(20_000, rng(1))
    assert estimate.mi_gaussian(x, y) == pytest.approx(1.2, abs=0.05)
    r = np.corrcoef(x[:, 0], y[:, 0])[0, 1]
    assert estimate.mi_gaussian(x[:, 0], y[:, 0]) == pytest.approx(-math.log(1 - r * r) / 2, abs=1e-10)
    assert estimate.mi_gaussian(x * 1e6 + 5, y @ [[1, 2], [0, 3]]) == pytest.approx(estimate.mi_gaussian(x, y), abs=1e-8)


# Bounds ----------------------------------------------------------------------------------------


@given(st.integers(2, 6), st.integers(0, 10**6), st.floats(0.1, 40))
def test_bounds_by_hand_on_numpy_and_torch(N, seed, scale):
    f = scale * rng(seed).normal(size=(N, N))
    off = f[~np.eye(N, dtype=bool)]
    shift = off.max()
    log_mean = shift + math.log(np.exp(off - shift).mean())
    row = f.max(1) + np.log(np.exp(f - f.max(1, keepdims=True)).mean(1))
    want = {"infonce": (np.diag(f) - row).mean(), "dv": np.diag(f).mean() - log_mean,
            "nwj": np.diag(f).mean() - math.exp(log_mean - 1)}
    for kind, value in want.items():
        assert float(estimate.mi_bound(f, kind)) == pytest.approx(value, rel=1e-9, abs=1e-9)
        assert float(estimate.mi_bound(torch.tensor(f), kind)) == pytest.approx(value, rel=1e-9, abs=1e-9)
    assert want["infonce"] <= math.log(N) + 1e-12 and want["dv"] >= want["nwj"] - 1e-9 * abs(want["nwj"])


def test_bounds_take_batches_and_give_gradients():
    f = torch.tensor(rng(1).normal(size=(3, 5, 5)), requires_grad=True)
    for kind in estimate.BOUNDS:
        value = estimate.mi_bound(f, kind)
        assert value.shape == (3,) and value[1].item() == pytest.approx(float(estimate.mi_bound(f.detach().numpy()[1], kind)))
        (grad,) = torch.autograd.grad(value.sum(), f)
        assert torch.isfinite(grad).all() and (torch.diagonal(grad, dim1=1, dim2=2) > 0).all()


# Spectra ---------------------------------------------------------------------------------------


def test_spectral_entropy_is_that_of_the_walk():
    x = rng(1).normal(size=(30, 2))
    G = np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) / (2 * 0.7**2))
    lam = abs(np.linalg.eigvals(G / G.sum(1, keepdims=True)))
    for t in (1, 3):
        a = lam**t / (lam**t).sum()
        assert estimate.diffusion_spectral_entropy(x, 0.7, t) == pytest.approx(float(info.entropy(a / a.sum())), abs=1e-8)


def test_spectral_entropy_counts_clusters():
    for sizes in ([5, 5], [20, 3, 1], [7]):
        x = np.repeat(1e6 * np.arange(len(sizes)), sizes)
        assert estimate.diffusion_spectral_entropy(x, 1.0) == pytest.approx(math.log(len(sizes)), abs=1e-6)
    assert estimate.diffusion_spectral_entropy(np.arange(16.0), 1e-3, base=2) == pytest.approx(4, abs=1e-9)


def test_spectral_information_of_clusters():
    x = np.repeat([0.0, 1e6], 40)
    value = estimate.diffusion_spectral_information(x, np.repeat(["a", "b"], 40), 1.0, rng=rng(1))
    assert value == pytest.approx(math.log(2), abs=1e-6)
    assert estimate.diffusion_spectral_information(x, np.zeros(80), 1.0, rng=rng(1)) == pytest.approx(0, abs=1e-9)


# What bad input is told ------------------------------------------------------------------------

x5, y5 = np.arange(5.0), np.array([2.0, 0.5, 3.0, 1.0, 4.0])
BAD = [
    (lambda: estimate.plugin([]), "x must have shape [n] or [n, m], n >= 1; got (0,)"),
    (lambda: estimate.plugin([1.0, math.nan]), "x must not contain NaN; got 1 of them"),
    (lambda: estimate.entropy_plugin([1, 2.5]), "counts must be whole numbers >= 0; got 2.5"),
    (lambda: estimate.entropy_plugin([1, -2]), "counts must be whole numbers >= 0; got -2"),
    (lambda: estimate.entropy_plugin([math.nan, 2]), "counts must be whole numbers >= 0; got nan"),
    (lambda: estimate.entropy_plugin([0, 0]), "counts must hold at least one case; got a sum of 0"),
    (lambda: estimate.entropy_plugin([]), "counts must not be empty; got shape (0,)"),
    (lambda: estimate.entropy_plugin([1, 2], axis=1), "axis must be one of the 1 axes of counts; got 1"),
    (lambda: estimate.entropy_plugin([1, 0], "jackknife"), "counts must add up to 2 or more for the jackknife; got 1"),
    (lambda: estimate.entropy_plugin([1, 2], "chao"), "correction must be one of None, 'miller-madow', 'jackknife'; got 'chao'"),
    (lambda: estimate.entropy_plugin([1, 2], base=1), "base must be a number > 1, or None for nats; got 1"),
    (lambda: estimate.entropy_plugin([[1, 2], [3]]), "counts must be numbers in a rectangular array"),
    (lambda: estimate.entropy_plugin(np.array([1j])), "counts must be real; got dtype complex128"),
    (lambda: estimate.plugin_mean([0.5, 0.6], 3), "p must be a pmf [K], >= 0 and with sum 1; got shape (2,) and sum 1.1"),
    (lambda: estimate.plugin_mean([0.5, 0.5], 0), "n must be a whole number >= 1; got 0"),
    (lambda: estimate.mi_plugin([1, 2]), "counts must have two axes, one a variable; got shape (2,)"),
    (lambda: estimate.mi_histogram(x5, y5, 1), "bins must be a whole number >= 2; got 1"),
    (lambda: estimate.mi_histogram(x5, y5, kind="square"), "kind must be one of 'equal-mass', 'equal-width'; got 'square'"),
    (lambda: estimate.mi_histogram(x5, y5[:4]), "x and y must have as many points; got 5 and 4"),
    (lambda: estimate.mi_histogram(x5 * 0, y5), "x must vary in every coordinate; coordinate 0 is constant at 0 (leave it out"),
    (lambda: estimate.mi_gaussian(x5[:2], y5[:2]), "x and y must have more points than coordinates; got 2 points, 2 coordinates"),
    (lambda: estimate.mi_gaussian(x5, 2 * x5), "x and y must have a covariance of full rank; got one that is singular"),
    (lambda: estimate.mi_gaussian(x5, 0.3 * x5 - 5), "x and y must have a covariance of full rank; got one that is singular"),
    (lambda: estimate.mi_gaussian(x5, 0 * x5), "x and y must have a covariance of full rank; got one that is singular"),
    (lambda: estimate.log_kde(x5, y5, 0), "h must be a width > 0, or one a coordinate [1]; got 0"),
    (lambda: estimate.log_kde(x5, y5, [1, 2]), "h must be a width > 0, or one a coordinate [1]; got [1.0, 2.0]"),
    (lambda: estimate.log_kde(x5, np.ones((3, 2)), 1), "at and points must have one dimension; got 1 and 2"),
    (lambda: estimate.kde_entropy([1.0]), "x must have at least 2 points; got 1"),
    (lambda: estimate.kde_entropy([1.0, 1.0]), "x must vary in every coordinate"),
    (lambda: estimate.mi_kde(x5, 0 * x5), "y must vary in every coordinate"),
    (lambda: estimate.kernel_rate(-1), "lam must be >= 0; got -1"),
    (lambda: estimate.kernel_widths(0), "alpha must be a number > 0; got 0.0"),
    (lambda: estimate.kernel_exact(0, 1.0, 1.0), "dim must be a whole number >= 1; got 0"),
    (lambda: estimate.kernel_exact(20, 4.0, 0.01), "h must be at least 0.051 for dim = 20 and log_n = 4; got 0.01"),
    (lambda: estimate.kernel_exact(2, 1.0, -1.0), "h must be a number > 0; got -1.0"),
    (lambda: estimate.entropy_knn(x5, 5), "k must be less than the number of points; got k = 5, 5 points"),
    (lambda: estimate.entropy_knn(x5, 0), "k must be a whole number >= 1; got 0"),
    (lambda: estimate.entropy_knn(x5, 1, period=4.0), "period must be > 0 and hold all x in [0, period); got 4.0"),
    (lambda: estimate.entropy_knn([1.0, 1.0, 2.0], 1), "x must have no point with 1 or more exact copies (k = 1); got 2 such points"),
    (lambda: estimate.ksg([1.0, 1, 2, 3], [5.0, 5, 6, 7], 1), "(x, y) must have no point with 1 or more exact copies (k = 1); got 2 such"),
    (lambda: estimate.ksg(x5, 0 * x5, 2), "y must vary in every coordinate; coordinate 0 is constant at 0"),
    (lambda: estimate.ksg(x5, y5, 2, kind=3), "kind must be one of 1, 2; got 3"),
    (lambda: estimate.ksg([1.0, math.inf, 2], [1.0, 2, 3], 1), "x must be finite; got inf at (1, 0)"),
    (lambda: estimate.ksg(["a", "b"], [1, 2], 1), "x must be real numbers; got dtype <U1"),
    (lambda: estimate.ksg(np.ones((2, 2, 2)), x5, 1), "x must have shape [n] or [n, m]; got (2, 2, 2)"),
    (lambda: estimate.mi_bound(np.ones((2, 3))), "scores must be square matrices [..., N, N], N >= 2; got shape (2, 3)"),
    (lambda: estimate.mi_bound(np.full((2, 2), math.nan)), "scores must not contain NaN or +inf"),
    (lambda: estimate.mi_bound(np.full((2, 2), math.inf)), "scores must not contain NaN or +inf"),
    (lambda: estimate.mi_bound(np.ones((2, 2)), "mine"), "kind must be one of 'infonce', 'nwj', 'dv'; got 'mine'"),
    (lambda: estimate.diffusion_spectral_entropy(x5, 0), "sigma must be a number > 0; got 0"),
    (lambda: estimate.diffusion_spectral_entropy(x5, 1, t=-1), "t must be a number > 0; got -1"),
    (lambda: estimate.diffusion_spectral_information(x5, [1, 2], 1.0, rng=rng()), "labels must have one entry a point; got 2 for 5 points"),
    (lambda: estimate.diffusion_spectral_information(x5, x5, 1.0), "rng must be a NumPy generator"),
    (lambda: estimate.diffusion_spectral_information(x5, x5, 1.0, repeats=0, rng=rng()), "repeats must be a whole number >= 1; got 0"),
    (lambda: known.gaussian(-1), "information must be a number >= 0; got -1"),
    (lambda: known.gaussian(1, 0), "dim must be a whole number >= 1; got 0"),
    (lambda: known.student(1, 3), "correlation must lie between -1 and 1; got 1"),
    (lambda: known.student(0, 0), "freedom must be a number > 0; got 0"),
    (lambda: known.uniform_noise(0), "width must be a number > 0; got 0"),
    (lambda: known.cross(0.999), "correlation must be at most 0.99 in size for the quadrature; got 0.999"),
    (lambda: known.spiral(np.ones((3, 1))), "x must have shape [n, m], m >= 2; got (3, 1)"),
    (lambda: known.noisy_sources(np.ones((3, 2)), 0, 1), "noise must be a number > 0; got 0"),
    (lambda: known.noisy_sources(np.ones((3, 2)), 1, 2), "split must lie between 1 and 1; got 2"),
    (lambda: known.noisy_sources([1.0, 2.0], 1, 1), "centres must be finite and have shape [N, D]; got shape (2,)"),
    (lambda: learned_mi.normal_scores([1.0, 1.0]), "x must have no value twice: ranks would be a matter of luck"),
    (lambda: learned_mi.normal_scores([math.nan, 1.0]), "x must be finite, with 2 values or more; got shape (2,)"),
    (lambda: learned_mi.estimate(x5, y5), "x and y must have 50 to 500 values, the sizes it was trained on; got 5"),
    (lambda: learned_mi.estimate(x5, y5[:4]), "x and y must have one shape [n]; got (5,) and (4,)"),
    (lambda: learned_mi.tasks(2, 50, rng(), "strip"), "family must be gaussian, cross or seen; got 'strip'"),
]


@pytest.mark.parametrize("call, message", BAD, ids=range(len(BAD)))
def test_bad_input_is_told_what_is_wrong(call, message):
    with pytest.raises(ValueError) as told:
        call()
    assert message in str(told.value)


def test_copies_below_k_are_accepted_and_constants_are_not():
    x, y = known.gaussian(1.0).draw(200, rng(1))
    x, y = np.concatenate([x, x[:5]]), np.concatenate([y, y[:5]])
    for kind in (1, 2):
        assert abs(estimate.ksg(x, y, 4, kind) - 1) < 0.4


# The learned estimator -------------------------------------------------------------------------


def test_normal_scores_are_ranks():
    assert np.allclose(learned_mi.normal_scores([3.0, 1.0, 2.0]), stats.norm.ppf([5 / 6, 1 / 6, 0.5]))
    two = rng(1).normal(size=(2, 9))
    assert np.allclose(learned_mi.normal_scores(two)[1], learned_mi.normal_scores(np.exp(two[1])))


def test_the_tasks_have_the_information_they_say():
    for family in ("gaussian", "cross"):
        pairs, I = learned_mi.tasks(60, 3000, rng(2), family)
        found = np.array([estimate.ksg(*p.T) for p in pairs])
        assert abs((found - I).mean()) < 0.03 and np.corrcoef(found, I)[0, 1] > 0.98


def test_quantiles_rise_and_ignore_the_order():
    stored = learned_mi.load()
    assert set(stored["weights"]) == set(learned_mi.SHAPES)
    pairs, _ = learned_mi.tasks(20, 80, rng(3))
    q = learned_mi.quantiles(stored["weights"], pairs)
    assert q.shape == (20, 5) and (np.diff(q, axis=1) > 0).all()
    assert np.allclose(q, learned_mi.quantiles(stored["weights"], pairs[:, rng(4).permutation(80)]), atol=1e-10)
    assert np.allclose(q, learned_mi.quantiles(stored["weights"], pairs[..., ::-1]), atol=1e-10)
    torched = {k: torch.tensor(v) for k, v in stored["weights"].items()}
    assert np.allclose(q, learned_mi.quantiles(torched, torch.tensor(pairs)).numpy(), atol=1e-9)


def test_the_first_steps_of_training_are_the_stored_ones():
    stored = learned_mi.load()
    again = learned_mi.train(steps=5)["losses"]
    assert np.allclose(again, stored["first losses"], atol=2e-4)
    assert stored["tasks"] == learned_mi.STEPS * learned_mi.BATCH and stored["last loss"] < stored["first losses"][-1] / 5


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
def test_pinball_is_least_at_the_quantile(level):
    truth = rng(5).exponential(size=4001)
    guess = np.quantile(truth, level)
    here = learned_mi.pinball(truth, guess, level)
    assert here < learned_mi.pinball(truth, guess + 0.05, level) and here < learned_mi.pinball(truth, guess - 0.02, level)
