"""Formulas and nodes as plain text and as small pieces of HTML, for the search and for the meanings.

Data only; the Sphinx extensions `find_ext` and `meanings_ext` build on it.
"""

import re
from html import escape

import notation_data
from docutils import nodes
from docutils.utils.math import tex2unichar
from sphinx import addnodes

SIGNS = {}
for _name in ("mathalpha", "mathbin", "mathclose", "mathfence", "mathop", "mathopen", "mathord",
              "mathpunct", "mathrel"):
    SIGNS.update(getattr(tex2unichar, _name))
SIGNS.update({"to": "→", "dots": "…", "ldots": "…", "cdots": "…", "{": "{", "}": "}", "\\": ";", "top": "ᵀ"})
SPACED = set("=≤≥<>+−→∝≈≠∈∼∥|;⊙")
MATH = re.compile(r"\$([^$]+)\$")


def readable(tex):
    """A formula in one line that a search can show: d/dη H(z+ηΔz) = −Cov_π(log π, Δz)."""
    text = _line(notation_data.tokens(tex))
    text = re.sub(r"\s+", " ", text)
    return re.sub(r"\s+([),.;\]}])", r"\1", re.sub(r"([(\[])\s+", r"\1", text)).strip(" ,.;")


def _line(found):
    """Tokens in one line; what is wrapped in braces and longer than a letter gets round brackets."""
    parts, at = [], 0

    def next_group():
        nonlocal at
        inside, at = notation_data.group(found, at)
        return _line(list(inside)).strip()

    while at < len(found):
        token = found[at]
        at += 1
        if token in (r"\frac", r"\tfrac", r"\dfrac"):
            above, below = next_group(), next_group()
            parts.append(f" {_bracketed(above)}/{_bracketed(below)} ")
        elif token == r"\sqrt":
            parts.append(f"√{_bracketed(next_group())}")
        elif token in ("_", "^"):
            parts.append(token + _bracketed(next_group()))
        elif token in "{}":
            continue
        elif token.startswith("\\") and token.endswith("}") and len(token) > 2:  # a letter in a font, a word
            inside = token[token.index("{") + 1:-1]
            parts.append(f" {inside} " if token.startswith(r"\text") else _line(notation_data.tokens(inside)))
        elif token.startswith("\\"):
            name = token[1:]
            sign = SIGNS.get(name)
            parts.append(f" {sign} " if sign in SPACED else sign if sign else f" {name} " if name.isalpha() else "")
        else:
            token = "−" if token == "-" else token
            parts.append(f" {token} " if token in SPACED else f"{token} " if token == "," else token)
    return "".join(parts)


def _bracketed(text):
    return text if re.fullmatch(r"\w*|\w+\([^()]*\)", text) else f"({text})"


def plain(node):
    """What a reader sees of a node in one line: formulas readable, code and citations left out."""
    return re.sub(r"\s+", " ", _plain(node)).strip()


def _plain(node):
    if isinstance(node, nodes.Text):
        return node.astext()
    if isinstance(node, (nodes.math, nodes.math_block)):
        text = readable(node.astext())
        return f" {text}. " if isinstance(node, nodes.math_block) else text
    if isinstance(node, (nodes.raw, nodes.comment, nodes.system_message, nodes.literal_block)):
        return ""
    if isinstance(node, addnodes.pending_xref) and node.get("refdomain") in ("cite", "math"):
        return "" if node["refdomain"] == "cite" else "(…)"
    apart = "" if isinstance(node, (nodes.TextElement, nodes.Inline)) else " "
    return apart.join(_plain(child) for child in node.children)


def html(node):
    """The words of a node with its formulas, for a small box."""
    if isinstance(node, nodes.Text):
        return escape(str(node), quote=False)
    if isinstance(node, nodes.math):
        return formula(node.astext())
    return "".join(html(child) for child in node.children)


def formula(tex):
    return f'<span class="math">\\({escape(tex, quote=False)}\\)</span>'


def from_markdown(text):
    """A cell of the notation page, in which only formulas are markup, as HTML."""
    pieces = MATH.split(text)
    return "".join(formula(p) if i % 2 else escape(p, quote=False) for i, p in enumerate(pieces))


def line_from_markdown(text):
    """The same as plain text."""
    pieces = MATH.split(text)
    return "".join(readable(p) if i % 2 else p for i, p in enumerate(pieces))
