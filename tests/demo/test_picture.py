"""The sheet shows every patch's four steps in the colours that mean them everywhere."""

import numpy as np
import pytest
from PIL import Image

from core.demo.picture import CAPTION, MARGIN, PANEL, TITLES, PatchSlice, write_sheet
from core.errors import OutputError
from core.imaging import colors

SIDE = 160
PAINTED, PREDICTED = np.s_[60:100, 60:100], np.s_[120:150, 20:60]


def patch() -> PatchSlice:
    image = np.zeros((SIDE, SIDE), np.float32)
    prediction, merged = np.zeros((2, SIDE, SIDE), np.uint8)
    prediction[PREDICTED] = 1
    merged[PREDICTED], merged[PAINTED] = 1, 2
    add = np.zeros((SIDE, SIDE), bool)
    add[PAINTED] = True
    return PatchSlice("p", image, prediction, {colors.ADD: add}, merged, 10.0)


def pixel(sheet: Image.Image, column: int, y: int, x: int) -> np.ndarray:
    scale = PANEL / SIDE
    left, top = MARGIN + column * (PANEL + MARGIN), MARGIN + CAPTION
    return np.asarray(sheet)[int(top + y * scale), int(left + x * scale)].astype(int)


def hue(color: str) -> int:
    return int(np.argmax(colors.rgb(color)))


def test_a_sheet_grows_by_a_row_a_patch(tmp_path):
    for count in (1, 3):
        write_sheet(tmp_path / f"{count}.png", [patch()] * count)
    one, three = (Image.open(tmp_path / f"{count}.png") for count in (1, 3))
    with one, three:
        assert one.width == three.width == MARGIN + len(TITLES) * (PANEL + MARGIN)
        assert three.height - one.height == 2 * (PANEL + CAPTION + MARGIN)


def test_every_panel_shows_its_own_masks_in_their_colours(tmp_path):
    write_sheet(tmp_path / "sheet.png", [patch()])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert len(set(pixel(sheet, 0, 80, 80))) == 1
        assert len(set(pixel(sheet, 1, 80, 80))) == 1
        assert pixel(sheet, 1, 135, 40).argmax() == hue(colors.PREDICTION)
        assert pixel(sheet, 2, 80, 80).argmax() == hue(colors.ADD)
        assert pixel(sheet, 3, 80, 80).argmax() == hue(colors.IGNORE)
        assert pixel(sheet, 3, 135, 40).argmax() == hue(colors.PREDICTION)


def test_the_same_slices_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_sheet(tmp_path / f"{name}.png", [patch()])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_sheet_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(OutputError, match="gone"):
        write_sheet(tmp_path / "gone" / "sheet.png", [patch()])


def test_the_colours_of_the_meanings_differ():
    used = [colors.PREDICTION, colors.ADD, colors.REMOVE, colors.IGNORE, colors.SELECTED]
    assert len({colors.rgb(color) for color in used}) == len(used)
