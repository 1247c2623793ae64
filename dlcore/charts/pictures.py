"""Small pictures of data for a page: images and signals in a row, each with a caption that says what it shows."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Picture(NamedTuple):
    """One picture of a row: a grey image (height x width, or 1 x height x width) or a signal (one axis), and its caption.

    `wrong` marks a caption about a label that is not the true one.
    """

    values: np.ndarray
    caption: str
    wrong: bool = False


def png(image: np.ndarray) -> bytes:
    """Returns a grey image as a PNG file, its least value black and its largest white.

    Raises: ValueError for anything but one image with finite values.

    >>> png(np.eye(2))[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'
    """
    image = np.asarray(image, float)
    image = image[0] if image.ndim == 3 and len(image) == 1 else image
    if image.ndim != 2 or not image.size or not np.isfinite(image).all():
        raise ValueError(f"a grey image has two axes and finite values, not the shape {image.shape}")
    span = np.ptp(image) or 1.0
    grey = np.round(255 * (image - image.min()) / span).astype(np.uint8)
    lines = np.hstack([np.zeros((len(grey), 1), np.uint8), grey]).tobytes()  # before each line the filter: none

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


def _drawn(picture: Picture) -> str:
    values, text = np.squeeze(np.asarray(picture.values, float)), html.escape(picture.caption, quote=True)
    if values.ndim != 1:
        return f'<img alt="{text}" src="data:image/png;base64,{base64.b64encode(png(values)).decode()}">'
    low, span = values.min(), np.ptp(values) or 1.0
    points = " ".join(
        f"{100 * i / (len(values) - 1):.1f},{56 - 52 * (v - low) / span:.1f}" for i, v in enumerate(values)
    )
    return f'<svg viewBox="-2 0 104 60" role="img" aria-label="{text}"><polyline points="{points}"/></svg>'


def gallery(rows: dict[str, Sequence[Picture]]) -> str:
    """Returns rows of pictures as HTML: title of the row -> its pictures."""
    found = []
    for title, pictures in rows.items():
        shown = "".join(
            f"<figure>{_drawn(p)}<figcaption{' class=dl-wrong' if p.wrong else ''}>{html.escape(p.caption)}</figcaption></figure>"
            for p in pictures
        )
        found.append(f"<p class='dl-rowtitle'>{html.escape(title)}</p><div class='dl-row'>{shown}</div>")
    return f"<div class='dl-gallery'>{''.join(found)}</div>"
