"""Every method of Part 2 as a plug-in of one loop, by chapter; each states its formula.

`METHODS` holds them by the name under which the comparison shows them, with knobs that suit the trap:
one learning rate, one clip and one standard deviation for all, so that a difference is the method's.
Where a paper's own value is another one, the class says so.
"""

from labutils.policy.harness import Method
from labutils.policy.methods.branching import BranchGrpo, Cure, EntropyBalanced, Ettrl
from labutils.policy.methods.own_past import MajorityVote, Spear, Spine
from labutils.policy.methods.shaping import (
    Adora, Ares, Canon, Copo, DifficultySampler, Empg, Pear,
)
from labutils.policy.methods.thermostats import ArbitraryEntropy, Dcpo, EntropyCorridor
from labutils.policy.methods.tokens import (
    ClipB, ClipCov, ClipV, EightyTwenty, EntropyBonus, Hicra, KlCov, RandomDrop, Siren, Steer,
)

METHODS = {
    # why entropy falls
    "grpo": Method(),
    "clip-higher": Method(high=0.4),
    "entropy-bonus": EntropyBonus(),
    "clip-cov": ClipCov(),
    "kl-cov": KlCov(),
    "random-drop": RandomDrop(),
    "steer": Steer(),
    "clip-b": ClipB(deviations=1.5),        # at 2.5 no token here is far enough out, and it is GRPO
    "clip-v": ClipV(deviations=2.0),
    # which tokens
    "80-20": EightyTwenty(),
    "hicra": Hicra(),
    "siren": Siren(),
    # thermostats
    "arbitrary-entropy": ArbitraryEntropy(),
    "dcpo": Dcpo(),
    "epo": EntropyCorridor(),               # twice the mean entropy is more than ln V: no fence, a bonus
    # shaping
    "empg": Empg(),
    "canon": Canon(),
    "copo": Copo(),
    "adora": Adora(),
    "pear": Pear(),
    "ares": Ares(),
    "difficulty": DifficultySampler(),
    # branching
    "cure": Cure(),
    "entropy-balanced": EntropyBalanced(),
    "branch-grpo": BranchGrpo(),
    "ettrl": Ettrl(),
    # own past
    "vote": MajorityVote(),
    "spine": Spine(),
    "spear": Spear(),
}
__all__ = ["METHODS", *sorted({type(m).__name__ for m in METHODS.values()})]
