"""README.md of a bundle: the dataset card that a stranger reads first.

The YAML above it is what Hugging Face reads; values are quoted, so that text cannot add keys.
"""

import json
from collections.abc import Sequence
from importlib.resources import files

from core.bundles.facts import BundleFacts
from core.exports.case import WrittenCase
from core.exports.patch import ACCEPTED
from core.imaging.quality import SURFACE_DICE_METHOD
from db.vocabulary import Licence, Split

ANONYMOUS = "anonymous contributor"
CREATORS, CONTACT = "Creators: ", "Contact: "
"""How the two lines begin in which creators and the contact may be named."""

_HF_LICENCE = {Licence.CC0: "cc0-1.0", Licence.CC_BY: "cc-by-4.0"}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"))

CARD = """\
---
license: {hf_licence}
pretty_name: {title_json}
task_categories: ["image-segmentation"]
tags: ["cryo-electron tomography", "cryo-ET", "membrane", "segmentation"]
size_categories: ["{size}"]
---
# {title}

{description}

{count} patches of cryo-electron tomograms with membrane labels, {side} voxels along each side, \
{voxel_size:g} angstrom a voxel: {splits}.

{creators}
{contact}
Licence: {licence} (see LICENSE). Version {version}, {created}.

## What is in it
* `imagesTr`, `imagesVal` (and `imagesTs`): float32, each patch with mean 0 and standard \
deviation 1{rounded}.
* `labelsTr`, `labelsVal` (and `labelsTs`): 0 background, 1 membrane, 2 ignore.
* `patches.csv`: a row for each patch: where it belongs, its label's quality, its hashes.
* `dataset.json`, `splits_final.json`: the lists for nnU-Net v2 and MONAI.
* `bundle.json`, `croissant.json`, `mifa.json`, `.zenodo.json`: the same facts for machines.
* `SHA256SUMS`: check with `sha256sum -c SHA256SUMS`.
* `privacy_report.md`: what was removed, and what anybody can still find out.

NIfTI knows no angstrom: the number that stands as its spacing is in angstrom, though programs \
show millimetre.

## How the labels were made
A network predicted membranes; people chose places where the prediction was bad, and painted what \
to add, remove and ignore. {review} {criteria}

{border}

Surface Dice in `patches.csv`: {surface_dice}. Plain Dice is harsh on sheets three voxels thick.

## How to train on it
    membrain train --data-dir THIS_FOLDER
    membrain finetune --pretrained-checkpoint-path CHECKPOINT.ckpt --finetune-data-dir THIS_FOLDER

For nnU-Net v2, place the folder in `$nnUNet_raw` as `Dataset501_Membranes`, then

    nnUNetv2_plan_and_preprocess -d 501 --verify_dataset_integrity
    nnUNetv2_train 501 3d_fullres 0

MONAI: `load_decathlon_datalist("dataset.json", True, "training")`.

Patches of one tomogram, and patches that overlap, are never in two splits. Keep it so when you \
split anew: `source_group` in `patches.csv` names what belongs together.

## Known limits
* Only places where a prediction was bad are in here; the set says little about the rest of a \
tomogram.
* The patches carry pseudonyms, but whoever holds a tomogram can find them in it.
"""


def card_text(cases: Sequence[WrittenCase], facts: BundleFacts, voxel_size: float) -> str:
    """The dataset card."""
    held = [case.planned.split for case in cases]
    splits = ", ".join(f"{held.count(split)} to {split}" for split in Split if split in held)
    return CARD.format(
        hf_licence=_HF_LICENCE[facts.licence],
        title_json=json.dumps(_line(facts.title)),
        size=next((word for most, word in _SIZES if len(cases) < most), "10K<n<100K"),
        title=_line(facts.title),
        description=facts.description.strip(),
        count=len(cases),
        side=" or ".join(sorted({str(case.shape.z) for case in cases})),
        voxel_size=voxel_size,
        splits=splits,
        creators=creators_line(facts),
        contact=contact_line(facts),
        licence=facts.licence.value,
        version=facts.version,
        created=facts.created_text,
        rounded=", rounded to 1/256 of it" if facts.recipe.quantise else "",
        review=_review(cases),
        criteria=facts.annotation_criteria.strip(),
        border=_border(facts),
        surface_dice=SURFACE_DICE_METHOD,
    )


def creators_line(facts: BundleFacts) -> str:
    """The one line of the card in which creators may be named."""
    names = "; ".join(_line(creator.name) for creator in facts.creators)
    return f"{CREATORS}{names or ANONYMOUS}."


def contact_line(facts: BundleFacts) -> str:
    """The one line of the card in which the contact may be named."""
    return f"{CONTACT}{_line(facts.contact) or 'none given'}."


def licence_text(licence: Licence) -> str:
    """The licence's full legal text."""
    return (files("core.bundles") / "licences" / f"{licence.value}.txt").read_text("utf-8")


def _review(cases: Sequence[WrittenCase]) -> str:
    """State who looked at the labels, as far as it is recorded."""
    own = [case.planned.patch for case in cases if case.planned.patch.imported is None]
    accepted = sum(patch.status == ACCEPTED for patch in own)
    others = len(cases) - len(own)
    came = f"; {others} came from other sets as they were" if others else ""
    return f"{accepted} of {len(own)} labels were accepted in review{came}."


def _border(facts: BundleFacts) -> str:
    if facts.recipe.core_only:
        return (
            "The outer 16 voxels, which are ignore in every patch, were left out; MemBrain-seg's "
            "loader pads them back as ignore."
        )
    return "The outer 16 voxels of every patch are ignore."


def _line(text: str) -> str:
    return " ".join(text.split())
