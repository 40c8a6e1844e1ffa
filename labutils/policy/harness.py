"""One training loop for every method: a method says in which direction the logits of each token go.

Chapter "Which tokens carry it" (policy/which-tokens). Entropies in nats.

Shapes: ... runs side by side (seeds), N answers (B prompts times G, neighbours share a prompt),
T tokens, V vocabulary. NumPy or torch; the policies are in `tabular` and `neural`.

Whatever a method does, its step moves the logits z of each visited state by

    D = c (e_a - π) - h S + g,

with e_a the sampled token, S the entropy slope (so that -S is ∇_z H). c multiplies ∇ log π(a), h
multiplies ∇H, g is anything else [..., V]. A table adds D to its logits; a network receives D as the
gradient of its logits. No gradient passes through advantages, weights, masks or batch statistics.
"""

import math
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import array_api_compat as compat
import numpy as np

from labutils._inputs import number, whole


# ---------------------------------------------------------------- what a method sees

@dataclass
class Batch:
    """Answers as they were drawn. `reward` and `advantage` are filled in by the method's hooks."""

    prompts: Any            # [..., N] the prompt of each answer
    tokens: Any             # [..., N, T]
    states: Any             # [..., N, T] of a table; None for a network
    log_pi: Any             # [..., N, T, V] log-probabilities at the time of drawing
    live: Any               # [..., N, T] 1 where there is a token, 0 behind the end
    learn: Any              # [..., N, T] 1 where a token carries gradient: live, and not copied
    part: Any               # [..., N, T] kind of the token: 0 decides the plan, 2 is the answer, 1 between
    right: Any              # [..., N] 1 where the verifier agrees
    claim: Any              # [..., N] what the answer claims, a whole number that can be voted on
    hidden: Any             # [..., N] the part of the question that no answer sees; None for none
    group: int              # G
    reward: Any = None      # [..., N]
    advantage: Any = None   # [..., N, T]

    @cached_property
    def xp(self):
        return compat.array_namespace(self.log_pi)

    @cached_property
    def log_prob(self):
        """[..., N, T] log π(token) when drawn."""
        return self.xp.take_along_axis(self.log_pi, self.tokens[..., None], axis=-1)[..., 0]

    @cached_property
    def entropy(self):
        """[..., N, T] H of the policy at each token when drawn, nats; 0 behind the end."""
        return -self.xp.sum(self.xp.exp(self.log_pi) * self.log_pi, axis=-1) * self.live

    @cached_property
    def length(self):
        """[..., N] tokens of an answer."""
        return self.xp.sum(self.live, axis=-1)

    def mean(self, x, where=None):
        """Mean of x [..., N, T] over the live tokens of a run (or over another mask): [..., 1, 1]."""
        return masked_mean(self.xp, x, self.live if where is None else where, (-2, -1))

    def deviation(self, x, where=None):
        """Population standard deviation of the same, [..., 1, 1]."""
        return self.mean((x - self.mean(x, where)) ** 2, where) ** 0.5

    def answers(self, x):
        """Mean of x [..., N, T] over the tokens of each answer, 0 for an empty one: [..., N]."""
        return masked_mean(self.xp, x, self.live, -1)[..., 0]

    def grouped(self, x):
        """[..., N] -> [..., B, G]"""
        return self.xp.reshape(x, (*x.shape[:-1], x.shape[-1] // self.group, self.group))

    def flat(self, x):
        """[..., B, G] -> [..., N]"""
        return self.xp.reshape(x, (*x.shape[:-2], x.shape[-2] * x.shape[-1]))


class Now:
    """The policy at the tokens of a batch, as it is in the middle of an update."""

    def __init__(self, batch, log_pi):
        self.batch, self.log_pi = batch, log_pi         # [..., N, T, V]

    @cached_property
    def log_prob(self):
        """[..., N, T] log π(token)."""
        xp = self.batch.xp
        return xp.take_along_axis(self.log_pi, self.batch.tokens[..., None], axis=-1)[..., 0]

    @cached_property
    def pi(self):
        return self.batch.xp.exp(self.log_pi)

    @cached_property
    def entropy(self):
        """[..., N, T]"""
        return -self.batch.xp.sum(self.pi * self.log_pi, axis=-1)

    @cached_property
    def slope(self):
        """S [..., N, T, V], minus the gradient of the entropy in the logits."""
        return self.pi * (self.log_pi + self.entropy[..., None])

    @cached_property
    def ratio(self):
        """ρ = π / π_old at the token, [..., N, T]."""
        return self.batch.xp.exp(self.log_prob - self.batch.log_prob)


# ---------------------------------------------------------------- the method

RULES = {                               # what a knob may be: the words of the error, and the test
    "finite": ("must be finite", math.isfinite),
    ">= 0": ("must be >= 0 and finite", lambda v: 0 <= v < math.inf),
    "> 0": ("must be > 0 and finite", lambda v: 0 < v < math.inf),
    "[0, inf]": ("must be >= 0", lambda v: v >= 0),
    "[0, 1]": ("must lie in [0, 1]", lambda v: 0 <= v <= 1),
    "(0, 1]": ("must lie in (0, 1]", lambda v: 0 < v <= 1),
    "whole >= 0": ("must be a whole number >= 0", lambda v: isinstance(v, (int, np.integer)) and v >= 0),
    "whole >= 1": ("must be a whole number >= 1", lambda v: isinstance(v, (int, np.integer)) and v >= 1),
}


@dataclass
class Method:
    """GRPO. A plug-in overrides the hooks that its paper changes, and nothing else.

    low, high   the clip of ρ;  standard   divide by the standard deviation of the group

    A plug-in names the rules of its own knobs in `rules`, as here; those of its parents hold too.
    Errors: TypeError or ValueError for a knob that breaks its rule.
    """

    low: float = 0.2
    high: float = 0.2
    standard: bool = True

    rules = {"low": "[0, 1]", "high": "[0, inf]"}

    def __post_init__(self):
        rules = {}
        for cls in reversed(type(self).__mro__):
            rules |= vars(cls).get("rules", {})
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(item.default, bool):
                if not isinstance(value, bool):
                    raise TypeError(f"{item.name} must be True or False; got {value!r}")
            elif item.name in rules and not (item.default is None and value is None):
                for one in value if isinstance(value, tuple) else (value,):
                    number(item.name, one, *RULES[rules[item.name]])

    def prompts(self, run):
        """Which prompts are asked: [..., B]. Here each in turn."""
        return run.in_turn()

    def sample(self, run):
        """A `Batch`: G answers to each prompt."""
        return run.ask(self.prompts(run))

    def reward(self, run, batch):
        """[..., N]"""
        return batch.right

    def advantage(self, run, batch):
        """A = (R - mean of its group) / its standard deviation, the same for all tokens: [..., N, T]"""
        return spread(batch, group_advantage(batch, batch.reward, self.standard))

    def weights(self, run, batch, now):
        """Factor of each token's advantage, [..., N, T] or a number."""
        return 1.0

    def gate(self, run, batch, now):
        """∂J/∂log π of each token's surrogate, [..., N, T]."""
        return self.surrogate(batch, now, batch.advantage)

    def surrogate(self, batch, now, A):
        """∂/∂log π of min(ρA, clip(ρ)A): ρA where the clip does not hold, else 0."""
        rho = now.ratio
        held = ((A > 0) & (rho > 1 + self.high)) | ((A < 0) & (rho < 1 - self.low))
        return batch.xp.where(held, 0.0 * A, rho * A)

    def extra(self, run, batch, now):
        """(c, h): further multiples of ∇log π and of ∇H, each [..., N, T] or a number."""
        return 0.0, 0.0

    def beyond(self, run, batch, now):
        """g [..., N, T, V]: what is no multiple of either; None for nothing."""
        return None

    def more(self, run, batch):
        """Further batches to learn from in the same step, with `advantage` filled in.

        Each of their tokens weighs as much as one of `batch`: the step is divided by the tokens of
        `batch` that learn, not by theirs.
        """
        return []

    def after(self, run, batch):
        """Controllers read the step here, and keep what they need in `run.memory`."""

    def direction(self, run, batch, now):
        """D = c (e_a - π) - h S + g at every token that learns, [..., N, T, V]."""
        xp = batch.xp
        c, h = self.extra(run, batch, now)
        c = c + self.weights(run, batch, now) * self.gate(run, batch, now)
        one_hot = xp.astype(batch.tokens[..., None] == xp.arange(
            now.pi.shape[-1], device=compat.device(now.pi)), now.pi.dtype)
        D = c[..., None] * (one_hot - now.pi)
        if not (isinstance(h, float) and h == 0):
            D = D - (h * batch.live)[..., None] * now.slope
        g = self.beyond(run, batch, now)
        return (D if g is None else D + g) * batch.learn[..., None]


# ---------------------------------------------------------------- the loop

@dataclass(frozen=True)
class Loop:
    """How long and how much: the same for all methods that are compared.

    Defaults: the comparison of the chapter, 256 answers a step.
    """

    steps: int = 200
    prompts: int = 16       # B, asked in a step
    group: int = 16         # G, answers a prompt
    epochs: int = 4         # passes over the same answers; with one step a batch no clip can ever hold
    minibatches: int = 1    # steps of gradient a pass; groups stay whole
    rate: float = 60.0      # of a step: rate / (tokens that learn) * sum of directions; Adam's for a network
    every: int = 10         # steps between evaluations; the start and the end are evaluated too

    def __post_init__(self):
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "rate":
                number("rate", value, *RULES["> 0"])
            else:
                whole(item.name, value, 2 if item.name == "group" else 1)
        if self.prompts % self.minibatches:
            raise ValueError(f"minibatches must divide prompts = {self.prompts}; got {self.minibatches}")


@dataclass
class Run:
    """Seeds side by side on their way: what the hooks of a method may ask for."""

    policy: Any                     # ask, branch, look, move, evaluate
    loop: Loop
    seeds: list
    step: int = 0
    turn: int = 0                   # directions asked for in this step so far: to draw anew for each
    spent: Any = 0.0                # tokens drawn so far, [...]; copied ones are free
    memory: dict = field(default_factory=dict)      # of a method's controllers

    def uniform(self, *shape, use="answers"):
        """Uniform numbers [..., *shape], one stream a seed, step and use: methods that draw more for
        one use draw the same for the others."""
        stream = [np.random.default_rng([seed, self.step, *use.encode()]) for seed in self.seeds]
        draws = np.stack([rng.random(shape) for rng in stream])
        return self.policy.as_array(draws if self.policy.batched else draws[0])

    def in_turn(self):
        """[..., B] prompts, all as often as one another, in an order of this step."""
        return self.policy.in_turn(self)

    def ask(self, prompts, group=None, temperature=1.0, active=None, use="answers"):
        """Draw `group` answers to each of prompts [..., B]: a `Batch`.

        temperature  a number, or one a run [..., 1, 1]; log_pi is always that at temperature 1
        active       [..., N] 1 for the answers that are wanted; the others stay empty (nothing if not given)
        """
        return self._count(self.policy.ask(self, prompts, group or self.loop.group, temperature, active, use))

    def branch(self, batch, rows, cut, group, active=None, use="branches"):
        """Draw answers that copy the first `cut` tokens of the answers `rows` of a batch, each [..., M].

        Copied tokens do not learn. Returns a `Batch` of M answers with groups of `group`.
        """
        return self._count(self.policy.branch(self, batch, rows, cut, group, active, use))

    def _count(self, batch):
        self.spent = self.spent + batch.xp.sum(batch.learn, axis=(-2, -1))
        return batch


def train(policy, method, loop, seeds, watch=None):
    """Improve a policy by a method; returns a dict of curves, each [evaluations, ...].

    policy  what `tabular.Table` or `neural.Network` give; it is changed in place
    seeds   list of whole numbers, one a run; a network takes one
    watch   a function (run, batch) called after each step, or None

    Beside what the policy's `evaluate` reports, the record has "step" and "tokens", those drawn so far.
    Errors: TypeError when method is no `Method`; ValueError when the seeds are not one a run, when a
    knob does not fit the loop, and for a direction that is not finite (which no policy takes in).
    """
    if not isinstance(method, Method):
        raise TypeError(f"method must be a Method; got {type(method).__name__}")
    if len(seeds) != policy.runs:
        raise ValueError(f"seeds must be {policy.runs}, one a run; got {len(seeds)}")
    run, record = Run(policy, loop, list(seeds)), []

    def note(done):
        run.step = done
        record.append({"step": done, "tokens": run.spent, **policy.evaluate(run)})

    note(0)
    for run.step in range(loop.steps):
        run.turn = 0
        batch = method.sample(run)
        batch.reward = method.reward(run, batch)
        batch.advantage = method.advantage(run, batch)
        batches = [batch, *method.more(run, batch)]
        for epoch in range(loop.epochs):
            for parts in zip(*(minibatches(run, b, epoch) for b in batches)):
                looks, directions = [(b, Now(b, policy.look(b))) for b in parts], []
                for b, now in looks:
                    run.turn += 1
                    directions.append((b, method.direction(run, b, now)))
                count = parts[0].xp.sum(parts[0].learn, axis=(-2, -1))
                policy.move(directions, count, loop.rate)
        if watch:
            watch(run, batch)
        method.after(run, batch)
        if (run.step + 1) % loop.every == 0 or run.step + 1 == loop.steps:
            note(run.step + 1)
    as_numpy = lambda x: np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)      # noqa: E731
    return {name: np.stack([as_numpy(row[name]) + np.zeros_like(as_numpy(row["accuracy"]))
                            for row in record]) for name in record[0]}


# ---------------------------------------------------------------- words that methods share

def masked_mean(xp, x, mask, axis):
    """sum of x over a mask / size of the mask, with the axes kept; 0 where the mask is empty."""
    size = xp.sum(mask, axis=axis, keepdims=True)
    return xp.sum(x * mask, axis=axis, keepdims=True) / xp.maximum(size, xp.ones_like(size))


def group_advantage(batch, reward, standard=True):
    """(R - mean) / (standard deviation + 1e-6) in each group, [..., N]; standard=False does not divide.

    The deviation is that of a sample (G - 1), for all methods alike; where all agree A is 0.
    """
    R = batch.grouped(reward)
    centred = R - batch.xp.mean(R, axis=-1, keepdims=True)
    if standard:
        centred = centred / (batch.xp.std(R, axis=-1, keepdims=True, correction=1) + 1e-6)
    return batch.flat(centred)


def spread(batch, values):
    """[..., N] -> [..., N, T], the same for all tokens, 0 behind the end."""
    return values[..., None] * batch.live


def highest(batch, score, share=None, count=None, where=None):
    """1 for the tokens of highest score among the n live ones of a run, else 0: [..., N, T].

    share   how many, as ceil(share * n);  count  how many, [..., 1, 1], instead
    where   a mask to choose among instead of the live tokens. Ties: earlier first.
    A share that is whole up to rounding counts as whole: 7 % of 100 are 7.
    """
    xp, mask = batch.xp, batch.live if where is None else where
    flat = xp.where(mask > 0, score, -xp.inf * xp.ones_like(score))
    flat = xp.reshape(flat, (*flat.shape[:-2], -1))
    order = xp.argsort(flat, axis=-1, descending=True, stable=True)
    rank = xp.argsort(order, axis=-1, stable=True)
    if count is None:
        count = xp.ceil(share * xp.sum(mask, axis=(-2, -1), keepdims=True) - 1e-4)
    chosen = xp.astype(rank < count[..., 0], score.dtype)
    return xp.reshape(chosen, score.shape) * mask


def minibatches(run, batch, epoch):
    """The batch in `run.loop.minibatches` parts in an order by lot.

    Groups stay whole. A further batch that has not enough groups is cut between answers.
    """
    parts, xp = run.loop.minibatches, batch.xp
    if parts == 1:
        return [batch]
    N = batch.prompts.shape[-1]
    unit = 1 if N % (batch.group * parts) else batch.group
    if N < parts:
        raise ValueError(f"minibatches must be <= {N}, the answers of a further batch; got {parts}")
    order = xp.argsort(run.uniform(N // unit, use=f"minibatches {epoch}"), axis=-1)
    rows = order[..., None] * unit + xp.arange(unit, device=compat.device(order))
    rows = batch.flat(rows)
    cuts = [i * N // parts for i in range(parts + 1)]
    return [take_answers(batch, rows[..., a:b]) for a, b in zip(cuts, cuts[1:])]


def at_rows(xp, x, rows):
    """The answers `rows` [..., M] of x [..., N, *rest]: [..., M, *rest]."""
    rest = x.shape[rows.ndim :]
    index = xp.reshape(rows, (*rows.shape, *(1,) * len(rest)))
    return xp.take_along_axis(x, xp.broadcast_to(index, (*rows.shape, *rest)), axis=rows.ndim - 1)


def join(first, second):
    """Two batches on the same prompts as one, whose groups hold the answers of both."""
    xp = first.xp

    def together(x, y):
        if not compat.is_array_api_obj(x):
            return x
        runs = first.prompts.ndim - 1
        split = lambda v, G: xp.reshape(                                                    # noqa: E731
            v, (*v.shape[:runs], v.shape[runs] // G, G, *v.shape[runs + 1 :]))
        both = xp.concat([split(x, first.group), split(y, second.group)], axis=runs + 1)
        return xp.reshape(both, (*x.shape[:runs], -1, *x.shape[runs + 1 :]))

    whole = {item.name: together(getattr(first, item.name), getattr(second, item.name))
             for item in fields(first) if item.name not in ("group", "reward", "advantage")}
    return Batch(**whole, group=first.group + second.group)


def choose(mask, yes, no):
    """The answers of `yes` where mask [..., N] is 1, of `no` elsewhere; both of one shape."""
    xp = yes.xp

    def either(x, y):
        if not compat.is_array_api_obj(x):
            return x
        return xp.where(xp.reshape(mask, (*mask.shape, *(1,) * (x.ndim - mask.ndim))) > 0, x, y)

    return Batch(**{item.name: either(getattr(yes, item.name), getattr(no, item.name))
                    for item in fields(yes)})


def take_answers(batch, rows):
    """The answers `rows` [..., M] of a batch, as a batch with the same group size."""
    pick = lambda x: at_rows(batch.xp, x, rows) if compat.is_array_api_obj(x) else x        # noqa: E731
    return replace(batch, **{item.name: pick(getattr(batch, item.name)) for item in fields(batch)})
