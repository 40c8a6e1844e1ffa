"""Learned bases for diffusion with sorption: the equation as a penalty, as a hard constraint, and as one by parts.

Recreates the result file behind the lab conservation-parts of the chapter "Learning that respects conservation laws"
(waves/conservation): python -m labutils.collocation_runs, some ten minutes on one core; with names of methods only
these, and the rest is kept. Units: those of the field.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np

from labutils import collocation as co
from labutils.runtime import data_path, need, progress

RESULT = "collocation.json"
SEEDS, END, BATCH = 6, 0.5, 8
LOW, Q = (0.05, 0.3), (1.5, 4.0)
"""Least value and steepness of the initial fields of the family."""
NX, NT, BASIS, WIDTH = 12, 12, 8, 24
RATE, SOLVES, SLACK = 5e-3, {"hard": 60, "parts": 200}, 0.01
STEPS = {"soft": 300, "long": 3000, "hard": 300, "parts": 300}
"""Training steps a method: the penalty also gets ten times as many."""
EARLY = 12
"""A step whose loss is stored too, so that a slice can be trained again before training has magnified rounding."""
METHODS = tuple(STEPS)
PARTS = 4
"""Equal pieces of time, each with its own coefficients."""
TIMES = (0.125, 0.25, 0.375, 0.5)


def grid(nx=NX, nt=NT):
    """Places x [n] and times t [n] of the sample points, the middles of nx times nt cells, ordered by time."""
    t, x = np.meshgrid((np.arange(nt) + 0.5) / nt * END, (np.arange(nx) + 0.5) / nx, indexing="ij")
    return x.ravel(), t.ravel()


def network(torch, seed, out):
    """Weights of two hidden layers of tanh with four inputs."""
    g = torch.Generator().manual_seed(seed)
    matrix = lambda a, b: (torch.randn(a, b, generator=g, dtype=torch.float64) / math.sqrt(a)).requires_grad_()
    zeros = lambda n: torch.zeros(n, dtype=torch.float64, requires_grad=True)
    return {"w1": matrix(4, WIDTH), "b1": zeros(WIDTH), "w2": matrix(WIDTH, WIDTH), "b2": zeros(WIDTH), "w3": matrix(WIDTH, out), "b3": zeros(out)}


def basis(torch, net, x, t, low, q):
    """(b, b_t, b_xx) each [P, n, out] at places x, t [n] for problems low, q [P].

    The network sees (1 - x)², so that b has no slope at x = 1; b is it times x (2 - x) (1 - e^(-10 t)), which is 0 at
    x = 0 and at t = 0. Derivatives are carried along by hand through both layers.
    """
    one = torch.ones(len(low), len(x), dtype=torch.float64)
    z = one * (1 - x) ** 2
    a = torch.stack([4 * z - 2, one * (4 / END * t - 2), one * ((low - LOW[0]) / (LOW[1] - LOW[0]) * 2 - 1)[:, None],
                     one * ((q - Q[0]) / (Q[1] - Q[0]) * 2 - 1)[:, None]], dim=-1)
    a_x = torch.stack([-8 * (1 - x) * one, 0 * one, 0 * one, 0 * one], dim=-1)
    a_xx = torch.stack([8 * one, 0 * one, 0 * one, 0 * one], dim=-1)
    a_t = torch.stack([0 * one, 4 / END * one, 0 * one, 0 * one], dim=-1)
    for layer in "12":
        w = net["w" + layer]
        a, a_x, a_xx, a_t = a @ w + net["b" + layer], a_x @ w, a_xx @ w, a_t @ w
        s = torch.tanh(a)
        first = 1 - s * s
        a, a_x, a_xx, a_t = s, first * a_x, first * a_xx - 2 * s * first * a_x**2, first * a_t
    v, v_x, v_xx, v_t = a @ net["w3"] + net["b3"], a_x @ net["w3"], a_xx @ net["w3"], a_t @ net["w3"]
    m, m_x, m_xx = (x * (2 - x))[:, None], (2 - 2 * x)[:, None], -2.0
    r, r_t = (1 - torch.exp(-10 * t))[:, None], (10 * torch.exp(-10 * t))[:, None]
    return m * r * v, m * (r * v_t + r_t * v), r * (m * v_xx + 2 * m_x * v_x + m_xx * v)


def answer(torch, method, net, x, t, low, q):
    """(F [P, n], omega [P, parts, N]) of a method at its sample points x, t (ordered by time)."""
    rows = basis(torch, net, x, t, low, q)
    start = co.initial(x, low[:, None], q[:, None])
    if method in ("soft", "long"):
        omega = torch.ones(len(low), 1, dtype=torch.float64)
        return co.residual(omega, rows, start)[0], omega[:, None]
    pieces = PARTS if method == "parts" else 1
    cut = lambda v: v.reshape(len(low), pieces, len(x) // pieces, *v.shape[2:])
    rows, start = tuple(cut(v) for v in rows), tuple(cut(v) for v in start)
    fixed = tuple(v.detach() for v in rows)
    zero = torch.zeros(len(low), pieces, BASIS, dtype=torch.float64)
    found = co.solve(lambda w: co.residual(w, fixed, start), zero, steps=SOLVES[method], damping=1e-4)
    F, J = co.residual(found.omega, rows, start)
    H = co.hessian(found.omega, fixed, start)
    H = H + 1e-10 * H.diagonal(dim1=-2, dim2=-1).amax(dim=-1)[..., None, None] * torch.eye(BASIS, dtype=torch.float64)
    omega = co.follow(found.omega, (J.mT @ F[..., None])[..., 0], H, slack=SLACK)
    return co.residual(omega, rows, start)[0].reshape(len(low), -1), omega


def tied(torch, net, x, t, low, q, weight=100.0):
    """As `answer` by parts, but all parts are one system, with rows of this weight that ask for the same u on both sides of a seam."""
    pieces, places = PARTS, torch.tensor((np.arange(NX) + 0.5) / NX)
    cut = lambda v: v.reshape(len(low), pieces, len(x) // pieces, *v.shape[2:]).detach()
    rows = tuple(cut(v) for v in basis(torch, net, x, t, low, q))
    start = tuple(cut(v) for v in co.initial(x, low[:, None], q[:, None]))
    seams = [basis(torch, net, places, torch.full_like(places, END * (j + 1) / pieces), low, q)[0].detach() for j in range(pieces - 1)]

    def equation(w):
        F, J = co.residual(w.reshape(len(low), pieces, BASIS), rows, start)
        whole = torch.zeros(len(low), pieces, len(x) // pieces, pieces, BASIS, dtype=torch.float64)
        for j in range(pieces):
            whole[:, j, :, j] = J[:, j]
        whole = whole.reshape(len(low), len(x), -1)
        tie = torch.zeros(len(low), pieces - 1, NX, pieces, BASIS, dtype=torch.float64)
        for j, b in enumerate(seams):
            tie[:, j, :, j], tie[:, j, :, j + 1] = -weight * b, weight * b
        tie = tie.reshape(len(low), -1, pieces * BASIS)
        return torch.cat([F.reshape(len(low), -1), (tie @ w[..., None])[..., 0]], dim=-1), torch.cat([whole, tie], dim=1)

    found = co.solve(equation, torch.zeros(len(low), pieces * BASIS, dtype=torch.float64), steps=200, damping=1e-4)
    omega = found.omega.reshape(len(low), pieces, BASIS)
    return co.residual(omega, rows, start)[0].reshape(len(low), -1), omega


def spaced(torch, net, x, t, low, q):
    """As `answer` by parts, but PARTS equal pieces of the ground: each holds all times, so the initial field stays known in it.

    x, t [n] as from `grid`; F [P, n] comes back in their order, omega is [P, PARTS, N].
    """
    times = len(torch.unique(t))
    def cut(v):
        return v.reshape(len(low), times, PARTS, len(x) // times // PARTS, *v.shape[2:]).transpose(1, 2).flatten(2, 3).detach()
    rows = tuple(cut(v) for v in basis(torch, net, x, t, low, q))
    start = tuple(cut(v) for v in co.initial(x, low[:, None], q[:, None]))
    zero = torch.zeros(len(low), PARTS, BASIS, dtype=torch.float64)
    omega = co.solve(lambda w: co.residual(w, rows, start), zero, steps=200, damping=1e-4).omega
    F = co.residual(omega, rows, start)[0]
    return F.reshape(len(low), PARTS, times, -1).transpose(1, 2).reshape(len(low), -1), omega


def train(method, seed, stop=None):
    """(network, losses): mean squared residual over random problems of the family, Adam with a cosine to zero."""
    torch = need("torch")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    net = network(torch, seed, 1 if method in ("soft", "long") else BASIS)
    x, t = (torch.tensor(v) for v in grid())
    rng = np.random.default_rng(seed)
    adam = torch.optim.Adam(net.values(), lr=RATE)
    losses = []
    for step in progress(range(STEPS[method] if stop is None else stop), desc=f"{method} {seed}"):
        low, q = torch.tensor(rng.uniform(*LOW, BATCH)), torch.tensor(rng.uniform(*Q, BATCH))
        loss = (answer(torch, method, net, x, t, low, q)[0] ** 2).mean()
        for group in adam.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS[method]))
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    return net, losses


def problems(count=12):
    """Test problems (low [count], q [count]) that no training saw, the same for all."""
    rng = np.random.default_rng(99)
    return rng.uniform(*LOW, count), rng.uniform(*Q, count)


def measure(method, net, truth):
    """{"error" relative, "residual" at the sample points, "between" them, "jump" at the seams}: root mean squares over test problems.

    error    of u at TIMES on the cells of truth [P, len(TIMES), cells], over the size of truth
    between  on points that the solver has not used
    jump     of u at the inner seams between the parts of time, over places; 0 for one part
    A method "tied" solves all parts as one system with rows at the seams, whatever the network was trained for.
    """
    torch = need("torch")
    low, q = (torch.tensor(v) for v in problems(len(truth)))
    x, t = (torch.tensor(v) for v in grid())
    F, omega = tied(torch, net, x, t, low, q) if method == "tied" else answer(torch, method, net, x, t, low, q)
    omega, pieces = omega.detach(), omega.shape[1]
    cells = truth.shape[-1]
    xs = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    start = co.initial(xs, low[:, None], q[:, None])[0]
    def field(time, piece):
        return start + (basis(torch, net, xs, torch.full_like(xs, time), low, q)[0] @ omega[:, piece, :, None])[..., 0]
    own = lambda time: min(int(math.ceil(time / END * pieces - 1e-9)) - 1, pieces - 1)
    u = torch.stack([field(time, own(time)) for time in TIMES], dim=1).detach().numpy()
    seams = [END * (j + 1) / pieces for j in range(pieces - 1)]
    jump = [(field(s, j + 1) - field(s, j)).detach().numpy() for j, s in enumerate(seams)]
    xf, tf = (torch.tensor(v) for v in grid(2 * NX + 1, 2 * PARTS * 3))
    rows, begin = basis(torch, net, xf, tf, low, q), co.initial(xf, low[:, None], q[:, None])
    cut = lambda v: v.reshape(len(low), pieces, len(xf) // pieces, *v.shape[2:])
    fine = co.residual(omega, tuple(cut(v) for v in rows), tuple(cut(v) for v in begin))[0].detach().numpy()
    rms = lambda v: float(np.sqrt(np.mean(np.square(v)))) if len(v) else 0.0
    return {"error": rms(u - truth) / rms(truth), "residual": rms(F.detach().numpy()), "between": rms(fine), "jump": rms(np.array(jump))}


def load():
    """The stored runs: {method: {name: [SEEDS]}}."""
    stored = json.loads(Path(data_path(RESULT)).read_text(encoding="utf8"))
    return {method: {name: np.array(v) for name, v in rows.items()} for method, rows in stored.items()}


def measure_space(net, truth, finer=1):
    """`measure` for shapes whose solver is cut into PARTS pieces of the ground; seams are then places, at the TIMES.

    finer  sample points along x and along t as multiples of NX and NT: with 2, each of four parts has as many points as
           the undivided solver had in all
    """
    torch = need("torch")
    low, q = (torch.tensor(v) for v in problems(len(truth)))
    F, omega = spaced(torch, net, *(torch.tensor(v) for v in grid(finer * NX, finer * NT)), low, q)

    def field(xs, owner, time):
        b = basis(torch, net, xs, torch.full_like(xs, time), low, q)[0].detach()
        return co.initial(xs, low[:, None], q[:, None])[0] + (b * omega[:, owner]).sum(dim=-1)

    def whose(xs):
        return (xs * PARTS).long().clamp(max=PARTS - 1)

    xs = (torch.arange(truth.shape[-1], dtype=torch.float64) + 0.5) / truth.shape[-1]
    u = torch.stack([field(xs, whose(xs), time) for time in TIMES], dim=1).numpy()
    seams, left = torch.arange(1, PARTS, dtype=torch.float64) / PARTS, torch.arange(PARTS - 1)
    jump = torch.stack([field(seams, left + 1, time) - field(seams, left, time) for time in TIMES]).numpy()
    xf, tf = (torch.tensor(v) for v in grid(2 * NX + 1, 2 * PARTS * 3))
    rows = tuple(v.detach()[:, :, None] for v in basis(torch, net, xf, tf, low, q))
    begin = tuple(v[:, :, None] for v in co.initial(xf, low[:, None], q[:, None]))
    fine = co.residual(omega[:, whose(xf)], rows, begin)[0].numpy()
    rms = lambda v: float(np.sqrt(np.mean(np.square(v))))
    return {"error": rms(u - truth) / rms(truth), "residual": rms(F.numpy()), "between": rms(fine), "jump": rms(jump)}


def main(methods):
    """Train these methods, and write the file with four digits."""
    truth = co.sorption(*problems(), TIMES)
    path = Path(__file__).parent / "data" / RESULT
    result = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
    for method in methods:
        rows = {}
        for seed in range(SEEDS):
            net, losses = train(method, seed)
            found = {"early": losses[EARLY - 1], "loss": float(np.mean(losses[-20:])), **measure(method, net, truth)}
            if method == "hard":                                            # the same shapes, cut at last, alone and tied at the seams
                found |= {f"{word} {name}": v for word, way in (("split", "parts"), ("tied", "tied")) for name, v in measure(way, net, truth).items()}
                found |= {f"{word} {name}": v for word, finer in (("space", 1), ("dense", 2)) for name, v in measure_space(net, truth, finer).items()}
            for name, v in found.items():
                rows.setdefault(name, []).append(float(f"{v:.4g}"))
            print(method, seed, {k: v[-1] for k, v in rows.items()}, flush=True)
        result[method] = rows
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n", encoding="utf8")


if __name__ == "__main__":
    main(sys.argv[1:] or METHODS)
