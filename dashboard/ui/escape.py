"""Text of people and files, made harmless for where it is shown: no HTML, no link, no picture.

Streamlit reads most of what it shows as Markdown, Plotly reads a little HTML, and a browser takes
any name for a download. Whatever a person typed or a file held passes through here first.
"""

import html
import re
import string

_ESCAPED = re.compile("([" + re.escape(string.punctuation) + "])")
_JOINER = "\u2060"
"""A word joiner: shows nothing, and keeps Streamlit from making a link or an emoji of a word."""
_LINKS = re.compile(r"(://|www\.|@|:)", re.IGNORECASE)
_SHOWN_CHARACTERS = 2000
_LINES = re.compile(r"[\r\n\u2028\u2029\x0b\x0c\x85]+")
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]")
"""Control characters, and those that turn the direction of writing."""
_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def escape(text: object) -> str:
    """Markdown that shows just this text, in one line."""
    words = _show_controls(text)
    words = _LINKS.sub(lambda found: _break_mark(found[0]), words)
    return _ESCAPED.sub(r"\\\1", words)


def escape_html(text: object) -> str:
    """Escape a label for Plotly, which would follow <a href>."""
    return html.escape(_show_controls(text), quote=False)


def download_name(text: object, ending: str = "") -> str:
    """Make a file name for a download: letters, digits, dot, dash and underscore."""
    kept = _NAME.sub("_", str(text)).strip("._-") or "file"
    return f"{kept[:120]}{ending}"


def _show_controls(text: object) -> str:
    line = _LINES.sub(" ", str(text)[:_SHOWN_CHARACTERS])
    return _UNSEEN.sub("\ufffd", line).strip()


def _break_mark(mark: str) -> str:
    return f"{mark[:-1]}{_JOINER}{mark[-1]}" if mark != "://" else f":{_JOINER}//"
