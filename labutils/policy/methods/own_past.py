"""Methods that learn from their own votes or their own past. Chapter "Learning from votes and one's past".

Entropies in nats.
"""

import math
from dataclasses import dataclass, fields

import array_api_compat as compat

from labutils.policy.harness import Method, Batch, group_advantage, spread, take_answers
from labutils.policy.methods.tokens import ClipCov


def vote(batch):
    """1 for the answers whose claim is the most frequent of their group (of equals, the lowest), [..., N]."""
    xp, claim = batch.xp, batch.grouped(batch.claim)
    support = xp.sum(xp.astype(claim[..., :, None] == claim[..., None, :], xp.int64), axis=-1)
    best = xp.max(support, axis=-1, keepdims=True)
    far = xp.max(claim, axis=-1, keepdims=True) + 1
    winner = xp.min(xp.where(support == best, claim, far), axis=-1, keepdims=True)
    return batch.flat(xp.astype(claim == winner, batch.live.dtype))


@dataclass
class MajorityVote(Method):
    """R = 1 where the answer agrees with the vote of its group; the verifier is not asked. TTRL.

    A malformed answer votes too, for what `claim` holds in its place.
    """

    def reward(self, run, batch):
        return vote(batch)


def otsu(xp, values, mask):
    """The threshold of largest variance between two classes, n0 n1 (mean0 - mean1)², of each row: [...].

    values, mask [..., T] (1 where a value counts). All splits are tried; the threshold is the least value of
    the upper class, so that `values >= threshold` is that class. Rows of equal values: that value.
    Source: Otsu 1979; paper 106 tries 100 equal steps instead.
    """
    order = xp.argsort(xp.where(mask > 0, -values, xp.inf * xp.ones_like(values)), axis=-1, stable=True)
    x, m = (xp.take_along_axis(v, order, axis=-1) for v in (values * mask, mask))    # descending
    n1, s1 = xp.cumulative_sum(m, axis=-1), xp.cumulative_sum(x, axis=-1)
    n, s = n1[..., -1:], s1[..., -1:]
    one = xp.ones_like(n1)
    gap = s1 / xp.maximum(n1, one) - (s - s1) / xp.maximum(n - n1, one)
    spread = xp.where((m > 0) & (n1 < n), n1 * (n - n1) * gap**2, -one)
    best = xp.argmax(spread, axis=-1, keepdims=True)
    return xp.take_along_axis(x, best, axis=-1)[..., 0]


def robust_band(batch, H, where):
    """(lower, upper) = median ∓ 1.4826 MAD of H over a mask, lower at least 0; each [..., 1, 1]."""
    xp = batch.xp

    def median(x):
        inside = xp.where(where > 0, x, xp.inf * xp.ones_like(x))
        count = xp.sum(xp.astype(where > 0, xp.int64), axis=(-2, -1))[..., None]
        return middle(xp, xp.reshape(inside, (*x.shape[:-2], -1)), count)[..., None]

    centre = median(H)
    s = 1.4826 * median(xp.abs(H - centre))
    return xp.maximum(centre - s, xp.zeros_like(s)), centre + s


@dataclass
class Spine(Method):
    """Votes, and only the forks of each answer learn: H at or above Otsu's threshold of that answer.

    Fork entropies are held in a band, median ∓ 1.4826 MAD of the batch: the entropy of a fork is pushed up
    with `below` under the band and down with `above` over it. Forks and band are of the entropies when drawn,
    the push asks for the entropy of now. Paper 106; its KL term is left out.

    labels   True asks the verifier instead of the vote
    """

    below: float = 0.03
    above: float = 0.03
    labels: bool = False

    rules = {"below": ">= 0", "above": ">= 0"}

    def reward(self, run, batch):
        return batch.right if self.labels else vote(batch)

    def forks(self, batch):
        """1 on the forks, by the entropies when drawn: [..., N, T]."""
        threshold = otsu(batch.xp, batch.entropy, batch.live)[..., None]
        return batch.xp.astype(batch.entropy >= threshold, batch.live.dtype) * batch.live

    def weights(self, run, batch, now):
        return self.forks(batch)

    def extra(self, run, batch, now):
        xp, forks = batch.xp, self.forks(batch)
        lower, upper = robust_band(batch, batch.entropy, forks)
        push = self.below * xp.astype(now.entropy < lower, forks.dtype) \
            - self.above * xp.astype(now.entropy > upper, forks.dtype)
        return 0.0, forks * push


@dataclass
class Spear(ClipCov):
    """GRPO and Clip-Cov, and a replay of one's own successes, weighed γ = (1 - cos(πt/warm))/2, then 1.

    Answers of advantage above `entry` stay for `age` steps; when replayed their advantage is R less the
    median of the mean rewards of groups in the last `age` steps, kept where positive. Each replayed token
    weighs γ as much as one of the batch. Paper 029 without its reward for tools; it has warm 200, clips
    2 % of the tokens between 1 and 40, and does not divide by the standard deviation (`entry` does, here).
    """

    warm: int = 100
    age: int = 10
    entry: float = 1.0
    replayed: int = 64

    rules = {"warm": "whole >= 1", "age": "whole >= 1", "entry": "finite", "replayed": "whole >= 1"}

    def more(self, run, batch):
        memory, xp = run.memory, batch.xp
        rewards = memory.setdefault("rewards", [])
        rewards.append(xp.mean(batch.grouped(batch.reward), axis=-1))
        del rewards[: -self.age]
        baseline = middle(xp, xp.concat(rewards, axis=-1))
        good = group_advantage(batch, batch.reward) > self.entry
        past = memory.setdefault("past", [])
        again = [self.replay(run, xp, past, baseline)] if past else []
        past.append((batch, xp.astype(good, batch.live.dtype)))
        del past[: -self.age]
        return again

    def replay(self, run, xp, past, baseline):
        """`replayed` answers by lot among those that were kept (fewer: the rest are empty), with advantages
        of today."""
        kept = xp.concat([good for _, good in past], axis=-1)
        runs = kept.ndim - 1
        whole = {}
        for item in fields(Batch):
            values = [getattr(b, item.name) for b, _ in past]
            arrays = compat.is_array_api_obj(values[0])
            whole[item.name] = xp.concat(values, axis=runs) if arrays else values[0]
        lots = kept * (1 + run.uniform(kept.shape[-1], use="replay"))
        rows = xp.argsort(lots, axis=-1, descending=True, stable=True)[..., : self.replayed]
        again = take_answers(Batch(**whole), rows)
        some = xp.take_along_axis(kept, rows, axis=-1)[..., None]
        again.live, again.learn = again.live * some, again.learn * some
        A = xp.maximum(again.reward - baseline, xp.zeros_like(again.reward))
        again.advantage = spread(again, self.pull(run) * A)
        return again

    def pull(self, run):
        """γ(t) of the replay."""
        return (1 - math.cos(math.pi * run.step / self.warm)) / 2 if run.step < self.warm else 1.0


def middle(xp, values, count=None):
    """Median of the last axis, or of its `count` [..., 1] smallest: [..., 1]."""
    ordered = xp.sort(values, axis=-1)
    if count is None:
        count = xp.full_like(xp.astype(ordered[..., :1], xp.int64), values.shape[-1])
    low, high = (xp.take_along_axis(ordered, i, axis=-1) for i in ((count - 1) // 2, count // 2))
    return (low + high) / 2
