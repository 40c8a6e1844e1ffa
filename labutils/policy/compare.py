"""All methods side by side on paired seeds: python -m labutils.policy.compare trap|transformer|large

Page "Side by side" (book/side-by-side). Recreates the result files behind it, in about twenty minutes
each on two cores; "large", a larger transformer with four numbers a problem, is for a GPU and has not
been run yet. Shares are between 0 and 1, entropies in nats a token.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from labutils import runtime
from labutils.policy.harness import Loop, train
from labutils.policy.methods import METHODS
from labutils.policy.sweep import alone, rounded, versions
from labutils.policy.tabular import Table
from labutils.policy.trap import Trap, distinct

RESULTS = {"trap": "trap-comparison.json", "transformer": "transformer-comparison.json",
           "large": "large-comparison.json"}
QUANTITIES = ("accuracy", "pass16", "locked", "sound", "entropy", "fork", "think", "answer", "length",
              "tokens")
START = {"sound": 0.2}      # of `Trap.start`: about half of the prompts lock under GRPO

# The knob of each method and the values it is turned to; its value in METHODS is among them.
KNOBS = {
    "clip-higher": ("high", [0.2, 0.3, 0.4, 0.6, 1.0]),
    "entropy-bonus": ("weight", [0.0, 0.01, 0.03, 0.1, 0.3]),
    "clip-cov": ("fraction", [0.01, 0.02, 0.05, 0.1, 0.2]),
    "kl-cov": ("beta", [0.0, 0.3, 1.0, 3.0, 10.0]),
    "random-drop": ("fraction", [0.01, 0.02, 0.05, 0.1, 0.2]),
    "steer": ("minimum", [0.02, 0.1, 0.2, 0.5, 0.8]),
    "clip-b": ("deviations", [1.0, 1.5, 2.0, 2.5, 3.5]),
    "clip-v": ("deviations", [1.0, 1.5, 2.0, 2.5, 3.5]),
    "80-20": ("share", [0.1, 0.2, 0.4, 0.7, 1.0]),
    "hicra": ("alpha", [0.0, 0.2, 0.4, 0.7, 1.0]),
    "siren": ("kappa", [0.0, 0.03, 0.1, 0.3, 1.0]),
    "arbitrary-entropy": ("target", [0.3, 0.5, 0.7, 0.9, 1.1]),
    "dcpo": ("target", [0.3, 0.5, 0.7, 0.9, 1.1]),
    "epo": ("alpha", [0.0, 0.1, 0.5, 1.0, 2.0]),
    "empg": ("k", [-2.0, -1.0, 0.0, 1.0, 2.0]),
    "canon": ("mu", [0.0, 0.25, 0.5, 0.75, 1.0]),
    "copo": ("rho", [0.0, 0.5, 1.0, 1.5, 2.0]),
    "adora": ("weight", [0.03, 0.1, 0.3, 1.0, 3.0]),
    "pear": ("scale", [0.0, 0.1, 0.3, 1.0, 3.0]),
    "ares": ("cap", [0.05, 0.1, 0.25, 0.5, 1.0]),
    "difficulty": ("floor", [0.03, 0.1, 0.3, 1.0, 10.0]),
    "cure": ("candidates", [1, 2, 3, 4, 5]),
    "entropy-balanced": ("alpha", [0.0, 0.2, 0.4, 0.7, 1.0]),
    "spine": ("below", [0.0, 0.01, 0.03, 0.1, 0.3]),
    "spear": ("replayed", [16, 32, 64, 128, 256]),
}

# What suits the transformer: groups of 8, its own entropies and rate.
TRANSFORMER = {
    "spine": {"below": 0.1, "above": 0.1},
    "arbitrary-entropy": {"target": 0.3}, "dcpo": {"target": 0.3}, "cure": {"roots": 2, "branches": 3},
    "ettrl": {"trees": 2, "forks": 3}, "spear": {"warm": 40},
}


def plan():
    """What the committed file holds: a list of (method, value of its knob or None)."""
    return [(name, value) for name in METHODS for value in KNOBS.get(name, (None, [None]))[1]]


def method(name, value=None):
    """A method of METHODS, its knob turned to a value.

    Errors: ValueError for an unknown method, or a value for a method without a knob.
    """
    if name not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {name!r}")
    if value is None:
        return METHODS[name]
    if name not in KNOBS:
        raise ValueError(f"value must be None for {name!r}, which has no knob; got {value!r}")
    return replace(METHODS[name], **{KNOBS[name][0]: value})


def one(name, value, loop, seeds, start=None, task=None):
    """One method at one value on all seeds, a dict of lists.

    {quantity: [seeds]} at the end ("distinct" too), and under "curves" {quantity: [mean, sd]} with one
    entry an evaluation, under "step" the steps of the evaluations.
    """
    task = task or Trap()
    table = Table(task, task.start(**(start or START)), runs=len(seeds))
    record = train(table, method(name, value), loop, seeds)
    end = {name: record[name][-1] for name in QUANTITIES} | {"distinct": distinct(task, table.logits)}
    curves = {name: [record[name].mean(1), record[name].std(1, ddof=1)] for name in QUANTITIES}
    return rounded({**end, "curves": curves, "step": record["step"][:, 0]})


def reader_setting():
    """The transformer's setting: a run takes ten seconds on one core."""
    from labutils.policy.grpo import Setting

    return Setting(warm_steps=250, pool=128, prompts=32, steps=80, every=10)


def large_setting():
    """A harder task and a larger transformer, for a GPU: four numbers a problem, 2.1 million weights."""
    from labutils.policy.countdown import Countdown
    from labutils.policy.grpo import Setting

    return Setting(task=Countdown(numbers=4), width=256, layers=4, heads=8, warm_steps=4000, warm_batch=512,
                   pool=1024, prompts=256, steps=500, rate=1e-4, every=50)


def run_transformer(names, setting, seeds, jobs=None, device=None):
    """Methods on the transformer of "Why entropy falls": a result like that of `run`.

    names    of METHODS, with the knobs of TRANSFORMER;  setting  a `grpo.Setting`
    Quantities: accuracy, pass16, pass64, distinct16, locked, entropy, all on the pool, the same after
    "far_" held out, and tokens. All methods of a seed begin with the same weights.

    Errors: as `run`.
    """
    joblib = runtime.need("joblib")
    seeds = _two_or_more(seeds)
    methods = [replace(method(name), **TRANSFORMER.get(name, {})) for name in names]
    device = runtime.device(device)
    pool = joblib.Parallel(n_jobs=jobs or os.cpu_count())
    starts = pool(joblib.delayed(_warm)(setting, seed, device) for seed in seeds)
    calls = [(i, j) for i in range(len(names)) for j in range(len(seeds))]
    pool = joblib.Parallel(n_jobs=jobs or os.cpu_count(), return_as="generator_unordered")
    records = [[None] * len(seeds) for _ in names]
    for i, j, record in runtime.progress(pool(
            joblib.delayed(_network)(i, j, starts[j], methods[i], setting, seeds[j], device) for i, j in calls),
            total=len(calls), desc="comparison"):
        records[i][j] = record
    rows = []
    for name, runs in zip(names, records):
        stacked = {key: np.stack([r[key] for r in runs], 1) for key in runs[0]}     # [evaluations, seeds]
        step = stacked.pop("step")[:, 0]
        rows.append({"method": name, "value": None, "step": step.tolist(), **rounded({
            **{key: x[-1] for key, x in stacked.items()},
            "curves": {key: [x.mean(1), x.std(1, ddof=1)] for key, x in stacked.items()
                       if not key.startswith("far_")},
            "start": {key: x[0] for key, x in stacked.items()}})})
    return {"seeds": seeds, "loop": asdict(_loop(setting)), "setting": asdict(setting), "device": device,
            "versions": versions(), "rows": rows}


def _loop(setting):
    return Loop(steps=setting.steps, prompts=setting.prompts, group=setting.group, epochs=setting.epochs,
                minibatches=setting.minibatches, rate=setting.rate, every=setting.every)


def _warm(setting, seed, device):
    from labutils.policy import grpo

    with alone():
        return grpo.warm_up(setting, seed, device)


def _network(i, j, start, chosen, setting, seed, device):
    from labutils.policy.neural import Network

    with alone():
        return i, j, train(Network(start, setting.task, device, far=True), chosen, _loop(setting), [seed])


def _two_or_more(seeds):
    seeds = list(seeds)
    if len(seeds) < 2:
        raise ValueError(f"seeds must be two or more, to show a spread; got {seeds!r}")
    return seeds


def run(plan, loop, seeds, jobs=None):
    """Run a plan on the trap over seeds and return the result, a plain dict.

    plan   a list as `plan()` gives;  loop  a `Loop`;  seeds  two or more whole numbers
    jobs   processes side by side; the number of CPU cores if not given.
           `joblib.parallel_config(backend="dask")` around the call spreads them over a cluster.

    Errors: ValueError for an unknown method, an unknown value, or fewer than two seeds.
    """
    joblib = runtime.need("joblib")
    seeds = _two_or_more(seeds)
    for name, value in plan:
        method(name, value)
    calls = [joblib.delayed(_keyed)(i, name, value, loop, seeds) for i, (name, value) in enumerate(plan)]
    pool = joblib.Parallel(n_jobs=jobs or os.cpu_count(), return_as="generator_unordered")
    parts = [None] * len(plan)
    for i, part in runtime.progress(pool(calls), total=len(calls), desc="comparison"):
        parts[i] = part
    rows = [{"method": name, "value": value, **part} for (name, value), part in zip(plan, parts)]
    return {"seeds": seeds, "loop": asdict(loop), "start": START, "numpy": np.__version__, "rows": rows}


def _keyed(i, *arguments):
    return i, one(*arguments)


def save(result, path):
    """Write a result, one row a line, the same bytes for the same numbers."""
    head = json.dumps({k: v for k, v in result.items() if k != "rows"}, sort_keys=True)
    rows = ",\n".join(json.dumps(row, sort_keys=True, separators=(",", ":")) for row in result["rows"])
    Path(path).write_text(f'{head[:-1]}, "rows": [\n{rows}\n]}}\n', encoding="utf-8")


def load(what="trap"):
    """A comparison by its name in RESULTS, or a file of the same kind: a dict as from `run`.

    Errors: FileNotFoundError where there is none; ValueError for a file that is no comparison.
    """
    path = runtime.data_path(RESULTS[what]) if what in RESULTS else Path(what)
    result = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(result, dict) or not {"seeds", "loop", "rows"} <= result.keys():
        raise ValueError(f"path must lead to a comparison; got {str(path)!r}")
    return result


def row(result, name, value=None):
    """The row of a method at a value of its knob (that of METHODS if not given).

    Errors: ValueError that lists what there is.
    """
    if value is None and "setting" not in result and name in KNOBS:
        value = getattr(METHODS[name], KNOBS[name][0])
    found = [r for r in result["rows"] if r["method"] == name and r["value"] == value]
    if not found:
        known = sorted({r["method"] for r in result["rows"]})
        values = [r["value"] for r in result["rows"] if r["method"] == name]
        raise ValueError(f"value must be one of {values}; got {value!r}" if values else
                         f"name must be one of {', '.join(known)}; got {name!r}")
    return found[0]


def paired(result, name, quantity, value=None, against="grpo"):
    """(mean, standard error, t) of the seed-by-seed difference to another method.

    Errors: as `row`; KeyError for an unknown quantity.
    """
    d = np.array(row(result, name, value)[quantity]) - np.array(row(result, against)[quantity])
    error = d.std(ddof=1) / np.sqrt(len(d))
    t = d.mean() / error if error > 0 else (0.0 if d.mean() == 0 else float("inf") * np.sign(d.mean()))
    return float(d.mean()), float(error), float(t)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m labutils.policy.compare",
                                     description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=list(RESULTS))
    parser.add_argument("--seeds", type=int, help="how many paired seeds (trap 16, else 8)")
    parser.add_argument("--steps", type=int, help="steps of training (trap 300, transformer 80, large 500)")
    parser.add_argument("--jobs", type=int, help="processes side by side (default: CPU cores)")
    parser.add_argument("--device", help="of the transformer: cpu, cuda or mps (default: the best there is)")
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), help="only these (default: all)")
    parser.add_argument("--output", type=Path, help="file to write (default: the committed one)")
    options = parser.parse_args(arguments)
    seeds = [runtime.seed(i) for i in range(options.seeds or (16 if options.what == "trap" else 8))]
    names = options.methods or list(METHODS)
    if options.what == "trap":
        steps = options.steps or 300
        result = run([(n, v) for n, v in plan() if n in names], Loop(steps=steps, every=max(steps // 10, 1)),
                     seeds, options.jobs)
    else:
        setting = reader_setting() if options.what == "transformer" else large_setting()
        setting = replace(setting, steps=options.steps or setting.steps)
        result = run_transformer(names, setting, seeds, options.jobs, options.device)
    output = options.output or Path(__file__).parents[1] / "data" / RESULTS[options.what]
    save(result, output)
    print(f"wrote {output} ({output.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    sys.exit(main())
