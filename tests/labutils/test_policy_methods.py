"""Every method of the one loop against its paper's loss, written a second time and differentiated."""

import math
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from labutils.policy import grpo, selection, trap  # noqa: E402
from labutils.policy.countdown import Countdown  # noqa: E402
from labutils.policy.harness import (  # noqa: E402
    Batch, Loop, Method, Now, Run, highest, join, masked_mean, minibatches, take_answers, train,
)
from labutils.policy.methods import METHODS  # noqa: E402
from labutils.policy.methods.branching import (  # noqa: E402
    BranchGrpo, Cure, EntropyBalanced, Ettrl, undecided,
)
from labutils.policy.methods.own_past import MajorityVote, Spear, Spine, otsu, robust_band  # noqa: E402
from labutils.policy.methods.shaping import (  # noqa: E402
    Adora, Ares, Canon, Copo, DifficultySampler, Empg, Pear,
)
from labutils.policy.methods.thermostats import ArbitraryEntropy, Dcpo, EntropyCorridor  # noqa: E402
from labutils.policy.methods.tokens import (  # noqa: E402
    ClipB, ClipCov, ClipV, EightyTwenty, EntropyBonus, Hicra, KlCov, RandomDrop, Siren, Steer,
    nucleus_entropy,
)
from labutils.policy.tabular import Table  # noqa: E402
from labutils.policy.trap import Trap  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("error::RuntimeWarning"), pytest.mark.usefixtures("one_thread")]
R, B, G, T, V = 2, 6, 8, 6, 7
N = B * G
TASK = Trap(base=4, prompts=3, digits=3, sound=2)


# ---------------------------------------------------------------- a scene: a batch, and a moved policy

class Stub:
    """What a run asks of a policy beside answers."""

    questions = B

    def __init__(self, batched=True, kind="numpy"):
        self.batched, self.runs, self.kind = batched, R if batched else 1, kind
        import array_api_compat.numpy
        import array_api_compat.torch
        self.xp = array_api_compat.numpy if kind == "numpy" else array_api_compat.torch

    def as_array(self, array):
        return np.asarray(array) if self.kind == "numpy" else torch.as_tensor(array)


class Scene:
    """Two runs of answers of 3 to 6 tokens, each token at a state of its own; many copy a beginning.

    Group 0 is all right, group 1 all wrong. `new` is the policy some steps later: ratios are clipped on
    both sides.
    """

    def __init__(self, seed=0, copies=True, spread=1.3):
        rng = np.random.default_rng(seed)
        self.old = spread * rng.standard_normal((R, N * T, V))
        self.new = self.old + 0.4 * rng.standard_normal(self.old.shape)
        self.states = np.stack([rng.permutation(N * T).reshape(N, T) for _ in range(R)])
        log_pi = log_softmax(self.old)[np.arange(R)[:, None, None], self.states]
        length = rng.integers(3, T + 1, (R, N))
        live = (np.arange(T) < length[..., None]).astype(float)
        cut = np.where(rng.random((R, N)) < 0.4, rng.integers(0, 3, (R, N)), 0) * copies
        chance = np.exp(log_pi).cumsum(-1)
        tokens = (rng.random((R, N, T, 1)) >= chance).sum(-1).clip(0, V - 1)
        claim = rng.integers(0, 4, (R, N))
        right = (claim < 2).astype(float)
        right[:, :G], right[:, G : 2 * G] = 1, 0
        part = np.where(np.arange(T) == 0, 0, np.where(np.arange(T) == length[..., None] - 1, 2, 1))
        self.batch = Batch(
            prompts=np.broadcast_to(np.repeat(np.arange(B), G), (R, N)).copy(), tokens=tokens,
            states=self.states, log_pi=log_pi, live=live, learn=live * (np.arange(T) >= cut[..., None]),
            part=part, right=right, claim=claim, hidden=np.zeros((R, N), int), group=G)
        self.log_pi = log_softmax(self.new)[np.arange(R)[:, None, None], self.states]

    def run(self, step=5, **stub):
        policy = Stub(**stub)
        run = Run(policy, Loop(steps=20, prompts=B, group=G), [3, 4][: policy.runs])
        run.step = step
        return run


def log_softmax(z):
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def convert(batch, f):
    return Batch(**{i.name: f(getattr(batch, i.name)) if hasattr(getattr(batch, i.name), "shape")
                    else getattr(batch, i.name) for i in fields(batch)})


def prepare(method, run, batch):
    batch.reward = method.reward(run, batch)
    batch.advantage = method.advantage(run, batch)
    return batch


def directions(method, scene, memory=None, **stub):
    """D of every token, once with the batch as it is; and the run."""
    run = scene.run(**stub)
    run.memory.update(memory or {})
    batch = prepare(method, run, replace(scene.batch))
    return method.direction(run, batch, Now(batch, scene.log_pi)), run, batch


class Sheet:
    """One run of a scene in torch, with the logits of all states as the parameter."""

    def __init__(self, scene, r):
        b = scene.batch
        self.Z = torch.tensor(scene.new[r], requires_grad=True)
        self.states, self.tokens = torch.tensor(scene.states[r]), torch.tensor(b.tokens[r])
        self.live, self.learn = torch.tensor(b.live[r]), torch.tensor(b.learn[r])
        self.right, self.claim, self.part = b.right[r], b.claim[r].tolist(), b.part[r]
        self.log_pi = self.Z.log_softmax(-1)[self.states]                   # [N, T, V]
        self.old_log_pi = torch.tensor(scene.old[r]).log_softmax(-1)[self.states]
        pick = lambda x: x.gather(-1, self.tokens[..., None])[..., 0]       # noqa: E731
        self.lp, self.old = pick(self.log_pi), pick(self.old_log_pi)
        self.H = -(self.log_pi.exp() * self.log_pi).sum(-1)
        self.old_H = -(self.old_log_pi.exp() * self.old_log_pi).sum(-1)
        self.rho = (self.lp - self.old).exp()
        self.length = [int(n) for n in self.live.sum(1)]
        self.places = [(n, t) for n in range(N) for t in range(self.length[n])]
        self.n = len(self.places)

    def at(self, x):
        """Values at the live tokens, a NumPy vector."""
        x = x.detach().numpy() if torch.is_tensor(x) else x
        return np.array([float(x[p]) for p in self.places])

    def over(self, values):
        """The other way: [N, T] from one value a live token."""
        x = torch.zeros(N, T, dtype=torch.float64)
        for (n, t), v in zip(self.places, values):
            x[n, t] = float(v)
        return x

    def top(self, x, count):
        """[N, T] 1 on the `count` live tokens of largest x."""
        values = self.at(x)
        chosen = np.zeros(self.n)
        chosen[np.argsort(-values, kind="stable")[:count]] = 1
        return self.over(chosen)

    def answer_mean(self, x, n):
        return sum(float(x[n, t]) for t in range(self.length[n])) / self.length[n]

    def clipped(self, A, low=0.2, high=0.2):
        return torch.minimum(self.rho * A, self.rho.clamp(1 - low, 1 + high) * A)

    def sum(self, x):
        """Over the tokens that learn."""
        return (x * self.learn).sum()


def every_token(values):
    return torch.tensor(np.asarray(values, dtype=float))[:, None].expand(N, T)


def group_A(reward, ddof=1, standard=True):
    A = []
    for start in range(0, N, G):
        group = np.asarray(reward[start : start + G], dtype=float)
        A += list((group - group.mean()) / ((group.std(ddof=ddof) + 1e-6) if standard else 1))
    return every_token(A)


def votes(claim):
    reward = []
    for start in range(0, N, G):
        group = claim[start : start + G]
        most = max(Counter(group).values())
        winner = min(c for c, k in Counter(group).items() if k == most)
        reward += [float(c == winner) for c in group]
    return reward


# ---------------------------------------------------------------- the papers' objectives, to be ascended

def j_grpo(s, m):
    return s.sum(s.clipped(group_A(s.right, standard=m.standard), m.low, m.high))


def j_entropy_bonus(s, m):
    return j_grpo(s, m) + m.weight * s.sum(s.H)


def covariances(s, A):
    lp, A = s.at(s.lp), s.at(A)
    return s.over((lp - lp.mean()) * (A - A.mean()))


def j_dropped(s, m, mask):
    return s.sum(s.clipped(group_A(s.right), m.low, m.high) * (1 - torch.tensor(mask)))


def j_kl_cov(s, m):
    held = s.top(covariances(s, group_A(s.right)), max(1, int(m.fraction * s.n)))
    return j_grpo(s, m) - m.beta * s.sum(held * (s.lp - s.old).abs())


def j_steer(s, m):
    A, pi = group_A(s.right), s.lp.exp()
    omega = (A / s.old.exp() * pi * (1 - pi) * (s.lp + s.H)).abs().detach()
    k = -math.log(m.minimum) / max(s.at(omega).max(), m.floor)
    return s.sum((-k * omega).exp() * s.clipped(A))


def j_clip_b(s, m):
    A, S = group_A(s.right), (s.lp.exp() * (s.H + s.lp)).detach()
    mean, sigma = s.at(S).mean(), s.at(S).std()
    drop = (A < 0) & (S - mean < -m.deviations * sigma)
    assert 0 < drop.sum() < s.n / 4
    return s.sum(s.clipped(A) * ~drop)


def j_clip_v(s, m):
    A, pi = group_A(s.right), s.log_pi.exp()
    S = pi * (s.log_pi + s.H[..., None])
    D = ((pi * S).sum(-1) - S.gather(-1, s.tokens[..., None])[..., 0]).detach()
    far = [(float(D[p]), p) for p in s.places if A[p] < 0 and D[p] > m.deviations * s.at(D).std()]
    keep = torch.ones(N, T)
    for _, p in sorted(far, reverse=True)[: math.floor(m.most * s.n)]:
        keep[p] = 0
    assert len(far) > math.floor(m.most * s.n) > 0
    return s.sum(s.clipped(A) * keep)


def j_eighty_twenty(s, m):
    return s.sum(s.clipped(group_A(s.right)) * s.top(s.H, math.ceil(m.share * s.n)))


def j_hicra(s, m):
    A = group_A(s.right)
    plan = torch.zeros(N, T)
    plan[:, 0] = 1
    return s.sum(s.clipped(torch.where(plan > 0, A + m.alpha * A.abs(), A)))


def nucleus_H(log_p, mass, crossing):
    """Entropy of the likeliest tokens that hold the mass together, renormalised, by a loop."""
    p, kept, total = log_p.exp(), [], 0.0
    for share, v in sorted(((share, v) for v, share in enumerate(p.tolist())), reverse=True):
        total += share
        if total > mass and not (crossing and total - share < mass):
            break
        kept.append(v)
    if not kept:
        return 0 * p.sum()
    q = p[kept] / p[kept].sum()
    return -(q * q.log()).sum()


def j_siren(s, m, anchor=0.7):
    H = torch.stack([torch.stack([nucleus_H(s.log_pi[n, t], m.mass, m.crossing) for t in range(T)])
                     for n in range(N)])
    peaks = s.top(H.detach(), math.ceil(m.share * s.n))
    H = torch.where(s.learn > 0, H, H.detach())
    mean = (H * peaks).sum() / peaks.sum()
    return j_grpo(s, m) - m.kappa * (mean - anchor) ** 2 * s.learn.sum()


def j_dcpo(s, m):
    H, p_hat = s.at(s.old_H).mean(), s.right.mean()
    temperature = m.warm if H <= m.target else m.cool
    tempered = (s.old_log_pi / temperature).log_softmax(-1).gather(-1, s.tokens[..., None])[..., 0]
    x = min(abs(m.target - H), 0.1) / p_hat
    a = x / (1 + x)
    A = (1 - a) * group_A(s.right) + a * every_token(s.right > 0) * (tempered - s.old).exp()
    return s.sum(s.clipped(A))


def j_corridor(s, m, past=(0.9, 1.1), step=5, steps=20):
    mean, beta = sum(past) / len(past), 1 + math.exp(-step / (steps // 2))
    if m.released:
        outside = (s.H < m.left * mean) | (s.H > m.right * mean)
        smooth = torch.where(outside, m.alpha, 0.0)
    else:
        smooth = m.alpha * ((m.left * mean - s.H).relu() + (s.H - m.right * mean).relu())
        assert 0 < (s.H[s.live > 0] > m.right * mean).sum() and 0 < (s.H[s.live > 0] < m.left * mean).sum()
    return j_grpo(s, m) + m.bonus * (s.sum(s.H) - beta * s.sum(smooth))


def j_empg(s, m):
    A, H = group_A(s.right), s.at(s.old_H)
    g = s.over(np.exp(-m.k * (H - H.min()) / (H.max() - H.min())))
    normal = s.at(g).mean()
    mixed = torch.zeros(N, T, dtype=torch.float64)
    for n, t in s.places:
        mixed[n, t] = A[n, t] * g[n, t] / normal + (m.zeta * g[n, t + 1] if t + 1 < s.length[n] else 0)
    return s.sum(s.clipped(mixed - s.at(mixed).mean()))


def j_canon(s, m):
    A = []
    for start in range(0, N, G):
        rows = sorted(range(start, start + G), key=lambda n: s.answer_mean(s.old_H, n))
        half = {n: rows[: G // 2] if n in rows[: G // 2] else rows[G // 2 :] for n in rows}
        sigma = np.std(s.right[start : start + G], ddof=1) + 1e-6 if m.standard else 1
        for n in range(start, start + G):
            other = [i for i in rows if i not in half[n]]
            inter, intra = s.right[n] - s.right[other].mean(), s.right[n] - s.right[half[n]].mean()
            A.append((m.mu * inter + (1 - m.mu) * intra) / sigma)
    return s.sum(s.clipped(every_token(A)))


def j_copo(s, m):
    means = s.right.reshape(B, G).mean(1)
    far, w = [], []
    for b in range(B):
        counts = Counter(s.claim[b * G : (b + 1) * G])
        H = -sum(c / G * math.log(c / G) for c in counts.values())
        far += [(means[b] - means.mean()) / (means.std(ddof=1) + 1e-6)] * G
        w += [1 / (1 + math.exp(-m.gamma * (H - m.rho)))] * G
    w = every_token(w)
    return s.sum(w * s.clipped(group_A(s.right)) + (1 - w) * s.clipped(every_token(far)))


def j_adora(s, m):
    w = []
    for start in range(0, N, G):
        rows = range(start, start + G)
        right, wrong = ([s.length[n] for n in rows if s.right[n] == x] for x in (1, 0))
        good = right and (not wrong or max(right) > sum(wrong) / len(wrong))
        w += [1.0 if good else m.weight] * G
    assert 0 < sum(v == 1 for v in w) < N
    return s.sum(s.clipped(every_token(w) * group_A(s.right)))


def j_pear(s, m):
    reward = []
    for n in range(N):
        H = [float(h) for h in s.old_H[n, : s.length[n]]]
        P = max(0.0, sum(H[:-1]) / len(H[:-1]) - m.alpha * H[-1]) * m.scale
        reward.append(min(1.0, 1 - P) if s.right[n] else 0.0)
    return s.sum(s.clipped(group_A(reward)))


def j_ares(s, m):
    score = s.over([np.mean([float(s.old_H[n, i]) for i in range(t, min(t + m.window, s.length[n]))])
                    for n, t in s.places])
    high = s.top(score, math.ceil(m.top * s.n)).sum(1).tolist()
    bucket = [0 if a >= 2 / 3 else 1 if a >= 1 / 3 else 2
              for a in np.repeat(s.right.reshape(B, G).mean(1), G)]
    assert set(bucket) == {0, 1, 2}
    sigma, reward = (lambda x: 1 / (1 + math.exp(-x))), []
    for n in range(N):
        k = bucket[n]
        target = np.mean([high[i] for i in range(N) if bucket[i] == k])
        delta, margin = high[n] - target, m.margins[k] * target
        if s.right[n] and k < 2:
            x = max((delta if k == 0 else abs(delta)) - margin, 0)
            huber = x**2 / 2 if x <= m.kappas[k] else m.kappas[k] * (x - m.kappas[k] / 2)
            shape = -min(m.cap, m.cap * huber / (m.kappas[k] + margin))
        elif s.right[n]:
            shape = m.cap * sigma((delta + margin) / m.temperatures[k])
        else:
            shape = m.scales[k] * m.cap * sigma(max(delta - margin, 0) / m.temperatures[k])
        reward.append(s.right[n] + m.alpha * shape)
    return s.sum(s.clipped(group_A(reward)))


def j_balanced(s, m):
    H = s.at(s.old_H)
    A = group_A(s.right) * (1 + m.weight * (s.old_H - H.mean()) / (H.std() + 1e-6))
    kept = (1 + m.high) / s.rho.detach() * s.rho * A
    return s.sum(torch.where((A > 0) & (s.rho > 1 + m.high), kept, s.clipped(A, m.low, m.high)))


def j_branch(s, m):
    A = torch.zeros(N, T, dtype=torch.float64)
    for start in range(0, N, G):
        for t in range(T):
            size = max(G // 2 ** (t + 1), 1)
            nodes = [list(range(i, i + size)) for i in range(start, start + G, size)]
            means = [s.right[node].mean() for node in nodes]
            assert np.mean(means) == pytest.approx(s.right[start : start + G].mean(), abs=1e-12)
            for node, value in zip(nodes, means):
                A[node, t] = (value - np.mean(means)) / (np.std(means) + 1e-6)
    return s.sum(s.clipped(A))


def j_ettrl(s, m):
    reward = votes(s.claim)
    H = [s.answer_mean(s.old_H, n) for n in range(N)]
    Y = [1 + (np.mean(H[n // G * G : n // G * G + G]) - H[n]) / np.mean(H[n // G * G : n // G * G + G])
         for n in range(N)]
    assert np.allclose(np.reshape(Y, (B, G)).mean(1), 1, atol=1e-12)
    A = group_A(reward)
    return s.sum(s.clipped(A * every_token(Y) if m.bound is None else A.clamp(-m.bound, m.bound)))


def j_vote(s, m):
    return s.sum(s.clipped(group_A(votes(s.claim))))


def otsu_by_hand(values):
    best, threshold = -1.0, min(values)
    for x in sorted(set(values))[1:]:
        low, high = [v for v in values if v < x], [v for v in values if v >= x]
        between = len(low) * len(high) * (np.mean(low) - np.mean(high)) ** 2
        if between > best:
            best, threshold = between, x
    return threshold


def j_spine(s, m):
    forks = torch.zeros(N, T, dtype=torch.float64)
    for n in range(N):
        H = [float(h) for h in s.old_H[n, : s.length[n]]]
        forks[n, : s.length[n]] = torch.tensor([float(h >= otsu_by_hand(H)) for h in H])
    H = np.array([float(s.old_H[p]) for p in s.places if forks[p]])
    middle = np.median(H)
    spread = 1.4826 * np.median(np.abs(H - middle))
    low, high = max(0.0, middle - spread), middle + spread
    A = group_A(s.right if m.labels else votes(s.claim))
    hinge = m.below * (low - s.H).relu() + m.above * (s.H - high).relu()
    return s.sum(forks * s.clipped(A)) - s.sum(forks * hinge)


PAPERS = [
    (Method(), j_grpo), (Method(low=0.1, high=0.5, standard=False), j_grpo),
    (EntropyBonus(weight=0.1), j_entropy_bonus),
    (KlCov(), j_kl_cov), (KlCov(fraction=0.001, beta=2.0), j_kl_cov), (KlCov(fraction=0.0333), j_kl_cov),
    (Steer(), j_steer), (Steer(minimum=0.7, floor=50.0), j_steer),
    (ClipB(deviations=1.0), j_clip_b), (ClipV(deviations=1.0, most=0.03), j_clip_v),
    (EightyTwenty(), j_eighty_twenty), (EightyTwenty(share=0.513), j_eighty_twenty),
    (Hicra(), j_hicra), (Hicra(alpha=1.0), j_hicra),
    (Siren(), j_siren), (Siren(crossing=False, kappa=1.0, mass=0.5), j_siren),
    (Dcpo(), j_dcpo), (Dcpo(target=3.0), j_dcpo), (Dcpo(target=1.45), j_dcpo),
    (EntropyCorridor(left=0.9, right=1.5, alpha=0.9), j_corridor),
    (EntropyCorridor(left=0.9, right=1.5, released=True), j_corridor),
    (Empg(), j_empg), (Empg(k=-1.0, zeta=0.5), j_empg),
    (Canon(), j_canon), (Canon(mu=0.3, standard=False), j_canon),
    (Copo(rho=1.1, gamma=5.0), j_copo), (Adora(), j_adora),
    (Pear(), j_pear), (Pear(alpha=0.5, scale=2.0), j_pear),
    (Ares(), j_ares), (Ares(window=4, top=0.3, alpha=2.0, cap=0.2, kappas=(0.3, 0.4, 0.5)), j_ares),
    (DifficultySampler(), j_grpo), (Cure(), j_grpo),
    (EntropyBalanced(), j_balanced), (EntropyBalanced(weight=1.5, high=0.1), j_balanced),
    (BranchGrpo(), j_branch), (Ettrl(), j_ettrl), (Ettrl(bound=0.6), j_ettrl),
    (MajorityVote(), j_vote), (Spine(), j_spine), (Spine(below=1.0, above=2.0, labels=True), j_spine),
    (ArbitraryEntropy(), j_grpo),
]
MEMORY = {"entropies": [np.full((R, 1, 1), 0.9), np.full((R, 1, 1), 1.1)], "anchor": np.full((R, 1, 1), 0.7)}


def by_state(scene, D):
    """Directions summed per state, [R, states, V], by the table's own way of moving."""
    total = np.zeros_like(scene.new)
    for r in range(R):
        np.add.at(total[r], scene.states[r], D[r])
    return total


@pytest.mark.parametrize(("method", "objective"), PAPERS,
                         ids=lambda x: getattr(x, "__name__", None) or type(x).__name__)
@pytest.mark.parametrize("copies", [True, False])
def test_the_direction_is_the_gradient_of_the_papers_objective(method, objective, copies):
    scene = Scene(copies=copies)
    D, _, batch = directions(method, scene, MEMORY)
    D = by_state(scene, D)
    for r in range(R):
        s = Sheet(scene, r)
        objective(s, method).backward()
        np.testing.assert_allclose(D[r], s.Z.grad, atol=1e-9, rtol=1e-9)
        silent = scene.states[r][batch.learn[r] == 0]
        assert (D[r][silent] == 0).all() and (s.Z.grad.numpy()[silent] == 0).all()


def test_the_scene_has_what_makes_the_comparison_hard():
    scene = Scene()
    for r in range(R):
        s = Sheet(scene, r)
        A, rho = s.at(group_A(s.right)), s.at(s.rho)
        held = ((A > 0) & (rho > 1.2)) | ((A < 0) & (rho < 0.8))
        assert ((A > 0) & (rho > 1.2)).sum() > 10 and ((A < 0) & (rho < 0.8)).sum() > 10
        assert (~held & (A != 0)).sum() > 50 and (A == 0).sum() >= 2 * 3 * G
        assert 10 < (s.live - s.learn).sum() < s.n / 2 and s.live.sum() < N * T - 30


@pytest.mark.parametrize("method", [ClipCov(), ClipCov(fraction=0.5), ClipCov(fraction=1e-6), RandomDrop(),
                                    Spear(below=0.1), RandomDrop(fraction=0.3, below=0.1)])
def test_dropped_tokens_lose_their_gradient_and_nothing_else_changes(method):
    scene = Scene()
    D, run, batch = directions(method, scene)
    mask = method.dropped(run, batch, Now(batch, scene.log_pi))
    D = by_state(scene, D)
    for r in range(R):
        s = Sheet(scene, r)
        j_dropped(s, method, mask[r]).backward()
        np.testing.assert_allclose(D[r], s.Z.grad, atol=1e-10)
        c = covariances(s, group_A(s.right))
        band = (s.at(c) > method.below) & (s.at(c) < method.above)
        chosen = s.at(mask[r]) > 0
        assert chosen.sum() == min(max(1, int(method.fraction * s.n)), band.sum()) == mask[r].sum()
        assert band.sum() > 20
        official = selection.clip_cov_mask(s.at(c), method.fraction, method.below, method.above,
                                           rng=np.random.default_rng(0))
        assert official.sum() == chosen.sum() and not (official & ~band).any()
        if not isinstance(method, RandomDrop):
            assert not (chosen & ~band).any()
    if isinstance(method, RandomDrop):
        assert (mask * batch.live == mask).all()


def test_clip_cov_draws_anew_each_time_and_without_favour():
    scene, method = Scene(), ClipCov(fraction=0.01)
    run = scene.run()
    batch = prepare(method, run, replace(scene.batch))
    now, times, steps = Now(batch, scene.log_pi), 0, 400
    for run.step in range(steps):
        times = times + method.dropped(run, batch, now)
    c = method.dropped(run, batch, now)
    run.turn += 1
    assert not np.array_equal(c, method.dropped(run, batch, now))
    wide = ClipCov(fraction=1.0).dropped(run, batch, now)               # the whole band
    for r in range(R):
        drawn, band = times[r][wide[r] > 0], wide[r].sum()
        p = c[r].sum() / band
        assert times[r][wide[r] == 0].sum() == 0 and drawn.sum() == steps * c[r].sum()
        assert (np.abs(drawn - steps * p) < 4.5 * np.sqrt(steps * p * (1 - p))).all()


# ---------------------------------------------------------------- the functions of the neural lab

@pytest.mark.parametrize(("method", "loss"), [
    (Method(), grpo.grpo), (Method(high=0.4), grpo.clip_higher),
    (EntropyBonus(weight=0.1), grpo.entropy_bonus), (KlCov(), grpo.kl_cov), (Steer(), grpo.steer),
    (KlCov(fraction=0.013, beta=0.3), lambda t: grpo.kl_cov(t, 0.013, 0.3)),
    (ClipCov(fraction=1.0), lambda t: grpo.clip_cov(t, fraction=1.0)),
    (ClipCov(fraction=1.0, below=0.1, above=0.3), lambda t: grpo.clip_cov(t, 1.0, 0.1, 0.3)),
    (RandomDrop(fraction=1.0, below=-1e6, above=1e6), lambda t: grpo.random_drop(t, 1.0, -1e6, 1e6)),
])
def test_the_loop_agrees_with_the_losses_of_the_neural_lab(method, loss):
    scene = Scene(copies=False)
    D, _, batch = directions(method, scene)
    for r in range(R):
        s = Sheet(scene, r)
        live = s.live > 0
        A = grpo.advantages(torch.tensor(s.right), G)[:, None].expand(N, T)[live]
        tokens = grpo.Tokens(s.log_pi[live], s.tokens[live], s.lp[live], s.old[live], A,
                             np.random.default_rng(0))
        (-loss(tokens).sum()).backward()
        np.testing.assert_allclose(by_state(scene, D)[r], s.Z.grad, atol=1e-9)


def test_kl_cov_holds_nothing_back_before_the_policy_moves_whatever_the_rounding():
    scene = Scene()
    noise = np.random.default_rng(0).standard_normal(scene.batch.log_pi.shape)
    scene.log_pi = scene.batch.log_pi + 1e-5 * noise
    D, run, batch = directions(KlCov(), scene)
    plain, *_ = directions(Method(), scene)
    np.testing.assert_array_equal(D, plain)


def test_scores_and_masks_are_those_of_the_selection_module():
    scene = Scene()
    for method in (Steer(), KlCov(fraction=0.05)):
        _, run, batch = directions(method, scene)
        now = Now(batch, scene.log_pi)
        for r in range(R):
            live = batch.live[r] > 0
            A, lp, old = batch.advantage[r][live], now.log_prob[r][live], batch.log_prob[r][live]
            if isinstance(method, Steer):
                score = selection.steer_score(scene.log_pi[r][live], batch.tokens[r][live], A, old)
                want = selection.steer_weight(score, method.minimum, method.floor)
                np.testing.assert_allclose(method.weights(run, batch, now)[r][live], want, atol=1e-12)
            else:
                top = selection.kl_cov_mask(selection.batch_covariance(lp, A), method.fraction)
                c, _ = method.extra(run, batch, now)
                np.testing.assert_array_equal(c[r][live], -1.0 * top * np.sign(lp - old))


# ---------------------------------------------------------------- both forms alike

EVERY = pytest.mark.parametrize("name", METHODS)


@EVERY
def test_numpy_and_torch_give_the_same_direction(name):
    scene = Scene()
    want, run, batch = directions(METHODS[name], scene, MEMORY)
    other = Scene()
    other.batch, other.log_pi = convert(scene.batch, torch.as_tensor), torch.as_tensor(scene.log_pi)
    memory = {"entropies": [torch.as_tensor(x) for x in MEMORY["entropies"]],
              "anchor": torch.as_tensor(MEMORY["anchor"])}
    got, run2, batch2 = directions(METHODS[name], other, memory, kind="torch")
    np.testing.assert_allclose(got, want, atol=1e-10)
    np.testing.assert_allclose(batch2.reward, batch.reward, atol=1e-12)


@EVERY
def test_a_run_without_the_axis_of_runs_gets_the_direction_that_it_has_among_others(name):
    scene = Scene()
    want, *_ = directions(METHODS[name], scene, MEMORY)
    memory = {"entropies": [x[0] for x in MEMORY["entropies"]], "anchor": MEMORY["anchor"][0]}
    scene.batch, scene.log_pi = convert(scene.batch, lambda x: x[0]), scene.log_pi[0]
    got, *_ = directions(METHODS[name], scene, memory, batched=False)
    np.testing.assert_allclose(got, want[0], atol=1e-12)


class Lookup:
    """A network whose logits are a table: asks, looks and moves as `neural.Network` does."""

    batched, runs = False, 1

    def __init__(self, task):
        self.table = Table(task, like=torch.zeros(1, dtype=torch.float64))
        self.task, self.xp, self.questions = task, self.table.xp, task.prompts
        self.as_array = self.table.as_array
        self.Z = self.table.logits[0].clone().requires_grad_()

    def inner(self, run):
        return Run(self.table, run.loop, run.seeds, step=run.step, turn=run.turn)

    def in_turn(self, run):
        return self.table.in_turn(self.inner(run))[0]

    def ask(self, run, prompts, group, temperature, active, use):
        more = lambda x: x[None] if torch.is_tensor(x) else x                               # noqa: E731
        batch = self.table.ask(self.inner(run), prompts[None], group, more(temperature), more(active), use)
        return convert(batch, lambda x: x[0])

    def branch(self, run, batch, rows, cut, group, active, use):
        more = lambda x: x[None] if torch.is_tensor(x) else x                               # noqa: E731
        made = self.table.branch(self.inner(run), convert(batch, more), rows[None], cut[None], group,
                                 more(active), use)
        return convert(made, lambda x: x[0])

    def look(self, batch):
        batch.logits = self.Z[batch.states]
        return batch.logits.detach().log_softmax(-1)

    def move(self, directions, count, rate):
        self.Z.grad = None
        for batch, D in directions:
            batch.logits.backward(gradient=-D / count)
        with torch.no_grad():
            self.Z -= rate * self.Z.grad
        self.table.logits = self.Z.detach()[None]

    def evaluate(self, run):
        return trap.evaluate(self.task, self.Z.detach())


SHORT = Loop(steps=3, prompts=4, group=16, epochs=2, rate=40.0, every=3)


@EVERY
def test_a_table_in_torch_and_a_network_that_is_a_table_learn_the_same(name):
    tables = [Table(TASK), Table(TASK, like=torch.zeros(1, dtype=torch.float64)), Lookup(TASK)]
    records = [train(table, METHODS[name], SHORT, [7]) for table in tables]
    assert np.abs(tables[0].logits - TASK.start()).max() > 1e-2
    np.testing.assert_allclose(tables[1].logits, tables[0].logits, atol=1e-9)
    np.testing.assert_allclose(tables[2].Z.detach(), tables[0].logits[0], atol=1e-9)
    for record in records[1:]:
        for key, values in records[0].items():
            np.testing.assert_allclose(np.reshape(record[key], -1), values[:, 0], atol=1e-9)


@pytest.mark.parametrize("cls", [Cure, BranchGrpo, ArbitraryEntropy])
def test_a_step_is_divided_by_the_tokens_of_the_batch_that_learn(cls):
    seen = []

    class Watched(cls):
        def more(self, run, batch):
            extra = super().more(run, batch)
            seen.extend([batch, *extra])
            return extra

    table = Table(TASK, runs=2)
    train(table, Watched(), replace(SHORT, steps=1, epochs=1), [0, 1])
    want = np.stack([TASK.start()] * 2)
    for batch in seen:
        D = cls().direction(None, batch, Now(batch, batch.log_pi))
        for r, n, t in np.ndindex(batch.tokens.shape):
            want[r, batch.states[r, n, t]] += 40.0 / seen[0].learn[r].sum() * D[r, n, t]
    np.testing.assert_allclose(table.logits, want, atol=1e-12)
    assert len(seen) == 1 + (cls is ArbitraryEntropy)


@EVERY
@pytest.mark.parametrize("parts", [1, 2])
def test_runs_side_by_side_are_the_runs_one_at_a_time(name, parts):
    loop = replace(SHORT, minibatches=parts)
    seeds = [5, 11, 6]
    together = Table(TASK, runs=3)
    record = train(together, METHODS[name], loop, seeds)
    for r, seed in enumerate(seeds):
        alone = Table(TASK)
        single = train(alone, METHODS[name], loop, [seed])
        np.testing.assert_allclose(together.logits[r], alone.logits[0], atol=1e-12)
        np.testing.assert_allclose(record["tokens"][:, r], single["tokens"][:, 0])
    assert np.abs(together.logits[0] - together.logits[1]).max() > 1e-2


@EVERY
def test_every_method_moves_a_transformer(name, start):
    from labutils.policy.neural import Network
    network = Network(start, Countdown(numbers=2, largest=3, top=9), device="cpu")
    before = [w.clone() for w in network.model.parameters()]
    loop = Loop(steps=4, prompts=4, group=16, epochs=2, rate=3e-3, every=4, minibatches=2)
    record = train(network, METHODS[name], loop, [1])
    assert all(np.isfinite(v).all() for v in record.values())
    assert record["tokens"][-1] <= 4 * 64 * 3 * (1.25 if name == "arbitrary-entropy" else 1)
    assert any(not torch.equal(a, b) for a, b in zip(before, network.model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(start.model.parameters(), before))


@pytest.fixture(scope="module")
def start():
    setting = grpo.Setting(task=Countdown(numbers=2, largest=3, top=9), width=16, layers=1, heads=2,
                           held_out=2, pool=8, warm_steps=60, warm_batch=32, prompts=4)
    return grpo.warm_up(setting, seed=0, device="cpu")


def test_a_network_moves_along_minus_the_direction(start):
    from labutils.policy.neural import Network
    network = Network(start, Countdown(numbers=2, largest=3, top=9), device="cpu")
    run = Run(network, Loop(prompts=4, group=4), [0])
    batch = run.ask(run.in_turn())
    now = Now(batch, network.look(batch))
    np.testing.assert_allclose(now.log_pi, batch.log_pi, atol=1e-4)
    batch = prepare(Method(), run, batch)
    batch.advantage = torch.randn(batch.tokens.shape, generator=torch.Generator().manual_seed(0))
    D = Method().direction(run, batch, Now(batch, network.look(batch)))
    tokens = batch.tokens
    loss = -(grpo.log_prob(batch.logits, tokens).sub(batch.log_prob).exp() * batch.advantage).sum() / 48
    want = torch.autograd.grad(loss, list(network.model.parameters()), retain_graph=True)
    norm = torch.cat([g.flatten() for g in want]).norm().clamp(min=1)
    before = [w.clone() for w in network.model.parameters()]
    network.move([(batch, D)], torch.tensor(48.0), 1e-3)
    for w, old, b in zip(network.model.parameters(), before, want):
        torch.testing.assert_close(w.grad, b / norm, atol=1e-6, rtol=1e-4)
        assert ((w - old) * b)[b.abs() > 1e-4].lt(0).all()                  # Adam's first step: downhill
    network.look(batch)
    with pytest.raises(ValueError, match="direction must be finite; got nan"):
        network.move([(batch, D * float("nan"))], torch.tensor(48.0), 1e-3)


def test_branches_of_a_network_copy_their_parent_and_no_more(start):
    from labutils.policy.neural import Network
    network = Network(start, Countdown(numbers=2, largest=3, top=9), device="cpu")
    run = Run(network, Loop(prompts=4, group=4), [0])
    batch = run.ask(run.in_turn())
    rows, cut = torch.arange(3000) % 16, torch.arange(3000) % 3
    made = run.branch(batch, rows, cut, 10)
    assert (made.prompts == batch.prompts[rows]).all() and float(run.spent) == 48 + 3000 * 2
    for c in range(3):
        mine, parent = made.tokens[cut == c], batch.tokens[rows[cut == c]]
        assert (mine[:, :c] == parent[:, :c]).all() and (mine[:, c] != parent[:, c]).any()
        assert (made.learn[cut == c] == (torch.arange(3) >= c)).all() and (made.live == 1).all()
    p = made.log_pi[(rows == 0) & (cut == 0), 0].exp()[0]
    mine = made.tokens[(batch.prompts[rows] == batch.prompts[0]) & (cut == 0), 0]
    seen, expected = torch.bincount(mine, minlength=len(p)), len(mine) * p
    assert ((seen - expected).abs() < 4.5 * (expected * (1 - p)).sqrt() + 1).all()


# ---------------------------------------------------------------- how answers are drawn

def drawn(method, runs=2, seed=0, prompts=6, group=16, scale=1.0, memory=None, step=0):
    logits = TASK.start() + scale * np.random.default_rng(seed).standard_normal((TASK.states, 5))
    run = Run(Table(TASK, logits, runs=runs), Loop(prompts=prompts, group=group), list(range(runs)))
    run.memory.update(memory or {})
    run.step = step
    batch = method.sample(run)
    assert batch.group == group and batch.prompts.shape == (runs, prompts * group)
    prompts = batch.prompts.reshape(runs, -1, group)
    assert (prompts == prompts[..., :1]).all()
    assert (run.spent == batch.learn.sum((1, 2))).all() and (batch.learn <= batch.live).all()
    assert ((batch.live.sum(2) >= 3)).all()
    hidden = batch.hidden.reshape(runs, -1, group)
    assert (hidden == hidden[..., :1]).all()                # one coin for all answers to one asking
    states = batch.states[..., 1:][batch.live[..., 1:] > 0]
    follows = TASK.move[batch.states[..., :-1], batch.tokens[..., :-1]][batch.live[..., 1:] > 0]
    assert (states == follows).all()
    return run, batch


def cuts(batch):
    """Copied tokens of each answer."""
    copied = batch.live - batch.learn
    n = copied.sum(-1).astype(int)
    assert (copied == (np.arange(copied.shape[-1]) < n[..., None])).all()
    return n


def copies(batch, n, r, child, parent):
    n = n[r, child]
    return (batch.tokens[r, child, :n] == batch.tokens[r, parent, :n]).all()


def by_entropy(batch, r, i, first):
    """Live positions from `first` on by falling entropy."""
    live = range(first, int(batch.live[r, i].sum()))
    return sorted(live, key=lambda t: -batch.entropy[r, i, t])


def test_cure_cuts_uniformly_at_one_of_the_peaks():
    run, batch = drawn(Cure(), runs=3, prompts=60)
    n, ranks = cuts(batch), Counter()
    for r in range(3):
        for start in range(0, 60 * 16, 16):
            assert (n[r, start : start + 4] == 0).all()
            for k in range(12):
                child, parent = start + 4 + k, start + k // 3
                peaks = by_entropy(batch, r, parent, 1)[:3]
                assert n[r, child] in peaks and copies(batch, n, r, child, parent)
                ranks[len(peaks), peaks.index(n[r, child])] += 1
    for size in (2, 3):
        total = sum(v for (k, _), v in ranks.items() if k == size)
        assert total > 60
        for i in range(size):
            assert abs(ranks[size, i] - total / size) < 4.5 * (total / size * (1 - 1 / size)) ** 0.5
    A = prepare(Cure(), run, batch).advantage                # one shared baseline
    np.testing.assert_allclose((A[..., 0]).reshape(3, 60, 16).sum(-1), 0, atol=1e-9)
    run, plain = drawn(Cure(until=5), step=5)
    assert (plain.learn == plain.live).all()
    assert (cuts(drawn(Cure(until=5), step=4)[1]) > 0).any()


@pytest.mark.parametrize("method", [Ettrl(), Ettrl(trees=2, forks=7), Ettrl(trees=1, forks=5, branches=3),
                                    Ettrl(trees=4, forks=1, branches=3)])
def test_ettrl_cuts_at_each_of_the_peaks(method):
    _, batch = drawn(method)
    n, children = cuts(batch), method.forks * method.branches
    for r in range(2):
        for start in range(0, 96, 16):
            assert (n[r, start : start + method.trees] == 0).all()
            for k in range(method.trees * children):
                child, parent = start + method.trees + k, start + k // children
                peaks = by_entropy(batch, r, parent, 0)
                assert n[r, child] == peaks[k % children // method.branches % len(peaks)]
                assert copies(batch, n, r, child, parent)


def test_branch_grpo_grows_a_binary_tree_in_which_each_token_learns_once():
    _, batch = drawn(BranchGrpo())
    roots = 0
    for r, start in ((r, s) for r in range(2) for s in range(0, 96, 16)):
        roots += len(set(batch.tokens[r, start : start + 16, 0]))
        for t in range(TASK.horizon):
            size = max(16 // 2 ** (t + 1), 1)
            for node in range(start, start + 16, size):
                leaves = slice(node, node + size)
                live = batch.live[r, leaves, t]
                assert (live == live[0]).all()                          # the leaves of a node share its token
                same = batch.tokens[r, leaves, : t + 1][live > 0]
                assert (same == same[:1]).all()
                assert batch.learn[r, leaves, t].sum() == live[0]
    assert roots > 12                                                   # two to a tree, drawn apart


def test_entropy_balanced_rations_its_branches():
    _, batch = drawn(EntropyBalanced())
    n = cuts(batch).reshape(2, 6, 16)
    assert (n[..., :8] == 0).all() and (n[..., 8:] > 0).any()           # no history: half begin anew
    # three quarters of the group are branches: the parents take turns, later ones are less likely
    first, later = np.full((40, 1), 0.5), np.full((40, 1), 0.5 + math.log(3))
    method = EntropyBalanced(alpha=0.5, gamma=0.3)
    _, batch = drawn(method, runs=40, prompts=12, memory={"entropies": (first, later)})
    n, hits = cuts(batch), {0: [], 1: [], 2: []}
    for r in range(40):
        for start in range(0, 192, 16):
            assert (n[r, start : start + 4] == 0).all()
            for slot in range(4, 16):
                child, parent, had = start + slot, start + slot % 4, slot // 4 - 1
                assert copies(batch, n, r, child, parent)
                H = batch.entropy[r, parent]
                p = (0.5 + 0.3 * (H[1] - H[0])) / (1 + had)
                hits[had].append((float(n[r, child] == 1), min(max(p, 0), 1)))
                if n[r, child]:
                    assert batch.live[r, parent, n[r, child]]
    for had, pairs in hits.items():
        got, p = np.array(pairs).T
        assert abs(got.sum() - p.sum()) < 4.5 * np.sqrt((p * (1 - p)).sum()) and len(got) == 1920


def test_entropy_balanced_sizes_its_budget_by_the_last_step():
    method = EntropyBalanced(beta=3.0)
    run, batch = drawn(method)
    prepare(method, run, batch)
    method.after(run, batch)
    first = [np.mean(batch.entropy[r, :, 0]) for r in range(2)]
    later = [batch.entropy[r, :, 1:].sum() / batch.live[r, :, 1:].sum() for r in range(2)]
    np.testing.assert_allclose(np.ravel(run.memory["entropies"]), first + later)
    m = method.budget(run, batch.prompts)
    want = [min(max(round(16 / (1 + math.exp(-3 * (a - b)))), 1), 16) for a, b in zip(first, later)]
    assert m[:, 0].tolist() == want
    for gap, want in ((50, 16), (-50, 1)):
        run.memory["entropies"] = (np.full((2, 1), float(gap)), np.zeros((2, 1)))
        assert (method.budget(run, batch.prompts) == want).all()
        _, some = drawn(method, memory=dict(run.memory))
        assert want == 1 or (some.learn == some.live).all()


@pytest.mark.parametrize("target", [0.0, 100.0, "between"])
def test_arbitrary_entropy_asks_a_quarter_again_at_its_temperature(target):
    run, batch = drawn(Method(), prompts=8)
    H = [batch.entropy[r].sum() / batch.live[r].sum() for r in range(2)]
    method = ArbitraryEntropy(target=np.mean(H) if target == "between" else target, alpha=0.7)
    prepare(method, run, batch)
    asked = {}
    ask = run.ask
    run.ask = lambda prompts, **how: asked.update(how) or ask(prompts, **how)
    (extra,) = method.more(run, batch)
    want = [1.2 if h < method.target else 0.8 for h in H]
    assert asked["temperature"].ravel().tolist() == want and (target != "between" or len(set(want)) == 2)
    assert extra.prompts.shape == (2, 2 * 16) and extra.group == 16
    assert (extra.prompts[:, ::16] == batch.prompts[:, : 32 : 16]).all()
    np.testing.assert_allclose(extra.advantage, 0.7 * extra.right[..., None] * extra.live)
    assert (run.spent == batch.live.sum((1, 2)) + extra.live.sum((1, 2))).all()
    assert (extra.tokens[:, :16] != batch.tokens[:, :16]).any()
    # the log-probabilities are those of the policy itself
    np.testing.assert_allclose(extra.log_pi, log_softmax(run.policy.logits)[np.arange(2)[:, None, None],
                                                                            extra.states], atol=1e-12)


def test_expected_step_at_a_temperature_and_of_its_weighted_form():
    """E_{k~π^T}[e_k - π] = π^T - π = E_{k~π}[π^T/π (e_k - π)], by the methods' own numbers."""
    rng = np.random.default_rng(0)
    log_pi = log_softmax(rng.standard_normal(V))
    pi = np.exp(log_pi)
    full = lambda x: np.broadcast_to(x, (1, V)).copy()                                      # noqa: E731
    batch = Batch(prompts=full(0), tokens=np.arange(V)[None, :, None], states=None,
                  log_pi=np.broadcast_to(log_pi, (1, V, 1, V)).copy(), live=np.ones((1, V, 1)),
                  learn=np.ones((1, V, 1)), part=np.zeros((1, V, 1), int), right=np.ones((1, V)),
                  claim=full(0), hidden=full(0), group=V)
    for target, temperature in ((9.0, 1.2), (0.0, 0.8)):
        method, run = Dcpo(target=target), None
        batch = prepare(method, run, batch)
        a = 0.1 / 1.1
        tempered = np.exp(log_softmax(log_pi / temperature))
        D = method.direction(run, batch, Now(batch, batch.log_pi))[0, :, 0]
        np.testing.assert_allclose(pi @ D, a * (tempered - pi), atol=1e-12)


def test_spear_replays_its_own_recent_successes():
    seen, kept = {}, []

    class Watched(Spear):
        def more(self, run, batch):
            again = super().more(run, batch)
            seen[run.step] = batch
            kept.append([(run.step, b, self.pull(run)) for b in again])
            return again

    method = Watched(age=3, warm=8, replayed=12, entry=0.7)
    table = Table(TASK, runs=2)
    train(table, method, Loop(steps=12, prompts=4, group=8, rate=40.0), [0, 1])
    assert not kept[0] and all(len(k) == 1 for k in kept[1:])
    ages, full = Counter(), 0
    for step, again, gamma in (k[0] for k in kept[1:]):
        assert gamma == pytest.approx((1 - math.cos(math.pi * step / 8)) / 2 if step < 8 else 1)
        for r in range(2):
            recent = [seen[s].right[r].reshape(4, 8).mean(1) for s in range(max(step - 2, 0), step + 1)]
            baseline = np.median(np.concatenate(recent))
            good = {s: [i for i in range(32) if seen[s].advantage[r, i, 0] > 0.7]
                    for s in range(max(step - 3, 0), step)}
            rows = [i for i in range(12) if again.live[r, i].sum()]
            full += len(rows) == 12
            assert len(rows) == min(12, sum(map(len, good.values())))
            for i in rows:
                match = [(s, j) for s, some in good.items() for j in some
                         if np.array_equal(seen[s].log_pi[r, j], again.log_pi[r, i])
                         and np.array_equal(seen[s].tokens[r, j], again.tokens[r, i])]
                assert match
                ages[step - match[0][0]] += 1
                want = gamma * max(again.right[r, i] - baseline, 0)
                np.testing.assert_allclose(again.advantage[r, i], want * again.live[r, i], atol=1e-12)
                assert (again.learn[r, i] == again.live[r, i]).all()
            empty = [i for i in range(12) if i not in rows]
            assert (again.learn[r, empty] == 0).all() and (again.advantage[r, empty] == 0).all()
    assert set(ages) == {1, 2, 3} and full
    assert Spear(warm=10).pull(Run(None, None, [0], step=5)) == pytest.approx(0.5)


def test_difficulty_sampler_follows_what_was_right():
    method = DifficultySampler(floor=0.2, memory=0.8)
    run, batch = drawn(method, prompts=2)
    run.policy.questions = 3
    assert sorted(batch.prompts[0, ::16]) == sorted(set(batch.prompts[0]))
    p = np.full((2, 3), 0.5)
    for step in range(3):
        method.after(run, batch)
        for r in range(2):
            for q in range(3):
                mine = batch.right[r][batch.prompts[r] == q]
                p[r, q] = 0.8 * p[r, q] + 0.2 * mine.mean() if len(mine) else p[r, q]
        np.testing.assert_allclose(run.memory["right"], p, atol=1e-12)
        run.step = step + 1
        batch = method.sample(run)
    run.memory["right"] = np.array([[0.0, 0.5, 0.9], [1.0, 1.0, 0.5]])
    run.loop = Loop(prompts=5000)
    w = 4 * run.memory["right"] * (1 - run.memory["right"]) + 0.2
    expected = 5000 * w / w.sum(1, keepdims=True)
    counts = np.stack([np.bincount(x, minlength=3) for x in method.prompts(run)])
    assert (((counts - expected) ** 2 / expected).sum(1) < 18.5).all()      # chi2(2), 1e-4


# ---------------------------------------------------------------- controllers over steps

def test_siren_and_the_corridor_remember_their_first_steps():
    class Watched(Siren):
        def beyond(self, run, batch, now):
            H, _ = nucleus_entropy(batch.xp, now.log_pi, self.mass)
            seen.append(masked_mean(batch.xp, H, highest(batch, H, self.share), (-2, -1)))
            return super().beyond(run, batch, now)
    seen, runs = [], []
    method = Watched(kappa=1.0)
    train(Table(TASK, runs=2), method, SHORT, [0, 1], watch=lambda run, batch: runs.append(run))
    np.testing.assert_array_equal(runs[-1].memory["anchor"], seen[0])
    assert not np.allclose(seen[0], seen[-1])
    means = []
    train(Table(TASK, runs=2), EntropyCorridor(), SHORT, [0, 1],
          watch=lambda run, batch: means.append((run, [batch.entropy[r].sum() / batch.live[r].sum()
                                                       for r in range(2)])))
    history = means[-1][0].memory["entropies"]
    np.testing.assert_allclose(np.stack(history)[..., 0, 0], [m for _, m in means])
    run = Run(None, Loop(steps=10), [0])
    assert [EntropyCorridor().beta(replace(run, step=k)) for k in (0, 5)] == [2, 1 + math.exp(-1)]


# ---------------------------------------------------------------- limits in which a method is another one

@pytest.mark.parametrize(("method", "same"), [
    (EntropyBonus(weight=0.0), Method()), (KlCov(beta=0.0), Method()), (Steer(minimum=1.0), Method()),
    (ClipCov(below=1e6, above=2e6), Method()), (RandomDrop(below=1e6, above=2e6), Method()),
    (ClipB(deviations=1e6), Method()), (ClipV(most=0.0), Method()), (EightyTwenty(share=1.0), Method()),
    (Hicra(alpha=0.0), Method()), (Hicra(alpha=0.0, placebo=True), Method()), (Siren(kappa=0.0), Method()),
    (EntropyCorridor(bonus=0.0), Method()), (EntropyCorridor(alpha=0.0), EntropyBonus()),
    (EntropyCorridor(released=True), EntropyBonus()), (Canon(mu=0.5), Method()),
    (Canon(mu=0.5, standard=False), Method(standard=False)), (Copo(rho=-50.0), Method()),
    (Adora(weight=1.0), Method()), (Pear(scale=0.0), Method()), (Ares(alpha=0.0), Method()),
    (EntropyBalanced(weight=0.0, high=1e9), Method(high=1e9)), (Ettrl(bound=1e9), MajorityVote()),
])
def test_inert_limits(method, same):
    scene = Scene()
    got, *_ = directions(method, scene, MEMORY)
    want, *_ = directions(same, scene, MEMORY)
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_empg_without_knobs_is_grpo_up_to_its_centring():
    scene = Scene()
    _, _, batch = directions(Empg(k=0.0, zeta=0.0), scene)
    _, _, plain = directions(Method(), scene)
    shift = (plain.advantage - plain.mean(plain.advantage)) * plain.live
    np.testing.assert_allclose(batch.advantage, shift, atol=1e-12)
    np.testing.assert_allclose(batch.mean(batch.advantage), 0, atol=1e-12)


def test_placebo_tokens_are_as_many():
    scene = Scene()
    _, _, hicra = directions(Hicra(alpha=1.0), scene)
    _, _, placebo = directions(Hicra(alpha=1.0, placebo=True), scene)
    _, _, plain = directions(Method(), scene)
    A = np.where(plain.advantage == 0, np.nan, plain.advantage)
    assert ((hicra.advantage != plain.advantage).reshape(R, N, T)[..., 1:] == 0).all()
    changed = placebo.advantage != plain.advantage
    np.testing.assert_allclose(placebo.advantage[changed], (A + np.abs(A))[changed])
    assert 0 < changed.sum() <= N * R and changed[..., 1:].any()


# ---------------------------------------------------------------- ragged edges

@EVERY
@pytest.mark.parametrize("right", [0.0, 1.0])
@pytest.mark.parametrize("flat", [True, False])
def test_no_signal_and_no_difference_give_finite_directions(name, right, flat):
    scene = Scene(spread=0.0 if flat else 1.3)
    if flat:
        scene.log_pi = scene.batch.log_pi.copy()
    scene.batch.right[:], scene.batch.claim[:] = right, 3
    method = METHODS[name]
    D, run, batch = directions(method, scene, MEMORY)
    assert np.isfinite(D).all()
    centred = {"empg", "siren", "epo", "entropy-bonus", "spine", "pear", "ares", "dcpo", "kl-cov"}
    if name not in centred:
        assert np.abs(D).max() < 1e-9


def test_dead_groups_have_no_advantage_and_copo_gives_them_one():
    scene = Scene()
    _, _, plain = directions(Method(), scene)
    assert (plain.advantage[:, : 2 * G] == 0).all() and (plain.advantage[:, 2 * G :] != 0).any()
    D, _, batch = directions(Copo(), scene)
    learn = batch.learn[:, : 2 * G] > 0
    assert (np.abs(D[:, : 2 * G]).max(-1)[learn] > 0).mean() > 0.5


def test_copo_with_one_group_has_nothing_to_compare():
    scene = Scene()
    one = replace(scene.batch, **{i.name: getattr(scene.batch, i.name)[:, :G] for i in fields(Batch)
                                  if getattr(getattr(scene.batch, i.name), "ndim", 0) > 1})
    scene.batch, scene.log_pi = one, scene.log_pi[:, :G]
    D, *_ = directions(Copo(), scene)
    assert (D == 0).all()


def test_copo_compares_all_groups_of_a_step_whatever_the_minibatches():
    scene, method = Scene(), Copo()
    want, run, batch = directions(method, scene)
    run.loop = replace(run.loop, minibatches=3)
    for part in minibatches(run, batch, 0):
        for r in range(R):
            rows = [np.flatnonzero((scene.states[r] == s[0]).any(1))[0] for s in part.states[r]]
            now = Now(part, np.stack([scene.log_pi[k][[np.flatnonzero((scene.states[k] == s[0]).any(1))[0]
                                                       for s in part.states[k]]] for k in range(R)]))
            got = method.direction(run, part, now)
            np.testing.assert_allclose(got[r], want[r, rows], atol=1e-12)


def test_adora_asks_for_one_right_answer_longer_than_the_mean_wrong_one():
    scene = Scene()
    right, length = scene.batch.right.reshape(R, B, G), scene.batch.length.reshape(R, B, G)
    for r in range(R):
        order = np.argsort(length[r], axis=-1, kind="stable")
        right[r, 2:] = 0
        right[r, 2, order[2, :3]] = 1               # three short ones, longer together than a wrong one
        right[r, 3, order[3, [0, 1, -1]]] = 1       # the longest and two short ones
        wrong = [length[r, b][right[r, b] == 0].mean() for b in (2, 3)]
        assert length[r, 2, order[2, 2]] <= wrong[0] < length[r, 2, order[2, :3]].sum()
        assert length[r, 3, order[3, [0, 1, -1]]].mean() < wrong[1] < length[r, 3, order[3, -1]]
    _, _, batch = directions(Adora(weight=0.3), scene)
    _, _, plain = directions(Method(), scene)
    A, want = (x.advantage.reshape(R, B, -1) for x in (batch, plain))
    np.testing.assert_allclose(A[:, 2], 0.3 * want[:, 2])
    np.testing.assert_allclose(A[:, 3], want[:, 3])
    assert (want[:, 2:4] != 0).any(-1).all() and (A[:, 4:] == 0).all()


def test_empg_on_equal_entropies_gives_all_steps_the_same_factor():
    scene = Scene(spread=0.0)
    _, _, batch = directions(Empg(zeta=0.0), scene)
    _, _, plain = directions(Method(), scene)
    np.testing.assert_allclose(batch.advantage, (plain.advantage - plain.mean(plain.advantage)) * plain.live,
                               atol=1e-12)


def test_otsu_finds_the_gap():
    x = np.array([[0.1, 0.2, 0.15, 0.9, 1.0, 7.0], [1.0, 1.0, 1.0, 1.0, 9.0, 9.0], [3.0, 9, 9, 9, 9, 9]])
    mask = np.array([[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0]], dtype=float)
    assert otsu(np, x, mask).tolist() == [0.9, 1.0, 3.0]
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4, (300, 7)) / 3 * rng.random((300, 1))
    masks = (rng.random((300, 7)) < 0.7).astype(float)
    masks[:, 0] = 1
    for v, m, got in zip(values, masks, otsu(np, values, masks)):
        inside = v[m > 0].tolist()
        classes = [v >= got, v >= otsu_by_hand(inside)]
        pairs = [(v[(m > 0) & c], v[(m > 0) & ~c]) for c in classes]
        between = [len(a) * len(b) * (a.mean() - b.mean()) ** 2 if len(a) and len(b) else 0 for a, b in pairs]
        assert got in inside and between[0] == pytest.approx(between[1], abs=1e-12)


def test_the_robust_band_of_a_gaussian_is_one_sigma():
    scene = Scene()
    rng = np.random.default_rng(0)
    H, where = rng.normal(5, 0.7, (1, 1000, 101)), np.ones((1, 1000, 101))
    low, high = robust_band(scene.batch, H, where)
    assert high - low == pytest.approx(1.4, rel=0.02) and (high + low) / 2 == pytest.approx(5, rel=0.01)


def test_highest_takes_the_right_number():
    scene = Scene()
    live = scene.batch.live.sum((1, 2))
    for share in (0.07, 0.2, 0.5, 1.0):
        got = highest(scene.batch, scene.batch.entropy, share).sum((1, 2))
        assert got.tolist() == [math.ceil(round(share * n, 9)) for n in live]
    one = replace(scene.batch, live=np.ones((R, 20, 5)))
    ties = highest(one, np.zeros((R, 20, 5)), 0.07)
    assert (ties.sum((1, 2)) == 7).all() and (ties.reshape(R, -1)[:, :7] == 1).all()
    assert highest(one, np.zeros((R, 20, 5)), 1.0, where=np.zeros((R, 20, 5))).sum() == 0


def test_masked_mean_of_nothing_is_zero():
    assert masked_mean(np, np.ones((2, 3)), np.zeros((2, 3)), -1).tolist() == [[0.0], [0.0]]
    assert masked_mean(np, np.arange(4.0), np.array([0, 1, 1, 0.0]), -1) == 1.5


def test_minibatches_keep_groups_and_lose_nothing():
    scene = Scene()
    for parts in (1, 2, 3, 6):
        run = scene.run()
        run.loop = Loop(prompts=B, group=G, minibatches=parts)
        some = minibatches(run, scene.batch, 0)
        assert len(some) == parts
        for r in range(R):
            states = np.concatenate([b.states[r] for b in some])
            assert sorted(states.ravel()) == sorted(scene.states[r].ravel())
            for b in some:
                assert (b.prompts[r].reshape(-1, G) == b.prompts[r].reshape(-1, G)[:, :1]).all()
        assert parts == 1 or not np.array_equal(some[0].states, minibatches(run, scene.batch, 1)[0].states)
    few = take_answers(scene.batch, np.broadcast_to(np.arange(13), (R, 13)))    # no whole number of groups
    run.loop = Loop(prompts=B, group=G, minibatches=3)
    some = minibatches(run, few, 0)
    assert [b.prompts.shape[1] for b in some] == [4, 4, 5]
    assert sorted(np.concatenate([b.states[0] for b in some]).ravel()) == sorted(few.states[0].ravel())
    with pytest.raises(ValueError, match="minibatches must be <= 2, the answers of a further batch; got 3"):
        minibatches(run, take_answers(few, np.zeros((R, 2), int)), 0)


def test_join_puts_the_answers_of_a_prompt_together():
    scene = Scene()
    halves = [replace(take_answers(scene.batch, np.broadcast_to(rows, (R, len(rows)))), group=g)
              for rows, g in ((np.arange(N).reshape(B, G)[:, :3].ravel(), 3),
                              (np.arange(N).reshape(B, G)[:, 3:].ravel(), 5))]
    whole = join(*halves)
    assert whole.group == G
    for item in ("states", "tokens", "log_pi", "right", "prompts"):
        assert np.array_equal(getattr(whole, item), getattr(scene.batch, item))


def test_undecided_positions_come_before_the_empty_ones():
    scene = Scene()
    places, number = undecided(scene.batch, first=1)
    assert (number[..., 0] == scene.batch.length - 1).all()
    for r, n in np.ndindex(R, N):
        assert places[r, n, : number[r, n, 0]].tolist() == by_entropy(scene.batch, r, n, 1)


# ---------------------------------------------------------------- knobs

CLASSES = sorted({type(m) for m in METHODS.values()}, key=lambda c: c.__name__)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_every_knob_has_a_rule(cls):
    rules = {}
    for parent in cls.__mro__:
        rules |= vars(parent).get("rules", {})
    names = {item.name for item in fields(cls)}
    for item in fields(cls):
        if isinstance(item.default, bool):
            with pytest.raises(TypeError, match=f"{item.name} must be True or False; got 1"):
                cls(**{item.name: 1})
            continue
        assert item.name in rules
        bad = (math.nan,) * 3 if isinstance(item.default, tuple) else math.nan
        with pytest.raises(ValueError, match=f"{item.name} must .*; got nan"):
            cls(**{item.name: bad})
        with pytest.raises((TypeError, ValueError), match=f"{item.name} must be .*; got "):
            cls(**{item.name: "much"})
        if rules[item.name] != "finite":
            bad = (1.0, 1.0, -1.0) if isinstance(item.default, tuple) else -1
            with pytest.raises(ValueError, match=f"{item.name} must .*; got -1"):
                cls(**{item.name: bad})
    assert set(rules) <= names


@pytest.mark.parametrize(("cls", "knobs", "text"), [
    (Method, {"low": 1.5}, r"low must lie in \[0, 1\]; got 1.5"),
    (Method, {"high": -0.1}, "high must be >= 0; got -0.1"),
    (EntropyBonus, {"weight": math.inf}, "weight must be finite; got inf"),
    (ClipCov, {"fraction": 1.2}, r"fraction must lie in \(0, 1\]; got 1.2"),
    (RandomDrop, {"fraction": 0}, r"fraction must lie in \(0, 1\]; got 0"),
    (Spear, {"below": 5, "above": 5}, "below must be < above = 5; got 5"),
    (KlCov, {"fraction": -0.2}, r"fraction must lie in \(0, 1\]; got -0.2"),
    (Steer, {"minimum": 0}, r"minimum must lie in \(0, 1\]; got 0"),
    (Steer, {"floor": 0.0}, "floor must be > 0 and finite; got 0.0"),
    (EightyTwenty, {"share": 20}, r"share must lie in \(0, 1\]; got 20"),
    (ClipV, {"most": 1.01}, r"most must lie in \[0, 1\]; got 1.01"),
    (Siren, {"mass": 0}, r"mass must lie in \(0, 1\]; got 0"),
    (ArbitraryEntropy, {"cool": 0}, "cool must be > 0 and finite; got 0"),
    (Dcpo, {"warm": -1.2}, "warm must be > 0 and finite; got -1.2"),
    (EntropyCorridor, {"left": 2.5}, "left must be <= right = 2.0; got 2.5"),
    (Canon, {"mu": 1.5}, r"mu must lie in \[0, 1\]; got 1.5"),
    (Ares, {"margins": (0.1, 0.2)}, r"margins must be three numbers: easy, medium, hard; got \(0.1, 0.2\)"),
    (Ares, {"window": 2.5}, "window must be a whole number >= 1; got 2.5"),
    (DifficultySampler, {"floor": 0}, "floor must be > 0 and finite; got 0"),
    (Cure, {"branches": 0}, "branches must be a whole number >= 1; got 0"),
    (Cure, {"until": -1}, "until must be a whole number >= 0; got -1"),
    (Ettrl, {"bound": 0}, "bound must be > 0 and finite; got 0"),
    (Spear, {"age": True}, "age must be a number; got bool"),
    (Spear, {"warm": 0}, "warm must be a whole number >= 1; got 0"),
])
def test_bad_knobs(cls, knobs, text):
    with pytest.raises((ValueError, TypeError), match=text):
        cls(**knobs)


@pytest.mark.parametrize(("method", "group", "text"), [
    (Cure(), 8, r"roots \* \(1 \+ branches\) must be group = 8; got 4 \* \(1 \+ 3\)"),
    (Ettrl(), 8, r"trees \* \(1 \+ forks \* branches\) must be group = 8; got 4 \* \(1 \+ 3 \* 1\)"),
    (BranchGrpo(), 6, "group must be a power of 2 for a binary tree; got 6"),
    (Canon(), 5, "group must be even, to be halved; got 5"),
])
def test_a_group_that_does_not_fit(method, group, text):
    with pytest.raises(ValueError, match=text):
        train(Table(TASK), method, Loop(prompts=3, group=group), [0])


def test_rules_reach_plug_ins_of_a_reader():
    class Mine(Method):
        def weights(self, run, batch, now):
            return 0.5
    with pytest.raises(ValueError, match="high must be >= 0; got -1"):
        Mine(high=-1)
    assert Mine().rules == Method.rules
