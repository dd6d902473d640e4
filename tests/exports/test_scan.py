"""Secrets are found wherever they hide, and noise is not taken for one."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.bundles.privacy.names import Secret, SecretKind, needles_of, secrets_of
from core.bundles.privacy.scan import Allowed, Scanner

JDOE = Secret(SecretKind.PERSON, "Jane Doefield")
PLACE = Secret(SecretKind.PATH, "/data/jdoe/session7")
TOKEN = Secret(SecretKind.TOMOGRAM, "20240314_TS_07")


def scanner(*secrets: Any) -> Any:
    return Scanner(secrets)


def scan_all(folder: Any, found_by: Any, allowed: Any = None) -> Any:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [h for f in files for h in found_by.file(f, f.relative_to(folder).as_posix(), allowed)]


def test_a_planted_secret_is_found_in_every_carrier(tmp_path: Path, plant: Any) -> None:
    plant(tmp_path, TOKEN.text.encode())
    hits = scan_all(tmp_path, scanner(JDOE, PLACE, TOKEN))
    assert {hit.secret for hit in hits} == {TOKEN}


def test_without_a_secret_none_is_found(tmp_path: Path, plant: Any) -> None:
    plant(tmp_path, b"harmlesstext")
    assert scan_all(tmp_path, scanner(JDOE, PLACE, TOKEN)) == []


@pytest.mark.parametrize(
    "written",
    [
        "Jane Doefield",
        "jane.doefield",
        "DOEFIELD JANE",
        "Doefield, Jane",
        "janedoefield",
        "Jane_Doefield",
    ],
)
def test_a_person_is_found_however_the_name_is_joined(written: Any) -> None:
    assert scanner(JDOE).text("x", f"by {written}!")


def test_composed_and_wide_letters_are_one() -> None:
    secret = Secret(SecretKind.PERSON, "Jürgen Müller")
    assert scanner(secret).text("x", "Ju\u0308rgen Mu\u0308ller")
    assert scanner(JDOE).text("x", "\uff2aane Doefield")


def test_short_names_count_as_whole_words() -> None:
    short = scanner(Secret(SecretKind.PERSON, "Mia"))
    assert short.text("x", "made by Mia.")
    assert short.text("x", "mia_patch0")
    assert not short.text("x", "a chemiadic word")


@pytest.mark.parametrize(
    "written",
    [
        "Doefield",
        "DOEFIELD",
        "J. Doefield",
        "Doefield J.",
        "Dr Doefield's",
        "J.D.",
        "J. D.",
        "by JD",
        "annotators: AB, JD",
        "Jane Doe\u200bfield",
        "Do\u00adefield",
    ],
)
def test_a_person_is_found_by_the_family_name_and_by_initials(written: Any) -> None:
    assert scanner(JDOE).text("x", f"seen {written}, thanks")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Jürgen Müller", "Jurgen Muller"),
        ("Jürgen Müller", "Juergen Mueller"),
        ("Jürgen Müller", "mueller"),
        ("Juergen Mueller", "Jürgen Müller"),
        ("Søren Ångström", "Soeren Aangstroem"),
        ("Søren Ångström", "Soren Angstrom"),
        ("Łukasz Straße", "Lukasz Strasse"),
        ("José Peña", "Jose Pena"),
        ("Müller, Jürgen", "Prof. Mueller"),
        ("Ada Min", "as Min wrote"),
    ],
)
def test_a_person_is_found_with_accents_without_and_transliterated(name: Any, written: Any) -> None:
    assert scanner(Secret(SecretKind.PERSON, name)).text("x", f"by {written}.")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Ada Min", "exposed for 5 min"),
        ("Eva Green", "green algae"),
        ("Eva Maier", "cryo-EM of cells"),
        ("Emil Gross", "e.g. membranes"),
        ("Joe Doe", "do not resample"),
        ("Annika Notator", "annotators and notations"),
    ],
)
def test_a_word_of_the_field_is_no_person(name: Any, written: Any) -> None:
    assert not scanner(Secret(SecretKind.PERSON, name)).text("x", written)


@pytest.mark.parametrize(
    "written", ["TS_001", "TS-001", "TS 001", "ts001", "TS.001", "T\u200bS_001"]
)
def test_a_tomogram_is_found_however_its_token_is_joined(written: Any) -> None:
    assert scanner(Secret(SecretKind.TOMOGRAM, "TS_001")).text("x", f"see {written}.")


def test_a_longer_number_or_the_cells_of_a_table_are_another_tomogram() -> None:
    search = scanner(Secret(SecretKind.TOMOGRAM, "TS_001"), Secret(SecretKind.TOMOGRAM, "12_345"))
    assert not search.text("x", "TS_0010 and 12,345")


DAY = scanner(Secret(SecretKind.DATE, "2024-03-14"))


@pytest.mark.parametrize(
    "written",
    [
        "2024-03-14",
        "14.03.2024",
        "14.3.2024",
        "03/14/2024",
        "3/14/2024",
        "20240314",
        "14032024",
        "14.03.24",
        "14 March 2024",
        "14th of March 2024",
        "14. März 2024",
        "March 14, 2024",
        "Mar 14th 2024",
        "2024 March 14",
        "14 mars 2024",
        "14-Mar-2024",
    ],
)
def test_a_date_is_found_in_any_order_and_in_words(written: Any) -> None:
    assert DAY.text("x", f"on {written} we")


@pytest.mark.parametrize(
    "written", ["2024-03-15", "March 2024", "14 May 2024", "1.0.0", "120240314"]
)
def test_another_date_is_not_it(written: Any) -> None:
    assert not DAY.text("x", f"on {written} we")


def test_numbers_of_under_five_digits_are_not_searched() -> None:
    assert not scanner(Secret(SecretKind.TOMOGRAM, "10")).text("x", "10 angstrom")


def test_who_agreed_is_named_in_the_allowed_field_and_nowhere_else(tmp_path: Path) -> None:
    facts = {
        "creators": [{"name": "Doefield, Jane"}],
        "contact": "Jane Doefield, /data/jdoe/session7",
    }
    (tmp_path / "bundle.json").write_text(json.dumps(facts | {"note": "Jane Doefield"}))
    (tmp_path / "README.md").write_text("Creators: Doefield, Jane.\nthanks to Jane Doefield\n")
    allowed = Allowed(
        frozenset({"bundle.json: creators[].name", "bundle.json: contact"}),
        frozenset({"Creators: Doefield, Jane."}),
    )
    hits = scan_all(tmp_path, scanner(JDOE, PLACE), allowed)
    assert sorted((hit.where, hit.secret.kind) for hit in hits) == [
        ("README.md", SecretKind.PERSON),
        ("bundle.json: contact", SecretKind.PATH),
        ("bundle.json: note", SecretKind.PERSON),
    ]


def test_what_the_patches_records_tell_is_secret(lab: Any) -> None:
    found = {secret.text for secret in secrets_of(lab.patches(2))}
    assert {"annika.annotator", "rolf.reviewer", "Maria Curator", "TS_001", "TS_002"} <= found
    assert str(lab.folder.resolve()) in found


def test_a_secret_is_not_shown_by_its_value() -> None:
    assert "Doefield" not in repr(JDOE)
    assert "doefield" not in repr(needles_of([JDOE]))


def test_what_stands_in_every_bundle_is_no_secret() -> None:
    search = Scanner([Secret(SecretKind.PROJECT, "images")], "imagesTr and images")
    assert search.searched == 0
    assert not search.text("x", "images")
