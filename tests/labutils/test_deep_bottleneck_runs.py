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
        assert all(len(v) == runs.splits(name) and np.isfinite(v).all() for v in row.values()), name
        if "rmse" in row:
            assert row["rmse"].shape == (20, len(runs.EPSILONS))
    assert {len(row["gain"]) for row in stored.values() if "gain" in row} == {10}


AGAIN = [name for name in runs.plan() if name.startswith("diabetes")] + ["topics linear", "alice linear", "alice multinomial 1.0", "alice gaussian 0.05"]


@pytest.mark.parametrize("name", AGAIN)
def test_a_stored_row_comes_out_again(name):
    """Each on one split, another for each row."""
    seed = AGAIN.index(name) % runs.splits(name)
    want, got = runs.load()[name], runs.plan()[name](seed)
    for key in got:
        assert np.allclose(got[key], want[key][seed], rtol=0.02, atol=1e-3), key


def test_the_attack_on_a_line_has_a_closed_form():
    """No move of that size hurts a line more: the miss grows by size times the sum of its slopes."""
    x, y, x_test, y_test, points = (a.double().numpy() if torch.is_tensor(a) else a for a in runs.diabetes(4))
    ones = lambda a: np.c_[a, np.ones(len(a))]
    w = np.linalg.lstsq(ones(x), y, rcond=None)[0]
    miss = abs(ones(x_test) @ w - y_test)
    want = [points * np.sqrt(np.mean((miss + size * abs(w[:-1]).sum()) ** 2)) for size in runs.EPSILONS]
    assert np.allclose(runs.least_squares(4)["rmse"], want, rtol=1e-4)
    flat = runs.least_squares(4, linear=False)
    assert np.allclose(flat["rmse"], points * np.sqrt(np.mean(y_test**2)), rtol=1e-5) and flat["spread"] == 0


def test_noise_of_the_variational_network_and_its_price_matter():
    free, paid = runs.regress("vib", 0.0, 0, epochs=30), runs.regress("vib", 1.0, 0, epochs=30)
    assert paid["spread"] < 0.5 * free["spread"]


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
