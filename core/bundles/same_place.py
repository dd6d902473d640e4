"""Find patches of the catalog that show the same place, or part of it, and note it for splits."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy.orm import Session

from core.access.permissions import Action, require
from core.errors import VolumeError
from core.exports.duplicates import Likeness, Look, likeness, look_at
from core.files.threads import side_by_side
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import whole
from core.workspace.workspace import Workspace
from db.queries.page import MAX_LIMIT
from db.queries.patches import PatchRecord, list_patches
from db.queries.people import PersonRecord
from db.vocabulary import LikenessKind
from db.writes.events import Change
from db.writes.sharing import add_likeness

BLOCK = 200
"""Patches whose looks are held at a time: 50 MB."""

SAME_SIZE = 0.02
"""Voxel sizes that differ by more show the same place at another scale; they are not compared."""


@dataclass(frozen=True)
class Seen:
    """A patch that was looked at."""

    patch_id: int
    group: str
    """Patches of one group stay together in a split anyway."""
    voxel_size: float | None
    look: Look


@dataclass(frozen=True)
class Alike:
    """Two patches that are alike."""

    pair: tuple[int, int]
    found: Likeness


def find_duplicates(
    workspace: Workspace,
    by: PersonRecord,
    patch_ids: Sequence[int] | None = None,
    *,
    tell: Callable[[float, str], None] = lambda share, said: None,
) -> list[Alike]:
    """Compare patches with all others of the catalog and note which are alike; None is all.

    Patches whose image cannot be read are left out. Errors: NotAllowedError.
    """
    with workspace.catalog.read() as session:
        require(session, by, Action.REGISTER)
        patches = [patch for patch in _every(session) if patch.image_hash is not None]
    wanted = set(patch_ids) if patch_ids is not None else {patch.id for patch in patches}
    asked = iter([patch for patch in patches if patch.id in wanted])
    found: list[Alike] = []
    done: set[int] = set()
    while block := list(islice(asked, BLOCK)):
        tell(len(done) / max(1, len(wanted)), f"compared {len(done)} of {len(wanted)} patches")
        seen = list(looks(workspace, block))
        new = alike_within(seen)
        done |= {patch.id for patch in block}
        others = [patch for patch in patches if patch.id not in done]
        new += alike_with(seen, looks(workspace, others))
        note_likenesses(workspace, by, new)
        found += new
    return found


def looks(workspace: Workspace, patches: Sequence[PatchRecord]) -> Iterator[Seen]:
    """Look at the images of patches, two at a time."""

    def look(patch: PatchRecord) -> Seen | None:
        try:
            with open_volume(workspace.folders.image_of(patch.name)) as volume:
                image = volume.read(whole(volume.shape))
        except (VolumeError, OSError):
            return None
        return Seen(patch.id, group_of(patch), patch.voxel_size, look_at(image))

    return (seen for seen in side_by_side(look, patches) if seen is not None)


def group_of(patch: PatchRecord) -> str:
    """What a patch stays together with in a split."""
    return str(patch.tomogram_id) if patch.tomogram_id else f"{patch.dataset}/{patch.token}"


def alike_within(seen: Sequence[Seen]) -> list[Alike]:
    """Pairs among these that are alike."""
    pairs = [(seen[a], seen[:a]) for a in range(len(seen))]
    return [each for one, others in pairs for each in alike_with([one], others)]


def alike_with(seen: Sequence[Seen], others: Iterable[Seen]) -> list[Alike]:
    """Pairs of one of these and one of the others that are alike."""
    return [
        Alike((one.patch_id, other.patch_id), found)
        for other in others
        for one in seen
        if one.patch_id != other.patch_id and (found := _compare(one, other)) is not None
    ]


def note_likenesses(workspace: Workspace, by: PersonRecord, alike: Sequence[Alike]) -> int:
    """Record likenesses; how many were new."""
    if not alike:
        return 0
    with workspace.catalog.write() as session:
        require(session, by, Action.REGISTER)
        change = Change.now(by.id)
        return sum(
            add_likeness(session, change, each.pair, each.found.kind, round(each.found.measure, 4))
            for each in alike
        )


def said(found: Likeness, name: str) -> str:
    """A likeness in words."""
    if found.kind is LikenessKind.NEAR_DUPLICATE:
        return f"shows the same place as {name} (correlation {found.measure:.3f})"
    return f"overlaps {name} (about {found.measure:.0%} of it)"


def _every(session: Session) -> list[PatchRecord]:
    found: list[PatchRecord] = []
    while page := list_patches(session, offset=len(found), limit=MAX_LIMIT).rows:
        found += page
    return found


def _compare(one: Seen, other: Seen) -> Likeness | None:
    sizes = one.voxel_size, other.voxel_size
    if sizes[0] and sizes[1] and abs(sizes[0] - sizes[1]) > SAME_SIZE * sizes[0]:
        return None
    return likeness(one.look, other.look, overlaps=one.group != other.group)
