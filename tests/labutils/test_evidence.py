"""Dempster's rule against its meaning, its algebra, its examples, and what bad input is told."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import evidence

settings.register_profile("evidence", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("evidence")
seeds = st.integers(0, 10_000)


def masses(seed, count, K=3, batch=()):
    m = np.random.default_rng(seed).dirichlet(np.full(2**K - 1, 0.5), (count, *batch))
    return np.concatenate([np.zeros((count, *batch, 1)), m], axis=-1)


def by_sets(first, second):
    """The definition, with Python sets."""
    K = int(np.log2(len(first)))
    members = lambda i: frozenset(k for k in range(K) if i >> k & 1)
    total, conflict = np.zeros(len(first)), 0.0
    for (i, p), (j, q) in itertools.product(enumerate(first), enumerate(second)):
        both = members(i) & members(j)
        if both:
            total[sum(2**k for k in both)] += p * q
        else:
            conflict += p * q
    return total / (1 - conflict), conflict


@given(seeds, st.integers(1, 4))
def test_the_definition(seed, K):
    a, b = masses(seed, 2, K)
    if K == 1:
        a = b = np.array([0.0, 1.0])
    mass, conflict = by_sets(a, b)
    got = evidence.combine(a, b)
    assert got.mass == pytest.approx(mass, abs=1e-12)
    assert float(got.conflict) == pytest.approx(conflict, abs=1e-12)


@given(seeds)
def test_algebra(seed):
    a, b, c = masses(seed, 3)
    every = evidence.combine(a, b, c)
    assert evidence.combine(c, a, b).mass == pytest.approx(every.mass, abs=1e-12)
    assert float(evidence.combine(b, c, a).conflict) == pytest.approx(float(every.conflict), abs=1e-12)
    nested = evidence.combine(a, evidence.combine(b, c).mass)
    assert nested.mass == pytest.approx(every.mass, abs=1e-12)
    nothing = evidence.simple([0, 1, 2], 1.0, 3)
    assert evidence.combine(a, nothing).mass == pytest.approx(a, abs=1e-12)
    assert evidence.combine(a).mass == pytest.approx(a, abs=0) and float(evidence.combine(a).conflict) == 0


@given(seeds)
def test_belief_and_plausibility(seed):
    m = masses(seed, 1)[0]
    bel, pl = evidence.belief(m), evidence.plausibility(m)
    subsets = [[B for B in range(8) if B & A == B] for A in range(8)]
    assert bel == pytest.approx([m[B].sum() for B in subsets], abs=1e-12)
    assert pl == pytest.approx(1 - bel[::-1], abs=1e-12)
    assert (bel <= pl + 1e-12).all() and bel[7] == pytest.approx(1) and pl[0] == 0


@pytest.mark.parametrize("n", [1, 2, 5])
def test_agreeing_sources(n):
    fused = evidence.combine(*[evidence.simple([0, 1], 0.3, 3)] * n)
    assert fused.mass[3] == pytest.approx(1 - 0.7**n, abs=1e-12) and float(fused.conflict) == 0


def test_zadeh():
    first, second = np.zeros(8), np.zeros(8)
    first[[1, 2]], second[[2, 4]] = (0.99, 0.01), (0.01, 0.99)
    fused = evidence.combine(first, second)
    assert fused.mass[2] == 1.0 and float(fused.conflict) == pytest.approx(0.9999, abs=1e-12)


def test_discount():
    m = masses(0, 1)[0]
    halved = evidence.discount(m, 0.5)
    assert halved[1:7] == pytest.approx(m[1:7] / 2) and halved[7] == pytest.approx(0.5 + m[7] / 2)
    assert evidence.discount(m, 1.0) == pytest.approx(m, abs=0)
    assert evidence.discount(m, np.array([0.0, 1.0])).shape == (2, 8)


def test_batches_and_torch():
    a, b = masses(1, 2, batch=(4,))
    got = evidence.combine(a, b)
    for i in range(4):
        assert got.mass[i] == pytest.approx(by_sets(a[i], b[i])[0], abs=1e-12)
    there = evidence.combine(torch.tensor(a), torch.tensor(b))
    assert isinstance(there.mass, torch.Tensor)
    assert there.mass.numpy() == pytest.approx(got.mass, abs=1e-15)
    assert evidence.belief(torch.tensor(a)).numpy() == pytest.approx(evidence.belief(a), abs=1e-15)
    assert evidence.combine(a[:, None], b[None]).mass.shape == (4, 4, 8)


def test_outcomes_in_any_container():
    for outcomes in ([0, 1], (1, 0), {0, 1}, range(2), np.arange(2)):
        assert evidence.simple(outcomes, 0.5, np.int64(3))[3] == 0.5


GOOD = np.array([0, 0.5, 0.25, 0.25])


@pytest.mark.parametrize("call, message", [
    (lambda: evidence.combine(), "masses must be one mass function or more; got none"),
    (lambda: evidence.combine(GOOD, masses(0, 1)[0]), r"masses must be over one frame; got \[4, 8\] sets"),
    (lambda: evidence.combine(GOOD, [0.5, 0.5, 0]), r"masses\[1\] must have 2\^K entries along its last axis"),
    (lambda: evidence.combine(GOOD, [0, 0.5, 0.4, 0]), r"masses\[1\] must sum to 1"),
    (lambda: evidence.combine(GOOD, [0.1, 0.5, 0.4, 0]), r"masses\[1\] must give the empty set no mass; got 0.1"),
    (lambda: evidence.combine([0, 1.0, 0, 0], [0, 0, 1.0, 0]), r"must not be in total conflict.*\(kappa = 1\)$"),
    (lambda: evidence.combine([[0, 0.5, 0.5, 0], [0, 1.0, 0, 0]], [0, 0, 1.0, 0]), r"\(kappa = 1\) at 1"),
    (lambda: evidence.discount(GOOD, 1.5), r"reliability must lie between 0 and 1; got 1.5"),
    (lambda: evidence.simple([3], 0.5, 2), r"outcomes must be a list of numbers from 0 to 1, not empty; got \[3\]"),
    (lambda: evidence.simple(0, 0.5, 2), r"outcomes must be a list of numbers from 0 to 1, not empty; got 0"),
    (lambda: evidence.combine(np.stack([GOOD] * 2), np.stack([GOOD] * 3)),
     r"masses must have leading axes that broadcast; got \(2,\) and \(3,\)"),
    (lambda: evidence.discount(np.stack([GOOD] * 2), [0.1, 0.2, 0.3]),
     r"mass and reliability must have leading axes that broadcast; got \(2,\) and \(3,\)"),
    (lambda: evidence.simple([], 0.5, 2), r"outcomes must be a list of numbers from 0 to 1, not empty; got \[\]"),
    (lambda: evidence.simple([0], -0.5, 2), r"strength must lie between 0 and 1; got -0.5"),
    (lambda: evidence.simple([0], 0.5, 0), r"size must be a whole number of outcomes from 1 to 10; got 0"),
    (lambda: evidence.belief([0.2, 0.3]), r"mass must sum to 1"),
    (lambda: evidence.plausibility(0.5), r"mass must have 2\^K entries"),
])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
