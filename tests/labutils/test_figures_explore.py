"""Pictures have words and are the same at every run; explorables move without a kernel."""

import json
import sys

import altair as alt
import matplotlib.pyplot as plt
import pytest

from labutils import explore as module
from labutils import figures
from labutils.explore import choice, explore, handle, precomputed, slider

PAGES = {"light": "#fdfcfa", "dark": "#15181d"}


@pytest.fixture(autouse=True)
def theme():
    figures.use_theme()
    yield
    plt.close("all")


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw=False: bundles.append(data))
    return bundles


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("colour", [*figures.COLOURS, figures.INK])
def test_colours_stand_out_on_both_pages(page, colour):
    low, high = sorted((luminance(colour), luminance(PAGES[page])))
    assert (high + 0.05) / (low + 0.05) >= 3


def test_book_knows_the_ink(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "book" / "_ext")
    import records

    assert records.INK == figures.INK


def draw():
    figure, axes = plt.subplots()
    axes.plot([0, 1, 2], [0, 1, 4], "o-", label="square")
    axes.legend()
    return figure


def test_svg_is_the_same_to_the_byte():
    first, second = figures.svg(draw()), figures.svg(draw())
    assert first == second and "<dc:date>" not in first


def test_show_matplotlib_and_altair(shown):
    figures.show(draw(), alt="A curve that rises ever faster")
    chart = alt.Chart(alt.Data(values=[{"x": 1}])).mark_bar().encode(x="x:Q")
    figures.show(chart, alt="A single bar of length one")
    svg, vega = shown
    assert "<svg" in svg["image/svg+xml"] and svg[figures.MIME]["alt"].startswith("A curve")
    assert any(mime.startswith("application/vnd.vegalite") for mime in vega)


@pytest.mark.parametrize("words", [None, "", "too short", 7])
def test_alt_text_is_required(words):
    with pytest.raises(ValueError, match="alt must say what the picture shows"):
        figures.show(draw(), alt=words)


def test_show_refuses_what_is_no_picture():
    with pytest.raises(TypeError, match="figure must be a matplotlib figure or an Altair chart; got list"):
        figures.show([1], alt="A list is no picture at all")


def test_choices():
    assert choice(["sine", "step"]).values == ("sine", "step") and choice(["sine", "step"]).value == "sine"
    assert choice((1, 10, 30), value=10).value == 10


@pytest.mark.parametrize("values, value, message", [
    (["sine"], None, "two words or more"), ([], None, "two words or more"), ([1, "step"], None, "two words or more"),
    (["sine", "sine"], None, "values must differ"), ([1, 1], None, "must rise"), ([3, 2], None, "must rise"),
    ([1, float("nan")], None, "must rise"), (["sine", "step"], "hump", "value must be one of"), ([1, 10], 5, "value must be one of"),
])
def test_bad_choices(values, value, message):
    with pytest.raises(ValueError, match=message):
        choice(values, value)


def test_slider_positions():
    assert slider(0.0, 1.0, 5).values == (0, 0.25, 0.5, 0.75, 1) and slider(0.0, 1.0, 5).value == 0.5
    assert slider(1, 5, 5, value=2).values == (1, 2, 3, 4, 5)
    assert all(isinstance(v, int) for v in slider(1, 5, 5).values)
    assert slider(0.01, 1, 3, log=True).values == (0.01, 0.1, 1.0)
    assert slider(0.0, 1.0, 5, value=0.3).value == 0.25


@pytest.mark.parametrize("arguments, message", [
    ({"lo": 1, "hi": 1}, "lo must be less than hi"),
    ({"lo": 0, "hi": 1, "n": 1}, "n must be a whole number >= 2"),
    ({"lo": 0, "hi": 1, "log": True}, "lo must be > 0 with log=True"),
    ({"lo": 0, "hi": 1, "value": 2}, "value must lie between"),
])
def test_bad_sliders(arguments, message):
    with pytest.raises(ValueError, match=message):
        slider(**arguments)


def lines(a, k):
    rows = [{"x": i, "y": a * i + k} for i in range(3)]
    moving = alt.Chart(alt.Data(values=rows)).mark_line().encode(
        x="x:Q", y=alt.Y("y:Q", scale=alt.Scale(domain=[0, 9])))
    fixed = alt.Chart(alt.Data(values=[{"x": 1, "y": 2}])).mark_point().encode(x="x:Q", y="y:Q")
    return moving + fixed


def test_precomputed_grid_is_filtered_by_its_sliders():
    spec = precomputed(lines, {"a": slider(0.0, 1.0, 3), "k": slider(1, 2, 2)})
    moving, fixed = spec["layer"]
    rows = spec["datasets"][moving["data"]["name"]]
    assert len(rows) == 3 * 3 * 2 and rows[-1] == {"x": 2, "y": 4.0, "at_a": 2, "at_k": 1}
    assert moving["transform"] == [{"filter": "datum.at_a == at_a && datum.at_k == at_k"}]
    assert "transform" not in fixed and len(spec["datasets"][fixed["data"]["name"]]) == 1
    assert [p["name"] for p in spec["params"]] == ["at_a", "at_k"]
    assert spec["params"][0]["bind"]["max"] == 2 and spec["params"][0]["value"] == 1


def test_precomputed_is_the_same_at_every_run():
    sliders = {"a": slider(0.0, 1.0, 3), "k": slider(1, 2, 2)}
    assert json.dumps(precomputed(lines, sliders)) == json.dumps(precomputed(lines, sliders))


def test_charts_may_differ_in_data_only():
    def f(a):
        return lines(a, 0).properties(title=f"a = {a}")

    with pytest.raises(ValueError, match="differ only in their data; at a=0.5 the chart.title differs"):
        precomputed(f, {"a": slider(0.0, 1.0, 3)})


def test_grid_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(module, "LIMIT", 500)
    with pytest.raises(ValueError, match="the grid must stay below 500 characters"):
        precomputed(lines, {"a": slider(0.0, 1.0, 3), "k": slider(1, 2, 2)})


def test_explore_records_what_the_page_needs(shown, monkeypatch):
    monkeypatch.setenv("LABUTILS_EXPLORE", "static")
    explore(lines, {"a": slider(0.0, 1.0, 3, label="slope"), "k": slider(1, 2, 2)}, name="lines",
            alt="A line whose slope follows the slider", caption="Pull it.")
    record = shown[0][module.MIME]
    assert record["name"] == "lines" and record["positions"] == {"at_a": [0.0, 0.5, 1.0], "at_k": [1, 2]}


def test_explore_takes_a_finished_chart(shown):
    slope = alt.param("slope", value=1, bind=alt.binding_range(min=0, max=2, step=0.1))
    chart = alt.Chart(alt.sequence(0, 5, as_="x")).transform_calculate(y="datum.x * slope").mark_line().encode(
        x="x:Q", y="y:Q").add_params(slope)
    explore(chart, name="one-line", alt="A line through the origin with a slope")
    assert shown[0][module.MIME]["positions"] == {}
    with pytest.raises(ValueError, match="sliders belong to a function"):
        explore(chart, {"a": slider(0, 1)}, name="one-line", alt="A line through the origin with a slope")


def test_explore_is_live_with_a_kernel(monkeypatch):
    monkeypatch.setenv("LABUTILS_EXPLORE", "live")
    sliders = {"a": slider(0.1, 1, 3, log=True), "k": slider(1, 5, 5), "c": slider(0.0, 1.0),
               "d": choice(["one", "two"], value="two"), "e": choice([1, 10, 30])}
    box = explore(lambda a, k, c, d, e: lines(a, k), sliders, name="lines", alt="A line that follows its sliders", caption="Pull")
    kinds = [type(child).__name__ for child in box.children]
    assert kinds == ["FloatLogSlider", "IntSlider", "FloatSlider", "Dropdown", "SelectionSlider", "Output", "HTML"]
    assert [child.value for child in box.children[3:5]] == ["two", 1]


def test_a_grid_of_choices_is_filtered_by_word_and_by_place(shown, monkeypatch):
    monkeypatch.setenv("LABUTILS_EXPLORE", "static")
    shapes = {"flat": 0, "steep": 10}
    picks = {"shape": choice(shapes, value="steep", label="shape"), "k": choice([1, 2, 5])}
    explore(lambda shape, k: lines(shapes[shape], k), picks, name="lines", alt="A line that follows its choices")
    record = shown[0][module.MIME]
    spec = next(value for mime, value in shown[0].items() if mime.startswith("application/vnd.vegalite"))
    assert record["positions"] == {"at_k": [1, 2, 5]}
    word, place = spec["params"]
    assert word == {"name": "at_shape", "value": "steep", "bind": {"input": "select", "options": ["flat", "steep"], "name": "shape"}}
    assert place["value"] == 0 and place["bind"]["max"] == 2
    for shape in shapes:
        for i, k in enumerate((1, 2, 5)):
            heights = [row["y"] for rows in spec["datasets"].values() for row in rows
                       if (row.get("at_shape"), row.get("at_k")) == (shape, i)]
            assert heights == [shapes[shape] * x + k for x in range(3)]


def test_a_table_that_no_choice_changes_is_kept_once():
    spec = precomputed(lambda word: lines(1, 2), {"word": choice(["a", "b"])})
    assert all("at_word" not in row for rows in spec["datasets"].values() for row in rows)
    assert sum(map(len, spec["datasets"].values())) == sum(map(len, precomputed(lambda k: lines(1, 2), {"k": slider(1, 2, 2)})["datasets"].values()))


@pytest.mark.parametrize("name", ["", None, "Step Size", "a_b"])
def test_bad_names(name):
    with pytest.raises(ValueError, match="name must be lower-case words"):
        explore(lines, {"a": slider(0, 1)}, name=name, alt="A line that follows its sliders")


def test_bad_mode_and_missing_sliders(monkeypatch):
    with pytest.raises(ValueError, match="sliders must be"):
        explore(lines, name="lines", alt="A line that follows its sliders")
    monkeypatch.setenv("LABUTILS_EXPLORE", "maybe")
    with pytest.raises(ValueError, match="LABUTILS_EXPLORE must be live or static; got 'maybe'"):
        explore(lines, {"a": slider(0, 1)}, name="lines", alt="A line that follows its sliders")


def dial():
    slope = alt.param("slope", value=1, bind=alt.binding_range(min=0, max=2, step=0.1))
    free = alt.param("free", value=1)
    return alt.Chart(alt.Data(values=[{"x": 1}])).mark_point().encode(x="x:Q").add_params(slope, free)


def test_handles_travel_with_the_chart(shown):
    explore(dial(), name="dial", alt="A point whose place follows the slope", handles=[handle(x="slope", y=0.5, part=(1, 0))])
    assert shown[0][module.MIME]["handles"] == [
        {"name": "handle-0", "x": "slope", "y": 0.5, "part": [1, 0], "colour": figures.BLUE}]


def test_a_handle_needs_a_parameter_with_a_control():
    with pytest.raises(ValueError, match="x or y must name the parameter that the handle sets; got x=1, y=2"):
        handle(x=1, y=2)
    with pytest.raises(ValueError, match=r"handles must name parameters that have a control \(slope\); got \{'free'\}"):
        explore(dial(), name="dial", alt="A point whose place follows the slope", handles=[handle(x="free", y=0)])


def test_a_live_chart_comes_in_a_form_that_jupyter_draws_by_itself(monkeypatch):
    spec = lines(1.0, 2).to_dict()
    recorded = figures.chart_bundle(spec)
    assert list(recorded.values()) == [spec] and "v5" not in list(recorded)[0], "recorded once, under its own version"
    monkeypatch.setenv("LABUTILS_EXPLORE", "live")
    live = figures.chart_bundle(spec)
    assert live["application/vnd.vegalite.v5+json"] == spec and not any("html" in kind for kind in live)
    monkeypatch.setitem(sys.modules, "google.colab", object())
    colab = figures.chart_bundle(spec)
    assert "vega" in colab["text/html"] and "application/vnd.vegalite.v5+json" not in colab


def test_the_theme_makes_charts_show_themselves_so(monkeypatch):
    monkeypatch.setenv("LABUTILS_EXPLORE", "live")
    figures.use_theme()
    assert "application/vnd.vegalite.v5+json" in lines(1.0, 2)._repr_mimebundle_()


def test_a_live_explorable_shows_what_its_function_returns(monkeypatch):
    monkeypatch.setenv("LABUTILS_EXPLORE", "live")
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *each, **options: shown.extend(each))
    box = explore(lambda a: lines(a, 2), {"a": slider(0.0, 1.0, 3)}, name="lines", alt="A line that follows its slider")
    assert len(shown) == 1 and shown[0].to_dict()["$schema"]
    box.children[0].value = 1.0
    assert len(shown) == 2 and shown[1].to_dict() != shown[0].to_dict()
