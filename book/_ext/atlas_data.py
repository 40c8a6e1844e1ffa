"""The file of the 150 papers: what a paper must have, and what is wrong with one that has not.

Data only; the Sphinx extension `atlas_ext` and the tests build on it.
"""

import re
from pathlib import Path

import yaml

VERDICTS = {  # verdict: the slug of its chip
    "reproduced": "reproduced",
    "reproduced in part": "in-part",
    "does not hold as stated": "does-not-hold",
    "exact model only": "exact-only",
    "planned": "planned",
}
PARTS = ("foundations", "policy", "decisions", "jaynes", "bottleneck", "waves", "transformers",
         "symmetry", "guarantees")
REQUIRED = ("id", "slug", "title", "source", "part", "chapter", "lab", "claim", "verdict",
            "evidence", "note")
OPTIONAL = ("arxiv", "doi", "url", "source_checked")
PATTERNS = {
    "slug": r"[a-z0-9]+(-[a-z0-9]+)*",
    "arxiv": r"\d{4}\.\d{4,5}",
    "doi": r"10\.\d{4,9}/\S+",
    "url": r"https?://\S+",
    "chapter": r"[a-z]+/[a-z0-9-]+",
    "lab": r"[a-z]+/[a-z0-9-]+",
}
LABEL = re.compile(r"(eq|claim|num)(-[a-z0-9]+)+")
SENTENCE_END = re.compile(r"[.!?](?=\s|$)")


def read(path):
    """The list of papers, as the file has it.

    Errors: ValueError for a file that is not YAML, in one line; FileNotFoundError.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{Path(path).name} is not YAML: {' '.join(str(error).split())}") from None


def problems(papers, notebooks=None):
    """One line for each broken rule, naming the paper; an empty list for a sound file.

    `notebooks` is the folder of the labs; without it nobody looks whether they exist.
    """
    if not isinstance(papers, list):
        return [f"the file must hold a list of papers; got {type(papers).__name__}"]
    found, ids, slugs = [], {}, {}
    for place, paper in enumerate(papers):
        if not isinstance(paper, dict):
            found.append(f"paper at place {place}: must be a mapping; got {paper!r}")
            continue
        rules = list(_rules(paper, notebooks))
        number, slug = paper.get("id"), paper.get("slug")
        if _is_number(number):
            if ids.setdefault(number, place) != place:
                rules.append("id must be unique; an earlier paper has it")
            elif number != place:
                rules.append(f"papers must stand in the order of their ids; its place is {place}")
        if isinstance(slug, str) and slugs.setdefault(slug, place) != place:
            rules.append(f"slug must be unique; an earlier paper has {slug!r}")
        name = number if "id" in paper else f"at place {place}"
        found += [f"paper {name}: {rule}" for rule in rules]
    return found


def _rules(paper, notebooks):
    """The rules that a paper breaks on its own."""
    missing = [key for key in REQUIRED if key not in paper]
    if missing:
        yield f"must have {', '.join(missing)}"
        return
    for key in sorted(set(paper) - {*REQUIRED, *OPTIONAL}, key=str):
        yield f"has the unknown key {key!r}"
    if not _is_number(paper["id"]):
        yield f"id must be a whole number; got {paper['id']!r}"
    for key in ("title", "source", "claim", "note"):
        if not isinstance(paper[key], str) or (key != "note" and not paper[key].strip()):
            yield f"{key} must be a text; got {paper[key]!r}"
    for key, pattern in PATTERNS.items():
        value = paper.get(key)
        if value is None and key in (*OPTIONAL, "lab"):
            continue
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            yield f"{key} must look like {pattern}; got {value!r}"
    if not isinstance(paper.get("source_checked", True), bool):
        yield f"source_checked must be true or false; got {paper['source_checked']!r}"
    if paper["part"] not in PARTS:
        yield f"part must be one of {', '.join(PARTS)}; got {paper['part']!r}"
    elif not str(paper["chapter"]).startswith(f"{paper['part']}/"):
        yield f"chapter must lie in the part {paper['part']!r}; got {paper['chapter']!r}"
    yield from _claim_rules(paper["claim"])
    if paper["verdict"] not in VERDICTS:
        yield f"verdict must be one of {', '.join(VERDICTS)}; got {paper['verdict']!r}"
    else:
        yield from _evidence_rules(paper, notebooks)


def _claim_rules(claim):
    if not isinstance(claim, str):
        return
    if not 40 <= len(claim) <= 300:
        yield f"claim must have 40 to 300 characters; it has {len(claim)}"
    if [end.end() for end in SENTENCE_END.finditer(claim)] != [len(claim)]:
        yield f"claim must be one sentence with its full stop; got {claim!r}"


def _evidence_rules(paper, notebooks):
    verdict, evidence, lab = paper["verdict"], paper["evidence"], paper["lab"]
    labels = isinstance(evidence, list) and all(isinstance(e, str) for e in evidence)
    if not labels or not all(LABEL.fullmatch(e) for e in evidence):
        yield f"evidence must be a list of labels of checks; got {evidence!r}"
        return
    if len(set(evidence)) != len(evidence):
        yield f"evidence must name each check once; got {evidence!r}"
    if verdict == "planned":
        if evidence or lab is not None:
            yield f"a planned paper has no lab and no evidence; got {lab!r} and {evidence!r}"
        return
    if not evidence:
        yield f"the verdict {verdict!r} needs evidence; got an empty list"
    if lab is None:
        yield f"the verdict {verdict!r} needs a lab; got null"
    elif notebooks is not None and not (Path(notebooks) / f"{lab}.ipynb").is_file():
        yield f"lab must be a notebook; there is no notebooks/{lab}.ipynb"


def _is_number(value):
    return isinstance(value, int) and not isinstance(value, bool)


def address(paper):
    """Where the paper can be read, or None."""
    if "url" in paper:
        return paper["url"]
    if "arxiv" in paper:
        return f"https://arxiv.org/abs/{paper['arxiv']}"
    return f"https://doi.org/{paper['doi']}" if "doi" in paper else None


def source(paper):
    """Authors, year and venue, with a word where they are not confirmed."""
    return paper["source"] + ("" if paper.get("source_checked", True) else " (not confirmed)")
