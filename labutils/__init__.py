"""The package behind the labs of The Entropy Lab.

Each module stands under the chapter that teaches it; a reader opens its source and learns from it.
Entropies are in nats unless a name or an argument says bits.

Importing `labutils` is cheap: a submodule is imported when it is first touched.
"""

from importlib import import_module

__version__ = "0.1.0"

_modules = ("checks", "explore", "figures", "info", "policy", "runtime", "stages")
__all__ = [*_modules, "__version__"]


def __getattr__(name):
    if name in _modules:
        return import_module(f"labutils.{name}")
    raise AttributeError(f"module 'labutils' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
