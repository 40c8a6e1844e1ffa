"""A task with an exploration trap, small enough that everything about a policy on it is exact.

Chapter "Which tokens carry it" (policy/which-tokens). Entropies in nats.

A prompt q asks for (q + sum of the digits that the answer writes) mod M. The first token picks a
road. Then up to L digits are written, closed by an end token, and one token gives the result. On the
*sound* road the result stands as it is. On the *shortcut* a hidden fair coin of the question is added
to it, the same for all answers to one asking: whatever the policy does there, it is right half the
time at best. But the shortcut is what it knows at the start.
"""

from dataclasses import dataclass
from functools import cached_property

import array_api_compat as compat
import numpy as np

from labutils._inputs import finite, namespace, number, whole
from labutils.policy.softmax import entropy, log_softmax

FORK, THINK, ANSWER = 0, 1, 2       # parts of an answer, as in `Trap.part`
OVER = -1                           # where an answer has ended


@dataclass(frozen=True)
class Trap:
    """The task as a table of moves: a policy on it is an array of logits [..., states, V].

    base      M, digits and answers are 0..M-1; token M ends the digits, so V = M + 1
    prompts   Q, prompt q adds q % M
    digits    L, the most digits that may be written
    sound     share of the first tokens (the last ones) that pick the sound road

    The states: Q forks, then (prompt, road, digits so far, sum so far) while thinking, then
    (prompt, road, sum) before the answer. They hold all that matters, so nothing need be sampled.
    Errors: ValueError when a number is out of range.
    """

    base: int = 8
    prompts: int = 8
    digits: int = 4
    sound: int = 2

    def __post_init__(self):
        for name, lowest in (("base", 2), ("prompts", 1), ("digits", 1), ("sound", 1)):
            whole(name, getattr(self, name), lowest)
        if self.sound > self.base:
            raise ValueError(f"sound must be <= base = {self.base}, so that there is a shortcut; "
                             f"got {self.sound}")

    @property
    def vocabulary(self):
        return self.base + 1

    @property
    def horizon(self):
        """The longest answer: fork, digits (or fewer and the end token), answer."""
        return self.digits + 2

    @property
    def states(self):
        return len(self.part)

    @cached_property
    def grid(self):
        """Names of all states as a structured array: prompt, part, road (1 = sound), written, sum."""
        Q, L, M = self.prompts, self.digits, self.base
        rows = [(q, FORK, 0, 0, 0) for q in range(Q)]
        rows += [(q, THINK, r, n, s) for q in range(Q) for r in (0, 1) for n in range(L)
                 for s in range(M)]
        rows += [(q, ANSWER, r, 0, s) for q in range(Q) for r in (0, 1) for s in range(M)]
        return np.array(rows, dtype=[(name, int) for name in ("prompt", "part", "road", "written", "sum")])

    @cached_property
    def part(self):
        """[states] FORK, THINK or ANSWER."""
        return self.grid["part"]

    @cached_property
    def owner(self):
        """[states] the prompt that a state belongs to."""
        return self.grid["prompt"]

    @cached_property
    def move(self):
        """[states, V] the next state, OVER after the answer."""
        Q, L, M = self.prompts, self.digits, self.base
        think = lambda q, r, n, s: Q + ((q * 2 + r) * L + n) * M + s                  # noqa: E731
        answer = lambda q, r, s: Q + Q * 2 * L * M + (q * 2 + r) * M + s              # noqa: E731
        table = np.full((len(self.grid), self.vocabulary), OVER)
        for i, (q, part, r, n, s) in enumerate(self.grid):
            for token in range(self.vocabulary):
                if part == FORK:
                    table[i, token] = think(q, int(token > M - self.sound), 0, 0)
                elif part == THINK and (token == M):
                    table[i, token] = answer(q, r, s)
                elif part == THINK:
                    after = (s + token) % M
                    table[i, token] = think(q, r, n + 1, after) if n + 1 < L else answer(q, r, after)
        return table

    @cached_property
    def sources(self):
        """[states, K] the moves that lead to each state, as state * V + token; states * V fills up."""
        into = [[] for _ in self.grid]
        for source, token in zip(*np.nonzero(self.move != OVER)):
            into[self.move[source, token]].append(source * self.vocabulary + token)
        table = np.full((len(into), max(map(len, into))), self.move.size)
        for row, moves in zip(table, into):
            row[: len(moves)] = moves
        return table

    @cached_property
    def payoff(self):
        """[2, states, V] whether a last token is right, for either side of the coin: 1.0 or 0.0."""
        table = np.zeros((2, len(self.grid), self.vocabulary))
        ends = np.flatnonzero(self.part == ANSWER)
        asked = self.grid["prompt"][ends] + self.grid["sum"][ends]
        for coin in (0, 1):
            added = np.where(self.grid["road"][ends] == 1, 0, coin)
            table[coin, ends, (asked - added) % self.base] = 1
        return table

    @cached_property
    def claim(self):
        """[2, states, V] what a last token says about the prompt, (result - sum) mod M: right when it
        is q % M. M stands for a last token that is no number, OVER for any other token."""
        table = np.full((2, len(self.grid), self.vocabulary), OVER)
        ends = np.flatnonzero(self.part == ANSWER)
        token = np.arange(self.base)
        for coin in (0, 1):
            added = np.where(self.grid["road"][ends] == 1, 0, coin) - self.grid["sum"][ends]
            table[coin, ends, : self.base] = (token + added[:, None]) % self.base
            table[coin, ends, self.base] = self.base
        return table

    def start(self, sound=0.08, known=0.8, habit=0.8, first=None, able=None):
        """Logits [states, V] of a policy before any training on reward.

        sound   chance that the fork picks the sound road
        known   chance of the likeliest answer on the shortcut
        habit   chance of the habitual digit, which is n + 1 after n digits (then the end token)
        first   share of the shortcut's chance that its habitual first token has; all its first tokens
                are equal if not given: the fork is open then, and confident when this is near 1
        able    chance of the right answer on the sound road; all tokens are equal if not given

        Errors: ValueError when a chance is not between 0 and 1, or when first is given and the
        shortcut has one first token only.
        """
        chances = {"sound": sound, "known": known, "habit": habit, "first": first, "able": able}
        for name, value in chances.items():
            if value is not None:
                number(name, value, "must lie between 0 and 1, ends excluded", lambda v: 0 < v < 1)
        V, M = self.vocabulary, self.base
        short = V - self.sound                                  # first tokens of the shortcut
        if first is not None and short < 2:
            raise ValueError(f"first needs a shortcut with two first tokens or more; sound = {self.sound} leaves {short}")
        p = np.full((len(self.grid), V), 1 / V)
        fork = np.where(np.arange(V) > M - self.sound, sound / self.sound, (1 - sound) / short)
        if first is not None:
            fork[:short] = (1 - sound) * np.where(np.arange(short) == 0, first, (1 - first) / (short - 1))
        p[self.part == FORK] = fork
        think = np.flatnonzero(self.part == THINK)
        written = self.grid["written"][think]
        habitual = np.where(written < self.digits - 1, (written + 1) % M, M)
        p[think] = (1 - habit) / (V - 1)
        p[think, habitual] = habit
        for road, chance in ((0, known), (1, able)):
            if chance is not None:
                rows = np.flatnonzero((self.part == ANSWER) & (self.grid["road"] == road))
                p[rows] = (1 - chance) / (V - 1)
                p[rows, (self.owner[rows] + self.grid["sum"][rows]) % M] = chance
        return np.log(p)


def visits(task, logits):
    """d(s), the chance that an answer passes through each state, by dynamic programming.

    logits [..., states, V] -> [..., states], given the prompt that owns the state: the entries of a
    prompt's states sum to the mean length of its answers.
    Errors: ValueError when logits do not fit the task.
    """
    xp, log_pi = _policy(task, logits)
    pi = xp.exp(log_pi)
    here = xp.zeros_like(logits[..., 0]) + xp.astype(_as(xp, task.part == FORK, logits), logits.dtype)
    total = here
    for _ in range(task.horizon - 1):
        here = _forward(task, xp, here[..., None] * pi)
        total = total + here
    return total


def evaluate(task, logits, draws=16):
    """Everything about a policy, exact, as a dict of arrays [...] (the leading axes of logits).

    accuracy   chance that an answer is right, mean over prompts and both sides of the coin
    pass16     chance that one of `draws` answers to one asking is right (named after `draws`)
    sound      mean chance of the sound road;  locked  share of prompts where it is below 1 %
    entropy    nats a token: sum of d(s) H(s) over sum of d(s)
    length     tokens an answer
    fork, think, answer   the same entropy by part

    Errors: ValueError when logits do not fit the task or draws < 1.
    """
    whole("draws", draws, 1)
    xp, log_pi = _policy(task, logits)
    pi, d, H = xp.exp(log_pi), visits(task, logits), entropy(logits)
    p = success(task, logits)                                              # [2, ..., prompts]
    forks = pi[..., : task.prompts, task.vocabulary - task.sound :]
    sound = xp.sum(forks, axis=-1)
    result = {
        "accuracy": xp.mean(p, axis=(0, -1)),
        f"pass{draws}": xp.mean(1 - (1 - p) ** draws, axis=(0, -1)),
        "sound": xp.mean(sound, axis=-1),
        "locked": xp.mean(xp.astype(sound < 0.01, logits.dtype), axis=-1),
        "entropy": xp.sum(d * H, axis=-1) / xp.sum(d, axis=-1),
        "length": xp.sum(d, axis=-1) / task.prompts,
    }
    for part, name in ((FORK, "fork"), (THINK, "think"), (ANSWER, "answer")):
        some = _as(xp, np.flatnonzero(task.part == part), logits)
        weight = xp.take(d, some, axis=-1)
        result[name] = xp.sum(weight * xp.take(H, some, axis=-1), axis=-1) / xp.sum(weight, axis=-1)
    return result


def success(task, logits):
    """p_q, the chance that an answer to each prompt is right, for either side of the coin.

    logits [..., states, V] -> [2, ..., prompts]
    """
    xp, log_pi = _policy(task, logits)
    pi, d = xp.exp(log_pi), visits(task, logits)
    return xp.stack([_by_prompt(task, xp, d * xp.sum(pi * _as(xp, table, logits), axis=-1))
                     for table in task.payoff])


def gradient(task, logits):
    """The exact gradient of accuracy in the logits, d(s) π (Q - V) / Q_prompts: [..., states, V].

    Q(s, a) is the chance to be right after token a in state s, mean over both sides of the coin, V(s)
    its mean under the policy; both by dynamic programming from the answers back to the forks.
    Errors: ValueError when logits do not fit the task.
    """
    xp, log_pi = _policy(task, logits)
    pi, d = xp.exp(log_pi), visits(task, logits)
    last = _as(xp, task.payoff.mean(axis=0), logits) + xp.zeros_like(logits)
    going_on = _as(xp, (task.move != OVER).astype(float), logits)
    target = _as(xp, np.maximum(task.move, 0), logits)
    value = xp.zeros_like(logits[..., 0])
    for _ in range(task.horizon):
        Q = last + going_on * value[..., target]
        value = xp.sum(pi * Q, axis=-1)
    return d[..., None] * pi * (Q - value[..., None]) / task.prompts


def distinct(task, logits, draws=16):
    """Expected number of different right answers among `draws` to a prompt, mean over prompts, [...].

    Whole sequences are counted, by writing down all that end right: the mean over both coins.
    Errors: as `evaluate`.
    """
    whole("draws", draws, 1)
    xp, log_pi = _policy(task, logits)
    total = 0.0
    for payoff in task.payoff:
        state, log_p = np.arange(task.prompts), xp.zeros_like(logits[..., : task.prompts, 0])
        for _ in range(task.horizon):
            ends = task.part[state] == ANSWER
            last = _as(xp, np.flatnonzero(ends), logits)
            token = _as(xp, payoff[state[ends]].argmax(-1), logits)
            p = xp.exp(xp.take(log_p, last, axis=-1) + log_pi[..., _as(xp, state[ends], logits), token])
            total = total + xp.sum(1 - (1 - p) ** draws, axis=-1)
            row, token = np.nonzero(task.move[state] != OVER)
            log_p = xp.take(log_p, _as(xp, row, logits), axis=-1) + log_pi[
                ..., _as(xp, state[row], logits), _as(xp, token, logits)]
            state = task.move[state[row], token]
    return total / (2 * task.prompts)


def _policy(task, logits):
    xp = namespace(logits=logits)
    if tuple(logits.shape[-2:]) != (task.states, task.vocabulary):
        raise ValueError(f"logits must end in {task.states} states and {task.vocabulary} tokens; "
                         f"got shape {tuple(logits.shape)}")
    finite(logits=logits)
    return xp, log_softmax(logits)


def _as(xp, array, like):
    """A table of the task as an array of the policy's library, on its device."""
    array = np.asarray(array)
    dtype = like.dtype if array.dtype.kind == "f" else None
    return xp.asarray(array, dtype=dtype, device=compat.device(like))


def _forward(task, xp, flow):
    """Chance that arrives in each state: flow [..., states, V] along `task.move`."""
    flat = xp.reshape(flow, (*flow.shape[:-2], -1))
    flat = xp.concat([flat, xp.zeros_like(flat[..., :1])], axis=-1)
    arriving = xp.take(flat, _as(xp, task.sources.reshape(-1), flow), axis=-1)
    return xp.sum(xp.reshape(arriving, (*flow.shape[:-1], -1)), axis=-1)


def _by_prompt(task, xp, values):
    owner = _as(xp, task.owner[:, None] == np.arange(task.prompts), values)
    return xp.matmul(values, xp.astype(owner, values.dtype))
