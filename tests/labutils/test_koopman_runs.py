"""The stored autoencoders: what the file holds, a slice trained again, the data and the baselines."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from labutils import chaos, koopman
from labutils import koopman_runs as runs


def test_file_holds_the_plan():
    stored = runs.load()
    assert list(stored) == list(runs.HORIZON)
    for system, tree in stored.items():
        assert list(tree["arms"]) == list(runs.ARMS) and list(tree["more"]) == runs.PAIRED
        assert all(len(v) == runs.MORE for row in tree["more"].values() for v in row.values())
        for name, row in [*tree["arms"].items(), *tree["more"].items()]:
            assert row["error"].shape == (runs.SEEDS, runs.HORIZON[system]), name
            assert all(len(v) == runs.SEEDS and np.isfinite(v).all() for v in row.values()), name
            assert ((row["dimension"] >= 1) & (row["dimension"] <= runs.LATENTS)).all()
            assert (row["nce"] <= np.log(15 / 6) + 1e-4).all()


@pytest.mark.parametrize("system", runs.HORIZON)
def test_baselines_come_out_again(system):
    for name, errors in runs.baselines(system, 0).items():
        assert np.allclose(errors, runs.load()[system]["baselines"][name][0], rtol=1e-3), name


def test_a_slice_trains_again(one_thread):
    arms = ["batch mi 2 entropy -1", "batch mi 2 entropy +1"]
    found = runs.train("pendulum", arms, [0], stop=runs.EARLY)["early"][:, 0]
    want = [runs.load()["pendulum"]["arms"][arm]["early"][0] for arm in arms]
    assert np.allclose(found, want, rtol=0.01)


def test_the_data():
    train, test = runs.data("eeg", 0)
    assert train.shape == (1, 557, 16) and test.shape == (1, 237, 16)
    assert np.allclose(train[0, 1:, 4:8], train[0, :-1, :4])             # the second lag is the sample before
    swing = runs.pendulum(np.random.default_rng(0), 5)
    energy = swing[..., 1] ** 2 / 2 - np.cos(swing[..., 0])
    assert np.ptp(energy, axis=1).max() < 1e-4
    x = runs.lorenz(np.random.default_rng(0), 3)
    assert x.shape == (3, 81, 3) and 15 < x[..., 2].mean() < 32
    with pytest.raises(ValueError, match="system must be pendulum, lorenz or eeg; got 'swing'"):
        runs.data("swing", 0)


def test_the_integrator_is_of_fourth_order():
    turn = chaos.Flow("turn", lambda xp, x, y: (y, -x), lambda xp, x, y: {(0, 1): 1.0, (1, 0): -1.0}, (1.0, 0.0), 0.1, 2 * np.pi)
    miss = [abs(runs.integrate(turn, np.array([[1.0, 0.0]]), 1 / n, n, inner=1)[0, -1] - [np.cos(1), -np.sin(1)]).max() for n in (8, 16, 32)]
    assert np.allclose(np.log2(np.array(miss[:-1]) / miss[1:]), 4, atol=0.2)


def test_the_sign_of_the_entropy_and_no_gradient_through_K():
    net = runs.start([0], 2)
    x = torch.tensor(np.random.default_rng(0).normal(size=(1, 4, 17, 2)), dtype=torch.float32)
    plain, H, nce = runs.losses(net, x, torch.tensor([0.0]), torch.tensor([0.0]), False)
    both, _, _ = runs.losses(net, x, torch.tensor([2.0]), torch.tensor([0.5]), False)
    assert torch.allclose(both, plain - 2 * nce - 0.5 * H, atol=1e-5)
    a = torch.ones(3, 2, requires_grad=True)
    assert not runs.ridge(a, a).requires_grad


def test_the_same_linear_map_as_the_package():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30, 4))
    K = runs.ridge(torch.tensor(a)[None].float(), torch.tensor(b)[None].float())[0].numpy()
    assert np.allclose(K, koopman.fit(a, b, ridge=0.1).T, atol=1e-5)


def test_the_terms_of_the_loss():
    net = runs.start([0, 1], 2)
    x = torch.tensor(np.random.default_rng(1).normal(size=(2, 3, 17, 2)), dtype=torch.float32)
    zero = torch.zeros(2)
    for window in (False, True):
        got, H, nce = runs.losses(net, x, zero, zero, window)
        for c in range(2):
            one = ([w[c:c + 1] for w in net[0]], [b[c:c + 1] for b in net[1]])
            z = runs.apply(one, x[c].reshape(1, -1, 2), 0)[0].reshape(3, 17, runs.LATENTS)
            now, after = z[:, :-1], z[:, 1:]
            flat = lambda a: a.reshape(-1, a.shape[-1]).double().numpy()
            fits = [koopman.fit(flat(now[i:i + 1]), flat(after[i:i + 1]), 0.1) for i in range(3)]
            K = np.mean(fits, 0) if window else koopman.fit(flat(now), flat(after), 0.1)
            read = lambda z: runs.apply(one, torch.tensor(z, dtype=torch.float32)[None], 1)[0].numpy()
            forecast = ((read(flat(now) @ K.T) - flat(x[c, :, 1:])) ** 2).mean() * 16
            again = ((read(flat(now)) - flat(x[c, :, :-1])) ** 2).mean() * 16
            assert np.isclose(got[c], forecast + 0.1 * again, rtol=1e-4)
            assert np.isclose(H[c], koopman.von_neumann(np.cov(flat(now).T)), atol=1e-4)
            assert np.isclose(nce[c], koopman.window_information(now.numpy())[0].mean(), atol=1e-4)


def test_an_untrained_network_is_judged_as_by_loops():
    net = runs.start([2], 2)
    train, test = runs.data("pendulum", 2)
    train = train[:3]                                                      # few, so that K is another one than of the test paths
    tensor = lambda a: torch.tensor(a[None], dtype=torch.float32)
    found = runs.judge("pendulum", net, tensor(train), tensor(test))
    encode = lambda x: runs.apply(net, tensor(x.reshape(-1, 2)), 0)[0].double().numpy()
    one = lambda z: np.concatenate([z, np.ones((len(z), 1))], axis=1)
    K = koopman.fit(one(encode(train[:, :-1])), one(encode(train[:, 1:])))
    for step in (1, 7):
        misses = []
        for s in (0, 15, 30):
            z = koopman.rollout(K, one(encode(test[:, s])), step)[:, -1, :-1]
            misses.append((runs.apply(net, tensor(z), 1)[0].numpy() - test[:, s + step]) / test.std((0, 1)))
        assert np.isclose(found["error"][0, step - 1], np.sqrt(np.mean(np.square(misses))), rtol=5e-5)


def test_test_paths_are_in_units_of_the_training_paths():
    rng = np.random.default_rng(4)
    first, second = runs.pendulum(rng, 40), runs.pendulum(rng, 40)
    train, test = runs.data("pendulum", 4)
    assert np.allclose(train.mean((0, 1)), 0) and np.allclose(train.std((0, 1)), 1)
    assert np.allclose(test, (second - first.mean((0, 1))) / first.std((0, 1)))
