"""Run by an environment with mlcroissant and rembi-mifa: is a bundle's metadata what each asks?"""

import json
import re
import subprocess
import sys
from pathlib import Path

import mlcroissant
from rembi_mifa.mifa import MifaContainer

ZENODO_KEYS = {
    "title",
    "description",
    "upload_type",
    "access_right",
    "license",
    "version",
    "creators",
    "keywords",
    "related_identifiers",
}
"""Of those that Zenodo's deposit form knows, the ones that we write."""

RELATIONS = {"isSupplementTo", "isNewVersionOf"}


def croissant(folder: Path) -> None:
    program = Path(sys.executable).with_name("mlcroissant")
    file = folder / "croissant.json"
    done = subprocess.run([program, "validate", "--jsonld", file], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    print("mlcroissant validate passes")
    records = list(mlcroissant.Dataset(jsonld=file).records("patches"))
    rows = (folder / "patches.csv").read_text().count("\n") - 1
    assert len(records) == rows
    print(f"mlcroissant reads {rows} records of patches.csv")


def mifa(folder: Path) -> None:
    facts = MifaContainer.model_validate_json((folder / "mifa.json").read_text())
    held = len(facts.annotations[0].file_metadata)
    print(f"rembi-mifa's model takes mifa.json ({held} annotations, licence {facts.license})")


def zenodo(folder: Path) -> None:
    facts = json.loads((folder / ".zenodo.json").read_text())
    assert set(facts) <= ZENODO_KEYS, set(facts) - ZENODO_KEYS
    assert facts["upload_type"] == "dataset"
    assert facts["access_right"] in {"open", "embargoed", "restricted", "closed"}
    assert facts["license"] in {"CC0-1.0", "CC-BY-4.0"}
    assert facts["creators"]
    for creator in facts["creators"]:
        assert set(creator) <= {"name", "orcid", "affiliation"}
        assert re.fullmatch(
            r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]", creator.get("orcid", "0000-0000-0000-0000")
        )
    assert all(each["relation"] in RELATIONS for each in facts["related_identifiers"])
    print(".zenodo.json holds what Zenodo's deposit form asks, and nothing that it does not know")


if __name__ == "__main__":
    croissant(Path(sys.argv[1]))
    mifa(Path(sys.argv[1]))
    zenodo(Path(sys.argv[1]))
