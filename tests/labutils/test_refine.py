"""The linear codec, its training, and the searches for coefficients."""

import re

import numpy as np
import pytest
from labutils import codec, coding

torch = pytest.importorskip("torch")
from labutils import refine  # noqa: E402

STEP = 20.0
LAM = 6 / (np.log(2) * STEP**2)


@pytest.fixture(scope="module")
def blocks():
    rng = np.random.default_rng(0)
    scale = 200 / (1 + np.arange(64))
    return rng.laplace(size=(300, 64)) * scale @ codec.dct()


@pytest.fixture(scope="module")
def fitted(blocks):
    return refine.fit(refine.orthonormal(codec.dct(), STEP, blocks), blocks, LAM, transform=False, steps=60, batch=200)[0]


def test_bits_are_a_law_and_the_table_holds_them(fitted):
    k = torch.arange(-2000, 2001, dtype=torch.float64)[:, None].expand(-1, 64)
    assert np.allclose((2 ** -fitted.bits(k)).sum(0).numpy(), 1, atol=5e-4)
    table = fitted.table(30)
    assert np.allclose(table.sum(1), 1)
    assert np.allclose(table[:, 25:36].T, (2 ** -fitted.bits(k[1995:2006])).numpy(), rtol=1e-3)


def test_bits_of_one_gaussian_are_those_of_the_coder():
    codec_ = refine.LinearCodec(np.eye(64), np.eye(64), np.ones(64))
    codec_.logits = torch.tensor([[-60.0, 60.0, -60.0]], dtype=torch.float64).repeat(64, 1)
    k = torch.zeros(1, 64, dtype=torch.float64)
    want = (1 - refine.FLOOR) * coding.gaussian_mass(0, 0.0, 0.6) + refine.FLOOR / refine.RANGE
    assert np.allclose(codec_.bits(k).numpy(), -np.log2(want))


def test_loss_by_hand(fitted, blocks):
    x = torch.as_tensor(blocks[:5])
    k = fitted.round(x)
    error = ((blocks[:5] - k.numpy() @ fitted.synthesis.T.numpy()) ** 2).sum(1)
    assert np.allclose(fitted.loss(x, k, LAM).numpy(), fitted.bits(k).sum(1).numpy() + LAM * error)


def test_fit_lowers_the_loss_and_keeps_a_fixed_transform(blocks):
    start = refine.orthonormal(codec.dct(), STEP, blocks)
    x = torch.as_tensor(blocks)
    before = refine.plain(start, x, LAM).loss.mean()
    after, course = refine.fit(start, blocks, LAM, transform=False, steps=60, batch=200)
    assert refine.plain(after, x, LAM).loss.mean() < before and len(course) == 60
    assert np.allclose(after.analysis.numpy(), codec.dct() / STEP)
    refine.fit(after, blocks, LAM, steps=3, batch=50)
    assert not np.allclose(after.analysis.numpy(), codec.dct() / STEP)


def test_same_seed_same_codec(blocks):
    a, b = (refine.fit(refine.orthonormal(codec.dct(), STEP, blocks), blocks, LAM, steps=5, batch=50, seed=3)[0] for _ in range(2))
    assert torch.equal(a.synthesis, b.synthesis)


def test_coordinates_end_where_listing_ends(fitted, blocks):
    x = torch.as_tensor(blocks[:60])
    found = refine.coordinates(fitted, x, LAM)
    y = x @ fitted.analysis.T
    k = torch.cat([torch.round(y)[..., None] + torch.arange(-5, 6), torch.zeros(*y.shape, 1)], -1)
    bits = torch.stack([fitted.bits(k[..., i]) for i in range(12)], -1)
    least = (bits + LAM * STEP**2 * (y[..., None] - k) ** 2).min(-1).values.sum(-1)
    assert np.allclose(found.loss.numpy(), least.numpy(), atol=1e-8)


def test_coordinates_are_a_local_minimum_of_any_linear_codec(fitted, blocks):
    rng = np.random.default_rng(2)
    other = refine.LinearCodec(fitted.analysis.numpy(), fitted.synthesis.numpy() + rng.normal(scale=0.3, size=(64, 64)), np.ones(64))
    other.logits, other.log_scales = fitted.logits, fitted.log_scales
    x = torch.as_tensor(blocks[:20])
    found = refine.coordinates(other, x, LAM, sweeps=60)
    assert bool((found.loss <= refine.plain(other, x, LAM).loss + 1e-9).all())
    for i in range(0, 64, 7):
        for move in (-1, 1):
            k = found.k.clone()
            k[:, i] += move
            assert bool((other.loss(x, k, LAM) >= found.loss - 1e-9).all())


@pytest.mark.parametrize("kind", refine.KINDS)
def test_annealing_never_raises_the_loss_and_repeats(fitted, blocks, kind):
    x = torch.as_tensor(blocks[:30])
    a, b = (refine.anneal(fitted, x, LAM, kind=kind, steps=30, seed=1) for _ in range(2))
    assert bool((a.loss <= refine.plain(fitted, x, LAM).loss).all()) and torch.equal(a.k, b.k)
    assert torch.allclose(a.loss, fitted.loss(x, a.k, LAM)) and a.cost == 92
    assert bool((a.loss >= refine.coordinates(fitted, x, LAM).loss - 1e-9).all())


def test_without_acceptance_some_blocks_may_rise(fitted, blocks):
    x = torch.as_tensor(blocks[:60])
    hot = refine.anneal(fitted, x, LAM, kind="straight", rate=0.3, steps=5, accept=False)
    assert bool((hot.loss > refine.plain(fitted, x, LAM).loss).any())


def test_dead_zone_is_the_best_of_its_grid(fitted, blocks):
    x = torch.as_tensor(blocks[:60])
    one = refine.dead_zone(fitted, x, LAM, grid=6)
    y, thresholds = (x @ fitted.analysis.T).numpy(), (0, 0.1, 0.2, 0.3, 0.4, 0.5)
    tried = [float(fitted.loss(x, torch.as_tensor(np.sign(y) * np.floor(abs(y) + 0.5 - t)), LAM).sum()) for t in thresholds]
    assert float(one.loss.sum()) == pytest.approx(min(tried)) and min(tried) < 0.999 * tried[0] and one.cost == 6


def test_draws_of_the_annealing_have_the_closed_form():
    generator = torch.Generator().manual_seed(0)
    for d, tau in ((0.2, 0.5), (0.7, 1.0), (0.45, 0.1)):
        drawn = refine._relaxed(torch.full((40000,), 5 + d, dtype=torch.float64), "gumbel", tau, generator)
        want = float(refine.rounding_up(d, tau))
        assert abs(float((drawn > 5.5).double().mean()) - want) < 4 * np.sqrt(want * (1 - want) / 40000) + 1e-4
        assert float(drawn.min()) >= 5 and float(drawn.max()) <= 6
    assert refine.rounding_up(0.5, 0.3) == 0.5


def test_temperature_stays_for_a_third_and_falls_to_a_twentieth(fitted, blocks, monkeypatch):
    seen, relaxed = [], refine._relaxed
    monkeypatch.setattr(refine, "_relaxed", lambda y, kind, tau, generator: (seen.append(tau), relaxed(y, kind, tau, generator))[1])
    refine.anneal(fitted, torch.as_tensor(blocks[:4]), LAM, steps=30, tau=0.5)
    assert seen[:11] == [0.5] * 11 and np.allclose(seen[10:], 0.5 * 20 ** (-np.arange(20) / 20)) and seen[-1] > 0.5 / 20


def test_training_sees_noise_and_laws_see_rounding(blocks):
    """What enters the loss: y + u with u uniform on (-1/2, 1/2) if the transform learns, whole numbers if not."""
    class Spy(refine.LinearCodec):
        def loss(self, x, k, lam):
            self.u, self.k = (k - x @ self.analysis.T).detach(), k.detach()
            return super().loss(x, k, lam)

    spy = refine.orthonormal(codec.dct(), STEP, blocks)
    spy.__class__ = Spy
    refine.fit(spy, blocks, LAM, steps=1, batch=200)
    assert float(spy.u.abs().max()) <= 0.5 and abs(float(spy.u.var()) - 1 / 12) < 0.005 and abs(float(spy.u.mean())) < 0.02
    refine.fit(spy, blocks, LAM, steps=1, batch=200, transform=False)
    assert torch.equal(spy.k, torch.round(spy.k))


def test_draws_harden_as_the_temperature_falls():
    """The share of draws above 1/2 does not tell whether chance is divided by τ; the share above 0.9 does."""
    for d, tau in ((0.3, 0.5), (0.6, 0.2)):
        drawn = refine._relaxed(torch.full((40000,), d, dtype=torch.float64), "gumbel", tau, torch.Generator().manual_seed(2))
        odds = (1 - d) * (2 - d) / (d * (1 + d))
        want = 1 / (1 + 9**tau * odds ** (1 / (2 * tau)))               # logistic noise beyond τ log 9 less the log odds
        assert abs(float((drawn > 0.9).double().mean()) - want) < 4 * np.sqrt(want * (1 - want) / 40000)


@pytest.mark.parametrize("call, message", [
    (lambda: refine.LinearCodec(np.eye(3), np.eye(64), np.ones(64)), "analysis and synthesis must be [64, 64], spread [64]; got (3, 3)"),
    (lambda: refine.orthonormal(2 * np.eye(64), 1.0, np.zeros((2, 64))), "basis must be orthonormal, [64, 64]"),
    (lambda: refine.rounding_up(1.0, 1.0), "d must lie between 0 and 1; got 1.0 to 1.0"),
    (lambda: refine.rounding_up(0.5, 0.0), "tau must be a number > 0; got 0.0"),
    (lambda: refine.anneal(None, None, 1.0, kind="hot"), "kind must be one of gumbel, soft, noise, straight; got 'hot'"),
    (lambda: refine.fit(None, None, 0.0), "lam must be a number > 0; got 0.0"),
    (lambda: refine.coordinates(None, None, 1.0, sweeps=0), "sweeps must be a whole number >= 1; got 0"),
    (lambda: refine.dead_zone(None, None, 1.0, grid=1), "grid must be a whole number >= 2; got 1"),
])
def test_bad_input_says_which_rule_it_breaks(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
