"""Patches: entropy of words, counts as a causal model, cuts, and every message."""

import math

import numpy as np
import pytest
from labutils import patches

WORDS = [(0, 1, 2), (1, 1, 0, 2), (2, 0), (3, 2, 1, 1, 0)]


def rng(seed=0):
    return np.random.default_rng(seed)


def test_words_hold_their_entropy_at_their_start():
    s, starts = patches.words_at_random(WORDS, 5000, rng())
    h = patches.word_surprise(WORDS, s, starts)
    assert np.allclose(h[starts], math.log(4)) and h.sum() == pytest.approx(5000 * math.log(4))
    assert h.mean() == pytest.approx(math.log(4) / 3.5, abs=0.01)
    shared = [(0, 1), (0, 2), (3, 3)]
    s, starts = patches.words_at_random(shared, 3000, rng(1))
    assert patches.word_surprise(shared, s, starts).sum() == pytest.approx(3000 * math.log(3), rel=0.02)


def test_counts_learn_the_words():
    s, starts = patches.words_at_random(WORDS, 6000, rng())
    model = patches.NGram(6, 4).fit(s)
    t, begins = patches.words_at_random(WORDS, 1000, rng(1))
    assert np.allclose(model.predict(t).sum(axis=1), 1)
    assert model.loss(t) == pytest.approx(math.log(4) / 3.5, abs=0.05)
    assert patches.f1(patches.cut(model.surprise(t), level=0.7), begins) > 0.95


def test_prediction_is_causal():
    s = rng().integers(0, 3, size=300)
    model = patches.NGram(3, 3).fit(s)
    other = s.copy()
    other[200:] = 0
    assert np.array_equal(model.predict(s)[:201], model.predict(other)[:201])


def test_counts_by_hand():
    model = patches.NGram(1, 2, alpha=1.0).fit([0, 0, 1])
    p0 = np.array([(2 + 0.5) / 4, (1 + 0.5) / 4])
    assert np.allclose(model.predict([0])[0], p0)
    assert np.allclose(model.predict([0, 0])[1], (np.array([1, 1]) + p0) / 3)


def test_patches_hide_the_past():
    s = np.tile([0, 1], 500)
    model = patches.NGram(1, 2).fit(s, patches.since_start(1000, patches.even(1000, 1000)))
    assert model.loss(s, np.zeros(1000)) == pytest.approx(math.log(2), abs=1e-2)
    assert patches.NGram(1, 2).fit(s).loss(s) < 0.02


def test_places():
    assert patches.even(10, 3).tolist() == [0, 3, 6]
    assert patches.strongest([0, 5, 1, 5], 3).tolist() == [0, 1, 3]
    assert patches.cut([1, 0, 2, 2.0], jump=0.5).tolist() == [0, 2]
    assert patches.cut([1, 0, 2, 2.0], level=1.5).tolist() == [0, 2, 3] and patches.cut([1, 0, 2, 2.0], level=1.5, jump=0.5).tolist() == [0, 2]
    assert patches.f1([0, 2], [0, 3]) == 0.5 and patches.since_start(5, [0, 3]).tolist() == [0, 1, 2, 0, 1]
    at = patches.scattered(50, 9, rng())
    assert at[0] == 0 and len(set(at.tolist())) == 9


def test_messages():
    for call, text in ((lambda: patches.NGram(1, 2).fit([0, 2]), "symbols must lie below 2; got 2"), (lambda: patches.NGram(1, 1), "kinds must be"),
                       (lambda: patches.NGram(1, 2).fit([0.5]), "list of whole numbers"), (lambda: patches.cut([0.0]), "level or jump must be given"),
                       (lambda: patches.cut([np.nan], level=1), "finite"), (lambda: patches.even(3, 4), "count must lie between 1 and n = 3; got 4"),
                       (lambda: patches.scattered(3, 0, rng()), "count must lie"), (lambda: patches.strongest([1.0], 2), "at most the 1 places"),
                       (lambda: patches.f1([], [1]), "must not be empty"), (lambda: patches.since_start(3, [1]), "must rise from 0"),
                       (lambda: patches.word_surprise([(0,)], [1], [0]), "must spell the words"), (lambda: patches.words_at_random([()], 1, rng()), "not be empty")):
        with pytest.raises(ValueError, match=text):
            call()
