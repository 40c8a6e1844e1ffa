"""Build the site with warnings as errors, and refuse a site with a missing or empty page.

    python book/_tools/build.py
"""

import os
import re
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import slides
import yaml

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
STAMP = SITE.with_name("html.inputs")
FEWEST_CHARACTERS = 200


def contents(toc=ROOT / "_toc.yml"):
    """The table of contents in order, as (depth, page, caption): a part has a caption and no page."""
    found = []

    def walk(node, depth):
        for key in ("root", "file"):
            if key in node:
                found.append((depth, node[key], None))
        if "caption" in node:
            found.append((depth, None, node["caption"]))
        deeper = depth + ("file" in node or "caption" in node)
        for key in ("parts", "chapters", "sections"):
            for child in node.get(key, []):
                walk(child, deeper)

    walk(yaml.safe_load(Path(toc).read_text(encoding="utf8")), 0)
    return found


def pages(toc=ROOT / "_toc.yml"):
    """The pages of the table of contents, in order, without suffix."""
    return [page for _, page, _ in contents(toc) if page]


class _Article(HTMLParser):
    """The text inside <article>, scripts left out."""

    def __init__(self):
        super().__init__()
        self.depth, self.muted, self.text = 0, 0, []

    def handle_starttag(self, tag, attributes):
        self.depth += tag == "article"
        self.muted += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.depth -= tag == "article"
        self.muted -= tag in ("script", "style")

    def handle_data(self, data):
        if self.depth and not self.muted:
            self.text.append(data)


def article(html):
    """The words that a reader sees in the body of a page."""
    parser = _Article()
    parser.feed(html)
    return re.sub(r"\s+", " ", "".join(parser.text)).strip()


def faults(site, names):
    """One line for each page that is missing or empty."""
    lines = []
    for name in names:
        path = Path(site) / f"{name}.html"
        if not path.is_file():
            lines.append(f"missing page: {name}.html")
        elif len(article(path.read_text(encoding="utf8"))) < FEWEST_CHARACTERS:
            lines.append(f"empty page: {name}.html")
    return lines


def inputs(root=ROOT):
    """A digest of all that the site is made from."""
    found = sha256()
    files = [root / name for name in ("_config.yml", "_toc.yml", "pyproject.toml", "constraints.txt", "bench/labs.json")]
    for folder in ("book", "notebooks", "exercises", "labutils"):
        files += [p for p in (root / folder).rglob("*") if p.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(p.parts)]
    for path in sorted(files):
        found.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return found.hexdigest()


def built(site=None, stamp=None):
    """True if the site was built without a warning from what is there now, and no page of it is missing or empty."""
    site, stamp = site or SITE, stamp or STAMP
    return stamp.is_file() and stamp.read_text() == inputs() and not faults(site, pages())


def main():
    start = time.perf_counter()
    if built():
        print(f"nothing has changed since the site was built (make clean builds it anew). Open {SITE / 'index.html'} in a browser.")
        return
    made_from = inputs()  # what is edited while the site is built is not in it
    STAMP.unlink(missing_ok=True)
    shutil.rmtree(SITE, ignore_errors=True)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", ".", "--all", "-W", "--keep-going",
               "--path-output", "."]
    done = subprocess.run(command, cwd=ROOT, env=environment)
    if done.returncode:
        sys.exit("the book has warnings, and warnings are errors here: see above")
    names = pages()
    if lines := faults(SITE, names):
        sys.exit("\n".join(lines))
    slides.main()
    STAMP.write_text(made_from)
    first = SITE / f"{names[0]}.html"
    print(f"{len(names)} pages in {time.perf_counter() - start:.0f} s. Open {SITE / 'index.html'} in a browser "
          f"(first page: {first.relative_to(ROOT)}); it needs no network.")


if __name__ == "__main__":
    main()
