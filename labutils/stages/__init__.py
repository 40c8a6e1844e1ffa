"""Pictures that a hand moves: points, bars and weights to drag, computed in the page itself.

Used by the labs through `explore`; explained in "How to use this book". Entropies in nats.

A stage is a file `NAME.js` beside this one, a module as anywidget takes it: with a kernel it is a widget
whose `state` Python reads, in a page the same lines run without one.
"""

import math
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = ("simplex", "maxent", "collision", "ripples")
NEAR = 0.004  # how far constraints of `maxent` keep from what no pmf can have, as in maxent.js


@dataclass(frozen=True)
class Stage:
    """What `explore` shows: which stage, its state at the start, its height in px (wide, narrow)."""

    name: str
    state: dict
    heights: tuple


def source(name):
    """The module of a stage: what all stages share, then its own lines."""
    return "".join((FOLDER / f"{file}.js").read_text(encoding="utf8") for file in ("hand", name))


def simplex(p=(0.6, 0.3, 0.1), q=(0.25, 0.3, 0.45), z=(1.5, 0.0, 0.0)):
    r"""A policy and a reference in the triangle of pmfs on three actions, and an update of the logits.

    Shows the line of equal entropy through the policy, the path $\pi_\eta\propto\pi e^{\eta\,\Delta z}$
    up to $\eta=1$ and beyond, $H(\pi)$, $\mathrm{Cov}_\pi(\log\pi,\Delta z)$ and both divergences, in nats.

    p  policy, three probabilities of at least 0.005
    q  reference, three probabilities of at least 0.005
    z  the update: how far each logit moves, within -2 and 2

    Errors: ValueError when p or q is no such pmf, or z does not fit.
    """
    for name, pmf in (("p", p), ("q", q)):
        _numbers(name, pmf, 3)
        if abs(math.fsum(pmf) - 1) > 1e-9:
            raise ValueError(f"{name} must sum to 1; got {tuple(pmf)!r}, which sums to {math.fsum(pmf):g}")
        if min(pmf) < 0.005:
            raise ValueError(f"{name} must have no share below 0.005; got {tuple(pmf)!r}")
    _numbers("z", z, 3)
    if max(abs(each) for each in z) > 2:
        raise ValueError(f"z must lie within -2 and 2; got {tuple(z)!r}")
    return Stage("simplex", {"p": list(p), "q": list(q), "z": list(z)}, (418, 794))


def maxent(mean=4.5, spread=None):
    r"""The most uncertain pmf on the faces 1 to 6 of a die, under constraints that a reader drags.

    Shows $p_k\propto e^{-\lambda_1k-\lambda_2k^2}$, its multipliers, its entropy, and what each constraint
    takes off $\log6$. Bars can be held at a height, too.

    mean    the mean that is held at the start; None holds none
    spread  the standard deviation that is held at the start, about that mean; None holds none

    Errors: ValueError when no pmf on 1 to 6 has them, or a spread is held without a mean.
    """
    if mean is None and spread is not None:
        raise ValueError(f"spread needs a mean that is held; got spread={spread!r}, mean=None")
    if mean is not None and not 1 + NEAR < mean < 6 - NEAR:
        raise ValueError(f"mean must lie between 1 and 6, the faces of the die, and {NEAR} from both; got {mean!r}")
    if spread is not None:
        below = math.floor(mean)
        least, most = (mean - below) * (below + 1 - mean) + NEAR, (mean - 1) * (6 - mean) - NEAR
        if not least < spread * spread < most:
            raise ValueError(f"spread must lie between {least**0.5:.3g} and {most**0.5:.3g} for a pmf on 1 to 6 "
                             f"with mean {mean:g}; got {spread!r}")
    state = {"mean": 3.5 if mean is None else mean, "spread": 1.5 if spread is None else spread,
             "holdMean": mean is not None, "holdSpread": spread is not None, "pins": [-1] * 6}
    return Stage("maxent", state, (376, 550))


def collision(speed=0.5, phase=0.0, amplitude=1.0):
    r"""Two solitons that meet at x = 0, t = 0, over position and time, by their exact formula.

    The first has amplitude 1 and speed v, the second amplitude B and speed -v. Shows $|\psi|^2$, how far each is
    ahead after they have passed, $h_x$ and $h_x+h_k$ at every time, in nats, and the floor $1+\log\pi$.

    speed      v, between 0.05 and 1.6
    phase      of the first soliton against the second, between -3.15 and 3.15; 0 piles them up
    amplitude  B, between 0.4 and 1.6

    Errors: ValueError for a number outside these.
    """
    for name, value, low, high in (("speed", speed, 0.05, 1.6), ("phase", phase, -3.15, 3.15), ("amplitude", amplitude, 0.4, 1.6)):
        _numbers(name, (value,), 1)
        if not low <= value <= high:
            raise ValueError(f"{name} must lie between {low:g} and {high:g}; got {value!r}")
    return Stage("collision", {"speed": speed, "phase": phase, "amplitude": amplitude}, (375, 664))


def ripples(heights=(0.05, 0.0, 0.0, 0.0), length=5.0):
    r"""A plane wave of amplitude 1 on a ring, shaken by four ripples: $\psi=1+\sum_n h_n\cos(2\pi nx/L)$ at first.

    Solved at each move up to t = 18. Shows $|\psi|^2$, which ripples grow, and what position loses and
    wavenumber gains in entropy against a plane wave, in nats.

    heights  h_1 to h_4, each within -0.2 and 0.2
    length   L of the ring, between 3 and 16

    Errors: ValueError for heights that are not four such numbers, or a length outside.
    """
    _numbers("heights", heights, 4)
    if max(abs(each) for each in heights) > 0.2:
        raise ValueError(f"heights must lie within -0.2 and 0.2; got {tuple(heights)!r}")
    _numbers("length", (length,), 1)
    if not 3 <= length <= 16:
        raise ValueError(f"length must lie between 3 and 16; got {length!r}")
    return Stage("ripples", {"heights": list(heights), "length": length}, (375, 642))


def _numbers(name, values, count):
    if len(values) != count or not all(math.isfinite(each) for each in values):
        raise ValueError(f"{name} must be {count} finite number{'s' * (count > 1)}; got {values!r}")
