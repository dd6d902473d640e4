"""Text of people and files shows as it is: never HTML, Markdown, a link, or a formula."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.ui.escape import download_name, escape, escape_html

PROBES = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![beacon](http://evil.test/b.png)",
    "https://evil.test/a?b=c",
    "www.evil.test",
    "someone@evil.test",
    ":material/home: :red[x] :smile: $\\LaTeX$",
    "# heading\n- list\n1. one\n> quote",
    "| a | b |\n|---|---|",
    "`code` *a* _b_ ~~c~~ &lt;b&gt;",
)


@pytest.mark.parametrize("probe", PROBES)
def test_every_sign_that_means_something_is_escaped(probe: str) -> None:
    shown = escape(probe)
    assert "\n" not in shown
    for found in re.finditer(r"[<>\[\]()!`*_#|$&~]", shown):
        assert shown[found.start() - 1] == "\\"


@pytest.mark.parametrize("link", ["http://a.test", "www.a.test", "me@a.test", "HTTPS://A.test"])
def test_no_word_is_left_that_markdown_would_make_a_link_of(link: str) -> None:
    shown = escape(f"see {link}").replace("\\", "")
    assert not re.search(r"https?://|www\.|[-.\w]@", shown, re.IGNORECASE)


@given(st.text())
def test_plain_text_reads_as_it_was_written(text: str) -> None:
    shown = re.sub(r"\\(.)", r"\1", escape(text)).replace("\u2060", "")
    seen = re.sub("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]", "", text)
    kept = re.sub(r"\s+", "", shown.replace("\ufffd", ""))
    assert kept == re.sub(r"\s+", "", seen[:2000]).replace("\ufffd", "").replace("\u2060", "")


def test_signs_that_turn_the_direction_of_writing_are_shown_as_unknown() -> None:
    assert escape("Add1\u202edrrn.exe") == "Add1\ufffddrrn\\.exe"


def test_a_plot_follows_no_tag() -> None:
    assert escape_html('<a href="http://evil.test">x</a>').startswith("&lt;a")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "etc_passwd"),
        ("a b\n.zip", "a_b_.zip"),
        ("", "file"),
        ("...", "file"),
        ("=cmd|x", "cmd_x"),
    ],
)
def test_a_download_has_a_safe_name(name: str, safe: str) -> None:
    assert download_name(name) == safe


@given(st.text())
def test_any_name_becomes_one_that_every_system_takes(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,130}", download_name(name, ".zip"))
