"""Do the programs that we export for take it? `make verify-consumers`, no part of the tests.

Each consumer lives in an environment of its own in a temporary folder (3.5 GB together, removed
afterwards; ``--environments`` keeps them in a folder). What they say is kept in
docs/consumers.md.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from core.access.os_user import acting_person
from core.bundles.facts import BundleFacts, Creator
from core.bundles.share import export_bundle
from core.demo.workspace import make_demo
from core.exports.training_set import export_training_set
from core.lab.lab import Lab
from core.tomograms.data_permissions import permit
from core.workspace.workspace import open_workspace
from db.queries.volumes import tomogram_names
from db.vocabulary import Licence, Scope

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "consumers.md"


class Consumer(NamedTuple):
    """What is installed into an environment, and the script that its Python runs."""

    title: str
    name: str
    packages: tuple[str, ...]
    script: str
    shown: tuple[str, ...]


CONSUMERS = (
    Consumer(
        "MemBrain-seg",
        "membrain",
        ("torch==2.13.0", "membrain-seg==0.0.10", "click"),
        "in_membrain.py",
        ("membrain-seg", "torch", "monai"),
    ),
    Consumer(
        "nnU-Net v2 and MONAI",
        "nnunet",
        ("torch==2.13.0", "nnunetv2", "monai"),
        "in_nnunet.py",
        ("nnunetv2", "monai", "torch"),
    ),
    Consumer(
        "Croissant, MIFA, Zenodo",
        "sharing",
        ("mlcroissant", "rembi-mifa"),
        "in_metadata.py",
        ("mlcroissant", "rembi-mifa"),
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, help="keep or find the environments here")
    parser.add_argument("--demo", type=Path, help="a demo workspace that is there already")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tomocurate-consumers-") as folder:
        work = Path(folder)
        training_set, bundle = export_demo(given.demo or work / "demo", work)
        results = [
            (
                each,
                *run(
                    each,
                    given.environments or work / "environments",
                    training_set,
                    bundle,
                    work / each.name,
                ),
            )
            for each in CONSUMERS
        ]
        PAGE.write_text(page(results, work), encoding="utf-8")
    return 0 if all(code == 0 for _, code, _, _, _ in results) else 1


def export_demo(demo: Path, work: Path) -> tuple[Path, Path]:
    """The demo's accepted patches as a training set and as a bundle."""
    say("making the demo")
    make_demo(demo, lambda said: None)
    with open_workspace(demo) as workspace:
        by = acting_person(workspace)
        with workspace.catalog.read() as session:
            names = tomogram_names(session)
        for name in names:
            permit(
                Lab(workspace, by),
                name,
                scope=Scope.PUBLIC,
                licence=Licence.CC0,
                approved_by="Ada",
                owner="Ada",
            )
        training_set = work / "Dataset501_Membranes"
        export_training_set(Lab(workspace, by), training_set)
        facts = BundleFacts(
            title="Membranes of the demo",
            description="Synthetic patches.",
            licence=Licence.CC0,
            signed_by="Ada",
            created=datetime.now(UTC).date(),
            creators=(Creator("Carberry, Josiah", "0000-0002-1825-0097", "Brown University"),),
        )
        export_bundle(Lab(workspace, by), work / "share", facts)
    return training_set, work / "share"


def run(
    consumer: Consumer, environments: Path, training_set: Path, bundle: Path, out: Path
) -> tuple[int, str, str, float]:
    """What a consumer says of it: exit status, words, versions, seconds."""
    say(f"installing {consumer.title}")
    python = install(environments / consumer.name, consumer.packages)
    out.mkdir()
    source = bundle if consumer.name == "sharing" else training_set
    say(f"running {consumer.title}")
    before = time.perf_counter()
    done = subprocess.run(
        [python, HERE / consumer.script, source, out],
        capture_output=True,
        text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"},
    )
    said = done.stdout if done.returncode == 0 else done.stdout + done.stderr[-3000:]
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True
    )
    versions = [
        line
        for line in listed.stdout.splitlines()
        if line.partition("==")[0].lower() in consumer.shown
    ]
    print(said)
    return done.returncode, said, ", ".join(versions), time.perf_counter() - before


def install(folder: Path, packages: tuple[str, ...]) -> Path:
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        command = [*pip, "install", "-q", *packages]
        subprocess.run(command, check=True)
    return python


def page(results: list[tuple[Consumer, int, str, str, float]], work: Path) -> str:
    """docs/consumers.md, with no path of this machine."""
    lines = [
        "# What the consumers say of our exports",
        "",
        "Written by `make verify-consumers`, which exports the demo's patches and lets each "
        "program's own code read them. It is not part of `make test`: the programs are large.",
        "",
    ]
    for consumer, code, said, versions, seconds in results:
        lines += [
            f"## {consumer.title}",
            f"{versions}; {'passed' if code == 0 else 'FAILED'} in {seconds:.0f} s on the CPU.",
            "",
            "```",
            *(line for line in without_paths(said, work).splitlines() if line.strip()),
            "```",
            "",
        ]
    return "\n".join(lines)


def without_paths(said: str, work: Path) -> str:
    """Words without folders of this machine, progress bars and colours."""
    said = re.sub(r"\x1b\[[0-9;]*m", "", said.replace(str(work), "WORK"))
    return re.sub(r"(/[\w.-]+){2,}/", ".../", said)


def say(said: str) -> None:
    print(said, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
