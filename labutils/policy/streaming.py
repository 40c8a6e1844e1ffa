"""Entropy and its covariance with an update, for the [tokens, vocabulary] logits of real models.

Chapter "Why entropy falls" (policy/why-entropy-falls), which derives the formulas. In nats.
NumPy arrays and torch tensors on any device, in float32 or better, without gradients.
"""

import math
import operator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import array_api_compat as compat
import numpy as np

from labutils._inputs import namespace

UPDATES = ("policy_gradient", "natural")

# 2**-1200 is exactly 0 in float64 and below, so raising a logit of -inf to 1200 bits below the
# largest one changes no probability, and turns the undefined 0 * -inf into 0 * -1200 = 0.
ZERO_PROBABILITY_BITS = -1200.0

# Bytes of all working buffers together. On a CPU, for each thread: a core's share of the caches.
# On a GPU: what large cards keep in L2, used where the card does not report its own figure.
CPU_BYTES_PER_THREAD = 2**22
GPU_BYTES = 2**25


class EntropyCovariance(NamedTuple):
    """What `entropy_and_covariance` returns: one value for each row of logits, in nats."""

    entropy: Any
    covariance: Any
    log_prob: Any  # None where no token was sampled


def entropy_and_covariance(
    logits, advantages, tokens=None, *, update="policy_gradient", chunk=None
):
    """Entropy H(π) of each row and its covariance with the update that the advantages ask for.

    For π = softmax(z), a small step z + ηΔz changes the entropy by

        ΔH = -η Cov_π(log π, Δz) + O(η²).

    The advantages say what Δz is. With sampled `tokens` k, and S_k = π_k (log π_k + H):

        policy_gradient    Δz = A (e_k - π)      Cov = A (S_k - E_π S)
        natural            Δz = A e_k / π_k      Cov = A (log π_k + H)

    With an advantage for every token of the vocabulary (no `tokens`), Δz is the average of those
    steps over k drawn from π, apart from a constant, and so is the covariance:

        policy_gradient    Δz = π (A - E_π A)    Cov = Cov_π(log π, π (A - E_π A))
        natural            Δz = A                Cov = Cov_π(log π, A)

    The usual form keeps probabilities, log-probabilities and their products for all tokens at
    once, and spends its time moving them through memory. This one takes a few rows at a time,
    few enough to stay in cache, through two or three buffers that it overwrites in place. With
    torch on a CPU, each of its threads (torch.get_num_threads()) takes rows of its own.

    logits      [..., V], floating point; V is the vocabulary. -inf masks a token: probability 0,
                and 0 log 0 = 0
    advantages  [...] with tokens, else [..., V]; finite real numbers
    tokens      whole numbers [...] in 0..V-1, the sampled k; optional
    update      "policy_gradient" or "natural"
    chunk       rows taken at a time, by each thread; optional. Changes time, memory, rounding

    Returns (entropy, covariance, log_prob), a named tuple of arrays of shape [...], in nats (the
    covariance in nats times the unit of A); float64 for float64 logits, float32 for all others,
    which are raised chunk by chunk. log_prob is log π_k, or None without tokens.

    Memory: beside the results, at most 1/8 of the bytes of the logits, but one row for each
    buffer at least (so the bound begins at 20 rows with tokens and 30 without; twice that for
    half precision). A `chunk` of your own may exceed it. A view such as logits[:, :-1] is not
    copied.
    Gradients: none, since the buffers are overwritten. Tensors that require them are refused
    unless gradients are off (torch.no_grad()) or cut (.detach()). To differentiate an entropy,
    use `labutils.policy.entropy`.

    Errors: TypeError for other than NumPy arrays or torch tensors of one library, logits that are
    not floating point, advantages that are not real, tokens or a chunk that are not whole
    numbers. ValueError for rows of logits with NaN, +inf or only -inf; advantages not finite;
    shapes or devices that do not match; a token out of range; a chunk below 1; an unknown update;
    a sampled token of probability 0 with the natural update, whose step is infinite; tensors
    that require gradients.
    Source: chapter "Why entropy falls"; paper 094 (sampled tokens), paper 001 (all tokens).
    """
    xp = _checked(logits, advantages, tokens, update)
    lead, vocabulary = tuple(logits.shape[:-1]), logits.shape[-1]
    count = math.prod(lead)
    dtype = xp.promote_types(logits.dtype, xp.float32)
    buffers = 2 if tokens is not None else 3
    bytes_per_row = buffers * dtype.itemsize * vocabulary
    threads, chunk = _threads_and_rows(xp, logits, count, bytes_per_row, chunk)

    def empty(*shape):
        return xp.empty(shape, dtype=dtype, device=logits.device)

    entropy, covariance, log_prob = empty(count), empty(count), empty(count)

    def work(chunks):
        own = [empty(chunk, vocabulary) for _ in range(buffers)]
        for at, z, A, k in chunks:
            buffer = [b[: len(z)] for b in own]
            if tokens is None:
                entropy[at], covariance[at] = _all_tokens(xp, z, A, update, *buffer)
            else:
                entropy[at], covariance[at], log_prob[at] = _sampled(xp, z, A, k, update, *buffer)

    # A row that is not finite makes its own results NaN. It is reported once, at the end:
    # asking after every chunk would make a GPU wait.
    chunks = _chunks(xp, logits, advantages, tokens, chunk)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        if threads == 1:
            work(chunks)
        else:
            chunks = list(chunks)
            _in_threads(xp, work, [chunks[first::threads] for first in range(threads)])

    _report_bad_rows(xp, logits, advantages, tokens, entropy, covariance)
    log_prob = None if tokens is None else log_prob.reshape(lead)
    return EntropyCovariance(entropy.reshape(lead), covariance.reshape(lead), log_prob)


def _sampled(xp, z, A, k, update, w, wx):
    """Entropy, covariance and log π_k, each [n], of logits z [n, V] with A [n] and k [n]."""
    entropy, Z, mean_x, largest = _start(xp, z, w, wx)
    rows = xp.arange(len(z), device=z.device)
    log_prob = xp.asarray(z[rows, k], dtype=w.dtype) - largest - xp.log(Z)
    if update == "natural":
        return entropy, A * (log_prob + entropy), log_prob

    S_k = (wx[rows, k] - mean_x * w[rows, k]) / Z
    wx *= w
    w *= w
    mean_S = (wx.sum(-1) - mean_x * w.sum(-1)) / Z**2
    return entropy, A * (S_k - mean_S) * math.log(2), log_prob


def _all_tokens(xp, z, A, update, w, wx, a):
    """Entropy and covariance, each [n], of logits z [n, V] with advantages A [n, V]."""
    entropy, Z, mean_x, _ = _start(xp, z, w, wx)
    a[...] = A
    a *= w
    mean_A = a.sum(-1) / Z
    a[...] = A
    a -= mean_A[:, None]

    scale = Z
    if update == "policy_gradient":  # one more factor π
        wx *= w
        w *= w
        scale = Z**2
    wx *= a
    w *= a
    return entropy, (wx.sum(-1) - mean_x * w.sum(-1)) / scale * math.log(2)


def _start(xp, z, w, wx):
    """Fill w and wx; return H in nats, Z = Σ w, E_π[x] and max z, each [n].

    With x = (z - max z) / log 2 and w = 2**x, the probabilities are π = w/Z, and log π differs
    from x log 2 by a constant that no covariance sees. Nothing overflows, since 0 <= w <= 1, and
    nothing cancels in H = log Z - E_π[x] log 2, since Z >= 1 and x <= 0. Powers of 2 because
    processors take them two or three times as fast as powers of e.
    """
    x = wx
    if z.dtype != x.dtype:
        x[...] = z
        z = x
    largest = xp.amax(z, -1)
    xp.subtract(z, largest[:, None], out=x)
    x *= 1 / math.log(2)
    xp.clip(x, ZERO_PROBABILITY_BITS, 0.0, out=x)
    xp.exp2(x, out=w)
    wx *= w
    Z = w.sum(-1)
    mean_x = wx.sum(-1) / Z
    return xp.log(Z) - mean_x * math.log(2), Z, mean_x, largest


def _chunks(xp, logits, advantages, tokens, chunk):
    """Yield (place in the results, z [n, V], A, k) for at most n = chunk rows, copying no logits.

    Contiguous arrays are one matrix; of others, the leading axes are walked instead of merged.
    """
    vocabulary = logits.shape[-1]
    if logits.ndim == 1:
        logits = logits[None]
        advantages = advantages[None] if tokens is None else advantages
    if _contiguous(logits) and (tokens is not None or _contiguous(advantages)):
        logits = logits.reshape(-1, vocabulary)
        advantages = advantages.reshape(-1, vocabulary) if tokens is None else advantages
    if tokens is not None:
        advantages = advantages.reshape(-1)
        tokens = xp.asarray(tokens.reshape(-1), dtype=xp.int64)
    end = 0
    for lead in np.ndindex(tuple(logits.shape[:-2])):
        matrix = logits[lead]
        for row in range(0, len(matrix), chunk):
            z = matrix[row : row + chunk]
            at = slice(end, end + len(z))
            end = at.stop
            if tokens is None:
                yield at, z, advantages[lead][row : row + chunk], None
            else:
                yield at, z, advantages[at], tokens[at]


def _contiguous(array):
    return array.flags.c_contiguous if compat.is_numpy_array(array) else array.is_contiguous()


def _in_threads(torch, work, shares):
    """work(share) for each share in a thread of its own, every torch operation on one thread.

    Threads that share the rows meet once. Left to itself, torch shares each small operation among
    its threads instead, and they would wait for each other thousands of times.
    """
    threads, inference = torch.get_num_threads(), torch.is_inference_mode_enabled()

    def alone(share):
        torch.set_num_threads(1)
        with torch.inference_mode(inference), torch.no_grad():
            work(share)

    try:
        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(alone, shares))
    finally:
        torch.set_num_threads(threads)


def _threads_and_rows(xp, logits, count, bytes_per_row, chunk):
    """How many threads share the rows, and the rows that each of them takes at a time.

    All buffers together stay in cache, and within 1/10 of the bytes of the logits: the difference
    to the promised 1/8 is for what the libraries themselves set aside.
    """
    threads, cache = 1, CPU_BYTES_PER_THREAD
    if xp is not np and logits.device.type == "cpu":
        threads = xp.get_num_threads()
    elif xp is not np:
        card = xp.cuda.get_device_properties(logits.device) if logits.is_cuda else None
        cache = getattr(card, "L2_cache_size", 0) or GPU_BYTES
    if chunk is None:
        tenth = count * logits.shape[-1] * logits.dtype.itemsize // 10
        threads = max(1, min(threads, tenth // bytes_per_row))
        rows = max(1, min(cache, tenth // threads) // bytes_per_row)
    else:
        try:
            rows = operator.index(chunk)
        except TypeError:
            raise TypeError(f"chunk must be a whole number; got {chunk!r}") from None
        if rows < 1:
            raise ValueError(f"chunk must be at least 1 row; got {rows}")
        rows = max(1, min(rows, count))
    small = count * bytes_per_row <= CPU_BYTES_PER_THREAD  # done before a thread has started
    return 1 if small else min(threads, -(-count // rows)), rows


def _checked(logits, advantages, tokens, update):
    """NumPy or torch itself, once the arguments obey every rule that needs no pass over logits.

    The library itself, since the array standard has no `out=`; the names used here are in both.
    """
    if update not in UPDATES:
        raise ValueError(f"update must be one of {' or '.join(UPDATES)}; got {update!r}")
    standard = namespace(logits=logits)
    if logits.ndim < 1 or logits.shape[-1] < 1:
        raise ValueError(f"logits must have shape [..., V], V >= 1; got {list(logits.shape)}")

    lead = list(logits.shape[:-1])
    given = {"advantages": (advantages, ("integral", "real floating"), "real numbers")}
    if tokens is None:
        expected = [*lead, logits.shape[-1]]
    else:
        expected = lead
        given["tokens"] = (tokens, "integral", "whole numbers")
    for name, (array, kind, words) in given.items():
        library = compat.is_array_api_obj(array) and compat.array_namespace(array)
        if library is not standard:
            found, like = type(array).__name__, type(logits).__name__
            raise TypeError(f"{name} must come from the library of logits ({like}); got {found}")
        if not standard.isdtype(array.dtype, kind):
            raise TypeError(f"{name} must hold {words}; got dtype {array.dtype}")
        if list(array.shape) != expected:
            without = "without" if tokens is None else "with"
            raise ValueError(
                f"{name} must have shape {expected} ({without} sampled tokens); "
                f"got {list(array.shape)}"
            )
        if array.device != logits.device:
            raise ValueError(f"{name} must be on {logits.device}, as logits; got {array.device}")

    if tokens is not None:
        outside = (tokens < 0) | (tokens >= logits.shape[-1])
        if bool(outside.any()):
            bad = int(tokens[outside][0])
            raise ValueError(f"tokens must lie in 0..{logits.shape[-1] - 1}; got {bad}")
    if compat.is_numpy_array(logits):
        return np

    import torch

    for name, array in (("logits", logits), ("advantages", advantages)):
        if array.requires_grad and torch.is_grad_enabled():
            raise ValueError(
                f"{name} must not require gradients, none are computed here: detach them or use "
                "torch.no_grad(); got requires_grad=True"
            )
    return torch


def _report_bad_rows(xp, logits, advantages, tokens, entropy, covariance):
    bad = ~(xp.isfinite(entropy) & xp.isfinite(covariance))
    if not bool(bad.any()):
        return
    row = int(bad.nonzero()[0][0])
    lead = np.unravel_index(row, tuple(logits.shape[:-1]))
    z, A = logits[lead], advantages[lead]
    if not bool(xp.isfinite(entropy[row])):
        found = "NaN" if bool(xp.isnan(z).any()) else "inf" if bool((z > 0).any()) else "only -inf"
        raise ValueError(f"logits must be finite, or -inf to mask; got {found} in row {row}")
    if not bool(xp.isfinite(A).all()):
        found = float(A[~xp.isfinite(A)][0])
        raise ValueError(f"advantages must be finite; got {found} in row {row}")
    if tokens is not None and not bool(xp.isfinite(z[tokens[lead]])):
        token = int(tokens[lead])
        raise ValueError(
            f"tokens must have probability > 0 for the natural update; got {token} in row {row}"
        )
    found = float(abs(A).max())
    raise ValueError(f"advantages must not overflow the covariance; got {found} in row {row}")
