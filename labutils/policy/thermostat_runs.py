"""Thermostats in the trap at the full size of the loop: python -m labutils.policy.thermostat_runs.

Recreates the result file behind section 8 of the lab of the chapter "Holding entropy at a set point"
(policy/thermostats): about a quarter of an hour on one core. Entropies in nats a token, shares between 0 and 1.
"""

import json
from pathlib import Path

import numpy as np

from labutils.policy import methods
from labutils.policy.compare import START
from labutils.policy.harness import Loop, Method, train
from labutils.policy.sweep import rounded
from labutils.policy.tabular import Table
from labutils.policy.trap import Trap

RESULT = Path(__file__).resolve().parents[1] / "data" / "thermostats.json"
KEPT = ("entropy", "fork", "locked", "accuracy", "tokens")


def plan():
    """What the committed file holds, by the names of the lab."""
    asked, weighted = methods.ArbitraryEntropy, methods.Dcpo
    return {
        "GRPO": Method(), "bonus": methods.EntropyBonus(),
        **{f"AEPO {goal}": asked(target=goal) for goal in (0.3, 0.6, 0.9)},
        "AEPO 0.9, T = 2": asked(target=0.9, warm=2.0, cool=0.5),
        **{f"DCPO {goal}": weighted(target=goal) for goal in (0.3, 0.6, 0.9)},
    }


def run(plan, seeds, loop=None):
    """{name: {quantity: one number a seed at the end}}; all methods share the seeds.

    Errors: those of `harness.train`.
    """
    loop, task, result = loop or Loop(steps=300, every=300), Trap(), {}
    for name, method in plan.items():
        curves = train(Table(task, task.start(**START), runs=len(seeds)), method, loop, seeds)
        result[name] = rounded({key: curves[key][-1] for key in KEPT})
    return result


def load(path=RESULT):
    """The result file, with arrays: {name: {quantity: [seeds]}}."""
    stored = json.loads(Path(path).read_text(encoding="utf-8"))
    return {name: {key: np.array(values) for key, values in row.items()} for name, row in stored.items()}


def main():
    rows = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in run(plan(), list(range(64))).items()]
    RESULT.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    print(f"written: {RESULT}")


if __name__ == "__main__":
    main()
