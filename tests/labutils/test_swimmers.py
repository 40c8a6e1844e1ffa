"""Swimmers: forces against differences, identities of the rates, the stored cluster, bad input."""

import json

import numpy as np
import pytest
from labutils import swimmers
from labutils.runtime import data_path
from labutils.swimmers import Swimmers


def some(count=30, length=6.0, **how):
    s = Swimmers(count, length, **how)
    rng = np.random.default_rng(2)
    x = s.lattice() + 0.2 * rng.standard_normal((count, 2))
    return s, x, s.headings(x.shape, rng)


def test_forces_are_the_slope_of_an_energy_and_cancel():
    s, x, _ = some()

    def energy(x):
        d = x[:, None] - x[None]
        r = np.sqrt(((d - s.length * np.round(d / s.length)) ** 2).sum(-1)) + 2 * np.eye(s.count)
        return s.k / 4 * (np.maximum(1 - r, 0) ** 2).sum()

    force, divergence, touch = s.forces(x)
    assert np.abs(force).max() > 1 and touch.max() >= 2
    assert np.allclose(force.sum(0), 0, atol=1e-10)
    h = 1e-6
    for i in (0, 7):
        slopes = []
        for a in range(2):
            step = np.zeros_like(x)
            step[i, a] = h
            assert np.isclose((energy(x - step) - energy(x + step)) / (2 * h), force[i, a], atol=1e-5)
            slopes.append((s.forces(x + step)[0] - s.forces(x - step)[0])[i, a] / (2 * h))
        assert np.isclose(sum(slopes), divergence[i], rtol=1e-6)


def test_neighbour_lists_and_batches_give_the_same_forces():
    s, x, g = some()
    dense = s.forces(x)
    listed = s.forces(x, np.triu_indices(s.count, 1))
    stacked = s.forces(np.stack([x, x + s.length]))
    for a, b, c in zip(dense, listed, stacked):
        assert np.allclose(a, b) and np.allclose(a, c[0]) and np.allclose(a, c[1])


def test_swimmers_at_one_place_do_not_spoil_the_others():
    s = Swimmers(np.int64(3), 6.0)
    x = np.array([[1.0, 1.0], [1.0, 1.0], [1.5, 1.0]])
    dense, listed = s.forces(x), s.forces(x, np.triu_indices(3, 1))
    for a, b in zip(dense, listed):
        assert np.isfinite(a).all() and np.allclose(a, b)
    assert dense[0][2, 0] == 2 * s.k * 0.5 and (dense[2] == [1, 1, 2]).all()


def test_the_parities_share_out_the_propulsion_swimmer_by_swimmer():
    s, x, g = some()
    rates = s.rates(g, *s.forces(x)[:2])
    assert np.allclose(rates["work even"] + rates["work odd"], s.v0**2 * (g**2).sum(-1) / s.eps)


@pytest.mark.parametrize("steady", [False, True])
def test_propulsion_keeps_its_law(steady):
    s = Swimmers(2000, 80.0, gamma=0.3, steady=steady)
    rng = np.random.default_rng(0)
    g = first = s.headings((2000, 2), rng)
    for _ in range(20):
        g = s.turn(g, 0.1, rng)
    assert abs((g**2).sum(-1).mean() - (1 if steady else 2)) < 0.1
    if steady:
        assert np.allclose((g**2).sum(-1), 1)
    assert abs((g * first).sum(-1).mean() / (first**2).sum(-1).mean() - np.exp(-0.6)) < 0.05


def test_both_forms_of_the_mean_agree_in_a_stationary_run_and_tell_a_long_step():
    s = Swimmers(40, 8.0, gamma=0.5, k=10.0, eps=0.1)
    fine = swimmers.record(s, dt=0.005, settle=2000, frames=2, between=10000, window=10000, seed=1)["means"]
    assert abs(fine["heat even"] / fine["work even"] - 1) < 0.03
    assert abs(fine["heat odd"] / fine["work odd"] - 1) < 0.1
    free = s.v0**2 * 2 / s.eps
    assert abs((fine["work even"] + fine["work odd"]) / free - 1) < 0.1  # E|g|² wanders, 40 swimmers
    coarse = swimmers.record(s, dt=0.045, settle=300, frames=1, between=1000, window=1000, seed=1)["means"]
    assert abs(coarse["heat odd"] / coarse["work odd"] - 1) > abs(fine["heat odd"] / fine["work odd"] - 1)


def test_cloud_has_the_shape_and_lies_in_the_box():
    s = Swimmers(5, 4.0, k=10.0, eps=0.1)
    x, g = s.cloud(7, 0.02, 20, seed=3)
    assert x.shape == g.shape == (7, 5, 2) and x.min() >= 0 and x.max() <= 4
    assert (s.cloud(7, 0.02, 20, seed=3)[0] == x).all()


def test_the_stored_cluster_is_what_its_command_makes():
    s, means, frames = swimmers.stored()
    assert len(frames) == swimmers.RUN["frames"] and all(len(v) == s.count for f in frames for v in f.values())
    assert abs(means["work even"] + means["work odd"] - s.v0**2 / s.eps) < 0.1
    assert abs(means["heat even"] / means["work even"] - 1) < 0.05
    stored = json.loads(data_path(swimmers.FILE).read_text(encoding="utf-8"))["slice"]
    again = swimmers.record(Swimmers(40, 8.0, steady=True), **swimmers.SLICE)["means"]
    assert again == pytest.approx(stored, rel=1e-3)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Swimmers(10, 5.0, eps=0.0), "eps must be > 0: at temperature zero .* got 0.0"),
        (lambda: Swimmers(10, 5.0, eps="a"), "eps must be > 0: .* got 'a'"),
        (lambda: Swimmers(10, 5.0, eps=np.inf), "eps must be > 0: .* got inf"),
        (lambda: Swimmers(10, 5.0, v0=np.nan), "v0 must be a finite number; got nan"),
        (lambda: Swimmers(10, 0.0), "length must be a number > 0; got 0.0"),
        (lambda: Swimmers(10, 1.5), "length must be at least two diameters; got 1.5"),
        (lambda: Swimmers(1, 5.0), "count must be a whole number >= 2; got 1"),
        (lambda: Swimmers(10, 5.0, gamma=-1.0), "gamma must be a number > 0; got -1.0"),
        (lambda: next(some()[0].walk(*some()[1:], 0.5, 3, 1)), "dt must be below 0.02 for k = 25; got 0.5"),
        (lambda: some()[0].cloud(2, 0.5, 3, 1), "dt must be below 0.02 for k = 25; got 0.5"),
        (lambda: next(some()[0].walk(np.full((30, 2), np.nan), some()[2], 0.01, 3, 1)), "a swimmer is not before step 1"),
    ],
)
def test_bad_input_gets_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
