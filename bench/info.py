"""How fast: measures of finite distributions, against the package dit.

    python bench/info.py                joint pmfs of 4 x 4 to 64 x 64, one at a time and 1000 at once
    python bench/info.py --rounds 9

dit's distributions are made outside the clock: only the measure is timed. The forms take turns. dit is in the
extra `bench`. Nothing here passes or fails.
"""

import argparse
import os
import statistics
import time
from importlib.util import find_spec

import numpy as np
from labutils import info

MEASURES = ("entropy", "mutual information", "conditional entropy", "Kullback-Leibler", "Jensen-Shannon", "Renyi entropy, order 2")


def ours(p, q):
    flat = (*p.shape[:-2], -1)
    a, b = p.reshape(flat), q.reshape(flat)
    return (lambda: info.entropy(a, base=2), lambda: info.mutual_information(p, base=2),
            lambda: info.conditional_entropy(p, base=2), lambda: info.kl(a, b, base=2),
            lambda: info.js(a, b, base=2), lambda: info.entropy(a, 2, base=2))


def theirs(p, q):
    import dit

    a, b = dit.Distribution.from_ndarray(p), dit.Distribution.from_ndarray(q)
    return (lambda: dit.shannon.entropy(a), lambda: dit.shannon.mutual_information(a, [0], [1]),
            lambda: dit.shannon.conditional_entropy(a, [0], [1]), lambda: dit.divergences.kullback_leibler_divergence(a, b),
            lambda: dit.divergences.jensen_shannon_divergence([a, b]), lambda: dit.other.renyi_entropy(a, 2))


def timed(call, least=0.02):
    """Seconds a call, over as many calls as take `least` seconds."""
    count, spent = 0, 0.0
    begin = time.perf_counter()
    while spent < least:
        value, count = call(), count + 1
        spent = time.perf_counter() - begin
    return spent / count, value


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--rounds", type=int, default=5)
    ask.add_argument("--sizes", type=int, nargs="+", default=[4, 16, 64])
    given = ask.parse_args()
    if find_spec("dit") is None:
        raise SystemExit("dit is not installed: pip install -e .[bench]")
    print(f"load {os.getloadavg()[0]:.1f}, NumPy {np.__version__}; microseconds a distribution\n")
    print("| measure | size | dit | labutils | labutils, 1000 at once | dit / one | dit / 1000 at once | differ by, bits |")
    print("|---|---|---|---|---|---|---|---|")
    for n in given.sizes:
        draw = np.random.default_rng(n).dirichlet(np.ones(n * n), size=(1000, 2)).reshape(1000, 2, n, n)
        one, many, other = ours(draw[0, 0], draw[0, 1]), ours(draw[:, 0], draw[:, 1]), theirs(draw[0, 0], draw[0, 1])
        for name, a, b, c in zip(MEASURES, one, many, other, strict=True):
            rounds = [[timed(call) for call in (c, a, b)] for _ in range(given.rounds)]
            dit, single, batch = (statistics.median(r[i][0] for r in rounds) * 1e6 for i in range(3))
            batch /= 1000
            off = abs(float(rounds[0][0][1]) - float(rounds[0][1][1]))
            print(f"| {name} | {n} x {n} | {dit:.0f} | {single:.1f} | {batch:.2f} | {dit / single:.2g} | {dit / batch:.2g} | {off:.0e} |")


if __name__ == "__main__":
    main()
