"""Write the repository's address into every place that names it.

    python book/_tools/set_repo.py https://github.com/OWNER/NAME [https://HUB]

`_config.yml` holds the address; launch links, set-up cells, README.md and CITATION.cff follow it.
The second address, of a JupyterHub with nbgitpuller, goes into `_config.yml` as `launch_hub`.
A `file://` address serves the tests of the set-up cells: it goes into these cells only.
"""

import re
import sys
from pathlib import Path

import json

ROOT = Path(__file__).resolve().parents[2]
GITHUB = re.compile(r"https://github\.com/([A-Za-z0-9_.-]+)/([A-Za-z0-9_.-]+)")
HUB = re.compile(r'^(    launch_hub: )"([^"]*)"', re.M)
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
                 root / "deploy" / "kubernetes" / "values.yaml", *(p for p in root.joinpath("book").rglob("*.md"))]
    changed = [path for path in files if path.is_file() and replace_in(path, pairs)]
    for path in notebooks(root):
        json.loads(path.read_text(encoding="utf8"))
    return changed


def set_hub(root, hub):
    """Write the address of a JupyterHub into `_config.yml`; the paths that changed."""
    hub = hub.strip().rstrip("/")
    if not re.fullmatch(r"https?://[^\s/\"]+(/[^\s\"]*)?", hub):
        raise ValueError(f"HUB must be the address of a JupyterHub, such as https://hub.example.edu; got {hub!r}")
    path = root / "_config.yml"
    old = HUB.search(path.read_text(encoding="utf8"))
    if not old:
        raise ValueError('_config.yml must have a line `    launch_hub: ""`')
    return [path] if replace_in(path, [(old.group(0), f'{old.group(1)}"{hub}"')]) else []


def notebooks(root):
    return sorted(p for p in (root / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def main(arguments):
    url, hub = (*arguments, "", "")[:2]
    if len(arguments) > 2 or not (url or hub):
        sys.exit("usage: make set-repo URL=https://github.com/OWNER/NAME [HUB=https://hub.example.edu]")
    try:
        changed = {*(set_repo(ROOT, url) if url else []), *(set_hub(ROOT, hub) if hub else [])}
    except ValueError as error:
        sys.exit(str(error))
    print(f"{len(changed)} files changed")


if __name__ == "__main__":
    main(sys.argv[1:])
