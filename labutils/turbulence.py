"""Flow in a plane on a grid that cuts it off: what it conserves, its equilibrium, eddy viscosities, a warning when it is too coarse.

Taught in the chapter "Turbulence on a coarse grid" (waves/turbulence).
Units: the square has sides of 2π, so wavenumbers are whole numbers; times are turns of a unit vorticity; entropies in nats.

A flow is kept as the Fourier coefficients of its vorticity, w [..., N, N//2+1] complex, w_k the mean of w exp(-i k x)
over the square (norm="forward"); leading axes are a batch. Coefficients with max(|k_x|, |k_y|) > (N-1)/3 are 0.
"""

import math
import warnings
from typing import Any, NamedTuple

import array_api_compat as compat
import numpy as np

from labutils._inputs import number, positive, whole

TAIL = 0.02
"""Share of the enstrophy in the outer third of the wavenumbers above which a run warns that it does not resolve its flow."""


EDDIES = ("smagorinsky", "leith")


class BlowUp(ArithmeticError):
    """A flow left the range in which its step is stable, or became NaN: `time` says when."""

    def __init__(self, time, size, limit, h):
        what = "a value is NaN" if math.isnan(size) else f"the largest speed {size:.3g} exceeds {limit:.3g}, which a step of {h:g} carries"
        super().__init__(f"the flow blew up at t = {time:g}: {what}; take a smaller h, or more viscosity")
        self.time, self.size = time, size


# The grid --------------------------------------------------------------------------------------------


class Grid(NamedTuple):
    """points N; kx [N, 1], ky [1, N//2+1] whole wavenumbers; k2 = kx² + ky²; mask (the modes that are kept, without
    k = 0); weight (2 for a mode that stands for its conjugate too); cut, the largest |k_x| kept; factors
    [4, N, N//2+1] that turn w into u, v, w_x, w_y."""

    points: int
    kx: Any
    ky: Any
    k2: Any
    mask: Any
    weight: Any
    cut: int
    factors: Any


def grid(points, *, round_cut=None, like=None):
    """The wavenumbers of an N x N grid, of which a third is cut off so that products have no aliases (2/3 rule).

    points     N, at least 8: |k_x|, |k_y| <= (N-1)//3 are kept, so that three of them never add up to N
    round_cut  None, or a radius: only |k| <= round_cut is kept, a disk (at most (N-1)//3)
    like       an array whose library and device the grid takes; None: NumPy

    Errors: ValueError for N < 8 or a radius outside 1..(N-1)//3.
    Source: chapter waves/turbulence; Orszag (1971).
    """
    points = whole("points", points, 8)
    cut = (points - 1) // 3
    m = np.arange(points)
    kx = np.where(m > points // 2, m - points, m).astype(float)[:, None]
    ky = np.arange(points // 2 + 1, dtype=float)[None, :]
    k2 = kx**2 + ky**2
    mask = (abs(kx) <= cut) & (ky <= cut) & (k2 > 0)
    if round_cut is not None:
        radius = number("round_cut", round_cut, f"must lie between 1 and {cut}, the largest wavenumber kept", lambda v: 1 <= v <= cut)
        mask = mask & (k2 <= radius**2)
        cut = int(radius)
    weight = np.where((ky == 0) | (2 * ky == points), 1.0, 2.0) * np.ones_like(k2)
    inverse = np.where(mask, 1 / np.where(k2 > 0, k2, 1.0), 0.0)
    one = np.where(mask, 1.0, 0.0)
    factors = 1j * np.stack([ky * inverse, -kx * inverse, kx * one, ky * one])    # psi = -w / k², u = -psi_y, v = psi_x
    rows = kx, ky, k2, one, weight, factors
    if like is not None:
        xp = compat.array_namespace(like)
        rows = tuple(xp.asarray(row, device=compat.device(like)) for row in rows)
    return Grid(points, *rows[:5], cut, rows[5])


def to_space(w, points):
    """Values on the grid [..., N, N] of coefficients w [..., N, N//2+1].

    Errors: ValueError for coefficients of another grid.
    """
    xp = compat.array_namespace(w)
    if tuple(w.shape[-2:]) != (points, points // 2 + 1):
        raise ValueError(f"w must have the shape [..., {points}, {points // 2 + 1}] of {points}² points; got {tuple(w.shape)}")
    return xp.fft.irfftn(w, s=(points, points), axes=(-2, -1), norm="forward")


def to_modes(field, made):
    """Coefficients [..., N, N//2+1] of real values [..., N, N]; what the grid does not keep is removed.

    Errors: ValueError for a field of another size.
    """
    xp = compat.array_namespace(field)
    if tuple(field.shape[-2:]) != (made.points, made.points):
        raise ValueError(f"field must have the shape [..., {made.points}, {made.points}] of the grid; got {tuple(field.shape)}")
    return xp.fft.rfftn(field, s=(made.points, made.points), axes=(-2, -1), norm="forward") * made.mask


def resized(w, old, new):
    """The same flow on another grid: modes that both keep; a coarser grid is a sharp filter.

    w [..., N, N//2+1] on the grid `old`; returns [..., M, M//2+1] on `new`.
    """
    xp = compat.array_namespace(w)
    c = min(old.cut, new.cut)
    found = xp.zeros((*w.shape[:-2], new.points, new.points // 2 + 1), dtype=w.dtype, device=compat.device(w))
    found[..., :c + 1, :c + 1] = w[..., :c + 1, :c + 1]
    found[..., -c:, :c + 1] = w[..., -c:, :c + 1]
    return found * new.mask


# What is conserved -----------------------------------------------------------------------------------


def invariants(w, made):
    """(energy, enstrophy) of each flow: E = 1/2 sum |w_k|²/k², Ω = 1/2 sum |w_k|², sums over all modes.

    They are half the mean square of the velocity and of the vorticity.
    Errors: ValueError for a shape that does not fit the grid.
    """
    xp = _fits(w, made)
    power = made.mask * made.weight * (xp.real(w) ** 2 + xp.imag(w) ** 2)
    safe = xp.where(made.k2 > 0, made.k2, xp.ones_like(made.k2))
    return 0.5 * xp.sum(power / safe, axis=(-2, -1)), 0.5 * xp.sum(power, axis=(-2, -1))


def shells(made):
    """(index [N, N//2+1] of the ring round(|k|) to which a mode belongs, 0 for modes that are not kept; number of
    full modes in rings 1..K; K the largest ring)."""
    k2, mask, weight = (np.asarray(compat.to_device(a, "cpu")) for a in (made.k2, made.mask, made.weight))
    ring = np.where(mask > 0, np.rint(np.sqrt(k2)), 0).astype(int)
    count = np.bincount(ring.ravel(), weights=(mask * weight).ravel())[1:]
    return ring, count, len(count)


def spectrum(w, made, *, of="enstrophy"):
    """Enstrophy (or of="energy") in each ring round(|k|) = 1..K: [..., K], adds up to Ω (or E). NumPy.

    Errors: ValueError for another quantity.
    """
    if of not in ("enstrophy", "energy"):
        raise ValueError(f"of must be 'enstrophy' or 'energy'; got {of!r}")
    _fits(w, made)
    w = np.asarray(compat.to_device(w, "cpu"))
    k2, mask, weight = (np.asarray(compat.to_device(a, "cpu")) for a in (made.k2, made.mask, made.weight))
    ring, _, top = shells(made)
    power = 0.5 * mask * weight * abs(w) ** 2
    if of == "energy":
        power = power / np.where(k2 > 0, k2, 1.0)
    flat = power.reshape(-1, ring.size)
    found = np.stack([np.bincount(ring.ravel(), weights=row, minlength=top + 1)[1:] for row in flat])
    return found.reshape(*w.shape[:-2], top)


def tail(w, made):
    """Share of the enstrophy at |k| > 2/3 of the cut [...]: what says whether a grid is fine enough."""
    xp = _fits(w, made)
    power = made.mask * made.weight * (xp.real(w) ** 2 + xp.imag(w) ** 2)
    outer = xp.where(made.k2 > (2 * made.cut / 3) ** 2, power, 0 * power)
    return xp.sum(outer, axis=(-2, -1)) / xp.sum(power, axis=(-2, -1))


# The equation ----------------------------------------------------------------------------------------


class Flow(NamedTuple):
    """w_t + J(psi, w) = nu lap w - drag w + forcing + div(nu_e grad w), with lap psi = w.

    made       a `grid`
    viscosity  nu >= 0
    drag       r >= 0, a rate
    forcing    coefficients [N, N//2+1], or None
    eddy       None, or which of `eddy_viscosity`: "smagorinsky", "leith"
    constant   C >= 0, a number or an array [...], one a flow of the batch
    """

    made: Grid
    viscosity: float = 0.0
    drag: float = 0.0
    forcing: Any = None
    eddy: str | None = None
    constant: Any = 0.0


def kolmogorov(made, wavenumber=4, strength=1.0):
    """A steady force on the vorticity: strength * (cos(k x) + cos(k y)), as coefficients.

    Errors: ValueError for a wavenumber that the grid does not keep.
    """
    k = whole("wavenumber", wavenumber, 1)
    if k > made.cut:
        raise ValueError(f"wavenumber must be at most {made.cut}, the largest that the grid keeps; got {k}")
    xp = compat.array_namespace(made.k2)
    force = xp.zeros(made.k2.shape, dtype=xp.complex128, device=compat.device(made.k2))
    force[k, 0] = force[-k, 0] = force[0, k] = 0.5 * strength
    return force


def tendency(w, flow, *, parts=False):
    """dw/dt [..., N, N//2+1]. With parts=True also (speed [...] the largest, nu_e [..., N, N] or None).

    Errors: ValueError for a shape that does not fit, of the forcing too, a negative viscosity, drag or constant, an
    unknown eddy viscosity.
    """
    xp, made = _fits(w, flow.made), flow.made
    _losses(flow)
    if flow.forcing is not None and tuple(flow.forcing.shape) != tuple(made.k2.shape):
        raise ValueError(f"forcing must have the shape {tuple(made.k2.shape)} of the grid's coefficients; got {tuple(flow.forcing.shape)}")
    factors = xp.reshape(made.factors, (4, *(1,) * (w.ndim - 2), *made.factors.shape[-2:]))
    fields = to_space(factors * w, made.points)
    u, v, wx, wy = fields[0], fields[1], fields[2], fields[3]
    out = -to_modes(u * wx + v * wy, made) - (flow.viscosity * made.k2 + flow.drag) * w
    if flow.forcing is not None:
        out = out + flow.forcing
    nu_e = None
    if flow.eddy is not None:
        nu_e = eddy_viscosity(w, flow, grad=(wx, wy))
        flux = to_modes(xp.stack([nu_e * wx, nu_e * wy]), made)
        out = out + made.factors[2] * flux[0] + made.factors[3] * flux[1]
    if not parts:
        return out
    return out, xp.sqrt(xp.max(u * u + v * v, axis=(-2, -1))), nu_e


def eddy_viscosity(w, flow, *, grad=None):
    """nu_e [..., N, N] on the grid, Δ = π / cut, half the shortest wave that is kept:

    smagorinsky  (C Δ)² |S|, |S|² = 4 psi_xy² + (psi_xx - psi_yy)²; never negative
    leith        (C Δ)³ |grad w|; never negative

    Errors: ValueError for another name, C < 0, constants that are neither one nor one a flow.
    Source: Smagorinsky (1963), Leith (1996).
    """
    xp, made = _fits(w, flow.made), flow.made
    if flow.eddy not in EDDIES:
        raise ValueError(f"eddy must be one of {', '.join(EDDIES)}; got {flow.eddy!r}")
    c = xp.asarray(flow.constant, dtype=made.k2.dtype, device=compat.device(w))
    width = math.pi / made.cut
    if not bool(xp.all(c >= 0)):
        raise ValueError(f"constant must be >= 0, since an eddy viscosity cannot give back; got {float(xp.min(c)):g}")
    if tuple(c.shape) not in ((), tuple(w.shape[:-2])):
        raise ValueError(f"constant must be a number or one for each flow, {tuple(w.shape[:-2])}; got shape {tuple(c.shape)}")
    c = c[..., None, None]
    if flow.eddy == "smagorinsky":
        return (c * width) ** 2 * xp.sqrt(_strain2(xp, w, made))
    wx, wy = grad if grad is not None else to_space(xp.stack([made.factors[2] * w, made.factors[3] * w]), made.points)
    return (c * width) ** 3 * xp.sqrt(wx * wx + wy * wy)


def _strain2(xp, w, made):
    """|S|² = 4 psi_xy² + (psi_xx - psi_yy)² on the grid: psi_xy = -u_x, psi_xx - psi_yy = v_x + u_y."""
    u, v = made.factors[0] * w, made.factors[1] * w
    both = to_space(xp.stack([1j * made.kx * u, 1j * made.kx * v + 1j * made.ky * u]), made.points)
    return 4 * both[0] ** 2 + both[1] ** 2


def growth(z):
    """|1 + z + z²/2 + z³/6 + z⁴/24|: by how much one RK4 step multiplies a mode of rate z/h."""
    return abs(1 + z * (1 + z / 2 * (1 + z / 3 * (1 + z / 4))))


def _losses(flow):
    """(viscosity, drag), both finite and >= 0."""
    return tuple(number(name, getattr(flow, name), "must be finite and >= 0", lambda v: 0 <= v < math.inf) for name in ("viscosity", "drag"))


def check_step(flow, h, speed=0.0, nu_e=0.0):
    """Errors: ValueError with the number, if one RK4 step of h amplifies the shortest wave of the grid, which decays at
    (nu + nu_e) k² + r and is carried along at `speed`; or if h, the viscosity or the drag is out of range."""
    h = positive("h", h)
    nu, drag = _losses(flow)
    made = flow.made
    k2 = float((made.k2 * made.mask).max())
    z = complex(-h * ((nu + nu_e) * k2 + drag), h * math.sqrt(k2) * speed)
    size = float(growth(z))
    if size > 1 + 1e-12 and abs(z) > 1:
        raise ValueError(f"h must be smaller: one RK4 step of {h:g} multiplies the shortest wave by {size:.3g}"
                         f" (h (nu k² + r) = {-z.real:.3g}, limit 2.785; h k speed = {z.imag:.3g}, limit 2.828)")


@np.errstate(over="ignore", invalid="ignore")             # a blow-up is reported by its time
def run(w, flow, steps, h, *, every=1, warn=True, strict=True):
    """States [steps // every + 1, ..., N, N//2+1] by RK4, kept at every so many steps, the start among them.

    warn    whether a flow that the grid does not resolve (`tail` > TAIL, with viscosity) is reported, once
    strict  False: a flow of a batch that blows up becomes NaN, and the others go on

    Errors: ValueError for a step that is unstable at the start (`check_step`), or fewer steps than `every`; BlowUp, with the time, as soon as
    the largest speed leaves the stable range or a value is NaN.
    """
    xp = _fits(w, flow.made)
    if whole("every", every, 1) > whole("steps", steps, 1):
        raise ValueError(f"every must be at most the {steps} steps, or nothing but the start is kept; got {every}")
    _, speed, nu_e = tendency(w, flow, parts=True)
    if strict:
        check_step(flow, h, float(xp.max(speed)), 0.0 if nu_e is None else max(float(xp.max(nu_e)), 0.0))
    limit = 2.83 / (h * float((flow.made.k2 * flow.made.mask).max()) ** 0.5)
    kept, warned = [w], not warn
    for i in range(1, steps + 1):
        k1, speed, _ = tendency(w, flow, parts=True)
        if not strict:
            w = xp.where((speed <= limit)[..., None, None], w, xp.asarray(complex(math.nan, math.nan), dtype=w.dtype))
        elif not (top := float(xp.max(speed))) <= limit:
            raise BlowUp((i - 1) * h, top, limit, h)
        k2 = tendency(w + h / 2 * k1, flow)
        k3 = tendency(w + h / 2 * k2, flow)
        k4 = tendency(w + h * k3, flow)
        w = w + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        if i % every == 0:
            kept.append(w)
            if not warned and flow.viscosity > 0 and flow.eddy is None:
                share = float(xp.max(tail(w, flow.made)))
                if share > TAIL:
                    warned = True
                    warnings.warn(f"the grid of {flow.made.points}² does not resolve this flow: {100 * share:.1f} % of the enstrophy at t = {i * h:g}"
                                  f" lie in the outer third of the wavenumbers (more than {100 * TAIL:g} %)", stacklevel=2)
    if strict and not bool(xp.all(xp.isfinite(xp.real(w)))):
        raise BlowUp(steps * h, math.nan, limit, h)
    return xp.stack(kept)


def taylor_green(made, wavenumber=1, like=None):
    """w = 2 k cos(k x) cos(k y), coefficients: J(psi, w) = 0, so viscosity alone acts, w(t) = w(0) exp(-2 nu k² t).

    Errors: ValueError for a wavenumber k such that the grid does not keep (k, k).
    """
    k = whole("wavenumber", wavenumber, 1)
    if k > made.cut or not float(made.mask[k, k]) > 0:
        raise ValueError(f"wavenumber must be such that the grid keeps ({k}, {k}); the largest it keeps along a side is {made.cut}")
    x = np.arange(made.points) * 2 * math.pi / made.points
    field = 2.0 * k * np.cos(k * x)[:, None] * np.cos(k * x)[None, :]
    if like is not None:
        field = compat.array_namespace(like).asarray(field, device=compat.device(like))
    return to_modes(field, made)


def random_flow(rng, made, low, high, energy=1.0, runs=1):
    """Flows [runs, N, N//2+1] with modes low <= |k| <= high of one modulus, random phases, all of the same energy and enstrophy.

    Errors: ValueError for an empty band or an energy that is not > 0.
    """
    energy, runs = positive("energy", energy), whole("runs", runs, 1)
    x = np.fft.rfftn(rng.normal(size=(runs, made.points, made.points)), axes=(-2, -1), norm="forward")
    band = made.mask * (made.k2 >= low**2) * (made.k2 <= high**2)
    if not band.any():
        raise ValueError(f"low and high must enclose a wavenumber that the grid keeps; got {low} and {high}")
    w = np.where(band > 0, x / np.where(abs(x) > 0, abs(x), 1.0), 0.0)
    return w * np.sqrt(energy / invariants(w, made)[0])[:, None, None]


# Equilibrium -----------------------------------------------------------------------------------------


class Equilibrium(NamedTuple):
    """alpha, gamma: multipliers of energy and enstrophy; power [N, N//2+1] = <|w_k|²> = k²/(alpha + gamma k²) (0 for
    modes that are not kept)."""

    alpha: float
    gamma: float
    power: Any


def equilibrium(made, energy, enstrophy):
    """The law of largest entropy that has this mean energy and enstrophy: independent normal modes with
    <|w_k|²> = k² / (alpha + gamma k²), of which alpha E + gamma Ω = n/2 for n modes (n real numbers).

    alpha < 0, a negative temperature, when Ω/E lies below its value for alpha = 0, n / sum 1/k².

    made  a grid (NumPy)
    Errors: ValueError for an energy <= 0 or an enstrophy that no flow of this energy has (Ω/E must lie strictly
    between the least and the largest k² kept).
    Source: chapter waves/turbulence; Kraichnan (1967), Kraichnan and Montgomery (1980).
    """
    energy, enstrophy = positive("energy", energy), positive("enstrophy", enstrophy)
    k2, weight = made.k2[made.mask > 0], made.weight[made.mask > 0]
    low, high, n = float(k2.min()), float(k2.max()), float(weight.sum())
    ratio = enstrophy / energy
    if not low < ratio < high:
        raise ValueError(f"enstrophy / energy must lie strictly between {low:g} and {high:g}, the least and the largest k² kept; got {ratio:.6g}")
    # With alpha = n/(2E) - gamma Ω/E one unknown is left, and Ω grows strictly as g = gamma E falls. Positive everywhere:
    # n/2 + g (k² - ratio) > 0.
    ends = -0.5 * n / (high - ratio), 0.5 * n / (ratio - low)

    def excess(g):
        return float(np.sum(weight * 0.5 / (0.5 * n + g * (k2 - ratio)))) - 1.0        # of the energy, in units of E

    # excess has the root g = 0 always, if modes had equal k²; it is convex, so the other root is bracketed on one side.
    slope = -float(np.sum(weight * (k2 - ratio))) * 2 / n**2
    a, b = (1e-12 * ends[1], ends[1] * (1 - 1e-14)) if slope < 0 else (ends[0] * (1 - 1e-14), 1e-12 * ends[0])
    sign = 1 if slope < 0 else -1
    for _ in range(300):
        m = 0.5 * (a + b)
        below = excess(m) < 0
        a, b = (m, b) if below == (sign > 0) else (a, m)
    gamma = 0.5 * (a + b) / energy
    alpha = (0.5 * n - gamma * enstrophy) / energy
    return Equilibrium(alpha, gamma, np.where(made.mask > 0, made.k2 / np.where(made.mask > 0, alpha + gamma * made.k2, 1.0), 0.0))


def mode_entropy(power, made):
    """Entropy of independent normal modes with variances <|w_k|²>, in nats: sum over pairs k, -k of log(pi e <|w_k|²>) [...].

    Given the variances no law has more. It depends on the unit of vorticity; differences do not.

    power [..., N, N//2+1]
    Errors: ValueError for a kept mode without variance: its entropy would be minus infinity.
    """
    values = np.asarray(power)[..., half(made)]
    if not np.all(values > 0):
        raise ValueError(f"power must be > 0 in every mode that is kept; got {values.min():g}")
    return np.sum(np.log(math.pi * math.e * values), axis=-1)


def levelled(w, made):
    """<|w_k|²> [N, N//2+1] of flows [..., N, N//2+1]: averaged over the flows and over all modes with the same k².

    It has exactly the mean energy and enstrophy of the flows.
    """
    _fits(w, made)
    power = np.mean(np.reshape(abs(np.asarray(w)) ** 2, (-1, *made.k2.shape)), axis=0)
    level = np.where(made.mask > 0, made.k2, 0).astype(int)
    weight = made.mask * made.weight
    total, count = (np.bincount(level.ravel(), weights=a.ravel()) for a in (weight * power, weight))
    return np.where(made.mask > 0, (total / np.where(count > 0, count, 1.0))[level], 0.0)


def half(made):
    """One mode of each pair k, -k [N, N//2+1] of booleans."""
    return (made.mask > 0) & ((made.ky > 0) | (made.kx > 0))


def _fits(w, made):
    if not compat.is_array_api_obj(w):
        raise TypeError(f"w must be a NumPy array or a torch tensor; got {type(w).__name__}")
    xp, shape = compat.array_namespace(w), (made.points, made.points // 2 + 1)
    if tuple(w.shape[-2:]) != shape or not xp.isdtype(w.dtype, "complex floating"):
        raise ValueError(f"w must be complex coefficients of shape [..., {shape[0]}, {shape[1]}], as the grid has; got {w.dtype} {tuple(w.shape)}")
    return xp
