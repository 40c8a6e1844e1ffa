"""A policy as a table of logits on the trap task, many seeds side by side; no autograd.

Chapter "Which tokens carry it" (policy/which-tokens). Entropies in nats.
NumPy or torch, on any device; random numbers come from NumPy, so that all devices draw the same.
"""

import array_api_compat as compat
import numpy as np

from labutils.policy import trap
from labutils._inputs import finite, namespace, whole
from labutils.policy.harness import Batch, at_rows
from labutils.policy.softmax import log_softmax
from labutils.policy.trap import ANSWER, FORK, OVER, Trap


class Table:
    """Logits [R, states, V] of a `Trap`, one table a run.

    task    a `Trap`;  logits  [states, V], where every run begins (the task's own start if not given)
    runs    R;  like  an array whose library and device are to be used (NumPy if not given)
    Errors: ValueError when logits do not fit the task or are not finite.
    """

    batched = True

    def __init__(self, task=None, logits=None, runs=1, like=None):
        self.task = task or Trap()
        logits = self.task.start() if logits is None else logits
        namespace(logits=logits)
        if tuple(logits.shape) != (self.task.states, self.task.vocabulary):
            raise ValueError(f"logits must be {self.task.states} states by {self.task.vocabulary} tokens; "
                             f"got shape {tuple(logits.shape)}")
        whole("runs", runs, 1)
        self._like = np.zeros(1) if like is None else like
        self.xp = namespace(like=self._like)
        self.questions, self.runs = self.task.prompts, runs
        self.logits = self.as_array(np.repeat(np.asarray(logits)[None], runs, 0))
        finite(logits=self.logits)
        task = self.task
        self._move, self._claim = self.as_array(np.maximum(task.move, 0)), self.as_array(task.claim)
        self._payoff, self._part = self.as_array(task.payoff), self.as_array(task.part)
        self._over = self.as_array((task.move == OVER).astype(float))

    def as_array(self, array):
        """A NumPy array as one of the table's library, on its device."""
        dtype = self._like.dtype if array.dtype.kind == "f" else None
        return self.xp.asarray(array, dtype=dtype, device=compat.device(self._like))

    # ------------------------------------------------------------ what the loop asks for

    def in_turn(self, run):
        """All prompts equally often, the rest by lot, in an order by lot: [R, B]."""
        xp, B, Q = self.xp, run.loop.prompts, self.task.prompts
        order = xp.argsort(run.uniform(B, use="order"), axis=-1)
        rest = xp.argsort(run.uniform(Q, use="rest"), axis=-1)[..., : B % Q]
        whole = xp.broadcast_to(xp.arange(B - B % Q, device=compat.device(order)) % Q, (self.runs, B - B % Q))
        return xp.take_along_axis(xp.concat([whole, rest], axis=-1), order, axis=-1)

    def ask(self, run, prompts, group, temperature, active, use):
        """See `Run.ask`. The coin of the shortcut is one for all answers to one asking."""
        xp = self.xp
        coin = xp.astype(run.uniform(prompts.shape[-1], use=use + " coin") < 0.5, xp.int64)
        prompts, coin = xp.repeat(prompts, group, axis=-1), xp.repeat(coin, group, axis=-1)
        return self._draw(run, prompts, coin, group, use, active, temperature)

    def branch(self, run, batch, rows, cut, group, active, use):
        """See `Run.branch`."""
        take = lambda x: self.xp.take_along_axis(x, rows, axis=-1)      # noqa: E731
        return self._draw(run, take(batch.prompts), take(batch.hidden), group, use, active, 1.0,
                          at_rows(self.xp, batch.tokens, rows), cut)

    def look(self, batch):
        """log π at the states of a batch, [R, N, T, V]."""
        return log_softmax(self._at(batch.states))

    def move(self, directions, count, rate):
        """z += rate / count * sum of the directions at each state; count [R].

        Errors: ValueError for a direction that is not finite.
        """
        xp, (R, S, V) = self.xp, self.logits.shape
        flat = xp.reshape(self.logits, (-1,))
        for batch, D in directions:
            finite(direction=D)
            base = (xp.arange(R, device=compat.device(D))[:, None, None] * S + batch.states) * V
            index = base[..., None] + xp.arange(V, device=compat.device(D))
            step = xp.reshape((rate / count)[:, None, None, None] * D, (-1,))
            if compat.is_torch_namespace(xp):
                flat = flat.index_add(0, xp.reshape(index, (-1,)), step)
            else:
                flat = flat + np.bincount(index.reshape(-1), step, len(flat))
        self.logits = xp.reshape(flat, (R, S, V))

    def evaluate(self, run):
        """Exact: see `trap.evaluate`."""
        return trap.evaluate(self.task, self.logits)

    # ------------------------------------------------------------ drawing

    def _at(self, states):
        rows = self.xp.arange(self.logits.shape[0], device=compat.device(states))
        return self.logits[rows[:, None, None], states]

    def _draw(self, run, prompts, coin, group, use, active, temperature, copied=None, cut=None):
        xp, T, R = self.xp, self.task.horizon, self.logits.shape[0]
        u = run.uniform(prompts.shape[-1], T, use=use)
        state, alive = prompts, xp.ones_like(u[..., 0]) if active is None else active
        rows = xp.arange(R, device=compat.device(u))[:, None]
        columns = {name: [] for name in ("tokens", "states", "log_pi", "live", "learn", "part")}
        right, claim = xp.zeros_like(alive), xp.full_like(prompts, OVER)
        for t in range(T):
            z = self.logits[rows, state]                                        # [R, N, V]
            chance = xp.cumulative_sum(xp.exp(log_softmax(z / temperature)), axis=-1)
            beyond = u[..., t, None] * chance[..., -1:] >= chance[..., :-1]
            token = xp.sum(xp.astype(beyond, xp.int64), axis=-1)
            learn = alive
            if copied is not None:
                old = xp.astype(t < cut, xp.int64)
                token, learn = old * copied[..., t] + (1 - old) * token, alive * (1 - old)
            columns["tokens"].append(token)
            columns["states"].append(state)
            columns["log_pi"].append(log_softmax(z))
            columns["live"].append(alive)
            columns["learn"].append(learn)
            columns["part"].append(self._part[state])
            over = self._over[state, token] * alive
            right = right + over * self._payoff[coin, state, token]
            claim = xp.where(over > 0, self._claim[coin, state, token], claim)
            state, alive = self._move[state, token], alive - over
        stacked = {name: xp.stack(column, axis=2) for name, column in columns.items()}
        return Batch(prompts=prompts, right=right, claim=claim, hidden=coin, group=group, **stacked)
