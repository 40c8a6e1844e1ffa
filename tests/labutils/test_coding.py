"""The coder and its bounds, entropies of rounded Gaussians, side information, and every message."""

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import coding, info
from scipy.integrate import dblquad, quad
from scipy.stats import multivariate_normal, norm


def pmf(seed, K, sharpness=0.3):
    return np.random.default_rng(seed).dirichlet(np.full(K, sharpness))


def text(stream):
    return "".join(f"{byte:08b}" for byte in stream.data)[: stream.bits]


class TestCoder:
    @given(st.integers(0, 10_000), st.integers(1, 40), st.integers(0, 400), st.sampled_from([(16, 8), (24, 12), (32, 20), (40, 24), (64, 24), (64, 30)]))
    @settings(max_examples=80, deadline=None)
    def test_round_trip_within_the_bound(self, seed, K, n, size):
        width, bits = size
        rng = np.random.default_rng(seed)
        counts = coding.frequencies(pmf(seed, K), bits)
        symbols = rng.integers(0, K, size=n)          # as unlikely as can be under the table
        stream = coding.encode(symbols, counts, width=width)
        assert (coding.decode(stream.data, counts, n, width=width) == symbols).all()
        over = stream.bits - coding.ideal_bits(symbols, counts)
        assert -1e-6 <= over < coding.excess_bound(n, 1 << bits, width) + 1e-6
        assert len(stream.data) == -(-stream.bits // 8)

    @given(st.integers(0, 10_000), st.integers(1, 200), st.binary(max_size=12))
    @settings(max_examples=40, deadline=None)
    def test_what_stands_behind_a_stream_does_not_matter(self, seed, n, tail):
        rng, counts = np.random.default_rng(seed), coding.frequencies(pmf(seed, 5), 16)
        symbols = rng.choice(5, size=n, p=pmf(seed, 5))
        stream = coding.encode(symbols, counts)
        bits = text(stream) + "".join(f"{b:08b}" for b in tail)
        bits += "0" * (-len(bits) % 8)
        data = int("1" + bits, 2).to_bytes(len(bits) // 8 + 1, "big")[1:] if bits else b""
        assert (coding.decode(data, counts, n) == symbols).all()

    @given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=120), st.integers(0, 1000))
    @settings(max_examples=40, deadline=None)
    def test_tables_may_change_from_symbol_to_symbol(self, message, seed):
        counts = np.stack([coding.frequencies(pmf(seed + i, 3, 1.0), 18) for i in range(4)])
        symbols = np.array([s for s, _ in message], dtype=int)
        which = np.array([t for _, t in message], dtype=int)
        stream = coding.encode(symbols, counts, which)
        assert (coding.decode(stream.data, counts, len(symbols), which) == symbols).all()
        assert stream.bits - coding.ideal_bits(symbols, counts, which) < 2 + 1e-6

    def test_streams_of_all_short_messages_are_a_prefix_code(self):
        counts = coding.frequencies([0.8, 0.15, 0.05], 16)
        words = [text(coding.encode(np.array(m), counts)) for m in itertools.product(range(3), repeat=4)]
        assert sum(2.0 ** -len(w) for w in words) <= 1
        assert not any(b.startswith(a) for a, b in itertools.permutations(words, 2))

    def test_carries_run_through_bytes_of_ones(self):
        encoder = coding.Encoder(16)
        encoder.out, encoder.low, encoder.range = bytearray([7, 255, 255]), 65000, 65536
        encoder.put(120, 8, 128)
        assert bytes(encoder.out[:3]) == bytes([8, 0, 0])

    def test_nothing_to_say_is_an_empty_file(self):
        assert coding.encode(np.array([], int), np.array([1, 1])) == (b"", 0)
        assert coding.encode(np.zeros(50, int), np.array([8])).bits == 0

    def test_an_interval_that_just_misses_a_cell_needs_one_bit_more(self):
        encoder = coding.Encoder(16)
        encoder.put(1, 32768, 65536) if encoder.bottom >= 65536 else encoder.put(1, 128, 256)
        assert encoder.finish().bits == 2          # [1/256, 129/256) holds no half, but a quarter

    @given(st.lists(st.integers(0, 6), max_size=300))
    @settings(max_examples=30, deadline=None)
    def test_adaptive_round_trip_and_length(self, message):
        message = np.array(message, dtype=int)
        stream = coding.encode_adaptive(message, 7)
        assert (coding.decode_adaptive(stream.data, 7, len(message)) == message).all()
        ideal = coding.adaptive_bits(np.bincount(message, minlength=7))
        assert -1e-6 <= stream.bits - ideal < 2 + 1e-6

    def test_adaptive_length_is_orders_and_types(self):
        seen = np.array([4, 0, 3, 2])
        orders = math.factorial(9) / (math.factorial(4) * math.factorial(3) * math.factorial(2))
        assert np.isclose(coding.adaptive_bits(seen), math.log2(orders) + math.log2(math.comb(12, 3)))

    def test_a_file_of_another_table_is_noticed(self):
        decoder = coding.Decoder(b"\xff" * 8, 16)
        with pytest.raises(ValueError, match="data must be a stream"):
            [decoder.take([0, 1, 200]) for _ in range(9)]

    @given(st.integers(0, 10_000), st.integers(1, 100), st.integers(8, 24))
    @settings(max_examples=40, deadline=None)
    def test_frequencies_sum_and_lose_little(self, seed, K, bits):
        q = pmf(seed, K)
        counts = coding.frequencies(q, bits)
        assert counts.sum() == 1 << bits and counts.min() >= 1
        kept = q > 0
        assert np.all(np.log2(counts[kept] / 2**bits) >= np.log2(q[kept]) + math.log2(1 - K / 2**bits) - 1e-9)

    def test_excess_bound_by_hand(self):
        assert np.isclose(coding.excess_bound(10, 129, 16), 2 + 10)          # half of the smallest range may go


class TestRounded:
    def test_mass_against_scipy_and_in_the_tail(self):
        k = np.arange(-6, 7)
        assert np.allclose(coding.gaussian_mass(k, 0.3, 1.7), norm.cdf(k + 0.5, 0.3, 1.7) - norm.cdf(k - 0.5, 0.3, 1.7))
        assert np.isclose(coding.gaussian_mass(9, 0.0, 1.0) / (norm.sf(8.5) - norm.sf(9.5)), 1, atol=1e-12)
        assert np.isclose(coding.gaussian_mass(np.arange(-40, 41), 1.2, 3.0, 0.7).sum(), 1, atol=1e-12)

    def test_mass_on_torch_with_gradients(self):
        torch = pytest.importorskip("torch")
        scale = torch.tensor([0.7, 2.0], dtype=torch.float64, requires_grad=True)
        mass = coding.gaussian_mass(1, 0.0, scale)
        assert np.allclose(mass.detach().numpy(), coding.gaussian_mass(1, 0.0, np.array([0.7, 2.0])))
        mass.sum().backward()
        assert bool((scale.grad != 0).all())

    @given(st.floats(0.05, 4), st.floats(-3, 3), st.floats(0.2, 3))
    @settings(max_examples=30, deadline=None)
    def test_entropy_of_rounding(self, scale, mean, step):
        k = np.arange(-400, 401)
        p = norm.cdf((k + 0.5) * step, mean, scale) - norm.cdf((k - 0.5) * step, mean, scale)
        want = -np.sum(p[p > 0] * np.log2(p[p > 0]))
        assert np.isclose(coding.rounded_entropy(scale, mean, step), want, atol=1e-9)

    @pytest.mark.parametrize("scale", [0.01, 0.1, 0.3, 1.0, 7.0])
    def test_noise_is_the_mean_over_grids(self, scale):
        f = lambda t: norm.cdf(t + 0.5, 0, scale) - norm.cdf(t - 0.5, 0, scale)  # noqa: E731
        points = sorted({0.5 - 6 * scale, 0.5, 0.5 + 6 * scale} - {0})
        direct = quad(lambda t: -f(t) * np.log2(f(t)) if f(t) > 0 else 0, -0.5 - 9 * scale, 0.5 + 9 * scale,
                      points=[s * p for p in points for s in (1, -1)], limit=400)[0]
        assert np.isclose(coding.noisy_entropy(scale), direct, atol=1e-6)
        assert np.isclose(coding.noisy_entropy(3 * scale, 3.0), coding.noisy_entropy(scale))

    @pytest.mark.parametrize("rho, step", [(0.9, 1.0), (-0.6, 0.7), (0.99, 2.5), (0.0, 1.3)])
    def test_chain_table_against_double_integrals(self, rho, step):
        k, joint = coding.ar1_table(rho, step)
        law = multivariate_normal([0, 0], [[1, rho], [rho, 1]])
        middle = len(k) // 2
        for a, b in ((0, 0), (0, 1), (1, -1)):
            box = [((i - 0.5) * step, (i + 0.5) * step) for i in (a, b)]
            want = dblquad(lambda y, x: law.pdf([x, y]), *box[0], *box[1], epsabs=1e-8)[0]
            assert np.isclose(joint[middle + a, middle + b], want, atol=2e-8)
        assert np.isclose(joint.sum(), 1, atol=1e-9)
        found = coding.ar1(rho, step)
        assert np.isclose(found.none - found.one, info.mutual_information(joint / joint.sum(), base=2), atol=1e-8)

    @given(st.floats(0.05, 0.97), st.floats(0.3, 3.0))
    @settings(max_examples=12, deadline=None)
    def test_more_of_the_past_never_hurts(self, rho, step):
        found = coding.ar1(rho, step, order=2)
        assert found.none >= found.one >= found.two - 1e-10 and found.two >= found.true - 1e-10

    def test_chain_against_a_long_sample(self):
        rng, rho, step = np.random.default_rng(3), 0.8, 1.5
        y = rng.normal(size=(200_000, 3))
        for t in (1, 2):
            y[:, t] = rho * y[:, t - 1] + math.sqrt(1 - rho**2) * y[:, t]
        k = np.round(y / step).astype(int)
        plug = lambda columns: info.entropy(np.unique(k[:, columns], axis=0, return_counts=True)[1] / len(k), base=2)  # noqa: E731
        found = coding.ar1(rho, step, order=2)
        assert np.isclose(plug([0]), found.none, atol=0.006)
        assert np.isclose(plug([0, 1]) - plug([0]), found.one, atol=0.006)
        assert np.isclose(plug([0, 1, 2]) - plug([0, 1]), found.two, atol=0.006)


class TestTwoPart:
    def test_against_all_blocks(self):
        ones, prior, n = np.array([0.1, 0.6]), np.array([0.7, 0.3]), 6
        total = 0.0
        for flags in itertools.product(range(2), repeat=n):
            m = float(prior @ [math.prod(p if f else 1 - p for f in flags) for p in ones])
            total -= m * math.log2(m)
        block = coding.two_part(ones, prior, n)
        assert np.isclose(block.mixture, total)
        assert np.isclose(block.marginal, n * info.entropy([0.25, 0.75], base=2))
        assert block.mixture <= min(block.told, block.marginal)

    def test_one_state_is_all_the_same(self):
        block = coding.two_part([0.2], [1.0], np.array([1, 5]))
        assert np.allclose(block.told, block.marginal) and np.allclose(block.mixture, block.marginal)


@pytest.mark.parametrize("call, message", [
    (lambda: coding.Encoder(20), "width must be a multiple of 8 from 16 to 64; got 20"),
    (lambda: coding.Encoder(16).put(0, 0, 4), "counts must obey 0 <= below"),
    (lambda: coding.Encoder(16).put(0, 1, 257), "below + count <= total <= 256; got 0, 1, 257"),
    (lambda: coding.frequencies([0.5, 0.6]), "q must sum to 1"),
    (lambda: coding.frequencies(np.full(100, 0.01), 7), "bits must give at least two counts a symbol; got 2^7 for 100 symbols"),
    (lambda: coding.encode(np.array([3]), np.array([1, 1])), "symbols must lie in 0..1; got 3..3"),
    (lambda: coding.encode(np.array([0.5]), np.array([1, 1])), "symbols must be a list of whole numbers"),
    (lambda: coding.encode(np.array([0]), np.array([1, 0])), "counts must be positive whole numbers"),
    (lambda: coding.encode(np.array([0]), np.array([1, 1]), np.array([1])), "which must lie in 0..0; got 1..1"),
    (lambda: coding.encode(np.array([0]), np.array([1, 1]), np.array([0, 0])), "which must name a table for each of 1 symbols"),
    (lambda: coding.excess_bound(3, 300, 16), "total must be at most 2^(width-8) = 256; got 300"),
    (lambda: coding.adaptive_bits([0.5]), "seen must be a list of whole numbers >= 0"),
    (lambda: coding.gaussian_mass(0, 0.0, -1.0), "scale must be > 0; got -1.0"),
    (lambda: coding.gaussian_mass(0, np.nan, 1.0), "mean must be finite"),
    (lambda: coding.rounded_entropy(1.0, step=0), "step must be a number > 0; got 0"),
    (lambda: coding.noisy_entropy(0.0), "scale must be finite and > 0"),
    (lambda: coding.ar1(1.0, 1.0), "rho must lie between -1 and 1; got 1.0"),
    (lambda: coding.ar1(0.5, 1.0, order=3), "order must be 1 or 2; got 3"),
    (lambda: coding.two_part([0.0, 0.5], [0.5, 0.5], 3), "ones must be a list of probabilities between 0 and 1"),
    (lambda: coding.two_part([0.2, 0.5], [1.0], 3), "prior must have the shape (2,) of ones; got (1,)"),
    (lambda: coding.two_part([0.2, 0.5], [0.5, 0.5], 0), "n must hold whole numbers >= 1; got 0"),
    (lambda: coding.decode(b"", np.array([1, 1]), -1), "n must be a whole number >= 0; got -1"),
])
def test_bad_input_says_which_rule_it_breaks(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
