"""Stages and handles in a real browser: they compute what the package computes, and a hand, a key, a tap
and an address move them."""

import json
import math

import numpy as np
import pytest
from scipy.optimize import minimize

from labutils import info, nlse, policy, stages

MODULE = """async (source) => { const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  window.stage = (await import(url)).default; }"""


@pytest.fixture
def module(read):
    """module(name): a tab with the stage as a module, as anywidget loads it."""
    tab = read().tab

    def load(name):
        tab.goto("about:blank")
        tab.evaluate(MODULE, stages.source(name))
        return tab

    return load


def measures(tab, state):
    return tab.evaluate("(state) => stage.measures(state)", state)


def fault(tab, state):
    return tab.evaluate("(state) => stage.fault(state)", state)


def test_the_simplex_computes_what_the_package_computes(module):
    tab, rng = module("simplex"), np.random.default_rng(0)
    for _ in range(20):
        p, q = 0.985 * rng.dirichlet([1, 1, 1], 2) + 0.005
        z = rng.uniform(-2, 2, 3)
        got = measures(tab, {"p": p.tolist(), "q": q.tolist(), "z": z.tolist()})
        logits = np.log(p)
        after = policy.softmax(logits + z)
        assert got["entropy"] == pytest.approx(float(info.entropy(p)), abs=1e-12)
        assert got["covariance"] == pytest.approx(-float(policy.entropy_change(logits, z)), abs=1e-12)
        assert got["after"] == pytest.approx(after.tolist(), abs=1e-12)
        assert got["change"] == pytest.approx(float(info.entropy(after) - info.entropy(p)), abs=1e-12)
        assert got["forward"] == pytest.approx(float(info.kl(p, q)), abs=1e-12)
        assert got["backward"] == pytest.approx(float(info.kl(q, p)), abs=1e-12)


FACES = np.arange(1.0, 7.0)


def most_uncertain(state):
    """The same problem by a general solver that knows nothing of exponentials."""
    free = [i for i, pin in enumerate(state["pins"]) if pin == -1]
    held = np.where(np.array(state["pins"]) == -1, 0.0, state["pins"])

    def whole(x):
        p = held.copy()
        p[free] = x
        return p

    rules = [lambda x: whole(x).sum() - 1]
    if state["holdMean"]:
        rules.append(lambda x: whole(x) @ FACES - state["mean"])
    if state["holdSpread"]:
        rules.append(lambda x: whole(x) @ FACES**2 - state["spread"] ** 2 - state["mean"] ** 2)
    cost = lambda x: float(np.sum(np.clip(x, 1e-300, None) * np.log(np.clip(x, 1e-300, None))))
    found = minimize(cost, np.full(len(free), (1 - held.sum()) / len(free)), method="SLSQP",
                     bounds=[(1e-12, 1)] * len(free), options={"ftol": 1e-15, "maxiter": 500},
                     constraints=[{"type": "eq", "fun": rule} for rule in rules])
    assert found.success, found.message
    return whole(found.x)


START = {"mean": 4.5, "spread": 1.5, "holdMean": True, "holdSpread": False, "pins": [-1] * 6}


@pytest.mark.parametrize("change", [
    {}, {"holdMean": False}, {"mean": 2.1}, {"holdSpread": True}, {"mean": 3.5, "holdSpread": True, "spread": 2.2},
    {"mean": 3.3, "holdSpread": True, "spread": 0.7}, {"pins": [-1, 0.2, -1, -1, -1, -1]},
    {"mean": 4, "holdSpread": True, "pins": [-1, -1, 0.3, -1, -1, 0.2]},
    {"holdMean": False, "pins": [0.1, 0.2, -1, 0.05, -1, -1]},
])
def test_the_most_uncertain_pmf_is_the_one_a_general_solver_finds(module, change):
    tab, state = module("maxent"), {**START, **change}
    assert fault(tab, state) == ""
    got, want = measures(tab, state), most_uncertain(state)
    assert got["p"] == pytest.approx(want.tolist(), abs=2e-5)
    assert got["entropy"] >= float(info.entropy(want / want.sum())) - 1e-9
    p = np.array(got["p"])
    assert p.sum() == pytest.approx(1, abs=1e-10)
    if state["holdMean"]:
        assert p @ FACES == pytest.approx(state["mean"], abs=1e-9)
    if state["holdSpread"]:
        assert p @ FACES**2 - state["mean"] ** 2 == pytest.approx(state["spread"] ** 2, abs=1e-8)
    names = [words for words, _ in got["ladder"]]
    assert names[0] == "nothing known" and got["ladder"][0][1] == pytest.approx(math.log(6))
    assert got["ladder"][-1][1] == pytest.approx(got["entropy"], abs=1e-10)
    heights = [value for _, value in got["ladder"]]
    assert heights == sorted(heights, reverse=True), "each constraint takes something off"


@pytest.mark.parametrize("change, words", [
    ({"mean": 6}, "asks for a mean at or beyond the edge of what such a pmf can have"), ({"mean": 0.5}, "asks for a mean at or beyond the edge of what such a pmf can have"),
    ({"holdSpread": True, "spread": 2.4}, "asks for a spread at or beyond the edge of what a pmf with this mean can have"),
    ({"holdSpread": True, "spread": 0.3}, "asks for a spread at or beyond the edge of what a pmf with this mean can have"),
    ({"holdSpread": True, "holdMean": False}, "holds the spread about a mean that is not held"),
    ({"pins": [0.5, 0.6, -1, -1, -1, -1]}, "holds bars that leave less than 0.01 to the others"),
    ({"pins": [0.1, 0.1, 0.1, 0.1, 0.1, -1]}, "asks for more than the free bars can meet"),
    ({"pins": [-0.5, -1, -1, -1, -1, -1]}, "holds a bar outside 0 to 1"),
    ({"pins": [0.6, -1, -1, -1, -1, -1]}, "asks for a mean at or beyond the edge of what such a pmf can have"),
])
def test_what_no_pmf_can_do_is_named(module, change, words):
    assert fault(module("maxent"), {**START, **change}) == words


@pytest.mark.parametrize("change, words", [
    ({"p": [0.5, 0.5, 0.1]}, "does not sum to 1"), ({"q": [0.998, 0.001, 0.001]}, "has a share below 0.005"),
    ({"z": [3, 0, 0]}, "moves a logit by more than 2"),
])
def test_what_is_no_policy_is_named(module, change, words):
    start = {"p": [0.5, 0.3, 0.2], "q": [0.4, 0.3, 0.3], "z": [0, 0, 0]}
    tab = module("simplex")
    assert fault(tab, start) == "" and fault(tab, {**start, **change}) == words


MEETING, SHAKEN = {"speed": 0.5, "phase": 0.0, "amplitude": 1.0}, {"heights": [0.05, 0.0, 0.0, 0.0], "length": 5.0}


def test_the_collision_computes_what_the_package_computes(module):
    tab, rng, grid = module("collision"), np.random.default_rng(0), nlse.ring(192, 24)
    for _ in range(20):
        v, phase, b = rng.uniform([0.05, -3.14, 0.4], [1.6, 3.14, 1.6])
        pair = ([1.0, b], [v, -v], [0.0, 0.0], [phase, 0.0])
        got = measures(tab, {"speed": v, "phase": phase, "amplitude": b})
        assert got["peak"] == pytest.approx(abs(nlse.solitons(grid.x, 0, *pair)[96]), abs=1e-10)
        assert [got["hx"], got["hk"]] == pytest.approx(nlse.entropies(nlse.solitons(grid.x, 0, *pair), 24), abs=1e-9)
        assert got["before"] == pytest.approx(nlse.entropies(nlse.solitons(grid.x, -6, *pair), 24)[0], abs=1e-9)
        assert got["shifts"] == pytest.approx([nlse.shift(1, b, 2 * v), nlse.shift(b, 1, 2 * v)], abs=1e-12)


@pytest.mark.parametrize("heights, length, near", [
    ([0.05, 0, 0, 0], 5.0, 2e-4), ([0, 0.1, 0, 0], 10.0, 2e-4), ([0.05, 0.02, -0.03, 0], 13.0, 5e-3), ([0.1, 0, 0, 0.1], 3.0, 2e-4),
])
def test_the_shaken_wave_is_the_one_that_the_package_solves(module, heights, length, near):
    x, times = nlse.ring(256, length).x, np.linspace(0, 18, 121)
    start = 1 + sum(h * np.cos(2 * np.pi * n * x / length) for n, h in enumerate(heights, 1)) + 0j
    hx, hk = nlse.entropies(nlse.solve(start, times, length, tol=1e-9).psi, length)
    got = measures(module("ripples"), {"heights": heights, "length": length})
    assert got["lost"] == pytest.approx((np.log(length) - hx).tolist(), abs=near)
    assert got["gained"] == pytest.approx((hk - np.log(2 * np.pi / length)).tolist(), abs=near)
    assert got["rates"] == pytest.approx([float(nlse.growth_rate(2 * np.pi * n / length)) for n in (1, 2, 3, 4)], abs=1e-12)


@pytest.mark.parametrize("name, start, change, words", [
    ("collision", MEETING, {"speed": 0}, "has a speed outside 0.05 to 1.6"),
    ("collision", MEETING, {"phase": 4}, "has a phase outside \u2212\u03c0 to \u03c0"),
    ("collision", MEETING, {"amplitude": 2}, "has an amplitude outside 0.4 to 1.6"),
    ("ripples", SHAKEN, {"length": 20}, "has a ring outside 3 to 16"),
    ("ripples", SHAKEN, {"heights": [0.3, 0, 0, 0]}, "has a ripple higher than 0.2"),
])
def test_what_no_wave_of_the_picture_is_is_named(module, name, start, change, words):
    tab = module(name)
    assert fault(tab, start) == "" and fault(tab, {**start, **change}) == words


# ---------------------------------------------------------------------- in the page
SIMPLEX, MAXENT = "book/policy/why-entropy-falls", "book/foundations/measures"
WAVES = "book/waves/nlse"


def figure_of(reader, page, name, query=""):
    reader.tab.goto((reader.site / f"{page}.html").as_uri() + query + f"#explore-{name}")
    figure = reader.tab.locator(f"#explore-{name}")
    figure.scroll_into_view_if_needed()
    reader.tab.wait_for_selector(f"#explore-{name}[data-drawn=yes]")
    reader.tab.wait_for_selector("html[data-math=ready]")
    return figure


def state(figure):
    return figure.evaluate("f => f.explorable.state()")


def drag(handle, right, down):
    """Pull a handle by so many px."""
    handle.scroll_into_view_if_needed()
    box, mouse = handle.bounding_box(), handle.page.mouse
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + right, y + down, steps=5)
    mouse.up()
    handle.page.wait_for_timeout(100)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_hand_moves_the_policy(read, width):
    reader = read(width)
    figure = figure_of(reader, SIMPLEX, "simplex")
    before = state(figure)
    drag(figure.locator("[aria-label='policy π']"), 0, -40)
    after = state(figure)
    assert after["p"][2] > before["p"][2] + 0.05 and after["q"] == before["q"]
    assert sum(after["p"]) == pytest.approx(1, abs=1e-9)
    drag(figure.locator("[aria-label='change of logit 2']"), 0, -30)
    assert state(figure)["z"][1] > before["z"][1] + 0.3
    drag(figure.locator("[aria-label='policy π']"), 0, 2000)
    assert min(state(figure)["p"]) >= 0.005, "the policy stays where log p is finite"
    assert reader.complaints == [] and reader.outside == []


def test_a_tap_brings_the_policy_there(read):
    figure = figure_of(read(), SIMPLEX, "simplex")
    triangle = figure.locator(".stage-drawing").first
    box = triangle.bounding_box()
    triangle.click(position={"x": box["width"] / 2, "y": box["height"] * 0.25})
    assert state(figure)["p"][2] > 0.7


def test_keys_move_every_handle_and_say_so(read):
    for page, name in ((SIMPLEX, "simplex"), (MAXENT, "maxent")):
        figure = figure_of(read(), page, name)
        handles = figure.locator(".stage-handle")
        assert handles.count() >= 5
        for handle in handles.all():
            figure.locator(".explorable-reset").click()
            figure.page.wait_for_timeout(60)
            before, spoken = state(figure), handle.get_attribute("aria-valuetext")
            assert spoken and handle.get_attribute("aria-label")
            handle.focus()
            handle.press("ArrowUp")
            figure.page.wait_for_timeout(60)
            if state(figure) == before:
                handle.press("ArrowDown")
                figure.page.wait_for_timeout(60)
            assert state(figure) != before, handle.get_attribute("aria-label")
            assert handle.get_attribute("aria-valuetext") != spoken


@pytest.mark.parametrize("name, count", [("collision", 3), ("ripples", 5)])
def test_keys_move_the_waves_and_say_so(read, name, count):
    figure = figure_of(read(), WAVES, name)
    handles = figure.locator(".stage-handle")
    assert handles.count() == count
    for handle in handles.all():
        figure.locator(".explorable-reset").click()
        figure.page.wait_for_timeout(100)
        before, spoken = state(figure), handle.get_attribute("aria-valuetext")
        handle.focus()
        handle.press("ArrowUp")
        figure.page.wait_for_timeout(150)
        assert state(figure) != before and handle.get_attribute("aria-valuetext") != spoken, handle.get_attribute("aria-label")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_hand_moves_the_waves(read, width):
    reader = read(width)
    figure = figure_of(reader, WAVES, "collision")
    drag(figure.locator("[aria-label=speed]"), 30, 0)
    assert state(figure)["speed"] > 0.6
    drag(figure.locator("[aria-label=speed]"), 3000, 0)
    assert state(figure)["speed"] == 1.6, "as far as it goes"
    figure = figure_of(reader, WAVES, "ripples")
    drag(figure.locator("[aria-label='ripple 2']"), 0, -20)
    assert state(figure)["heights"][1] > 0.04 and state(figure)["heights"][0] == 0.05
    drag(figure.locator("[aria-label='length of the ring']"), -3000, 0)
    assert state(figure)["length"] == 3
    assert "stable" in figure.inner_text() and reader.complaints == [] and reader.outside == []


def test_the_arrow_says_what_the_covariance_says(read):
    figure = figure_of(read(), SIMPLEX, "simplex")
    verdict = figure.locator(".stage-verdict")
    figure.get_by_role("button", name="reward the likeliest").click()
    figure.page.wait_for_timeout(60)
    assert verdict.inner_text() == "The likely gain: entropy starts to fall."
    figure.get_by_role("button", name="reward the rarest").click()
    figure.page.wait_for_timeout(60)
    assert verdict.inner_text() == "The rare gain: entropy starts to rise."
    figure.get_by_role("button", name="uniform policy").click()
    figure.page.wait_for_timeout(60)
    assert "At first order, entropy stays" in verdict.inner_text()


def test_constraints_are_dragged_as_far_as_a_pmf_goes_along(read):
    reader = read()
    figure = figure_of(reader, MAXENT, "maxent")
    drag(figure.locator("[aria-label=mean]"), -60, 0)
    moved = state(figure)
    assert moved["holdMean"] and moved["mean"] < 4
    drag(figure.locator("[aria-label=mean]"), -3000, 0)
    assert 1 < state(figure)["mean"] < 1.1
    assert "No further: this asks for a mean" in figure.locator(".stage-note").inner_text()
    figure.get_by_role("button", name="know nothing").click()
    drag(figure.locator("[aria-label='probability of 3']"), 0, -40)
    held = state(figure)["pins"]
    assert held[2] > 0.2 and held.count(-1) == 5
    top = figure.locator("[aria-label='probability of 3']")
    assert "held" in top.get_attribute("aria-valuetext")
    top.press("Delete")
    assert state(figure)["pins"] == [-1] * 6
    assert reader.complaints == []


def test_what_cannot_be_held_together_is_refused_in_words(read):
    figure = figure_of(read(), MAXENT, "maxent", "?maxent.pins=0.05,0.08,0.11,0.17,-1,-1")
    before = state(figure)
    figure.get_by_role("button", name="hold the spread").click()
    figure.page.wait_for_timeout(60)
    assert state(figure) == before
    assert figure.locator(".stage-note").inner_text() == "No further: this asks for more than the free bars can meet."
    assert "NaN" not in figure.inner_text()


def test_a_handle_on_a_chart_sets_its_sliders(read):
    reader = read()
    figure = figure_of(reader, MAXENT, "two-normals")
    before = state(figure)
    drag(figure.locator(".explorable-handle").nth(1), -50, -20)
    after = state(figure)
    assert after["mq"] < before["mq"] - 0.3 and after["sq"] > before["sq"] + 0.1
    assert (after["mp"], after["sp"]) == (before["mp"], before["sp"])
    shown = figure.locator("label:has-text('mean of q') ~ output").inner_text()
    assert float(shown) == pytest.approx(after["mq"], abs=0.006)
    box, knob = figure.bounding_box(), figure.locator(".explorable-handle").nth(1).bounding_box()
    assert box["x"] < knob["x"] < box["x"] + box["width"]
    assert reader.complaints == []


# ---------------------------------------------------------------------- the address
@pytest.mark.parametrize("page, name, query, want", [
    (SIMPLEX, "covariance", "?covariance.step=2&covariance.natural=false", {"step": 2, "natural": False, "sharp": 0.7}),
    (SIMPLEX, "scores", "?scores.score=exact", None),
    (MAXENT, "renyi-order", "?renyi-order.tilt=1.5", {"tilt": 1.5}),
    (SIMPLEX, "simplex", "?simplex.p=0.2,0.3,0.5", {"p": [0.2, 0.3, 0.5], "z": [1.5, 0, 0]}),
    (MAXENT, "maxent", "?maxent.holdMean=false&maxent.pins=0.8,-1,-1,-1,-1,-1", {"holdMean": False, "pins": [0.8] + [-1] * 5}),
    (MAXENT, "maxent", "?maxent.mean=3&maxent.holdSpread=true&maxent.spread=1", {"mean": 3, "holdSpread": True, "spread": 1}),
])
def test_an_address_opens_a_setting(read, page, name, query, want):
    reader = read()
    if want is None:
        figure = figure_of(reader, page, name)
        option = figure.evaluate("f => JSON.parse(f.querySelector('select').options[1].value)")
        query, want = f"?{name}.{figure.evaluate('f => Object.keys(f.explorable.state())[0]')}={option}", {"score": option}
        reader = read()
    figure = figure_of(reader, page, name, query)
    found = state(figure)
    assert {key: found[key] for key in want} == want
    assert figure.locator(".explorable-note").count() == 0 and reader.complaints == []


def test_a_move_is_kept_in_the_address_and_reset_takes_it_out(read):
    reader = read()
    figure = figure_of(reader, SIMPLEX, "covariance")
    figure.locator("input[type=range]").first.press("ArrowRight")
    reader.tab.wait_for_url("**covariance.rewarded=2*")
    moved = state(figure)
    link = figure.locator(".explorable-link").evaluate("a => a.href")
    again = read()
    again.tab.goto(link)
    again.tab.wait_for_selector("#explore-covariance[data-drawn=yes]")
    again.tab.wait_for_function("document.querySelector('#explore-covariance').explorable.state().rewarded === 2")
    assert state(again.tab.locator("#explore-covariance")) == moved
    figure.locator(".explorable-reset").click()
    reader.tab.wait_for_function("!location.search")
    assert state(figure)["rewarded"] == 1
    assert reader.complaints == [] and again.complaints == []


def test_two_pictures_of_a_page_share_the_address(read):
    reader = read()
    figure = figure_of(reader, SIMPLEX, "simplex", "?covariance.step=2")
    figure.locator("[aria-label='policy π']").press("ArrowUp")
    reader.tab.wait_for_url("**simplex.p=*")
    assert "covariance.step=2" in reader.tab.url


@pytest.mark.parametrize("query, words", [
    ("covariance.step=99", "The address asks for step = 99, which lies outside 0.1 to 4."),
    ("covariance.natural=maybe", "The address asks for natural = maybe, which is not a value of it."),
    ("covariance.rank=3", "This picture has no rank; it has rewarded, sharp, step, natural."),
    ("simplex.p=0.5,0.5,0.5", "The address asks for p = 0.5,0.5,0.5, which does not sum to 1."),
    ("maxent.mean=5.8&maxent.holdSpread=true", "The address asks for mean = 5.8 and holdSpread = true, "
     "which asks for a spread at or beyond the edge of what a pmf with this mean can have."),
    ("simplex.z=1,2", "The address asks for z = 1,2, which is not a value of it."),
])
def test_an_address_that_asks_for_the_impossible_is_answered(read, query, words):
    name = query.split(".")[0]
    reader, page = read(), MAXENT if name == "maxent" else SIMPLEX
    plain = state(figure_of(reader, page, name))
    figure = figure_of(reader, page, name, f"?{query}")
    assert figure.locator(".explorable-note").inner_text() == words
    assert json.dumps(state(figure)) == json.dumps(plain)


def test_the_link_is_announced(read):
    figure = figure_of(read(), SIMPLEX, "simplex")
    figure.locator(".explorable-link").click()
    figure.page.wait_for_function("document.querySelector('#explore-simplex .explorable-said').textContent")
    assert figure.locator(".explorable-said").inner_text() in ("copied", "it is in the address bar")
