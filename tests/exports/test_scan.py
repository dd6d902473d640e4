"""Secrets are found wherever they hide, and noise is not taken for one."""

import json
import time

import numpy as np
import pytest

from core.bundles.privacy.names import Secret, SecretKind, needles_of, secrets_of
from core.bundles.privacy.scan import Allowed, Scanner

JDOE = Secret(SecretKind.PERSON, "Jane Doefield")
PLACE = Secret(SecretKind.PATH, "/data/jdoe/session7")
TOKEN = Secret(SecretKind.TOMOGRAM, "20240314_TS_07")


def scanner(*secrets):
    return Scanner(needles_of(secrets))


def scan_all(folder, found_by, allowed=None):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [h for f in files for h in found_by.file(f, f.relative_to(folder).as_posix(), allowed)]


def test_a_planted_secret_is_found_in_every_carrier(tmp_path, plant):
    plant(tmp_path, TOKEN.text.encode())
    hits = scan_all(tmp_path, scanner(JDOE, PLACE, TOKEN))
    assert {hit.secret for hit in hits} == {TOKEN}


def test_without_a_secret_none_is_found(tmp_path, plant):
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
def test_a_person_is_found_however_the_name_is_joined(written):
    assert scanner(JDOE).text("x", f"by {written}!")


def test_composed_and_wide_letters_are_one():
    secret = Secret(SecretKind.PERSON, "Jürgen Müller")
    assert scanner(secret).text("x", "Ju\u0308rgen Mu\u0308ller")
    assert scanner(JDOE).text("x", "\uff2aane Doefield")


def test_short_names_count_as_whole_words_in_text_alone(tmp_path, volume):
    short = scanner(Secret(SecretKind.PERSON, "Mia"))
    assert short.text("x", "made by Mia.")
    assert short.text("x", "mia_patch0")
    assert not short.text("x", "a chemiadic word")
    volume(tmp_path / "a.nii.gz")
    (tmp_path / "b.bin").write_bytes(b"\xff\0mia" * 3)
    assert {hit.where for hit in scan_all(tmp_path, short)} <= {"b.bin: text"}


@pytest.mark.parametrize("written", ["2024-03-14", "14.03.2024", "03/14/2024", "20240314"])
def test_a_date_is_found_in_any_order(written):
    assert scanner(Secret(SecretKind.DATE, "2024-03-14")).text("x", f"on {written} we")


def test_numbers_of_under_five_digits_are_not_searched():
    assert not scanner(Secret(SecretKind.TOMOGRAM, "10")).text("x", "10 angstrom")


def test_a_secret_across_two_pieces_of_a_stream_is_found():
    half = [b"x" * 1000 + b"20240314_", b"TS_07" + b"y" * 1000]
    assert scanner(TOKEN).bytes_of("x", iter(half))


def test_who_agreed_is_named_in_the_allowed_field_and_nowhere_else(tmp_path):
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


def test_what_the_patches_records_tell_is_secret(lab):
    found = {secret.text for secret in secrets_of(lab.patches(2))}
    assert {"annika.annotator", "rolf.reviewer", "Maria Curator", "TS_001", "TS_002"} <= found
    assert str(lab.folder.resolve()) in found


def test_a_secret_is_not_shown_by_its_value():
    assert "Doefield" not in repr(JDOE)
    assert "doefield" not in repr(needles_of([JDOE]))


def test_noise_is_searched_fast(tmp_path):
    data = np.random.default_rng(0).bytes(40 << 20)
    many = [Secret(SecretKind.TOMOGRAM, f"2024{n:04}_grid{n}_TS") for n in range(500)]
    search = scanner(*many)
    before = time.perf_counter()
    pieces = [data[start : start + (4 << 20)] for start in range(0, len(data), 4 << 20)]
    assert search.bytes_of("x", iter(pieces)) == []
    assert 40 / (time.perf_counter() - before) > 20
