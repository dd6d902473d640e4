"""Exports as jobs: what a page hands over as JSON, and what a worker makes of it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from core.bundles.facts import BundleFacts, Creator, Level, Previous
from core.bundles.share import export_bundle
from core.errors import CancelledError, ExportError
from core.exports.case import Recipe
from core.exports.plan import SetOptions
from core.exports.selection import Choice
from core.exports.split import SplitRule
from core.exports.training_set import export_training_set
from core.lab.lab import Lab
from core.workspace.results import Outcome
from db.queries.patches import PatchFilter
from db.vocabulary import ExportKind, Licence

Tell = Callable[[float, str], None]


def set_arguments(
    out: Path, choice: Choice, options: SetOptions, *, overwrite: bool = False
) -> dict[str, Any]:
    """The arguments of a job that writes a training set."""
    return {
        "what": ExportKind.TRAINING_SET.value,
        "out": str(out),
        "overwrite": overwrite,
        "choice": _choice_as_json(choice),
        "options": {
            "rule": asdict(options.rule),
            "recipe": asdict(options.recipe),
            "val_from": options.val_from and str(options.val_from),
            "voxel_size": options.voxel_size,
            "mixed_voxel_sizes": options.mixed_voxel_sizes,
        },
    }


def bundle_arguments(
    out: Path,
    choice: Choice,
    facts: BundleFacts,
    *,
    rule: SplitRule | None = None,
    overwrite: bool = False,
    zipped: bool = False,
) -> dict[str, Any]:
    """The arguments of a job that writes a bundle."""
    return {
        "what": ExportKind.BUNDLE.value,
        "out": str(out),
        "overwrite": overwrite,
        "zipped": zipped,
        "choice": _choice_as_json(choice),
        "facts": asdict(facts) | {"created": facts.created.isoformat()},
        "rule": rule and asdict(rule),
    }


def run_export(
    lab: Lab,
    arguments: Mapping[str, Any],
    tell: Tell,
    cancelled: Callable[[], bool],
) -> tuple[Outcome, ...]:
    """Do what ``set_arguments`` or ``bundle_arguments`` say.

    Errors: ExportError, also for arguments that nobody here wrote; OutputError; CancelledError.
    """

    def progress(done: int, total: int) -> None:
        if cancelled():
            raise CancelledError("the export was cancelled; nothing was written.")
        tell(done / max(1, total), f"{done} of {total} patches")

    try:
        kind, out = ExportKind(arguments["what"]), Path(arguments["out"])
        choice, overwrite = _choice(arguments["choice"]), bool(arguments.get("overwrite"))
        if kind is ExportKind.TRAINING_SET:
            options = _options(arguments["options"])
            return (
                export_training_set(
                    lab, out, choice, options, overwrite=overwrite, progress=progress
                ),
            )
        facts = _facts(arguments["facts"])
        rule = SplitRule(**arguments["rule"]) if arguments.get("rule") else None
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(f"the job's arguments are not those of an export ({error}).") from error
    outcome = export_bundle(
        lab,
        out,
        facts,
        choice,
        rule=rule,
        overwrite=overwrite,
        zipped=bool(arguments.get("zipped")),
        progress=progress,
    )
    return (outcome,)


def _choice_as_json(choice: Choice) -> dict[str, Any]:
    rules = {key: value for key, value in asdict(choice.wanted).items() if value not in (None, ())}
    return {
        "wanted": rules,
        "names": None if choice.names is None else list(choice.names),
        "merged_too": choice.merged_too,
    }


def _choice(given: Mapping[str, Any]) -> Choice:
    names = given["names"]
    return Choice(
        PatchFilter.from_rules(given["wanted"]),
        None if names is None else tuple(map(str, names)),
        bool(given["merged_too"]),
    )


def _options(given: Mapping[str, Any]) -> SetOptions:
    return SetOptions(
        rule=SplitRule(**given["rule"]),
        recipe=Recipe(**given["recipe"]),
        val_from=Path(given["val_from"]) if given["val_from"] else None,
        voxel_size=given.get("voxel_size"),
        mixed_voxel_sizes=bool(given.get("mixed_voxel_sizes")),
    )


def _facts(given: Mapping[str, Any]) -> BundleFacts:
    previous = given["previous"]
    return BundleFacts(
        **{
            **given,
            "licence": Licence(given["licence"]),
            "level": Level(given["level"]),
            "created": date.fromisoformat(given["created"]),
            "creators": tuple(Creator(**item) for item in given["creators"]),
            "previous": Previous(**previous) if previous else None,
        }
    )
