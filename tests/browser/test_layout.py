"""Facts of layout: nothing jumps, overlaps or is cut off, at any width, zoom or spacing of text."""

import pytest
from facts import CUT, OVERLAPS, SIDEWAYS

CHAPTERS = ["book/foundations/measures", "book/policy/why-entropy-falls"]


def test_the_overlap_test_can_fail(read):
    tab = read(1440).open(CHAPTERS[0])
    tab.evaluate("document.querySelector('.bd-article').style.marginLeft = '-200px'")
    assert tab.evaluate(OVERLAPS) != []


@pytest.mark.parametrize("name", CHAPTERS)
def test_at_twice_the_size_nothing_is_lost(read, name):
    """A page of 1280 px at 200 % has 640 px to lay itself out in; WCAG 1.4.4 also asks for larger text alone."""
    tab = read(640, 450, device_scale_factor=2).open(name)
    assert tab.evaluate(SIDEWAYS) == 0 and tab.evaluate(CUT) == []
    tab = read(1280).open(name)
    tab.evaluate("document.documentElement.style.fontSize = '32px'")
    tab.wait_for_timeout(600)
    assert tab.evaluate(SIDEWAYS) == 0 and tab.evaluate(CUT) == []
