"""The tasks: public data from the folder `UNDERLAY_DATA`, cut the way the goals say."""

import io
import os
import wave
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, train_test_split

from underlay.data import export_sample

WORK = Path(__file__).parent.parent / "build" / "benchmarks"
"""Tables, bundles and run folders; ignored by git."""


class DataAbsent(Exception):
    """`UNDERLAY_DATA` is not set, or does not hold the set."""


@dataclass(frozen=True)
class Cut:
    """Rows to learn from and rows to be measured on: an input column and `label`.

    Args:
        train: All that learning and selection may see.
        test: Touched once.
        validation: An official validation part, where thresholds are chosen.
        column: The input.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    validation: pd.DataFrame | None = None
    column: str = "text"

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Save as `train.parquet` and `test.parquet`."""
        folder.mkdir(parents=True, exist_ok=True)
        train, test = folder / "train.parquet", folder / "test.parquet"
        self.train[[self.column, "label"]].to_parquet(train, index=False)
        self.test[[self.column, "label"]].to_parquet(test, index=False)
        return train, test


def read(name: str, file: str = "data") -> pd.DataFrame:
    """One table of the data folder.

    Raises:
        DataAbsent: It is not there.
    """
    root = os.environ.get("UNDERLAY_DATA")
    if not root:
        raise DataAbsent("UNDERLAY_DATA is not set: point it at the folder of benchmark data")
    path = Path(root) / name / f"{file}.parquet"
    if not path.is_file():
        raise DataAbsent(f"UNDERLAY_DATA holds no {name}/{file}.parquet")
    return pd.read_parquet(path)


def imdb() -> Cut:
    """The official split; the training rows whose text also stands in the test part are left out."""
    train, test = read("imdb", "train"), read("imdb", "test")
    return Cut(train[~train.text.isin(set(test.text))].reset_index(drop=True), test)


def imdb_few(seed: int, labels: int = 3000) -> Cut:
    """`labels` training rows drawn by class and seed; validation comes out of them; the official test part."""
    cut = imdb()
    return replace(cut, train=sample(cut.train, labels, seed))


def sst2() -> Cut:
    """GLUE's training phrases; its dev set is the test part, since GLUE keeps its test labels."""
    rows = read("sst2")
    return Cut(rows[rows.split == "train"], rows[rows.split == "validation"])


def banking77(seed: int = 0, per_class: int | None = None) -> Cut:
    """The official split, whole or with `per_class` training rows of each intent drawn by seed."""
    rows = read("banking77")
    train = rows[rows.split == "train"]
    return Cut(train if per_class is None else draw_per_class(train, per_class, seed), rows[rows.split == "test"])


def clinc150() -> Cut:
    """In-scope training rows; validation and test hold out-of-scope queries too, labelled `oos`."""
    rows = read("clinc150")
    train = rows[(rows.split == "train") & (rows.label != "oos")]
    return Cut(train, rows[rows.split == "test"], rows[rows.split == "validation"])


def phrasebank(agreement: int, fold: int, seed: int) -> Cut:
    """One of five stratified folds, shuffled by seed; there is no official split."""
    rows = read("financial_phrasebank")
    rows = rows[rows.min_agreement >= agreement].reset_index(drop=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed).split(rows, rows.label)
    train, test = list(folds)[fold]
    return Cut(rows.iloc[train], rows.iloc[test])


def sst2_few(seed: int, per_class: int = 8) -> Cut:
    """`per_class` full training sentences of each label drawn by seed; GLUE's dev set is the test part."""
    rows = read("sst2")
    sentences = rows[(rows.split == "train") & rows.full_sentence]
    return Cut(draw_per_class(sentences, per_class, seed), rows[rows.split == "validation"])


def fashion_mnist() -> Cut:
    """The official split, the first thousand training and five hundred test pictures of each class."""
    rows = read("fashion_mnist")
    return Cut(rows[rows.split == "train"], rows[rows.split == "test"], column="image")


def cifar10() -> Cut:
    """The official split, 2,000 training and 500 test pictures of each class."""
    rows = read("cifar10")
    return Cut(rows[rows.split == "train"], rows[rows.split == "test"], column="image")


def spoken_digits() -> Cut:
    """The official split: takes 0 to 4 of every speaker and digit are the test part; `group` is the take."""
    rows = recordings("free_spoken_digits", "take")
    return Cut(rows[rows.split == "train"], rows[rows.split == "test"], column="audio")


def ravdess() -> Cut:
    """Emotions of voices that training has not heard: actors 19 to 24 are the test part; `group` is the actor."""
    rows = recordings("ravdess_speech", "actor")
    return Cut(rows[rows.split == "train"], rows[rows.split == "test"], column="audio")


def recordings(name: str, group: str) -> pd.DataFrame:
    """A set whose recordings are raw 16-bit samples, as WAV files."""
    rows = read(name).rename(columns={group: "group"})
    files = [wav_file(samples, int(rate)) for samples, rate in zip(rows.audio, rows.sampling_rate, strict=True)]
    return rows.assign(audio=files)


def wav_file(samples: bytes, rate: int) -> bytes:
    """Little-endian 16-bit samples as a mono WAV file.

    >>> wav_file(bytes(4), 8000)[:4], len(wav_file(bytes(4), 8000))
    (b'RIFF', 48)
    """
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate, len(samples) // 2, "NONE", ""))
        out.writeframes(samples)
    return file.getvalue()


def held_out_group(cut: Cut, *, share: float = 0.2) -> Cut:
    """Development without the test part: some groups of the training rows take its place."""
    groups = sorted(set(cut.train.group))
    every = max(2, round(1 / share))
    held = cut.train.group.isin(groups[::every])
    return replace(cut, train=cut.train[~held], test=cut.train[held])


def movie_snippets() -> Cut:
    """The packaged sample, one fifth for test; the same cut for every arm of a comparison."""
    path = WORK / "movie-snippets.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        export_sample("movie-snippets", path)
    rows = pd.read_csv(path, dtype=str)
    return held_out(Cut(rows, rows), 0, share=0.2)


def imdb_short(labels: int = 3000, test_rows: int = 2000) -> Cut:
    """What the timing comparison reads: few enough rows for three pairs in an evening."""
    cut = imdb_few(0, labels)
    return replace(cut, test=sample(cut.test, test_rows, 0))


def held_out(cut: Cut, seed: int, *, share: float = 0.1) -> Cut:
    """Development without the test part: a share of the training rows takes its place."""
    train, test = train_test_split(cut.train, test_size=share, random_state=seed, stratify=cut.train.label)
    return replace(cut, train=train, test=test)


def held_out_sentences(cut: Cut, *, count: int = 2000) -> Cut:
    """Development on phrases of sentences: whole sentences take the test part's place, as GLUE's dev set holds them.

    Their phrases leave the training part but for those that stand in another sentence too: drawn at random, held-out
    phrases would be pieces of sentences that were learned.
    """
    sentences = cut.train[cut.train.full_sentence]
    held = sample(sentences, count, 0)
    elsewhere = {phrase for text in sentences.drop(held.index).text for phrase in phrases(text)}
    inside = {phrase for text in held.text for phrase in phrases(text)} - elsewhere
    left = cut.train.drop(held.index)
    return replace(cut, train=left[~left.text.str.split().str.join(" ").isin(inside)], test=held)


def phrases(text: str) -> set[str]:
    """Every run of words.

    >>> sorted(phrases("a b c"))
    ['a', 'a b', 'a b c', 'b', 'b c', 'c']
    """
    words = text.split()
    return {" ".join(words[start:stop]) for start in range(len(words)) for stop in range(start + 1, len(words) + 1)}


def sample(rows: pd.DataFrame, count: int | None, seed: int) -> pd.DataFrame:
    """`count` rows drawn by class; all of them where there are not more."""
    if count is None or count >= len(rows):
        return rows
    counts = rows.label.value_counts()
    if count < 2 * len(counts):  # too few for every class
        return rows.sample(count, random_state=seed)
    kept, _ = train_test_split(rows, train_size=count, random_state=seed, stratify=rows.label)
    return kept


def draw_per_class(rows: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """`count` rows of each class, in a mixed order."""
    rng = np.random.default_rng(seed)
    picked = [rng.permutation(positions)[:count] for _, positions in sorted(rows.groupby("label").indices.items())]
    return rows.iloc[rng.permutation(np.concatenate(picked))]


Cutter = Callable[..., Cut]
