"""The tree itself: requirements told once, an address told once, a build that refuses empty pages."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def tool(name):
    spec = importlib.util.spec_from_file_location(f"tool_{name}", ROOT / "book" / "_tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_environment_equals_pyproject():
    expected = tool("constraints").environment(ROOT / "pyproject.toml")
    assert (ROOT / "environment.yml").read_text(encoding="utf8") == expected, "run `make constraints`"


def test_every_requirement_is_pinned_and_inside_its_floor():
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    constraints = tool("constraints")
    for text in constraints.requirements(ROOT / "pyproject.toml", "") + constraints.requirements(ROOT / "pyproject.toml", "test"):
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), text


def test_every_requirement_says_why():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf8")
    block = text[text.index("dependencies = ["):text.index("[tool.setuptools]")]
    for line in block.splitlines():
        if re.match(r'\s+"(?!entropy-lab\[)', line):
            assert re.search(r"#\s+\S+", line), f"no reason for {line.strip()}"


def test_book_needs_no_torch():
    wanted = tool("constraints").requirements(ROOT / "pyproject.toml", "book")
    assert not any(r.startswith(("torch", "jupyterlab")) for r in wanted)


def test_licences_and_version_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    import labutils

    assert project["version"] == labutils.__version__
    assert f"version: {labutils.__version__}" in (ROOT / "CITATION.cff").read_text()
    for name in project["license-files"]:
        assert (ROOT / name).is_file()


def test_address_is_told_in_one_place(tmp_path):
    set_repo = tool("set_repo")
    old = set_repo.current(ROOT)
    for name in ("_config.yml", "README.md", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("book", "notebooks", "deploy"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".md", ".ipynb", ".yaml"):
                target = tmp_path / path.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    changed = set_repo.set_repo(tmp_path, "https://github.com/someone/a-book/")
    assert {p.name for p in changed} >= {"_config.yml", "README.md", "CITATION.cff"}
    left = old.removeprefix("https://")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf8")
            assert left not in text and "entropy-lab.invalid" not in text, path
    assert set_repo.current(tmp_path) == "https://github.com/someone/a-book"
    assert set_repo.set_repo(tmp_path, "https://github.com/someone/a-book") == []


@pytest.mark.parametrize("url", ["", "a-book", "https://example.org/x", "https://github.com/only-owner"])
def test_bad_address_is_refused(url):
    with pytest.raises(ValueError, match="URL must be https://github.com/OWNER/NAME; got"):
        tool("set_repo").checked(url)


def test_hub_is_told_in_the_config(tmp_path):
    shutil.copy(ROOT / "_config.yml", tmp_path)
    set_repo, config = tool("set_repo"), tmp_path / "_config.yml"
    assert set_repo.set_hub(tmp_path, "https://hub.example.edu/") == [config]
    assert yaml.safe_load(config.read_text("utf8"))["sphinx"]["config"]["launch_hub"] == "https://hub.example.edu"
    assert set_repo.set_hub(tmp_path, "https://hub.example.edu") == []
    before = config.read_bytes()
    for hub in ("hub.example.edu", "https://", 'https://a"b'):
        with pytest.raises(ValueError, match="HUB must be the address of a JupyterHub"):
            set_repo.set_hub(tmp_path, hub)
    assert config.read_bytes() == before


def test_reserved_owner_cannot_be_registered():
    owner = tool("set_repo").current(ROOT).split("/")[3]
    assert owner == "entropy-lab.invalid" or re.fullmatch(r"[A-Za-z0-9-]+", owner)


def test_build_sees_missing_and_empty_pages(tmp_path):
    build = tool("build")
    (tmp_path / "full.html").write_text(f"<html><article><h1>T</h1>{'word ' * 60}</article></html>")
    (tmp_path / "empty.html").write_text(f"<nav>{'word ' * 60}</nav><article><script>{'x' * 999}</script></article>")
    assert build.faults(tmp_path, ["full", "empty", "gone"]) == ["empty page: empty.html", "missing page: gone.html"]


def test_build_reads_every_page_of_the_toc(tmp_path):
    toc = tmp_path / "_toc.yml"
    toc.write_text("root: a\nparts:\n- chapters:\n  - file: b\n    sections:\n    - file: c\n  - file: d\n")
    assert tool("build").pages(toc) == ["a", "b", "c", "d"]
    for name in tool("build").pages():
        assert (ROOT / f"{name}.md").is_file() or (ROOT / f"{name}.ipynb").is_file(), name


def test_readme_is_finished():
    text = (ROOT / "README.md").read_text(encoding="utf8")
    assert not re.search(r"@[a-z-]+@", text), "a blank is left to fill in"
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("http") or (ROOT / target).exists(), target
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        if ".ipynb_checkpoints" not in path.parts and not path.stem.endswith("-exercises"):
            assert str(path.relative_to(ROOT)) in text, f"{path.name} is missing in the table of labs"


def test_readme_counts_chapters_and_papers():
    parts = yaml.safe_load((ROOT / "book" / "parts.yml").read_text(encoding="utf8"))
    chapters = [f"{part['slug']}/{chapter['slug']}" for part in parts for chapter in part["chapters"]]
    papers = yaml.safe_load((ROOT / "book" / "papers.yml").read_text(encoding="utf8"))
    written = sum((ROOT / "book" / f"{name}.md").is_file() for name in chapters)
    tested = sum(paper["verdict"] != "planned" for paper in papers)
    text = (ROOT / "README.md").read_text(encoding="utf8")
    assert (f"{written} of {len(chapters)} planned chapters are written, and {tested} of the {len(papers)} papers are tested"
            in text)
    assert text.count("planned chapters are written") == 1


def test_make_help_lists_the_commands():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"book", "test", "lab", "voila", "lite", "execute", "set-repo"} <= {line.split()[0] for line in done.stdout.splitlines()}


def test_make_names_an_old_python(tmp_path):
    fake = tmp_path / "python3"
    fake.write_text("#!/bin/sh\nexec " + sys.executable + ' -c "$(printf %s "$2" | sed s/sys.version_info/\\(3,9\\)/ | sed s/v.major/3/ | sed s/v.minor/9/)"\n')
    fake.chmod(0o755)
    done = subprocess.run(["make", f"PYTHON={fake}", f"VENV={tmp_path}/venv", "book"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and "needs Python 3.11 or later; this is 3.9" in done.stderr


def test_no_machine_or_registry_leaks_into_the_tree():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    banned = re.compile("|".join(["registry\\.npm" + "js", "files\\.python" + "hosted", "/wo" + "rk/main", "/tmp/" + "lab"]))
    for name in listed:
        path = ROOT / name
        if "vendor" in path.parts or path.suffix in (".png", ".woff2") or not path.is_file():
            continue
        found = banned.search(path.read_text(encoding="utf8", errors="replace"))
        assert not found, f"{name} names {found.group()}"
