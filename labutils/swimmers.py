"""Swimmers that push each other away in a periodic square: clusters, and where they dissipate.

Taught in the chapter "Probability currents and entropy production" (jaynes/irreversibility).
Units: the diameter of a swimmer is 1; entropy production in nats per unit of time.

    dx_i = (v0 g_i + F_i) dt + sqrt(2 ε) dW,   dg_i = -γ g_i dt + sqrt(2 γ) dW
    or, for steady swimmers, g_i = (cos a, sin a) with da = sqrt(2 γ) dW
    F_i = Σ_j k (1 - r_ij) r̂_ij over neighbours closer than 1

`python -m labutils.swimmers` recreates the stored cluster (`stored`): one to two minutes on one core.
"""

import json
import math
from dataclasses import dataclass

import numpy as np

from labutils._inputs import positive, whole
from labutils.runtime import data_path, need

FILE = "swimmers.json"


@dataclass(frozen=True)
class Swimmers:
    """N swimmers in a square of side `length` with periodic edges.

    Positions x [..., N, 2] and propulsions g [..., N, 2]. E[g²] = 1 for each component; steady
    swimmers have |g| = 1 at all times, and only their direction wanders.

    Errors: ValueError for a rate, length or temperature that is not > 0, a speed that is not
    finite, fewer than 2 swimmers, a square so small that a swimmer meets two images of another.
    Source: chapter jaynes/irreversibility, steps 4 and 8; paper 003.
    """

    count: int
    length: float
    v0: float = 1.0
    gamma: float = 0.01
    k: float = 25.0
    eps: float = 0.001
    steady: bool = False

    def __post_init__(self):
        for name in ("length", "gamma", "k"):
            positive(name, getattr(self, name))
        if not (_number(self.eps) and 0 < self.eps < math.inf):
            raise ValueError(
                f"eps must be > 0: at temperature zero the entropy production diverges; got {self.eps!r}"
            )
        if not (_number(self.v0) and math.isfinite(self.v0)):
            raise ValueError(f"v0 must be a finite number; got {self.v0!r}")
        whole("count", self.count, 2)
        if self.length < 2:
            raise ValueError(f"length must be at least two diameters; got {self.length!r}")

    @property
    def packing(self):
        """Share of the square that discs of diameter 1 would cover."""
        return self.count * math.pi / 4 / self.length**2

    def forces(self, x, pairs=None):
        """F [..., N, 2], the divergences ∇_i·F_i [..., N], and neighbours in touch [..., N].

        pairs  (i, j): index arrays of candidates, for one state x [N, 2]; None: all pairs, for
               states of any batch shape.
        Two swimmers at one place push in no direction: they are left out, as if not in touch.
        """
        if pairs is None:
            d = self._shortest(x[..., :, None, :] - x[..., None, :, :])
            r = np.sqrt((d**2).sum(-1))
            near = (r < 1) & (r > 0)
            r = np.where(near, r, 1.0)
            size = self.k * (1 - r) / r
            force = (size[..., None] * d).sum(-2)
            return force, (np.where(near, size - self.k, 0.0)).sum(-1), near.sum(-1)
        i, j = pairs
        d = self._shortest(x[i] - x[j])
        r = np.sqrt((d**2).sum(1))
        near = (r < 1) & (r > 0)
        i, j, d, r = i[near], j[near], d[near], r[near]
        size = self.k * (1 - r) / r
        both, twice = np.concatenate([i, j]), np.concatenate([size, size])
        push = np.concatenate([size[:, None] * d, -size[:, None] * d])
        add = lambda w: np.bincount(both, w, minlength=self.count)
        return np.stack([add(push[:, 0]), add(push[:, 1])], -1), add(twice - self.k), add(None)

    def rates(self, g, force, divergence):
        """What each swimmer contributes to four sums with two means, as {name: [..., N]}.

        "work even"  v0 g·(v0 g + F) / ε          mean ė for g even: power of the propulsion
        "heat even"  |v0 g + F|² / ε + ∇·F + γ |g|² - 2 γ       the same mean (no γ if steady)
        "work odd"   -v0 g·F / ε                  mean ė for g odd: work against neighbours
        "heat odd"   |F|² / ε + ∇·F               the same mean
        """
        swim = self.v0 * g
        b = swim + force
        square = lambda a: (a**2).sum(-1)
        return {
            "work even": (swim * b).sum(-1) / self.eps,
            "heat even": square(b) / self.eps + divergence
            + (0 if self.steady else self.gamma * (square(g) - 2)),
            "work odd": -(swim * force).sum(-1) / self.eps,
            "heat odd": square(force) / self.eps + divergence,
        }

    def lattice(self, rng=None):
        """Positions [N, 2] on a square lattice that fills the box."""
        side = math.ceil(math.sqrt(self.count))
        at = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[: self.count]
        return (at + 0.5) * self.length / side

    def headings(self, shape, rng):
        """Propulsions [..., N, 2] from their stationary law."""
        g = rng.standard_normal(shape)
        return g / np.sqrt((g**2).sum(-1, keepdims=True)) if self.steady else g

    def turn(self, g, dt, rng):
        """Propulsions after dt, from their exact law."""
        if not self.steady:
            new = math.sqrt(-math.expm1(-2 * self.gamma * dt)) * rng.standard_normal(g.shape)
            return math.exp(-self.gamma * dt) * g + new
        angle = math.sqrt(2 * self.gamma * dt) * rng.standard_normal(g.shape[:-1])
        c, s = np.cos(angle), np.sin(angle)
        return np.stack([c * g[..., 0] - s * g[..., 1], s * g[..., 0] + c * g[..., 1]], -1)

    def walk(self, x, g, dt, steps, seed, skin=0.6):
        """One large system for `steps` steps (Heun in x, exact in g): yields (x, g, F, ∇·F, touch).

        Yielded before each step; x is not wrapped. Candidate pairs are renewed when somebody has
        moved half the skin.

        Errors: ValueError for dt >= 1 / (2 k), a state that is not finite. Between six neighbours
        Heun's scheme is stable below 1 / (3 k): a step between the two runs, but its law is off,
        which work and heat in `rates` show.
        """
        self._coarse(dt)
        rng, tree = np.random.default_rng(seed), need("scipy.spatial").cKDTree
        kick, since = math.sqrt(2 * self.eps * dt), None
        for step in range(steps):
            if since is None or ((x - since) ** 2).sum(1).max() > (skin / 2) ** 2:
                if not np.isfinite(x).all():
                    raise ValueError(f"positions must stay finite; a swimmer is not before step {step + 1}")
                wrapped = np.mod(x, self.length)
                wrapped[wrapped >= self.length] = 0.0
                found = tree(wrapped, boxsize=self.length).query_pairs(1 + skin, output_type="ndarray")
                pairs, since = (found[:, 0], found[:, 1]), x
            force, divergence, touch = self.forces(x, pairs)
            yield x, g, force, divergence, touch
            first, noise = self.v0 * g + force, kick * rng.standard_normal(x.shape)
            g = self.turn(g, dt, rng)
            second = self.v0 * g + self.forces(x + first * dt + noise, pairs)[0]
            x = x + (first + second) * (dt / 2) + noise

    def cloud(self, walkers, dt, steps, seed):
        """Many small systems at once: (x, g), each [walkers, N, 2], after `steps` steps (Heun).

        Errors: ValueError for dt >= 1 / (2 k), as in `walk`.
        """
        self._coarse(dt)
        rng = np.random.default_rng(seed)
        x = np.tile(self.lattice(), (walkers, 1, 1))
        g, kick = self.headings(x.shape, rng), math.sqrt(2 * self.eps * dt)
        for _ in range(steps):
            first, noise = self.v0 * g + self.forces(x)[0], kick * rng.standard_normal(x.shape)
            g = self.turn(g, dt, rng)
            second = self.v0 * g + self.forces(x + first * dt + noise)[0]
            x = x + (first + second) * (dt / 2) + noise
        return np.mod(x, self.length), g

    def _coarse(self, dt):
        if not 0 < dt < 0.5 / self.k:
            raise ValueError(f"dt must be below {0.5 / self.k:.3g} for k = {self.k:g}; got {dt!r}")

    def _shortest(self, d):
        return d - self.length * np.round(d / self.length)


# The stored cluster ------------------------------------------------------------------------------

CLUSTER = dict(count=700, length=34.0, steady=True)
RUN = dict(dt=0.008, settle=60000, frames=3, between=10000, window=1250, seed=2026)

SLICE = dict(dt=0.008, settle=100, frames=1, between=100, window=50, seed=5)
"""A run of a second, on 40 swimmers: stored too, so that a test can make it again."""


def record(swimmers, dt, settle, frames, between, window, seed):
    """Run, and keep `frames` moments, each with means over the `window` steps that follow it.

    Returns {"means": {rate: mean over all windows and swimmers}, "frames": [{"x", "y", "gx", "gy",
    "touch", "even", "odd", "div": lists over swimmers}]}: "even" and "odd" are the two works.

    Errors: those of `Swimmers.walk`.
    """
    rng = np.random.default_rng(seed)
    x = swimmers.lattice()
    g = swimmers.headings(x.shape, rng)
    x = x + 0.01 * rng.standard_normal(x.shape)
    kept, means, start, frame = [], {}, settle, None
    for step, (x, g, force, divergence, touch) in enumerate(
        swimmers.walk(x, g, dt, settle + frames * between, seed + 1)
    ):
        if step < settle:
            continue
        at = (step - settle) % between
        if at == 0:
            frame = {"x": np.mod(x[:, 0], swimmers.length), "y": np.mod(x[:, 1], swimmers.length),
                     "gx": g[:, 0], "gy": g[:, 1]}
            sums = {name: np.zeros(swimmers.count) for name in ("touch", "even", "odd", "div")}
        if at < window:
            found = swimmers.rates(g, force, divergence)
            for name, value in found.items():
                means[name] = means.get(name, 0.0) + value.mean() / (frames * window)
            for name, value in (("touch", touch), ("even", found["work even"]),
                                ("odd", found["work odd"]), ("div", divergence)):
                sums[name] = sums[name] + value / window
        if at == window - 1:
            kept.append(frame | sums)
    digits = {"x": 2, "y": 2, "gx": 2, "gy": 2, "touch": 2, "even": 0, "odd": 0, "div": 1}
    return {
        "means": {name: round(float(value), 2) for name, value in means.items()},
        "frames": [{n: [round(float(a), digits[n]) for a in v] for n, v in f.items()} for f in kept],
    }


def stored():
    """The stored cluster: (Swimmers, means, frames), as made by this module's command.

    A frame is {name: array over swimmers}, see `record`.
    """
    result = json.loads(data_path(FILE).read_text(encoding="utf-8"))
    frames = [{name: np.array(values) for name, values in f.items()} for f in result["frames"]]
    return Swimmers(**CLUSTER), result["means"], frames


def main():
    from pathlib import Path

    result = record(Swimmers(**CLUSTER), **RUN)
    result["slice"] = record(Swimmers(40, 8.0, steady=True), **SLICE)["means"]
    path = Path(__file__).parent / "data" / FILE
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"written: {path}")


def _number(value):
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


if __name__ == "__main__":
    main()
