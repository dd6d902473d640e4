"""Where a command meets a person: errors as one sentence, exit status 0 done / 1 failed / 2 usage.

Commands raise the project's errors; here they end. A bug keeps its traceback in a file and shows
its name.
"""

import os
import sys
from collections.abc import Sequence

import click

from db.errors import TomocurateError

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def run(command: click.Command, arguments: Sequence[str] | None, name: str) -> int:
    """Run a click command as a program and give its exit status.

    A command's function returns its status (None is done) or raises.
    """
    try:
        status = command.main(
            args=None if arguments is None else list(arguments),
            prog_name=name,
            standalone_mode=False,
        )
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except TomocurateError as error:
        for sentence in getattr(error, "faults", None) or (str(error),):
            say_error(sentence)
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        say_error("interrupted; what was finished is kept, nothing is half-written.")
        return INTERRUPTED
    except UnicodeEncodeError as error:
        shown = printable(str(error.object)[:200])
        say_error(f"{shown}: holds bytes that are no UTF-8 text; rename it, then try again.")
        return FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        say_error(_bug(error))
        return FAILED
    return status if isinstance(status, int) else DONE


def say_error(sentence: str) -> None:
    """One line on stderr; control characters of file names are shown, not obeyed."""
    click.echo(f"error: {printable(sentence)}", err=True)


def printable(text: str) -> str:
    """The text with control characters escaped, so that a file name cannot move the cursor."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _bug(error: BaseException) -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="tomocurate-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        traceback.print_exception(error, file=log)
    return (
        f"an unforeseen {type(error).__name__} stopped this; please report it with {log.name}, "
        "which says where."
    )
