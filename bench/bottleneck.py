"""How fast and how exact: the curve of the bottleneck against the textbook iteration.

    python bench/bottleneck.py              a 10 x 10 joint pmf, 45 values of beta
    python bench/bottleneck.py --help       other sizes, fewer rounds

The forms take turns in one run. The textbook iteration runs from the finest encoder until p(z,y)
moves by less than the tolerance that `solve` reaches, or --most steps. Where the packages embo or
dit are installed, they take part. Nothing here passes or fails.
"""

import argparse
import importlib
import importlib.util
import statistics
import time

import numpy as np
from labutils import bottleneck


def textbook(pxy, betas, tol, most):
    """Plain NumPy, one beta after the other: (I(X;Z), I(Z;Y), values, steps)."""
    px = pxy.sum(1)
    rows = pxy / px[:, None]
    found = []
    for beta in betas:
        joint = pxy.copy()
        for count in range(most):
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
        ixz = (px[:, None] * q * np.log(q / pz + 1e-300)).sum()
        izy = (joint * np.log(joint / pz[:, None] / py)).sum()
        found.append((ixz, izy, ixz - beta * izy, count + 1))
    return np.array(found).T


def ours(pxy, betas, search=True):
    s = bottleneck.solve(pxy, betas, search=search)
    return np.array([s.i_xz, s.i_zy, s.value, s.gap])


def embo(pxy, betas):
    """Only where the package is installed; its own spacing of beta and its own stopping rule."""
    package = importlib.import_module("embo")
    return package.InformationBottleneck(pxy=pxy, minbeta=betas[0], maxbeta=betas[-1], numbeta=len(betas)).get_bottleneck()


def dit(pxy, betas):
    """Only where the package is installed; one optimisation a beta, by its own method."""
    package, rate = importlib.import_module("dit"), importlib.import_module("dit.rate_distortion")
    joint = package.Distribution.from_ndarray(pxy)
    return rate.IBCurve(joint, beta_min=betas[0], beta_max=betas[-1], beta_num=len(betas))


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--size", type=int, default=10)
    ask.add_argument("--betas", type=int, default=45)
    ask.add_argument("--rounds", type=int, default=3)
    ask.add_argument("--most", type=int, default=20_000)
    ask.add_argument("--tol", type=float, default=1.42e-14)
    given = ask.parse_args()
    pxy = np.random.default_rng(0).dirichlet(np.ones(given.size**2)).reshape(given.size, given.size)
    betas = np.geomspace(0.9, 20, given.betas) / bottleneck.contraction(pxy)
    forms = {"textbook": lambda: textbook(pxy, betas, given.tol, given.most), "solve, first descent only": lambda: ours(pxy, betas, False),
             "solve": lambda: ours(pxy, betas)}
    for name, form in (("embo", embo), ("dit", dit)):
        here = importlib.util.find_spec(name) is not None
        print(f"{name}: {'installed' if here else 'not installed, left out'}")
        if here:
            forms[name] = lambda form=form: form(pxy, betas)
    times, last = {name: [] for name in forms}, {}
    for _ in range(given.rounds):
        for name, form in forms.items():
            begin = time.process_time()
            last[name] = form()
            times[name].append(time.process_time() - begin)
    print(f"\n| form | processor seconds, median of {given.rounds} (fastest to slowest) | ratio |\n|---|---|---|")
    base = statistics.median(times["textbook"])
    for name, t in times.items():
        print(f"| {name} | {statistics.median(t):.2f} ({min(t):.2f} to {max(t):.2f}) | {base / statistics.median(t):.2f} |")
    a, b = last["textbook"], last["solve"]
    worse = a[2] - b[2]
    print(f"\nvalue of the textbook iteration minus that of solve: {worse.min():.1e} to {worse.max():.1e} nats")
    print(f"  above 1e-9 (a worse minimum, or stopped early) at {np.sum(worse > 1e-9)} of {len(betas)} values of beta,"
          f" {np.sum(a[3] >= given.most)} of which did not reach the tolerance in {given.most} steps")
    same = worse <= 1e-9
    print(f"  elsewhere I(X;Z) agrees to {abs(a[0] - b[0])[same].max():.1e}, I(Z;Y) to {abs(a[1] - b[1])[same].max():.1e}")
    print(f"largest gap of solve: {b[3].max():.1e}")


if __name__ == "__main__":
    main()
