"""What a chart shows at a setting of its controls, asked of Vega itself when the book is built.

A quiz that asks for a prediction takes its answer from here, so nobody types it. The chart of an explorable
is compiled, its parameters are set, and the rows that its marks draw are read back.
"""

import re
from html import unescape
from math import isfinite

import charts
import vl_convert

KINDS = {
    "argmax": re.compile(r"argmax (?P<y>\w+) over (?P<x>\w+)"),
    "argmin": re.compile(r"argmin (?P<y>\w+) over (?P<x>\w+)"),
    "crossing": re.compile(r"crossing of (?P<y>\w+) at (?P<level>-?[\d.]+) over (?P<x>\w+)"),
    "value": re.compile(r"value of (?P<y>\w+)"),
    "change": re.compile(r"change of (?P<y>\w+)"),
}
ROW, CELL = "\N{SYMBOL FOR RECORD SEPARATOR}", "\N{SYMBOL FOR UNIT SEPARATOR}"
TEXT = re.compile(r"<text[^>]*>" + ROW + r"(.*?)</text>", re.S)


def understand(text):
    """The kind of a question and its parts, {"kind", "y", perhaps "x", "level"}.

    Errors: ValueError when the text is none of the kinds.
    """
    for kind, pattern in KINDS.items():
        if match := pattern.fullmatch(text.strip()):
            return {"kind": kind, **match.groupdict()}
    raise ValueError("the truth must be 'argmax Y over X', 'argmin Y over X', 'crossing of Y at LEVEL over X', "
                     f"'value of Y', 'change of Y' or a label num-...; got {text!r}")


def controls(record, spec):
    """{name: (signals by value, or None for any value between lo and hi), lo, hi)} of what a reader sets on a chart."""
    found = {}
    for param in spec.get("params", []):
        bind, name = param.get("bind"), param["name"].removeprefix("at_")
        if not isinstance(bind, dict):
            continue
        positions = record.get("positions", {}).get(param["name"])
        options = positions or bind.get("options") or ([True, False] if bind.get("input") == "checkbox" else None)
        found[name] = (param["name"], options, bind.get("min"), bind.get("max"), bool(positions))
    return found


def signals(record, spec, settings):
    """The signals of a chart for settings as a reader sees them, {name: value}.

    Errors: ValueError for a control that the chart has not, or a value that it does not take.
    """
    known, found = controls(record, spec), {}
    for name, value in settings.items():
        if name not in known:
            raise ValueError(f"the explorable has no control {name!r}; it has {', '.join(known) or 'none'}")
        signal, options, low, high, counted = known[name]
        if options is not None and value not in options:
            raise ValueError(f"the control {name!r} does not take {value!r}; it takes {', '.join(map(str, options))}")
        if options is None and not (isinstance(value, (int, float)) and low <= value <= high):
            raise ValueError(f"the control {name!r} takes {low} to {high}; got {value!r}")
        found[signal] = options.index(value) if counted else value
    return found


def drawn(marks, names):
    """The tables that the marks of a chart draw, each once."""
    found = []
    for mark in marks:
        source = mark.get("from", {})
        name = source.get("data") or source.get("facet", {}).get("data")
        if name in names and name not in found:
            found.append(name)
        found += [each for each in drawn(mark.get("marks", []), names) if each not in found]
    return found


def rows(record, spec, settings, fields):
    """The rows that a chart draws at a setting and that have all the fields, as tuples of texts, each once."""
    chart = vl_convert.vegalite_to_vega(spec, vl_version=charts.version(spec))
    given = signals(record, spec, settings)
    for signal in chart.get("signals", []):
        if signal["name"] in given:
            signal["value"] = given[signal["name"]]
    names = [table["name"] for table in chart["data"]]
    for name in drawn(chart["marks"], names):
        cells = f" + '{CELL}' + ".join(f"join(pluck(data('{name}'), '{field}'), '{ROW}')" for field in fields)
        chart["marks"].append({"type": "text", "encode": {"enter": {"text": {"signal": f"'{ROW}' + {cells}"}}}})
    found = []
    for text in TEXT.findall(vl_convert.vega_to_svg(chart)):
        columns = [unescape(column).split(ROW) for column in text.split(CELL)]
        found += [row for row in zip(*columns) if all(row)]
    return list(dict.fromkeys(found))


def number(text):
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def truth(record, spec, settings, question, where=None, start=None):
    """What the chart answers: a number, the name at which it is largest or smallest, or up, down, same.

    settings  {control: value}, as the reader sees them; controls left out stay as they are at first
    question  what `understand` gives
    where     {field: text}: only rows with these
    start     settings before the move, for a change

    Errors: ValueError when the chart draws no such rows or the answer is not one.
    """
    if question["kind"] == "change":
        ends = [truth(record, spec, each, {**question, "kind": "value"}, where) for each in (start or {}, settings)]
        size = max(map(abs, ends))
        return "same" if abs(ends[1] - ends[0]) <= 1e-6 * size else "up" if ends[1] > ends[0] else "down"
    where = where or {}
    fields = [question["y"], *([question["x"]] if "x" in question else []), *where]
    found = [row for row in rows(record, spec, settings, fields) if list(row[len(row) - len(where):]) == list(where.values())]
    points = [(number(row[0]), row[1] if "x" in question else None) for row in found if number(row[0]) is not None]
    if not points:
        raise ValueError(f"the chart draws no rows with {', '.join(fields)}"
                         + (f" where {', '.join(f'{k} = {v}' for k, v in where.items())}" if where else ""))
    if question["kind"] == "value":
        if len({y for y, _ in points}) != 1:
            raise ValueError(f"the chart draws several values of {question['y']} at that setting; :where: must leave one")
        return points[0][0]
    if question["kind"] == "crossing":
        return crossing([(number(x), y) for y, x in points], float(question["level"]))
    pick = max if question["kind"] == "argmax" else min
    best = pick(points, key=lambda point: point[0])
    if sum(y == best[0] for y, _ in points) > 1:
        raise ValueError(f"{question['y']} is {'largest' if pick is max else 'smallest'} at more than one {question['x']}")
    place = number(best[1])
    return best[1] if place is None else place


def crossing(points, level):
    """The one x at which a line through points (x, y) crosses a level, between two of them in a straight line."""
    points = sorted(points)
    found = [a + (level - ya) * (b - a) / (yb - ya) for (a, ya), (b, yb) in zip(points, points[1:])
             if (ya - level) * (yb - level) < 0]
    found += [x for x, y in points[1:-1] if y == level]
    if len(found) != 1:
        raise ValueError(f"the line crosses {level:g} {len(found)} times; it must cross once")
    return found[0]
