"""Small networks that answer a family of fronts with a mean and a deviation, trained on few noisy points.

Recreates the result file behind the lab conservation of the chapter "Learning that respects conservation laws"
(waves/conservation): python -m labutils.conservation_runs, about a minute on one core. Units: those of the field.
"""

import json
import math
from pathlib import Path

import numpy as np

from labutils import conservation
from labutils.runtime import data_path, need, progress

RESULT = "conservation.json"
SEEDS, POINTS, NOISE, CELLS = 8, 400, 0.02, 100
WIDTH, STEPS, RATE = 32, 1500, 5e-3
EARLY = 30
"""A step whose loss is stored too, so that a slice can be trained again before training has magnified rounding."""
RANGE = {"wave": (1.0, 6.0), "stefan": (0.2, 0.8)}
"""The parameter of the family: the power m, and the value behind the front."""
TIMES = {"wave": (0.05, 1.0), "stefan": (0.005, 0.1)}
TESTS = {"wave": [(1.0, 0.5), (3.0, 0.5), (6.0, 0.5)], "stefan": [(0.3, 0.05), (0.5, 0.05), (0.7, 0.05)]}
"""(parameter, time) of the profiles on which the networks are asked, on CELLS cells of [0, 1]."""


def truth(family, parameter, t, x):
    """The field of a family at places x [n]. Errors: ValueError for another name."""
    if family == "wave":
        return conservation.wave(x, t, parameter)
    if family == "stefan":
        return conservation.stefan(x, t, parameter)
    raise ValueError(f"family must be wave or stefan; got {family!r}")


def cells(family, parameter, t):
    """(centres [CELLS], exact cell means [CELLS], exact budget) of a test profile on [0, 1]."""
    edges = np.linspace(0, 1, CELLS + 1)
    mass = conservation.wave_mass if family == "wave" else conservation.stefan_mass
    return (edges[1:] + edges[:-1]) / 2, mass(t, parameter, edges[:-1], edges[1:]) * CELLS, float(mass(t, parameter))


def points(family, seed):
    """(inputs [POINTS, 3], values [POINTS]): parameter, time and place drawn evenly, the field there plus NOISE."""
    rng = np.random.default_rng(seed)
    (a, b), (s, e) = RANGE[family], TIMES[family]
    parameter, t, x = rng.uniform(a, b, POINTS), rng.uniform(s, e, POINTS), rng.uniform(0, 1, POINTS)
    u = np.array([truth(family, p, r, np.array([y]))[0] for p, r, y in zip(parameter, t, x, strict=True)])
    return np.stack([parameter, t, x], axis=1), u + NOISE * rng.normal(size=POINTS)


def scaled(family, inputs):
    """Inputs from -1 to 1 over the family."""
    low, high = (np.array([RANGE[family][i], TIMES[family][i], float(i)]) for i in (0, 1))
    return 2 * (inputs - low) / (high - low) - 1


def forward(torch, net, z):
    """Mean and log deviation [S, N] from z [S, N, 3]: two hidden layers of tanh, S networks side by side."""
    h = torch.tanh(z @ net["w1"] + net["b1"])
    h = torch.tanh(h @ net["w2"] + net["b2"])
    out = h @ net["w3"] + net["b3"]
    return out[..., 0], out[..., 1] - 2.0


def train(family, seeds, stop=None):
    """{"early" [S] loss at step EARLY; mean, deviation [S, tests, CELLS] on TESTS unless stopped before the end}.

    Full batch, Gaussian log loss, Adam with a cosine to zero; float64. `stop` ends training after that many steps.
    """
    torch = need("torch")
    data = [points(family, 1000 * (family == "stefan") + seed) for seed in seeds]
    z = torch.tensor(np.stack([scaled(family, x) for x, _ in data]))
    u = torch.tensor(np.stack([y for _, y in data]))
    draw = [torch.Generator().manual_seed(seed) for seed in seeds]
    matrix = lambda a, b: torch.stack([torch.randn(a, b, generator=g, dtype=torch.float64) / math.sqrt(a) for g in draw]).requires_grad_()
    zeros = lambda n: torch.zeros(len(seeds), 1, n, dtype=torch.float64, requires_grad=True)
    net = {"w1": matrix(3, WIDTH), "w2": matrix(WIDTH, WIDTH), "w3": matrix(WIDTH, 2), "b1": zeros(WIDTH), "b2": zeros(WIDTH), "b3": zeros(2)}
    adam = torch.optim.Adam(net.values(), lr=RATE)
    early = None
    for step in progress(range(STEPS if stop is None else stop), desc=family):
        mean, log_deviation = forward(torch, net, z)
        loss = (log_deviation + 0.5 * ((u - mean) * torch.exp(-log_deviation)) ** 2).mean(dim=1)
        for group in adam.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))
        if step == EARLY - 1:
            early = loss.detach().numpy().copy()
        adam.zero_grad()
        loss.sum().backward()
        adam.step()
    if stop is not None:
        return {"early": early}
    asked = np.stack([np.stack([np.full(CELLS, p), np.full(CELLS, t), cells(family, p, t)[0]], axis=1) for p, t in TESTS[family]])
    asked = torch.tensor(scaled(family, asked.reshape(-1, 3)))[None].expand(len(seeds), -1, -1)
    with torch.no_grad():
        mean, log_deviation = (v.reshape(len(seeds), -1, CELLS).numpy() for v in forward(torch, net, asked))
    return {"early": early, "mean": mean, "deviation": np.exp(log_deviation)}


def load():
    """The stored networks' answers: {family: {name: array}}."""
    stored = json.loads(Path(data_path(RESULT)).read_text(encoding="utf8"))
    return {family: {name: np.array(values) for name, values in rows.items()} for family, rows in stored.items()}


def main():
    """Train all, and write the file with five digits."""
    result = {}
    for family in RANGE:
        rows = train(family, list(range(SEEDS)))
        result[family] = {name: np.vectorize(lambda v: float(f"{v:.5g}"))(values).tolist() for name, values in rows.items()}
    path = Path(__file__).parent / "data" / RESULT
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n", encoding="utf8")
    print(f"wrote {path} ({path.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
