"""A small image codec whose files are real: blocks, transforms, contexts, side information, and how codecs are compared.

Taught in the chapter "Entropy models for compression" (bottleneck/compression).
Units: bits for lengths, squared grey levels for distortion, decibels for its logarithm.
"""

import io
import math
from typing import Any, NamedTuple

import numpy as np

from labutils import coding
from labutils._inputs import positive
from labutils.runtime import need

PARTS = ("channel", "local", "global", "side")
"""What a table may be chosen by: earlier coefficients of the block; the same coefficient of neighbours that are
already decoded; the same coefficient of blocks that look alike so far; a class that is sent first."""
LARGEST = 256
"""Coefficients beyond this many steps are refused."""
CLASSES, LEVELS, ONE = 8, 28, 1024
"""Classes of side information; tables of the model; the integer that stands for 1 in its weights."""

ZIGZAG = sorted(((i, j) for i in range(8) for j in range(8)), key=lambda p: (sum(p), p[0] if sum(p) % 2 else p[1]))
"""The 64 frequencies (down, across) of a block, low ones first."""
_PLACE = {p: n for n, p in enumerate(ZIGZAG)}
_EARLIER = ((1, 0), (0, 1), (1, 1), (2, 0), (0, 2), (2, 1), (1, 2))


class Water(NamedTuple):
    """What `reverse_waterfill` returns: the level, bits a coefficient, mean squared error, the error of each direction."""

    level: Any
    rate: Any
    distortion: Any
    errors: Any


# Images and transforms ---------------------------------------------------------------------------


def photographs():
    """Three grey photographs that ship with scikit-learn and Matplotlib: {name: [H, W] whole numbers 0 to 255, as floats}.

    Luma 0.299 R + 0.587 G + 0.114 B, each 2 by 2 pixels averaged, cut to multiples of 8, rounded.
    The originals are JPEG files; halving takes most of the marks of their 8 by 8 grid away.

    Errors: ModuleNotFoundError without scikit-learn.
    """
    from matplotlib.cbook import get_sample_data
    from matplotlib.image import imread

    images = need("sklearn.datasets").load_sample_images().images
    found = {"china": images[0], "flower": images[1], "hopper": imread(get_sample_data("grace_hopper.jpg", asfileobj=False))}
    return {name: _halved(np.asarray(image, float) @ [0.299, 0.587, 0.114]) for name, image in found.items()}


def _halved(grey):
    h, w = (n // 16 * 8 for n in grey.shape)
    return np.round(grey[: 2 * h, : 2 * w].reshape(h, 2, w, 2).mean((1, 3)))


def to_blocks(image):
    """Grey levels less 128 in blocks of 8 by 8: [H, W] -> [H/8, W/8, 64], rows of a block after each other.

    Errors: ValueError for sides that are no multiples of 8.
    """
    image = np.asarray(image, float)
    if image.ndim != 2 or image.size == 0 or image.shape[0] % 8 or image.shape[1] % 8:
        raise ValueError(f"image must be [H, W] with sides that are multiples of 8; got shape {image.shape}")
    h, w = image.shape[0] // 8, image.shape[1] // 8
    return image.reshape(h, 8, w, 8).swapaxes(1, 2).reshape(h, w, 64) - 128


def from_blocks(blocks):
    """The inverse of `to_blocks`; nothing is rounded or cut to 0..255."""
    blocks = np.asarray(blocks, float)
    if blocks.ndim != 3 or blocks.shape[-1] != 64:
        raise ValueError(f"blocks must be [H/8, W/8, 64]; got shape {blocks.shape}")
    h, w, _ = blocks.shape
    return (blocks + 128).reshape(h, w, 8, 8).swapaxes(1, 2).reshape(8 * h, 8 * w)


def dct():
    """The orthonormal cosine basis of 8 by 8 blocks, [64, 64]: coefficients are blocks @ dct().T, in zigzag order."""
    n = np.arange(8)
    one = np.cos(np.pi * (2 * n + 1) * n[:, None] / 16) * np.where(n[:, None] == 0, math.sqrt(1 / 8), 0.5)
    return np.stack([np.outer(one[i], one[j]).reshape(64) for i, j in ZIGZAG])


def klt(blocks):
    """The Karhunen-Loève basis of blocks [..., 64]: eigenvectors of their second moments as rows, largest first."""
    x = np.asarray(blocks, float).reshape(-1, 64)
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    vectors = vectors[:, ::-1].T
    return vectors * np.sign(vectors[np.arange(64), np.argmax(abs(vectors), axis=1)])[:, None]


def psnr(image, other):
    """10 log10(255² / mean squared difference), in decibels; inf for equal images."""
    error = float(np.mean((np.asarray(image, float) - np.asarray(other, float)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def reverse_waterfill(variances, level):
    """Rate and distortion of independent Gaussians at a water level: a `Water`; both are means over directions.

    error_i = min(level, var_i);  rate = mean of max(0, 1/2 log2(var_i / level)), bits

    variances  [n];  level  a number > 0 or an array of them

    Errors: ValueError for variances < 0, level <= 0. Source: chapter bottleneck/compression, step 10.
    """
    variances, level = np.asarray(variances, float), np.asarray(level, float)
    if variances.ndim != 1 or variances.size == 0 or not np.all((variances >= 0) & np.isfinite(variances)):
        raise ValueError("variances must be a list of finite numbers >= 0")
    if not np.all((level > 0) & np.isfinite(level)):
        raise ValueError(f"level must be > 0; got {float(level.min())!r}")
    errors = np.minimum(level[..., None], variances)
    rate = 0.5 * np.log2(np.maximum(variances / level[..., None], 1.0)).mean(-1)
    return Water(level, rate, errors.mean(-1), errors)


# The entropy model -------------------------------------------------------------------------------


class ContextModel:
    """Tables for rounded DCT coefficients, chosen by what the decoder already knows.

    Fitted to coefficients k [h, w, 64] of training images. The order of coding is: side information, then
    frequency after frequency, of each first the even and then the odd squares of a checkerboard of blocks.
    A weighted sum of magnitudes from `use` (some of `PARTS`) forecasts the size of a coefficient, and its
    logarithm picks one of `LEVELS` + 1 tables. All of it is whole numbers, so that the decoder on any machine
    picks the same tables. With "local" the mean of a block (frequency 0) is forecast as well.

    Errors: ValueError for parts that do not exist, coefficients that are no whole numbers or too large.
    Source: chapter bottleneck/compression, step 12.
    """

    def __init__(self, images, use=()):
        if unknown := set(use) - set(PARTS):
            raise ValueError(f"use must hold some of {', '.join(PARTS)}; got {sorted(unknown)}")
        self.use = tuple(p for p in PARTS if p in use)
        images = [_whole(k) for k in images]
        if not images:
            raise ValueError("images must hold at least one array of coefficients; got none")
        self.side = _Side(images) if "side" in self.use else None
        seen = [list(self._visits(k, self._classes(k))) for k in images]
        self.weights = [self._weights([s[i] for s in seen]) for i in range(128)]
        sums = [[x @ w for (x, _, _), w in zip(s, self.weights)] for s in seen]
        self.edges = np.unique(np.round(ONE * np.geomspace(0.004, 12, LEVELS)).astype(np.int64))
        counts = np.zeros((len(self.edges) + 1, 2 * LARGEST + 1))
        for s, t in zip(seen, sums):
            for (_, value, _), total in zip(s, t):
                np.add.at(counts, (np.searchsorted(self.edges, total), value + LARGEST), 1)
        self.counts = coding.frequencies(np.stack([self._table(c, row) for c, row in enumerate(counts)]))

    def bits(self, k):
        """What the tables promise for k, in bits: [64] for the frequencies, and one number for side information."""
        k = _whole(k)
        classes, spent = self._classes(k), np.zeros(64)
        for i, (x, value, _) in enumerate(self._visits(k, classes)):
            which = np.searchsorted(self.edges, x @ self.weights[i])
            spent[i // 2] += coding.ideal_bits(value + LARGEST, self.counts, which)
        return spent, 0.0 if self.side is None else self.side.bits(classes)

    def total(self, k):
        """All bits that the tables promise for k."""
        spent, side = self.bits(k)
        return float(spent.sum() + side)

    def spent(self, k):
        """Bits of each block [h, w], without side information."""
        k = _whole(k)
        out = np.zeros(k.shape[:2])
        for i, (x, value, where) in enumerate(self._visits(k, self._classes(k))):
            which = np.searchsorted(self.edges, x @ self.weights[i])
            out[where] += np.log2(self.counts[0].sum()) - np.log2(self.counts[which, value + LARGEST])
        return out

    def encode(self, k):
        """A `coding.Stream` from which `decode` makes k again."""
        k, encoder = _whole(k), coding.Encoder()
        classes = self._classes(k)
        if self.side is not None:
            self.side.write(encoder, classes)
        rows = coding._cumulative(self.counts)
        for i, (x, value, _) in enumerate(self._visits(k, classes)):
            for table, symbol in zip(np.searchsorted(self.edges, x @ self.weights[i]).tolist(), (value + LARGEST).tolist()):
                row = rows[table]
                encoder.put(row[symbol], row[symbol + 1] - row[symbol], row[-1])
        return encoder.finish()

    def decode(self, data, shape):
        """The coefficients [h, w, 64] of a stream; shape is (h, w).

        Errors: ValueError when the bytes are no stream of this model.
        """
        k, decoder = np.zeros((*shape, 64), dtype=np.int64), coding.Decoder(data)
        classes = None if self.side is None else self.side.read(decoder, shape)
        rows = coding._cumulative(self.counts)
        for i in range(128):
            x, start, where = self._visit(k, classes, i)
            tables = np.searchsorted(self.edges, x @ self.weights[i]).tolist()
            k[..., i // 2][where] = start + np.array([decoder.take(rows[t]) for t in tables], dtype=np.int64) - LARGEST
        return k

    def _classes(self, k):
        return None if self.side is None else self.side.choose(k)

    def _visits(self, k, classes):
        for i in range(128):
            x, start, where = self._visit(k, classes, i)
            yield x, k[..., i // 2][where] - start, where

    def _visit(self, k, classes, i):
        """What is known at visit i: features [n, F], a forecast of the value [n], and which blocks [h, w] are meant."""
        f, odd = divmod(i, 2)
        h, w = k.shape[:2]
        squares = np.indices((h, w)).sum(0) % 2
        where, sizes, columns = squares == odd, np.minimum(abs(k), 50), []
        start = np.zeros(int(where.sum()), dtype=np.int64)
        if "channel" in self.use:
            for down, across in _EARLIER:
                p = _PLACE.get((ZIGZAG[f][0] - down, ZIGZAG[f][1] - across))
                columns.append(sizes[..., p][where] if p is not None else 0 * start)
            columns.append(sizes[..., 1:max(f, 1)].sum(-1)[where])
        if "local" in self.use:
            first = squares == 0
            columns.append(_around(sizes[..., f] * first)[where] if odd and f else 0 * start)
            if odd and f == 0:
                known = _around(k[..., 0] * first)[where]
                start = np.round(known / np.maximum(_around(first * 1)[where], 1)).astype(np.int64)
        if "global" in self.use:
            columns.append(_alike(k, f, where, sizes[..., f]) if odd and f >= 3 else 0 * start)
        if self.side is not None:
            columns.append(self.side.sizes[classes[where], f])
        columns.append(np.full(len(start), 4))
        return np.stack(columns, axis=-1).astype(np.int64), start, where

    def _weights(self, visits):
        """Weights >= 0, in units of 1/ONE, that forecast the size of a value; large sizes count less."""
        from scipy.optimize import nnls

        x, value = (np.concatenate([v[i] for v in visits]) for i in (0, 1))
        scale = 1 / (x.mean(-1) + 0.3)
        w, _ = nnls(x * scale[:, None], np.minimum(abs(value), 50) * scale)
        return np.round(ONE * w).astype(np.int64)

    def _table(self, c, row):
        """Counts of one level, with 8 more spread as a two-sided geometric pmf of their own mean size."""
        k = np.arange(-LARGEST, LARGEST + 1)
        mean = (row @ abs(k) + 0.5 * self.edges[min(c, len(self.edges) - 1)] / ONE) / (row.sum() + 0.5)
        q = row + 8 * _geometric(mean, k)
        return q / q.sum()


class _Side:
    """A class for each block, sent before it: how busy each frequency is, learned by turns of sorting and averaging."""

    def __init__(self, images):
        sizes = [np.minimum(abs(k), 50).reshape(-1, 64) for k in images]
        x = np.concatenate(sizes)
        busy = np.log1p(x[:, 1:]).sum(1)
        found = np.searchsorted(np.quantile(busy, np.arange(1, CLASSES) / CLASSES), busy)
        for _ in range(8):
            self._means(x, found)
            found = self._best(x)
        self._means(x, found)
        first, seen = 0, np.ones((CLASSES + 1, CLASSES))
        for k in images:
            h, w = k.shape[:2]
            c = found[first : first + h * w].reshape(h, w)
            np.add.at(seen, (_left(c), c), 1)
            first += h * w
        self.counts = coding.frequencies(seen / seen.sum(1, keepdims=True))

    def _means(self, x, found):
        members = np.stack([(found == s) for s in range(CLASSES)]).astype(float)
        n = members.sum(1, keepdims=True)
        mean = (members @ x + x.mean(0)) / (n + 1)
        theta = _theta(mean)
        self.fixed = -np.log2((1 - theta) / (1 + theta)).sum(1) - np.log2((n[:, 0] + 1) / (n.sum() + CLASSES))
        self.slope = -np.log2(theta)
        self.sizes = np.round(16 * mean).astype(np.int64)

    def _best(self, x):
        return np.argmin(x @ self.slope.T + self.fixed, axis=1)

    def choose(self, k):
        """The class that makes each block shortest if sizes are geometric."""
        return self._best(np.minimum(abs(k), 50).reshape(-1, 64)).reshape(k.shape[:2])

    def bits(self, classes):
        return coding.ideal_bits(classes.ravel(), self.counts, _left(classes).ravel())

    def write(self, encoder, classes):
        rows = coding._cumulative(self.counts)
        for table, s in zip(_left(classes).ravel().tolist(), classes.ravel().tolist()):
            encoder.put(rows[table][s], rows[table][s + 1] - rows[table][s], rows[table][-1])

    def read(self, decoder, shape):
        classes, rows = np.zeros(shape, dtype=np.int64), coding._cumulative(self.counts)
        for i in range(shape[0]):
            before = CLASSES
            for j in range(shape[1]):
                before = classes[i, j] = decoder.take(rows[before])
        return classes


def _left(classes):
    return np.concatenate([np.full((len(classes), 1), CLASSES), classes[:, :-1]], axis=1)


def _around(a):
    p = np.pad(a, 1)
    return p[1:-1, :-2] + p[1:-1, 2:] + p[:-2, 1:-1] + p[2:, 1:-1]


def _alike(k, f, where, sizes):
    """Sum of `sizes` over the four blocks of the first pass (or all, if fewer) whose earlier coefficients are nearest in size."""
    v = np.minimum(abs(k), 8).reshape(-1, 64)[:, 1:f]
    to, of = v[where.ravel()].astype(float), v[~where.ravel()].astype(float)
    distance = (of**2).sum(1) - 2 * to @ of.T                               # whole numbers below 2^53: exact
    key = distance * len(of) + np.arange(len(of))                           # no ties: the same blocks on any machine
    nearest = np.argpartition(key, 3, axis=1)[:, :4] if len(of) > 4 else np.tile(np.arange(len(of)), (len(to), 1))
    return sizes[~where][nearest].sum(1)


def _theta(mean):
    """Ratio of the two-sided geometric pmf with mean size `mean`: 2 θ / (1 - θ²) = mean."""
    return (np.sqrt(1 + mean * mean) - 1) / np.maximum(mean, 1e-9)


def _geometric(mean, k):
    theta = _theta(mean)
    return (1 - theta) / (1 + theta) * theta ** abs(k)


def _whole(k):
    k = np.asarray(k)
    if k.ndim != 3 or k.shape[-1] != 64 or k.dtype.kind not in "iu":
        raise ValueError(f"coefficients must be whole numbers [h, w, 64]; got shape {k.shape}, dtype {k.dtype}")
    if k.size and abs(k).max() > LARGEST // 2:
        raise ValueError(f"coefficients must be at most {LARGEST // 2} steps in size; got {abs(k).max()}")
    return k.astype(np.int64)


# Files, and how codecs are compared --------------------------------------------------------------


def write(path, stream, shape, step):
    """Write a stream with the header a decoder needs (height and width in blocks, step): 6 bytes and the data.

    Errors: ValueError for a shape beyond 65535 blocks or a step that is no whole number of sixteenths below 4096.
    """
    steps = round(16 * positive("step", step))
    if steps != 16 * step or steps > 65535 or max(shape) > 65535:
        raise ValueError(f"step must be a whole number of sixteenths below 4096, shape below 65536; got {step!r}, {shape}")
    data = b"".join(n.to_bytes(2, "big") for n in (*shape, steps)) + stream.data
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    """What `write` wrote: (data, (h, w), step)."""
    with open(path, "rb") as file:
        data = file.read()
    h, w, steps = (int.from_bytes(data[i : i + 2], "big") for i in (0, 2, 4))
    return data[6:], (h, w), steps / 16


def pillow(image, format, **options):
    """A grey image through one of Pillow's codecs: (the file as bytes, the image that comes back).

    format  "JPEG", "WEBP", "PNG", ...; options go to Pillow, such as quality=75

    Errors: those of Pillow.
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.asarray(image).astype(np.uint8)).save(file, format, **options)
    return file.getvalue(), np.asarray(Image.open(file).convert("L"), float)


def bd_rate(rates, quality, rates_other, quality_other, kind="cubic"):
    """Bjøntegaard's mean change of rate, other against the first, as a fraction: -0.1 is ten per cent less.

    exp of the mean of log(rate_other / rate) over the qualities that both curves reach, minus 1. Each log rate is
    a function of quality between its points: one "cubic" polynomial by least squares, or "pchip", "akima", "linear".

    rates, quality  [n] of at least 4 points (2 for "linear"), in any order, qualities distinct

    Errors: ValueError for fewer points, rates <= 0, curves with no quality in common, an unknown kind.
    Source: chapter bottleneck/compression, step 15.
    """
    if kind not in ("cubic", "pchip", "akima", "linear"):
        raise ValueError(f"kind must be cubic, pchip, akima or linear; got {kind!r}")
    curves = []
    for name, r, q in (("rates", rates, quality), ("rates_other", rates_other, quality_other)):
        r, q = np.asarray(r, float), np.asarray(q, float)
        least = 2 if kind == "linear" else 4
        if r.ndim != 1 or r.shape != q.shape or len(r) < least or len(np.unique(q)) < len(q):
            raise ValueError(f"{name} must be a list of at least {least} rates with distinct qualities; got {r.shape} and {q.shape}")
        if not np.all((r > 0) & np.isfinite(r) & np.isfinite(q)):
            raise ValueError(f"{name} must be > 0 and finite, and so the qualities")
        order = np.argsort(q)
        curves.append((q[order], np.log(r[order])))
    low, high = max(c[0][0] for c in curves), min(c[0][-1] for c in curves)
    if not low < high:
        raise ValueError(f"the curves must share an interval of quality; got {low:g} to {high:g}")
    first, other = (_mean_log(q, r, low, high, kind) for q, r in curves)
    return math.expm1(other - first)


def _mean_log(q, r, low, high, kind):
    if kind == "cubic":
        centre = q.mean()
        whole_integral = np.polyint(np.polyfit(q - centre, r, 3))
        return (np.polyval(whole_integral, high - centre) - np.polyval(whole_integral, low - centre)) / (high - low)
    if kind == "linear":
        x = np.unique(np.concatenate([[low, high], q[(q > low) & (q < high)]]))
        y = np.interp(x, q, r)
        return float(np.sum((y[1:] + y[:-1]) / 2 * np.diff(x)) / (high - low))
    from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

    return float((PchipInterpolator if kind == "pchip" else Akima1DInterpolator)(q, r).integrate(low, high) / (high - low))
