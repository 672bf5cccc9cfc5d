"""What the README and the documentation tell a reader to type works as written."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(900)  # pages train real models, one after the other

ROOT = Path(__file__).resolve().parents[2]
READMES = [ROOT / "README.md", ROOT / "README.zh.md"]
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if "_generated" not in page.parts)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def having(pages: list[Path], language: str) -> list[object]:
    """Pages with such blocks; all but the first are slow, since each trains a model."""
    return [
        pytest.param(page, id=page_id(page), marks=() if page == READMES[0] else pytest.mark.slow)
        for page in pages
        if blocks(page, language)
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the pages speak of, small."""
    from underlay.cli.writing import write_table
    from underlay.data import open_table

    sample = open_table("sample:movie-snippets").arrow.select(["text", "label"])
    write_table(sample.slice(0, 120), tmp_path / "reviews.csv")
    write_table(sample.slice(120, 40), tmp_path / "more.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", having(READMES + PAGES, "python"))
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path, folder: Path) -> None:
    namespace: dict[str, object] = {"__name__": "page"}
    for text in blocks(page, "python"):
        exec(compile(text, page_id(page), "exec"), namespace)


@pytest.mark.parametrize("page", having(READMES + PAGES, "sh"))
def test_the_commands_of_a_page_run_in_order(page: Path, folder: Path) -> None:
    for line in "".join(blocks(page, "sh")).splitlines():
        words = shlex.split(line, comments=True)
        assert words[0] == "underlay"
        done = subprocess.run(
            [sys.executable, "-m", "underlay", *words[1:]], cwd=folder, capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES + READMES, ids=page_id)
def test_a_recipe_on_a_page_is_one(page: Path) -> None:
    import yaml

    from underlay.strategies import Recipe

    for text in blocks(page, "yaml"):
        Recipe.check(yaml.safe_load(text))


@pytest.mark.parametrize("page", [*PAGES, *READMES, ROOT / "CONTRIBUTING.md"], ids=page_id)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    lost = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()]
    assert not lost


@pytest.mark.parametrize("page", [*PAGES, *READMES], ids=page_id)
def test_every_flag_of_a_page_exists(page: Path) -> None:
    from underlay.cli.main import app

    command = __import__("typer").main.get_command(app)
    for text in [*blocks(page, "sh"), *blocks(page, "")]:
        for line in text.splitlines():
            words = shlex.split(line.rpartition("| ")[2], comments=True)
            if words[:1] != ["underlay"]:
                continue
            found = command.get_command(None, words[1])  # type: ignore[arg-type]
            assert found is not None, line
            if hasattr(found, "get_command"):
                found = found.get_command(None, words[2])
            known = {option for parameter in found.params for option in parameter.opts} | {"--debug"}
            assert {word for word in words if word.startswith("--")} <= known, line


def test_both_readmes_say_the_same_commands() -> None:
    english, chinese = ("".join(blocks(page, "sh") + blocks(page, "python")) for page in READMES)
    strip = re.compile(r"\s*#.*")
    assert strip.sub("", english) == strip.sub("", chinese)


def test_make_knows_every_target_that_the_readme_names() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = (ROOT / "README.md").read_text(encoding="utf-8") + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = " ".join(re.findall(r"(?:^|`)make ([a-z -]+)", text, re.MULTILINE))
    for target in set(named.split()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
