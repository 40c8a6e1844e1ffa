"""diagnose: tensors shaped as trainers have them, against direct formulas."""

import numpy as np
import pytest

from labutils.policy import (
    batch_covariance, diagnose, entropy, entropy_change, kl_cov_mask, sampled_token_change, steer_score,
    steer_weight,
)

B, T, V = 6, 7, 23


@pytest.fixture
def step():
    """A GRPO step as verl holds it: padded answers, advantages on every token, 0 on the padding."""
    rng = np.random.default_rng(3)
    logits = 2.5 * rng.standard_normal((B, T, V))
    tokens = rng.integers(0, V, (B, T))
    length = np.array([7, 5, 3, 7, 1, 6])
    mask = (np.arange(T) < length[:, None]).astype(np.int64)
    scores = np.array([1.2, -0.8, 0.0, -0.4, 0.5, 1.0])
    own = np.take_along_axis(logits - np.log(np.exp(logits).sum(-1, keepdims=True)), tokens[..., None], -1)[..., 0]
    old = np.minimum(own + 0.3 * rng.standard_normal((B, T)), 0)
    after = logits + 1e-4 * rng.standard_normal(logits.shape)
    return {"logits": logits, "tokens": tokens, "advantages": scores[:, None] * mask, "mask": mask,
            "old_log_prob": old, "after": after, "scores": scores}


def verl(step, **more):
    return diagnose(step["logits"], step["tokens"], step["advantages"], step["mask"], **more)


def test_numbers_against_direct_formulas(step):
    d, live = verl(step, old_log_prob=step["old_log_prob"], after=step["after"]), step["mask"] == 1
    z, k, A = step["logits"][live], step["tokens"][live], step["advantages"][live]
    log_pi = z - np.log(np.exp(z).sum(-1, keepdims=True))
    own = np.take_along_axis(log_pi, k[:, None], -1)[:, 0]
    np.testing.assert_allclose(d.entropy, entropy(z), atol=1e-6)
    np.testing.assert_allclose(d.log_prob, own, atol=1e-6)
    np.testing.assert_allclose(d.lone, sampled_token_change(z, k, A), atol=1e-6)
    np.testing.assert_allclose(d.covariance, batch_covariance(own, A), atol=1e-6)
    n = d.numbers
    assert n["tokens"] == live.sum() == 29 and n["sequences"] == B
    assert n["entropy"] == pytest.approx(entropy(z).mean(), abs=1e-6)
    assert n["surprise"] == pytest.approx(-own.mean(), abs=1e-6)
    assert n["no signal"] == pytest.approx(1 / 6)
    ratio = np.exp(own - step["old_log_prob"][live])
    assert n["clipped low"] == pytest.approx(np.mean((A < 0) & (ratio < 0.8))) != 0
    assert n["clipped high"] == pytest.approx(np.mean((A > 0) & (ratio > 1.2))) != 0
    assert n["KL"] == pytest.approx(np.mean(step["old_log_prob"][live] - own), abs=1e-6)
    after = step["after"][live]
    assert n["dH, real"] == pytest.approx((entropy(after) - entropy(z)).mean(), rel=1e-3)
    assert n["dH, real, first order"] == pytest.approx(entropy_change(z, after - z).mean(), rel=1e-5)
    assert n["dH, real, first order"] == pytest.approx(n["dH, real"], rel=0.02)


def test_what_interventions_pick(step):
    d, live = verl(step, old_log_prob=step["old_log_prob"], band=(0.3, 2.0), top=0.1, deviations=0.5), step["mask"] == 1
    np.testing.assert_array_equal(d.selected["clip-cov, eligible"], (d.covariance > 0.3) & (d.covariance < 2))
    np.testing.assert_array_equal(d.selected["kl-cov, held back"], kl_cov_mask(d.covariance, 0.1))
    kept = d.selected["80/20, kept"]
    assert kept.sum() == int(np.ceil(0.2 * 29)) and d.entropy[kept].min() >= d.entropy[~kept].max()
    masked = d.selected["clip_b, masked"]
    assert 0 < masked.sum() and (d.advantage[masked] < 0).all()
    z, k = step["logits"][live], step["tokens"][live]
    score = steer_score(z, k, d.advantage, step["old_log_prob"][live])
    np.testing.assert_allclose(d.weight, steer_weight(score), atol=1e-5)
    assert sum(share for share, _ in d.quadrants.values()) == pytest.approx(np.mean(d.advantage != 0))
    assert sum(change for _, change in d.quadrants.values()) == pytest.approx(d.numbers["dH, tokens alone"])


def test_shapes_of_trl_and_of_packed_tokens_say_the_same(step):
    torch = pytest.importorskip("torch")
    one = verl(step)
    as_trl = diagnose(torch.tensor(step["logits"]), torch.tensor(step["tokens"]), torch.tensor(step["scores"]),
                      torch.tensor(step["mask"]))
    live = step["mask"] == 1
    packed = diagnose(step["logits"][live], step["tokens"][live], step["advantages"][live])
    for other in (as_trl, packed):
        for name in ("entropy", "lone", "covariance", "log_prob", "token"):
            np.testing.assert_allclose(getattr(other, name), getattr(one, name), atol=1e-12)
    np.testing.assert_array_equal(as_trl.row, one.row)
    np.testing.assert_array_equal(as_trl.position, one.position)


def test_padding_may_hold_anything(step):
    torch = pytest.importorskip("torch")
    one, dead = verl(step), step["mask"] == 0
    logits, tokens = step["logits"].copy(), step["tokens"].copy()
    logits[dead], tokens[dead] = np.nan, -100
    other = diagnose(torch.tensor(logits, requires_grad=True), torch.tensor(tokens),
                     torch.tensor(step["advantages"]), torch.tensor(step["mask"]).bool())
    assert repr(other) == repr(one)


def test_half_precision_and_temperature(step):
    torch = pytest.importorskip("torch")
    half = torch.tensor(step["logits"]).bfloat16()
    d = diagnose(half, torch.tensor(step["tokens"]), torch.tensor(step["scores"]), torch.tensor(step["mask"]))
    exact = diagnose(half.double(), torch.tensor(step["tokens"]), torch.tensor(step["scores"]), torch.tensor(step["mask"]))
    np.testing.assert_allclose(d.entropy, exact.entropy, atol=1e-5)
    warm = verl(step, temperature=2.0)
    np.testing.assert_allclose(warm.entropy, entropy(step["logits"][step["mask"] == 1] / 2), atol=1e-6)


def test_top_tokens_lead_back_to_their_place(step):
    d = verl(step)
    first = d.top(3)
    assert [t["covariance"] for t in first] == sorted(d.covariance, reverse=True)[:3]
    for t in first:
        assert step["tokens"][t["row"], t["position"]] == t["token"] and step["mask"][t["row"], t["position"]]
    assert abs(d.top(1, by="lone")[0]["lone"]) == np.abs(d.lone).max()


def test_print_shows_numbers_and_interventions(step):
    text = repr(verl(step, after=step["after"]))
    for word in ("entropy", "dH, real", "no signal", "rare, punished", "kl-cov, held back"):
        assert word in text
    assert "clipped" not in text


@pytest.mark.parametrize("change, words", [
    ({"logits": np.zeros(3)}, "logits must be"),
    ({"tokens": np.zeros((B, T + 1), int)}, "tokens must have the shape"),
    ({"tokens": np.full((B, T), V)}, "token"),
    ({"advantages": np.zeros(B + 1)}, "advantages must have the shape"),
    ({"advantages": np.full(B, np.nan)}, "advantages must be finite"),
    ({"mask": np.full((B, T), 2)}, "mask must hold 0 and 1"),
    ({"mask": np.zeros((B, T))}, "mask must leave at least one token"),
    ({"old_log_prob": np.zeros(B)}, "old_log_prob must have the shape"),
    ({"after": np.zeros((B, T, V + 1))}, "after must have the shape"),
    ({"temperature": 0.0}, "temperature must be > 0"),
    ({"top": 0.0}, "top must lie in"),
    ({"share": 1.5}, "share must lie in"),
    ({"deviations": -1.0}, "deviations must be > 0"),
    ({"band": (2.0, 1.0)}, "band must be"),
    ({"clip": (1.5, 0.2)}, "clip must hold"),
])
def test_bad_input_is_named(step, change, words):
    arguments = {"logits": step["logits"], "tokens": step["tokens"], "advantages": step["scores"],
                 "mask": step["mask"]} | change
    with pytest.raises(ValueError, match=words):
        diagnose(**arguments)


@pytest.mark.parametrize("name", ["logits", "tokens", "advantages"])
def test_lists_are_refused(step, name):
    arguments = {"logits": step["logits"], "tokens": step["tokens"], "advantages": step["scores"]}
    arguments[name] = arguments[name].tolist()
    with pytest.raises(TypeError, match=f"{name} must be a NumPy array or a torch tensor"):
        diagnose(**arguments)
