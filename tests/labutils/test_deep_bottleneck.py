"""Deep bottlenecks: closed forms against quadrature and samples, exact identities, every message."""

import re

import numpy as np
import pytest
from labutils import deep_bottleneck as db
from labutils import info
from scipy.integrate import quad
from scipy.stats import norm

RNG = np.random.default_rng(5)


def raises(message, f, *args, **kwargs):
    with pytest.raises(ValueError, match=re.escape(message)):
        f(*args, **kwargs)


class TestRate:
    def test_closed_form_against_quadrature(self):
        for m, v in ((0.0, 1.0), (1.3, 0.2), (-0.4, 3.0)):
            q = norm(m, v**0.5)
            want = quad(lambda z: q.pdf(z) * (q.logpdf(z) - norm.logpdf(z)), -30, 30, points=[m], limit=400)[0]
            assert abs(float(db.gaussian_rate(np.array([[m]]), np.array([[v]]))[0]) - want) < 1e-7

    def test_split_against_a_mixture_that_quadrature_does(self):
        mean, var = np.array([[-1.0], [0.2], [2.0]]), np.array([[0.3], [0.5], [0.1]])
        q = lambda z: norm.pdf(z, mean[:, 0], var[:, 0] ** 0.5)
        want = np.mean([quad(lambda z: q(z)[i] * np.log(q(z)[i] / q(z).mean()), mean[i, 0] - 7 * var[i, 0] ** 0.5,
                             mean[i, 0] + 7 * var[i, 0] ** 0.5, limit=400)[0] for i in range(3)])
        s = db.rate_split(mean, var, np.random.default_rng(0), draws=4000)
        assert s.error < 0.006 and abs(s.information - want) < 4 * s.error
        assert abs(s.rate - s.information - s.marginal) < 1e-12 and s.marginal > 0

    def test_ceilings(self):
        mean, var = 5.0 * np.arange(192).reshape(64, 3), np.full((64, 3), 1e-2)
        assert abs(db.rate_split(mean, var, RNG).information - np.log(64)) < 1e-9
        assert abs(db.rate_split(mean, var, RNG, batch=16).information - np.log(16)) < 1e-9
        same = db.rate_split(np.zeros((50, 2)), np.ones((50, 2)), RNG)
        assert same.rate == 0 and abs(same.information) < 1e-12
        one, two = (db.rate_split(mean / 200, 0 * mean + 0.3, np.random.default_rng(1), batch=b) for b in (None, 64))
        assert abs(one.information - two.information) < 4 * (one.error + two.error)

    def test_messages(self):
        ok = np.ones((4, 2))
        raises("var must be > 0; got 0", db.gaussian_rate, ok, 0 * ok)
        raises("mean and var must be matrices [N, K] of one shape; got (4, 2) and (4, 1)", db.gaussian_rate, ok, ok[:, :1])
        raises("draws must be a whole number >= 2; got 1", db.rate_split, ok, ok, RNG, draws=1)
        raises("batch must be at most the 4 inputs; got 5", db.rate_split, ok, ok, RNG, batch=5)
        raises("mean must be finite; got nan", db.gaussian_rate, ok * np.nan, ok)


class TestCauchySchwarz:
    def test_gaussian_against_quadrature(self):
        p, q = norm(0.3, 0.8), norm(1.5, 1.4)
        both = lambda a, b: quad(lambda x: a.pdf(x) * b.pdf(x), -20, 20)[0]
        want = -2 * np.log(both(p, q)) + np.log(both(p, p)) + np.log(both(q, q))
        got = db.cs_gaussian([0.3], [[0.64]], [1.5], [[1.96]])
        assert abs(got - want) < 1e-9

    def test_gaussian_laws(self):
        A = RNG.normal(size=(3, 3))
        P, Q, m, k = A @ A.T + np.eye(3), np.diag([1.0, 2.0, 0.3]), RNG.normal(size=3), RNG.normal(size=3)
        d = db.cs_gaussian(m, P, k, Q)
        assert abs(d - db.cs_gaussian(k, Q, m, P)) < 1e-12 and d > 0
        assert abs(db.cs_gaussian(m, P, m, P)) < 1e-12
        B = RNG.normal(size=(3, 3))
        assert abs(d - db.cs_gaussian(B @ m, B @ P @ B.T, B @ k, B @ Q @ B.T)) < 1e-9

    def test_information_of_gaussians(self):
        for rho in (0.0, 0.3, -0.9):
            joint = np.array([[1, rho], [rho, 1.0]])
            assert abs(db.cs_information_gaussian(rho) - db.cs_gaussian([0, 0], joint, [0, 0], np.eye(2))) < 1e-12
        rho = np.linspace(-0.99, 0.99, 9)
        assert (db.cs_information_gaussian(rho) <= -0.5 * np.log(1 - rho**2)).all()

    def test_estimates_are_divergences_of_kernel_densities(self):
        x, y, s = RNG.normal(size=5), RNG.normal(1, 2, size=7), 0.6
        p = lambda z: norm.pdf(z, x, s / 2**0.5).mean()
        q = lambda z: norm.pdf(z, y, s / 2**0.5).mean()
        I = lambda f: quad(f, -12, 12, limit=400)[0]
        want = -2 * np.log(I(lambda z: p(z) * q(z))) + np.log(I(lambda z: p(z) ** 2)) + np.log(I(lambda z: q(z) ** 2))
        assert abs(db.cs_divergence(x, y, s) - want) < 1e-8

    def test_estimates_come_near_the_smoothed_truth(self):
        s, want = 0.3, float(db.cs_gaussian([0], [[1.045]], [1.5], [[0.535]]))
        assert abs(want - 1.479) < 1e-3
        draws = [np.random.default_rng(i).normal(size=(2, 1500)) for i in range(8)]
        for diagonal in (True, False):
            got = [db.cs_divergence(a, 1.5 + 0.7 * b, s, diagonal) for a, b in draws]
            assert abs(np.mean(got) - want) < 4 * np.std(got) / 8**0.5

    def test_information_estimate(self):
        x = RNG.normal(size=400)
        assert 0 <= db.cs_information(x, RNG.normal(size=400), 0.5, 0.5) < 0.03
        assert abs(db.cs_information(x, x, 1e-9, 1e-9) - np.log(400)) < 1e-6
        t = np.tanh(x)
        assert db.cs_information(x, t, 0.3, 0.3) > 0.3
        order = RNG.permutation(400)
        assert abs(db.cs_information(x[order], t[order], 0.3, 0.3) - db.cs_information(x, t, 0.3, 0.3)) < 1e-12

    @pytest.mark.parametrize("form", db.FORMS)
    def test_conditional_forms(self, form):
        x, y, z = RNG.normal(size=(3, 60))
        assert abs(db.cs_conditional(x, y, y, 0.4, 0.7, form)) < 1e-12
        far = np.arange(60) * 100.0
        want = -2 * np.log(np.mean(np.exp(-((y - z) ** 2) / (2 * 0.49))))
        assert abs(db.cs_conditional(far, y, z, 0.4, 0.7, form) - want) < 1e-12
        wide = db.cs_conditional(x, y, z, 1e6, 0.7, form)
        assert abs(wide - db.cs_divergence(y, z, 0.7)) < 1e-9

    @pytest.mark.parametrize("diagonal", [True, False])
    def test_estimates_written_out(self, diagonal):
        """Every pair by hand: who stands where in B, which pairs count, what divides."""
        n, s, l = 7, 0.9, 0.6
        x, y, z = np.random.default_rng(8).normal(size=(3, n))
        k = lambda a, b, w: np.exp(-((a - b) ** 2) / (2 * w * w))
        kept = lambda i, j: diagonal or i != j
        pairs = [(i, j) for i in range(n) for j in range(n)]
        mean = lambda a, b: np.mean([k(a[i], b[j], s) for i, j in pairs if a is not b or kept(i, j)])
        want = np.log(mean(x, x)) + np.log(mean(y, y)) - 2 * np.log(mean(x, y))
        assert abs(db.cs_divergence(x, y, s, diagonal) - want) < 1e-12
        weights = {"derived": lambda j: sum(k(x[j], x[i], s) for i in range(n)) ** 2,
                   "released": lambda j: sum(k(x[j], x[i], s) ** 2 for i in range(n)),
                   "mean": lambda j: sum(k(x[j], x[i], s) for i in range(n))}
        for form, weight in weights.items():
            B = lambda a, b: sum(sum(k(x[j], x[i], s) * k(a[j], b[i], l) for i in range(n) if kept(i, j)) / weight(j) for j in range(n))
            want = np.log(B(y, y)) + np.log(B(z, z)) - 2 * np.log(B(z, y))
            assert abs(db.cs_conditional(x, y, z, s, l, form, diagonal) - want) < 1e-12
            assert abs(B(z, y) - B(y, z)) > 1e-3

    def test_information_written_out_and_where_inputs_are_alone(self):
        n = 9
        x, z = np.random.default_rng(9).normal(size=(2, n))
        K, Q = (np.array([[np.exp(-((a - b) ** 2) / 0.5) for a in v] for b in v]) for v in (x, z))
        cross = sum(K[i, j] * Q[k, j] for i in range(n) for j in range(n) for k in range(n)) / n**3
        assert abs(db.cs_information(x, z, 0.5, 0.5) - np.log((K * Q).mean() * K.mean() * Q.mean() / cross**2)) < 1e-12
        assert abs(db.cs_information(1e4 * x, z, 0.5, 0.5) + np.log(Q.mean())) < 1e-12

    def test_a_points_own_kernel_is_the_bias_of_a_right_model(self):
        sigma, s_y, met = 0.5, 0.3, 0.3 / np.sqrt(0.59)
        off = {form: [] for form in ("released", "mean")}
        for seed in range(12):
            r = np.random.default_rng(seed)
            x, (y, z) = r.normal(size=500), sigma * r.normal(size=(2, 500))
            K = np.exp(-((x[:, None] - x) ** 2) / 0.08)
            for form, w in (("released", (K**2).sum(1)), ("mean", K.sum(1))):
                want = 2 * np.log(1 + (1 / met - 1) * (1 / w).sum() / (K.sum(1) / w).sum())
                assert want > 0.05
                off[form].append(db.cs_conditional(x, y, z, 0.2, s_y, form) - want)
        assert all(abs(np.mean(v)) < 4 * np.std(v, ddof=1) / 12**0.5 < 0.03 for v in off.values())

    def test_forms_differ_where_inputs_crowd(self):
        r = np.random.default_rng(0)
        x = np.sqrt(r.random(1500))
        y, z = 0.5 * r.normal(size=(2, 1500))
        z = z + 2 * (1 - x)
        derived, released, mean = (float(db.cs_conditional(x, y, z, 0.1, 0.3, f)) for f in db.FORMS)
        assert derived > released + 0.2 and abs(released - mean) < 0.05

    def test_torch_gives_the_same_and_a_gradient(self):
        torch = pytest.importorskip("torch")
        x, y, z = RNG.normal(size=(3, 20, 2))
        t = [torch.tensor(a, requires_grad=True) for a in (x, y, z)]
        for f in (lambda a, b, c: db.cs_conditional(a, b, c, 0.8, 0.7), lambda a, b, c: db.cs_information(a, b, 0.8, 0.7),
                  lambda a, b, c: db.cs_divergence(a, b, 0.8)):
            value = f(*t)
            assert abs(float(value.detach()) - float(f(x, y, z))) < 1e-12
            (g,) = torch.autograd.grad(value, t[1])
            up, down = y.copy(), y.copy()
            up[3, 1] += 1e-5
            down[3, 1] -= 1e-5
            assert abs(float(g[3, 1]) - float(f(x, up, z) - f(x, down, z)) / 2e-5) < 1e-7

    def test_median_width(self):
        assert db.median_width(np.array([0.0, 1.0, 3.0])) == 2.0
        raises("x must have at least two rows", db.median_width, np.zeros((4, 2)))

    def test_messages(self):
        x = RNG.normal(size=(5, 2))
        raises("s must be a number > 0; got 0", db.gram, x, x, 0)
        raises("x and y must have the same number of columns; got 2 and 1", db.gram, x, x[:, :1], 1)
        raises("x, z must have the same number of rows; got 5, 4", db.cs_information, x, x[:4], 1, 1)
        raises("form must be one of derived, released, mean; got 'mine'", db.cs_conditional, x, x, x, 1, 1, "mine")
        raises("s must be wide enough", db.cs_divergence, x, x + 1e6, 0.1)
        raises("rho must lie strictly between -1 and 1", db.cs_information_gaussian, 1.0)
        raises("cov_q must be positive definite", db.cs_gaussian, [0.0], [[1.0]], [0.0], [[-1.0]])
        raises("cov_p must be a symmetric matrix of shape (1, 1)", db.cs_gaussian, [0.0], np.eye(2), [0.0], [[1.0]])
        raises("x must be finite; got nan", db.gram, x * np.nan, x, 1)
        raises("x must be rows of numbers, [N, d]; got shape (0,)", db.gram, np.zeros(0), x, 1)
        raises("at least two rows without the diagonal", db.cs_divergence, [0.0], [1.0], 1.0, False)


class TestLinear:
    lam = np.array([4.0, 2.5, 0.7, 0.1, 0.0])

    def test_no_code_costs_less(self):
        for beta in (0.2, 1.0, 3.0):
            s = db.linear_vae(self.lam, 0.5, beta)
            best = float(s.distortion + beta * s.rate)
            same = db.linear_cost(self.lam, 0.5, beta, s.encoder, s.noise, s.decoder)
            assert abs(same[3] - best) < 1e-12 and abs(same[1] - s.rate) < 1e-12 and abs(same[2] - s.rate) < 1e-12
            for _ in range(300):
                step = RNG.choice([0.001, 0.1, 1.0])
                v, w = s.encoder + step * RNG.normal(size=5), s.decoder + step * RNG.normal(size=5)
                n = s.noise * np.exp(step * RNG.normal(size=5))
                assert db.linear_cost(self.lam, 0.5, beta, v, n, w)[3] >= best - 1e-12

    def test_counts_errors_and_slope(self):
        betas = np.geomspace(0.05, 20, 60)
        s = db.linear_vae(self.lam, 0.5, betas)
        assert (s.active == (self.lam > betas[:, None] * 0.5).sum(1)).all()
        assert np.allclose(s.error, np.minimum(self.lam, betas[:, None] * 0.5))
        a, b = db.linear_vae(self.lam, 0.5, 1.0), db.linear_vae(self.lam, 0.5, 1.0001)
        assert abs((b.distortion - a.distortion) / (b.rate - a.rate) + 1.00005) < 1e-4
        few = db.linear_vae(self.lam, 0.5, 0.5, latents=1)
        assert few.active == 1 and np.allclose(few.error, [0.25, 2.5, 0.7, 0.1, 0.0])
        assert db.linear_vae(self.lam[::-1].copy(), 0.5, 0.5, latents=1).decoder[-1] > 0
        nothing = db.linear_vae(self.lam, 0.5, 100.0)
        assert nothing.active == 0 and nothing.rate == 0 and (nothing.noise == 1).all()

    def test_it_is_the_likelihood_at_beta_one(self):
        s = db.linear_vae(self.lam, 0.5, 1.0)
        var = s.decoder**2 + 0.5
        entropy = 0.5 * (np.log(2 * np.pi * var) + self.lam / var).sum()
        assert abs(s.distortion + s.rate - entropy) < 1e-12

    def test_messages(self):
        raises("beta must be > 0", db.linear_vae, self.lam, 1.0, 0.0)
        raises("lam must be a vector of variances >= 0", db.linear_vae, [-1.0], 1.0, 1.0)
        raises("sigma2 must be a number > 0; got 0", db.linear_vae, self.lam, 0, 1.0)
        raises("latents must be a whole number >= 0; got -1", db.linear_vae, self.lam, 1.0, 1.0, -1)
        raises("noise must be > 0", db.linear_cost, self.lam, 1.0, 1.0, self.lam, 0 * self.lam, self.lam)


class TestRecommending:
    def test_ease_solves_its_problem(self):
        X = RNG.poisson(1.0, size=(40, 6)).astype(float)
        B = db.ease(X, 3.0)
        assert np.allclose(np.diag(B), 0)
        for j in range(6):
            rest = np.delete(np.arange(6), j)
            want = np.linalg.solve(X[:, rest].T @ X[:, rest] + 3 * np.eye(5), X[:, rest].T @ X[:, j])
            assert np.allclose(B[rest, j], want)
        raises("penalty must be a number > 0; got 0", db.ease, X, 0)

    def test_ranking_by_hand(self):
        scores = np.array([[9.0, 5.0, 4.0, 3.0, 2.0]])
        seen, held = np.array([[1.0, 0, 0, 0, 0]]), np.array([[0, 0, 2.0, 0, 1.0]])
        recall, gain = db.ranking(scores, seen, held, 2)
        assert recall == [0.5] and abs(gain[0] - (1 / np.log2(3)) / (1 + 1 / np.log2(3))) < 1e-12
        assert db.ranking(held, seen, held, 2)[1] == [1.0]
        recall, _ = db.ranking(np.r_[scores, scores], np.r_[seen, seen], np.r_[held, 0 * held], 4)
        assert recall.shape == (1,) and recall[0] == 1
        many = np.array([[0, 1.0, 1.0, 0, 1.0]])
        recall, gain = db.ranking(scores, seen, many, 2)
        assert recall == [1.0] and gain == [1.0], "two places cannot hold three items"
        raises("held must have at least one item", db.ranking, scores, seen, 0 * held)
        raises("k must be a whole number >= 1; got 0", db.ranking, scores, seen, held, 0)
        raises("scores, seen and held must be matrices of one shape", db.ranking, scores, seen[0], held)

    def test_a_chance_list(self):
        n, held = 400, np.zeros((400, 50))
        held[:, :5] = 1
        recall, _ = db.ranking(RNG.random((n, 50)), np.zeros((n, 50)), held, 10)
        assert abs(recall.mean() - 10 / 50) < 0.03


def test_two_words_for_one_thing():
    """Merging synonyms loses nothing, and raises a Cauchy-Schwarz information."""
    P = np.array([[0.2, 0.2, 0.0], [0.0, 0.0, 0.6]])
    cs = lambda P, q: -2 * np.log((P * q).sum()) + np.log((P**2).sum() * (q**2).sum())
    I = lambda P: cs(P, np.outer(P.sum(1), P.sum(0)))
    merged = np.stack([P[:, 0] + P[:, 1], P[:, 2]], 1)
    assert I(merged) > I(P) + 0.09 and abs(info.mutual_information(merged) - info.mutual_information(P)) < 1e-12
