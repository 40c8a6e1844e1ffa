"""Put the built site into one zip that opens from disk wherever it is unpacked.

    python book/_tools/archive.py

The same site gives the same bytes.
"""

import sys
import zipfile
from pathlib import Path

from build import SITE

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "_build" / "entropy-lab-site.zip"
FOLDER = "entropy-lab"
LICENCES = ("LICENSE", "LICENSE-text")
LEFTOVERS = {"_sources", "objects.inv"}  # and all names that start with a dot


def files(site):
    """The files that a reader needs, in a fixed order, relative to the site."""
    found = (path.relative_to(site) for path in site.rglob("*") if path.is_file())
    wanted = (path for path in found if not any(part in LEFTOVERS or part.startswith(".") for part in path.parts))
    return sorted(wanted, key=Path.as_posix)


def archive(site, target):
    """Write the zip; give the number of files.

    Errors: FileNotFoundError when the site is not built.
    """
    if not (site / "index.html").is_file():
        raise FileNotFoundError(f"no built book in {site}: run `make book` first")
    entries = [(path.as_posix(), site / path) for path in files(site)]
    entries += [(name, ROOT / name) for name in LICENCES]
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as bundle:
        for name, path in entries:
            entry = zipfile.ZipInfo(f"{FOLDER}/{name}")  # dated 1980, the same on every machine
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            bundle.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    return len(entries)


def main():
    try:
        count = archive(SITE, TARGET)
    except FileNotFoundError as error:
        sys.exit(f"no archive: {error}")
    print(f"{TARGET.relative_to(ROOT)}: {count} files, {TARGET.stat().st_size / 1e6:.1f} MB. "
          f"Unpack it anywhere and open {FOLDER}/index.html.")


if __name__ == "__main__":
    main()
