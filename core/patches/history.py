"""The whole history of a patch as one value: for ``show``, its record and the pages."""

from dataclasses import dataclass

from core.workspace.workspace import Workspace
from db.queries import life as queries
from db.queries.life import (
    CommentRecord,
    EventFilter,
    EventRecord,
    ExportRecord,
    HoldRecord,
    MergeRecord,
    ReviewRecord,
    SlotRecord,
)
from db.queries.patches import PatchRecord, get_patch
from db.queries.volumes import (
    SegmentationRecord,
    TomogramRecord,
    segmentation_by_id,
    tomogram_by_id,
)

MOST_EVENTS = 1_000


@dataclass(frozen=True)
class PatchHistory:
    """Everything that the catalog knows of a patch; lists are in the order of time."""

    patch: PatchRecord
    tomogram: TomogramRecord | None
    """None where its position is unknown."""
    segmentation: SegmentationRecord | None
    slots: tuple[SlotRecord, ...]
    merges: tuple[MergeRecord, ...]
    reviews: tuple[ReviewRecord, ...]
    comments: tuple[CommentRecord, ...]
    exports: tuple[ExportRecord, ...]
    events: tuple[EventRecord, ...]
    hold: HoldRecord | None

    @property
    def current_merge(self) -> MergeRecord | None:
        return self._merge(self.patch.current_merge_id)

    @property
    def accepted_merge(self) -> MergeRecord | None:
        return self._merge(self.patch.accepted_merge_id)

    def _merge(self, merge_id: int | None) -> MergeRecord | None:
        return next((merge for merge in self.merges if merge.id == merge_id), None)


def show(workspace: Workspace, name: str, events: int = MOST_EVENTS) -> PatchHistory:
    """Read the history of a patch in one snapshot, with its last ``events`` events.

    Errors: UnknownNameError with the nearest names.
    """
    with workspace.catalog.read() as session:
        patch = get_patch(session, name)
        cut_from = patch.segmentation_id
        wanted = EventFilter(patch_id=patch.id)
        return PatchHistory(
            patch=patch,
            tomogram=tomogram_by_id(session, patch.tomogram_id) if patch.tomogram_id else None,
            segmentation=segmentation_by_id(session, cut_from) if cut_from else None,
            slots=queries.slots_of(session, patch.id),
            merges=queries.merges_of(session, patch.id),
            reviews=queries.reviews_of(session, patch.id),
            comments=queries.comments_of(session, patch.id),
            exports=queries.exports_of(session, patch.id),
            events=tuple(reversed(queries.list_events(session, wanted, limit=events))),
            hold=queries.hold_on(session, patch.id),
        )
