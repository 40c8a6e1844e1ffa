"""Releases for nbgrader and otter-grader: no solution in them, and each grader gives a good, an empty and a wrong submission its due."""

import json
import shutil

import assignments
import exercises
import nbformat
import pytest

CHAPTER = "foundations/measures"
NAME = assignments.name(CHAPTER)
SUBMISSIONS = {  # what a student hands in for an exercise
    "good": lambda exercise: exercise.solution,
    "empty": lambda exercise: exercise.stub,
    "wrong": lambda exercise: exercise.wrong[0][2],
    "half": lambda exercise: exercise.solution if exercise.grade == "Work" else exercise.wrong[-1][2],
}


@pytest.fixture(scope="module")
def source():
    return exercises.read(CHAPTER)


@pytest.fixture(scope="module")
def release(tmp_path_factory, source):
    """The folder with the releases of one chapter, made by the tools themselves."""
    out = tmp_path_factory.mktemp("assignments")
    assignments.main([CHAPTER, "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def full(source):
    return {"good": sum(exercises.POINTS[e.grade] for e in source.exercises), "empty": 0, "wrong": 0,
            "half": sum(exercises.POINTS[e.grade] for e in source.exercises if e.grade == "Work")}


def student(release, grader):
    folder = {"nbgrader": release / "nbgrader" / "release" / NAME, "otter": release / "otter" / NAME / "student"}[grader]
    return folder / f"{NAME}.ipynb"


def submission(path, source, what):
    """The student's notebook with the stubs replaced."""
    notebook, filled = nbformat.read(path, as_version=4), 0
    stubs = {exercise.stub.split(":\n", 1)[0]: exercise for exercise in source.exercises}
    for cell in notebook.cells:
        exercise = stubs.get(cell.source.split(":\n", 1)[0]) if cell.cell_type == "code" else None
        if exercise:
            cell.source, filled = SUBMISSIONS[what](exercise), filled + 1
    assert filled == len(source.exercises)
    return notebook


@pytest.mark.parametrize("grader", assignments.GRADERS)
def test_a_release_has_every_stub_and_no_solution(release, source, grader):
    notebook = nbformat.read(student(release, grader), as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "SOLUTION" not in text
    for exercise in source.exercises:
        assert exercise.task in text and exercise.stub.split(":\n", 1)[0] in text
        for line in set(exercise.solution.splitlines()) - set(exercise.stub.splitlines()):
            assert len(line.strip()) < 20 or line not in text, line


def test_nbgrader_gives_each_its_due(release, source, full):
    course = release / "nbgrader"
    for what in SUBMISSIONS:
        folder = course / "submitted" / what / NAME
        folder.mkdir(parents=True)
        nbformat.write(submission(student(release, "nbgrader"), source, what), folder / f"{NAME}.ipynb")
    assignments.run("nbgrader", "autograde", NAME, cwd=course)
    from nbgrader.api import Gradebook
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        assert book.find_assignment(NAME).max_score == full["good"]
        assert {s.student.id: s.score for s in book.assignment_submissions(NAME)} == full


def test_nbgrader_grades_the_tests_of_the_source_not_those_handed_in(release, source):
    """A student who empties the tests gets nothing for it."""
    course, notebook = release / "nbgrader", submission(student(release, "nbgrader"), source, "wrong")
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.source = "pass"
    folder = course / "submitted" / "sly" / NAME
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{NAME}.ipynb")
    assignments.run("nbgrader", "autograde", NAME, "--student", "sly", cwd=course)
    from nbgrader.api import Gradebook
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        assert book.find_submission(NAME, "sly").score == 0


@pytest.mark.parametrize("what", ["good", "empty", "wrong"])
def test_otter_gives_each_its_due(release, source, full, tmp_path, what):
    folder = release / "otter" / NAME
    file = tmp_path / f"{what}.ipynb"
    nbformat.write(submission(student(release, "otter"), source, what), file)
    (zipped,) = (folder / "autograder").glob("*.zip")
    shutil.copy(zipped, tmp_path / "autograder.zip")
    assignments.run("otter", "run", "--no-logo", "-a", "autograder.zip", "-o", ".", file.name, cwd=tmp_path)
    tests = [t for t in json.loads((tmp_path / "results.json").read_text(encoding="utf8"))["tests"] if "score" in t]
    assert len(tests) == len(source.exercises)
    assert sum(t["score"] for t in tests) == full[what] and sum(t["max_score"] for t in tests) == full["good"]


def test_a_chapter_without_exercises_is_refused(capsys):
    with pytest.raises(SystemExit):
        assignments.main(["foundations/none"])
    assert "no exercises in exercises/foundations/none.md" in capsys.readouterr().err
