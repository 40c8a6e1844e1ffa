"""Charts of Vega-Lite, compiled when the book is built, so that pages carry Vega and no compiler.

What a chart takes from its page (widths, type, how many ticks fit) is left open: a word such as `@width0`
stands in its place, and chart.js puts the page's value there. Where pictures side by side must stand one
below the other on a narrow page, the chart is compiled twice.
"""

import json
import re

import vl_convert

NARROW = 560  # px: below it, pictures side by side stand one below the other
AXES = 64  # px beside the plot of each part, for its labels
GAP = 24  # px between two parts
COLUMNS = (616, 343)  # px of a picture of a page on a screen of 1280 px and on one of 390 px
PARTS = ("hconcat", "vconcat", "concat")
FIRST = 900_001  # stands for a number that the page gives, while Vega-Lite compiles

# What vendor/vega leaves out.
LEFT_OUT = {
    "contour", "geojson", "geopath", "geopoint", "geoshape", "graticule", "heatmap", "isocontour", "kde2d", "projection",
    "force", "nest", "pack", "partition", "stratify", "tree", "treelinks", "treemap", "label", "voronoi", "wordcloud",
    "crossfilter", "resolvefilter", "geoArea", "geoBounds", "geoCentroid",
}
INK = "currentColor"  # text follows the theme
LABELS = {"labelColor": INK, "titleColor": INK}


def config(number, narrow):
    """The book's look; `number(word)` gives what stands for a number of the page."""
    return {
        "aria": False,  # the graphic has one label, its alt text, instead of one for every mark
        "background": None,
        "font": "@font",
        "view": {"stroke": None},
        "axis": {
            **LABELS, "domainColor": INK, "tickColor": INK, "gridColor": INK,
            "gridOpacity": 0.13, "domainOpacity": 0.45, "tickOpacity": 0.45, "labelOpacity": 0.85,
            "labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": "normal",
            "titlePadding": 8, "labelPadding": 4, "labelSeparation": 6,
        },
        "axisX": {"tickCount": number("@ticks")},
        "axisXDiscrete": {"labelAngle": 0},
        "legend": {
            **LABELS, "labelFontSize": 12.5, "titleFontSize": 12.5,
            "titleFontWeight": "normal", "labelLimit": number("@limit"),
            **({"columns": number("@columns")} if narrow else {}),
        },
        "title": {"color": INK, "subtitleColor": INK, "fontSize": 14, "fontWeight": 600, "anchor": "start"},
        "header": {**LABELS, "labelFontSize": 12.5, "titleFontSize": 13},
        "text": {"color": INK},
        "rule": {"color": INK},
    }


def merge(base, over):
    """Two settings as one, the second laid over the first."""
    both = {key: merge(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
            for key, value in over.items()}
    return {**base, **both}


def is_single(spec):
    return not any(key in spec for key in (*PARTS, "spec")) and "facet" not in spec.get("encoding", {})


def spread(spec, share, narrow, width):
    """A chart, or each chart of several, with its part of the page's width.

    `share` is (a, b) for a share of a times the page's width plus b; `width(share)` gives what stands for it.
    """
    if is_single(spec):
        return {**spec, "width": width(share)}
    if narrow and "hconcat" in spec:
        spec = {**spec, "vconcat": spec["hconcat"]}
        del spec["hconcat"]
    for key in (key for key in PARTS if key in spec):
        columns = {"hconcat": len(spec[key]), "vconcat": 1, "concat": spec.get("columns", 1)}[key]
        a, b = share[0] / columns, (share[1] - GAP * (columns - 1)) / columns
        parts = [spread(part, (a, b - AXES if is_single(part) else b), narrow, width) for part in spec[key]]
        spec = {**spec, key: parts}
    return spec


def version(spec):
    """The version of the compiler for a chart: that of its schema, or the newest of the same major version."""
    known = vl_convert.get_vegalite_versions()
    wanted = spec.get("$schema", "").rpartition("/v")[2].split(".")
    if ".".join(wanted[:2]) in known:
        return ".".join(wanted[:2])
    return next((v for v in reversed(known) if v.split(".")[0] == wanted[0]), known[-1])


def _compiled(spec, narrow, first):
    """One layout with its open places as words: (chart, widths), each width as [a, b]."""
    words, widths = {}, []

    def number(word):
        return words.setdefault(word, first + len(words))

    def width(share):
        share = [round(each, 12) for each in share]
        if share not in widths:
            widths.append(share)
        return number(f"@width{widths.index(share)}")

    fitted = {**spread(spec, (1, 0), narrow, width), "background": None}
    fitted["config"] = merge(spec.get("config", {}), config(number, narrow))
    if is_single(spec):
        fitted["autosize"] = {"type": "fit-x", "contains": "padding"}
    else:
        fitted["padding"] = {"left": 0, "right": 2, "top": 2, "bottom": 6}
    chart = vl_convert.vegalite_to_vega(fitted, vl_version=version(spec))
    if missing := LEFT_OUT & set(_kinds(chart)):
        raise ValueError(f"a chart asks for {', '.join(sorted(missing))}, which book/_static/vendor/vega/entry.js leaves out")
    back = {value: word for word, value in words.items()}
    return _put(chart, back), widths


def _kinds(node):
    """What a chart asks Vega for: kinds of transforms, marks and scales, and the functions of its expressions."""
    if isinstance(node, dict):
        yield from [node["type"]] if isinstance(node.get("type"), str) else []
        yield from re.findall(r"(geo\w+)\(", node.get("signal", "")) if isinstance(node.get("signal"), str) else []
        yield from ["projection"] if node.get("projections") else []
        node = list(node.values())
    for each in node if isinstance(node, list) else []:
        yield from _kinds(each)


def _put(node, back):
    if isinstance(node, dict):
        return {key: _put(value, back) for key, value in node.items() if key != "$schema"}
    if isinstance(node, list):
        return [_put(value, back) for value in node]
    return back.get(node, node) if isinstance(node, (int, float)) and not isinstance(node, bool) else node


def layout(spec, narrow):
    """A layout of a chart.

    Errors: ValueError when the compiler has computed with a number that only the page knows.
    """
    chart, widths = _compiled(spec, narrow, FIRST)
    if _compiled(spec, narrow, FIRST + 5003) != (chart, widths):
        raise ValueError("a chart computes with its width while it is compiled: give that part no width of its own")
    return {"chart": chart, "widths": widths}


def compiled(spec):
    """A chart as the page takes it: {"data": tables, "wide": layout, "narrow": layout}, each table once.

    A page without a narrow layout uses the wide one at any width.
    """
    tables, texts = [], {}
    found = {"data": tables}
    for name in ("wide", "narrow"):
        found[name] = layout(spec, name == "narrow")
        for table in found[name]["chart"].get("data", []):
            if "values" in table:
                text = json.dumps(table["values"], sort_keys=True)
                if text not in texts:
                    texts[text] = len(tables)
                    tables.append(table["values"])
                table["values"] = f"@data{texts[text]}"
    if found["narrow"] == found["wide"]:
        del found["narrow"]
    return found


def heights(chart):
    """The heights in px of a chart from `compiled` in the two COLUMNS: the place that a page keeps for it."""
    return tuple(_height(chart, column) for column in COLUMNS)


def _height(chart, column):
    svg = vl_convert.vega_to_svg(fitted(chart, column))
    width, height = (float(re.search(rf'<svg[^>]* {side}="([\d.]+)"', svg)[1]) for side in ("width", "height"))
    return round(height * min(1, column / width))  # a page shows what is too wide as a whole, smaller


def fitted(chart, width):
    """A chart with its open places filled as chart.js does on a page of this width."""
    layout = (width < NARROW and chart.get("narrow")) or chart["wide"]
    widths = [max(120, int(share * width + less)) for share, less in layout["widths"]]
    given = {
        "@font": "sans-serif", "@ticks": max(3, round(min(widths) / 70)), "@limit": max(140, width - 80),
        "@columns": 1 if width < 420 else 2,
        **{f"@width{i}": each for i, each in enumerate(widths)}, **{f"@data{i}": each for i, each in enumerate(chart["data"])},
    }

    def fill(node):
        if isinstance(node, dict):
            return {key: fill(value) for key, value in node.items()}
        if isinstance(node, list):
            return [fill(each) for each in node]
        return given.get(node, node) if isinstance(node, str) else node

    return fill(layout["chart"])
