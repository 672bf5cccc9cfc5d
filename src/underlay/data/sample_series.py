"""Samples of time series: `.ts` files of a training and a test part -> lists of numbers, and the part of each."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from underlay.core.wheels import Archive
from underlay.data.time_series import parse_time_series

AEON = Archive("aeon", "1.6.0", "d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409")
"""The wheel carries small sets of the UCR and UEA archives; nothing of it is installed."""

_UCR = "Dau et al., The UCR Time Series Archive, 2019"


class SeriesSet(NamedTuple):
    """What is known of one set.

    Args:
        name: As in `sample:NAME`.
        folder: Its name in the archive.
        about: One line.
        credit: Whom to cite.
        rows: Of both parts.
        labels: Class names.
        train: SHA-256 of the training part.
        test: SHA-256 of the test part.
    """

    name: str
    folder: str
    about: str
    credit: str
    rows: int
    labels: tuple[str, ...]
    train: str
    test: str

    @property
    def members(self) -> dict[str, str]:
        """Files and their SHA-256."""
        where = f"aeon/datasets/data/{self.folder}/{self.folder}"
        return {f"{where}_TRAIN.ts": self.train, f"{where}_TEST.ts": self.test}


SETS = (
    SeriesSet(
        "gunpoint",
        "GunPoint",
        "a hand that draws a gun or points: its height in 150 frames",
        f"Ratanamahatana & Keogh; {_UCR}",
        200,
        ("1", "2"),
        "f842401779fd9800d247d8b33121a1a4643710a19b24917dbdd9a060ca8630d5",
        "79332750788a6227b325b96bd0d70130c8eb707b9731f8d7dec62b7a7d36017e",
    ),
    SeriesSet(
        "italy-power",
        "ItalyPowerDemand",
        "power demand of Italy over 24 hours, in the winter or the summer half of the year",
        f"Keogh et al.; {_UCR}",
        1096,
        ("1", "2"),
        "341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c",
        "26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144",
    ),
    SeriesSet(
        "basic-motions",
        "BasicMotions",
        "a smart watch in four activities: accelerometer and gyroscope, six channels",
        "Clements, BasicMotions; Bagnall et al., The UEA Multivariate Archive, 2018",
        80,
        ("Badminton", "Running", "Standing", "Walking"),
        "8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6",
        "79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc",
    ),
    SeriesSet(
        "japanese-vowels",
        "JapaneseVowels",
        "nine speakers and two vowels: 12 coefficients over 7 to 29 frames",
        "Kudo, Toyama & Shimbo, Multidimensional curve classification, 1999",
        640,
        tuple("123456789"),
        "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
        "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
    ),
)


def series(train: bytes, test: bytes) -> Mapping[str, list[Any]]:
    """Both parts, one below the other; `split` says which is which, as the archive divides them."""
    parts = {name: parse_time_series(content, name) for name, content in (("train", train), ("test", test))}
    return {
        "series": [row for part in parts.values() for row in part["series"]],
        "label": [label for part in parts.values() for label in part["label"]],
        "split": [name for name, part in parts.items() for _ in part["label"]],
    }
