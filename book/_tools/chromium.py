"""Find a Chromium for the browser tests, or make sure that there is one.

    python book/_tools/chromium.py             where it is
    python book/_tools/chromium.py --install   install it if there is none
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
         "microsoft-edge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)
HELP = ("no Chromium found: install the package chromium of your system (or Chrome), "
        "or set CHROMIUM to the path of one")
# A browser that runs tests opens the page and nothing else.
QUIET = (
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
    "--disable-domain-reliability", "--disable-sync", "--no-first-run", "--no-pings",
    "--metrics-recording-only", "--disable-features=OptimizationHints,Translate,MediaRouter",
)


def find():
    """The path of a Chromium, or None.

    CHROMIUM in the environment wins; then the usual names on the PATH, the usual places of other
    systems, and the one that Playwright downloads.

    Errors: FileNotFoundError when CHROMIUM names no file.
    """
    if chosen := os.environ.get("CHROMIUM"):
        if found := shutil.which(chosen):
            return found
        raise FileNotFoundError(f"CHROMIUM must name a program that exists; got {chosen!r}")
    for name in NAMES:
        if found := shutil.which(name):
            return found
    for place in (*PLACES, _playwrights_own()):
        if place and Path(place).is_file():
            return place
    return None


def _playwrights_own():
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return None
    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def arguments():
    """Command-line flags: no traffic of its own, and no sandbox where root cannot have one."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*QUIET, *(["--no-sandbox"] if root else [])]


def install():
    """Try the ways that need no decision by a person; return the path, or None."""
    ways = []
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        install_it = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        ways += [["apt-get", "update", "-qq"], install_it]
    ways.append([sys.executable, "-m", "playwright", "install", "chromium"])
    for command in ways:
        print(f"no Chromium yet: {' '.join(command[-4:])} ...", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
        if found := find():
            return found
    return None


def main(words):
    if words not in ([], ["--install"]):
        sys.exit(f"chromium.py takes nothing or --install; got {' '.join(words)}")
    try:
        found = find() or (install() if words else None)
    except FileNotFoundError as error:
        sys.exit(str(error))
    if found is None:
        sys.exit(HELP)
    print(found)


if __name__ == "__main__":
    main(sys.argv[1:])
