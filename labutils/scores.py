"""Scores that a network learns: for a plane, and for swimmers that may be exchanged.

Taught in the chapter "Probability currents and entropy production" (jaynes/irreversibility).
Units: nats. Networks here are potentials ψ, so that the score s = ∇ψ is a gradient, or plain fields.

`python -m labutils.scores` trains the stored networks again (`stored`): some minutes on one core.
"""

import json
import math

import numpy as np
import torch
from torch import nn

from labutils._inputs import whole
from labutils.runtime import data_path
from labutils.swimmers import Swimmers


class Plane(nn.Module):
    """A small network on a ring times a line: features cos, sin of 2π m x / period, and g.

    gradient  True: the network is a potential, s = ∇ψ, with -g²/2 already in it;
              False: it returns both components of s, with (0, -g) already in it
    Source: chapter jaynes/irreversibility, step 8.
    """

    def __init__(self, period, waves=4, width=64, gradient=True):
        super().__init__()
        self.gradient = gradient
        self.register_buffer("k", 2 * math.pi / period * torch.arange(1, waves + 1))
        self.net = nn.Sequential(
            nn.Linear(2 * waves + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, 1 if gradient else 2),
        )

    def forward(self, z):
        """s [m, 2] at z [m, 2]."""
        x, g = z[:, :1], z[:, 1:]
        out = self.net(torch.cat([torch.cos(self.k * x), torch.sin(self.k * x), g], -1))
        if self.gradient:
            return slope(out.sum() - (g**2).sum() / 2, z)
        return out - torch.cat([torch.zeros_like(g), g], -1)


class SwimmerTransformer(nn.Module):
    """A potential of swimmers in a periodic square: exchanging two of them changes nothing.

    ψ = -Σ_i |g_i|²/2 + Σ_{i<j} pair(e_ij) + Σ_i read(h_i)

    e_ij are numbers that no rotation changes: the distance r in bumps, g_i·r̂, g_j·r̂, g_i·g_j and
    |g|². Tokens h_i, one a swimmer, look at their neighbours within `reach` (attention whose weights
    fade to 0 there, with the swimmer itself always in view), in `layers` layers. layers = 0 leaves
    the pairs alone. The score s = ∇ψ turns and permutes with the swimmers.

    Source: chapter jaynes/irreversibility, step 8; the idea of a local transformer is paper 003's.
    """

    def __init__(self, length, layers=1, width=24, heads=3, reach=2.0, bumps=12):
        super().__init__()
        self.length, self.reach, self.heads = length, reach, heads
        self.register_buffer("at", torch.linspace(0.7, reach, bumps), persistent=False)
        self.sharp = (bumps / (reach - 0.7)) ** 2
        edge = bumps + 5
        self.pair = nn.Sequential(nn.Linear(edge, 2 * width), nn.SiLU(), nn.Linear(2 * width, 2 * width),
                                  nn.SiLU(), nn.Linear(2 * width, 1))
        self.start = nn.Linear(1, width)
        self.layers = nn.ModuleList(
            nn.ModuleDict({
                "ask": nn.Linear(width, width), "key": nn.Linear(width, width),
                "say": nn.Linear(width, width), "edge": nn.Linear(edge, width + heads),
                "mix": nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)),
            }) for _ in range(layers)
        )
        self.read = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))

    def edges(self, x, g):
        """e [m, N, N, edge] and the fading weight c(r) [m, N, N], 0 on the diagonal."""
        d = x[:, :, None] - x[:, None]
        d = d - self.length * torch.round(d / self.length)
        r = torch.sqrt((d**2).sum(-1) + 1e-6)
        unit = d / r[..., None]
        square = (g**2).sum(-1)
        others = 1 - torch.eye(x.shape[1], device=x.device, dtype=x.dtype)
        fade = others * torch.cos(math.pi / 2 * (r / self.reach).clamp(max=1)) ** 2
        own, their = (g[:, :, None] * unit).sum(-1), -(g[:, None] * unit).sum(-1)
        numbers = [own, their, (g[:, :, None] * g[:, None]).sum(-1), square[:, :, None].expand_as(r),
                   square[:, None].expand_as(r)]
        bumps = torch.exp(-self.sharp * (r[..., None] - self.at) ** 2)
        return torch.cat([bumps, torch.stack(numbers, -1)], -1), fade

    def potential(self, x, g):
        """ψ [m] at positions and propulsions [m, N, 2]."""
        e, fade = self.edges(x, g)
        square = (g**2).sum(-1)
        both = self.pair(e)[..., 0]
        psi = -square.sum(-1) / 2 + 0.25 * ((both + both.transpose(1, 2)) * fade).sum((1, 2))
        if not len(self.layers):
            return psi
        h, heads = self.start(square[..., None]), self.heads
        m, n, width = h.shape
        near = torch.log(fade + torch.eye(n, device=x.device, dtype=x.dtype) + 1e-9)[..., None]
        split = lambda a: a.reshape(*a.shape[:-1], heads, width // heads)
        for layer in self.layers:
            extra = layer["edge"](e)
            match = torch.einsum("mihc,mjhc->mijh", split(layer["ask"](h)), split(layer["key"](h)))
            weight = torch.softmax(match / math.sqrt(width // heads) + extra[..., width:] + near, 2)
            told = split(layer["say"](h))[:, None] + split(extra[..., :width]) * fade[..., None, None]
            h = h + torch.einsum("mijh,mijhc->mihc", weight, told).reshape(m, n, width)
            h = h + layer["mix"](h)
        return psi + self.read(h)[..., 0].sum(-1)

    def forward(self, z):
        """s [m, 2, N, 2] at z = (x, g) [m, 2, N, 2]."""
        return slope(self.potential(z[:, 0], z[:, 1]).sum(), z)


def slope(value, z):
    """Gradient of a number in z, ready for another derivative."""
    return torch.autograd.grad(value, z, create_graph=True)[0]


def divergence(s, z, diffusion, probe=None):
    """∇·(D s) for each of m states: exact, or with a probe of ±1, right on average.

    s, z       [m, ...] with s a function of z;  diffusion  of the shape of a state, or a number
    """
    m = z.shape[0]
    weight = torch.as_tensor(diffusion, dtype=z.dtype, device=z.device).expand(z.shape[1:])
    if probe is not None:
        inner = (s * probe * weight).sum()
        return (slope(inner, z) * probe).reshape(m, -1).sum(-1)
    flat, found = s.reshape(m, -1), 0.0
    for a, D in enumerate(weight.reshape(-1)):
        found = found + D * slope(flat[:, a].sum(), z).reshape(m, -1)[:, a]
    return found


def losses(model, z, diffusion, probe=None):
    """s·D s + 2 ∇·(D s) for each state [m], and s and ∇·(D s); the mean of the first is ℓ(s)."""
    z = z.detach().requires_grad_(True)
    s = model(z)
    spread = divergence(s, z, diffusion, probe)
    weight = torch.as_tensor(diffusion, dtype=z.dtype, device=z.device)
    return (s**2 * weight).reshape(len(z), -1).sum(-1) + 2 * spread, s, spread


def fit_score(model, samples, diffusion, steps, batch, rate, seed, exact=False):
    """Score matching by Adam, the rate falling to 0 along a cosine; returns the losses of the steps.

    samples    [n, ...];  diffusion  a number or an array of the shape of a state
    exact      the divergence from all derivatives; else from one random ±1 probe a state
    The same seed gives the same run on one machine and thread count.

    Errors: ValueError for a loss that is not finite (the step is named), steps or batch < 1.
    Source: chapter jaynes/irreversibility, step 8; score matching is Hyvärinen's (2005).
    """
    for name, value in (("steps", steps), ("batch", batch)):
        whole(name, value, 1)
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    seen = []
    for step in range(steps):
        z = samples[torch.randint(len(samples), (batch,), generator=draw).to(samples.device)]
        probe = None
        if not exact:
            coins = torch.randint(0, 2, tuple(z.shape), generator=draw)
            probe = (2 * coins - 1).to(z)
        loss = losses(model, z, diffusion, probe)[0].mean()
        if not bool(torch.isfinite(loss)):
            raise ValueError(f"the loss must stay finite; it is not at step {step + 1} (rate = {rate:g})")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        seen.append(float(loss.detach()))
    return seen


def batched(model, samples, diffusion, size=512, probes=0, seed=0):
    """Losses, scores and divergences on many samples, without a graph: tensors [n], [n, ...], [n].

    probes  0: exact divergence; else the mean over that many random probes
    """
    draw, parts = torch.Generator().manual_seed(seed), []
    for z in samples.split(size):
        if not probes:
            found = losses(model, z, diffusion)
        else:
            runs = []
            for _ in range(probes):
                probe = (2 * torch.randint(0, 2, tuple(z.shape), generator=draw) - 1).to(z)
                runs.append(losses(model, z, diffusion, probe))
            found = [torch.stack([r[i].detach() for r in runs]).mean(0) for i in range(3)]
        parts.append([a.detach() for a in found])
    return tuple(torch.cat(column) for column in zip(*parts))


# The stored networks -----------------------------------------------------------------------------

FILE = "swimmer-scores.json"
SCHOOL = dict(count=8, length=4.237, v0=1.0, gamma=0.2, k=6.0, eps=0.2)
"""Eight swimmers at a packing of 0.35: what the stored networks were trained on."""
PLAN = {"pairs alone": dict(layers=0, steps=700), "transformer": dict(layers=1, steps=1200)}


def school(swimmers, walkers, seed, dt=0.025, time=15.0):
    """States [walkers, 2, N, 2] of a small system in float32, and the diffusion of the same shape."""
    x, g = swimmers.cloud(walkers, dt, round(time / dt), seed)
    D = torch.tensor([swimmers.eps, swimmers.gamma]).reshape(2, 1, 1).expand(2, swimmers.count, 2)
    return torch.tensor(np.stack([x, g], 1), dtype=torch.float32), D


def train_stored(layers, steps, walkers=6000, seed=11):
    """One network of the stored file: (model, losses of the steps)."""
    samples, D = school(Swimmers(**SCHOOL), walkers, seed)
    torch.manual_seed(seed)
    model = SwimmerTransformer(SCHOOL["length"], layers=layers, reach=1.6)
    return model, fit_score(model, samples, D, steps, 64, 5e-3, seed + 1)


def stored():
    """The stored networks: {name: SwimmerTransformer}, as made by this module's command."""
    kept, found = json.loads(data_path(FILE).read_text(encoding="utf-8")), {}
    for name, plan in PLAN.items():
        model = SwimmerTransformer(SCHOOL["length"], layers=plan["layers"], reach=1.6)
        model.load_state_dict({key: torch.tensor(value) for key, value in kept[name].items()})
        found[name] = model
    return found


def slice_losses():
    """The first three losses of a short training, from the stored file."""
    return json.loads(data_path(FILE).read_text(encoding="utf-8"))["slice"]


def rounded(model):
    """The weights of a model as lists of numbers with four significant digits."""
    cut = lambda a: [cut(b) for b in a] if isinstance(a, list) else float(f"{a:.4g}")
    return {key: cut(value.tolist()) for key, value in model.state_dict().items()}


def main():
    from pathlib import Path

    torch.set_num_threads(1)
    result = {name: rounded(train_stored(**plan)[0]) for name, plan in PLAN.items()}
    result["slice"] = train_stored(layers=1, steps=3, walkers=64)[1]
    path = Path(__file__).parent / "data" / FILE
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
