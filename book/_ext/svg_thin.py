"""A matplotlib SVG in fewer bytes, the same to the eye: two decimals, short names, each style once, no idle blanks."""

import re
from collections import Counter

NUMBER = re.compile(r"-?\d+\.\d{3,}")
STYLE = re.compile(r' style="([^"]*)"')
REFERENCE = re.compile(r'(?:url\(|href=")#([^)"]+)')


def thin(svg, prefix):
    """The same picture; `prefix` begins its names and classes, which a page shares."""
    svg = re.sub(r' transform="rotate\(-0 [^)]*\)"', "", svg)
    svg = re.sub(r"(?<= )d=\"[^\"]*\"|(?<= )(?:x|y|cx|cy|width|height|transform|points)=\"[^\"]*\"",
                 lambda match: NUMBER.sub(_rounded, match.group()), svg)
    svg = re.sub(r' d="([^"]*)"', lambda match: f' d="{_path(match.group(1))}"', svg)
    names = {old: f"{prefix}_{number}" for number, old in enumerate(dict.fromkeys(REFERENCE.findall(svg)))}
    svg = re.sub(r' id="([^"]*)"', lambda match: f' id="{names[match[1]]}"' if match[1] in names else "", svg)
    svg = REFERENCE.sub(lambda match: f"{match[0].removesuffix(match[1])}{names[match[1]]}", svg)
    svg = re.sub(r">\s+<", "><", svg)
    while (shorter := re.sub(r"<g>((?:(?!</?g[ >]).)*)</g>", r"\1", svg, flags=re.S)) != svg:
        svg = shorter
    return _styles_once(svg, prefix)


def _rounded(match):
    return f"{round(float(match.group()), 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def _path(data):
    """Path data without line ends, and without a letter that repeats the one before."""
    parts, last = [], ""
    for letter, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", data):
        numbers = " ".join(numbers.split())
        parts.append(f" {numbers}" if letter == last == "L" else f"{letter}{numbers}")
        last = letter
    return "".join(parts)


def _styles_once(svg, prefix):
    """Styles that stand more than once become classes."""
    often = [style for style, count in Counter(STYLE.findall(svg)).items() if count > 1]
    names = {style: f"{prefix}-{number}" for number, style in enumerate(often)}
    svg = STYLE.sub(lambda match: f' class="{names[match[1]]}"' if match[1] in names else match.group(), svg)
    rules = "".join(f".{name}{{{style}}}" for style, name in names.items())
    return re.sub(r"(<svg[^>]*>)", rf"\1<style>{rules}</style>", svg, count=1) if rules else svg
