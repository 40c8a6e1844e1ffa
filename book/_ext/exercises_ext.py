"""Exercises on a page: hints that unfold one by one, and the exercises that answer back in a notebook.

```{hints}
A first hint.
---
A second one, inside the first.
```

```{exercises} foundations/measures
```

The second lists the exercises of exercises/foundations/measures.md below the ways to start their notebook,
where feedback is given; book/_tools/exercises.py makes that notebook. With the option `:full:`, on the page
book/foundations/exercises.md, it draws them with hints and folded solutions. So chapters stay light.
"""

import sys
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_tools"))
import exercises  # noqa: E402
import launch_ext  # noqa: E402

LABELS = ("A hint", "Another hint")


class HintsDirective(SphinxDirective):
    """```{hints}```: hints separated by lines of three dashes, each folded inside the one before."""

    has_content = True

    def run(self):
        hints, line = [[]], self.content_offset
        for text in self.content:
            if text.strip() == "---":
                hints.append([])
            else:
                hints[-1].append(text)
        if not all(any(text.strip() for text in hint) for hint in hints):
            raise self.error("hints must be texts that are not empty, with a line of three dashes between two of them")
        found = []
        for number, hint in enumerate(hints):
            found.append(nodes.raw("", f'<details class="hint"><summary>{LABELS[min(number, 1)]}</summary>', format="html"))
            body = nodes.container()
            self.state.nested_parse(StringList(hint, self.content.source(0)), line, body)
            found += body.children
        return [*found, nodes.raw("", "</details>" * len(hints), format="html")]


def lowered(title):
    """A title inside a sentence: its first letter small, unless it is a name or a formula."""
    return title[0].lower() + title[1:] if title[1:2].islower() or title[1:2] == " " else title


def drawn(exercise, chapter):
    """The MyST text of one exercise: task, hints, folded solution."""
    label = f"ex-{chapter.rsplit('/', 1)[1]}-{exercise.name}"
    hints = "\n---\n".join(exercise.hints)
    title = f"{exercise.grade}, {exercise.minutes} minutes: {lowered(exercise.title)}"
    return (f"`````{{exercise}} {title}\n:label: {label}\n{exercise.task}\n\n````{{hints}}\n{hints}\n````\n`````\n\n"
            f"`````{{solution}} {label}\n:class: dropdown\n````python\n{exercise.solution}\n````\n\n{exercise.words}\n`````\n\n")


def notebook_row(env, chapter, source):
    """The ways to start the notebook of exercises."""
    docname = f"notebooks/{chapter}-exercises"
    path = Path(env.srcdir) / f"{docname}.ipynb"
    items = []
    for way, tag, attributes in launch_ext.ways(env, docname, path):
        name, short, _ = launch_ext.WAYS[way]
        items.append(f'<{tag} class="launch-way launch-{way}" {attributes} aria-label="{name}: exercises of this chapter">'
                     f"<span>{name} <small>{short or 'notebook'}</small></span></{tag}>")
    title = escape(f"{len(source.exercises)} exercise{'s'[:len(source.exercises) > 1]}, about {source.minutes} minutes")
    return (f'<nav class="launch" aria-label="Ways to start the exercises: {escape(source.title)}"><ul><li><p>{title}</p>'
            f'<div class="launch-ways">{"".join(items)}</div></li></ul></nav>')


def listed(source, chapter):
    """The titles of the exercises, each leading to its place on the page of the part."""
    short = chapter.rsplit("/", 1)[1]
    items = [f'<li><a href="exercises.html#ex-{short}-{e.name}">{escape(e.title)}</a> ({e.grade.lower()}, {e.minutes} minutes)</li>'
             for e in source.exercises]
    return f'<ul class="simple">{"".join(items)}</ul>'


class ExercisesDirective(SphinxDirective):
    """```{exercises} part/chapter```: the exercises of a source, and the ways to start their notebook."""

    required_arguments = 1
    option_spec = {"full": directives.flag}

    def run(self):
        chapter = self.arguments[0]
        file = Path(self.env.srcdir) / "exercises" / f"{chapter}.md"
        if not file.is_file():
            raise self.error(f"no exercises in exercises/{chapter}.md")
        if not (Path(self.env.srcdir) / "notebooks" / f"{chapter}-exercises.ipynb").is_file():
            raise self.error(f"no notebook of exercises for {chapter}: make exercises")
        self.env.note_dependency(str(file))
        try:
            source = exercises.read(chapter, file.read_text(encoding="utf8"))
        except exercises.SourceError as error:
            raise self.error(str(error)) from None
        row = nodes.raw("", notebook_row(self.env, chapter, source), format="html")
        if "full" not in self.options:
            return [row, nodes.raw("", listed(source, chapter), format="html")]
        found = nodes.container()
        text = "".join(drawn(exercise, chapter) for exercise in source.exercises)
        self.state.nested_parse(StringList(text.splitlines(), str(file)), 0, found)
        return [row, *found.children]


def copy_notebooks(app, exception):
    """The notebooks of exercises travel with the site, like those of labs."""
    if exception is None and app.builder.format == "html":
        for path in (Path(app.srcdir) / "notebooks").rglob("*-exercises.ipynb"):
            if ".ipynb_checkpoints" not in path.parts:
                launch_ext.copy_notebook(path, Path(app.outdir) / path.relative_to(app.srcdir))


def setup(app):
    app.add_directive("hints", HintsDirective)
    app.add_directive("exercises", ExercisesDirective)
    app.connect("build-finished", copy_notebooks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
