"""Serve the labs as apps: code hidden, sliders moved by a kernel, nothing from outside.

    python book/_tools/apps.py [lab.ipynb or folder] [options of voila]
"""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "_build" / "voila"
# Voilà's templates ask a delivery host for icon fonts that the labs do not use.
OUTSIDE = re.compile(r'[ \t]*<link[^>]*href="https?://[^>]*>\n')
TEMPLATES = ("lab/index.html.j2", "base/page.html")


def templates(prefix=Path(sys.prefix), target=OURS):
    """Copies of Voilà's templates that load nothing from outside; the folder for JUPYTER_PATH."""
    for name in TEMPLATES:
        path = target / "voila" / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (prefix / "share" / "jupyter" / "voila" / "templates" / name).read_text(encoding="utf8")
        path.write_text(OUTSIDE.sub("", text), encoding="utf8")
    return target


def command(arguments):
    """The command line; JupyterLite's kernel for the browser has no place in an app with a kernel."""
    return [sys.executable, "-m", "voila", *arguments,
            "--VoilaConfiguration.extension_denylist=@jupyterlite/pyodide-kernel-extension"]


def main():
    if find_spec("voila") is None:
        sys.exit("voila is not installed here: make voila sets it up")
    path = os.pathsep.join(filter(None, [str(templates()), os.environ.get("JUPYTER_PATH")]))
    line = command(sys.argv[1:] or [str(ROOT / "notebooks")])
    os.execve(line[0], line, {**os.environ, "JUPYTER_PATH": path})


if __name__ == "__main__":
    main()
