"""How fast and how exact: the curve of the bottleneck against a plain loop, embo and dit.

    python bench/bottleneck_curve.py        a 10 x 10 joint pmf at 45 values of beta, up to 20 and up to 5
                                            times the first that matters; then 6 x 6 at 11 for dit
    python bench/bottleneck_curve.py --seeds 3      more joint pmfs; --rounds, --help

Each form takes the same joint pmf and the same betas in one process and on one thread. The value of a form is
I(X;Z) - beta I(Z;Y), computed by its own package and turned into nats; `solve` proves how far its own may lie
above the least one, so that the others can be judged by it. embo takes the divergence in bits into an
exponential of base e, so that its beta is ln 2 times the usual one: it is given beta ln 2. embo and dit are
in the extra `bench`; a form whose package is missing is named and left out. Nothing here passes or fails.
"""

import argparse
import importlib.util
import os
import statistics
import time

import numpy as np
from labutils import bottleneck

LOG2 = np.log(2)


def textbook(pxy, betas, tol=1.42e-14, most=20_000):
    """The plain iteration from the finest encoder: values of I(X;Z) - beta I(Z;Y) in nats."""
    px = pxy.sum(1)
    rows = pxy / px[:, None]
    found = []
    for beta in betas:
        joint = pxy.copy()
        for _ in range(most):
            pz = joint.sum(1)
            s = joint / pz[:, None]
            D = (rows * np.log(rows)).sum(1)[:, None] - rows @ np.log(s).T
            q = pz * np.exp(-beta * D)
            q /= q.sum(1, keepdims=True)
            after = q.T @ pxy
            moved, joint = abs(after - joint).max(), after
            if moved < tol:
                break
        pz, py = joint.sum(1), pxy.sum(0)
        i_xz = (px[:, None] * q * np.log(q / pz + 1e-300)).sum()
        found.append(i_xz - beta * (joint * np.log(joint / pz[:, None] / py)).sum())
    return np.array(found)


def ours(pxy, betas):
    return bottleneck.solve(pxy, betas).value


def embo(pxy, betas, iterations=100, rtol=1e-3, restarts=3):
    """Its iteration, one beta after the other, without the pool of processes that it would start."""
    from embo import InformationBottleneck

    np.random.seed(0)
    px, py, found = pxy.sum(1), pxy.sum(0), []
    for beta in betas:
        i_x, i_y, *_ = InformationBottleneck.beta_iter(1, beta * LOG2, px, py, pxy.T / px, len(px), restarts, iterations, rtol)
        found.append(LOG2 * (i_x - beta * i_y))
    return np.array(found)


def dit(pxy, betas):
    from dit import Distribution
    from dit.rate_distortion import IBCurve

    made = IBCurve(Distribution.from_ndarray(pxy), beta_min=betas[0], beta_max=betas[-1], beta_num=len(betas))
    return LOG2 * (made.complexities - betas * made.relevances)


FORMS = {
    "solve, with its certificate": (ours, None),
    "plain loop to 1e-14": (textbook, None),
    "embo as it comes (rtol 1e-3, 100 steps)": (embo, "embo"),
    "embo, rtol 1e-12": (lambda p, b: embo(p, b, 20_000, 1e-12), "embo"),
    "embo, rtol 1e-15": (lambda p, b: embo(p, b, 20_000, 1e-15), "embo"),
    "dit, as it comes (an optimiser)": (dit, "dit"),
}


def compare(title, pxy, betas, forms, rounds):
    times, values = {}, {}
    for _ in range(rounds):
        for name in forms:
            begin = time.process_time()
            values[name] = FORMS[name][0](pxy, betas)
            times.setdefault(name, []).append(time.process_time() - begin)
    base = statistics.median(times["solve, with its certificate"])
    gap = float(bottleneck.solve(pxy, betas).gap.max())
    for name, t in times.items():
        above = values[name] - values["solve, with its certificate"]
        print(f"| {title} | {name} | {statistics.median(t):.2f} ({min(t):.2f} to {max(t):.2f}) | {statistics.median(t) / base:.2g} |"
              f" {above.max():.1e} | {np.sum(above > 1e-6)} | {above.min():.0e} |")
    print(f"| {title} | largest gap of solve | | | {gap:.0e} | | |")


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--seeds", type=int, default=2)
    ask.add_argument("--rounds", type=int, default=3)
    ask.add_argument("--no-dit", action="store_true", help="dit takes a quarter of a minute")
    given = ask.parse_args()
    missing = {package for _, package in FORMS.values() if package and importlib.util.find_spec(package) is None}
    for package in sorted(missing):
        print(f"{package} is not installed and left out: pip install -e .[bench]")
    print(f"load {os.getloadavg()[0]:.1f}, NumPy {np.__version__}\n")
    print("| problem | form | processor s, median (fastest to slowest) | times solve | highest above solve, nats | above by 1e-6 at | lowest |")
    print("|---|---|---|---|---|---|---|")
    here = [name for name, (_, package) in FORMS.items() if package not in missing]
    for seed in range(given.seeds):
        pxy = np.random.default_rng(seed).dirichlet(np.ones(100)).reshape(10, 10)
        for most in (20, 5):
            betas = np.linspace(0.9, most, 45) / bottleneck.contraction(pxy)
            compare(f"{seed}, to {most}", pxy, betas, [n for n in here if not n.startswith("dit")], given.rounds)
    if given.no_dit or "dit" in missing:
        return
    pxy = np.random.default_rng(0).dirichlet(np.ones(36)).reshape(6, 6)
    compare("6 x 6", pxy, np.linspace(0.9, 5, 11) / bottleneck.contraction(pxy), here, 1)


if __name__ == "__main__":
    main()
