"""Error against cost: solvers of the nonlinear Schrödinger equation on two solitons that meet.

    python bench/nlse.py                  every method of labutils.nlse over tolerances, T = 10, and the
                                          package simple-idealized-1d-nlse where it is installed (extra `bench`)
    python bench/nlse.py --batch 256      then a batch of fields: time beside that of its transforms alone
                                          (on a GPU where there is one, with 1024 fields)

The unit that does not depend on the machine is the number of fast Fourier transforms of one field. Errors are
relative root mean squares against the exact solution. Nothing here passes or fails.
"""

import argparse
import contextlib
import datetime
import io
import os
import statistics
import time
import warnings
from importlib.util import find_spec

import numpy as np
from labutils import nlse

LENGTH, END = 50.0, 10.0
PAIR = {"amplitude": (2.0, 1.5), "velocity": (2.0, -2.0), "centre": (-9.86174986, 9.81566648), "phase": (6.00371651, 0.06140795)}
TOLERANCES = {
    "strang": (1e-5, 1e-6, 1e-7),
    "yoshida4": (1e-6, 1e-7, 1e-8, 1e-9),
    "suzuki4": (1e-6, 1e-7, 1e-8, 1e-9),
    "etdrk4": (1e-6, 1e-7, 1e-8, 1e-9),
    "interaction": (3e-6, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10),
    "filtered": (1e-6, 1e-9),
}


def wave(points, t):
    return nlse.solitons(nlse.ring(points, LENGTH).x, t, **PAIR)


def published(points, rtol=1e-9, filtering=True):
    """The package of the paper, as it comes: (field at the end, transforms)."""
    from simple_idealized_1d_nlse.core.solver import NLSESolver

    count = {"n": 0}
    inner = {name: getattr(np.fft, name) for name in ("fft", "ifft")}

    def counted(name):
        def call(*args, **named):
            count["n"] += 1
            return inner[name](*args, **named)

        return call

    for name in inner:
        setattr(np.fft, name, counted(name))
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            solver = NLSESolver(LENGTH, points, use_filtering=filtering, verbose=False)
            made = solver.solve(wave(points, 0.0), END, 2, rtol=rtol, show_progress=False, monitor_conservation=False)
    finally:
        for name, function in inner.items():
            setattr(np.fft, name, function)
    fields = np.asarray(made["psi"])
    return fields[-1] if fields.shape[-1] == points else fields[:, -1], count["n"]


def race(points, rounds):
    truth = wave(points, END)

    def row(name, call):
        times = []
        for _ in range(rounds):
            begin = time.process_time()
            psi, transforms = call()
            times.append(time.process_time() - begin)
        error = np.linalg.norm(psi - truth) / np.linalg.norm(truth)
        print(f"| {points} | {name} | {error:.1e} | {transforms} | {1e3 * statistics.median(times):.0f}"
              f" ({1e3 * min(times):.0f} to {1e3 * max(times):.0f}) |", flush=True)

    if find_spec("simple_idealized_1d_nlse"):
        row("simple-idealized-1d-nlse, as it comes (rtol 1e-9)", lambda: published(points))
        row("the same, rtol 1e-3", lambda: published(points, 1e-3))
        row("the same, no filter", lambda: published(points, filtering=False))
    for method, tolerances in TOLERANCES.items():
        for tol in tolerances:
            def ours(method=method, tol=tol):
                s = nlse.solve(wave(points, 0.0), [0.0, END], LENGTH, method=method, tol=tol)
                return s.psi[-1], s.transforms

            row(f"{method}, tol {tol:g}", ours)


def batch(fields, points, rounds):
    """Solitons of many speeds at once, interaction picture, one unit of time; then its transforms alone."""
    libraries = [("NumPy", lambda a: a, lambda: None, np.fft, fields)]
    if find_spec("torch"):
        import torch

        if torch.cuda.is_available():
            libraries.append((f"torch on {torch.cuda.get_device_name()}", lambda a: torch.as_tensor(a).cuda(), torch.cuda.synchronize, torch.fft, 1024))
        else:
            libraries.append(("torch on the CPU", torch.as_tensor, lambda: None, torch.fft, fields))
    for name, put, wait, transform, count in libraries:
        g = nlse.ring(points, LENGTH)
        psi = put(np.stack([nlse.soliton(g.x, velocity=v) for v in np.linspace(-2, 2, count)]))
        whole, alone = [], []
        for _ in range(rounds):
            begin = time.perf_counter()
            s = nlse.solve(psi, [0.0, 1.0], LENGTH, method="suzuki4", dt=0.005)
            wait()
            whole.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            for _ in range(s.transforms // 2):
                transform.ifft(transform.fft(psi))
            wait()
            alone.append(time.perf_counter() - begin)
        spent, bare = statistics.median(whole), statistics.median(alone)
        print(f"| {name} | {count} x {points} | {spent:.2f} | {bare:.2f} | {bare / spent:.0%} | {count * s.transforms / spent:,.0f} |")


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--points", type=int, nargs="+", default=[512, 1024])
    ask.add_argument("--rounds", type=int, default=3)
    ask.add_argument("--batch", type=int, default=64)
    given = ask.parse_args()
    warnings.simplefilter("ignore")
    print(f"{datetime.date.today():%d %B %Y}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, NumPy {np.__version__}\n")
    print("| points | method | relative error | transforms | processor ms, median (fastest to slowest) |\n|---|---|---|---|---|")
    for points in given.points:
        race(points, given.rounds)
    print("\n| library | fields x points | seconds | transforms alone | share | transforms of a field a second |\n|---|---|---|---|---|---|")
    batch(given.batch, 512, given.rounds)


if __name__ == "__main__":
    main()
