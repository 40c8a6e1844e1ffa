"""All methods on paired seeds: python -m labutils.policy.sweep (about half an hour on two cores).

Recreates the result file behind the second lab of the chapter "Why entropy falls".
Shares are between 0 and 1, entropies in nats a token.
"""

import argparse
import ast
import hashlib
import json
import os
import platform
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from labutils import runtime
from labutils.policy.law import fit_law

RESULT = "grpo-sweep.json"
QUANTITIES = ("pass1", "pass16", "pass64", "distinct16", "locked", "entropy")
SERIES = ("grpo", "kl-cov")     # methods of which every step is kept
BIN = 10                        # steps averaged into one point of the curves of the batch


def plan():
    """What the committed file holds: {name: (Setting, methods)}."""
    from labutils.policy.grpo import METHODS, Setting

    reader = Setting(warm_steps=250, pool=128, prompts=32, steps=80, every=8)
    return {"full": (Setting(), list(METHODS)), "reader": (reader, ["grpo", "clip-cov"])}


def summarise(record):
    """A record of `grpo.train`, coarse enough to commit: curves, ends and numbers of the run."""
    exact, steps = record["exact"], record["steps"]
    column = {name: np.array([s[name] for s in steps]) for name in steps[0]}
    whole = len(steps) // BIN * BIN
    law, early = (fit_law(column["entropy"][:n], column["reward"][:n])
                  for n in (len(steps), max(len(steps) // 4, 3)))
    real, predicted = column["change"], column["predicted"]
    numbers = {
        "correlation": np.corrcoef(predicted, real)[0, 1],
        "relative_error": np.sqrt(np.mean((predicted - real) ** 2) / np.mean(real**2)),
        "sign_right": np.mean(predicted * real > 0),
        "own_correlation": np.corrcoef(column["batch_predicted"], column["batch_change"])[0, 1],
        **{f"{name}_sum": column[name].sum() for name in (
            "batch_change", "batch_predicted", "change", "predicted", "visitation")},
        **{f"own_{name}": np.corrcoef(column[f"guess_{name}"], column["batch_change"])[0, 1]
           for name in ("batch", "lone", "steer")},
        **{f"probe_{name}": np.corrcoef(column[f"guess_{name}"], real)[0, 1]
           for name in ("batch", "lone", "steer")},
        **{f"token_{name}": np.nanmean(column[f"token_{name}"])
           for name in ("true", "batch", "lone", "steer")},
        "band": column["band"].mean(), "band_start": column["band"][0],
        "band_down": column["band_down"].sum() / max(column["band"].sum(), 1e-12),
        "band_down_start": column["band_down"][0] / max(column["band"][0], 1e-12),
        "top_down_start": column["top_down"][0],
        "law_r2": law.r_squared, "law_ceiling": law.ceiling, "law_early_ceiling": early.ceiling,
    }
    return {
        "exact": {name: [e[name] for e in exact] for name in QUANTITIES},
        "far": {name: [e[f"far_{name}"] for e in (exact[0], exact[-1])] for name in QUANTITIES},
        "batch": {name: column[name][:whole].reshape(-1, BIN).mean(1).tolist()
                  for name in ("reward", "entropy", "signal")},
        "numbers": numbers,
        "steps": {name: column[name].tolist() for name in ("predicted", "change")},
    }


def fingerprint():
    """A digest of the code that a run depends on (comments and docstrings left out)."""
    digest = hashlib.sha256()
    for name in ("../_inputs", "countdown", "grpo", "law", "selection", "softmax", "sweep",
                 "transformer"):
        tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(
                    body[0].value, ast.Constant):
                body[0] = ast.Pass()
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:12]


def _worker(setting, seed, method, device, start_file, part_file):
    """One warm-up (method None) or one run; skipped where its file is there already."""
    import torch

    from labutils.policy import grpo

    file = start_file if method is None else part_file
    if file.exists():
        return
    unfinished = file.with_suffix(".unfinished")
    with alone():
        if method is None:
            torch.save(grpo.warm_up(setting, seed, device), unfinished)
        else:
            start = torch.load(start_file, weights_only=False)
            _, record = grpo.train(start, method, setting, seed, device)
            unfinished.write_text(json.dumps(rounded(summarise(record))), encoding="utf-8")
    unfinished.rename(file)


@contextmanager
def alone():
    """One thread and no bar of its own, for a run that has neighbours."""
    import torch

    threads, shown = torch.get_num_threads(), os.environ.get("LABUTILS_PROGRESS", "")
    torch.set_num_threads(1)
    os.environ["LABUTILS_PROGRESS"] = "off"
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        os.environ["LABUTILS_PROGRESS"] = shown


def run(plan, seeds, folder, jobs=None, device=None):
    """Run a plan over seeds and return the result, a plain dict.

    plan    {name: (Setting, methods)}, as `plan()` gives
    seeds   list of whole numbers; all methods of a seed begin with the same warm-up
    folder  where finished runs wait, so that an interrupted sweep goes on where it stopped
    jobs    processes side by side, one thread each; the number of CPU cores if not given.
            `joblib.parallel_config(backend="dask")` around the call spreads them over a cluster.

    Errors: ValueError for an unknown method, no seeds, or a device that is not there.
    """
    from labutils.policy.grpo import METHODS

    joblib = runtime.need("joblib")
    device = runtime.device(device)
    seeds = list(seeds)
    if not seeds:
        raise ValueError(f"seeds must not be empty; got {seeds!r}")
    for _, methods in plan.values():
        for method in methods:
            if method not in METHODS:
                raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    folder = Path(folder) / f"{fingerprint()}-{device.replace(':', '')}"
    folder.mkdir(parents=True, exist_ok=True)

    def files(setting, seed, method):
        key = hashlib.sha256(repr(setting).encode()).hexdigest()[:12]
        return folder / f"{key}-{seed}.pt", folder / f"{key}-{seed}-{method}.json"

    def stage(tasks, desc):
        calls = (joblib.delayed(_worker)(*task, device, *files(*task)) for task in tasks)
        pool = joblib.Parallel(n_jobs=jobs or os.cpu_count(), return_as="generator_unordered")
        results = pool(calls)
        for _ in runtime.progress(results, total=len(tasks), desc=desc):
            pass

    settings = [setting for setting, _ in plan.values()]
    stage([(s, seed, None) for s in settings for seed in seeds], "warm-ups")
    stage([(s, seed, m) for s, methods in plan.values() for seed in seeds for m in methods], "runs")

    result = {"seeds": seeds, "device": device, "versions": versions(), "settings": {}, "runs": {}}
    for name, (setting, methods) in plan.items():
        result["settings"][name] = asdict(setting)
        result["runs"][name] = {}
        for method in methods:
            parts = [json.loads(files(setting, seed, method)[1].read_text(encoding="utf-8"))
                     for seed in seeds]
            for part in parts if name != "full" or method not in SERIES else ():
                del part["steps"]
            result["runs"][name][method] = parts
    return result


def save(result, path):
    """Write a result, one run a line, the same bytes for the same numbers."""
    head = {k: v for k, v in result.items() if k != "runs"}
    lines = [json.dumps(head, sort_keys=True, indent=1)[:-2] + ',\n "runs": {']
    for name, methods in result["runs"].items():
        rows = [f'   "{method}": [\n' + ",\n".join("    " + json.dumps(
            part, sort_keys=True, separators=(",", ":")) for part in parts) + "]"
            for method, parts in methods.items()]
        lines.append(f'  "{name}": {{\n' + ",\n".join(rows) + "},")
    Path(path).write_text("\n".join(lines)[:-1] + "\n }\n}\n", encoding="utf-8")


def load(path=None):
    """The committed result (or another file of the same kind), a dict as `run` returns it.

    Errors: FileNotFoundError where there is none; ValueError for a file that is no sweep.
    """
    path = Path(path) if path else runtime.data_path(RESULT)
    result = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(result, dict) or not {"seeds", "settings", "runs"} <= result.keys():
        raise ValueError(f"path must lead to a result of the sweep; got {str(path)!r}")
    return result


def values(result, method, quantity, setting="full", at=-1):
    """One number a seed: a quantity at evaluation `at` (the last), or a number of the run: [seeds].

    quantity  one of QUANTITIES, the same after "far_" (held out; at 0 or -1), or one of "numbers"

    Errors: ValueError that lists what there is.
    """
    runs = result["runs"].get(setting, {})
    if method not in runs:
        raise ValueError(f"method must be one of {', '.join(runs)} in {setting!r}; got {method!r}")
    first = runs[method][0]
    if quantity in first["exact"]:
        return np.array([run["exact"][quantity][at] for run in runs[method]])
    if quantity.removeprefix("far_") in first["far"]:
        return np.array([run["far"][quantity.removeprefix("far_")][at] for run in runs[method]])
    if quantity in first["numbers"]:
        return np.array([run["numbers"][quantity] for run in runs[method]])
    known = [*QUANTITIES, *(f"far_{q}" for q in QUANTITIES), *first["numbers"]]
    raise ValueError(f"quantity must be one of {', '.join(known)}; got {quantity!r}")


def versions():
    """What computed a result: {"python", "numpy", "torch", "machine"}."""
    import torch

    return {"python": platform.python_version(), "numpy": np.__version__,
            "torch": torch.__version__, "machine": platform.machine()}


def rounded(value):
    """The same with four digits a number, arrays as lists; dicts and lists may be nested."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, (list, np.ndarray)):
        return [rounded(v) for v in value]
    return float(f"{float(value):.4g}") if isinstance(value, (float, np.floating)) else value


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m labutils.policy.sweep", description=__doc__)
    parser.add_argument("--seeds", type=int, default=8, help="how many paired seeds (default 8)")
    parser.add_argument("--jobs", type=int, help="processes side by side (default: CPU cores)")
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    parser.add_argument("--parts", type=Path, default=Path("_build/sweep"),
                        help="where finished runs wait (default _build/sweep)")
    parser.add_argument("--output", type=Path,
                        default=Path(__file__).parents[1] / "data" / RESULT)
    options = parser.parse_args(arguments)
    seeds = [runtime.seed(i) for i in range(options.seeds)]
    result = run(plan(), seeds, options.parts, options.jobs, options.device)
    save(result, options.output)
    print(f"wrote {options.output} ({options.output.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    sys.exit(main())
