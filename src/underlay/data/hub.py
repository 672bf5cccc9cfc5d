"""`hf:NAME`: data sets of the Hugging Face hub, through the extra `hf`."""

import os
from dataclasses import replace

from underlay.core import DataError, MissingExtra, ServiceAway, UsageError
from underlay.data.frames import table_from_memory
from underlay.data.table import Table


def read_hub(name: str) -> Table:
    """Give the table of `NAME` or `NAME:SPLIT` (default `train`).

    Raises:
        MissingExtra: `datasets` is not installed.
        UsageError: The network is switched off.
        ServiceAway: The hub does not answer.
        DataError: It has no such data set or split.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra(f"hf:{name}", "hf") from error
    if os.environ.get("UNDERLAY_OFFLINE", "") not in ("", "0"):
        raise UsageError(f"hf:{name} needs the hub and UNDERLAY_OFFLINE is set", "unset it once", code="offline")
    dataset, _, split = name.partition(":")
    try:
        found = datasets.load_dataset(dataset, split=split or "train")
    except (ConnectionError, TimeoutError) as error:
        raise ServiceAway(f"the hub does not answer for {dataset!r}: {error}", "check the network") from error
    except (FileNotFoundError, ValueError) as error:
        raise DataError(f"hf:{name} cannot be read: {error}", "check the name and the split") from error
    table = table_from_memory(found)
    return replace(table, name=f"hf:{name}", notes=(f"hf:{dataset}, split {split or 'train'!r}",))
