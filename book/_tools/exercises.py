"""Exercises of the chapters: from their source to the notebook for readers, and to releases for graders.

    python book/_tools/exercises.py                       write the notebooks of all chapters
    python book/_tools/exercises.py foundations/measures  of some

The source, exercises/<part>/<chapter>.md, holds tasks, hints, solutions, feedback and wrong answers
(CONTRIBUTING.md, "Exercises that answer back"). The reader's notebook,
notebooks/<part>/<chapter>-exercises.ipynb, is made from it: the body of each solution becomes `...`.
"""

import ast
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "exercises"
GRADES = ("Warm-up", "Work", "Open")
POINTS = {"Warm-up": 1, "Work": 2, "Open": 3}
WHEN = re.compile(r"\*(Warm-up|Work|Open), (\d+) minutes\*")
FENCE = re.compile(r"^```(.*?)\n(.*?)^```\n", re.M | re.S)
WRONG = re.compile(r"python wrong: (.+?) \| (.+)")


class SourceError(ValueError):
    """A source that breaks a rule: file, exercise and rule."""


@dataclass
class Exercise:
    title: str
    grade: str
    minutes: int
    task: str
    hints: list = field(default_factory=list)
    solution: str = ""
    words: str = ""
    feedback: str = ""
    wrong: list = field(default_factory=list)
    """(name, the sentence that must be the first to break, code)"""

    @property
    def name(self):
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    @property
    def functions(self):
        """Names of the functions that the solution defines; the first is the answer."""
        return [node.name for node in ast.parse(self.solution).body if isinstance(node, ast.FunctionDef)]

    @property
    def stub(self):
        """The solution with the body of each function replaced by an ellipsis."""
        return self.rewritten(lambda body: ["    ..."])

    def rewritten(self, change):
        """The solution with the lines of each function's body, its docstring left, as `change` gives them."""
        lines = self.solution.splitlines()
        for node in reversed(ast.parse(self.solution).body):
            if isinstance(node, ast.FunctionDef):
                documented = ast.get_docstring(node) is not None
                body = slice(node.body[0].end_lineno if documented else node.body[0].lineno - 1, node.end_lineno)
                lines[body] = change(lines[body])
        return "\n".join(lines)


@dataclass
class Source:
    chapter: str
    title: str
    setup: str
    exercises: list

    @property
    def minutes(self):
        return sum(e.minutes for e in self.exercises)


def chapters():
    """The chapters with exercises that answer back, as part/chapter."""
    return sorted(str(p.relative_to(SOURCES).with_suffix("")) for p in SOURCES.glob("*/*.md"))


def read(chapter, text=None):
    """The Source of a chapter. Errors: SourceError names file, exercise and the rule that is broken."""
    file = SOURCES / f"{chapter}.md"
    text = file.read_text(encoding="utf8") if text is None else text
    masked = FENCE.sub(lambda found: re.sub(r"(?m)^#", "\0", found[0]), text)  # a comment in code is no heading
    head, *parts = [part.replace("\0", "#") for part in re.split(r"(?m)^## ", masked)]
    title = re.match(r"# (.+)\n", head)
    setup = [body for kind, body in FENCE.findall(head) if kind == "python setup"]
    if not title or len(setup) != 1:
        raise SourceError(f"{chapter}: a source begins with `# Title` and one block `python setup`")
    exercises = [_exercise(chapter, part) for part in parts]
    return Source(chapter, title[1], setup[0].rstrip(), exercises)


def _exercise(chapter, text):
    title, _, rest = text.partition("\n")

    def refuse(rule):
        raise SourceError(f"{chapter}, {title!r}: {rule}")

    when = WHEN.search(FENCE.sub("", rest))
    if not when or not rest.lstrip().startswith(when[0]):
        refuse("under the title stands *Warm-up, 5 minutes*, or Work, or Open")
    found = Exercise(title.strip(), when[1], int(when[2]), "")
    place, words = rest.index(when[0]) + len(when[0]), {"task": [], "after": []}
    for fence in FENCE.finditer(rest):
        words["after" if found.solution else "task"].append(rest[place:fence.start()].strip())
        place, kind, body = fence.end(), fence[1].strip(), fence[2].rstrip()
        if kind == "hint":
            found.hints.append(body)
        elif kind in ("python solution", "python feedback"):
            what = kind.split()[1]
            if getattr(found, what):
                refuse(f"one block `{kind}`, not two")
            setattr(found, what, body)
        elif made := WRONG.fullmatch(kind):
            found.wrong.append((made[1], made[2], body))
        else:
            refuse(f"no block is called {kind!r}: hint, python solution, python feedback, python wrong: name | sentence")
    words["after"].append(rest[place:].strip())
    found.task, found.words = ("\n\n".join(filter(None, words[w])) for w in ("task", "after"))
    for what in ("task", "hints", "solution", "words", "feedback"):
        if not getattr(found, what):
            refuse(f"{what} is missing")
    if not found.functions:
        refuse("the solution defines a function")
    return found


# The reader's notebook ------------------------------------------------------------------------------


def _address(name):
    """Repository address and branch, as the book's configuration has them."""
    import yaml

    options = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))["repository"]
    return {"url": options["url"].removesuffix("/"), "branch": options.get("branch", "main")}[name]


def opening(source):
    """The first cell: what this is, how long, where it runs."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    from launch_ext import colab

    file = f"notebooks/{source.chapter}-exercises.ipynb"
    page = f"../../book/{source.chapter}.md"
    counts = ", ".join(f"{n} {grade.lower()}" for grade in GRADES if (n := sum(e.grade == grade for e in source.exercises)))
    return (f"# Exercises: {source.title}\n\n"
            f"{len(source.exercises)} exercises ({counts}), about {source.minutes} minutes. Write a function, run its cell, and run the cell "
            "below it. It tries properties that every right answer has, and says which breaks and for what input; your answer may look "
            "different from ours. Hints unfold one by one. Everything runs at once, without a network or a GPU.\n\n"
            f"[Open in Colab]({colab(_address('url'), _address('branch'), file)}) · [Read the chapter]({page}), where solutions stand folded.")


def install(source):
    """The set-up cell of labs, with the package alone."""
    url = _address("url")
    return f'try:\n    import labutils\nexcept ModuleNotFoundError:\n    %pip install -q "entropy-lab @ git+{url}"\n    import labutils'


def hints(exercise):
    """Hints for a notebook, each inside the one before it, so that they unfold one by one."""
    text = ""
    for number, hint in reversed(list(enumerate(exercise.hints, 1))):
        label = "A hint" if number == 1 else "Another hint"
        text = f"<details><summary>{label}</summary>\n\n{hint}\n\n{text}</details>\n"
    return text.rstrip()


def statement(exercise, number):
    return f"## {number}. {exercise.title}\n\n*{exercise.grade}, {exercise.minutes} minutes*\n\n{exercise.task}\n\n{hints(exercise)}"


def notebook(source):
    """The reader's notebook, a NotebookNode without outputs."""
    make = nbformat.v4
    cells = [make.new_markdown_cell(opening(source)), make.new_code_cell(install(source)), make.new_code_cell(source.setup)]
    for number, exercise in enumerate(source.exercises, 1):
        cells += [make.new_markdown_cell(statement(exercise, number)),
                  make.new_code_cell(exercise.stub), make.new_code_cell(exercise.feedback)]
    cells.append(make.new_markdown_cell(
        "## What to try next\n\nTurn a wrong answer of yours into a question: which property told you? Which other function has all properties but one? "
        "The solutions stand folded in the chapter."))
    stem = source.chapter.rsplit("/", 1)[1]
    for number, cell in enumerate(cells):
        cell.id = f"{stem}-exercises-{number:02d}"[-64:]
    return make.new_notebook(cells=cells, metadata={
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "pygments_lexer": "ipython3"}})


def path(chapter):
    return ROOT / "notebooks" / f"{chapter}-exercises.ipynb"


def main(arguments):
    for chapter in arguments or chapters():
        try:
            nbformat.write(notebook(read(chapter)), path(chapter))
        except (SourceError, FileNotFoundError) as error:
            sys.exit(str(error))
        print(path(chapter).relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
