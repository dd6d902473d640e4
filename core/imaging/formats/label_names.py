"""The names that MITK and 3D Slicer give labels in an NRRD header, in every form they have written.

MITK since 2024: JSON of label groups; a group is a layer, and one without labels holds null
(mitkMultiLabelIOHelper.cpp). MITK 2015 to 2023: ``layers``, ``layer_000`` = number of labels, and
one XML ``org.mitk.label_000_00001`` a label (mitkLabelSetImageIO.cpp); older still the XML of all
labels in ``layer_000``. 3D Slicer: ``SegmentN_Name``, ``_LabelValue`` and ``_Layer``; up to 4.10
without layer and value, one frame a segment
(https://apidocs.slicer.org/master/classvtkMRMLSegmentationStorageNode.html).

A file that says it holds named labels whose names cannot be read is refused: counting its labels
as something else would make a wrong training label. Which kind a name means:
``kind_of`` in core/imaging/correction.py.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import LabelNamesError

MAX_LAYERS = 100
MITK_MODALITY = "org.mitk.multilabel.segmentation"
MITK_GROUPS = "org.mitk.multilabel.segmentation.labelgroups"
_OLD_MITK_MODALITY = "org.mitk.image.multilabel"
_OLD_MITK_LAYER = re.compile(r"(?:org\.mitk\.)?layer_(\d{3})")
_OLD_MITK_LABEL = re.compile(r"(?:org\.mitk\.)?label_(\d{3})_(\d+)")
_SLICER_KEY = re.compile(r"Segment(\d+)_(?:ID|Name|LabelValue|Layer)")

_UNREADABLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    RecursionError,
    SyntaxError,
    OverflowError,
)
"""What parsers of JSON and XML raise on text that is not what it should be."""


class Segment(NamedTuple):
    """One named label of a multi-label file."""

    name: str
    value: int
    layer: int


def read_label_names(fields: Mapping[str, str], layers: int, path: Path) -> tuple[Segment, ...]:
    """Read the labels that a header names; background (value 0) is none.

    ``fields`` are the key/value pairs as they stand in the file, escapes and all.

    Errors: LabelNamesError for names that cannot be read, lie in a layer that the file has not, or
    name one label twice.
    """
    try:
        segments = tuple(_segments(fields, layers))
    except _UNREADABLE as error:
        text = " ".join(str(error).split())[:60]
        raise LabelNamesError(
            f"{path}: the names of its labels cannot be read ({text}); save it again, or save each "
            "kind as a file of its own (Add1.nrrd, Remove1.nrrd, Ignore1.nrrd)."
        ) from error
    segments = tuple(segment for segment in segments if segment.value != 0)
    _check(segments, layers, path)
    return segments


def unescape(text: str) -> str:
    """Undo the escapes of an NRRD key/value pair: backslash-n is a line break, two are one.

    https://teem.sourceforge.net/nrrd/format.html#keyvalue
    """
    return re.sub(r"\\([n\\])", lambda match: "\n" if match[1] == "n" else "\\", text)


def _segments(fields: Mapping[str, str], layers: int) -> Iterator[Segment]:
    if MITK_GROUPS in fields:
        return _mitk(fields[MITK_GROUPS])
    if any(_OLD_MITK_LAYER.fullmatch(name) or _OLD_MITK_LABEL.fullmatch(name) for name in fields):
        return _old_mitk(fields)
    if fields.get("modality") in (MITK_MODALITY, _OLD_MITK_MODALITY):
        raise ValueError("MITK names no label groups")
    return _slicer(fields, layers)


def _mitk(groups: str) -> Iterator[Segment]:
    for layer, group in enumerate(_json(groups) or ()):
        for label in group.get("labels") or ():
            yield Segment(str(label["name"]), int(label["value"]), layer)


def _json(text: str) -> Any:
    """JSON as ITK writes it (escaped), or as programs do that know no escapes."""
    try:
        return json.loads(unescape(text))
    except ValueError:
        return json.loads(text)


def _old_mitk(fields: Mapping[str, str]) -> Iterator[Segment]:
    if int(fields.get("layers", "1")) > MAX_LAYERS:
        raise ValueError(f"{fields['layers']} layers")
    stated: Counter[int] = Counter()
    found: Counter[int] = Counter()
    for field, text in fields.items():
        if match := _OLD_MITK_LAYER.fullmatch(field):
            layer = int(match[1])
            if not text.isdigit():
                yield from _xml_labels(text, layer)
            else:
                stated[layer] = int(text)
        elif match := _OLD_MITK_LABEL.fullmatch(field):
            labels = list(_xml_labels(text, int(match[1])))
            found[int(match[1])] += len(labels)
            yield from labels
    if stated - found:
        raise ValueError(f"{stated.total()} labels stated, {found.total()} named")


def _xml_labels(text: str, layer: int) -> Iterator[Segment]:
    from xml.etree import ElementTree

    if "<!" in text:  # a document type could define entities
        raise ValueError("XML with a document type")
    root = ElementTree.fromstring(unescape(text).strip())  # noqa: S314 - bounded, no document type
    labels = [root] if root.tag == "Label" else list(root.iter("Label"))
    for label in labels:
        properties = {item.get("key"): item for item in label.iter("property")}
        name, value = (properties[key][0].attrib["value"] for key in ("name", "value"))
        yield Segment(name, int(value), layer)


def _slicer(fields: Mapping[str, str], layers: int) -> Iterator[Segment]:
    matches = (_SLICER_KEY.fullmatch(field) for field in fields)
    for number in sorted({int(match[1]) for match in matches if match}):
        key = f"Segment{number}_"
        name = fields.get(key + "Name", fields.get(key + "ID", ""))
        # Slicer's own reader: without a layer the segment's number, without a value 1.
        layer = int(fields.get(key + "Layer", number if layers > 1 else 0))
        yield Segment(unescape(name), int(fields.get(key + "LabelValue", 1)), layer)


def _check(segments: tuple[Segment, ...], layers: int, path: Path) -> None:
    names: dict[tuple[int, int], str] = {}
    for name, value, layer in segments:
        if not 0 <= layer < layers:
            raise LabelNamesError(
                f"{path}: names label {name!r:.60} in layer {layer}, but holds {layers}; save it "
                "again."
            )
        if names.setdefault((layer, value), name) != name:
            raise LabelNamesError(
                f"{path}: names value {value} twice ({names[layer, value]!r:.40}, {name!r:.40}); "
                "save it again."
            )
