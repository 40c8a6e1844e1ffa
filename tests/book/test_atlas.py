"""The file of the 150 papers: whole, in order, and honest about its evidence."""

import re
from pathlib import Path

import pytest

import atlas_data
import records

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"

OUTLINE = {
    "foundations": "measures fairness estimation transport losses generalization",
    "policy": "why-entropy-falls which-tokens thermostats shaping branching own-past",
    "decisions": "alignment decoding diversity typicality test-time distillation offline-rl",
    "jaynes": "maximum-entropy paths irreversibility fluctuations learning-as-physics cosmos materials",
    "bottleneck": "information-bottleneck deep-bottlenecks koopman spectral-entropy compression",
    "waves": "nlse knots chaos conservation transport turbulence",
    "transformers": "attention bounded-weights schedules scaling inference-cost side-rooms",
    "symmetry": "frames motion chosen-invariance split-representations",
    "guarantees": "privacy certified-bounds branching-questions",
}
CHAPTERS = {f"{part}/{name}" for part, names in OUTLINE.items() for name in names.split()}


@pytest.fixture(scope="module")
def papers():
    return atlas_data.read(ROOT / "book" / "papers.yml")


@pytest.fixture(scope="module")
def ledger():
    """{label: [check, ...]} of the committed notebooks."""
    docnames = [str(path.relative_to(ROOT).with_suffix("")) for path in NOTEBOOKS.rglob("*.ipynb")
                if ".ipynb_checkpoints" not in path.parts]
    return records.collect(ROOT, docnames)


def test_file_breaks_no_rule(papers):
    assert atlas_data.problems(papers, NOTEBOOKS) == []


def test_all_150_papers_in_order(papers):
    assert [paper["id"] for paper in papers] == list(range(150))


def test_the_outline_has_50_chapters_and_each_has_papers(papers):
    assert len(CHAPTERS) == 50
    assert tuple(OUTLINE) == atlas_data.PARTS
    assert {paper["chapter"] for paper in papers} == CHAPTERS


@pytest.mark.parametrize("key", ["title", "claim", "slug"])
def test_no_two_papers_share(papers, key):
    values = [paper[key] for paper in papers]
    assert sorted({v for v in values if values.count(v) > 1}) == []


@pytest.mark.parametrize("key", ["arxiv", "doi"])
def test_no_two_papers_share_an_address(papers, key):
    values = [paper[key] for paper in papers if key in paper]
    assert len(set(values)) == len(values)


def test_texts_are_plain(papers):
    """No LaTeX, no markup, no double spaces: the same text stands in tables and in pages."""
    for paper in papers:
        for key in ("title", "source", "claim", "note"):
            text = re.sub(r" [<>] ", " ", paper[key])  # comparisons are fine
            assert not re.search(r"[\\$`<>{}]|  |\n|^\s|\s$", text), (paper["id"], key)


def test_every_paper_has_a_caveat(papers):
    assert [paper["id"] for paper in papers if len(paper["note"]) < 20] == []


def test_source_names_a_year_and_the_address_it_can_be_read_at(papers):
    for paper in papers:
        assert re.search(r"\b(19|20)\d\d\b", paper["source"]), paper["id"]
        assert atlas_data.address(paper), paper["id"]
        if "arxiv" in paper:
            assert paper["source"].endswith(f"arXiv {paper['arxiv']}"), paper["id"]


def test_counts_add_up(papers):
    counts = {verdict: sum(paper["verdict"] == verdict for paper in papers)
              for verdict in atlas_data.VERDICTS}
    assert sum(counts.values()) == 150


def test_tested_papers_name_checks_that_their_own_chapter_carries(papers, ledger):
    for paper in papers:
        if paper["verdict"] == "planned":
            continue
        lab, chapter = f"notebooks/{paper['lab']}", f"notebooks/{paper['chapter']}"
        assert re.fullmatch(rf"{re.escape(chapter)}(-[a-z0-9-]+)?", lab), paper["id"]
        for label in paper["evidence"]:
            homes = {check.docname for check in ledger.get(label, [])}
            own = {home for home in homes if home == chapter or home.startswith(f"{chapter}-")}
            assert own, f"paper {paper['id']}: no lab of {paper['chapter']} has a check {label}"


def test_papers_of_a_written_chapter_are_not_planned(papers):
    """A chapter that stands in the book has tested its papers."""
    for paper in papers:
        if (ROOT / "book" / f"{paper['chapter']}.md").is_file():
            assert paper["verdict"] != "planned", paper["id"]


def test_every_paper_has_its_entry_in_the_bibliography(papers):
    from pybtex.database import parse_file

    entries = parse_file(ROOT / "book" / "references.bib").entries
    keys = {f"paper{number:03d}" for number in range(150)}
    assert keys <= set(entries)
    assert {key for key in entries if key.startswith("paper")} == keys
    for paper in papers:
        entry = entries[f"paper{paper['id']:03d}"]
        title = entry.fields["title"].replace("{", "").replace("}", "")
        assert title == paper["title"], paper["id"]
        assert entry.fields.get("eprint") == paper.get("arxiv"), paper["id"]
        assert entry.fields.get("doi") == paper.get("doi"), paper["id"]


# -- the rules themselves


def sound(**changes):
    paper = {"id": 0, "slug": "a-paper", "title": "A paper", "source": "Someone, 2020",
             "part": "policy", "chapter": "policy/why-entropy-falls", "lab": None,
             "claim": "The entropy falls by minus the covariance, to first order.",
             "verdict": "planned", "evidence": [], "note": ""}
    return {**paper, **changes}


def judged(**changes):
    return sound(**{"verdict": "reproduced", "lab": "policy/lab", "evidence": ["eq-a"], **changes})


def test_sound_papers_pass():
    second = judged(id=1, slug="b", arxiv="2505.22617", doi="10.1000/x")
    assert atlas_data.problems([sound(), second]) == []


BROKEN = {
    "an unknown verdict": (sound(verdict="true"), "verdict must be one of"),
    "no evidence": (judged(evidence=[]), "needs evidence"),
    "no lab": (judged(lab=None), "needs a lab"),
    "evidence that is no label": (judged(evidence=["looks right"]), "list of labels"),
    "evidence twice": (judged(evidence=["eq-a", "eq-a"]), "each check once"),
    "a planned paper with a lab": (sound(lab="policy/lab"), "no lab and no evidence"),
    "a planned paper with evidence": (sound(evidence=["eq-a"]), "no lab and no evidence"),
    "an unknown part": (sound(part="cooking", chapter="cooking/eggs"), "part must be one of"),
    "a chapter of another part": (sound(chapter="waves/nlse"), "must lie in the part"),
    "a chapter that is none": (sound(chapter="policy/Why it falls"), "chapter must look like"),
    "a short claim": (sound(claim="It works."), "40 to 300 characters"),
    "a long claim": (sound(claim="It works" + " so well" * 40 + "."), "40 to 300 characters"),
    "a claim of two sentences": (
        sound(claim="The entropy falls in training. It rises after that."), "one sentence"),
    "a claim without a full stop": (
        sound(claim="the entropy of a policy falls as it learns"), "one sentence"),
    "a missing key": ({k: v for k, v in sound().items() if k != "note"}, "must have note"),
    "an unknown key": (sound(stars=5), "unknown key 'stars'"),
    "a number as arXiv id": (sound(arxiv=2505.22617), "arxiv must look like"),
    "a wrong slug": (sound(slug="A Paper"), "slug must look like"),
    "an id in words": (sound(id="one"), "id must be a whole number"),
    "no title": (sound(title=" "), "title must be a text"),
    "a vague source flag": (sound(source_checked="no"), "source_checked must be"),
}


@pytest.mark.parametrize("paper, rule", BROKEN.values(), ids=BROKEN.keys())
def test_broken_paper_is_named_with_its_rule(paper, rule):
    found = atlas_data.problems([paper])
    assert len(found) == 1, found
    assert found[0].startswith(f"paper {paper.get('id')}: ") and rule in found[0]
    assert "\n" not in found[0]


def test_an_id_used_twice_is_reported():
    found = atlas_data.problems([sound(), sound(slug="b")])
    assert found == ["paper 0: id must be unique; an earlier paper has it"]


def test_a_slug_used_twice_is_reported():
    assert "slug must be unique" in atlas_data.problems([sound(), sound(id=1)])[0]


def test_a_gap_in_the_ids_is_reported():
    found = atlas_data.problems([sound(), sound(id=2, slug="b")])
    assert found == ["paper 2: papers must stand in the order of their ids; its place is 1"]


def test_a_lab_that_does_not_exist_is_reported(tmp_path):
    assert "there is no notebooks/policy/lab.ipynb" in atlas_data.problems([judged()], tmp_path)[0]
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "lab.ipynb").write_text("{}")
    assert atlas_data.problems([judged()], tmp_path) == []


def test_a_file_that_is_no_list_is_reported(tmp_path):
    assert "must hold a list" in atlas_data.problems({"id": 0})[0]
    assert "must be a mapping" in atlas_data.problems(["paper"])[0]
    (tmp_path / "broken.yml").write_text("- id: [0\n")
    with pytest.raises(ValueError, match="broken.yml is not YAML"):
        atlas_data.read(tmp_path / "broken.yml")


def test_address_prefers_the_place_that_is_named():
    doi, arxiv = {"doi": "10.1000/x"}, {"arxiv": "2505.22617"}
    url = {"url": "https://example.org/p"}
    assert atlas_data.address(sound(**doi, **arxiv, **url)) == "https://example.org/p"
    assert atlas_data.address(sound(**doi, **arxiv)) == "https://arxiv.org/abs/2505.22617"
    assert atlas_data.address(sound(**doi)) == "https://doi.org/10.1000/x"
    assert atlas_data.address(sound()) is None
