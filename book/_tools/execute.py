"""Run notebooks top to bottom and store their outputs, the same bytes at every run.

    python book/_tools/execute.py                      all notebooks
    python book/_tools/execute.py notebooks/policy/why-entropy-falls.ipynb ...
    python book/_tools/execute.py --into _build/gpu    results go there, the sources stay as they are
"""

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"LABUTILS_EXPLORE": "static", "LABUTILS_PROGRESS": "off", "PYTHONWARNINGS": "default"}


def execute(path, target):
    """Run one notebook in its own folder, write it to `target`; raise with the cell that fails."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    normalise(notebook, path.stem)
    nbformat.validate(notebook)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def normalise(notebook, stem):
    """Drop what changes from run to run or from machine to machine."""
    notebook.metadata = nbformat.from_dict({
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    })
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{stem}-{number:02d}"[-64:]
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)


def joined(outputs):
    """Neighbouring pieces of one stream as one output: how a kernel cuts them is luck."""
    result = []
    for output in outputs:
        if result and output.output_type == "stream" and output.get("name") == result[-1].get("name"):
            result[-1].text += output.text
        else:
            result.append(output)
    return result


def main(arguments):
    os.environ.update(ENVIRONMENT)
    into = ROOT
    if arguments[:1] == ["--into"]:
        into, arguments = Path(arguments[1]).resolve(), arguments[2:]
    paths = [Path(a).resolve() for a in arguments] or sorted((ROOT / "notebooks").rglob("*.ipynb"))
    paths = [p for p in paths if ".ipynb_checkpoints" not in p.parts and not p.stem.endswith("-exercises")]
    for path in paths:
        if not path.is_file():
            sys.exit(f"no notebook at {path}")
        start = time.perf_counter()
        print(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path} ...", end=" ", flush=True)
        try:
            execute(path, into / path.relative_to(ROOT) if into != ROOT else path)
        except CellExecutionError as error:
            sys.exit(f"failed\n{error}")
        print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
