"""Every exercise: its solution passes, its stub does not, and each wrong answer gets the message meant for it."""

import ast
import re

import exercises
import nbformat
import numpy as np
import pytest

ALL = [(chapter, number) for chapter in exercises.chapters() for number in range(len(exercises.read(chapter).exercises))]


@pytest.fixture(scope="session")
def sources():
    return {chapter: exercises.read(chapter) for chapter in exercises.chapters()}


def report(source, exercise, answer):
    """What the feedback says of an answer: the value of the last expression of its cell."""
    space = {}
    exec(source.setup, space)
    generators = [value for value in space.values() if isinstance(value, np.random.Generator)]
    states = [generator.bit_generator.state for generator in generators]
    exec(answer, space)
    *before, last = ast.parse(exercise.feedback).body
    exec(compile(ast.Module(before, []), "feedback", "exec"), space)
    assert isinstance(last, ast.Expr), "the feedback ends with feedback(...)"
    found = eval(compile(ast.Expression(last.value), "feedback", "eval"), space)
    assert states == [generator.bit_generator.state for generator in generators], "a feedback cell draws from a generator of its own"
    return found


@pytest.mark.parametrize("chapter, number", ALL)
class TestExercise:
    def test_the_solution_passes(self, sources, chapter, number):
        source = sources[chapter]
        found = report(source, source.exercises[number], source.exercises[number].solution)
        assert found.passed, found

    def test_the_untouched_stub_fails(self, sources, chapter, number):
        source = sources[chapter]
        found = report(source, source.exercises[number], source.exercises[number].stub)
        assert not found.passed and "Nothing is returned yet" in repr(found), found

    def test_three_wrong_answers_get_the_message_meant_for_them(self, sources, chapter, number):
        source = sources[chapter]
        exercise = source.exercises[number]
        assert len(exercise.wrong) >= 3 and len({name for name, _, _ in exercise.wrong}) == len(exercise.wrong)
        assert len({sentence for _, sentence, _ in exercise.wrong}) >= 2, "all wrong answers break at the same place"
        for name, sentence, code in exercise.wrong:
            found = report(source, exercise, code)
            assert found.broken[:1] == (sentence,), (name, repr(found))
            after = repr(found).split(f"✗ {sentence}\n", 1)[1]
            assert after.startswith("    ") and len(after.splitlines()[0]) > 8, (name, "for what input?")

    def test_the_feedback_does_not_know_the_answer(self, sources, chapter, number):
        """It names nothing that the solution defines but the answer, and repeats no line of it."""
        exercise = sources[chapter].exercises[number]
        answer, *helpers = exercise.functions
        names = {node.id for node in ast.walk(ast.parse(exercise.feedback)) if isinstance(node, ast.Name)}
        assert answer in names and not names & set(helpers)
        body = [line.strip() for line in exercise.solution.splitlines() if len(line.strip()) > 24 and "def " not in line and '"""' not in line]
        shown = exercise.stub + exercise.feedback + sources[chapter].setup
        assert not [line for line in body if line in shown]

    def test_the_answer_is_no_function_of_the_package(self, sources, chapter, number):
        """What a reader is asked to write is not called by the feedback under another name."""
        source = sources[chapter]
        imported = re.findall(r"from labutils import (.+)|import labutils\.(\w+)", source.setup + source.exercises[number].feedback)
        assert not imported, "feedback works with NumPy and labutils.exercises alone"

    def test_it_reads_well(self, sources, chapter, number):
        exercise = sources[chapter].exercises[number]
        assert 2 <= exercise.minutes <= 60 and len(exercise.title) <= 60 and not exercise.title.endswith(".")
        assert all(hint[0].isupper() or hint[0] in "`$" for hint in exercise.hints)
        for name in ("stub", "feedback", "solution"):
            assert len(getattr(exercise, name).splitlines()) <= 25, name
        for function in (n for n in ast.parse(exercise.solution).body if isinstance(n, ast.FunctionDef)):
            assert ast.get_docstring(function), "the stub says what goes in and out"


@pytest.mark.parametrize("chapter", exercises.chapters())
class TestChapter:
    def test_has_six_in_three_grades(self, sources, chapter):
        found = sources[chapter].exercises
        grades = [e.grade for e in found]
        assert len(found) >= 6 and set(grades) == set(exercises.GRADES)
        assert grades == sorted(grades, key=exercises.GRADES.index), "from warm-up to open"
        assert len({e.name for e in found}) == len(found) and len({n for e in found for n in e.functions}) == sum(len(e.functions) for e in found)

    def test_its_notebook_is_the_one_that_the_source_makes(self, sources, chapter):
        stored = nbformat.read(exercises.path(chapter), as_version=4)
        assert nbformat.writes(stored) == nbformat.writes(exercises.notebook(sources[chapter])), "make exercises"

    def test_it_draws_from_seeds(self, sources, chapter):
        text = sources[chapter].setup + "".join(e.feedback for e in sources[chapter].exercises)
        assert not re.search(r"default_rng\(\)|np\.random\.(?!default_rng)", text)


def test_the_notebooks_of_exercises_have_sources():
    found = {str(p.relative_to(exercises.ROOT / "notebooks"))[:-len("-exercises.ipynb")]
             for p in (exercises.ROOT / "notebooks").rglob("*-exercises.ipynb") if ".ipynb_checkpoints" not in p.parts}
    assert found == set(exercises.chapters())


GOOD = """# T

```python setup
import numpy as np
```

## One

*Warm-up, 5 minutes*

Do it.

```hint
Look.
```

```python solution
def one():
    \"\"\"One.\"\"\"
    return 1
```

Words.

```python feedback
# a comment, no heading
## nor this
feedback(one)
```
"""


def test_a_source_is_read():
    (found,) = exercises.read("a/b", GOOD).exercises
    assert (found.title, found.grade, found.minutes, found.task, found.hints, found.words) == ("One", "Warm-up", 5, "Do it.", ["Look."], "Words.")
    assert found.stub == 'def one():\n    """One."""\n    ...' and "## nor this" in found.feedback


@pytest.mark.parametrize("change, message", [
    (("# T", "T"), "begins with"),
    (("```python setup\nimport numpy as np\n```\n", ""), "one block `python setup`"),
    (("*Warm-up, 5 minutes*", "Warm-up"), "under the title stands"),
    (("```hint\nLook.\n```\n", ""), "hints is missing"),
    (("Do it.", ""), "task is missing"),
    (("Words.", ""), "words is missing"),
    (("```python feedback", "```python answer"), "no block is called 'python answer'"),
    (("```hint", "```python feedback"), "one block `python feedback`, not two"),
    (("def one():\n    \"\"\"One.\"\"\"\n    return 1", "one = 1"), "defines a function"),
])
def test_a_source_that_breaks_a_rule_is_refused(change, message):
    with pytest.raises(exercises.SourceError, match=re.escape(message)):
        exercises.read("a/b", GOOD.replace(*change))
