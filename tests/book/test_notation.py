"""The notation page as data: every row is read, and a formula gets the meanings that fit and no others."""

import re

import notation_data
import plan
import pytest
import words

FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$])\$([^$\n]+)\$", re.S)
HEAD = "| symbol | meaning | unit | first chapter |\n|---|---|---|---|\n"


@pytest.fixture(scope="module")
def page(root):
    return root / "book" / "notation.md"


@pytest.fixture(scope="module")
def table(page):
    return notation_data.read(page, plan.chapters(plan.read(page.with_name("parts.yml"))))


def cells(table, tex, part):
    return [table.symbols[number].cell for number in table.meanings(tex, part)]


def test_every_row_of_the_page_is_read(page, table):
    rows = [line for line in page.read_text("utf8").splitlines() if line.startswith("| ")]
    named = [line for line in rows if not line.startswith("| symbol |")]
    assert [symbol.cell for symbol in table.symbols] == [line.split(" | ")[0][2:] for line in named]
    assert all(symbol.meaning and symbol.chapter for symbol in table.symbols)


def test_every_written_chapter_is_there(page, table):
    missing = [s.cell for s in table.symbols if s.page and not (page.parent / f"{s.page}.md").is_file()]
    assert missing == []


def test_every_symbol_is_used_in_its_chapter(page, table):
    unused = []
    for number, symbol in enumerate(table.symbols):
        if symbol.page is None:
            continue
        source = (page.parent / f"{symbol.page}.md").read_text("utf8")
        found = symbol.cell in source if not symbol.forms else any(
            number in table.meanings(match[1] or match[2], symbol.page) for match in FORMULA.finditer(source))
        unused += [] if found else [f"{symbol.cell} in {symbol.page}"]
    assert unused == []


def test_a_chapter_means_its_own_letter_and_no_later_one(tmp_path):
    (tmp_path / "n.md").write_text(HEAD + "| $z$ | charge | | [gas](jaynes/gas.md) |\n"
                                   "| $R$ | overlap | | [learning](jaynes/learning.md) |\n"
                                   "| $z$ | normal number | | [learning](jaynes/learning.md) |\n")
    table = notation_data.read(tmp_path / "n.md", ["jaynes/first", "jaynes/gas", "jaynes/learning"])

    def meaning(where):
        return [table.symbols[i].meaning for i in table.meanings("z R", where)]

    assert meaning("jaynes/first") == []
    assert meaning("jaynes/gas") == ["charge"]
    assert meaning("jaynes/learning") == ["normal number", "overlap"]
    assert meaning("jaynes") == ["charge", "normal number", "overlap"]


@pytest.mark.parametrize("tex, part, expected", [
    (r"\pi_j", "policy", [r"$\pi,\ \pi_k$"]),
    (r"\mathrm{Cov}_\pi(\log\pi, A)", "policy",
     [r"$\mathbb E_p,\ \mathrm{Var}_p,\ \mathrm{Cov}_p$", r"$\pi,\ \pi_k$", r"$A,\ A_k$"]),
    (r"\mathrm{Cov}_s", "policy", [r"$H_s,\ \mathrm{Cov}_s$", r"$s,\ d(s)$"]),
    (r"H(X)", "policy", [r"$H,\ H(p),\ H(X)$"]),
    (r"H(Y\mid sa)", "policy", [r"$H(Y),\ H(Y\mid s)$", r"$s,\ d(s)$"]),
    (r"H(X\mid Y)", "policy", [r"$H(X,Y),\ H(X\mid Y)$"]),
    (r"H\bigl(p,\,m\bigr)", "foundations", [r"$H(p,q)$", r"$p,\ q,\ p(x)$"]),
    (r"H_2", "policy", [r"$H_\alpha(p)$"]),
    (r"H_+", "policy", [r"$H_-,\ H_+$"]),
    (r"D(\pi'\Vert\pi)", "policy", [r"$D,\ D(p\Vert q)$", r"$\pi,\ \pi_k$"]),
    (r"D_S(X,Y)", "foundations", [r"$D_S(X,Y)$"]),
    (r"\eta\,\Delta z_k", "policy", [r"$\eta$", r"$\Delta z,\ \Delta H$"]),
    (r"R^2", "policy", [r"$R^2$"]),
    (r"T(\theta_1\mid x)", "foundations", [r"$T(\theta_j\mid x),\ T(\theta_j)$"]),
    (r"p(x)", "foundations", [r"$p,\ q,\ p(x)$", r"$p(x),\ \rho(x)$"]),  # both fit: both are shown
    (r"(1-q)\,T_q(p)", "foundations", [r"$T_q(p)$", r"$p,\ q,\ p(x)$"]),
])
def test_the_meaning_that_fits(table, tex, part, expected):
    assert cells(table, tex, part) == expected


@pytest.mark.parametrize("tex, part", [
    (r"2\pi", "foundations"),  # not introduced there
    (r"2\pi", "waves"),  # a letter holds in its own part
    (r"b", "policy"), (r"R = -a + b", "foundations"), (r"\beta_{\mathrm{Dyson}}", "policy"),
    (r"\hat z", "policy"), (r"\text{a policy } ", "policy"), (r"\delta_{jk}", "foundations"),
    (r"d\,(\cdot)", "foundations"), (r"\begin{aligned} \end{aligned}", "policy"), ("_", "policy"), ("(", "policy"),
])
def test_no_meaning_is_better_than_a_wrong_one(table, tex, part):
    assert cells(table, tex, part) == []


def test_an_order_is_not_a_distribution(table):
    assert r"$p,\ q,\ p(x)$" not in cells(table, r"T_q=\frac{1}{1-q}", "foundations")
    assert cells(table, "q", "foundations") == [r"$p,\ q,\ p(x)$"]


@pytest.mark.parametrize("row, message", [
    ("| $a$ | first letter | none |", "line 3: a row must have 4 cells"),
    ("| $a$ | first letter | none | *b* | *c* |", "line 3: a row must have 4 cells"),
    ("| $a$ | | none | *b* |", "line 3: a row must name its symbol and its meaning"),
    ("| $a$ | first letter | none | b |", "line 3: the first chapter must be"),
    ("| $a$ | one | none | *b* |\n| $a$ | two | none | *b* |", r"line 4: $a$ of b stands in line 3 already"),
])
def test_a_row_that_is_not_in_order_is_named(tmp_path, row, message):
    path = tmp_path / "notation.md"
    path.write_text(f"{HEAD}{row}\n", encoding="utf8")
    with pytest.raises(ValueError, match=re.escape(message)):
        notation_data.read(path)


@pytest.mark.parametrize("tex, text", [
    (r"\frac{d}{d\eta}H = -\,\mathrm{Cov}_\pi\bigl(\log\pi,\ \Delta z\bigr)", "d/dη H = − Cov_π(log π, Δz)"),
    (r"\tfrac12D(p\Vert m)", "1/2 D(p‖m)"),
    (r"e^{-H_2}\le\sqrt{2}", "e^(− H_2) ≤ √2"),
    (r"\{k:\text{up to a constant}\}", "{k: up to a constant}"),
])
def test_a_formula_in_one_line(tex, text):
    assert words.readable(tex) == text
