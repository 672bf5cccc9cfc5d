"""A small, real bundle: a one-layer trunk that was never trained answers as reproducibly as one that was."""

import csv
from pathlib import Path

import pytest

from underlay.core import Column, Schema, Target, stream

REVIEWS = [
    ("a quiet, wonderful film", "good"),
    ("dull from end to end", "bad"),
    ("=SUM(A1:A9) is not a film", "bad"),
    ("<b>bold</b> & brave", "good"),
    ("one line\nand another, with a \"quote\"", "good"),
    ("  leading and trailing blanks  ", "bad"),
    ("一部安静而美好的电影", "good"),
    ("-1 out of 10", "bad"),
]  # fmt: skip


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed bundle that reads `text` and answers `label`, good or bad."""
    from underlay.bundle import Contents, seal
    from underlay.modalities import MODALITIES
    from underlay.models import build, configure, resolve

    values = [text for text, _ in REVIEWS] * 8
    modality = MODALITIES["text.v1"].create(assets={}, limit=None, options={}).fit(values, stream(0, "fit"))
    trunk = resolve("transformer", options={"depth": 1, "width": 32, "heads": 2})
    config = configure(trunk, columns={"text": modality.describe()}, outputs={"label": 2})
    contents = Contents(
        schema=Schema((Column("text", "text"),), (Target("label", "binary", ("bad", "good")),)),
        modalities={"text": modality},
        model=config,
        weights=build(config, seed=0).state_dict(),
    )
    return seal(tmp_path_factory.mktemp("bundles") / "small", contents).path


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A CSV file with cells that a careless program changes."""
    path = tmp_path / "reviews.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["id", "text", "note"])
        rows.writerows([f"{number:03}", text, "007"] for number, (text, _) in enumerate(REVIEWS))
    return path
