"""The information bottleneck: closed forms, certificates, transitions, and every message."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import bottleneck as ib
from labutils import info
from scipy.optimize import brentq, minimize, minimize_scalar

FRONT = np.array([[8, 1, 1], [5, 4, 1], [1, 6, 3], [1, 1, 8]]) / 40
FLAG = np.array([[4, 5], [0, 1]]) / 10


def table(seed, x, y, sharpness=1.0):
    return np.random.default_rng(seed).dirichlet(np.full(x * y, sharpness)).reshape(x, y)


def plain(pxy, beta, joint, steps):
    """The textbook iteration, written again: p(z|x), then p(z), then p(y|z)."""
    px = pxy.sum(1)
    for _ in range(steps):
        pz, py_z = joint.sum(1), joint / joint.sum(1, keepdims=True)
        q = np.array([[pz[z] * np.exp(-beta * info.kl(pxy[x] / px[x], py_z[z])) for z in range(len(pz))] for x in range(len(px))])
        q /= q.sum(1, keepdims=True)
        joint = q.T @ pxy
    return q, joint


tables = st.builds(table, st.integers(0, 10_000), st.integers(2, 4), st.integers(2, 4), st.sampled_from([0.5, 1.0, 3.0]))


class TestStep:
    @given(tables, st.floats(0.3, 20))
    @settings(max_examples=20, deadline=None)
    def test_is_the_textbook_step_and_does_not_rise(self, pxy, beta):
        joint = np.random.default_rng(1).dirichlet(np.ones(3), size=len(pxy)).T @ pxy
        value, q, after = ib.step(pxy, beta, joint)
        want, joint_want = plain(pxy, beta, joint, 1)
        assert np.allclose(q, want, atol=1e-12) and np.allclose(after, joint_want, atol=1e-13)
        assert ib.step(pxy, beta, after)[0] <= value + 1e-14

    def test_value_at_a_fixed_point_is_the_functional(self):
        s = ib.solve(FRONT, 4.0)
        value, _, _ = ib.step(FRONT, 4.0, s.weights[:, None] * s.decoder)
        assert np.isclose(value, s.value + 4 * info.mutual_information(FRONT), atol=1e-13)


class TestSolve:
    @pytest.mark.parametrize("ratio", [0.5, 0.99, 1.01, 1.05, 1.2, 2, 5])
    def test_symmetric_source_to_1e_9(self, ratio):
        beta = ratio / 0.64
        s, closed = ib.solve(np.array([[0.45, 0.05], [0.05, 0.45]]), beta), ib.symmetric_binary(0.1, beta)
        assert abs(s.i_xz - closed.i_xz) < 1e-9 and abs(s.i_zy - closed.i_zy) < 1e-9
        assert int(s.clusters) == (2 if ratio > 1 else 1)

    @given(tables, st.floats(0.5, 30))
    @settings(max_examples=15, deadline=None)
    def test_is_certified_consistent_and_not_beaten_by_random_encoders(self, pxy, beta):
        s = ib.solve(pxy, beta)
        assert s.gap <= 1e-11 and np.allclose(s.encoder.sum(-1), 1, atol=1e-12)
        assert np.isclose(s.value, s.i_xz - beta * s.i_zy)
        px = pxy.sum(1)
        assert np.isclose(s.i_xz, info.mutual_information(px[:, None] * s.encoder), atol=1e-12)
        assert np.isclose(s.i_zy, info.mutual_information(s.encoder.T @ pxy), atol=1e-12)
        rng = np.random.default_rng(0)
        for a in (0.05, 0.5, 2.0):
            q = rng.dirichlet(np.full(3, a), size=len(px)) + 1e-15
            q /= q.sum(1, keepdims=True)
            assert info.mutual_information(px[:, None] * q) - beta * info.mutual_information(q.T @ pxy) >= s.value - s.gap - 1e-12

    def test_plain_iteration_from_many_starts_is_never_lower(self):
        rng, s = np.random.default_rng(2), ib.solve(FRONT, 5.0)
        for _ in range(4):
            q, joint = plain(FRONT, 5.0, rng.dirichlet(np.ones(4), size=4).T @ FRONT, 150)
            value = info.mutual_information(FRONT.sum(1)[:, None] * q) - 5 * info.mutual_information(q.T @ FRONT)
            assert value >= s.value - 1e-12

    def test_search_leaves_a_local_minimum_that_the_start_would_keep(self):
        start = np.stack([FLAG.sum(0)] * 2) / 2 * np.array([[1.001, 0.999], [0.999, 1.001]])
        start /= start.sum()
        assert ib.solve(FLAG, 6.0, start=start, search=False).value > -1e-12
        assert ib.solve(FLAG, 6.0, start=start).value < -0.03

    def test_a_batch_is_its_members(self):
        betas = np.array([[1.0, 3.0], [5.0, 9.0]])
        s = ib.solve(FRONT, betas)
        assert s.encoder.shape[:2] == (2, 2) and s.i_xz.shape == (2, 2)
        for place in np.ndindex(2, 2):
            assert abs(s.i_xz[place] - ib.solve(FRONT, betas[place]).i_xz) < 1e-10

    def test_torch_gives_the_same(self):
        torch = pytest.importorskip("torch")
        a, b = ib.solve(FRONT, np.array([1.5, 4.0, 9.0])), ib.solve(torch.asarray(FRONT), torch.asarray([1.5, 4.0, 9.0], dtype=torch.float64))
        assert np.allclose(a.i_xz, b.i_xz.numpy(), atol=1e-10) and (a.clusters == b.clusters.numpy()).all()
        assert abs(ib.critical_beta(torch.asarray(FRONT)) - ib.critical_beta(FRONT)) < 1e-12
        assert abs(ib.contraction(torch.asarray(FRONT)) - ib.contraction(FRONT)) < 1e-12
        assert np.allclose(ib.symmetric_binary(0.1, torch.asarray([2.0])).i_xz.numpy(), ib.symmetric_binary(0.1, [2.0]).i_xz)
        g, t = ib.gaussian([[1.0]], [[0.8]], [[1.0]], [2.0]), ib.gaussian(*(torch.asarray(x) for x in ([[1.0]], [[0.8]], [[1.0]], [2.0])))
        assert np.allclose(g.i_zy, t.i_zy.numpy())

    def test_equal_rows_stay_together_at_any_price(self):
        pxy = np.array([[6, 2, 2], [6, 2, 2], [1, 8, 1], [3, 1, 6]]) / 10 * np.array([0.1, 0.3, 0.35, 0.25])[:, None]
        s = ib.solve(pxy, 2000.0)
        assert int(s.clusters) == 3 and abs(s.i_xz - info.entropy([0.4, 0.35, 0.25])) < 1e-9
        assert np.allclose(s.encoder[0], s.encoder[1])

    def test_deterministic_answers_jump_at_one(self):
        pxy = np.array([[3, 0], [2, 0], [0, 1], [0, 4]]) / 10
        s = ib.solve(pxy, np.array([0.99, 1.01]))
        assert np.allclose(s.i_xz, [0, info.entropy([0.5, 0.5])], atol=1e-9)


class TestCertificate:
    def test_lower_bound_holds_from_any_state(self):
        rng = np.random.default_rng(4)
        for _ in range(5):
            joint = rng.dirichlet(np.ones(2), size=2).T @ FLAG
            value, _, _ = ib.step(FLAG, 6.0, joint)
            gap, s = ib.certificate(FLAG, 6.0, joint)
            best = ib.solve(FLAG, 6.0)
            assert best.value + 6 * info.mutual_information(FLAG) >= value - gap - 1e-12
            assert np.isclose(s.sum(), 1)

    def test_names_the_missing_cluster(self):
        gap, s = ib.certificate(FLAG, 6.0, np.array([FLAG.sum(0)]))
        assert gap > 0.7 and np.allclose(s, [0, 1], atol=1e-6)
        assert ib.certificate(FLAG, 4.5, np.array([FLAG.sum(0)]))[0] < 1e-12


class TestCurve:
    def test_a_dense_search_finds_no_cluster_below_a_transition_and_finds_it_above(self):
        """The climbs of `certificate` against a grid over all pmfs of three outcomes, climbed longer."""
        t, rows, px = ib.curve(FRONT, np.array([7.0, 8.0])).transitions[0], FRONT * 4, FRONT.sum(1)
        grid = np.array([(i + 0.1, k + 0.1, 40.1 - i - k) for i in range(41) for k in range(41 - i)]) / 40.3
        for beta, missing in ((t.low * (1 - 2e-5), False), (t.high * (1 + 5e-5), True)):
            s3 = ib.solve(FRONT, 7.0)
            branch = ib.solve(FRONT, beta, start=(s3.weights[:, None] * s3.decoder)[:3], search=False)
            K = 3
            D = np.array([[info.kl(a, b) for b in branch.decoder[:K]] for a in rows])
            weight = px / (branch.weights[:K] * np.exp(-beta * D)).sum(1)
            s = grid
            for _ in range(1500):
                g = weight * np.exp(-beta * (np.sum(rows * np.log(rows), 1) - np.log(np.maximum(s, 1e-300)) @ rows.T))
                s = g @ rows / g.sum(1, keepdims=True)
            assert (g.sum(1).max() > 1 + 1e-9) == missing
            gap, _ = ib.certificate(FRONT, beta, branch.weights[:K, None] * branch.decoder[:K])
            assert (gap > 1e-9) == missing

    def test_front_table(self):
        c = ib.curve(FRONT)
        assert [(t.before, t.after, t.kind) for t in c.transitions] == [(1, 2, "appears"), (2, 3, "appears"), (3, 4, "appears")]
        assert np.allclose([t.high for t in c.transitions], [2.3682762, 3.2357983, 7.5824788], atol=2e-7)
        for t in c.transitions:
            assert t.high - t.low <= 2e-8 * t.high
            assert int(ib.solve(FRONT, t.low * (1 - 1e-5)).clusters) == t.before
            assert int(ib.solve(FRONT, t.high * (1 + 1e-4)).clusters) == t.after
        s = c.solutions
        assert s.gap.max() < 1e-11 and (np.diff(s.i_xz) >= -1e-9).all() and (np.diff(s.i_zy) >= -1e-9).all()

    @pytest.mark.parametrize("beta", [3.2359, 3.236, 3.2362])
    def test_a_cluster_close_to_another_is_not_missed(self, beta):
        """Between its appearance at 3.23580 and the instability at 3.23624 the third cluster gains up to
        1e-7 nats a unit of weight, behind a ridge; SciPy finds the same gain from beyond the ridge."""
        s2 = ib.solve(FRONT, 3.2)
        branch = ib.solve(FRONT, beta, start=(s2.weights[:, None] * s2.decoder)[:2], search=False)
        rows, px = FRONT * 4, FRONT.sum(1)
        cost = lambda s: beta * np.sum(rows * np.log(rows / s), axis=1)
        Z = sum(r * np.exp(-cost(s)) for r, s in zip(branch.weights[:2], branch.decoder[:2]))

        def loss(v):
            s = np.exp(v) / np.exp(v).sum()
            g = px / Z * np.exp(-cost(s))
            return -np.log(g.sum()), -beta * (g @ rows / g.sum() - s)

        there = minimize(loss, np.log([0.13, 0.27, 0.6]), jac=True, method="BFGS", options={"gtol": 1e-13})
        gap, s = ib.certificate(FRONT, beta, branch.weights[:2, None] * branch.decoder[:2])
        assert -there.fun > 1e-8 and abs(gap + there.fun) < 1e-12
        assert np.allclose(s, np.exp(there.x) / np.exp(there.x).sum(), atol=1e-5)
        whole = ib.solve(FRONT, beta)
        assert int(whole.clusters) == 3 and whole.gap < 1e-10 and whole.value < branch.value

    @pytest.mark.parametrize("seed", range(4))
    def test_certificate_of_a_poor_fixed_point_against_long_climbs(self, seed):
        """Two clusters where more pay: 300 random starts, climbed 1500 times, find no larger gain."""
        rng = np.random.default_rng(seed)
        pxy = table(seed, 4, 4)
        betas, px = np.array([2.0, 5.0, 12.0]) / ib.contraction(pxy), pxy.sum(1)
        rows = pxy / px[:, None]
        found = ib.solve(pxy, betas, start=rng.dirichlet(np.ones(2), size=4).T @ pxy, search=False)
        gap, _ = ib.certificate(pxy, betas, found.weights[..., None] * found.decoder)
        for beta, r, dec, least in zip(betas, found.weights, found.decoder, gap):
            K = int((r > 0).sum())
            D = lambda s: np.sum(rows * np.log(rows), 1)[:, None] - rows @ np.log(s).T
            weight, s = px / (r[:K] * np.exp(-beta * D(dec[:K]))).sum(1), rng.dirichlet(np.ones(4), size=300)
            for _ in range(1500):
                g = (weight[:, None] * np.exp(-beta * D(s))).T
                s = np.maximum(g @ rows / g.sum(1, keepdims=True), 1e-300)
            assert np.log(g.sum(1).max()) <= least + 1e-12

    def test_just_above_each_transition_the_new_cluster_is_found(self):
        """Down to 1e-6 above; a residual above tol is accepted only with a small gap, which is reported."""
        for t, after in ((2.36827624, 2), (3.23579832, 3), (7.58247878, 4)):
            s = ib.solve(FRONT, t * (1 + np.array([1e-6, 1e-5, 1e-4, 1e-3])))
            assert (s.clusters == after).all() and (s.gap <= 1e-9).all() and (s.gap[2:] <= 1e-12).all()

    def test_a_coarse_grid_passes_none(self):
        assert len(ib.curve(FRONT, np.array([2.0, 10.0])).transitions) == 3

    def test_symmetric_source_splits_at_the_closed_form(self):
        (t,) = ib.curve(np.array([[0.45, 0.05], [0.05, 0.45]]), np.array([1.2, 2.0])).transitions
        assert t.kind == "splits" and t.low <= 1.5625 * (1 + 1e-8) and t.high >= 1.5625 * (1 - 1e-8)


class TestThresholds:
    def test_table_of_tenths(self):
        assert abs(ib.critical_beta(FLAG) - 13.5) < 1e-9
        assert abs(1 / ib.contraction(FLAG) - np.log(10) / np.log(5 / 3)) < 1e-9

    @given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0, 3.0]))
    @settings(max_examples=15, deadline=None)
    def test_contraction_is_the_largest_ratio(self, seed, sharpness):
        pxy = table(seed, 2, 3, sharpness)
        p, u = pxy.sum(1), np.linspace(1e-4, 1 - 1e-4, 20001)
        u = np.stack([u, 1 - u], 1)
        ratio = info.kl(u @ (pxy / p[:, None]), np.tile(pxy.sum(0), (len(u), 1))) / info.kl(u, np.tile(p, (len(u), 1)))
        best = ratio[abs(u[:, 0] - p[0]) > 0.005].max()
        eta = ib.contraction(pxy)
        assert best - 1e-9 <= eta <= max(best, 1 / ib.critical_beta(pxy)) * 1.01 + 1e-6
        assert eta >= 1 / ib.critical_beta(pxy) * (1 - 1e-12)

    def test_independent_variables_have_no_threshold(self):
        pxy = np.outer([0.3, 0.7], [0.2, 0.8])
        assert ib.critical_beta(pxy) == np.inf
        with pytest.raises(ValueError, match="betas must be given where X and Y are independent"):
            ib.curve(pxy)


class TestClosedForms:
    def test_gaussian_scalar(self):
        g = ib.gaussian([[1.0]], [[0.8]], [[1.0]], [1.5, 1.6, 2.0, 5.0])
        assert abs(g.critical[0] - 1.5625) < 1e-12
        assert np.allclose(g.gains[:, 0], [0, 0.0666667, 0.7777778, 6.1111111], atol=1e-7)
        for beta, a, b in zip([1.6, 2.0, 5.0], g.i_xz[1:], g.i_zy[1:]):
            f = lambda x: (1 - beta) * np.log1p(x) / 2 + beta / 2 * np.log1p(0.36 * x)
            assert abs(minimize_scalar(f, bounds=(0, 50), method="bounded", options={"xatol": 1e-10}).fun - (a - beta * b)) < 1e-12

    def test_gaussian_projection_attains_its_informations(self):
        rng = np.random.default_rng(0)
        m, n = rng.normal(size=(2, 3, 3))
        cx, cxy, cy = m @ m.T, m @ np.diag([0.9, 0.7, 0.5]) @ n.T, n @ n.T
        g = ib.gaussian(cx, cxy, cy, [1.1, 1.5, 3.0, 9.0])
        assert np.allclose(g.critical, [1 / 0.81, 1 / 0.49, 4.0])
        rest = cx - cxy @ np.linalg.solve(cy, cxy.T)
        for a, ixz, izy in zip(g.projection, g.i_xz, g.i_zy):
            whole = np.linalg.slogdet(a @ cx @ a.T + np.eye(3))[1] / 2
            assert abs(whole - ixz) < 1e-10 and abs(whole - np.linalg.slogdet(a @ rest @ a.T + np.eye(3))[1] / 2 - izy) < 1e-10

    @pytest.mark.parametrize("flip", [0.01, 0.1, 0.3, 0.45])
    def test_symmetric_solves_its_equation(self, flip):
        c = 1 - 2 * flip
        betas = np.array([1.001, 1.5, 4.0, 40.0]) / c**2
        s = ib.symmetric_binary(flip, betas)
        for beta, a in zip(betas[:3], s.flip[:3]):
            f = lambda t: np.arctanh(t) - beta * c * np.arctanh(c * t)
            if f(1 - 1e-12) > 0:
                assert abs(brentq(f, 1e-6, 1 - 1e-12, xtol=1e-14) - (1 - 2 * a)) < 1e-9
        assert (ib.symmetric_binary(flip, 0.99 / c**2).i_xz == 0).all()
        assert (s.i_zy <= np.log(2) - info.entropy([flip, 1 - flip]) + 1e-12).all()

    def test_small_values_keep_their_digits(self):
        near = ib.symmetric_binary(0.1, (1 + 1e-8) / 0.64)
        assert np.isclose(near.i_xz, 0.5 * 3e-8 / 0.36, rtol=1e-5)


BAD = [
    (lambda: ib.solve(FLAG * 1.1, 2.0), "pxy must sum to 1"),
    (lambda: ib.solve([0.5, 0.5], 2.0), "pxy must be a joint pmf [X, Y]; got shape (2,)"),
    (lambda: ib.solve([[0.5, 0.5], [0, 0]], 2.0), "pxy must have p(x) > 0 for every row; got 0 in row 1"),
    (lambda: ib.solve([[0.5, 0], [0.5, 0]], 2.0), "pxy must have p(y) > 0 for every column; got 0 in column 1"),
    (lambda: ib.solve([[0.5, np.nan], [0.5, 0]], 2.0), "pxy must be >= 0 everywhere; got nan"),
    (lambda: ib.solve(FLAG, 0.0), "beta must be finite and > 0; got 0"),
    (lambda: ib.solve(FLAG, [1.0, np.nan]), "beta must be finite and > 0; got nan"),
    (lambda: ib.solve(FLAG, 2.0, tol=0), "tol must be > 0; got 0"),
    (lambda: ib.solve(FLAG, 2.0, start=np.ones((2, 3)) / 6), "joint must be p(z,y) of shape [..., K, 2]; got (2, 3)"),
    (lambda: ib.solve(FLAG, 2.0, start=np.ones((2, 2))), "joint must sum to 1"),
    (lambda: ib.curve(FLAG, [3.0, 2.0]), "betas must be an increasing array of at least two values"),
    (lambda: ib.curve(FLAG, [2.0, 3.0], rtol=2), "rtol must lie between 0 and 1; got 2"),
    (lambda: ib.critical_beta(FLAG / 2), "pxy must sum to 1"),
    (lambda: ib.gaussian([[1.0, 0.2]], [[0.5]], [[1.0]], 2.0), "cov_x must be a square matrix; got shape (1, 2)"),
    (lambda: ib.gaussian([[1.0, 0.2], [0.1, 1.0]], [[0.5], [0.1]], [[1.0]], 2.0), "cov_x must be symmetric"),
    (lambda: ib.gaussian([[1.0]], [[0.5]], [[-1.0]], 2.0), "cov_y must be positive definite; got the eigenvalue -1"),
    (lambda: ib.gaussian([[1.0]], [[0.5, 0.1]], [[1.0]], 2.0), "cov_xy must have shape (1, 1); got (1, 2)"),
    (lambda: ib.gaussian([[1.0]], [[1.0]], [[1.0]], 2.0), "cov_xy must leave every correlation below 1; got 1"),
    (lambda: ib.gaussian([[1.0]], [[0.5]], [[1.0]], -1.0), "beta must be finite and > 0; got -1"),
    (lambda: ib.symmetric_binary(0.5, 2.0), "flip must lie strictly between 0 and 1/2; got 0.5"),
    (lambda: ib.symmetric_binary(0.1, 0.0), "beta must be finite and > 0; got 0"),
]


@pytest.mark.parametrize("call, message", BAD, ids=[m[:40] for _, m in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_too_few_steps_are_named():
    with pytest.raises(RuntimeError, match="the iteration must reach a change below tol = .* within steps = 3"):
        ib.solve(FRONT, 4.0, search=False, steps=3)
