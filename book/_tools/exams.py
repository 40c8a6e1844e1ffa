"""Exams from the questions in exams/: one sheet for students, one with solutions.

    python book/_tools/exams.py foundations:2 jaynes:1    questions.md and solutions.md in _build/exam
    python book/_tools/exams.py --list                    what there is, with points and minutes

The source, exams/<part>.md, holds questions, solutions with marks, common mistakes and a check that
recomputes every number (exams/README.md). It runs on the standard library alone.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "exams"
OUT = ROOT / "_build" / "exam"
HEAD = re.compile(r"\*(\d+) points, (\d+) minutes\*")
PART = re.compile(r"(?m)^\*\*\((\w)\)\*\* \*(\d+) points?\.\*")
STEP = re.compile(r"(?m)^\*\*\((\w)\)\*\*")
MARK = re.compile(r"\*\*\[(\d+)\]\*\*")
CHECK = re.compile(r"^```python check\n(.*?)^```\n?", re.M | re.S)


class SourceError(ValueError):
    """A source that breaks a rule: file, question and rule."""


class RequestError(ValueError):
    """An exam that cannot be composed: what was asked and what there is."""


@dataclass
class Question:
    part: str
    number: int
    title: str
    points: int
    minutes: int
    text: str
    solution: str
    mistakes: str
    check: str
    parts: dict
    """points of (a), (b), ..."""


def parts():
    """The parts of the book that have questions."""
    return sorted(p.stem for p in SOURCES.glob("*.md") if p.name != "README.md")


def read(part, text=None):
    """The questions of a part, a list of Question. Errors: SourceError names file, question and rule."""
    text = (SOURCES / f"{part}.md").read_text(encoding="utf8") if text is None else text
    masked = CHECK.sub(lambda found: re.sub(r"(?m)^#", "\0", found[0]), text)  # a comment in code is no heading
    opening, *found = [piece.replace("\0", "#") for piece in re.split(r"(?m)^## ", masked)]
    if not re.match(r"# .+\n", opening):
        raise SourceError(f"exams/{part}.md: it begins with `# Title`")
    if not found:
        raise SourceError(f"exams/{part}.md: no question, which begins with `## Title`")
    return [_question(part, number, piece) for number, piece in enumerate(found, 1)]


def _question(part, number, piece):
    title, _, rest = piece.partition("\n")
    title = title.strip()

    def refuse(rule):
        raise SourceError(f"exams/{part}.md, {title!r}: {rule}")

    checks = CHECK.findall(rest)
    if len(checks) != 1:
        refuse(f"one block `python check`, not {len(checks)}")
    sections = re.split(r"(?m)^### (.+)\n", CHECK.sub("", rest))
    if sections[1::2] != ["Solution", "Common mistakes"]:
        refuse("after the question come `### Solution` and `### Common mistakes`, in this order and nothing else")
    text, solution, mistakes = (s.strip() for s in sections[::2])
    head = HEAD.match(text)
    if not head:
        refuse("under the title stands *12 points, 20 minutes*")
    points, minutes, text = int(head[1]), int(head[2]), text[head.end():].strip()
    asked = {letter: int(p) for letter, p in PART.findall(text)}
    if list(asked) != [chr(ord("a") + i) for i in range(len(asked))] or len(PART.findall(text)) != len(asked) or len(asked) < 2:
        refuse("parts are called **(a)** *4 points.*, **(b)** and so on, two or more, in order")
    if sum(asked.values()) != points:
        refuse(f"the parts have {sum(asked.values())} points together, the title says {points}")
    steps = STEP.split(solution)
    if steps[1::2] != list(asked):
        refuse(f"the solution answers {', '.join(steps[1::2]) or 'no part'}; asked are {', '.join(asked)}")
    for letter, step in zip(steps[1::2], steps[2::2]):
        given = sum(map(int, MARK.findall(step)))
        if given != asked[letter]:
            refuse(f"the marks of ({letter}) add up to {given}, its points are {asked[letter]}")
    if not mistakes:
        refuse("common mistakes are missing")
    return Question(part, number, title, points, minutes, text, solution, mistakes, checks[0], asked)


def choose(asked):
    """The Questions of requests such as `foundations:2`. Errors: RequestError in one line."""
    if not asked:
        raise RequestError("no question asked: say for example foundations:2 jaynes:1; --list shows all")
    chosen = []
    for request in asked:
        part, _, number = request.partition(":")
        if part not in parts():
            raise RequestError(f"{request}: no questions on {part!r}; there are {', '.join(parts())}")
        questions = read(part)
        if not (number.isascii() and number.isdigit()) or not 1 <= int(number) <= len(questions):
            raise RequestError(f"{request}: a question of {part} has a number from 1 to {len(questions)}, as in {part}:1")
        if any((q.part, q.number) == (part, int(number)) for q in chosen):
            raise RequestError(f"{request}: asked twice")
        chosen.append(questions[int(number) - 1])
    return chosen


def _amount(chosen):
    return f"{sum(q.points for q in chosen)} points, {sum(q.minutes for q in chosen)} minutes"


def questions_sheet(chosen):
    """Markdown for students: no solution, no mistake, no check."""
    pieces = [f"# Exam\n\n**{_amount(chosen)}.** Pen, paper and a pocket calculator. Entropies are in nats unless bits are said; "
              "$\\log$ is the natural logarithm. Say what you use: a number without a reason earns no points.\n\nName:"]
    pieces += [f"## {n}. {q.title}\n\n*{q.points} points, {q.minutes} minutes*\n\n{q.text}" for n, q in enumerate(chosen, 1)]
    return "\n\n".join(pieces) + "\n"


def solutions_sheet(chosen):
    """Markdown for those who mark: solutions with marks, and what goes wrong."""
    pieces = [f"# Exam: solutions\n\n**{_amount(chosen)}.** A number in bold brackets is the marks of the step before it. "
              "A later part that is right with a wrong result from an earlier one earns its marks."]
    pieces += [f"## {n}. {q.title}\n\n*{q.points} points, from exams/{q.part}.md, question {q.number}*\n\n{q.solution}\n\n"
               f"### Common mistakes\n\n{q.mistakes}" for n, q in enumerate(chosen, 1)]
    return "\n\n".join(pieces) + "\n"


def compose(asked, out=OUT):
    """Write both sheets into a folder; returns the Questions."""
    chosen = choose(asked)
    out.mkdir(parents=True, exist_ok=True)
    (out / "questions.md").write_text(questions_sheet(chosen), encoding="utf8")
    (out / "solutions.md").write_text(solutions_sheet(chosen), encoding="utf8")
    return chosen


def main(arguments):
    try:
        if arguments == ["--list"]:
            for part in parts():
                for q in read(part):
                    print(f"{f'{part}:{q.number}':16}{q.points:3} points {q.minutes:3} minutes  {q.title}")
            return
        print(f"{_amount(compose(arguments))}: {OUT.relative_to(ROOT)}/questions.md and solutions.md")
    except (SourceError, RequestError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
