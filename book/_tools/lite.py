"""Build the site with labs that run in a browser tab, for a web server: _build/online.

    python book/_tools/lite.py

The online site is the book in _build/html and, beside it, JupyterLite in the folder `lite` with the
labs that need nothing but the NumPy core. Python itself and all packages in pure Python lie in the
site. The compiled ones (NumPy, Matplotlib, ...) come from PACKAGES, by default the host of Pyodide;
a host that wants to depend on no other copies Pyodide's distribution and names its address:

    PYODIDE_URL   where the compiled packages lie when a lab runs, with a slash at the end
    PYODIDE       an unpacked npm package `pyodide` of the right version; fetched with npm if not given
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from hashlib import sha256
from html import escape
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book" / "_tools"), str(ROOT / "book" / "_ext")]
from constraints import requirements  # noqa: E402
from launch_ext import LITE_OFF, runs_in_browser  # noqa: E402

SITE, WORK, ONLINE = ROOT / "_build" / "html", ROOT / "_build" / "lite", ROOT / "_build" / "online"
VERSION = "314.0.6"  # the Pyodide that jupyterlite-pyodide-kernel expects; a test compares
DIGEST = "d78ac549b28a2a58600cd06f44e017024151775f8c6b2d73fab1475400d38ea2"
CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
PACKAGES = f"https://cdn.jsdelivr.net/pyodide/v{VERSION}/full/"
# What the kernel starts with, and what the labs import.
KERNEL = ("micropip", "ipython", "jedi", "typing-extensions")
LABS = ("numpy", "scipy", "sympy", "pandas", "matplotlib", "altair", "tqdm")
# What the labs need and Pyodide does not have; in pure Python, at the versions that the tests use.
MORE = {
    "comm": (), "array-api-compat": (), "jupyterlab-widgets": (), "widgetsnbextension": (),
    "ipywidgets": ("comm", "ipython", "jupyterlab-widgets", "traitlets", "widgetsnbextension"),
    "psygnal": (), "anywidget": ("ipywidgets", "psygnal", "typing-extensions"),
}


# The parts of JupyterLab that a lab needs: the kernel, sliders, and figures that a hand moves.
EXTENSIONS = ("@jupyterlite/pyodide-kernel-extension", "@jupyter-widgets/jupyterlab-manager", "anywidget")


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command[:4]))} ... failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def core(folder):
    """The npm package `pyodide`, unpacked: from PYODIDE, or fetched once and compared with its digest."""
    if given := os.environ.get("PYODIDE"):
        folder = Path(given).expanduser()
    elif not (folder / "package.json").is_file():
        if shutil.which("npm") is None:
            sys.exit(f"npm is needed to fetch Pyodide; or set PYODIDE to the unpacked npm package pyodide {VERSION}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        archive = folder.parent / run("npm", "pack", "--silent", f"pyodide@{VERSION}", cwd=folder.parent).split()[-1]
        if sha256(archive.read_bytes()).hexdigest() != DIGEST:
            sys.exit(f"{archive.name} has another digest than {DIGEST}")
        with tarfile.open(archive) as opened:
            for member in opened:
                member.name = member.name.removeprefix("package/")
                opened.extract(member, folder, filter="data")
    missing = [name for name in (*CORE, "pyodide-lock.json") if not (folder / name).is_file()]
    if missing:
        sys.exit(f"PYODIDE must be the unpacked npm package pyodide; {folder} has no {missing[0]}")
    found = json.loads((folder / "package.json").read_text(encoding="utf8"))["version"]
    if found != VERSION:
        sys.exit(f"PYODIDE must be version {VERSION}; got {found}")
    return folder


def closure(packages, names):
    """The named packages of a lock with all that they depend on."""
    found, queue = {}, [canonicalize_name(n) for n in names]
    while queue:
        name = queue.pop()
        if name not in found:
            found[name] = packages[name]
            queue += [canonicalize_name(n) for n in packages[name]["depends"]]
    return found


def is_pure(file):
    return file.endswith("-none-any.whl")


def fetch(wheels, wanted):
    """Fetch wheels in pure Python with pip, as {name: version}; {name: path of the wheel}."""
    wheels.mkdir(parents=True, exist_ok=True)
    run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--platform", "any",
        "--python-version", "3.14", "--dest", wheels, *(f"{n}=={v}" for n, v in sorted(wanted.items())), cwd=ROOT)
    there = {parse_wheel_filename(path.name)[:2]: path for path in wheels.glob("*.whl")}
    return {name: there[name, Version(version)] for name, version in wanted.items()}


def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def entry(name, wheel, depends, imports):
    """A package of the lock that lies in the site."""
    return {"name": name, "version": wheel.name.split("-")[1], "file_name": wheel.name, "depends": list(depends),
            "imports": list(imports), "install_dir": "site", "package_type": "package", "unvendored_tests": False,
            "sha256": sha256(wheel.read_bytes()).hexdigest()}


def lock(original, wheels, book, address):
    """Pyodide's lock with pure packages from the site, the book among them, and the rest from an address.

    A cell that imports labutils then loads the book's wheel: no cell has to install anything.
    """
    made = json.loads(json.dumps(original))
    packages = made["packages"]
    for package in packages.values():
        if not package["file_name"].startswith(("http:", "https:")):
            package["file_name"] = address + package["file_name"]
    for name, wheel in wheels.items():
        depends = packages[name]["depends"] if name in packages else MORE[name]
        imports = packages[name]["imports"] if name in packages else [name.replace("-", "_")]
        packages[name] = entry(name, wheel, depends, imports)
    needs = [canonicalize_name(re.match(r"[\w.-]+", text)[0]) for text in requirements(ROOT / "pyproject.toml", "")]
    packages["entropy-lab"] = entry("entropy-lab", book, needs, ["labutils"])
    closure(packages, ["entropy-lab"])  # a KeyError names a requirement that neither Pyodide nor MORE has
    return made


def labs():
    paths = sorted(p for p in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    return [path for path in paths if runs_in_browser(path)]


def build_lite(address):
    """JupyterLite with the labs, in WORK/site."""
    python = core(WORK / "pyodide")
    original = json.loads((python / "pyodide-lock.json").read_text(encoding="utf8"))
    needed = closure(original["packages"], (*KERNEL, *LABS))
    exact = pins()
    wanted = {n: p["version"] for n, p in needed.items() if is_pure(p["file_name"])} | {n: exact[n] for n in MORE}
    wheels = fetch(WORK / "wheels", wanted)
    shutil.rmtree(WORK / "book", ignore_errors=True)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", WORK / "book", ROOT, cwd=WORK)
    book = next((WORK / "book").glob("*.whl"))

    source = WORK / "source"
    shutil.rmtree(source, ignore_errors=True)
    ours = source / "static" / "pyodide"
    ours.mkdir(parents=True)
    for path in (*(python / name for name in CORE), *wheels.values(), book):
        shutil.copy(path, ours)
    made = lock(original, wheels, book, address)
    (ours / "pyodide-lock.json").write_text(json.dumps(made), encoding="utf8")
    for path in labs():
        target = source / "files" / path.relative_to(ROOT / "notebooks")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (source / "jupyter-lite.json").write_text(json.dumps(settings()), encoding="utf8")
    light_or_dark = {"@jupyterlab/apputils-extension:themes": {"adaptive-theme": True}}  # as the reader's system is
    (source / "overrides.json").write_text(json.dumps(light_or_dark), encoding="utf8")
    base = Path(sys.prefix) / "share" / "jupyter" / "labextensions"
    (source / "jupyter_lite_config.json").write_text(json.dumps({"LiteBuildConfig": {
        "contents": ["files"], "output_dir": str(WORK / "site"), "cache_dir": str(WORK / "cache"),
        "apps": ["lab", "notebooks"], "no_sourcemaps": True, "no_libarchive": True,
        "ignore_sys_prefix": ["federated_extensions"], "federated_extensions": [str(base / name) for name in EXTENSIONS],
    }}), encoding="utf8")
    shutil.rmtree(WORK / "site", ignore_errors=True)
    run(Path(sys.executable).with_name("jupyter"), "lite", "build", "--lite-dir", source, cwd=source)
    return WORK / "site"


def settings():
    """What JupyterLite is told when it starts in the reader's tab."""
    return {"jupyter-lite-schema-version": 0, "jupyter-config-data": {
        "appName": "The Entropy Lab", "disabledExtensions": ["@jupyterlab/apputils-extension:announcements"],
        "litePluginSettings": {"@jupyterlite/pyodide-kernel-extension:kernel": {
            "pyodideUrl": "./static/pyodide/pyodide.mjs", "disablePyPIFallback": True}},
    }}


def open_doors(online, address):
    """Show the buttons that lead to `lite`, and tell them where packages come from; how many."""
    count = 0
    for path in sorted(online.rglob("*.html")):
        html = path.read_text(encoding="utf8")
        if LITE_OFF in html:
            count += len(re.findall(rf"<a [^>]*{LITE_OFF}", html))
            html = html.replace(f"{LITE_OFF} data-to=", f"{LITE_OFF} href=")
            path.write_text(html.replace(LITE_OFF, f'data-lite="{escape(address)}"'), encoding="utf8")
    return count


def main():
    address = os.environ.get("PYODIDE_URL") or PACKAGES
    if not re.fullmatch(r"(https?://|\.\.?/|/)\S*/|/", address):
        sys.exit(f"PYODIDE_URL must be an address with a slash at its end; got {address!r}")
    if not (SITE / "index.html").is_file():
        sys.exit("no built book: run make book first")
    lite = build_lite(address)
    shutil.rmtree(ONLINE, ignore_errors=True)
    shutil.copytree(SITE, ONLINE)
    doors = open_doors(ONLINE, address)
    if not doors:
        sys.exit("no page of the book has a button for a lab in the browser")
    shutil.copytree(lite, ONLINE / "lite")
    size = sum(p.stat().st_size for p in (ONLINE / "lite").rglob("*") if p.is_file())
    print(f"{len(labs())} labs, {doors} buttons, {size / 1e6:.0f} MB in {ONLINE / 'lite'}. Publish {ONLINE}, or try it "
          f"with make serve-lite. Compiled packages come from {address}")


if __name__ == "__main__":
    main()
