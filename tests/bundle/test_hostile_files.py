"""Whatever stands in the JSON of a bundle with right digests: it opens, or it is refused; nothing else happens."""

import copy as copying
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from underlay.bundle import open_bundle
from underlay.bundle.layout import check_path
from underlay.bundle.manifest import parse_manifest, render_manifest
from underlay.bundle.strict_json import dump, parse
from underlay.core import BundleRefused

FILES = ("config.json", "labels.json", "golden.jsonl", "modality/00/text.json", "modality/00/tokenizer.json")
ODD = (None, True, -1, 0, 1.5, 10**30, "", "x", "../x", [], {}, [[]], {"name": "text.v1"})

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything within a JSON value, at most ten of any list or mapping."""
    yield path
    keys = (
        list(value)[:10] if isinstance(value, dict) else range(min(len(value), 10)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield from places(value[key], (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copying.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return changed


@pytest.mark.row("B10")
@pytest.mark.parametrize("name", FILES)
def test_an_odd_value_anywhere_is_refused_or_harmless(
    sealed: Path, tiny: ModuleType, tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(sealed, tmp_path / "bundle")
    sound = (folder / name).read_text(encoding="utf-8")
    lines = [json.loads(line) for line in sound.splitlines()] if name.endswith("l") else [json.loads(sound)]
    cases = [(line, path) for line in range(min(len(lines), 3)) for path in places(lines[line])]
    for number, (line, path) in enumerate(cases):
        odd = ODD[number % len(ODD)]
        changed = [put(value, path, odd) if place == line else value for place, value in enumerate(lines)]
        (folder / name).write_text("\n".join(json.dumps(value) for value in changed), encoding="utf-8")
        tiny.reseal(folder)
        try:
            open_bundle(folder)
        except BundleRefused as error:
            assert error.exit_code == 4


@given(value=values)
def test_strict_json_reads_back_what_it_wrote(value: Any) -> None:
    assert parse(dump({"value": value}), "x.json") == {"value": value}


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "a": 2}', '{"a": NaN}', "[Infinity]", "[1e400]", "[" * 33 + "]" * 33, '"\ud800"', "", "{", "[1] 2"],
)
def test_what_parsers_disagree_on_is_refused(text: str) -> None:
    with pytest.raises(BundleRefused):
        parse(text.encode("utf-8", "surrogatepass"), "x.json")


def test_a_string_that_never_ends_costs_linear_time() -> None:
    begun = time.perf_counter()
    with pytest.raises(BundleRefused):
        parse(b'"' + b'\\"' * 1_000_000, "x.json")
    assert time.perf_counter() - begun < 2


def test_brackets_within_strings_are_no_nesting() -> None:
    assert parse(json.dumps(["[" * 1_000, '\\"[' * 100]).encode(), "x.json")[0] == "[" * 1_000


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    extra=st.dictionaries(
        st.from_regex(r"[a-z0-9]{1,20}\.(json|md)", fullmatch=True), st.binary(max_size=50), max_size=5
    ),
    flip=st.integers(0, 10**9),
)
def test_a_manifest_lists_what_it_was_given_and_no_changed_byte_passes(extra: dict[str, bytes], flip: int) -> None:
    required = ("config.json", "model.safetensors", "labels.json", "golden.jsonl", "reference.json", "metrics.json",
                "provenance.json", "card.md")  # fmt: skip
    allowed = {name: data for name, data in extra.items() if _allowed(name)}
    files = dict.fromkeys(required, b"x") | allowed
    data = render_manifest(files, underlay="0.1.0", created="now", parent="0" * 64)
    manifest = parse_manifest(data)
    assert set(manifest.files) == set(files)
    assert all(manifest.files[name]["bytes"] == len(content) for name, content in files.items())
    place = flip % len(data)
    broken = data[:place] + bytes([data[place] ^ (1 << flip % 8)]) + data[place + 1 :]
    with pytest.raises(BundleRefused) as caught:
        parse_manifest(broken)
    assert caught.value.code == "digest_mismatch"


def _allowed(name: str) -> bool:
    try:
        check_path(name)
    except BundleRefused:
        return False
    return True
