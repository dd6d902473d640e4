"""The cache holds whole entries, keeps its limit, and removes only what is its own."""

import json
import os
import time
from pathlib import Path

import pytest

from core.files.cache import ABANDONED_S, Cache

KEY, OTHER, THIRD = "a" * 12, "b" * 12, "c" * 12


def put(cache: Cache, key: str, size: int = 100) -> None:
    with cache.new_entry(key, ["z.u8"]) as folder:
        (folder / "z.u8").write_bytes(b"x" * size)


def test_a_finished_entry_is_found_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    assert cache.find(KEY) is None
    put(cache, KEY)
    found = Cache(tmp_path / "cache").find(KEY)
    assert found is not None
    assert (found / "z.u8").read_bytes() == b"x" * 100


def test_an_entry_that_fails_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")

    def fail() -> None:
        with cache.new_entry(KEY, ["z.u8"]) as folder:
            (folder / "z.u8").write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert cache.find(KEY) is None
    assert [p.name for p in (tmp_path / "cache").rglob("*")] == ["index"]


def test_the_least_recently_used_entry_leaves_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=250)
    for age, key in ((300, KEY), (200, OTHER)):
        put(cache, key)
        then = time.time() - age
        os.utime(tmp_path / "cache" / "index" / f"{key}.json", (then, then))
    assert cache.find(KEY)  # used again, so OTHER is now the oldest
    put(cache, THIRD)
    assert set(cache.entries()) == {KEY, THIRD}
    assert not (tmp_path / "cache" / OTHER).exists()


def test_a_file_that_the_index_does_not_name_is_never_removed(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=1)
    put(cache, KEY)
    stray = tmp_path / "cache" / KEY / "somebodys.mrc"
    stray.write_bytes(b"mine")
    put(cache, OTHER)
    assert stray.read_bytes() == b"mine"
    assert KEY not in cache.entries()


def test_an_entry_replaced_by_a_link_does_not_lead_the_broom_elsewhere(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=1)
    put(cache, KEY)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "z.u8").write_bytes(b"precious")
    entry = tmp_path / "cache" / KEY
    (entry / "z.u8").unlink()
    entry.rmdir()
    entry.symlink_to(elsewhere)
    put(cache, OTHER)
    assert (elsewhere / "z.u8").read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", ".hidden", "", "a/b"])
def test_a_card_that_names_a_path_removes_nothing(tmp_path: Path, name: str) -> None:
    cache = Cache(tmp_path / "cache", limit=1)
    put(cache, KEY)
    card = tmp_path / "cache" / "index" / f"{KEY}.json"
    card.write_text(json.dumps({"files": [name, "z.u8"], "bytes": 10**9}))
    put(cache, OTHER)
    assert (tmp_path / "cache" / KEY / "z.u8").exists()


def test_what_a_killed_process_left_leaves_after_a_day(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    put(cache, KEY)
    index = tmp_path / "cache" / "index"
    left = tmp_path / "cache" / "unfinished0123456789abcdef"
    left.mkdir()
    (left / "z.u8").write_bytes(b"half")
    card = index / f"{left.name}.json"
    card.write_text(json.dumps({"files": ["z.u8"], "bytes": 0}))
    cache.trim()
    assert left.exists()
    long_ago = time.time() - ABANDONED_S - 1
    os.utime(card, (long_ago, long_ago))
    cache.trim()
    assert not left.exists()
    assert cache.find(KEY)


def test_the_second_of_two_makers_of_one_entry_keeps_the_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    with cache.new_entry(KEY, ["z.u8"]) as slow:
        (slow / "z.u8").write_bytes(b"slow")
        with cache.new_entry(KEY, ["z.u8"]) as quick:
            (quick / "z.u8").write_bytes(b"quick")
    found = cache.find(KEY)
    assert found is not None
    assert (found / "z.u8").read_bytes() == b"quick"
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == [KEY, "index"]
