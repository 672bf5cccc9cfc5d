"""What points where: shares that hold, rows that stay, names that cannot be mixed up, a file that is whole."""

import json
import os
from pathlib import Path

import pytest

from underlay.core import UsageError
from underlay.serve.aliases import Aliases
from underlay.serve.kept_aliases import Kept, KeptModel, locked, read_kept, write_kept
from underlay.serve.model import token_of
from underlay.serve.named import Named, read_all, read_named

TOKENS = [str(number).encode() for number in range(20_000)]


@pytest.mark.parametrize("weight", [0.01, 0.1, 0.5, 1.0])
def test_a_canary_gets_its_share(weight):
    aliases = Aliases("1").with_canary("2", weight)
    share = sum(aliases.chosen(token) == "2" for token in TOKENS) / len(TOKENS)
    assert share == pytest.approx(weight, abs=4 * (weight * (1 - weight) / len(TOKENS)) ** 0.5)


def test_what_went_to_a_canary_still_does_at_a_higher_weight_and_another_canary_gets_others():
    few, many = (Aliases("1").with_canary("2", weight) for weight in (0.1, 0.3))
    to_few, to_many = ({token for token in TOKENS if aliases.chosen(token) == "2"} for aliases in (few, many))
    assert to_few < to_many
    other = Aliases("1").with_canary("3", 0.1)
    to_other = {token for token in TOKENS if other.chosen(token) == "3"}
    assert len(to_few & to_other) < len(to_few) / 2


def test_a_canary_that_becomes_prod_is_none_any_more_and_the_way_back_is_known():
    aliases = Aliases("1").with_canary("2", 0.1).with_shadow("3").pointed("2")
    assert aliases == Aliases("2", "1", None, 0.0, "3")
    assert aliases.pointed("2") == aliases
    assert aliases.pointed("1") == Aliases("1", "2", None, 0.0, "3")
    assert aliases.without("1").previous is None
    assert Aliases("1").with_shadow("3").pointed("3").shadow is None


def test_rows_have_one_token_however_their_columns_are_ordered_and_files_count_by_their_bytes():
    assert token_of({"a": ["x"], "b": [1.5]}) == token_of({"b": [1.5], "a": ["x"]})
    assert token_of({"a": ["x", "y"]}) != token_of({"a": ["y", "x"]})
    assert token_of({"a": [b"file"]}) == token_of({"a": [b"file"]}) != token_of({"a": [b"film"]})


def test_bundles_are_named_by_their_folder_or_before_the_sign():
    assert read_named("reviews:2=a/b=c") == Named("reviews", Path("a/b=c"), "2")
    assert read_named("reviews=a/b") == Named("reviews", Path("a/b"))
    assert read_named("some/reviews") == Named("reviews", Path("some/reviews"))
    with pytest.raises(UsageError, match="a=b"):  # a path, whose folder is no name
        read_named("./a=b")
    assert [one.label for one in read_all(["m:1=x", "m:2=y", "n=z"])] == ["1", "2", None]
    assert read_all(["x/Y"], name="y") == (Named("y", Path("x/Y")),)


@pytest.mark.parametrize(
    "words",
    [["A=x"], ["m:prod=x"], ["m:canary=x"], ["m:=x"], ["=x"], ["m="], ["m:1=x", "m:1=y"], ["m=x", "m=y"],
     ["a/r", "b/r"], ["some/Folder"], ["..=x"], ["m:../n=x"]],
)  # fmt: skip
def test_a_name_that_would_mislead_is_refused(words):
    with pytest.raises(UsageError) as found:
        read_all(words)
    assert found.value.code == "name"


def test_name_is_for_one_bundle():
    for words in (["x", "y"], ["m=x"]):
        with pytest.raises(UsageError, match="--name is for one bundle"):
            read_all(words, name="z")


KEPT = Kept({"m": KeptModel(Aliases("2", "1", "3", 0.25, None), {"2": (Path("/x"), "ab"), "1": (Path("/y"), "cd")})})


def test_what_is_kept_comes_back(tmp_path):
    path = tmp_path / "aliases.json"
    assert read_kept(path) == Kept()
    write_kept(path, KEPT)
    assert read_kept(path) == KEPT
    assert path.stat().st_mode & 0o777 == 0o600
    write_kept(path, KEPT.with_model("m", None))
    assert read_kept(path) == Kept()


@pytest.mark.parametrize("change", [lambda text: text[:-9], lambda text: "[]", lambda text: text.replace("1", "7", 1)])
def test_a_file_that_is_damaged_is_refused_and_not_overlooked(tmp_path, change):
    path = tmp_path / "aliases.json"
    write_kept(path, KEPT)
    assert json.loads(path.read_text())["format"] == 1
    path.write_text(change(path.read_text()))
    with pytest.raises(UsageError) as found:
        read_kept(path)
    assert found.value.code == "aliases"


def test_two_servers_do_not_share_a_file(tmp_path):
    path = tmp_path / "deep" / "aliases.json"
    with locked(path):
        with pytest.raises(UsageError) as found, locked(path):
            pass
        assert found.value.code == "aliases_locked"
    with locked(path):
        pass
    assert os.listdir(path.parent) == [".aliases.json.lock"]
