"""Check texts that people write: reasons, notes, comments, and names for files."""

import math
import unicodedata

from core.errors import PatchNameError
from core.imaging.extraction import check_tokens
from db.errors import StepError

LONGEST_TEXT = 10_000
LONGEST_REASON = 2_000
LONGEST_NAME_BYTES = 230
"""Of a patch's name: with .nii.gz it stays below the 255 bytes that file systems take."""

_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))]
)
_FORMULA = ("=", "+", "-", "@")


def check_text(what: str, text: str, longest: int = LONGEST_REASON) -> str:
    """Return a text without surrounding spaces, after checking it.

    Errors: StepError for nothing, too much, or characters that cannot be shown.
    """
    stripped = unicodedata.normalize("NFC", text).strip()
    if not stripped:
        raise StepError(f"{what} is missing; write a few words.")
    if len(stripped) > longest:
        raise StepError(f"{what} has {len(stripped)} characters; write at most {longest}.")
    hidden = [sign for sign in stripped if _is_hidden(sign)]
    if hidden:
        raise StepError(
            f"{what} holds the character U+{ord(hidden[0]):04X}, which cannot be shown; leave it "
            "out."
        )
    return stripped


def check_names(dataset: str, token: str) -> tuple[str, str]:
    """A dataset and a token as file names will have them (Unicode's composed form).

    Errors: PatchNameError says what may stand there.
    """
    dataset, token = (unicodedata.normalize("NFC", name) for name in (dataset, token))
    check_tokens(dataset, token)
    for what, name in (("dataset token", dataset), ("token", token)):
        if name.startswith(_FORMULA) or name.endswith("."):
            raise PatchNameError(
                f"{what} {name!r}: begin with a letter or digit and end with no dot (a table takes "
                "it for a formula, a command line for an option)."
            )
        if name.lower().split(".")[0] in _RESERVED:
            raise PatchNameError(f"{what} {name!r}: Windows keeps this name; choose another.")
    size = len(f"{dataset}_{token}_patch99999".encode())
    if size > LONGEST_NAME_BYTES:
        raise PatchNameError(
            f"token {token[:40]!r}…: its patches' names would have {size} bytes, at most "
            f"{LONGEST_NAME_BYTES} fit a file name; choose a shorter --token."
        )
    return dataset, token


def check_threshold(threshold: float | None) -> None:
    """A threshold is a number, or not stated.

    Errors: StepError.
    """
    if threshold is not None and not math.isfinite(threshold):
        raise StepError(
            f"the threshold {threshold} is no number; membrane is what scores above it."
        )


def _is_hidden(sign: str) -> bool:
    """Control characters, half surrogates, and what turns the direction of writing."""
    if sign in "\n\t\u200c\u200d":  # joiners are letters' business in Persian, Hindi and emoji
        return False
    return unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn")
