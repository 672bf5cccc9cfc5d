"""What each choice inside the transformer trunk is worth: processor time a useful token of one training step.

Processor time of one thread, not wall time: it is the same on a busy machine, where a clock on the wall is not.
Variants run in turn, the least of the rounds counts. Figures and reasons: docs/decisions/0005-varlen-attention.md.
Needs the extra `hf` for the arm of `transformers`.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel

from benchmarks.datasets import movie_snippets
from underlay.modalities import Text
from underlay.models import SignalModel, build, configure, resolve
from underlay.models.linear import Linear
from underlay.models.trunks.packing import Packing
from underlay.models.trunks.transformer import Attention, Dropout

Inputs = Mapping[str, Mapping[str, Tensor]]
Arms = Mapping[str, tuple[nn.Module, Callable[[Inputs], Tensor]]]


def padded_attention(self: Attention, hidden: Tensor, packing: Packing, _turn: Tensor | None) -> Tensor:
    """The variant that was not taken: pad to the longest row, mask, attend, unpad."""
    padded = packing.unpack(self.qkv(hidden))
    real = packing.unpack(torch.ones(len(hidden), 1))[:, None, None, :, 0] > 0
    query, key, value = padded.unflatten(-1, (3, self.heads, self.size)).permute(2, 0, 3, 1, 4)
    seen = F.scaled_dot_product_attention(query, key, value, attn_mask=real)
    return self.out(packing.pack(seen.transpose(1, 2).flatten(2)))


@contextmanager
def variant(name: str) -> Iterator[None]:
    """Put one of our choices back to what PyTorch does by default."""
    patches = {
        "padded attention": lambda: patch.object(Attention, "forward", padded_attention),
        "nn.Linear": lambda: patch.object(Linear, "forward", nn.Linear.forward),
        "nn.Dropout": lambda: patch.object(Dropout, "forward", nn.Dropout.forward),
    }
    if name in patches:
        with patches[name]():
            yield
    else:
        yield


def batches(kind: str, *, rows: int, count: int) -> list[Inputs]:
    """Movie snippets as they come, or sorted by length; or random ids of 256 positions."""
    if kind == "256":
        generator = torch.Generator().manual_seed(0)
        full = [torch.randint(999, 30000, (rows // 8, 256), generator=generator) for _ in range(count)]
        return [{"text": {"ids": ids, "mask": torch.ones_like(ids)}} for ids in full]
    backbone = resolve("minilm")
    text = Text.create(assets=backbone.assets, limit=128, options={})
    encoded = [text.encode(value) for value in movie_snippets().train.text.head(rows * 40)]
    if kind == "sorted":
        encoded.sort(key=text.length)
    chosen = range(0, len(encoded) - rows, len(encoded) // count)
    collated = [text.collate(encoded[at : at + rows]) for at in chosen][:count]
    return [{"text": {name: torch.from_numpy(array) for name, array in arrays.items()}} for arrays in collated]


def arms() -> Arms:
    """By name: the module, and a scalar to differentiate."""
    backbone = resolve("minilm")
    column = {"name": "text.v1", "vocabulary": 30522, "padding": 0, "limit": 512}
    model = build(configure(backbone, columns={"text": column}, outputs={"label": 2}), seed=0)
    backbone.load(model)
    sizes = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    theirs = BertModel(BertConfig(**sizes), add_pooling_layer=False)

    def ours(inputs: Inputs, model: SignalModel = model) -> Tensor:
        return model(inputs).logit().square().mean()

    def peer(inputs: Inputs) -> Tensor:
        arrays = inputs["text"]
        return theirs(input_ids=arrays["ids"], attention_mask=arrays["mask"]).last_hidden_state[:, 0].square().mean()

    names = ("ours", "padded attention", "nn.Linear", "nn.Dropout")
    return {"transformers": (theirs.train(), peer), **{name: (model.train(), ours) for name in names}}


def measure(arms_of_run: Arms, kind: str, *, rows: int, count: int, rounds: int) -> dict[str, float]:
    """Microseconds of processor time a useful token, by arm."""
    given = batches(kind, rows=rows, count=count)
    useful = sum(int((inputs["text"]["mask"] > 0).sum()) for inputs in given)
    best: dict[str, float] = {}
    for turn in range(rounds + 1):
        for name, (module, loss) in arms_of_run.items():
            with variant(name):
                began = time.process_time()
                for inputs in given:
                    module.zero_grad(set_to_none=True)
                    loss(inputs).backward()
                spent = (time.process_time() - began) / useful * 1e6
            if turn:  # the first is warm-up
                best[name] = min(spent, best.get(name, spent))
    return best


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    arms_of_run = arms()
    for kind in ("sorted", "unsorted", "256"):
        found = measure(arms_of_run, kind, rows=asked.rows, count=asked.batches, rounds=asked.rounds)
        print(kind, {name: round(value) for name, value in found.items()}, "µs of processor time a useful token")
