"""The arms of the race on small models: each reads raw rows and gives a label a row. One process holds one arm.

`python -m benchmarks.rival_arms FOLDER ARM` loads an arm and then obeys lines on its input: `answers` gives the label
of every test row, `batch N` the seconds that N rows take together, `single N` those of N rows one after another.
Answers are lines of JSON. Rivals get their rows sorted by length and in batches of 32, which is what suits them.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

BATCH = 32
Answer = Callable[[Sequence[Any]], list[str]]
"""Raw values -> labels."""


def ours(name: str) -> Callable[[Path], Answer]:
    """A bundle of ours, `predict` as its users call it."""

    def load(folder: Path) -> Answer:
        from underlay.bundle import open_bundle

        bundle = open_bundle(folder / name)
        (column,), (target,) = bundle.schema.columns, bundle.schema.targets
        return lambda rows: [str(one) for one in bundle.answer({column.name: list(rows)}).predictions[target.name]]

    return load


def pipeline(folder: Path) -> Answer:
    """The pipeline of transformers on the same weights."""
    from transformers import AutoTokenizer
    from transformers import pipeline as build

    from benchmarks.rival_checkpoint import read_checkpoint

    where = folder / "transformers"
    tokenizer = AutoTokenizer.from_pretrained(where)
    asked = build("text-classification", model=read_checkpoint(where), tokenizer=tokenizer, device="cpu")

    def answer(rows: Sequence[Any]) -> list[str]:
        return by_length(rows, lambda some: [one["label"] for one in asked(some, batch_size=BATCH, truncation=True)])

    return answer


def onnx_runtime(folder: Path) -> Answer:
    """The plain ONNX file under ONNX Runtime, tokenised by transformers' fast tokenizer."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "plain.onnx"), providers=["CPUExecutionProvider"])
    return tokenised(folder, lambda arrays: session.run(None, arrays)[0])


def openvino(name: str) -> Callable[[Path], Answer]:
    """OpenVINO on the plain ONNX file, or what NNCF made of it."""

    def load(folder: Path) -> Answer:
        import openvino as ov

        compiled = ov.Core().compile_model(str(folder / name), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
        return tokenised(folder, lambda arrays: compiled(arrays)[0])

    return load


def our_inputs_under(name: str, runtime: str) -> Callable[[Path], Answer]:
    """Our graph under another runtime, fed by our modality: nobody else reads such rows into this network."""

    def load(folder: Path) -> Answer:
        from underlay.bundle import open_bundle

        bundle = open_bundle(folder / "bundle")
        (column,), (target,) = bundle.schema.columns, bundle.schema.targets
        modality, run = bundle.modalities[column.name], runner(folder / name, runtime)

        def answer(rows: Sequence[Any]) -> list[str]:
            found: list[str] = []
            for start in range(0, len(rows), BATCH):
                encoded = modality.encode_many(list(rows[start : start + BATCH]))
                arrays = {f"{column.name}.{key}": one for key, one in modality.collate(encoded).items()}
                found += [target.labels[int(place)] for place in decided(run(arrays))]
            return found

        return answer

    return load


def runner(path: Path, runtime: str) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """What computes logits from the arrays of a graph."""
    if runtime == "openvino":
        import openvino as ov

        compiled = ov.Core().compile_model(str(path), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
        known = [one.get_any_name() for one in compiled.inputs]
        return lambda arrays: compiled({name: arrays[name] for name in known})[0]
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return lambda arrays: session.run(None, {name: arrays[name] for name in names})[0]


def ctranslate2(kind: str) -> Callable[[Path], Answer]:
    """The encoder under CTranslate2; the mean and the head in NumPy."""

    def load(folder: Path) -> Answer:
        import ctranslate2 as ct2

        encoder = ct2.Encoder(str(folder / f"ctranslate2-{kind}"), device="cpu", compute_type=kind)
        head = np.load(folder / "transformers" / "head.npz")

        def run(arrays: dict[str, np.ndarray]) -> np.ndarray:
            lengths = arrays["attention_mask"].sum(1)
            ids = [row[:length].tolist() for row, length in zip(arrays["input_ids"], lengths, strict=True)]
            hidden = np.asarray(encoder.forward_batch(ids).last_hidden_state, np.float32)  # [B, L, D]
            real = (np.arange(hidden.shape[1]) < lengths[:, None])[:, :, None]
            return (hidden * real).sum(1) / lengths[:, None] @ head["weight"].T + head["bias"]

        return tokenised(folder, run)

    return load


def model2vec(folder: Path) -> Answer:
    """A static student: a vector a word, taken from the same trunk, their mean, and a linear head on training rows."""
    from model2vec import StaticModel

    student, head = StaticModel.from_pretrained(folder / "model2vec"), np.load(folder / "model2vec" / "head.npz")
    labels = [str(one) for one in head["labels"]]

    def answer(rows: Sequence[Any]) -> list[str]:
        return [labels[int(one)] for one in decided(student.encode(list(rows)) @ head["weight"].T + head["bias"])]

    return answer


def tokenised(folder: Path, run: Callable[[dict[str, np.ndarray]], np.ndarray]) -> Answer:
    """Texts sorted by length, in batches, through the fast tokenizer of transformers."""
    from transformers import AutoTokenizer

    from benchmarks.rival_checkpoint import labels_of

    where = folder / "transformers"
    tokenizer, labels = AutoTokenizer.from_pretrained(where), labels_of(where)

    def some(texts: Sequence[Any]) -> list[str]:
        found: list[str] = []
        for start in range(0, len(texts), BATCH):
            arrays = tokenizer(list(texts[start : start + BATCH]), padding=True, truncation=True, return_tensors="np")
            logits = run({name: arrays[name].astype(np.int64) for name in ("input_ids", "attention_mask")})
            found += [labels[int(place)] for place in decided(logits)]
        return found

    return lambda rows: by_length(rows, some)


def decided(logits: np.ndarray) -> np.ndarray:
    """The best class of each row; of one logit whether it is above 0.

    >>> decided(np.array([[0.2], [-0.1]])).tolist(), decided(np.array([[0.2, 0.5]])).tolist()
    ([1, 0], [1])
    """
    return (logits[:, 0] > 0).astype(int) if logits.shape[1] == 1 else logits.argmax(1)


def by_length(rows: Sequence[Any], answer: Callable[[list[Any]], list[str]]) -> list[str]:
    """Answers in the order of the rows, asked in the order of their length.

    >>> by_length(["long", "a"], lambda rows: [row.upper() for row in rows])
    ['LONG', 'A']
    """
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    found = answer([rows[row] for row in order])
    placed = [""] * len(rows)
    for row, label in zip(order, found, strict=True):
        placed[row] = label
    return placed


OURS: dict[str, Callable[[Path], Answer]] = {
    "ours, PyTorch fp32": ours("bundle"),
    "ours, ONNX fp32": ours("fp32"),
    "ours, int8 static": ours("static"),
    "ours, int8 dynamic": ours("dynamic"),
}
TEXT: dict[str, Callable[[Path], Answer]] = {
    "transformers pipeline": pipeline,
    "ONNX Runtime fp32": onnx_runtime,
    "OpenVINO fp32": openvino("plain.onnx"),
    "OpenVINO int8": openvino("nncf.xml"),
    "CTranslate2 fp32": ctranslate2("float32"),
    "CTranslate2 int8": ctranslate2("int8"),
    "model2vec student": model2vec,
}
OTHER: dict[str, Callable[[Path], Answer]] = {
    "ONNX Runtime fp32": our_inputs_under("graph.onnx", "onnxruntime"),
    "OpenVINO fp32": our_inputs_under("graph.onnx", "openvino"),
    "OpenVINO int8": our_inputs_under("nncf.xml", "openvino"),
}
FILES = {
    "ours, PyTorch fp32": ["bundle"],
    "ours, ONNX fp32": ["fp32"],
    "ours, int8 static": ["static"],
    "ours, int8 dynamic": ["dynamic"],
    "transformers pipeline": ["transformers"],
    "ONNX Runtime fp32": ["plain.onnx", "graph.onnx"],
    "OpenVINO fp32": ["plain.onnx", "graph.onnx"],
    "OpenVINO int8": ["nncf.xml", "nncf.bin"],
    "CTranslate2 fp32": ["ctranslate2-float32"],
    "CTranslate2 int8": ["ctranslate2-int8"],
    "model2vec student": ["model2vec"],
}
"""What has to be there for an arm, and is counted as its size; of two names the one that is there."""


def arms(column: str) -> dict[str, Callable[[Path], Answer]]:
    """By name: ours and the rivals that read such a column."""
    return OURS | (TEXT if column == "text" else OTHER)


def main(words: list[str] | None = None) -> None:
    """Load one arm, then obey."""
    folder, name = (words or sys.argv[1:])[:2]
    rows = pd.read_parquet(Path(folder) / "test.parquet")
    column = next(one for one in rows.columns if one != "label")
    values = rows[column].tolist()
    answer = arms(column)[name](Path(folder))
    answer(values[:BATCH])
    say({"ready": True})
    for line in sys.stdin:
        what, _, count = line.strip().partition(" ")
        if what == "answers":
            say({"answers": answer(values)})
        elif what == "batch":
            say({"seconds": timed(answer, repeated(values, int(count)))})
        elif what == "single":
            say({"seconds": [timed(answer, [one]) for one in repeated(values, int(count))]})


def repeated(values: list[Any], count: int) -> list[Any]:
    """`count` of them, from the start again where they are fewer."""
    return [values[place % len(values)] for place in range(count)]


def timed(answer: Answer, rows: list[Any]) -> float:
    began = time.perf_counter()
    answer(rows)
    return time.perf_counter() - began


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
