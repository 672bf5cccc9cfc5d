"""An exception -> the one line and the exit code that a user sees."""

import errno
import re
from dataclasses import dataclass

import typer

from underlay.core import MissingExtra, UnderlayError

EXTRAS = {
    "torch": "train",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "accelerate": "train",
    "tensorboard": "train",
    "wandb": "track",
    "mlflow": "track",
    "huggingface_hub": "hf",
    "transformers": "hf",
    "datasets": "hf",
    "httptools": "serve",
    "prometheus_client": "serve",
    "starlette": "serve",
    "sqlalchemy": "serve",
    "alembic": "serve",
    "cryptography": "serve",
    "psycopg": "postgresql",
    "ray": "ray",
    "uvicorn": "serve",
}
"""Which extra installs a module."""

RESOURCES = {
    errno.ENOSPC: ("disk_full", "free some space, or write to another disk"),
    errno.EDQUOT: ("disk_full", "free some space within your quota, or write to another disk"),
    errno.EFBIG: ("disk_full", "raise the limit on file sizes (`ulimit -f`), or write to another disk"),
    errno.EROFS: ("read_only", "choose a folder that can be written"),
    errno.EACCES: ("permission", "change its permissions, or choose another place"),
    errno.EPERM: ("permission", "change its permissions, or choose another place"),
    errno.EMFILE: ("open_files", "raise the limit on open files (`ulimit -n`)"),
    errno.EIO: ("disk_error", "check the disk; nothing that was not finished is used"),
}
"""Errors of the operating system that a user can mend: our code for each, and how."""

OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|bad_alloc", re.IGNORECASE)
"""How PyTorch's allocators say it; they raise RuntimeError."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where Ctrl-C would be: no `except Exception` swallows it."""


@dataclass(frozen=True)
class Failure:
    """What to print and how to exit.

    Args:
        code: snake_case, stable.
        what: What went wrong.
        do: What to do about it.
        exit_code: Of the process.
    """

    code: str
    what: str
    do: str
    exit_code: int

    @property
    def line(self) -> str:
        """`underlay: CODE: what — do`, on one line and without control characters.

        >>> Failure("disk_full", "no space in /a\\nb", "free some", 5).line
        'underlay: disk_full: no space in /a b — free some'
        """
        text = f"{self.what} — {self.do}" if self.do else self.what
        return f"underlay: {self.code}: {one_line(text)}"


def one_line(text: str) -> str:
    """The text with line ends as spaces and other unprintable characters (a terminal's escapes) as their codes."""
    joined = " ".join(text.split())
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in joined)


def failure_of(error: BaseException) -> Failure:
    """Say of any exception what a user should read.

    >>> failure_of(OSError(28, "No space left on device", "a.csv")).exit_code
    5
    """
    if isinstance(error, UnderlayError):
        return Failure(error.code, error.what, error.do, error.exit_code)
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        see = f"see `{context.command_path} --help`" if context else "see `underlay --help`"
        return Failure("usage", error.format_message().rstrip("."), see, 2)
    if isinstance(error, Terminated):
        return Failure("interrupted", "stopped by SIGTERM", "run it again; `fit` goes on with --resume", 143)
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return Failure("interrupted", "stopped by Ctrl-C", "run it again; `fit` goes on with --resume", 130)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in EXTRAS:
        module = (error.name or "").partition(".")[0]
        return failure_of(MissingExtra(f"this command (it imports {module})", EXTRAS[module]))
    return _of_the_machine(error) or _bug(error)


def _of_the_machine(error: BaseException) -> Failure | None:
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error))):
        do = "lower train.batch_tokens or model.max_length, or close other programs"
        return Failure("out_of_memory", "there is not enough memory", do, 5)
    if not isinstance(error, OSError):
        return None
    place = f" {error.filename}" if error.filename else ""
    if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)):
        return Failure("not_found", f"cannot open{place}: {error.strerror}", "check the path", 2)
    if error.errno in RESOURCES:
        code, do = RESOURCES[error.errno]
        return Failure(code, f"cannot use{place or ' a file'}: {error.strerror}", do, 5)
    return None


def _bug(error: BaseException) -> Failure:
    said = one_line(str(error))[:300]
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return Failure("bug", what, "run it with --debug for the traceback and report it", 1)
