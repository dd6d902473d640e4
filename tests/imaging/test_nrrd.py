"""NRRD as MITK, 3D Slicer and array writers save it: layers, labels, places, and large files."""

import gzip
import json
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import LabelNamesError, VolumeError
from core.imaging.formats import nrrd as nrrd_reader
from core.imaging.formats.label_names import Segment
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import Box, Grid, Zyx, whole

DATA = Path(__file__).parents[1] / "data" / "nrrd"
SHAPE = Zyx(3, 4, 5)
RAMP = np.arange(np.prod(SHAPE), dtype=np.uint8).reshape(SHAPE)


def file(path: Path, header: str, body: bytes) -> Path:
    path.write_bytes(b"NRRD0004\n" + header.strip().encode() + b"\n\n" + body)
    return path


def plain(path: Path, *fields: str, body: bytes = RAMP.tobytes()) -> Path:
    lines = ["type: uchar", "dimension: 3", "sizes: 5 4 3", "encoding: raw", *fields]
    return file(path, "\n".join(lines), body)


def read(path: Path, layer: int = 0) -> np.ndarray:
    with open_volume(path) as volume:
        return volume.read(whole(volume.shape), layer)


TYPES = st.sampled_from(["i1", "u1", "<i2", ">i2", "<u4", ">u4", "<i8", ">f4", "<f4", ">f8"])


@given(st.data())
def test_any_box_of_any_nrrd_is_the_array_s_slice(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    voxels = data.draw(arrays(data.draw(TYPES), st.tuples(*[st.integers(1, 6)] * 3)))
    path = tmp_path_factory.mktemp("any") / "a.nrrd"
    encoding = data.draw(st.sampled_from(["raw", "gzip", "bzip2"]))
    nrrd.write(str(path), voxels, {"encoding": encoding}, index_order="C")
    starts = [data.draw(st.integers(0, n - 1)) for n in voxels.shape]
    stops = [data.draw(st.integers(a + 1, n)) for a, n in zip(starts, voxels.shape, strict=True)]
    box = Box(Zyx(*starts), Zyx(*stops))
    with open_volume(path) as volume:
        assert volume.dtype == voxels.dtype.newbyteorder("=")
        np.testing.assert_array_equal(volume.read(box), voxels[box.slices])


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (1, 1, 1)),
        ("LPS", (1, 1, 1)),
        ("RAS", (-1, -1, 1)),
        ("right-anterior-superior", (-1, -1, 1)),
        ("left-anterior-superior", (1, -1, 1)),
    ],
)
def test_every_space_is_told_in_lps_as_itk_has_it(tmp_path: Path, space: Any, signs: Any) -> None:
    path = plain(
        tmp_path / "a.nrrd",
        f"space: {space}",
        "space directions: (10,0,0) (0,0,12) (0,-10,0)",
        "space origin: (7,8,9)",
    )
    with open_volume(path) as volume:
        grid = volume.grid
    assert grid is not None
    assert grid.origin_xyz == tuple(np.array((7, 8, 9)) * signs)
    theirs = SimpleITK.ReadImage(str(path))
    np.testing.assert_allclose(grid.origin_xyz, theirs.GetOrigin())
    steps = np.reshape(theirs.GetDirection(), (3, 3)) * theirs.GetSpacing()
    np.testing.assert_allclose(grid.steps_xyz, steps)


def test_a_space_of_three_dimensions_without_a_name_is_lps_as_itk_has_it(tmp_path: Path) -> None:
    path = plain(
        tmp_path / "a.nrrd", "space dimension: 3", "space directions: (10,0,0) (0,10,0) (0,0,10)"
    )
    with open_volume(path) as volume:
        assert volume.grid is not None
        assert volume.grid.spacing_xyz == (10.0, 10.0, 10.0)
        assert volume.voxel_size == 10.0
    assert SimpleITK.ReadImage(str(path)).GetSpacing() == (10.0, 10.0, 10.0)


@pytest.mark.parametrize("field", ["spacings: 10 10 10", "content: a tomogram", "# a comment"])
def test_spacing_alone_states_no_place(tmp_path: Path, field: Any) -> None:
    with open_volume(plain(tmp_path / "a.nrrd", field)) as volume:
        assert volume.grid is None


@pytest.mark.parametrize(
    "fields",
    [
        ("space: scanner-xyz", "space directions: (1,0,0) (0,1,0) (0,0,1)"),
        ("space: LPS", "space directions: (1,0,0) (0,1,0) (0,0,0)"),
        ("space: LPS", "space directions: (1,0,0) (2,0,0) (0,0,1)"),
        ("space: LPS", "space directions: (1,0,0) (0,1,0)"),
        ("space: LPS", "space directions: (nan,0,0) (0,1,0) (0,0,1)"),
        ("space: LPS", "space directions: (1,0,0) (0,one,0) (0,0,1)"),
        ("space: LPS", "space directions: (1,0,0) (0,1,0) (0,0,1)", "space origin: (0,0)"),
        ("space: LPS", "space directions: (1,0,0) (0,1,0) (0,0,1)", "space origin: (inf,0,0)"),
    ],
)
def test_a_place_that_cannot_be_is_refused(tmp_path: Path, fields: Any) -> None:
    with pytest.raises(VolumeError, match="space"):
        open_volume(plain(tmp_path / "a.nrrd", *fields))


@pytest.mark.parametrize("kind", ["RGB-color", "3-vector", "complex", "vector", "list"])
def test_a_picture_with_colours_is_no_volume(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(VolumeError, match="kind"):
        open_volume(plain(tmp_path / "a.nrrd", f"kinds: {kind} domain domain"))


LAYERS = np.stack([RAMP, RAMP + 100])


def layered(path: Path, axis: int, kinds: str) -> Path:
    """The layers along this axis of the file's own order (fastest first)."""
    stored = np.moveaxis(LAYERS, 0, 3 - axis)
    sizes = " ".join(map(str, reversed(stored.shape)))
    header = f"type: uchar\ndimension: 4\nsizes: {sizes}\nkinds: {kinds}\nencoding: raw"
    return file(path, header, stored.tobytes())


@pytest.mark.parametrize(
    ("axis", "kinds"),
    [
        (0, "vector domain domain domain"),
        (0, "list domain domain domain"),
        (3, "domain domain domain list"),
        (1, "domain list domain domain"),
    ],
)
def test_layers_are_read_by_number_wherever_their_axis_lies(
    tmp_path: Path, axis: Any, kinds: Any
) -> None:
    path = layered(tmp_path / "a.nrrd", axis, kinds)
    with open_volume(path) as volume:
        assert (volume.shape, volume.layers) == (SHAPE, 2)
        box = Box(Zyx(1, 0, 2), Zyx(3, 3, 5))
        for layer in (0, 1):
            np.testing.assert_array_equal(volume.read(box, layer), LAYERS[layer][box.slices])
        with pytest.raises(VolumeError, match="2 layers"):
            volume.read(box, 2)


def test_an_axis_without_a_direction_counts_layers(tmp_path: Path) -> None:
    header = """type: uchar\ndimension: 4\nsizes: 2 5 4 3\nspace: LPS\nencoding: raw
space directions: none (10,0,0) (0,10,0) (0,0,10)\nspace origin: (1,2,3)"""
    body = np.moveaxis(LAYERS, 0, 3).tobytes()
    with open_volume(file(tmp_path / "a.nrrd", header, body)) as volume:
        assert volume.layers == 2
        assert volume.grid is not None
        assert volume.grid.spacing_xyz == (10.0, 10.0, 10.0)
        np.testing.assert_array_equal(volume.read(whole(SHAPE), 1), LAYERS[1])


def test_four_axes_that_do_not_say_which_counts_layers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="which axis"):
        open_volume(layered(tmp_path / "a.nrrd", 0, "domain domain domain domain"))


def mitk(*groups: list[tuple[str, int]] | None) -> list[str]:
    """MITK's label groups as ITK writes them; a group without labels is null."""
    named = [
        {"labels": [{"name": name, "value": value} for name, value in group] if group else group}
        for group in groups
    ]
    text = json.dumps(named).replace("\\", "\\\\")
    return [
        "modality:=org.mitk.multilabel.segmentation",
        f"org.mitk.multilabel.segmentation.labelgroups:={text}",
    ]


def old_label(name: str, value: int) -> str:
    """One label as MITK before 2024 wrote it: XML with escaped line breaks."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\\n<Label version="1">\\n'
        f'    <property key="name" type="StringProperty">\\n        <string value="{name}"/>\\n'
        '    </property>\\n    <property key="value" type="UShortProperty">\\n'
        f'        <unsigned value="{value}"/>\\n    </property>\\n</Label>\\n'
    )


OLD_MITK = [
    "modality:=org.mitk.image.multilabel",
    "layers:=1",
    "layer_000:=3",
    f"org.mitk.label_000_00000:={old_label('Exterior', 0)}",
    f"org.mitk.label_000_00001:={old_label('Add', 1)}",
    f"org.mitk.label_000_00002:={old_label('Remove &quot;ER&quot;', 2)}",
]
OLDEST_MITK = f"<Layer>{old_label('Remove', 2).partition('?>')[2]}</Layer>"


@pytest.mark.parametrize(
    ("fields", "segments"),
    [
        (mitk([("Add", 1), ("Ignore", 3)]), (Segment("Add", 1, 0), Segment("Ignore", 3, 0))),
        (mitk([('Add "ER"', 1)]), (Segment('Add "ER"', 1, 0),)),
        (mitk([("Add\\new", 1)]), (Segment("Add\\new", 1, 0),)),
        (mitk([("Hülle", 1)]), (Segment("Hülle", 1, 0),)),
        (mitk(None), ()),
        (mitk([]), ()),
        (
            [
                "org.mitk.multilabel.segmentation.labelgroups:="
                + json.dumps([{"labels": [{"name": 'Add "ER"', "value": 1}]}])
            ],
            (Segment('Add "ER"', 1, 0),),
        ),
        (OLD_MITK, (Segment("Add", 1, 0), Segment('Remove "ER"', 2, 0))),
        (
            [field.replace("org.mitk.", "") for field in OLD_MITK[1:]],
            (Segment("Add", 1, 0), Segment('Remove "ER"', 2, 0)),
        ),
        (["layers:=1", f"layer_000:={OLDEST_MITK}"], (Segment("Remove", 2, 0),)),
        (
            ["Segment0_Name:=Add", "Segment0_LabelValue:=1", "Segment0_Layer:=0"]
            + ["Segment1_Name:=Remove_2", "Segment1_LabelValue:=5", "Segment1_Layer:=0"],
            (Segment("Add", 1, 0), Segment("Remove_2", 5, 0)),
        ),
        (
            ["Segment0_Name:=Add", "Segment1_Name:=Remove", "Segment1_LabelValue:=2"],
            (Segment("Add", 1, 0), Segment("Remove", 2, 0)),
        ),
        (["Segment0_ID:=Segment_1"], (Segment("Segment_1", 1, 0),)),
        (["Segment0_Name:=Add\\\\1\\n2"], (Segment("Add\\1\n2", 1, 0),)),
    ],
)
def test_labels_are_told_with_name_value_and_layer(
    tmp_path: Path, fields: Any, segments: Any
) -> None:
    with open_volume(plain(tmp_path / "a.nrrd", *fields)) as volume:
        assert volume.segments == segments


@pytest.mark.parametrize(
    ("fields", "segments"),
    [
        (mitk([("Add", 1)], [("Ignore", 3)]), (Segment("Add", 1, 0), Segment("Ignore", 3, 1))),
        (mitk([("Add", 1)], None), (Segment("Add", 1, 0),)),
        (mitk(None, [("Add", 1)]), (Segment("Add", 1, 1),)),
        (
            ["layers:=2", "layer_000:=1", "layer_001:=1"]
            + [f"org.mitk.label_000_00001:={old_label('Add', 1)}"]
            + [f"org.mitk.label_001_00001:={old_label('Remove', 1)}"],
            (Segment("Add", 1, 0), Segment("Remove", 1, 1)),
        ),
        (
            ["Segment0_Name:=Add", "Segment1_Name:=Remove"],  # 3D Slicer up to 4.10
            (Segment("Add", 1, 0), Segment("Remove", 1, 1)),
        ),
        (
            ["Segment0_Name:=Add", "Segment0_Layer:=1", "Segment0_LabelValue:=7"],
            (Segment("Add", 7, 1),),
        ),
    ],
)
def test_labels_of_a_layered_file_are_told_with_their_layer(
    tmp_path: Path, fields: Any, segments: Any
) -> None:
    header = "type: uchar\ndimension: 4\nsizes: 2 5 4 3\nkinds: list domain domain domain\n"
    text = "\n".join([header + "encoding: raw", *fields])
    with open_volume(file(tmp_path / "a.nrrd", text, bytes(120))) as volume:
        assert volume.segments == segments


GROUPS = "org.mitk.multilabel.segmentation.labelgroups:="


@pytest.mark.parametrize(
    "fields",
    [
        [GROUPS + "[{"],
        [GROUPS + "[" * 30_000],
        [GROUPS + '[{"labels":[{"name":"a","value":1e999}]}]'],
        [GROUPS + '[{"labels":[{"value":1}]}]'],
        [GROUPS + '{"labels": 3}'],
        ["modality:=org.mitk.multilabel.segmentation"],
        ["modality:=org.mitk.image.multilabel", "layers:=1"],
        ["layers:=1", "layer_000:=<Layer><Label>"],
        ["layers:=many", "layer_000:=<Layer/>"],
        ["layers:=1", 'layer_000:=<!DOCTYPE a [<!ENTITY b "b">]><Layer>&b;</Layer>'],
        ["layers:=1", "layer_000:=2", f"org.mitk.label_000_00001:={old_label('Add', 1)}"],
        ["Segment0_Name:=Add", "Segment0_LabelValue:=one"],
        ["Segment0_Name:=Add", "Segment0_Layer:=1"],
        ["Segment0_Name:=Add", "Segment1_Name:=Remove"],
        mitk([("Add", 1), ("Remove", 1)]),
        mitk([("Add", 1)], [("Remove", 1)]),
    ],
)
def test_a_multi_label_file_whose_names_cannot_be_read_is_refused(
    tmp_path: Path, fields: Any
) -> None:
    with pytest.raises(LabelNamesError, match=r"a\.nrrd.* save it again"):
        open_volume(plain(tmp_path / "a.nrrd", *fields))


def test_mitk_s_own_python_client_and_we_read_the_same(tmp_path: Path) -> None:
    client = pytest.importorskip("mitk_workbench_remote._io.multilabel_nrrd")
    voxels = np.random.default_rng(0).integers(0, 4, (2, *SHAPE)).astype(np.uint16)
    groups = [
        {
            "name": "one",
            "labels": [{"name": 'Add "ER"', "value": 1}, {"name": "Remove", "value": 2}],
        },
        {"name": "two", "labels": [{"name": "Ignore", "value": 3}]},
    ]
    client.write_multilabel_nrrd_raw(
        voxels,
        groups,
        spacing=(10.0, 10.0, 10.0),
        origin=(400.0, 200.0, 100.0),
        direction=np.eye(3),
        path=tmp_path / "a.nrrd",
    )
    with open_volume(tmp_path / "a.nrrd") as volume:
        for layer in (0, 1):
            np.testing.assert_array_equal(volume.read(whole(SHAPE), layer), voxels[layer])
        assert volume.grid == Grid.aligned(10.0, (400.0, 200.0, 100.0))
        assert [tuple(segment) for segment in volume.segments] == [
            ('Add "ER"', 1, 0),
            ("Remove", 2, 0),
            ("Ignore", 3, 1),
        ]


def test_space_units_are_obeyed(tmp_path: Path) -> None:
    fields = ("space: LPS", "space directions: (1,0,0) (0,1,0) (0,0,1)")
    for unit, size in (("nm", 10.0), ("mm", None), ("µm", None)):
        path = plain(tmp_path / "a.nrrd", *fields, f'space units: "{unit}" "{unit}" "{unit}"')
        with open_volume(path) as volume:
            assert volume.voxel_size == size


def test_gzip_in_parts_is_one_stream_and_what_follows_it_is_left_alone(tmp_path: Path) -> None:
    raw = RAMP.tobytes()
    header = "type: uchar\ndimension: 3\nsizes: 5 4 3\nencoding: gzip"
    body = gzip.compress(raw[:13]) + gzip.compress(raw[13:]) + b"the rest"
    np.testing.assert_array_equal(read(file(tmp_path / "a.nrrd", header, body)), RAMP)


def test_text_is_read_across_its_pieces(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 60_000, (30, 40, 50)).astype(np.uint16)
    header = "type: ushort\ndimension: 3\nsizes: 50 40 30\nencoding: text"
    body = b"\n".join(b" ".join(b"%d" % v for v in row) for row in values.reshape(-1, 50).tolist())
    np.testing.assert_array_equal(read(file(tmp_path / "a.nrrd", header, body)), values)


WIDE = (60, 1100, 1100)


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    """More than is held in memory, and a mark in it."""
    voxels = np.zeros(WIDE, np.uint8)
    voxels[20:40, 500:600, 700:800] = np.arange(100)
    assert voxels.nbytes > nrrd_reader.MAX_IN_MEMORY
    return voxels


BOX = Box(Zyx(15, 490, 690), Zyx(35, 550, 790))


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_of_a_large_file_the_box_is_read(tmp_path: Path, wide: np.ndarray, encoding: Any) -> None:
    path = tmp_path / "a.nrrd"
    nrrd.write(str(path), wide, {"encoding": encoding}, index_order="C", compression_level=1)
    with open_volume(path) as volume:
        np.testing.assert_array_equal(volume.read(BOX), wide[BOX.slices])


@pytest.mark.parametrize("axis", [0, 3])
def test_of_a_large_layered_file_the_box_of_the_layer_is_read(
    tmp_path: Path, wide: np.ndarray, axis: Any
) -> None:
    layers = np.stack([wide[:30], wide[30:]])
    stored = np.moveaxis(layers, 0, 3 - axis)
    sizes = " ".join(map(str, reversed(stored.shape)))
    kinds = ["domain"] * 4
    kinds[axis] = "list"
    header = f"type: uchar\ndimension: 4\nsizes: {sizes}\nkinds: {' '.join(kinds)}\nencoding: raw"
    path = file(tmp_path / "a.nrrd", header, np.ascontiguousarray(stored).tobytes())
    box = Box(Zyx(0, 490, 690), Zyx(15, 550, 790))
    with open_volume(path) as volume:
        for layer in (0, 1):
            np.testing.assert_array_equal(volume.read(box, layer), layers[layer][box.slices])


@pytest.mark.parametrize("more", [-1, 1])
def test_a_large_gzip_of_another_length_is_refused(
    tmp_path: Path, wide: np.ndarray, more: Any
) -> None:
    sizes = " ".join(map(str, reversed(WIDE)))
    header = f"type: uchar\ndimension: 3\nsizes: {sizes}\nencoding: gzip"
    body = gzip.compress(bytes(wide.nbytes + more), 1)
    path = file(tmp_path / "a.nrrd", header, body)
    with pytest.raises(VolumeError, match="promises"), open_volume(path) as volume:
        volume.read(BOX)


def test_real_files_are_what_pynrrd_and_itk_read() -> None:
    path = DATA / "slicerio_Segmentation.seg.nrrd"
    with open_volume(path) as volume:
        voxels = volume.read(whole(volume.shape))
        grid = volume.grid
    theirs = SimpleITK.ReadImage(str(path))
    np.testing.assert_array_equal(voxels, SimpleITK.GetArrayFromImage(theirs))
    assert grid is not None
    np.testing.assert_allclose(grid.origin_xyz, theirs.GetOrigin())
    np.testing.assert_allclose(grid.spacing_xyz, theirs.GetSpacing())
