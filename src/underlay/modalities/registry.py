"""The table of modalities, by name."""

from typing import Any

from underlay.core import Registry

MODALITIES: Registry[type[Any]] = Registry("modality")
"""Each entry has `create(assets=, limit=, options=)` and `from_state(files)` and satisfies `core.Modality`."""
