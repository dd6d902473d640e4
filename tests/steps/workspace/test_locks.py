"""Locks on a patch's files: shared by every account, whatever the catalog is."""

import os
from pathlib import Path

import pytest

from core.errors import OutputError
from core.workspace.folders import make_shared
from core.workspace.locks import patch_lock
from core.workspace.workspace import Workspace


def test_locks_lie_in_the_workspace_for_its_group(any_workspace: Workspace) -> None:
    before = os.umask(0o077)
    try:
        with patch_lock(any_workspace, "p"):
            (file,) = any_workspace.folders.locks.iterdir()
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o660


def test_a_lock_is_opened_through_no_link(any_workspace: Workspace, tmp_path: Path) -> None:
    with patch_lock(any_workspace, "p"):
        (file,) = any_workspace.folders.locks.iterdir()
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="cannot be opened"), patch_lock(any_workspace, "p"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_the_umask_is_never_set_while_folders_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was set"))
    make_shared(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o070 == 0o070
