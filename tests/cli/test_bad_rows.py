"""Fifteen and more bad inputs of every modality among good ones: each is answered by what is wrong with it, exit 3."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from tests.modalities.examples import EXAMPLES

from underlay.core import Column, Schema, Target, stream

BUILT = {"text": "text.v1", "table": "table.v1 numbers", "image": "image.v1", "audio": "audio.v1"}
BUILT |= {"series": "series.v1", "events": "events.v1"}
"""Modality -> the example that its bundle is fitted on."""

NO_JSON = ["not json", '{"value": "cut o', "[" * 100_000, "[1, 2]", "7", '{"other": 1}', "\x00", "{'value': 1}"]
"""Lines that hold no row, whatever the modality but for `BARE`."""

BARE = {"table": {"7"}, "series": {"[1, 2]"}, "events": {"[1, 2]"}}
"""Of those, what is a value without its column's name."""

LINES = {
    "text": [None, 5, 1.5, True, [], ["a"], {}, {"text": "a"}, "", " ", "\n\t", "\u200b\u2060\ufeff", "\u3164",
             "\u2800", "a" + "\u0301" * 5_000],
    "table": ["red", [1], {}, {"a": 1}, [], "1_000", "2024-01-31", "1.2.3", "--1", "0x1f", "1e", "1/2", "12 EUR",
              "\u0967e", "5 6", "eight"],
    "series": [None, "", [], "[]", [[]], [None, None], "a text", "[1, 2", "3.5", 3.5, [1, "2"], [True, False],
               [[1, 2], [3]], [[[1]]], {}, {"values": [1]}, {"time": [1, 0], "value": [1, 2]}, [1e40], "[1, Infinity]"],
    "events": [None, "", "  ", 5, True, {"a": 1}, "a,b,c", "tea; milk", "['a', 'b']", "[1, 2", ["a", None], ["a", " "],
               "a||b", [["a"]], [0.5], [True], ["x" * 501], [{"time": 3}], [{"item": "a", "time": "soon"}]],
}  # fmt: skip
GOOD = {"text": "a quiet film", "table": 1.5, "series": [float(at % 5) for at in range(60)], "events": ["bread", "tea"]}


@pytest.fixture(scope="module")
def bundle_of(tmp_path_factory):
    """A bundle of a modality, its weights as they began; made once."""
    from underlay.bundle import Contents, seal
    from underlay.models import build, configure, resolve

    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            modality = EXAMPLES[BUILT[name]]().unfitted().fit(EXAMPLES[BUILT[name]]().train, stream(0, "fit"))
            trunk = resolve("transformer", options={"depth": 1, "width": 32, "heads": 2})
            config = configure(trunk, columns={"value": modality.describe()}, outputs={"label": 2})
            contents = Contents(
                schema=Schema((Column("value", name),), (Target("label", "binary", ("bad", "good")),)),
                modalities={"value": modality},
                model=config,
                weights=build(config, seed=0).state_dict(),
            )
            made[name] = seal(tmp_path_factory.mktemp("bundles") / name, contents).path
        return made[name]

    return of


@pytest.mark.parametrize("name", LINES)
def test_bad_lines_among_good_ones(name, underlay, bundle_of):
    lines = [json.dumps({"value": value}) for value in LINES[name]]
    lines += [line for line in NO_JSON if line not in BARE.get(name, ())]
    good = json.dumps({"value": GOOD[name]})
    done = underlay("predict", str(bundle_of(name)), "-", stdin="".join(f"{good}\n{line}\n" for line in lines))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 3, done.stderr
    assert len(rows) == 2 * len(lines) >= 30
    unasked = [line for line, row in zip(lines, rows[1::2], strict=True) if "error" not in row]
    assert unasked == []
    assert all(row["prediction"] in ("bad", "good") for row in rows[::2])
    assert len({row["confidence"] for row in rows[::2]}) == 1  # whatever stands between them
    assert all(len(row["error"]) > 15 for row in rows[1::2])


def files_of(name: str) -> tuple[dict[str, bytes], bytes]:
    """Bad files by name, and a good one."""
    if name == "image":
        from tests.modalities.test_image_files import CONTENTS, saved

        bad = {f"{at}.png": content for at, (content, *_) in enumerate(CONTENTS.values()) if isinstance(content, bytes)}
        return bad, saved("PNG")
    from tests.modalities.test_audio_reading import BAD, WAV

    return {file: content for file, (content, _) in BAD.items()}, WAV


@pytest.mark.parametrize("name", ["image", "audio"])
def test_bad_files_among_good_ones(name, underlay, bundle_of, tmp_path):
    pytest.importorskip("PIL" if name == "image" else "soundfile", reason=f"the extra {name} is not installed")
    bad, good = files_of(name)
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "good").write_bytes(good)
    for file, content in bad.items():
        (folder / file).write_bytes(content)
    (folder / "a folder").mkdir()
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    cells = [f"files/{file}" for file in (*bad, "a folder", "loop", "pipe", "none.png")]
    cells += ["/dev/zero", "", "  ", "x" * 5_000, "data:,a", "data:image/png;base64,@@@", str(np.nan)]
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["value", "n"], *([cell, 7] for row in cells for cell in ("files/good", row))])
    done = underlay("predict", str(bundle_of(name)), "rows.csv", "--out", "answers.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert done.returncode == 3, done.stderr
    assert f"bad_rows: {len(cells)} rows could not be answered" in done.stderr
    assert len(bad) >= 15
    assert [bool(row["error"]) for row in rows] == [False, True] * len(cells)
    assert len({row["confidence"] for row in rows[::2]}) == 1
    assert all(" — " in row["error"] for row in rows[1::2])  # what is wrong, and what to do
