"""The colours of the book: readable on both pages, and the same as those of the figures."""

import re

import pytest

from labutils import figures

FIGURES = ("blue", "orange", "green", "red", "purple", "sky")
ON_PAGE = ("ink", "quiet", "link", "good", "warn", "bad", "idea", "note")


def luminance(colour):
    channels = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(params=["light", "dark"])
def theme(request, root):
    """The variables of one theme of the style sheet."""
    css = (root / "book" / "_static" / "book.css").read_text(encoding="utf8")
    start = css.index(f'html[data-theme="{request.param}"] {{')
    both = css[css.index(":root {\n"):]
    colours = r"--([a-z-]+): (#[0-9a-f]{6})\b"
    block = css[start:css.index("}", start)]
    return dict(re.findall(colours, both[:both.index("}")])) | dict(re.findall(colours, block))


def test_black_on_white_is_21_to_1():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("name", ON_PAGE)
def test_text_reads_on_every_ground(theme, name):
    """WCAG AA asks 4.5:1 of text."""
    grounds = ["page", "raised", "sunk"] + ([f"{name}-soft"] if f"{name}-soft" in theme else [])
    for ground in grounds:
        assert contrast(theme[name], theme[ground]) >= 4.5, (name, ground)


@pytest.mark.parametrize("name", ["key", "text", "number", "name", "quiet"])
def test_code_reads_on_its_ground(theme, name):
    assert contrast(theme[f"code-{name}"], theme["sunk"]) >= 4.5


@pytest.mark.parametrize("name", FIGURES)
def test_figures_and_page_share_colours_that_stand_out(theme, name):
    """WCAG AA asks 3:1 of graphics."""
    assert theme[name] == getattr(figures, name.upper())
    assert contrast(theme[name], theme["page"]) >= 3
    assert contrast(theme[name], theme["raised"]) >= 3
