"""Autoregressive policies small enough to enumerate: every answer of T tokens out of V.

Chapter "Why entropy falls" (policy/why-entropy-falls), step 8. Entropies in nats.

A tree is a list of T arrays of logits; `levels[t]` has shape [..., V**t, V], one row a prefix of
t tokens. The child of row i by token a is row i * V + a of the next level. Leading axes are a batch.
"""

from labutils._inputs import broadcast, finite, logits_namespace, namespace, whole
from labutils.policy.softmax import covariance, entropy, entropy_change, log_softmax, softmax


def random_tree(rng, actions=3, depth=4, scale=1.0, batch=()):
    """A tree with independent normal logits: a list of `depth` arrays [*batch, actions**t, actions].

    rng  a NumPy Generator;  scale  standard deviation of the logits
    Errors: ValueError when actions < 1 or depth < 1.
    """
    for name, value in (("actions", actions), ("depth", depth)):
        whole(name, value, 1)
    return [scale * rng.standard_normal((*batch, actions**t, actions)) for t in range(depth)]


def visitation(levels):
    """d(s), the chance to pass through each prefix s: a list of arrays [..., V**t], each sums to 1.

    Errors: as `sequence_log_prob`.
    """
    xp = _tree_namespace(levels)
    weights = [xp.ones_like(levels[0][..., 0])]
    for logits in levels[:-1]:
        weights.append(_flat(xp, weights[-1][..., None] * softmax(logits)))
    return weights


def sequence_log_prob(levels):
    """log P(y) = Σ_t log π(y_t | y_<t) of all V**T answers, shape [..., V**T].

    Errors: TypeError or ValueError when `levels` is no tree of finite logits.
    """
    xp = _tree_namespace(levels)
    total = log_softmax(levels[0])
    for logits in levels[1:]:
        total = _flat(xp, total)[..., None] + log_softmax(logits)
    return _flat(xp, total)


def sequence_entropy(levels):
    """H(Y) = -Σ_y P(y) log P(y) over all V**T answers by enumeration, in nats, shape [...].

    Errors: as `sequence_log_prob`.
    """
    return entropy(sequence_log_prob(levels))


def entropy_to_go(levels):
    """H(Y|s) = H_s + Σ_a π(a|s) H(Y|sa): the entropy of what follows the prefix s, in nats.

    A list of T + 1 arrays [..., V**t]: at the root it is H(Y), of a complete answer 0.
    Errors: as `sequence_log_prob`.
    """
    xp = _tree_namespace(levels)
    pi = softmax(levels[-1])
    togo = [xp.zeros_like(_flat(xp, pi))]
    for logits in reversed(levels):
        pi = softmax(logits)
        togo.insert(0, entropy(logits) + xp.sum(pi * _rows(xp, togo[0], logits), axis=-1))
    return togo


def tree_entropy_change(levels, deltas, visits=True):
    """First-order dH(Y) when the logits change by Δz in every state, in nats, shape [...].

    visits=True:   Σ_s d(s) [-Cov_s(log π, Δz) + Cov_s(H(Y|sa), Δz)]
    visits=False:  Σ_s d(s) [-Cov_s(log π, Δz)], which forgets that the answers move to other states

    deltas  a list like `levels`
    Errors: as `sequence_log_prob`; ValueError when deltas do not fit.
    Source: step 8 of the chapter.
    """
    xp = _tree_namespace(levels)
    _same_tree(levels, deltas)
    togo = entropy_to_go(levels)
    total = 0.0
    for logits, delta, d, below in zip(levels, deltas, visitation(levels), togo[1:]):
        change = entropy_change(logits, delta)
        if visits:
            change = change + covariance(logits, _rows(xp, below, logits), delta)
        total = total + xp.sum(d * change, axis=-1)
    return total


def sequence_delta(levels, deltas):
    """Σ_t Δz(y_t | y_<t) for each answer y, less its conditional means: d log P(y), [..., V**T].

    With whole answers as the actions this is the Δz of the one-state theorem.
    Errors: as `tree_entropy_change`.
    """
    xp = _tree_namespace(levels)
    _same_tree(levels, deltas)
    total = xp.zeros_like(levels[0][..., 0])
    for logits, delta in zip(levels, deltas):
        centred = delta - xp.sum(softmax(logits) * delta, axis=-1, keepdims=True)
        total = _flat(xp, total[..., None] + centred)
    return total


def tree_policy_gradient(levels, reward):
    """∇ E[R] in every state: d(s) π(a|s) A(s, a), a list like `levels`.

    reward  [..., V**T], one number an answer
    Errors: as `sequence_log_prob`; ValueError when reward does not fit.
    Source: the policy gradient theorem, Sutton et al. 1999.
    """
    xp = _tree_namespace(levels)
    answers = levels[-1].shape[-2] * levels[-1].shape[-1]
    namespace(levels=levels[0], reward=reward)
    if reward.ndim < 1 or reward.shape[-1] != answers:
        raise ValueError(f"reward must have {answers} answers on its last axis; "
                         f"got shape {tuple(reward.shape)}")
    finite(reward=reward)
    value, steps = reward, []
    for logits, d in zip(reversed(levels), reversed(visitation(levels))):
        q = xp.reshape(value, (*value.shape[:-1], *logits.shape[-2:]))
        pi = softmax(logits)
        value = xp.sum(pi * q, axis=-1)
        steps.insert(0, d[..., None] * pi * (q - value[..., None]))
    return steps


def _tree_namespace(levels):
    if not isinstance(levels, (list, tuple)) or not levels:
        raise TypeError(f"levels must be a list of arrays of logits; got {type(levels).__name__}")
    for t, logits in enumerate(levels):
        xp = logits_namespace(logits)
        actions = levels[0].shape[-1]
        if tuple(logits.shape[-2:]) != (actions**t, actions):
            raise ValueError(f"levels[{t}] must end in shape ({actions**t}, {actions}); "
                             f"got {tuple(logits.shape)}")
        broadcast(**{"the batch of levels[0]": levels[0][..., 0, 0],
                     f"that of levels[{t}]": logits[..., 0, 0]})
    return xp


def _same_tree(levels, deltas):
    if not isinstance(deltas, (list, tuple)) or len(deltas) != len(levels):
        got = len(deltas) if isinstance(deltas, (list, tuple)) else type(deltas).__name__
        raise ValueError(f"deltas must be a list of {len(levels)} arrays, as levels; got {got}")
    for t, (logits, delta) in enumerate(zip(levels, deltas)):
        logits_namespace(logits, **{f"deltas[{t}]": delta})


def _flat(xp, values):
    """[..., n, V] to [..., n * V]: from one row a prefix to one entry a longer prefix."""
    return xp.reshape(values, (*values.shape[:-2], -1))


def _rows(xp, values, logits):
    """[..., n * V] to [..., n, V]: what belongs to the children of each prefix."""
    return xp.reshape(values, (*values.shape[:-1], *logits.shape[-2:]))
