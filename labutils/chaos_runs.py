"""Forecasts of chaotic flows by six kinds of models from the same data, and a small transformer among them.

Taught in the chapter "Forecasting chaos" (waves/chaos). Units: Lyapunov times.

    python -m labutils.chaos_runs                  fits all of `plan` again (about 10 minutes on one core)
    python -m labutils.chaos_runs Lorenz Thomas    only these systems, and keeps the rest
    python -m labutils.chaos_runs spectra          the exponents of all twelve flows (about 5 minutes)
"""

import json
import math
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from labutils import chaos
from labutils.runtime import progress

RESULT = Path(__file__).parent / "data" / "chaos.json"
SPECTRA = Path(__file__).parent / "data" / "chaos-spectra.json"
SYSTEMS = {"Lorenz": (chaos.lorenz, 2, 0.906), "Thomas": (chaos.thomas, 2, 0.49)}
"""Flow, RK4 steps between two samples, and the largest exponent by which times are counted."""
LENGTHS = (150, 500, 1500, 5000)
METHODS = ("linear", "quadratic", "knowledge", "neighbours", "reservoir", "transformer")
SEEDS, STARTS, HORIZON, PAST = 5, 20, 14, 100
"""Training series, starts for each, Lyapunov times that a forecast may last, samples of past that all may use."""


class Transformer(chaos.Forecaster):
    """Two causal layers that read the last 16 states and answer with the change in one step.

    Trained by Adam on windows of the series, with a warm-up and a cosine to zero; float32.
    """

    history = 16

    def __init__(self, width=32, steps=800, batch=64, rate=3e-3, seed=0):
        self.width, self.steps, self.batch, self.rate, self.seed = width, steps, batch, rate, seed

    def _fit(self, x):
        g = torch.Generator().manual_seed(self.seed)
        data = torch.tensor(x, dtype=torch.float32)
        change = data[1:] - data[:-1]
        self.unit = change.std(dim=0)
        dim, w = x.shape[1], self.width
        matrix = lambda a, b: (torch.randn(a, b, generator=g) / math.sqrt(a)).requires_grad_()
        self.p = {"in": matrix(dim, w), "place": (0.1 * torch.randn(self.history, w, generator=g)).requires_grad_(), "out": matrix(w, dim)}
        for i in range(2):
            self.p |= {f"qkv{i}": matrix(w, 3 * w), f"mix{i}": matrix(w, w), f"up{i}": matrix(w, 4 * w), f"down{i}": matrix(4 * w, w)}
        adam = torch.optim.Adam(self.p.values(), lr=self.rate)
        last = len(change) - self.history
        for step in range(self.steps):
            for group in adam.param_groups:
                group["lr"] = self.rate * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / self.steps))
            at = torch.randint(0, last + 1, (self.batch,), generator=g)[:, None] + torch.arange(self.history)
            loss = ((self._answer(data[at]) - change[at] / self.unit) ** 2).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
        self.loss = loss.item()

    def _answer(self, x):
        """Changes in units of their spread after each of the states x [B, 16, dim]."""
        norm = lambda a: torch.nn.functional.layer_norm(a, a.shape[-1:])
        a = x @ self.p["in"] + self.p["place"]
        for i in range(2):
            q, k, v = ((norm(a) @ self.p[f"qkv{i}"]).reshape(*a.shape[:2], 3, 2, -1)).permute(2, 0, 3, 1, 4)
            seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            a = a + seen.transpose(1, 2).reshape(a.shape) @ self.p[f"mix{i}"]
            a = a + torch.nn.functional.gelu(norm(a) @ self.p[f"up{i}"]) @ self.p[f"down{i}"]
        return norm(a) @ self.p["out"]

    def _change(self, window):
        with torch.no_grad():
            answer = self._answer(torch.tensor(window, dtype=torch.float32))[:, -1] * self.unit
        return answer.numpy().astype(float)


def lorenz_terms(x):
    """What the right-hand side of Lorenz is made of: x, y, z, xz, xy."""
    return np.concatenate([x, x[..., :1] * x[..., 2:], x[..., :1] * x[..., 1:2]], axis=-1)


def thomas_terms(x):
    """What the right-hand side of Thomas is made of: the coordinates and their sines."""
    return np.concatenate([x, np.sin(x)], axis=-1)


def make(method, system, seed=0):
    """A fresh forecaster of that name; none was tuned on the test starts."""
    return {"linear": lambda: chaos.Polynomial(1, delays=4), "quadratic": lambda: chaos.Polynomial(2, delays=2),
            "knowledge": lambda: chaos.Field({"Lorenz": lorenz_terms, "Thomas": thomas_terms}[system]),
            "neighbours": lambda: chaos.Neighbours(3), "reservoir": lambda: chaos.Reservoir(seed=seed),
            "transformer": lambda: Transformer(seed=seed)}[method]()


@lru_cache(maxsize=16)
def _runs(system, seed):
    build, every, exponent = SYSTEMS[system]
    flow, rng = build(), np.random.default_rng([seed, 70])
    unit = every * flow.h * exponent
    steps = math.ceil(HORIZON / unit)
    start = chaos.ensemble(flow, 1 + STARTS, rng)
    series = chaos.integrate(flow, start[0], every * (max(LENGTHS) - 1), every=every)
    runs = chaos.integrate(flow, start[1:], every * (PAST + steps - 1), every=every).transpose(1, 0, 2)
    return series, runs, unit


def data(system, length, seed, noise=0.0):
    """(series [length, dim], past [STARTS, PAST, dim], future [STARTS, steps, dim], Lyapunov times a sample).

    A shorter series is the end of a longer one. noise  spread added to what is seen, in sizes of the attractor
    """
    series, runs, unit = _runs(system, seed)
    size, rng = series.std(axis=0), np.random.default_rng([seed, 62])
    series = series + noise * size * rng.normal(size=series.shape)
    past = runs[:, :PAST] + noise * size * rng.normal(size=runs[:, :PAST].shape)
    return series[-length:], past, runs[:, PAST:], unit


def trial(system, method, length, seed, noise=0.0):
    """Valid times [STARTS] in Lyapunov times of one fitted model."""
    series, past, future, unit = data(system, length, seed, noise)
    model = make(method, system, seed).fit(series)
    return chaos.valid_time(future, model.forecast(past, future.shape[1]), series.std(axis=0), h=unit)[0]


def spectra(names=(), runs=32, periods=150):
    """Exponents of the twelve flows, or of those named: so many runs of so many periods each, after a third as many to settle."""
    found = {}
    for flow in chaos.flows():
        if names and flow.name not in names:
            continue
        steps = int(periods * flow.period / flow.h)
        start = chaos.ensemble(flow, runs, np.random.default_rng(70), warm=2000)
        s = chaos.lyapunov_spectrum(flow, start, steps, warm=steps // 3, every=10)
        found[flow.name] = {"mean": s.mean.round(5).tolist(), "error": s.error.round(5).tolist(),
                            "divergence": round(float(s.divergence.mean()), 5)}
        print(flow.name, found[flow.name], flush=True)
    return found


def plan(systems=tuple(SYSTEMS)):
    """All (system, method, length, seed) of the stored runs."""
    return [(s, m, n, seed) for s in systems for n in LENGTHS for m in METHODS for seed in range(SEEDS)]


def load():
    """{system: {method: array [length, seed, start]}} of the stored valid times."""
    stored = json.loads(RESULT.read_text())
    return {s: {m: np.array(v) for m, v in methods.items()} for s, methods in stored.items()}


def main(systems):
    torch.set_num_threads(1)
    if "spectra" in systems:
        kept = json.loads(SPECTRA.read_text()) if systems[1:] else {}
        rows = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in (kept | spectra(systems[1:])).items()]
        SPECTRA.write_text("{\n" + ",\n".join(rows) + "\n}\n")
        return
    stored = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    for system in systems or SYSTEMS:
        stored[system] = {m: [[None] * SEEDS for _ in LENGTHS] for m in METHODS}
        for s, m, n, seed in progress(plan([system]), desc=system):
            stored[s][m][LENGTHS.index(n)][seed] = [round(float(t), 3) for t in trial(s, m, n, seed)]
        rows = [f"  {json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}" for name, row in stored.items()]
        RESULT.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
