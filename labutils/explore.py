"""One explorable, two renderings: live with a kernel, and moving without one on the built page.

Used by every lab; explained in "How to use this book". No units live here.
"""

import itertools
import json
import math
import os
import re
from dataclasses import dataclass
from importlib.util import find_spec

from labutils.figures import BLUE, chart_bundle, checked_alt
from labutils.stages import FOLDER, Stage, source

MIME = "application/vnd.entropylab.explorable+json"
LIMIT = 400_000
"""The most characters that a precomputed explorable may add to a page."""


@dataclass(frozen=True)
class Slider:
    """The values that one parameter takes: made by `slider`."""

    values: tuple
    value: float
    label: str
    log: bool = False
    named = False


def slider(lo, hi, n=21, value=None, label=None, log=False):
    """A slider from lo to hi with n positions, evenly spaced (geometrically with log=True).

    Whole-number ends whose positions are all whole give whole numbers to the function.

    value  the position at the start (the nearest grid point is taken); the middle if not given
    label  what the reader sees beside it; the parameter's name if not given

    Errors: ValueError when lo >= hi, n < 2, value is outside, or lo <= 0 with log=True.
    """
    if not lo < hi:
        raise ValueError(f"lo must be less than hi; got lo={lo!r}, hi={hi!r}")
    if not isinstance(n, int) or n < 2:
        raise ValueError(f"n must be a whole number >= 2; got {n!r}")
    if log and not lo > 0:
        raise ValueError(f"lo must be > 0 with log=True; got {lo!r}")
    if value is not None and not lo <= value <= hi:
        raise ValueError(f"value must lie between {lo!r} and {hi!r}; got {value!r}")
    fractions = [i / (n - 1) for i in range(n)]
    raw = [lo * (hi / lo) ** t if log else lo + (hi - lo) * t for t in fractions]
    values = tuple(float(f"{v:.6g}") for v in raw)
    if all(isinstance(end, int) for end in (lo, hi)) and all(v.is_integer() for v in values):
        values = tuple(int(v) for v in values)
    start = values[n // 2] if value is None else min(values, key=lambda v: abs(v - value))
    return Slider(values, start, label or "", log)


@dataclass(frozen=True)
class Choice:
    """The values that one parameter takes, given one by one: made by `choice`."""

    values: tuple
    value: object
    label: str

    @property
    def named(self):
        """True for a list of words, False for a slider over given numbers."""
        return isinstance(self.value, str)


def choice(values, value=None, label=None):
    """What the reader picks from: a list of words, or a slider over numbers that are given one by one.

    values  words (all different), or numbers in rising order; the function gets one of them
    value   the one at the start; the first if not given
    label   what the reader sees beside it; the parameter's name if not given

    Errors: ValueError when there are fewer than 2, words and numbers are mixed, a word comes twice,
    numbers do not rise, or value is none of them.
    """
    values = tuple(values)
    words = [isinstance(v, str) for v in values]
    if len(values) < 2 or any(words) != all(words):
        raise ValueError(f"values must be two words or more, or two numbers or more; got {values!r}")
    if all(words) and len(set(values)) < len(values):
        raise ValueError(f"values must differ; got {values!r}")
    if not any(words) and not all(a < b for a, b in itertools.pairwise(values)):
        raise ValueError(f"values that are numbers must rise; got {values!r}")
    if value is not None and value not in values:
        raise ValueError(f"value must be one of {values!r}; got {value!r}")
    return Choice(values, values[0] if value is None else value, label or "")


@dataclass(frozen=True)
class Handle:
    """A point on a chart that a hand pulls: made by `handle`."""

    x: float | str
    y: float | str
    part: tuple = ()
    colour: str = BLUE


def handle(x, y, part=(), colour=BLUE):
    """A point on a chart to pull: x and y are each a number, or the name of a parameter to set.

    A handle never comes alone: the slider of its parameter does the same by keyboard.

    part  which chart it belongs to, where several stand side by side or stacked: its place in them,
          from 0, and so on inside; (1, 0) is the first in the second row
    colour  of the knob, one of `labutils.figures`

    Errors: ValueError when neither x nor y names a parameter.
    """
    if not any(isinstance(each, str) for each in (x, y)):
        raise ValueError(f"x or y must name the parameter that the handle sets; got x={x!r}, y={y!r}")
    return Handle(x, y, tuple(part), colour)


def explore(f, sliders=None, *, name, alt, caption="", handles=()):
    """Show a picture whose parameters the reader moves.

    f        a function of the parameters that returns an Altair chart; or, without sliders,
             a finished chart that has parameters of its own, or a stage (`labutils.stages`)
    sliders  {parameter: slider(...) or choice(...)} for a function
    name     how a page refers to it, such as "step-size"
    alt      what the picture shows, in a sentence
    caption  what to try, shown under the picture
    handles  points on the chart that set parameters when pulled: [handle(...), ...]

    With a kernel the controls are ipywidgets and f is called at each move; a stage becomes an
    anywidget, which is returned: its `state` is what the hand has set. Where outputs are
    recorded (LABUTILS_EXPLORE=static) f is called on the whole grid and the picture moves by
    itself in a page. For that, all charts must be equal but for their data: fix every scale.

    Errors: ValueError when names are off, charts differ in more than data, or the grid is too large.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name or ""):
        raise ValueError(f"name must be lower-case words joined by '-'; got {name!r}")
    alt = checked_alt(alt)
    record = {"name": name, "alt": alt, "caption": " ".join(caption.split())}
    if isinstance(f, Stage):
        if sliders is not None:
            raise ValueError("sliders belong to a function; a stage brings its own handles")
        if _live():
            return _widget(f)
        _show(record | {"stage": f.name, "state": f.state, "heights": list(f.heights)})
        return None
    if callable(f) and not hasattr(f, "to_dict"):
        if not sliders or not all(isinstance(s, (Slider, Choice)) for s in sliders.values()):
            raise ValueError(f"sliders must be {{parameter: slider(...) or choice(...)}} for a function; got {sliders!r}")
        if _live():
            return _with_kernel(f, sliders, caption)
        spec = precomputed(f, sliders)
        positions = {f"at_{p}": list(s.values) for p, s in sliders.items() if not s.named}
    else:
        if sliders is not None:
            raise ValueError("sliders belong to a function; a finished chart brings its own parameters")
        spec, positions = f.to_dict(), {}
    spec = _plain_names(spec)
    known = {param["name"].removeprefix("at_") for param in spec.get("params", []) if "bind" in param}
    for each in handles:
        if unknown := {v for v in (each.x, each.y) if isinstance(v, str)} - known:
            raise ValueError(f"handles must name parameters that have a control ({', '.join(sorted(known))}); got {unknown}")
    knobs = [{"name": f"handle-{i}", "x": h.x, "y": h.y, "part": list(h.part), "colour": h.colour} for i, h in enumerate(handles)]
    _show(record | {"positions": positions} | ({"handles": knobs} if knobs else {}), chart_bundle(spec))
    return None


def precomputed(f, sliders):
    """The Vega-Lite spec of f over the whole grid, with sliders that filter the merged data."""
    names = list(sliders)
    points = list(itertools.product(*(_places(sliders[p]) for p in names)))
    template, tables = None, {}
    for point in points:
        values = {p: i if sliders[p].named else sliders[p].values[i] for p, i in zip(names, point)}
        skeleton, data = _split(f(**values).to_dict())
        if template is None:
            template = skeleton
        elif skeleton != template:
            where = ", ".join(f"{p}={v}" for p, v in values.items())
            raise ValueError(f"f must return charts that differ only in their data; at {where} the {_difference(template, skeleton)} differs")
        for key, rows in data.items():
            tables.setdefault(key, []).extend({**row, **{f"at_{p}": i for p, i in zip(names, point)}} for row in rows)
    start = dict(zip((f"at_{p}" for p in names), points[0]))
    tables = {key: _constant_once(rows, start) for key, rows in tables.items()}
    spec = json.loads(json.dumps(template))
    spec["datasets"] = tables
    _filter(spec, {key: names for key in tables if any(f"at_{p}" in tables[key][0] for p in names)})
    spec["params"] = [*spec.get("params", []), *(_bound(p, sliders[p]) for p in names)]
    size = len(json.dumps(spec))
    if size > LIMIT:
        raise ValueError(f"the grid must stay below {LIMIT} characters; got {size} at {len(points)} points: take fewer points or rows")
    return spec


def _places(slider):
    """What the merged data are tagged with: the words of a list, or the numbers of grid points."""
    return slider.values if slider.named else range(len(slider.values))


def _bound(name, slider):
    """The parameter of a slider counts grid points, so that comparing is exact; the page shows the value."""
    if slider.named:
        return {"name": f"at_{name}", "value": slider.value,
                "bind": {"input": "select", "options": list(slider.values), "name": slider.label or name}}
    return {
        "name": f"at_{name}", "value": slider.values.index(slider.value),
        "bind": {"input": "range", "min": 0, "max": len(slider.values) - 1, "step": 1,
                 "name": slider.label or name},
    }


def _split(spec):
    """A spec with its data taken out: (skeleton with data-0, data-1, ..., {key: rows})."""
    datasets, found, names = spec.pop("datasets", {}), {}, {}

    def walk(node):
        if isinstance(node, dict):
            data = node.get("data")
            if isinstance(data, dict):
                rows = data.get("values", datasets.get(data.get("name")))
                if rows is None:
                    raise ValueError("f must return charts with their data inside; got data by reference")
                source = data.get("name") or json.dumps(rows)
                key = names.setdefault(source, f"data-{len(names)}")
                node["data"], found[key] = {"name": key}, rows
            for key in sorted(k for k in node if k != "data"):
                walk(node[key])
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(spec)
    return _plain_names(spec), found


def _plain_names(spec):
    """Replace the running numbers that Altair gives to views and parameters."""
    text = json.dumps(spec)
    for number, old in enumerate(dict.fromkeys(re.findall(r'"((?:view|param|concat|layer)_\d+)"', text))):
        text = text.replace(f'"{old}"', f'"{old.split("_")[0]}_{number}"')
    return json.loads(text)


def _constant_once(rows, start):
    """A table that no parameter changes is kept once, without tags; `start` has the tags of the first grid point."""
    first = [r for r in rows if all(r[t] == place for t, place in start.items())]
    bare = [{k: v for k, v in r.items() if k not in start} for r in rows]
    plain_first = bare[: len(first)]
    if bare == plain_first * (len(rows) // max(len(first), 1)):
        return plain_first
    return rows


def _filter(node, tagged):
    """Put a filter on the parameters at every place that draws from a tagged table."""
    if isinstance(node, dict):
        data = node.get("data")
        if isinstance(data, dict) and data.get("name") in tagged:
            test = " && ".join(f"datum.at_{p} == at_{p}" for p in tagged[data["name"]])
            node["transform"] = [{"filter": test}, *node.get("transform", [])]
        for key, child in node.items():
            if key != "datasets":
                _filter(child, tagged)
    elif isinstance(node, list):
        for child in node:
            _filter(child, tagged)


def _difference(a, b, path="chart"):
    """Where two specs differ, in words."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for key in a:
            if a[key] != b[key]:
                return _difference(a[key], b[key], f"{path}.{key}")
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            if x != y:
                return _difference(x, y, f"{path}[{i}]")
    return path


def _show(record, data=None):
    """`positions` in the record are the values that a page writes beside sliders that count."""
    from IPython.display import display

    display({**(data or {}), "text/plain": record["alt"], MIME: record}, raw=True)


def _live():
    mode = os.environ.get("LABUTILS_EXPLORE", "live" if find_spec("ipywidgets") else "static")
    if mode not in ("live", "static"):
        raise ValueError(f"LABUTILS_EXPLORE must be live or static; got {mode!r}")
    return mode == "live"


def _with_kernel(f, sliders, caption):
    import ipywidgets
    from IPython.display import display

    def draw(**values):
        display(f(**values))  # what f returns is not shown by itself

    controls = {p: _control(ipywidgets, p, s) for p, s in sliders.items()}
    output = ipywidgets.interactive_output(draw, controls)
    note = [ipywidgets.HTML(caption)] if caption else []
    return ipywidgets.VBox([*controls.values(), output, *note])


def _control(widgets, name, slider):
    common = {"description": slider.label or name, "style": {"description_width": "initial"},
              "layout": {"width": "30em"}}
    if isinstance(slider, Choice):
        kind = widgets.Dropdown if slider.named else widgets.SelectionSlider
        return kind(options=slider.values, value=slider.value, **common)
    lo, hi = slider.values[0], slider.values[-1]
    if all(isinstance(v, int) for v in slider.values) and not slider.log:
        return widgets.IntSlider(value=slider.value, min=lo, max=hi, **common)
    if slider.log:
        return widgets.FloatLogSlider(value=slider.value, min=math.log10(lo), max=math.log10(hi),
                                      step=(math.log10(hi) - math.log10(lo)) / 200, readout_format=".3g", **common)
    return widgets.FloatSlider(value=slider.value, min=lo, max=hi, step=(hi - lo) / 200,
                               readout_format=".3g", **common)


def _widget(stage):
    """A stage with a kernel: its `state` is shared with the page."""
    import anywidget
    import traitlets

    class Live(anywidget.AnyWidget):
        _esm = source(stage.name)
        _css = (FOLDER / "stage.css").read_text(encoding="utf8")
        state = traitlets.Dict(stage.state).tag(sync=True)

    return Live()
