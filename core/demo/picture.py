"""One picture that shows a patch's way: tomogram, prediction, corrections, training label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.files.atomic import whole_file
from core.imaging import colors
from core.imaging.labels import IGNORE, MEMBRANE

PANEL, MARGIN, CAPTION = 320, 16, 30
TITLES = (
    "1  tomogram",
    "2  prediction",
    "3  corrections painted on it",
    "4  merged training label",
)
LEGEND = (
    ("membrane", colors.PREDICTION),
    ("add: missed membrane", colors.ADD),
    ("remove: no membrane there", colors.REMOVE),
    ("ignore: nobody can tell, and the border", colors.IGNORE),
)
SCALE_BAR = 500
"""Angstrom."""
BACKGROUND, INK = (250, 250, 248), (34, 38, 42)

Gray = NDArray[Any]
Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class PatchSlice:
    """One z slice of a patch, every array (y, x)."""

    name: str
    image: Gray
    prediction: NDArray[np.uint8]
    corrections: Mapping[str, NDArray[np.bool_]]
    """Masks by colour."""
    merged: NDArray[np.uint8]
    voxel_size: float
    """Angstrom."""


def write_sheet(path: Path, slices: Sequence[PatchSlice]) -> None:
    """Draw one row a patch with four panels, and a legend, as PNG."""
    from PIL import Image, ImageDraw

    width = MARGIN + len(TITLES) * (PANEL + MARGIN)
    height = MARGIN + CAPTION + len(slices) * (PANEL + CAPTION + MARGIN) + CAPTION
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(TITLES):
        draw.text((_left(column), MARGIN), title, INK, font=_font(17))
    for row, patch in enumerate(slices):
        top = MARGIN + CAPTION + row * (PANEL + CAPTION + MARGIN)
        for column, panel in enumerate(_panels(patch)):
            picture = Image.fromarray(panel).resize((PANEL, PANEL), Image.Resampling.BICUBIC)
            sheet.paste(picture, (_left(column), top))
        _draw_scale_bar(draw, top + PANEL, PANEL / patch.image.shape[1] / patch.voxel_size)
        draw.text((_left(0), top + PANEL + 6), patch.name, INK, font=_font(13))
    _draw_legend(draw, height - CAPTION)
    with whole_file(path) as temporary:
        sheet.save(temporary, format="PNG")


def _panels(patch: PatchSlice) -> list[Rgb]:
    gray = _gray(patch.image)
    prediction = _over(gray, patch.prediction == MEMBRANE, colors.PREDICTION, 0.55)
    corrections = _over(gray, patch.prediction == MEMBRANE, colors.PREDICTION, 0.3)
    for color, mask in patch.corrections.items():
        corrections = _over(corrections, mask, color, 0.65)
    merged = _over(gray, patch.merged == MEMBRANE, colors.PREDICTION, 0.65)
    merged = _over(merged, patch.merged == IGNORE, colors.IGNORE, 0.35)
    return [gray, prediction, corrections, merged]


def _gray(image: Gray) -> Rgb:
    low, high = np.percentile(image, (1, 99))
    scaled = np.clip((image - low) / max(high - low, 1e-9), 0, 1)
    return np.repeat((255 * scaled).astype(np.uint8)[..., None], 3, axis=2)


def _over(picture: Rgb, mask: NDArray[np.bool_], color: str, opacity: float) -> Rgb:
    out = picture.copy()
    ink = np.array(colors.rgb(color))
    out[mask] = (picture[mask] * (1 - opacity) + ink * opacity).astype(np.uint8)
    return out


def _draw_legend(draw: Any, top: int) -> None:
    left = float(_left(0))
    for name, color in LEGEND:
        draw.rectangle((left, top + 4, left + 14, top + 18), fill=colors.rgb(color))
        draw.text((left + 22, top + 2), name, INK, font=_font(14))
        left += 22 + draw.textlength(name, font=_font(14)) + 2 * MARGIN


def _draw_scale_bar(draw: Any, bottom: int, pixels_per_angstrom: float) -> None:
    length = SCALE_BAR * pixels_per_angstrom
    left = _left(0) + 10
    draw.rectangle((left - 4, bottom - 36, left + length + 4, bottom - 6), fill=INK)
    draw.rectangle((left, bottom - 14, left + length, bottom - 11), fill=BACKGROUND)
    draw.text((left, bottom - 33), f"{SCALE_BAR // 10} nm", BACKGROUND, font=_font(13))


def _left(column: int) -> int:
    return MARGIN + column * (PANEL + MARGIN)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
