"""The exact part of labutils.policy: identities, orders, gradients, both libraries, bad input."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from labutils import policy

EPS = 1e-9
quick = settings(max_examples=40, deadline=None)
entry = st.floats(-6, 6, allow_nan=False).map(lambda v: round(v, 3))


@st.composite
def tables(draw, count=2, min_actions=2):
    """`count` arrays of one shape [..., V]."""
    shape = draw(array_shapes(min_dims=1, max_dims=2, min_side=2, max_side=6))
    shape = (*shape[:-1], max(shape[-1], min_actions))
    return [draw(arrays(float, shape, elements=entry)) for _ in range(count)]


def tree_of(seed, **options):
    return policy.random_tree(np.random.default_rng(seed), **options)


def to_torch(value):
    if isinstance(value, np.ndarray):
        return torch.tensor(value)
    return [to_torch(v) for v in value] if isinstance(value, list) else value


def slope(h, error):
    return np.polyfit(np.log(h), np.log(error), 1)[0]


# ------------------------------------------------------------------ the policy and its entropy


@quick
@given(tables(1))
def test_softmax_is_a_distribution_and_log_softmax_its_log(values):
    (z,) = values
    pi = policy.softmax(z)
    assert np.allclose(pi.sum(-1), 1, atol=EPS) and (pi > 0).all()
    assert np.allclose(np.exp(policy.log_softmax(z)), pi, atol=EPS)
    direct = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    assert np.allclose(pi, direct, atol=EPS)


@quick
@given(tables(1), st.floats(-1e4, 1e4))
def test_entropy_bounds_and_shift_invariance(values, shift):
    (z,) = values
    h = policy.entropy(z)
    assert (h >= 0).all() and (h <= math.log(z.shape[-1]) + EPS).all()
    assert np.allclose(policy.entropy(z + shift), h, atol=1e-8)


def test_entropy_of_known_policies():
    assert policy.entropy(np.zeros(8)) == pytest.approx(math.log(8), abs=1e-14)
    assert policy.entropy(np.log([0.5, 0.25, 0.25])) == pytest.approx(1.5 * math.log(2), abs=1e-14)


@pytest.mark.parametrize("gap", [50.0, 800.0, 1e6])
def test_deterministic_limit_has_no_entropy_and_no_change(gap):
    z, delta = np.array([gap, 0.0, 0.0]), np.array([1.0, -2.0, 0.5])
    assert policy.entropy(z) == pytest.approx(0, abs=1e-12)
    assert policy.entropy_change(z, delta) == pytest.approx(0, abs=1e-12)
    assert policy.entropy_change(z, delta, order=2) == pytest.approx(0, abs=1e-12)
    assert np.allclose(policy.discriminator(z), 0, atol=1e-12)
    assert policy.renyi_entropy(z) == pytest.approx(0, abs=1e-12)


# ------------------------------------------------------------------------------ entropy change


@quick
@given(tables(2), st.floats(-50, 50))
def test_entropy_change_ignores_what_all_actions_share(values, shift):
    z, delta = values
    for order in (1, 2):
        want = policy.entropy_change(z, delta, order)
        assert np.allclose(policy.entropy_change(z, delta + shift, order), want, atol=1e-8)


@quick
@given(tables(2))
def test_entropy_change_is_the_derivative_and_the_curvature(values):
    z, delta = map(torch.tensor, values)

    def along(t):
        return policy.entropy(z + t[..., None] * delta).sum()

    t = torch.zeros(z.shape[:-1], dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(along(t), t, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), t)
    assert torch.allclose(policy.entropy_change(z, delta), first.detach(), atol=EPS)
    both = policy.entropy_change(z, delta, order=2)
    assert torch.allclose(both, first.detach() + second / 2, atol=1e-8)


@quick
@given(tables(2))
def test_all_readings_of_the_covariance_agree(values):
    z, delta = values
    change = policy.entropy_change(z, delta)
    log_pi = policy.log_softmax(z)
    assert np.allclose(-policy.covariance(z, log_pi, delta), change, atol=EPS)
    assert np.allclose(-policy.token_covariance(z, delta).sum(-1), change, atol=EPS)
    assert np.allclose(-(policy.discriminator(z) * delta).sum(-1), change, atol=EPS)


@quick
@given(st.integers(2, 9), st.integers(0, 10**6))
def test_uniform_policy_has_no_first_order_change_and_falls_at_second(actions, seed):
    z = np.full(actions, 1.7)
    delta = np.random.default_rng(seed).standard_normal(actions)
    assert abs(policy.entropy_change(z, delta)) < 1e-12
    want = -np.var(delta) / 2
    assert policy.entropy_change(z, delta, order=2) == pytest.approx(want, abs=1e-12)
    assert policy.entropy(z + 0.1 * delta) < policy.entropy(z)


def test_residuals_shrink_with_the_square_and_the_cube_of_the_step():
    rng = np.random.default_rng(3)
    z, delta = rng.standard_normal((2, 6))
    steps = 0.5 ** np.arange(5, 10)
    true = np.array([policy.entropy(z + h * delta) - policy.entropy(z) for h in steps])
    for order, want in ((1, 2), (2, 3)):
        guess = np.array([policy.entropy_change(z, h * delta, order) for h in steps])
        assert slope(steps, np.abs(true - guess)) == pytest.approx(want, abs=0.1)


# --------------------------------------------------------------------- discriminator and tokens


@quick
@given(tables(1))
def test_discriminator_is_minus_the_gradient_sums_to_zero_and_knows_its_threshold(values):
    (z,) = values
    s = policy.discriminator(z)
    leaf = torch.tensor(z, requires_grad=True)
    (gradient,) = torch.autograd.grad(policy.entropy(leaf).sum(), leaf)
    assert np.allclose(s, -gradient.numpy(), atol=EPS)
    assert np.allclose(s.sum(-1), 0, atol=EPS)
    margin = policy.log_softmax(z) + policy.entropy(z)[..., None]
    clear = np.abs(margin) > 1e-9
    assert (np.sign(s) == np.sign(margin))[clear].all()


@quick
@given(tables(2), st.floats(-2, 2))
def test_sampled_token_change_is_the_theorem_for_that_step(values, step):
    z, _ = values
    pi = policy.softmax(z)
    for k in range(z.shape[-1]):
        want = policy.entropy_change(z, step * (np.eye(z.shape[-1])[k] - pi))
        assert np.allclose(policy.sampled_token_change(z, k, step), want, atol=EPS)


@quick
@given(tables(2))
def test_sampled_tokens_average_to_the_policy_gradient(values):
    z, advantage = values
    pi = policy.softmax(z)
    centred = advantage - (pi * advantage).sum(-1, keepdims=True)
    total, constant = 0.0, 0.0
    for k in range(z.shape[-1]):
        total = total + pi[..., k] * policy.sampled_token_change(z, k, centred[..., k])
        constant = constant + pi[..., k] * policy.sampled_token_change(z, k, 1.0)
    want = policy.entropy_change(z, policy.policy_gradient(z, advantage))
    assert np.allclose(total, want, atol=EPS)
    assert np.allclose(constant, 0, atol=EPS)


# ------------------------------------------------------------------------------- the gradients


@quick
@given(tables(2))
def test_policy_gradient_against_autograd_and_natural_gradient_against_fisher(values):
    z, q = values
    leaf = torch.tensor(z, requires_grad=True)
    value = (torch.softmax(leaf, -1) * torch.tensor(q)).sum()
    (gradient,) = torch.autograd.grad(value, leaf)
    vanilla, natural = policy.policy_gradient(z, q), policy.natural_gradient(z, q)
    assert np.allclose(vanilla, gradient.numpy(), atol=EPS)
    pi = policy.softmax(z)
    fisher = np.einsum("...i,ij->...ij", pi, np.eye(z.shape[-1])) - pi[..., :, None] * pi[..., None, :]
    assert np.allclose((fisher @ natural[..., None])[..., 0], vanilla, atol=EPS)
    assert np.allclose((pi * natural).sum(-1), 0, atol=EPS)


@quick
@given(st.floats(-4, 4), st.floats(-4, 4), st.floats(-4, 4))
def test_with_two_actions_both_gradients_push_the_same_way(gap, q0, q1):
    z, q = np.array([gap, 0.0]), np.array([q0, q1])
    vanilla = policy.entropy_change(z, policy.policy_gradient(z, q))
    natural = policy.entropy_change(z, policy.natural_gradient(z, q))
    assert vanilla * natural > -1e-24  # rounding alone may cross zero


def test_with_three_actions_they_can_differ():
    z, q = np.log([0.6, 0.3, 0.1]), np.array([0.0, -1.0, 1.0])
    assert policy.entropy_change(z, policy.policy_gradient(z, q)) == pytest.approx(-0.0331, abs=1e-4)
    assert policy.entropy_change(z, policy.natural_gradient(z, q)) == pytest.approx(0.0487, abs=1e-4)
    draws = np.random.default_rng(0).standard_normal((2, 4000, 12))
    vanilla, natural = (
        policy.entropy_change(draws[0], rule(*draws))
        for rule in (policy.policy_gradient, policy.natural_gradient)
    )
    assert 0.08 < (vanilla * natural < 0).mean() < 0.14


@quick
@given(tables(1), st.floats(0.01, 3))
def test_entropy_bonus_raises_entropy_except_at_the_uniform_policy(values, strength):
    (z,) = values
    s = policy.discriminator(z)
    change = policy.entropy_change(z, -strength * s)
    assert np.allclose(change, strength * (s**2).sum(-1), atol=EPS)
    assert (change[np.ptp(z, axis=-1) > 0.1] > 0).all() if z.ndim > 1 else change >= 0


# --------------------------------------------------------------------------------------- Rényi


@quick
@given(tables(2), st.sampled_from([0.3, 0.5, 2.0, 3.0]))
def test_renyi_entropy_and_its_change(values, order):
    z, delta = values
    pi = policy.softmax(z)
    want = np.log((pi**order).sum(-1)) / (1 - order)
    assert np.allclose(policy.renyi_entropy(z, order), want, atol=EPS)
    zt, t = torch.tensor(z), torch.zeros(z.shape[:-1], dtype=torch.float64, requires_grad=True)
    moved = policy.renyi_entropy(zt + t[..., None] * torch.tensor(delta), order).sum()
    (derivative,) = torch.autograd.grad(moved, t)
    assert np.allclose(policy.renyi_entropy_change(z, delta, order), derivative.numpy(), atol=1e-8)


@quick
@given(tables(2))
def test_renyi_orders_decrease_and_meet_shannon_at_one(values):
    z, delta = values
    h = [policy.renyi_entropy(z, order) for order in (0.5, 1.0, 2.0)]
    assert (h[0] >= h[1] - EPS).all() and (h[1] >= h[2] - EPS).all()
    assert np.allclose(h[1], policy.entropy(z), atol=EPS)
    assert np.allclose(policy.renyi_entropy_change(z, delta, 1), policy.entropy_change(z, delta))
    near = policy.renyi_entropy_change(z, delta, 1 + 1e-6)
    assert np.allclose(near, policy.entropy_change(z, delta), atol=1e-3)


@quick
@given(tables(1))
def test_score_norm_is_the_mean_square_of_the_score(values):
    (z,) = values
    pi = policy.softmax(z)
    scores = np.eye(z.shape[-1]) - pi[..., None, :]
    want = (pi * (scores**2).sum(-1)).sum(-1)
    assert np.allclose(policy.score_norm(z), want, atol=EPS)
    assert np.allclose(policy.score_norm(z), 1 - np.exp(-policy.renyi_entropy(z)), atol=EPS)


# ---------------------------------------------------------------------------------------- trees


def test_tree_answers_visits_and_entropy_to_go():
    tree = tree_of(1, batch=(5,))
    probability = np.exp(policy.sequence_log_prob(tree))
    assert probability.shape == (5, 81) and np.allclose(probability.sum(-1), 1, atol=EPS)
    weights = policy.visitation(tree)
    for d in weights:
        assert np.allclose(d.sum(-1), 1, atol=EPS)
    assert np.allclose(weights[2][:, 5], probability.reshape(5, 9, 9)[:, 5].sum(-1), atol=EPS)
    by_state = sum((d * policy.entropy(z)).sum(-1) for d, z in zip(weights, tree))
    assert np.allclose(policy.sequence_entropy(tree), by_state, atol=EPS)
    togo = policy.entropy_to_go(tree)
    assert np.allclose(togo[0][:, 0], by_state, atol=EPS) and (togo[-1] == 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_tree_entropy_change_against_autograd_and_as_one_big_action(seed):
    tree, deltas = tree_of(seed, batch=(3,)), tree_of(seed + 100, batch=(3,))
    t = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    moved = [torch.tensor(z) + t[:, None, None] * torch.tensor(d) for z, d in zip(tree, deltas)]
    (derivative,) = torch.autograd.grad(policy.sequence_entropy(moved).sum(), t)
    full = policy.tree_entropy_change(tree, deltas)
    assert np.allclose(full, derivative.numpy(), atol=EPS)
    log_prob = policy.sequence_log_prob(tree)
    flat = policy.entropy_change(log_prob, policy.sequence_delta(tree, deltas))
    assert np.allclose(full, flat, atol=EPS)
    local = policy.tree_entropy_change(tree, deltas, visits=False)
    assert (np.abs(local - full) > 1e-3).all()


def test_tree_policy_gradient_against_autograd():
    tree = [torch.tensor(z, requires_grad=True) for z in tree_of(2, actions=2, depth=5)]
    reward = torch.tensor(np.random.default_rng(0).standard_normal(32))
    value = (torch.exp(policy.sequence_log_prob(tree)) * reward).sum()
    for want, got in zip(torch.autograd.grad(value, tree), policy.tree_policy_gradient(tree, reward)):
        assert torch.allclose(want, got, atol=EPS)


def test_a_state_bonus_can_lower_the_entropy_of_the_answers():
    tree = [np.zeros((3**t, 3)) for t in range(4)]
    tree[0][0] = [2.0, 0.0, 0.0]
    for t in range(1, 4):
        tree[t][3 ** (t - 1):, 0] = 8.0
    bonus = [
        -d[:, None] * policy.discriminator(z) for z, d in zip(tree, policy.visitation(tree))
    ]
    assert policy.tree_entropy_change(tree, bonus, visits=False) > 0.1
    assert policy.tree_entropy_change(tree, bonus) < -0.1


# ---------------------------------------------------------------------------- scores and masks


@quick
@given(arrays(float, st.integers(2, 30), elements=st.floats(-9, 0)), st.integers(0, 1000))
def test_batch_covariance_and_its_bound_for_rewarded_tokens(log_prob, seed):
    advantage = np.random.default_rng(seed).choice([-1.0, 0.0, 2.4], size=log_prob.size)
    c = policy.batch_covariance(log_prob, advantage)
    assert np.allclose(c.mean(), np.cov(log_prob, advantage, ddof=0)[0, 1], atol=EPS)
    above = advantage > advantage.mean()
    limit = (advantage - advantage.mean()) * -log_prob.mean()
    assert (c[above] <= limit[above] + EPS).all()


def test_clip_cov_draws_from_its_band_only():
    c = np.random.default_rng(0).normal(1.0, 2.0, size=(20, 50))
    mask = policy.clip_cov_mask(c, fraction=0.05, low=1, high=5, rng=np.random.default_rng(1))
    assert mask.shape == c.shape and mask.sum() == 50
    assert ((c[mask] > 1) & (c[mask] < 5)).all()
    again = policy.clip_cov_mask(c, fraction=0.05, low=1, high=5, rng=np.random.default_rng(1))
    other = policy.clip_cov_mask(c, fraction=0.05, low=1, high=5, rng=np.random.default_rng(2))
    assert (mask == again).all() and (mask != other).any()
    few = policy.clip_cov_mask(c, fraction=1.0, low=1, high=5, rng=np.random.default_rng(1))
    assert (few == ((c > 1) & (c < 5))).all()
    assert policy.clip_cov_mask(c, rng=np.random.default_rng(1)).sum() == 1
    assert policy.clip_cov_mask(c - 100, rng=np.random.default_rng(1)).sum() == 0


def test_kl_cov_takes_the_largest():
    c = np.random.default_rng(0).standard_normal((10, 30))
    mask = policy.kl_cov_mask(c, 0.1)
    assert mask.sum() == 30 and c[mask].min() > c[~mask].max()
    assert policy.kl_cov_mask(c, 1e-9).sum() == 1


@quick
@given(tables(2))
def test_steer_score_averages_to_natural_minus_vanilla(values):
    z, advantage = values
    pi = policy.softmax(z)
    mean = sum(
        pi[..., k] * policy.steer_score(z, k, advantage[..., k], signed=True)
        for k in range(z.shape[-1])
    )
    log_pi = policy.log_softmax(z)
    want = policy.covariance(z, log_pi, advantage) - policy.covariance(z, log_pi, pi * advantage)
    assert np.allclose(mean, want, atol=1e-8)


def test_steer_score_formula_and_weight():
    z, token = np.log([0.5, 0.3, 0.2]), np.array(2)
    h = policy.entropy(z)
    want = abs(-1.5 / 0.1 * 0.2 * 0.8 * (math.log(0.2) + h))
    got = policy.steer_score(z, token, -1.5, old_log_prob=math.log(0.1))
    assert got == pytest.approx(want, abs=1e-12)
    weight = policy.steer_weight(np.array([0.0, 1.0, 4.0]), minimum=0.8)
    assert weight == pytest.approx([1, 0.8**0.25, 0.8], abs=1e-15) and weight[2] == 0.8
    assert (policy.steer_weight(np.array([0.5, 3.0]), minimum=1.0) == 1).all()
    assert policy.steer_weight(np.array([0.01]))[0] == pytest.approx(math.sqrt(0.8))


# -------------------------------------------------------------------------------------- the law


def test_fit_law_recovers_a_law_and_sees_a_misfit():
    h = np.linspace(0.1, 2, 30)
    law = policy.fit_law(h, 0.9 - 0.1 * np.exp(h))
    assert law == pytest.approx((0.1, 0.9, 1.0), abs=1e-12)
    assert law.ceiling == pytest.approx(0.8) and law.reward(0.0) == pytest.approx(law.ceiling)
    p = np.linspace(0.01, 0.999, 300)
    bent = policy.fit_law(policy.bandit_entropy(p, 100), p)
    assert bent.r_squared < 0.9 and bent.ceiling < 0.8


@quick
@given(st.integers(2, 500), st.floats(0.001, 0.999))
def test_bandit_entropy_is_the_entropy_of_that_policy(arms, share):
    p = 1 / arms + share * (1 - 1 / arms)
    logits = np.log([p, *[(1 - p) / (arms - 1)] * (arms - 1)])
    assert policy.bandit_entropy(np.array(p), arms) == pytest.approx(policy.entropy(logits), abs=1e-9)
    leaf = torch.tensor(p, dtype=torch.float64, requires_grad=True)
    (derivative,) = torch.autograd.grad(policy.bandit_entropy(leaf, arms), leaf)
    assert policy.bandit_slope(np.array(p), arms) == pytest.approx(1 / float(derivative), rel=1e-6)


def test_bandit_entropy_at_the_ends():
    ends = policy.bandit_entropy(np.array([0.0, 1.0]), 5)
    assert ends == pytest.approx([math.log(4), 0.0], abs=1e-15)


# ---------------------------------------------------------------------- NumPy, torch, gradients

Z, D = np.random.default_rng(8).standard_normal((2, 4, 6))
TOKENS = np.array([0, 5, 2, 2])
LOG_PROB = np.log(np.array([0.9, 0.5, 0.1, 0.8]))
TREE, DELTAS = tree_of(5), tree_of(6)
CASES = {
    "log_softmax": (Z,), "softmax": (Z,), "entropy": (Z,), "covariance": (Z, D, Z * D),
    "entropy_change": (Z, D), "token_covariance": (Z, D), "discriminator": (Z,),
    "sampled_token_change": (Z, TOKENS, D[:, 0]), "policy_gradient": (Z, D),
    "natural_gradient": (Z, D), "renyi_entropy": (Z,), "renyi_entropy_change": (Z, D),
    "score_norm": (Z,), "batch_covariance": (LOG_PROB, D[:, 0]), "kl_cov_mask": (D, 0.3),
    "steer_score": (Z, TOKENS, D[:, 0], LOG_PROB), "steer_weight": (D,),
    "bandit_entropy": (np.array([0.2, 0.9]), 5), "bandit_slope": (np.array([0.3, 0.9]), 5),
    "visitation": (TREE,), "sequence_log_prob": (TREE,), "sequence_entropy": (TREE,),
    "entropy_to_go": (TREE,), "tree_entropy_change": (TREE, DELTAS),
    "sequence_delta": (TREE, DELTAS), "tree_policy_gradient": (TREE, np.arange(81.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_numpy_and_torch_give_the_same(name):
    function = getattr(policy, name)
    ours, theirs = function(*CASES[name]), function(*map(to_torch, CASES[name]))
    many = isinstance(ours, list)
    for a, b in zip(ours if many else [ours], theirs if many else [theirs], strict=True):
        assert isinstance(b, torch.Tensor) and not isinstance(a, torch.Tensor)
        assert np.shape(a) == tuple(b.shape)
        assert np.allclose(a, b.numpy(), atol=1e-12)


def test_clip_cov_mask_is_the_same_in_torch():
    masks = [policy.clip_cov_mask(d, 0.2, 0.1, 5, rng=np.random.default_rng(0)) for d in (D, torch.tensor(D))]
    assert (masks[0] == masks[1].numpy()).all() and masks[0].any()


@pytest.mark.parametrize("name", ["entropy_change", "policy_gradient", "renyi_entropy_change", "token_covariance"])
def test_gradients_pass_through(name):
    z, d = (torch.tensor(v, requires_grad=True) for v in (Z, D))
    assert torch.autograd.gradcheck(getattr(policy, name), (z, d))


def test_single_precision_stays_single_and_close():
    for convert in (lambda v: v.astype(np.float32), lambda v: torch.tensor(v, dtype=torch.float32)):
        got = policy.entropy_change(convert(Z), convert(D), order=2)
        assert "float32" in str(got.dtype)
        assert np.allclose(np.asarray(got), policy.entropy_change(Z, D, order=2), atol=1e-5)


def test_leading_axes_broadcast():
    got = policy.entropy_change(Z[:, None, :], D[None, :, :])
    assert got.shape == (4, 4)
    assert np.allclose(np.diag(got), policy.entropy_change(Z, D), atol=1e-14)


def test_the_exact_part_imports_without_torch():
    code = "import sys, labutils.policy as p; p.entropy; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------------------ bad input

bad_z = Z.copy()
bad_z[1, 2] = math.nan
RNG = np.random.default_rng(0)
BAD = [
    (TypeError, "logits must be a NumPy array or a torch tensor; got list", "entropy", ([0.0, 1.0],)),
    (TypeError, "logits must hold floating-point numbers; got dtype int64", "entropy", (np.arange(3),)),
    (TypeError, "logits and delta must come from one library; got numpy and torch", "entropy_change", (Z, torch.tensor(D))),
    (ValueError, r"logits must have the actions on the last axis; got shape \(\)", "entropy", (np.array(1.0),)),
    (ValueError, r"logits must have the actions on the last axis; got shape \(3, 0\)", "entropy", (np.zeros((3, 0)),)),
    (ValueError, "logits must be finite; got nan", "softmax", (bad_z,)),
    (ValueError, "logits must be finite; got -inf", "log_softmax", (np.array([0.0, -math.inf]),)),
    (ValueError, "the spread of logits must be finite; got -inf", "entropy", (np.array([1e308, -1e308]),)),
    (ValueError, "delta must be finite; got nan", "entropy_change", (Z, bad_z)),
    (ValueError, r"delta must have 6 actions on its last axis, as logits have; got shape \(4, 5\)", "entropy_change", (Z, D[:, :5])),
    (ValueError, r"logits and delta must broadcast; got shapes \(4, 6\) and \(3, 6\)", "token_covariance", (Z, D[:3])),
    (ValueError, "order must be 1 or 2; got 3", "entropy_change", (Z, D, 3)),
    (ValueError, "order must be > 0 and finite; got 0", "renyi_entropy", (Z, 0)),
    (ValueError, "order must be > 0 and finite; got nan", "renyi_entropy_change", (Z, D, math.nan)),
    (TypeError, "order must be a number; got str", "renyi_entropy", (Z, "2")),
    (ValueError, r"token must lie in 0..5; got 6", "sampled_token_change", (Z, np.array([0, 6, 1, 2]), 1.0)),
    (ValueError, r"token must lie in 0..5; got -1", "steer_score", (Z, -1, 1.0)),
    (ValueError, r"token must have the shape \(4,\) of the leading axes of logits; got \(3,\)", "sampled_token_change", (Z, TOKENS[:3], 1.0)),
    (TypeError, "token must be whole numbers, an index into the actions; got float64", "sampled_token_change", (Z, D[:, 0], 1.0)),
    (ValueError, "step must be finite; got inf", "sampled_token_change", (Z, 0, math.inf)),
    (ValueError, "step and logits without their last axis must broadcast", "sampled_token_change", (Z, 0, D[:3, 0])),
    (TypeError, "step must be a number; got NoneType", "sampled_token_change", (Z, 0, None)),
    (TypeError, "step and logits must come from one library; got Tensor", "sampled_token_change", (Z, 0, torch.tensor(D[:, 0]))),
    (ValueError, r"log_prob must have the tokens on the last axis; got shape \(\)", "batch_covariance", (np.array(-1.0), np.array(1.0))),
    (ValueError, "reward must not be NaN; got nan", "bandit_entropy", (np.array([0.5, math.nan]), 4)),
    (ValueError, "old_log_prob must be <= 0, the log of a probability; got 0.5", "steer_score", (Z, 0, 1.0, 0.5)),
    (ValueError, "log_prob must be <= 0, the log of a probability; got 0.9", "batch_covariance", (np.array([-1, 0.9]), np.ones(2))),
    (ValueError, "log_prob and advantage must broadcast", "batch_covariance", (LOG_PROB, D[:3, 0])),
    (ValueError, "advantage must be finite; got nan", "batch_covariance", (LOG_PROB, np.array([0, 1, math.nan, 2]))),
    (ValueError, r"fraction must lie in \(0, 1\]; got 0", "kl_cov_mask", (D, 0)),
    (ValueError, r"fraction must lie in \(0, 1\]; got 1.5", "kl_cov_mask", (D, 1.5)),
    (ValueError, "covariance must not be empty", "kl_cov_mask", (np.zeros(0),)),
    (ValueError, r"minimum must lie in \(0, 1\]; got 0", "steer_weight", (D, 0)),
    (ValueError, "floor must be > 0; got -1", "steer_weight", (D, 0.8, -1)),
    (TypeError, "levels must be a list of arrays of logits; got ndarray", "sequence_entropy", (Z,)),
    (ValueError, r"levels\[1\] must end in shape \(3, 3\); got \(9, 3\)", "visitation", ([TREE[0], TREE[2]],)),
    (ValueError, "deltas must be a list of 4 arrays, as levels; got 3", "tree_entropy_change", (TREE, DELTAS[:3])),
    (ValueError, "reward must have 81 answers on its last axis", "tree_policy_gradient", (TREE, np.zeros(80))),
    (ValueError, "depth must be a whole number >= 1; got 0", "random_tree", (RNG, 3, 0)),
    (ValueError, "entropy and reward must be lists of one length >= 3", "fit_law", ([1, 2], [1, 2])),
    (ValueError, "reward must vary over the points; all are 1.0", "fit_law", ([1, 2, 3], [1, 1, 1])),
    (ValueError, "entropy must be finite; got nan", "fit_law", ([1, math.nan, 3], [1, 2, 3])),
    (ValueError, r"reward must lie in \[0, 1\]; got 1.5", "bandit_entropy", (np.array([0.5, 1.5]), 4)),
    (ValueError, "reward must lie above 1/4 and below 1; got 0.2", "bandit_slope", (np.array([0.5, 0.2]), 4)),
    (ValueError, "arms must be a whole number >= 2; got 1", "bandit_entropy", (np.array([0.5]), 1)),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(("error", "message", "name", "arguments"), BAD)
def test_bad_input_gets_one_clear_line(error, message, name, arguments):
    with pytest.raises(error, match=message) as caught:
        getattr(policy, name)(*arguments)
    assert "\n" not in str(caught.value)


def test_bad_input_of_clip_cov():
    with pytest.raises(ValueError, match="low must be less than high; got low=5, high=1"):
        policy.clip_cov_mask(D, low=5, high=1, rng=RNG)
    with pytest.raises(TypeError, match=r"rng must be a numpy.random.Generator; got int"):
        policy.clip_cov_mask(D, rng=7)


def test_unknown_name_of_the_package():
    with pytest.raises(AttributeError, match="labutils.policy"):
        policy.entrpy  # noqa: B018
    assert "entropy_and_covariance" in dir(policy)
