"""Every failure is one line with a code, what happened and what to do, and the right exit code."""

import errno
import os

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from underlay.cli.failures import Failure, Terminated, failure_of, one_line
from underlay.core import (
    BundleRefused,
    DataError,
    GateNotMet,
    Interrupted,
    ResourceError,
    ServiceAway,
    Stopped,
    UnderlayError,
    UsageError,
)


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (UnderlayError("a", "b"), 1),
        (UsageError("a", "b"), 2),
        (DataError("a", "b"), 3),
        (BundleRefused("a", "b"), 4),
        (ResourceError("a", "b"), 5),
        (ServiceAway("a", "b"), 6),
        (GateNotMet("a", "b"), 7),
        (Stopped("a", "b"), 75),
        (Interrupted(2, "a", "b"), 130),
        (Interrupted(15, "a", "b"), 143),
        (KeyboardInterrupt(), 130),
        (Terminated(), 143),
        (typer.BadParameter("a"), 2),
        (MemoryError(), 5),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), 5),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.csv"), 2),
        (OSError(errno.ENOSPC, "No space left on device", "a"), 5),
        (OSError(errno.EROFS, "Read-only file system", "a"), 5),
        (PermissionError(errno.EACCES, "Permission denied", "a"), 5),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 2),
        (ModuleNotFoundError("No module named 'other'", name="other"), 1),
        (ValueError("x"), 1),
        (RuntimeError("anything"), 1),
    ],
    ids=lambda value: f"{type(value).__name__}-{value}" if isinstance(value, BaseException) else str(value),
)
def test_an_error_has_its_exit_code_and_says_what_to_do(error: BaseException, exit_code: int) -> None:
    failure = failure_of(error)
    assert failure.exit_code == exit_code
    assert failure.line.startswith(f"underlay: {failure.code}: ")
    assert " — " in failure.line


def test_a_missing_extra_names_the_install_line() -> None:
    assert "pip install 'underlay[train]'" in failure_of(ModuleNotFoundError("no", name="torch.nn")).line


@given(st.text())
def test_a_message_is_one_printable_line_whatever_is_in_it(text: str) -> None:
    said = one_line(text)
    assert said.isprintable()
    assert len(Failure("code", said, "", 1).line.splitlines()) == 1


def test_an_escape_sequence_in_a_file_name_does_not_reach_the_terminal() -> None:
    assert "\x1b" not in failure_of(FileNotFoundError(errno.ENOENT, "No such file", "\x1b[2Jred")).line


def test_an_unknown_command_is_one_line_and_exit_2(underlay) -> None:
    done = underlay("fitt")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("underlay: usage: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.row("D15")
def test_all_problems_of_a_recipe_are_named_at_once(underlay) -> None:
    done = underlay(
        "fit", "sample:tweets", "--set", "train.epocs=3", "--set", "train.learning_rate=-1", "--set", "train.epochs=0",
        "--seed", str(2**64),
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    for named in ("epocs", "did you mean 'epochs'", "learning_rate", "train.epochs", "seed"):
        assert named in done.stderr


def test_no_traceback_without_debug_and_one_with_it(underlay) -> None:
    quiet = underlay("predict", "absent-bundle", "a text")
    assert quiet.returncode != 0
    assert "Traceback" not in quiet.stderr
    assert len(quiet.stderr.splitlines()) == 1
    loud = underlay("predict", "absent-bundle", "a text", "--debug")
    assert loud.returncode == quiet.returncode
    assert "Traceback" in loud.stderr
    assert loud.stderr.splitlines()[-1] == quiet.stderr.splitlines()[-1]


def test_a_reader_that_has_enough_ends_the_command_without_a_word(underlay, tmp_path) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        f"{sys.executable} -m underlay fit --print-recipe | true", shell=True, capture_output=True, encoding="utf-8"
    )
    assert done.stderr == ""
    assert not os.listdir(tmp_path)


def test_print_recipe_is_a_recipe_that_can_be_read_back(underlay, tmp_path) -> None:
    first = underlay("fit", "--print-recipe", "--set", "train.epochs=7", "--target", "10", "--time-limit", "10m")
    assert first.returncode == 0
    (tmp_path / "recipe.yaml").write_text(first.stdout, encoding="utf-8")
    second = underlay("fit", "--print-recipe", "--recipe", "recipe.yaml")
    assert second.stdout == first.stdout
    assert "epochs: 7" in second.stdout
    assert "target: ['10']" in second.stdout
    assert "time_limit: 600.0" in second.stdout


def test_doctor_tells_of_the_machine_as_a_table_and_as_json(underlay) -> None:
    import json

    done = underlay("doctor", "--json")
    facts = json.loads(done.stdout)
    assert facts["machine"]["cores"] >= 1
    assert facts["machine"]["memory_GiB"] > 0
    assert facts["extras"]["train"] == "installed"
    assert facts["versions"]["underlay"]
    assert str(facts["versions"]["numpy"]) in underlay("doctor").stdout
