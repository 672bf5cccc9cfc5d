"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import underlay

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
MODULES = [found.name for found in pkgutil.walk_packages(underlay.__path__, prefix="underlay.")]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "underlay.__main__"])
def test_the_examples_of_a_module_run(name: str, tmp_path, monkeypatch) -> None:
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(module, optionflags=FLAGS)
    assert not failed, "the examples that failed are in the output above"
