"""Docstrings as they stand in the source: the first line as prose, the rest as plain text.

Formulas in a docstring are typed for the eye of someone who reads the code, not for a markup
language; this keeps their alignment and never misreads `|x|` or `*` as markup.
"""

import re


def escaped(line):
    """A line in which nothing is markup."""
    return re.sub(r"([*|`_\\])", r"\\\1", line)


def plain(app, what, name, thing, options, lines):
    """Turn a docstring into one paragraph and one block of plain text; a module's into prose."""
    if not any(lines):
        return
    if what == "module":
        lines[:] = [escaped(line) for line in lines]
        return
    head, rest = escaped(lines[0]), lines[1:]
    while rest and not rest[0].strip():
        rest.pop(0)
    block = ["", ".. code-block:: text", "", *(f"   {line}" for line in rest), ""] if any(rest) else [""]
    lines[:] = [head, *block]


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", plain)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
