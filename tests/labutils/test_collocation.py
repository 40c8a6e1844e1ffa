"""Collocation: least squares, gradients through a solver, parts of a rod, sorption."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.sparse import diags

from labutils import collocation as co


def test_a_linear_equation_and_its_normal_equations():
    rng = np.random.default_rng(0)
    A, y = rng.normal(size=(3, 30, 6)), rng.normal(size=(3, 30))
    found = co.solve(lambda w: ((A @ w[..., None])[..., 0] - y, A), np.zeros((3, 6)))
    for i in range(3):
        assert np.allclose(found.omega[i], np.linalg.lstsq(A[i], y[i])[0], atol=1e-7)
        assert np.allclose(co.least_squares(A[i], y[i]), np.linalg.lstsq(A[i], y[i])[0], atol=1e-12)
    assert found.gradient.shape == (3,) and found.gradient.max() < 1e-6


def test_a_curved_valley_is_followed_to_its_end():
    banana = lambda w: (np.stack([10 * (w[..., 1] - w[..., 0] ** 2), 1 - w[..., 0]], axis=-1),
                        np.stack([np.stack([-20 * w[..., 0], 10 + 0 * w[..., 0]], -1), np.stack([-1 + 0 * w[..., 0], 0 * w[..., 0]], -1)], axis=-2))
    found = co.solve(banana, np.array([[-1.2, 1.0], [3.0, -2.0]]), steps=200)
    assert np.allclose(found.omega, 1, atol=1e-8) and abs(found.residual).max() < 1e-8


def test_solve_in_torch_and_a_column_that_does_nothing():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    A, y = rng.normal(size=(20, 4)), rng.normal(size=20)
    A[:, 3] = 0
    want = co.solve(lambda w: (A @ w - y, A), np.zeros(4)).omega
    a, z = torch.tensor(A), torch.tensor(y)
    got = co.solve(lambda w: (a @ w - z, a), torch.zeros(4, dtype=torch.float64)).omega
    assert np.allclose(got.numpy(), want, atol=1e-10) and want[3] == 0


def test_solve_refuses():
    A = np.ones((5, 2))
    with pytest.raises(ValueError, match=r"equation must return F \[..., n\] and J \[..., n, N\] with N = 3"):
        co.solve(lambda w: (np.zeros(5), A), np.zeros(3))
    with pytest.raises(ValueError, match="damping must be a number > 0; got 0"):
        co.solve(lambda w: (A @ w, A), np.zeros(2), damping=0)
    with pytest.raises(ValueError, match="omega must be finite; got nan"):
        co.solve(lambda w: (A @ w, A), np.array([0.0, np.nan]))
    with pytest.raises(RuntimeError, match="the equation is not finite at the start"):
        co.solve(lambda w: (np.full(5, np.inf), A), np.zeros(2))
    with pytest.raises(ValueError, match=r"A must be \[..., n, N\] with n >= N"):
        co.least_squares(np.ones((2, 3)), np.ones(2))
    for A in (np.ones((5, 2)), np.zeros((5, 2)), np.stack([np.ones(5), np.arange(5.0), np.arange(5.0) + 2], axis=1)):
        with pytest.raises(ValueError, match="columns of A must be independent"):
            co.least_squares(A, np.arange(5.0))


def test_the_gradient_of_a_minimum():
    torch = pytest.importorskip("torch")
    theta = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    value = lambda th: float(np.roots([4.0, 0, 2.0, -2.0 * th])[np.isreal(np.roots([4.0, 0, 2.0, -2.0 * th]))].real[0])   # min (w - th)² + w⁴
    w = torch.tensor([value(0.7)], dtype=torch.float64)
    H = (2 + 12 * w**2)[:, None]
    followed = co.follow(w, 2 * (w - theta) + 4 * w**3, H)
    assert float(followed.detach()[0]) == float(w[0])
    slope = float(torch.autograd.grad(followed[0], theta)[0])
    assert np.isclose(slope, (value(0.70001) - value(0.69999)) / 2e-5, rtol=1e-6) and np.isclose(slope, 1 / (1 + 6 * float(w[0]) ** 2))
    with pytest.raises(ValueError, match="gradient must vanish at omega: solve to the minimum first"):
        co.follow(w + 1, 2 * (w + 1 - theta) + 4 * (w + 1) ** 3, H)


def test_the_hessian_of_sorption():
    torch = pytest.importorskip("torch")
    g = torch.Generator().manual_seed(0)
    rows = tuple(torch.randn(2, 15, 4, generator=g, dtype=torch.float64) for _ in range(3))
    start = tuple(torch.rand(2, 15, generator=g, dtype=torch.float64) for _ in range(2))
    w = 0.1 * torch.randn(2, 4, generator=g, dtype=torch.float64)
    F, J = co.residual(w, rows, start)
    H = co.hessian(w, rows, start)
    half = lambda v: (co.residual(v, rows, start)[0] ** 2).sum() / 2
    whole = torch.autograd.functional.hessian(half, w)
    for i in range(2):
        assert torch.allclose(whole[i, :, i], H[i], atol=1e-8)
        assert torch.allclose(J[i], torch.autograd.functional.jacobian(lambda v: co.residual(v, rows, start)[0], w)[i, :, i], atol=1e-10)
    fixed = tuple(v.numpy() for v in rows), tuple(v.numpy() for v in start)
    assert np.allclose(co.residual(w.numpy(), *fixed)[0], F) and np.allclose(co.hessian(w.numpy(), *fixed), H)


def test_flops_are_counted():
    n, N = 9, 4
    counted = 0
    for j in range(N):                                                     # a reflection of rows j.. applied to columns j..
        counted += 4 * (n - j) * (N - j)
    assert co.flops(n, N) == counted
    rng, run = np.random.default_rng(2), 0
    R = rng.normal(size=(30, 7))
    for j in range(7):                                                     # a factorisation that runs, and counts
        v = R[j:, j] + np.copysign(np.linalg.norm(R[j:, j]), R[j, j]) * np.eye(30 - j)[0]
        v /= np.linalg.norm(v)
        R[j:, j:] -= 2 * np.outer(v, v @ R[j:, j:])
        run += 4 * R[j:, j:].size
    assert abs(np.tril(R, -1)).max() < 1e-12 and co.flops(30, 7) == run and co.flops(90, 7, 3) == 3 * run
    assert co.flops(90, 7, 3, shared=False) == 3 * co.flops(30, 3)         # 7 columns in 3 parts: no part may have fewer than 3
    assert np.isclose(co.flops(10000, 30), 2 * 10000 * 900 - 2 * 30**3 / 3, rtol=0.05)
    assert co.flops(800, 80, 8, shared=False) < co.flops(800, 80) / 50 and co.flops(800, 80, 8) > co.flops(800, 80) / 2
    with pytest.raises(ValueError, match="at least as many rows as columns; got 10 rows and 20 columns for K = 8"):
        co.flops(80, 20, 8)


def test_a_rod_in_the_span_and_by_parts():
    f = lambda x: -(math.pi**2) * np.sin(math.pi * x)
    for K in (1, 2, 5):
        r = co.rod(f, K, 4, joined=1.0)
        assert abs(r.u - np.sin(math.pi * r.x)).max() < 1e-9 and abs(r.residual).max() < 1e-8 and len(r.jumps) == K - 1
    alone = co.rod(lambda x: x * (1 - x), 3, 10)
    joined = co.rod(lambda x: x * (1 - x), 3, 10, joined=10.0)
    truth = lambda x: x**3 / 6 - x**4 / 12 - x / 12
    assert abs(joined.u - truth(joined.x)).max() < 1e-4 * abs(truth(joined.x)).max()
    assert abs(alone.u - truth(alone.x)).max() > 0.05 * abs(truth(alone.x)).max() and abs(alone.jumps).max() > 100 * abs(joined.jumps).max()
    for wrong, message in (((f, 8, 40), "n / K must be at least N"), ((f, 0, 4), "K must be a whole number >= 1; got 0")):
        with pytest.raises(ValueError, match=message):
            co.rod(*wrong)
    with pytest.raises(ValueError, match="joined must be >= 0; got -1"):
        co.rod(f, 2, 4, joined=-1)
    with pytest.raises(ValueError, match="cut must lie strictly between 0 and 1; got 1"):
        co.rod(f, 2, 4, cut=1)


def test_jumps_are_right_less_left_at_the_seams():
    r = co.rod(lambda x: x * (1 - x), 3, 6, n=2400)
    for j in (1, 2):
        i = 800 * j
        after, before = 1.875 * r.u[i] - 1.25 * r.u[i + 1] + 0.375 * r.u[i + 2], 1.875 * r.u[i - 1] - 1.25 * r.u[i - 2] + 0.375 * r.u[i - 3]
        assert abs(r.jumps[j - 1]) > 1e-3 and np.isclose(r.jumps[j - 1], after - before, rtol=1e-5)


def test_retardation_and_its_derivatives():
    u, h = np.linspace(-0.5, 1.2, 40), 1e-4
    R, first, second = co.retardation(u)
    assert np.allclose(first, (co.retardation(u + h)[0] - co.retardation(u - h)[0]) / (2 * h), atol=1e-5)
    assert np.allclose(second, (co.retardation(u + h)[1] - co.retardation(u - h)[1]) / (2 * h), atol=1e-4)
    assert np.isclose(co.retardation(np.array(1.0))[0], 3.157, rtol=1e-3)
    x = np.linspace(0, 1, 9)
    g, g_xx = co.initial(x, 0.2, 2.5)
    assert g[0] == 1 and g[-1] == 0.2 and np.allclose(g_xx[1:-1], (co.initial(x[1:-1] + h, 0.2, 2.5)[0] - 2 * g[1:-1] + co.initial(x[1:-1] - h, 0.2, 2.5)[0]) / h**2, atol=1e-4)


def test_sorption_agrees_with_another_method():
    x, h = np.linspace(0, 1, 401), 1 / 400                                 # nodes, one of them on the wall, and an implicit method

    def rate(_, u):
        v = np.concatenate([[1.0], u, [u[-2]]])                            # no slope at x = 1: a mirror node
        return (v[2:] - 2 * v[1:-1] + v[:-2]) / h**2 / (1 + 2.157 * (u * u + 0.0025) ** -0.063)

    start = 0.1 + 0.9 * (1 - x[1:]) ** 4
    touched = diags([1.0, 1.0, 1.0, 1.0], [-2, -1, 0, 1], shape=(400, 400))
    want = solve_ivp(rate, (0, 0.4), start, method="BDF", t_eval=[0.1, 0.4], rtol=1e-7, atol=1e-9, jac_sparsity=touched).y
    got = co.sorption([0.1], [2.0], [0.1, 0.4], cells=100)[0]
    nodes = x[1:]
    middle = (np.arange(100) + 0.5) / 100
    assert abs(got - [np.interp(middle, nodes, w) for w in want.T]).max() < 3e-4


def test_sorption_refuses():
    with pytest.raises(ValueError, match="times must be >= 0 and increase"):
        co.sorption([0.1], [2.0], [0.2, 0.1])
    with pytest.raises(ValueError, match=r"number = dt / \(dx² min R\) must lie in \(0, 0.5\]; got 0.8"):
        co.sorption([0.1], [2.0], [0.1], number=0.8)
