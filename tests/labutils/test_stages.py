"""Stages: what Python says of them. What they compute is tested in tests/browser/test_hands.py."""

import json

import pytest

from labutils import explore as module
from labutils import stages
from labutils.explore import explore, slider

WORDS = {"name": "simplex", "alt": "A triangle with a point that a hand moves"}


@pytest.mark.parametrize("name", stages.NAMES)
def test_a_stage_is_one_module_with_its_helpers_first(name):
    text = stages.source(name)
    assert text.startswith("// What every stage is made of")
    assert text.rstrip().endswith("export default { render, fault, measures };")


def test_a_stage_is_recorded_for_the_page(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    monkeypatch.setenv("LABUTILS_EXPLORE", "static")
    assert explore(stages.simplex(), **WORDS) is None
    record = shown[0][module.MIME]
    assert record["stage"] == "simplex" and record["state"]["p"] == [0.6, 0.3, 0.1]
    assert json.loads(json.dumps(record)) == record
    with pytest.raises(ValueError, match="a stage brings its own handles"):
        explore(stages.simplex(), {"a": slider(0, 1)}, **WORDS)


def test_with_a_kernel_a_stage_is_a_widget_whose_state_python_reads(monkeypatch):
    monkeypatch.setenv("LABUTILS_EXPLORE", "live")
    widget = explore(stages.maxent(mean=2.5), **WORDS)
    assert widget.state["mean"] == 2.5
    assert "export default" in widget._esm and ".stage" in widget._css
    heard = []
    widget.observe(lambda change: heard.append(change["new"]["mean"]), "state")
    widget.state = {**widget.state, "mean": 3.0}
    assert heard == [3.0]


@pytest.mark.parametrize("make, arguments, message", [
    (stages.simplex, {"p": (0.5, 0.5)}, "p must be 3 finite numbers"),
    (stages.simplex, {"p": (0.5, 0.3, 0.3)}, "p must sum to 1; got .* sums to 1.1"),
    (stages.simplex, {"q": (1.0, 0.0, 0.0)}, "q must have no share below 0.005"),
    (stages.simplex, {"z": (3, 0, 0)}, "z must lie within -2 and 2"),
    (stages.simplex, {"z": (float("nan"), 0, 0)}, "z must be 3 finite numbers"),
    (stages.maxent, {"mean": 6}, "mean must lie between 1 and 6"),
    (stages.maxent, {"mean": 1.003}, "mean must lie between 1 and 6, .* and 0.004 from both; got 1.003"),
    (stages.maxent, {"mean": None, "spread": 1}, "spread needs a mean that is held"),
    (stages.maxent, {"mean": 3.5, "spread": 0.5}, "spread must lie between 0.504 and 2.5 "),
    (stages.maxent, {"mean": 4.5, "spread": 2.3}, "spread must lie between 0.504 and 2.29 "),
    (stages.collision, {"speed": 0}, "speed must lie between 0.05 and 1.6; got 0"),
    (stages.collision, {"phase": 4.0}, "phase must lie between -3.15 and 3.15; got 4.0"),
    (stages.collision, {"amplitude": float("nan")}, "amplitude must be 1 finite number; got"),
    (stages.ripples, {"heights": (0.1, 0.1)}, "heights must be 4 finite numbers"),
    (stages.ripples, {"heights": (0.3, 0, 0, 0)}, "heights must lie within -0.2 and 0.2"),
    (stages.ripples, {"length": 2}, "length must lie between 3 and 16; got 2"),
])
def test_bad_input_is_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
