"""A softmax policy over actions, and how its entropy answers a change of the logits.

Chapter "Why entropy falls" (policy/why-entropy-falls). Entropies and their changes in nats.
The last axis holds the actions, all others are a batch; NumPy or torch, gradients kept.
Δz is a direction of the logits, η Δz a step along it; formulas without η have η = 1.
"""

import array_api_compat as compat

from labutils._inputs import broadcast, chosen, finite, logits_namespace, number


def log_softmax(logits):
    """log π_k = z_k - log Σ_j exp z_j, safe for logits of any finite size.

    logits  [..., V], finite; leave out an action that must not be taken instead of giving it -inf
    Errors: TypeError for other than floating arrays; ValueError for NaN, infinity, no last axis.
    """
    return _log_softmax(logits_namespace(logits), logits)


def softmax(logits):
    """π_k = exp z_k / Σ_j exp z_j, shape [..., V].

    Errors: as `log_softmax`.
    """
    xp = logits_namespace(logits)
    return xp.exp(_log_softmax(xp, logits))


def entropy(logits):
    """Shannon entropy H(π) = -Σ_k π_k log π_k of the softmax policy, in nats, shape [...].

    The log-probabilities of any distribution are logits of it, so they are welcome here too.
    Errors: as `log_softmax`.
    """
    xp = logits_namespace(logits)
    return _entropy(xp, _log_softmax(xp, logits))


def covariance(logits, x, y):
    """Cov_π(x, y) = E_π[(x - E_π x)(y - E_π y)] over the actions of the policy, shape [...].

    x, y  [..., V], broadcast with logits; adding a constant to either changes nothing
    Errors: as `log_softmax`, and ValueError for shapes that do not fit.
    """
    xp = logits_namespace(logits, x=x, y=y)
    pi = xp.exp(_log_softmax(xp, logits))
    return xp.sum(pi * _centred(xp, pi, x) * _centred(xp, pi, y), axis=-1)


def entropy_change(logits, delta, order=1):
    """How the entropy answers when the logits z become z + Δz, in nats, shape [...].

    order 1:  dH = -Cov_π(log π, Δz), exact in the limit of a small step
    order 2:  adds the curvature, -½ [Var_π(Δz) + E_π[(log π + H)(Δz - E_π Δz)²]]

    logits, delta  [..., V]; what is left out is of the order of Δz² (Δz³ with order=2)
    Errors: as `covariance`; ValueError when order is neither 1 nor 2.
    Source: chapter "Why entropy falls", steps 2 and 3; paper 001 (order 1).
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2; got {order!r}")
    xp = logits_namespace(logits, delta=delta)
    log_pi = _log_softmax(xp, logits)
    pi = xp.exp(log_pi)
    surprise = log_pi + _entropy(xp, log_pi)[..., None]      # log π - E_π log π
    update = _centred(xp, pi, delta)
    change = -xp.sum(pi * surprise * update, axis=-1)
    if order == 2:
        change = change - xp.sum(pi * (1 + surprise) * update**2, axis=-1) / 2
    return change


def token_covariance(logits, delta):
    """What each action adds to Cov_π(log π, Δz): S_k (Δz_k - E_π Δz), shape [..., V].

    The sum over the actions is the covariance, so minus the sum is dH; a positive entry lowers
    the entropy. S_k is `discriminator`.
    Errors: as `covariance`.
    """
    xp = logits_namespace(logits, delta=delta)
    log_pi = _log_softmax(xp, logits)
    pi = xp.exp(log_pi)
    return pi * (log_pi + _entropy(xp, log_pi)[..., None]) * _centred(xp, pi, delta)


def discriminator(logits):
    """S_k = π_k (log π_k + H) = -∂H/∂z_k, in nats, shape [..., V]; the entries sum to 0.

    Positive for the actions with π_k > exp(-H), negative for the rarer ones.
    Errors: as `log_softmax`.    Source: step 1 of the chapter; paper 094, where it is S_*.
    """
    xp = logits_namespace(logits)
    log_pi = _log_softmax(xp, logits)
    return xp.exp(log_pi) * (log_pi + _entropy(xp, log_pi)[..., None])


def sampled_token_change(logits, token, step):
    """First-order dH when one sampled token k moves its own logits by α (e_k - π): -α (S_k - E_π S).

    logits  [..., V];  token  whole numbers [...], the k;  step  number or array, the α = η·ρ·A
    Returns nats, shape [...] (broadcast with step).
    Errors: as `log_softmax`; TypeError or ValueError for tokens that are no actions.
    Source: step 5 of the chapter; paper 094.
    """
    xp = logits_namespace(logits)
    log_pi = _log_softmax(xp, logits)
    pi = xp.exp(log_pi)
    score = pi * (log_pi + _entropy(xp, log_pi)[..., None])
    own = xp.take_along_axis(score, chosen(xp, logits, token), axis=-1)[..., 0]
    step = _factor(xp, "step", step, own)
    return -step * (own - xp.sum(pi * score, axis=-1))


def policy_gradient(logits, advantage):
    """∇_z E_π[Q] = π ⊙ A with A = Q - E_π Q: the logit change of vanilla policy gradient, [..., V].

    advantage  [..., V]: Q or A; the part that is equal for all actions drops out
    Errors: as `covariance`.    Source: step 4 of the chapter; Williams 1992, Sutton et al. 1999.
    """
    xp = logits_namespace(logits, advantage=advantage)
    pi = xp.exp(_log_softmax(xp, logits))
    return pi * _centred(xp, pi, advantage)


def natural_gradient(logits, advantage):
    """A = Q - E_π Q: the logit change of natural policy gradient, [..., V].

    It solves F Δz = π ⊙ A with the Fisher matrix F = diag(π) - π πᵀ. A constant may be added to
    all logits at no effect; here it is chosen such that E_π Δz = 0.
    Errors: as `covariance`.    Source: step 4 of the chapter; Kakade 2001.
    """
    xp = logits_namespace(logits, advantage=advantage)
    return _centred(xp, xp.exp(_log_softmax(xp, logits)), advantage)


def renyi_entropy(logits, order=2.0):
    """Rényi entropy H_α(π) = log(Σ_k π_k^α) / (1 - α), in nats, shape [...]; order 1 is Shannon's.

    order  α > 0. exp(-H_2) is the chance that two independent samples agree.
    Errors: as `log_softmax`; ValueError when order is not positive and finite.
    """
    order = _renyi_order(order)
    xp = logits_namespace(logits)
    log_pi = _log_softmax(xp, logits)
    if order == 1:
        return _entropy(xp, log_pi)
    return _log_sum_exp(xp, order * log_pi)[..., 0] / (1 - order)


def renyi_entropy_change(logits, delta, order=2.0):
    """dH_α = α/(1-α) · (E_{π_α} Δz - E_π Δz) with π_α ∝ π^α, in nats, shape [...].

    π_α is the policy at temperature 1/α. As α tends to 1 this becomes -Cov_π(log π, Δz).
    Errors: as `covariance`; ValueError when order is not positive and finite.
    """
    order = _renyi_order(order)
    if order == 1:
        return entropy_change(logits, delta)
    xp = logits_namespace(logits, delta=delta)
    log_pi = _log_softmax(xp, logits)
    sharpened = xp.exp(_log_softmax(xp, order * log_pi))
    shift = xp.sum((sharpened - xp.exp(log_pi)) * delta, axis=-1)
    return order / (1 - order) * shift


def score_norm(logits):
    """E_{k~π} ‖∇_z log π_k‖² = 1 - Σ_k π_k² = 1 - exp(-H_2), shape [...]; the trace of Fisher's F.

    Also the chance that two samples differ.
    Errors: as `log_softmax`.
    """
    xp = logits_namespace(logits)
    pi = xp.exp(_log_softmax(xp, logits))
    return xp.sum(pi * (1 - pi), axis=-1)


def _log_softmax(xp, logits):
    shifted = logits - xp.max(logits, axis=-1, keepdims=True)
    finite(**{"the spread of logits": shifted})
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def _log_sum_exp(xp, values):
    largest = xp.max(values, axis=-1, keepdims=True)
    return largest + xp.log(xp.sum(xp.exp(values - largest), axis=-1, keepdims=True))


def _entropy(xp, log_pi):
    return -xp.sum(xp.exp(log_pi) * log_pi, axis=-1)


def _centred(xp, pi, values):
    return values - xp.sum(pi * values, axis=-1, keepdims=True)


def _factor(xp, name, value, like):
    """A number, or a finite array that broadcasts with `like`."""
    if not compat.is_array_api_obj(value):
        return number(name, value, "must be finite", lambda v: abs(v) < float("inf"))
    if compat.array_namespace(value) is not xp:
        raise TypeError(f"{name} and logits must come from one library; got {type(value).__name__}")
    broadcast(**{name: value, "logits without their last axis": like})
    if xp.isdtype(value.dtype, "real floating"):
        finite(**{name: value})
    return value


def _renyi_order(order):
    return number("order", order, "must be > 0 and finite", lambda v: 0 < v < float("inf"))
