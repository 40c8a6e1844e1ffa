"""Small networks whose representations are measured: fine-tuning, superposition, growing spectra.

Recreates the result file behind the labs of the chapter "Spectral entropy and effective dimension"
(bottleneck/spectral-entropy): python -m labutils.representations, some minutes on one core.
All networks of a kind train side by side, one copy a seed or setting. Entropies in nats.
"""

import itertools
import json
import math
from pathlib import Path

import numpy as np

from labutils import pruning, spectral
from labutils.runtime import data_path, need, progress

RESULT = "representations.json"


def adam(parameters, loss, steps, rate, look=None, looks=()):
    """Plain Adam on a list of tensors, in place; copies are independent when `loss` sums over them.

    loss   called with the step, returns a scalar
    look   called with the step, before the update, at each step in `looks`; `steps` itself may be one
    """
    torch = need("torch")
    parameters = [p.requires_grad_() for p in parameters]
    optimiser = torch.optim.Adam(parameters, lr=rate)
    for step in range(steps + 1):
        if step in looks:
            with torch.no_grad():
                look(step)
        if step < steps:
            optimiser.zero_grad()
            loss(step).backward()
            optimiser.step()
    for p in parameters:
        p.requires_grad_(False)
    return parameters


# Fine-tuning some layers ---------------------------------------------------------------------------

DEPTH, SIDE = 6, 64
PAIRS = tuple(itertools.combinations(range(DEPTH), 2))
"""The choices of two layers to adapt, out of six."""


def deep(seeds):
    """Six square relu layers and a head: DEPTH tensors [copies, 64, 64], biases, then the head."""
    torch = need("torch")
    rngs = [np.random.default_rng(s) for s in seeds]
    draw = lambda a, b: torch.tensor(np.stack([r.normal(0, math.sqrt(2 / a), (a, b)) for r in rngs]), dtype=torch.float32)
    weights = [draw(SIDE, SIDE) for _ in range(DEPTH)] + [draw(SIDE, 10) / 2]
    return weights + [torch.zeros(len(seeds), 1, w.shape[-1]) for w in weights]


def deep_logits(net, X):
    """Logits [copies, n, 10] of inputs [n, 64] or [copies, n, 64]."""
    weights, biases = net[: DEPTH + 1], net[DEPTH + 1:]
    h = X
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        h = (h @ w + b).relu()
    return h @ weights[-1] + biases[-1]


def turned(X):
    """Digits [n, 64] turned by a quarter."""
    return X.view(-1, 8, 8).rot90(1, (1, 2)).reshape(-1, 64)


def mean_right(net, X, y):
    return (deep_logits(net, X).argmax(-1) == y).float().mean(-1).numpy()


def digit_loss(net, X, y, seeds, batch=64):
    """A function of the step: summed cross-entropy over copies, each on its own batches."""
    torch = need("torch")
    rngs = [np.random.default_rng(50_000 + s) for s in seeds]

    def loss(step):
        now = torch.tensor(np.stack([r.integers(0, len(y), batch) for r in rngs]))
        logits = deep_logits(net, X[now])
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), y[now].flatten(), reduction="sum") / batch

    return loss


def finetuning(seeds, steps=300, every=5, rate=1e-3, pairs=PAIRS):
    """Learn upright digits, then turned ones with only two of six layers free.

    Returns {"spectra": [seeds, 6, 64] singular values before fine-tuning, "before": [seeds, 2] shares of
    upright and turned test digits that are right, "old", "new": [looks, seeds, pairs] the same shares
    on the way, "step": [looks]}.
    """
    torch = need("torch")
    (X, y), (X_test, y_test) = pruning.digits()
    base = deep(seeds)
    adam(base, digit_loss(base, X, y, seeds), 600, 1e-3)
    spectra = np.stack([torch.linalg.svdvals(w).numpy() for w in base[:DEPTH]], 1)
    before = np.stack([mean_right(base, x, y_test) for x in (X_test, turned(X_test))], 1)
    copies = [w.repeat_interleave(len(pairs), 0) for w in base]
    free = torch.tensor([[layer in pair for layer in range(DEPTH)] for _ in seeds for pair in pairs]).float()
    start = [w.clone() for w in copies[:DEPTH]]
    layers = [w.clone() for w in start]
    order = [s for s in seeds for _ in pairs]

    def net():
        masks = free.T[:, :, None, None]
        held = [m * w + (1 - m) * s for m, w, s in zip(masks, layers, start, strict=True)]
        return held + copies[DEPTH:]

    shape, old, new = (len(seeds), len(pairs)), [], []

    def look(step):
        now = net()
        old.append(mean_right(now, X_test, y_test).reshape(shape))
        new.append(mean_right(now, turned(X_test), y_test).reshape(shape))

    looks = range(0, steps + 1, every)
    rngs = {s: np.random.default_rng(90_000 + s) for s in seeds}

    def loss(step):
        drawn = {s: r.integers(0, len(y), 64) for s, r in rngs.items()}      # one order of examples a seed
        now = torch.tensor(np.stack([drawn[s] for s in order]))
        logits = deep_logits(net(), turned(X)[now])
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), y[now].flatten(), reduction="sum") / 64

    adam(layers, loss, steps, rate, look, looks)
    return {"spectra": spectra, "before": before, "step": np.array(looks), "old": np.array(old), "new": np.array(new)}


# Superposition -------------------------------------------------------------------------------------

FEATURES, NEURONS = 20, 5
DENSITIES = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
"""Chances that a feature is on, from dense to sparse."""


def sparse_inputs(density, n, generator):
    """[copies, n, FEATURES]: each feature on with the copy's chance, then uniform on [0, 1]."""
    torch = need("torch")
    x = torch.rand(len(density), n, FEATURES, generator=generator)
    on = torch.rand(len(density), n, FEATURES, generator=generator) < density[:, None, None]
    return x * on


def toy(densities, seeds, steps=2500, batch=256, rate=3e-3, importance=0.9):
    """The toy model x -> relu(W'Wx + b), squeezed through NEURONS, for every density and seed.

    Loss: sum_i importance^i (x_i - x'_i)^2, in units of the mean square of the inputs.
    Returns W [densities, seeds, NEURONS, FEATURES], b.
    """
    torch = need("torch")
    density = torch.tensor(densities).repeat_interleave(len(seeds))
    W = np.stack([np.random.default_rng(s).normal(0, 1 / math.sqrt(FEATURES), (NEURONS, FEATURES)) for _ in densities for s in seeds])
    W, b = torch.tensor(W, dtype=torch.float32), torch.zeros(len(W), 1, FEATURES)
    weight = importance ** torch.arange(FEATURES)
    generator = torch.Generator().manual_seed(1)

    def loss(step):
        x = sparse_inputs(density, batch, generator)
        out = (x @ W.mT @ W + b).relu()
        return ((weight * (x - out) ** 2).mean((1, 2)) / density).sum()

    adam([W, b], loss, steps, rate)
    return W.view(len(densities), len(seeds), NEURONS, FEATURES), b.view(len(densities), len(seeds), FEATURES)


def autoencoder(h, width, penalty, centre=True, seed=0, steps=1500, batch=256, rate=3e-3):
    """Sparse autoencoders on activations h [copies, n, NEURONS], scaled to mean square 1 a neuron.

    z = relu(E (h - c) + e), h' = D z + c with unit columns of D; loss |h - h'|^2 + penalty sum |z|.
    Returns a function h -> z and the share of variance left over on h, [copies].
    """
    torch = need("torch")
    copies, n, N = h.shape
    scale = h.square().mean((1, 2), keepdim=True).sqrt()
    generator = torch.Generator().manual_seed(seed)
    D = torch.randn(copies, width, N, generator=generator)
    D = D / D.norm(dim=-1, keepdim=True)
    E, e, c = D.mT.clone(), torch.zeros(copies, 1, width), torch.zeros(copies, 1, N)

    def unit(D):
        return D / D.norm(dim=-1, keepdim=True)

    def encode(h):
        return ((h / scale - c) @ E + e).relu()

    def loss(step):
        now = h[:, torch.randint(n, (batch,), generator=generator)]
        z = encode(now)
        back = z @ unit(D) + c
        return ((now / scale - back).square().sum(-1).mean(-1) + penalty * z.sum(-1).mean(-1)).sum()

    adam([D, E, e] + [c] * centre, loss, steps, rate)
    left = (h / scale - encode(h) @ unit(D) - c).square().sum(-1).mean(-1)
    return encode, (left / (h / scale).var(1).sum(-1)).numpy()


def counted(W, densities, width, penalty, centre=True, seed=0, n=4096, steps=1500):
    """F by a sparse autoencoder on held-out activations of `toy` networks: (F, left-over share), [densities, seeds]."""
    torch = need("torch")
    flat = W.flatten(0, 1)
    density = torch.tensor(densities).repeat_interleave(W.shape[1])
    generator = torch.Generator().manual_seed(100 + seed)
    h, held = (sparse_inputs(density, n, generator) @ flat.mT for _ in range(2))
    encode, left = autoencoder(h, width, penalty, centre, seed, steps)
    with torch.no_grad():
        F = spectral.feature_count(encode(held).double().numpy())
    return F.reshape(W.shape[:2]), left.reshape(W.shape[:2])


# Growing spectra -----------------------------------------------------------------------------------


def zipf_model(answers, d, seeds, exponent=1.0, mixed=0.3, contexts=256, steps=3000, rate=0.1, size=0.01, looks=None):
    """Logits h(c) U of `answers` classes from free features h(c) of d numbers, by plain gradient descent.

    Each context has an own answer; answer v belongs to a share ~ v^-exponent of the contexts, and each
    target is 1 - mixed on the own answer and `mixed` on those shares. Start: normal numbers of `size`.
    Returns {"step": [looks], "centred", "raw": effective rank of the features [looks, seeds], "loss"}.

    Errors: ValueError for counts below 1, a negative exponent, mixed outside [0, 1).
    Source: chapter bottleneck/spectral-entropy, step 13; paper 023.
    """
    torch = need("torch")
    share = spectral.shares(spectral.power_law(answers, exponent))
    if not 0 <= mixed < 1:
        raise ValueError(f"mixed must lie in [0, 1); got {mixed!r}")
    y = torch.tensor(np.repeat(np.arange(answers), np.maximum(1, np.round(share * contexts)).astype(int)))
    target = (1 - mixed) * torch.nn.functional.one_hot(y, answers).float() + mixed * torch.tensor(share, dtype=torch.float32)
    rngs = [np.random.default_rng(s) for s in seeds]
    draw = lambda a, b: torch.tensor(np.stack([r.normal(0, size, (a, b)) for r in rngs]), dtype=torch.float32)
    h, U, scale = draw(len(y), d), draw(d, answers), rate * answers / len(y)
    looks = [0, *np.unique(np.geomspace(4, steps, 32).astype(int))] if looks is None else list(looks)
    found = {"centred": [], "raw": [], "loss": []}
    for step in range(steps + 1):
        log_p = (h @ U).log_softmax(-1)
        if step in looks:
            found["centred"].append(spectral.rankme(h.double().numpy()))
            found["raw"].append(spectral.rankme(h.double().numpy(), centre=False))
            found["loss"].append(-(target * log_p).sum(-1).mean(-1).numpy())
        slope = log_p.exp() - target
        h, U = h - scale * slope @ U.mT, U - scale * h.mT @ slope
    return {"step": np.array(looks), **{k: np.array(v) for k, v in found.items()}}


TEXT_LOOKS = (0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 700)


def text_model(seed, looks=TEXT_LOOKS, width=48, context=24, batch=32, rate=2e-3, held=512, shuffled=False):
    """A two-layer character transformer learns Alice; spectra of its last layer at the last character.

    Features: the normalised last layer on `held` passages from the last tenth of the text.
    shuffled  train on the same characters in random order: their frequencies, and no context
    Returns {"step", "loss" (held-out, nats a character), "centred", "raw", "singular" effective ranks,
    "exponent" of the spectrum between its 3rd and 30th number}.
    """
    torch = need("torch")
    from labutils.policy.transformer import Transformer

    text = data_path("alice.txt").read_text(encoding="utf-8")
    letters = sorted(set(text))
    codes = np.array([letters.index(c) for c in text])
    if shuffled:
        codes = np.random.default_rng(0).permutation(codes)
    codes, cut = torch.tensor(codes), int(0.9 * len(codes))
    model = Transformer(len(letters), context, width, layers=2, heads=4, seed=seed)
    seen = {}
    model.norm.register_forward_hook(lambda module, given, out: seen.update(features=out[:, -1]))
    rng = np.random.default_rng(seed)
    passages = lambda low, high, n: torch.stack([codes[i:i + context + 1] for i in rng.integers(low, high - context, n)])
    test = passages(cut, len(codes), held)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    found = {k: [] for k in ("loss", "centred", "raw", "singular", "exponent")}
    for step in range(max(looks) + 1):
        if step in looks:
            with torch.no_grad():
                logits, _ = model(test[:, :-1])
            x = seen["features"].double().numpy()
            found["loss"].append(torch.nn.functional.cross_entropy(logits.flatten(0, 1), test[:, 1:].flatten()).item())
            found["centred"].append(spectral.rankme(x))
            found["raw"].append(spectral.rankme(x, centre=False))
            found["singular"].append(spectral.rankme(x, "singular values"))
            found["exponent"].append(spectral.decay_exponent(spectral.covariance_spectrum(x)[:40], 3, 30))
        now = passages(0, cut, batch)
        logits, _ = model(now[:, :-1])
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), now[:, 1:].flatten()).backward()
        optimiser.step()
    return {"step": np.array(looks), **{k: np.array(v) for k, v in found.items()}}


# The stored runs -----------------------------------------------------------------------------------

SEEDS = 4
SETTINGS = tuple(itertools.product((10, 20, 40), (0.03, 0.1, 0.3)))
"""Width of the dictionary and L1 penalty of the stored autoencoders."""


def runs():
    """Yield (name, arrays) of the parts of the result file, each made from its seeds alone."""
    yield "finetuning", finetuning(range(8), steps=200, every=5, rate=2e-3)
    W, _ = toy(DENSITIES, range(SEEDS))
    yield "toy", {"W": W.numpy()}
    for width, penalty in SETTINGS:
        F, left = counted(W, DENSITIES, width, penalty)
        yield f"count-{width}-{penalty}", {"F": F, "left": left}
    for name, shuffled in (("text", False), ("shuffled", True)):
        each = [text_model(seed, shuffled=shuffled) for seed in progress(range(SEEDS), desc=name)]
        yield name, {k: each[0][k] if k == "step" else np.stack([e[k] for e in each], 1) for k in each[0]}


def load():
    """The result file: {name: {quantity: array}}."""
    stored = json.loads(data_path(RESULT).read_text(encoding="utf-8"))
    return {name: {key: np.array(value) for key, value in row.items()} for name, row in stored.items()}


def main():
    need("torch").set_num_threads(1)
    rows = []
    for name, found in runs():
        row = {key: np.round(np.asarray(value, dtype=float), 4).tolist() for key, value in found.items()}
        rows.append(f"  {json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}")
        print(name, flush=True)
    path = Path(__file__).resolve().parent / "data" / RESULT
    path.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
