"""How an explorable stands in a page: controls from the start, large charts in shared files, stages."""

import base64
import gzip
import json
import re

import pytest


@pytest.fixture
def ext(tiny_book):  # puts book/_ext on the path
    import explorable_ext
    return explorable_ext


@pytest.fixture
def charts(tiny_book):
    import charts
    return charts


@pytest.fixture
def records(tiny_book):
    import records
    return records


RECORD = {"name": "dial", "alt": "A dial that a reader turns", "caption": "Turn it.", "positions": {}}
SPEC = {
    "height": 200, "mark": "bar",
    "params": [
        {"name": "at_eta", "value": 2, "bind": {"input": "range", "min": 0, "max": 4, "step": 1, "name": "step η"}},
        {"name": "method", "value": "b", "bind": {"input": "select", "options": ["a", "b"], "labels": ["A & C", "B"]}},
        {"name": "on", "value": True, "bind": {"input": "checkbox", "name": "natural: "}},
        {"name": "brush", "select": "interval", "bind": "scales"},
    ],
}


def test_controls_stand_in_the_page_before_any_script(records):
    html = records.vega_figure(SPEC, RECORD)
    assert re.search(r'<input type="range" id="explore-dial-at_eta"[^>]* min="0" max="4" step="1" value="2">', html)
    assert '<label for="explore-dial-at_eta">step η</label>' in html and ">natural</label>" in html
    assert '<option value="&quot;b&quot;" selected>B</option>' in html and "A &amp; C" in html
    assert re.search(r'<input type="checkbox"[^>]* checked>', html)
    assert html.count("data-param=") == 3 and '<fieldset class="explorable-controls" disabled>' in html
    left = json.loads(re.search(r'explorable-spec">(.*?)</script>', html).group(1))["params"]
    assert left == [{"name": "at_eta", "value": 2}, {"name": "method", "value": "b"}, {"name": "on", "value": True},
                    {"name": "brush", "select": "interval", "bind": "scales"}]
    assert len(SPEC["params"]) == 4 and "bind" in SPEC["params"][0], "the record itself stays as it is"


def test_a_still_picture_has_no_controls(records):
    html = records.vega_figure({"mark": "bar"}, {"alt": "A bar that nobody can move"}, "picture-1")
    assert "fieldset" not in html and 'id="picture-1"' in html


PLOT = {"mark": "bar", "data": {"values": [{"a": 1, "b": 2}]},
        "encoding": {"x": {"field": "a", "type": "quantitative"}, "y": {"field": "b", "type": "quantitative"}}}


@pytest.mark.parametrize("spec, wide, narrow", [  # (px of the plots, how many stand one below the other)
    ({**PLOT, "height": 200}, (200, 1), (200, 1)),
    ({"hconcat": [{**PLOT, "height": 100}, {**PLOT, "height": 200}]}, (200, 1), (300, 2)),
    ({"vconcat": [{**PLOT, "height": 50}, {"hconcat": [{**PLOT, "height": 100}] * 2}]}, (150, 2), (250, 3)),
])
def test_the_place_of_a_picture_is_kept_for_it(ext, records, spec, wide, narrow):
    """Each plot has its axis with a title below it."""
    html, _ = ext.share(records.vega_figure(spec, RECORD))
    got = re.search(r'--wide: (\d+)px; --narrow: (\d+)px', html).groups()
    for height, (plots, rows) in zip(got, (wide, narrow), strict=True):
        assert plots + 30 * rows < int(height) < plots + 70 * rows


def unpacked(script):
    packed = re.fullmatch(r'explorables\.receive\("\w{16}", "([\w+/=]*)"\);\n', script).group(1)
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_a_chart_is_compiled_and_moves_to_a_file_that_its_content_names(ext, records):
    rows = [{"x": i, "text": "</script>"} for i in range(200)]
    large = {"mark": "bar", "data": {"values": rows}}
    html, files = ext.share(records.vega_figure(large, RECORD))
    (name, script), = files.items()
    assert "values" not in html and f'data-name="{name[:-3]}"' in html
    assert unpacked(script)["data"] == [rows] and len(script) < len(json.dumps(large)) / 3
    again, same = ext.share(records.vega_figure(large, {**RECORD, "name": "other"}))
    assert same == files, "pages that show the same chart share its file"
    large["data"]["values"][0]["x"] = 7
    assert ext.share(records.vega_figure(large, RECORD))[1].keys() != files.keys()


def test_a_small_chart_stays(ext, records, monkeypatch):
    monkeypatch.setattr(ext, "INLINE", 10_000)
    html, files = ext.share(records.vega_figure({"mark": "bar", "description": "</script>"}, RECORD))
    chart = json.loads(re.search(r'explorable-spec">(.*?)</script>', html).group(1))
    assert files == {} and chart["wide"]["chart"]["marks"] and chart["wide"]["widths"] == [[1, 0]]


def test_what_a_chart_takes_from_its_page_is_left_open(charts):
    x = {"x": {"field": "a", "type": "quantitative"}}
    plot = {"mark": "point", "encoding": x}
    chart = charts.compiled({"data": {"values": [{"a": 1}]}, "hconcat": [plot, {"vconcat": [plot, plot]}]})
    assert chart["data"] == [[{"a": 1}]]
    assert chart["wide"]["widths"] == [[0.5, -76]] and chart["narrow"]["widths"] == [[1, -64]]
    text = json.dumps(chart)
    assert all(f'"{word}"' in text for word in ("@width0", "@data0", "@ticks", "@limit", "@columns"))
    assert "9000" not in text and "@font" in text


def test_a_chart_that_the_pages_cannot_draw_is_named(charts):
    with pytest.raises(ValueError, match="a chart asks for .*geoshape.* which book/_static/vendor/vega/entry.js leaves out"):
        charts.compiled({"mark": "geoshape", "data": {"values": [{"type": "Point", "coordinates": [1, 2]}]}})


def test_a_chart_that_computes_with_its_width_is_refused(charts, monkeypatch):
    spec = {"mark": "bar", "data": {"values": [{"a": 1}]}, "encoding": {"x": {"field": "a", "type": "quantitative"}}}
    honest = charts.vl_convert.vegalite_to_vega
    monkeypatch.setattr(charts.vl_convert, "vegalite_to_vega",
                        lambda spec, **rest: {**honest(spec, **rest), "half": spec["width"] // 2})
    with pytest.raises(ValueError, match="computes with its width"):
        charts.compiled(spec)


def test_a_stage_becomes_an_ordinary_script(ext):
    script = ext.stage_script("simplex")
    assert "export" not in script.replace("by exporting", "") and "import " not in script
    assert 'explorables.stage("simplex", { render, fault, measures });' in script


def test_a_stage_that_exports_nothing_is_named(ext, monkeypatch):
    monkeypatch.setattr(ext.stages, "source", lambda name: "const nothing = 0;\n")
    with pytest.raises(ValueError, match="the stage simplex must end in one line `export default"):
        ext.stage_script("simplex")


def test_a_stage_in_a_page(tiny_book):
    state = {"p": [0.5, 0.3, 0.2]}
    record = {"name": "corner", "alt": "A triangle to play with, by hand", "caption": "", "stage": "simplex",
              "state": state, "heights": [400, 700]}
    tiny_book.notebook("notebooks/lab", [{"text/plain": "x", "application/vnd.entropylab.explorable+json": record}])
    tiny_book.page("index", "# A\n\n```{explorable} lab#corner\n```\n\n```{toctree}\nnotebooks/lab\n```\n")
    assert tiny_book.build() == ""
    for page in ("index", "notebooks/lab"):
        html = tiny_book.html(page)
        assert 'id="explore-corner"' in html and "--wide: 400px; --narrow: 700px" in html
        found = json.loads(re.search(r'explorable-record">(.*?)</script>', html).group(1))
        assert found == {"stage": "simplex", "state": state}
    assert (tiny_book.target / "_static" / "stages" / "simplex.js").is_file()
