"""Methods that let some answers of a group share their beginning. Chapter "Branching where it forks".

Copied tokens carry no gradient and cost nothing. Entropies in nats.
"""

from dataclasses import dataclass, replace

import array_api_compat as compat

from labutils.policy.harness import Method, choose, group_advantage, join, masked_mean, spread
from labutils.policy.methods.own_past import vote


def parents(prompts, batch, children):
    """Row of the parent for each branch: `children` neighbours to each answer, [..., N * children]."""
    xp = batch.xp
    rows = xp.arange(batch.prompts.shape[-1], device=compat.device(prompts))
    return xp.broadcast_to(xp.repeat(rows, children), (*prompts.shape[:-1], len(rows) * children))


def undecided(batch, candidates, first=1):
    """The `candidates` positions of highest entropy of each answer, from `first` on: [..., N, candidates]."""
    xp = batch.xp
    late = xp.arange(batch.entropy.shape[-1], device=compat.device(batch.entropy)) >= first
    score = xp.where((batch.live > 0) & late, batch.entropy, -xp.ones_like(batch.entropy))
    return xp.argsort(score, axis=-1, descending=True, stable=True)[..., :candidates]


@dataclass
class Cure(Method):
    """`roots` answers a prompt, `branches` more from each, cut at one of its most undecided positions.

    The position is uniform among the `candidates` of highest entropy, the first token excluded; all share
    one baseline. From step `until` on: plain. Paper 043 (20 candidates in answers of thousands of tokens).
    """

    high: float = 0.28
    roots: int = 4
    branches: int = 3
    candidates: int = 3
    until: int = 10**9

    def sample(self, run):
        if self.roots * (1 + self.branches) != run.loop.group:
            raise ValueError(f"roots * (1 + branches) must be group = {run.loop.group}; "
                             f"got {self.roots} * (1 + {self.branches})")
        if run.step >= self.until:
            return super().sample(run)
        prompts = self.prompts(run)
        roots = run.ask(prompts, self.roots)
        rows = parents(prompts, roots, self.branches)
        places = roots.xp.repeat(undecided(roots, self.candidates), self.branches, axis=-2)
        which = run.uniform(rows.shape[-1], use="which fork") * self.candidates
        cut = roots.xp.take_along_axis(places, roots.xp.astype(which, rows.dtype)[..., None], axis=-1)[..., 0]
        return join(roots, run.branch(roots, rows, cut, self.roots * self.branches))


@dataclass
class EntropyBalanced(Method):
    """Branches rationed by entropy, and a clip that lets rewarded tokens go on learning. Paper 024.

    Of G answers m = G sigmoid(beta (H_root - H̄_think)) begin anew; each other one copies a beginning and
    leaves it at the first position where a lot falls below (alpha + gamma (H_t - H_root)) / (1 + l), l the
    branches that its parent has already had, or begins anew. A token clipped from above keeps the gradient
    (1 + high) A; A is multiplied by 1 + weight · (H_t - mean)/std.
    Adapted: tools are the digits here, and the paper's form of the penalty is not known to us.
    """

    beta: float = 1.0
    alpha: float = 0.4
    gamma: float = 0.2
    weight: float = 0.2

    def sample(self, run):
        xp, G, prompts = run.policy.xp, run.loop.group, self.prompts(run)
        root, think = run.memory.get("entropies", (0.0, 0.0))
        share = 1 / (1 + xp.exp(self.beta * (think - root) + 0.0 * run.uniform(1, use="shape")))    # [..., 1]
        m = xp.clip(xp.round(share * G), 1, G)
        slot = xp.broadcast_to(xp.arange(G, device=compat.device(prompts)), (*prompts.shape, G))
        flat = lambda x: xp.reshape(x, (*x.shape[:-2], -1))                                         # noqa: E731
        new = xp.astype(flat(slot < m[..., None]), m.dtype)                                         # [..., N]
        anew = run.ask(prompts, G, active=new)
        first = xp.arange(prompts.shape[-1], device=compat.device(prompts))[:, None] * G
        m = xp.astype(m, slot.dtype)[..., None]
        rows, taken = flat(first + slot % m), flat(slot // m)
        parent = lambda x: xp.take_along_axis(x, rows[..., None] + 0 * xp.astype(x[..., :1, :], rows.dtype), axis=-2)  # noqa: E731
        H, live = parent(anew.entropy), parent(anew.live)
        chance = (self.alpha + self.gamma * (H - H[..., :1])) / (1.0 + xp.astype(taken, H.dtype)[..., None])
        lots = run.uniform(*H.shape[-2:], use="which fork")
        falls = (lots < chance) & (live > 0) & (xp.arange(H.shape[-1], device=compat.device(H)) > 0)
        cut = xp.argmax(xp.astype(falls, xp.int64), axis=-1)                                        # 0: anew
        return choose(new, anew, run.branch(anew, rows, cut, G, active=1 - new))

    def advantage(self, run, batch):
        A, H = super().advantage(run, batch), batch.entropy
        return A * (1 + self.weight * (H - batch.mean(H)) / (batch.deviation(H) + 1e-6)) * batch.live

    def surrogate(self, batch, now, A):
        xp = batch.xp
        above = (A > 0) & (now.ratio > 1 + self.high)
        return xp.where(above, (1 + self.high) * A, super().surrogate(batch, now, A))

    def after(self, run, batch):
        xp, first = batch.xp, first_tokens(batch)
        mean = lambda mask: masked_mean(xp, batch.entropy, mask, (-2, -1))[..., 0]                  # noqa: E731
        run.memory["entropies"] = mean(first), mean(batch.live - first)


def first_tokens(batch):
    """1 on the first token of each answer, [..., N, T]."""
    return batch.live * batch.xp.astype(
        batch.xp.arange(batch.live.shape[-1], device=compat.device(batch.live)) == 0, batch.live.dtype)


@dataclass
class BranchGrpo(Method):
    """A binary tree of G leaves: before each of the first log2 G tokens every branch becomes two.

    A node earns the mean of its leaves; A = (R_node - mean) / std over the nodes of its depth in the tree.
    Each token learns once. Paper 109, there for diffusion steps.
    """

    def sample(self, run):
        G, prompts = run.loop.group, self.prompts(run)
        if G & (G - 1):
            raise ValueError(f"group must be a power of 2 for a binary tree; got {G}")
        tree = run.ask(prompts, 2)
        depth = 1
        while tree.group < G:
            rows = parents(prompts, tree, 1)
            cut = depth + 0 * rows
            other = run.branch(tree, rows, cut, tree.group, use=f"branches {depth}")
            tree = interleave(tree, other)
            depth += 1
        return tree

    def advantage(self, run, batch):
        xp, G = batch.xp, batch.group
        R, columns = batch.grouped(batch.reward), []
        for t in range(batch.tokens.shape[-1]):
            nodes = min(2 ** (t + 1), G)
            node = xp.mean(xp.reshape(R, (*R.shape[:-1], nodes, G // nodes)), axis=-1)
            centred = node - xp.mean(node, axis=-1, keepdims=True)
            A = centred / (xp.std(node, axis=-1, keepdims=True) + 1e-6)
            columns.append(batch.flat(xp.repeat(A, G // nodes, axis=-1)))
        return xp.stack(columns, axis=-1) * batch.live


def interleave(first, second):
    """Answers of both batches in turn: twice the group, each beside its sibling."""
    pairs = join(replace(first, group=1), replace(second, group=1))
    return replace(pairs, group=2 * first.group)


@dataclass
class Ettrl(Method):
    """Trees without labels: `trees` answers, from each one branch at each of its `forks` peaks of entropy.

    Reward: agreement with the vote of the group. A_i Y_i, Y_i = 2 - H_i / H̄, H_i the mean entropy of the
    answer: certain answers count more, and one of more than twice the mean changes sign. Paper 116.

    bound   the paper's other form: A clipped to -bound..bound instead of Y
    """

    trees: int = 4
    forks: int = 3
    bound: float | None = None

    def sample(self, run):
        if self.trees * (1 + self.forks) != run.loop.group:
            raise ValueError(f"trees * (1 + forks) must be group = {run.loop.group}; "
                             f"got {self.trees} * (1 + {self.forks})")
        prompts = self.prompts(run)
        roots = run.ask(prompts, self.trees)
        rows = parents(prompts, roots, self.forks)
        places = undecided(roots, self.forks, first=0)
        cut = roots.xp.reshape(places, (*places.shape[:-2], -1))
        return join(roots, run.branch(roots, rows, cut, self.trees * self.forks))

    def reward(self, run, batch):
        return vote(batch)

    def advantage(self, run, batch):
        xp, A = batch.xp, group_advantage(batch, batch.reward, self.standard)
        if self.bound is not None:
            return spread(batch, xp.clip(A, -self.bound, self.bound))
        H = batch.grouped(batch.answers(batch.entropy))
        return spread(batch, A * batch.flat(2 - H / xp.mean(H, axis=-1, keepdims=True)))
