"""The peer: Hugging Face `Trainer` on the same weights, rows and test part.

A process of its own; prints one JSON object. Only `trainer.train()` is timed: not the imports, not the tokenising, not
the examinations of the accuracy curve (the clock stops), no checkpoints, no logging service.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from benchmarks.checkpoint_folder import checkpoint_folder

EVALUATION_ROWS = 64


class Examples(Dataset[dict[str, Any]]):
    """Token ids and labels, tokenised once."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, texts: list[str], labels: list[int], length: int) -> None:
        self.ids = tokenizer(texts, truncation=True, max_length=length)["input_ids"]
        self.labels = labels

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> dict[str, Any]:
        ids = self.ids[row]
        return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": self.labels[row]}

    @property
    def tokens(self) -> int:
        """Without padding."""
        return sum(map(len, self.ids))


class Curve(TrainerCallback):
    """Test accuracy against training seconds; may stop once a target has been reached."""

    def __init__(self, test: Examples, padding: int, every: int, target: float | None) -> None:
        self.test, self.padding, self.every, self.target = test, padding, every, target
        self.began = self.paused = 0.0
        self.points: list[tuple[float, int, float]] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.began = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **_: Any
    ) -> None:
        if state.global_step % self.every and state.global_step != state.max_steps:
            return
        seconds = self.elapsed()
        paused = time.monotonic()
        accuracy = accuracy_of(model, self.test, self.padding)
        self.points.append((seconds, state.global_step, accuracy))
        self.paused += time.monotonic() - paused
        if self.target is not None and accuracy >= self.target:
            control.should_training_stop = True

    def elapsed(self) -> float:
        """Seconds of training, the examinations left out."""
        return time.monotonic() - self.began - self.paused


@torch.inference_mode()
def accuracy_of(model: Any, rows: Examples, padding: int) -> float:
    """Share of right answers, batches of like lengths; the model goes back to training mode."""
    model.eval()
    order = np.argsort([len(ids) for ids in rows.ids])
    right = 0
    for start in range(0, len(order), EVALUATION_ROWS):
        picked = order[start : start + EVALUATION_ROWS]
        ids, mask = pad([rows.ids[row] for row in picked], padding)
        answers = model(input_ids=ids, attention_mask=mask).logits.argmax(-1)
        right += int((answers == torch.tensor([rows.labels[row] for row in picked])).sum())
    model.train()
    return right / len(order)


def pad(ids: list[list[int]], padding: int) -> tuple[Tensor, Tensor]:
    longest = max(map(len, ids))
    padded = torch.tensor([row + [padding] * (longest - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    return padded, mask


def train(options: argparse.Namespace) -> dict[str, Any]:
    """One run of the peer.

    Returns:
        `seconds` of training, `curve` of (seconds, step, test accuracy), `accuracy` at its end, `tokens` an epoch.
    """
    set_seed(options.seed)
    folder = checkpoint_folder(options.work)
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]",
    )  # fmt: skip
    rows, test_rows = pd.read_parquet(options.train), pd.read_parquet(options.test)
    names = sorted(rows.label.unique())
    examples = Examples(tokenizer, rows.text.tolist(), [names.index(label) for label in rows.label], options.length)
    test = Examples(
        tokenizer, test_rows.text.tolist(), [names.index(label) for label in test_rows.label], options.length
    )
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(names))
    steps = -(-len(examples) // options.batch)
    curve = Curve(test, tokenizer.pad_token_id, max(1, steps // options.points), options.target)
    arguments = TrainingArguments(
        output_dir=str(options.work / "peer"),
        num_train_epochs=options.epochs,
        learning_rate=options.learning_rate,
        per_device_train_batch_size=options.batch,
        train_sampling_strategy=options.sampling,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        bf16=options.bf16,
        dataloader_pin_memory=False,
        seed=options.seed,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=examples,
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
        callbacks=[curve],
    )
    trainer.train()
    seconds = curve.elapsed()
    return {"seconds": seconds, "curve": curve.points, "accuracy": curve.points[-1][2], "tokens": examples.tokens}


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--sampling", choices=["random", "group_by_length"], default="random")
    parser.add_argument("--bf16", action="store_true", help="train under autocast")
    parser.add_argument("--points", type=int, default=4, help="examinations an epoch")
    parser.add_argument("--target", type=float, default=None, help="stop at this test accuracy")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    print(json.dumps(train(arguments().parse_args())))
