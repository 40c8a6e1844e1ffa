"""Small networks on handwritten digits, and what each estimator says of their layers.

Recreates the result file behind the lab information-bottleneck-plane of the chapter "The information
bottleneck, exact and contested" (bottleneck/information-bottleneck): python -m labutils.plane_runs,
about four minutes on one core. Informations in nats, shares between 0 and 1.
"""

import json
from pathlib import Path

import numpy as np

from labutils import plane
from labutils.runtime import need

RESULT = Path(__file__).resolve().parent / "data" / "information-plane.json"
WIDTHS = (64, 12, 8, 6, 4, 10)
LOOKS = (0, 10, 30, 100, 200, 400, 800, 1400, 2000)
SAMPLE = 400
"""Inputs that the costly estimators see; bins see all 1797."""
NAMES = (*(f"{rule}-{n}" for rule in plane.RULES for n in (10, 30, 100)), "noise-low-0.1", "noise-high-0.1", "raw-0.1",
         *(f"{rule}-{s}" for rule in ("noise", "relative", "lossy") for s in (0.03, 0.1, 0.3)))
FEW = ("fixed-30", "quantile-30", "noise-0.1", "lossy-0.1")


def digits():
    """The 1797 digits of scikit-learn: x [N, 64] in [-0.3, 0.7], labels y [N]; the first 1000 train.

    The order is shuffled once, by a fixed seed.
    """
    data = need("sklearn.datasets").load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return (data.data[order] / 16 - 0.3).astype(np.float32), data.target[order].astype(int)


def start(unit, seeds):
    """Weights and biases of each layer for each seed: normal of variance 1/fan-in (2/fan-in for relu)."""
    rngs, gain = [np.random.default_rng(seed) for seed in seeds], {"tanh": 1.0, "relu": 2.0}[unit]
    return [(np.stack([r.normal(0, np.sqrt(gain / a), (a, b)) for r in rngs]).astype(np.float32),
             np.zeros((len(seeds), 1, b), np.float32)) for a, b in zip(WIDTHS, WIDTHS[1:])]


def layers(net, unit, x):
    """Activations [S, N, width] of every layer, the logits last."""
    found, h = [], x
    for i, (w, b) in enumerate(net):
        h = h @ w + b
        if i < len(net) - 1:
            h = np.tanh(h) if unit == "tanh" else np.maximum(h, 0)
        found.append(h)
    return found


def descend(net, unit, x, y, rate):
    """One step of gradient descent on the mean cross-entropy, in place. x [S, n, 64], y [S, n]."""
    hs = [x, *layers(net, unit, x)]
    z = hs[-1] - hs[-1].max(-1, keepdims=True)
    p = np.exp(z)
    grad = p / p.sum(-1, keepdims=True)
    np.put_along_axis(grad, y[..., None], np.take_along_axis(grad, y[..., None], -1) - 1, -1)
    grad /= x.shape[1]
    for i in range(len(net) - 1, -1, -1):
        w, b = net[i]
        step = np.swapaxes(hs[i], -1, -2) @ grad, grad.sum(1, keepdims=True)
        if i:
            grad = (grad @ np.swapaxes(w, -1, -2)) * (1 - hs[i] ** 2 if unit == "tanh" else hs[i] > 0)
        w -= rate * step[0]
        b -= rate * step[1]


def train(unit, seeds, looks=LOOKS, rate=0.3, batch=None):
    """Yield (step, activations of every layer on all digits, net) at each of `looks`.

    batch  None for full-batch gradient descent, which has no noise; else inputs drawn a step
    """
    x, y = digits()
    net, rngs = start(unit, seeds), [np.random.default_rng(10_000 + seed) for seed in seeds]
    everything = np.broadcast_to(x, (len(seeds), *x.shape))
    for step in range(max(looks) + 1):
        if step in looks:
            yield step, layers(net, unit, everything), net
        if batch is None:
            descend(net, unit, everything[:, :1000], np.broadcast_to(y[:1000], (len(seeds), 1000)), rate)
        else:
            drawn = np.stack([r.integers(0, 1000, batch) for r in rngs])
            descend(net, unit, x[drawn], y[drawn], rate)


def estimates(t, y, code, rng, only=None):
    """{estimator: (I(X;T), I(T;Y))} of one layer t [N, d] (float64) of one network.

    fixed-n, scaled-n, quantile-n  bins: n of them, on [-1, 1] for "fixed", whose width stays for relu
    noise-s        middle of the kernel bounds for T + s N; noise-low-0.1 and noise-high-0.1 are ends
    relative-s     the same with s in units of the layer's own spread (root mean square over units)
    lossy-s        nearest neighbours between 4 principal components of X and the layer with noise
                   as in relative-s, each side divided by its spread; raw-0.1 skips this division

    only  the names to compute; None for all
    A layer that is constant (a relu network can die) holds nothing: all values are 0.
    """
    names = NAMES if only is None else only
    if (t == t[0]).all():
        return dict.fromkeys(names, (0.0, 0.0))
    few, label, found = t[:SAMPLE], y[:SAMPLE], {}
    spread = np.sqrt(t.var(0).mean())
    noise = rng.normal(size=few.shape) * spread
    for name in names:
        rule, size = name.rsplit("-", 1)
        if rule in plane.RULES:
            found[name] = plane.binned_information(t, y, rule, bins=int(size), width=2 / int(size))
        elif rule in ("lossy", "raw"):
            noisy, x = few + float(size) * noise, code[:SAMPLE]
            if rule == "lossy":
                noisy, x = noisy / np.sqrt(noisy.var(0).mean()), x / np.sqrt(x.var(0).mean())
            found[name] = plane.knn_information(x, noisy), plane.class_information(noisy, label)
        else:
            sigma = float(size) * (spread if rule == "relative" else 1.0)
            ends = np.array([plane.kernel_bounds(few, sigma)] + [plane.kernel_bounds(few[label == c], sigma) for c in range(10)])
            both = np.stack([ends[0], ends[0] - np.bincount(label, minlength=10) / len(label) @ ends[1:]])
            found[name] = tuple({"noise-low": both[:, 0], "noise-high": both[:, 1]}.get(rule, both.mean(1)))
    return found


def measure(unit, seeds, looks=LOOKS, rate=0.3, batch=None, only=None):
    """{"step": [looks], quantity: [looks, seeds] or estimator: [looks, layers, seeds, 2]}."""
    x, y = digits()
    code, rows = plane.principal(x.astype(float), 4), []
    for step, acts, _ in train(unit, seeds, looks, rate, batch):
        logits = acts[-1]
        right = logits.argmax(-1) == y
        loss = np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)) + logits.max(-1)
        loss = loss - np.take_along_axis(logits, np.broadcast_to(y, right.shape)[..., None], -1)[..., 0]
        row = {"train": right[:, :1000].mean(1), "test": right[:, 1000:].mean(1),
               "loss": loss[:, :1000].mean(1), "test loss": loss[:, 1000:].mean(1),
               "distinct": np.array([[len(np.unique(t, axis=0)) for t in layer] for layer in acts[:-1]]).min(0)}
        each = [[estimates(t.astype(float), y, code, np.random.default_rng(step), only) for t in layer] for layer in acts[:-1]]
        for name in each[0][0]:
            row[name] = np.array([[found[name] for found in layer] for layer in each])
        rows.append(row)
    return {"step": list(looks), **{key: np.stack([row[key] for row in rows]) for key in rows[0]}}


def plan():
    """What the committed file holds, by the names of the lab."""
    seeds = list(range(8))
    return {"tanh": ("tanh", seeds, LOOKS, 0.3), "relu": ("relu", seeds, LOOKS, 0.2),
            "tanh, batches": ("tanh", seeds, LOOKS, 0.1, 50, FEW), "relu, batches": ("relu", seeds, LOOKS, 0.1, 50, FEW)}


def load(path=RESULT):
    """The result file, with arrays."""
    stored = json.loads(Path(path).read_text(encoding="utf-8"))
    return {name: {key: np.array(value) for key, value in row.items()} for name, row in stored.items()}


def main():
    rows = []
    for name, arguments in plan().items():
        row = {key: np.round(value, 3).tolist() for key, value in measure(*arguments).items()}
        rows.append(f"  {json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}")
        RESULT.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
        print(f"{name}: written to {RESULT}", flush=True)


if __name__ == "__main__":
    main()
