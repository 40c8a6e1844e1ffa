"""Closed forms, independent solvers, properties, and what bad input is told."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from labutils import info, maxent
from scipy.optimize import linprog, minimize
from scipy.special import gammaln
from scipy.stats import binom, poisson

settings.register_profile("maxent", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("maxent")

DIE = np.arange(1.0, 7.0)[None]
TWO = np.stack([DIE[0], DIE[0] ** 2])


def random_problem(seed, A=2, X=6, batch=()):
    """Features, reachable targets and a prior."""
    rng = np.random.default_rng(seed)
    f = rng.standard_normal((*batch, A, X))
    inside = rng.dirichlet(np.ones(X), batch) if batch else rng.dirichlet(np.ones(X))
    mu = np.exp(rng.normal(0, 1, (*batch, X)))
    return f, (f @ inside[..., None])[..., 0], mu


seeds = st.integers(0, 10_000)


# Closed forms ---------------------------------------------------------------------------------


def test_brandeis_die():
    found = maxent.solve(DIE, [4.5])
    assert found.multipliers == pytest.approx([-0.371049], abs=1e-6)
    assert found.pmf == pytest.approx([0.05435, 0.07877, 0.11416, 0.16545, 0.23977, 0.34749], abs=6e-6)
    assert float(found.entropy) == pytest.approx(1.61358, abs=5e-6)
    assert abs(float(found.gap)) < 1e-12 and float(found.residual) < 1e-12


@pytest.mark.parametrize("F", [1e-9, 0.03, 0.5, 0.8, 1 - 1e-9])
def test_a_coin(F):
    found = maxent.solve([[0.0, 1.0]], [F])
    assert found.multipliers[0] == pytest.approx(math.log((1 - F) / F), rel=1e-6)
    assert float(found.log_z) == pytest.approx(-math.log1p(-F), rel=1e-5)
    assert float(found.entropy) == pytest.approx(float(info.entropy([F, 1 - F])), abs=1e-9)


def test_geometric_on_many_states():
    n = np.arange(4000.0)
    found = maxent.solve(n[None], [3.0])
    assert math.exp(-found.multipliers[0]) == pytest.approx(0.75, abs=1e-9)
    assert found.pmf[:20] == pytest.approx(0.25 * 0.75 ** n[:20], abs=1e-10)


def test_poisson_from_the_measure_of_names():
    n = np.arange(80.0)
    found = maxent.solve(n[None], [2.5], prior=np.exp(-gammaln(n + 1)))
    assert found.pmf == pytest.approx(poisson.pmf(n, 2.5), abs=1e-10)
    assert found.multipliers == pytest.approx([-math.log(2.5)], abs=1e-9)


def test_a_normal_density_on_a_grid():
    x = np.linspace(-12, 12, 4801)
    found = maxent.solve(np.stack([x, x**2]), [0.5, 1.25])
    assert found.multipliers == pytest.approx([-0.5, 0.5], abs=1e-8)
    h = float(found.entropy) + math.log(x[1] - x[0])
    assert h == pytest.approx(0.5 * math.log(2 * math.pi * math.e), abs=1e-8)


def test_a_constraint_that_tells_nothing():
    found = maxent.solve(DIE, [3.5])
    assert found.multipliers == pytest.approx([0.0], abs=1e-12)
    assert float(found.entropy) == pytest.approx(math.log(6), abs=1e-12)


# Independent solvers ---------------------------------------------------------------------------


def test_agrees_with_a_solver_that_knows_nothing_of_exponentials():
    f, F, mu = random_problem(5)
    cost = lambda p: float(np.sum(p * np.log(p / mu)))
    rules = [{"type": "eq", "fun": lambda p: p.sum() - 1}, {"type": "eq", "fun": lambda p: f @ p - F}]
    other = minimize(cost, np.full(6, 1 / 6), method="SLSQP", bounds=[(1e-12, 1)] * 6, constraints=rules,
                     options={"ftol": 1e-14, "maxiter": 500})
    assert other.success
    found = maxent.solve(f, F, prior=mu)
    assert found.pmf == pytest.approx(other.x, abs=1e-6)
    assert float(found.entropy) == pytest.approx(-other.fun, abs=1e-10)


@given(seeds)
def test_agrees_with_a_general_minimiser_of_the_dual(seed):
    f, F, mu = random_problem(seed, A=3, X=8)
    dual = lambda lam: float(np.log(np.sum(mu * np.exp(-lam @ (f - F[:, None])))))
    other = minimize(dual, np.zeros(3), method="BFGS", options={"gtol": 1e-9})
    found = maxent.solve(f, F, prior=mu)
    assert float(found.entropy) <= other.fun + 1e-9
    assert float(found.entropy) == pytest.approx(other.fun, abs=1e-7)


# Properties ------------------------------------------------------------------------------------


@given(seeds, st.integers(1, 4), st.integers(5, 9))
def test_means_certificate_and_covariance(seed, A, X):
    f, F, mu = random_problem(seed, A, X)
    found = maxent.solve(f, F, prior=mu)
    assert f @ found.pmf == pytest.approx(F, abs=1e-10)
    assert found.pmf.sum() == pytest.approx(1, abs=1e-12)
    assert abs(float(found.gap)) < 1e-9
    centred = f - F[:, None]
    assert found.covariance == pytest.approx((centred * found.pmf) @ centred.T, abs=1e-9)
    assert maxent.response(found.pmf, f) == pytest.approx(-found.covariance, abs=1e-10)
    assert float(maxent.log_partition(found.multipliers, f, mu)) == pytest.approx(float(found.log_z), abs=1e-12)


@given(seeds)
def test_no_rival_with_the_same_means_has_more_entropy(seed):
    f, F, mu = random_problem(seed)
    found = maxent.solve(f, F, prior=mu)
    keep = np.linalg.svd(np.concatenate([np.ones((1, 6)), f]))[2][3:]
    rng = np.random.default_rng(seed)
    rival = found.pmf + 0.5 * found.pmf.min() * (rng.uniform(-1, 1, (50, 3)) @ keep)
    rival = rival[(rival > 0).all(1)]
    H = -np.sum(rival * np.log(rival / mu), axis=1)
    assert len(rival) and (H <= float(found.entropy) + 1e-12).all()
    assert float(found.entropy) - H == pytest.approx(info.kl(rival, found.pmf), abs=1e-10)


@given(seeds)
def test_price_is_a_divergence_and_never_negative(seed):
    f, F, _ = random_problem(seed, A=3, X=7)
    old, new = maxent.solve(f[:2], F[:2]), maxent.solve(f, F)
    price = float(info.kl(new.pmf, old.pmf))
    assert float(old.entropy - new.entropy) == pytest.approx(price, abs=1e-9)
    assert price >= 0


@given(seeds, st.floats(0.01, 100), st.floats(-50, 50))
def test_units_of_a_feature_do_not_matter(seed, scale, shift):
    f, F, mu = random_problem(seed)
    first = maxent.solve(f, F, prior=mu)
    second = maxent.solve(scale * f + shift, scale * F + shift, prior=mu)
    assert second.pmf == pytest.approx(first.pmf, abs=1e-8)
    assert scale * second.multipliers == pytest.approx(first.multipliers, abs=1e-6)


@given(seeds)
def test_scale_of_the_prior_only_shifts(seed):
    f, F, mu = random_problem(seed)
    first, second = maxent.solve(f, F, prior=mu), maxent.solve(f, F, prior=7 * mu)
    assert second.pmf == pytest.approx(first.pmf, abs=1e-10)
    assert float(second.entropy - first.entropy) == pytest.approx(math.log(7), abs=1e-9)


def test_states_without_measure_stay_empty():
    mu = np.array([1.0, 0, 1, 1, 0, 1])
    found = maxent.solve(DIE, [4.5], prior=mu)
    alone = maxent.solve(DIE[:, mu > 0], [4.5])
    assert (found.pmf[mu == 0] == 0).all()
    assert found.pmf[mu > 0] == pytest.approx(alone.pmf, abs=1e-12)
    assert float(found.entropy) == pytest.approx(float(alone.entropy), abs=1e-12)


def test_merging_states_changes_nothing():
    x = np.array(list(itertools.product([0, 1], repeat=4)))
    fine = maxent.solve(x.sum(1)[None] * 1.0, [1.2])
    coarse = maxent.solve(np.arange(5.0)[None], [1.2], prior=[1, 4, 6, 4, 1])
    assert np.bincount(x.sum(1), fine.pmf) == pytest.approx(coarse.pmf, abs=1e-12)
    assert float(fine.entropy) == pytest.approx(float(coarse.entropy), abs=1e-12)


def test_batches_of_everything():
    f, F, mu = random_problem(3, batch=(4, 3))
    found = maxent.solve(f, F, prior=mu)
    assert found.pmf.shape == (4, 3, 6) and found.multipliers.shape == (4, 3, 2)
    assert found.covariance.shape == (4, 3, 2, 2) and found.entropy.shape == (4, 3)
    for i, j in ((0, 0), (3, 2)):
        alone = maxent.solve(f[i, j], F[i, j], prior=mu[i, j])
        assert found.pmf[i, j] == pytest.approx(alone.pmf, abs=1e-10)
    many = maxent.solve(DIE, np.linspace(1.5, 5.5, 9)[:, None])
    assert many.pmf.shape == (9, 6) and (np.diff(many.multipliers[:, 0]) < 0).all()
    measures = maxent.solve(DIE, [4.5], prior=np.stack([np.ones(6), 1 / DIE[0]]))
    assert measures.pmf.shape == (2, 6)


@pytest.mark.parametrize("dtype, tol", [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_torch_gives_the_same(dtype, tol):
    f, F, mu = random_problem(9, A=3, X=10, batch=(5,))
    there = maxent.solve(*(torch.tensor(x, dtype=dtype) for x in (f, F)), prior=torch.tensor(mu, dtype=dtype))
    here = maxent.solve(f, F, prior=mu)
    assert isinstance(there.pmf, torch.Tensor) and there.pmf.dtype == dtype
    assert there.pmf.numpy() == pytest.approx(here.pmf, abs=tol)
    assert there.entropy.numpy() == pytest.approx(here.entropy, abs=10 * tol)


@pytest.mark.parametrize("E", [40, 60, 70, 80, 100, 200])
def test_a_prior_with_nearly_all_mass_on_one_state(E):
    """Here E[hh] - mean mean cancels to noise: the curvature must be centred first."""
    x = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(float)
    f = np.stack([x.sum(1), x @ [-1.5, -0.5, 0.5, 1.5]])
    pairs = (x[:, :-1] * x[:, 1:]).sum(1)
    found = maxent.solve(f, [1.2, 0.3], prior=np.exp(E * pairs))
    assert f @ found.pmf == pytest.approx([1.2, 0.3], abs=1e-10)
    assert float(found.log_z + found.multipliers @ [1.2, 0.3]) == pytest.approx(float(found.entropy), abs=1e-9)


@pytest.mark.parametrize("spread", [20, 30, 40])
def test_strong_priors_are_no_obstacle(spread):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        f = rng.standard_normal((2, 6))
        F = f @ rng.dirichlet(np.ones(6))
        assert f @ maxent.solve(f, F, prior=np.exp(rng.normal(0, spread, 6))).pmf == pytest.approx(F, abs=1e-9)


# Redundant features ----------------------------------------------------------------------------


def test_redundant_features_share_the_multiplier_of_least_norm():
    f = np.stack([DIE[0], 3 * DIE[0] + 2, np.ones(6)])
    found = maxent.solve(f, [4.5, 15.5, 1.0])
    assert found.pmf == pytest.approx(maxent.solve(DIE, [4.5]).pmf, abs=1e-12)
    assert found.multipliers == pytest.approx(-0.371049 * np.array([0.1, 0.3, 0]), abs=1e-6)


@given(seeds)
def test_least_norm_against_the_pseudo_inverse(seed):
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((2, 7))
    f = rng.standard_normal((4, 2)) @ base + rng.standard_normal((4, 1))
    F = f @ rng.dirichlet(np.ones(7))
    found = maxent.solve(f, F)
    centred = f - f.mean(1, keepdims=True)
    shortest = np.linalg.pinv(centred.T, rcond=1e-10) @ (centred.T @ found.multipliers)
    assert found.multipliers == pytest.approx(shortest, abs=1e-6)
    assert f @ found.pmf == pytest.approx(F, abs=1e-9)


def test_a_constant_feature_and_its_rounded_mean():
    q = np.random.default_rng(0).dirichlet(np.ones(6), 200)
    f = np.stack([DIE[0], np.full(6, 0.3), np.full(6, 1e6)])
    found = maxent.solve(f, q @ f.T)
    assert found.multipliers[:, 1:] == pytest.approx(0, abs=1e-12)
    assert found.pmf == pytest.approx(maxent.solve(DIE, q @ DIE.T).pmf, abs=1e-9)


def test_redundant_on_the_support_only():
    f = np.stack([DIE[0], DIE[0] ** 2])
    mu = np.array([0, 0, 1.0, 0, 0, 1])
    assert f @ maxent.solve(f, [4.5, 22.5], prior=mu).pmf == pytest.approx([4.5, 22.5], abs=1e-10)
    with pytest.raises(ValueError, match=r"constraints \[0, 1\] are redundant"):
        maxent.solve(f, [4.5, 22.0], prior=mu)


def test_more_features_than_states():
    rng = np.random.default_rng(0)
    f, p = rng.standard_normal((5, 3)), np.array([0.2, 0.3, 0.5])
    assert maxent.solve(f, f @ p).pmf == pytest.approx(p, abs=1e-10)


# What cannot be met ----------------------------------------------------------------------------


def test_a_target_that_its_feature_never_reaches():
    with pytest.raises(ValueError, match=r"constraint 0 cannot be met: its target is 7, and f lies from 1 to 6"):
        maxent.solve(DIE, [7.0])
    with pytest.raises(ValueError, match=r"a = -1 along 1, in which max a.f = -1 < a.F = -0.5 *$|constraint 1"):
        maxent.solve(TWO, [4.5, 0.5])


def direction(message):
    return np.array([float(x) for x in message.split("a = (")[1].split(")")[0].split(", ")])


@pytest.mark.parametrize("F", [(4.5, 19.0), (4.5, 26.0), (3.5, 12.4)])
def test_the_separating_direction_separates(F):
    with pytest.raises(ValueError, match=r"constraints \[0, 1\] cannot be met together") as error:
        maxent.solve(TWO, F)
    a = direction(str(error.value))
    assert (a @ TWO).max() < a @ np.array(F)


def test_a_constraint_that_is_not_to_blame_is_not_named():
    rng = np.random.default_rng(1)
    f = np.concatenate([TWO, rng.standard_normal((1, 6))])
    with pytest.raises(ValueError, match=r"constraints \[0, 1\] cannot be met together"):
        maxent.solve(f, [4.5, 19.0, f[2].mean()])


def test_the_problem_of_a_batch_is_named():
    with pytest.raises(ValueError, match=r"constraints \[0, 1\] in problem \(1,\) cannot be met"):
        maxent.solve(TWO, [[4.5, 22.0], [4.5, 19.0]])


@pytest.mark.parametrize("F, stay", [((4.5, 20.5), "3, 4"), ((4.5, 25.5), "0, 5"), ((3.0, 9.0), "2")])
def test_targets_on_the_boundary_name_the_states_that_remain(F, stay):
    with pytest.raises(ValueError, match=rf"not on its boundary; .* leave only the states {stay} \("):
        maxent.solve(TWO, F)


def test_an_extreme_of_one_feature():
    with pytest.raises(ValueError, match="the target 6 of constraint 0 is an extreme of its feature"):
        maxent.solve(DIE, [6.0])


def test_near_the_boundary_is_solved():
    for eps in (1e-3, 1e-6, 1e-9):
        found = maxent.solve(DIE, [6 - eps])
        assert found.multipliers[0] == pytest.approx(math.log(eps), abs=2e-3)
        assert abs(float(found.gap)) < 1e-9


@pytest.mark.parametrize("spread", [0, 10, 30])
@given(seed=seeds)
def test_the_verdict_is_that_of_a_linear_program(spread, seed):
    """Inside, outside or on the edge, on points of a coarse grid where edges are hit often."""
    rng = np.random.default_rng(seed)
    f, F = rng.integers(-2, 3, (2, 5)).astype(float), rng.integers(-2, 3, 2) / 2.0
    if np.linalg.matrix_rank(np.concatenate([np.ones((1, 5)), f])) < 3:
        return
    equal = np.column_stack([np.vstack([f, np.ones(5)]), np.zeros(3)])
    lp = linprog(np.append(np.zeros(5), -1), A_ub=np.column_stack([-np.eye(5), np.ones(5)]), b_ub=np.zeros(5),
                 A_eq=equal, b_eq=np.append(F, 1), bounds=[(None, None)] * 6)
    least = -lp.fun
    try:
        maxent.solve(f, F, prior=np.exp(rng.normal(0, spread, 5)))
        verdict = "inside"
    except ValueError as error:
        verdict = "boundary" if "boundary" in str(error) else "outside"
    assert verdict == ("inside" if least > 1e-9 else "boundary" if least > -1e-9 else "outside")


def test_forbidden_pairs_of_pixels_are_found():
    x = np.array(list(itertools.product([0.0, 1.0], repeat=4))).T
    f = np.array([*x, x[0] * x[1], x[1] * x[2]])
    p = np.where(x[0] * (1 - x[1]) > 0, 0.0, 1.0)
    with pytest.raises(ValueError, match=r"constraints \[0, 4\] leave only the states .* \(12 of 16\)"):
        maxent.solve(f, f @ (p / p.sum()))


def test_without_scipy_the_certificates_stay(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ValueError, match="cannot be met together"):
        maxent.solve(TWO, [4.5, 19.0])
    with pytest.raises(ValueError, match="not on its boundary"):
        maxent.solve(TWO, [4.5, 20.5])


# Bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments, more, message", [
    (([1.0, 2.0], [1.5]), {}, r"features must have shape \[..., A, X\], A and X >= 1; got \(2,\)"),
    ((DIE, [1.0, 2.0]), {}, r"targets must have shape \[..., A\] with A = 1, one a feature; got \(2,\)"),
    ((DIE * np.nan, [3.5]), {}, r"features must be finite; got nan at \(0, 0\)"),
    ((DIE, [np.inf]), {}, r"targets must be finite; got inf at 0"),
    ((DIE, [3.5]), {"prior": np.ones(5)}, r"prior must have shape \[..., X\] with X = 6, one a state; got \(5,\)"),
    ((DIE, [3.5]), {"prior": -np.ones(6)}, r"prior must be >= 0 everywhere; got -1 at 0"),
    ((DIE, [3.5]), {"prior": np.zeros(6)}, r"prior must be > 0 somewhere; got 0 for every state"),
    ((DIE, [3.5]), {"prior": np.full(6, np.inf)}, r"prior must be finite; got inf at 0"),
    ((DIE, [3.5]), {"prior": 1.0}, r"prior must have shape \[..., X\], one number a state; got 1"),
    ((np.ones((2, 1, 6)) * DIE, np.full((3, 1), 3.5)), {}, r"features, targets and prior must have leading axes"),
    ((DIE, [4.5]), {"tol": 0.0}, r"tol must be > 0; got 0"),
    ((DIE, [4.5]), {"steps": 0}, r"steps must be a whole number >= 1; got 0"),
    ((DIE, [4.5]), {"steps": 1}, r"steps must be enough to bring the residual to tol = 1.8e-12; got .* after 1"),
    ((DIE, [4.5j]), {}, r"targets must be numbers"),
])
def test_bad_input_is_named(arguments, more, message):
    with pytest.raises(ValueError, match=message):
        maxent.solve(*arguments, **more)


@pytest.mark.parametrize("call, message", [
    (lambda: maxent.log_partition([1.0, 2.0], DIE), r"multipliers must have shape \[..., A\] with A = 1"),
    (lambda: maxent.log_partition([np.nan], DIE), r"multipliers must be finite; got nan at 0"),
    (lambda: maxent.exponential_pmf([1.0], DIE[0]), r"features must have shape"),
    (lambda: maxent.response([0.5, 0.6], DIE[:, :2]), r"pmf must sum to 1"),
    (lambda: maxent.response([0.5, 0.5], DIE), r"features must have shape \[..., F, X\] with X = 2"),
    (lambda: maxent.response([0.5, 0.5], DIE[:, :2], DIE), r"observables must have shape \[..., O, X\] with X = 2"),
    (lambda: maxent.log_multiplicity([1.5, 2]), r"counts must be whole numbers >= 0; got 1.5 at 0"),
    (lambda: maxent.log_multiplicity([np.inf, 1]), r"counts must be whole numbers >= 0; got inf at 0"),
    (lambda: maxent.log_multiplicity(3), r"counts must have shape \[..., K\] with K >= 1; got \(\)"),
    (lambda: maxent.labelled_counts(0, 0.1), r"ions must be a whole number >= 1; got 0"),
    (lambda: maxent.labelled_counts(5, 1.0), r"share must lie between 0 and 1; got 1"),
    (lambda: maxent.labelled_counts(5, 0.1, 0.0), r"weight must be a number > 0; got 0"),
    (lambda: maxent.labelled_counts(5, 0.1, size=9), r"size must be a whole number from 1 to ions \+ 1 = 6; got 9"),
    (lambda: maxent.bath_measure([0], 5, 0.3, 4), r"sites must be a whole number from 1 to ions = 5 with"),
    (lambda: maxent.bath_measure([3], 5, 0.1, 2), r"filled must be whole numbers from 0 to sites = 2; got 3"),
])
def test_bad_input_of_the_others_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Responses and counts ---------------------------------------------------------------------------


def test_response_of_another_observable():
    f, F, mu = random_problem(2)
    found = maxent.solve(f, F, prior=mu)
    seen, h = np.random.default_rng(0).standard_normal((3, 6)), 1e-5
    move = [seen @ (maxent.exponential_pmf(found.multipliers + h * e, f, mu)
                    - maxent.exponential_pmf(found.multipliers - h * e, f, mu)) / (2 * h) for e in np.eye(2)]
    assert maxent.response(found.pmf, f, seen) == pytest.approx(np.array(move).T, abs=1e-8)


def test_multiplicity_by_listing():
    for counts in ((2, 1, 0), (3, 3), (1, 1, 1, 1)):
        letters = [k for k, c in enumerate(counts) for _ in range(c)]
        assert maxent.log_multiplicity(counts) == pytest.approx(math.log(len(set(itertools.permutations(letters)))))


def test_multiplicity_of_many_and_of_none():
    assert maxent.log_multiplicity(np.zeros((0, 3), int)).shape == (0,)
    assert maxent.log_multiplicity([10**12, 1]) == pytest.approx(math.log(10**12 + 1), abs=0.01)


def test_a_pore_that_binds_without_end():
    assert maxent.labelled_counts(5, 0.5, 1e17) == pytest.approx([0, 0, 0, 0, 0, 1], abs=1e-15)


def test_the_measure_of_a_bath_too_large_for_its_own_ways():
    mu = maxent.bath_measure(np.arange(3), 10**6, 1e-3, 2)
    c = 1000 / (1 - 0.002)
    assert mu == pytest.approx([1, c, c**2], rel=1e-5)
    assert maxent.solve([[0.0, 1.0, 2.0]], [1.2], prior=mu * [1, 2, 1]).pmf @ np.arange(3) == pytest.approx(1.2)


def test_messages_show_no_rounding():
    with pytest.raises(ValueError, match=r"a.f is 0 in every state, and a.F is 0.98"):
        maxent.solve(np.stack([np.eye(3)[0]] * 2), [0.99, 0.01])
    with pytest.raises(ValueError, match=r"max a.f = 6 < a.F = 6 \(by 1e-09\)"):
        maxent.solve(DIE, [6 + 1e-9])


def test_whole_numbers_of_numpy():
    assert maxent.solve(DIE, [4.5], steps=np.int64(50)).pmf @ DIE[0] == pytest.approx(4.5)


@given(st.integers(1, 60), st.floats(0.01, 0.99), st.floats(0.05, 20))
def test_labelled_counts_are_binomial(M, s, w):
    inside = s * w / (1 - s + s * w)
    assert maxent.labelled_counts(M, s, w) == pytest.approx(binom.pmf(np.arange(M + 1), M, inside), abs=1e-11)


@pytest.mark.parametrize("w", [0.2, 1.0, 4.0])
def test_a_million_labelled_ions_are_poisson(w):
    z, n = 2.10292, np.arange(60)
    law = maxent.labelled_counts(10**6, z / (10**6 * w), w, size=60)
    assert 0 < np.abs(law - poisson.pmf(n, z)).max() < 5e-7 * max(1, 1 / w)
    assert np.abs(law - poisson.pmf(n, 1.001 * z)).max() > 1e-4  # the bound would see a wrong z


def test_a_pore_of_two_sites():
    """Occupancies of card 002: 2000 labelled ions against the grand canonical value."""
    filled, weight, c = np.array([0, 1, 1, 2]), np.array([1, 1, 1, math.exp(-2)]), 0.8
    occupancy = lambda mu: mu * weight @ filled / (mu @ weight)
    assert occupancy(c**filled) == pytest.approx(0.660024, abs=1e-6)
    s = c / (2000 + 2 * c)
    assert occupancy(maxent.bath_measure(filled, 2000, s, 2)) == pytest.approx(occupancy(c**filled), abs=2e-4)
