"""Names and limits of the artefact on disk."""

import re

from underlay.core import BundleRefused

FORMAT = 1
"""Changes when an older library could misread a bundle."""

REVISION = 1
"""Changes when something is added that an older library may not know; older revisions load.

0: the model's weights, run by PyTorch. 1: an ONNX graph. A bundle has the lowest revision that knows all it holds.
"""

MANIFEST = "manifest.json"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
LABELS = "labels.json"
GOLDEN = "golden.jsonl"
REFERENCE = "reference.json"
METRICS = "metrics.json"
PROVENANCE = "provenance.json"
CARD = "card.md"
GRAPH = "model.onnx"
EXPORT = "export.json"

REQUIRED = (CONFIG, WEIGHTS, LABELS, GOLDEN, REFERENCE, METRICS, PROVENANCE, CARD)
KINDS = (".json", ".jsonl", ".md", ".safetensors", ".onnx")
"""What a file of a bundle may be: data, each read by a parser that runs nothing."""

MANIFEST_BYTES = 4 << 20
FILES = 256
DEPTH = 3

NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.ASCII)
_MAGIC = {
    b"PK\x03\x04": "a ZIP archive",
    b"PK\x05\x06": "a ZIP archive",
    b"\x7fELF": "a compiled library",
    b"MZ": "a Windows program",
    b"\x1f\x8b": "a gzip archive",
    b"#!": "a script",
    **{bytes([0x80, version]): "a pickle" for version in range(1, 6)},
}


def valid_name(name: str) -> bool:
    """May a bundle, or a file of one, be called so on every file system and in every URL?

    >>> valid_name("reviews-1.2"), valid_name(".."), valid_name("con"), valid_name("A")
    (True, False, False, False)
    """
    return NAME.fullmatch(name) is not None and ".." not in name and _DEVICES.fullmatch(name) is None


def check_path(path: str) -> None:
    """Refuse a path that leaves the bundle, or that two file systems would read differently.

    Raises:
        BundleRefused: `path`, or `file_kind` for a file that is not data.
    """
    pieces = path.split("/")
    if not (len(pieces) <= DEPTH and all(valid_name(piece) for piece in pieces)):
        raise BundleRefused(f"the manifest names the file {path!r:.120}", "a bundle holds no such path", code="path")
    if not path.endswith(KINDS):
        raise BundleRefused(f"{path} is none of {', '.join(KINDS)}", "a bundle holds data only", code="file_kind")


def check_magic(path: str, start: bytes) -> None:
    """Refuse a file that begins like code, a pickle or an archive, whatever its name.

    Args:
        path: For the message.
        start: Its first bytes.

    Raises:
        BundleRefused: `file_kind`.
    """
    for magic, what in _MAGIC.items():
        # The length of a safetensors header may begin like a pickle; its own parser decides.
        if start.startswith(magic) and not (path.endswith(".safetensors") and what == "a pickle"):
            raise BundleRefused(f"{path} is {what} under another name", "a bundle holds data only", code="file_kind")
