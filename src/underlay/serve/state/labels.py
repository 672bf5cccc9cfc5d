"""Whether a label that somebody gives is one that a target can have."""

import math
from typing import Any

from underlay.core import Target
from underlay.serve.refusals import Refusal

NAMED = 100
"""Labels that a refusal names; whoever has more knows where they are written."""


def check_label(label: Any, target: Target, *, said: Any, field: str) -> Any:
    """The label as it is kept.

    Args:
        label: JSON data.
        target: Whose it is.
        said: What was predicted: a label a unit must have as many.
        field: JSON pointer to it.

    Raises:
        Refusal: `wrong_label`.

    >>> check_label("yes", Target("ok", "binary", ("no", "yes")), said="no", field="/label")
    'yes'
    """
    if target.task == "regression":
        if isinstance(label, bool) or not isinstance(label, int | float) or not math.isfinite(label):
            raise Refusal("wrong_label", field=field, expected="a number")
        return float(label)
    if target.by_unit:
        if not isinstance(label, list) or len(label) != len(said):
            raise Refusal("wrong_label", field=field, expected=f"a list of {len(said)} labels")
        return [_known(one, target, field) for one in label]
    if target.task == "multilabel":
        if not isinstance(label, list):
            raise Refusal("wrong_label", field=field, expected="a list of labels")
        found = {_known(one, target, field) for one in label}
        if len(found) != len(label):
            raise Refusal("wrong_label", field=field, expected="each label once")
        return [one for one in target.labels if one in found]
    return _known(label, target, field)


def _known(label: Any, target: Target, field: str) -> str:
    if not isinstance(label, str) or label not in target.labels:
        raise Refusal("wrong_label", field=field, expected=list(target.labels[:NAMED]))
    return label
