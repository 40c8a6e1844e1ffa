"""The stored networks: a slice trained again, gradients against finite differences, honest zeros."""

import numpy as np
import pytest
from labutils import plane_runs as runs

pytest.importorskip("sklearn")


def test_file_holds_the_plan():
    stored = runs.load()
    assert list(stored) == list(runs.plan())
    for name, (_, seeds, looks, _, *rest) in runs.plan().items():
        names = rest[1] if rest else runs.NAMES
        assert stored[name]["step"].tolist() == list(looks)
        for key in names:
            assert stored[name][key].shape == (len(looks), 4, len(seeds), 2)
        assert np.isfinite(stored[name]["loss"]).all()


@pytest.mark.parametrize("name", ["tanh", "relu, batches"])
def test_a_slice_comes_out_again(name):
    unit, _, _, rate, *rest = runs.plan()[name]
    fresh, stored = runs.measure(unit, [0], (0, 10), rate, rest[0] if rest else None, ("fixed-30", "lossy-0.1")), runs.load()[name]
    for key in ("fixed-30", "lossy-0.1", "test", "distinct"):
        want = stored[key][:2, ..., :1, :] if stored[key].ndim == 4 else stored[key][:2, :1]
        assert np.allclose(fresh[key], want, atol=0.03 if key != "distinct" else 2), key


@pytest.mark.parametrize("unit", runs.plane.UNITS)
def test_a_step_follows_the_gradient(unit):
    x, y = runs.digits()
    x, y = x[None, :20].astype(float), y[None, :20]
    net = [(w.astype(float), b.astype(float) + 0.01) for w, b in runs.start(unit, [3])]

    def loss():
        z = runs.layers(net, unit, x)[-1]
        return (np.log(np.exp(z).sum(-1)) - np.take_along_axis(z, y[..., None], -1)[..., 0]).mean()

    before = [(w.copy(), b.copy()) for w, b in net]
    slopes = []
    for i, place in ((0, (0, 3, 2)), (2, (0, 1, 1)), (4, (0, 0, 5))):
        values = []
        for e in (1e-6, -1e-6):
            net[i][0][place] += e
            values.append(loss())
            net[i][0][place] -= e
        slopes.append((i, place, (values[0] - values[1]) / 2e-6))
    runs.descend(net, unit, x, y, 1.0)
    for i, place, slope in slopes:
        assert np.isclose(before[i][0][place] - net[i][0][place], slope, atol=1e-6)


def test_a_dead_layer_holds_nothing():
    found = runs.estimates(np.zeros((500, 4)), np.arange(500) % 10, None, np.random.default_rng(0))
    assert set(found) == set(runs.NAMES) and all(v == (0.0, 0.0) for v in found.values())
