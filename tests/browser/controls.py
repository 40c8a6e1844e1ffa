"""Hands on a picture: move what moves it, and see whether it moves."""

SHAPES = """f => [...f.querySelectorAll("svg path, svg line, svg text")].map(
  (mark) => [mark.getAttribute("d"), mark.getAttribute("transform"), mark.textContent].join()
).sort().join("|")"""
SPOKEN = "s => s.getAttribute('aria-valuetext')"
# The key that moves a box or a list to another value; a list may stand at its end.
OTHER = """s => !s.matches("select") ? "Space"
  : s.selectedIndex < s.options.length - 1 ? "ArrowDown" : "ArrowUp"
"""


def changed(figure, before, patience=10_000):
    """True as soon as the picture differs from what it was."""
    for _ in range(patience // 50):
        if figure.evaluate(SHAPES) != before:
            return True
        figure.page.wait_for_timeout(50)
    return False


def press_until_changed(figure, slider, before, times=5):
    """Press an arrow key; a grid may hold neighbours that look the same, so up to five times."""
    at_end = slider.evaluate("s => s.valueAsNumber >= Number(s.max)")
    for _ in range(times):
        slider.press("ArrowLeft" if at_end else "ArrowRight")
        if changed(figure, before, 1000):
            return True
    return False


def stuck(tab):
    """The controls of a page's explorables that move nothing by keyboard, do not say their value or have no name."""
    faults = []
    for figure in tab.locator("figure.explorable:has(.explorable-control) >> visible=true").all():
        name = figure.get_attribute("id")
        for control in figure.locator("input[type=range], input[type=checkbox], select").all():
            control.focus()
            before, shown = figure.evaluate(SHAPES), control.evaluate(SPOKEN)
            if control.get_attribute("type") == "range":
                moves = press_until_changed(figure, control, before)
                if control.evaluate(SPOKEN) == shown:
                    faults.append(f"{name}: a slider does not say its value")
            else:
                control.press(control.evaluate(OTHER))
                moves = changed(figure, before)
            if not moves:
                faults.append(f"{name}: a control moves nothing")
            if not control.evaluate("s => s.labels[0]?.textContent.trim()"):
                faults.append(f"{name}: a control without a name")
    return faults
