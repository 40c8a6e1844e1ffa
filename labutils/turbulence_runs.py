"""Long runs behind the chapter "Turbulence on a coarse grid" (waves/turbulence): a fine flow, coarse ones with eddy viscosities, and closures rewarded by a spectrum.

    python -m labutils.turbulence_runs flow      128² points, then 32² with ten constants (about 7 minutes on one core)
    python -m labutils.turbulence_runs lorenz    the same questions in two-layer Lorenz-96 (about 12 minutes)
    python -m labutils.turbulence_runs longer    cubics that are trained longer, on snapshots of their own (about 2 minutes)

Without a word it makes all. Units: those of `turbulence` and `closure`; entropies in nats.
"""

import json
import sys
from pathlib import Path

import numpy as np

from labutils import closure, turbulence
from labutils.runtime import data_path, progress

RESULT = "turbulence.json"
FINE, COARSE = 128, 32
VISCOSITY, DRAG, STIR, STRENGTH = 2e-3, 0.1, 4, 4.0
FINE_STEP, COARSE_STEP = 0.006, 0.02
GAP, SNAPSHOTS, BLOCKS, SAMPLES = 3.0, 120, 12, 8
"""Time between snapshots, their number, blocks for error bars, and the few whose spectrum a closure is shown."""
EDGES = np.arange(-32, 33) / 4
"""Edges of the histogram of vorticity, in standard deviations of the truth (of what the coarse grid keeps of it)."""
CONSTANTS = (0.0, 0.08, 0.12, 0.15, 0.18, 0.2, 0.22, 0.25, 0.3, 0.4)
SEEDS, TEST, SETTLE = 4, 100.0, 20.0
"""Runs for each constant, how long they are measured, and how long they settle before."""
LAYERS = closure.TwoLayer()
MEMBERS, LORENZ_TIME, FEW, STEP = 16, 400.0, 24, 0.02
X_EDGES = np.arange(-10, 16.01, 0.5)
"""Edges of the histogram of X."""
DRAGS = np.arange(0, 21) * 0.05
"""Values of the one constant a of U = -a X."""
NUMBERS = {"line": 2, "cubic": 4}
TRAINED, TEST_TIME = 8, 200.0
"""Training seeds of each closure of the two-layer system; length of its test runs, of which there are 16 side by side."""
SETS, LONGER, GENERATIONS = 8, 4, (24, 60)
"""Fresh sets of FEW snapshots; on how many of them a cubic is trained longer; after how many generations it is tested."""
SLICE = {"free": 4, "seed": 0, "generations": 2, "time": 1.6, "settle": 0.4}
"""A piece of training so short that the chaos does not magnify the rounding of one processor."""


# The flow --------------------------------------------------------------------------------------------


def stirred(points, eddy=None, constant=0.0):
    """The flow of this chapter on N² points: viscosity 0.002, drag 0.1, a steady force at wavenumber 4."""
    made = turbulence.grid(points)
    return turbulence.Flow(made, VISCOSITY, DRAG, turbulence.kolmogorov(made, STIR, STRENGTH), eddy, constant)


def histogram(field, unit):
    """Counts of field/unit in the bins of EDGES, with one more at each end for what lies outside: [bins + 2]."""
    bins = np.concatenate([[-np.inf], EDGES, [np.inf]])
    return np.histogram(np.asarray(field).ravel() / unit, bins)[0]


def truth(seed=0):
    """Runs the fine flow; returns {spectrum [snapshots, 42], kept (snapshots on the coarse grid), last (fine coefficients)}."""
    flow, rng = stirred(FINE), np.random.default_rng(seed)
    w = turbulence.random_flow(rng, flow.made, 3, 6)
    each = round(GAP / FINE_STEP)
    w = turbulence.run(w, flow, 14 * each, FINE_STEP, every=14 * each)[-1]
    coarse, fine, kept = turbulence.grid(COARSE), [], []
    for _ in progress(range(SNAPSHOTS)):
        w = turbulence.run(w, flow, each, FINE_STEP, every=each)[-1]
        fine.append(turbulence.spectrum(w[0], flow.made))
        kept.append(turbulence.resized(w[0], flow.made, coarse))
    return {"spectrum": np.stack(fine), "kept": np.stack(kept), "last": w[0]}


def packed(w, cut):
    """The modes |k_x|, |k_y| <= cut of one flow as two lists of numbers, to 5 digits."""
    block = np.concatenate([w[-cut:, :cut + 1], w[:cut + 1, :cut + 1]])
    return [[float(f"{v:.5g}") for v in part.ravel()] for part in (block.real, block.imag)]


def unpacked(lists, made):
    """The flow again, on a grid with that cut."""
    c = made.cut
    block = (np.array(lists[0]) + 1j * np.array(lists[1])).reshape(2 * c + 1, c + 1)
    w = np.zeros((made.points, made.points // 2 + 1), dtype=complex)
    w[-c:, :c + 1], w[:c + 1, :c + 1] = block[:c], block[c:]
    return w


def measured(flow, w, unit, time, *, settle=30.0, every=1.0):
    """(spectrum [runs, K] averaged over the time, histogram [runs, bins]) of coarse flows started at w [runs, ...]."""
    each = round(every / COARSE_STEP)
    w = turbulence.run(w, flow, round(settle / COARSE_STEP), COARSE_STEP, every=round(settle / COARSE_STEP))[-1]
    power, counts = 0.0, 0
    for _ in range(round(time / every)):
        w = turbulence.run(w, flow, each, COARSE_STEP, every=each)[-1]
        power = power + turbulence.spectrum(w, flow.made)
        fields = turbulence.to_space(w, flow.made.points)
        counts = counts + np.stack([histogram(f, unit) for f in fields])
    return power / round(time / every), counts


def sweep(start, unit, eddy="leith"):
    """Coarse flows with each of CONSTANTS, SEEDS runs each from different snapshots of the truth: (spectrum
    [constants, seeds, K], histogram [constants, seeds, bins])."""
    which = np.tile(np.linspace(0, len(start) - 1, SEEDS).astype(int), len(CONSTANTS))
    flow = stirred(COARSE, eddy, np.repeat(CONSTANTS, SEEDS))
    power, counts = measured(flow, start[which], unit, TEST, settle=SETTLE)
    return power.reshape(len(CONSTANTS), SEEDS, -1), counts.reshape(len(CONSTANTS), SEEDS, -1)


def flow_results(found):
    """Everything stored about the flow, from what `truth` returns: a dict of lists.

    The few snapshots that a constant is tuned on are from the first third of the run; the blocks that it is tested on
    are the rest.
    """
    coarse, fine = turbulence.grid(COARSE), turbulence.grid(FINE)
    kept = found["kept"]
    third = len(kept) // 3
    few, rest = kept[np.linspace(0, third - 1, SAMPLES).astype(int)], np.array_split(kept[third:], BLOCKS)
    unit = float(np.std(turbulence.to_space(kept, COARSE)))
    power, counts = sweep(kept[third:], unit)
    return {
        "unit": float(f"{unit:.6g}"), "fine power": _short(found["spectrum"].mean(0)), "fine tail": float(f"{turbulence.tail(found['last'], fine):.3g}"),
        "few power": _short(turbulence.spectrum(few, coarse).mean(0)),
        "power": _short(np.stack([turbulence.spectrum(b, coarse).mean(0) for b in rest])),
        "counts": [histogram(turbulence.to_space(b, COARSE), unit).tolist() for b in rest],
        "leith power": _short(power), "leith counts": counts.tolist(), "last": packed(found["last"], fine.cut)}


def mismatch(power, target):
    """Mean over rings 1..cut of (log spectrum - log target)²; the reward of a policy is its negative."""
    cut = turbulence.grid(COARSE).cut
    return np.mean((np.log(power[..., :cut]) - np.log(target[..., :cut])) ** 2, axis=-1)


# Two-layer Lorenz-96 ---------------------------------------------------------------------------------


def layers_truth(seed=0):
    """Long runs of both layers: {x [time, members, K], push likewise}, every 0.2."""
    rng, gap = np.random.default_rng(seed), round(0.2 / 0.0025)
    z, kept = closure.settled(LAYERS, MEMBERS, rng), []
    for _ in progress(range(round(LORENZ_TIME / 2))):
        path = closure.run_truth(LAYERS, z, 10 * gap, every=gap)[1:]
        z = path[-1]
        kept.append(path)
    path = np.concatenate(kept)
    return {"x": path[..., :LAYERS.slow], "push": LAYERS.push(path)}


def few_of(path):
    """FEW snapshots of a long run [time, members, K], far apart: [FEW, K]."""
    times = np.linspace(0, len(path) - 1, FEW).astype(int)
    return np.stack([path[t, i % path.shape[1]] for i, t in enumerate(times)])


def slow_runs(x0, theta, rng=None, noise=None, *, time=100.0, settle=20.0, jitter=None):
    """Spectra [runs, K//2+1] and counts [runs, bins + 2] of runs from x0 [members, K] with theta [runs, p].

    noise   None, or (size, memory) of a random part, drawn from rng
    jitter  None, or a generator that moves each start by a hundredth, so that equal closures give independent runs
    """
    members, runs = len(x0), len(theta)
    x = np.tile(x0, (runs, 1))
    if jitter is not None:
        x = x + 0.01 * jitter.normal(size=x.shape)
    each = np.repeat(np.asarray(theta, dtype=float), members, axis=0)
    noise = None if noise is None else (*noise, rng)
    power, counts, n = 0.0, 0, 0
    x = closure.run(x, each, round(settle / STEP), STEP, every=round(settle / STEP), noise=noise, strict=False)[-1]
    for _ in range(round(time / 10)):
        path = closure.run(x, each, 500, STEP, every=10, noise=noise, strict=False)
        x, path = path[-1], path[1:].reshape(50, runs, members, -1)
        power = power + np.stack([np.mean(abs(np.fft.rfft(path[:, r], axis=-1, norm="forward")) ** 2, axis=(0, 1)) for r in range(runs)])
        counts = counts + np.stack([np.histogram(path[:, r].ravel(), np.concatenate([[-np.inf], X_EDGES, [np.inf]]))[0] for r in range(runs)])
        n += 1
    return power / n, counts


def rewarded(free, few, seed, generations=24, time=20.0, settle=4.0, start=None):
    """A closure of so many numbers whose only reward is the spectrum of the few: a `closure.Search`."""
    rng, target, members = np.random.default_rng(seed), np.asarray(closure.spectrum(few)), 8

    def score(theta):
        x = np.tile(few[rng.integers(0, len(few), members)], (len(theta), 1))
        path = closure.run(x, np.repeat(theta, members, axis=0), round((settle + time) / STEP), STEP, every=10, strict=False)
        path = path[round(settle / STEP / 10) + 1:].reshape(-1, len(theta), members, few.shape[-1])
        power = np.mean(abs(np.fft.rfft(path, axis=-1, norm="forward")) ** 2, axis=(0, 2))
        alive = np.all(np.isfinite(power), axis=-1)
        return np.where(alive, -closure.mismatch(np.where(alive[:, None], power, 1.0), target), -np.inf)

    return closure.evolve(score, np.zeros(free) if start is None else start, 0.7, rng, generations=generations, population=16)


def forecasts(seed, thetas):
    """Root mean square error in each 0.1 of a forecast from a true X, over sqrt(2) standard deviations: {name: [21]}.

    thetas  {name: [p] or [n, p]}; several of one name are averaged
    """
    z = closure.settled(LAYERS, 48, np.random.default_rng(seed))
    true = closure.run_truth(LAYERS, z, 800, every=40)[..., :LAYERS.slow]
    spread, found = true.std() * np.sqrt(2), {}
    for name, theta in thetas.items():
        errors = []
        for row in np.atleast_2d(theta):
            path = closure.run(true[0], row, 100, STEP, every=5, strict=False)
            errors.append(np.sqrt(np.mean((path - true) ** 2, axis=(1, 2))) / spread)
        found[name] = np.mean(errors, axis=0)
    return found


def lorenz(path, thetas=None):
    """Everything stored about the two-layer system, from a long run of the truth: a dict of lists."""
    few, push = few_of(path["x"]), few_of(path["push"])
    searches = {name: [rewarded(free, few, seed) for seed in range(TRAINED)] for name, free in NUMBERS.items()} if thetas is None else None
    if thetas is None:
        thetas = {name: np.stack([s.means[-1] for s in found]) for name, found in searches.items()}
        thetas |= {name + " scores": np.stack([s.scores for s in found]) for name, found in searches.items()}
    x0 = closure.settled(LAYERS, MEMBERS, np.random.default_rng(99))[:, :LAYERS.slow]
    rng, same = np.random.default_rng(100), lambda row: np.tile(row, (TRAINED, 1))
    many, rest = closure.fit(path["x"], path["push"])
    line, cubic = closure.fit(few, push, 1)[0], closure.fit(few, push)[0]
    drags = np.stack([0 * DRAGS, -closure.SCALE * DRAGS], axis=1)
    power, counts = slow_runs(x0, drags, time=TEST_TIME)
    target = np.asarray(closure.spectrum(few))
    best = drags[int(np.argmin(closure.mismatch(power, target)))]
    size = float(rest.std())
    fine = closure.run_truth(LAYERS, closure.settled(LAYERS, 4, np.random.default_rng(7)), 4000, every=8)       # every 0.02, as the model steps
    miss = LAYERS.push(fine) - closure.polynomial(fine[..., :LAYERS.slow], many)
    memory = closure.lag_correlation(miss)
    arms = {"none": same(np.zeros(2)), "one number": same(best), "fit few": same(cubic), "fit line": same(line), "fit many": same(many),
            "noise": same(many), "line": thetas["line"], "cubic": thetas["cubic"]}
    out = {"few": _short(few, 5), "few push": _short(push, 5), "size": size, "memory": memory, "drags power": _short(power), "drags counts": counts.tolist(), "best": best.tolist()}
    members = np.split(path["x"], MEMBERS, axis=1)
    out["truth power"] = _short(np.stack([np.asarray(closure.spectrum(m)) for m in members]))
    out["truth counts"] = [np.histogram(m.ravel(), np.concatenate([[-np.inf], X_EDGES, [np.inf]]))[0].tolist() for m in members]
    out["mean"], out["spread"] = float(f"{path['x'].mean():.6g}"), float(f"{path['x'].std():.6g}")
    for name, theta in arms.items():
        power, counts = slow_runs(x0, theta, rng, (size, memory) if name == "noise" else None, time=TEST_TIME, jitter=rng)
        out[name] = {"theta": _short(theta, 6), "power": _short(power), "counts": counts.tolist()}
    out["forecasts"] = {name: _short(f) for name, f in forecasts(5, {name: (arms[name] if name in ("line", "cubic") else arms[name][:1]) for name in arms if name != "noise"}).items()}
    out["scores"] = {name: _short(thetas[name + " scores"]) for name in NUMBERS}
    s = rewarded(SLICE["free"], few, SLICE["seed"], SLICE["generations"], SLICE["time"], SLICE["settle"])
    out["slice"] = _short(s.means[-1], 8)
    return out


def longer(seed=21):
    """Cubics trained on fresh sets of snapshots, tested on the way and at the end, and least squares on the same: a dict of lists.

    "sets power" [SETS, K//2+1] are the spectra of the sets; "cubic" and "fit" hold theta, spectra and counts of the test
    runs, "cubic" [len(GENERATIONS), LONGER, ...], "fit" [LONGER, ...].
    """
    rng = np.random.default_rng(seed)
    z = closure.settled(LAYERS, SETS * FEW, rng, time=20.0).reshape(SETS, FEW, LAYERS.dim)
    x, push = z[..., :LAYERS.slow], LAYERS.push(z)
    means = [rewarded(NUMBERS["cubic"], x[i], i, generations=max(GENERATIONS)).means for i in range(LONGER)]
    cubic = np.stack([[m[g] for m in means] for g in GENERATIONS])
    fitted = np.stack([closure.fit(x[i], push[i])[0] for i in range(LONGER)])
    x0 = closure.settled(LAYERS, MEMBERS, np.random.default_rng(99))[:, :LAYERS.slow]
    power, counts = slow_runs(x0, np.concatenate([cubic.reshape(-1, cubic.shape[-1]), fitted]), time=TEST_TIME, jitter=rng)
    shape = (len(GENERATIONS), LONGER, -1)
    return {"sets power": _short(np.stack([np.asarray(closure.spectrum(s)) for s in x])),
            "cubic": {"theta": _short(cubic, 6), "power": _short(power[:-LONGER].reshape(shape)), "counts": counts[:-LONGER].reshape(shape).tolist()},
            "fit": {"theta": _short(fitted, 6), "power": _short(power[-LONGER:]), "counts": counts[-LONGER:].tolist()}}


def _short(values, digits=4):
    """Nested lists of an array, to so many digits."""
    return json.loads(json.dumps(np.asarray(values).tolist()), parse_float=lambda v: float(f"{float(v):.{digits}g}"))


def load():
    """The stored runs: {"flow": ..., "lorenz": ..., "longer": ...}."""
    return json.loads(data_path(RESULT).read_text(encoding="utf8"))


if __name__ == "__main__":
    target = Path(__file__).parent / "data" / RESULT
    asked = set(sys.argv[1:]) or {"flow", "lorenz", "longer"}
    if asked - {"flow", "lorenz", "longer"}:
        raise SystemExit(f"turbulence_runs takes flow, lorenz or longer; got {' '.join(sorted(asked))}")
    results = load() if target.is_file() else {}
    if "flow" in asked:
        results["flow"] = flow_results(truth())
    if "lorenz" in asked:
        results["lorenz"] = lorenz(layers_truth())
    if "longer" in asked:
        results["longer"] = longer()
    target.write_text(json.dumps(results, separators=(",", ":")) + "\n", encoding="utf8")
