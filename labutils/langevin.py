"""Langevin equations, their stationary currents, and the entropy that they produce.

Taught in the chapter "Probability currents and entropy production" (jaynes/irreversibility).
Units: entropy production in nats per unit of time; positions and times in the units of the drift.

Throughout, dz = b(z) dt + sqrt(2 D) dW with a constant D. States are arrays [..., n]; all axes but
the last are a batch. D is a number, a row [n] for a diagonal, or a matrix [n, n].
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

from labutils._inputs import positive, whole
from labutils.runtime import need

SCHEMES = ("euler", "heun", "exact")


# Paths -------------------------------------------------------------------------------------------


def simulate(drift, diffusion, z0, dt, steps, seed=None, scheme="euler", *, noise=None, every=None,
             rate=None, period=None):
    """Walkers that follow dz = b(z) dt + sqrt(2 D) dW for `steps` steps of dt.

    drift    b, a function of states [..., n]; or a matrix M [n, n] for b(z) = M z
    z0       [..., n] where the walkers start: NumPy or torch, and so is the result
    seed     whole number; or noise, normals [steps, ..., n] that are used instead, so that two
             step sizes or two libraries can share one Brownian path
    scheme   "euler"  z + b dt + dB, with dB = sqrt(2 D dt) times a normal
             "heun"   z + (b(z) + b(z + b dt + dB)) dt / 2 + dB
             "exact"  for a matrix: the exact law of one step, whatever dt
    every    keep the state after each `every` steps: [steps // every, ..., n]; None: the last only
    rate     the fastest rate of decay in the drift, to refuse a step that breaks the scheme; it is
             read off a matrix by itself
    period   [n] widths of a periodic box, math.inf for an open axis: states lie in [-w/2, w/2)

    Euler and Heun have strong order 1 for this additive noise (measured with common Brownian paths
    on a double well: 1.09 and 1.03); Heun's error is the smaller one. For a stable matrix both need
    |1 + x| < 1, or |1 + x + x²/2| < 1, at x = dt times each eigenvalue: a real rate r allows
    dt r < 2.

    Errors: ValueError for a bad diffusion, step, scheme or shape, a step above the stability limit,
    a state that is not finite (the step is named).
    Source: chapter jaynes/irreversibility, step 1.
    """
    xp, z = _states("z0", z0)
    n = z.shape[-1]
    dt = positive("dt", dt)
    steps, every = whole("steps", steps, 1), None if every is None else whole("every", every, 1)
    if every is not None and every > steps:
        raise ValueError(f"every must be at most steps = {steps}, or nothing is kept; got {every}")
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}; got {scheme!r}")
    D = _matrix(diffusion, n)
    b, eigenvalues = _drift(xp, drift, n, z)
    if scheme == "exact":
        if eigenvalues is None:
            raise ValueError("scheme 'exact' needs a drift that is a matrix; got a function")
        step, root = _exact_step(_numpy(drift), D, dt)
        step, root = (_like(xp, x, z) for x in (step, root))
    else:
        _stable(scheme, dt, eigenvalues, rate)
        root = _like(xp, math.sqrt(2 * dt) * _root(D), z)
    widths = None if period is None else _period(xp, period, z)
    draw = _normals(z, seed, noise, steps)
    kept = []
    for i in range(steps):
        dB = draw(i) @ root.T
        if scheme == "exact":
            z = z @ step.T + dB
        else:
            first = b(z)
            moved = z + first * dt + dB
            z = moved if scheme == "euler" else z + (first + b(moved)) * (dt / 2) + dB
        if widths is not None:
            z = z - widths[0] * xp.floor(z * widths[1] + 0.5)
        if (i & (i + 1) == 0 or i + 1 == steps) and not bool(xp.all(xp.isfinite(z))):
            raise ValueError(
                f"states must stay finite; a walker is not after step {i + 1} (dt = {dt:g}): the "
                "drift may be too steep for this step"
            )
        if every and (i + 1) % every == 0:
            kept.append(z)
    return xp.stack(kept) if every else z


def _exact_step(M, D, dt):
    """F = exp(M dt) and a root of the covariance of one step."""
    F, Q = _step_law(M, D, dt)
    if not (np.isfinite(F).all() and np.isfinite(Q).all()):
        raise ValueError(f"dt must be short enough for a drift that grows; exp(M dt) overflows at {dt:g}")
    return F, _root(Q)


def _step_law(M, D, dt):
    """F = exp(M dt) and the covariance Q of a step, by Van Loan's block exponential.

    The block holds exp(-M dt) too, which swamps Q when a step is long. So a step with |M| dt <= 1
    is doubled: Q for twice the time is F Q Fᵀ + Q. All terms are positive, and nothing cancels.
    """
    n = len(M)
    halvings = max(0, math.ceil(math.log2(max(np.linalg.norm(M, 2) * dt, 1.0))))
    block = np.zeros((2 * n, 2 * n))
    block[:n, :n], block[:n, n:], block[n:, n:] = -M, 2 * D, M.T
    big = need("scipy.linalg").expm(block * (dt / 2**halvings))
    F = big[n:, n:].T
    Q = F @ big[:n, n:]
    for _ in range(halvings):
        Q, F = F @ Q @ F.T + Q, F @ F
    return F, (Q + Q.T) / 2


def _stable(scheme, dt, eigenvalues, rate):
    x = -np.array([positive("rate", rate)]) * dt if eigenvalues is None and rate else None
    if eigenvalues is not None:
        x = eigenvalues[eigenvalues.real < 0] * dt  # a growing direction is no fault of the scheme
    if x is None or not len(x):
        return
    factor = np.abs(1 + x + (x**2 / 2 if scheme == "heun" else 0))
    if not factor.max() <= 1 + 1e-12:
        worst = x[factor.argmax()] / dt
        raise ValueError(
            f"dt must keep scheme {scheme!r} stable; got dt = {dt:g} with the rate"
            f" {_complex(worst)}, which grows by {factor.max():.3g} a step"
        )


def _normals(z, seed, noise, steps):
    """A function of the step that returns standard normals of the shape of z."""
    if (seed is None) == (noise is None):
        raise ValueError("give either seed or noise; got " + ("both" if noise is not None else "none"))
    if noise is not None:
        if tuple(noise.shape) != (steps, *z.shape):
            raise ValueError(
                f"noise must have shape {(steps, *tuple(z.shape))}; got {tuple(noise.shape)}"
            )
        return lambda i: noise[i]
    seed = int(whole("seed", seed, 0))
    if isinstance(z, np.ndarray):
        rng = np.random.default_rng(seed)
        kind = np.float32 if z.dtype == np.float32 else np.float64
        return lambda i: rng.standard_normal(z.shape, dtype=kind)
    torch = need("torch")
    generator = torch.Generator(device=z.device).manual_seed(seed)
    return lambda i: torch.randn(
        z.shape, generator=generator, dtype=z.dtype, device=z.device
    )


# Linear systems ----------------------------------------------------------------------------------


def lyapunov(M, diffusion):
    """Stationary covariance Σ of dz = M z dt + sqrt(2 D) dW: M Σ + Σ Mᵀ + 2 D = 0.

    M  [n, n], all eigenvalues with a negative real part
    Returns [n, n], symmetric. Solved as n² linear equations: meant for n up to some dozens.

    Errors: ValueError for an unstable drift (the eigenvalue is named), bad shapes, a bad diffusion.
    Source: chapter jaynes/irreversibility, step 3.
    """
    xp, M, D, _ = _linear(M, diffusion)
    n = M.shape[0]
    one = xp.eye(n, dtype=M.dtype, device=M.device)
    left = xp.reshape(
        M[:, None, :, None] * one[None, :, None, :] + one[:, None, :, None] * M[None, :, None, :],
        (n * n, n * n),
    )
    Sigma = xp.reshape(xp.linalg.solve(left, xp.reshape(-2 * D, (n * n, 1))), (n, n))
    return (Sigma + Sigma.T) / 2


@dataclass(frozen=True)
class Linear:
    """Entropy production of a linear system: made by `linear_entropy_production`."""

    total: Any
    per: Any
    """[n] what each coordinate contributes, E[v_i (D⁻¹ v)_i]; the sum is `total`."""
    covariance: Any
    """[n, n] Σ."""
    velocity: Any
    """[n, n] V, with the mean local velocity v(z) = V z (its irreversible part, with a parity)."""


def linear_entropy_production(M, diffusion, parity=None):
    """Entropy production rate of dz = M z dt + sqrt(2 D) dW: ė = tr[D⁻¹ V Σ Vᵀ], V = M + D Σ⁻¹.

    parity  [n] of +1 and -1: -1 where a coordinate changes sign when time runs backwards, as a
            momentum does. M in V is then replaced by its irreversible part (M + P M P) / 2 with
            P = diag(parity), and D must obey P D P = D. None: all even.
    A singular D is allowed if V has no part in the directions without noise; else ė is infinite.

    Errors: as in `lyapunov`; ValueError for a parity that is not ±1 or mixes with D, for a current
    in a direction without noise.
    Source: chapter jaynes/irreversibility, steps 3 and 4.
    """
    xp, M, D, parity = _linear(M, diffusion, parity)
    Sigma = lyapunov(M, D)
    if not float(np.linalg.eigvalsh(_numpy(Sigma)).min()) > 0:
        raise ValueError("the stationary covariance must be positive definite; noise reaches only"
                         f" {np.linalg.matrix_rank(_numpy(Sigma))} of {M.shape[0]} directions")
    irreversible = M if parity is None else (M + parity[:, None] * M * parity[None, :]) / 2
    V = irreversible + D @ xp.linalg.inv(Sigma)
    inverse = _inverse(xp, D, V)
    per = xp.sum((inverse @ V @ Sigma) * V, axis=1)
    return Linear(xp.sum(per), per, Sigma, V)


def watched_rate(M, diffusion, tau, parity=None):
    """What a film with one picture each `tau` shows of ė, for a linear system.

    (1/τ) D(p(z, z') ‖ p(P z', P z)): the divergence, for a pair of pictures, between the film and
    the film run backwards. Never above ė, which is its limit as τ → 0. Closed form: both
    directions are Gaussian chains, z' = F z + noise of covariance Q. Backwards the drift is
    P Σ Mᵀ Σ⁻¹ P. Rounding adds some 1e-16 n / τ, and more if Σ is badly conditioned.
    The constant D(ρ ‖ ρ ∘ P) that a film has once, not at each step, is left out.

    Errors: as in `linear_entropy_production`; ValueError for tau <= 0.
    Source: chapter jaynes/irreversibility, step 2.
    """
    tau = positive("tau", tau)
    xp, M, D, parity = _linear(M, diffusion, parity)
    Sigma, M = _numpy(lyapunov(M, D)), _numpy(M)
    n = len(M)
    P = np.eye(n) if parity is None else np.diag(_numpy(parity))
    F, Q = _step_law(M, _numpy(D), tau)
    back, Qb = _step_law(P @ Sigma @ M.T @ np.linalg.inv(Sigma) @ P, _numpy(D), tau)
    inverse, gap = np.linalg.inv(Qb), F - back
    parts = np.trace(inverse @ Q) - n + np.trace(inverse @ gap @ Sigma @ gap.T)
    return (parts + np.linalg.slogdet(Qb)[1] - np.linalg.slogdet(Q)[1]) / (2 * tau)


def trapped_swimmer(v0, gamma, A, eps):
    """A swimmer on a line in a harmonic trap, as (M, D) for the state z = (x, g).

    dx = (v0 g - A x) dt + sqrt(2 ε) dW,   dg = -γ g dt + sqrt(2 γ) dW,   so E[g²] = 1
    ė = v0² γ / (ε (γ + A)) with g even under time reversal, A v0² / (ε (γ + A)) with g odd.

    Errors: ValueError unless gamma, A > 0 and eps > 0 (at ε = 0 both rates diverge).
    Source: chapter jaynes/irreversibility, step 4; paper 003.
    """
    gamma, A = positive("gamma", gamma), positive("A", A)
    return np.array([[-A, float(v0)], [0.0, -gamma]]), np.diag([_temperature(eps), gamma])


# Entropy production from samples -----------------------------------------------------------------


@dataclass(frozen=True)
class Production:
    """Entropy production estimated from samples: made by `entropy_production`."""

    total: Any
    error: Any
    """Standard error of the total for independent samples."""
    per: Any
    """[n] by coordinate."""
    local: Any
    """[...] the value at each sample."""


def entropy_production(samples, drift, diffusion, *, score=None, divergence=None, scored=None):
    """Entropy production rate of dz = b dt + sqrt(2 D) dW from stationary samples, all even.

    With a score s = ∇ log ρ:    local  v D⁻¹ v  with v = b - D s
    Without, with ∇·b:           local  b D⁻¹ b + ∇·b, the mean heat that leaves from z, in nats
    Both have the mean ė; only the first is the local distance from equilibrium.

    samples     [..., n] drawn from the stationary density ρ
    drift       b, a function of states; or a matrix M for b(z) = M z
    score       s, a function of states; scored: its values instead, [..., n]
    divergence  without a score: the terms ∂b_i/∂z_i, a function of states that returns [..., n]

    Errors: ValueError for a singular diffusion, not exactly one of score, scored and
    divergence, shapes, a drift, score or divergence that is not finite.
    Source: chapter jaynes/irreversibility, steps 2 and 6; paper 003.
    """
    xp, z = _states("samples", samples)
    n = z.shape[-1]
    inverse = _like(xp, np.linalg.inv(_matrix(diffusion, n, invertible=True)), z)
    if sum(x is not None for x in (score, scored, divergence)) != 1:
        raise ValueError("give exactly one of score, scored and divergence")
    b = _known(xp, "drift", _drift(xp, drift, n, z)[0](z), z)
    if divergence is None:
        s = _known(xp, "score", score(z) if scored is None else scored, z)
        v = b - s @ _like(xp, _matrix(diffusion, n), z)
        terms = v * (v @ inverse)
    else:
        terms = b * (b @ inverse) + _known(xp, "divergence", divergence(z), z)
    flat = xp.reshape(terms, (-1, n))
    local = xp.sum(terms, axis=-1)
    count = flat.shape[0]
    error = xp.std(xp.reshape(local, (-1,))) / math.sqrt(max(count - 1, 1))
    return Production(xp.mean(local), error, xp.mean(flat, axis=0), local)


# Scores from a basis -----------------------------------------------------------------------------


@dataclass(frozen=True)
class BasisScore:
    """A score s = ∇ψ with ψ = θ·φ for a list of functions φ: made by `fit_score_basis`."""

    theta: Any
    basis: Any = field(repr=False)
    diffusion: Any = field(repr=False)
    gram: Any = field(repr=False)
    target: Any = field(repr=False)
    ridge: float = 0.0
    loss: float = 0.0
    """E[s D s + 2 ∇·(D s)] over the samples of the fit: what it made small."""

    def __call__(self, samples):
        """s at samples [..., n]."""
        return self.with_divergence(samples)[0]

    def with_divergence(self, samples):
        """s [..., n] and D : ∇s [...], the divergence of D s."""
        shape = samples.shape
        parts = [
            (np.einsum("kna,k->na", first, self.theta), self.theta @ (second @ self.diffusion))
            for first, second in map(self.basis, _chunks(samples.reshape(-1, shape[-1])))
        ]
        s, divergence = (np.concatenate(x) for x in zip(*parts))
        return s.reshape(shape), divergence.reshape(shape[:-1])

    def first(self, k):
        """The fit that uses the first k functions only, from the sums already made."""
        theta, loss = _solve(self.gram[:k, :k], self.target[:k], self.ridge)
        full = np.zeros(len(self.target))
        full[:k] = theta
        return BasisScore(full, self.basis, self.diffusion, self.gram, self.target, self.ridge, loss)


def fit_score_basis(basis, samples, diffusion, ridge=1e-6):
    """The gradient of a sum of basis functions nearest to the score, by one linear solve.

    Minimises E[s D s + 2 ∇·(D s)] over s = Σ_k θ_k ∇φ_k, which is E[(s - ∇ log ρ) D (s - ∇ log ρ)]
    up to a constant: θ = G⁻¹ r, G = E[∇φ D ∇φᵀ], r = -E[D : ∇∇φ].

    basis      function of samples [m, n] that returns ∇φ [K, m, n] and the second derivatives
               ∂²φ/∂z_a² [K, m, n], such as `fourier_hermite`
    samples    [..., n]
    diffusion  a number or a diagonal [n]
    ridge      times the mean diagonal of G, added to G

    Errors: ValueError for a diffusion that is not diagonal or positive, a ridge < 0, no samples.
    Source: chapter jaynes/irreversibility, step 6.
    """
    _, samples = _states("samples", samples)
    samples = samples.reshape(-1, samples.shape[-1])
    if not ridge >= 0:
        raise ValueError(f"ridge must be >= 0; got {ridge!r}")
    D = _matrix(diffusion, samples.shape[1], invertible=True)
    if np.count_nonzero(D - np.diag(np.diag(D))):
        raise ValueError("diffusion must be diagonal for a fit in a basis; got a full matrix")
    D = np.diag(D)
    gram = target = 0.0
    for part in _chunks(samples):
        first, second = basis(part)
        gram = gram + sum(D[a] * first[:, :, a] @ first[:, :, a].T for a in range(len(D)))
        target = target - (second @ D).sum(1)
    gram, target = gram / len(samples), target / len(samples)
    theta, loss = _solve(gram, target, ridge)
    return BasisScore(theta, basis, D, gram, target, ridge, loss)


def _solve(gram, target, ridge):
    damped = gram + ridge * np.trace(gram) / len(gram) * np.eye(len(gram))
    theta = np.linalg.solve(damped, target)
    return theta, float(theta @ gram @ theta - 2 * theta @ target)


def _chunks(samples, size=4096):
    return (samples[i : i + size] for i in range(0, len(samples), size))


def fourier_hermite(period, modes, degree, scale=1.0):
    """Basis on a ring times a line: 1, cos, sin of 2π m x / period, times Hermite polynomials of g.

    modes   m = 1, ..., modes;  degree  of He_0, ..., He_degree in g / scale (He_j / sqrt(j!))
    K = (2 modes + 1) (degree + 1) - 1 functions, without the constant. They are sorted by m: the
    first (2 m + 1) (degree + 1) - 1 form the basis with m modes.

    Errors: ValueError for a period or scale <= 0, modes or degree < 1.
    Source: chapter jaynes/irreversibility, step 6.
    """
    period, scale = positive("period", period), positive("scale", scale)
    modes, degree = whole("modes", modes, 1), whole("degree", degree, 1)
    w = 2 * np.pi / period * np.arange(1, modes + 1)

    def basis(samples):
        x, y = samples[:, 0], samples[:, 1] / scale
        zero, angle = np.zeros((1, len(x))), w[:, None] * x
        cos, sin, k = np.cos(angle), np.sin(angle), w[:, None]
        waves = [
            np.concatenate([top, np.stack([a, b], 1).reshape(-1, len(x))])
            for top, a, b in (
                (zero + 1, cos, sin), (zero, -k * sin, k * cos), (zero, -(k**2) * cos, -(k**2) * sin)
            )
        ]
        he = [np.ones_like(y), y]
        for j in range(2, degree + 1):
            he.append((y * he[-1] - math.sqrt(j - 1) * he[-2]) / math.sqrt(j))
        he = np.array(he)
        root = np.sqrt(np.arange(degree + 1))[:, None]
        d1, d2 = np.zeros_like(he), np.zeros_like(he)
        d1[1:] = root[1:] * he[:-1] / scale
        d2[2:] = root[2:] * root[1:-1] * he[:-2] / scale**2

        def times(a, b):
            return (a[:, None] * b).reshape(-1, len(x))[1:]

        first = np.stack([times(waves[1], he), times(waves[0], d1)], -1)
        return first, np.stack([times(waves[2], he), times(waves[0], d2)], -1)

    return basis


# A swimmer on a ring, and the truth on a grid ----------------------------------------------------


@dataclass(frozen=True)
class Ring:
    """The relative coordinate x of two swimmers on a ring, and its propulsion g.

    dx = (v0 g + f(x)) dt + sqrt(2 ε) dW,  dg = -γ g dt + sqrt(2 γ) dW
    f(x) = (k / β) log(1 + exp(β (2 - |x|))) sign(x): they push each other apart below distance 2.
    The same equation describes one swimmer and a fixed post. Defaults: the values of the code of
    paper 003, whose relative coordinate has the noise and the force of one swimmer.

    Errors: ValueError for a rate, length or temperature that is not > 0, a propulsion that is not finite.
    Source: chapter jaynes/irreversibility, step 5; paper 003.
    """

    v0: float = 0.25
    k: float = 2.5
    beta: float = 7.5
    gamma: float = 0.1
    eps: float = 0.1
    length: float = 16.0

    def __post_init__(self):
        for name in ("beta", "gamma", "length"):
            positive(name, getattr(self, name))
        _temperature(self.eps)
        if not self.k >= 0 or not math.isfinite(self.v0):
            raise ValueError(f"k must be >= 0 and v0 finite; got k = {self.k!r}, v0 = {self.v0!r}")

    @property
    def diffusion(self):
        """[2] the diagonal (ε, γ)."""
        return np.array([self.eps, self.gamma])

    def drift(self, z):
        """b [..., 2] at z = (x, g), x in [-length/2, length/2)."""
        x, g = z[..., 0], z[..., 1]
        push = self.k / self.beta * np.logaddexp(0, self.beta * (2 - np.abs(x))) * np.sign(x)
        return np.stack([self.v0 * g + push, -self.gamma * g], -1)

    def divergence(self, z):
        """∂b_i/∂z_i [..., 2]. At x = 0 the drift jumps; no walker of a stiff force is ever there."""
        soft = 0.5 * (1 + np.tanh(self.beta * (2 - np.abs(z[..., 0])) / 2))
        return np.stack([-self.k * soft, np.full(soft.shape, -self.gamma)], -1)

    def samples(self, walkers, seed, dt=0.02, burn=60.0, rounds=1, gap=5.0, scheme="heun"):
        """[rounds * walkers, 2] states after `burn` time units and each `gap` more.

        Walkers start spread over the free part of the ring with normal g.

        Errors: ValueError for a ring with no free part (length <= 4); those of `simulate`.
        """
        if not self.length > 4:
            raise ValueError(f"length must be above 4, or the push leaves no free part; got {self.length!r}")
        rng = np.random.default_rng(seed)
        x = rng.uniform(2, self.length - 2, walkers)
        start = np.stack([x - self.length * (x >= self.length / 2), rng.standard_normal(walkers)], -1)
        box, found = (self.length, math.inf), []
        for i in range(rounds):
            span = burn if i == 0 else gap
            start = simulate(self.drift, self.diffusion, start, dt, round(span / dt),
                             seed=seed + 1 + i, scheme=scheme, rate=self.k + self.gamma, period=box)
            found.append(start)
        return np.concatenate(found)

    def truth(self, nx=160, ng=81, reach=5.0):
        """`fokker_planck` on nx by ng cells, g within ± reach."""
        half = self.length / 2
        edges = (np.linspace(-half, half, nx + 1), np.linspace(-reach, reach, ng + 1))
        return fokker_planck(self.drift, self.diffusion, edges, periodic=(True, False))


@dataclass(frozen=True)
class Grid:
    """A stationary density on a grid with its currents: made by `fokker_planck`."""

    centres: tuple
    """(x [nx], y [ny])."""
    density: Any
    """[nx, ny] ρ, with Σ ρ dx dy = 1."""
    velocity: Any
    """[nx, ny, 2] v = j / ρ, means over the two faces of a cell."""
    local: Any
    """[nx, ny] ρ times the local rate: entropy production per unit area; it sums to `total`."""
    per: Any
    """[2] by coordinate."""
    total: float


def fokker_planck(drift, diffusion, edges, periodic=(False, False)):
    """Stationary Fokker-Planck equation in two dimensions, on a grid of cells.

    Walkers jump between neighbouring cells at the rates a = (D/h²) B(-b h/D) forwards and
    (D/h²) B(b h/D) backwards, with B(u) = u / (e^u - 1) and b at the face between them: probability
    is conserved, the density is positive, and forwards / backwards = exp(b h / D) exactly.
    Entropy production is that of the jumps: Σ_faces (p a - p' a') log(p a / (p' a')).

    drift      b, a function of states [..., 2]
    diffusion  a number or a diagonal [2], > 0
    edges      (x [nx + 1], y [ny + 1]): evenly spaced edges of the cells
    periodic   by axis; a wall with no flux otherwise
    The error falls with h² (measured: orders 2.0 to 2.1 on a linear system).

    Errors: ValueError for a singular or full diffusion, edges that are not evenly spaced, a drift
    that is not finite, cells too wide for the drift, a density that underflows.
    Source: chapter jaynes/irreversibility, step 5.
    """
    sparse, solver = need("scipy.sparse"), need("scipy.sparse.linalg")
    D = _matrix(diffusion, 2, invertible=True)
    if D[0, 1] or D[1, 0]:
        raise ValueError("diffusion must be diagonal on a grid; got a full matrix")
    widths = [_even(f"edges[{a}]", edges[a]) for a in range(2)]
    centres = tuple((e[1:] + e[:-1]) / 2 for e in map(np.asarray, edges))
    shape = tuple(len(c) for c in centres)
    cells = np.arange(shape[0] * shape[1]).reshape(shape)
    faces = []
    for a in range(2):
        last = shape[a] if periodic[a] else shape[a] - 1
        low = np.take(cells, range(last), a)
        high = np.take(np.roll(cells, -1, a), range(last), a)
        at = [centres[0], centres[1]]
        at[a] = np.asarray(edges[a])[1 : last + 1]
        b = drift(np.stack(np.meshgrid(*at, indexing="ij"), -1))[..., a]
        u = b * widths[a] / D[a, a]
        if not np.abs(u).max() < 700:  # false for NaN, too
            raise ValueError(
                "drift must be finite, and |b| h / D below 700 at every face, or jumps against the"
                f" drift underflow; got {np.abs(u).max():.4g} along axis {a}: refine or shorten the grid"
            )
        scale = D[a, a] / widths[a] ** 2
        faces.append((low.ravel(), high.ravel(), scale * _bernoulli(-u).ravel(), scale * _bernoulli(u).ravel()))
    low, high, up, down = (np.concatenate(x) for x in zip(*faces))
    entries = np.concatenate([up, -up, down, -down])
    rows, columns = np.concatenate([high, low, low, high]), np.concatenate([low, low, high, high])
    W = sparse.csc_matrix((entries, (rows, columns)), shape=(cells.size, cells.size))
    p = np.ones(cells.size)
    pinned = int(_stillest(drift, centres, cells))
    rest = np.arange(cells.size) != pinned
    p[rest] = solver.spsolve(W[rest][:, rest], -W[rest][:, [pinned]].toarray().ravel())
    p /= p.sum()
    if not (np.isfinite(p).all() and p.min() > 0):
        raise ValueError(
            "density must be positive in every cell; it underflows in"
            f" {int(np.sum(~(p > 0)))} of {p.size}: the drift is too steep for this diffusion and grid"
        )
    area = widths[0] * widths[1]
    per, velocity, local = [], [], np.zeros(cells.size)
    for a, (i, j, forward, backward) in enumerate(faces):
        ahead, behind = p[i] * forward, p[j] * backward
        rate = (ahead - behind) * np.log(ahead / behind)
        per.append(rate.sum())
        flux, count = np.zeros(cells.size), np.zeros(cells.size)
        for at in (i, j):
            np.add.at(local, at, rate / 2)
            np.add.at(flux, at, ahead - behind)
            np.add.at(count, at, 1)
        velocity.append(widths[a] * flux / count / p)
    velocity = np.stack(velocity, -1).reshape(*shape, 2)
    return Grid(centres, p.reshape(shape) / area, velocity, local.reshape(shape) / area,
                np.array(per), float(sum(per)))


def _bernoulli(u):
    small = np.abs(u) < 1e-6
    return np.where(small, 1 - u / 2, np.where(small, 1, u) / np.expm1(np.where(small, 1, u)))


def _stillest(drift, centres, cells):
    """A cell where the drift is weak and the grid does not end: its density is not tiny."""
    states = np.stack(np.meshgrid(*centres, indexing="ij"), -1)
    return cells.ravel()[np.argmin((drift(states) ** 2).sum(-1))]


def _even(name, edges):
    edges = np.asarray(edges, dtype=float)
    if edges.ndim != 1 or len(edges) < 4:
        raise ValueError(f"{name} must have at least 4 numbers; got shape {edges.shape}")
    steps = np.diff(edges)
    if not (steps.min() > 0 and np.ptp(steps) <= 1e-9 * steps.max()):
        raise ValueError(f"{name} must rise evenly; got steps from {steps.min():g} to {steps.max():g}")
    return float(steps.mean())


# What is accepted --------------------------------------------------------------------------------


def _states(name, z):
    if not is_array_api_obj(z):
        z = np.asarray(z, dtype=float)
    xp = array_namespace(z)
    if z.ndim == 0 or 0 in tuple(z.shape):
        raise ValueError(f"{name} must have shape [..., n] and not be empty; got {tuple(z.shape)}")
    if not xp.isdtype(z.dtype, "real floating"):
        z = xp.astype(z, xp.float64)
    if not bool(xp.all(xp.isfinite(z))):
        raise ValueError(f"{name} must be finite everywhere; got inf or NaN")
    return xp, z


def _known(xp, name, values, z):
    """Values in the library of z, of its shape, all finite."""
    values = _shaped(name, values if is_array_api_obj(values) else _like(xp, values, z), z)
    if not bool(xp.all(xp.isfinite(values))):
        raise ValueError(f"{name} must be finite at every sample; got inf or NaN")
    return values


def _shaped(name, values, z):
    if tuple(values.shape) != tuple(z.shape):
        raise ValueError(
            f"{name} must return the shape {tuple(z.shape)} of the states; got {tuple(values.shape)}"
        )
    return values


def _numpy(x):
    return np.asarray(x.detach().cpu() if hasattr(x, "detach") else x, dtype=float)


def _like(xp, x, z):
    return xp.asarray(x, dtype=z.dtype, device=z.device)


def _matrix(diffusion, n, invertible=False):
    """D as a NumPy matrix [n, n], symmetric and without a negative eigenvalue."""
    D = _numpy(diffusion)
    if D.ndim == 0:
        D = D * np.eye(n)
    elif D.ndim == 1 and len(D) == n:
        D = np.diag(D)
    if D.shape != (n, n):
        raise ValueError(
            f"diffusion must be a number or have shape [{n}] or [{n}, {n}]; got {D.shape}"
        )
    if not np.isfinite(D).all() or not np.allclose(D, D.T, rtol=1e-10, atol=0):
        raise ValueError("diffusion must be finite and symmetric; got a matrix that is not")
    low, top = np.linalg.eigvalsh(D)[[0, -1]]
    if low < -1e-12 * max(top, 0) or low < 0 and top <= 0:
        raise ValueError(f"diffusion must have no negative eigenvalue; got {low:g}")
    if invertible and not low > 1e-14 * top:
        raise ValueError(
            "diffusion must be invertible: where there is no noise a current produces entropy at an"
            f" infinite rate; got the eigenvalue {max(low, 0):g}"
        )
    return D


def _root(D):
    values, vectors = np.linalg.eigh(D)
    return vectors * np.sqrt(np.maximum(values, 0))


def _drift(xp, drift, n, z):
    """b as a function, and the eigenvalues if it is a matrix."""
    if callable(drift):
        return lambda state: _shaped("drift", drift(state), state), None
    M = _numpy(drift)
    if M.shape != (n, n):
        raise ValueError(f"drift must be a function or a matrix [{n}, {n}]; got shape {M.shape}")
    matrix = _like(xp, M, z)
    return lambda state: state @ matrix.T, np.linalg.eigvals(M)


def _linear(M, diffusion, parity=None):
    xp, M = _states("M", M)
    n = M.shape[-1]
    if M.ndim != 2 or M.shape[0] != n:
        raise ValueError(f"M must have shape [n, n]; got {tuple(M.shape)}")
    worst = max(np.linalg.eigvals(_numpy(M)), key=lambda value: value.real)
    if not worst.real < 0:
        raise ValueError(
            "drift must pull back in every direction, with eigenvalues of negative real part; got the"
            f" eigenvalue {_complex(worst)}"
        )
    D = _matrix(diffusion, n)
    if parity is not None:
        parity = _numpy(parity)
        if parity.shape != (n,) or not (np.abs(parity) == 1).all():
            raise ValueError(f"parity must be {n} numbers, each +1 or -1; got {parity.tolist()}")
        mixed = D * (parity[:, None] != parity[None, :])
        if np.count_nonzero(mixed):
            raise ValueError("diffusion must not mix even and odd coordinates; got a matrix that does")
        parity = _like(xp, parity, M)
    return xp, M, _like(xp, D, M), parity


def _inverse(xp, D, V):
    """D⁻¹ on the directions that have noise; an error if V leaves them."""
    exact = _numpy(D)
    values, vectors = np.linalg.eigh(exact)
    still = values <= 1e-14 * values.max()
    loose = vectors[:, still].T @ _numpy(V)
    if still.any() and np.abs(loose).max() > 1e-10 * max(np.abs(_numpy(V)).max(), 1e-300):
        raise ValueError(
            "diffusion must be positive wherever there is a current, or the rate is infinite; got a"
            f" current of size {np.abs(loose).max():.3g} in a direction without noise"
        )
    inverse = (vectors * np.where(still, 0, 1 / np.where(still, 1, values))) @ vectors.T
    return _like(xp, inverse, V)


def _period(xp, period, z):
    widths = np.asarray(period, dtype=float)
    if widths.shape != (z.shape[-1],) or not (widths > 0).all():
        raise ValueError(f"period must be {z.shape[-1]} widths > 0 (inf if open); got {period!r}")
    open_axis = np.isinf(widths)
    pair = np.where(open_axis, 0, widths), np.where(open_axis, 0, 1 / widths)
    return tuple(_like(xp, x, z) for x in pair)


def _temperature(eps):
    if not (isinstance(eps, (int, float, np.number)) and 0 < eps < math.inf):
        raise ValueError(
            f"eps must be > 0: at temperature zero the entropy production diverges as 1/eps; got {eps!r}"
        )
    return float(eps)


def _complex(value):
    return f"{value.real:.4g}" if abs(value.imag) < 1e-12 * max(abs(value), 1e-300) else f"{value:.4g}"
