"""Codes and their lengths: an arithmetic coder in integers, entropies of rounded Gaussians, context, side information.

Taught in the chapter "Entropy models for compression" (bottleneck/compression).
Units: BITS, as files are measured in them; one bit is 0.693 nats.
"""

import math
from bisect import bisect_right
from typing import Any, NamedTuple

import numpy as np

from labutils import info
from labutils._inputs import finite, namespace, number, positive, whole

REACH = 9.0
"""Gaussian tails are followed this many standard deviations out: 1e-19 of the mass lies beyond."""


class Stream(NamedTuple):
    """What a coder writes: whole bytes, and how many of their bits it needs (the rest is padding)."""

    data: bytes
    bits: int


class Rounded(NamedTuple):
    """What `ar1` returns, in bits a symbol.

    none      H(ŷ_t), no context
    one, two  H(ŷ_t | ŷ_{t-1}), H(ŷ_t | ŷ_{t-1}, ŷ_{t-2}); two is None unless asked for
    true      H(ŷ_t | y_{t-1}) with the neighbour as it was before rounding: no past can do better
    """

    none: float
    one: float
    two: Any
    true: float


class Block(NamedTuple):
    """What `two_part` returns, in bits for a block of n symbols; arrays over n.

    marginal  n H(Y): one table for all blocks
    told      H(Z) + n H(Y|Z): first say which table, then use it
    mixture   H(Y_1..n): the best code there is
    """

    marginal: Any
    told: Any
    mixture: Any


# The coder ---------------------------------------------------------------------------------------


class Encoder:
    """Narrows an interval by one symbol at a time, in whole numbers of `width` bits.

    The interval is [low, low + range) of 2^width. A symbol with the counts [below, below + count) of
    `total` keeps the part r·below .. r·(below + count), r = floor(range / total). Whenever range is
    below 2^(width-8), the first 8 bits of low are written and all moves up by 8; a later sum can
    still carry a one into bytes that are already written.

    width  a multiple of 8, 16 to 64; totals may be as large as 2^(width-8)

    Errors: ValueError for a width or counts that break these rules.
    Source: chapter bottleneck/compression, steps 2 and 3.
    """

    def __init__(self, width=64):
        self.width = _width(width)
        self.top, self.bottom = 1 << width, 1 << (width - 8)
        self.low, self.range, self.out = 0, self.top, bytearray()

    def put(self, below, count, total):
        """Code one symbol: `below` counts lie under it, `count` are its own, out of `total`."""
        if not (count > 0 and 0 <= below and below + count <= total <= self.bottom):
            raise ValueError(f"counts must obey 0 <= below, 0 < count, below + count <= total <= {self.bottom}; "
                             f"got {below}, {count}, {total}")
        r = self.range // total
        self.low += r * below
        self.range = r * count
        if self.low >= self.top:
            self._carry()
        while self.range < self.bottom:
            self.out.append(self.low >> (self.width - 8))
            self.low = (self.low << 8) & (self.top - 1)
            self.range <<= 8

    def _carry(self):
        self.low -= self.top
        for i in range(len(self.out) - 1, -1, -1):
            self.out[i] = (self.out[i] + 1) & 255
            if self.out[i]:
                return

    def finish(self):
        """The `Stream`: the fewest bits k such that every number that begins with them lies in the interval."""
        k = 0
        while True:
            cell = 1 << (self.width - k)
            value = -(-self.low // cell)
            if (value + 1) * cell <= self.low + self.range:
                break
            k += 1
        bits = 8 * len(self.out) + k
        self.low = value * cell
        if self.low >= self.top:
            self._carry()
        tail = (self.low >> (self.width - 16)).to_bytes(2, "big")[: -(-k // 8)]
        return Stream(bytes(self.out) + tail, bits)


class Decoder:
    """Follows the `Encoder` through the bytes it wrote; what stands behind them does not matter.

    Errors: ValueError when the bytes cannot come from the tables that are given, or width breaks its rule.
    Source: chapter bottleneck/compression, step 3.
    """

    def __init__(self, data, width=64):
        self.width, self.bottom = _width(width), 1 << (width - 8)
        self.data, self.place, self.range = bytes(data), width // 8, 1 << width
        first = self.data[: self.place]
        self.code = int.from_bytes(first + bytes(self.place - len(first)), "big")

    def take(self, cumulative):
        """The next symbol, for cumulative counts 0, c_0, c_0 + c_1, ..., total (a list)."""
        total = cumulative[-1]
        r = self.range // total
        target = self.code // r
        if target >= total:
            raise ValueError("data must be a stream that was written with these tables; it leaves the interval")
        symbol = bisect_right(cumulative, target) - 1
        below = cumulative[symbol]
        self.code -= r * below
        self.range = r * (cumulative[symbol + 1] - below)
        while self.range < self.bottom:
            byte = self.data[self.place] if self.place < len(self.data) else 0
            self.code, self.range, self.place = (self.code << 8) | byte, self.range << 8, self.place + 1
        return symbol


def frequencies(q, bits=24):
    """Whole counts that stand for pmfs: [..., K] with sum 2^bits, every one at least 1.

    floor(q (T - K)) + 1, what is left over goes to the largest; T = 2^bits. So each symbol can be coded,
    one with q = 0 too, and c/T >= q (1 - K/T): a symbol costs at most -log2(1 - K/T) bits more.

    Errors: ValueError for a pmf that is none, K > T/2.
    Source: chapter bottleneck/compression, step 3.
    """
    whole("bits", bits, 1)
    _, q = info._pmf("q", q, -1)
    q = np.asarray(q, dtype=float)
    total, size = 1 << bits, q.shape[-1]
    if 2 * size > total:
        raise ValueError(f"bits must give at least two counts a symbol; got 2^{bits} for {size} symbols")
    counts = np.floor(q * (total - size)).astype(np.int64) + 1
    top = np.argmax(q, axis=-1)[..., None]
    rest = total - counts.sum(-1, keepdims=True)
    np.put_along_axis(counts, top, np.take_along_axis(counts, top, -1) + rest, -1)
    return counts


def encode(symbols, counts, which=None, width=64):
    """Code symbols [n] by tables of counts [M, K] (or one [K]); which [n] names the table of each.

    Errors: ValueError for symbols or tables that do not exist, counts that are no positive whole numbers.
    """
    symbols, counts, which = _message(symbols, counts, which)
    cumulative, encoder = _cumulative(counts), Encoder(width)
    for symbol, table in zip(symbols.tolist(), which.tolist()):
        row = cumulative[table]
        encoder.put(row[symbol], row[symbol + 1] - row[symbol], row[-1])
    return encoder.finish()


def decode(data, counts, n, which=None, width=64):
    """The n symbols of a stream, an array [n]; tables as in `encode`.

    Errors: as in `encode` and `Decoder`.
    """
    whole("n", n, 0)
    _, counts, which = _message(np.zeros(n, dtype=np.int64), counts, which)
    cumulative, decoder = _cumulative(counts), Decoder(data, width)
    return np.array([decoder.take(cumulative[table]) for table in which.tolist()], dtype=np.int64)


def ideal_bits(symbols, counts, which=None):
    """-sum_i log2 q(s_i), q = counts over their sum: what the tables promise, in bits."""
    symbols, counts, which = _message(symbols, counts, which)
    return float(np.sum(np.log2(counts.sum(-1))[which] - np.log2(counts[which, symbols])))


def excess_bound(n, total, width=64):
    """A stream of n symbols is shorter than -log2 q + excess_bound: 2 - n log2(1 - (total - 1) / 2^(width-8)).

    Errors: ValueError for total above 2^(width-8). Source: chapter bottleneck/compression, step 3.
    """
    whole("n", n, 0), whole("total", total, 1)
    bottom = 1 << (_width(width) - 8)
    if total > bottom:
        raise ValueError(f"total must be at most 2^(width-8) = {bottom}; got {total}")
    return 2 - n * math.log1p(-(total - 1) / bottom) / math.log(2)


def encode_adaptive(symbols, K, width=64):
    """Code symbols [n] out of K with no table: each count starts at 1 and grows by 1 when seen (Laplace's rule).

    Errors: ValueError for symbols outside 0..K-1, or more symbols than 2^(width-8) - K.
    Source: chapter bottleneck/compression, step 4.
    """
    whole("K", K, 1)
    symbols, _, _ = _message(symbols, np.ones(K, dtype=np.int64), None)
    counts, encoder = [1] * K, Encoder(width)
    for i, symbol in enumerate(symbols.tolist()):
        encoder.put(sum(counts[:symbol]), counts[symbol], K + i)
        counts[symbol] += 1
    return encoder.finish()


def decode_adaptive(data, K, n, width=64):
    """The n symbols [n] that `encode_adaptive` wrote."""
    whole("K", K, 1), whole("n", n, 0)
    counts, decoder, symbols = [1] * K, Decoder(data, width), []
    for _ in range(n):
        cumulative = [0]
        for count in counts:
            cumulative.append(cumulative[-1] + count)
        symbols.append(decoder.take(cumulative))
        counts[symbols[-1]] += 1
    return np.array(symbols, dtype=np.int64)


def adaptive_bits(seen):
    """Length of Laplace's rule for a message in which symbol k occurs seen[k] times, in any order.

    log2 (n + K - 1)! / ((K - 1)! prod_k seen_k!) = log2 of the orders of the message + log2 C(n + K - 1, K - 1)

    Errors: ValueError for counts that are no whole numbers >= 0. Source: chapter bottleneck/compression, step 4.
    """
    seen = np.asarray(seen)
    if seen.ndim != 1 or seen.size == 0 or seen.dtype.kind not in "iu" or (seen < 0).any():
        raise ValueError(f"seen must be a list of whole numbers >= 0; got {seen!r}")
    n, K = int(seen.sum()), seen.size
    value = math.lgamma(n + K) - math.lgamma(K) - sum(math.lgamma(int(c) + 1) for c in seen)
    return value / math.log(2)


# Rounded Gaussians -------------------------------------------------------------------------------


def gaussian_mass(k, mean, scale, step=1.0):
    """P(round(y / step) = k) of a Gaussian: Φ((k + ½) step) - Φ((k - ½) step), standardised by mean and scale.

    k, mean, scale broadcast; NumPy arrays or torch tensors (then with gradients). Computed in the
    lower tail, where it keeps its digits: at 9 standard deviations it still has 12 of them.

    Errors: ValueError for scale <= 0, step <= 0, values that are not finite.
    Source: chapter bottleneck/compression, step 7.
    """
    step = positive("step", step)
    k, mean, scale = _floats(k, mean, scale)
    xp = namespace(k=k, mean=mean, scale=scale)
    finite(k=k, mean=mean, scale=scale)
    if not bool(xp.all(scale > 0)):
        raise ValueError(f"scale must be > 0; got {float(xp.min(scale))!r}")
    far = -xp.abs(k * step - mean)
    return _ndtr((far + step / 2) / scale) - _ndtr((far - step / 2) / scale)


def rounded_entropy(scale, mean=0.0, step=1.0):
    """H(round(y / step)) of a Gaussian, in bits; arrays of scale and mean broadcast.

    Errors: as in `gaussian_mass`.
    """
    step = positive("step", step)
    scale, mean = np.broadcast_arrays(np.asarray(scale, float), np.asarray(mean, float))
    most = float(np.max(scale))
    half = np.arange(-math.ceil(REACH * most / step) - 1, math.ceil(REACH * most / step) + 2)
    centre = np.round(mean / step)
    p = gaussian_mass(half + centre[..., None], mean[..., None], scale[..., None], step)
    return _bits(p).sum(-1)


def noisy_entropy(scale, step=1.0):
    """h((y + u) / step) of a Gaussian plus uniform noise u on (-step/2, step/2), in bits: what training counts.

    It is the mean of `rounded_entropy` over all positions of the grid.

    Errors: as in `gaussian_mass`. Source: chapter bottleneck/compression, step 8.
    """
    s = np.asarray(scale, float) / positive("step", step)
    if not np.all((s > 0) & np.isfinite(s)):
        raise ValueError(f"scale must be finite and > 0; got {float(np.min(scale))!r}")
    x, w = np.polynomial.legendre.leggauss(120)
    edges = np.stack([0 * s, np.maximum(0.5 - REACH * s, 0), 0.5 + 0 * s, 0.5 + REACH * s / 2, 0.5 + REACH * s], axis=-1)
    a, b = edges[..., :-1, None], edges[..., 1:, None]
    t = (a + b) / 2 + (b - a) / 2 * x
    return 2 * np.sum(_bits(gaussian_mass(t, 0.0, s[..., None, None])) * w * (b - a) / 2, axis=(-2, -1))


def ar1(rho, step, order=1):
    """Entropies of a rounded Gaussian chain y_t = rho y_{t-1} + sqrt(1 - rho²) noise, variance 1: a `Rounded`.

    By integration over each cell: p(j, k) = ∫_cell j φ(y) P(ŷ = k | y) dy, exact to about 1e-10.
    The rounded chain is no Markov chain: more of the past helps, up to `true`.

    order  2 asks for two neighbours as well

    Errors: ValueError for |rho| >= 1, step <= 0, order not 1 or 2. Source: chapter bottleneck/compression, step 6.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2; got {order!r}")
    rho, noise, k, y, weight, mass, per_cell = _chain(rho, step)
    ahead = gaussian_mass(k, rho * y[:, None], noise, step)                 # P(ŷ_t = k | y_{t-1}) [node, cell]
    starts = np.arange(0, len(y), per_cell)
    pair = np.add.reduceat(mass[:, None] * ahead, starts, axis=0)
    none = float(_bits(gaussian_mass(k, 0.0, 1.0, step)).sum())
    joint = float(_bits(pair).sum())
    true = float(mass @ _bits(ahead).sum(-1))
    two = None
    if order == 2:
        kernel = weight * np.exp(-0.5 * ((y - rho * y[:, None]) / noise) ** 2) / (noise * math.sqrt(2 * math.pi))
        kept = np.add.reduceat(mass[:, None] * kernel, starts, axis=0)      # [ŷ_{t-2}, y_{t-1}]
        triple = sum(float(_bits(np.add.reduceat(row[:, None] * ahead, starts, axis=0)).sum()) for row in kept)
        two = triple - joint
    return Rounded(none, joint - none, two, true)


def ar1_table(rho, step):
    """The cells k [K] of that chain and the joint pmf of neighbours ŷ_{t-1}, ŷ_t, [K, K], as in `ar1`."""
    rho, noise, k, y, _, mass, per_cell = _chain(rho, step)
    ahead = gaussian_mass(k, rho * y[:, None], noise, step)
    return k, np.add.reduceat(mass[:, None] * ahead, np.arange(0, len(y), per_cell), axis=0)


def _chain(rho, step):
    """Cells, and Gauss-Legendre nodes within each of them with the Gaussian mass that they carry."""
    rho = number("rho", rho, "must lie between -1 and 1", lambda v: -1 < v < 1)
    step = positive("step", step)
    noise = math.sqrt(1 - rho * rho)
    last = math.ceil(REACH / step + 0.5)
    k = np.arange(-last, last + 1)
    parts = max(1, math.ceil(step / (0.5 * noise)))  # a cell is cut where the next step is finer than it
    x, w = np.polynomial.legendre.leggauss(8)
    width = step / parts
    middle = (k[:, None] * step - step / 2) + width * (np.arange(parts) + 0.5)
    y = (middle[..., None] + width / 2 * x).reshape(-1)
    weight = np.tile(w * width / 2, len(k) * parts)
    mass = weight * np.exp(-y * y / 2) / math.sqrt(2 * math.pi)
    return rho, noise, k, y, weight, mass, parts * len(x)


# Side information --------------------------------------------------------------------------------


def two_part(ones, prior, n):
    """Three codes for a block of n flags that share a hidden state Z, in bits: a `Block`.

    ones   [S] probability of a one in each state;  prior  [S] pmf of the states
    n      a whole number or an array of them

    mixture: sum over counts of ones, -sum_k C(n,k) m_k log2 m_k with m_k = sum_s prior_s ones^k (1-ones)^(n-k);
    told - mixture = H(Z | Y_1..n), the part of the state that the block itself does not show.

    Errors: ValueError for probabilities outside (0, 1), a prior that is no pmf of their number.
    Source: chapter bottleneck/compression, step 9.
    """
    ones, prior = np.asarray(ones, float), np.asarray(prior, float)
    if ones.ndim != 1 or not np.all((ones > 0) & (ones < 1)):
        raise ValueError(f"ones must be a list of probabilities between 0 and 1; got {ones!r}")
    info._pmf("prior", prior, -1)
    if prior.shape != ones.shape:
        raise ValueError(f"prior must have the shape {ones.shape} of ones; got {prior.shape}")
    sizes = np.atleast_1d(np.asarray(n))
    if sizes.dtype.kind not in "iu" or (sizes < 1).any():
        raise ValueError(f"n must hold whole numbers >= 1; got {n!r}")
    flag = lambda a: float(_bits(np.array([a, 1 - a])).sum())  # noqa: E731
    one, inside = flag(float(prior @ ones)), float(prior @ [flag(a) for a in ones])
    mixtures = [_mixture_bits(ones, prior, int(size)) for size in sizes]
    shape = np.shape(n)
    return Block((sizes * one).reshape(shape), (float(_bits(prior).sum()) + sizes * inside).reshape(shape),
                 np.array(mixtures).reshape(shape))


def _mixture_bits(ones, prior, n):
    k = np.arange(n + 1)
    with np.errstate(divide="ignore"):
        terms = np.log(prior) + k[:, None] * np.log(ones) + (n - k[:, None]) * np.log1p(-ones)
    top = terms.max(1)
    log_m = top + np.log(np.exp(terms - top[:, None]).sum(1))
    lgamma = np.array([math.lgamma(i + 1) for i in range(n + 1)])
    log_c = lgamma[n] - lgamma - lgamma[::-1]
    return float(-np.sum(np.exp(log_c + log_m) * log_m) / math.log(2))


# Arguments ---------------------------------------------------------------------------------------


def _width(width):
    if isinstance(width, bool) or not isinstance(width, (int, np.integer)) or width % 8 or not 16 <= width <= 64:
        raise ValueError(f"width must be a multiple of 8 from 16 to 64; got {width!r}")
    return int(width)


def _message(symbols, counts, which):
    symbols, counts = np.asarray(symbols), np.atleast_2d(np.asarray(counts))
    if symbols.size == 0:
        symbols = symbols.astype(np.int64)
    if counts.dtype.kind not in "iu" or counts.ndim != 2 or not (counts > 0).all():
        raise ValueError("counts must be positive whole numbers [K] or [M, K] (see frequencies)")
    if symbols.ndim != 1 or symbols.dtype.kind not in "iu":
        raise ValueError(f"symbols must be a list of whole numbers; got shape {symbols.shape}, dtype {symbols.dtype}")
    if symbols.size and not (0 <= symbols.min() and symbols.max() < counts.shape[1]):
        raise ValueError(f"symbols must lie in 0..{counts.shape[1] - 1}; got {symbols.min()}..{symbols.max()}")
    which = np.zeros(len(symbols), dtype=np.int64) if which is None else np.asarray(which)
    if which.shape != symbols.shape or which.dtype.kind not in "iu":
        raise ValueError(f"which must name a table for each of {len(symbols)} symbols; got shape {which.shape}, dtype {which.dtype}")
    if which.size and not (0 <= which.min() and which.max() < counts.shape[0]):
        raise ValueError(f"which must lie in 0..{counts.shape[0] - 1}; got {which.min()}..{which.max()}")
    return symbols, counts, which


def _cumulative(counts):
    return np.concatenate([np.zeros((len(counts), 1), dtype=np.int64), np.cumsum(counts, axis=1)], axis=1).tolist()


def _floats(*values):
    """Numbers as arrays of the library that the others belong to."""
    tensor = next((v for v in values if hasattr(v, "detach")), None)
    if tensor is None:
        return [np.asarray(v, dtype=float) for v in values]
    import torch

    return [v if hasattr(v, "detach") else torch.as_tensor(v, dtype=tensor.dtype, device=tensor.device) for v in values]


def _ndtr(x):
    if hasattr(x, "detach"):
        import torch

        return torch.special.ndtr(x)
    from scipy.special import ndtr

    return ndtr(x)


def _bits(p):
    """-p log2 p, 0 at 0."""
    return -p * np.log2(np.where(p > 0, p, 1.0))
