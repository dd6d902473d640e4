"""Proposals in the catalog, on each database."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from db.engine import Catalog
from db.errors import CatalogError, UnknownNameError
from db.models.proposals import Proposal
from db.models.volumes import DataRoot, Dataset, Segmentation, Tomogram
from db.queries.proposals import (
    ProposalFilter,
    count_waiting,
    list_proposals,
    proposal_by_id,
)
from db.vocabulary import Dismissal, PictureState, ProposalState
from db.writes.events import Change
from db.writes.proposals import MadeProposal, add_proposals, dismiss_proposal

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FILE = {
    "root_id": 1,
    "shape_z": 200,
    "shape_y": 200,
    "shape_x": 200,
    "dtype": "float32",
    "size_bytes": 1,
    "mtime_ns": 1,
}


def made(score: float, audit: bool = False) -> MadeProposal:
    return MadeProposal((90, 91, 92), score, {}, {}, (), "because", audit, "look 1", 0, 1)


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    with catalog.write() as session:
        session.add(Dataset(id=1, token="other", created_at=NOW))
        session.add(DataRoot(id=1, path="/data", added_at=NOW))
        session.flush()
        absent = {"thumbnail": PictureState.ABSENT, "preview": PictureState.ABSENT}
        facts = {"registered_at": NOW, "updated_at": NOW, "header": {}, "version": 1}
        session.add(Tomogram(id=1, dataset_id=1, token="T", path="T", **FILE, **absent, **facts))
        session.flush()
        for number in (1, 2):
            path = f"S{number}"
            session.add(
                Segmentation(id=number, tomogram_id=1, path=path, run=1, registered_at=NOW, **FILE)
            )
    return catalog


def test_the_highest_score_comes_first_and_audits_last(filled: Catalog) -> None:
    with filled.write() as session:
        scores = [made(5), made(900, audit=True), made(80)]
        add_proposals(session, Change(None, NOW), (1, "other/T"), 1, scores)
    with filled.read() as session:
        page = list_proposals(session)
        assert [proposal.score for proposal in page] == [80, 5, 900]
        assert (page.total, count_waiting(session)) == (3, 3)
        assert page.rows[0].tomogram == "other/T"
        assert list_proposals(session, ProposalFilter(dataset="another")).total == 0
        assert list_proposals(session, limit=1, offset=1).rows[0].score == 5


def test_a_newer_segmentation_takes_the_waiting_proposals_away(filled: Catalog) -> None:
    with filled.write() as session:
        add_proposals(session, Change(None, NOW), (1, "other/T"), 1, [made(1), made(2)])
    with filled.write() as session:
        first = list_proposals(session).rows[0].id
        dismiss_proposal(session, Change(None, NOW), first, Dismissal.OTHER, None)
        add_proposals(session, Change(None, NOW), (1, "other/T"), 2, [made(3)])
    with filled.read() as session:
        states = [(p.score, p.state) for p in list_proposals(session, ProposalFilter(state=None))]
    assert states == [(3, ProposalState.WAITING), (2, ProposalState.DISMISSED)]


def test_a_proposal_that_is_not_there_is_told(filled: Catalog) -> None:
    with filled.read() as session, pytest.raises(UnknownNameError, match="no proposal 7"):
        proposal_by_id(session, 7)


@pytest.mark.parametrize("state", ["accepted", "dismissed"])
def test_a_decision_without_its_patch_or_reason_is_refused_by_the_catalog(
    filled: Catalog, state: str
) -> None:
    with filled.write() as session:
        add_proposals(session, Change(None, NOW), (1, "other/T"), 1, [made(1)])
    with pytest.raises(CatalogError, match=r"ck_proposals_\w+"), filled.write() as session:
        session.execute(sa.update(Proposal).values(state=ProposalState(state)))


def test_dismissing_twice_is_dismissing_once(filled: Catalog) -> None:
    with filled.write() as session:
        add_proposals(session, Change(None, NOW), (1, "other/T"), 1, [made(1)])
        number = list_proposals(session).rows[0].id
        change = Change(None, NOW)
        assert dismiss_proposal(session, change, number, Dismissal.CANNOT_TELL, "thick")
        assert not dismiss_proposal(session, change, number, Dismissal.OTHER, None)
        assert proposal_by_id(session, number).dismissal is Dismissal.CANNOT_TELL
