"""The fitted exchange curve R = -a exp(H) + b, and the bandit in which the true curve is known.

Chapter "Why entropy falls" (policy/why-entropy-falls), step 9. Entropy H in nats, reward R in its
own units: the mean reward E_π Q of the policy.
"""

from typing import NamedTuple

import numpy as np

from labutils._inputs import namespace, number


class Law(NamedTuple):
    """A fit of R = -a exp(H) + b: the two numbers and the share of variance that it explains."""

    a: float
    b: float
    r_squared: float

    @property
    def ceiling(self):
        """The reward b - a that the fit promises at H = 0."""
        return self.b - self.a

    def reward(self, entropy):
        """R = -a exp(H) + b at the entropies given, in nats."""
        return self.b - self.a * np.exp(entropy)


def fit_law(entropy, reward):
    """Least squares for R = -a exp(H) + b over the points of a run.

    entropy, reward  one-dimensional, one number a point, at least 3; entropy in nats
    Errors: ValueError for shapes that differ, too few points, NaN, or points that do not vary.
    Source: step 9 of the chapter; paper 001.
    """
    entropy, reward = np.asarray(entropy, dtype=float), np.asarray(reward, dtype=float)
    if entropy.ndim != 1 or entropy.shape != reward.shape or entropy.size < 3:
        raise ValueError("entropy and reward must be lists of one length >= 3; "
                         f"got shapes {entropy.shape} and {reward.shape}")
    for name, values in (("entropy", entropy), ("reward", reward)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must be finite; got {values[~np.isfinite(values)][0]}")
        if np.ptp(values) == 0:
            raise ValueError(f"{name} must vary over the points; all are {values[0]}")
    x = np.exp(entropy)
    slope = np.mean((x - x.mean()) * (reward - reward.mean())) / np.var(x)
    rest = reward - reward.mean() - slope * (x - x.mean())
    return Law(float(-slope), float(reward.mean() - slope * x.mean()),
               float(1 - np.var(rest) / np.var(reward)))


def bandit_entropy(reward, arms):
    """H = h(p) + (1 - p) log(K - 1): one right arm with chance p = R, the K - 1 others alike.

    reward  array of chances p in [0, 1];  arms  K >= 2.  Nats, shape of reward; 0 log 0 is 0.
    Errors: ValueError when a chance is outside or arms < 2.
    Source: step 9 of the chapter.
    """
    xp, p, arms = _bandit(reward, arms)
    if bool(((p < 0) | (p > 1)).any()):
        raise ValueError(f"reward must lie in [0, 1]; got {float(p[(p < 0) | (p > 1)][0])}")
    wrong = 1 - p
    log_p = xp.log(xp.where(p > 0, p, xp.ones_like(p)))
    log_wrong = xp.log(xp.where(wrong > 0, wrong / (arms - 1), xp.ones_like(p)))
    return -p * log_p - wrong * log_wrong


def bandit_slope(reward, arms):
    """dR/dH = -1 / log(p (K - 1) / (1 - p)): reward gained for each nat given up, with a minus.

    reward  array of chances p with 1/K < p < 1;  arms  K >= 2.  Shape of reward, per nat.
    Errors: ValueError when a chance is not above 1/K and below 1, or arms < 2.
    Source: step 9 of the chapter.
    """
    xp, p, arms = _bandit(reward, arms)
    outside = (p * arms <= 1) | (p >= 1)
    if bool(outside.any()):
        raise ValueError(f"reward must lie above 1/{arms:g} and below 1; got {float(p[outside][0])}")
    return -1 / xp.log(p * (arms - 1) / (1 - p))


def _bandit(reward, arms):
    xp = namespace(reward=reward)
    arms = number("arms", arms, "must be a whole number >= 2", lambda v: v >= 2 and v == int(v))
    if bool(xp.isnan(reward).any()):
        raise ValueError("reward must not be NaN; got nan")
    return xp, reward, arms
