"""The stored networks: what the files hold, and slices trained again."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from labutils import collocation, conservation
from labutils import collocation_runs as bases
from labutils import conservation_runs as runs


def test_the_file_of_fronts():
    stored = runs.load()
    assert list(stored) == list(runs.RANGE)
    for rows in stored.values():
        assert rows["early"].shape == (runs.SEEDS,)
        assert rows["mean"].shape == rows["deviation"].shape == (runs.SEEDS, 3, runs.CELLS)
        assert np.isfinite(rows["mean"]).all() and rows["deviation"].min() > 0


@pytest.mark.parametrize("family", runs.RANGE)
def test_a_slice_of_the_fronts_trains_again(family, one_thread):
    early = runs.train(family, [0, 1], stop=runs.EARLY)["early"]
    assert np.allclose(early, runs.load()[family]["early"][:2], rtol=1e-3)


def test_points_and_cells():
    inputs, values = runs.points("wave", 0)
    assert inputs.shape == (runs.POINTS, 3) and abs(runs.scaled("wave", inputs)).max() <= 1
    clean = np.array([conservation.wave(x, t, m) for m, t, x in inputs])
    assert 0.017 < (values - clean).std() < 0.023
    for family in runs.RANGE:
        for p, t in runs.TESTS[family]:
            x, truth, budget = runs.cells(family, p, t)
            assert np.isclose(truth.sum() / runs.CELLS, budget) and np.all(truth >= 0) and len(x) == runs.CELLS
    with pytest.raises(ValueError, match="family must be wave or stefan; got 'heat'"):
        runs.truth("heat", 1.0, 1.0, np.zeros(1))


def test_the_file_of_bases():
    stored = bases.load()
    assert list(stored) == list(bases.METHODS)
    for method, rows in stored.items():
        assert all(v.shape == (bases.SEEDS,) and np.isfinite(v).all() for v in rows.values())
        assert (rows["jump"] > 0).all() == (method == "parts")
    for way in ("split", "tied", "space", "dense"):
        assert set(stored["hard"]) >= {f"{way} {name}" for name in ("error", "residual", "between", "jump")}


@pytest.mark.parametrize("finer", [1, 2])
def test_parts_of_the_ground_are_solved_each_at_its_own_points(finer):
    net = bases.network(torch, 5, bases.BASIS)
    x, t = (torch.tensor(v) for v in bases.grid(12 * finer, 12 * finer))
    low, q = torch.tensor([0.1, 0.2], dtype=torch.float64), torch.tensor([2.0, 3.5], dtype=torch.float64)
    F, omega = bases.spaced(torch, net, x, t, low, q)
    assert F.shape == (2, len(x)) and omega.shape == (2, bases.PARTS, bases.BASIS)
    for part in range(bases.PARTS):
        here = (x * bases.PARTS).long() == part
        rows = tuple(v.detach() for v in bases.basis(torch, net, x[here], t[here], low, q))
        start = collocation.initial(x[here], low[:, None], q[:, None])
        R, J = collocation.residual(omega[:, part], rows, start)
        assert torch.allclose(F[:, here], R, atol=1e-12)                     # in the order of the points
        g, scale = (J.mT @ R[..., None])[..., 0], (J.mT @ J).abs().amax()
        assert g.abs().max() < 1e-4 * scale                                 # and each at its own minimum


def test_the_measures_of_a_cut_in_space():
    net = bases.network(torch, 5, bases.BASIS)
    truth = collocation.sorption(*(v[:2] for v in bases.problems(2)), bases.TIMES, cells=40)
    found = bases.measure_space(net, truth)
    low, q = (torch.tensor(v) for v in bases.problems(2))
    _, omega = bases.spaced(torch, net, *(torch.tensor(v) for v in bases.grid()), low, q)
    at = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    gaps = []
    for time in bases.TIMES:
        b = bases.basis(torch, net, at, torch.full_like(at, time), low, q)[0].detach()
        gaps.append(torch.stack([(b[:, j] * (omega[:, j + 1] - omega[:, j])).sum(-1) for j in range(3)]))
    assert np.isclose(found["jump"], float(torch.stack(gaps).square().mean().sqrt())) and found["jump"] > 0
    assert set(found) == {"error", "residual", "between", "jump"} and 0 < found["residual"] < found["between"]


@pytest.mark.parametrize("method", ["soft", "hard"])
def test_a_slice_of_the_bases_trains_again(method, one_thread):
    _, losses = bases.train(method, 0, stop=bases.EARLY)
    assert np.isclose(losses[-1], bases.load()[method]["early"][0], rtol=0.01)


def test_derivatives_carried_through_the_network():
    net = bases.network(torch, 0, 3)
    x, t = torch.rand(2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    low, q = torch.tensor([0.1, 0.2], dtype=torch.float64), torch.tensor([2.0, 3.5], dtype=torch.float64)
    b, b_t, b_xx = bases.basis(torch, net, x, t, low, q)
    h = 1e-4
    at = lambda dx, dt: bases.basis(torch, net, x + dx, t + dt, low, q)[0]
    assert torch.allclose(b_t, (at(0, h) - at(0, -h)) / (2 * h), atol=1e-6)
    assert torch.allclose(b_xx, (at(h, 0) - 2 * b + at(-h, 0)) / h**2, atol=1e-5)
    wall = bases.basis(torch, net, torch.tensor([0.0, 0.5], dtype=torch.float64), torch.tensor([0.3, 0.0], dtype=torch.float64), low, q)[0]
    assert wall.abs().max() == 0                                           # at x = 0, and at t = 0
    one = torch.ones(1, dtype=torch.float64)
    assert (bases.basis(torch, net, one, 0.3 * one, low, q)[0] - bases.basis(torch, net, one - 1e-6, 0.3 * one, low, q)[0]).abs().max() < 1e-10


def test_methods_are_named():
    with pytest.raises(ValueError, match="method must be one of soft, long, hard, parts; got 'firm'"):
        bases.train("firm", 0)


def test_the_truth_is_of_second_order_and_obeys_its_ends():
    u = [collocation.sorption([0.1, 0.3], [2.0, 3.0], [0.1, 0.4], cells=n) for n in (25, 50, 100)]
    half = lambda v: (v[..., ::2] + v[..., 1::2]) / 2
    ratio = abs(u[0] - half(u[1])).max() / abs(u[1] - half(u[2])).max()
    assert 3.5 < ratio < 4.5
    assert u[2].shape == (2, 2, 100) and u[2].max() < 1 and u[2].min() > 0.1 and abs(u[2][..., -1] - u[2][..., -2]).max() < 2e-3
