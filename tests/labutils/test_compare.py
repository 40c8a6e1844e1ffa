"""Comparisons of methods on paired seeds: the plan, the file, the differences, other engines."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("joblib")

from labutils.policy import compare  # noqa: E402
from labutils.policy.harness import Loop, train  # noqa: E402
from labutils.policy.methods import METHODS  # noqa: E402
from labutils.policy.tabular import Table  # noqa: E402
from labutils.policy.trap import Trap, distinct  # noqa: E402

SHORT = Loop(steps=3, prompts=8, group=16, every=1)
SEEDS = [1, 2, 3]


@pytest.fixture(scope="module")
def result():
    return compare.run([("grpo", None), ("80-20", 0.2), ("80-20", 1.0)], SHORT, SEEDS, jobs=1)


def test_every_method_is_in_the_plan_at_its_own_value():
    plan = compare.plan()
    assert {name for name, _ in plan} == set(METHODS)
    for name, (knob, values) in compare.KNOBS.items():
        assert getattr(METHODS[name], knob) in values, name
        assert [v for n, v in plan if n == name] == values
    assert set(compare.TRANSFORMER) <= set(METHODS)


def test_a_row_is_what_the_loop_gives(result):
    task = Trap()
    table = Table(task, task.start(**compare.START), runs=3)
    record = train(table, METHODS["grpo"], SHORT, SEEDS)
    row = compare.row(result, "grpo")
    for name in compare.QUANTITIES:
        np.testing.assert_allclose(row[name], record[name][-1], rtol=1e-3)
        np.testing.assert_allclose(row["curves"][name][0], record[name].mean(1), rtol=1e-3)
    np.testing.assert_allclose(row["distinct"], distinct(task, table.logits), rtol=1e-3)
    assert row["step"] == [0, 1, 2, 3]


def test_the_knob_turns_and_ends_at_grpo(result):
    whole = compare.row(result, "80-20", 1.0)
    assert whole["accuracy"] == compare.row(result, "grpo")["accuracy"]
    assert compare.row(result, "80-20")["accuracy"] != whole["accuracy"]
    assert compare.paired(result, "80-20", "accuracy", 1.0) == (0.0, 0.0, 0.0)


def test_differences_are_paired(result):
    mean, error, t = compare.paired(result, "80-20", "entropy")
    d = np.array(compare.row(result, "80-20")["entropy"]) - np.array(compare.row(result, "grpo")["entropy"])
    assert mean == pytest.approx(d.mean()) and error == pytest.approx(d.std(ddof=1) / 3**0.5)
    assert t == pytest.approx(mean / error)


def test_written_and_read_the_same(result, tmp_path):
    file = tmp_path / "c.json"
    compare.save(result, file)
    again = compare.load(file)
    assert again == json.loads(json.dumps(result))
    compare.save(again, tmp_path / "d.json")
    assert (tmp_path / "d.json").read_bytes() == file.read_bytes()


def test_a_cluster_gives_the_same_numbers(result):
    """Dask behind joblib: two workers of a local cluster."""
    joblib, distributed = pytest.importorskip("joblib"), pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False,
                                  dashboard_address=None) as cluster, distributed.Client(cluster):
        with joblib.parallel_config(backend="dask"):
            spread = compare.run([("grpo", None), ("80-20", 0.2), ("80-20", 1.0)], SHORT, SEEDS)
    assert spread == result


def test_the_transformer_goes_the_same_way():
    pytest.importorskip("torch")
    from labutils.policy.grpo import Setting
    from labutils.policy.countdown import Countdown

    setting = Setting(task=Countdown(numbers=3, largest=3, top=9), width=32, layers=1, heads=2, held_out=16,
                      pool=24, warm_steps=30, warm_batch=64, steps=2, prompts=8, group=8, every=1)
    result = compare.run_transformer(["grpo", "cure"], setting, [1, 2], jobs=1, device="cpu")
    grpo, cure = compare.row(result, "grpo"), compare.row(result, "cure")
    assert grpo["start"] == cure["start"] and grpo["accuracy"] != cure["accuracy"]
    assert grpo["tokens"] == [2 * 8 * 8 * 5] * 2 and max(cure["tokens"]) < grpo["tokens"][0]
    assert len(grpo["curves"]["entropy"][0]) == 3


def test_the_large_comparison_is_ready_for_a_device():
    """Its task and shapes go through the same lines; only the size is cut here."""
    pytest.importorskip("torch")
    setting = compare.large_setting()
    small = replace(setting, width=16, layers=1, heads=2, warm_steps=1, warm_batch=8, held_out=8, pool=16,
                    prompts=8, steps=1, every=1)
    assert setting.task.numbers == 4 and small.task == setting.task
    rows = compare.run_transformer(["grpo", "cure", "ettrl", "spear"], small, [1, 2], jobs=1, device="cpu")["rows"]
    assert rows[0]["tokens"] == [8 * setting.group * setting.task.answer_length] * 2


def test_the_command_writes_a_file(tmp_path, capsys):
    file = tmp_path / "c.json"
    compare.main(["trap", "--seeds", "2", "--steps", "1", "--methods", "grpo", "--jobs", "1", "--output", str(file)])
    assert [r["method"] for r in compare.load(file)["rows"]] == ["grpo"]
    assert "wrote" in capsys.readouterr().out


def test_bad_input_is_named(result, tmp_path):
    with pytest.raises(ValueError, match="method must be one of"):
        compare.run([("no such", None)], SHORT, SEEDS)
    with pytest.raises(ValueError, match="value must be None for 'grpo'"):
        compare.run([("grpo", 1.0)], SHORT, SEEDS)
    with pytest.raises(ValueError, match="seeds must be two or more"):
        compare.run([("grpo", None)], SHORT, [1])
    with pytest.raises(ValueError, match="name must be one of"):
        compare.row(result, "cure")
    with pytest.raises(ValueError, match="value must be one of"):
        compare.row(result, "80-20", 0.5)
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(ValueError, match="path must lead to a comparison"):
        compare.load(tmp_path / "x.json")
