"""Centers from every program's file, each told how it was read."""

import json
import math
import os
from pathlib import Path

import imodmodel
import pytest

from core.errors import PointsError
from core.imaging.geometry import Zyx
from core.imaging.points.read import Frame, read_points

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
def test_text_of_every_kind_gives_the_same_centers(tmp_path, content):
    assert centers(written(tmp_path, content)) == [ONE, TWO]


def test_rounding_and_axis_order_are_told(tmp_path):
    points = read_points(written(tmp_path, "axis-0,axis-1,axis-2\n99.5,160.0,128\n"))
    assert points.centers[0].position == ONE
    assert points.axis_order.startswith("z, y, x")
    assert "rounded" in points.findings[0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,b,c", "no number"),
        ("128,160", "2 columns"),
        ("128,160,100,1", "4 columns"),
        ("nan,160,100", "finite"),
        ("128,inf,100", "finite"),
        ("99999999999999999999,160,100", "outside"),
        ("12,5;1;1", "columns"),
        ("'128',160,100", "no number"),
        (",160,100", "no number"),
    ],
)
def test_a_bad_row_is_named_and_the_others_keep_their_numbers(tmp_path, row, said):
    points = read_points(written(tmp_path, f"128,160,100\n{row}\n100,200,90\n"))
    assert [(center.row, center.position) for center in points.centers] == [(0, ONE), (2, TWO)]
    (failed,) = points.failed
    assert failed.row == 1
    assert "line 2" in failed.error
    assert said in failed.error


def test_a_bad_first_row_is_no_header(tmp_path):
    points = read_points(written(tmp_path, "I28,160,100\n100,200,90\n"))
    assert [(center.row, center.position) for center in points.centers] == [(1, TWO)]
    assert "'I28' is no number" in points.failed[0].error


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
def test_a_header_that_does_not_say_voxels_or_angstrom_is_not_guessed(tmp_path, header):
    path = written(tmp_path, f"{header}\n{','.join('123456'[: header.count(',') + 1])}\n")
    with pytest.raises(PointsError, match="line 1: the header"):
        read_points(path, FRAME)


def test_a_decimal_comma_is_read_where_the_columns_are_not_split_by_commas(tmp_path):
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
def test_a_file_far_too_long_for_centers_is_refused_soon(tmp_path, content, said):
    path = written(tmp_path, content, "c.star" if "data_" in content else "c.csv")
    with pytest.raises(PointsError, match=said):
        read_points(path, FRAME)


@pytest.mark.parametrize(
    "content", ["", "\n\n", "# nothing\n", "x,y,z\n", "a,b,c\n", "1,2\n", "\0\1"]
)
def test_a_file_without_centers_is_refused_in_one_sentence(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(PointsError, match=str(path)) as error:
        read_points(path, FRAME)
    assert "\n" not in str(error.value)


def test_imod_models_count_x_and_y_from_the_pixel_s_corner():
    points = read_points(DATA / "imodmodel_multiple_objects_example.mod")
    assert points.centers[0].position == Zyx(134, 661, 367)
    assert "IMOD" in points.origin
    assert centers(DATA / "czi_points.mod")[0] == Zyx(3, 2, 1)


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.mod")))
def test_imodmodel_finds_the_same_points(name):
    table = imodmodel.read(str(DATA / name))
    expected = [
        Zyx(math.floor(z + 0.5), math.floor(y), math.floor(x))
        for x, y, z in zip(table["x"], table["y"], table["z"], strict=True)
    ]
    assert centers(DATA / name) == expected


@pytest.mark.parametrize("cut", [8, 100, 250, 430, 500, 5000, -4])
def test_a_model_that_was_cut_short_is_refused(tmp_path, cut):
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
def test_the_portal_s_samples_are_read(name):
    assert centers(DATA / name) == [Zyx(3, 2, 1), Zyx(2, 2, 2), Zyx(0, 3, 0)]


def test_relion_3_and_plain_star_files_are_in_voxels():
    assert len(centers(DATA / "pyseg_particles.star")) == 60
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


def test_relion_5_is_in_angstrom_from_the_center_and_of_the_named_tomogram(tmp_path):
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


def test_relion_4_counts_in_unbinned_pixels_of_the_stated_size(tmp_path):
    path = written(tmp_path, RELION4, "p.star")
    points = read_points(path, FRAME)
    assert [center.position for center in points.centers] == [ONE, TWO]
    assert "unbinned pixels of 2.5 angstrom" in points.findings[0]
    with pytest.raises(PointsError, match="--voxel-size"):
        read_points(path, Frame(FRAME.shape))


def test_relion_4_with_several_pixel_sizes_is_not_guessed(tmp_path):
    path = written(tmp_path, RELION4.replace("1 2.5\n", "1 2.5\n2 1.25\n"), "p.star")
    with pytest.raises(PointsError, match=r"1\.25, 2\.5 angstrom"):
        read_points(path, FRAME)


def test_centered_coordinates_need_the_tomogram(tmp_path):
    with pytest.raises(PointsError, match="name the tomogram"):
        read_points(written(tmp_path, RELION5.replace("TS_002", "TS_001"), "p.star"))


def test_rows_of_no_tomogram_of_this_name_are_not_guessed(tmp_path):
    with pytest.raises(PointsError, match="2 tomograms"):
        read_points(written(tmp_path, RELION5, "p.star"), Frame(FRAME.shape, 10.0, "other"))


def test_a_list_of_tomograms_is_no_list_of_centers():
    with pytest.raises(PointsError, match="rlnCoordinateX"):
        read_points(DATA / "relion5_tomograms.star", FRAME)


def test_copick_picks_are_in_angstrom(tmp_path):
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
def test_a_broken_file_is_refused_in_one_sentence(tmp_path, name, content):
    path = written(tmp_path, content, name)
    with pytest.raises(PointsError, match=str(path)) as error:
        read_points(path, FRAME)
    assert "\n" not in str(error.value)


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "c.csv")
    for path in (tmp_path / "c.csv", tmp_path, Path("/dev/zero"), tmp_path / "missing.csv"):
        with pytest.raises(PointsError, match=str(path)):
            read_points(path, FRAME)
