"""Cutting a series where a causal model is uncertain: surprise, boundaries, and what a patch tells.

Taught in the chapter "Forecasting chaos" (waves/chaos). Entropies in nats; a series is an array of whole numbers.
"""

import numpy as np

from labutils._inputs import number, positive, whole


def _series(name, symbols, kinds=None):
    s = np.asarray(symbols)
    if s.ndim != 1 or s.size == 0 or not np.issubdtype(s.dtype, np.integer) or s.min() < 0:
        raise ValueError(f"{name} must be a list of whole numbers >= 0; got {'shape ' + str(s.shape) if s.ndim != 1 or not s.size else s.dtype}")
    if kinds is not None and s.max() >= kinds:
        raise ValueError(f"{name} must lie below {kinds}; got {int(s.max())}")
    return s.astype(np.int64)


def words_at_random(words, count, rng):
    """A series of so many words, each drawn evenly and spelled out: (symbols [n], starts [count])."""
    chosen = rng.integers(0, len(words), size=whole("count", count, 1))
    lengths = np.array([len(w) for w in words])
    if (lengths < 1).any():
        raise ValueError("words must not be empty; one is")
    starts = np.concatenate([[0], np.cumsum(lengths[chosen])[:-1]])
    return np.concatenate([np.asarray(words[i], dtype=np.int64) for i in chosen]), starts


def word_surprise(words, symbols, starts):
    """Exact entropy [n] of the next symbol given where the word began and what it has been so far.

    Words are equally likely. The mean over a long series is log K over the mean length of the K words: the entropy
    rate, if no word begins another.
    Errors: ValueError for a symbol that continues no word.
    """
    found, begins = np.zeros(len(symbols)), set(np.asarray(starts).tolist())
    tails = []
    for t, symbol in enumerate(symbols):
        if t in begins:
            tails = [tuple(w) for w in words]
        counts = np.unique([w[0] for w in tails if w], return_counts=True)[1] if any(tails) else np.array([])
        tails = [w[1:] for w in tails if w and w[0] == symbol]
        if not tails:
            raise ValueError(f"symbols must spell the words; got {int(symbol)} at {t}")
        found[t] = -np.sum(counts / counts.sum() * np.log(counts / counts.sum()))
    return found


class NGram:
    """Counts of what follows each context of up to `order` symbols, shorter contexts as the prior of longer ones.

    p_k(v | context) = (count + alpha p_{k-1}(v)) / (total + alpha), p_{-1} even.
    """

    def __init__(self, order, kinds, alpha=0.5):
        self.order, self.kinds, self.alpha = whole("order", order, 0), whole("kinds", kinds, 2), positive("alpha", alpha)

    def _codes(self, s, k):
        code = np.zeros(len(s), dtype=np.int64)
        for j in range(k, 0, -1):
            code[k:] = code[k:] * self.kinds + s[k - j:len(s) - j]
        return code

    def fit(self, symbols, since=None):
        """Learn from a series. since [n]  how many symbols of the past may be seen at each place; all, if not given."""
        s = _series("symbols", symbols, self.kinds)
        since = np.arange(len(s)) if since is None else np.asarray(since)
        self.tables = []
        for k in range(self.order + 1):
            use = since >= k
            keys, rows = np.unique(self._codes(s, k)[use], return_inverse=True)
            counts = np.zeros((len(keys), self.kinds))
            np.add.at(counts, (rows, s[use]), 1)
            self.tables.append((keys, counts))
        return self

    def predict(self, symbols, since=None):
        """Chances [n, kinds] of each symbol before it is seen."""
        s = _series("symbols", symbols, self.kinds)
        since = np.arange(len(s)) if since is None else np.asarray(since)
        p = np.full((len(s), self.kinds), 1 / self.kinds)
        for k, (keys, counts) in enumerate(self.tables):
            if not len(keys):
                continue
            code = self._codes(s, k)
            row = np.minimum(np.searchsorted(keys, code), len(keys) - 1)
            seen = (since >= k) & (keys[row] == code)
            c = counts[row[seen]]
            p[seen] = (c + self.alpha * p[seen]) / (c.sum(axis=1, keepdims=True) + self.alpha)
        return p

    def surprise(self, symbols):
        """H_t = -Σ_v p(v | past) log p(v | past) [n]: known before the symbol comes."""
        p = self.predict(symbols)
        return -np.sum(p * np.log(p), axis=1)

    def loss(self, symbols, since=None):
        """Mean of -log p of what came, in nats a symbol."""
        return float(-np.mean(np.log(self.predict(symbols, since)[np.arange(len(symbols)), symbols])))


def cut(entropy, *, level=None, jump=None):
    """Places where H_t > level, or where H_t - H_{t-1} > jump, or both if both are given; 0 is always one."""
    h = np.asarray(entropy, dtype=float)
    if h.ndim != 1 or not np.isfinite(h).all():
        raise ValueError(f"entropy must be a finite list; got shape {h.shape}")
    if level is None and jump is None:
        raise ValueError("level or jump must be given; got neither")
    mask = np.ones(len(h), dtype=bool)
    if level is not None:
        mask &= h > number("level", level, "must be a number", lambda v: True)
    if jump is not None:
        mask &= np.diff(h, prepend=h[0]) > number("jump", jump, "must be a number", lambda v: True)
    mask[0] = True
    return np.nonzero(mask)[0]


def strongest(score, count):
    """The `count` places with the largest score, 0 among them; of equal ones the earlier."""
    score = np.array(score, dtype=float)
    whole("count", count, 1)
    if count > len(score):
        raise ValueError(f"count must be at most the {len(score)} places; got {count}")
    score[0] = np.inf
    return np.sort(np.argsort(-score, kind="stable")[:count])


def even(n, count):
    """`count` starts as evenly as whole numbers allow."""
    if not 1 <= count <= n:
        raise ValueError(f"count must lie between 1 and n = {n}; got {count}")
    return np.arange(count) * n // count


def scattered(n, count, rng):
    """`count` starts at random, 0 among them."""
    if not 1 <= count <= n:
        raise ValueError(f"count must lie between 1 and n = {n}; got {count}")
    return np.sort(np.concatenate([[0], 1 + rng.choice(n - 1, size=count - 1, replace=False)]))


def f1(found, truth):
    """Harmonic mean of precision and recall of a set of places, exact hits only."""
    found, truth = set(np.asarray(found).tolist()), set(np.asarray(truth).tolist())
    if not found or not truth:
        raise ValueError("found and truth must not be empty; one is")
    return 2 * len(found & truth) / (len(found) + len(truth))


def since_start(n, starts):
    """How many symbols of its own patch each place has before it [n]."""
    starts = np.asarray(starts)
    if starts[0] != 0 or (np.diff(starts) <= 0).any() or starts[-1] >= n:
        raise ValueError("starts must rise from 0 and stay below n")
    return np.arange(n) - starts[np.searchsorted(starts, np.arange(n), side="right") - 1]
