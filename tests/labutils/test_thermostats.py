"""Steps drawn at a temperature, the thermostat made of them, and the three published controllers."""

from dataclasses import replace

import numpy as np
import pytest

from labutils import policy
from labutils.policy import methods, thermostat
from labutils.policy.harness import Loop, Method, train
from labutils.policy.tabular import Table
from labutils.policy.trap import Trap

torch = pytest.importorskip("torch")


def draws(seed=0, actions=7, n=200):
    return 1.5 * np.random.default_rng(seed).standard_normal((n, actions))


# ---------------------------------------------------------------- a step at a temperature

def test_at_temperature_is_the_normalised_power():
    z = draws()
    T = np.linspace(0.3, 3, 200)
    power = policy.softmax(z) ** (1 / T[:, None])
    assert np.allclose(np.exp(thermostat.at_temperature(z, T)), power / power.sum(-1, keepdims=True), atol=1e-13)
    assert np.allclose(thermostat.at_temperature(z, 1.0), policy.log_softmax(z), atol=1e-14)


@pytest.mark.parametrize("T", [0.0, -1.0, float("inf"), float("nan")])
def test_bad_temperatures_are_named(T):
    with pytest.raises(ValueError, match="T must be"):
        thermostat.at_temperature(draws(), T)


def test_bad_arrays_of_temperatures_are_named():
    with pytest.raises(ValueError, match="T must be > 0; got -1"):
        thermostat.at_temperature(draws(), np.full(200, -1.0))
    with pytest.raises(ValueError, match="must broadcast"):
        thermostat.at_temperature(draws(), np.ones(3))


def test_the_change_is_that_of_a_small_step():
    z, h = draws(), 1e-5
    for T in (0.5, 0.9, 1.3, 4.0):
        step = np.exp(thermostat.at_temperature(z, T)) - policy.softmax(z)
        slope = (policy.entropy(z + h * step) - policy.entropy(z - h * step)) / (2 * h)
        assert np.allclose(thermostat.temperature_change(z, T), slope, atol=1e-9)


def test_the_sign_is_that_of_T_minus_one_and_hotter_is_more():
    for actions in (2, 3, 30, 300):
        z = draws(actions, actions) * np.exp(np.random.default_rng(1).uniform(-2, 2, size=(200, 1)))
        change = np.stack([thermostat.temperature_change(z, T) for T in (0.2, 0.7, 1.0, 1.5, 6.0, 1e6)])
        assert (np.diff(change, axis=0) >= -1e-12).all() and np.abs(change[2]).max() < 1e-13
        limit = np.sum(policy.softmax(z) * policy.discriminator(z), axis=-1)
        assert np.allclose(change[-1], limit, atol=1e-5)


def test_torch_gives_the_same_with_gradients():
    z = draws(n=5)
    t = torch.tensor(z, requires_grad=True)
    got = thermostat.temperature_change(t, 1.4)
    assert np.allclose(got.detach().numpy(), thermostat.temperature_change(z, 1.4), atol=1e-14)
    got.sum().backward()
    assert torch.isfinite(t.grad).all()


# ---------------------------------------------------------------- the thermostat

def test_it_holds_what_is_in_reach_and_not_what_is_not():
    start = np.tile([2.3] + [0.0] * 9, (4, 1))
    H, heating, end = thermostat.thermostat(start, np.array([0.5, 1.5, 0.5, 1.5]), np.array([0.2, 0.2, 0.05, 0.05]), steps=4000)
    mean = H[2000:].mean(axis=0)
    assert np.abs(mean[:3] / [0.5, 1.5, 0.5] - 1).max() < 0.02 and mean[3] < 1
    assert H.shape == heating.shape == (4000, 4) and end.shape == start.shape
    assert heating[2000:, 3].mean() == 1 and 0.4 < heating[2000:, 0].mean() < 0.8


def test_without_drift_nothing_moves_at_T_1_and_uniform_stays():
    z = draws(n=3)
    H, _, end = thermostat.thermostat(z, 1.0, 0.3, warm=1.0, cool=1.0, drift=0.0, steps=20)
    assert np.allclose(end, z, atol=1e-13) and np.allclose(H, H[0], atol=1e-13)
    H, _, _ = thermostat.thermostat(np.zeros((2, 5)), 0.3, 0.3, steps=50)
    assert np.allclose(H, np.log(5), atol=1e-12)


@pytest.mark.parametrize("change, message", [
    ({"alpha": -1.0}, "alpha must be >= 0"), ({"drift": -0.1}, "drift must be >= 0"), ({"steps": 0}, "steps must be"),
    ({"warm": 0.0}, "T must be > 0"), ({"target": float("inf")}, "target must be finite"),
])
def test_bad_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        thermostat.thermostat(draws(n=2), **({"target": 9.0, "alpha": 0.1} | change))


# ---------------------------------------------------------------- the push of a group

def test_group_pressure_is_the_mean_over_sampled_groups():
    rng, G = np.random.default_rng(0), 6
    for p in (0.1, 0.5, 0.9):
        R = (rng.random((200_000, G)) < p).astype(float)
        centred, spread = R - R.mean(1, keepdims=True), R.std(1, ddof=1, keepdims=True)
        divided = np.where(spread > 0, centred / np.where(spread > 0, spread, 1), 0)
        assert abs((divided * R).mean() - thermostat.group_pressure(p, G)) < 2e-3
        assert abs((centred * R).mean() - thermostat.group_pressure(p, G, standard=False)) < 1e-3


def test_group_pressure_has_closed_forms():
    p = np.linspace(0, 1, 11)
    assert np.allclose(thermostat.group_pressure(p, 8, standard=False), p * (1 - p) * 7 / 8, atol=1e-14)
    assert np.allclose(thermostat.group_pressure(p, 2), p * (1 - p) * np.sqrt(0.5), atol=1e-14)
    with pytest.raises(ValueError, match=r"p must lie in \[0, 1\]; got 1.2"):
        thermostat.group_pressure(1.2, 8)
    with pytest.raises(ValueError, match="group must be"):
        thermostat.group_pressure(0.5, 1)


# ---------------------------------------------------------------- the published controllers

def epo_loss(z, low, high, fence, released, weight=0.7):
    """-λ (H - w P), with P the hinge of the paper or the constant of the code released with it."""
    log_pi = torch.log_softmax(z, -1)
    H = -(log_pi.exp() * log_pi).sum(-1)
    if released:
        P = torch.where((H >= low) & (H <= high), torch.zeros_like(H), torch.ones_like(H))
    else:
        P = torch.relu(low - H) + torch.relu(H - high)
    return -(weight * (H - fence * P)).sum(), H


@pytest.mark.parametrize("fence", [0.1, 0.2, 1.5])
def test_autograd_of_both_fences(fence):
    z = torch.tensor(draws(3), requires_grad=True)
    H = policy.entropy(z.detach())
    low, high = H.quantile(0.3) + 1e-6, H.quantile(0.7) + 1e-6
    side = ((H < low).double() - (H > high).double())[:, None]
    bonus = 0.7 * policy.discriminator(z.detach())          # gradient of -0.7 H
    got = {}
    for released in (False, True):
        z.grad = None
        epo_loss(z, low, high, fence, released)[0].backward()
        got[released] = z.grad.clone()
    assert torch.allclose(got[True], bonus, atol=1e-13)                              # no trace of the penalty
    assert torch.allclose(got[False], bonus * (1 + fence * side), atol=1e-13)
    assert side.abs().sum() > 100 and not torch.allclose(got[False], bonus, atol=1e-4)


def trained(method, steps=8, runs=3):
    table = Table(Trap(), runs=runs)
    curves = train(table, method, Loop(steps=steps, prompts=8, group=8, every=4), list(range(runs)))
    return table.logits, curves


def test_the_corridor_as_released_is_the_bonus_to_the_last_bit():
    bonus, _ = trained(methods.EntropyBonus(weight=0.04))
    assert np.array_equal(trained(methods.EntropyCorridor(bonus=0.04, released=True))[0], bonus)
    assert not np.array_equal(trained(methods.EntropyCorridor(bonus=0.04, right=1.0))[0], bonus)


def test_asking_again_costs_a_quarter_and_weights_cost_nothing():
    grpo, again, weighted = (trained(m)[1]["tokens"][-1] for m in (Method(), methods.ArbitraryEntropy(), methods.Dcpo()))
    assert (np.abs(again / grpo - 1.25) < 0.05).all() and (np.abs(weighted / grpo - 1) < 0.05).all()


def test_the_weight_of_dcpo_is_the_tempered_over_the_plain_probability():
    seen = {}

    class Spy(methods.Dcpo):
        def after(self, run, batch):
            seen["batch"], seen["run"] = batch, run

    trained(Spy(target=9.0), steps=1)
    batch = seen["batch"]
    pure = replace(batch, reward=1.0 + 0 * batch.reward)
    A = methods.Dcpo(target=9.0, warm=1.7).advantage(seen["run"], pure)      # all right: groups give nothing
    tempered = thermostat.at_temperature(batch.log_pi, 1.7)
    rho = np.exp(np.take_along_axis(tempered - batch.log_pi, batch.tokens[..., None], -1)[..., 0])
    assert np.allclose(A, 0.1 / 1.1 * rho * batch.live, atol=1e-12)


# ---------------------------------------------------------------- the stored runs

def test_the_stored_runs_hold_what_the_plan_says():
    from labutils.policy import thermostat_runs

    stored = thermostat_runs.load()
    assert list(stored) == list(thermostat_runs.plan())
    for row in stored.values():
        assert set(row) == set(thermostat_runs.KEPT)
        assert all(values.shape == (64,) and np.isfinite(values).all() for values in row.values())
        assert ((row["locked"] >= 0) & (row["locked"] <= 1)).all() and (row["entropy"] < np.log(9)).all()


def test_a_run_is_repeated_to_the_last_digit():
    from labutils.policy import thermostat_runs

    some = {"DCPO 0.6": thermostat_runs.plan()["DCPO 0.6"]}
    loop = Loop(steps=3, prompts=8, group=8, every=3)
    assert thermostat_runs.run(some, [1, 2], loop) == thermostat_runs.run(some, [1, 2], loop)
