"""What is installed is a wheel: complete, without sources that nobody runs, and able to work."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return Path(next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))


def test_a_wheel_holds_neither_tests_nor_frontend_sources(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"core", "db", "dashboard"}
    assert not [name for name in names if name.startswith("dashboard/frontend")]
    assert not [name for name in names if name.endswith((".ts", ".pyc"))]


def test_a_wheel_in_a_new_environment_makes_the_demo_and_cuts_from_it(
    wheel: Path, tmp_path: Path
) -> None:
    """The dependencies are those of this environment; tomocurate itself is only in the wheel."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    site = next((environment / "lib").glob("python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(code: str) -> str:
        return subprocess.run(
            [environment / "bin" / "python", "-I", "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

    where = run("import core, dashboard; print(core.__file__, dashboard.__file__)")
    assert where.count(str(environment)) == 2, (where, sys.path)
    made = run(
        "from core.cli.main import main; "
        "assert main(['demo', 'demo', '--tomograms', '2', '--no-serve']) == 0; "
        "print(main(['patches', '--workspace', 'demo', '--json']))"
    )
    assert '"stage"' in made
