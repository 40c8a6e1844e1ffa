"""Hints that unfold one by one, and the exercises of a source on a page."""


import exercises
import nbformat
import pytest

SOURCE = """# Sums

```python setup
from labutils.exercises import feedback, holds
```

## Add Two numbers

*Warm-up, 5 minutes*

Write `add(a, b)` with $a+b$.

```hint
First.
```

```hint
Second.
```

```python solution
def add(a, b):
    \"\"\"a + b.\"\"\"
    return a + b
```

As $a+b=b+a$.

```python feedback
feedback(add, holds("it is even handed", lambda f: f(1, 2) == f(2, 1)))
```
"""


@pytest.fixture
def book(tiny_book, monkeypatch):
    tiny_book.extensions = ["myst_nb", "sphinx_exercise", "launch_ext", "exercises_ext"]
    (tiny_book.source / "exercises" / "part").mkdir(parents=True)
    (tiny_book.source / "exercises" / "part" / "sums.md").write_text(SOURCE, encoding="utf8")
    (tiny_book.source / "notebooks" / "part").mkdir(parents=True)
    nbformat.write(exercises.notebook(exercises.read("part/sums", SOURCE)), tiny_book.source / "notebooks" / "part" / "sums-exercises.ipynb")
    tiny_book.page("index", "# Home\n\n```{exercises} part/sums\n:full:\n```\n")
    return tiny_book


def test_an_exercise_has_task_hints_in_each_other_and_a_folded_solution(book):
    warnings = book.build(exclude_patterns=["exercises", "notebooks"])
    assert not warnings
    html = (book.target / "index.html").read_text(encoding="utf8")
    assert "Warm-up, 5 minutes: add Two numbers" in html and "1 exercises that answer back" not in html
    first, second = html.index("First."), html.index("Second.")
    assert html.count("</details>", first, second) == 0 and html.count('<details class="hint">') == 2
    solution = html.index('class="solution dropdown')
    assert second < html.index("</details></details>") < solution < html.index("As ")
    assert "feedback(add" not in html, "the page does not give the feedback"


def test_a_chapter_lists_titles_that_lead_to_the_page_of_the_part(book):
    book.page("index", "# Home\n\n```{exercises} part/sums\n```\n")
    book.build(exclude_patterns=["exercises", "notebooks"])
    html = book.html("index")
    assert '<a href="exercises.html#ex-sums-add-two-numbers">Add Two numbers</a> (warm-up, 5 minutes)' in html
    assert "First." not in html and "download" in html


def test_its_notebook_travels_with_the_page(book):
    book.build()
    html = (book.target / "index.html").read_text(encoding="utf8")
    assert 'href="notebooks/part/sums-exercises.ipynb" download' in html
    copied = book.target / "notebooks" / "part" / "sums-exercises.ipynb"
    assert "return a + b" not in copied.read_text(encoding="utf8") and copied.with_name(copied.name + ".js").is_file()


@pytest.mark.parametrize("text, message", [
    ("```{exercises} part/gone\n```", "no exercises in exercises/part/gone.md"),
    ("```{hints}\nOne.\n---\n```", "hints must be texts"),
    ("```{hints}\n```", "hints must be texts"),
])
def test_mistakes_are_named(book, text, message):
    book.page("index", f"# Home\n\n{text}\n")
    assert message in book.build()


def test_a_source_that_breaks_a_rule_stops_the_build(book):
    (book.source / "exercises" / "part" / "sums.md").write_text(SOURCE.replace("*Warm-up, 5 minutes*", ""), encoding="utf8")
    assert "under the title stands" in book.build()
