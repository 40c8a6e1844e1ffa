"""The trap task and the policy as a table: exact evaluation, moves, drawing."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.policy.harness import Loop, Method, Run, train
from labutils.policy.tabular import Table
from labutils.policy.trap import ANSWER, FORK, THINK, Trap, distinct, evaluate, success, visits

TINY = Trap(base=3, prompts=2, digits=2, sound=1)
TASKS = [TINY, Trap(base=4, prompts=3, digits=1, sound=2), Trap(base=2, prompts=1, digits=3, sound=2)]


def random_logits(task, seed=0, scale=1.5, batch=()):
    return scale * np.random.default_rng(seed).standard_normal((*batch, task.states, task.vocabulary))


# ---------------------------------------------------------------- a second implementation, by sequences

def states_of(task):
    """The number of each state, found by its name."""
    return {tuple(row): i for i, row in enumerate(task.grid.tolist())}


def answers(task, logits, prompt):
    """All answers to a prompt: (tokens, probability, states passed, right for coin 0, for coin 1)."""
    where, M = states_of(task), task.base
    todo, done = [((), 1.0, (), "fork", 0, 0, 0)], []
    while todo:
        tokens, p, passed, part, road, written, total = todo.pop()
        name = {"fork": (prompt, FORK, 0, 0, 0), "think": (prompt, THINK, road, written, total),
                "answer": (prompt, ANSWER, road, 0, total)}[part]
        row = logits[where[name]]
        weights = [math.exp(z - max(row)) for z in row]
        for token, w in enumerate(weights):
            now = (*tokens, token), p * w / sum(weights), (*passed, where[name])
            if part == "fork":
                todo.append((*now, "think", 1 if token >= M + 1 - task.sound else 0, 0, 0))
            elif part == "think" and token == M:
                todo.append((*now, "answer", road, written, total))
            elif part == "think":
                more = written + 1
                todo.append((*now, "think" if more < task.digits else "answer", road, more, total + token))
                todo[-1] = (*todo[-1][:-1], (total + token) % M)
            else:
                right = [token < M and (token + (0 if road else coin) - prompt - total) % M == 0
                         for coin in (0, 1)]
                done.append((*now, *right))
    return done


def by_enumeration(task, logits, draws=16):
    entropies = [-sum(p * math.log(p) for p in np.exp(row - row.max()) / np.exp(row - row.max()).sum())
                 for row in logits]
    everything = [answers(task, logits, q) for q in range(task.prompts)]
    d = Counter()
    for done in everything:
        for _, p, passed, *_ in done:
            for state in passed:
                d[state] += p
    accuracy, passed16, different, sound = [], [], [], []
    for done in everything:
        sound.append(sum(p for tokens, p, *_ in done if tokens[0] > task.base - task.sound))
        for coin in (0, 1):
            right = [a[1] for a in done if a[3 + coin]]
            accuracy.append(sum(right))
            passed16.append(1 - (1 - sum(right)) ** draws)
            different.append(sum(1 - (1 - p) ** draws for p in right))
    mean = lambda x: sum(x) / len(x)                                                        # noqa: E731
    of = lambda states: sum(d[s] * entropies[s] for s in states) / sum(d[s] for s in states)  # noqa: E731
    rows = range(len(logits))
    result = {"accuracy": mean(accuracy), f"pass{draws}": mean(passed16), "sound": mean(sound),
              "locked": mean([s < 0.01 for s in sound]), "entropy": of(rows),
              "length": sum(p * len(tokens) for done in everything for tokens, p, *_ in done) / task.prompts}
    for name, kind in (("fork", FORK), ("think", THINK), ("answer", ANSWER)):
        result[name] = of([s for s in rows if task.grid["part"][s] == kind])
    return result, [d[s] for s in rows], mean(different), everything


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("draws", [1, 5])
def test_exact_evaluation_agrees_with_all_sequences(task, draws):
    logits = random_logits(task)
    logits[0, task.vocabulary - task.sound :] -= 9                  # prompt 0 is locked
    want, d, different, everything = by_enumeration(task, logits, draws)
    assert all(abs(sum(a[1] for a in done) - 1) < 1e-12 for done in everything)
    got = evaluate(task, logits, draws)
    assert got.keys() == want.keys() and want["locked"] == 1 / task.prompts
    assert {k: float(v) for k, v in got.items()} == pytest.approx(want, abs=1e-12)
    np.testing.assert_allclose(visits(task, logits), d, atol=1e-13)
    assert float(distinct(task, logits, draws)) == pytest.approx(different, abs=1e-12)
    p = [[sum(a[1] for a in done if a[3 + coin]) for done in everything] for coin in (0, 1)]
    np.testing.assert_allclose(success(task, logits), p, atol=1e-13)


def test_evaluation_of_many_policies_is_that_of_each():
    logits = random_logits(TINY, batch=(2, 3))
    whole = evaluate(TINY, logits)
    for i in np.ndindex(2, 3):
        for name, value in evaluate(TINY, logits[i]).items():
            assert whole[name][i] == pytest.approx(float(value), abs=1e-13)
        assert distinct(TINY, logits)[i] == pytest.approx(float(distinct(TINY, logits[i])), abs=1e-13)
        np.testing.assert_allclose(success(TINY, logits)[:, i[0], i[1]], success(TINY, logits[i]), atol=1e-14)


def test_evaluation_in_torch_is_the_same_and_has_the_right_gradient():
    torch = pytest.importorskip("torch")
    logits = random_logits(TINY)
    z = torch.tensor(logits, requires_grad=True)
    for name, value in evaluate(TINY, z).items():
        assert float(value.detach()) == pytest.approx(float(evaluate(TINY, logits)[name]), abs=1e-13)
    evaluate(TINY, z)["accuracy"].backward()
    way = random_logits(TINY, seed=1)
    slope = [evaluate(TINY, logits + h * way)["accuracy"] for h in (1e-5, -1e-5)]
    assert float((z.grad * torch.tensor(way)).sum()) == pytest.approx((slope[0] - slope[1]) / 2e-5, abs=1e-8)


def test_drawn_answers_agree_with_the_exact_numbers():
    task = Trap(base=4, prompts=3, digits=3, sound=2)
    logits = random_logits(task, seed=4)
    table = Table(task, logits, runs=2)
    run = Run(table, Loop(prompts=3000, group=16), [0, 1])
    batch = run.ask(run.in_turn())
    exact, d = evaluate(task, logits), visits(task, logits)
    rows = batch.live.reshape(-1, task.horizon) > 0
    n = len(rows)
    assert n == 2 * 3000 * 16

    def close(sample, want, count, spread):
        assert abs(sample - want) < 4.5 * spread / count ** 0.5
    # the 16 answers to one asking share a coin, so the asking is what counts
    blocks = batch.right.reshape(-1, 16)
    close(blocks.mean(1).mean(), exact["accuracy"], len(blocks), blocks.mean(1).std())
    close(blocks.max(1).mean(), exact["pass16"], len(blocks), blocks.max(1).std())
    close(rows.sum(1).mean(), exact["length"], n, rows.sum(1).std())
    on_sound_road = batch.tokens[..., 0] > task.base - task.sound
    close(on_sound_road.mean(), exact["sound"], n, 0.5)
    # states by frequency
    seen = np.bincount(batch.states.reshape(-1, task.horizon)[rows], minlength=task.states) / (n / 3)
    assert (np.abs(seen - d) < 5 * np.sqrt(d * (1 - np.minimum(d, 1)) / (n / 3)) + 1e-3).all()
    assert ((seen > 0) <= (d > 0)).all()
    for part, name in ((FORK, "fork"), (THINK, "think"), (ANSWER, "answer")):
        here = (batch.part == part) * batch.live
        close(float((batch.entropy * here).sum() / here.sum()), exact[name], here.sum() / 4, 1.0)
    close(batch.mean(batch.entropy).mean(), exact["entropy"], n, 1.0)
    # dead places hold tokens too: compare the live ones alone
    cut = np.where(batch.live > 0, batch.tokens, -1).reshape(-1, 16, task.horizon)
    different = [len({tuple(a) for a, r in zip(x.tolist(), right) if r}) for x, right in zip(cut, blocks)]
    close(np.mean(different), float(distinct(task, logits)), len(blocks), np.std(different))


def test_a_batch_is_what_it_says():
    task = Trap(base=4, prompts=3, digits=3, sound=2)
    run = Run(Table(task, random_logits(task), runs=2), Loop(prompts=6, group=4), [3, 4])
    batch = run.ask(run.in_turn())
    assert (batch.prompts.reshape(2, 6, 4) == batch.prompts.reshape(2, 6, 4)[..., :1]).all()
    assert all(sorted(p) == [0, 0, 1, 1, 2, 2] for p in batch.prompts[:, ::4].tolist())
    assert (batch.hidden.reshape(2, 6, 4) == batch.hidden.reshape(2, 6, 4)[..., :1]).all()
    log_pi = batch.log_pi - np.log(np.exp(batch.log_pi).sum(-1, keepdims=True))
    np.testing.assert_allclose(batch.log_pi, log_pi, atol=1e-12)
    for r, i in np.ndindex(2, 24):
        q, coin = int(batch.prompts[r, i]), int(batch.hidden[r, i])
        tokens = batch.tokens[r, i, : int(batch.length[r, i])].tolist()
        road, digits = int(tokens[0] > task.base - task.sound), tokens[1:-1]
        digits = digits[:-1] if digits and digits[-1] == task.base else digits
        assert task.base not in digits and len(digits) <= task.digits
        assert len(digits) == task.digits or tokens[-2] == task.base
        said, added = tokens[-1], 0 if road else coin
        right = said < task.base and (said + added) % task.base == (q + sum(digits)) % task.base
        assert bool(batch.right[r, i]) == right
        claim = (said + added - sum(digits)) % task.base if said < task.base else task.base
        assert batch.claim[r, i] == claim and (claim == q) == right
        kinds = batch.part[r, i, : len(tokens)].tolist()
        assert kinds == [FORK] + [THINK] * (len(tokens) - 2) + [ANSWER]
        assert batch.live[r, i].tolist() == [1.0] * len(tokens) + [0.0] * (task.horizon - len(tokens))
        assert (task.owner[batch.states[r, i, : len(tokens)]] == q).all()
    assert (batch.learn == batch.live).all() and (run.spent == batch.live.sum((1, 2))).all()


def test_temperature_samples_follow_the_policy_to_the_power_of_one_over_t():
    task, T = Trap(base=4, prompts=2, digits=1, sound=2), np.array([0.7, 1.6])[:, None, None]
    logits = random_logits(task, seed=2, scale=1.0)
    run = Run(Table(task, logits, runs=2), Loop(prompts=4000, group=4), [5, 6])
    batch = run.ask(run.in_turn(), temperature=T)
    for r in range(2):
        for q in range(2):
            mine = batch.tokens[r, batch.prompts[r] == q, 0]
            seen = np.bincount(mine, minlength=task.vocabulary)
            tempered = np.exp(logits[q] / T[r, 0, 0])
            expected = len(mine) * tempered / tempered.sum()
            assert ((seen - expected) ** 2 / expected).sum() < 23.5         # chi2(4), 1e-4
            plain = len(mine) * np.exp(logits[q]) / np.exp(logits[q]).sum()
            assert ((seen - plain) ** 2 / plain).sum() > 100
    np.testing.assert_allclose(batch.log_pi[0, batch.prompts[0] == 1, 0][0],
                               logits[1] - np.log(np.exp(logits[1]).sum()))


def test_branches_copy_their_parent_and_nothing_more():
    task = Trap(base=4, prompts=3, digits=3, sound=2)
    run = Run(Table(task, random_logits(task), runs=2), Loop(prompts=6, group=4), [3, 4])
    batch = run.ask(run.in_turn())
    before = run.spent
    rows = np.array([[0, 0, 3, 23], [5, 6, 6, 1]])
    cut = np.array([[0, 1, 2, 1], [2, 1, 0, 2]])
    made = run.branch(batch, rows, cut, 4)
    for r, i in np.ndindex(2, 4):
        c, parent = cut[r, i], rows[r, i]
        assert (made.tokens[r, i, :c] == batch.tokens[r, parent, :c]).all()
        assert (made.learn[r, i, :c] == 0).all() and (made.live[r, i, :c] == 1).all()
        assert (made.learn[r, i, c:] == made.live[r, i, c:]).all()
        assert made.prompts[r, i] == batch.prompts[r, parent] and made.hidden[r, i] == batch.hidden[r, parent]
        assert (made.states[r, i, : c + 1] == batch.states[r, parent, : c + 1]).all()
    assert (run.spent - before == made.learn.sum((1, 2))).all()
    many = run.branch(batch, np.zeros((2, 4000), int), np.full((2, 4000), 1), 4)
    state = many.states[0, 0, 1]
    seen = np.bincount(many.tokens[0, :, 1], minlength=5)
    p = np.exp(run.policy.logits[0, state])
    expected = 4000 * p / p.sum()
    assert ((seen - expected) ** 2 / expected).sum() < 23.5


def test_prompts_come_equally_often_even_when_few_are_asked():
    task = Trap(base=3, prompts=5, digits=1, sound=1)
    run, seen = Run(Table(task, runs=2), Loop(prompts=2), [0, 1]), Counter()
    for run.step in range(300):
        asked = run.in_turn()
        assert asked.shape == (2, 2) and (asked[:, 0] != asked[:, 1]).all()
        seen.update(asked.reshape(-1).tolist())
    assert min(seen.values()) > 190 and max(seen.values()) < 290 and len(seen) == 5
    run.loop = Loop(prompts=7)
    counts = [np.bincount(p, minlength=5) for p in run.in_turn()]
    assert all(set(c.tolist()) == {1, 2} for c in counts)


def test_a_move_adds_the_directions_of_each_state():
    task = TINY
    run = Run(Table(task, random_logits(task), runs=2), Loop(prompts=2, group=4), [3, 4])
    batch = run.ask(run.in_turn())
    D = np.random.default_rng(0).standard_normal((*batch.tokens.shape, task.vocabulary))
    want = run.policy.logits.copy()
    count = np.array([5.0, 7.0])
    for r, i, t in np.ndindex(batch.tokens.shape):
        want[r, batch.states[r, i, t]] += 2 * 3.0 / count[r] * D[r, i, t]
    run.policy.move([(batch, D), (batch, D)], count, 3.0)
    np.testing.assert_allclose(run.policy.logits, want, atol=1e-13)
    D[1, 2, 0, 0] = np.nan
    with pytest.raises(ValueError, match="direction must be finite; got nan"):
        run.policy.move([(batch, D)], count, 3.0)


# ---------------------------------------------------------------- properties

tasks = st.builds(Trap, base=st.integers(2, 5), prompts=st.integers(1, 4), digits=st.integers(1, 3),
                  sound=st.integers(1, 2))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(tasks, st.integers(0, 10**6), st.floats(0.1, 30), st.integers(1, 40))
def test_what_holds_for_every_policy(task, seed, scale, draws):
    logits = random_logits(task, seed, scale)
    p, d, got = success(task, logits), visits(task, logits), evaluate(task, logits, draws)
    assert (p >= 0).all() and (p <= 1 + 1e-12).all() and (d >= 0).all() and (d <= 1 + 1e-12).all()
    by_prompt = np.bincount(task.owner, d)
    assert (by_prompt >= 3 - 1e-9).all() and (by_prompt <= task.horizon + 1e-9).all()
    assert got["length"] == pytest.approx(by_prompt.mean(), abs=1e-12)
    for kind in (FORK, ANSWER):                             # every answer has one of each
        np.testing.assert_allclose(np.bincount(task.owner, d * (task.part == kind)), 1, atol=1e-12)
    assert got["accuracy"] - 1e-12 <= got[f"pass{draws}"] <= 1 + 1e-12
    assert got["accuracy"] == pytest.approx(evaluate(task, logits, 1)["pass1"], abs=1e-12)
    bounds = {name: (0, math.log(task.vocabulary)) for name in ("entropy", "fork", "think", "answer")}
    bounds |= {"sound": (0, 1), "locked": (0, 1)}
    for name, (low, high) in bounds.items():
        assert low - 1e-12 <= got[name] <= high + 1e-12
    assert min(got["fork"], got["think"], got["answer"]) - 1e-12 <= got["entropy"]
    assert got["entropy"] <= max(got["fork"], got["think"], got["answer"]) + 1e-12
    assert 0 <= distinct(task, logits, draws) <= draws * got["accuracy"] + 1e-9
    np.testing.assert_allclose(evaluate(task, logits + 3)["accuracy"], got["accuracy"], atol=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(tasks, st.integers(0, 10**6), st.floats(0.1, 10))
def test_a_policy_locked_in_the_shortcut_is_right_half_the_time_at_best(task, seed, scale):
    logits = random_logits(task, seed, scale)
    logits[: task.prompts, task.vocabulary - task.sound :] = -600.0
    got, p = evaluate(task, logits), success(task, logits)
    assert got["locked"] == 1 and got["accuracy"] <= 0.5 + 1e-12 and (p.sum(0) <= 1 + 1e-12).all()
    logits[:] = 0                                   # and one that knows is right half the time exactly
    logits[: task.prompts, 0] = 600.0
    for s in np.flatnonzero(task.part == ANSWER):
        logits[s, (task.owner[s] + task.grid["sum"][s]) % task.base] = 600.0
    assert evaluate(task, logits)["accuracy"] == pytest.approx(0.5, abs=1e-12)
    logits[: task.prompts, 0], logits[: task.prompts, -1] = 0.0, 600.0       # the same on the sound road
    assert evaluate(task, logits)["accuracy"] == pytest.approx(1, abs=1e-12)


def test_the_start_is_what_its_words_say():
    task = Trap()
    z = task.start(sound=0.1, known=0.7, habit=0.9)
    p = np.exp(z)
    np.testing.assert_allclose(p.sum(-1), 1)
    assert evaluate(task, z)["sound"] == pytest.approx(0.1)
    where = states_of(task)
    for q in range(8):
        for total in range(8):
            assert p[where[q, ANSWER, 0, 0, total], (q + total) % 8] == pytest.approx(0.7)
            np.testing.assert_allclose(p[where[q, ANSWER, 1, 0, total]], 1 / 9)
            for road in (0, 1):
                habits = [p[where[q, THINK, road, n, total]].argmax() for n in range(4)]
                assert habits == [1, 2, 3, 8]
                assert p[where[q, THINK, road, 3, total], 8] == pytest.approx(0.9)
    assert evaluate(task, task.start())["accuracy"] == pytest.approx(
        0.92 * (0.8 + 0.2 / 8) / 2 + 0.08 / 9, abs=1e-12)


# ---------------------------------------------------------------- the loop

def test_curves_begin_at_the_start_and_end_at_the_end():
    table = Table(TINY, runs=2)
    record = train(table, Method(), Loop(steps=7, prompts=2, group=4, every=3), [1, 2])
    assert record["step"][:, 0].tolist() == [0, 3, 6, 7] and record["accuracy"].shape == (4, 2)
    np.testing.assert_allclose(record["accuracy"][0], evaluate(TINY, TINY.start())["accuracy"])
    np.testing.assert_allclose(record["entropy"][-1], evaluate(TINY, table.logits)["entropy"])
    assert (np.diff(record["tokens"], axis=0) > 0).all() and (record["tokens"][0] == 0).all()


def test_grpo_learns_where_there_is_no_trap():
    task = Trap(base=4, prompts=2, digits=1, sound=2)
    table = Table(task, task.start(sound=0.9), runs=2)
    record = train(table, Method(), Loop(steps=60, prompts=8, group=8, rate=30.0), [0, 1])
    assert (record["accuracy"][-1] > record["accuracy"][0] + 0.4).all()


# ---------------------------------------------------------------- bad input

@pytest.mark.parametrize(("knobs", "text"), [
    ({"base": 1}, "base must be a whole number >= 2; got 1"),
    ({"prompts": 0}, "prompts must be a whole number >= 1; got 0"),
    ({"digits": 2.0}, "digits must be a whole number >= 1; got 2.0"),
    ({"sound": True}, "sound must be a whole number >= 1; got True"),
    ({"base": 3, "sound": 4}, "sound must be <= base = 3, so that there is a shortcut; got 4"),
])
def test_bad_tasks(knobs, text):
    with pytest.raises(ValueError, match=text):
        Trap(**knobs)


def test_bad_input():
    z = TINY.start()
    for name in ("sound", "known", "habit"):
        with pytest.raises(ValueError, match=f"{name} must lie between 0 and 1, ends excluded; got 1"):
            TINY.start(**{name: 1})
    for f in (evaluate, distinct):
        for draws in (0, 1.5, True):
            with pytest.raises(ValueError, match=f"draws must be a whole number >= 1; got {draws}"):
                f(TINY, z, draws)
    for f in (evaluate, distinct, visits, success):
        with pytest.raises(ValueError, match=rf"logits must end in {TINY.states} states and 4 tokens; got"):
            f(TINY, z[1:])
        with pytest.raises(ValueError, match="logits must be finite; got nan"):
            f(TINY, np.where(z < z.mean(), np.nan, z))
        with pytest.raises(TypeError, match="logits must be a NumPy array or a torch tensor; got list"):
            f(TINY, z.tolist())
    with pytest.raises(ValueError, match="logits must be 38 states by 4 tokens; got shape"):
        Table(TINY, z[1:])
    with pytest.raises(TypeError, match="logits must be a NumPy array"):
        Table(TINY, z.tolist())
    with pytest.raises(ValueError, match="logits must be finite; got inf"):
        Table(TINY, z + np.inf)
    with pytest.raises(ValueError, match="runs must be a whole number >= 1; got 0"):
        Table(TINY, runs=0)
    with pytest.raises(TypeError, match="like must hold floating-point numbers; got dtype int64"):
        Table(TINY, like=np.arange(3))


@pytest.mark.parametrize(("knobs", "text"), [
    ({"steps": 0}, "steps must be a whole number >= 1; got 0"),
    ({"epochs": 1.5}, "epochs must be a whole number >= 1; got 1.5"),
    ({"every": True}, "every must be a whole number >= 1; got True"),
    ({"group": 1}, "group must be a whole number >= 2; got 1"),
    ({"rate": 0}, "rate must be > 0 and finite; got 0"),
    ({"rate": math.inf}, "rate must be > 0 and finite; got inf"),
    ({"prompts": 6, "minibatches": 4}, "minibatches must divide prompts = 6; got 4"),
])
def test_bad_loops(knobs, text):
    with pytest.raises(ValueError, match=text):
        Loop(**knobs)


def test_bad_training():
    with pytest.raises(TypeError, match="method must be a Method; got str"):
        train(Table(TINY), "grpo", Loop(), [0])
    with pytest.raises(ValueError, match="seeds must be 2, one a run; got 0"):
        train(Table(TINY, runs=2), Method(), Loop(), [])

    class Broken(Method):
        def weights(self, run, batch, now):
            return np.where(batch.advantage > 0, np.inf, 1.0)

    table = Table(TINY, runs=2)
    with pytest.raises(ValueError, match="direction must be finite; got (nan|inf|-inf)"):
        train(table, Broken(), Loop(prompts=2), [0, 1])
    assert np.isfinite(table.logits).all()
