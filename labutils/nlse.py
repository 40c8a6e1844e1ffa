"""The focusing nonlinear Schrödinger equation on a ring: exact waves, entropies, solvers.

Taught in the chapter "Solitons, breathers and the entropy of a wave field" (waves/nlse).
Units: the equation's own, i psi_t + psi_xx / 2 + |psi|² psi = 0; entropies in nats.

A field is a complex array [..., N] of values at x_j = -L/2 + j L/N on a ring of length L; all axes but the last
are a batch. Wavenumbers are k = 2 pi m / L in the order of the fast Fourier transform.
"""

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj
from scipy.integrate import DOP853

from labutils import info
from labutils._inputs import positive, whole

METHODS = ("strang", "yoshida4", "suzuki4", "etdrk4", "interaction", "filtered")
ORDER = {"strang": 2, "yoshida4": 4, "suzuki4": 4, "etdrk4": 4, "interaction": 8, "filtered": 8}
TAIL = 1e-8      # share of the mass in the highest third of wavenumbers above which `solve` warns
IMAGINARY = 5.96  # Dormand-Prince 8 is stable for step times frequency up to this


# The ring ----------------------------------------------------------------------------------------


class Ring(NamedTuple):
    """x [N] positions, k [N] wavenumbers in the order of the transform, dx, dk, length."""

    x: Any
    k: Any
    dx: float
    dk: float
    length: float


def ring(points, length, like=None):
    """N points on a ring of length L: x_j = -L/2 + j dx, dx = L/N, dk = 2 pi / L.

    like  an array whose library and device the ring takes; None: NumPy

    Errors: ValueError for an odd or small number of points (even, at least 4), a length that is not > 0.
    Source: chapter waves/nlse, step 3.
    """
    points, length = whole("points", points, 4), positive("length", length)
    if points % 2:
        raise ValueError(f"points must be even, so that wavenumbers pair up; got {points}")
    xp, place = np, {}
    if like is not None:
        xp = array_namespace(like)
        place = {"device": like.device, "dtype": xp.float32 if like.dtype in (xp.float32, xp.complex64) else xp.float64}
    m = xp.arange(points, **place) if place else xp.arange(points, dtype=xp.float64)
    dx, dk = length / points, 2 * math.pi / length
    return Ring(m * dx - length / 2, (m - points * xp.astype(m >= points // 2, m.dtype)) * dk, dx, dk, length)


# Exact waves -------------------------------------------------------------------------------------


def soliton(x, t=0.0, *, amplitude=1.0, velocity=0.0, centre=0.0, phase=0.0):
    """psi = A sech(A (x - c - v t)) exp(i v (x - c) + i (A² - v²) t / 2 + i phi), on the line.

    x  [N] real array; amplitude > 0, the rest any numbers. M = 2 A, P = 2 A v, E = A v² - A³/3.

    Errors: ValueError for an amplitude that is not > 0.
    Source: chapter waves/nlse, step 4; Zakharov and Shabat (1972).
    """
    xp, (x,) = info._arrays(x=x)
    a, v = positive("amplitude", amplitude), info._number("velocity", velocity)
    t, c = info._number("t", t), info._number("centre", centre)
    angle = v * (x - c) + 0.5 * (a * a - v * v) * t + info._number("phase", phase)
    return (a / xp.cosh(a * (x - c - v * t))) * xp.exp(1j * angle)


def solitons(x, t, amplitude, velocity, centre, phase):
    """n solitons that meet, exactly: psi = sum_k u_k with sum_k (1/g_j + g_k*)/(l_j + l_k*) u_k = 1.

    l = A + i v, g_j = exp(l_j (x - c_j) + i l_j² t / 2 + i phi_j). c_j + v_j t is halfway between two courses:
    of two solitons, one is half its `shift` behind it before they meet, and half its `shift` ahead afterwards.

    x [N]; t a number; amplitude, velocity, centre, phase [n] each, pairs (amplitude, velocity) all different.

    Errors: ValueError for lists of different lengths, an amplitude that is not > 0, two equal solitons.
    Source: chapter waves/nlse, step 5; Zakharov and Shabat (1972), Faddeev and Takhtajan (1987).
    """
    xp, (x,) = info._arrays(x=x)
    t = info._number("t", t)
    rows = {"amplitude": amplitude, "velocity": velocity, "centre": centre, "phase": phase}
    rows = {name: np.atleast_1d(np.asarray(row, dtype=float)) for name, row in rows.items()}
    n = rows["amplitude"].size
    for name, row in rows.items():
        if row.shape != (n,) or not np.all(np.isfinite(row)):
            raise ValueError(f"{name} must hold {n} finite numbers, one a soliton; got {row}")
    if not np.all(rows["amplitude"] > 0):
        raise ValueError(f"amplitude must be > 0; got {rows['amplitude'].min():g}")
    lam = rows["amplitude"] + 1j * rows["velocity"]
    if n > 1 and np.min(abs(lam[:, None] - lam[None, :]) + np.eye(n)) < 1e-12:
        raise ValueError(f"amplitude and velocity must differ between any two solitons; got {lam}")
    lam, c, phi = (_put(xp, row, x) for row in (lam, rows["centre"], rows["phase"]))
    power = lam * (x[:, None] - c) + 0.5j * t * lam**2 + 1j * phi      # [N, n], log g
    grown = xp.maximum(xp.real(power), 0 * xp.real(power))             # divide what is large out of both sides
    up, down = xp.exp(power - grown), xp.exp(-grown) + 0j
    matrix = (down[:, :, None] * down[:, None, :] + up[:, :, None] * xp.conj(up)[:, None, :]) / (lam[:, None] + xp.conj(lam))
    w = xp.linalg.solve(matrix, up[..., None])[..., 0]
    return xp.sum(w * down, axis=-1)


def shift(amplitude, other, velocity):
    """By how much a soliton is displaced when it passes another, the faster forward and the slower back: (1/A) log of
    ((A + B)² + dv²) / ((A - B)² + dv²).

    amplitude A of the one that is shifted, other B, velocity dv between them (any sign).

    Errors: ValueError for amplitudes that are not > 0, A = B at dv = 0 (they never part).
    Source: chapter waves/nlse, step 5.
    """
    a, b = positive("amplitude", amplitude), positive("other", other)
    v = info._number("velocity", velocity)
    if a == b and v == 0:
        raise ValueError("velocity must not be 0 for equal amplitudes: two such solitons never part")
    return math.log(((a + b) ** 2 + v * v) / ((a - b) ** 2 + v * v)) / a


def satsuma_yajima(x, t):
    """Two solitons at one place: psi(x, 0) = 2 sech x; |psi| has period pi/2 and peaks at 4.

    psi = 4 e^(it/2) (cosh 3x + 3 e^(4it) cosh x) / (cosh 4x + 4 cosh 2x + 3 cos 4t)

    Source: chapter waves/nlse, step 5; Satsuma and Yajima (1974).
    """
    xp, (x,) = info._arrays(x=x)
    t, y = info._number("t", t), abs(x)
    fall = xp.exp(-y)  # everything over e^{4|x|}, so that nothing overflows
    top = 0.5 * (fall + fall**7) + 1.5 * (fall**3 + fall**5) * (math.cos(4 * t) + 1j * math.sin(4 * t))
    bottom = 0.5 * (1 + fall**8) + 2 * (fall**2 + fall**6) + 3 * math.cos(4 * t) * fall**4
    return 4 * top / bottom * (math.cos(t / 2) + 1j * math.sin(t / 2))


def akhmediev(x, t, a=0.25):
    """A plane wave of amplitude 1 that breaks up once and comes back (Akhmediev's breather):

    psi = e^(it) (1 + (2 (1 - 2a) cosh bt + i b sinh bt) / (sqrt(2a) cos Wx - cosh bt)),
    b = sqrt(8a (1 - 2a)), W = 2 sqrt(1 - 2a); the peak is 1 + 2 sqrt(2a), at x = 0, t = 0.

    x [N]; a strictly between 0 and 1/2. It fits a ring whose length is a multiple of 2 pi / W.

    Errors: ValueError for an a outside (0, 1/2).
    Source: chapter waves/nlse, step 6; Akhmediev and Korneev (1986).
    """
    xp, (x,) = info._arrays(x=x)
    a, t = info._number("a", a), info._number("t", t)
    if not 0 < a < 0.5:
        raise ValueError(f"a must lie strictly between 0 and 1/2; got {a:g}")
    b, wide = math.sqrt(8 * a * (1 - 2 * a)), 2 * math.sqrt(1 - 2 * a)
    up = math.exp(-abs(b * t))  # everything over cosh(bt)
    over = 2 * up / (1 + up * up)
    top = 2 * (1 - 2 * a) + 1j * b * math.tanh(b * t)
    return (1 + top / (math.sqrt(2 * a) * over * xp.cos(wide * x) - 1)) * (math.cos(t) + 1j * math.sin(t))


def growth_rate(q, amplitude=1.0):
    """Modulation instability: a ripple of wavenumber q on |psi| = a grows as e^(rate t),
    rate = (q/2) sqrt(4 a² - q²) for |q| < 2a, else 0; the largest is a², at q = sqrt(2) a.

    q a number or a real array; amplitude a > 0.

    Errors: ValueError for an amplitude that is not > 0.
    Source: chapter waves/nlse, step 6; Benjamin and Feir (1967).
    """
    xp, (q,) = info._arrays(q=q)
    a = positive("amplitude", amplitude)
    room = 4 * a * a - q * q
    return 0.5 * abs(q) * xp.sqrt(xp.where(room > 0, room, 0.0))


# What a field is measured by ----------------------------------------------------------------------


class Invariants(NamedTuple):
    """mass M, momentum P, energy E of each field of a batch."""

    mass: Any
    momentum: Any
    energy: Any


def invariants(psi, length, *, damping=None):
    """M = int |psi|², P = int Im(psi* psi_x), E = int |psi_x|²/2 - |psi|⁴/2, derivatives by the transform.

    psi      [..., N] complex, length L of the ring
    damping  None, or sigma(k) [N]: the energy that the filtered equation keeps,
             sum k²/2 sigma |psi_k|² - int |F^-1 sigma psi_k|⁴/2

    Errors: ValueError for a field that is not complex, not finite or of odd size.
    Source: chapter waves/nlse, step 2.
    """
    xp, psi, grid = _field(psi, length)
    n = psi.shape[-1]
    hat = xp.fft.fft(psi)
    power = xp.real(hat * xp.conj(hat)) * (grid.dx / n)
    odd = xp.where(xp.arange(n, device=psi.device) == n // 2, 0.0, grid.k)  # that wave has no direction
    share, inside = (1.0, psi) if damping is None else (damping, xp.fft.ifft(damping * hat))
    mass = grid.dx * xp.sum(_square(xp, psi), axis=-1)
    kinetic = xp.sum(0.5 * grid.k**2 * share * power, axis=-1)
    return Invariants(mass, xp.sum(odd * power, axis=-1), kinetic - 0.5 * grid.dx * xp.sum(_square(xp, inside) ** 2, axis=-1))


def densities(psi, length):
    """(|psi|²/M per unit of x [..., N], |psi_k|²/sum per unit of k [..., N] in the order of the transform).

    Errors: those of `invariants`; ValueError for a field that is 0.
    """
    xp, psi, grid = _field(psi, length)
    found = []
    for wave, width in ((psi, grid.dx), (xp.fft.fft(psi), grid.dk)):
        weight = _square(xp, wave)
        total = xp.sum(weight, axis=-1, keepdims=True)
        if not bool(xp.all(total > 0)):
            raise ValueError("psi must not be 0 everywhere: a field without mass has no density")
        found.append(weight / total / width)
    return tuple(found)


def entropies(psi, length, order=1, kind="renyi", *, grid=False):
    """(h_x, h_k): the entropy of where the wave is and of how fast it oscillates, in nats.

    Shannon (order 1)  h = -int rho log rho
    Rényi              h = log(int rho^a) / (1 - a)
    Tsallis            h = (1 - int rho^q) / (q - 1)

    grid   True gives the entropy of the cells p = rho dx, as it is often printed: it depends on the
           grid, H = h - log dx for Shannon and Rényi, and grows by log 2 when the points double.

    The values converge with the grid as fast as the field does: integrals over a ring are sums. But where the
    field has a zero, rho log rho has a kink, and Shannon's value is left with an error of order dx³.
    Order 0 asks where a density is exactly 0, which rounding decides: it is refused.

    Errors: those of `densities`; ValueError for an order that is not > 0.
    Source: chapter waves/nlse, step 7.
    """
    order = info._number("order", order) if order != math.inf else order
    if not order > 0:
        raise ValueError(f"order must be > 0, since order 0 counts cells that rounding fills; got {order:g}")
    xp, psi, made = _field(psi, length)
    found = []
    for rho, width in zip(densities(psi, length), (made.dx, made.dk), strict=True):
        p = rho * width
        p = p / xp.sum(p, axis=-1, keepdims=True)
        h = info.entropy(p, order, kind)
        if not grid:
            plain = kind != "tsallis" or order == 1
            h = h + math.log(width) if plain else (1 - width ** (1 - order) * (1 - (order - 1) * h)) / (order - 1)
        found.append(h)
    return tuple(found)


def soliton_entropies(amplitude=1.0):
    """(h_x, h_k) of one soliton, Shannon, nats: 2 - log 2 - log A and 2 - log pi + log A.

    Their sum 4 - log(2 pi) is the same for all solitons.

    Errors: ValueError for an amplitude that is not > 0.
    Source: chapter waves/nlse, step 8.
    """
    a = positive("amplitude", amplitude)
    return 2 - math.log(2) - math.log(a), 2 - math.log(math.pi) + math.log(a)


def uncertainty_floor(order=1):
    """The least h_x + h_k on the line, Shannon 1 + log pi; Rényi of orders a and b with 1/a + 1/b = 2:

    log pi + (log a / (a - 1) + log b / (b - 1)) / 2, reached by Gaussians only.
    On a ring a plane wave has h_x + h_k = log 2 pi, which is lower: the floor there, for all orders.

    order a > 1/2, the order of one side

    Errors: ValueError for an order that is not > 1/2.
    Source: chapter waves/nlse, step 8; Białynicki-Birula and Mycielski (1975), Białynicki-Birula (2006).
    """
    a = info._number("order", order)
    if not a > 0.5:
        raise ValueError(f"order must be > 1/2, so that it has a partner; got {a:g}")

    def part(order):
        return math.log(order) / (order - 1) if abs(order - 1) > 1e-6 else 1 - (order - 1) / 2

    return math.log(math.pi) + 0.5 * (part(a) + part(a / (2 * a - 1)))


def tail(psi, length):
    """Share of the mass in the highest third of wavenumbers [...]: what says whether a grid is fine enough.

    Errors: those of `invariants`.
    """
    xp, psi, grid = _field(psi, length)
    return _tail(xp, _square(xp, xp.fft.fft(psi)), grid)


# Solvers -----------------------------------------------------------------------------------------


class Solution(NamedTuple):
    """t [T], psi [T, ..., N], transforms (fast Fourier transforms of one field, or of the whole batch at
    once), steps taken, rejected, and tail: the largest share of mass in the highest third of wavenumbers."""

    t: Any
    psi: Any
    transforms: int
    steps: int
    rejected: int
    tail: float


def solve(psi0, t, length, *, method="interaction", tol=1e-8, dt=None, filter=None):
    """The field at the times t, from psi0 at t[0].

    strang       half a step of dispersion, a step of phase |psi|² dt, half a step of dispersion; order 2
    yoshida4     three Strang steps of w, 1 - 2w, w, with w = 1/(2 - 2^(1/3)); order 4
    suzuki4      five Strang steps of w, w, 1 - 4w, w, w, with w = 1/(4 - 4^(1/3)); order 4
    etdrk4       exponential time differencing, Cox and Matthews' fourth-order form
    interaction  Dormand and Prince's order 8 on exp(i k² t / 2) psi_k, from which dispersion is gone
    filtered     the same on psi_k itself, with sigma(k) on dispersion and on the cubic term: another
                 equation; stable only for short steps

    psi0    [..., N] complex; a batch shares its steps
    t       increasing times; the first is that of psi0
    tol     error that a step may make, relative to the size of the worst field (root mean square); or
    dt      a fixed step (shortened to end at each time of t); tol is then not used
    filter  sigma(k) [N] for "filtered"; None: exp(-36 (|k|/k_c)^36), k_c = 2/3 of the largest k

    Splittings and etdrk4 choose steps by comparing one step with two halves, and keep the halves. The
    methods of order 8 have their own estimate, and give times inside a step by their polynomial of degree 7.
    Transforms count every one that the method needs, rejected steps and comparisons included.

    Errors: ValueError for bad fields, times, methods, a filtered step outside stability;
    RuntimeError for a field that blows up, with the time. Warns (RuntimeWarning) where the spectrum
    has not decayed, where psi0 does not close on the ring, and where a splitting step resonates (dt k_max² / 2 > pi).
    Source: chapter waves/nlse, steps 12 to 14.
    """
    xp, psi, grid = _field(psi0, length)
    times = np.atleast_1d(np.asarray(t, dtype=float))
    if times.ndim != 1 or times.size < 2 or not np.all(np.isfinite(times)) or not np.all(np.diff(times) > 0):
        raise ValueError(f"t must hold two or more increasing times; got {times if times.size < 9 else times[:9]}")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    if filter is not None and method != "filtered":
        raise ValueError(f"filter belongs to method 'filtered'; got method {method!r}")
    tol = None if dt is not None else positive("tol", tol)
    fixed = None if dt is None else positive("dt", dt)
    top = float(xp.max(grid.k**2)) / 2
    if fixed is not None and method == "filtered" and fixed * top > IMAGINARY:
        raise ValueError(
            f"dt must be at most {IMAGINARY / top:.3g}, or the highest wave grows (dt k_max²/2 <= {IMAGINARY}); got {fixed:g}")
    if fixed is not None and ORDER[method] < 8 and method != "etdrk4" and fixed * top > math.pi:
        warnings.warn(f"dt = {fixed:g} lies above the resonance of splitting at {math.pi / top:.3g} = 2 pi/k_max²:"
                      " waves there may grow", RuntimeWarning, stacklevel=2)
    _closes(xp, psi)
    if ORDER[method] == 8:
        run = _Runge(xp, psi, grid, method, filter)
    else:
        run = _Split(xp, psi, grid, method)
    kept = run.march(times, tol, fixed)
    psi = xp.stack(kept, axis=0)
    share = float(xp.max(_tail(xp, _square(xp, xp.fft.fft(psi)), grid)))
    if share > TAIL:
        warnings.warn(f"the spectrum has not decayed: {share:.1e} of the mass lies in the highest third of wavenumbers"
                      f" (at most {TAIL:g} is wanted): take more points", RuntimeWarning, stacklevel=2)
    return Solution(times, psi, run.transforms, run.steps, run.rejected, share)


def smooth_cut(k, cut=None):
    """sigma(k) = exp(-36 (|k|/k_c)^36), with k_c two thirds of the largest |k| where cut is None."""
    xp, (k,) = info._arrays(k=k)
    cut = 2 * float(xp.max(abs(k))) / 3 if cut is None else positive("cut", cut)
    return xp.exp(-36 * xp.clip(abs(k) / cut, None, 2.0) ** 36)


class _March:
    """Steps from time to time, with a fixed step or with one that an error estimate sets."""

    transforms = steps = rejected = 0

    def __init__(self, xp, psi, grid):
        self.xp, self.grid, self.psi = xp, grid, psi
        self.size = float(xp.max(self.norm(psi)))
        if not self.size > 0:
            raise ValueError("psi0 must not be 0 everywhere")

    def norm(self, psi):
        return self.xp.sqrt(self.xp.sum(_square(self.xp, psi), axis=-1))

    def fft(self, psi):
        self.transforms += 1
        return self.xp.fft.fft(psi)

    def ifft(self, psi):
        self.transforms += 1
        return self.xp.fft.ifft(psi)

    def watch(self, hat, t):
        """Blow-up: no exact solution gains mass."""
        size = float(self.xp.max(self.norm(hat))) / math.sqrt(hat.shape[-1])
        if not size < 2 * self.size:
            raise RuntimeError(f"the field blew up before t = {t:.6g}: its root mean square grew from {self.size:.3g} to"
                               f" {size:.3g}; take shorter steps or more points")

    def error(self, difference, psi):
        """Root mean square of the difference over that of the field, worst of a batch."""
        return float(self.xp.max(self.norm(difference) / self.norm(psi)))

    def accepted(self, error, order, h, tol, t):
        """(whether the step stands, the next step)."""
        if not math.isfinite(error):
            factor = 0.1
        else:
            factor = min(5.0, max(0.2, 0.9 * (tol / max(error, 1e-300)) ** (1 / order)))
        if h * factor < 1e-13 * max(1.0, abs(t)):
            raise RuntimeError(f"no step is short enough for tol = {tol:g} at t = {t:.6g}: the field blew up, or tol is below rounding")
        return error <= tol, h * factor

    def first(self):
        """A first step: the phase of the strongest part turns by a tenth."""
        return 0.1 / max(float(self.xp.max(_square(self.xp, self.psi))), 1e-3)


class _Split(_March):
    """Splittings and exponential time differencing: a step is a map psi_k -> psi_k."""

    WEIGHTS = {
        "strang": (1.0,),
        "yoshida4": (1 / (2 - 2 ** (1 / 3)), 1 - 2 / (2 - 2 ** (1 / 3)), 1 / (2 - 2 ** (1 / 3))),
        "suzuki4": (1 / (4 - 4 ** (1 / 3)),) * 2 + (1 - 4 / (4 - 4 ** (1 / 3)),) + (1 / (4 - 4 ** (1 / 3)),) * 2,
    }

    def __init__(self, xp, psi, grid, method):
        super().__init__(xp, psi, grid)
        self.order, self.known = ORDER[method], {}
        self.step = self.etd if method == "etdrk4" else self.split
        self.weights = self.WEIGHTS.get(method)

    def split(self, hat, h):
        """exp(-i k² w h / 4) on psi_k, exp(i |psi|² w h) on psi, exp(-i k² w h / 4) on psi_k, for each weight w."""
        xp, last = self.xp, 0.0
        for w in self.weights:
            psi = self.ifft(hat * self.turn(last + w, h))
            hat = self.fft(psi * xp.exp(1j * (w * h) * _square(xp, psi)))
            last = w
        return hat * self.turn(last, h)

    def turn(self, w, h):
        """exp(-i k² w h / 4): adjacent halves of dispersion are taken in one."""
        return self.remembered((w, h), lambda: self.xp.exp(-0.25j * (w * h) * self.grid.k**2))

    def remembered(self, key, make):
        """What a step of this size needs, made once."""
        if key not in self.known:
            if len(self.known) > 24:
                self.known.clear()
            self.known[key] = make()
        return self.known[key]

    def cubic(self, hat):
        psi = self.ifft(hat)
        return 1j * self.fft(_square(self.xp, psi) * psi)

    def etd(self, hat, h):
        half, full, q, f1, f2, f3 = self.remembered(h, lambda: self.coefficients(h))
        n0 = self.cubic(hat)
        a = half * hat + q * n0
        na = self.cubic(a)
        b = half * hat + q * na
        nb = self.cubic(b)
        c = half * a + q * (2 * nb - n0)
        return full * hat + f1 * n0 + 2 * f2 * (na + nb) + f3 * self.cubic(c)

    def coefficients(self, h):
        """The phi functions as means over a circle around each L h, which keeps digits (Kassam and Trefethen)."""
        z = -0.5j * h * _numpy(self.grid.k) ** 2
        w = z[:, None] + np.exp(2j * np.pi * (np.arange(32) + 0.5) / 32)
        e = np.exp(w)
        made = (np.exp(z / 2), np.exp(z), h * np.mean((np.exp(w / 2) - 1) / w, axis=1),
                h * np.mean((-4 - w + e * (4 - 3 * w + w**2)) / w**3, axis=1),
                h * np.mean((2 + w + e * (w - 2)) / w**3, axis=1),
                h * np.mean((-4 - 3 * w - w**2 + e * (4 - w)) / w**3, axis=1))
        return tuple(_put(self.xp, m, self.psi) for m in made)

    def march(self, times, tol, fixed):
        kept, hat, h = [self.psi], self.fft(self.psi), fixed
        if h is None:
            h = self.rung(self.first())
        for t, end in zip(times[:-1], times[1:], strict=True):
            if fixed is not None:
                count = math.ceil((end - t) / fixed - 1e-9)
                for i in range(count):
                    hat = self.step(hat, (end - t) / count)
                    self.steps += 1
                    self.watch(hat, t + (i + 1) * (end - t) / count)
            else:
                hat, h = self.adapt(hat, t, end, h, tol)
            kept.append(self.ifft(hat))
        return kept

    def adapt(self, hat, t, end, h, tol):
        while end - t > 1e-12 * max(1.0, abs(end)):
            now = min(h, end - t)
            now = (end - t) / 2 if now < end - t < 1.5 * now else now  # no crumb at the end
            once, half = self.step(hat, now), self.step(hat, now / 2)
            twice = self.step(half, now / 2)
            stands, after = self.accepted(self.error(twice - once, hat) / (2**self.order - 1), self.order + 1, now, tol, t)
            if stands:
                hat, t = twice, t + now
                self.steps += 1
                self.watch(hat, t)
                h = self.rung(after) if now == h or after < h else h
            else:
                self.rejected += 1
                h = self.rung(after)
        return hat, h

    @staticmethod
    def rung(h):
        """The next step below h on a ladder of quarter octaves: what a method computes for a step is met again."""
        return 2.0 ** (math.floor(4 * math.log2(h)) / 4)


class _Runge(_March):
    """Dormand and Prince's eighth order in the transform, with dispersion taken out or filtered."""

    A, B, C = DOP853.A, DOP853.B, DOP853.C
    E3, E5 = DOP853.E3, DOP853.E5
    D, MORE_A, MORE_C = DOP853.D, DOP853.A_EXTRA, DOP853.C_EXTRA

    def __init__(self, xp, psi, grid, method, sigma):
        super().__init__(xp, psi, grid)
        self.filtered = method == "filtered"
        if self.filtered:
            self.sigma = smooth_cut(grid.k) if sigma is None else sigma
            if tuple(self.sigma.shape) != tuple(grid.k.shape):
                raise ValueError(f"filter must have shape {tuple(grid.k.shape)}; got {tuple(self.sigma.shape)}")
        self.frequency = 0.5 * grid.k**2

    def slope(self, s, hat):
        """d/ds of the unknown, s after the start of the step."""
        xp = self.xp
        if self.filtered:
            psi = self.ifft(self.sigma * hat)
            return self.sigma * (-1j * self.frequency * hat + 1j * self.fft(_square(xp, psi) * psi))
        turn = xp.exp(1j * s * self.frequency)
        psi = self.ifft(xp.conj(turn) * hat)
        return 1j * turn * self.fft(_square(xp, psi) * psi)

    def back(self, s, hat):
        """psi_k from the unknown, s after the start of the step."""
        return hat if self.filtered else self.xp.exp(-1j * s * self.frequency) * hat

    def sum(self, weights, slopes):
        total = 0.0
        for w, k in zip(weights, slopes, strict=True):
            if w != 0:
                total = total + float(w) * k
        return total

    def march(self, times, tol, fixed):
        hat, t, end = self.fft(self.psi), float(times[0]), float(times[-1])
        kept, place = [self.psi], 1
        h = fixed if fixed is not None else self.first()
        if self.filtered:
            h = min(h, IMAGINARY / float(self.xp.max(self.frequency)))
        slope = self.slope(0.0, hat)
        while place < len(times):
            now = min(h, end - t)
            K = [slope]
            for c, row in zip(self.C[1:12], self.A[1:12], strict=True):
                K.append(self.slope(float(c) * now, hat + now * self.sum(row[: len(K)], K)))
            new = hat + now * self.sum(self.B, K)
            K.append(self.slope(now, new))
            stands, after = True, h
            if fixed is None:
                e5, e3 = (self.norm(self.sum(e, K)) for e in (self.E5, self.E3))
                both = self.xp.sqrt(e5**2 + 0.01 * e3**2)
                error = now * float(self.xp.max(self.xp.where(both > 0, e5**2 / self.xp.where(both > 0, both, 1.0), 0.0) / self.norm(hat)))
                stands, after = self.accepted(error, 8, now, tol, t)
            if not stands:
                self.rejected += 1
                h = after
                continue
            self.steps += 1
            self.watch(new, t + now)
            inside = [float(u) for u in times[place:] if u < t + now - 1e-13 * max(1.0, abs(t))]
            if inside:
                kept += self.between(hat, new, K, now, [u - t for u in inside])
                place += len(inside)
            if place < len(times) and abs(times[place] - t - now) <= 1e-13 * max(1.0, abs(t + now)):
                kept.append(self.ifft(self.back(now, new)))
                place += 1
            t, hat = t + now, self.back(now, new)
            slope = K[-1] if self.filtered else self.back(now, K[-1])  # the next step starts its own clock
            h = fixed if fixed is not None else (after if now == h or after < h else h)
        return kept

    def between(self, hat, new, K, h, inside):
        """Fields at times inside the step, by the polynomial of degree 7 that belongs to the method."""
        K = list(K)
        for c, row in zip(self.MORE_C, self.MORE_A, strict=True):
            K.append(self.slope(float(c) * h, hat + h * self.sum(row[: len(K)], K)))
        change = new - hat
        F = [change, h * K[0] - change, 2 * change - h * (K[12] + K[0]), *(h * self.sum(row, K) for row in self.D)]
        found = []
        for s in inside:
            u, y = s / h, 0.0
            for i, part in enumerate(reversed(F)):
                y = (y + part) * (u if i % 2 == 0 else 1 - u)
            found.append(self.ifft(self.back(s, hat + y)))
        return found


# What the functions above are made of --------------------------------------------------------------


def _square(xp, psi):
    return xp.real(psi) ** 2 + xp.imag(psi) ** 2


def _numpy(array):
    return array.detach().cpu().numpy() if hasattr(array, "detach") else np.asarray(array)


def _put(xp, row, like):
    """A NumPy row in the library, precision and place of `like`."""
    narrow = like.dtype in (xp.float32, xp.complex64)
    kind = (xp.complex64 if narrow else xp.complex128) if np.iscomplexobj(row) else (xp.float32 if narrow else xp.float64)
    return xp.asarray(row, dtype=kind, **({"device": like.device} if hasattr(like, "detach") else {}))


def _field(psi, length):
    if not is_array_api_obj(psi):
        psi = np.asarray(psi)
    xp = array_namespace(psi)
    if not xp.isdtype(psi.dtype, "complex floating"):
        raise ValueError(f"psi must be complex; got dtype {psi.dtype}")
    if psi.ndim < 1 or psi.shape[-1] < 4 or psi.shape[-1] % 2:
        raise ValueError(f"psi must have an even number of points on its last axis, at least 4; got shape {tuple(psi.shape)}")
    good = xp.isfinite(xp.real(psi)) & xp.isfinite(xp.imag(psi))
    if not bool(xp.all(good)):
        raise ValueError(f"psi must be finite; it is not at {int(xp.sum(xp.astype(~good, xp.int64)))} of its points")
    return xp, psi, ring(psi.shape[-1], length, like=psi if hasattr(psi, "detach") or psi.dtype == xp.complex64 else None)


def _tail(xp, power, grid):
    """Share of power above two thirds of the largest wavenumber."""
    high = xp.astype(abs(grid.k) > 2 * xp.max(abs(grid.k)) / 3, power.dtype)
    return xp.sum(high * power, axis=-1) / xp.sum(power, axis=-1)


def _closes(xp, psi):
    """Warns where the jump from the last point to the first stands out among the steps between neighbours."""
    steps = _square(xp, psi[..., 1:] - psi[..., :-1])
    jump = _square(xp, psi[..., 0] - psi[..., -1])
    scale = xp.max(_square(xp, psi), axis=-1)
    odd = (jump > 16 * xp.max(steps, axis=-1)) & (jump > 1e-20 * scale)
    if bool(xp.any(odd)):
        size = float(xp.max(xp.sqrt(jump / xp.where(scale > 0, scale, 1.0))))
        warnings.warn(f"psi0 must close on the ring: from its last point to its first it jumps by {size:.2g} of its height,"
                      " more than four times as far as between any neighbours", RuntimeWarning, stacklevel=3)
