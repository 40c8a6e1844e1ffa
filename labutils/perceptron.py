"""The binary perceptron as a Gibbs ensemble: version space, replica-symmetric entropies, capacity.

Taught in the chapter "Learning as statistical mechanics" (jaynes/learning-as-physics).
Weights are +1 or -1, inputs Gaussian. Entropies in nats a weight; alpha is examples over weights.
"""

import math
from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

from labutils.runtime import need

LARGEST = 24
"""Weights that an enumeration takes at most: 2^24 of them are 16 million."""

# Integrals over a normal z by the trapezoidal rule; those over t have their nodes crowded at 0,
# where Phi(gamma t) turns from 0 to 1 in a width 1 / gamma.
_Z = np.linspace(-12, 12, 1201)
_WZ = np.exp(-(_Z**2) / 2) / np.sqrt(2 * np.pi) * (_Z[1] - _Z[0])
_U = np.linspace(-1, 1, 1201) * math.asinh(12 / 0.02)
_T = 0.02 * np.sinh(_U)
_WT = np.exp(-(_T**2) / 2) / np.sqrt(2 * np.pi) * 0.02 * np.cosh(_U) * (_U[1] - _U[0])


class State(NamedTuple):
    """A replica-symmetric state: load alpha, overlap, entropy in nats a weight, conjugate field."""

    alpha: float
    overlap: float
    entropy: float
    field: float


# First moments: exact for every number of weights ------------------------------------------------


def generalization_error(R):
    """How often two perceptrons of overlap R disagree on an isotropic input: arccos(R) / pi.

    R  number or array in [-1, 1], an overlap w.w' / (|w| |w'|)

    Errors: ValueError for an overlap outside [-1, 1].
    Source: chapter jaynes/learning-as-physics, step 2.
    """
    xp, R = _overlap("R", R)
    return xp.acos(R) / math.pi


def annealed_entropy(R, alpha):
    """Log of the mean number of solutions at overlap R with the teacher, for a weight.

    s(R) = h_b((1 + R)/2) + alpha log(1 - arccos(R)/pi)

    R      number or array in [-1, 1]
    alpha  examples over weights, >= 0
    Exact to leading order: the mean count itself is binomial(N, N(1+R)/2) (1 - arccos(R)/pi)^P.

    Errors: ValueError for an overlap outside [-1, 1] or a negative load.
    Source: chapter jaynes/learning-as-physics, step 2.
    """
    alpha = _load("alpha", alpha)
    xp, R = _overlap("R", R)
    up, down = (1 + R) / 2, (1 - R) / 2
    entropy = -_xlogx(xp, up) - _xlogx(xp, down)
    agree = 1 - xp.acos(R) / math.pi
    if alpha == 0:
        return entropy
    safe = xp.where(agree > 0, agree, 1.0)
    return entropy + alpha * xp.where(agree > 0, xp.log(safe), -math.inf)


# Replica symmetry: averages over the examples, for many weights ---------------------------------


def teacher_student(field):
    """The state of the teacher-student perceptron whose weights feel the conjugate field.

    R = int Dz tanh^2(sqrt(f) z + f),  f = alpha G(R),  G(R) = 2/(1-R) int Dt phi^2/Phi (g t),
    s = -f (1 + R)/2 + int Dz log 2cosh(sqrt(f) z + f) + 2 alpha int Dt Phi log Phi (g t),
    g = sqrt(R / (1 - R)). The teacher is one of the solutions and like any other, so the overlap of
    two solutions is their overlap with the teacher. Every f > 0 gives the load at which it is a
    state, so nothing is iterated; one load may have several states, and R = 1 always is one.

    field  f > 0
    Returns State(alpha, overlap, entropy, field).

    Errors: ValueError for a field that is not > 0, or so large that 1 - R is below 1e-9.
    Source: chapter jaynes/learning-as-physics, step 3; Gyorgyi 1990.
    """
    f = _positive("field", field)
    site = np.sqrt(f) * _Z + f
    R = float(_WZ @ np.tanh(site) ** 2)
    _resolved(f, R)
    alpha = f / _information(R, R)
    entropy = -f * (1 + R) / 2 + float(_WZ @ _log_2cosh(site)) + alpha * _log_agreement(R, R)
    return State(alpha, R, entropy, f)


def potential_terms(R):
    """The two halves of the potential whose highest point over R is the entropy: (A, B), s = max (A + alpha B).

    A(R) = min over f of -f (1 + R)/2 + int Dz log 2cosh(sqrt(f) z + f): weights that overlap so
    B(R) = 2 int Dt Phi log Phi (g t), g = sqrt(R / (1 - R)): what an example takes from their log number
    Both are 0 at R = 1, the teacher alone.

    R  [n] numbers in [1e-10, 1]; within 1e-9 of 1 both halves are taken as 0
    Returns two arrays [n].

    Errors: ValueError for an overlap out of that range.
    Source: chapter jaynes/learning-as-physics, step 3; Barbier et al. 2019.
    """
    R = np.atleast_1d(np.asarray(R, dtype=float))
    ok = (R >= 1e-10) & (R <= 1)
    if not ok.all():
        raise ValueError(f"R must lie in [1e-10, 1]; got {float(R[~ok][0])!r}")
    A, B = np.zeros(R.shape), np.zeros(R.shape)
    for i in np.flatnonzero(R < 1 - 1e-9):
        f = _root(lambda f, r=R[i]: float(_WZ @ np.tanh(np.sqrt(f) * _Z + f) ** 2) - r, 1e-14, 100)
        A[i] = -f * (1 + R[i]) / 2 + _WZ @ _log_2cosh(np.sqrt(f) * _Z + f)
        B[i] = _log_agreement(R[i], R[i])
    return A, B


def state_at(alpha):
    """The teacher-student state with R < 1 that continues from alpha = 0, for a load below the spinodal.

    Errors: ValueError for a load below 1e-8, or at which there is no such state.
    """
    alpha = _positive("alpha", alpha)
    if alpha < 1e-8:
        raise ValueError(f"alpha must be at least 1e-8; got {alpha!r}")
    last = spinodal()
    if not alpha < last.alpha:
        raise ValueError(f"alpha must be below {last.alpha:.4f}, where the state ends; got {alpha!r}")
    return teacher_student(_root(lambda f: teacher_student(f).alpha - alpha, 1e-10, last.field, xtol=1e-13))


def transition():
    """The load at which the solutions apart from the teacher run out: their entropy is 0.

    Returns the State there; beyond it the teacher is the only solution.
    """
    return teacher_student(_root(lambda f: teacher_student(f).entropy, 0.3, 3.5, xtol=1e-12))


def spinodal():
    """The largest load at which a state with R < 1 exists at all. Returns the State there."""
    top = need("scipy.optimize").minimize_scalar(lambda f: -teacher_student(f).alpha, bounds=(0.5, 8), method="bounded",
                          options={"xatol": 1e-9})
    return teacher_student(top.x)


def storage(field):
    """The state of a perceptron that stores random labels: as `teacher_student`, with no teacher.

    q = int Dz tanh^2(sqrt(f) z),  f = alpha/(1-q) int Dt (phi/Phi)^2 (g t),
    s = -f (1 - q)/2 + int Dz log 2cosh(sqrt(f) z) + alpha int Dt log Phi (g t).

    Errors: ValueError for a field that is not > 0, or so large that 1 - q is below 1e-9.
    Source: chapter jaynes/learning-as-physics, step 5; Krauth and Mezard 1989.
    """
    f = _positive("field", field)
    site = np.sqrt(f) * _Z
    q = float(_WZ @ np.tanh(site) ** 2)
    _resolved(f, q)
    alpha = f / _information(q, 0.0)
    entropy = -f * (1 - q) / 2 + float(_WZ @ _log_2cosh(site)) + alpha * _log_agreement(q, 0.0)
    return State(alpha, q, entropy, f)


def storage_capacity():
    """The load at which random labels leave no solution: the entropy is 0. Returns the State."""
    return storage(_root(lambda f: storage(f).entropy, 0.5, 20, xtol=1e-12))


def franz_parisi(R, alpha):
    """Typical entropy of the solutions at overlap R with a typical one, replica-symmetric.

    s(R) = extr -f (1 - q)/2 - r R + int Dz log 2cosh(sqrt(f) z + r)
                + 2 alpha int Dt Phi(R t/sqrt(q - R^2)) log Phi(sqrt(q/(1-q)) t)
    where r holds the overlap with the reference at R and f that of two solutions at q.

    R      overlap with the reference, in (-1, 1)
    alpha  load > 0
    Returns (s, q).

    Errors: ValueError for an overlap or a load out of range, and where no state with q below 1 is found:
    at overlaps near 1 beyond the transition, and at negative ones unless the load is small.
    Source: chapter jaynes/learning-as-physics, step 4; Franz and Parisi 1995.
    """
    alpha = _positive("alpha", alpha)
    R = float(R)
    if not -1 < R < 1:
        raise ValueError(f"R must lie between -1 and 1, both left out; got {R!r}")

    def at(f):
        r = _holding(R, f)
        return r, float(_WZ @ np.tanh(np.sqrt(f) * _Z + r) ** 2)

    def excess(f):
        q = at(f)[1]
        return f - alpha * _information(q, R)

    low, top = 0.0, 0.01
    while excess(top) < 0:                                 # the first crossing is the physical one
        low, top = top, 1.3 * top
        if top > 400:
            raise ValueError(f"R and alpha must leave solutions that differ; got R={R!r}, alpha={alpha!r}")
    f = _root(excess, low, top, xtol=1e-10)
    r, q = at(f)
    site = np.sqrt(f) * _Z + r
    entropy = -f * (1 - q) / 2 - r * R + float(_WZ @ _log_2cosh(site))
    return entropy + alpha * _log_agreement(q, R), q


def _holding(R, f):
    """The field r with int Dz tanh(sqrt(f) z + r) = R; the left side rises with r."""
    reach = math.atanh(abs(R)) + 8 * math.sqrt(f) + 1
    mean = lambda r: float(_WZ @ np.tanh(np.sqrt(f) * _Z + r)) - R
    return _root(mean, -reach, reach, xtol=1e-13)


def _log_agreement(q, R):
    """2 int Dt Phi(R t / sqrt(q - R^2)) log Phi(sqrt(q / (1 - q)) t): what an example costs."""
    gamma = math.sqrt(q / (1 - q))
    return float(2 * _WT @ (_teacher(q, R) * _log_phi(gamma * _T)))


def _information(q, R):
    """2/(1-q) int Dt Phi(R t / sqrt(q - R^2)) (phi/Phi)^2 (gamma t): field that an example adds."""
    x = math.sqrt(q / (1 - q)) * _T
    ratio = np.exp(-(x**2) / 2 - _log_phi(x)) / math.sqrt(2 * math.pi)
    return float(2 / (1 - q) * _WT @ (_teacher(q, R) * ratio**2))


def _teacher(q, R):
    gap = q - R * R
    return need("scipy.special").ndtr(R * _T / math.sqrt(gap)) if gap > 0 else np.where(R * _T > 0, 1.0, 0.0)


def _log_phi(x):
    return need("scipy.special").log_ndtr(x)


def _root(f, low, high, xtol=1e-12):
    return need("scipy.optimize").brentq(f, low, high, xtol=xtol)


def _log_2cosh(x):
    return np.logaddexp(x, -x)


# Enumeration: every weight vector, for few weights ----------------------------------------------


def version_space(inputs, labels):
    """All weight vectors in {-1, +1}^N that give every example its label: y (w.x) > 0.

    inputs  [P, N] numbers, N <= 24
    labels  [P] of -1 and +1
    Returns the codes of the solutions, whole numbers in [0, 2^N): bit i is 1 where w_i = -1, so
    that code 0 is the vector of ones.

    Errors: ValueError for shapes that do not match, labels other than -1 and 1, N > 24.
    Source: chapter jaynes/learning-as-physics, step 1.
    """
    inputs, labels = np.asarray(inputs, dtype=float), np.asarray(labels, dtype=float)
    if inputs.ndim != 2 or not np.isfinite(inputs).all():
        raise ValueError(f"inputs must be finite numbers [P, N]; got shape {inputs.shape}")
    if labels.shape != inputs.shape[:1]:
        raise ValueError(f"labels must have the shape {inputs.shape[:1]} of the examples; got {labels.shape}")
    if not np.isin(labels, (-1.0, 1.0)).all():
        raise ValueError(f"labels must be -1 or 1; got {float(labels[~np.isin(labels, (-1.0, 1.0))][0])!r}")
    N = inputs.shape[1]
    if not 1 <= N <= LARGEST:
        raise ValueError(f"inputs must have 1 to {LARGEST} columns to be enumerated; got {N}")
    codes = np.arange(2**N, dtype=np.int64)
    half = N // 2
    low = weights(np.arange(2**half), half)
    high = weights(np.arange(2 ** (N - half)), N - half)
    for x, y in zip(inputs, labels, strict=True):
        below, above = low @ x[:half], high @ x[half:]
        codes = codes[y * (below[codes & (2**half - 1)] + above[codes >> half]) > 0]
    return codes


def weights(codes, N):
    """The weight vectors [..., N] of codes [...]: w_i = -1 where bit i is 1."""
    return 1.0 - 2.0 * ((np.asarray(codes)[..., None] >> np.arange(N)) & 1)


def shell_counts(codes, N, reference=0):
    """How many of the coded vectors lie at Hamming distance 0, ..., N from the reference: [N + 1].

    Distance d is overlap R = 1 - 2 d / N.

    Errors: ValueError for codes or a reference that are not whole numbers in [0, 2^N).
    """
    codes = np.asarray(codes)
    codes = codes.astype(np.int64) if codes.size == 0 else codes
    for name, values in (("codes", codes), ("reference", np.asarray(reference))):
        if values.dtype.kind not in "iu" or (values < 0).any() or (values >= 2**N).any():
            raise ValueError(f"{name} must be whole numbers in [0, {2**N}); got {values.tolist()!r}")
    return np.bincount(np.bitwise_count(codes ^ reference), minlength=N + 1)


# Inputs ----------------------------------------------------------------------------------------


def _overlap(name, R):
    R = R if is_array_api_obj(R) else np.asarray(R, dtype=float)
    xp = array_namespace(R)
    ok = abs(R) <= 1
    if not bool(xp.all(ok)):
        raise ValueError(f"{name} must lie in [-1, 1]; got {float(xp.reshape(R[~ok], (-1,))[0])!r}")
    return xp, R


def _load(name, value):
    if not (isinstance(value, (int, float, np.number)) and 0 <= value < math.inf):
        raise ValueError(f"{name} must be a finite number >= 0; got {value!r}")
    return float(value)


def _positive(name, value):
    if not (isinstance(value, (int, float, np.number)) and 0 < value < math.inf):
        raise ValueError(f"{name} must be a finite number > 0; got {value!r}")
    return float(value)


def _resolved(f, q):
    if not 1 - q > 1e-9:
        raise ValueError(f"field must leave 1 - overlap above 1e-9; got {f!r}")


def _xlogx(xp, x):
    return xp.where(x > 0, x * xp.log(xp.where(x > 0, x, 1.0)), 0.0)
