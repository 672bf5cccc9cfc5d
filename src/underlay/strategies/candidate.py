"""A model that could be released, and the rows it learns from and is chosen by."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from underlay.bundle import Bundle, Rule, seal
from underlay.bundle.torch_backend import TorchBackend
from underlay.compress.loss import Labelled
from underlay.core import UsageError, ragged
from underlay.models import Backbone, FusedModel, SignalModel, build
from underlay.strategies import prepare
from underlay.strategies.assembly import JOINT, Assembly, Branch
from underlay.strategies.checks import check_data
from underlay.strategies.known_rows import HELD
from underlay.strategies.learn import Learned, logits_of
from underlay.strategies.listening import Say
from underlay.strategies.prepared import Prepared
from underlay.strategies.recipe import Recipe
from underlay.strategies.release import Measured, calibrate, contents_of
from underlay.train import EncodedRows, RunState, sweep
from underlay.train.checkpoints import Progress


@dataclass(frozen=True)
class Candidate:
    """A model that could be released, and the rows it learns from and is chosen by.

    Args:
        measured: Everything a release is made from.
        rows: Training, validation and test, encoded by its modalities.
        facts: By step: what it did, JSON data.
    """

    measured: Measured
    rows: tuple[EncodedRows, EncodedRows, EncodedRows]
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def as_bundle(self, original: Bundle) -> Bundle:
        """It answering in place of the original, calibrated by itself."""
        calibration, schema = calibrate(self.measured), self.measured.data.schema
        return replace(
            original,
            path=None,
            modalities=self.measured.modalities,
            rules={target.name: Rule.from_calibration(target, calibration[target.name]) for target in schema.targets},
            backend=TorchBackend(self.measured.config, self._arrays()),
            config=self.measured.config,
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        return {name: tensor.numpy() for name, tensor in self.measured.learned.model.state_dict().items()}


def start(bundle: Bundle, data: Prepared, *, cache: Path, say: Say) -> Candidate:
    """The bundle as it is, with the rows it was trained on.

    Args:
        bundle: Run by PyTorch.
        data: Read again.
        cache: Folder for the encoded rows.
        say: Told of rows that are set aside.
    """
    model = torch_model(bundle)
    recipe = Recipe.check(bundle.provenance["recipe"])
    data, *rows = prepare.encode(data, bundle.modalities, cache=cache, say=say)
    quiet = recipe.change({"data": {"suspects": False, "strict": False}})
    checked = check_data(data, bundle.modalities, rows[0], quiet, say=Say(None))
    known = bundle.provenance
    progress = Progress(
        step=int(known.get("steps", 0)),
        history=list(known.get("history", [])),
        best_step=int(known.get("best_step", 0)),
        stopped=str(known.get("stopped", "")),
    )
    learned = answered(model, rows[1], like=Learned(model, RunState(progress, {}, {}), {}))
    assembly = _assembly(bundle, model)
    measured = Measured(data, bundle.modalities, assembly, bundle.config, learned, recipe, checked, {}, say)
    return Candidate(measured, (rows[0], rows[1], rows[2]))


def torch_model(bundle: Bundle) -> SignalModel | FusedModel:
    """What answers.

    Raises:
        UsageError: A graph does.
    """
    if not isinstance(bundle.backend, TorchBackend):
        raise UsageError(f"{bundle.path} holds a graph already", "compress the bundle that `fit` wrote")
    return bundle.backend.model


def validation_rows(data: Prepared) -> Labelled:
    """Validation rows with what is true of them."""
    columns = {column.name: data.values("validation", column.name) for column in data.schema.columns}
    truths = {target.name: data.truth("validation", target.name) for target in data.schema.targets}
    return Labelled(columns, truths).first(HELD)


def loaded(config: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> SignalModel | FusedModel:
    """A model with these weights, in evaluation mode."""
    model = build(config, seed=0)
    model.load_state_dict(dict(weights))
    return model.eval()


def parameters(model: SignalModel | FusedModel) -> int:
    """How many numbers it has."""
    return sum(parameter.numel() for parameter in model.parameters())


def answered(model: SignalModel | FusedModel, rows: EncodedRows, *, like: Learned) -> Learned:
    """The model with what it says of the validation rows; what it has learned is told as of `like`."""
    found = sweep(model, rows, batch_tokens=8192)
    return Learned(
        model,
        RunState(like.state.progress, {}, {}),
        logits_of(found),
        {target: ragged(row.long() for row in one.labels) for target, one in found.asked.items()},
    )


def sealed(measured: Measured, folder: Path) -> Path:
    """`folder`, where the model now stands as a bundle; no test row is read for it."""
    seal(folder, contents_of(measured, calibrate(measured)), force=True)
    return folder


def _assembly(bundle: Bundle, model: SignalModel | FusedModel) -> Assembly:
    """The trunks as the bundle names them; their weights are in it."""
    known = bundle.provenance.get("backbone", {})
    trunk = bundle.config.get("trunk", {})
    backbone = Backbone(
        str(known.get("name", "")), trunk, digest=known.get("digest"), credit=str(known.get("credit", ""))
    )
    kind = bundle.schema.columns[0].modality
    return Assembly((Branch(kind, model.columns, backbone),), JOINT, dict(known.get("why", {})))
