"""Small networks that solve a transport equation: where the wave is seen (Eulerian) or along the flow (Lagrangian).

Recreates the result file behind the lab transport-networks of the chapter "Learning along the flow" (waves/transport):
python -m labutils.transport_runs, a quarter of an hour on one core. Copies of a network (seeds times settings) train side by side.
The ring has length 2 pi; errors are relative root mean squares: 1 is what the answer 0 would score.
"""

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from labutils import transport
from labutils._inputs import whole
from labutils.runtime import data_path, need, progress

RESULT = "transport.json"
SEEDS = 4
WIDTH, BRANCH = 40, 28
"""Hidden units a layer of the one Eulerian network and of each of the two Lagrangian ones: 3481 numbers against 3530."""
STEPS, RATE, POINTS, FIRST = 3000, 3e-3, 256, 64
EARLY = 40
"""A step at which the loss is stored too, so that a slice can be trained again quickly, before training has magnified the rounding of one processor."""
GRID = (41, 64)
"""Times and places at which an answer is judged."""
BINS = 16


class Arm(NamedTuple):
    """A problem and a way to train on it: u_t + c u_x = 0 with c = speed / (1 + bend cos x) + burgers u, 0 <= t <= span.

    way       "euler": u(t, x), or "lagrange": X(t, x0) - x0 and U(t, x0), two branches
    hump      start with the Gaussian of width 1/2; otherwise with sin x
    stretch   the network is given stretch * t instead of t
    waves     the network is also given the cosines and sines of so many frequencies, normal with the deviation `stretch`, times t
    frame     an Eulerian network is given x - frame t instead of x
    residual  weight of the mean square of the residual (Lagrangian: of both); the first state has weight 1
    data      the mean square distance to the exact answer is the loss, no equation
    causal    epsilon > 0: the residual at t has the weight exp(-epsilon sum of the mean squares in earlier sixteenths of the time)
    windows   so many equal pieces of the time, trained one after the other, each from where the last one ended
    steps     of Adam, over all windows
    """

    way: str
    speed: float = 0.0
    bend: float = 0.0
    burgers: float = 0.0
    hump: bool = False
    span: float = 1.0
    stretch: float = 1.0
    waves: int = 0
    frame: float = 0.0
    residual: float = 1.0
    data: bool = False
    causal: float = 0.0
    windows: int = 1
    steps: int = STEPS


def _arms():
    arms = {}
    for way in ("euler", "lagrange"):
        for speed in (1, 10, 30):
            arms[f"{way} sine {speed}"] = Arm(way, speed)
            arms[f"{way} hump {speed}"] = Arm(way, speed, hump=True)
            arms[f"{way} bend {speed}"] = Arm(way, speed, bend=0.5)
        arms[f"{way} burgers"] = Arm(way, burgers=1, span=0.9)
    sine, told = Arm("euler", 30), {"stretch": 30, "waves": 8}
    return arms | {
        "weights": sine._replace(residual=1 / 900),
        "clock": sine._replace(stretch=30),
        "clock and weights": sine._replace(stretch=30, residual=1 / 900),
        "waves": sine._replace(**told),
        "waves and weights": sine._replace(**told, residual=1 / 900),
        "causal": sine._replace(causal=0.1),
        "windows": sine._replace(windows=10),
        "windows, waves and weights": sine._replace(**told, windows=10, residual=1 / 900),
        "all": sine._replace(**told, causal=10, residual=1 / 90),
        "all, four times as long": sine._replace(**told, causal=10, residual=1 / 90, steps=4 * STEPS),
        "data": sine._replace(data=True),
        "data and clock": sine._replace(data=True, stretch=30),
        "data and waves": sine._replace(data=True, **told),
        "frame": sine._replace(frame=30),
        "lagrange, four times as long": Arm("lagrange", 30, steps=4 * STEPS),
        "lagrange bend 30, waves and weights": Arm("lagrange", 30, bend=0.5, residual=1 / 900, **told),
        "waves, weight 1/90": sine._replace(**told, residual=1 / 90),
        "causal and weights": sine._replace(causal=10, residual=1 / 90),
        "windows and weights": sine._replace(windows=10, residual=1 / 900),
        "lagrange, clock": Arm("lagrange", 30, stretch=30),
        "euler, four times as long": sine._replace(steps=4 * STEPS),
    }


ARMS = _arms()


# Networks ------------------------------------------------------------------------------------------


def start(seeds, width, reach, given=3):
    """Weights [copies, in, out] of variance 1/in and biases, of `given` inputs, three hidden layers, one output.

    Biases are uniform in +-1/2, but for the last, which is 0, and the first: there every unit, a function of time along
    the first input, has its steepest place uniform in [0, reach], reach [copies] being the largest value of that input.
    """
    torch = need("torch")
    sizes = [given, width, width, width, 1]
    net = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        rngs = [np.random.default_rng((1000 + s, i)) for s in seeds]
        weight = np.stack([r.normal(0, a**-0.5, (a, b)) for r in rngs])
        bias = np.stack([r.uniform(-0.5, 0.5, (1, b)) for r in rngs])
        if i == 0:
            bias = -(bias + 0.5) * np.asarray(reach).reshape(-1, 1, 1) * weight[:, :1]
        net.append((weight, bias * (i < 3)))
    return [tuple(torch.tensor(p, dtype=torch.float32) for p in layer) for layer in net]


def apply(net, x, along=()):
    """Values [copies, n] at inputs x [copies, n, 3], and their derivatives along each direction in `along` [copies, n, 3].

    Derivatives are carried forward with the values: z = h w + b has dz = dh w, and h = tanh z has dh = (1 - h^2) dz.
    """
    torch = need("torch")
    n, k = x.shape[1], len(along)
    h = torch.cat([x, *along], 1)
    for i, (weight, bias) in enumerate(net):
        h = torch.bmm(h, weight)
        value, slopes = h[:, :n] + bias, h[:, n:]
        if i < len(net) - 1:
            value = value.tanh()
            slopes = (slopes.reshape(len(h), k, n, h.shape[-1]) * (1 - value * value)[:, None]).reshape(len(h), k * n, h.shape[-1])
        h = torch.cat([value, slopes], 1)
    return list(h[..., 0].split(n, 1))


def inputs(S, x, t):
    """What a network is given: (stretch t, cos y, sin y, waves of t) with y = x - frame t, and its derivatives by t and by x."""
    torch = need("torch")
    y, zero = x - S["frame"] * t, torch.zeros_like(x)
    c, s = y.cos(), y.sin()
    at, by_t, by_x = [S["stretch"] * t, c, s], [S["stretch"] + zero, S["frame"] * s, -S["frame"] * c], [zero, -s, c]
    for i in range(S["frequencies"].shape[1]):
        w = S["frequencies"][:, i:i + 1]
        at, by_t, by_x = at + [(w * t).cos(), (w * t).sin()], by_t + [-w * (w * t).sin(), w * (w * t).cos()], by_x + [zero, zero]
    return torch.stack(at, -1), torch.stack(by_t, -1), torch.stack(by_x, -1)


def wave(S, x):
    """The first state u0 at x."""
    torch = need("torch")
    return torch.where(S["hump"] > 0, transport.profile("gaussian", x), x.sin())


def exact(S, x, t):
    """u(x, t), from the label of what is at x at time t: x0 + bend sin x0 = x + bend sin x - speed t, or x0 + t u0(x0) = x."""
    torch = need("torch")
    S = {name: v.double() for name, v in S.items()}
    x, t = x.double(), t.double()
    goal = x + S["bend"] * x.sin() - S["speed"] * t
    reach = S["bend"] + S["burgers"] * t + 1e-9
    low, high = goal - reach, goal + reach
    for _ in range(0 if (S["bend"] == 0).all() and (S["burgers"] == 0).all() else 50):
        y = (low + high) / 2
        beyond = y + S["bend"] * y.sin() + S["burgers"] * t * wave(S, y) > goal
        low, high = torch.where(beyond, low, y), torch.where(beyond, y, high)
    return wave(S, (low + high) / 2).float()


def euler_loss(S, net, x, t, x0, aim):
    """[copies] mean (u(x0, 0) - aim)^2 + residual mean w (u_t + c u_x)^2, w = 1 without `causal`; or the distance to the exact answer."""
    torch = need("torch")
    at, by_t, by_x = inputs(S, x, t)
    if (S["data"] > 0).all():
        return ((apply(net, at)[0] - exact(S, x, t)) ** 2).mean(1)
    u, u_t, u_x = apply(net, at, (by_t, by_x))
    square = (u_t + (S["speed"] / (1 + S["bend"] * x.cos()) + S["burgers"] * u) * u_x) ** 2
    if (S["causal"] > 0).any():
        when = (t / S["length"] * BINS).long().clamp(max=BINS - 1)
        sums, zeros = square.detach(), torch.zeros(len(x), BINS)
        means = zeros.scatter_add(1, when, sums) / zeros.scatter_add(1, when, torch.ones_like(sums)).clamp(min=1)
        square = square * (-S["causal"] * S["residual"] * (means.cumsum(1) - means)).exp().gather(1, when)
    return S["residual"][:, 0] * square.mean(1) + ((apply(net, inputs(S, x0, 0 * x0)[0])[0] - aim) ** 2).mean(1)


def lagrange_loss(S, nets, x, t, x0, aim):
    """[copies] residual (mean (X_t - c(X, U))^2 + mean U_t^2) + mean (X(x0, 0) - x0)^2 + mean (U(x0, 0) - aim)^2."""
    at, by_t, _ = inputs(S, x, t)
    moved, moved_t = apply(nets[0], at, (by_t,))
    u, u_t = apply(nets[1], at, (by_t,))
    c = S["speed"] / (1 + S["bend"] * (x + moved).cos()) + S["burgers"] * u
    first = inputs(S, x0, 0 * x0)[0]
    begin = (apply(nets[0], first)[0] ** 2).mean(1) + ((apply(nets[1], first)[0] - aim) ** 2).mean(1)
    return S["residual"][:, 0] * (((moved_t - c) ** 2).mean(1) + (u_t**2).mean(1)) + begin


# Training ------------------------------------------------------------------------------------------


def train(names, seeds, stop=None, shake=0.0):
    """Train arms that share way, windows, steps, waves and data with every seed: {quantity: [arms, seeds, ...]}.

    stop    end after so many steps of the first window, whose schedule stays
    shake   first weights times 1 + shake, to see what rounding does
    error   root mean square of u - exact, relative, on GRID; a Lagrangian answer is judged at the places that it names
    late    the same at each of the times of GRID [41]
    early   the loss at step EARLY
    Errors: ValueError for no arms or seeds, an unknown arm, arms that do not share these, a stop outside EARLY..steps of a window.
    """
    torch = need("torch")
    if not names or not len(seeds):
        raise ValueError(f"names and seeds must not be empty; got {list(names)} and {list(seeds)}")
    if unknown := [name for name in names if name not in ARMS]:
        raise ValueError(f"names must be keys of ARMS; got {unknown[0]!r}")
    arms = [ARMS[name] for name in names]
    if len({(a.way, a.windows, a.steps, a.waves, a.data) for a in arms}) != 1:
        raise ValueError(f"arms trained together must share way, windows, steps, waves and data; got {', '.join(names)}")
    if stop is not None and not EARLY <= whole("stop", stop, 1) <= arms[0].steps // arms[0].windows:
        raise ValueError(f"stop must lie between {EARLY} and the {arms[0].steps // arms[0].windows} steps of a window; got {stop}")
    lagrange, windows = arms[0].way == "lagrange", arms[0].windows
    copies = [(arm, seed) for arm in arms for seed in seeds]
    S = {f: torch.tensor([[float(getattr(a, f))] for a, _ in copies]) for f in Arm._fields if f != "way"}
    S["length"] = S["span"] / windows
    drawn = np.stack([np.random.default_rng(s).normal(size=arms[0].waves) for _, s in copies])
    S["frequencies"] = S["stretch"] * torch.tensor(drawn, dtype=torch.float32)
    reach, given = (S["stretch"] * S["length"]).numpy(), 3 + 2 * arms[0].waves
    nets = [start([s + 500 * k for _, s in copies], BRANCH if lagrange else WIDTH, reach, given) for k in range(2 if lagrange else 1)]
    parameters = [(p * (1 + shake)).requires_grad_() for net in nets for layer in net for p in layer]
    nets = [list(zip(parameters[8 * k:8 * k + 8:2], parameters[8 * k + 1:8 * k + 8:2])) for k in range(len(nets))]
    draw, last, found, steps = torch.Generator().manual_seed(5), None, [], arms[0].steps // windows
    uniform = lambda n: torch.rand(len(seeds), n, generator=draw).repeat(len(arms), 1)
    early = None
    for window in range(windows):
        optimiser = torch.optim.Adam(parameters, lr=RATE)
        for step in progress(range(steps if stop is None else stop), desc=names[0]):
            optimiser.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
            x, t, x0 = 2 * math.pi * uniform(POINTS), S["length"] * uniform(POINTS), 2 * math.pi * uniform(FIRST)
            aim = wave(S, x0) if last is None else _answer(S, last, x0, S["length"])[0]
            loss = lagrange_loss(S, nets, x, t, x0, aim) if lagrange else euler_loss(S, nets[0], x, t, x0, aim)
            optimiser.zero_grad()
            loss.sum().backward()
            optimiser.step()
            if window == 0 and step == EARLY - 1:
                early = loss.detach().numpy().copy()
        last = [[tuple(p.detach().clone() for p in layer) for layer in net] for net in nets]
        found.append(last)
    done = {"early": early} if stop is not None else {"early": early, **judge(S, found)}
    return {name: np.asarray(v).reshape(len(arms), len(seeds), *np.shape(v)[1:]) for name, v in done.items()}


def _answer(S, nets, x, t):
    """u and its place: at x (Eulerian), or of the label x (Lagrangian)."""
    at = inputs(S, x, t + 0 * x)[0]
    if len(nets) == 1:
        return apply(nets[0], at)[0], x
    return apply(nets[1], at)[0], x + apply(nets[0], at)[0]


def judge(S, found):
    """What `train` reports of finished networks, one list of nets for each window."""
    torch = need("torch")
    x = 2 * math.pi * torch.arange(GRID[1]) / GRID[1]
    off, size = [], []
    for share in torch.linspace(0, 1, GRID[0]):
        window = min(int(share * len(found) * (1 - 1e-6)), len(found) - 1)
        t = S["span"] * share
        u, place = _answer(S, found[window], x.expand(len(t), -1), t - window * S["length"])
        off.append(((u - exact(S, place, t + 0 * place)) ** 2).mean(1))
        size.append((exact(S, x.expand(len(t), -1), t + 0 * place) ** 2).mean(1))
    off, size = torch.stack(off, 1), torch.stack(size, 1)
    return {"error": (off.mean(1) / size.mean(1)).sqrt().numpy(), "late": (off / size).sqrt().numpy()}


# The file ------------------------------------------------------------------------------------------


def load():
    """The stored results {arm: {"error": [seeds], "late": [seeds, 41], "early": [seeds]}}."""
    stored = json.loads(data_path(RESULT).read_text(encoding="utf8"))
    return {arm: {name: np.array(v) for name, v in row.items()} for arm, row in stored.items()}


def everything():
    """All arms and seeds, rounded for the file."""
    groups, found = {}, {}
    for name, a in ARMS.items():
        groups.setdefault((a.way, a.windows, a.steps, a.waves, a.data, a.causal > 0), []).append(name)
    for names in groups.values():
        for quantity, rows in train(names, range(SEEDS)).items():
            for name, row in zip(names, rows):
                found.setdefault(name, {})[quantity] = np.vectorize(lambda v: float(f"{v:.4g}"))(row).tolist()
    return {name: found[name] for name in ARMS}


def main():
    path = Path(__file__).resolve().parent / "data" / RESULT
    path.write_text(json.dumps(everything(), separators=(",", ":")) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
