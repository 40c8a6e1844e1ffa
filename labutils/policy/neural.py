"""The transformer of "Why entropy falls" as a policy of the loop that drives every method.

Chapters "Why entropy falls" and "Which tokens carry it". Entropies in nats. Needs torch; any device.
A method gives the direction D of each token's logits; here it is the gradient that autograd receives.
"""

import copy

import array_api_compat.torch as xp
import numpy as np
import torch

from labutils import runtime
from labutils.policy import grpo
from labutils._inputs import finite
from labutils.policy.harness import Batch


class Network:
    """A copy of `start.model` on the problems of `start.pool`: one run at a time.

    start    a `grpo.Start`, as `grpo.warm_up` returns it
    task     the `Countdown` of the problems
    far      True also evaluates the held-out problems (at every evaluation)

    Prompts are rows of the pool. A token decides the plan (part 0) when an operator stands there, the
    last number is the answer (part 2). What an answer claims is its value, -1000 where it is malformed.
    """

    batched, runs = False, 1
    xp = xp

    def __init__(self, start, task, device=None, far=False):
        self.task, self.pool, self.held_out = task, start.pool, start.held_out
        self.device, self.far = runtime.device(device), far
        self.model = copy.deepcopy(start.model).to(self.device)
        self.questions = len(self.pool)
        self.optimiser = None
        self._prompts = torch.as_tensor(self.pool.prompts, device=self.device)
        part = np.where(np.arange(task.answer_length) % 2 == 1, 0, 1)
        part[-1] = 2
        self._part = torch.as_tensor(part, device=self.device)

    def as_array(self, array):
        """A NumPy array as a tensor on the device, in single precision."""
        array = np.asarray(array)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        return torch.as_tensor(array, device=self.device)

    # ------------------------------------------------------------ what the loop asks for

    def in_turn(self, run):
        """Rows of the pool without repetition: [B]."""
        if run.loop.prompts > self.questions:
            raise ValueError(f"prompts must be <= pool = {self.questions}; got {run.loop.prompts}")
        return run.uniform(self.questions, use="order").argsort()[: run.loop.prompts]

    def ask(self, run, prompts, group, temperature, active, use):
        """See `Run.ask`."""
        return self._draw(run, prompts.repeat_interleave(group), group, use, active, temperature)

    def branch(self, run, batch, rows, cut, group, active, use):
        """See `Run.branch`."""
        return self._draw(run, batch.prompts[rows], group, use, active, 1.0, batch.tokens[rows], cut)

    def look(self, batch):
        """log π before each token, [N, T, V]; the graph behind it waits on the batch for `move`."""
        batch.logits = grpo.forced_logits(self.model, self._prompts[batch.prompts], batch.tokens)
        return batch.logits.detach().log_softmax(-1)

    def move(self, directions, count, rate):
        """One step of Adam along the sum of the directions over `count`; its norm is cut at 1.

        `rate` is Adam's, read at the first step. Errors: ValueError for a direction that is not finite.
        """
        if self.optimiser is None:
            self.optimiser = torch.optim.Adam(self.model.parameters(), rate, betas=(0.9, 0.95))
        self.optimiser.zero_grad()
        for batch, D in directions:
            finite(direction=D)
            batch.logits.backward(gradient=-D / count)
            batch.logits = None
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()

    def evaluate(self, run):
        """Exact on the pool: see `grpo.exact`; "entropy" is sampled, eight answers a problem."""
        look = torch.Generator(self.device).manual_seed(run.seeds[0])
        result = {"entropy": grpo.sampled_entropy(self.model, self.pool, 8, look),
                  **grpo.exact(self.model, self.pool)}
        if self.far:
            far = {"entropy": grpo.sampled_entropy(self.model, self.held_out, 8, look),
                   **grpo.exact(self.model, self.held_out)}
            result |= {f"far_{name}": value for name, value in far.items()}
        return {"accuracy" if name == "pass1" else name: np.float64(value) for name, value in result.items()}

    # ------------------------------------------------------------ drawing

    @torch.no_grad()
    def _draw(self, run, rows, group, use, active, temperature, copied=None, cut=None):
        length = self.task.answer_length
        u = run.uniform(len(rows), length, use=use)
        logits, cache = self.model(self._prompts[rows])
        columns, seen = [], []
        for t in range(length):
            z = logits[:, -1]                                               # (N, V)
            chance = (z / temperature).softmax(-1).cumsum(-1)
            token = (u[:, t, None] * chance[:, -1:] >= chance[:, :-1]).sum(-1)
            if copied is not None:
                token = torch.where(t < cut, copied[:, t], token)
            columns.append(token)
            seen.append(z.log_softmax(-1))
            if t + 1 < length:
                logits, cache = self.model(token[:, None], cache)
        tokens, log_pi = torch.stack(columns, 1), torch.stack(seen, 1)
        live = torch.ones_like(u) if active is None else active[:, None] * torch.ones_like(u)
        learn = live if copied is None else live * (torch.arange(length, device=self.device) >= cut[:, None])
        value, well_formed = self.task.evaluate(tokens)
        right = self.task.verify(self._prompts[rows], tokens)
        return Batch(prompts=rows, tokens=tokens, states=None, log_pi=log_pi, live=live, learn=learn,
                     part=self._part.expand_as(tokens), right=right.to(live.dtype),
                     claim=torch.where(well_formed, value, -1000), hidden=None, group=group)
