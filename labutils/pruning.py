"""Train, prune, train again: how two copies of a small network hang together (linear mode connectivity, CKA).

Taught in the chapter "Learning as statistical mechanics" (jaynes/learning-as-physics).
Losses in nats an example, errors between 0 and 1. `python -m labutils.pruning` recreates the stored
sweep (about five minutes on one core).
"""

import argparse
import json
import math
import platform
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

from labutils import runtime

RESULT = "pruning.json"
BATCHES = (4, 8, 16, 32, 64, 128, 256, 512)
DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
SEEDS = 8
QUANTITIES = ("error", "loss", "lmc", "cka")                   # of each batch, density and seed
OF_DENSE = ("dense_error", "dense_train_loss", "strangers")     # of each batch and seed, before pruning


class Plan(NamedTuple):
    """How a dense network is trained, pruned and trained again; the sweep varies batch and density."""

    batches: tuple = BATCHES
    densities: tuple = DENSITIES
    steps: int | None = None       # of the dense network; None: as many as `epochs` passes take
    epochs: int = 60
    rate: float = 0.5
    again_epochs: int = 40         # after pruning, at the same batch for all
    again_batch: int = 64
    hidden: int = 128
    first: int = 0                 # seed


PLANS = {"passes": Plan(), "steps": Plan(steps=2000),
         "fresh": Plan(batches=(4, 16), densities=(0.02, 0.5), first=100)}
"""Two ways to compare batches, as many passes over the data or as many steps; and one comparison that the
first plan suggested, again on seeds that had no part in the suggestion."""


# Two measures of how alike two networks are ------------------------------------------------------


def cka(X, Y):
    """Linear centred kernel alignment of two sets of features: |Y'X|^2 / (|X'X| |Y'Y|), norms Frobenius.

    X, Y  [..., n, features]: the same n examples in rows; the columns are centred here
    Between 0 and 1; unchanged if either is rotated or scaled.

    Errors: ValueError for different numbers of examples, or features that do not vary.
    Source: chapter jaynes/learning-as-physics, step 9; Kornblith et al. 2019.
    """
    X, Y = (a if is_array_api_obj(a) else np.asarray(a, dtype=float) for a in (X, Y))
    xp = array_namespace(X, Y)
    if X.ndim < 2 or Y.ndim < 2 or X.shape[-2] != Y.shape[-2]:
        raise ValueError(f"X and Y must be [n, features] of the same n; got {tuple(X.shape)} and {tuple(Y.shape)}")
    centred = [a - xp.mean(a, axis=-2, keepdims=True) for a in (X, Y)]
    for a, b in zip((X, Y), centred, strict=True):          # what rounding leaves of a constant is no variation
        if not bool(xp.all(xp.max(abs(b), axis=(-2, -1)) > 64 * xp.finfo(a.dtype).eps * xp.max(abs(a), axis=(-2, -1)))):
            raise ValueError("X and Y must vary over the examples; a column-wise constant was given")
    X, Y = centred
    square = lambda a, b: xp.sum(xp.matmul(xp.matrix_transpose(a), b) ** 2, axis=(-2, -1))
    return square(X, Y) / (square(X, X) * square(Y, Y)) ** 0.5


def mode_connectivity(path):
    """LMC = (E(0) + E(1))/2 - E(t*) of a loss along a straight path, t* where it departs most.

    path  [points, ...] losses at evenly spaced t from 0 to 1, at least 3
    Negative is a barrier; a convex loss has none. The two ends depart from their mean by the same
    amount, one up and one down: of equal departures (to rounding) the one downwards counts.

    Errors: ValueError for fewer than 3 points, NaN or inf.
    Source: chapter jaynes/learning-as-physics, step 9; Zhou et al. 2023.
    """
    path = np.asarray(path, dtype=float)
    if path.ndim < 1 or path.shape[0] < 3:
        raise ValueError(f"path must have at least 3 points along its first axis; got shape {path.shape}")
    if not np.isfinite(path).all():
        raise ValueError("path must not contain NaN or inf")
    gap = (path[0] + path[-1]) / 2 - path
    below, above = gap.max(0), -gap.min(0)
    return np.where(below >= above - 1e-9 * np.abs(path).max(0), below, -above)


# The network: several copies at once, in the first axis of every array ---------------------------


def digits(test=597, seed=0):
    """Handwritten digits of scikit-learn: (X [1200, 64], y), (X_test [597, 64], y_test), float32 tensors.

    Pixels from 0 to 1. Which examples are the test set is drawn once, from `seed`.
    """
    torch = runtime.need("torch")
    X, y = runtime.need("sklearn.datasets").load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    X, y = torch.tensor(X[order] / 16, dtype=torch.float32), torch.tensor(y[order])
    return (X[test:], y[test:]), (X[:test], y[:test])


def network(seeds, inputs=64, hidden=128, outputs=10):
    """Weights of one hidden layer, a copy for each seed: [W1, b1, W2, b2] with the copies in front."""
    torch = runtime.need("torch")
    W1, W2 = [], []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        W1.append(rng.standard_normal((inputs, hidden)) * math.sqrt(2 / inputs))
        W2.append(rng.standard_normal((hidden, outputs)) * math.sqrt(1 / hidden))
    tensor = lambda a: torch.tensor(np.array(a), dtype=torch.float32)
    return [tensor(W1), torch.zeros(len(W1), 1, hidden), tensor(W2), torch.zeros(len(W2), 1, outputs)]


def features(net, X):
    """Hidden layer [copies, n, hidden] and outputs [copies, n, classes] at the inputs X."""
    W1, b1, W2, b2 = net
    hidden = (X @ W1 + b1).relu()
    return hidden, hidden @ W2 + b2


def score(net, X, y):
    """(cross-entropy in nats, share of wrong answers), each a NumPy array with one entry a copy."""
    torch = runtime.need("torch")
    with torch.no_grad():
        out = features(net, X)[1]
        log_p = torch.log_softmax(out, -1)[:, torch.arange(len(y)), y]
        return (-log_p.mean(-1)).numpy(), (out.argmax(-1) != y).float().mean(-1).numpy()


def train(net, X, y, seeds, batch, steps, rate=0.1, masks=None):
    """Plain gradient descent on mini-batches; returns new weights.

    seeds  one a copy, for the order of the examples (a new order each pass)
    masks  None, or (for W1, for W2) of 0 and 1: masked weights are and stay 0

    Errors: ValueError when seeds and copies differ in number, or a batch is not in 1..n.
    """
    torch = runtime.need("torch")
    n = len(y)
    if len(seeds) != net[0].shape[0]:
        raise ValueError(f"seeds must be one a copy ({net[0].shape[0]}); got {len(seeds)}")
    if not (isinstance(batch, int) and 1 <= batch <= n):
        raise ValueError(f"batch must be a whole number from 1 to {n}; got {batch!r}")
    rngs = [np.random.default_rng(s) for s in seeds]
    net = [w.detach().clone() for w in net]
    for layer, mask in zip((0, 2), masks or (), strict=False):
        net[layer] = net[layer] * mask
    net = [w.requires_grad_() for w in net]
    a_pass = n // batch
    for step in range(steps):
        if step % a_pass == 0:
            order = torch.tensor(np.stack([r.permutation(n) for r in rngs]))
        now = order[:, step % a_pass * batch:][:, :batch]
        out = features(net, X[now])[1].flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(out, y[now].flatten(), reduction="sum") / batch
        slopes = torch.autograd.grad(loss, net)
        with torch.no_grad():
            for i, (w, slope) in enumerate(zip(net, slopes, strict=True)):
                w -= rate * (slope * masks[i // 2] if masks is not None and i % 2 == 0 else slope)
    return [w.detach() for w in net]


def prune(net, density):
    """Masks (for W1, for W2) that keep the share `density` of the weights of largest size, over both layers.

    Errors: ValueError for a density that is not in (0, 1] or keeps no weight.
    """
    torch = runtime.need("torch")
    W1, _, W2, _ = net
    sizes = torch.cat([W1.flatten(1), W2.flatten(1)], 1).abs()
    keep = round(density * sizes.shape[1]) if 0 < density <= 1 else 0
    if keep < 1:
        raise ValueError(f"density must lie in (0, 1] and keep at least one weight; got {density!r}")
    kept = torch.zeros_like(sizes).scatter_(1, sizes.topk(keep, dim=1).indices, 1.0)
    split = W1[0].numel()
    return kept[:, :split].view_as(W1), kept[:, split:].view_as(W2)


def straight_path(a, b, X, y, points=11):
    """Wrong answers and losses along the segment from net a to net b: two arrays [points, copies]."""
    between = [score([(1 - t) * u + t * v for u, v in zip(a, b, strict=True)], X, y)
               for t in np.linspace(0, 1, points)]
    return np.array([e for _, e in between]), np.array([x for x, _ in between])


# The sweep --------------------------------------------------------------------------------------


def cell(dense, density, plan, data, seeds):
    """Prune the dense copies, train each twice from the same start, and compare the two.

    Returns {quantity: array [copies]}: test error and test loss (mean of the two), LMC of the training
    error, CKA of the outputs on the test set.
    """
    (X, y), (X_test, y_test) = data
    masks = prune(dense, density)
    steps = plan.again_epochs * (len(y) // plan.again_batch)
    twins = [train(dense, X, y, [10_000 * (k + 1) + s for s in seeds], plan.again_batch, steps, plan.rate, masks)
             for k in range(2)]
    scores = np.array([score(net, X_test, y_test) for net in twins]).mean(0)
    errors, _ = straight_path(*twins, X, y)
    outputs = [features(net, X_test)[1].double() for net in twins]
    return {"error": scores[1], "loss": scores[0], "lmc": mode_connectivity(errors),
            "cka": cka(*outputs).numpy()}


def sweep(plan, seeds, data=None):
    """Every batch and every density of a plan: {quantity: [batches, densities, seeds]}, OF_DENSE: [batches, seeds].

    `strangers` is the LMC of two dense networks that share nothing but the data (seed and next seed).
    """
    data = digits() if data is None else data
    (X, y), (X_test, y_test) = data
    found = {q: [] for q in (*QUANTITIES, *OF_DENSE)}
    for batch in runtime.progress(plan.batches, desc="batches"):
        steps = plan.steps if plan.steps is not None else plan.epochs * (len(y) // batch)
        dense = train(network(seeds, hidden=plan.hidden), X, y, [1000 + s for s in seeds], batch, steps, plan.rate)
        cells = [cell(dense, d, plan, data, seeds) for d in plan.densities]
        for q in QUANTITIES:
            found[q].append([c[q] for c in cells])
        found["dense_error"].append(score(dense, X_test, y_test)[1])
        found["dense_train_loss"].append(score(dense, X, y)[0])
        others = [w.roll(1, 0) for w in dense]
        found["strangers"].append(mode_connectivity(straight_path(dense, others, X, y)[0]))
    return {q: np.array(v) for q, v in found.items()}


def save(results, path, seeds):
    """Write {plan: what `sweep` returns} as JSON, to five decimals, with the plans and the versions used."""
    torch = runtime.need("torch")
    record = {
        "made_by": "python -m labutils.pruning", "seeds": seeds,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "plans": {name: PLANS[name]._asdict() for name in results},
        "results": {name: {q: np.round(v, 5).tolist() for q, v in found.items()} for name, found in results.items()},
    }
    Path(path).write_text(json.dumps(record) + "\n", encoding="utf-8")


def load(path=None):
    """The stored sweep: {plan: {quantity: array [batches, densities, seeds]}}.

    Errors: ValueError when the file is no result of the sweep.
    """
    path = runtime.data_path(RESULT) if path is None else Path(path)
    record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict) or "results" not in record:
        raise ValueError(f"path must lead to a result of the sweep; got {path}")
    return {name: {q: np.array(v) for q, v in found.items()} for name, found in record["results"].items()}


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Recreate the stored sweep of pruning.")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", default=None, help="where to write; the package's data folder if not given")
    given = parser.parse_args(arguments)
    runtime.need("torch").set_num_threads(1)
    results = {name: sweep(plan, range(plan.first, plan.first + given.seeds)) for name, plan in PLANS.items()}
    save(results, given.out or Path(__file__).parent / "data" / RESULT, given.seeds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
