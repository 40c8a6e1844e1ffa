"""An estimator of mutual information that is learned from simulated samples.

Taught in the chapter "Estimating information from samples" (foundations/estimation). Units: nats.

    python -m labutils.learned_mi     trains it again: some minutes on one core, needs torch

A sample of pairs is a set: each pair goes through one small network, the results are averaged, and
a second network turns the average into quantiles of I. Reading a stored estimator needs NumPy alone.
"""

import json
import math
from pathlib import Path

import numpy as np
from array_api_compat import array_namespace

from labutils import benchmarks_mi
from labutils.runtime import need

RESULT = Path(__file__).resolve().parent / "data" / "learned-mi.json"
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
SIZES = (50, 500)
"""The smallest and the largest sample that it has seen."""
WIDTH, BATCH, STEPS, SEED = 64, 64, 4000, 20260
SHAPES = {"a1": (2, WIDTH), "b1": (WIDTH,), "a2": (WIDTH, WIDTH), "b2": (WIDTH,),
          "a3": (WIDTH + 1, WIDTH), "b3": (WIDTH,), "a4": (WIDTH, len(LEVELS)), "b4": (len(LEVELS),)}


def normal_scores(x):
    """Ranks within the last axis as quantiles of the normal law, so that only the order counts.

    x  [..., n], n >= 2, values that differ. Rank r = 1, ..., n becomes the quantile at (r - 1/2)/n.

    Errors: ValueError for NaN or values that repeat. Source: chapter foundations/estimation, step 9.
    """
    x = np.asarray(x, dtype=float)
    if x.ndim == 0 or x.shape[-1] < 2 or not np.isfinite(x).all():
        raise ValueError(f"x must be finite, with 2 values or more; got shape {x.shape}")
    order = np.argsort(x, axis=-1)
    line = np.take_along_axis(x, order, -1)
    if (np.diff(line, axis=-1) == 0).any():
        raise ValueError("x must have no value twice: ranks would be a matter of luck")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(x.shape[-1]), x.shape), -1)
    return need("scipy.special").ndtri((rank + 0.5) / x.shape[-1])


def quantiles(weights, pairs):
    """The quantiles of I at LEVELS, in rising order, from normal scores; NumPy or torch.

    weights  {name: array}, shapes as in SHAPES
    pairs    [..., n, 2] normal scores of x and y
    Returns [..., 5]. The order of the pairs does not count, nor which of both variables is first.

    Source: chapter foundations/estimation, step 9; paper 064.
    """
    xp = array_namespace(pairs)
    w = weights
    relu = lambda v: xp.where(v > 0, v, 0.0)

    def summary(pairs):
        h = relu(relu(pairs @ w["a1"] + w["b1"]) @ w["a2"] + w["b2"])
        return xp.mean(h, axis=-2)

    mean = (summary(pairs) + summary(xp.flip(pairs, axis=-1))) / 2
    size = xp.zeros_like(mean[..., :1]) + math.log(pairs.shape[-2] / 150)
    h = relu(xp.concat([mean, size], axis=-1) @ w["a3"] + w["b3"])
    out = h @ w["a4"] + w["b4"]
    steps = xp.log1p(xp.exp(-abs(out))) + relu(out)  # log(1 + e^out) > 0, without overflow
    return out[..., :1] + xp.cumulative_sum(xp.concat([0 * out[..., :1], steps[..., 1:]], axis=-1), axis=-1)


def estimate(x, y, weights=None):
    """{level: quantile of I(X;Y)} for one sample of two real variables.

    x, y  [n] or [n, 1], 50 <= n <= 500, no value twice

    Errors: ValueError for NaN, other shapes or sizes, lengths that differ, ties.
    Source: chapter foundations/estimation, step 9; paper 064.
    """
    x, y = (np.asarray(v, dtype=float) for v in (x, y))
    x, y = (v[:, 0] if v.ndim == 2 and v.shape[1] == 1 else v for v in (x, y))
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"x and y must have one shape [n]; got {x.shape} and {y.shape}")
    if not SIZES[0] <= len(x) <= SIZES[1]:
        raise ValueError(f"x and y must have {SIZES[0]} to {SIZES[1]} values, the sizes it was trained on; got {len(x)}")
    pairs = np.stack([normal_scores(x), normal_scores(y)], axis=-1)
    return dict(zip(LEVELS, quantiles(weights or load()["weights"], pairs).tolist(), strict=True))


def load(path=RESULT):
    """The stored estimator: {"weights": {name: array}, "first losses": [...], ...}."""
    stored = json.loads(Path(path).read_text(encoding="utf-8"))
    stored["weights"] = {name: np.array(w).reshape(SHAPES[name]) for name, w in stored["weights"].items()}
    return stored


# The tasks ---------------------------------------------------------------------------------------


def _cross_table():
    r = np.linspace(0, 0.99, 100)
    return np.array([benchmarks_mi.cross(v).information for v in r]), r


def tasks(count, n, rng, family="seen", table=[]):
    """Simulated samples with known information: pairs [count, n, 2] of normal scores, I [count].

    family  "gaussian": I uniform in [0, 2]; "cross": I uniform in [0, 1.2]; "seen": half and half,
            which is what the estimator is trained on

    Errors: ValueError for an unknown family.
    """
    if family not in ("gaussian", "cross", "seen"):
        raise ValueError(f"family must be gaussian, cross or seen; got {family!r}")
    if not table:
        table.extend(_cross_table())
    crossed = {"gaussian": np.zeros(count, bool), "cross": np.ones(count, bool),
               "seen": np.arange(count) % 2 == 1}[family]
    I = rng.random(count) * np.where(crossed, 1.2, 2.0)
    r = np.where(crossed, np.interp(I, *table), np.sqrt(-np.expm1(-2 * I)))[:, None]
    sign = np.where(crossed[:, None], rng.choice([-1.0, 1.0], size=(count, n)), 1.0)
    x, e = rng.normal(size=(2, count, n))
    y = sign * r * x + np.sqrt(1 - r * r) * e
    y *= rng.choice([-1.0, 1.0], size=(count, 1))  # falling as often as rising
    return np.stack([normal_scores(x), normal_scores(y)], axis=-1), I


def pinball(truth, quantile, level, xp=np):
    """Mean of max(level u, (level - 1) u), u = truth - quantile: least at the quantile of that level.

    Source: chapter foundations/estimation, step 9; paper 064.
    """
    u = truth - quantile
    return xp.mean(xp.where(u > 0, level * u, (level - 1) * u))


def train(steps=STEPS, total=STEPS, seed=SEED):
    """Train for the first `steps` of a schedule of `total`; {"weights": ..., "losses": [...]}.

    Adam with a rate that falls from 3e-3 to 0 as a cosine; each step sees fresh tasks of one size.
    """
    torch = need("torch")
    rng = np.random.default_rng(seed)
    weights = {name: torch.tensor(rng.normal(size=shape) * math.sqrt(2 / shape[0]) * (len(shape) > 1),
                                  dtype=torch.float32, requires_grad=True) for name, shape in SHAPES.items()}
    adam, losses = torch.optim.Adam(weights.values(), lr=3e-3), []
    levels = torch.tensor(LEVELS)
    for step in range(steps):
        adam.param_groups[0]["lr"] = 1.5e-3 * (1 + math.cos(math.pi * step / total))
        n = round(math.exp(rng.uniform(math.log(SIZES[0]), math.log(SIZES[1]))))
        pairs, I = tasks(BATCH, n, rng)
        pairs, I = torch.tensor(pairs, dtype=torch.float32), torch.tensor(I, dtype=torch.float32)
        loss = pinball(I[:, None], quantiles(weights, pairs), levels, torch)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    return {"weights": {k: v.detach().numpy() for k, v in weights.items()}, "losses": losses}


def main():
    found = train()
    losses = found["losses"]
    stored = {
        "steps": len(losses), "tasks": len(losses) * BATCH,
        "first losses": [round(v, 6) for v in losses[:5]],
        "last loss": round(float(np.mean(losses[-200:])), 6),
        "weights": {k: [float(f"{v:.5g}") for v in w.ravel()] for k, w in found["weights"].items()},
    }
    RESULT.write_text(json.dumps(stored, separators=(",", ":")).replace('"weights"', '\n"weights"') + "\n", encoding="utf-8")
    print(f"written: {RESULT}, last loss {stored['last loss']}")


if __name__ == "__main__":
    main()
