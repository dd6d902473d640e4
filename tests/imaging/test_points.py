"""Centers from every program's file, each told how it was read."""

import json
import math
import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import imodmodel
import pytest

from core.errors import PointsError
from core.imaging.geometry import Grid, Zyx
from core.imaging.points.read import read_points
from core.imaging.points.rows import Frame
from core.imaging.points.tomogram_names import names_of_tomogram

DATA = Path(__file__).parents[1] / "data" / "points"
FRAME = Frame(Zyx(200, 320, 256), 10.0, "TS_001")
ONE, TWO = Zyx(100, 160, 128), Zyx(90, 200, 100)


def centers(path: Path, frame: Frame | None = FRAME) -> list[Zyx]:
    return [center.position for center in read_points(path, frame).centers]


def written(folder: Path, content: str | bytes, name: str = "c.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        "128,160,100\n100,200,90\n",
        "128, 160, 100\n 100 ,200 , 90",
        "128,160,100\r\n100,200,90\r\n",
        "128,160,100\n\n100,200,90\n\n\n",
        "x,y,z\n128,160,100\n100,200,90\n",
        "X (px),Y (px),Z (px)\n128,160,100\n100,200,90\n",
        "z,y,x\n100,160,128\n90,200,100\n",
        "x,y,z,score\n128,160,100,0.5\n100,200,90,0.1\n",
        "normal_x,normal_y,normal_z,x,y,z\n1,0,0,128,160,100\n0,1,0,100,200,90\n",
        "id,coord_x,coord_y,coord_z,shift_x\n7,128,160,100,3\n8,100,200,90,3\n",
        "x_angstrom,y_angstrom,z_angstrom\n1280,1600,1000\n1000,2000,900\n",
        "X [Å];Y [Å];Z [Å]\n1280,0;1600,0;1000,0\n1000,0;2000,0;900,0\n",
        "# z y x\n100 160 128\n90 200 100\n",
        "# painted by hand: x, y, z\n128 160 100\n100 200 90\n",
        "128,160,100,\n100,200,90,\n",
        "128\t160\t100\r100\t200\t90",
        "name,x,y,z,score\na,128,160,100,0.5\nb,100,200,90,0.1\n",
        "128;160;100\n100;200;90\n",
        "128,0;160,0;100,0\n100,0;200,0;90,0\n",
        "128\t160\t100\n100\t200\t90\n",
        "128|160|100\n100|200|90\n",
        "128 160 100\n  100   200 90\n",
        "# centers\n128,160,100\n# second\n100,200,90\n",
        '"128","160","100"\n"100","200","90"\n',
        "+128,0160,1_00\n1e2,2e2,9e1\n",
        "127.6,160.2,99.5\n100.4,199.5,90\n",
        b"\xef\xbb\xbf128,160,100\n100,200,90\n",
        "128,160,100\n100,200,90\n".encode("utf-16"),
        "index,axis-0,axis-1,axis-2\n0,100,160,128\n1,90,200,100\n",
    ],
)
def test_text_of_every_kind_gives_the_same_centers(tmp_path: Path, content: Any) -> None:
    assert centers(written(tmp_path, content)) == [ONE, TWO]


def test_rounding_and_axis_order_are_told(tmp_path: Path) -> None:
    points = read_points(written(tmp_path, "axis-0,axis-1,axis-2\n99.5,160.0,128\n"))
    assert points.centers[0].position == ONE
    assert points.axis_order.startswith("z, y, x")
    assert "rounded" in points.findings[0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,b,c", "not a number"),
        ("128,160", "2 columns"),
        ("128,160,100,1", "4 columns"),
        ("nan,160,100", "finite"),
        ("128,inf,100", "finite"),
        ("99999999999999999999,160,100", "outside"),
        ("12,5;1;1", "columns"),
        ("'128',160,100", "not a number"),
        (",160,100", "not a number"),
    ],
)
def test_a_bad_row_is_named_and_the_others_keep_their_numbers(
    tmp_path: Path, row: Any, said: Any
) -> None:
    points = read_points(written(tmp_path, f"128,160,100\n{row}\n100,200,90\n"))
    assert [(center.row, center.position) for center in points.centers] == [(0, ONE), (2, TWO)]
    (failed,) = points.failed
    assert failed.row == 1
    assert "line 2" in failed.error
    assert said in failed.error


def test_a_bad_first_row_is_no_header(tmp_path: Path) -> None:
    points = read_points(written(tmp_path, "I28,160,100\n100,200,90\n"))
    assert [(center.row, center.position) for center in points.centers] == [(1, TWO)]
    assert "'I28' is not a number" in points.failed[0].error


@pytest.mark.parametrize(
    "header",
    [
        "x_nm,y_nm,z_nm",
        "normal_x,normal_y,normal_z",
        "x,y,y",
        "axis-0,axis-1",
        "X,Y,Slice",
        "start_x,y,z,end_x",
        "axis-0,axis-1,axis-2,axis-3",
        "x_px,y_px,z_angstrom",
    ],
)
def test_a_header_that_does_not_say_voxels_or_angstrom_is_not_guessed(
    tmp_path: Path, header: Any
) -> None:
    path = written(tmp_path, f"{header}\n{','.join('123456'[: header.count(',') + 1])}\n")
    with pytest.raises(PointsError, match="line 1: the header"):
        read_points(path, FRAME)


def test_a_decimal_comma_is_read_where_the_columns_are_not_split_by_commas(tmp_path: Path) -> None:
    points = read_points(written(tmp_path, "127,5;160,4;1e2\n"))
    assert points.centers[0].position == ONE
    with pytest.raises(PointsError, match="6 columns"):
        read_points(written(tmp_path, "127,5,160,4,100,0\n"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1,2,3\n" * 100_001, "more than 100000 rows"),
        ("1," * 100_000, "far too long"),
        ("\n" * 1_000_001, "lines"),
        ('{"points": [' + "{}," * 100_001 + "{}]}", "more than 100000 points"),
        ('{"points": [' + "{}," * 2_000_001 + "{}]}", "far more than picks"),
        ("data_a\n_x 1\n" * 30_000, "names"),
    ],
)
def test_a_file_far_too_long_for_centers_is_refused_soon(
    tmp_path: Path, content: Any, said: Any
) -> None:
    path = written(tmp_path, content, "c.star" if "data_" in content else "c.csv")
    with pytest.raises(PointsError, match=said):
        read_points(path, FRAME)


@pytest.mark.parametrize(
    "content", ["", "\n\n", "# nothing\n", "x,y,z\n", "a,b,c\n", "1,2\n", "\0\1"]
)
def test_a_file_without_centers_is_refused_in_one_sentence(tmp_path: Path, content: Any) -> None:
    path = written(tmp_path, content)
    with pytest.raises(PointsError, match=str(path)) as error:
        read_points(path, FRAME)
    assert "\n" not in str(error.value)


def test_imod_models_count_x_and_y_from_the_pixel_s_corner() -> None:
    points = read_points(DATA / "imodmodel_multiple_objects_example.mod", None)
    assert points.centers[0].position == Zyx(134, 661, 367)
    assert "IMOD" in points.origin
    assert centers(DATA / "czi_points.mod")[0] == Zyx(3, 2, 1)


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.mod")))
def test_imodmodel_finds_the_same_points(name: Any) -> None:
    table = imodmodel.read(str(DATA / name))
    expected = [
        Zyx(math.floor(z + 0.5), math.floor(y), math.floor(x))
        for x, y, z in zip(table["x"], table["y"], table["z"], strict=True)
    ]
    assert centers(DATA / name, None) == expected


@pytest.mark.parametrize("cut", [8, 100, 250, 430, 500, 5000, -4])
def test_a_model_that_was_cut_short_is_refused(tmp_path: Path, cut: Any) -> None:
    raw = (DATA / "imodmodel_multiple_objects_example.mod").read_bytes()
    with pytest.raises(PointsError, match="cut short"):
        read_points(written(tmp_path, raw[:cut], "a.mod"))


@pytest.mark.parametrize(
    "name",
    [
        "czi_points.csv",
        "czi_points_tab_delim.csv",
        "czi_points_with_header.csv",
        "czi_points_with_header_pipe_delim.csv",
    ],
)
def test_the_portal_s_samples_are_read(name: Any) -> None:
    assert centers(DATA / name) == [Zyx(3, 2, 1), Zyx(2, 2, 2), Zyx(0, 3, 0)]


def test_relion_3_and_plain_star_files_are_in_voxels() -> None:
    own = Frame(FRAME.shape, 10.0, "tomo13_z190_ves_1")
    assert len(centers(DATA / "pyseg_particles.star", own)) == 60
    assert centers(DATA / "tomoslice_TS_01_points.star")[0] == Zyx(63, 145, 68)


RELION5 = """
data_particles

loop_
_rlnTomoName #1
_rlnCenteredCoordinateXAngst #2
_rlnCenteredCoordinateYAngst #3
_rlnCenteredCoordinateZAngst #4
TS_001 0.0 0.0 0.0
TS_001 -280.0 400.0 -100.0
TS_002 10.0 10.0 10.0
"""


def test_relion_5_is_in_angstrom_from_the_center_and_of_the_named_tomogram(tmp_path: Path) -> None:
    points = read_points(written(tmp_path, RELION5, "p.star"), FRAME)
    assert [center.position for center in points.centers] == [ONE, TWO]
    assert points.unit == "angstrom"
    assert "2 of 3 rows are of TS_001" in points.findings


RELION4 = """
data_optics

loop_
_rlnOpticsGroup #1
_rlnTomoTiltSeriesPixelSize #2
1 2.5

data_particles

loop_
_rlnTomoName #1
_rlnCoordinateX #2
_rlnCoordinateY #3
_rlnCoordinateZ #4
TS_001 512 640 400
TS_001 400 800 360
"""


def test_relion_4_counts_in_unbinned_pixels_of_the_stated_size(tmp_path: Path) -> None:
    path = written(tmp_path, RELION4, "p.star")
    points = read_points(path, FRAME)
    assert [center.position for center in points.centers] == [ONE, TWO]
    assert "unbinned pixels of 2.5 angstrom" in points.findings[0]
    with pytest.raises(PointsError, match="--voxel-size"):
        read_points(path, Frame(FRAME.shape))


def test_relion_4_with_several_pixel_sizes_is_not_guessed(tmp_path: Path) -> None:
    path = written(tmp_path, RELION4.replace("1 2.5\n", "1 2.5\n2 1.25\n"), "p.star")
    with pytest.raises(PointsError, match=r"1\.25, 2\.5 angstrom"):
        read_points(path, FRAME)


def test_centered_coordinates_need_the_tomogram(tmp_path: Path) -> None:
    with pytest.raises(PointsError, match="name the tomogram"):
        read_points(written(tmp_path, RELION5.replace("TS_002", "TS_001"), "p.star"))


def test_rows_of_no_tomogram_of_this_name_are_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(PointsError, match="2 tomograms"):
        read_points(written(tmp_path, RELION5, "p.star"), Frame(FRAME.shape, 10.0, "other"))


def test_a_list_of_tomograms_is_no_list_of_centers() -> None:
    with pytest.raises(PointsError, match="rlnCoordinateX"):
        read_points(DATA / "relion5_tomograms.star", FRAME)


def test_copick_picks_are_in_angstrom(tmp_path: Path) -> None:
    points = [{"location": {"x": 1280.0, "y": 1600.0, "z": 1000.0}}, {"location": {"x": 1}}, 3]
    path = written(tmp_path, json.dumps({"points": points}), "picks.json")
    read = read_points(path, FRAME)
    assert [center.position for center in read.centers] == [ONE]
    assert [row.row for row in read.failed] == [1, 2]
    with pytest.raises(PointsError, match="--voxel-size"):
        read_points(path, Frame(FRAME.shape))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.star", "data_\n\nloop_\n_x #1\n"),
        ("a.star", "\0" * 100),
        ("a.mod", "IMODV1.2" + "\0" * 50),
        ("a.mod", "IMODV1.2" + "\x7f" * 5000),
        ("a.json", "{" * 100_000),
        ("a.json", '{"points": 3}'),
        ("a.json", "[1, 2]"),
        ("a.json", '\ufeff{"points": []}'),
        ("a.json", '{"points": [{"location": {"x": 1%s, "y": 1, "z": 1}}]}' % ("0" * 400)),
    ],
)
def test_a_broken_file_is_refused_in_one_sentence(tmp_path: Path, name: Any, content: Any) -> None:
    path = written(tmp_path, content, name)
    with pytest.raises(PointsError, match=str(path)) as error:
        read_points(path, FRAME)
    assert "\n" not in str(error.value)


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.csv")
    for path in (tmp_path / "c.csv", tmp_path, Path("/dev/zero"), tmp_path / "missing.csv"):
        with pytest.raises(PointsError, match=str(path)):
            read_points(path, FRAME)


def test_excel_s_first_line_states_the_delimiter(tmp_path: Path) -> None:
    for content in ("sep=;\r\nx;y;z\r\n128;160;100\r\n", "sep=\t\nx\ty\tz\n128\t160\t100\n"):
        assert centers(written(tmp_path, content)) == [ONE]


def test_a_decimal_comma_in_quotes_is_one_and_a_thousands_comma_is_not_guessed(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, 'x,y,z\n"128,0","160,4","99,6"\n"1,280",160,100\n')
    points = read_points(path, FRAME)
    assert [center.position for center in points.centers] == [ONE]
    assert "thousands" in points.failed[0].error


def test_more_values_than_headings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PointsError, match="6 values under 3 headings"):
        read_points(written(tmp_path, "x,y,z\n128,0,160,0,100,0\n"), FRAME)


def test_corners_of_napari_shapes_are_no_centers(tmp_path: Path) -> None:
    header = "index,shape-type,vertex-index,axis-0,axis-1,axis-2"
    path = written(tmp_path, f"{header}\n0,polygon,0,90,100,110\n0,polygon,1,90,110,120\n")
    with pytest.raises(PointsError, match="napari shapes layer"):
        read_points(path, FRAME)


def test_shares_of_the_sides_are_no_voxels(tmp_path: Path) -> None:
    with pytest.raises(PointsError, match="between 0 and 1"):
        read_points(written(tmp_path, "x,y,z\n0.5,0.45,0.5\n0,1,0.3\n"), FRAME)
    assert centers(written(tmp_path, "x,y,z\n0,1,0\n")) == [Zyx(0, 1, 0)]


def test_the_portal_s_points_are_in_voxels(tmp_path: Path) -> None:
    lines = [
        '{"type": "point", "location": {"x": 128, "y": 160.0, "z": 100.0}}',
        '{"type": "point", "location": {"x": 1}}',
        '{"type": "orientedPoint", "location": {"x": 100, "y": 200, "z": 90}, "id": [1, 2]}',
    ]
    points = read_points(written(tmp_path, "\n".join(lines), "p.ndjson"), FRAME)
    assert [(center.row, center.position) for center in points.centers] == [(0, ONE), (2, TWO)]
    assert points.failed[0].row == 1
    assert centers(written(tmp_path, lines[0], "p.ndjson")) == [ONE]


MPS = """<?xml version="1.0" encoding="UTF-8"?>
<point_set_file><file_version>0.1</file_version><point_set><time_series>
<point><id>0</id><x>%s</x><y>%s</y><z>%s</z></point>
</time_series></point_set></point_set_file>"""


def markups(x: float, y: float, z: float, system: str = "LPS") -> str:
    point = {"id": "1", "position": [x, y, z]}
    fiducial = {"type": "Fiducial", "coordinateSystem": system, "controlPoints": [point]}
    return json.dumps({"markups": [fiducial]})


@pytest.mark.parametrize(
    ("content", "grid"),
    [
        (MPS % (1280, 1600, 1000), None),
        (MPS % (1380, 1500, 1007), Grid.aligned(10.0, (100.0, -100.0, 7.0))),
        (
            MPS % (-1280, -1600, 1000),
            Grid((0.0, 0.0, 0.0), ((-10.0, 0, 0), (0, -10.0, 0), (0, 0, 10.0))),
        ),
        (markups(1280, 1600, 1000), None),
        (markups(-1280, -1600, 1000, "RAS"), None),
    ],
)
def test_world_coordinates_are_where_the_tomogram_s_header_places_them(
    tmp_path: Path, content: Any, grid: Any
) -> None:
    frame = replace(FRAME, grid=grid)
    points = read_points(written(tmp_path, content, "p.mps"), frame)
    assert [center.position for center in points.centers] == [ONE]
    assert "world" in points.origin


@pytest.mark.parametrize(
    "content",
    ["<svg></svg>", "<point_set_file>", "<!DOCTYPE a><point_set_file/>", MPS % (1, "one", 2)],
)
def test_other_xml_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(PointsError, match=r"MITK point set.* \.mps"):
        read_points(written(tmp_path, content, "p.mps"), FRAME)


def star(rows: list[str], *columns: str) -> str:
    names = ["rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ", *columns]
    return "\ndata_\n\nloop_\n" + "\n".join([*(f"_{name}" for name in names), *rows, ""])


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("TS_001", "TS_002"),
        ("TS_001.mrc", "TS_0010.mrc"),
        ("TS_001.tomostar", "TS_001_2.tomostar"),
        ("TS_001_10.00Apx.mrc", "TS_002_10.00Apx.mrc"),
        ("warp/reconstruction/TS_001_10.00Apx.mrc", "warp/TS_002.mrc"),
        ("C:\\data\\TS_001_10.00Apx.mrc", "TS_002"),
        ("ts_001.mrc.tomostar", "ts_002.mrc.tomostar"),
    ],
)
@pytest.mark.parametrize("column", ["rlnTomoName", "rlnMicrographName"])
def test_rows_of_this_tomogram_are_chosen_however_it_is_written(
    tmp_path: Path, own: Any, other: Any, column: Any
) -> None:
    frame = Frame(FRAME.shape, 10.0, "TS_001_10.00Apx", "TS_001_10.00Apx.mrc")
    text = star([f"128 160 100 {own}", f"1 2 3 {other}"], column)
    points = read_points(written(tmp_path, text, "p.star"), frame)
    assert [center.position for center in points.centers] == [ONE]
    assert points.findings[0].startswith("1 of 2 rows are of ")
    header = "x,y,z,tomo_name\n"
    csv = written(tmp_path, f"{header}128,160,100,{own}\n1,2,3,{other}\n")
    assert centers(csv, frame) == [ONE]


def test_the_longest_part_of_the_tomogram_s_name_wins() -> None:
    assert names_of_tomogram(["TS_1", "TS_1_2", "TS"], ["TS_1_2_b4"]) == ["TS_1_2"]
    assert names_of_tomogram(["TS_01"], ["rec_TS_01"]) == ["TS_01"]
    assert names_of_tomogram(["TS_1", "1", ""], ["TS_10"]) == []


@pytest.mark.parametrize("name", ["TS_777", "TS_0010.mrc", "a/TS_002.tomostar"])
def test_rows_that_are_all_of_another_tomogram_are_refused(tmp_path: Path, name: Any) -> None:
    text = star([f"128 160 100 {name}"], "rlnTomoName")
    with pytest.raises(PointsError, match="of another tomogram"):
        read_points(written(tmp_path, text, "p.star"), FRAME)
    with pytest.raises(PointsError, match="of another tomogram"):
        read_points(written(tmp_path, f"tomogram,x,y,z\n{name},128,160,100\n"), FRAME)


def test_a_name_is_told_where_nobody_said_which_tomogram_it_is(tmp_path: Path) -> None:
    text = star(["128 160 100 TS_777"], "rlnTomoName")
    points = read_points(written(tmp_path, text, "p.star"))
    assert points.findings == ("its rows are of tomogram TS_777",)


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        (["rlnPixelSize"], "20"),
        (["rlnImagePixelSize"], "20"),
        (["rlnDetectorPixelSize"], "20"),
        (["rlnMagnification", "rlnDetectorPixelSize"], "10000 20"),
        (["rlnMagnification", "rlnDetectorPixelSize"], "5000 10"),
    ],
)
def test_a_star_s_own_pixel_size_is_obeyed_and_told(
    tmp_path: Path, columns: Any, values: Any
) -> None:
    path = written(tmp_path, star([f"64 80 50 {values}"], *columns), "p.star")
    points = read_points(path, FRAME)
    assert [center.position for center in points.centers] == [ONE]
    assert "from pixels of 20 Å" in points.findings[0]
    unknown = read_points(path, Frame(FRAME.shape))
    assert "taken as voxels" in unknown.findings[0]


def test_a_star_of_the_tomogram_s_pixel_size_is_as_it_is(tmp_path: Path) -> None:
    text = star(["128 160 100 10.04"], "rlnPixelSize")
    assert read_points(written(tmp_path, text, "p.star"), FRAME).findings == ()


def test_a_star_block_of_one_row_needs_no_loop(tmp_path: Path) -> None:
    text = "\ndata_\n\n_rlnCoordinateX 128.0\n_rlnCoordinateY 160.0\n_rlnCoordinateZ 100.0\n"
    assert centers(written(tmp_path, text, "p.star")) == [ONE]


def model(
    points: list[tuple[float, float, float]],
    size_xyz: tuple[int, int, int],
    flags: int = 0,
    spacing: float | None = None,
) -> bytes:
    """An IMOD model of one contour, as binspec.html has it."""
    head = b"IMODV1.2" + bytes(128) + struct.pack(">3i i I", *size_xyz, 1, flags)
    contour = b"CONT" + struct.pack(">4i", len(points), 0, 0, 0)
    contour += b"".join(struct.pack(">3f", *point) for point in points)
    image = b"MINX" + struct.pack(">i 18f", 72, *[0] * 9, *[spacing or 0] * 3, *[0] * 6)
    return head.ljust(240, b"\0") + contour + (image if spacing else b"") + b"IEOF"


def test_a_model_that_was_saved_flipped_is_turned_back(tmp_path: Path) -> None:
    size, flipped = FRAME.shape.to_xyz(), (256, 200, 320)
    for stated in (size, flipped):
        raw = model([(128.5, 100.5, 160.0)], stated, 1 << 16, 10.0)
        points = read_points(written(tmp_path, raw, "a.mod"), FRAME)
        assert [center.position for center in points.centers] == [ONE]
        assert "exchanged" in points.findings[0]


def test_a_model_of_another_image_is_refused(tmp_path: Path) -> None:
    raw = model([(60.5, 40.5, 50.0)], (512, 640, 400), spacing=5.0)
    with pytest.raises(PointsError, match=r"another image: 512,640,400 voxels of 5,5,5 Å"):
        read_points(written(tmp_path, raw, "a.mod"), FRAME)
    rotated = model([(60.5, 40.5, 50.0)], FRAME.shape.to_xyz(), 1 << 17, 10.0)
    with pytest.raises(PointsError, match="rotated about x"):
        read_points(written(tmp_path, rotated, "a.mod"), FRAME)


def test_a_model_without_an_image_says_its_size_and_that_is_told(tmp_path: Path) -> None:
    raw = model([(128.5, 160.5, 100.0)], (512, 640, 400))
    points = read_points(written(tmp_path, raw, "a.mod"), FRAME)
    assert [center.position for center in points.centers] == [ONE]
    assert "512,640,400" in points.findings[0]


ASCII_MODEL = """# imod ascii file version 2.0

imod 1
max %d %d %d
offsets 0 0 0
object 0 1 0
name
contour 0 0 2
128.5 160.5 100
100.5 200.5 90
"""


def test_an_imod_model_in_text_form_is_read(tmp_path: Path) -> None:
    size = FRAME.shape.to_xyz()
    assert centers(written(tmp_path, ASCII_MODEL % size, "a.mod")) == [ONE, TWO]
    with pytest.raises(PointsError, match="text form cannot be read"):
        read_points(written(tmp_path, ASCII_MODEL % size + "contour 0 0 x\n", "a.mod"), FRAME)
