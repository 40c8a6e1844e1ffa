"""What the committed notebooks say: check records, explorables and pictures, and their HTML.

Data only; the Sphinx extensions `checks_ext` and `explorable_ext` build on it.
"""

import json
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

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
            html = vega_figure(_vega(data), data[EXPLORABLE])
        elif PICTURE in data and "image/svg+xml" in data:
            html = svg_figure(_text(data["image/svg+xml"]), data[PICTURE]["alt"], f"picture-{number}")
        elif PICTURE in data:
            html = vega_figure(_vega(data), data[PICTURE], f"picture-{number}")
        else:
            continue
        data.clear()
        data["text/html"] = html


def check_line(check):
    """A check as the page shows it. The address `check:LABEL` is resolved once all pages are read."""
    caught = ", ".join(escape(name) for name in check.caught)
    quote = f' <span class="check-quote">quoted as {escape(check.quote)}</span>' if check.quote else ""
    return (
        f'<div class="check-line" id="{check.anchor}"><span class="check-tick" aria-hidden="true">✓</span> '
        f'<a class="check-label" href="check:{check.label}">{check.label}</a> '
        f'<span class="check-kind">{escape(check.kind)}, {escape(check.rule)}</span> '
        f'<span class="check-caught">caught: {caught} ({check.margin} margin)</span>{quote}</div>'
    )


def vega_figure(spec, record, identity=None):
    """A Vega-Lite chart that `explorable.js` draws; `record` has alt, and perhaps name, caption, positions."""
    identity = identity or f"explore-{record['name']}"
    blob = json.dumps(spec, sort_keys=True, ensure_ascii=False).replace(INK, "currentColor")
    extra = {"positions": record.get("positions", {})}
    caption = f"<figcaption>{escape(record['caption'])}</figcaption>" if record.get("caption") else ""
    return (
        f'<figure class="explorable" id="{identity}">'
        f'<div class="explorable-view" role="group" aria-label="{escape(record["alt"])}"></div>'
        f'<script type="application/json" class="explorable-spec">{_in_script(blob)}</script>'
        f'<script type="application/json" class="explorable-record">{_in_script(json.dumps(extra))}</script>'
        f"{caption}</figure>"
    )


def _in_script(text):
    return text.replace("</", "<\\/")


def svg_figure(svg, alt, identity):
    """A matplotlib SVG, inline, in the colour of the page, with ids that are unique on the page."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S).replace(INK, "currentColor")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{identity}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{identity}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{identity}-\1"', svg)
    svg = svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
    return (
        f'<figure class="picture"><div class="picture-view" role="img" aria-label="{escape(alt)}">'
        f"{svg}</div></figure>"
    )
