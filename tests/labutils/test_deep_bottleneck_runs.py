"""The stored networks: what the file holds, a few of them trained again, the data they see."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import torch
from labutils import deep_bottleneck_runs as runs


def test_file_holds_the_plan():
    stored = runs.load()
    assert list(stored) == list(runs.plan())
    for name, row in stored.items():
        assert all(len(v) == runs.SEEDS and np.isfinite(v).all() for v in row.values()), name
        if "rmse" in row:
            assert row["rmse"].shape == (runs.SEEDS, len(runs.EPSILONS))


@pytest.mark.parametrize("name", ["diabetes decay 0.1", "diabetes vib 0.1", "diabetes cs-released one 0.0"])
def test_a_stored_network_comes_out_again(name):
    want, got = runs.load()[name], runs.plan()[name](0)
    assert np.allclose(got["rmse"], want["rmse"][0], rtol=0.02)


def test_a_recommender_learns_and_keeps_its_shape():
    data, chances = runs.topic_users(0, users=300, items=60)
    assert data.shape == chances.shape == (300, 60) and np.allclose(chances.sum(1), 1)
    train, seen, held = runs.hide(data, 0)
    assert len(train) == 225 and len(seen) == 75 and ((seen > 0) & (held > 0)).sum() == 0 and (held > 0).any(1).mean() > 0.9
    scores, mean, var = runs.train_vae(train, 0.2, 0, steps=60)(seen)
    assert scores.shape == seen.shape and mean.shape == var.shape == (75, 16) and (var > 0).all()
    again = runs.train_vae(train, 0.2, 0, steps=60)(seen)[0]
    assert np.array_equal(scores, again)
    with pytest.raises(ValueError, match="likelihood must be multinomial or gaussian; got 'poisson'"):
        runs.train_vae(train, 0.2, 0, likelihood="poisson")


def test_the_data():
    counts, words = runs.passages()
    assert counts.shape[1] == len(words) and counts.sum() > 8000 and (counts.sum(0) >= 3).all() and "the" not in words
    x, y, x_test, y_test, spread = runs.diabetes(3)
    assert x.shape == (300, 10) and y_test.shape == (142, 1) and spread > 60
    assert torch.allclose(x.mean(0), torch.zeros(10), atol=1e-5) and x_test.mean(0).abs().max() > 1e-3
    assert runs.digit_counts().shape == (1797, 64)
