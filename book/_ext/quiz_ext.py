"""Quizzes in the page, which need no kernel, and the reader's own record of them.

```{number} quiz-chapter-what Title      a number with its unit; the answer is a number of the ledger
```{order} quiz-chapter-what Title       the steps of a derivation, shuffled
```{predict} quiz-chapter-what Title     what an explorable of the page will show, said before it moves
```{record}                              every quiz and exercise of the book, page by page

The body is the question, then perhaps lines `:hint: ...`, then after a line `---` what is said with the answer.
No answer is typed: `number` takes a `num-` label, `predict` asks the chart itself (chart_truth.py) or a `num-`
label, `order` is shown shuffled by its name. `quiz.js` plays, `progress.js` remembers; without them the question
stands, and the answer is folded.
"""

import json
import random
import re
from html import escape
from math import floor, log, log10
from pathlib import Path

import chart_truth
import records
from checks_ext import note_dependencies, reading_order
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

LN2 = log(2)
# How many of another unit one of this unit is, and that unit.
OTHER = {"nats": ("bits", 1 / LN2), "bits": ("nats", LN2)}
UNITS = ("nats", "bits", "%", "1")
QUOTED = re.compile(r"[-+]?\d+(?:\.(\d+))?(?:e[-+]?\d+)?")
OPTION = re.compile(r"- ([^:]+): (.+)")
HINT = ":hint: "
CHANGES = ("up", "down", "same")


class QuizNode(nodes.General, nodes.Element):
    """A quiz: title, question, what a reader plays with, hints, answer; `play` is what the script needs."""


class Tag(nodes.General, nodes.Element):
    """An HTML element around nodes; `html` is its start tag."""


class RecordNode(nodes.General, nodes.Element):
    """Filled when all pages are read."""


def tag(start, *children):
    return Tag("", *(nodes.Text(each) if isinstance(each, str) else each for each in children), html=start)


def visit_tag(self, node):
    self.body.append(f"<{node['html']}>")


def depart_tag(self, node):
    self.body.append(f"</{node['html'].split()[0]}>")


def visit_quiz(self, node):
    name, play = node["ids"][0], json.dumps(node["play"], ensure_ascii=False, separators=(",", ":"))
    play = escape(play, quote=False).replace("'", "&#39;")
    self.body.append(f'<div class="quiz admonition" id="{name}" data-kind="{node["kind"]}" data-quiz=\'{play}\' '
                     f'role="group" aria-labelledby="{name}-title">')


def depart_quiz(self, node):
    self.body.append("</div>\n")


class QuizDirective(SphinxDirective):
    """What the kinds of quiz share: the name, the title, and the parts of the body."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self):
        self.quiz, _, title = self.arguments[0].partition(" ")
        start = f"quiz-{self.env.docname.rsplit('/', 1)[-1]}-"
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.quiz) or not self.quiz.startswith(start):
            raise self.fault(f"the name of a quiz of this page must start with {start!r} and hold a-z, 0-9 and '-'")
        if not title.strip():
            raise self.fault("a quiz needs a title behind its name")
        if self.quiz in self.env.quizzes:
            raise self.fault(f"there is a quiz of that name in {self.env.quizzes[self.quiz]['page']}")
        self.env.quizzes[self.quiz] = {"page": self.env.docname, "title": title.strip(), "kind": self.name}
        lines = list(self.content)
        cut = lines.index("---") if "---" in lines else len(lines)
        self.said = lines[cut + 1:]
        self.hints = [line.removeprefix(HINT) for line in lines[:cut] if line.startswith(HINT)]
        self.asked = [line for line in lines[:cut] if not line.startswith(HINT)]
        words, messages = self.state.inline_text(title.strip(), self.lineno)
        play, answer, controls = self.play()
        if not "".join(self.asked).strip():
            raise self.fault("a quiz asks something: its body is empty")
        question = self.parsed(self.asked, "quiz-question")
        head = nodes.paragraph("", "", nodes.Text("Quiz: "), tag(f'span id="{self.quiz}-title"', *words),
                               tag('span class="quiz-mark"'), classes=["admonition-title"])
        told = tag('details class="quiz-answer"', tag("summary", "Show the answer"), answer, self.parsed(self.said))
        node = QuizNode("", head, question, *controls, tag('p class="quiz-said" role="status"'), *self.folded(self.hints), told,
                        ids=[self.quiz], kind=self.name, play=play)
        self.set_source_info(node)
        return [node, *messages]

    def fault(self, message):
        return self.error(f"the quiz {self.quiz!r} of {self.env.docname}: {message}")

    def parsed(self, lines, name="quiz-words"):
        box = tag(f'div class="{name}"')
        self.state.nested_parse(StringList(lines, source=""), self.content_offset, box)
        return box

    def inline(self, text):
        return self.state.inline_text(text, self.lineno)[0]

    def folded(self, hints, number=1):
        """Hints, each inside the one before it, so that they unfold one by one."""
        if not hints:
            return []
        return [tag('details class="quiz-hint"', tag("summary", f"Hint {number}"), nodes.paragraph("", "", *self.inline(hints[0])),
                    *self.folded(hints[1:], number + 1))]

    def quoted(self, label):
        """(number, its resolution, the link to its check) of a number of the ledger."""
        found = [check for check in self.env.lab_checks.get(label, []) if check.quote is not None]
        note_dependencies(self.env, found)
        if not found:
            raise self.fault(f"no check quotes the number {label!r}")
        match = QUOTED.search(found[0].quote)
        if not match:
            raise self.fault(f"the number {label!r} is quoted as {found[0].quote!r}, which holds no number")
        link = nodes.reference("", records.minus(match[0].lstrip("+")), internal=True, classes=["check-number"], reftitle=found[0].summary,
                               refuri=f"{self.env.app.builder.get_relative_uri(self.env.docname, found[0].docname)}#{found[0].anchor}")
        return float(match[0]), 10.0 ** -len(match[1] or ""), link


def significant(value, digits):
    """A number with so many significant digits, as one writes it: 2.33, 0.040, 1745."""
    places = max(0, digits - 1 - floor(log10(abs(value)))) if value else digits - 1
    return records.minus(f"{value:.{places}f}")


class NumberDirective(QuizDirective):
    """A number with its unit: right, right in the other unit, or wrong in a way that can be said."""

    option_spec = {"answer": directives.unchanged_required, "unit": directives.unchanged_required,
                   "digits": directives.positive_int}

    def play(self):
        label, unit, digits = self.options.get("answer", ""), self.options.get("unit"), self.options.get("digits", 2)
        if not label.startswith("num-"):
            raise self.fault(f":answer: must name a number of the ledger, num-...; got {label!r}")
        if unit not in UNITS:
            raise self.fault(f":unit: must be one of {', '.join(UNITS)} (1 for a plain number); got {unit!r}")
        value, resolution, link = self.quoted(label)
        if value == 0:
            raise self.fault(f"the number {label!r} is 0, which no factor is off")
        last = 10.0 ** (floor(log10(abs(value))) - digits + 1)
        if last < resolution * 0.999:
            raise self.fault(f"{label!r} is quoted with fewer than {digits} digits; set :digits: lower")
        answer = nodes.paragraph("", "", nodes.Text("It is "), link, nodes.Text({"1": "", "%": " %"}.get(unit, f" {unit}")))
        play = {"value": value, "within": (last + resolution) / 2 * (1 + 1e-9), "unit": unit, "digits": digits}
        choice = ""
        if unit in OTHER:
            other, factor = OTHER[unit]
            answer += nodes.Text(f", which is {significant(value * factor, max(digits, 3))} {other}")
            choice = ('<label>in <select name="unit"><option value="">unit?</option><option>nats</option>'
                      "<option>bits</option></select></label>")
        elif unit == "%":
            choice = '<span class="quiz-unit">%</span>'
        answer += nodes.Text(".")
        return play, answer, [form('<label>Your answer <input type="text" name="number" size="9" autocomplete="off" '
                                   f'spellcheck="false"></label>{choice}<button class="explorable-reset">Check</button>')]


def form(html):
    """Controls that wait for their script."""
    return nodes.raw("", f'<form class="quiz-form" novalidate><fieldset disabled>{html}</fieldset></form>', format="html")


class OrderDirective(QuizDirective):
    """The steps of a derivation: a numbered list in the right order, then a bullet list of what does not belong.

    The first paragraph of an item is the step; what follows it is the reason for its place.
    """

    def play(self):
        start = next((i for i, line in enumerate(self.asked) if re.match(r"1[.)] ", line)), len(self.asked))
        lists = nodes.container()
        self.state.nested_parse(StringList(self.asked[start:], source=""), self.content_offset, lists)
        self.asked = self.asked[:start]
        steps = [item for each in lists.findall(nodes.enumerated_list) if each.parent is lists for item in each]
        others = [item for each in lists.findall(nodes.bullet_list) if each.parent is lists for item in each]
        if len(steps) < 2:
            raise self.fault(f"an order needs at least two steps in a numbered list; got {len(steps)}")
        places = list(range(len(steps) + len(others)))
        shuffle = random.Random(self.quiz).shuffle
        while [place for place in places if place < len(steps)] == list(range(len(steps))):
            shuffle(places)
        items = []
        letters = {place: chr(ord("A") + at) for at, place in enumerate(places)}
        for place in places:
            first, *reason = (steps + others)[place].children
            letter = letters[place]
            items.append(tag(f'li data-place="{place if place < len(steps) else -1}" data-letter="{letter}"',
                             tag('span class="quiz-letter"', letter), tag('div class="quiz-step"', first),
                             *([tag('div class="quiz-reason"', *reason)] if reason else [])))
        right = ", ".join(letters[place] for place in range(len(steps)))
        rest = [letters[place] for place in range(len(steps), len(places))]
        words = f"In order: {right}." + (f" Left out: {', '.join(sorted(rest))}." if rest else "")
        return ({"steps": len(steps), "others": len(others)}, nodes.paragraph("", words),
                [tag('ol class="quiz-steps" role="list"', *items), form('<button class="explorable-reset">Check the order</button>')])


def settings(text):
    """{control: value} of "a=1, b=true, c=word".

    Errors: ValueError for what is no such list.
    """
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not (name and sign and value):
            raise ValueError(f"a setting is written name=value; got {part!r}")
        plain = {"true": True, "false": False}.get(value, chart_truth.number(value))
        found[name] = value if plain is None else int(plain) if plain is not True and plain is not False and plain == int(plain) else plain
    return found


class PredictDirective(QuizDirective):
    """What a picture of the page will show, said before it moves.

    The answer is a place on an axis (`:axis:`), or one of the options of a bullet list `- key: words`.
    """

    option_spec = dict.fromkeys(("explorable", "from", "set", "truth", "where", "axis", "label", "unit", "part"), directives.unchanged_required)
    option_spec["within"] = float

    def play(self):
        for needed in ("explorable", "set", "truth"):
            if needed not in self.options:
                raise self.fault(f"a prediction needs :{needed}:")
        lab, _, name = self.options["explorable"].partition("#")
        path = Path(self.env.srcdir) / "notebooks" / f"{lab}.ipynb"
        found = records.explorable(records.read(path), name) if path.is_file() else None
        if found is None:
            raise self.fault(f"there is no explorable {self.options['explorable']!r}")
        self.env.note_dependency(str(path))
        try:
            start, end, where = (settings(self.options.get(key, "")) for key in ("from", "set", "where"))
            truth, line, link = self.truth(*found, end, {key: str(value) for key, value in where.items()}, start)
        except ValueError as error:
            raise self.fault(str(error)) from None
        play = {"figure": f"explore-{name}", "truth": truth, "from": start, "set": end}
        options = [match for line in self.asked if (match := OPTION.fullmatch(line))]
        self.asked = [line for line in self.asked if not OPTION.fullmatch(line)]
        if ("axis" in self.options) == bool(options):
            raise self.fault("a prediction needs either :axis: or a list of options '- key: words'")
        if options:
            controls, shown = self.options_of(options, truth)
        else:
            controls, shown, more = self.axis(truth, link)
            play |= more | ({"line": line, "part": [int(each) for each in self.options.get("part", "").split()]} if line else {})
        answer = nodes.paragraph("", "", nodes.reference("", "The picture", refid=play["figure"]), nodes.Text(" shows: "), *shown)
        return play, answer, controls

    def truth(self, record, spec, end, where, start):
        """(truth, the axis of the chart on which it lies, the link to its check)."""
        if self.options["truth"].startswith("num-"):
            value, _, link = self.quoted(self.options["truth"])
            if spec is not None:
                chart_truth.signals(record, spec, end)
            return value, "", link
        if spec is None:
            raise ValueError("the truth of a stage must be a num-... of the ledger")
        question = chart_truth.understand(self.options["truth"])
        chart_truth.signals(record, spec, start)
        value = chart_truth.truth(record, spec, end, question, where, start)
        return value, "x" if "x" in question else "y" if question["kind"] == "value" else "", None

    def options_of(self, options, truth):
        keys = [match[1] for match in options]
        if len(keys) < 2 or len(set(keys)) < len(keys) or truth not in keys:
            raise self.fault(f"the options need two or more different keys, among them what the picture shows; got {', '.join(keys)}")
        if truth in CHANGES and not set(keys) <= set(CHANGES):
            raise self.fault(f"the options of a change are {', '.join(CHANGES)}; got {', '.join(keys)}")
        rows = [tag('label class="quiz-option"', nodes.raw("", f'<input type="radio" name="{self.quiz}" value="{escape(match[1])}"> ', format="html"),
                    tag("span", *self.inline(match[2]))) for match in options]
        words = next(match[2] for match in options if match[1] == truth)
        fields = tag("fieldset disabled", tag("legend", "Your prediction"), *rows, nodes.raw("", BUTTONS, format="html"))
        return [tag('form class="quiz-form" novalidate', fields)], self.inline(words)

    def axis(self, truth, link):
        words = self.options["axis"].split()
        ends = [chart_truth.number(each) for each in words]
        if len(ends) != 3 or None in ends or not (ends[0] < ends[1] and ends[2] > 0):
            raise self.fault(f":axis: takes its ends and a step, such as 0 1 0.01; got {self.options['axis']!r}")
        low, high, step = ends
        if not isinstance(truth, float) or not low <= truth <= high:
            raise self.fault(f"what the picture shows, {truth}, does not lie on the axis {low:g} to {high:g}")
        label, unit = self.options.get("label", ""), self.options.get("unit", "")
        if not label or "$" in label:
            raise self.fault(f":axis: needs a :label: in plain words; got {label!r}")
        html = (f'<div class="explorable-control"><label for="{self.quiz}-axis">Your prediction: {escape(label)}</label>'
                f'<input type="range" id="{self.quiz}-axis" min="{words[0]}" max="{words[1]}" step="{words[2]}" value="{(low + high) / 2:g}">'
                f'<output for="{self.quiz}-axis">?</output></div>{BUTTONS}')
        places = len(words[2].partition(".")[2])
        shown = link or nodes.Text(records.minus(f"{truth:.{places}f}"))
        return [form(html)], [nodes.Text(f"{label} = "), shown, nodes.Text(f" {unit}".rstrip() + ".")], {
            "within": self.options.get("within", (high - low) / 20), "places": places, "unit": unit}


BUTTONS = ('<button class="explorable-reset">I predict this</button>'
           '<button type="button" class="explorable-reset quiz-see" hidden>See it</button>')


class RecordDirective(SphinxDirective):
    """```{record}```: every quiz and exercise, page by page; the script says which are passed."""

    def run(self):
        return [RecordNode("")]


def has_its_picture(app, doctree):
    """A prediction stands on the page of its explorable."""
    pictures = {name for node in doctree.findall(nodes.raw) for name in re.findall(r'class="explorable" id="([^"]+)"', node.astext())}
    for node in doctree.findall(QuizNode):
        figure = node["play"].get("figure")
        if figure and figure not in pictures:
            logger.warning("the quiz %r of %s predicts %s, which is no picture of this page", node["ids"][0], app.env.docname,
                           figure.removeprefix("explore-"), location=node, type="quiz")


def entries(env, docname):
    """(name, title as words, kind) of the quizzes and exercises of a page, as they stand in it."""
    for node in env.get_doctree(docname).findall(nodes.Element):
        if isinstance(node, QuizNode):
            yield node["ids"][0], node[0][1].astext(), "quiz"
        elif node.tagname in ("exercise_node", "exercise_enumerable_node"):
            title = next((each.astext() for each in node.findall(nodes.Element) if "subtitle" in each.tagname), "Exercise")
            yield node["ids"][0], title, "exercise"


def fill(app, doctree, docname):
    """Write the list of the record: one fold for each page that has a quiz or an exercise."""
    places = list(doctree.findall(RecordNode))
    if not places:
        return
    env, folds = app.env, []
    for page in reading_order(env):
        found = list(entries(env, page)) if page != docname else []
        if not found:
            continue
        uri = app.builder.get_relative_uri(docname, page)
        rows = "".join(f'<li data-id="{name}"><a href="{uri}#{name}">{escape(title.strip(" ()"))}</a> <span>{kind}</span> '
                       '<span class="quiz-mark"></span></li>' for name, title, kind in found)
        folds.append(f'<details class="quiz-page"><summary>{escape(env.titles[page].astext())} '
                     f'<span class="quiz-mark">{len(found)}</span></summary><ul>{rows}</ul></details>')
    for place in places:
        place.replace_self(nodes.raw("", RECORD.format(folds="".join(folds)), format="html"))


RECORD = """<div class="quiz-record">
<p class="quiz-said" role="status"></p>
<form class="quiz-form"><fieldset disabled>
<button type="button" class="explorable-reset" name="export">Export</button>
<label class="explorable-reset">Import <input type="file" name="import" accept=".json,application/json" class="visually-hidden"></label>
<button type="button" class="explorable-reset" name="erase">Erase</button>
</fieldset></form>
{folds}</div>"""


def start(app):
    if not hasattr(app.env, "quizzes"):
        app.env.quizzes = {}


def purge(app, env, docname):
    env.quizzes = {name: quiz for name, quiz in getattr(env, "quizzes", {}).items() if quiz["page"] != docname}


def merge(app, env, docnames, other):
    env.quizzes.update({name: quiz for name, quiz in other.quizzes.items() if quiz["page"] in docnames})


def setup(app):
    app.setup_extension("checks_ext")
    for name, directive in (("number", NumberDirective), ("order", OrderDirective), ("predict", PredictDirective), ("record", RecordDirective)):
        app.add_directive(name, directive)
    app.add_node(QuizNode, html=(visit_quiz, depart_quiz))
    app.add_node(Tag, html=(visit_tag, depart_tag))
    app.add_node(RecordNode)
    app.connect("builder-inited", start)
    app.connect("doctree-read", has_its_picture)
    app.connect("doctree-resolved", fill)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.add_css_file("quiz.css")
    app.add_js_file("progress.js", loading_method="defer")
    app.add_js_file("quiz.js", loading_method="defer", priority=600)  # after the pictures
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
