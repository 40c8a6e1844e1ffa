"""Evidence theory: belief spread over sets of outcomes, and Dempster's rule to combine it.

Taught in the chapter "Maximum entropy from information alone" (jaynes/maximum-entropy). No units.

A set of outcomes is a bitmask: of K outcomes, the set {0, 2} has the index 2^0 + 2^2 = 5. The last
axis of a mass function has 2^K entries, from the empty set (0) to the whole frame (2^K - 1).
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from labutils import info


class Combined(NamedTuple):
    """mass [..., 2^K] after combination, and the conflict kappa [...] that was divided out."""

    mass: Any
    conflict: Any


def simple(outcomes, strength, size):
    """A simple piece of evidence: mass `strength` on a set, the rest on the whole frame.

    outcomes  the set, as a list of outcomes from 0 to size - 1
    strength  [...] between 0 and 1;  size  K

    Returns [..., 2^K]. Errors: ValueError for an empty set, outcomes or strengths out of range.
    """
    if not isinstance(size, (int, np.integer)) or not 1 <= size <= 10:
        raise ValueError(f"size must be a whole number of outcomes from 1 to 10; got {size!r}")
    chosen = set(outcomes) if np.ndim(outcomes) == 1 or isinstance(outcomes, (set, range)) else set()
    if not chosen or not all(isinstance(k, (int, np.integer)) and 0 <= k < size for k in chosen):
        raise ValueError(f"outcomes must be a list of numbers from 0 to {size - 1}, not empty; got {outcomes!r}")
    xp, strength = _between("strength", strength)
    rest = 1 - strength
    at, all_of = sum(2 ** int(k) for k in chosen), 2**size - 1
    zero = xp.zeros_like(strength)
    parts = [zero] * 2**size
    if at == all_of:
        parts[all_of] = zero + 1
    else:
        parts[at], parts[all_of] = strength, rest
    return xp.stack(parts, axis=-1)


def combine(*masses):
    """Dempster's rule: intersect what independent sources say, and divide by what is left.

    m(A) = 1 / (1 - kappa) sum_{B and C meet in A} m1(B) m2(C),  kappa = sum_{B, C disjoint} m1(B) m2(C)

    masses  one or more [..., 2^K] that broadcast. The rule does not depend on the order; for more
            than two sources kappa is the conflict of all, 1 - prod(1 - kappa of each combination).

    Returns Combined(mass, conflict).
    Errors: ValueError for a mass function that is not one, sizes that differ, and for sources in
    total conflict (kappa = 1), for which the rule is not defined.
    Source: chapter jaynes/maximum-entropy, step 8; paper 111.
    """
    if not masses:
        raise ValueError("masses must be one mass function or more; got none")
    xp, arrays = info._arrays(**{f"masses[{i}]": m for i, m in enumerate(masses)})
    arrays = [_mass(f"masses[{i}]", m)[1] for i, m in enumerate(arrays)]
    sizes = {m.shape[-1] for m in arrays}
    if len(sizes) > 1:
        raise ValueError(f"masses must be over one frame; got {sorted(sizes)} sets")
    _broadcast("masses", *(m.shape[:-1] for m in arrays))
    kept = xp.ones_like(arrays[0][..., 0])

    def pair(first, second):
        nonlocal kept
        both = _intersect(xp, first, second)
        agreed = 1 - both[..., 0]
        left = xp.sum(both[..., 1:], axis=-1)
        if not bool(xp.all(left > 0)):
            raise ValueError(
                "masses must not be in total conflict: no outcome is possible to all sources"
                f" (kappa = 1){_place(left)}"
            )
        kept = kept * agreed
        mass = both / left[..., None]
        return xp.concat([xp.zeros_like(mass[..., :1]), mass[..., 1:]], axis=-1)

    mass = functools.reduce(pair, arrays)
    return Combined(mass, 1 - kept)


def discount(mass, reliability):
    """What a source of reliability alpha is worth: a share alpha of each mass, the rest on the frame.

    m'(A) = alpha m(A),  m'(frame) = 1 - alpha + alpha m(frame)

    mass [..., 2^K], reliability [...] between 0 and 1.
    Errors: ValueError for a mass function that is not one, a reliability out of range.
    Source: chapter jaynes/maximum-entropy, step 8; paper 111.
    """
    xp, (mass, reliability) = info._arrays(mass=mass, reliability=reliability)
    _mass("mass", mass)
    _between("reliability", reliability)
    _broadcast("mass and reliability", mass.shape[:-1], reliability.shape)
    alpha = reliability[..., None]
    scaled = mass * alpha
    return xp.concat([scaled[..., :-1], scaled[..., -1:] + 1 - alpha], axis=-1)


def belief(mass):
    """Bel(A) = sum of the masses of sets inside A: what the evidence forces. [..., 2^K].

    Errors: ValueError for a mass function that is not one. Source: step 8; paper 111.
    """
    xp, mass = _mass("mass", mass)
    return mass @ _table(xp, mass, lambda A, B: (A & B) == B)


def plausibility(mass):
    """Pl(A) = sum of the masses of sets that meet A = 1 - Bel(not A): what it leaves open. [..., 2^K].

    Every pmf that gives each mass to members of its set has Bel(A) <= P(A) <= Pl(A).
    Errors: ValueError for a mass function that is not one. Source: step 8; paper 111.
    """
    xp, mass = _mass("mass", mass)
    return mass @ _table(xp, mass, lambda A, B: (A & B) != 0)


def _table(xp, like, holds):
    """[B, A] 1 where the rule holds of the sets A and B, else 0."""
    sets = np.arange(like.shape[-1])
    table = holds(sets[None, :], sets[:, None]).astype(float)
    return xp.asarray(table, dtype=like.dtype, device=like.device)


def _intersect(xp, first, second):
    """Mass of every intersection, the empty set included; no term is ever subtracted."""
    sets = np.arange(first.shape[-1])
    total = 0.0
    for B in sets:
        to = xp.asarray((B & sets)[:, None] == sets[None, :], device=first.device)
        total = total + first[..., B : B + 1] * (second @ xp.astype(to, first.dtype))
    return total


def _mass(name, mass):
    xp, (mass,) = info._arrays(**{name: mass})
    size = mass.shape[-1] if mass.ndim else 0
    if size < 2 or size & (size - 1):
        raise ValueError(f"{name} must have 2^K entries along its last axis, one a set; got shape {tuple(mass.shape)}")
    info._pmf(name, mass, -1)
    bad = mass[..., 0] > 0
    if bool(xp.any(bad)):
        raise ValueError(f"{name} must give the empty set no mass; got {info._first(mass[..., 0], bad)}")
    return xp, mass


def _between(name, value):
    xp, (value,) = info._arrays(**{name: value})
    bad = ~((value >= 0) & (value <= 1))
    if bool(xp.any(bad)):
        raise ValueError(f"{name} must lie between 0 and 1; got {info._first(value, bad)}")
    return xp, value


def _broadcast(names, *shapes):
    try:
        np.broadcast_shapes(*map(tuple, shapes))
    except ValueError:
        raise ValueError(
            f"{names} must have leading axes that broadcast; got {' and '.join(str(tuple(x)) for x in shapes)}"
        ) from None


def _place(left):
    if left.ndim == 0:
        return ""
    bad = ~(left > 0)
    return f" at {info._where(bad)}"
