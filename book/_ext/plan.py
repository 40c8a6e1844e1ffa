"""The plan of the book: parts and chapters, what each must have, and what is wrong with one that has not.

Data only; the Sphinx extensions `map_ext` and `pages_ext` build on it.
"""

import re
from pathlib import Path

import yaml

PART = {"slug", "title", "about", "chapters"}
CHAPTER = {"slug", "title", "question"}


def read(path):
    """The list of parts, as the file has it, each chapter with its `name` (part/chapter) and `number` (1.1).

    Errors: ValueError with one line for each broken rule; FileNotFoundError.
    """
    try:
        parts = yaml.safe_load(Path(path).read_text(encoding="utf8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{Path(path).name} is not YAML: {' '.join(str(error).split())}") from None
    if wrong := problems(parts):
        raise ValueError("\n".join(wrong))
    for place, part in enumerate(parts, start=1):
        part["number"] = place
        for order, chapter in enumerate(part["chapters"], start=1):
            chapter["name"] = f"{part['slug']}/{chapter['slug']}"
            chapter["number"] = f"{place}.{order}"
            chapter.setdefault("needs", [])
    return parts


def chapters(parts):
    """All chapters in reading order, as {part/chapter: chapter}."""
    return {chapter["name"]: chapter for part in parts for chapter in part["chapters"]}


def problems(parts):
    """One line for each broken rule; an empty list for a sound plan."""
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        return ["the plan must be a list of parts"]
    found, before = [], set()
    for part in parts:
        name = part.get("slug", "without slug")
        found += _rules(f"part {name}", part, PART)
        inside = part.get("chapters")
        if not isinstance(inside, list) or not all(isinstance(chapter, dict) for chapter in inside):
            found.append(f"part {name}: chapters must be a list of chapters")
            continue
        for chapter in inside:
            own = f"{name}/{chapter.get('slug')}"
            found += _rules(f"chapter {own}", chapter, CHAPTER, {"needs"})
            found += [f"chapter {own}: needs {need!r}, which does not stand before it"
                      for need in chapter.get("needs", []) if need not in before]
            if own in before:
                found.append(f"chapter {own}: slug must be unique in its part")
            before.add(own)
    return found


def _rules(name, entry, required, optional=frozenset()):
    """The rules that a part or a chapter breaks on its own."""
    if missing := sorted(required - set(entry)):
        yield f"{name}: must have {', '.join(missing)}"
    for key in sorted(set(entry) - required - optional):
        yield f"{name}: has the unknown key {key!r}"
    for key in sorted((required & set(entry)) - {"chapters"}):
        if not isinstance(entry[key], str) or not entry[key].strip():
            yield f"{name}: {key} must be a text; got {entry[key]!r}"
    if isinstance(entry.get("slug"), str) and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry["slug"]):
        yield f"{name}: slug must be of small letters, digits and single hyphens; got {entry['slug']!r}"
