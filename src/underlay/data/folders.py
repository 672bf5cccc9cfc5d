"""A folder of class folders (`cats/1.png`) as a table of paths and labels."""

from pathlib import Path

import pyarrow as pa

from underlay.core import DataError
from underlay.data.files import digest_of, require_safe
from underlay.data.media import AUDIO_ENDINGS, IMAGE_ENDINGS
from underlay.data.table import Table

_KINDS = {
    **dict.fromkeys(IMAGE_ENDINGS, "image"),
    **dict.fromkeys(AUDIO_ENDINGS, "audio"),
    **dict.fromkeys((".txt", ".md"), "text"),
}
_LONGEST_TEXT = 8 << 20


def read_folder(path: Path) -> Table:
    """Give a table with a column `image`, `audio` (paths) or `text` (contents) and a column `label` (folder names).

    Hidden files are left out; every other file must be of one kind, or a readable message says which is not.

    Raises:
        DataError: No class folders, no files, or files of several kinds.
    """
    folders = sorted(inner for inner in path.iterdir() if inner.is_dir() and not inner.name.startswith("."))
    files = [(file, folder.name) for folder in folders for file in _files(folder)]
    if not files:
        loose = sorted(inner.name for inner in path.iterdir())[:5]
        raise DataError(
            f"{path} holds no class folders with files; there is {loose}",
            "put the files of each label into a folder of its name: cats/1.png, dogs/2.png",
            code="empty_folder",
        )
    kinds = {kind for file, _ in files if (kind := _KINDS.get(file.suffix.lower()))}
    strangers = [file for file, _ in files if file.suffix.lower() not in _KINDS]
    for file in strangers[:1]:
        require_safe(file)
    if len(kinds) != 1:
        found = (
            f"files of several kinds: {', '.join(sorted(kinds))}" if kinds else f"no file it can read: {files[0][0]}"
        )
        raise DataError(f"{path} holds {found}", "give one kind in a data set: pictures, recordings or .txt")
    kind = kinds.pop()
    used = [(file, label) for file, label in files if _KINDS.get(file.suffix.lower()) == kind]
    cells = [_text(file) if kind == "text" else file.relative_to(path).as_posix() for file, _ in used]
    arrow = pa.table({kind: pa.array(cells, pa.string()), "label": pa.array([label for _, label in used], pa.string())})
    names = ", ".join(file.relative_to(path).as_posix() for file in strangers[:5])
    notes = (f"{path.name}: {len(strangers)} files were left out: {names}",) if strangers else ()
    return Table(arrow, name=path.name, digest=digest_of(path), folder=path, notes=notes, source=path)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))


def _text(file: Path) -> str:
    from underlay.data.encodings import detect
    from underlay.data.files import open_bytes

    if file.stat().st_size > _LONGEST_TEXT:
        raise DataError(f"{file} is longer than {_LONGEST_TEXT >> 20} MiB", "split it")
    encoding = detect(lambda: open_bytes(file), file.name)
    return file.read_bytes().decode(encoding.codec)
