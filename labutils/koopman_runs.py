"""Small Koopman autoencoders trained with the entropy of their latents pushed up or down, beside DMD and EDMD.

Recreates the result file behind the lab koopman-learned of the chapter "Information shapes Koopman
representation" (bottleneck/koopman): python -m labutils.koopman_runs, about half an hour on one core.
Copies of a network (seeds times settings) train side by side. Entropies and InfoNCE in nats, errors
in units of the standard deviation of the test data: 1 is what their mean would score.
"""

import json
import math
from pathlib import Path

import numpy as np

from labutils import chaos, koopman
from labutils.runtime import data_path, need, progress

RESULT = "koopman.json"
SEEDS = 8
LATENTS, WIDTH = 10, 64
WINDOW, BATCH, STEPS, RATE = 16, 16, 2500, 3e-3
EARLY = 40
"""A step at which the effective dimension is stored too, so that a slice can be trained again quickly, and before training has magnified the rounding of one processor."""
HORIZON = {"pendulum": 50, "lorenz": 50, "eeg": 5}
LAGS = 4
# (weight of InfoNCE, weight of the spectral entropy, one K a batch or the mean of one K a window).
# A positive weight of the entropy raises it, as the paper has it; the released trainer has -0.1.
ARMS = {f"{rule} mi {mi:g} entropy {ent:+g}": (mi, ent, rule == "window")
        for rule, mi, ent in [*(("batch", 2.0, e) for e in (-1.0, -0.1, 0.0, 0.1, 1.0)),
                              *(("batch", 0.0, e) for e in (-0.1, 0.0, 0.1)),
                              *(("window", 2.0, e) for e in (-0.1, 0.1))]}
PAIRED = [name for name, (_, ent, _) in ARMS.items() if abs(ent) == 0.1]
MORE = 8
"""The arms whose sign is compared have this many further seeds."""


# Data ----------------------------------------------------------------------------------------------


PENDULUM = chaos.Flow("pendulum", lambda xp, angle, speed: (speed, -xp.sin(angle)),
                      lambda xp, angle, speed: {(0, 1): 1.0, (1, 0): -xp.cos(angle)}, (1.0, 0.0), 0.05, 2 * math.pi)


def integrate(flow, x, dt, steps, inner=2):
    """Trajectories [n, steps + 1, d] from x [n, d] by the classical fourth-order scheme, `inner` substeps a step."""
    return np.stack(chaos.integrate(flow, x, steps * inner, dt / inner, every=inner), axis=1)


def pendulum(rng, n, steps=80, dt=0.1):
    """Swings of a pendulum without friction, (angle, speed) [n, steps + 1, 2], amplitudes 0.3 to 2.8 rad, random phase."""
    x = np.stack([rng.uniform(0.3, 2.8, n), np.zeros(n)], axis=1)
    path, first = integrate(PENDULUM, x, dt, steps + 200), rng.integers(0, 200, n)
    return np.stack([p[s:s + steps + 1] for p, s in zip(path, first, strict=True)])


def lorenz(rng, n, steps=80, dt=0.02):
    """Pieces of the Lorenz attractor (10, 28, 8/3) [n, steps + 1, 3], after 400 steps of settling."""
    x = rng.normal(size=(n, 3)) * 5 + np.array([0, 0, 25.0])
    return integrate(chaos.lorenz(), x, dt, 400 + steps)[:, -steps - 1:]


def eeg():
    """Four channels of a real electroencephalogram, 800 samples, as Matplotlib ships them: [800, 4]."""
    cbook = need("matplotlib.cbook")
    return np.fromfile(cbook.get_sample_data("eeg.dat", asfileobj=False), dtype=float).reshape(800, 4)


def data(system, seed):
    """(train, test) paths [n, T, d] in units of the training standard deviation, mean 0.

    pendulum, lorenz  40 paths of 81 steps each, drawn with the seed
    eeg               one path each, samples 1..560 and 561..800; a state is the last LAGS samples of
                      the four channels, newest first [., ., 16]. The seed changes nothing.
    Errors: ValueError for another name.
    """
    if system == "eeg":
        x = eeg()
        x = (x - x[:560].mean(0)) / x[:560].std(0)
        lagged = lambda y: np.concatenate([y[LAGS - 1 - k:len(y) - k] for k in range(LAGS)], axis=1)[None]
        return lagged(x[:560]), lagged(x[560:])
    if system not in ("pendulum", "lorenz"):
        raise ValueError(f"system must be pendulum, lorenz or eeg; got {system!r}")
    rng, make = np.random.default_rng(seed), {"pendulum": pendulum, "lorenz": lorenz}[system]
    train, test = make(rng, 40), make(rng, 40)
    mean, std = train.mean((0, 1)), train.std((0, 1))
    return (train - mean) / std, (test - mean) / std


def starts(system, test):
    """First states of the forecasts: three a path, or every other sample of the one path."""
    return range(0, test.shape[1] - HORIZON["eeg"], 2) if system == "eeg" else (0, 15, 30)


def scored(system, test):
    """Standard deviations over the test paths of the coordinates that are scored: the newest samples, or all."""
    return test[..., :{"pendulum": 2, "lorenz": 3, "eeg": 4}[system]].std((0, 1))


# Baselines -----------------------------------------------------------------------------------------


def linear_forecasts(system, seed, features, read):
    """Error at each step ahead [horizon], root mean square, of a linear map between features.

    features  states [..., d] -> observables [..., m]; K is their least-squares map on the training paths
    read      observables [..., m] -> states
    """
    train, test = data(system, seed)
    z = features(train)
    flat = lambda a: a.reshape(-1, a.shape[-1])
    K = koopman.fit(flat(z[:, :-1]), flat(z[:, 1:]))
    forecast = lambda s: read(koopman.rollout(K, features(test[:, s]), HORIZON[system])[..., 1:, :])
    return _errors(system, test, forecast)


def _errors(system, test, forecast):
    """Error at each step ahead of forecast(s), states [paths, horizon or 1, d] that follow test[:, s]."""
    spread, found = scored(system, test), []
    for s in starts(system, test):
        miss = forecast(s) - test[:, s + 1:s + 1 + HORIZON[system]]
        found.append((miss[..., :len(spread)] / spread) ** 2)
    return np.sqrt(np.mean(np.stack(found), axis=(0, 1, 3)))


def baselines(system, seed):
    """{name: errors [horizon]}: staying put, DMD of the states, and as many observables as a network has latents.

    EDMD of all monomials up to degree 3 (pendulum) or 2 (lorenz), the constant included, has ten
    observables. For the eeg "PCA + DMD" keeps ten principal components.
    """
    train, test = data(system, seed)
    width, affine = train.shape[-1], lambda x: koopman.monomials(x, 1)
    found = {"stay": _errors(system, test, lambda s: test[:, s:s + 1]),
             "DMD": linear_forecasts(system, seed, affine, lambda z: z[..., 1:1 + width])}
    if system == "eeg":
        flat = train.reshape(-1, width)
        mean = flat.mean(0)
        axes = np.linalg.svd(flat - mean, full_matrices=False)[2][:LATENTS]
        found["PCA + DMD"] = linear_forecasts(system, seed, lambda x: affine((x - mean) @ axes.T), lambda z: z[..., 1:] @ axes + mean)
    else:
        degree = {"pendulum": 3, "lorenz": 2}[system]
        found["EDMD"] = linear_forecasts(system, seed, lambda x: koopman.monomials(x, degree), lambda z: z[..., 1:1 + width])
    return found


# Networks ------------------------------------------------------------------------------------------


def start(seeds, width):
    """Weights and biases of encoder and decoder, three layers each, [copies, in, out]; variance 1/in."""
    torch = need("torch")
    sizes = [(width, WIDTH), (WIDTH, WIDTH), (WIDTH, LATENTS), (LATENTS, WIDTH), (WIDTH, WIDTH), (WIDTH, width)]
    rngs = [np.random.default_rng(1000 + s) for s in seeds]
    draw = lambda a, b: torch.tensor(np.stack([r.normal(0, a**-0.5, (a, b)) for r in rngs]), dtype=torch.float32)
    return [draw(a, b) for a, b in sizes], [torch.zeros(len(seeds), 1, b) for _, b in sizes]


def apply(net, x, half):
    """Encoder (half 0) or decoder (half 1) on x [copies, n, .], tanh inside."""
    torch = need("torch")
    for i in range(3 * half, 3 * half + 3):
        x = torch.baddbmm(net[1][i], x, net[0][i])
        x = x.tanh() if i % 3 < 2 else x
    return x


def ridge(a, b, size=0.1):
    """K of least |aK - b|^2 + size |K|^2 over the last two axes; no gradient passes through it."""
    torch = need("torch")
    a, b = a.detach(), b.detach()
    return torch.linalg.solve(a.mT @ a + size * torch.eye(a.shape[-1]), a.mT @ b)


def losses(net, x, mi, entropy, window):
    """(loss, entropy of the latents, InfoNCE) of each copy on windows x [copies, batch, T + 1, width].

    loss = forecast one step ahead + 0.1 reconstruction + mi InfoNCE - entropy H_spec, the first two
    mean squares summed over the window, as in the released code but for the sign of `entropy`.
    """
    C, B, T, width = *x.shape[:2], x.shape[2] - 1, x.shape[3]
    z = apply(net, x.reshape(C, -1, width), 0).reshape(C, B, T + 1, LATENTS)
    now, after = z[:, :, :-1], z[:, :, 1:]
    if window:
        K = ridge(now, after).mean(1)
    else:
        K = ridge(now.reshape(C, -1, LATENTS), after.reshape(C, -1, LATENTS))
    now = now.reshape(C, -1, LATENTS)
    error = lambda z, x: ((apply(net, z, 1) - x.reshape(C, -1, width)) ** 2).mean((1, 2)) * T
    nce = koopman.window_information(now.reshape(C, B, T, LATENTS))[0].mean(1)
    H = koopman.von_neumann(koopman.covariance(now))
    return error(now @ K, x[:, :, 1:]) + 0.1 * error(now, x[:, :, :-1]) - mi * nce - entropy * H, H, nce


def train(system, arms, seeds, steps=STEPS, stop=None):
    """Train every arm with every seed and give {quantity: [arms, seeds, ...]}.

    stop   end after this many of `steps` steps, whose cosine schedule stays
    error  at each step ahead on the test paths, root mean square, K refitted on all training latents with
           a constant; dimension exp H_spec of the training latents; early the same at step EARLY, of a
           batch; nce the InfoNCE estimate on the test windows
    """
    torch = need("torch")
    copies = [(arm, seed) for arm in arms for seed in seeds]
    sets = {seed: data(system, seed) for seed in seeds}
    both = [torch.tensor(np.stack([sets[s][i] for _, s in copies]), dtype=torch.float32) for i in (0, 1)]
    X = both[0]
    settings = [torch.tensor([ARMS[arm][i] for arm, _ in copies]) for i in (0, 1)]
    (window,) = {ARMS[arm][2] for arm in arms}
    net = start([s for _, s in copies], X.shape[-1])
    parameters = [p.requires_grad_() for p in net[0] + net[1]]
    optimiser = torch.optim.Adam(parameters, lr=RATE)
    rngs, early = {s: np.random.default_rng(9000 + s) for s in seeds}, None
    reach, which = np.arange(WINDOW + 1), np.arange(len(copies))[:, None, None]
    for step in progress(range(steps if stop is None else stop), desc=system):
        optimiser.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        drawn = {s: (r.integers(0, X.shape[1], BATCH), r.integers(0, X.shape[2] - WINDOW, BATCH)) for s, r in rngs.items()}
        path, first = (np.stack([drawn[s][i] for _, s in copies])[:, :, None] for i in (0, 1))
        loss, H, _ = losses(net, X[which, path, first + reach], *settings, window)
        optimiser.zero_grad()
        loss.sum().backward()
        size = sum((p.grad**2).sum((1, 2)) for p in parameters).sqrt()
        for p in parameters:                                        # each copy clips its own gradient at 1
            p.grad *= (1 / size).clamp(max=1)[:, None, None]
        optimiser.step()
        if step == EARLY - 1:
            early = H.detach().exp().numpy()
    for p in parameters:
        p.requires_grad_(False)
    found = {"early": early, **judge(system, net, *both)}
    return {name: np.asarray(v).reshape(len(arms), len(seeds), *np.shape(v)[1:]) for name, v in found.items() if v is not None}


def judge(system, net, X, test):
    """What `train` reports of finished networks."""
    torch = need("torch")
    C, horizon = len(X), HORIZON[system]

    def latents(x):
        return apply(net, x.reshape(C, -1, x.shape[-1]), 0).reshape(*x.shape[:3], LATENTS).double()

    z, z_test = latents(X), latents(test)
    dimension = koopman.von_neumann(koopman.covariance(z.reshape(C, -1, LATENTS))).exp()
    one = lambda z: torch.cat([z, torch.ones_like(z[..., :1])], -1)
    now, after = (one(a).reshape(C, -1, LATENTS + 1) for a in (z[:, :, :-1], z[:, :, 1:]))
    scale = now.shape[1]
    K = torch.linalg.solve(now.mT @ now / scale + 1e-8 * torch.eye(LATENTS + 1, dtype=torch.float64), now.mT @ after / scale)
    spread = torch.stack([torch.tensor(scored(system, t)) for t in test.numpy()])[:, None]
    errors = []
    for s in starts(system, test.numpy()[0]):
        w, line = one(z_test[:, :, s]), []
        for step in range(1, horizon + 1):
            w = w @ K
            miss = (apply(net, w[..., :LATENTS].float(), 1) - test[:, :, s + step])[..., :spread.shape[-1]] / spread
            line.append((miss**2).mean((1, 2)))
        errors.append(torch.stack(line, 1))
    windows = z_test.unfold(2, WINDOW, WINDOW).mT.reshape(C, -1, WINDOW, LATENTS)
    return {"error": torch.stack(errors).mean(0).sqrt().numpy(), "dimension": dimension.numpy(),
            "nce": koopman.window_information(windows)[0].mean(1).numpy()}


def load():
    """The stored results: {system: {"arms": {arm: {quantity: [seeds, ...]}}, "more": the same of further seeds, "baselines": {name: [seeds, horizon]}}}.

    arms, baselines  seeds 0 to SEEDS - 1; more  the arms PAIRED with the MORE seeds after them
    """
    stored = json.loads(data_path(RESULT).read_text(encoding="utf8"))
    array = lambda tree: {k: array(v) for k, v in tree.items()} if isinstance(tree, dict) else np.array(tree)
    return {system: array(tree) for system, tree in stored.items()}


def everything(system):
    """All arms, seeds and baselines of one system, rounded for the file."""
    rounded = lambda a: [[float(f"{x:.5g}") for x in np.ravel(row)] if np.ndim(row) else float(f"{row:.5g}") for row in a]

    def trained(among, seeds):
        arms = {}
        for window in (False, True):
            names = [a for a in among if ARMS[a][2] == window]
            found = train(system, names, seeds)
            arms |= {name: {q: rounded(v[i]) for q, v in found.items()} for i, name in enumerate(names)}
        return arms

    lines = [baselines(system, seed) for seed in range(1 if system == "eeg" else SEEDS)]
    return {"arms": trained(ARMS, range(SEEDS)), "more": trained(PAIRED, range(SEEDS, SEEDS + MORE)),
            "baselines": {name: rounded([line[name] for line in lines]) for name in lines[0]}}


def main():
    path = Path(__file__).resolve().parent / "data" / RESULT
    path.write_text(json.dumps({system: everything(system) for system in HORIZON}, separators=(",", ":")) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
