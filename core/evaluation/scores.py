"""Does re-training help? Every registered segmentation is held against the accepted labels.

Scores are masked: where a label says ignore, nothing counts. A patch that the segmentation's own
model was trained on is marked, since there a good score proves nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.access.permissions import Action
from core.corrections.store import Store
from core.errors import VolumeError
from core.exports.validate import read_label
from core.files.threads import side_by_side
from core.imaging.geometry import Box, Zyx
from core.imaging.labels import IGNORE, Label
from core.imaging.patch import read_prediction
from core.imaging.quality import SURFACE_DICE_METHOD, agreement
from core.lab.lab import Lab
from core.tomograms.source_files import open_original
from core.workspace.results import DONE, FAILED, KEPT, SKIPPED, Outcome, Progress, silent
from db.errors import TomocurateError
from db.queries.curated import CuratedRecord, curated_records
from db.queries.patches import PatchFilter
from db.queries.scores import scored_pairs, trained_patches
from db.queries.volumes import SegmentationRecord, segmentations_of
from db.writes.sharing import MadeScore, add_scores, note_model

METHOD = f"masked Dice; surface Dice: {SURFACE_DICE_METHOD}"


@dataclass(frozen=True)
class _Pair:
    """A patch and a segmentation of its tomogram."""

    record: CuratedRecord
    segmentation: SegmentationRecord
    in_training: bool

    @property
    def name(self) -> str:
        model = self.segmentation.model or f"segmentation {self.segmentation.id}"
        return f"{self.record.patch.name} by {model}"


def score_segmentations(
    lab: Lab,
    names: Sequence[str] | None = None,
    *,
    again: bool = False,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Score every segmentation of the tomograms of accepted patches; None are all patches.

    What has a score for its accepted label is kept, unless ``again``.

    Errors: NotAllowedError.
    """
    pairs, scored = _pairs(lab, names)
    outcomes: list[Outcome] = []
    made: list[MadeScore] = []

    def look(pair: _Pair) -> Outcome | MadeScore:
        key = pair.segmentation.id, pair.record.label.id
        if key in scored and not again:
            return Outcome(pair.name, KEPT, "already scored")
        try:
            return _score(lab.store, pair)
        except TomocurateError as error:
            return Outcome(pair.name, FAILED, str(error))

    for pair, found in zip(pairs, side_by_side(look, pairs), strict=True):
        if isinstance(found, MadeScore):
            made.append(found)
            outcome = _score_outcome(pair, found)
        else:
            outcome = found
        outcomes.append(outcome)
        progress(outcome)
    with lab.change(Action.SCORE) as changes:
        add_scores(changes.session, changes.change, made)
    return tuple(outcomes)


def state_training(lab: Lab, export_id: int, model: str) -> Outcome:
    """Say that a model (its name or checkpoint) was trained on an exported training set.

    Scores of its segmentations on those patches are marked, past ones too.

    Errors: NotAllowedError; UnknownNameError.
    """
    with lab.change(Action.SCORE) as changes:
        marked = note_model(changes.session, changes.change, export_id, model.strip())
    return Outcome(
        model, DONE, f"recorded as trained on export {export_id}", details={"marked": marked}
    )


def _pairs(lab: Lab, names: Sequence[str] | None) -> tuple[list[_Pair], set[tuple[int, int]]]:
    with lab.read(Action.SCORE) as session:
        records = [r for r in curated_records(session, PatchFilter(), names) if r.tomogram]
        known = {
            key: segmentations_of(session, key)
            for key in {r.patch.tomogram_id for r in records if r.patch.tomogram_id is not None}
        }
        trained = trained_patches(session)
        scored = scored_pairs(session)
    return [
        _Pair(record, item, _was_trained_on(record, item, trained))
        for record in records
        for item in known[record.patch.tomogram_id or 0]
    ], scored


def _was_trained_on(
    record: CuratedRecord, segmentation: SegmentationRecord, trained: Mapping[str, set[int]]
) -> bool:
    names = {segmentation.model, segmentation.checkpoint} - {None}
    return any(record.patch.id in trained.get(str(name), ()) for name in names)


def _score(store: Store, pair: _Pair) -> MadeScore | Outcome:
    record, segmentation = pair.record, pair.segmentation
    if record.patch.start is None:
        return Outcome(pair.name, SKIPPED, "its position in the tomogram is unknown")
    what = f"{record.patch.name} merge {record.label.number}"
    label = read_label(store.checked(record.label.file_sha256, what))
    predicted = predicted_label(record, segmentation, label)
    found = agreement(predicted, label)
    return MadeScore(
        segmentation_id=segmentation.id,
        patch_id=record.patch.id,
        merge_id=record.label.id,
        dice=found.dice,
        surface_dice=found.surface_dice,
        method=METHOD,
        compared_voxels=found.compared_voxels,
        in_training=pair.in_training,
    )


def predicted_label(record: CuratedRecord, segmentation: SegmentationRecord, label: Label) -> Label:
    """Read a segmentation in a patch's box; ignore where the box leaves the tomogram.

    Errors: VolumeError, also where the segmentation changed since it was registered; RootError;
    SegmentationError for scores without a threshold.
    """
    start = Zyx(*(record.patch.start or (0, 0, 0)))
    box = Box(start, Zyx(*(a + n for a, n in zip(start, label.shape, strict=True))))
    with open_original(segmentation.on_disk) as volume:
        inside = box.overlap(Box(Zyx(0, 0, 0), volume.shape))
        if inside is None:
            raise VolumeError(f"{segmentation.on_disk.path}: does not reach {record.patch.name}.")
        stated = segmentation.threshold, segmentation.membrane_label
        predicted, _ = read_prediction(volume, inside, *stated)
    out = label.copy()
    out[...] = IGNORE
    placed = inside.moved(Zyx(*(-a for a in start)))
    out[placed.slices] = predicted
    return out


def _score_outcome(pair: _Pair, score: MadeScore) -> Outcome:
    values = (("Dice", score.dice), ("surface Dice", score.surface_dice))
    shown = [f"{word} {value:.3f}" for word, value in values if value is not None]
    notes = ("in the training set of this model",) if score.in_training else ()
    details = {"dice": score.dice, "surface_dice": score.surface_dice, "method": METHOD}
    return Outcome(pair.name, DONE, ", ".join(shown) or "no membrane in either", notes, details)
