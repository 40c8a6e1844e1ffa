"""How fast Langevin steps are: labutils.langevin against a loop over walkers, and against memory.

    python bench/langevin.py            1000 to 1,000,000 walkers of the swimmer in a trap
    python bench/langevin.py --help     other sizes and numbers of steps

The forms take turns, one run each a round, so that a busy moment of the machine hits all of them.
Times are medians over the rounds with the fastest and the slowest. Nothing here passes or fails.
"""

import argparse
import datetime
import math
import os
import platform
import statistics
import time

import numpy as np
from labutils import langevin

M, D = langevin.trapped_swimmer(1.3, 0.7, 0.5, 0.4)
DT = 0.01


def loop(z, noise):
    """One walker after the other, one step after the other: what one writes first."""
    (m00, m01), (m10, m11) = M.tolist()
    s0, s1 = (math.sqrt(2 * DT * D[i, i]) for i in (0, 1))
    out = np.empty_like(z)
    for w in range(len(z)):
        x, g = z[w].tolist()
        for a, b in noise[:, w].tolist():
            x, g = x + DT * (m00 * x + m01 * g) + s0 * a, g + DT * (m10 * x + m11 * g) + s1 * b
        out[w] = x, g
    return out


def package(z, noise):
    return langevin.simulate(M, D, z, DT, len(noise), noise=noise)


def seconds(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    if "torch" in type(result).__module__ and result.device.type == "cuda":
        import torch

        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def copying(size, repeats):
    """GB/s of copying `size` bytes in NumPy, read and written both counted."""
    source = np.ones(max(size // 8, 1))
    target = np.ones_like(source)
    times = [seconds(np.copyto, target, source)[0] for _ in range(repeats + 1)][1:]
    return 2 * source.nbytes / statistics.median(times) / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--walkers", type=int, nargs="+", default=[1000, 30000, 1000000])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "-"
    print(f"{datetime.date.today()}  {platform.machine()}, {os.cpu_count()} cores, {platform.system()}")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}; load {load}; {options.repeats} rounds\n")
    try:
        import torch
    except ModuleNotFoundError:
        torch = None
    print("| walkers | form | median ns a step (fastest to slowest) | times the loop | GB/s | share of copying | largest difference |")
    print("|---|---|---|---|---|---|---|")
    for walkers in options.walkers:
        rng = np.random.default_rng(0)
        z, noise = rng.standard_normal((walkers, 2)), rng.standard_normal((options.steps, walkers, 2))
        few = min(walkers, 20000)  # the loop takes as long for each walker: it runs on some of them
        forms = {"loop": (loop, (z[:few], noise[:, :few]), few), "labutils, NumPy": (package, (z, noise), walkers)}
        if torch is not None:
            for device in ["cpu"] + (["cuda"] if torch.cuda.is_available() else []):
                arguments = tuple(torch.tensor(a, device=device) for a in (z, noise))
                forms[f"labutils, torch on {device}"] = (package, arguments, walkers)
        times, wanted = {name: [] for name in forms}, None
        for turn in range(options.repeats + 1):
            for name, (form, arguments, count) in forms.items():
                spent, result = seconds(form, *arguments)
                result = np.asarray(result.cpu() if hasattr(result, "cpu") else result)[:few]
                wanted = result if wanted is None else wanted
                if turn:
                    times[name].append(1e9 * spent / count / options.steps)
                forms[name] = (form, arguments, count)
                times.setdefault(name + " off", []).append(float(np.abs(result - wanted).max()))
        rate = copying(z.nbytes, options.repeats)
        base = statistics.median(times["loop"])
        for name in forms:
            median = statistics.median(times[name])
            moved = 3 * 16 / median  # a step reads a state and two normals, and writes a state: 48 bytes
            on_cpu = "cuda" not in name and name != "loop"
            print(f"| {walkers} | {name} | {median:.3g} ({min(times[name]):.3g} to {max(times[name]):.3g}) | "
                  f"{base / median:.1f} | {moved:.2f} | {f'{moved / rate:.0%}' if on_cpu else '-'} | "
                  f"{max(times[name + ' off']):.1e} |")
    print(f"\nCopying a state of this size: {rate:.1f} GB/s (the last size). A step of the package makes some")
    print("ten passes over the states (drift, product, sum, test that all is finite), so it cannot reach the share 1.")


if __name__ == "__main__":
    main()
