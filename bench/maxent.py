"""How fast, and how exactly alike: maxent.solve on a batch against scipy on the same dual, one at a time.

    python bench/maxent.py                   1000 problems of 4 constraints on 50 states
    python bench/maxent.py --help            other sizes

Both minimise log Z(lambda) + lambda.F from lambda = 0 until no mean is off by more than the same
tolerance; scipy's BFGS gets the exact gradient. They take turns, one run each a round. Times are
medians over the rounds with the fastest and the slowest. Nothing here passes or fails.
"""

import argparse
import datetime
import os
import platform
import statistics
import time

import numpy as np
import scipy
from labutils import maxent
from scipy.optimize import minimize


def problems(count, constraints, states, seed):
    """Random features in [-1, 1], and means that some pmf has."""
    rng = np.random.default_rng(seed)
    f = rng.uniform(-1, 1, (count, constraints, states))
    inside = rng.dirichlet(np.ones(states), count)
    return f, np.einsum("bax,bx->ba", f, inside)


def in_a_batch(f, F, tol):
    found = maxent.solve(f, F, tol=tol)
    return found.pmf, found.entropy


def one_at_a_time(f, F, tol):
    """BFGS with the exact gradient, one problem after the other."""
    pmfs, values = [], []
    for features, target in zip(f, F):
        g = features - target[:, None]

        def dual(lam, g=g):
            power = -lam @ g
            top = power.max()
            weights = np.exp(power - top)
            total = weights.sum()
            return top + np.log(total), -(g @ weights) / total

        found = minimize(dual, np.zeros(len(target)), jac=True, method="BFGS", options={"gtol": tol})
        weights = np.exp(-found.x @ g - found.fun)
        pmfs.append(weights / weights.sum())
        values.append(found.fun)
    return np.array(pmfs), np.array(values)


def seconds(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--constraints", type=int, default=4)
    parser.add_argument("--states", type=int, default=50)
    parser.add_argument("--tolerance", type=float, default=1e-8, help="largest |mean - target|")
    parser.add_argument("--repeats", type=int, default=5, help="rounds that are timed")
    options = parser.parse_args()

    f, F = problems(options.problems, options.constraints, options.states, seed=0)
    ways = {"maxent.solve, one batch": in_a_batch, "scipy BFGS, one at a time": one_at_a_time}
    times, results = {name: [] for name in ways}, {}
    for name, way in ways.items():
        results[name] = way(f, F, options.tolerance)
    for _ in range(options.repeats):
        for name, way in ways.items():
            times[name].append(seconds(way, f, F, options.tolerance)[0])

    print(f"{datetime.date.today()}  {os.cpu_count()} cores, {platform.system()}, load {os.getloadavg()[0]:.1f}")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}")
    print(f"\n{options.problems} problems, {options.constraints} constraints, {options.states} states, "
          f"tolerance {options.tolerance:g}; {options.repeats} rounds\n")  # fmt: skip
    print("| way | median ms (fastest to slowest) | times the other | largest error of a mean |")
    print("|---|---|---|---|")
    slow = statistics.median(times["scipy BFGS, one at a time"])
    for name, spent in times.items():
        error = np.abs(np.einsum("bax,bx->ba", f, results[name][0]) - F).max()
        median = statistics.median(spent)
        print(f"| {name} | {1e3 * median:.4g} ({1e3 * min(spent):.4g} to {1e3 * max(spent):.4g}) | "
              f"{slow / median:.1f} | {error:.1e} |")  # fmt: skip
    (p, H), (q, value) = results.values()
    print(f"\nAgreement: pmfs differ by at most {np.abs(p - q).max():.1e}, entropies by {np.abs(H - value).max():.1e} nats.")


if __name__ == "__main__":
    main()
