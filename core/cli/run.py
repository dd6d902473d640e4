"""Run a command: every error becomes one sentence; exit status 0 done, 1 failed, 2 wrong usage.

With --json a failure is JSON on stdout too, ``{"error": ..., "errors": [...]}``, so that programs
need not read English. A bug keeps its traceback in a log file that the sentence names.
"""

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from db.errors import TomocurateError

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def run(command: click.Command, arguments: Sequence[str] | None, name: str) -> int:
    """Run a click command as a program and return its exit status.

    A command's function returns its status (None is done) or raises.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = command.main(args=words, prog_name=name, standalone_mode=False)
        _flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except BrokenPipeError:
        _discard_stdout()
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        return _fail(words, ["interrupted; what was finished is kept."], INTERRUPTED)
    except click.ClickException as error:
        error.show()
        return _fail(words, [error.format_message()], error.exit_code, shown=True)
    except Exception as error:
        return _fail(words, _sentences(error), FAILED)
    return status if isinstance(status, int) else DONE


def say_error(sentence: str) -> None:
    """Print one line on stderr; control characters of file names are shown, not obeyed."""
    click.echo(f"error: {printable(sentence)}", err=True)


def printable(text: str) -> str:
    """Return the text with control characters escaped: a file name must not move the cursor."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


class _OutputLostError(Exception):
    """Standard output cannot be written."""


def _flush() -> None:
    if sys.stdout is None:
        raise _OutputLostError("standard output is closed")
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _OutputLostError(error.strerror) from error


def _fail(words: Sequence[str], sentences: Sequence[str], status: int, shown: bool = False) -> int:
    for sentence in () if shown else sentences:
        say_error(sentence)
    if "--json" in words:
        from core.cli.tables import say_json

        try:
            say_json({"error": sentences[0], "errors": list(sentences), "status": status})
            _flush()
        except (OSError, _OutputLostError):
            _discard_stdout()
    return status


def _sentences(error: Exception) -> Sequence[str]:
    if isinstance(error, TomocurateError):
        return getattr(error, "faults", None) or (str(error),)
    if isinstance(error, UnicodeEncodeError):
        shown = printable(str(error.object)[:200])
        return (f"{shown}: the name is not valid UTF-8; rename the file, then try again.",)
    if isinstance(error, _OutputLostError) or _is_output(error):
        _discard_stdout()
        cause = getattr(error, "strerror", None) or error
        return (f"the output could not be written ({cause}).",)
    return (_explain_bug(error),)


def _is_output(error: Exception) -> bool:
    """Return whether printing itself failed: then the error names no file."""
    lost = (errno.ENOSPC, errno.EBADF, errno.EIO)
    return isinstance(error, OSError) and error.filename is None and error.errno in lost


def _explain_bug(error: Exception) -> str:
    import logging
    import tempfile

    from core.errors import explain, log

    handler: logging.Handler = logging.StreamHandler()
    with suppress(OSError):
        descriptor, path = tempfile.mkstemp(prefix="tomocurate-", suffix=".log")
        os.close(descriptor)
        handler = logging.FileHandler(path, encoding="utf-8")
    log.addHandler(handler)
    try:
        return explain(error, getattr(handler, "baseFilename", "the lines above"))
    finally:
        log.removeHandler(handler)
        handler.close()


def _discard_stdout() -> None:
    """Let nothing more be written, nor complained about when Python ends."""
    with suppress(AttributeError, OSError):  # closed, or no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
