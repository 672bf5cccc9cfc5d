"""One example of every modality, for the suite that holds all of them to one contract (`test_contract.py`).

To add a modality, add an entry to `EXAMPLES`: its registry name and a function without arguments that gives an
`Example`, with values as people really have them. The suite walks the registry and is red for a name that is not here.
What needs files writes them to `Path(tempfile.mkdtemp())`; what needs an extra calls `pytest.importorskip` first.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from tests.modalities.conftest import ENGLISH
from tests.plugin.steps import Steps  # its import registers the plug-in: it is held to the contract too

from underlay.modalities import MODALITIES


@dataclass(frozen=True)
class Example:
    """What the contract is checked on.

    Args:
        name: Registry name.
        train: Values to fit on.
        values: Values to check on, at least three, of different kinds and lengths, each with a part to take out.
        bad: Values that cannot be used, each of them; None, NaN and a wrong type among them unless they are values.
        same: Pairs that mean the same value: equal fingerprints.
        kinds: Kinds of damage that `corrupt` knows.
        end: Of a value: what no part may reach beyond.
        secret: Text that stands in the training values and may not stand in a sketch; empty where there is none.
        options: Of `create`.
    """

    name: str
    train: Sequence[Any]
    values: Sequence[Any]
    bad: Sequence[Any]
    same: Sequence[tuple[Any, Any]]
    kinds: Sequence[str]
    end: Callable[[Any], int]
    secret: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def unfitted(self) -> Any:
        """As the recipe makes it."""
        common = {"max_length": 32, "long": "head-tail"}
        return MODALITIES[self.name].create(assets={}, limit=128, options={**common, **self.options})

    def fitted(self) -> Any:
        """Fitted on the training values."""
        return self.unfitted().fit(self.train, np.random.default_rng(0))


def text() -> Example:
    return Example(
        name="text.v1",
        train=ENGLISH,
        values=["a quiet film", "the film was very good and loud, and the story is not", "很好", "film " * 80],
        bad=[None, float("nan"), 3, b"bytes", ["a"], "", " \n"],
        same=[("A fine film", "a  FINE film"), ("caf\u00e9", "cafe\u0301")],
        kinds=("case", "drop", "homoglyph", "invisible", "spaces", "swap", "typos"),
        end=len,
        secret="terrible",
        options={"vocabulary": 400},
    )


def words() -> Example:
    return Example(
        name="words.v1",
        train=[sentence.split() for sentence in ENGLISH],
        values=[
            ["a", "quiet", "film"],
            '["New York", "is", "loud", "!"]',
            "the film was very good and loud",
            ["film"] * 80,
            ["caf\u00e9", "", "\u5f88\u597d"],
        ],
        bad=[None, float("nan"), 3, b"bytes", [], ["", " "], ["a", 3], ["a", None], [["a"]], "", {"a": 1}],
        same=[(["A", "fine", "film"], "a  FINE film"), (["caf\u00e9"], '["cafe\u0301"]')],
        kinds=("case", "drop", "homoglyph", "invisible", "spaces", "swap", "typos"),
        end=len,
        secret="terrible",
        options={"vocabulary": 400},
    )


def table_of_numbers() -> Example:
    rng = np.random.default_rng(0)
    return Example(
        name="table.v1",
        train=[*rng.lognormal(size=400).tolist(), None, "", float("nan"), "12.25", True],
        values=[1.5, "0.75", 3, True, 1e300, float("-inf"), np.float32(2.5)],
        bad=["red", [1.0], {"a": 1}, b"1", "1_000", "2024-01-31"],
        same=[(1, "1.0"), (0.0, -0.0), (None, float("nan")), (None, "")],
        kinds=("missing", "noise", "shift"),
        end=lambda value: 1,
        secret="12.25",
    )


def table_of_categories() -> Example:
    return Example(
        name="table.v1",
        train=["vermilion", "teal", "teal", "vermilion", None, "", "ochre", "umber"] * 40 + ["only once"],
        values=["teal", " vermilion ", "never seen", 3],
        bad=[["teal"], {"a": 1}, b"teal"],
        same=[("teal", " teal"), ("caf\u00e9", "cafe\u0301"), (None, "NA")],
        kinds=("missing", "noise", "shift"),
        end=lambda value: 1,
        secret="vermilion",
    )


def table_of_dates() -> Example:
    return Example(
        name="table.v1",
        train=[f"20{year:02d}-{month:02d}-17" for year in range(24) for month in range(1, 13)],
        values=["2024-02-29", "1999-12-31T23:59:59Z", np.datetime64("2020-05-05")],
        bad=["2024-02-30", 5, "soon", ["2024-01-01"]],
        same=[("2024-02-29", "2024-02-29T00:00Z"), ("2024-02-29T02:00+02:00", "2024-02-29")],
        kinds=("missing", "noise", "shift"),
        end=lambda value: 1,
        secret="-17",
    )


def _file(kind: str, picture: np.ndarray) -> bytes:
    pillow = pytest.importorskip("PIL.Image", reason="the extra image is not installed")
    file = io.BytesIO()
    pillow.fromarray(picture).save(file, kind)
    return file.getvalue()


def image() -> Example:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(12)]
    grey = np.tile(np.arange(48, dtype=np.uint8) * 5, (40, 1))
    png = _file("PNG", noise[0])
    return Example(
        name="image.v1",
        train=[*(_file("PNG", picture) for picture in noise), _file("JPEG", noise[1]), grey, None],
        values=[png, _file("JPEG", noise[2]), grey, "data:image/png;base64," + base64.b64encode(png).decode()],
        bad=[None, float("nan"), 3, b"no picture", "missing.png", png[:60], ["a"]],
        same=[(png, bytes(png)), (png, "data:image/png;base64," + base64.b64encode(png).decode())],
        kinds=("blur", "brightness", "contrast", "jpeg", "noise", "pixelate"),
        end=lambda value: 1 << 20,  # cells are numbered
    )


def audio() -> Example:
    pytest.importorskip("soundfile", reason="the extra audio is not installed")
    time = np.arange(8_000) / 8_000
    tones = [(np.sin(2 * np.pi * hertz * time) * 0.3).astype(np.float32) for hertz in (220, 440, 880, 1_760)]
    return Example(
        name="audio.v1",
        train=[_wav(tone[: 4_000 + 900 * at]) for at, tone in enumerate(tones * 3)] + [None],
        values=[_wav(tones[0]), _wav(tones[1][:3_000]), "data:audio/wav;base64," + _address(tones[2]), tones[3] * 2],
        bad=[None, float("nan"), 3, b"no sound", "missing.wav", _wav(tones[0])[:100]],
        same=[(_wav(tones[0]), "data:audio/wav;base64," + _address(tones[0]))],
        kinds=("clipping", "gain", "noise"),
        end=lambda value: 1 << 20,  # samples
    )


def _wav(samples: np.ndarray) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, 8_000, format="WAV")
    return file.getvalue()


def _address(samples: np.ndarray) -> str:
    return base64.b64encode(_wav(samples)).decode()


def series() -> Example:
    rng = np.random.default_rng(0)
    rows = [np.sin(np.arange(60 + at) / (3 + at % 4)) + rng.normal(0, 0.1, 60 + at) for at in range(24)]
    return Example(
        name="series.v1",
        train=[*(row.round(4).tolist() for row in rows), None],
        values=[rows[0].tolist(), rows[5], "[1, null, 3, 2, 5, 4, 8, 6]", np.tile(rows[2], 4)],
        bad=[None, float("nan"), 3.5, "no series", [], {"a": 1}, [float("inf"), 1.0]],
        same=[([1.0, 2.0, 3.0, 4.0], "[1, 2, 3, 4]")],
        kinds=("drift", "flat", "gaps", "noise", "resampling", "spikes"),
        end=lambda value: 1 << 20,
    )


def series_of_kernels() -> Example:
    plain = series()
    return replace(plain, options={"kernels": 168})


def events() -> Example:
    rng = np.random.default_rng(0)
    items = ["bread", "milk", "eggs", "tea", "marmalade", "soap"]
    rows = [[items[int(at)] for at in rng.integers(6, size=1 + row % 9)] for row in range(40)]
    return Example(
        name="events.v1",
        train=[*rows, "|".join(rows[3]), '["bread", "tea"]', "soap milk", [], None],
        values=[rows[4], rows[8] * 5, "tea|green tea", '["milk", "eggs"]', ("soap", "bread"), np.array(["tea", "tea"])],
        bad=[None, float("nan"), 3, b"tea", "", " \n", "tea,soap", {"item": "tea"}, ["tea", None], [["tea"]], [0.5]],
        same=[(["bread", "tea"], "bread|tea"), (["1", "2"], "[1, 2.0]"), (["a"], [{"item": " a "}])],
        kinds=("drop", "noise", "repeat", "swap", "unknown"),
        end=lambda value: 50,
        secret="marmalade",
    )


def events_with_a_cloze() -> Example:
    return replace(events(), options={"cloze": True})


def events_in_time() -> Example:
    rng = np.random.default_rng(0)
    names = ["open", "read", "buy", "close"]
    rows = [
        [
            {"item": names[int(rng.integers(4))], "time": 60.0 * at, "attributes": {"price": 5.0 * at, "shop": "north"}}
            for at in range(2 + row % 7)
        ]
        for row in range(40)
    ]
    return Example(
        name="events.v1",
        train=rows,
        values=[rows[0], rows[6], ["open", "close"], [{"item": "buy", "time": "2024-01-01"}], rows[5]],
        bad=[None, 2.5, [{"time": 3}], [{"item": "buy", "cost": 3}], [{"item": "buy", "time": "soon"}], rows[0][::-1]],
        same=[([{"item": "buy", "time": 0}], [{"item": "buy", "time": "1970-01-01"}])],
        kinds=("drop", "noise", "repeat", "swap", "unknown"),
        end=lambda value: 50,
        secret="north",
    )


def steps() -> Example:
    return Example(
        name=Steps().name,
        train=[list("UUDLR"), list("RRRU"), list("D")] * 20,
        values=[list("UDLR"), list("U"), list("L" * 90)],
        bad=[None, float("nan"), "UDLR", ["X"], 3],
        same=[(list("UD"), list("UD"))],
        kinds=("turn", "stop"),
        end=len,
    )


EXAMPLES: Mapping[str, Callable[[], Example]] = {
    "text.v1": text,
    "words.v1": words,
    "table.v1 numbers": table_of_numbers,
    "table.v1 categories": table_of_categories,
    "table.v1 dates": table_of_dates,
    "image.v1": image,
    "audio.v1": audio,
    "series.v1": series,
    "series.v1 kernels": series_of_kernels,
    "events.v1": events,
    "events.v1 with a cloze": events_with_a_cloze,
    "events.v1 in time": events_in_time,
    "steps.v1": steps,
}
"""By registry name, with a word more where a modality has several faces."""
