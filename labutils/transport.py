"""What merely moves: characteristics, shocks and their entropies, the rank of a moving picture, the loss of a moving wave.

Taught in the chapter "Learning along the flow" (waves/transport).
Units: lengths and times of the problem, speeds their ratio; Shannon's entropies in nats. Rings have length 2 pi unless said.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from labutils import info
from labutils._inputs import finite, namespace, number, positive, whole


class Shock(NamedTuple):
    """Step of a shock: speed, and by how much the integral of an entropy falls in a unit of time."""

    speed: float
    loss: float


# Along characteristics -----------------------------------------------------------------------------


def derivative(f, length=2 * math.pi):
    """df/dx of periodic values f [..., n] on n even places of a ring, by Fourier's series (exact for what it resolves).

    Errors: ValueError for fewer than 4 places, NaN; TypeError for anything but real floating arrays.
    """
    xp = namespace(f=f)
    _places("f", f, 4)
    n = f.shape[-1]
    k = xp.fft.rfftfreq(n, d=positive("length", length) / (2 * math.pi * n))
    if hasattr(f, "device") and xp.__name__.endswith("torch"):
        k = k.to(f.device)
    wave = xp.fft.rfft(f) * (1j * xp.astype(k, f.dtype))
    if n % 2 == 0:                                       # the highest wave has no sign: its derivative is left out
        wave = xp.concat([wave[..., :-1], 0 * wave[..., -1:]], axis=-1)
    return xp.fft.irfft(wave, n=n)


def second_derivative(U, X, length=2 * math.pi):
    """u_xx where it is known by label: U'' / X'^2 - U' X'' / X'^3 = (1/X') d/dx0 (U' / X').

    U, X    [..., n] value and place of the labels x0 = length i / n; X - x0 is periodic
    Errors: those of `derivative`; ValueError for shapes that differ, and where X' <= 0: labels have crossed, the smallest X' is named.
    Source: chapter waves/transport, eq-lagrangian-viscosity.
    """
    xp = namespace(U=U, X=X)
    _alike(U=U, X=X)
    _places("X", X, 4)
    length = positive("length", length)
    label = xp.arange(X.shape[-1], dtype=X.dtype) * (length / X.shape[-1])
    stretch = 1 + derivative(X - label, length)
    if not bool(xp.all(stretch > 0)):
        raise ValueError(f"X must rise with the label: dX/dx0 > 0; got {float(xp.min(stretch)):.3g}: characteristics have crossed")
    return derivative(derivative(U, length) / stretch, length) / stretch


def breaking_time(speed, length=2 * math.pi):
    """t_b = -1 / min d c(u0(x0)) / dx0, when the first characteristics cross; infinite if the speed nowhere falls.

    speed  [n] c(u0(x0)) at even labels of a ring (Burgers: u0 itself)
    Errors: those of `derivative`; ValueError for values that are not periodic (they jump at the seam).
    Source: chapter waves/transport, eq-breaking-time.
    """
    xp = namespace(speed=speed)
    _ring("speed", speed)
    steepest = float(xp.min(derivative(speed, length)))
    return -1 / steepest if steepest < 0 else math.inf


def places(label, speed, t, length=2 * math.pi, *, past_breaking=False):
    """X(t; x0) = x0 + c t of a wave whose speed stays with the label.

    label, speed   [n] even labels of a ring and c(u0(x0)) there
    past_breaking  True gives the places even when they cross, so that a place has several values
    Errors: ValueError for NaN, shapes that differ, t < 0, for t >= t_b unless past_breaking: t_b is named.
    Source: chapter waves/transport, eq-characteristics.
    """
    namespace(label=label, speed=speed)
    _alike(label=label, speed=speed)
    finite(label=label, speed=speed)
    t = number("t", t, "must be finite and >= 0", lambda v: 0 <= v < math.inf)
    if not past_breaking and t >= (t_b := breaking_time(speed, length)):
        raise ValueError(f"t must be below t_b = {t_b:.6g}, when characteristics cross; got {t:g} (past_breaking=True gives many values)")
    return label + speed * t


def entropy_solution(u0, x, t, low, high, labels=4001):
    """Burgers' u(x, t) of the smooth u0 by Hopf and Lax: u = (x - y) / t, with y the label that minimises
    int_0^y u0 + (x - y)^2 / (2 t). Before t_b the only label with y + t u0(y) = x; after it the one that Kruzhkov's entropy chooses.

    u0         function of an array, on the whole line (periodic for a ring)
    x [n], t   places and a time >= 0
    low, high  bounds of u0: labels are sought in [x - high t, x - low t]
    labels     places of the first search; y is then found by bisection

    Errors: ValueError for places that are no row or not finite, t < 0, low >= high, a u0 that leaves [low, high] or is not finite.
    Source: chapter waves/transport; Hopf (1950), Lax (1957).
    """
    x = np.asarray(x, dtype=float)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"x must be one row of places; got shape {x.shape}")
    finite(x=x)
    t = number("t", t, "must be finite and >= 0", lambda v: 0 <= v < math.inf)
    low, high = (number(name, v, "must be finite", math.isfinite) for name, v in (("low", low), ("high", high)))
    if not low < high:
        raise ValueError(f"low must lie below high; got {low:g} and {high:g}")
    if t == 0:
        return _within(u0(x), low, high)
    pad = 0.02 * (high - low) * t
    y = np.linspace(x.min() - high * t - pad, x.max() - low * t + pad, whole("labels", labels, 5))
    value, step = _within(u0(y), low, high), y[1] - y[0]
    middle = _within(u0(0.5 * (y[1:] + y[:-1])), low, high)
    potential = np.concatenate([[0], np.cumsum(step / 6 * (value[:-1] + 4 * middle + value[1:]))])
    best = np.empty(x.shape, dtype=int)
    for i, place in enumerate(x):
        best[i] = np.argmin(potential + (place - y) ** 2 / (2 * t))
    left, right = y[np.maximum(best - 1, 0)], y[np.minimum(best + 1, len(y) - 1)]
    for _ in range(60):
        y_mid = 0.5 * (left + right)
        beyond = y_mid + t * u0(y_mid) > x
        left, right = np.where(beyond, left, y_mid), np.where(beyond, y_mid, right)
    return np.asarray(u0(0.5 * (left + right)), dtype=float)


def kepler_label(x, t, speed, bend):
    """The label x0 of what is at x at time t when c(x) = speed / (1 + bend cos x): x + bend sin x - speed t = x0 + bend sin x0.

    Kepler's equation, solved by bisection to rounding. x, t broadcast; labels are not wrapped.
    Errors: ValueError for a bend outside (-1, 1), for places, times or a speed that are not finite.
    Source: chapter waves/transport, eq-kepler.
    """
    finite(x=np.asarray(x, dtype=float), t=np.asarray(t, dtype=float), speed=np.asarray(speed, dtype=float))
    bend = number("bend", bend, "must lie strictly between -1 and 1", lambda v: -1 < v < 1)
    goal = np.asarray(x + bend * np.sin(x) - speed * t, dtype=float)
    low, high = goal - abs(bend) - 1e-12, goal + abs(bend) + 1e-12
    for _ in range(60):
        middle = 0.5 * (low + high)
        beyond = middle + bend * np.sin(middle) > goal
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return 0.5 * (low + high)


# Shocks and entropies ------------------------------------------------------------------------------


def godunov(u, dx, dt, steps):
    """Burgers u_t + (u^2/2)_x = 0 on a ring by Godunov's scheme: conservative, first order, picks the entropy solution.

    u       [..., n] means over the cells
    Errors: ValueError for fewer than 2 cells, NaN, and when max |u| dt / dx > 1: the Courant number is named.
    Source: chapter waves/transport; Godunov (1959).
    """
    xp = namespace(u=u)
    _places("u", u, 2)
    dx, dt, steps = positive("dx", dx), positive("dt", dt), whole("steps", steps, 0)
    courant = float(xp.max(abs(u))) * dt / dx
    if courant > 1:
        raise ValueError(f"max |u| dt / dx must be <= 1 (Courant, Friedrichs, Lewy); got {courant:.4g}: take dt <= {dt / courant:.4g}")
    zero = xp.zeros_like(u)
    for _ in range(steps):
        right = xp.roll(u, -1, axis=-1)                  # flux through the right face of each cell
        flux = xp.maximum(xp.maximum(u, zero) ** 2, xp.minimum(right, zero) ** 2) / 2
        u = u - dt / dx * (flux - xp.roll(flux, 1, axis=-1))
    return u


def shock(left, right, entropy="square"):
    """Speed (u_l + u_r)/2 of a shock of Burgers' equation and the loss of an entropy in it, in a unit of time.

    "square"   int u^2/2 dx falls by (u_l - u_r)^3 / 12
    "shannon"  int u log u dx falls, so the entropy of the density u > 0 rises, by
               (u_l^2/2 log u_l + u_l^2/4) - (u_r^2/2 log u_r + u_r^2/4) - s (u_l log u_l - u_r log u_r)

    Errors: ValueError for left < right (such a jump opens into a fan), for an unknown entropy, for values <= 0 with "shannon".
    Source: chapter waves/transport, eq-shock-loss and eq-shannon-shock.
    """
    left, right = (number(name, v, "must be finite", math.isfinite) for name, v in (("left", left), ("right", right)))
    if left < right:
        raise ValueError(f"left must be >= right: a step upwards opens into a fan; got {left:g} and {right:g}")
    speed = (left + right) / 2
    if entropy == "square":
        return Shock(speed, (left - right) ** 3 / 12)
    if entropy != "shannon":
        raise ValueError(f"entropy must be 'square' or 'shannon'; got {entropy!r}")
    if not right > 0:
        raise ValueError(f"right must be > 0 where u is a density; got {right:g}")
    flow = lambda u: u * u / 2 * math.log(u) + u * u / 4
    return Shock(speed, speed * (right * math.log(right) - left * math.log(left)) + flow(left) - flow(right))


def density_entropy(u, dx):
    """h = -sum p log(p / dx), p = u dx / sum u dx: differential entropy in nats of the density u > 0, constant in each cell.

    Errors: those of `info.entropy`; ValueError for no cells, for values that are not > 0.
    """
    xp = namespace(u=u)
    _places("u", u, 1)
    if not bool(xp.all(u > 0)):
        raise ValueError(f"u must be > 0 to be a density; got {float(xp.min(u)):.6g}")
    return info.entropy(u / xp.sum(u, axis=-1, keepdims=True)) + math.log(positive("dx", dx))


# The rank of a moving picture ----------------------------------------------------------------------


def profile(kind, x, width=0.5):
    """u0 on the ring of length 2 pi: "sine" sin x; "gaussian" exp(-(x - pi)^2 / (2 width^2)) wrapped around the ring;
    "step" 1 on (0, pi), -1 on (pi, 2 pi).

    Errors: ValueError for another kind, a width <= 0.
    """
    xp = namespace(x=x)
    if kind == "sine":
        return xp.sin(x)
    y = xp.remainder(x, 2 * math.pi + 0 * x)
    if kind == "step":
        return xp.sign(xp.where(abs(y - math.pi) < 1e-9, 0 * y, xp.sin(y)))
    if kind != "gaussian":
        raise ValueError(f"kind must be sine, gaussian or step; got {kind!r}")
    width = positive("width", width)
    turns = math.ceil(width * 1.5) + 1
    return sum(xp.exp(-(((y - math.pi - 2 * math.pi * k) / width) ** 2) / 2) for k in range(-turns, turns + 1))


def snapshots(u0, speed, times, x):
    """The picture of a wave that moves: A[j, i] = u0(x_i - speed t_j). u0 is a function of an array.

    times [m], x [n] -> [m, n]
    Errors: those of `u0`; ValueError for times or places that are no row, for anything that is not finite.
    """
    namespace(times=times, x=x)
    finite(times=times, x=x)
    speed = number("speed", speed, "must be finite", math.isfinite)
    if times.ndim != 1 or x.ndim != 1:
        raise ValueError(f"times and x must be rows; got shapes {tuple(times.shape)} and {tuple(x.shape)}")
    return u0(x[None, :] - speed * times[:, None])


def width_from_tail(singular):
    """sqrt(sum_{k > n} s_k^2 / sum s_k^2), n = 0..K-1: mean error of the best n-dimensional space, relative.

    Root mean square over the snapshots, so never more than Kolmogorov's n-width of the same snapshots, which takes the worst.
    singular [K] >= 0, largest first.
    Errors: ValueError for values that rise or are negative, or are all 0.
    Source: chapter waves/transport, eq-width-tail.
    """
    xp = namespace(singular=singular)
    finite(singular=singular)
    if singular.ndim != 1 or bool(xp.any(singular < 0)) or bool(xp.any(singular[1:] > singular[:-1])) or not float(singular[0]) > 0:
        raise ValueError(f"singular must be values >= 0, largest first, the first > 0; got shape {tuple(singular.shape)}")
    squares = xp.flip(xp.cumulative_sum(xp.flip((singular / singular[0]) ** 2, axis=(0,)), axis=0), axis=(0,))
    return (squares / squares[0]) ** 0.5


# The loss of a moving wave -------------------------------------------------------------------------


def propagation_rates(span, weight, count=5):
    """Rates m^2, with m tan(m span) = weight, at which gradient descent in function space forgets each mode of the error of
    u(x, t) = b(t) wave(x - speed t):  loss int_0^span |b'|^2 dt + weight |b(0) - 1|^2. The speed is not in it.

    Returns [count], slowest first; the slowest tends to (pi / (2 span))^2 for a large weight.
    Errors: ValueError for a span or weight <= 0.
    Source: chapter waves/transport, eq-loss-diffusion.
    """
    span, weight, count = positive("span", span), positive("weight", weight), whole("count", count, 1)
    branch = np.arange(count) * math.pi
    low, high = branch, branch + math.pi / 2
    for _ in range(80):
        m = 0.5 * (low + high)
        beyond = m / span * np.sin(m - branch) > weight * np.cos(m - branch)
        low, high = np.where(beyond, low, m), np.where(beyond, m, high)
    return (0.5 * (low + high) / span) ** 2


class Frozen(NamedTuple):
    """A linear model of the loss: singular values of its matrix, and the error after gradient descent and at the minimum."""

    singular: Any
    error: Any
    least: float


def frozen(speed, scale, steps, features=120, points=600, seed=0, weight=1.0):
    """The loss of sin(x - speed t), t in [0, 1], when only the last layer of a network learns: least squares, solved exactly.

    u(x, t) = Im a(t) e^(ix), so u_t + speed u_x = 0 is a' + i speed a = 0 with a(0) = 1. Here a is a complex combination
    of 1 and of tanh(scale w_m (t - c_m)), w_m normal, c_m uniform on [0, 1]. Rows of the matrix: the residual at the middles
    of `points` equal bins, divided by sqrt(points), and sqrt(weight) times the value at t = 0.
    Gradient descent from 0 with the step 1 / s_1^2 leaves (1 - s^2 / s_1^2)^k of each singular direction after k steps.

    steps  numbers of steps k, however large
    Returns Frozen: singular values / s_1, error [len(steps)] (root mean square of |a - truth| over t, relative), the error of
    the least-squares solution (singular values below 1e-13 s_1 left out).
    Errors: ValueError for a scale or weight <= 0, negative steps, too few features or points.
    Source: chapter waves/transport, claim-frozen-direct.
    """
    speed = number("speed", speed, "must be finite", math.isfinite)
    scale, weight, steps = positive("scale", scale), positive("weight", weight), np.asarray(steps, dtype=float)
    if not (steps >= 0).all():
        raise ValueError(f"steps must be >= 0; got {steps.min():g}")
    rng, points = np.random.default_rng(seed), whole("points", points, 2)
    slope = scale * rng.normal(size=whole("features", features, 2))
    centre = rng.uniform(size=features)

    def rows(t):
        value = np.tanh(slope * (t[:, None] - centre))
        one = np.ones((len(t), 1))
        return np.concatenate([value, one], 1), np.concatenate([(1 - value**2) * slope, 0 * one], 1)

    value, change = rows((np.arange(points) + 0.5) / points)
    first = rows(np.zeros(1))[0]
    matrix = np.concatenate([(change + 1j * speed * value) / math.sqrt(points), math.sqrt(weight) * first])
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    use = s > 1e-13 * s[0]
    pull = u[-1].conj()[use] * math.sqrt(weight) / s[use]            # the only goal that is not 0 is that of the last row
    t = np.linspace(0, 1, 301)
    basis, truth = rows(t)[0] @ v.conj().T[:, use], np.exp(-1j * speed * t)
    off = lambda share: math.sqrt(np.mean(abs(basis @ (share * pull) - truth) ** 2))
    left = np.log1p(-np.minimum((s[use] / s[0]) ** 2, 1 - 1e-16))
    return Frozen(s / s[0], np.array([off(-np.expm1(k * left)) for k in steps.reshape(-1)]), off(1.0))


def _places(name, values, lowest):
    """Errors: ValueError for fewer than `lowest` places on the last axis, or none, and for what is not finite."""
    if values.ndim < 1 or values.shape[-1] < lowest:
        raise ValueError(f"{name} must have {lowest} or more places on its last axis; got shape {tuple(values.shape)}")
    finite(**{name: values})


def _alike(**arrays):
    """Errors: ValueError when the two named arrays differ in shape."""
    (one, a), (two, b) = arrays.items()
    if tuple(a.shape) != tuple(b.shape):
        raise ValueError(f"{one} and {two} must have the same shape; got {tuple(a.shape)} and {tuple(b.shape)}")


def _within(values, low, high):
    """The values of u0 as an array. Errors: ValueError when they are not finite or leave [low, high]."""
    values = np.asarray(values, dtype=float)
    finite(u0=values)
    if values.min() < low - 1e-12 or values.max() > high + 1e-12:
        raise ValueError(f"u0 must stay within low and high; got values from {values.min():.6g} to {values.max():.6g}")
    return values


def _ring(name, values):
    """Errors: ValueError when periodic values jump at the seam by far more than between neighbours inside."""
    xp = namespace(values=values)
    finite(**{name: values})
    if values.ndim != 1 or values.shape[0] < 8:
        raise ValueError(f"{name} must be one row of at least 8 values on a ring; got shape {tuple(values.shape)}")
    inside, seam = float(xp.max(abs(values[1:] - values[:-1]))), float(abs(values[0] - values[-1]))
    if seam > 4 * inside:
        raise ValueError(f"{name} must be periodic; it jumps by {seam:.3g} at the seam and by at most {inside:.3g} elsewhere")
