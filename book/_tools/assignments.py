"""Releases of the exercises for two graders, from the sources in exercises/.

    python book/_tools/assignments.py                       all chapters
    python book/_tools/assignments.py foundations/measures  some
    python book/_tools/assignments.py --for nbgrader ...    one grader only

In _build/assignments:

    nbgrader/source/<name>/    what an instructor keeps: solutions, tests, points
    nbgrader/release/<name>/   what students get; their work comes back to nbgrader/submitted
    otter/<name>/autograder/   with the zip for Gradescope or `otter run`
    otter/<name>/student/      what students get

An exercise gives its points if every property of its feedback holds: 1 for a warm-up, 2 for work, 3 for
an open one. A solution is never part of a release.
"""

import argparse
import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import exercises
import nbformat

OUT = exercises.ROOT / "_build" / "assignments"
COURSE = """c = get_config()
c.CourseDirectory.course_id = "entropy-lab"
c.ClearSolutions.code_stub = {"python": "..."}
c.ExecutePreprocessor.timeout = 120
"""


def name(chapter):
    return chapter.replace("/", "-")


def marked(exercise, begin, end):
    """The solution with the bodies of its functions between two marks, which each grader replaces by `...`."""
    return exercise.rewritten(lambda body: [f"    {begin}", *body, f"    {end}"])


def graded(exercise):
    """The feedback as a test that raises and prints nothing: its last expression must hold."""
    lines = exercise.feedback.rstrip().splitlines()
    last = ast.parse(exercise.feedback).body[-1]
    lines[last.lineno - 1] = f"_ = {lines[last.lineno - 1]}"
    return "\n".join(lines) + ".require()"


def words(source):
    """The first cell: what this is, without the ways to start it, which the course has."""
    return exercises.opening(source).rsplit("\n\n", 1)[0]


# nbgrader -------------------------------------------------------------------------------------------


def nbgrader_source(source):
    """The instructor's notebook of a chapter for nbgrader."""
    make = nbformat.v4

    def cell(kind, text, grade_id, **marks):
        made = make.new_code_cell(text) if kind == "code" else make.new_markdown_cell(text)
        made.id = grade_id[-64:]
        made.metadata["nbgrader"] = {"schema_version": 3, "grade_id": grade_id, "grade": False, "solution": False, "locked": True, "task": False,
                                     **marks}
        return made

    cells = [cell("markdown", words(source), "opening"), cell("code", source.setup, "setup")]
    for number, exercise in enumerate(source.exercises, 1):
        cells += [cell("markdown", exercises.statement(exercise, number), f"{exercise.name}-task"),
                  cell("code", marked(exercise, "### BEGIN SOLUTION", "### END SOLUTION"), exercise.name, solution=True, locked=False),
                  cell("code", graded(exercise), f"{exercise.name}-test", grade=True, points=exercises.POINTS[exercise.grade])]
    return make.new_notebook(cells=cells, metadata=exercises.notebook(source).metadata)


def run(*command, cwd=None):
    """A tool of this environment; its output if it fails."""
    done = subprocess.run([sys.executable, "-m", *map(str, command)], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # nbgrader calls alembic
                               "JUPYTER_PREFER_ENV_PATH": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"})
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout + done.stderr


def nbgrader_release(sources, out):
    """A course folder for nbgrader in `out`, with the releases of some chapters."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "nbgrader_config.py").write_text(COURSE, encoding="utf8")
    for source in sources:
        folder = out / "source" / name(source.chapter)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        nbformat.write(nbgrader_source(source), folder / f"{name(source.chapter)}.ipynb")
        run("nbgrader", "generate_assignment", name(source.chapter), "--force", "--create", cwd=out)


# otter-grader ---------------------------------------------------------------------------------------


def otter_source(source):
    """The instructor's notebook of a chapter for `otter assign`."""
    make = nbformat.v4
    cells = [make.new_raw_cell(f"# ASSIGNMENT CONFIG\nname: {name(source.chapter)}\ninit_cell: true\nexport_cell: false\ncheck_all_cell: true"), make.new_markdown_cell(words(source)), make.new_code_cell(source.setup)]
    for number, exercise in enumerate(source.exercises, 1):
        cells += [make.new_raw_cell(f"# BEGIN QUESTION\nname: {exercise.name}\npoints: {exercises.POINTS[exercise.grade]}"),
                  make.new_markdown_cell(exercises.statement(exercise, number)),
                  make.new_raw_cell("# BEGIN SOLUTION"),
                  make.new_code_cell(marked(exercise, "# BEGIN SOLUTION", "# END SOLUTION")),
                  make.new_raw_cell("# END SOLUTION"),
                  make.new_raw_cell("# BEGIN TESTS"), make.new_code_cell(graded(exercise)), make.new_raw_cell("# END TESTS"),
                  make.new_raw_cell("# END QUESTION")]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    return make.new_notebook(cells=cells, metadata=exercises.notebook(source).metadata)


def otter_release(sources, out):
    """Folders `autograder` and `student` a chapter, as `otter assign` makes them; it runs the solutions against the tests."""
    for source in sources:
        folder = out / name(source.chapter)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        master = folder / f"{name(source.chapter)}.ipynb"
        nbformat.write(otter_source(source), master)
        run("otter", "assign", "--no-pdfs", master.name, ".", cwd=folder)


GRADERS = {"nbgrader": nbgrader_release, "otter": otter_release}


def main(arguments):
    parser = argparse.ArgumentParser(description="Releases of the exercises for graders.")
    parser.add_argument("chapters", nargs="*", metavar="part/chapter", help="all if none is named")
    parser.add_argument("--for", dest="grader", choices=GRADERS, action="append", help="one grader only")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(arguments)
    if unknown := set(asked.chapters) - set(exercises.chapters()):
        parser.error(f"no exercises in exercises/{min(unknown)}.md; there are {', '.join(exercises.chapters())}")
    sources = [exercises.read(chapter) for chapter in asked.chapters or exercises.chapters()]
    for grader in asked.grader or GRADERS:
        GRADERS[grader](sources, asked.out.resolve() / grader)
        print(f"{grader}: {len(sources)} assignment{'s'[:len(sources) > 1]} in {asked.out / grader}")


if __name__ == "__main__":
    main(sys.argv[1:])
