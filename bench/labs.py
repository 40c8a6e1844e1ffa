"""What each lab costs: processor time and the most memory of its kernel, at the scale `cpu`, on one thread.

    python bench/labs.py                              all labs and notebooks of exercises, into bench/labs.json
    python bench/labs.py notebooks/waves/nlse.ipynb   some; the others keep what was measured before

Processor time does not grow when other programs run beside it, as time on the clock does. The page
"Teach a course" and the table in README.md show the numbers.
"""

import json
import os
import platform
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "book" / "_tools")]
from courses_ext import spelled  # noqa: E402

FILE = ROOT / "bench" / "labs.json"
ASK = """import json as _json, resource as _resource
_own, _others = (_resource.getrusage(which) for which in (_resource.RUSAGE_SELF, _resource.RUSAGE_CHILDREN))
print(_json.dumps([_own.ru_utime + _own.ru_stime + _others.ru_utime + _others.ru_stime, max(_own.ru_maxrss, _others.ru_maxrss)]))"""


def cost(path):
    """{seconds, megabytes} of a notebook run top to bottom in a fresh kernel."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(ASK))
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}).execute()
    seconds, kilobytes = json.loads(notebook.cells[-1].outputs[0]["text"])
    return {"seconds": round(seconds, 1), "megabytes": round(kilobytes / 1024)}


def into_readme(measured, readme=ROOT / "README.md"):
    """Write the numbers into the table of labs."""
    text = readme.read_text(encoding="utf8")
    for name, value in measured.items():
        row = re.compile(rf"(\(notebooks/{name}\.ipynb\) \| [^|]+ \|)[^|]+\|[^|]+\|")
        text = row.sub(lambda found: f"{found[1]} {spelled(value)} |", text)
    readme.write_text(text, encoding="utf8")


def main(arguments):
    os.environ.update(OMP_NUM_THREADS="1", LABUTILS_PROGRESS="off", LABUTILS_EXPLORE="static", LABUTILS_SCALE="cpu")
    stored = json.loads(FILE.read_text(encoding="utf8")) if FILE.is_file() else {"labs": {}}
    paths = [Path(a).resolve() for a in arguments] or sorted(p for p in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    names = {str(p.relative_to(ROOT / "notebooks").with_suffix("")) for p in (ROOT / "notebooks").rglob("*.ipynb")}
    for path in paths:
        name = str(path.relative_to(ROOT / "notebooks").with_suffix(""))
        stored["labs"][name] = cost(path)
        print(f"{name:50} {stored['labs'][name]['seconds']:7.1f} s of processor {stored['labs'][name]['megabytes']:6} MB", flush=True)
        stored["machine"] = f"one thread of a {platform.machine()} server, Python {platform.python_version()}"
        stored["labs"] = {key: stored["labs"][key] for key in sorted(names & set(stored["labs"]))}
        FILE.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf8")
    into_readme(stored["labs"])


if __name__ == "__main__":
    main(sys.argv[1:])
