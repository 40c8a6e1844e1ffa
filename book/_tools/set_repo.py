"""Write the repository's address into every place that names it.

    python book/_tools/set_repo.py https://github.com/OWNER/NAME

`_config.yml` holds the address; launch links, set-up cells, README.md and CITATION.cff follow it.
A `file://` address serves the tests of the set-up cells: it goes into these cells only.
"""

import re
import sys
from pathlib import Path

import json

ROOT = Path(__file__).resolve().parents[2]
GITHUB = re.compile(r"https://github\.com/([A-Za-z0-9_.-]+)/([A-Za-z0-9_.-]+)")
CONFIGURED = re.compile(r"^repository:\n  url: (\S+)$", re.M)


def current(root):
    """The address that `_config.yml` holds."""
    found = CONFIGURED.search((root / "_config.yml").read_text(encoding="utf8"))
    if not found:
        raise ValueError("_config.yml must have `repository:` with `url:` in its first line")
    return found.group(1)


def checked(url):
    """The address without a trailing slash, or a ValueError that says what it must look like."""
    url = url.strip().removesuffix("/").removesuffix(".git")
    if not (GITHUB.fullmatch(url) or url.startswith("file://")):
        raise ValueError(f"URL must be https://github.com/OWNER/NAME; got {url!r}")
    return url


def replace_in(path, pairs):
    """Replace in a text file; True when it changed."""
    before = after = path.read_text(encoding="utf8")
    for old, new in pairs:
        after = after.replace(old, new)
    if after != before:
        path.write_text(after, encoding="utf8")
    return after != before


def set_repo(root, url):
    """Write `url` into the tree at `root`; the paths that changed."""
    url, old = checked(url), current(root)
    if url.startswith("file:"):
        pairs = [(f"git+{old}", f"git+{url}")]
        files = notebooks(root)
    else:
        slug, old_slug = url.removeprefix("https://github.com/"), old.removeprefix("https://github.com/")
        pairs = [(old, url), (f"/github/{old_slug}/", f"/github/{slug}/")]
        files = [*notebooks(root), root / "_config.yml", root / "README.md", root / "CITATION.cff",
                 *(p for p in root.joinpath("book").rglob("*.md"))]
    changed = [path for path in files if path.is_file() and replace_in(path, pairs)]
    for path in notebooks(root):
        json.loads(path.read_text(encoding="utf8"))
    return changed


def notebooks(root):
    return sorted(p for p in (root / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def main(arguments):
    if len(arguments) != 1 or not arguments[0]:
        sys.exit("usage: make set-repo URL=https://github.com/OWNER/NAME")
    try:
        changed = set_repo(ROOT, arguments[0])
    except ValueError as error:
        sys.exit(str(error))
    print(f"{len(changed)} files changed")


if __name__ == "__main__":
    main(sys.argv[1:])
