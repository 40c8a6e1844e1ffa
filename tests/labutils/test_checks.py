"""A check passes only if the right value passes and every wrong variant fails."""

import json

import numpy as np
import pytest

from labutils import checks as check
from labutils.checks import CheckError

H = np.array([0.4, 0.2, 0.1, 0.05])


@pytest.fixture(autouse=True)
def empty_ledger():
    check.ledger.clear()


def test_equal_passes_and_leaves_a_record(capsys):
    check.equal("eq-a", got=[1.0, 2.0], want=[1.0, 2.0 + 1e-13], tol=1e-12, wrong={"doubled": [2.0, 4.0]})
    record = check.ledger[0]
    assert (record.label, record.kind, record.caught, record.margin) == ("eq-a", "equal", ["doubled"], "wide")
    assert capsys.readouterr().out == "✓ eq-a: equal, to 1e-12; caught: doubled (wide margin)\n"
    assert json.dumps(record._repr_mimebundle_()[check.MIME])


def test_equal_fails_for_a_wrong_value_with_both_numbers():
    with pytest.raises(CheckError, match=r"eq-a: .*got 1, want 1\.1"):
        check.equal("eq-a", 1.0, 1.1, tol=0.05, wrong={"zero": 0.0})


def test_equal_fails_when_a_wrong_variant_passes_too():
    with pytest.raises(CheckError, match="the wrong variant 'same' passes too"):
        check.equal("eq-a", 1.0, 1.0, tol=1e-3, wrong={"zero": 0.0, "same": 1.0005})


def test_equal_compares_infinities():
    check.equal("eq-a", np.inf, np.inf, 0, wrong={"finite": 3.0, "other end": -np.inf})


@pytest.mark.parametrize("label", ["a", "eq_", "eq-A", "def-a", "", None, "eq-a b"])
def test_label_is_held_to_its_form(label):
    with pytest.raises(ValueError, match="label must look like"):
        check.equal(label, 1, 1, 1e-9, wrong={"two": 2})


@pytest.mark.parametrize("wrong", [{}, None, [2]])
def test_a_check_without_wrong_variant_is_refused(wrong):
    with pytest.raises(ValueError, match="wrong must name at least one"):
        check.equal("eq-a", 1, 1, 1e-9, wrong=wrong)


@pytest.mark.parametrize("got, want, message", [
    (np.nan, 1.0, "got must not contain NaN"),
    (1.0, np.nan, "want must not contain NaN"),
    ([1.0, 2.0], [1.0, 2.0, 3.0], "must have the shape"),
    ([], [], "must not be empty"),
    ("x", 1.0, "got must be numbers"),
])
def test_bad_values_name_the_argument(got, want, message):
    with pytest.raises(ValueError, match=message):
        check.equal("eq-a", got, want, 1e-9, wrong={"two": 2.0})


def test_nan_in_a_wrong_variant_is_not_a_catch():
    with pytest.raises(ValueError, match="NaN"):
        check.equal("eq-a", 1.0, 1.0, 1e-9, wrong={"broken": np.nan})


def test_negative_tolerance():
    with pytest.raises(ValueError, match="tol must be >= 0; got -1"):
        check.equal("eq-a", 1.0, 1.0, -1, wrong={"two": 2.0})


def test_order_measures_the_slope():
    check.order("eq-a", H, 3 * H**2, order=2, wrong={"first order": 3 * H}, quote="{:.1f}")
    assert check.ledger[0].quote == "2.0"
    with pytest.raises(CheckError, match="slope 1.0000 is not 2"):
        check.order("eq-a", H, H, order=2, wrong={"other": H**2})
    with pytest.raises(CheckError, match="'second' has slope 2.0000, also 2"):
        check.order("eq-a", H, H**2, order=2, wrong={"second": 2 * H**2})
    with pytest.raises(ValueError, match="must be positive"):
        check.order("eq-a", H, 0 * H, order=2, wrong={"first": H})
    with pytest.raises(ValueError, match="one length >= 3"):
        check.order("eq-a", H[:2], H[:2], order=1, wrong={"first": H})


def test_bound_holds_in_every_draw():
    check.bound("eq-a", [0.0, 0.5, 1.0], lower=0.0, upper=1.0, wrong={"shifted": [0.5, 1.0, 1.5]}, quote="{:.0f}")
    assert check.ledger[0].quote == "1" and "3 draws" in check.ledger[0].rule
    with pytest.raises(CheckError, match="violates the bound by 0.5"):
        check.bound("eq-a", [0.0, 1.5], upper=1.0, wrong={"more": [2.0]})
    with pytest.raises(CheckError, match="'less' never violates"):
        check.bound("eq-a", [0.0, 0.5], upper=1.0, wrong={"less": [0.1]})
    with pytest.raises(ValueError, match="needs lower or upper"):
        check.bound("eq-a", [0.0], wrong={"x": [1.0]})
    with pytest.raises(ValueError, match="upper must have the shape"):
        check.bound("eq-a", [0.0, 1.0], upper=[1.0, 1.0, 1.0], wrong={"x": [2.0]})


def test_close_uses_the_standard_error_and_needs_power():
    samples = [0.9, 1.1, 1.0, 1.05, 0.95]
    check.close("eq-a", samples, 1.0, wrong={"two": 2.0}, quote="{:.2f}")
    assert check.ledger[0].quote == "1.00"
    with pytest.raises(CheckError, match="mean 1 over 5 seeds"):
        check.close("eq-a", samples, 1.5, wrong={"two": 2.0})
    with pytest.raises(CheckError, match="lies within"):
        check.close("eq-a", samples, 1.0, wrong={"nearly one": 1.01})
    with pytest.raises(ValueError, match="at least 4 seeds"):
        check.close("eq-a", [1.0, 1.1], 1.0, wrong={"two": 2.0})
    with pytest.raises(ValueError, match="must vary over the seeds"):
        check.close("eq-a", [1.0] * 5, 1.0, wrong={"two": 2.0})


def test_direction_must_be_carried_by_the_seeds():
    carried, noise = [0.5, 0.6, 0.4, 0.55], [0.5, -0.6, 0.4, -0.2]
    check.direction("claim-a", carried, wrong={"random control": noise})
    with pytest.raises(CheckError, match="does not exceed"):
        check.direction("claim-a", noise, wrong={"flipped": [-x for x in carried]})
    with pytest.raises(CheckError, match="shows the effect too"):
        check.direction("claim-a", carried, wrong={"the same": carried})
    with pytest.raises(CheckError, match="does not exceed 0.6"):
        check.direction("claim-a", carried, margin=0.6, wrong={"random control": noise})


def test_symbolic_is_a_proof():
    sympy = pytest.importorskip("sympy")
    x = sympy.symbols("x")
    right = sympy.sin(x) ** 2 + sympy.cos(x) ** 2 - 1
    check.symbolic("eq-a", right, wrong={"difference": sympy.sin(x) ** 2 - sympy.cos(x) ** 2 - 1})
    with pytest.raises(CheckError, match="sympy leaves"):
        check.symbolic("eq-a", x, wrong={"x": x})
    with pytest.raises(CheckError, match="vanishes too"):
        check.symbolic("eq-a", [right, right], wrong={"same": right})


def test_quote_is_computed_never_typed():
    with pytest.raises(ValueError, match="quote must contain a field"):
        check.equal("num-a", 0.4231, 0.42, 0.01, wrong={"zero": 0.0}, quote="0.42")
    with pytest.raises(ValueError, match="quote needs a scalar"):
        check.equal("num-a", [1.0, 2.0], [1.0, 2.0], 0.01, wrong={"zero": 0.0}, quote="{:.2f}")
    check.equal("num-a", 0.4231, 0.42, 0.01, wrong={"zero": 0.0}, quote="{:.0%}")
    assert check.ledger[-1].quote == "42%"


def test_torch_tensors_are_taken_as_they_are():
    torch = pytest.importorskip("torch")
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    check.equal("eq-a", x * 2, [2.0, 4.0], 1e-9, wrong={"half": x.detach()})
