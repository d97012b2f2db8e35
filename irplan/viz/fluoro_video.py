"""Two runs side by side as a GIF or MP4."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError, MissingExtraError
from irplan.files.atomic import atomic_path
from irplan.viz.fluoro_display import DisplayLut

#: Kinds of video.
VIDEO_SUFFIXES = (".gif", ".mp4")
_WIDEST = 1200  # pixels of a GIF
_GAP = 4


def write_video(
    left: NDArray[Any],
    right: NDArray[Any],
    path: str | Path,
    *,
    rate_hz: float,
    same_scale: bool = True,
    words: tuple[str, str] = ("as acquired", "filtered (research use only)"),
) -> Path:
    """Write ``left`` beside ``right`` (frame, row, column) at ``rate_hz``.

    ``same_scale``: both on the left one's grey scale; False for a subtraction.

    MP4 needs OpenCV (`MissingExtraError`, extra "video"); GIF is made by Pillow, which steps of
    1/100 s round.
    """
    target = Path(path)
    if left.shape != right.shape or left.ndim != 3:
        raise InputError(
            "video", got=f"{left.shape} and {right.shape}", expected="two runs of one shape",
            remedy="Give the source and the result.",
        )  # fmt: skip
    kind = target.suffix.lower()
    if kind not in VIDEO_SUFFIXES:
        raise InputError(
            "video", got=target.name, expected=" or ".join(VIDEO_SUFFIXES), remedy="Name it so."
        )
    luts = (DisplayLut.of(left), DisplayLut.of(left if same_scale else right))
    step = 1
    if kind == ".gif":
        step = max(1, -(-2 * left.shape[2] // _WIDEST))
    pictures = (_pair(a, b, luts, step, words) for a, b in zip(left, right, strict=True))
    with atomic_path(target) as place:
        if kind == ".gif":
            _gif(pictures, place, rate_hz)
        else:
            _mp4(pictures, place, rate_hz)
    return target


def _pair(
    a: NDArray[Any],
    b: NDArray[Any],
    luts: tuple[DisplayLut, DisplayLut],
    step: int,
    words: tuple[str, str],
) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw, ImageFont

    halves = []
    for image, word, lut in zip((a, b), words, luts, strict=True):
        grey = lut.apply(image)
        if step > 1:
            rows, columns = (n // step * step for n in grey.shape)
            cut = grey[:rows, :columns].reshape(rows // step, step, columns // step, step)
            grey = cut.mean(axis=(1, 3)).astype(np.uint8)
        picture = Image.fromarray(grey)
        size = max(11, grey.shape[1] // 32)
        draw = ImageDraw.Draw(picture)
        font = ImageFont.load_default(size)
        box = draw.textbbox((size // 2, size // 3), word, font=font)
        draw.rectangle((box[0] - 3, box[1] - 2, box[2] + 3, box[3] + 2), fill=0)
        draw.text((size // 2, size // 3), word, fill=255, font=font)
        halves.append(np.asarray(picture))
    gap = np.zeros((halves[0].shape[0], _GAP), np.uint8)
    out: NDArray[np.uint8] = np.hstack([halves[0], gap, halves[1]])
    return out


def _gif(pictures: Iterator[NDArray[np.uint8]], place: Path, rate_hz: float) -> None:
    from PIL import Image

    images = (Image.fromarray(p) for p in pictures)  # one at a time: runs are long
    length_ms = max(20, 10 * round(100.0 / rate_hz))
    next(images).save(
        place, format="GIF", save_all=True, append_images=images, duration=length_ms, loop=0
    )


def _mp4(pictures: Iterator[NDArray[np.uint8]], place: Path, rate_hz: float) -> None:
    try:
        import cv2
    except ImportError:
        raise MissingExtraError("MP4 video", package="opencv", extra="video") from None
    writer = None
    try:
        for picture in pictures:
            rows, columns = (n // 2 * 2 for n in picture.shape)
            if writer is None:
                code = cv2.VideoWriter.fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(place), code, rate_hz, (columns, rows), False)
                if not writer.isOpened():
                    raise InputError(
                        "video", got="no MP4 encoder in this OpenCV", expected="one",
                        remedy="Ask for a .gif instead.",
                    )  # fmt: skip
            writer.write(np.ascontiguousarray(picture[:rows, :columns]))
    finally:
        if writer is not None:
            writer.release()
