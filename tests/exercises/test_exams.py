"""Exam questions: every check runs, points and marks add up, and a sheet for students tells nothing."""

import ast
import re
import subprocess
import sys

import exams
import pytest
import yaml

ALL = {(part, question.number): question for part in exams.parts() for question in exams.read(part)}
NUMBER = re.compile(r"(?<![\d.])\d+\.\d\d+(?!\d)")
GOOD = """# Title

## Name

*3 points, 10 minutes*

Text.

**(a)** *1 point.* One.

**(b)** *2 points.* Two.

### Solution

**(a)** So. **[1]**

**(b)** So. **[1]** And so. **[1]**

### Common mistakes

- None.

```python check
## a comment, not a heading
assert True
```
"""


@pytest.mark.parametrize("key", ALL, ids=lambda key: f"{key[0]}:{key[1]}")
class TestQuestion:
    def test_the_check_holds(self, key):
        exec(compile(ALL[key].check, f"exams/{key[0]}.md, question {key[1]}", "exec"), {})

    def test_the_check_could_fail(self, key):
        """Compares with what must not come out, and asserts nothing that is constant."""
        asserts = [node.test for node in ast.walk(ast.parse(ALL[key].check)) if isinstance(node, ast.Assert)]
        excludes = [t for t in asserts for node in ast.walk(t) if isinstance(node, (ast.Not, ast.Gt, ast.Lt, ast.NotEq))]
        assert len(asserts) >= 5 and excludes
        assert not [ast.unparse(t) for t in asserts if isinstance(t, ast.Constant)]

    def test_no_number_is_unchecked(self, key):
        question = ALL[key]
        known = question.check + question.text
        assert not [n for n in NUMBER.findall(question.solution + question.mistakes) if n not in known and n.rstrip("0") not in known]

    def test_the_check_knows_nothing_of_the_book(self, key):
        imports = re.findall(r"(?m)^\s*(?:from|import) (\w+)", ALL[key].check)
        assert set(imports) <= {"numpy", "scipy", "sympy", "math", "itertools"}

    def test_it_takes_its_time(self, key):
        assert 10 <= ALL[key].minutes <= 25


def test_enough_of_each_part():
    counts = {part: sum(p == part for p, _ in ALL) for part in exams.parts()}
    assert counts.keys() == {"foundations", "policy", "jaynes", "bottleneck", "waves"}
    assert min(counts.values()) >= 5  # README.md says so
    assert len({q.title for q in ALL.values()}) == len(ALL)


class TestSheets:
    def test_questions_hold_no_word_of_a_solution(self):
        sheet = exams.questions_sheet(list(ALL.values()))
        assert not re.search(r"### |```|python check|Solution|Common mistakes|\*\*\[\d", sheet)
        for q in ALL.values():
            assert q.text in sheet
            pieces = re.split(r"\*\*\[\d+\]\*\*|(?<=\.) |\n", q.solution + "\n" + q.mistakes + "\n" + q.check)
            told = [p for p in map(str.strip, pieces) if len(p) > 25 and p in sheet]
            assert not told

    def test_solutions_hold_each_solution_and_its_mistakes(self):
        sheet = exams.solutions_sheet(list(ALL.values()))
        assert all(q.solution in sheet and q.mistakes in sheet and q.check not in sheet for q in ALL.values())

    def test_two_files_in_the_order_asked(self, tmp_path):
        chosen = exams.compose(["waves:3", "foundations:1"], tmp_path)
        text = (tmp_path / "questions.md").read_text(encoding="utf8")
        assert text.index(f"## 1. {chosen[0].title}") < text.index(f"## 2. {chosen[1].title}")
        assert f"**{sum(q.points for q in chosen)} points, {sum(q.minutes for q in chosen)} minutes.**" in text
        assert chosen[0].solution in (tmp_path / "solutions.md").read_text(encoding="utf8")

    def test_the_exam_of_the_readme_has_the_points_it_says(self):
        readme = (exams.SOURCES / "README.md").read_text(encoding="utf8")
        for asked, points, minutes in re.findall(r'Q="([^"]+)" +# (\d+) points, (\d+) minutes', readme):
            chosen = exams.choose(asked.split())
            assert (sum(q.points for q in chosen), sum(q.minutes for q in chosen)) == (int(points), int(minutes))
            assert sum(q.minutes for q in chosen) <= 90
        for name in re.findall(r"`(\w+:\d+)`", readme):
            exams.choose([name])


@pytest.mark.parametrize("asked, words", [
    ([], "no question asked"),
    (["cooking:1"], "no questions on 'cooking'; there are bottleneck,"),
    (["README:1"], "no questions on 'README'"),
    (["waves"], "from 1 to"),
    (["waves:0"], "from 1 to"),
    (["waves:99"], "waves:99: a question of waves has a number from 1 to"),
    (["waves:two"], "from 1 to"),
    (["waves:-1"], "from 1 to"),
    (["waves:1", "waves:1"], "asked twice"),
])
def test_bad_input_is_one_clear_line(asked, words, tmp_path):
    with pytest.raises(exams.RequestError) as error:
        exams.compose(asked, tmp_path / "out")
    assert words in str(error.value) and "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_the_command_says_it_without_a_traceback():
    run = subprocess.run([sys.executable, exams.__file__, "waves:99"], capture_output=True, text=True)
    assert run.returncode == 1 and run.stderr.count("\n") == 1 and "Traceback" not in run.stderr


class TestSource:
    def test_a_good_one(self):
        question, = exams.read("x", GOOD)
        assert (question.title, question.points, question.minutes, question.parts) == ("Name", 3, 10, {"a": 1, "b": 2})
        assert question.text.startswith("Text.") and question.check.startswith("## a comment")

    @pytest.mark.parametrize("old, new, words", [
        ("# Title", "Title", "begins with `# Title`"),
        ("*3 points, 10 minutes*", "3 points", "under the title stands"),
        ("*3 points,", "*4 points,", "3 points together, the title says 4"),
        ("**(b)** *2 points.*", "**(c)** *2 points.*", "in order"),
        ("**(b)** So.", "So.", "asked are a, b"),
        ("And so. **[1]**", "And so. **[2]**", "marks of (b) add up to 3"),
        ("### Common mistakes", "### Mistakes", "and nothing else"),
        ("- None.\n", "", "common mistakes are missing"),
        ("```python check", "```python", "one block `python check`, not 0"),
    ])
    def test_a_broken_one_names_file_and_rule(self, old, new, words):
        assert GOOD.count(old) == 1 or old == "# Title"
        with pytest.raises(exams.SourceError) as error:
            exams.read("x", GOOD.replace(old, new, 1))
        assert words in str(error.value) and "exams/x.md" in str(error.value)

    def test_none_at_all(self):
        with pytest.raises(exams.SourceError, match="no question"):
            exams.read("x", "# Title\n")


def test_no_part_of_the_site():
    config = yaml.safe_load((exams.ROOT / "_config.yml").read_text(encoding="utf8"))
    assert "exams" in config["exclude_patterns"]
    assert "exams" not in (exams.ROOT / "_toc.yml").read_text(encoding="utf8")
