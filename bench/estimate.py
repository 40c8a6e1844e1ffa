"""How fast: mutual information by neighbours, against scikit-learn's estimate of the same number.

    python bench/estimate.py                 10,000 and 100,000 points of a Gaussian pair
    python bench/estimate.py --points 5000   other sizes; --dims 3 (vectors), --rounds, --neighbours

The forms take turns, one run each a round, so that a busy moment of the machine hits all of them.
Times are medians over the rounds with the fastest and the slowest. Nothing here passes or fails.
infomeasure joins where it is installed.
"""

import argparse
import datetime
import os
import platform
import statistics
import time
from importlib.util import find_spec

import numpy as np
from labutils import benchmarks_mi, estimate
from sklearn.feature_selection import mutual_info_regression


def forms(k, dims):
    """The forms to compare: each takes x, y [n, dims] and returns nats; scikit-learn takes one coordinate a side."""
    found = {
        "labutils, KSG 1": lambda x, y: estimate.ksg(x, y, k),
        "labutils, KSG 2": lambda x, y: estimate.ksg(x, y, k, kind=2),
    }
    if dims == 1:
        found["scikit-learn"] = lambda x, y: mutual_info_regression(x, y[:, 0], n_neighbors=k, random_state=0)[0]
    if find_spec("infomeasure") is not None:
        import infomeasure

        found["infomeasure"] = lambda x, y: float(infomeasure.mutual_information(
            x.squeeze(), y.squeeze(), approach="ksg", k=k))
    return found


def measure(n, k, rounds, dims):
    pairs = [benchmarks_mi.gaussian(1.0 / dims).draw(n, np.random.default_rng(n + i)) for i in range(dims)]
    x, y = (np.concatenate(side, axis=1) for side in zip(*pairs, strict=True))
    x, y = x / x.std(axis=0), y / y.std(axis=0)  # scikit-learn scales both, and adds noise of 1e-10
    times, values = {}, {}
    for _ in range(rounds):
        for name, form in forms(k, dims).items():
            start = time.perf_counter()
            values[name] = form(x, y)
            times.setdefault(name, []).append(time.perf_counter() - start)
    return times, values


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--neighbours", type=int, default=4)
    parser.add_argument("--dims", type=int, default=1, help="independent pairs side by side, 1 nat together")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(f"{datetime.date.today():%d %B %Y}, {platform.machine()}, {os.cpu_count()} cores, load"
          f" {os.getloadavg()[0]:.1f}, NumPy {np.__version__}; truth 1 nat, k = {asked.neighbours}\n")
    base = "scikit-learn" if asked.dims == 1 else "labutils, KSG 1"
    print(f"| points | form | median ms (fastest to slowest) | {base} takes, times as long | nats | away from {base} |")
    print("|---|---|---|---|---|---|")
    for n in asked.points:
        times, values = measure(n, asked.neighbours, asked.rounds, asked.dims)
        middle = {name: statistics.median(t) for name, t in times.items()}
        for name, t in times.items():
            print(f"| {n} | {name} | {1000 * middle[name]:.0f} ({1000 * min(t):.0f} to {1000 * max(t):.0f}) |"
                  f" {middle[base] / middle[name]:.2f} | {values[name]:.5f} | {values[name] - values[base]:+.1e} |")


if __name__ == "__main__":
    main()
