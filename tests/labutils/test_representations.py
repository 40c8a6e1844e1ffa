"""Small networks whose representations are measured: shapes, seeds, limits, the stored file."""

import re

import numpy as np
import pytest
import torch
from labutils import representations as reps
from labutils import spectral


@pytest.fixture(autouse=True)
def _calm(one_thread):
    pass


class TestFinetuning:
    def test_only_the_chosen_layers_matter_and_copies_are_independent(self):
        both = reps.finetuning([0, 1], steps=4, every=2, pairs=((0, 1), (4, 5)))
        assert both["old"].shape == (3, 2, 2) and both["spectra"].shape == (2, 6, 64)
        assert np.allclose(both["old"][0], both["before"][:, :1])
        assert not np.allclose(both["old"][2, :, 0], both["old"][2, :, 1])
        one = reps.finetuning([1], steps=4, every=2, pairs=((4, 5),))
        assert np.allclose(one["old"][:, 0, 0], both["old"][:, 1, 1], atol=0.03)

    def test_a_quarter_turn(self):
        X = torch.arange(64.0)[None]
        assert torch.equal(reps.turned(reps.turned(reps.turned(reps.turned(X)))), X)
        assert not torch.equal(reps.turned(X), X)


class TestSuperposition:
    def test_inputs_have_the_density(self):
        x = reps.sparse_inputs(torch.tensor([1.0, 0.1]), 4000, torch.Generator().manual_seed(0))
        assert x.shape == (2, 4000, reps.FEATURES)
        share = (x > 0).float().mean((1, 2))
        assert share[0] > 0.999 and abs(share[1] - 0.1) < 0.005 and float(x.max()) <= 1

    def test_an_autoencoder_finds_separate_features(self):
        rng = np.random.default_rng(0)
        code = rng.random((4096, 5)) * (rng.random((4096, 5)) < 0.1)
        encode, left = reps.autoencoder(torch.tensor(code[None], dtype=torch.float32), 5, 0.03, centre=False, steps=800)
        with torch.no_grad():
            F = spectral.feature_count(encode(torch.tensor(code[None], dtype=torch.float32)).double().numpy())
        assert F == pytest.approx(5, abs=0.3) and left[0] < 0.05


class TestZipf:
    def test_loss_falls_and_the_start_is_random(self):
        r = reps.zipf_model(16, 4, range(2), steps=200, looks=(0, 100, 200))
        assert r["centred"].shape == (3, 2) and (np.diff(r["loss"], axis=0) < 0).all()
        assert r["loss"][0] == pytest.approx(np.log(16), abs=1e-3) and (r["centred"][0] > 3.5).all()

    def test_the_floor_is_the_entropy_of_the_targets(self):
        r = reps.zipf_model(4, 6, [0], exponent=0.0, mixed=0.4, steps=2000, looks=(2000,))
        target = np.array([0.7, 0.1, 0.1, 0.1])
        assert r["loss"][0, 0] == pytest.approx(-(target * np.log(target)).sum(), abs=1e-3)

    @pytest.mark.parametrize("call, message", [
        (lambda: reps.zipf_model(4, 2, [0], mixed=1.0), "mixed must lie in [0, 1); got 1.0"),
        (lambda: reps.zipf_model(4, 2, [0], exponent=-1), "alpha must be a finite number >= 0; got -1"),
        (lambda: reps.zipf_model(0, 2, [0]), "d must be a whole number >= 1; got 0"),
    ])
    def test_messages(self, call, message):
        with pytest.raises(ValueError, match=re.escape(message)):
            call()


def test_stored_runs_are_whole():
    runs = reps.load()
    assert set(runs) == {"finetuning", "toy", "text", "shuffled", *(f"count-{w}-{p}" for w, p in reps.SETTINGS)}
    assert runs["toy"]["W"].shape == (len(reps.DENSITIES), reps.SEEDS, reps.NEURONS, reps.FEATURES)
    assert runs["text"]["centred"].shape == (len(reps.TEXT_LOOKS), reps.SEEDS)
    assert all(np.isfinite(v).all() for row in runs.values() for v in row.values())
    assert (runs["text"]["singular"] >= runs["text"]["centred"]).all()


def test_text_model_starts_as_stored():
    fresh, stored = reps.text_model(1, looks=(0, 1)), reps.load()["text"]
    assert np.allclose(fresh["centred"], stored["centred"][:2, 1], atol=0.05)
    assert np.allclose(fresh["loss"], stored["loss"][:2, 1], atol=0.01)
