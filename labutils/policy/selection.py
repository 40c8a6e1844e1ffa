"""Which tokens of a batch the entropy interventions select, and the scores by which they do.

Chapters "Why entropy falls" (policy/why-entropy-falls), steps 5 and 10, and "Which tokens carry it"
(policy/which-tokens). Scores in nats per unit of advantage. NumPy or torch; the last axis holds the tokens of one batch (or the actions).
"""

import math

import array_api_compat as compat
import numpy as np

from labutils._inputs import broadcast, chosen, finite, logits_namespace, namespace, number
from labutils.policy.softmax import _entropy, _factor, _log_softmax


def batch_covariance(log_prob, advantage):
    """c_i = (log π_i - mean log π)(A_i - mean A), one number a sampled token, shape [..., N].

    The means run over the N tokens of the batch, so tokens of different states and prompts are
    compared with one another. A real log-probability is at most 0.

    Errors: TypeError for other than floating arrays; ValueError for shapes, NaN, positive log_prob.
    Source: step 10 of the chapter; paper 001.
    """
    xp = namespace(log_prob=log_prob, advantage=advantage)
    shape = broadcast(log_prob=log_prob, advantage=advantage)
    if not shape or shape[-1] < 1:
        raise ValueError(f"log_prob must have the tokens on the last axis; got shape {shape}")
    finite(log_prob=log_prob, advantage=advantage)
    if bool((log_prob > 0).any()):
        largest = float(xp.max(log_prob))
        raise ValueError(f"log_prob must be <= 0, the log of a probability; got {largest}")
    spread = log_prob - xp.mean(log_prob, axis=-1, keepdims=True)
    return spread * (advantage - xp.mean(advantage, axis=-1, keepdims=True))


def clip_cov_mask(covariance, fraction=2e-4, low=1.0, high=5.0, *, rng):
    """True for the tokens whose gradient Clip-Cov removes, shape of `covariance`.

    Of the tokens with low < c < high it draws floor(fraction * N) without replacement (at least
    one, as the released code does; all, where fewer are eligible).

    covariance  numbers from `batch_covariance`, of any shape: the N tokens of one batch
    rng         a NumPy Generator, which makes the draw
    Errors: ValueError when fraction is outside 0..1, low >= high, or a value is not finite.
    Source: step 10 of the chapter; paper 001, whose defaults are kept.
    """
    xp = namespace(covariance=covariance)
    finite(covariance=covariance)
    fraction = _fraction(fraction)
    if not low < high:
        raise ValueError(f"low must be less than high; got low={low!r}, high={high!r}")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator; got {type(rng).__name__}")
    flat = xp.reshape(covariance, (-1,))
    eligible = xp.nonzero((flat > low) & (flat < high))[0]
    count = min(max(int(fraction * flat.shape[0]), 1), eligible.shape[0])
    drawn = rng.choice(eligible.shape[0], size=count, replace=False) if count else np.zeros(0, int)
    mask = xp.zeros_like(flat, dtype=xp.bool)
    mask[eligible[xp.asarray(drawn, device=compat.device(flat))]] = True
    return xp.reshape(mask, covariance.shape)


def kl_cov_mask(covariance, fraction=2e-3):
    """True for the tokens that KL-Cov holds back: the top floor(fraction * N), at least one.

    covariance  numbers from `batch_covariance`, of any shape: the N tokens of one batch
    Errors: ValueError when fraction is outside 0..1, the batch is empty, or a value is not finite.
    Source: step 10 of the chapter; paper 001, whose default for its 7B model is kept: 0.2 %, that
    is fraction=0.002 (its 32B model: 0.0002).
    """
    xp = namespace(covariance=covariance)
    finite(covariance=covariance)
    fraction = _fraction(fraction)
    flat = xp.reshape(covariance, (-1,))
    if flat.shape[0] == 0:
        raise ValueError(f"covariance must not be empty; got shape {tuple(covariance.shape)}")
    order = xp.argsort(flat, descending=True, stable=True)
    mask = xp.zeros_like(flat, dtype=xp.bool)
    mask[order[: max(int(fraction * flat.shape[0]), 1)]] = True
    return xp.reshape(mask, covariance.shape)


def steer_score(logits, token, advantage, old_log_prob=None, signed=False):
    """STEER's estimate of a token's entropy change, |A/π_old · π_k (1 - π_k)(log π_k + H)|, [...].

    logits        [..., V];  token  whole numbers [...];  advantage  number or array [...]
    old_log_prob  log π_old of the token when it was sampled; the policy itself if not given
    signed        True leaves the absolute value away; the estimate of dH is then minus the score

    The released code also clamps π and π_old to at least 1e-8; here nothing is clamped.
    Errors: as `sampled_token_change`; ValueError when old_log_prob is positive.
    Source: step 5 of the chapter; paper 000.
    """
    xp = logits_namespace(logits)
    log_pi = _log_softmax(xp, logits)
    own = xp.take_along_axis(log_pi, chosen(xp, logits, token), axis=-1)[..., 0]
    ratio = 1.0
    if old_log_prob is not None:
        old = _factor(xp, "old_log_prob", old_log_prob, own)
        if bool(xp.any(xp.asarray(old > 0))):
            largest = float(xp.max(xp.asarray(old)))
            raise ValueError(f"old_log_prob must be <= 0, the log of a probability; got {largest}")
        ratio = xp.exp(own - old)
    score = _factor(xp, "advantage", advantage, own) * ratio * -xp.expm1(own)
    score = score * (own + _entropy(xp, log_pi))
    return score if signed else xp.abs(score)


def steer_weight(score, minimum=0.8, floor=0.02):
    """STEER's weight of each token's loss, minimum ** (|score| / max(largest |score|, floor)).

    The token with the largest score gets `minimum`, a token with score 0 gets 1.

    score  numbers from `steer_score`, of any shape: the tokens of one batch
    Errors: ValueError when minimum is outside (0, 1], floor <= 0, or a score is not finite.
    Source: paper 000 (the exponential form; 0.8 and 0.02 are the released values).
    """
    xp = namespace(score=score)
    finite(score=score)
    minimum = number("minimum", minimum, "must lie in (0, 1]", lambda v: 0 < v <= 1)
    floor = number("floor", floor, "must be > 0", lambda v: v > 0)
    size = xp.abs(score)
    return minimum ** (size / max(float(xp.max(size)), floor))


def top_share(score, values, share):
    """w(ρ), the part of Σ values that the ceil(ρ n) tokens of highest score hold, [...], 0 to 1.

    score, values  [..., n] of one shape, values >= 0 with a positive sum;  share  ρ in (0, 1]
    Ties: earlier first. Increasing in ρ; concave too, and so never below ρ, where score ranks the
    tokens as values does.
    Errors: TypeError for other than floating arrays; ValueError for shapes, NaN, negative values,
    values that are all 0, or a share outside (0, 1].    Source: chapter "Which tokens carry it", step 1.
    """
    xp = namespace(score=score, values=values)
    if score.shape != values.shape or score.ndim < 1 or score.shape[-1] < 1:
        raise ValueError(f"score and values must have one shape, the tokens on the last axis; "
                         f"got {tuple(score.shape)} and {tuple(values.shape)}")
    finite(score=score, values=values)
    if bool((values < 0).any()):
        raise ValueError(f"values must be >= 0; got {float(xp.min(values))}")
    total = xp.sum(values, axis=-1)
    if bool((total <= 0).any()):
        raise ValueError("values must have a positive sum; got only zeros")
    share = number("share", share, "must lie in (0, 1]", lambda v: 0 < v <= 1)
    count = math.ceil(share * score.shape[-1] - 1e-9)           # 0.55 * 100 is a little more than 55
    ranked = xp.take_along_axis(values, xp.argsort(score, axis=-1, descending=True, stable=True), axis=-1)
    return xp.sum(ranked[..., :count], axis=-1) / total


def _fraction(fraction):
    return number("fraction", fraction, "must lie in (0, 1]", lambda v: 0 < v <= 1)
