"""Queries for specimens: which tomograms show the same sample and stay together in a split."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models.volumes import Dataset, Tomogram
from db.vocabulary import Split


class _Member(NamedTuple):
    id: int
    dataset: str
    token: str
    specimen: str | None
    content_hash: str | None
    split_pin: Split | None


@dataclass(frozen=True)
class SplitUnit:
    """Tomograms that a split must not tear apart.

    They share a specimen, or their files hold the same bytes, or both in a chain.
    """

    name: str
    """DATASET/TOKEN of the first one."""
    tomograms: tuple[str, ...]
    tomogram_ids: tuple[int, ...]
    pins: frozenset[Split]
    """What its tomograms are pinned to; more than one is a contradiction."""


def split_units(session: Session) -> dict[int, SplitUnit]:
    """Group all tomograms by specimen and by the hash of their file; by tomogram id."""
    statement = (
        select(
            Tomogram.id,
            Dataset.token,
            Tomogram.token,
            Tomogram.specimen,
            Tomogram.content_hash,
            Tomogram.split_pin,
        )
        .join(Dataset, Dataset.id == Tomogram.dataset_id)
        .order_by(Dataset.token, Tomogram.token)
    )
    groups: dict[str, list[_Member]] = {}
    for number, dataset, token, specimen, content_hash, pin in session.execute(statement):
        member = _Member(number, dataset, token, specimen, content_hash, pin)
        keys = list(_keys(member))
        # one list may stand under several keys
        old = {id(groups[key]): groups[key] for key in keys if key in groups}
        joined = [*chain.from_iterable(old.values()), member]
        groups |= {key: joined for each in joined for key in _keys(each)}
    units = {id(group): _unit(group) for group in groups.values()}
    return {each.id: units[id(group)] for group in groups.values() for each in group}


def split_unit(session: Session, tomogram_id: int) -> SplitUnit:
    """Give the unit of one tomogram."""
    return split_units(session)[tomogram_id]


def list_specimens(session: Session) -> tuple[str, ...]:
    """List the names of all specimens."""
    named = select(Tomogram.specimen).where(Tomogram.specimen.is_not(None)).distinct()
    return tuple(name for name in session.scalars(named.order_by(Tomogram.specimen)) if name)


def _keys(member: _Member) -> Iterator[str]:
    yield f"id {member.id}"
    if member.specimen is not None:
        yield f"specimen {member.specimen}"
    if member.content_hash is not None:
        yield f"bytes {member.content_hash}"


def _unit(group: list[_Member]) -> SplitUnit:
    members = sorted(group, key=lambda member: (member.dataset, member.token))
    names = tuple(f"{member.dataset}/{member.token}" for member in members)
    return SplitUnit(
        name=names[0],
        tomograms=names,
        tomogram_ids=tuple(member.id for member in members),
        pins=frozenset(member.split_pin for member in members if member.split_pin is not None),
    )
