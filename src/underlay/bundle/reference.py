"""What the model saw and said when it was made, in counts: what drift is measured against."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from underlay.bundle.bundle import Answers
from underlay.core import Modality, Schema

BINS = 20


def reference_sketch(
    schema: Schema,
    modalities: Mapping[str, Modality],
    rows: Mapping[str, Iterable[Any]],
    *,
    answers: Answers | None = None,
) -> dict[str, Any]:
    """The reference of a bundle: JSON data without any raw value.

    Args:
        schema: Columns and targets.
        modalities: Fitted, by column.
        rows: Raw training values by column, read once.
        answers: What the model said of rows it was not trained on.

    Returns:
        `columns`: what each modality sketches; `targets`: counts of decisions and a histogram of confidence in
        [0, 1]; for regression, quantiles of the predictions.
    """
    columns = {column.name: modalities[column.name].sketch(rows[column.name]) for column in schema.columns}
    said = (
        {}
        if answers is None
        else {target.name: _target(target.labels, target.name, answers) for target in schema.targets}
    )
    return {"columns": columns, "targets": said}


def _target(labels: Sequence[str], name: str, answers: Answers) -> dict[str, Any]:
    decided = [value for value in answers.predictions[name] if value is not None]
    if not labels:
        levels = np.linspace(0, 1, BINS + 1)
        quantiles = np.quantile(np.asarray(decided, dtype=np.float64), levels) if decided else levels * np.nan
        return {"rows": len(decided), "quantiles": quantiles.tolist()}
    counted = Counter(label for value in decided for label in (value if isinstance(value, tuple) else (value,)))
    sure = answers.confidence[name]
    counts, edges = np.histogram(sure[np.isfinite(sure)], bins=BINS, range=(0.0, 1.0))
    return {
        "rows": len(decided),
        "decisions": {label: counted[label] for label in labels},
        "confidence": {"edges": edges[:-1].tolist(), "counts": counts.tolist()},
    }
