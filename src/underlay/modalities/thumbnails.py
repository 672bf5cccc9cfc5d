"""How a value looks in a list: a picture of bounded size as a `data:` address, which needs no other file."""

import base64

WIDTH, HEIGHT = 240, 48
"""Pixels of a drawing that is broader than high."""

INK = "#6f83a0"
"""Of a line, as plain on white paper as on a dark page."""


def drawing(content: str, *, width: int, height: int) -> str:
    """An SVG in `width` by `height` units of its own as a `data:image/svg+xml;base64,` address.

    Args:
        content: Elements, with colours of their own: a style sheet does not reach into a picture.
        width: Units across, shown as `WIDTH` pixels.
        height: Units down, shown as `HEIGHT` pixels.

    >>> drawing("<path d='M0 0V9'/>", width=9, height=9)[:26]
    'data:image/svg+xml;base64,'
    """
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {width} {height}" '
        f'preserveAspectRatio="none">{content}</svg>'
    )
    return address(svg.encode(), "svg+xml")


def address(content: bytes, kind: str) -> str:
    """The content as a `data:image/KIND;base64,` address.

    >>> address(b"abc", "png")
    'data:image/png;base64,YWJj'
    """
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
