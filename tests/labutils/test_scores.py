"""Networks for scores: derivatives, symmetries, a known score found, the stored networks."""

import numpy as np
import pytest
import torch
from labutils import scores
from labutils.swimmers import Swimmers

pytestmark = pytest.mark.usefixtures("one_thread")


def states(m=3, n=5, length=4.237, seed=0):
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(m, n, 2, generator=draw, dtype=torch.float64) * length
    g = torch.randn(m, n, 2, generator=draw, dtype=torch.float64)
    return torch.stack([x, g], 1).requires_grad_(True)


def network(layers=1, length=4.237):
    torch.manual_seed(0)
    return scores.SwimmerTransformer(length, layers=layers, reach=1.6).double()


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_score_turns_and_permutes_with_the_swimmers(layers):
    model, z = network(layers), states()
    s = model(z)
    order = torch.tensor([3, 0, 4, 1, 2])
    assert torch.allclose(model(z[:, :, order]), s[:, :, order], atol=1e-10)
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(model(z @ quarter.T), s @ quarter.T, atol=1e-10)
    moved = z + torch.tensor([[0.7, -0.4], [0.0, 0.0]], dtype=torch.float64)[None, :, None]
    assert torch.allclose(model(moved), s, atol=1e-10)
    far = z + torch.tensor([model.length, 0.0], dtype=torch.float64) * torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)
    assert torch.allclose(model(far), s, atol=1e-10)


def test_who_is_out_of_reach_does_not_matter():
    model = network(1, length=12.0)
    z = states(1, 3, length=1.0).detach()
    alone = model(z.requires_grad_(True))
    stranger = torch.tensor([[[6.0, 6.0]], [[1.0, 0.5]]], dtype=torch.float64)[None]
    joined = torch.cat([z.detach(), stranger], 2).requires_grad_(True)
    assert torch.allclose(model(joined)[:, :, :3], alone, atol=1e-6)


def test_divergences_are_those_of_differences_and_a_probe_is_right_on_average():
    model, z = network(), states(2, 3)
    D = torch.tensor([0.2, 0.5], dtype=torch.float64).reshape(2, 1, 1).expand(2, 3, 2)
    exact = scores.divergence(model(z), z, D)
    h, total = 1e-5, torch.zeros(2, dtype=torch.float64)
    for a in range(12):
        step = torch.zeros(12, dtype=torch.float64)
        step[a] = h
        ahead, behind = (model((z + sign * step.reshape(2, 3, 2)).detach().requires_grad_(True)) for sign in (1, -1))
        total += D.reshape(-1)[a] * (ahead - behind).reshape(2, -1)[:, a].detach() / (2 * h)
    assert torch.allclose(exact, total, atol=1e-5)
    draw = torch.Generator().manual_seed(1)
    probes = []
    for _ in range(400):
        coins = (2 * torch.randint(0, 2, tuple(z.shape), generator=draw) - 1).double()
        probes.append(scores.divergence(model(z), z, D, coins).detach())
    probes = torch.stack(probes)
    assert (abs(probes.mean(0) - exact) < 4 * probes.std(0) / 20).all()


@pytest.mark.parametrize("gradient", [True, False])
def test_a_known_score_is_found(gradient):
    """x uniform on the ring, g normal with mean sin(2πx/4)/2."""
    draw = torch.Generator().manual_seed(3)
    x = 4 * torch.rand(20000, 1, generator=draw) - 2
    bend = torch.sin(np.pi / 2 * x) / 2
    z = torch.cat([x, bend + torch.randn(x.shape, generator=draw)], 1)
    torch.manual_seed(1)
    model = scores.Plane(4.0, waves=2, width=32, gradient=gradient)
    D = torch.tensor([0.5, 1.0])
    before = float(scores.batched(model, z, D)[0].mean())
    scores.fit_score(model, z[:15000], D, steps=250, batch=256, rate=5e-3, seed=2, exact=True)
    loss, s, _ = scores.batched(model, z[15000:], D)
    gap = z[15000:, 1:] - bend[15000:]
    truth = torch.cat([gap * torch.cos(np.pi / 2 * x[15000:]) * np.pi / 4, -gap], 1)
    assert (((s - truth) ** 2).mean() / (truth**2).mean()).item() < 0.06
    assert float(loss.mean()) < before


def test_the_same_seed_is_the_same_run():
    def run():
        torch.manual_seed(0)
        model = scores.Plane(4.0, width=8)
        return scores.fit_score(model, torch.randn(50, 2, generator=torch.Generator().manual_seed(1)), 1.0, 3, 8, 1e-2, 5)

    assert run() == run()


def test_stored_networks_load_and_their_training_is_made_again():
    found = scores.stored()
    assert list(found) == list(scores.PLAN)
    samples, D = scores.school(Swimmers(**scores.SCHOOL), 40, seed=1)
    for model in found.values():
        assert torch.isfinite(model(samples.requires_grad_(True))).all()
    again = scores.train_stored(layers=1, steps=3, walkers=64)[1]
    assert again == pytest.approx(scores.slice_losses(), rel=1e-2)


@pytest.mark.parametrize(
    "how, message",
    [
        (dict(steps=0), "steps must be a whole number >= 1; got 0"),
        (dict(batch=0.5), "batch must be a whole number >= 1; got 0.5"),
        (dict(rate=1e30, steps=3), "the loss must stay finite; it is not at step 2"),
    ],
)
def test_bad_input_gets_one_clear_line(how, message):
    with pytest.raises(ValueError, match=message):
        scores.fit_score(scores.Plane(4.0, width=4), torch.randn(9, 2), 1.0, **{"steps": 2, "batch": 4, "rate": 1e-2, "seed": 1, **how})
