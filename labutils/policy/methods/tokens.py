"""Methods that choose or weigh tokens. Chapters "Why entropy falls" and "Which tokens carry it".

S = π(log π + H) is the entropy slope, ρ = π/π_old. Entropies in nats. Batch statistics run over the
live tokens of one run.
"""

from dataclasses import dataclass

from labutils.policy.harness import Method, highest, masked_mean

ROUNDING = 1e-4             # nats of log π; single precision is right to 1e-5, a step moves by 1e-2


@dataclass
class EntropyBonus(Method):
    """J = J_GRPO + weight · mean H: pays for entropy at every visited state."""

    weight: float = 0.03

    rules = {"weight": "finite"}

    def extra(self, run, batch, now):
        return 0.0, self.weight


def batch_covariance(batch, now):
    """c_i = (log π_i - mean log π)(A_i - mean A), means over the batch: [..., N, T]. Paper 001."""
    A = batch.advantage
    return (now.log_prob - batch.mean(now.log_prob)) * (A - batch.mean(A))


def portion(batch, fraction):
    """floor(fraction · live tokens), at least one, as the code released with paper 001: [..., 1, 1]."""
    some = batch.xp.floor(fraction * batch.xp.sum(batch.live, axis=(-2, -1), keepdims=True))
    return batch.xp.maximum(some, batch.xp.ones_like(some))


@dataclass
class ClipCov(Method):
    """GRPO without a random `fraction` of the tokens, drawn where below < c < above. Paper 001.

    The paper draws 0.02 % between 1 and 5; at 1500 tokens a step that would be one token. Its code also
    widens the clip of ρ to 1 and passes over tokens that this clip holds already.
    """

    fraction: float = 0.05
    below: float = 0.5
    above: float = 5.0

    rules = {"fraction": "(0, 1]", "below": "finite", "above": "finite"}

    def __post_init__(self):
        super().__post_init__()
        if not self.below < self.above:
            raise ValueError(f"below must be < above = {self.above}; got {self.below}")

    def weights(self, run, batch, now):
        return 1.0 - self.dropped(run, batch, now)

    def dropped(self, run, batch, now):
        """1 for the tokens that lose their gradient."""
        c = batch_covariance(batch, now)
        band = batch.xp.astype((c > self.below) & (c < self.above), c.dtype) * batch.live
        lots = run.uniform(*batch.tokens.shape[-2:], use=f"clip-cov {run.turn}")
        # the band in an order by lot, and of that the first ones
        return highest(batch, lots, count=portion(batch, self.fraction), where=band)


@dataclass
class RandomDrop(ClipCov):
    """The control of Clip-Cov: as many tokens lose their gradient, drawn from the whole batch."""

    def dropped(self, run, batch, now):
        xp = batch.xp
        count = xp.sum(super().dropped(run, batch, now), axis=(-2, -1), keepdims=True)
        lots = run.uniform(*batch.tokens.shape[-2:], use=f"random drop {run.turn}")
        return highest(batch, lots, count=count)


@dataclass
class KlCov(Method):
    """J = J_GRPO - beta |log π - log π_old| on the `fraction` of largest covariance. Paper 001.

    At the first step on a batch π = π_old and |x| has the slope 0: nothing is held back. A network that reads
    an answer at once or token by token rounds differently: differences below ROUNDING count as none.
    The fraction is 0.002 in the paper (0.2 as its code's default), whose code has no clip of ρ in this loss.
    """

    fraction: float = 0.2
    beta: float = 1.0

    rules = {"fraction": "(0, 1]", "beta": ">= 0"}

    def extra(self, run, batch, now):
        held = highest(batch, batch_covariance(batch, now), count=portion(batch, self.fraction))
        x = now.log_prob - batch.log_prob
        moved = batch.xp.astype(batch.xp.abs(x) > ROUNDING, x.dtype)
        return -self.beta * held * moved * batch.xp.sign(x), 0.0


@dataclass
class Steer(Method):
    """GRPO with weights minimum^(s / max s), s = |A ρ (1 - π)(log π + H)|; max s is at least `floor`.

    Paper 000, with minimum 0.7 (0.8 in its released script) and the clip 0.2/0.28.
    """

    minimum: float = 0.2
    floor: float = 0.02

    rules = {"minimum": "(0, 1]", "floor": "> 0"}

    def weights(self, run, batch, now):
        xp = batch.xp
        s = batch.advantage * now.ratio * (1 - xp.exp(now.log_prob)) * (now.log_prob + now.entropy)
        s = xp.abs(s) * batch.live
        largest = xp.max(s, axis=(-2, -1), keepdims=True)
        return self.minimum ** (s / xp.maximum(largest, self.floor * xp.ones_like(largest)))


def own_slope(batch, now):
    """S of the sampled token, [..., N, T]."""
    return batch.xp.exp(now.log_prob) * (now.log_prob + now.entropy)


@dataclass
class ClipB(Method):
    """GRPO without the tokens of A < 0 whose S lies more than `deviations` below the batch's mean.

    Paper 094; its released value is 2.5.
    """

    deviations: float = 2.5

    rules = {"deviations": ">= 0"}

    def weights(self, run, batch, now):
        S = own_slope(batch, now)
        low = S - batch.mean(S) < -self.deviations * batch.deviation(S)
        return 1.0 - batch.xp.astype(low & (batch.advantage < 0), S.dtype)


@dataclass
class ClipV(Method):
    """GRPO without the tokens of A < 0 and D > deviations · std(D), D = E_π[S] - S; at most `most` of all,
    those of largest D.

    Paper 094, which has 8.5 and 0.0001; at 1500 tokens a step that would be no token.
    """

    deviations: float = 2.5
    most: float = 0.05

    rules = {"deviations": ">= 0", "most": "[0, 1]"}

    def weights(self, run, batch, now):
        xp = batch.xp
        D = xp.sum(now.pi * now.slope, axis=-1) - own_slope(batch, now)
        far = (D > self.deviations * batch.deviation(D)) & (batch.advantage < 0)
        limit = xp.floor(self.most * xp.sum(batch.live, axis=(-2, -1), keepdims=True))
        return 1.0 - highest(batch, D, count=limit, where=xp.astype(far, D.dtype) * batch.live)


@dataclass
class EightyTwenty(Method):
    """GRPO on the `share` of tokens of highest entropy alone; still divided by all tokens. Paper 119."""

    share: float = 0.2

    rules = {"share": "(0, 1]"}

    def weights(self, run, batch, now):
        return highest(batch, now.entropy, self.share)


@dataclass
class Hicra(Method):
    """A + alpha |A| on the tokens that decide the plan: rewards count more, punishments less. Paper 114.

    The paper does not divide A by the standard deviation (standard=False).

    placebo   the same on as many tokens drawn at random: the control
    """

    alpha: float = 0.2
    placebo: bool = False

    rules = {"alpha": "finite"}

    def advantage(self, run, batch):
        xp, A = batch.xp, super().advantage(run, batch)
        plan = xp.astype(batch.part == 0, A.dtype) * batch.live
        if self.placebo:
            count = xp.sum(plan, axis=(-2, -1), keepdims=True)
            plan = highest(batch, run.uniform(*batch.tokens.shape[-2:], use="placebo"), count=count)
        return A + self.alpha * plan * xp.abs(A)


def nucleus(xp, log_pi, mass=0.8, crossing=True):
    """1 on the likeliest tokens that hold `mass` together, [..., V]; the likeliest always belongs.

    crossing   True counts the token that crosses `mass`, as nucleus sampling does; False does not, as
               the code released with paper 010, where the set may be empty.
    """
    order = xp.argsort(log_pi, axis=-1, descending=True, stable=True)
    ordered = xp.exp(xp.take_along_axis(log_pi, order, axis=-1))
    total = xp.cumulative_sum(ordered, axis=-1)
    inside = total - ordered < mass if crossing else total <= mass
    return xp.astype(xp.take_along_axis(inside, xp.argsort(order, axis=-1, stable=True), axis=-1),
                     log_pi.dtype)


def nucleus_entropy(xp, log_pi, mass=0.8, crossing=True):
    """(H^p, its gradient in the logits) of the policy cut to its nucleus and normalised, [...], [..., V].

    H^p = -Σ_P q log q with q = π / π(P) on the nucleus P. P is held fixed in the gradient, which is
    -q (log q + H^p) on P and 0 elsewhere.    Source: paper 010.
    """
    inside = nucleus(xp, log_pi, mass, crossing)
    kept = xp.sum(inside * xp.exp(log_pi), axis=-1, keepdims=True)
    some = xp.astype(kept > 0, log_pi.dtype)
    log_q = (log_pi - xp.log(kept + 1 - some)) * inside
    q = inside * xp.exp(log_q)
    H = -xp.sum(q * log_q, axis=-1)
    return H, -q * (log_q + H[..., None])


@dataclass
class Siren(Method):
    """J = J_GRPO - kappa (H̄ - anchor)²: entropy of nuclei, at peaks only, held at its first value.

    H̄ is the mean of the nucleus entropy H^p over the `share` of tokens where it is highest, the anchor
    is H̄ at the first step. Paper 010, whose kappa of 0.005 is for another scale of reward; its clip is
    0.28 on both sides and it does not divide by the standard deviation.
    """

    kappa: float = 0.1
    mass: float = 0.8
    share: float = 0.2
    crossing: bool = True

    rules = {"kappa": ">= 0", "mass": "(0, 1]", "share": "(0, 1]"}

    def beyond(self, run, batch, now):
        xp = batch.xp
        H, gradient = nucleus_entropy(xp, now.log_pi, self.mass, self.crossing)
        peaks = highest(batch, H, self.share)
        mean = masked_mean(xp, H, peaks, (-2, -1))
        anchor = run.memory.setdefault("anchor", mean)
        count, number = (xp.sum(m, axis=(-2, -1), keepdims=True) for m in (batch.learn, peaks))
        pull = -2 * self.kappa * (mean - anchor) * count / number
        return (pull * peaks)[..., None] * gradient
