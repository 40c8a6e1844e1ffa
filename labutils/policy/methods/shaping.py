"""Methods that shape the advantage, the reward or the choice of prompts.

Chapter "Shaping the advantage and the reward". Entropies in nats. H̃ is an entropy scaled to 0..1.
"""

from dataclasses import dataclass

import array_api_compat as compat

from labutils.policy.harness import Method, highest, masked_mean, spread


def sigmoid(xp, x):
    """1 / (1 + exp(-x)), by way of tanh, which does not overflow."""
    return (1 + xp.tanh(x / 2)) / 2


@dataclass
class Empg(Method):
    """A g(H_t) + zeta f(H_{t+1}): certain steps learn more, and so do steps that lead to certainty.

    g = exp(-k H̃_t) / its mean, f = exp(-k H̃_{t+1}), 0 for the last token; then centred over the batch.
    H̃ = (H - min) / (max - min) over the batch when drawn, 0 where all are equal. Paper 019, whose steps are
    turns of an agent; here a step is a token.
    """

    k: float = 1.0
    zeta: float = 0.05

    rules = {"k": "finite", "zeta": "finite"}

    def advantage(self, run, batch):
        xp, H, live = batch.xp, batch.entropy, batch.live
        low = xp.min(xp.where(live > 0, H, xp.inf * xp.ones_like(H)), axis=(-2, -1), keepdims=True)
        high = xp.max(xp.where(live > 0, H, -xp.inf * xp.ones_like(H)), axis=(-2, -1), keepdims=True)
        width = high - low
        decay = xp.exp(-self.k * (H - low) * live / xp.where(width > 0, width, xp.ones_like(width)))
        clear = xp.concat([decay[..., 1:] * live[..., 1:], xp.zeros_like(decay[..., :1])], axis=-1)
        A = super().advantage(run, batch) * decay / batch.mean(decay) + self.zeta * clear
        return (A - batch.mean(A)) * live


@dataclass
class Canon(Method):
    """Each group in two halves by mean entropy: R against the other half (share mu) and its own half.

    A = mu (R - mean of the other half) + (1 - mu)(R - mean of its own), over the standard deviation of the
    group; mu = 1/2 is GRPO. Paper 025, which does not divide (standard=False). Ties: earlier is lower.
    """

    mu: float = 1.0

    rules = {"mu": "[0, 1]"}

    def advantage(self, run, batch):
        if batch.group % 2:
            raise ValueError(f"group must be even, to be halved; got {batch.group}")
        xp, half = batch.xp, batch.group // 2
        R, metric = batch.grouped(batch.reward), batch.grouped(batch.answers(batch.entropy))
        rank = xp.argsort(xp.argsort(metric, axis=-1, stable=True), axis=-1, stable=True)
        upper = xp.astype(rank >= half, R.dtype)
        high = xp.sum(upper * R, axis=-1, keepdims=True) / half
        low = xp.sum((1 - upper) * R, axis=-1, keepdims=True) / half
        own, other = upper * high + (1 - upper) * low, upper * low + (1 - upper) * high
        A = R - self.mu * other - (1 - self.mu) * own
        if self.standard:
            A = A / (xp.std(R, axis=-1, keepdims=True, correction=1) + 1e-6)
        return spread(batch, batch.flat(A))


def answer_entropy(batch):
    """Entropy of the answers of each group by what they claim, nats: [..., B]. At most ln G."""
    xp, claim = batch.xp, batch.grouped(batch.claim)
    same = xp.mean(xp.astype(claim[..., :, None] == claim[..., None, :], batch.live.dtype), axis=-1)
    return -xp.mean(xp.log(same), axis=-1)


@dataclass
class Copo(Method):
    """w J_local + (1 - w) J_global, w = sigmoid(gamma (H - rho)), H the entropy of the group's answers.

    Local is GRPO; global compares the mean reward of the group with those of the other groups, so
    that a group that agrees has a signal too. A lone group has nothing to be compared with. Paper 099.
    """

    gamma: float = 20.0
    rho: float = 1.5

    rules = {"gamma": "finite", "rho": "finite"}

    def advantage(self, run, batch):
        xp, means = batch.xp, batch.xp.mean(batch.grouped(batch.reward), axis=-1)
        width = xp.std(means, axis=-1, keepdims=True, correction=min(1, means.shape[-1] - 1))
        run.memory["groups"] = xp.mean(means, axis=-1, keepdims=True), width + 1e-6
        return super().advantage(run, batch)

    def gate(self, run, batch, now):
        xp, (mean, width) = batch.xp, run.memory["groups"]          # of all groups of the step
        w = sigmoid(xp, self.gamma * (answer_entropy(batch) - self.rho))
        w = xp.repeat(w, batch.group, axis=-1)[..., None]
        far = (xp.mean(batch.grouped(batch.reward), axis=-1) - mean) / width
        far = spread(batch, xp.repeat(far, batch.group, axis=-1))
        return w * self.surrogate(batch, now, batch.advantage) + (1 - w) * self.surrogate(batch, now, far)


@dataclass
class Adora(Method):
    """w A with w = 1 for a group whose longest right answer beats the mean length of its wrong ones,
    else `weight`. A group that agrees has no signal either way. Paper 100."""

    weight: float = 0.1

    rules = {"weight": ">= 0"}

    def advantage(self, run, batch):
        xp, R = batch.xp, batch.grouped(batch.right)
        length = batch.grouped(batch.length)
        longest = xp.max(length * R, axis=-1)
        wrong = xp.sum(length * (1 - R), axis=-1) / xp.maximum(xp.sum(1 - R, axis=-1), xp.ones_like(longest))
        w = xp.where(longest > wrong, xp.ones_like(wrong), self.weight * xp.ones_like(wrong))
        return xp.repeat(w, batch.group, axis=-1)[..., None] * super().advantage(run, batch)


@dataclass
class Pear(Method):
    """R = min(1, 1 - P) for a right answer, 0 for a wrong one; P = [H̄_think - alpha H̄_answer]₊ · scale.

    Charges a right answer for the entropy of what stands before its result. There is no lower bound: at
    P > 1 a right answer earns less than a wrong one. Paper 014, with scale 1; it leaves out the token that
    ends the thinking, which belongs to it here. Entropies are those when drawn; no result: H̄_answer = 0.
    """

    alpha: float = 1.0
    scale: float = 1.0

    rules = {"alpha": "finite", "scale": ">= 0"}

    def reward(self, run, batch):
        xp = batch.xp
        last = xp.astype(batch.part == 2, batch.live.dtype) * batch.live
        think = masked_mean(xp, batch.entropy, batch.live - last, -1)[..., 0]
        answer = masked_mean(xp, batch.entropy, last, -1)[..., 0]
        P = think - self.alpha * answer
        P = self.scale * xp.maximum(P, xp.zeros_like(P))
        return batch.right * xp.minimum(1 - P, xp.ones_like(P))


@dataclass
class Ares(Method):
    """R + alpha · shape(δ), δ = windows of high entropy in the answer less the mean of its difficulty.

    Easy (2/3 right or more) and right: charged for δ > m; medium and right: for |δ| > m; hard and right:
    paid cap · sigmoid((δ + m)/T); wrong: paid scale · cap · sigmoid([δ - m]₊/T), which is never less than
    half of scale · cap. A window is high when the mean entropy of its `window` tokens, fewer at the end, is
    in the top `top` of the batch. m is a margin times the mean of the difficulty. In each tuple: easy,
    medium, hard. Paper 035 with windows of 4; its control of alpha, which its code makes nearly void, its
    KL term and its list of words are left out.
    """

    window: int = 2
    top: float = 0.05
    cap: float = 0.5
    alpha: float = 0.5
    margins: tuple = (0.15, 0.25, 0.35)
    kappas: tuple = (2.0, 3.0, 4.0)
    temperatures: tuple = (2.0, 2.5, 3.0)
    scales: tuple = (0.6, 0.8, 1.0)

    rules = {"window": "whole >= 1", "top": "(0, 1]", "cap": ">= 0", "alpha": "finite", "margins": ">= 0",
             "kappas": "> 0", "temperatures": "> 0", "scales": ">= 0"}

    def __post_init__(self):
        super().__post_init__()
        for name in ("margins", "kappas", "temperatures", "scales"):
            value = getattr(self, name)
            if not isinstance(value, tuple) or len(value) != 3:
                raise ValueError(f"{name} must be three numbers: easy, medium, hard; got {value!r}")

    def reward(self, run, batch):
        xp, right = batch.xp, batch.right
        windows = self.windows(batch)
        share = xp.repeat(xp.mean(batch.grouped(right), axis=-1), batch.group, axis=-1)
        total = xp.zeros_like(right)
        for i, (lower, upper) in enumerate(((2 / 3, 2.0), (1 / 3, 2 / 3), (-1.0, 1 / 3))):
            inside = xp.astype((share >= lower) & (share < upper), right.dtype)
            some = xp.maximum(xp.sum(inside, axis=-1, keepdims=True), xp.ones_like(right[..., :1]))
            target = xp.sum(inside * windows, axis=-1, keepdims=True) / some
            total = total + inside * self.shape(xp, i, right, windows - target, self.margins[i] * target)
        return right + self.alpha * total

    def windows(self, batch):
        """How many windows of an answer are high: [..., N]."""
        xp, H, live = batch.xp, batch.entropy, batch.live
        pad = xp.zeros_like(H)
        ahead, count = pad, pad
        for shift in range(min(self.window, H.shape[-1])):
            keep = H.shape[-1] - shift
            ahead = ahead + xp.concat([H[..., shift:], pad[..., keep:]], axis=-1)
            count = count + xp.concat([live[..., shift:], pad[..., keep:]], axis=-1)
        return xp.sum(highest(batch, ahead / xp.maximum(count, xp.ones_like(count)), self.top), axis=-1)

    def shape(self, xp, bucket, right, delta, margin):
        """The reward of an answer before alpha; bucket 0 easy, 1 medium, 2 hard."""
        kappa, T = self.kappas[bucket], self.temperatures[bucket]
        zero = xp.zeros_like(delta)
        over = xp.maximum((delta if bucket == 0 else xp.abs(delta)) - margin, zero)
        huber = xp.where(over <= kappa, over**2 / 2, kappa * (over - kappa / 2))
        charge = self.cap * huber / (margin + kappa)
        praise = -xp.minimum(charge, self.cap + zero)
        if bucket == 2:
            praise = self.cap * sigmoid(xp, (delta + margin) / T)
        comfort = self.scales[bucket] * self.cap * sigmoid(xp, xp.maximum(delta - margin, zero) / T)
        return right * praise + (1 - right) * comfort


@dataclass
class DifficultySampler(Method):
    """Prompts drawn with weight 4 p (1 - p) + floor, p the running share of right answers.

    What is left of paper 101 without its image generator: the choice of data, not its making.

    memory  p ← memory · p + (1 - memory) · mean of its answers, for a prompt that was asked; p begins at 1/2
    """

    floor: float = 0.1
    memory: float = 0.9

    rules = {"floor": "> 0", "memory": "[0, 1]"}

    def prompts(self, run):
        p = run.memory.get("right")
        if p is None:
            return run.in_turn()
        xp, u = compat.array_namespace(p), run.uniform(run.loop.prompts, use="which prompts")
        w = 4 * p * (1 - p) + self.floor
        chance = xp.cumulative_sum(w / xp.sum(w, axis=-1, keepdims=True), axis=-1)
        drawn = xp.sum(xp.astype(u[..., None] > chance[..., None, :], xp.int64), axis=-1)
        return xp.minimum(drawn, xp.full_like(drawn, w.shape[-1] - 1))

    def after(self, run, batch):
        xp = batch.xp
        every = xp.arange(run.policy.questions, device=compat.device(batch.prompts))
        asked = xp.astype(batch.prompts[..., None] == every, batch.right.dtype)
        count = xp.sum(asked, axis=-2)
        mean = xp.sum(asked * batch.right[..., None], axis=-2) / xp.maximum(count, xp.ones_like(count))
        old = run.memory.get("right", 0.5 * xp.ones_like(mean))
        new = self.memory * old + (1 - self.memory) * mean
        run.memory["right"] = xp.where(count > 0, new, old)
