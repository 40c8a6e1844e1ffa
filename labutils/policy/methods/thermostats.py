"""Methods that hold entropy at a set point. Chapter "Holding entropy at a set point".

π^T is the policy at temperature T, ∝ π^(1/T). Entropies in nats a token.
"""

import math
from dataclasses import dataclass

from labutils.policy.harness import Method, spread


@dataclass
class ArbitraryEntropy(Method):
    """∇J = ∇J_GRPO + alpha · E_{o~π^T}[∇log π(o) R(o)], T warm below the target and cool above it.

    A quarter of the prompts is asked again at T, and each token of these answers weighs alpha R as much as
    one of the batch with A = 1, under the same clip of ρ: so a quarter of alpha stands before the mean, if
    answers are as long. Paper 006 (there "AEPO"), with T = 1.2 or 0.8; in its code such answers replace some
    of the batch.
    """

    target: float = 0.5
    alpha: float = 1.0
    warm: float = 1.2
    cool: float = 0.8

    rules = {"target": ">= 0", "alpha": ">= 0", "warm": "> 0", "cool": "> 0"}

    def more(self, run, batch):
        H = batch.mean(batch.entropy)
        T = batch.xp.where(H < self.target, self.warm + 0.0 * H, self.cool)
        again = batch.prompts[..., :: batch.group]
        extra = run.ask(again[..., : max(again.shape[-1] // 4, 1)], temperature=T, use="at temperature")
        extra.reward = extra.right
        extra.advantage = spread(extra, self.alpha * extra.reward)
        return [extra]


@dataclass
class Dcpo(Method):
    """A ← (1 - a) A + a R π^T/π at the sampled token: the same pull without asking again. Paper 073.

    a = x / (1 + x), x = min(|target - H|, 0.1) / (share of right answers); T is warm where H <= target and
    cool above, H the mean entropy of the batch when drawn. The paper's best target is 0.25.
    """

    target: float = 0.5
    warm: float = 1.2
    cool: float = 0.8

    rules = {"target": ">= 0", "warm": "> 0", "cool": "> 0"}

    def advantage(self, run, batch):
        xp, H = batch.xp, batch.mean(batch.entropy)
        T = xp.where(H <= self.target, self.warm + 0.0 * H, self.cool)
        tempered = batch.log_prob / T - xp.log(xp.sum(xp.exp(batch.log_pi / T[..., None]), axis=-1))
        rho = xp.exp(tempered - batch.log_prob)
        right = xp.mean(batch.reward, axis=-1)[..., None, None]
        gap = xp.abs(self.target - H)
        x = xp.minimum(gap, 0.1 + 0.0 * gap) / xp.maximum(right, 1e-6 + 0.0 * right)
        a = x / (1 + x)
        return (1 - a) * super().advantage(run, batch) + a * spread(batch, batch.reward) * rho


@dataclass
class EntropyCorridor(Method):
    """J = J_GRPO + lambda (mean H - β_k · mean alpha P): a bonus with a fence around its history.

    P = [left · H̄ - H]₊ + [H - right · H̄]₊ at each token, H̄ the mean of the past steps, β_k falls from 2
    to 1. Net multiple of ∇H: lambda (1 + βα) below the corridor, lambda inside, lambda (1 - βα) above.
    At the first step there is no history and no fence. Paper 013 (EPO), with lambda 0.001.

    bonus      lambda;  left, right  the corridor, in multiples of H̄
    released   the penalty as in the code released with the paper, alpha outside the corridor and 0
               inside: a constant, whose gradient is 0
    """

    bonus: float = 0.03
    alpha: float = 0.1
    left: float = 0.0
    right: float = 2.0
    released: bool = False

    rules = {"bonus": "finite", "alpha": ">= 0", "left": ">= 0", "right": "[0, inf]"}

    def __post_init__(self):
        super().__post_init__()
        if not self.left <= self.right:
            raise ValueError(f"left must be <= right = {self.right}; got {self.left}")

    def extra(self, run, batch, now):
        xp, past = batch.xp, run.memory.get("entropies", [])
        if not past or self.released:
            return 0.0, self.bonus
        mean = sum(past) / len(past)
        push = xp.astype(now.entropy < self.left * mean, now.entropy.dtype) \
            - xp.astype(now.entropy > self.right * mean, now.entropy.dtype)
        return 0.0, self.bonus * (1 + self.beta(run) * self.alpha * push)

    def beta(self, run):
        """β_k = 1 + exp(-k / (K/2)): twice the fence at the start."""
        return 1 + math.exp(-run.step / max(run.loop.steps // 2, 1))

    def after(self, run, batch):
        run.memory.setdefault("entropies", []).append(batch.mean(batch.entropy))
