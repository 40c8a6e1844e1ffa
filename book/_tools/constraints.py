"""Write constraints.txt from what is installed, and environment.yml from pyproject.toml.

    python book/_tools/constraints.py
"""

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_PINNED = {"entropy-lab", "pip", "setuptools", "wheel"}
HEAD = "# The exact versions that the tests run with. Rewritten by `make constraints`.\n"


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    """{name: version} of what is installed, without local version labels such as +cpu."""
    found = {canonical(d.metadata["Name"]): d.version.split("+")[0] for d in distributions()}
    return {name: found[name] for name in sorted(found) if name not in NOT_PINNED}


def requirements(pyproject, extra):
    """The requirements of an extra with those that it includes, in order."""
    project = tomllib.loads(pyproject.read_text(encoding="utf8"))["project"]
    result = []
    for item in project["optional-dependencies"][extra] if extra else project["dependencies"]:
        inner = re.fullmatch(r"entropy-lab\[([a-z,]+)\]", item)
        result += [r for e in inner.group(1).split(",") for r in requirements(pyproject, e)] if inner else [item]
    return list(dict.fromkeys(result))


def environment(pyproject):
    """environment.yml as text: the same requirements as pyproject.toml, for conda and mamba."""
    lines = ["# The same requirements as pyproject.toml, for conda and mamba. Rewritten by `make constraints`.",
             "name: entropy-lab", "channels: [conda-forge]", "dependencies:", "  - python>=3.11", "  - pip",
             "  - pip:"]
    wanted = dict.fromkeys(requirements(pyproject, "") + requirements(pyproject, "test"))
    return "\n".join([*lines, *(f"    - {r}" for r in wanted)]) + "\n"


def main():
    text = HEAD + "".join(f"{name}=={version}\n" for name, version in pins().items())
    (ROOT / "constraints.txt").write_text(text, encoding="utf8")
    (ROOT / "environment.yml").write_text(environment(ROOT / "pyproject.toml"), encoding="utf8")


if __name__ == "__main__":
    main()
