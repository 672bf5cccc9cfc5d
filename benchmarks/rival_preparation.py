"""What the rivals need besides a bundle, made in their own environment: int8 of OpenVINO, CTranslate2, model2vec.

`python -m benchmarks.rival_preparation FOLDER NAME` makes one of them. Whatever is calibrated or learned reads training
rows alone.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CALIBRATED = 300
"""Training rows that NNCF sees: its own default."""


def nncf(folder: Path) -> None:
    """OpenVINO's int8: NNCF's post-training quantisation, as its documentation calls it."""
    import nncf as library
    import openvino as ov

    text = (folder / "plain.onnx").exists()
    model = ov.Core().read_model(str(folder / ("plain.onnx" if text else "graph.onnx")))
    kind = library.ModelType.TRANSFORMER if text else None
    rows = list(_plain_inputs(folder) if text else _our_inputs(folder, model))
    made = library.quantize(model, library.Dataset(rows), model_type=kind, subset_size=len(rows))
    single_rows_in_fp32(made)
    ov.save_model(made, str(folder / "nncf.xml"), compress_to_fp16=False)


def single_rows_in_fp32(model: Any) -> None:
    """Give tables of one row, such as BERT's single token type, back in fp32: OpenVINO 2026.4 cannot load their int8.

    It fails with `Check 'convert->constant_fold(...)' failed`; a vector costs nothing in fp32.
    """
    from openvino import opset13

    for node in model.get_ops():
        if node.get_type_name() != "Convert":
            continue
        constant = node.input_value(0).get_node()
        if constant.get_type_name() == "Constant" and constant.data.dtype == np.int8 and constant.data.shape[0] == 1:
            node.output(0).replace(opset13.constant(constant.data.astype(np.float32)).output(0))


def _training_rows(folder: Path) -> tuple[list[Any], list[str]]:
    table = pd.read_parquet(folder / "train.parquet")
    column = next(one for one in table.columns if one != "label")
    return table[column].tolist(), [str(label) for label in table.label]


def _drawn(rows: list[Any]) -> list[Any]:
    order = np.random.default_rng(0).permutation(len(rows))[:CALIBRATED]
    return [rows[int(place)] for place in order]


def _plain_inputs(folder: Path) -> Iterator[dict[str, np.ndarray]]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder / "transformers")
    for row in _drawn(_training_rows(folder)[0]):
        arrays = tokenizer([row], truncation=True, return_tensors="np")
        yield {name: arrays[name].astype(np.int64) for name in ("input_ids", "attention_mask")}


def _our_inputs(folder: Path, model: Any) -> Iterator[dict[str, np.ndarray]]:
    from underlay.bundle import open_bundle

    bundle = open_bundle(folder / "bundle")
    (column,) = bundle.schema.columns
    modality, known = bundle.modalities[column.name], {one.get_any_name() for one in model.inputs}
    for row in _drawn(_training_rows(folder)[0]):
        arrays = modality.collate([modality.encode(row)])
        yield {key: one for name, one in arrays.items() if (key := f"{column.name}.{name}") in known}


def ctranslate2(folder: Path) -> None:
    """The encoder in fp32 and in int8."""
    from ctranslate2.converters import TransformersConverter

    for kind in ("float32", "int8"):
        out = folder / f"ctranslate2-{kind}"
        TransformersConverter(str(folder / "transformers")).convert(str(out), quantization=kind, force=True)


def model2vec(folder: Path) -> None:
    """Vectors of the trunk's own words, 256 numbers each, and a logistic regression on their means."""
    from model2vec.distill import distill
    from sklearn.linear_model import LogisticRegressionCV

    rows, labels = _training_rows(folder)
    student = distill(model_name=str(folder / "transformers"), pca_dims=256)
    student.save_pretrained(folder / "model2vec")
    known = sorted(set(labels))
    fitted = LogisticRegressionCV(Cs=5, cv=3, max_iter=1000, l1_ratios=(0,), use_legacy_attributes=False)
    fitted.fit(student.encode(rows), [known.index(label) for label in labels])
    np.savez(folder / "model2vec" / "head.npz", weight=fitted.coef_, bias=fitted.intercept_, labels=np.array(known))


MADE: dict[str, Callable[[Path], None]] = {"nncf": nncf, "ctranslate2": ctranslate2, "model2vec": model2vec}
FOR_TEXT = ("nncf", "ctranslate2", "model2vec")
FOR_OTHER = ("nncf",)


def main(words: list[str] | None = None) -> None:
    """Make one and say that it is there."""
    folder, name = (words or sys.argv[1:])[:2]
    MADE[name](Path(folder))
    print(json.dumps({"made": name}), flush=True)


if __name__ == "__main__":
    main()
