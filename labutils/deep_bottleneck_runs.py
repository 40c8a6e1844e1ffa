"""Small networks for the chapter on deep bottlenecks: regressions, an attack, and recommenders.

Taught in the chapter "Deep and variational bottlenecks" (bottleneck/deep-bottlenecks). Units: nats.

    python -m labutils.deep_bottleneck_runs                 trains all of `plan` again (about 15 minutes)
    python -m labutils.deep_bottleneck_runs topics alice    only what begins so, and keeps the rest
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from labutils import deep_bottleneck as db
from labutils.runtime import data_path, need

RESULT = Path(__file__).parent / "data" / "deep-bottleneck.json"
RATES = (0.0, 0.05, 0.2, 1.0, 2.0, 5.0)
"""Weights of the rate that the stored recommenders use; those with a Gaussian likelihood use the first four."""
SPLITS = {"diabetes": 20}
"""Each stored network is trained on so many splits and starts, by the first word of its name; the rest on 10."""
EPSILONS = (0.0, 0.05, 0.1, 0.2)
"""Sizes of the attack, in standard deviations of each input."""


# Regression -----------------------------------------------------------------------------------------


def diabetes(seed):
    """(x, y, x_test, y_test) of scikit-learn's diabetes table, standardised by its 300 training rows.

    x [n, 10], y [n, 1] float32 tensors; which rows train is drawn by the seed. Also the spread of y,
    so that errors can be told in the unit of the table.
    """
    data = need("sklearn.datasets").load_diabetes()
    order = np.random.default_rng(seed).permutation(len(data.target))
    x, y = data.data[order], data.target[order, None].astype(float)
    place = lambda a: torch.tensor((a - a[:300].mean(0)) / a[:300].std(0), dtype=torch.float32)
    xs, ys = place(x), place(y)
    return xs[:300], ys[:300], xs[300:], ys[300:], float(y[:300].std())


def regress(kind, beta, seed, *, width=None, epochs=100, hidden=64, latents=16):
    """Train one network 10-64-64-16-1 on the table and test it, clean and attacked.

    kind   "mse": squared error; "decay": squared error with weight decay beta
           "vib": squared error / 2 + beta rate, z = mean + noise
           "cs-released", "cs-derived", "cs-mean": the conditional Cauchy-Schwarz term of that form
           "mse-cs": squared error with the Cauchy-Schwarz information as penalty
    beta   weight of the penalty
    width  of all kernels; None for the median distance of each batch (of the answers: 1)
    Returns {"rmse": test error at each of EPSILONS in the unit of the table, "spread": standard deviation
    of the clean answers}.
    """
    x, y, x_test, y_test, spread = diabetes(seed)
    g = torch.Generator().manual_seed(seed)
    layers = [_layer(a, b, g) for a, b in ((10, hidden), (hidden, hidden), (hidden, latents * (2 if kind == "vib" else 1)), (latents, 1))]
    weights = [p for layer in layers for p in layer]
    adam = torch.optim.Adam(weights, lr=1e-3, weight_decay=beta if kind == "decay" else 0.0)
    widths = (width, width) if width else (db.median_width(x[:128]), None)

    def latent(x):
        for w, b in layers[:2]:
            x = torch.relu(x @ w + b)
        return x @ layers[2][0] + layers[2][1]

    def answer(t):
        return t @ layers[3][0] + layers[3][1]

    for epoch in range(epochs):
        for rows in torch.randperm(300, generator=g).split(100):
            a, b, t = x[rows], y[rows], latent(x[rows])
            if kind == "vib":
                mean, log_var = t[:, :latents], torch.clamp(t[:, latents:], -8, 8)
                t = mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=g)
                loss = 0.5 * ((answer(t) - b) ** 2).mean() + beta * db.gaussian_rate(mean, torch.exp(log_var)).mean()
            else:
                y_hat = answer(t)
                if kind in ("mse", "decay", "mse-cs"):
                    loss = ((y_hat - b) ** 2).mean()
                else:
                    loss = db.cs_conditional(a, b, y_hat, widths[0], 1.0, kind.removeprefix("cs-"))
                if beta > 0 and "cs" in kind:
                    s_z = widths[1] or db.median_width(t)
                    loss = loss + beta * db.cs_information(a, t, widths[0], s_z)
            adam.zero_grad()
            loss.backward()
            adam.step()

    def predict(x):
        t = latent(x)
        return answer(t[:, :latents] if kind == "vib" else t)

    return _tested(predict, x_test, y_test, spread)


def least_squares(seed, linear=True):
    """What needs no network: the straight line of least squares, or with linear=False the mean training score.

    Tested as in `regress`, by the same attack.
    """
    x, y, x_test, y_test, spread = diabetes(seed)
    ones = lambda a: torch.cat([a, torch.ones(len(a), 1)], dim=1)
    w = torch.linalg.lstsq(ones(x), y).solution if linear else torch.zeros(11, 1)
    return _tested(lambda a: ones(a) @ w, x_test, y_test, spread)


def _tested(predict, x_test, y_test, spread):
    """Root mean square errors at EPSILONS, every input moved by the sign of its gradient, and the spread of clean answers."""
    x_in = x_test.clone().requires_grad_(True)
    (predict(x_in) - y_test).square().sum().backward()
    with torch.no_grad():
        off = [predict(x_test + size * torch.sign(x_in.grad)) - y_test for size in EPSILONS]
        return {"rmse": [float(e.square().mean().sqrt()) * spread for e in off], "spread": float(predict(x_test).std()) * spread}


# Things to recommend --------------------------------------------------------------------------------


def topic_users(seed, users=1200, items=300, topics=5, length=40):
    """Counts [users, items] of a known law: each user mixes `topics` lists of items; also the law itself.

    Lists are Dirichlet(0.05), mixtures Dirichlet(0.3), lengths Poisson and at least 5. Returns (counts, chances) with
    chances [users, items], what an oracle would rank by.
    """
    rng = np.random.default_rng(seed)
    lists = rng.dirichlet(np.full(items, 0.05), size=topics)
    chances = rng.dirichlet(np.full(topics, 0.3), size=users) @ lists
    lengths = np.maximum(rng.poisson(length, users), 5)
    return np.stack([rng.multinomial(n, p / p.sum()) for n, p in zip(lengths, chances)]).astype(float), chances


def passages(words=60, least=5, common=30):
    """Alice as users: counts [passages, words of the vocabulary], and the vocabulary.

    A passage is `words` words long and the next begins where it ends. Left out are words of one or two letters,
    words that occur fewer than `least` times in the book, and the `common` most common ones.
    """
    text = data_path("alice.txt").read_text(encoding="utf8").split()
    names, counts = np.unique(text, return_counts=True)
    most = np.sort(counts)[-common]
    kept = [str(w) for w, c in zip(names, counts) if least <= c < most and len(w) > 2]
    place = {w: i for i, w in enumerate(kept)}
    rows = np.zeros((len(text) // words, len(kept)))
    for i, w in enumerate(text[: len(rows) * words]):
        if w in place:
            rows[i // words, place[w]] += 1
    return rows, kept


def digit_counts():
    """The 1797 digits of scikit-learn as users who visit pixels: ink of 0 to 16 as counts [1797, 64]."""
    return need("sklearn.datasets").load_digits().data.astype(float)


def hide(counts, seed, share=0.2):
    """(train, seen, held): users to learn from, and for the others what is shown and what is hidden.

    A quarter of the users is tested; a fifth of the different items of each is hidden.
    """
    rng = np.random.default_rng([seed, 7])
    order = rng.permutation(len(counts))
    test = counts[order[: len(counts) // 4]]
    hidden = (rng.random(test.shape) < share) & (test > 0)
    return counts[order[len(counts) // 4 :]], np.where(hidden, 0.0, test), np.where(hidden, test, 0.0)


def train_vae(counts, beta, seed, *, likelihood="multinomial", hidden=100, latents=16, steps=250, batch=250, drop=0.5,
              warm=0.5, lr=2e-3):
    """A variational autoencoder items-hidden-latents-hidden-items, tanh; returns a function of counts.

    The input is scaled to length 1, with half of it dropped in training; the rate's weight grows to
    beta over the first share `warm` of the steps, as in paper 027.
    likelihood  "multinomial": -sum x log softmax; "gaussian": 1/2 sum (x - f)^2

    The function takes counts [n, items] and returns (scores, mean, var) as NumPy arrays.
    """
    if likelihood not in ("multinomial", "gaussian"):
        raise ValueError(f"likelihood must be multinomial or gaussian; got {likelihood!r}")
    g = torch.Generator().manual_seed(seed)
    x = torch.tensor(counts, dtype=torch.float32)
    items = x.shape[1]
    net = [_layer(a, b, g) for a, b in ((items, hidden), (hidden, 2 * latents), (latents, hidden), (hidden, items))]
    adam = torch.optim.Adam([p for layer in net for p in layer], lr=lr)
    step = 0

    def encode(x, keep):
        h = x / torch.clamp(x.norm(dim=1, keepdim=True), min=1e-9) * keep
        h = torch.tanh(h @ net[0][0] + net[0][1]) @ net[1][0] + net[1][1]
        return h[:, :latents], torch.clamp(h[:, latents:], -10, 10)

    def decode(z):
        return torch.tanh(z @ net[2][0] + net[2][1]) @ net[3][0] + net[3][1]

    while step < steps:
        for rows in torch.randperm(len(x), generator=g).split(batch)[: steps - step]:
            step += 1
            given = x[rows]
            keep = (torch.rand(given.shape, generator=g) > drop) / (1 - drop)
            mean, log_var = encode(given, keep)
            out = decode(mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=g))
            if likelihood == "multinomial":
                distortion = -(given * torch.log_softmax(out, dim=1)).sum(1).mean()
            else:
                distortion = 0.5 * ((given - out) ** 2).sum(1).mean()
            now = beta * min(1.0, step / max(1, warm * steps))
            loss = distortion + now * db.gaussian_rate(mean, torch.exp(log_var)).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()

    def model(counts):
        with torch.no_grad():
            mean, log_var = encode(torch.tensor(counts, dtype=torch.float32), 1.0)
            return tuple(a.numpy().astype(float) for a in (decode(mean), mean, torch.exp(log_var)))

    return model


def recommend(data, beta, seed, k=20, likelihood="multinomial", **options):
    """One recommender on one split: {"recall", "gain", "rate", "information", "active"}.

    active counts latents whose mean varies over the training users by more than 0.01. Rate and
    information are those of the training users, undropped (`deep_bottleneck.rate_split`).
    """
    train, seen, held = hide(data, seed)
    model = train_vae(train, beta, seed, likelihood=likelihood, **options)
    recall, gain = db.ranking(model(seen)[0], seen, held, k)
    _, mean, var = model(train)
    split = db.rate_split(mean, var, np.random.default_rng(seed), draws=4)
    return {"recall": recall.mean(), "gain": gain.mean(), "rate": split.rate, "information": split.information,
            "active": float((mean.var(0) > 0.01).sum())}


def linear(data, seed, k=20, penalties=(10, 30, 100, 300, 1000, 3000)):
    """Popularity and EASE on one split: {name: (recall, gain)}; EASE's penalty is chosen on training users."""
    train, seen, held = hide(data, seed)
    popular = db.ranking(np.broadcast_to((train > 0).sum(0), seen.shape), seen, held, k)
    inner, inner_seen, inner_held = hide(train, seed + 1000)
    tried = [db.ranking(inner_seen @ db.ease(inner, p), inner_seen, inner_held, k)[1].mean() for p in penalties]
    best = db.ranking(seen @ db.ease(train, penalties[int(np.argmax(tried))]), seen, held, k)
    return {"popular": [m.mean() for m in popular], "ease": [m.mean() for m in best]}


def _layer(fan_in, fan_out, g):
    """Weights [in, out] and biases, normal of variance 1/in, ready for gradients."""
    w = torch.randn(fan_in, fan_out, generator=g) / fan_in**0.5
    return w.requires_grad_(True), torch.zeros(fan_out, requires_grad=True)


# What is stored -------------------------------------------------------------------------------------


def tables():
    """{name: (counts of a seed, first items that count, training steps)} of the three things to recommend.

    Longer training changes little for topics and digits, and makes the network worse on the few passages.
    """
    return {"topics": (lambda seed: topic_users(seed)[0], 20, 1000), "alice": (lambda seed: passages()[0], 20, 250),
            "digits": (lambda seed: digit_counts(), 10, 2000)}


def splits(name):
    """How many splits, seeds 0, 1, ..., stand behind a row of the committed file."""
    return SPLITS.get(name.split()[0], 10)


def plan():
    """What the committed file holds: {name: function of a seed}, each run for `splits(name)` seeds."""
    regressions = {"mse": ("mse", 0.0, None)}
    regressions |= {f"decay {b}": ("decay", b, None) for b in (0.03, 0.1, 0.3)}
    regressions |= {f"vib {b}": ("vib", b, None) for b in (0.01, 0.1, 0.3)}
    regressions |= {"mse-cs median 1.0": ("mse-cs", 1.0, None)}
    regressions |= {f"mse-cs one {b}": ("mse-cs", b, 1.0) for b in (1.0, 3.0, 10.0)}
    for width, label, betas in ((None, "median", (0.0, 0.1, 1.0)), (1.0, "one", (0.0, 0.01, 0.1, 1.0, 3.0))):
        regressions |= {f"cs-released {label} {b}": ("cs-released", b, width) for b in betas}
        regressions |= {f"cs-derived {label} 0.0": ("cs-derived", 0.0, width)}
    found = {"diabetes mean": lambda seed: least_squares(seed, linear=False), "diabetes line": least_squares}
    found |= {f"diabetes {name}": lambda seed, a=a: regress(a[0], a[1], seed, width=a[2]) for name, a in regressions.items()}
    for name, (counts, k, steps) in tables().items():
        found[f"{name} linear"] = lambda seed, c=counts, k=k: linear(c(seed), seed, k)
        for beta in RATES:
            found[f"{name} multinomial {beta}"] = lambda seed, c=counts, k=k, b=beta, n=steps: recommend(c(seed), b, seed, k, steps=n)
        for beta in RATES[:4]:
            found[f"{name} gaussian {beta}"] = lambda seed, c=counts, k=k, b=beta, n=steps: recommend(
                c(seed), b, seed, k, "gaussian", steps=n)
    for label, lr in (("slow", 2e-3), ("fast", 1e-2)):
        for kind, beta in (("multinomial", 0.2), ("gaussian", 1.0)):
            found[f"digits-{label} {kind} {beta}"] = lambda seed, lr=lr, kind=kind, b=beta: recommend(
                digit_counts(), b, seed, 10, kind, steps=250, lr=lr)
    for lists in (3, 8):
        found[f"lists-{lists} multinomial 2.0"] = lambda seed, n=lists: recommend(topic_users(seed, topics=n)[0], 2.0, seed, steps=1000)
    return found


def load(path=RESULT):
    """The result file: {name: {quantity: array over seeds first}}."""
    stored = json.loads(Path(path).read_text(encoding="utf-8"))
    return {name: {key: np.array(value) for key, value in row.items()} for name, row in stored.items()}


def main(beginnings=()):
    kept = json.loads(RESULT.read_text(encoding="utf-8")) if beginnings else {}
    rows = []
    for name, run in plan().items():
        if name in kept and not name.startswith(tuple(beginnings)):
            row = kept[name]
        else:
            runs = [run(seed) for seed in range(splits(name))]
            row = {key: np.round([r[key] for r in runs], 4).tolist() for key in runs[0]}
            print(name, flush=True)
        rows.append(f"  {json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}")
    RESULT.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
