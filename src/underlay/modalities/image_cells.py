"""The cells of a picture: what explanations cover, attacks change and reports shade."""

import base64
import html
import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from underlay.core import Part
from underlay.modalities.image_decoding import require_pillow

SHOWN = 224
"""Pixels a side of a picture in a report."""


@lru_cache
def cells(grid: int) -> tuple[Part, ...]:
    """The cells of a grid in rows; `start` is the number of the cell, `stop` one more.

    >>> cells(2)[3]
    Part(start=3, stop=4, text='row 2, column 2')
    """
    return tuple(
        Part(number, number + 1, f"row {number // grid + 1}, column {number % grid + 1}") for number in range(grid**2)
    )


def box(part: Part, size: int, grid: int) -> tuple[slice, slice]:
    """The pixels of a cell, rows and columns."""
    row, column = divmod(part.start, grid)
    edges = [round(edge * size / grid) for edge in range(grid + 1)]
    return slice(edges[row], edges[row + 1]), slice(edges[column], edges[column + 1])


def paint(pixels: np.ndarray, parts: Sequence[Part], colour: Sequence[float], grid: int) -> np.ndarray:
    """The picture with these cells in one colour.

    Args:
        pixels: uint8 `[S, S, 3]`.
        parts: Cells.
        colour: Three numbers, 0 to 255.
        grid: Cells a side.
    """
    painted = pixels.copy()
    for part in parts:
        painted[box(part, len(pixels), grid)] = np.round(colour).astype(np.uint8)
    return painted


def substitutes(pixels: np.ndarray, part: Part, grid: int) -> tuple[np.ndarray, ...]:
    """The picture with that cell blurred, darker, brighter, or mirrored: what an eye would hardly mind."""
    where = box(part, len(pixels), grid)
    cell = pixels[where]
    changed = (_blurred(cell), cell * 0.7, 255 - (255 - cell.astype(float)) * 0.7, cell[:, ::-1])
    found = []
    for new in changed:
        copy = pixels.copy()
        copy[where] = np.round(new).astype(np.uint8)
        if not np.array_equal(copy, pixels):
            found.append(copy)
    return tuple(found)


def _blurred(cell: np.ndarray) -> np.ndarray:
    """Each pixel the mean of the nine around it."""
    wide = np.pad(cell.astype(float), ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    blurred: np.ndarray = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
    return blurred


def render(pixels: np.ndarray, weights: Sequence[float], grid: int) -> str:
    """HTML of the picture, each cell shaded: green pushes towards the answer (1), red away from it (-1)."""
    shades = []
    for part, weight in zip(cells(grid), weights, strict=True):
        row, column = divmod(part.start, grid)
        colour = "46,160,67" if weight >= 0 else "218,54,51"
        shade = f"rgba({colour},{0.6 * min(abs(weight), 1.0):.2f})"
        shades.append(
            f'<rect x="{column}" y="{row}" width="1" height="1" fill="{shade}">'
            f"<title>{html.escape(part.text)}: {weight:+.3f}</title></rect>"
        )
    style = f"display:inline-block;position:relative;width:{SHOWN}px;height:{SHOWN}px"
    inner = "position:absolute;left:0;top:0;width:100%;height:100%"
    return (
        f'<span class="picture" style="{style}">'
        f'<img alt="" src="{png_address(pixels)}" style="{inner};image-rendering:pixelated">'
        f'<svg viewBox="0 0 {grid} {grid}" style="{inner}">{"".join(shades)}</svg></span>'
    )


def png_address(pixels: np.ndarray) -> str:
    """The picture as a `data:image/png;base64,` address.

    Args:
        pixels: uint8 `[H, W, 3]`.
    """
    buffer = io.BytesIO()
    require_pillow().fromarray(pixels).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
