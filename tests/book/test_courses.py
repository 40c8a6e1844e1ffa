"""Courses: what a unit names exists, minutes are those of the pages, labs and exercises, and mistakes are named."""

import json

import courses_ext
import exercises
import pytest
import yaml

UNIT = {"title": "One", "lecture": {"part/a": ["First"]}, "lab": ["part/a"], "homework": {"part/a": ["Warm-up"]}, "show": "It.", "skip": "Nothing."}
EXERCISE = "\n## {}\n\n*{}, {} minutes*\n\nDo it.\n\n```hint\nLook.\n```\n\n```python solution\ndef f():\n    return 1\n```\n\nSo.\n\n```python feedback\nf\n```\n"


@pytest.fixture
def book(tmp_path):
    """A book with one chapter, one lab and two exercises; course(**changes) writes its one unit."""
    for folder in ("book/part", "notebooks/part", "exercises/part"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "book/part/a.md").write_text("---\nminutes: 20\n---\n# A\n\n## First\n\n### Second\n", encoding="utf8")
    (tmp_path / "notebooks/part/a.ipynb").write_text('{"cells": [{"cell_type": "markdown", "source": ["# A\\n", "About 30 minutes to work through."]}]}')
    (tmp_path / "exercises/part/a.md").write_text("# A\n\n```python setup\n1\n```\n" + EXERCISE.format("B", "Warm-up", 5)
                                                  + EXERCISE.format("C", "Work", 7), encoding="utf8")

    def course(**changes):
        unit = {key: value for key, value in {**UNIT, **changes}.items() if value is not None}
        (tmp_path / "book/courses.yml").write_text(yaml.safe_dump([{"slug": "c", "title": "C", "about": "It.", "units": [unit]}]))
        return courses_ext.read(tmp_path)

    return course


def test_minutes_are_added_up(book):
    (course,) = book(homework={"part/a": ["Warm-up", "Work"]})
    assert course["units"][0]["minutes"] == {"read": 20, "lab": 30, "homework": 12}
    assert book()[0]["units"][0]["minutes"]["homework"] == 5


@pytest.mark.parametrize("changes, message", [
    ({"skip": None}, "skip is missing or unknown"),
    ({"lecture": {"part/b": []}}, "no chapter part/b"),
    ({"lecture": {"part/a": ["Third"]}}, "no heading 'Third'"),
    ({"lab": ["part/b"]}, "no lab part/b"),
    ({"homework": {"part/b": ["Work"]}}, "no exercises of part/b"),
    ({"homework": {"part/a": ["Hard"]}}, "'Hard' is no grade"),
])
def test_what_does_not_exist_is_refused(book, changes, message):
    with pytest.raises(courses_ext.CourseError, match=f"c, unit 1: .*{message}"):
        book(**changes)


def test_the_courses_of_the_book(root):
    courses = {course["slug"]: course["units"] for course in courses_ext.read(root)}
    assert len(courses["twelve-weeks"]) == 12 and len(courses["five-days"]) == 5
    for units in courses.values():
        for unit in units:
            assert unit["minutes"]["read"] <= 60 and 20 <= unit["minutes"]["lab"] <= 100 and 10 <= unit["minutes"]["homework"] <= 120, unit["title"]


def test_a_chapter_of_a_course_has_exercises(root):
    named = {name for course in courses_ext.read(root) for unit in course["units"] for name in unit["homework"]}
    assert named <= set(exercises.chapters())


def test_every_lab_was_measured_and_the_readme_says_the_same(root):
    measured = json.loads((root / "bench" / "labs.json").read_text(encoding="utf8"))["labs"]
    readme = (root / "README.md").read_text(encoding="utf8")
    for path in (root / "notebooks").rglob("*.ipynb"):
        if ".ipynb_checkpoints" not in path.parts:
            name = str(path.relative_to(root / "notebooks").with_suffix(""))
            assert name in measured, f"python bench/labs.py notebooks/{name}.ipynb"
            if not name.endswith("-exercises"):
                row = next(line for line in readme.splitlines() if f"(notebooks/{name}.ipynb)" in line)
                assert f"| {courses_ext.spelled(measured[name])} |" in row, name
