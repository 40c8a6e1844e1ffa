"""Methods that let some answers of a group share their beginning. Chapter "Branching where it forks".

Copied tokens carry no gradient and cost nothing. Entropies in nats.
"""

from dataclasses import dataclass, replace

import array_api_compat as compat

from labutils.policy.harness import Method, at_rows, choose, group_advantage, join, masked_mean, spread
from labutils.policy.methods.own_past import vote
from labutils.policy.methods.shaping import sigmoid


def parents(prompts, batch, children):
    """Row of the parent for each branch: `children` neighbours to each answer, [..., N * children]."""
    xp = batch.xp
    rows = xp.arange(batch.prompts.shape[-1], device=compat.device(prompts))
    return xp.broadcast_to(xp.repeat(rows, children), (*prompts.shape[:-1], len(rows) * children))


def undecided(batch, first=1):
    """(positions, number): those of each answer from `first` on by falling entropy, the `number` of its own
    tokens before the empty ones, [..., N, T] and [..., N, 1]."""
    xp = batch.xp
    late = xp.arange(batch.entropy.shape[-1], device=compat.device(batch.entropy)) >= first
    there = (batch.live > 0) & late
    score = xp.where(there, batch.entropy, -xp.ones_like(batch.entropy))
    places = xp.argsort(score, axis=-1, descending=True, stable=True)
    return places, xp.sum(xp.astype(there, places.dtype), axis=-1, keepdims=True)


@dataclass
class Cure(Method):
    """`roots` answers a prompt, `branches` more from each, cut at one of its most undecided positions.

    The position is uniform among the `candidates` of highest entropy (all, in a shorter answer), the first
    token excluded; all share one baseline. From step `until` on: plain. Paper 043 (20 candidates in answers
    of thousands of tokens; it drops groups that agree, which have no gradient here either way).
    """

    high: float = 0.28
    roots: int = 4
    branches: int = 3
    candidates: int = 3
    until: int = 10**9

    rules = {"roots": "whole >= 1", "branches": "whole >= 1", "candidates": "whole >= 1",
             "until": "whole >= 0"}

    def sample(self, run):
        if self.roots * (1 + self.branches) != run.loop.group:
            raise ValueError(f"roots * (1 + branches) must be group = {run.loop.group}; "
                             f"got {self.roots} * (1 + {self.branches})")
        if run.step >= self.until:
            return super().sample(run)
        xp, prompts = run.policy.xp, self.prompts(run)
        roots = run.ask(prompts, self.roots)
        rows = parents(prompts, roots, self.branches)
        places, number = (xp.repeat(x, self.branches, axis=-2) for x in undecided(roots))
        lots = run.uniform(rows.shape[-1], use="which fork")[..., None]
        which = xp.astype(lots * xp.clip(number, 1, self.candidates), rows.dtype)
        cut = xp.take_along_axis(places, which, axis=-1)[..., 0]
        return join(roots, run.branch(roots, rows, cut, self.roots * self.branches))


@dataclass
class EntropyBalanced(Method):
    """Branches rationed by entropy, and a clip that lets rewarded tokens go on learning. Paper 024.

    Of G answers m = G sigmoid(beta (H_first - H̄_later)) begin anew (half of them at the first step). Each
    other one copies a beginning and leaves it at the first position after the first token where a lot falls
    below (alpha + gamma (H_t - H_first)) / (1 + l), l the branches that its parent has already had; where
    none falls it begins anew too. A token clipped from above keeps the gradient (1 + high) A; A is
    multiplied by 1 + weight · (H_t - mean)/std over the batch.
    Adapted: tools are the digits here, and the paper's form of the penalty is not known to us.
    """

    beta: float = 1.0
    alpha: float = 0.4
    gamma: float = 0.2
    weight: float = 0.2

    rules = {"beta": "finite", "alpha": "finite", "gamma": "finite", "weight": "finite"}

    def sample(self, run):
        xp, G, prompts = run.policy.xp, run.loop.group, self.prompts(run)
        index = xp.arange(prompts.shape[-1] * G, device=compat.device(prompts))
        slot, m = index % G, self.budget(run, prompts)
        anew = slot < m                                                     # [..., N]
        new = xp.astype(anew, run.uniform(1).dtype)
        roots = run.ask(prompts, G, active=new)
        rows, had = index - slot + slot % m, xp.clip(slot // m - 1, 0, G)   # the parents take turns
        cut = self.fork(run, roots, rows, had)
        return choose(new, roots, run.branch(roots, rows, cut, G, active=1 - new))

    def budget(self, run, prompts):
        """m [..., 1], how many answers of a group begin anew."""
        xp, G = run.policy.xp, run.loop.group
        if "entropies" not in run.memory:
            return xp.full_like(prompts[..., :1], G // 2)
        first, later = run.memory["entropies"]
        return xp.astype(xp.clip(xp.round(G * sigmoid(xp, self.beta * (first - later))), 1, G), prompts.dtype)

    def fork(self, run, roots, rows, had):
        """Where each branch leaves its parent, 0 for nowhere: [..., N]."""
        xp = roots.xp
        H, live = at_rows(xp, roots.entropy, rows), at_rows(xp, roots.live, rows)
        chance = (self.alpha + self.gamma * (H - H[..., :1])) / (1.0 + xp.astype(had, H.dtype)[..., None])
        late = xp.arange(H.shape[-1], device=compat.device(H)) > 0
        falls = (run.uniform(*H.shape[-2:], use="which fork") < chance) & (live > 0) & late
        return xp.argmax(xp.astype(falls, xp.int64), axis=-1)

    def advantage(self, run, batch):
        A, H = super().advantage(run, batch), batch.entropy
        return A * (1 + self.weight * (H - batch.mean(H)) / (batch.deviation(H) + 1e-6)) * batch.live

    def surrogate(self, batch, now, A):
        xp = batch.xp
        above = (A > 0) & (now.ratio > 1 + self.high)
        return xp.where(above, (1 + self.high) * A, super().surrogate(batch, now, A))

    def after(self, run, batch):
        first = first_tokens(batch)
        run.memory["entropies"] = tuple(
            masked_mean(batch.xp, batch.entropy, mask, (-2, -1))[..., 0]
            for mask in (first, batch.live - first))


def first_tokens(batch):
    """1 on the first token of each answer, [..., N, T]."""
    return batch.live * batch.xp.astype(
        batch.xp.arange(batch.live.shape[-1], device=compat.device(batch.live)) == 0, batch.live.dtype)


@dataclass
class BranchGrpo(Method):
    """A binary tree of G leaves: before each of the first log2 G tokens every branch becomes two.

    A node earns the mean of its leaves; A = (R_node - mean) / std over the nodes of its depth in the tree,
    the std of a population, so that any two nodes that differ have A = ±1. Each token learns once.
    Paper 109, there for diffusion steps; its pruning is left out.
    """

    def sample(self, run):
        G, prompts = run.loop.group, self.prompts(run)
        if G & (G - 1):
            raise ValueError(f"group must be a power of 2 for a binary tree; got {G}")
        tree = run.ask(prompts, 2)
        for depth in range(1, G.bit_length() - 1):
            rows = parents(prompts, tree, 1)
            other = run.branch(tree, rows, depth + 0 * rows, tree.group, use=f"branches {depth}")
            tree = interleave(tree, other)
        return tree

    def advantage(self, run, batch):
        xp, G = batch.xp, batch.group
        R, columns = batch.grouped(batch.reward), []
        for t in range(batch.tokens.shape[-1]):
            nodes = min(2 ** (t + 1), G)
            node = xp.mean(xp.reshape(R, (*R.shape[:-1], nodes, G // nodes)), axis=-1)
            centred = node - xp.mean(node, axis=-1, keepdims=True)
            if self.standard:
                centred = centred / (xp.std(node, axis=-1, keepdims=True) + 1e-6)
            columns.append(batch.flat(xp.repeat(centred, G // nodes, axis=-1)))
        return xp.stack(columns, axis=-1) * batch.live


def interleave(first, second):
    """Answers of both batches in turn: twice the group, each beside its sibling."""
    pairs = join(replace(first, group=1), replace(second, group=1))
    return replace(pairs, group=2 * first.group)


@dataclass
class Ettrl(Method):
    """Trees without labels: `trees` answers, from each `branches` at each of its `forks` peaks of entropy.

    Reward: agreement with the vote of the group. A_i Y_i, Y_i = 2 - H_i / H̄, H_i the mean entropy of the
    answer, H̄ that of the group: certain answers count more, and one of more than twice the mean changes
    sign. Paper 116, with 3 forks and 2 branches. In an answer shorter than `forks` the peaks come in turn.

    bound   the paper's other form: A clipped to -bound..bound instead of Y
    """

    trees: int = 4
    forks: int = 3
    bound: float | None = None
    branches: int = 1

    rules = {"trees": "whole >= 1", "forks": "whole >= 1", "bound": "> 0", "branches": "whole >= 1"}

    def sample(self, run):
        children = self.forks * self.branches
        if self.trees * (1 + children) != run.loop.group:
            raise ValueError(f"trees * (1 + forks * branches) must be group = {run.loop.group}; "
                             f"got {self.trees} * (1 + {self.forks} * {self.branches})")
        xp, prompts = run.policy.xp, self.prompts(run)
        roots = run.ask(prompts, self.trees)
        rows = parents(prompts, roots, children)
        places, number = undecided(roots, first=0)
        which = xp.arange(self.forks, device=compat.device(prompts)) % number           # [..., N, forks]
        cut = xp.repeat(xp.take_along_axis(places, which, axis=-1), self.branches, axis=-1)
        cut = xp.reshape(cut, rows.shape)
        return join(roots, run.branch(roots, rows, cut, self.trees * children))

    def reward(self, run, batch):
        return vote(batch)

    def advantage(self, run, batch):
        xp, A = batch.xp, group_advantage(batch, batch.reward, self.standard)
        if self.bound is not None:
            return spread(batch, xp.clip(A, -self.bound, self.bound))
        H = batch.grouped(batch.answers(batch.entropy))
        mean = xp.mean(H, axis=-1, keepdims=True)
        share = xp.where(mean > 0, H / xp.where(mean > 0, mean, xp.ones_like(mean)), xp.ones_like(H))
        return spread(batch, A * batch.flat(2 - share))
