"""Pictures that a hand moves: points, bars and weights to drag, computed in the page itself.

Used by the labs through `explore`; explained in "How to use this book". Entropies in nats.

A stage is a file `NAME.js` beside this one, a module as anywidget takes it: with a kernel it is a widget
whose `state` Python reads, in a page the same lines run without one.
"""

import math
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = ("simplex", "maxent")
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
    return Stage("simplex", {"p": list(p), "q": list(q), "z": list(z)}, (460, 800))


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
    return Stage("maxent", state, (430, 720))


def _numbers(name, values, count):
    if len(values) != count or not all(math.isfinite(each) for each in values):
        raise ValueError(f"{name} must be {count} finite numbers; got {values!r}")
