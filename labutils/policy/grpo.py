"""GRPO on a verifiable reward, with every intervention beside its formula, and exact evaluation.

Taught by the chapter "Why entropy falls" and its second lab. Entropies in nats a token.
Here a method is a loss a token, as trainers write it. In `harness` the same method is the direction of
its gradient, which a table takes as well; a test holds both to the same gradients.
Needs torch; runs on any device. The same seed gives the same numbers on the same machine with the
same number of threads; elsewhere sums round differently, and training amplifies that.
"""

import copy
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np
import torch

from labutils import runtime
from labutils._inputs import whole
from labutils.policy.countdown import Countdown, Problems
from labutils.policy.selection import (
    batch_covariance, clip_cov_mask, kl_cov_mask, steer_score, steer_weight,
)
from labutils.policy.softmax import entropy, entropy_change, sampled_token_change
from labutils.policy.transformer import Transformer


@dataclass(frozen=True)
class Setting:
    """Everything that fixes a run besides method and seed.

    Defaults: the full setting of the committed sweep (about 30 s a run on one CPU core).
    """

    task: Countdown = field(default_factory=Countdown)
    width: int = 64
    layers: int = 2
    heads: int = 4
    held_out: int = 256         # problems that no training ever sees
    pool: int = 256             # problems that GRPO visits again and again
    warm_steps: int = 400       # imitation of worked examples
    warm_batch: int = 256
    warm_rate: float = 3e-3
    rare: float = 0.05          # weight of an example for each product that it needs
    steps: int = 140            # GRPO
    prompts: int = 64           # a step
    group: int = 8              # answers a prompt
    epochs: int = 2
    minibatches: int = 2        # an epoch
    rate: float = 3e-4
    probes: int = 64            # prompts outside the batch, two answers each, to watch entropy
    every: int = 14             # steps between exact evaluations

    def __post_init__(self):
        for name, value in asdict(self).items():
            if name != "task" and not value > 0:
                raise ValueError(f"{name} must be > 0; got {value!r}")
        if self.prompts > self.pool:
            raise ValueError(f"prompts must be <= pool = {self.pool}; got {self.prompts}")
        whole("group", self.group, 2)


# ---------------------------------------------------------------- warm-up

@dataclass
class Start:
    """A policy after the warm-up, and the problems it goes on with."""

    model: Transformer
    pool: Problems
    held_out: Problems


def warm_up(setting, seed, device=None):
    """Teach partial competence by examples: one random correct answer a problem, cross-entropy.

    Problems that need m products are drawn with weight rare^m: products are rare in "pre-training".
    Returns a `Start`; the split of the problems, the examples and the weights follow from seed.
    """
    device = runtime.device(device)
    rng = np.random.default_rng(seed)
    problems = setting.task.problems()
    if setting.held_out + setting.pool > len(problems):
        raise ValueError(
            f"pool + held_out must be <= {len(problems)} problems; "
            f"got {setting.pool} + {setting.held_out}"
        )
    order = rng.permutation(len(problems))
    held_out = problems.select(order[: setting.held_out]).shuffle_numbers(rng)
    examples = problems.select(order[setting.held_out :])
    pool = examples.select(np.arange(setting.pool)).shuffle_numbers(rng)

    task = setting.task
    model = Transformer(task.vocabulary, task.prompt_length + task.answer_length, setting.width,
                        setting.layers, setting.heads, seed=seed).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), setting.warm_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda t: min((t + 1) / 30, 1 - 0.9 * t / setting.warm_steps))
    weight = setting.rare ** examples.fewest_products()
    weight = weight / weight.sum()
    for _ in runtime.progress(range(setting.warm_steps), desc="warm-up"):
        rows = rng.choice(len(examples), setting.warm_batch, p=weight)
        prompts = torch.as_tensor(rng.permuted(examples.prompts[rows, :-1], axis=1))
        prompts = torch.cat([prompts, torch.as_tensor(examples.prompts[rows, -1:])], 1).to(device)
        answers = torch.as_tensor(examples.draw(rows, rng)).to(device)
        loss = -log_prob(forced_logits(model, prompts, answers), answers).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return Start(model, pool, held_out)


# ---------------------------------------------------------------- the policy as a distribution

def read(model, prompts, group):
    """Read each prompt once and hand it to `group` answers: (logits of the first token, cache)."""
    logits, cache = model(prompts)
    repeated = [(k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)) for k, v in cache]
    return logits[:, -1].repeat_interleave(group, 0), repeated


def forced_logits(model, prompts, answers):
    """Logits before each token of given answers: prompts [B, n], answers [B*G, L] -> [B*G, L, V].

    The G answers to one prompt are neighbours.
    """
    first, cache = read(model, prompts, len(answers) // len(prompts))
    rest, _ = model(answers[:, :-1], cache)
    return torch.cat([first[:, None], rest], 1)


def log_prob(logits, tokens):
    """log pi(token), logits [..., V], tokens [...] -> [...] in nats."""
    return logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]


@torch.no_grad()
def sample(model, prompts, group, length, generator):
    """`group` answers to each prompt, token by token from the cache.

    prompts [B, n] -> answers [B*group, length] and the logits [B*group, length, V] that they were
    drawn from; the answers to one prompt are neighbours.
    """
    logits, cache = read(model, prompts, group)
    answers, seen = [], []
    for t in range(length):
        token = torch.multinomial(logits.softmax(-1), 1, generator=generator)  # (B*G, 1)
        answers.append(token)
        seen.append(logits)
        if t + 1 < length:
            logits, cache = model(token, cache)
            logits = logits[:, -1]
    return torch.cat(answers, 1), torch.stack(seen, 1)


@torch.no_grad()
def success(model, problems, chunk=4096):
    """Exact probability of every correct string, by teacher forcing: float64 array [S].

    Summed over the strings of a problem it is p(correct), with no sampling noise: `exact`.
    """
    device = next(model.parameters()).device
    prompts = torch.as_tensor(problems.prompts[problems.owner])
    answers = torch.as_tensor(problems.answers)
    parts = [
        log_prob(forced_logits(model, p.to(device), a.to(device)), a.to(device)).sum(1).cpu()
        for p, a in zip(prompts.split(chunk), answers.split(chunk), strict=True)
    ]
    return np.exp(torch.cat(parts).double().numpy())


def exact(model, problems):
    """What the policy can do, without sampling noise, as a dict of floats.

    pass1, pass16, pass64   mean of 1 - (1-p)^k over problems, p = sum of its correct strings
    distinct16              expected number of different correct answers in 16 draws
    locked                  share of problems with p < 1e-3: as good as out of reach
    """
    strings = success(model, problems)
    p = np.bincount(problems.owner, strings)
    distinct = np.bincount(problems.owner, 1 - (1 - strings) ** 16)
    return {
        **{f"pass{k}": float(np.mean(1 - (1 - p) ** k)) for k in (1, 16, 64)},
        "distinct16": float(distinct.mean()),
        "locked": float(np.mean(p < 1e-3)),
    }


def sampled_entropy(model, problems, each, generator):
    """Entropy a token along sampled answers, `each` a problem: nats."""
    prompts = torch.as_tensor(problems.prompts, device=generator.device)
    _, logits = sample(model, prompts, each, problems.answers.shape[1], generator)
    return float(entropy(logits).mean())


# ---------------------------------------------------------------- GRPO and its interventions

@dataclass
class Tokens:
    """One minibatch of N sampled tokens, as a method sees it."""

    logits: torch.Tensor        # [N, V], with gradient
    tokens: torch.Tensor        # [N], ids
    log_prob: torch.Tensor      # [N], with gradient
    old_log_prob: torch.Tensor  # [N], when sampled
    advantage: torch.Tensor     # [N]
    rng: np.random.Generator    # for methods that draw


def advantages(reward, group):
    """A_i = (R_i - mean of its group) / (standard deviation of its group), 0 where all agree.

    reward [B*group] -> [B*group]
    """
    if reward.ndim != 1 or len(reward) % group:
        raise ValueError(f"reward must be [B * {group}]; got shape {tuple(reward.shape)}")
    reward = reward.reshape(-1, group)
    centred = reward - reward.mean(1, keepdim=True)
    return (centred / (reward.std(1, keepdim=True) + 1e-6)).reshape(-1)


def grpo(t, low=0.2, high=0.2):
    """-min(rho A, clip(rho, 1-low, 1+high) A), rho = pi / pi_old: the clipped surrogate, [N]."""
    ratio = (t.log_prob - t.old_log_prob).exp()
    return -torch.minimum(ratio * t.advantage, ratio.clamp(1 - low, 1 + high) * t.advantage)


def clip_higher(t, high=0.4):
    """GRPO with more room upwards: unlikely rewarded tokens may grow further in one step."""
    return grpo(t, high=high)


def entropy_bonus(t, weight=0.1):
    """GRPO minus weight * H: pays for entropy at every visited state."""
    return grpo(t) - weight * entropy(t.logits)


def clip_cov(t, fraction=0.05, low=0.5, high=5.0, sign=0):
    """GRPO without a random `fraction` of the tokens, drawn where low < covariance < high.

    sign -1 or +1 draws only among tokens with a negative or positive advantage.
    """
    return grpo(t) * ~clip_cov_choice(t, fraction, low, high, sign)


def clip_cov_choice(t, fraction=0.05, low=0.5, high=5.0, sign=0):
    """The tokens that `clip_cov` removes: bool [N]."""
    covariance = batch_covariance(t.log_prob.detach(), t.advantage)
    if sign:
        covariance = covariance * (t.advantage * sign > 0)      # 0 lies outside the band
    return clip_cov_mask(covariance, fraction, low, high, rng=t.rng)


def random_drop(t, fraction=0.05, low=0.5, high=5.0):
    """The control of Clip-Cov: removes as many tokens as it would, drawn from the whole batch."""
    count = int(clip_cov_choice(t, fraction, low, high).sum())
    keep = torch.ones_like(t.advantage)
    keep[torch.as_tensor(t.rng.choice(len(keep), count, replace=False), device=keep.device)] = 0
    return grpo(t) * keep


def kl_cov(t, fraction=0.2, beta=1.0):
    """GRPO plus beta |log pi - log pi_old| on the `fraction` of tokens of largest covariance."""
    top = kl_cov_mask(batch_covariance(t.log_prob.detach(), t.advantage), fraction)
    return grpo(t) + beta * top * (t.log_prob - t.old_log_prob).abs()


def steer(t, minimum=0.2):
    """GRPO with weights that fall from 1 to `minimum` at the token of the largest |score|.

    score = A / pi_old * pi (1 - pi) (log pi + H), STEER's estimate of the token's entropy change.
    """
    score = steer_score(t.logits.detach(), t.tokens, t.advantage, t.old_log_prob)
    return grpo(t) * steer_weight(score, minimum)


METHODS = {
    "grpo": grpo,
    "clip-cov": clip_cov,
    "kl-cov": kl_cov,
    "steer": steer,
    "clip-higher": clip_higher,
    "entropy-bonus": entropy_bonus,
    "random-drop": random_drop,
    "clip-cov-negative": partial(clip_cov, sign=-1),
    "clip-cov-positive": partial(clip_cov, sign=+1),
}


# ---------------------------------------------------------------- the loop

@dataclass
class Batch:
    """Rollouts of one step: B prompts, G answers each, L tokens an answer."""

    prompts: torch.Tensor    # [B, n]
    answers: torch.Tensor    # [B*G, L]
    logits: torch.Tensor     # [B*G, L, V], those the answers were drawn from
    reward: torch.Tensor     # [B*G], 1 where the verifier agrees
    advantage: torch.Tensor  # [B*G, L], the same for all tokens of an answer


def rollout(model, task, prompts, group, generator):
    """Sample `group` answers to each prompt and let the verifier settle them: a `Batch`."""
    answers, logits = sample(model, prompts, group, task.answer_length, generator)
    reward = task.verify(prompts.repeat_interleave(group, 0), answers).float()
    advantage = advantages(reward, group)[:, None].expand(answers.shape)
    return Batch(prompts, answers, logits, reward, advantage)


def update(model, optimiser, batch, loss_of, setting, rng):
    """Take epochs * minibatches optimiser steps on one batch; groups stay whole."""
    old = log_prob(batch.logits, batch.answers)
    B, G = len(batch.prompts), len(batch.answers) // len(batch.prompts)
    rows = np.arange(B * G).reshape(B, G)
    for _ in range(setting.epochs):
        for some in np.array_split(rng.permutation(B), setting.minibatches):
            part = rows[some].reshape(-1)
            answers = batch.answers[part]
            logits = forced_logits(model, batch.prompts[some], answers)
            now = log_prob(logits, answers)
            tokens = Tokens(*(x.flatten(0, 1) for x in (
                logits, answers, now, old[part], batch.advantage[part])), rng)
            optimiser.zero_grad()
            loss_of(tokens).mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()


def train(start, method, setting, seed, device=None):
    """Improve a copy of `start.model` by `method` (a name of METHODS or a function of `Tokens`).

    Returns (model, record). record["exact"] has one dict an evaluation: `exact` on the pool and the
    sampled entropy, at the first and the last also held out (names that begin with far_).
    record["steps"] has one dict a step: `watch` on the batch and `watch_probes` outside it.

    Errors: ValueError when the method is unknown.
    """
    if not callable(method) and method not in METHODS:
        known = ", ".join(METHODS)
        raise ValueError(f"method must be one of {known} or a function; got {method!r}")
    loss_of = method if callable(method) else METHODS[method]
    device = runtime.device(device)
    model = copy.deepcopy(start.model).to(device)
    optimiser = torch.optim.Adam(model.parameters(), setting.rate, betas=(0.9, 0.95))
    order, inner = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
    draw, look = (torch.Generator(device).manual_seed(2 * seed + i) for i in range(2))
    prompts = torch.as_tensor(start.pool.prompts, device=device)
    record, queue = {"exact": [], "steps": []}, np.empty(0, int)
    name = getattr(method, "__name__", "own method") if callable(method) else method
    for step in runtime.progress(range(setting.steps + 1), desc=name):
        if step % setting.every == 0 or step == setting.steps:
            ends = step in (0, setting.steps)
            record["exact"].append({"step": step, **evaluate(model, start, look, held_out=ends)})
        if step == setting.steps:
            return model, record
        if len(queue) < setting.prompts:                       # the pool in a new random order
            queue = np.append(queue, order.permutation(setting.pool))
        rows, queue = queue[: setting.prompts], queue[setting.prompts :]
        outside = order.permutation(np.setdiff1d(np.arange(setting.pool), rows))[: setting.probes]
        batch = rollout(model, setting.task, prompts[rows], setting.group, draw)
        probes = rollout(model, setting.task, prompts[outside], 2, look)
        update(model, optimiser, batch, loss_of, setting, inner)
        record["steps"].append(watch(model, batch) | watch_probes(model, probes))


def evaluate(model, start, generator, held_out=False):
    """`exact` and the sampled entropy on the pool, and on request on the held-out problems."""
    result = exact(model, start.pool)
    result["entropy"] = sampled_entropy(model, start.pool, 4, generator)
    if held_out:
        far = exact(model, start.held_out)
        far["entropy"] = sampled_entropy(model, start.held_out, 4, generator)
        result |= {f"far_{name}": value for name, value in far.items()}
    return result


# ---------------------------------------------------------------- watching the entropy

def token_estimates(logits, tokens, advantage):
    """What the sampled tokens alone say about the entropy change, three ways, each [N].

    batch   -(log pi - mean)(A - mean A)                the statistic of Clip-Cov and KL-Cov
    lone    -A (S_k - E_pi S), S = pi (log pi + H)      exact for a token that shares no parameter
    steer   -A (1 - pi_k)(log pi_k + H)                 the estimate inside STEER
    """
    return {
        "batch": -batch_covariance(log_prob(logits, tokens), advantage),
        "lone": sampled_token_change(logits, tokens, advantage),
        "steer": -steer_score(logits, tokens, advantage, signed=True),
    }


@torch.no_grad()
def watch(model, batch):
    """One step seen on its own batch, after the update, as a dict of floats.

    reward, entropy   of the batch when it was sampled
    signal            share of groups whose answers do not all agree
    batch_change, batch_predicted   mean entropy change at the visited states: real, first order
    guess_*           mean of each of `token_estimates`
    token_*           correlation over the tokens with the real change (true: of first order)
    band, band_down   share of tokens inside the band of Clip-Cov, and of those with A < 0 in it
    top_down          share of A < 0 among the tokens that KL-Cov selects
    """
    old, new = batch.logits, forced_logits(model, batch.prompts, batch.answers)
    change, first = entropy(new) - entropy(old), entropy_change(old, new - old)
    advantage = batch.advantage.flatten()
    guess = token_estimates(old.flatten(0, 1), batch.answers.flatten(), advantage)
    band = (-guess["batch"] > 0.5) & (-guess["batch"] < 5)
    groups = batch.reward.reshape(len(batch.prompts), -1)
    return {
        "reward": float(batch.reward.mean()), "entropy": float(entropy(old).mean()),
        "signal": float((groups.std(1) > 0).float().mean()),
        "batch_change": float(change.mean()), "batch_predicted": float(first.mean()),
        "token_true": correlation(first, change),
        **{f"guess_{name}": float(value.mean()) for name, value in guess.items()},
        **{f"token_{name}": correlation(value, change) for name, value in guess.items()},
        "band": float(band.float().mean()),
        "band_down": float((band & (advantage < 0)).float().mean()),
        "top_down": float((advantage[kl_cov_mask(-guess["batch"], 0.2)] < 0).float().mean()),
    }


@torch.no_grad()
def watch_probes(model, probes):
    """One step seen on prompts outside its batch: entropy change at the visited states, real and
    to first order, and the change that comes from visiting other states (`visitation_change`)."""
    old, new = probes.logits, forced_logits(model, probes.prompts, probes.answers)
    return {
        "change": float((entropy(new) - entropy(old)).mean()),
        "predicted": float(entropy_change(old, new - old).mean()),
        "visitation": visitation_change(old, new, probes.answers),
    }


def visitation_change(before, after, tokens):
    """Change of the mean entropy because other states are visited, in nats a token.

    mean of (w - 1)(H_after - its mean), w = product of pi_after / pi_before over the tokens so far
    before, after [B, L, V], tokens [B, L]
    """
    log_w = (log_prob(after, tokens) - log_prob(before, tokens)).cumsum(1)[:, :-1]
    H = entropy(after)[:, 1:]                       # the first state is the prompt: always visited
    return float(((log_w.exp() - 1) * (H - H.mean(0))).sum() / tokens.numel())


def correlation(x, y):
    """Pearson correlation of two tensors of one shape; NaN where one of them does not vary."""
    x, y = (v.flatten().cpu().double() for v in (x, y))
    return float(torch.corrcoef(torch.stack([x, y]))[0, 1])


@torch.no_grad()
def shrink(before, after, prompts, answers, factors, predict=entropy_change):
    """Mean |dH - predicted| at the states of given answers when a parameter step is shrunk.

    before, after     models; the parameters are before + factor * (after - before), in float64
    prompts, answers  [B, n], [B*G, L];  factors  list of numbers
    predict           a function of (logits, change of the logits), such as `entropy_change`
    Returns an array [len(factors)] in nats.
    """
    prompts, answers = prompts.cpu(), answers.cpu()
    model, end = (copy.deepcopy(m).cpu().double() for m in (before, after))
    origin = [w.clone() for w in model.parameters()]
    old = forced_logits(model, prompts, answers)
    residual = []
    for factor in factors:
        for w, w0, w1 in zip(model.parameters(), origin, end.parameters(), strict=True):
            w.copy_(w0 + factor * (w1 - w0))
        new = forced_logits(model, prompts, answers)
        rest = entropy(new) - entropy(old) - predict(old, new - old)
        residual.append(float(rest.abs().mean()))
    return np.array(residual)
