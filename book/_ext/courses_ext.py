"""Courses through the book: the units of book/courses.yml with links, and the minutes that they take.

```{course} twelve-weeks
```

Minutes are added up from the pages, the labs and the exercises themselves, so that they cannot grow old;
what a unit names and the book does not have stops the build.
"""

import json
import re
import sys
from html import escape
from pathlib import Path

import launch_ext
import pages_ext
import plan
import records
import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))
import exercises  # noqa: E402

FILE = "courses.yml"
UNIT = {"title", "lecture", "lab", "homework", "show", "skip"}
SMALL = 2000  # megabytes that a lab may take where 4 GB hold system, browser and Jupyter too
HEADING = re.compile(r"^#{2,3} (.+)$", re.M)


class CourseError(ValueError):
    """A course that names what the book does not have, or leaves out what a unit needs."""


def read(root):
    """The courses of a book in `root`, each unit with its `minutes` {read, lab, homework}.

    Errors: CourseError with course, unit and rule.
    """
    courses = yaml.safe_load((root / "book" / FILE).read_text(encoding="utf8"))
    for course in courses:
        for number, unit in enumerate(course["units"], 1):
            def refuse(rule, where=f"{course['slug']}, unit {number}"):
                raise CourseError(f"{where}: {rule}")

            if set(unit) != UNIT:
                refuse(f"a unit has {', '.join(sorted(UNIT))}; {', '.join(sorted(set(unit) ^ UNIT))} is missing or unknown")
            unit["minutes"] = {"read": sum(_page(root, name, wanted or [], refuse) for name, wanted in unit["lecture"].items()),
                               "lab": sum(_lab(root, name, refuse) for name in unit["lab"]),
                               "homework": sum(e.minutes for name, grades in unit["homework"].items()
                                               for e in _homework(root, name, grades, refuse))}
    return courses


def _page(root, name, wanted, refuse):
    """Minutes of a chapter that has the headings wanted."""
    path = root / "book" / f"{name}.md"
    if not path.is_file():
        refuse(f"there is no chapter {name}")
    text = path.read_text(encoding="utf8")
    if missing := [heading for heading in wanted if heading not in HEADING.findall(text)]:
        refuse(f"{name} has no heading {missing[0]!r}")
    minutes = re.search(r"^minutes: (\d+)$", text, re.M)
    return int(minutes[1]) if minutes else refuse(f"{name} does not say its minutes")


def _lab(root, name, refuse):
    path = root / "notebooks" / f"{name}.ipynb"
    if not path.is_file():
        refuse(f"there is no lab {name}")
    minutes = pages_ext.MINUTES.search("".join(records.read(path)["cells"][0]["source"]))
    return int(minutes[1]) if minutes else refuse(f"{name} does not say its minutes")


def _homework(root, name, grades, refuse):
    """The exercises of a chapter that have one of the grades."""
    path = root / "exercises" / f"{name}.md"
    if not path.is_file():
        refuse(f"there are no exercises of {name}")
    if wrong := set(grades) - set(exercises.GRADES):
        refuse(f"{min(wrong)!r} is no grade of exercises: {', '.join(exercises.GRADES)}")
    return [e for e in exercises.read(name, path.read_text(encoding="utf8")).exercises if e.grade in grades]


def drawn(unit, number):
    """The MyST text of one unit."""
    lecture = []
    for name, wanted in unit["lecture"].items():
        listed = "; ".join(heading for heading in wanted or [])
        lecture.append(f"[](/book/{name}.md)" + (f": {listed}" if listed else ", the whole page"))
    labs = ", ".join(f"[](/notebooks/{name}.ipynb)" for name in unit["lab"])
    homework = ", ".join(f"{' and '.join(grade.lower() for grade in grades)} of [](/book/{name}.md)" for name, grades in unit["homework"].items())
    minutes = unit["minutes"]
    return (f"**{number}. {unit['title']}**\n"
            + "".join(f": {label}: {text}\n" for label, text in (
                ("Lecture", " · ".join(lecture)), ("Class", labs), ("Homework", homework),
                ("Minutes", f"reading {minutes['read']}, class {minutes['lab']}, homework {minutes['homework']}"),
                ("Show", unit["show"]), ("Leave out", unit["skip"]))) + "\n")


class CourseDirective(SphinxDirective):
    """```{course} slug```: the units of a course."""

    required_arguments = 1

    def run(self):
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / "book" / FILE))
        try:
            courses = {course["slug"]: course for course in read(root)}
        except (CourseError, exercises.SourceError) as error:
            raise self.error(str(error)) from None
        if self.arguments[0] not in courses:
            raise self.error(f"no course {self.arguments[0]!r} in {FILE}: {', '.join(courses)}")
        course = courses[self.arguments[0]]
        text = course["about"] + "\n\n" + "".join(drawn(unit, number) for number, unit in enumerate(course["units"], 1))
        found = nodes.container(classes=["course"])
        self.state.nested_parse(StringList(text.splitlines(), str(root / "book" / FILE)), 0, found)
        return found.children


class MistakesDirective(SphinxDirective):
    """```{mistakes}```: what goes wrong in each chapter, from the wrong answers that its exercises know."""

    def run(self):
        root, lines = Path(self.env.srcdir), []
        for chapter in exercises.chapters():
            file = root / "exercises" / f"{chapter}.md"
            self.env.note_dependency(str(file))
            source = exercises.read(chapter, file.read_text(encoding="utf8"))
            lines += [f"[](/book/{chapter}.md)"]
            lines += [f": {exercise.title}: {'; '.join(name for name, _, _ in exercise.wrong)}." for exercise in source.exercises]
            lines.append("")
        found = nodes.container()
        self.state.nested_parse(StringList(lines, "exercises"), 0, found)
        return found.children


class SlidesDirective(SphinxDirective):
    """```{slides}```: links to the slides of every chapter that is written; book/_tools/slides.py makes them."""

    def run(self):
        chapters = [(name, chapter["title"]) for name, chapter in plan.chapters(self.env.plan).items()
                    if (Path(self.env.srcdir) / "book" / f"{name}.md").is_file()]
        items = "".join(f'<li><a href="{name}-slides.html">{escape(title)}</a></li>' for name, title in chapters)
        return [nodes.raw("", f"<ul>{items}</ul>", format="html")]


class CostsDirective(SphinxDirective):
    """```{costs}```: what each lab costs, as bench/labs.py measured it, and where it runs."""

    HEAD = ("lab", "processor time", "memory", "a browser tab", "Colab, free", "a laptop with 4 GB")

    def run(self):
        file = Path(self.env.srcdir) / "bench" / "labs.json"
        self.env.note_dependency(str(file))
        measured = json.loads(file.read_text(encoding="utf8"))
        rows = ["| " + " | ".join(self.HEAD) + " |", "|---|" + "---|" * (len(self.HEAD) - 1)]
        for name, cost in measured["labs"].items():
            path = Path(self.env.srcdir) / "notebooks" / f"{name}.ipynb"
            title = f"exercises of [](/book/{name.removesuffix('-exercises')}.md)" if name.endswith("-exercises") else f"[](/notebooks/{name}.ipynb)"
            rows.append(f"| {title} | {spelled(cost)} | {'yes' if launch_ext.runs_in_browser(path) else 'no: torch'} | yes | "
                        f"{'yes' if cost['megabytes'] < SMALL else 'no'} |")
        found = nodes.container(classes=["table-scroll"])
        self.state.nested_parse(StringList(rows, str(file)), 0, found)
        return [found]


def spelled(cost):
    """Seconds to whole ones and megabytes to tens, as they stand in tables."""
    return f"{max(1, round(cost['seconds']))} s | {round(cost['megabytes'], -1)} MB"


def setup(app):
    app.add_directive("costs", CostsDirective)
    app.add_directive("slides", SlidesDirective)
    app.add_directive("course", CourseDirective)
    app.add_directive("mistakes", MistakesDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
