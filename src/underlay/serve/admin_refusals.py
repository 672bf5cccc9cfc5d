"""Why an operator's wish is not done: what only the second listener says."""

from collections.abc import Mapping
from typing import ClassVar

from underlay.serve.refusals import ANSWERS, Refusal

ADMIN_ANSWERS: Mapping[str, tuple[int, str]] = {
    "unknown_model": (404, "No model of this name is loaded; `expected` names those that are."),
    "unknown_version": (404, "This model has no such version in memory; `expected` names those that it has."),
    "version_in_use": (409, "An alias points to this version, `expected` says which; move it first."),
    "version_exists": (409, "This model has another bundle under this version; give the new one another name."),
    "other_form": (409, "The bundle reads other columns or answers other targets than this model; name it otherwise."),
    "stale": (409, "The alias does not point where you said it did; `expected` says where it points."),
    "no_way_back": (409, "There is no version in memory to which this model could go back."),
    "default_model": (409, "This is the model of those who name none; it stays while the server runs."),
    "too_many_versions": (409, "As many versions are in memory as this server takes; unload one first."),
    "bundle_refused": (
        422,
        "The bundle was not loaded, and nothing has changed; `reason` is a code of what is wrong.",
    ),
    "model_name": (422, "A name has small letters, digits, dots, dashes or underscores; aliases are no versions."),
    "weight": (422, "A canary's weight is a number above 0, and at most 1."),
    "folder": (422, "A bundle is named by the absolute path of its folder on the server's machine."),
    "no_memory": (503, "There was not enough memory to load the bundle; nothing has changed."),
    "aliases_unwritten": (503, "The file that keeps versions and aliases could not be written; `reason` says why."),
}
"""By code: status and sentence."""


class AdminRefusal(Refusal):
    """A wish that is not done.

    >>> AdminRefusal("no_way_back").status
    409
    """

    answers: ClassVar[Mapping[str, tuple[int, str]]] = {**ANSWERS, **ADMIN_ANSWERS}
