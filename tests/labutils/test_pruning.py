"""Training, pruning, training again: connectivity, similarity, and the stored sweep."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from labutils import pruning as pr  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data():
    return pr.digits()


def test_cka_is_the_trace_formula_and_forgets_rotations():
    r = np.random.default_rng(0)
    X, Y = r.standard_normal((50, 6)) + 3, r.standard_normal((50, 4))
    H = np.eye(50) - 1 / 50
    K, L = H @ X @ X.T @ H, H @ Y @ Y.T @ H
    want = np.trace(K @ L) / np.sqrt(np.trace(K @ K) * np.trace(L @ L))
    assert np.isclose(pr.cka(X, Y), want, atol=1e-12) and 0 < want < 1
    Q = np.linalg.qr(r.standard_normal((6, 6)))[0]
    assert np.isclose(pr.cka(X, 0.1 * X @ Q - 5), 1, atol=1e-12) and np.isclose(pr.cka(X @ Q, Y), want, atol=1e-12)
    assert np.allclose(pr.cka(torch.tensor(np.stack([X, X])), torch.tensor(np.stack([Y, Y]))).numpy(), want, atol=1e-12)


def test_connectivity_of_known_paths():
    assert pr.mode_connectivity([1.0, 3.0, 1.0]) == -2 and pr.mode_connectivity([1.0, 0.5, 1.0]) == 0.5
    assert pr.mode_connectivity([0.0, 1.0, 2.0]) == 1 and pr.mode_connectivity([2.0, 1.0, 0.0]) == 1      # a tie
    assert np.array_equal(pr.mode_connectivity(np.array([[1.0, 0], [3, 0], [1, 0]])), [-2, 0])
    r = np.random.default_rng(0)
    t = np.linspace(0, 1, 11)
    for _ in range(200):                                     # convex, with unequal ends
        a, b, c = r.standard_normal(3) * 3
        assert pr.mode_connectivity(np.abs(a) * (t - b) ** 2 + c * t) >= 0


@pytest.mark.parametrize("call, message", [
    (lambda: pr.cka(np.ones((3, 2)), np.ones((4, 2))), "X and Y must be"),
    (lambda: pr.cka(np.ones((3, 2)), np.ones((3, 2))), "X and Y must vary"),
    (lambda: pr.cka(np.full((3, 2), 0.1), np.full((3, 2), 0.1)), "X and Y must vary"),
    (lambda: pr.mode_connectivity([1.0, float("inf"), 1.0]), "must not contain NaN or inf"),
    (lambda: pr.mode_connectivity([1.0, 2.0]), "at least 3 points"),
    (lambda: pr.mode_connectivity([1.0, float("nan"), 2.0]), "must not contain NaN"),
    (lambda: pr.prune(pr.network([0]), 0.0), "density must lie"),
    (lambda: pr.prune(pr.network([0]), 1e-5), "at least one weight"),
])
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_digits_are_split_once(data):
    (X, y), (X_test, y_test) = data
    assert X.shape == (1200, 64) and X_test.shape == (597, 64) and X.min() == 0 and X.max() == 1
    again = pr.digits()
    assert torch.equal(again[0][0], X) and len(set(y.tolist())) == 10


def test_a_copy_does_not_depend_on_its_neighbours(data):
    (X, y), _ = data
    both = pr.train(pr.network([3, 4]), X, y, [7, 8], 32, 40, 0.5)
    alone = pr.train(pr.network([4]), X, y, [8], 32, 40, 0.5)
    assert all(torch.allclose(a[1:], b, atol=1e-5) for a, b in zip(both, alone, strict=True))


def test_one_step_is_autograds(data):
    (X, y), _ = data
    start = pr.network([0])
    order = np.random.default_rng(5).permutation(len(y))[:16]
    net = [w.clone().requires_grad_() for w in start]
    loss = torch.nn.functional.cross_entropy(pr.features(net, X[order])[1][0], y[order])
    slopes = torch.autograd.grad(loss, net)
    found = pr.train(start, X, y, [5], 16, 1, 0.3)
    assert all(torch.allclose(f, s - 0.3 * g, atol=1e-6) for f, s, g in zip(found, start, slopes, strict=True))


def test_pruning_keeps_the_largest_of_both_layers_and_training_keeps_zeros(data):
    (X, y), _ = data
    net = pr.network([0, 1])
    masks = pr.prune(net, 0.1)
    sizes = torch.cat([net[0].flatten(1), net[2].flatten(1)], 1).abs()
    kept = torch.cat([masks[0].flatten(1), masks[1].flatten(1)], 1).bool()
    assert (kept.sum(1) == round(0.1 * 9472)).all()
    assert all(s[k].min() >= s[~k].max() for s, k in zip(sizes, kept, strict=True))
    after = pr.train(net, X, y, [0, 1], 64, 30, 0.5, masks)
    assert (after[0][masks[0] == 0] == 0).all() and (after[2][masks[1] == 0] == 0).all()
    assert not torch.equal(after[0], net[0] * masks[0])


def test_training_errors(data):
    (X, y), _ = data
    with pytest.raises(ValueError, match="seeds must be one a copy"):
        pr.train(pr.network([0, 1]), X, y, [0], 16, 1)
    with pytest.raises(ValueError, match="batch must be a whole number from 1 to 1200; got 5000"):
        pr.train(pr.network([0]), X, y, [0], 5000, 1)


def test_ends_of_the_path_are_the_networks(data):
    (X, y), _ = data
    a, b = pr.network([0]), pr.network([1])
    errors, losses = pr.straight_path(a, b, X, y, points=3)
    for i, net in ((0, a), (2, b)):
        loss, error = pr.score(net, X, y)
        assert np.allclose(losses[i], loss, atol=1e-6) and np.allclose(errors[i], error)


# ---------------------------------------------------------------- the stored sweep


def test_stored_sweep_is_whole():
    stored = pr.load()
    assert set(stored) == set(pr.PLANS)
    for name, plan in pr.PLANS.items():
        for q in pr.QUANTITIES:
            assert stored[name][q].shape == (len(plan.batches), len(plan.densities), pr.SEEDS)
            assert np.isfinite(stored[name][q]).all()
        for q in pr.OF_DENSE:
            assert stored[name][q].shape == (len(plan.batches), pr.SEEDS)
        record = json.loads(pr.runtime.data_path(pr.RESULT).read_text())
        assert record["plans"][name] == json.loads(json.dumps(plan._asdict()))
    assert pr.runtime.data_path(pr.RESULT).stat().st_size < 100_000


def test_a_slice_of_the_stored_sweep_comes_out_again(data):
    stored = pr.load()["passes"]
    plan = pr.PLANS["passes"]._replace(batches=(512,), densities=(0.2,))
    again = pr.sweep(plan, [0, 1], data)
    b, d = pr.BATCHES.index(512), pr.DENSITIES.index(0.2)
    assert np.allclose(again["error"][0, 0], stored["error"][b, d, :2], atol=2.6e-3)
    assert np.allclose(again["loss"][0, 0], stored["loss"][b, d, :2], atol=5e-3)
    assert np.allclose(again["dense_train_loss"][0], stored["dense_train_loss"][b, :2], atol=1e-3)
    assert not np.allclose(again["loss"][0, 0], stored["loss"][b, d, 2:4], atol=5e-3)      # seeds differ


def test_the_command_writes_what_load_reads(tmp_path, monkeypatch):
    tiny = pr.Plan(batches=(256,), densities=(0.5,), epochs=1, again_epochs=1, hidden=8)
    monkeypatch.setattr(pr, "PLANS", {"tiny": tiny})
    paths = [tmp_path / f"{k}.json" for k in "ab"]
    for path in paths:
        assert pr.main(["--seeds", "2", "--out", str(path)]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert pr.load(paths[0])["tiny"]["error"].shape == (1, 1, 2)
    paths[0].write_text("[]")
    with pytest.raises(ValueError, match="path must lead to a result of the sweep"):
        pr.load(paths[0])
