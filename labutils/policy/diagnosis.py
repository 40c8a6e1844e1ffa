"""What one step of policy gradient does to the entropy, from the tensors that a trainer has at hand.

Page "My run collapses" (when-a-run-collapses). Entropies in nats.
NumPy or torch on any device, in any floating precision; logits are read a few rows at a time.
"""

from dataclasses import dataclass
from typing import Any

import array_api_compat as compat
import numpy as np

from labutils._inputs import finite, number, whole
from labutils.policy.selection import batch_covariance, steer_weight
from labutils.policy.streaming import entropy_and_covariance

QUADRANTS = ("likely, rewarded", "rare, rewarded", "likely, punished", "rare, punished")


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What `diagnose` returns. Arrays have one entry for each of the n tokens that count, in order.

    row, position     where a token stands in the tensors that were given
    token, log_prob, advantage, entropy
    lone              first-order dH of its state for a unit step, -A (S - E_π S): exact if no parameter is
                      shared
    covariance        (log π - mean)(A - mean A), the statistic of Clip-Cov and KL-Cov
    selected          {intervention: bool [n]}, the tokens that it would mask, hold back or keep
    weight            STEER's weights [n]
    numbers           {name: float}, as `print` shows them
    quadrants         {name: (share of tokens, share of their mean dH)}; likely means S > E_π S, that is,
                      that raising the token lowers the entropy of its state
    """

    row: np.ndarray
    position: np.ndarray
    token: np.ndarray
    log_prob: np.ndarray
    advantage: np.ndarray
    entropy: np.ndarray
    lone: np.ndarray
    covariance: np.ndarray
    selected: dict
    weight: np.ndarray
    numbers: dict
    quadrants: dict

    def top(self, count=10, by="covariance"):
        """The `count` tokens of the largest covariance (or of the largest |lone|), as a list of dicts.

        Errors: ValueError when by is neither, or count < 1.
        """
        if by not in ("covariance", "lone"):
            raise ValueError(f"by must be 'covariance' or 'lone'; got {by!r}")
        whole("count", count, 1)
        score = self.covariance if by == "covariance" else np.abs(self.lone)
        names = ("row", "position", "token", "log_prob", "advantage", "entropy", "lone", "covariance")
        return [{name: getattr(self, name)[i].item() for name in names}
                for i in np.argsort(-score, kind="stable")[:count]]

    def __repr__(self):
        lines = [f"{name:<34}{value: .4g}" for name, value in self.numbers.items()]
        lines += ["", f"{'tokens that are':<22}{'share':>8}{'mean dH they bring':>21}"]
        lines += [f"{name:<22}{share:8.1%}{change: 21.3g}" for name, (share, change) in self.quadrants.items()]
        lines += ["", f"{'intervention':<22}{'tokens':>8}{'of these A < 0':>17}{'mean probability':>19}"]
        for name, mask in self.selected.items():
            some = f"{np.mean(self.advantage[mask] < 0):17.1%}{np.exp(self.log_prob[mask]).mean():19.3f}" \
                if mask.any() else ""
            lines.append(f"{name:<22}{mask.sum():8d}{some}")
        return "\n".join(lines)


def diagnose(logits, tokens, advantages, mask=None, old_log_prob=None, after=None, *, temperature=1.0,
             clip=(0.2, 0.2), band=(1.0, 5.0), top=2e-3, share=0.2, deviations=2.5):
    """Entropy, its change, and what each intervention would pick, for one step of GRPO.

    logits        [B, T, V] or [N, V], before each token, as the policy gives them
    tokens        [B, T] or [N], whole numbers: the sampled token
    advantages    [B, T], or [B] for one a sequence, or [N]
    mask          [B, T] or [N], true or 1 for tokens that count (all, if not given)
    old_log_prob  [B, T] or [N], log π of the token when it was sampled: brings the clip and the ratio
    after         logits of the same tokens after the step, shaped as `logits`: brings the real change
    temperature   at which the tokens were sampled; logits are divided by it
    clip          (low, high): the clip holds below 1 - low and above 1 + high
    band, top, share, deviations   knobs of Clip-Cov, KL-Cov, 80/20, Clip_B; the papers' values

    In verl these are `logits` of the response, `responses`, `advantages`, `response_mask` and
    `old_log_probs`; in TRL `logits`, `completion_ids`, `advantages` (one a sequence), `completion_mask` and
    `old_per_token_logps`. In both the logits at a place predict the token at that place (already shifted).

    Returns a `Diagnosis`: print it. numbers has, in nats:

    entropy             mean over the tokens that count
    surprise            mean of -log π: the same in expectation, if they were sampled from this policy
    dH, tokens alone    mean of `lone`, for a step of size 1 along the gradient of mean A log π
    dH, batch statistic minus the mean of `covariance`
    no signal           share of sequences whose advantages are all 0
    clipped low, high   share of tokens; ratio, largest; KL, the mean of log π_old - log π
    dH, real            mean change of the entropy (with `after`), and its first order, -Cov_π(log π, Δz)

    Errors: TypeError for arrays of another kind or of two libraries; ValueError for shapes that do not fit,
    a token out of range, values that are not finite, a mask with no token, knobs out of range.
    Source: chapter "Why entropy falls", steps 2, 5 and 10; papers 001, 094, 119, 000.
    """
    temperature = number("temperature", temperature, "must be > 0", lambda v: v > 0)
    top = number("top", top, "must lie in (0, 1]", lambda v: 0 < v <= 1)
    share = number("share", share, "must lie in (0, 1]", lambda v: 0 < v <= 1)
    deviations = number("deviations", deviations, "must be > 0", lambda v: v > 0)
    low, high = clip
    number("clip", low, "must hold two numbers in [0, 1) and >= 0", lambda v: 0 <= v < 1)
    number("clip", high, "must hold two numbers in [0, 1) and >= 0", lambda v: v >= 0)
    if not band[0] < band[1]:
        raise ValueError(f"band must be (low, high) with low < high; got {band!r}")
    logits, tokens, advantages, mask, old_log_prob, after = _shaped(
        logits, tokens, advantages, mask, old_log_prob, after)

    rows = [_row(logits[i], tokens[i], mask[i], temperature, None if after is None else after[i])
            for i in range(logits.shape[0])]
    H, slope, log_prob, real, first = (np.concatenate([row[j] for row in rows]) for j in range(5))
    row, position = np.nonzero(mask)
    token, A = _numpy(tokens)[mask], advantages[mask]
    finite(advantages=A)
    if not len(A):
        raise ValueError(f"mask must leave at least one token; got shape {mask.shape} with none")

    n, covariance, lone = len(A), batch_covariance(log_prob, A), -A * slope
    S = np.exp(log_prob) * (log_prob + H)
    score = A * (1 - np.exp(log_prob)) * (log_prob + H)
    down = A < 0
    held = np.zeros(n, bool)
    held[np.argsort(-covariance, kind="stable")[: max(int(top * n), 1)]] = True
    forks = np.zeros(n, bool)
    forks[np.argsort(-H, kind="stable")[: int(np.ceil(share * n))]] = True
    selected = {
        "clip-cov, eligible": (covariance > band[0]) & (covariance < band[1]),
        "kl-cov, held back": held,
        "80/20, kept": forks,
        "clip_b, masked": down & (S - S.mean() < -deviations * S.std()),
    }
    numbers = {
        "tokens": float(n), "sequences": float(len(mask)), "entropy": H.mean(), "surprise": -log_prob.mean(),
        "dH, tokens alone": lone.mean(), "dH, batch statistic": -covariance.mean(),
        "no signal": float(np.mean([not advantages[i][mask[i]].any() for i in range(len(mask)) if mask[i].any()])),
    }
    if old_log_prob is not None:
        old = old_log_prob[mask]
        finite(old_log_prob=old)
        ratio = np.exp(log_prob - old)
        numbers |= {"clipped low": np.mean(down & (ratio < 1 - low)), "clipped high": np.mean((A > 0) & (ratio > 1 + high)),
                    "ratio, largest": ratio.max(), "KL": np.mean(old - log_prob)}
        score = score * ratio
    if after is not None:
        numbers |= {"dH, real": real.mean(), "dH, real, first order": first.mean()}
    likely, up = slope > 0, A > 0
    parts = (likely & up, ~likely & up, likely & down, ~likely & down)
    quadrants = {name: (float(np.mean(part)), float(lone[part].sum() / n)) for name, part in zip(QUADRANTS, parts)}
    return Diagnosis(row, position, token, log_prob, A, H, lone, covariance, selected,
                     steer_weight(score), {k: float(v) for k, v in numbers.items()}, quadrants)


def _row(logits, tokens, mask, temperature, after):
    """Entropy, S - E_π S, log π, and with `after` the real and the first-order dH, of a sequence's tokens."""
    if not mask.any():
        return (np.zeros(0),) * 5
    keep = np.flatnonzero(mask)
    xp = compat.array_namespace(logits)
    index = xp.asarray(keep, device=compat.device(logits))
    pick = lambda x: x[index] / temperature if temperature != 1 else x[index]      # noqa: E731
    z, k = pick(logits), tokens[index]
    one = xp.ones(len(keep), dtype=xp.float32, device=compat.device(logits))
    H, slope, log_prob = (_numpy(x).astype(float) for x in entropy_and_covariance(z, one, k))
    if after is None:
        return H, slope, log_prob, H, H
    new, wide = pick(after), xp.promote_types(z.dtype, xp.float32)
    H_new = _numpy(entropy_and_covariance(new, one, k).entropy).astype(float)
    delta = xp.astype(new, wide) - xp.astype(z, wide)
    first = -_numpy(entropy_and_covariance(z, delta, update="natural").covariance).astype(float)
    return H, slope, log_prob, H_new - H, first


def _shaped(logits, tokens, advantages, mask, old_log_prob, after):
    """All arguments with the axes [B, T, ...]; what is small as NumPy, logits and tokens as they are."""
    named = {"logits": logits, "tokens": tokens, "advantages": advantages, "mask": mask,
             "old_log_prob": old_log_prob, "after": after}
    for name, array in named.items():
        if array is None and name not in ("mask", "old_log_prob", "after"):
            raise TypeError(f"{name} must be a NumPy array or a torch tensor; got None")
        if array is not None and not compat.is_array_api_obj(array):
            raise TypeError(f"{name} must be a NumPy array or a torch tensor; got {type(array).__name__}")
    if logits.ndim not in (2, 3):
        raise ValueError(f"logits must be [B, T, V] or [N, V]; got shape {tuple(logits.shape)}")
    lead = tuple(logits.shape[:-1])
    fits = {"tokens": [lead], "advantages": [lead, lead[:1]], "mask": [lead], "old_log_prob": [lead],
            "after": [tuple(logits.shape)]}
    for name, allowed in fits.items():
        if named[name] is not None and tuple(named[name].shape) not in allowed:
            raise ValueError(f"{name} must have the shape {' or '.join(map(str, allowed))}, as logits "
                             f"{tuple(logits.shape)} ask; got {tuple(named[name].shape)}")
    detach = lambda x: x.detach() if hasattr(x, "detach") else x                   # noqa: E731
    logits, tokens, after = detach(logits), detach(tokens), None if after is None else detach(after)
    advantages = _numpy(advantages).astype(float)
    if advantages.ndim < len(lead):
        advantages = np.repeat(advantages[:, None], lead[1], 1)
    mask = np.ones(lead, bool) if mask is None else _numpy(mask)
    if not np.isin(mask, (0, 1)).all():
        raise ValueError(f"mask must hold 0 and 1 (or booleans) only; got {mask[~np.isin(mask, (0, 1))][0]}")
    mask = mask.astype(bool)
    old_log_prob = None if old_log_prob is None else _numpy(old_log_prob).astype(float)
    if logits.ndim == 2:
        wrap = lambda x: None if x is None else x[None]                            # noqa: E731
        return tuple(wrap(x) for x in (logits, tokens, advantages, mask, old_log_prob, after))
    return logits, tokens, advantages, mask, old_log_prob, after


def _numpy(array) -> Any:
    if hasattr(array, "detach"):
        array = array.detach().cpu()
        return array.float().numpy() if array.is_floating_point() and array.itemsize < 4 else array.numpy()
    return np.asarray(array)
