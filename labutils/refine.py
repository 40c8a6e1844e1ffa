"""A linear codec learned by rate plus λ times distortion, and the search for better coefficients of one image.

Taught in the chapter "Entropy models for compression" (bottleneck/compression). Needs torch.
Units: bits and squared grey levels; a loss is bits + λ squared error, summed over a block of 64 pixels.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch

from labutils._inputs import number, positive, whole

SPREAD = (0.15, 0.6, 2.5)
"""Starting scales of the three Gaussians of a coefficient, in units of its standard deviation."""
FLOOR, RANGE = 2.0**-12, 4096
"""Weight and width of the flat part of each law, so that no coefficient costs more than 24 bits."""


class Refined(NamedTuple):
    """What the searches return.

    k     [n, 64] whole coefficients
    loss  [n] bits + λ squared error of each block
    cost  how often the loss of all blocks was evaluated; a gradient counts as two more
    """

    k: Any
    loss: Any
    cost: float


class LinearCodec:
    """Blocks x [n, 64] -> k = round(x analysisᵀ) -> k synthesisᵀ, with a law for each coefficient.

    The law is a mixture of three centred Gaussians, discretised: q(k) = sum_j w_j [Φ((k + ½)/s_j) - Φ((k - ½)/s_j)],
    mixed with a weight of 2^-12 of a flat law over 4096 values.

    analysis, synthesis  [64, 64] tensors of float64

    Source: chapter bottleneck/compression, steps 7 and 11.
    """

    def __init__(self, analysis, synthesis, spread):
        self.analysis = torch.as_tensor(np.asarray(analysis), dtype=torch.float64).clone()
        self.synthesis = torch.as_tensor(np.asarray(synthesis), dtype=torch.float64).clone()
        spread = torch.as_tensor(np.asarray(spread), dtype=torch.float64)
        if self.analysis.shape != (64, 64) or self.synthesis.shape != (64, 64) or spread.shape != (64,):
            raise ValueError("analysis and synthesis must be [64, 64], spread [64]; got "
                             f"{tuple(self.analysis.shape)}, {tuple(self.synthesis.shape)}, {tuple(spread.shape)}")
        self.logits = torch.zeros(64, 3, dtype=torch.float64)
        self.log_scales = (spread.clamp(min=0.05)[:, None] * torch.tensor(SPREAD, dtype=torch.float64)).log()

    def parameters(self, transform=True):
        return [self.logits, self.log_scales, *([self.analysis, self.synthesis] if transform else [])]

    def bits(self, k, which=slice(None)):
        """-log2 q of each coefficient, [..., 64]; between whole numbers too, as training and annealing need it.

        which  one coefficient instead of all 64: k [...] are then values of that one
        """
        scales, far = self.log_scales[which].exp(), -k.abs()[..., None]
        mass = torch.special.ndtr((far + 0.5) / scales) - torch.special.ndtr((far - 0.5) / scales)
        q = (mass * torch.softmax(self.logits[which], -1)).sum(-1)
        return -torch.log2((1 - FLOOR) * q + FLOOR / RANGE)

    def table(self, largest=160):
        """The law of each coefficient on -largest .. largest, pmfs [64, 2 largest + 1]; the ends take the tails."""
        whole("largest", largest, 1)
        with torch.no_grad():
            k = torch.arange(-largest, largest + 1, dtype=torch.float64)[:, None].expand(-1, 64)
            q = (2 ** -self.bits(k)).T.numpy()
        ends = (1 - q.sum(1)) / 2
        q[:, 0] += ends
        q[:, -1] += ends
        return q / q.sum(1, keepdims=True)

    def loss(self, x, k, lam):
        """Bits + λ squared error of each block [n]."""
        return self.bits(k).sum(-1) + lam * ((x - k @ self.synthesis.T) ** 2).sum(-1)

    def round(self, x):
        return torch.round(x @ self.analysis.T)


def orthonormal(basis, step, blocks):
    """A codec with rows of an orthonormal basis [64, 64], divided by the step of the quantiser; its laws start from blocks."""
    basis, step = np.asarray(basis, float), positive("step", step)
    if basis.shape != (64, 64) or not np.allclose(basis @ basis.T, np.eye(64), atol=1e-8):
        raise ValueError("basis must be orthonormal, [64, 64]")
    return LinearCodec(basis / step, basis.T * step, np.sqrt(((np.asarray(blocks) @ basis.T / step) ** 2).mean(0)))


def fit(codec, blocks, lam, *, steps=400, batch=512, rate=0.01, transform=True, seed=0):
    """Minimise the mean loss over blocks [n, 64] by Adam; returns the codec, changed in place, and the course [steps].

    transform  True trains analysis and synthesis too, with uniform noise in place of rounding (step 8);
               False fits the laws to rounded coefficients
    The rate of learning falls as a cosine. Rows of the transform learn at a hundredth of `rate`, relative to their size.

    Errors: ValueError for lam <= 0 or numbers out of range.
    """
    lam, rate = positive("lam", lam), positive("rate", rate)
    whole("steps", steps, 1), whole("batch", batch, 1), whole("seed", seed, 0)
    x = torch.as_tensor(np.asarray(blocks), dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    laws = codec.parameters(False)
    groups = [{"params": laws, "lr": 5 * rate}]
    if transform:
        groups += [{"params": [p], "lr": 0.1 * rate * float(p.detach().abs().mean())} for p in (codec.analysis, codec.synthesis)]
    for p in codec.parameters(transform):
        p.requires_grad_(True)
    adam = torch.optim.Adam(groups)
    cosine = torch.optim.lr_scheduler.LambdaLR(adam, lambda t: 0.5 * (1 + math.cos(math.pi * t / steps)) + 0.01)
    course = []
    for _ in range(steps):
        some = x[torch.randint(len(x), (batch,), generator=generator)]
        y = some @ codec.analysis.T
        k = y + torch.rand(y.shape, generator=generator, dtype=torch.float64) - 0.5 if transform else torch.round(y.detach())
        loss = codec.loss(some, k, lam).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        cosine.step()
        course.append(float(loss.detach()))
    for p in codec.parameters(transform):
        p.requires_grad_(False)
    return codec, np.array(course)


# The search for better coefficients --------------------------------------------------------------


def rounding_up(d, tau):
    """Probability with which stochastic Gumbel annealing rounds up a value a distance d above a whole number.

    p = 1 / (1 + ((1 - d)(2 - d) / (d (1 + d)))^(1 / 2τ)), from logits -artanh(d)/τ (down) and -artanh(1 - d)/τ (up)

    d  0 < d < 1 (an array);  tau  a number > 0

    Errors: ValueError for d outside, tau <= 0. Source: chapter bottleneck/compression, step 14.
    """
    d, tau = np.asarray(d, float), positive("tau", tau)
    if not np.all((d > 0) & (d < 1)):
        raise ValueError(f"d must lie between 0 and 1; got {float(d.min())!r} to {float(d.max())!r}")
    return 1 / (1 + ((1 - d) * (2 - d) / (d * (1 + d))) ** (1 / (2 * tau)))


def plain(codec, x, lam):
    """Rounding, as a `Refined`."""
    k = codec.round(x)
    return Refined(k, codec.loss(x, k, lam), 1)


def dead_zone(codec, x, lam, grid=11):
    """Round towards zero up to a threshold: k = sign(y) floor(|y| + ½ - t), the best common t of a grid from 0 to ½."""
    whole("grid", grid, 2)
    y, best = x @ codec.analysis.T, None
    for t in np.linspace(0, 0.5, grid):
        k = torch.sign(y) * torch.floor(y.abs() + 0.5 - t)
        loss = codec.loss(x, k, lam)
        if best is None or loss.sum() < best[1].sum():
            best = (k, loss)
    return Refined(*best, grid)


def coordinates(codec, x, lam, start=None, sweeps=20):
    """One coefficient after the other, each to the best of k - 1, k, k + 1, until a whole sweep changes nothing.

    A sweep costs three evaluations: three rates for each coefficient, and as many updates of the residual.
    With an orthonormal transform coefficients do not meet, and the end is the global minimum wherever
    bits(k) + λ step² (y - k)² has one minimum over k (for the laws of the lab: checked there by listing).

    Errors: ValueError for sweeps < 1. Source: chapter bottleneck/compression, step 14.
    """
    whole("sweeps", sweeps, 1)
    k = (codec.round(x) if start is None else start).clone()
    residual, squares, done = x - k @ codec.synthesis.T, (codec.synthesis**2).sum(0), 0
    moves = torch.tensor([0.0, -1.0, 1.0], dtype=torch.float64)
    for _ in range(sweeps):
        changed = False
        for i in range(64):
            column, tried = codec.synthesis[:, i], k[:, i, None] + moves
            along = residual @ column
            score = codec.bits(tried, i) + lam * (moves**2 * squares[i] - 2 * moves * along[:, None])
            gain, pick = score.min(1)
            step = torch.where(gain < score[:, 0] - 1e-12, moves[pick], 0.0)
            if bool(step.any()):
                changed = True
                k[:, i] += step
                residual = residual - step[:, None] * column
        done += 1
        if not changed:
            break
    return Refined(k, codec.loss(x, k, lam), 3 * done + 1)


KINDS = ("gumbel", "soft", "noise", "straight")
"""Ways to take a gradient through rounding: random shares of floor and ceiling that harden (stochastic Gumbel annealing);
the same without randomness; uniform noise; rounding forwards and the identity backwards."""


def anneal(codec, x, lam, *, kind="gumbel", steps=300, rate=0.02, tau=0.5, decay=None, start=None, accept=True, seed=0):
    """Descend on the coefficients of the given blocks by Adam, round at the end, keep what is better than rounding.

    kind   one of `KINDS`
    tau    τ_t = min(tau, tau exp(-decay (t - steps/3))); decay None for a last τ of a twentieth of tau
    start  [n, 64] real coefficients to start from; None for x analysisᵀ
    accept True keeps the rounded coefficients of every block whose new ones have no smaller loss

    Errors: ValueError for an unknown kind, numbers out of range.
    Source: Yang, Bamler and Mandt 2020, section 3.2; chapter bottleneck/compression, step 14.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    whole("steps", steps, 1), whole("seed", seed, 0)
    rate, tau = positive("rate", rate), positive("tau", tau)
    decay = math.log(20) / (2 * steps / 3) if decay is None else number("decay", decay, "must be >= 0", lambda v: v >= 0)
    generator = torch.Generator().manual_seed(seed)
    y = (x @ codec.analysis.T if start is None else start).clone().requires_grad_(True)
    adam = torch.optim.Adam([y], lr=rate)
    for t in range(steps):
        now = min(tau, tau * math.exp(-decay * (t - steps / 3)))
        loss = codec.loss(x, _relaxed(y, kind, now, generator), lam).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
    k, first = torch.round(y.detach()), plain(codec, x, lam)
    loss = codec.loss(x, k, lam)
    better = (loss < first.loss) | (not accept)
    return Refined(torch.where(better[:, None], k, first.k), torch.where(better, loss, first.loss), 3 * steps + 2)


def _relaxed(y, kind, tau, generator):
    if kind == "noise":
        return y + torch.rand(y.shape, generator=generator, dtype=y.dtype) - 0.5
    if kind == "straight":
        return y + (torch.round(y) - y).detach()
    floor = torch.floor(y.detach())
    d = (y - floor).clamp(1e-5, 1 - 1e-5)
    logits = torch.stack([-torch.atanh(d), -torch.atanh(1 - d)], -1) / tau
    if kind == "gumbel":
        u = torch.rand(logits.shape, generator=generator, dtype=y.dtype).clamp(1e-12, 1 - 1e-12)
        logits = (logits - torch.log(-torch.log(u))) / tau
    return floor + torch.softmax(logits, -1)[..., 1]
