"""`.npz` archives of NumPy arrays: series and their labels; nothing in them is ever run."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from underlay.core import BundleRefused, DataError
from underlay.data.files import digest_of
from underlay.data.table import Table

SERIES = ("X", "x", "series", "data", "values")
LABELS = ("y", "label", "labels", "target")
"""Names under which archives keep series and labels."""

MOST_BYTES = 8 << 30
"""Of one array: series of that size belong in Parquet, which is read in pieces."""

_RATIO, _FREE_BYTES = 100, 64 << 20  # as of other compressed files
_OTHERS = 64


def read_arrays(path: Path) -> Table:
    """Give the table of a `.npz` file: `series` from `X` `[N, T]` or `[N, C, T]`, `label` from `y` `[N]`.

    Further arrays of N numbers or strings become columns of their names.

    Raises:
        DataError: No such arrays, other shapes, damage, or arrays larger than they may be.
        BundleRefused: An array of objects, which is a pickle.
    """
    arrays = _loaded(path)
    series = [name for name in SERIES if name in arrays]
    if len(series) != 1:
        raise DataError(
            f"{path.name} holds {', '.join(sorted(arrays)) or 'no array'}; one of {', '.join(SERIES)} is needed",
            "np.savez(file, X=series, y=labels)",
            code="npz_names",
        )
    values = arrays.pop(series[0])
    if values.ndim not in (2, 3) or values.dtype.kind not in "iuf" or not values.size:
        raise DataError(
            f"{path.name}: {series[0]} has the shape {values.shape} and the type {values.dtype}",
            "give numbers of shape [rows, time] or [rows, channels, time]",
            code="npz_shape",
        )
    columns: dict[str, pa.Array] = {"series": nested(values)}
    left_out = []
    for name, array in arrays.items():
        column = "label" if name in LABELS else name
        if array.shape != (len(values),) or array.dtype.kind not in "iufbUS" or column in columns:
            if name in LABELS:
                raise DataError(
                    f"{path.name}: {name} has the shape {array.shape} and type {array.dtype} for {len(values)} rows",
                    "give one label a row",
                    code="npz_shape",
                )
            left_out.append(name)
            continue
        cells = array.astype(str).tolist() if array.dtype.kind in "US" else array.tolist()
        columns[column] = pa.array(cells, from_pandas=True)
    shape = " x ".join(map(str, values.shape))
    notes = [f"{path.name}: {series[0]} {shape} read as series"]
    notes += [f"{path.name}: not one value a row, left out: {', '.join(left_out)}"] if left_out else []
    return Table(
        pa.table(columns),
        name=path.name,
        digest=digest_of(path),
        folder=path.parent,
        notes=tuple(notes),
        source=path,
    )


def nested(values: np.ndarray) -> pa.Array:
    """Lists of numbers `[N, T]`, or lists of channels `[N, C, T]`, as one Arrow array.

    >>> nested(np.zeros((1, 2, 3))).to_pylist()
    [[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]
    """
    found = pa.array(np.ascontiguousarray(values, dtype=np.float64).ravel())
    for size in values.shape[:0:-1]:
        found = pa.ListArray.from_arrays(pa.array(np.arange(0, len(found) + 1, size), pa.int32()), found)
    return found


def _loaded(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            _require_sizes(path, infos)
            return {
                info.filename.removesuffix(".npy"): _array(archive.read(info), path, info.filename) for info in infos
            }
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{path.name} is damaged or no archive of arrays: {error}",
            "write it again with np.savez",
            code="npz_damaged",
        ) from error


def _require_sizes(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    total, most = sum(info.file_size for info in infos), max(_FREE_BYTES, path.stat().st_size * _RATIO)
    if len(infos) > _OTHERS:
        raise DataError(f"{path.name} holds {len(infos)} arrays", "keep the series and what belongs to their rows")
    if total > min(most, MOST_BYTES):
        raise DataError(
            f"{path.name} grows to {total:,} bytes when decompressed; at most {min(most, MOST_BYTES):,} are read",
            "write it with np.savez, or large ones as Parquet",
            code="decompression_bomb",
        )


def _array(content: bytes, path: Path, name: str) -> np.ndarray:
    try:
        _require_promise(content)
        return np.asarray(np.lib.format.read_array(io.BytesIO(content), allow_pickle=False))
    except ValueError as error:
        if "pickle" in str(error) or "Object arrays" in str(error):
            raise BundleRefused(
                f"{path.name}: {name} is an array of objects, which is a pickle: reading it could run code",
                "save numbers of one shape, NaN where one is missing",
                code="unsafe_file",
            ) from error
        raise DataError(
            f"{path.name}: {name} cannot be read: {error}", "write it again with np.savez", code="npz_damaged"
        ) from error


def _require_promise(content: bytes) -> None:
    """Refuse a header that promises more bytes than follow it: they would be allocated first.

    Raises:
        ValueError: It does, or there is no header.
    """
    file = io.BytesIO(content)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise ValueError(f"format {version} is not read")
    shape, _, kind = readers[version](file)
    if not kind.hasobject and kind.itemsize * math.prod(shape) != len(content) - file.tell():
        raise ValueError(f"an array of shape {shape} and type {kind} in {len(content):,} bytes")
