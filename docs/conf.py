"""Sphinx settings; `make docs` builds the site into `site/`."""

import contextlib
import io
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "src"))

project = "Underlay"
copyright = "2026, the Underlay authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_generated/README.md"]
default_role = "code"  # docstrings write code in single backticks
html_theme = "furo"
html_title = "Underlay"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_custom_sections = [("Source", "notes")]
# The same class is documented in the room that makes it and named in the rooms that use it.
suppress_warnings = ["ref.python", "autodoc.duplicate_object"]

COMMANDS = ("fit", "predict", "evaluate", "report", "verify", "export", "compress", "redact", "serve")
COMMANDS += ("doctor", "data check", "data sample", "data split", "data weights")
COMMANDS += ("keys create", "keys list", "keys revoke")


def write_generated() -> None:
    """The pages that come from the code itself: every command's help, and the recipe."""
    from underlay.cli.main import run
    from underlay.strategies.recipe import Recipe

    folder = HERE / "_generated"
    folder.mkdir(exist_ok=True)
    pages = ["# Commands\n\n`--debug` works with every command: an error then shows its traceback.\n"]
    for command in COMMANDS:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            run([*command.split(), "--help"])
        pages.append(f"## `underlay {command}`\n\n```text\n{said.getvalue().strip()}\n```\n")
    (folder / "commands.md").write_text("\n".join(pages), encoding="utf-8")
    recipe = f"# Recipe\n\n{Recipe.__doc__}\n\nThe defaults, as `underlay fit --print-recipe` prints them:\n\n"
    recipe += f"```yaml\n{Recipe.load().to_yaml()}```\n"
    (folder / "recipe.md").write_text(recipe, encoding="utf-8")


write_generated()


def as_restructured_text(app, what, name, obj, options, lines):  # type: ignore[no-untyped-def]
    """Docstrings are written for people who read code; make the few things that Sphinx reads otherwise plain to it."""
    if name == "underlay.core.errors":  # its tree is a drawing, not indented paragraphs
        lines[1:] = ["", "::", "", *(f"    {line}" for line in lines[1:])]
    lines[:] = [re.sub(r"(?<!`)(`[^`]+`)(?=\w)", r"\1\\ ", line) for line in lines]  # `describe`d


def setup(app):  # type: ignore[no-untyped-def]
    app.connect("autodoc-process-docstring", as_restructured_text)
