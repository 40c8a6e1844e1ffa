"""What the committed notebooks say: check records, explorables and pictures, and their HTML.

Data only; the Sphinx extensions `checks_ext` and `explorable_ext` build on it.
"""

import json
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

import svg_thin

CHECK = "application/vnd.entropylab.check+json"
EXPLORABLE = "application/vnd.entropylab.explorable+json"
PICTURE = "application/vnd.entropylab.picture+json"
VEGA = re.compile(r"application/vnd\.vegalite\.v\d+\+json")
INK = "#737a84"  # labutils.figures.INK, the colour that stands for the text of the page


@dataclass(frozen=True)
class Check:
    """One record of a check, with where it stands."""

    label: str
    kind: str
    rule: str
    caught: tuple
    margin: str
    quote: str | None
    docname: str
    anchor: str

    @property
    def summary(self):
        return f"{self.kind}, {self.rule}; caught: {', '.join(self.caught)} ({self.margin} margin)"


def minus(text):
    """A quoted number as the eye expects it: a true minus sign before a digit, where a hyphen stood."""
    return re.sub(r"(?<![\w.)-])-(?=\.?\d)", "\N{MINUS SIGN}", text)


def outputs(notebook):
    """The data bundles of all outputs of a notebook, in order."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if "data" in output:
                yield output["data"]


def read(path):
    return json.loads(Path(path).read_text(encoding="utf8"))


def checks_of(notebook, docname):
    """The check records of one notebook; anchors are check-LABEL, then check-LABEL-2, ..."""
    found, seen = [], {}
    for data in outputs(notebook):
        if CHECK in data:
            record = data[CHECK]
            label = record["label"]
            seen[label] = seen.get(label, 0) + 1
            anchor = f"check-{label}" + (f"-{seen[label]}" if seen[label] > 1 else "")
            found.append(Check(label, record["kind"], record["rule"], tuple(record["caught"]),
                               record["margin"], record.get("quote"), docname, anchor))
    return found


def collect(source, docnames):
    """{label: [Check, ...]} over the notebooks of the book."""
    ledger = {}
    for docname in sorted(docnames):
        path = Path(source) / f"{docname}.ipynb"
        if path.is_file():
            for check in checks_of(read(path), docname):
                ledger.setdefault(check.label, []).append(check)
    return ledger


def cell_of(notebook, label):
    """The source of the first cell that holds a check of a label, without the comment for the tests, or None."""
    for cell in notebook["cells"]:
        if any(output.get("data", {}).get(CHECK, {}).get("label") == label for output in cell.get("outputs", [])):
            return _text(cell["source"]).removeprefix("# NBVAL_CHECK_OUTPUT\n")
    return None


def explorable(notebook, name):
    """The (record, spec) of an explorable by its name, or None."""
    for data in outputs(notebook):
        if data.get(EXPLORABLE, {}).get("name") == name:
            return data[EXPLORABLE], _vega(data)
    return None


def _vega(data):
    return next((value for mime, value in data.items() if VEGA.fullmatch(mime)), None)


def _text(value):
    return "".join(value) if isinstance(value, list) else value


def to_html(notebook, docname):
    """Rewrite the outputs that the book knows into plain HTML, in place."""
    anchors = iter(checks_of(notebook, docname))
    for number, data in enumerate(outputs(notebook)):
        if CHECK in data:
            html = check_line(next(anchors))
        elif EXPLORABLE in data:
            html = explorable_figure(data[EXPLORABLE], _vega(data))
        elif PICTURE in data and "image/svg+xml" in data:
            html = svg_figure(_text(data["image/svg+xml"]), data[PICTURE]["alt"], f"p{number}")
        elif PICTURE in data:
            html = vega_figure(_vega(data), data[PICTURE], f"picture-{number}")
        else:
            continue
        data.clear()
        data["text/html"] = html


def check_line(check):
    """A check as the page shows it. The address `check:LABEL` is resolved once all pages are read."""
    caught = ", ".join(escape(name) for name in check.caught)
    quote = f' <span class="check-quote">quoted as {escape(minus(check.quote))}</span>' if check.quote else ""
    return (
        f'<div class="check-line" id="{check.anchor}"><span class="check-tick" aria-hidden="true">✓</span> '
        f'<a class="check-label" href="check:{check.label}">{check.label}</a> '
        f'<span class="check-kind">{escape(check.kind)}, {escape(check.rule)}</span> '
        f'<span class="check-caught">caught: {caught} ({check.margin} margin)</span>{quote}</div>'
    )


def explorable_figure(record, spec):
    """An explorable as HTML: a stage, or the chart of `spec`."""
    return stage_figure(record) if "stage" in record else vega_figure(spec, record)


def vega_figure(spec, record, identity=None):
    """A Vega-Lite chart with its controls; `record` has alt, and perhaps name, caption, positions, handles.

    `explorable.js` draws the chart and wires the controls. They stand in the page from the start, so
    that nothing jumps when they come alive.
    """
    identity = identity or f"explore-{record['name']}"
    spec = {**spec, "params": [dict(param) for param in spec.get("params", [])]}
    rows = [_control(identity, param) for param in spec["params"] if _bind(param)]
    for param in spec["params"]:
        param.pop("bind", None) if _bind(param) else None
    if not spec["params"]:
        del spec["params"]
    blob = json.dumps(spec, sort_keys=True, ensure_ascii=False).replace(INK, "currentColor")
    carrier = f'<script type="application/json" class="explorable-spec">{in_script(blob)}</script>'
    extra = {key: record[key] for key in ("positions", "handles") if record.get(key)}
    return _figure(identity, record, extra, rows, carrier)


def stage_figure(record):
    """A picture that a hand moves: `record` has name, stage, state, alt, and perhaps caption."""
    extra = {key: record[key] for key in ("stage", "state")}
    return _figure(f"explore-{record['name']}", record, extra, [], "", record["heights"])


def _figure(identity, record, extra, rows, carrier, heights=None):
    moves = rows or "stage" in extra
    controls = f'<fieldset class="explorable-controls" disabled>{"".join(rows)}{BUTTONS}</fieldset>' if moves else ""
    caption = f"<figcaption>{escape(record['caption'])}</figcaption>" if record.get("caption") else ""
    place = f' style="--wide: {heights[0]}px; --narrow: {heights[1]}px"' if heights else ""  # else explorable_ext.share gives it
    return (
        f'<figure class="explorable" id="{identity}">'
        f'<div class="explorable-view" role="group" aria-label="{escape(record["alt"])}"{place}></div>'
        f"{controls}{carrier}"
        f'<script type="application/json" class="explorable-record">{in_script(json.dumps(extra))}</script>'
        f"{caption}</figure>"
    )


BUTTONS = (
    '<div class="explorable-buttons"><span class="explorable-said" role="status"></span>'
    '<a class="explorable-link">Link to this</a>'
    '<button type="button" class="explorable-reset">Reset</button></div>'
)
INPUTS = ("range", "checkbox", "select", "radio")


def _bind(param):
    """How a reader sets a parameter of a chart, or None: selections on the chart need no control."""
    bind = param.get("bind")
    return bind if isinstance(bind, dict) and "select" not in param and bind.get("input") in INPUTS else None


def _control(identity, param):
    """One labelled control, as HTML."""
    bind, key = _bind(param), escape(f"{identity}-{param['name']}")
    label = escape(bind.get("name", "").rstrip(": ") or param["name"])
    given = f'id="{key}" data-param="{escape(param["name"])}"'
    if "options" in bind:
        names = bind.get("labels") or bind["options"]
        options = "".join(
            f'<option value="{escape(json.dumps(value))}"{" selected" if value == param.get("value") else ""}>'
            f"{escape(str(name))}</option>" for value, name in zip(bind["options"], names))
        field = f"<select {given}>{options}</select>"
    elif bind["input"] == "range":
        ends = "".join(f' {end}="{bind.get(end, usual)}"' for end, usual in (("min", 0), ("max", 1), ("step", "any")))
        field = f'<input type="range" {given}{ends} value="{param["value"]}">'
    else:
        field = f'<input type="checkbox" {given}{" checked" if param.get("value") else ""}>'
    return (f'<div class="explorable-control"><label for="{key}">{label}</label>{field}'
            f'<output for="{key}"></output></div>')


def in_script(text):
    return text.replace("</", "<\\/")


def svg_figure(svg, alt, identity):
    """A matplotlib SVG, inline, in the colour of the page, with ids that are unique on the page."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S).replace(INK, "currentColor")
    svg = svg_thin.thin(svg, identity).replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
    return (
        f'<figure class="picture"><div class="picture-view" role="img" aria-label="{escape(alt)}">'
        f"{svg}</div></figure>"
    )
