"""Holding entropy at a set point: what a step drawn at a temperature does, and a controller made of it.

Chapter "Holding entropy at a set point" (policy/thermostats). Entropies in nats.
π^T is the policy at temperature T, ∝ π^(1/T). The last axis holds the actions; NumPy or torch.
"""

from math import comb

import array_api_compat as compat
import numpy as np

from labutils._inputs import broadcast, finite, logits_namespace, namespace, number, whole
from labutils.policy.softmax import discriminator, entropy, log_softmax, softmax


def at_temperature(logits, T):
    """log π^T = log π / T - log Σ_j π_j^(1/T), shape [..., V].

    T  a number > 0, or an array that broadcasts with the leading axes [...] of logits
    Errors: those of `log_softmax`; ValueError when a temperature is not positive and finite.
    """
    xp = logits_namespace(logits)
    if not compat.is_array_api_obj(T):
        return log_softmax(logits / number("T", T, "must be > 0 and finite", lambda v: 0 < v < float("inf")))
    namespace(logits=logits, T=T)
    finite(T=T)
    if not bool(xp.all(T > 0)):
        raise ValueError(f"T must be > 0; got {float(xp.min(T))}")
    broadcast(**{"logits without their last axis": logits[..., 0], "T": T})
    return log_softmax(logits / T[..., None])


def temperature_change(logits, T):
    """First-order dH of the mean step π^T - π: E_π S - E_{π^T} S, in nats per unit of α, shape [...].

    It has the sign of T - 1 and rises with T, up to E_π S. S is `discriminator`.
    Errors: as `at_temperature`.    Source: chapter "Holding entropy at a set point", step 1; paper 006.
    """
    xp = logits_namespace(logits)
    shift = softmax(logits) - xp.exp(at_temperature(logits, T))
    return xp.sum(shift * discriminator(logits), axis=-1)


def thermostat(logits, target, alpha, warm=1.2, cool=0.8, drift=0.01, steps=4000):
    """Hold policies at an entropy by bang-bang control against a drift. Each step is

        z ← z + α (π^T - π) + ν S,    T = warm where H < target, else cool

    logits  [..., V] at the start;  target  in nats
    alpha   α >= 0;  drift  ν >= 0: by itself it lowers the entropy, at the rate ν Σ S² a step
    target, alpha, warm, cool, drift are numbers or arrays [...]. The step is the mean one; nothing is
    sampled.
    Returns (H, heating, logits): entropies before each step [steps, ...], 1.0 where T was warm, and
    the last logits.
    Errors: ValueError when one is out of range; those of `at_temperature`.
    """
    xp = logits_namespace(logits)
    whole("steps", steps, 1)
    state = xp.zeros_like(logits[..., 0])
    target, alpha, warm, cool, drift = (
        _each(xp, name, value, state) for name, value in
        (("target", target), ("alpha", alpha), ("warm", warm), ("cool", cool), ("drift", drift)))
    for name, value in (("alpha", alpha), ("drift", drift)):
        if not bool(xp.all(value >= 0)):
            raise ValueError(f"{name} must be >= 0; got {float(xp.min(value))}")
    curve, heating = [], []
    for _ in range(steps):
        H = entropy(logits)
        heat = xp.astype(H < target, logits.dtype)
        step = xp.exp(at_temperature(logits, xp.where(heat > 0, warm, cool))) - softmax(logits)
        logits = logits + alpha[..., None] * step + drift[..., None] * discriminator(logits)
        curve.append(H)
        heating.append(heat)
    return xp.stack(curve), xp.stack(heating), logits


def _each(xp, name, value, like):
    """A number or an array as an array of the shape of `like`."""
    if not compat.is_array_api_obj(value):
        return like + number(name, value, "must be finite", lambda v: abs(v) < float("inf"))
    broadcast(**{name: value, "logits without their last axis": like})
    finite(**{name: value})
    return like + value


def group_pressure(p, group, standard=True):
    """Mean push Σ_i A_i [i is right] / G that groups give to a right answer of chance p, shape of p.

    Group-relative advantages A = (R - mean) / standard deviation (with G - 1; groups that agree give
    nothing). standard=False does not divide, and the push is p (1 - p) (G - 1) / G.

    p  NumPy array in [0, 1];  group  G >= 2
    Errors: ValueError when p or group is out of range.
    """
    p = np.asarray(p, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p must lie in [0, 1]; got {p[~((p >= 0) & (p <= 1))].ravel()[0]}")
    whole("group", group, 2)
    right = np.arange(group + 1)
    ways = np.array([comb(group, int(r)) for r in right], dtype=float)
    chance = ways * p[..., None] ** right * (1 - p[..., None]) ** (group - right)
    share = right / group
    push = share * (1 - share)
    return np.sum(chance * (np.sqrt(push * (group - 1) / group) if standard else push), axis=-1)
