"""What is wrong with labels before anything is trained: spellings, counts, contradictions."""

import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from underlay.core import Target
from underlay.data.findings import Finding, several
from underlay.data.table import Table

FEWEST = 5
"""A label with fewer rows is too rare to be learned and tested."""

_IMBALANCE = 10
_SHOWN = 8


def spellings(target: Target, counts: Counter[str]) -> list[Finding]:
    """Find labels that differ in case, width or spaces alone, with the recipe line that merges them."""
    same: dict[str, list[str]] = defaultdict(list)
    for name in target.labels:
        same[folded(name)].append(name)
    groups = [sorted(names, key=lambda name: (-counts[name], name)) for names in same.values() if len(names) > 1]
    if not groups:
        return []
    merge = {name: names[0] for names in groups for name in names[1:]}
    listed = "; ".join(" = ".join(f"{name!r} ({counts[name]:,})" for name in names) for names in groups[:_SHOWN])
    line = f"data: {{merge: {json.dumps(merge, ensure_ascii=False)}}}"
    return [
        Finding(
            "near_duplicate_labels",
            "warning",
            sum(len(names) for names in groups),
            f"labels of {target.name!r} that differ in case, width or spaces alone: {listed}; to merge them: {line}",
        )
    ]


def folded(name: str) -> str:
    """A label name without case, width and outer or doubled spaces.

    >>> folded("ＹＥＳ ") == folded("Yes")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def frequencies(table: Table, target: Target, labels: np.ndarray) -> list[Finding]:
    """Find labels with one row, with fewer than five, and lopsided ones.

    Args:
        table: The data, for places.
        target: Binary or multiclass.
        labels: Class index of each row, negative where unlabelled.
    """
    counts = np.bincount(labels[labels >= 0], minlength=len(target.labels))
    found = []
    lone = [int(label) for label in np.flatnonzero(counts == 1)]
    if lone:
        rows = [int(np.flatnonzero(labels == label)[0]) for label in lone[:5]]
        names = _listed([target.labels[label] for label in lone])
        found.append(
            Finding(
                "lone_label",
                "warning",
                len(lone),
                f"{several(len(lone), 'label')} of {target.name!r} with one row: {names}; it goes to training and "
                "the label is not tested",
                tuple(table.place(row) for row in rows),
            )
        )
    rare = [int(label) for label in np.flatnonzero((counts > 1) & (counts < FEWEST))]
    if rare:
        names = _listed([f"{target.labels[label]} {counts[label]}" for label in rare])
        message = f"{several(len(rare), 'label')} of {target.name!r} with fewer than {FEWEST} rows: {names}; add rows"
        found.append(Finding("rare_label", "warning", len(rare), f"{message} or merge labels"))
    return found + _imbalance(target, counts)


def _imbalance(target: Target, counts: np.ndarray) -> list[Finding]:
    present = counts[counts > 0]
    if not len(present) or present.max() < _IMBALANCE * present.min():
        return []
    most, least = int(counts.argmax()), int(np.where(counts > 0, counts, counts.max() + 1).argmin())
    message = (
        f"{target.labels[most]!r} has {counts[most]:,} rows, {target.labels[least]!r} {counts[least]:,}; "
        "look at macro F1, and weigh labels with objective: {task: {class_weights: balanced}}"
    )
    return [Finding("imbalance", "info", int(counts[least]), message)]


def contradictions(table: Table, target: Target, labels: np.ndarray, first: np.ndarray) -> list[Finding]:
    """Find equal inputs with different labels.

    Args:
        table: The data, for places.
        target: Any with class indices.
        labels: Class index of each row, negative where unlabelled.
        first: The first row equal to each row.
    """
    known = np.flatnonzero(labels >= 0)
    pairs = np.unique(np.stack([first[known], labels[known]], axis=1), axis=0)
    groups, counts = np.unique(pairs[:, 0], return_counts=True)
    torn = groups[counts > 1]
    if not len(torn):
        return []
    rows = known[np.isin(first[known], torn)]
    shown = rows[np.lexsort((rows, first[rows]))][:5]
    message = f"{several(len(torn), 'input')} with more than one {target.name!r}, in {len(rows):,} rows"
    places = tuple(f"{table.place(int(row))} ({target.labels[labels[row]]})" for row in shown)
    return [Finding("contradicting_labels", "warning", len(rows), message, places)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
