"""Fields as a basis times coefficients, the coefficients chosen so that an equation holds at sample points; by parts too.

Taught in the chapter "Learning that respects conservation laws" (waves/conservation). Units: those of the field, x and t.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from labutils._inputs import finite, namespace, positive, whole

SORPTION, POWER, FLOOR = 2.157, -0.126, 0.05
"""Strength and power of the sorption of the benchmark (Takamoto and others, 2022), and where we smooth it near 0."""


class Solution(NamedTuple):
    """omega [..., N], residual [..., n] there, gradient [...] largest entry of Jᵀ F, steps taken."""

    omega: Any
    residual: Any
    gradient: Any
    steps: int


def solve(equation, omega, steps=60, damping=1e-2, tol=1e-12):
    """Coefficients that minimise |F(omega)|², by damped Gauss-Newton steps (Levenberg and Marquardt).

    A step d solves (JᵀJ + lambda diag) d = -Jᵀ F through a QR of J with sqrt(lambda diag) below it; lambda falls tenfold
    when the step helps and grows tenfold when it does not. Where a residual is left, |F|² cannot tell steps apart that
    change it by less than rounding: omega is then good to about the square root of the precision of the numbers.

    equation  omega -> (F [..., n], J [..., n, N]); leading axes are separate problems
    omega     [..., N] start, NumPy or torch

    Errors: ValueError for shapes that do not fit, a start that is not finite, or damping <= 0; RuntimeError when F is
    not finite at the start.
    Source: chapter waves/conservation; Marquardt (1963).
    """
    xp = namespace(omega=omega)
    finite(omega=omega)
    steps, damping, tol = whole("steps", steps, 1), positive("damping", damping), positive("tol", tol)
    F, J = equation(omega)
    N = omega.shape[-1]
    if tuple(J.shape) != (*F.shape, N) or tuple(F.shape[:-1]) != tuple(omega.shape[:-1]):
        raise ValueError(f"equation must return F [..., n] and J [..., n, N] with N = {N}; got shapes {tuple(F.shape)} and {tuple(J.shape)}")
    if not bool(xp.all(xp.isfinite(F))):
        raise RuntimeError("the equation is not finite at the start; choose another omega")
    level = xp.zeros_like(F[..., 0]) + damping
    for step in range(steps):
        size = xp.sum(J * J, axis=-2)                                        # (..., N)
        size = size + 1e-12 * xp.max(size, axis=-1, keepdims=True) + 1e-300
        fence = xp.sqrt(level[..., None] * size)[..., None] * xp.eye(N, dtype=omega.dtype)
        d = _back(xp, *xp.linalg.qr(xp.concat([J, fence], axis=-2)), xp.concat([-F, 0 * fence[..., 0]], axis=-1))
        new = omega + d
        F_new, J_new = equation(new)
        with np.errstate(invalid="ignore", over="ignore"):
            helps = xp.sum(F_new * F_new, axis=-1) <= xp.sum(F * F, axis=-1)        # NaN helps nobody
        small = bool(xp.all(~helps | (xp.max(xp.abs(d), axis=-1) <= tol * (1 + xp.max(xp.abs(omega), axis=-1)))))
        omega, F = xp.where(helps[..., None], new, omega), xp.where(helps[..., None], F_new, F)
        J = xp.where(helps[..., None, None], J_new, J)
        level = xp.where(helps, xp.where(level > 1e-14, level / 10, level), xp.where(level < 1e8, level * 10, level))
        if small and bool(xp.all(helps | (level >= 1e8))):
            break
    gradient = xp.max(xp.abs(xp.matmul(xp.matrix_transpose(J), F[..., None])[..., 0]), axis=-1)
    return Solution(omega, F, gradient, step + 1)


def least_squares(A, y):
    """x [..., N] that minimises |A x - y|², by QR; A [..., n, N] of full column rank, y [..., n].

    Errors: ValueError for fewer rows than columns, shapes that do not fit, or columns that depend on each other to rounding.
    """
    xp = namespace(A=A, y=y)
    if A.ndim < 2 or A.shape[-2] < A.shape[-1] or tuple(y.shape) != tuple(A.shape[:-1]):
        raise ValueError(f"A must be [..., n, N] with n >= N, and y [..., n]; got shapes {tuple(A.shape)} and {tuple(y.shape)}")
    Q, R = xp.linalg.qr(A)
    own = xp.abs(xp.linalg.diagonal(R))                                       # what a column adds to those before it
    sizes = xp.sqrt(xp.sum(A * A, axis=-2))
    if bool(xp.any(own <= A.shape[-2] * float(xp.finfo(A.dtype).eps) * sizes)):
        raise ValueError("columns of A must be independent; one is a combination of those before it, to rounding")
    return _back(xp, Q, R, y)


def _back(xp, Q, R, y):
    """x of R x = Qᵀ y."""
    return xp.linalg.solve(R, xp.matmul(xp.matrix_transpose(Q), y[..., None]))[..., 0]


def follow(omega, gradient, hessian, slack=1e-4):
    """The same coefficients, but they answer to whatever `gradient` was computed from: d omega = -H⁻¹ d g (torch).

    One Newton step from the minimum, omega - H⁻¹ g: its value is omega, since g = 0 there, and its derivative is that of
    the implicit function. g [..., N] carries the graph; H [..., N, N] = dg/domega and omega do not.

    Errors: ValueError when g is not close to 0: more than `slack` times |H| (1 + |omega|).
    Source: chapter waves/conservation; Chalapathi and others (2024).
    """
    from labutils.runtime import need

    torch = need("torch")
    H, omega = hessian.detach(), omega.detach()
    scale = H.abs().amax(dim=(-2, -1)) * (1 + omega.abs().amax(dim=-1))
    worst = float((gradient.detach().abs().amax(dim=-1) / scale).max())
    if worst > slack:
        raise ValueError(f"gradient must vanish at omega: solve to the minimum first; got {worst:.3g} of its scale, slack is {slack:g}")
    step = torch.linalg.solve(H, gradient[..., None])[..., 0]
    return omega - step + step.detach()


def flops(n, N, K=1, shared=True):
    """Multiplications and additions of K Householder factorisations, each of n/K rows: 4 sum_j (rows - j)(columns - j).

    shared  all parts use all N columns (as in the paper, where parts share a basis); else each has N/K of its own

    About 2 n N² - 2 N³/3 for K = 1. With shared columns the sum over parts hardly changes: what falls is the work of
    one part. With N/K columns it falls by K².

    Errors: ValueError for numbers that are not whole, or parts with fewer rows than columns.
    """
    n, N, K = whole("n", n, 1), whole("N", N, 1), whole("K", K, 1)
    rows, columns = n // K, N if shared else -(-N // K)
    if rows < columns:
        raise ValueError(f"each part must have at least as many rows as columns; got {rows} rows and {columns} columns for K = {K}")
    return K * sum(4 * (rows - j) * (columns - j) for j in range(columns))


# A rod: u'' = f on [0, 1], u = 0 at both ends, by parts ------------------------------------------------------------


class Parts(NamedTuple):
    """u [n] at places x [n], residual [n] of the equation there, jumps [K - 1] of u between parts, condition number [K]."""

    x: Any
    u: Any
    residual: Any
    jumps: Any
    condition: Any


def rod(f, K, N, n=240, joined=0.0, cut=1e-4):
    """Minimise u'' - f at n points over N sines sin(k pi x), with separate coefficients in each of K equal parts.

    The sines obey the conditions at both ends, as the basis of the paper does; between parts nothing is asked, unless
    joined > 0 adds rows of that weight for the value and the slope at each seam (then all parts are one system).
    Points are the middles of n equal cells. Least squares of the smallest coefficients (SVD; a direction of the
    basis that the points see less than `cut` of the one they see best is left out).

    Errors: ValueError for a part with fewer points than sines, K < 1, joined < 0, or a cut outside (0, 1).
    Source: chapter waves/conservation.
    """
    K, N, n = whole("K", K, 1), whole("N", N, 1), whole("n", n, 2)
    if n // K < N:
        raise ValueError(f"n / K must be at least N, or a part has more sines than points; got {n} / {K} and N = {N}")
    if not joined >= 0:
        raise ValueError(f"joined must be >= 0; got {joined!r}")
    if not 0 < cut < 1:
        raise ValueError(f"cut must lie strictly between 0 and 1; got {cut!r}")
    x, k = (np.arange(n) + 0.5) / n, math.pi * np.arange(1, N + 1)
    bend, value, slope = (lambda s: -(k**2) * np.sin(np.outer(s, k))), (lambda s: np.sin(np.outer(s, k))), (lambda s: k * np.cos(np.outer(s, k)))
    scale = 1 / k**2                                                     # so that all columns of u'' have one size
    owner = np.minimum((x * K).astype(int), K - 1)
    seams = np.arange(1, K) / K
    if joined == 0:
        fits = [np.linalg.lstsq(bend(x[owner == j]) * scale, f(x[owner == j]), rcond=cut) for j in range(K)]
        omega = np.stack([fit[0] for fit in fits]) * scale
        condition = np.array([fit[3][0] / max(fit[3][-1], 1e-300) for fit in fits])
    else:
        A = np.zeros((n + 2 * (K - 1), K * N))
        for j in range(K):
            A[:n][owner == j, j * N:(j + 1) * N] = bend(x[owner == j]) * scale
        for row, rule in enumerate((value, slope)):
            for i, s in enumerate(seams):
                at = n + row * (K - 1) + i
                A[at, i * N:(i + 1) * N], A[at, (i + 1) * N:(i + 2) * N] = (sign * joined * rule([s])[0] * scale for sign in (1, -1))
        best = np.linalg.lstsq(A, np.concatenate([f(x), np.zeros(2 * (K - 1))]), rcond=cut)
        omega, condition = best[0].reshape(K, N) * scale, np.full(K, best[3][0] / max(best[3][-1], 1e-300))
    u = np.einsum("ik,ik->i", value(x), omega[owner])
    residual = np.einsum("ik,ik->i", bend(x), omega[owner]) - f(x)
    jumps = np.einsum("ik,ik->i", value(seams), omega[1:] - omega[:-1])
    return Parts(x, u, residual, jumps, condition)


# Diffusion with sorption: R(u) u_t = u_xx ---------------------------------------------------------------------


def retardation(u):
    """R(u) = 1 + a (u² + floor²)^(p/2) with its first two derivatives: how much slower a sorbed field spreads.

    The power is negative, so R grows where there is little; the floor 0.05 keeps it smooth at 0 and below.
    """
    s = u * u + FLOOR**2
    core = SORPTION * s ** (POWER / 2)
    first = POWER * core * u / s
    return 1 + core, first, POWER * core / s * (1 + (POWER - 2) * u * u / s)


def initial(x, low, q):
    """Field at t = 0, u = low + (1 - low) (1 - x)^2q, and its second derivative: 1 at x = 0, no slope at x = 1."""
    rest = 1 - x
    return low + (1 - low) * rest ** (2 * q), (1 - low) * 2 * q * (2 * q - 1) * rest ** (2 * q - 2)


def sorption(low, q, times, cells=100, number=0.3):
    """Truth by finite volumes: u [P, len(times), cells] at the middles of cells, for P problems low [P], q [P].

    u = 1 at x = 0, nothing passes x = 1. Explicit in time, dt = number dx² min R; second order in dx.

    Errors: ValueError for times that do not increase from >= 0 or a number above 1/2.
    """
    low, q, times = (np.atleast_1d(np.asarray(v, dtype=float)) for v in (low, q, times))
    if not (np.all(np.diff(times) > 0) and times[0] >= 0):
        raise ValueError(f"times must be >= 0 and increase; got {times}")
    if not 0 < number <= 0.5:
        raise ValueError(f"number = dt / (dx² min R) must lie in (0, 0.5]; got {number!r}")
    dx = 1 / cells
    x = (np.arange(cells) + 0.5) * dx
    u, now, kept = initial(x, low[:, None], q[:, None])[0], 0.0, []
    longest = number * dx * dx * float(retardation(np.array(1.0))[0])
    for stop in times:
        steps = math.ceil((stop - now) / longest - 1e-12)
        dt = (stop - now) / steps if steps else 0.0
        for _ in range(steps):
            flow = np.concatenate([2 * (1 - u[:, :1]), u[:, :-1] - u[:, 1:], 0 * u[:, :1]], axis=1) / dx
            u = u + dt / dx * (flow[:, :-1] - flow[:, 1:]) / retardation(u)[0]
        now = stop
        kept.append(u)
    return np.stack(kept, axis=1)


def residual(omega, basis, start):
    """F = R(u) u_t - u_xx [..., n] with its Jacobian [..., n, N], for u = start + basis · omega.

    basis  (b, b_t, b_xx) each [..., n, N]; start  (g, g_xx) each [..., n], the field at t = 0
    """
    b, b_t, b_xx = basis
    g, g_xx = start
    u, u_t, u_xx = g + (b @ omega[..., None])[..., 0], (b_t @ omega[..., None])[..., 0], g_xx + (b_xx @ omega[..., None])[..., 0]
    R, R1, _ = retardation(u)
    return R * u_t - u_xx, (R1 * u_t)[..., None] * b + R[..., None] * b_t - b_xx


def hessian(omega, basis, start):
    """H = JᵀJ + Σ_i F_i d²F_i, the derivative [..., N, N] of g = Jᵀ F by omega; the second term is what Gauss-Newton drops."""
    b, b_t, _ = basis
    F, J = residual(omega, basis, start)
    u, u_t = start[0] + (b @ omega[..., None])[..., 0], (b_t @ omega[..., None])[..., 0]
    _, R1, R2 = retardation(u)
    turned = lambda m: m.swapaxes(-1, -2)
    cross = turned(b * (F * R1)[..., None]) @ b_t
    return turned(J) @ J + turned(b * (F * R2 * u_t)[..., None]) @ b + cross + turned(cross)
