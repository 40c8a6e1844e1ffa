"""Policies, their entropy, and what an update does to it.

Chapters of Part 2, from "Why entropy falls" (policy/why-entropy-falls) on. Entropies in nats.
The exact part below needs NumPy alone; the modules of the real runs, and the loop with its methods
(`train`, `Loop`, `Method`, `METHODS`, `Table`, `Trap`), are imported when touched.
"""

from importlib import import_module

from labutils.policy.law import Law, bandit_entropy, bandit_slope, fit_law
from labutils.policy.selection import (
    batch_covariance,
    clip_cov_mask,
    kl_cov_mask,
    steer_score,
    steer_weight,
    top_share,
)
from labutils.policy.softmax import (
    covariance,
    discriminator,
    entropy,
    entropy_change,
    log_softmax,
    natural_gradient,
    policy_gradient,
    renyi_entropy,
    renyi_entropy_change,
    sampled_token_change,
    score_norm,
    softmax,
    token_covariance,
)
from labutils.policy.tree import (
    entropy_to_go,
    random_tree,
    sequence_delta,
    sequence_entropy,
    sequence_log_prob,
    tree_entropy_change,
    tree_policy_gradient,
    visitation,
)

_modules = ("compare", "countdown", "diagnosis", "grpo", "harness", "methods", "neural", "streaming",
            "sweep", "tabular", "transformer", "trap")
_from_modules = {
    "diagnose": "diagnosis", "entropy_and_covariance": "streaming", "Loop": "harness",
    "METHODS": "methods", "Method": "harness", "Table": "tabular", "train": "harness", "Trap": "trap",
}
__all__ = [
    "Law", "bandit_entropy", "bandit_slope", "batch_covariance", "clip_cov_mask", "covariance",
    "discriminator", "entropy", "entropy_change", "entropy_to_go", "fit_law", "kl_cov_mask",
    "log_softmax", "natural_gradient", "policy_gradient", "random_tree", "renyi_entropy",
    "renyi_entropy_change", "sampled_token_change", "score_norm", "sequence_delta",
    "sequence_entropy", "sequence_log_prob", "softmax", "steer_score", "steer_weight",
    "token_covariance", "top_share", "tree_entropy_change", "tree_policy_gradient", "visitation",
    *_from_modules, *_modules,
]  # fmt: skip


def __getattr__(name):
    if name in _modules:
        return import_module(f"labutils.policy.{name}")
    if name in _from_modules:
        return getattr(import_module(f"labutils.policy.{_from_modules[name]}"), name)
    raise AttributeError(f"module 'labutils.policy' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
