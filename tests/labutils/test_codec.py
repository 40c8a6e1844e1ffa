"""Blocks and bases, the entropy model and its files, water-filling, BD-rate, and every message."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import codec, coding
from scipy.fft import dctn

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def photos():
    return codec.photographs()


@pytest.fixture(scope="module")
def coefficients(photos):
    return {n: np.round(codec.to_blocks(p[:96, :96]) @ codec.dct().T / 24).astype(int) for n, p in photos.items()}


class TestTransform:
    def test_photographs(self, photos):
        assert {n: p.shape for n, p in photos.items()} == {"china": (208, 320), "flower": (208, 320), "hopper": (296, 256)}
        assert all(p.min() >= 0 and p.max() <= 255 and (p == np.round(p)).all() for p in photos.values())

    def test_blocks_there_and_back(self, photos):
        assert np.array_equal(codec.from_blocks(codec.to_blocks(photos["china"])), photos["china"])

    def test_cosines_are_those_of_scipy_in_zigzag(self):
        basis, x = codec.dct(), np.random.default_rng(0).normal(size=(8, 8))
        assert np.allclose(basis @ basis.T, np.eye(64))
        want = dctn(x, norm="ortho")
        assert np.allclose(basis @ x.reshape(64), [want[i, j] for i, j in codec.ZIGZAG])
        assert codec.ZIGZAG[:6] == [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2)]

    def test_klt_makes_second_moments_diagonal_and_falling(self, photos):
        x = codec.to_blocks(photos["flower"]).reshape(-1, 64)
        y = x @ codec.klt(x).T
        moments = y.T @ y / len(y)
        assert np.allclose(moments, np.diag(np.diag(moments)), atol=1e-6 * moments.max()) and np.all(np.diff(np.diag(moments)) <= 1e-6)

    def test_psnr(self):
        assert codec.psnr(np.zeros((8, 8)), np.full((8, 8), 25.5)) == pytest.approx(20)
        assert codec.psnr(np.ones((8, 8)), np.ones((8, 8))) == np.inf

    @given(st.lists(st.floats(0.01, 100), min_size=1, max_size=9), st.floats(0.01, 100))
    @settings(max_examples=40, deadline=None)
    def test_water(self, variances, level):
        water = codec.reverse_waterfill(variances, level)
        v = np.array(variances)
        assert np.isclose(water.distortion, np.minimum(level, v).mean())
        assert np.isclose(water.rate, 0.5 * np.mean(np.log2(v / water.errors)), atol=1e-12)
        slope = codec.reverse_waterfill(variances, np.array([level * 0.999, level * 1.001]))
        active = np.sum(v > level * 1.001)
        if active:
            got = np.diff(slope.rate) / np.diff(slope.distortion)
            assert np.isclose(got[0], -1 / (2 * np.log(2) * level), rtol=5e-3)


class TestModel:
    @pytest.mark.parametrize("use", [(), ("channel",), ("local",), ("side",), codec.PARTS])
    def test_round_trip_within_two_bits(self, coefficients, use):
        model = codec.ContextModel([coefficients["china"], coefficients["flower"]], use)
        for k in coefficients.values():
            stream = model.encode(k)
            assert np.array_equal(model.decode(stream.data, k.shape[:2]), k)
            assert 0 <= stream.bits - model.total(k) < 2

    def test_any_coefficients_come_back(self, coefficients):
        model = codec.ContextModel([coefficients["hopper"]], codec.PARTS)
        rng = np.random.default_rng(4)
        for shape in ((1, 1), (1, 3), (4, 2)):
            k = rng.integers(-128, 129, size=(*shape, 64))
            assert np.array_equal(model.decode(model.encode(k).data, shape), k)

    def test_map_and_frequencies_share_the_same_bits(self, coefficients):
        model = codec.ContextModel([coefficients["china"]], ("channel", "local", "side"))
        bits, side = model.bits(coefficients["flower"])
        assert np.isclose(bits.sum(), model.spent(coefficients["flower"]).sum()) and side > 0
        assert np.isclose(model.total(coefficients["flower"]), bits.sum() + side)

    def test_context_that_tells_nothing_saves_nothing(self):
        rng = np.random.default_rng(5)
        k = [rng.poisson(1.0, size=(16, 16, 64)) * rng.choice([-1, 1], size=(16, 16, 64)) for _ in range(3)]
        none, all_of_it = (codec.ContextModel(k[:2], use).total(k[2]) for use in ((), codec.PARTS))
        assert abs(all_of_it / none - 1) < 0.02

    def test_scales_of_blocks_are_found(self):
        """Blocks are calm or busy by a coin: a class or earlier coefficients tell, one table does not."""
        rng = np.random.default_rng(6)

        def draw():
            scale = rng.choice([0.2, 3.0], size=(16, 16, 1))
            return np.round(rng.normal(size=(16, 16, 64)) * scale).astype(int), scale

        drawn = [draw() for _ in range(3)]
        k = [d[0] for d in drawn]
        bits = {use: codec.ContextModel(k[:2], use).total(k[2]) / k[2].size for use in ((), ("channel",), ("side",))}
        told = np.mean(coding.rounded_entropy(drawn[2][1]))
        assert told - 0.02 < bits[("side",)] < told + 0.12 and bits[("channel",)] < bits[()] - 0.2 and bits[("side",)] < bits[()] - 0.2

    def test_neighbours_tell_what_the_block_does_not(self):
        """Zones of 8 by 8 blocks, each frequency calm or busy there by its own coin: only neighbours know."""
        rng = np.random.default_rng(7)

        def draw():
            scale = rng.choice([0.2, 3.0], size=(3, 3, 64)).repeat(8, 0).repeat(8, 1)
            return np.round(rng.normal(size=scale.shape) * scale).astype(int)

        k = [draw() for _ in range(3)]
        bits = {use: codec.ContextModel(k[:2], use).total(k[2]) / k[2].size for use in ((), ("local",), ("channel",))}
        assert bits[("local",)] < bits[()] - 0.1 and bits[("channel",)] > bits[()] - 0.03

    def test_alike_are_the_nearest_four_of_the_first_pass(self):
        rng, f = np.random.default_rng(8), 9
        k = rng.integers(-12, 13, size=(6, 5, 64))
        odd = np.indices((6, 5)).sum(0) % 2 == 1
        got = codec._alike(k, f, odd, abs(k[..., f]))
        first = np.argwhere(~odd)
        near = lambda p, q: np.sum((np.minimum(abs(k[tuple(p)][1:f]), 8) - np.minimum(abs(k[tuple(q)][1:f]), 8)) ** 2)  # noqa: E731
        want = [sum(abs(k[tuple(q)][f]) for q in sorted(first, key=lambda q: near(p, q))[:4]) for p in np.argwhere(odd)]
        assert got.tolist() == want

    def test_files(self, coefficients, tmp_path):
        model = codec.ContextModel([coefficients["china"]], ("channel",))
        stream = model.encode(coefficients["flower"])
        codec.write(tmp_path / "a", stream, (12, 12), 24.5)
        assert codec.read(tmp_path / "a") == (stream.data, (12, 12), 24.5)
        assert (tmp_path / "a").stat().st_size == 6 + -(-stream.bits // 8)

    def test_pillow(self, photos):
        data, back = codec.pillow(photos["flower"], "PNG")
        assert data[1:4] == b"PNG" and np.array_equal(back, photos["flower"])


class TestBDRate:
    rates, quality = np.array([0.2, 0.5, 1.1, 2.0, 3.1]), np.array([28.0, 32.0, 36.5, 41.0, 44.0])

    @pytest.mark.parametrize("kind", ["cubic", "pchip", "akima", "linear"])
    @pytest.mark.parametrize("factor", [0.5, 0.9, 1.3])
    def test_a_common_factor(self, kind, factor):
        assert np.isclose(codec.bd_rate(self.rates, self.quality, factor * self.rates, self.quality, kind), factor - 1)

    def test_cubic_against_an_integral(self):
        other = (self.rates * np.array([0.9, 0.8, 1.0, 1.1, 0.95]), self.quality + np.array([0.5, -0.2, 0.1, 0.3, 0.4]))
        q = np.linspace(max(28.0, other[1].min()), min(44.0, other[1].max()), 200001)
        fit = lambda r, y: np.polyval(np.polyfit(y, np.log(r), 3), q)  # noqa: E731
        want = np.exp(np.mean(fit(*other) - fit(self.rates, self.quality))) - 1
        assert np.isclose(codec.bd_rate(self.rates, self.quality, *other), want, atol=1e-5)

    def test_order_and_exchange(self):
        other = (0.8 * self.rates**1.1, self.quality + 0.3)
        there, back = codec.bd_rate(self.rates, self.quality, *other), codec.bd_rate(*other, self.rates, self.quality)
        assert np.isclose((1 + there) * (1 + back), 1)
        assert np.isclose(there, codec.bd_rate(self.rates[::-1], self.quality[::-1], *other))


@pytest.mark.parametrize("call, message", [
    (lambda: codec.to_blocks(np.zeros((8, 9))), "image must be [H, W] with sides that are multiples of 8; got shape (8, 9)"),
    (lambda: codec.from_blocks(np.zeros((2, 64))), "blocks must be [H/8, W/8, 64]; got shape (2, 64)"),
    (lambda: codec.reverse_waterfill([1.0, -1.0], 1.0), "variances must be a list of finite numbers >= 0"),
    (lambda: codec.reverse_waterfill([1.0], 0.0), "level must be > 0"),
    (lambda: codec.ContextModel([], ("colour",)), "use must hold some of channel, local, global, side; got ['colour']"),
    (lambda: codec.ContextModel([]), "images must hold at least one array of coefficients"),
    (lambda: codec.ContextModel([np.zeros((2, 2, 64))]), "coefficients must be whole numbers [h, w, 64]"),
    (lambda: codec.ContextModel([np.full((1, 1, 64), 129)]), "coefficients must be at most 128 steps in size; got 129"),
    (lambda: codec.write("x", coding.Stream(b"", 0), (1, 1), 0.01), "step must be a whole number of sixteenths below 4096"),
    (lambda: codec.bd_rate([1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]), "rates must be a list of at least 4 rates with distinct qualities"),
    (lambda: codec.bd_rate([1, 2, 3, 4], [1, 2, 3, 3], [1, 2, 3, 4], [1, 2, 3, 4]), "rates must be a list of at least 4 rates with distinct"),
    (lambda: codec.bd_rate([1, 2, 3, 4], [1, 2, 3, 4], [0, 2, 3, 4], [1, 2, 3, 4]), "rates_other must be > 0 and finite"),
    (lambda: codec.bd_rate([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4], [5, 6, 7, 8]), "the curves must share an interval of quality; got 5 to 4"),
    (lambda: codec.bd_rate([1], [1], [1], [1], "spline"), "kind must be cubic, pchip, akima or linear; got 'spline'"),
])
def test_bad_input_says_which_rule_it_breaks(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
