"""The neural lab: task, transformer, exact evaluation, GRPO with its interventions, the sweep."""

import itertools
import json
import operator
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from labutils.policy import grpo, sweep  # noqa: E402
from labutils.policy.countdown import Countdown  # noqa: E402
from labutils.policy.grpo import METHODS, Setting, Tokens  # noqa: E402
from labutils.policy.softmax import entropy, entropy_change  # noqa: E402
from labutils.policy.transformer import Transformer  # noqa: E402

TASK = Countdown()
OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
EASY = Countdown(numbers=3, largest=3, top=9)
SMALL = Setting(task=EASY, width=32, layers=1, heads=2, held_out=16, pool=24, warm_steps=100,
                warm_batch=64, steps=3, prompts=8, group=4, probes=8, every=2)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def start(one_thread):
    return grpo.warm_up(SMALL, seed=5, device="cpu")


def by_hand(numbers, target, words):
    """A second verifier, in plain Python on words."""
    given, signs = words[0::2], words[1::2]
    if not all(w.isdigit() for w in given) or not all(w in OPERATORS for w in signs):
        return False
    value = int(given[0])
    for sign, word in zip(signs, given[1:]):
        value = OPERATORS[sign](value, int(word))
    return sorted(map(int, given)) == sorted(numbers) and value == target


# ---------------------------------------------------------------- the task

def test_verifier_agrees_with_a_second_one_on_random_strings():
    rng = np.random.default_rng(0)
    prompts = np.column_stack([rng.integers(1, 4, (6000, 3)), rng.integers(0, 12, 6000)])
    answers = rng.integers(0, 4, (6000, 5))
    answers[:, 1::2] = rng.integers(TASK.top + 1, TASK.vocabulary, (6000, 2))
    broken = rng.random(answers.shape) < 0.05
    answers[broken] = rng.integers(0, TASK.vocabulary, broken.sum())
    got = TASK.verify(prompts, answers)
    want = [by_hand(p[:3].tolist(), p[3], TASK.text(a).split()) for p, a in zip(prompts, answers)]
    assert got.tolist() == want
    assert 20 < sum(want) < 3000
    assert TASK.verify(torch.as_tensor(prompts), torch.as_tensor(answers)).tolist() == want


def test_enumeration_is_complete_and_free_of_doubles():
    problems = TASK.problems()
    assert len(np.unique(problems.prompts, axis=0)) == len(problems)
    assert len(np.unique(problems.answers, axis=0)) == len(problems.answers)
    assert TASK.verify(problems.prompts[problems.owner], problems.answers).all()
    have = {}
    for row, text in zip(problems.owner, map(TASK.text, problems.answers)):
        have.setdefault(tuple(problems.prompts[row].tolist()), set()).add(text)
    for numbers in [(2, 3, 7), (1, 1, 1), (4, 4, 9), (8, 9, 9)]:
        want = {}
        for order in itertools.permutations(numbers):
            for signs in itertools.product("+-*", repeat=2):
                text = f"{order[0]} {signs[0]} {order[1]} {signs[1]} {order[2]}"
                value = OPERATORS[signs[1]](OPERATORS[signs[0]](order[0], order[1]), order[2])
                if 0 <= value <= TASK.top:
                    want.setdefault((*sorted(numbers), value), set()).add(text)
        assert {k: v for k, v in have.items() if k[:3] == tuple(sorted(numbers))} == want


def test_problems_select_draw_and_shuffle_keep_answers_with_their_problem():
    rng = np.random.default_rng(1)
    some = TASK.problems().select([700, 3, 1500]).shuffle_numbers(rng)
    assert TASK.verify(some.prompts[some.owner], some.answers).all()
    rows = rng.integers(0, 3, 200)
    drawn = some.draw(rows, rng)
    assert TASK.verify(some.prompts[rows], drawn).all()
    assert len(np.unique(drawn, axis=0)) == len(some.answers)
    stars = (some.answers == TASK.vocabulary - 1).sum(1)
    assert some.fewest_products().tolist() == [stars[some.owner == i].min() for i in range(3)]


def test_countdown_bad_input():
    with pytest.raises(ValueError, match="numbers must be a whole number >= 2; got 1"):
        Countdown(numbers=1)
    with pytest.raises(ValueError, match="top must be a whole number >= 9; got 5"):
        Countdown(top=5)
    prompt, answer = TASK.encode("2 3 7 27"), TASK.encode("2 + 7 * 3")
    assert TASK.verify(prompt, answer) and TASK.text(answer) == "2 + 7 * 3"
    with pytest.raises(ValueError, match=r"answers must end in 5 tokens; got shape \(4,\)"):
        TASK.verify(prompt, answer[:4])
    with pytest.raises(ValueError, match="token ids 0..63; got 64"):
        TASK.verify(prompt, answer + 1)
    with pytest.raises(ValueError, match="equal leading shapes"):
        TASK.verify(np.stack([prompt, prompt]), answer)
    with pytest.raises(ValueError, match="got '61'"):
        TASK.encode("2 + 61")


# ---------------------------------------------------------------- the transformer

def test_transformer_is_causal_and_the_cache_changes_nothing():
    model = Transformer(11, 9, width=16, layers=2, heads=4, seed=3).double()
    tokens = torch.randint(11, (5, 9), generator=torch.Generator().manual_seed(0))
    full, _ = model(tokens)
    for t in range(1, 9):
        other = tokens.clone()
        other[:, t:] = (other[:, t:] + 1) % 11
        changed, _ = model(other)
        torch.testing.assert_close(changed[:, :t], full[:, :t])
        assert (changed[:, t:] - full[:, t:]).abs().max() > 1e-3
    for cut in (1, 4, 8):
        head, cache = model(tokens[:, :cut])
        rest = []
        for t in range(cut, 9):
            logits, cache = model(tokens[:, t : t + 1], cache)
            rest.append(logits)
        torch.testing.assert_close(torch.cat([head, *rest], 1), full)
    answers = tokens.repeat_interleave(2, 0)[:, 4:]
    answers[1::2, 0] = 0
    whole, _ = model(torch.cat([tokens.repeat_interleave(2, 0)[:, :4], answers[:, :-1]], 1))
    torch.testing.assert_close(grpo.forced_logits(model, tokens[:, :4], answers), whole[:, 3:])


def test_transformer_attends_to_position_and_starts_from_its_seed():
    a, b, c = (Transformer(11, 9, width=16, heads=4, seed=s) for s in (1, 1, 2))
    tokens = torch.tensor([[1, 2, 3], [2, 1, 3]])
    logits = a(tokens)[0]
    assert torch.equal(logits, b(tokens)[0]) and not torch.equal(logits, c(tokens)[0])
    assert not torch.allclose(logits[0, -1], logits[1, -1])
    with pytest.raises(ValueError, match="width must be a multiple of heads = 3; got 16"):
        Transformer(11, 9, width=16, heads=3)
    with pytest.raises(ValueError, match="context of 9; got 0 \\+ 10"):
        a(torch.zeros(1, 10, dtype=torch.long))


# ---------------------------------------------------------------- exact evaluation

def test_probabilities_of_all_strings_sum_to_one():
    task = Countdown(numbers=2, largest=3, top=3)
    model = Transformer(task.vocabulary, 6, width=8, layers=1, heads=1, seed=0)
    strings = np.array(list(itertools.product(range(task.vocabulary), repeat=3)))
    problems = replace(task.problems().select([0]), answers=strings,
                       owner=np.zeros(len(strings), int), products=np.zeros(len(strings), int))
    assert abs(grpo.success(model, problems).sum() - 1) < 1e-5
    assert abs(grpo.success(model, problems, chunk=7).sum() - 1) < 1e-5


def test_exact_evaluator_agrees_with_sampling(start):
    few = start.pool.select(np.argsort(-start.pool.count)[:6])
    n = 4000
    prompts = torch.as_tensor(few.prompts)
    answers, logits = grpo.sample(start.model, prompts, n, 5, torch.Generator().manual_seed(1))
    right = EASY.verify(prompts.repeat_interleave(n, 0), answers).reshape(len(few), n).double()
    p = np.bincount(few.owner, grpo.success(start.model, few))
    error = np.sqrt(p * (1 - p) / n)
    assert (np.abs(right.mean(1).numpy() - p) < 4.5 * error + 1e-4).all() and p.max() > 0.1
    blocks = right.reshape(len(few), -1, 16)
    report = grpo.exact(start.model, few)
    width = 4.5 * np.sqrt(0.25 / blocks[..., 0].numel())
    assert abs(blocks.amax(2).mean() - report["pass16"]) < width
    texts = [EASY.text(a) if r else None for a, r in zip(answers, right.flatten())]
    distinct = [len({t for t in texts[i : i + 16] if t}) for i in range(0, len(texts), 16)]
    width = 4.5 * np.std(distinct) / len(distinct) ** 0.5
    assert abs(np.mean(distinct) - report["distinct16"]) < width
    assert report["pass1"] == pytest.approx(p.mean()) and report["locked"] == np.mean(p < 1e-3)
    again = grpo.forced_logits(start.model, prompts, answers)
    torch.testing.assert_close(again, logits, atol=1e-4, rtol=1e-4)


# ---------------------------------------------------------------- methods

def tokens_of(n=400, seed=0, shift=0.3):
    g = torch.Generator().manual_seed(seed)
    logits = (2 * torch.randn(n, 7, generator=g, dtype=torch.float64)).requires_grad_()
    ids = torch.multinomial(logits.detach().softmax(-1), 1, generator=g)[:, 0]
    now = grpo.log_prob(logits, ids)
    old = (now + shift * torch.randn(n, generator=g, dtype=torch.float64)).detach().clamp(max=0)
    advantage = torch.randn(n, generator=g, dtype=torch.float64)
    return Tokens(logits, ids, now, old, advantage, np.random.default_rng(seed))


@pytest.mark.parametrize(("method", "inert", "active"), [
    (grpo.clip_higher, {"high": 0.2}, {}),
    (grpo.entropy_bonus, {"weight": 0.0}, {}),
    (grpo.clip_cov, {"low": 1e6, "high": 2e6}, {}),
    (grpo.random_drop, {"low": 1e6, "high": 2e6}, {}),
    (grpo.kl_cov, {"beta": 0.0}, {}),
    (grpo.steer, {"minimum": 1.0}, {}),
])
def test_every_method_is_grpo_in_its_inert_limit(method, inert, active):
    want, want_gradient = value_and_gradient(grpo.grpo)
    got, got_gradient = value_and_gradient(lambda t: method(t, **inert))
    assert torch.equal(got, want) and torch.equal(got_gradient, want_gradient)
    other, other_gradient = value_and_gradient(lambda t: method(t, **active))
    assert not torch.allclose(other_gradient, want_gradient)


def test_a_whole_run_of_steer_with_minimum_one_is_grpo(start):
    _, inert = grpo.train(start, partial(grpo.steer, minimum=1.0), SMALL, seed=3, device="cpu")
    _, plain = grpo.train(start, "grpo", SMALL, seed=3, device="cpu")
    _, steered = grpo.train(start, "steer", SMALL, seed=3, device="cpu")
    assert json.dumps(inert) == json.dumps(plain) != json.dumps(steered)


def value_and_gradient(method):
    t = tokens_of()
    loss = method(t)
    assert loss.shape == t.advantage.shape
    return loss.detach(), torch.autograd.grad(loss.sum(), t.logits)[0]


def test_gradients_of_one_token_follow_their_formulas():
    t = tokens_of()
    pi = t.logits.detach().softmax(-1)
    score = torch.nn.functional.one_hot(t.tokens, 7) - pi                       # e_k - pi
    ratio = (t.log_prob - t.old_log_prob).exp().detach()
    clipped = ((ratio > 1.2) & (t.advantage > 0)) | ((ratio < 0.8) & (t.advantage < 0))
    want = -((ratio * t.advantage) * ~clipped)[:, None] * score
    _, got = value_and_gradient(grpo.grpo)
    torch.testing.assert_close(got, want)
    assert 20 < clipped.sum() < 380

    H = entropy(t.logits.detach())[:, None]
    _, bonus = value_and_gradient(grpo.entropy_bonus)
    torch.testing.assert_close(bonus - got, 0.1 * pi * (pi.log() + H))          # -0.1 dH/dz
    _, held = value_and_gradient(grpo.kl_cov)
    covariance = (t.log_prob - t.log_prob.mean()) * (t.advantage - t.advantage.mean())
    top = torch.zeros(400, dtype=torch.bool)
    top[covariance.argsort(descending=True)[:80]] = True
    sign = (t.log_prob - t.old_log_prob).sign().detach()
    torch.testing.assert_close(held - got, (top * sign)[:, None] * score)
    _, damped = value_and_gradient(grpo.steer)
    omega = t.advantage * ratio * (1 - t.log_prob.exp()) * (t.log_prob + H[:, 0])
    weight = 0.2 ** (omega.abs() / omega.abs().max()).detach()
    torch.testing.assert_close(damped, weight[:, None] * got)


@pytest.mark.parametrize("sign", [0, -1, 1])
def test_clip_cov_removes_tokens_of_its_band_only(sign):
    t = tokens_of(4000)
    chosen = grpo.clip_cov_choice(t, sign=sign)
    covariance = (t.log_prob - t.log_prob.mean()) * (t.advantage - t.advantage.mean())
    assert 0 < chosen.sum() <= 200
    assert ((covariance[chosen] > 0.5) & (covariance[chosen] < 5)).all()
    assert not sign or (t.advantage[chosen] * sign > 0).all()
    dropped = grpo.random_drop(tokens_of(4000)) == 0
    assert dropped.sum() == grpo.clip_cov_choice(tokens_of(4000)).sum()
    assert not torch.equal(dropped, chosen)


def test_advantages():
    reward = torch.tensor([1.0] + 7 * [0.0] + 8 * [1.0] + 8 * [0.0] + 4 * [0.0, 1.0])
    A = grpo.advantages(reward, 8).reshape(4, 8)
    torch.testing.assert_close(A[0], torch.tensor([2.47487] + 7 * [-0.353553]), atol=1e-4, rtol=0)
    assert (A[1] == 0).all() and (A[2] == 0).all()
    assert A.mean(1).abs().max() < 1e-6 and abs(A[3].std() - 1) < 1e-5
    with pytest.raises(ValueError, match=r"reward must be \[B \* 8\]; got shape \(9,\)"):
        grpo.advantages(torch.zeros(9), 8)


# ---------------------------------------------------------------- runs

def test_the_same_seed_gives_the_same_run(start):
    again = grpo.warm_up(SMALL, seed=5, device="cpu")
    for a, b in zip(start.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert np.array_equal(start.pool.prompts, again.pool.prompts)
    _, one = grpo.train(start, "clip-cov", SMALL, seed=5, device="cpu")
    _, two = grpo.train(again, "clip-cov", SMALL, seed=5, device="cpu")
    _, other = grpo.train(start, "clip-cov", SMALL, seed=6, device="cpu")
    assert json.dumps(one) == json.dumps(two) != json.dumps(other)


@pytest.mark.parametrize("method", [*METHODS, grpo.grpo])
def test_three_steps_of_every_method(start, method):
    before = [w.clone() for w in start.model.parameters()]
    model, record = grpo.train(start, method, SMALL, seed=1, device="cpu")
    assert [e["step"] for e in record["exact"]] == [0, 2, 3] and len(record["steps"]) == 3
    assert "far_pass64" in record["exact"][0] and "far_pass64" not in record["exact"][1]
    assert all(torch.equal(a, b) for a, b in zip(before, start.model.parameters()))
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters()))
    for entry in record["exact"]:
        assert 0 <= entry["pass1"] <= entry["pass16"] <= entry["pass64"] <= 1


def test_no_problem_is_in_both_sets(start):
    def keys(problems):
        return {(*sorted(p[:3]), p[3]) for p in problems.prompts.tolist()}
    assert len(keys(start.pool)) == 24 and not keys(start.pool) & keys(start.held_out)


def test_learning_raises_the_probability_of_rewarded_answers(start):
    setting = replace(SMALL, steps=20, group=16, rate=1e-3, every=20)
    _, record = grpo.train(start, "grpo", setting, seed=1, device="cpu")
    assert record["exact"][-1]["pass1"] > record["exact"][0]["pass1"] + 0.05


def test_first_order_residual_has_slope_two(start):
    setting = replace(SMALL, steps=1, group=8)
    after, _ = grpo.train(start, "grpo", setting, seed=2, device="cpu")
    prompts = torch.as_tensor(start.pool.prompts)
    answers, _ = grpo.sample(start.model, prompts, 4, 5, torch.Generator().manual_seed(0))
    factors = 2.0 ** -np.arange(1, 6)
    path = start.model, after, prompts, answers, factors
    for predict, slope in ((entropy_change, 2), (lambda z, delta: 0 * z[..., 0], 1)):
        residual = grpo.shrink(*path, predict)
        assert abs(np.polyfit(np.log(factors), np.log(residual), 1)[0] - slope) < 0.1


def test_visitation_completes_the_change_of_expected_entropy():
    """Local change at visited states plus visitation = change of E[mean H], by enumeration."""
    g = torch.Generator().manual_seed(0)
    before, after = (Transformer(4, 5, width=8, layers=1, heads=1, seed=s) for s in (1, 2))
    prompt = torch.tensor([[0, 1]])
    strings = torch.tensor(list(itertools.product(range(4), repeat=3)))

    def expected(model):
        logits = grpo.forced_logits(model, prompt, strings).detach()
        p = grpo.log_prob(logits, strings).sum(1).exp()
        return float((p[:, None] * entropy(logits)).sum() / 3)

    n = 40_000
    answers, old = grpo.sample(before, prompt, n, 3, g)
    new = grpo.forced_logits(after, prompt, answers).detach()
    local = float((entropy(new) - entropy(old)).mean())
    moved = grpo.visitation_change(old, new, answers)
    truth = expected(after) - expected(before)
    assert abs(local + moved - truth) < 0.01 < abs(local - truth)


def test_token_estimates_match_their_formulas():
    t = tokens_of(50)
    logits, H = t.logits.detach(), entropy(t.logits.detach())
    pi = logits.softmax(-1)
    S = pi * (pi.log() + H[:, None])
    own = pi.log().gather(1, t.tokens[:, None])[:, 0]
    guess = grpo.token_estimates(logits, t.tokens, t.advantage)
    want = -t.advantage * (S.gather(1, t.tokens[:, None])[:, 0] - (pi * S).sum(1))
    torch.testing.assert_close(guess["lone"], want)
    torch.testing.assert_close(guess["steer"], -t.advantage * (1 - own.exp()) * (own + H))
    want = -(own - own.mean()) * (t.advantage - t.advantage.mean())
    torch.testing.assert_close(guess["batch"], want)


def test_bad_input_of_runs(start):
    with pytest.raises(ValueError, match="method must be one of grpo, clip-cov, .*; got 'ppo'"):
        grpo.train(start, "ppo", SMALL, seed=0)
    with pytest.raises(ValueError, match="steps must be > 0; got 0"):
        Setting(steps=0)
    with pytest.raises(ValueError, match="prompts must be <= pool = 256; got 300"):
        Setting(prompts=300)
    with pytest.raises(ValueError, match="group must be a whole number >= 2; got 1"):
        Setting(group=1)
    with pytest.raises(ValueError, match="pool \\+ held_out must be <= 62 problems; got 60 \\+ 16"):
        grpo.warm_up(replace(SMALL, pool=60), seed=0)
    with pytest.raises(ValueError, match="must be one that this machine has"):
        grpo.warm_up(SMALL, seed=0, device="abacus")


# ---------------------------------------------------------------- the sweep

def test_sweep_resumes_and_writes_the_same_bytes(tmp_path):
    tiny = replace(SMALL, steps=16, every=8)
    plan = {"full": (tiny, ["grpo", "kl-cov"])}
    result = sweep.run(plan, [1, 2], tmp_path / "parts", jobs=1, device="cpu")
    sweep.save(result, tmp_path / "a.json")
    times = {f: f.stat().st_mtime_ns for f in (tmp_path / "parts").rglob("*") if f.is_file()}
    one = next(f for f in times if f.name.endswith("-grpo.json"))
    one.unlink()
    result = sweep.run(plan, [1, 2], tmp_path / "parts", jobs=1, device="cpu")
    sweep.save(result, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert [f for f in times if f.stat().st_mtime_ns != times[f]] == [one]
    again = sweep.load(tmp_path / "a.json")
    assert again == json.loads(json.dumps(result))
    assert sweep.values(again, "grpo", "pass64").shape == (2,)
    assert sweep.values(again, "grpo", "far_pass64", at=0).shape == (2,)
    assert np.array_equal(sweep.values(again, "grpo", "entropy", at=0),
                          sweep.values(again, "kl-cov", "entropy", at=0))
    with pytest.raises(ValueError, match="method must be one of grpo, kl-cov"):
        sweep.values(again, "steer", "pass1")
    with pytest.raises(ValueError, match="quantity must be one of pass1"):
        sweep.values(again, "grpo", "speed")
    (tmp_path / "c.json").write_text("[]")
    with pytest.raises(ValueError, match="path must lead to a result of the sweep"):
        sweep.load(tmp_path / "c.json")
    with pytest.raises(ValueError, match="seeds must not be empty"):
        sweep.run(plan, [], tmp_path)
    with pytest.raises(ValueError, match="got 'ppo'"):
        sweep.run({"full": (tiny, ["ppo"])}, [1], tmp_path)


def test_sweep_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "plan", lambda: {"full": (replace(SMALL, steps=16), ["grpo"])})
    target = tmp_path / "result.json"
    sweep.main(["--seeds", "1", "--jobs", "1", "--device", "cpu",
                "--parts", str(tmp_path / "parts"), "--output", str(target)])
    assert f"wrote {target}" in capsys.readouterr().out
    assert sweep.load(target)["seeds"] == [sweep.runtime.seed()]


def test_committed_sweep_is_whole_and_fits_the_code():
    result = sweep.load()
    assert sweep.runtime.data_path(sweep.RESULT).stat().st_size < 200_000
    assert len(set(result["seeds"])) >= 6
    plan = sweep.plan()
    assert result["settings"] == {name: asdict(setting) for name, (setting, _) in plan.items()}
    for name, (setting, methods) in plan.items():
        assert list(result["runs"][name]) == methods
        for method in methods:
            assert len(result["runs"][name][method]) == len(result["seeds"])
            p1, p64 = (sweep.values(result, method, q, name) for q in ("pass1", "pass64"))
            assert (0 <= p1).all() and (p1 <= p64).all() and (p64 <= 1).all()
            begin = sweep.values(result, method, "pass1", name, at=0)
            assert np.array_equal(begin, sweep.values(result, "grpo", "pass1", name, at=0))
