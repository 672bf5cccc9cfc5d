"""From a labelled file to a fine-tuned model you can trust in production.

Names are imported when they are first used, so that `import underlay` costs next to nothing.
"""

from importlib import import_module
from typing import Any

_DOORS = {
    "Bundle": "underlay.estimator",
    "UnderlayClassifier": "underlay.estimator",
    "distil": "underlay.estimator",
    "fit": "underlay.estimator",
    "load": "underlay.estimator",
}
"""Public name -> the room whose door it comes from."""

__all__ = ["Bundle", "UnderlayClassifier", "__version__", "distil", "fit", "load"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("underlay")
    if name not in _DOORS:
        raise AttributeError(f"module 'underlay' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_DOORS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
