"""Records as JSON has them; the standard library alone."""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any


def to_json(value: Any, without: Collection[str] = ()) -> Any:
    """Turn a value into objects, lists, words and numbers.

    Dataclasses and named tuples become objects, without the fields that are named; words are their
    values, times ISO 8601 (UTC), paths text.
    """
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if field.name not in without]
        return {name: to_json(getattr(value, name), without) for name in names}
    if hasattr(value, "_asdict"):
        return {name: to_json(item, without) for name, item in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(to_json(key)): to_json(item, without) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(item, without) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value
