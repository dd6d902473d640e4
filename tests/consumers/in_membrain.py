"""Run by MemBrain-seg's own environment: its dataset, data module and fine-tuning on a folder."""

import json
import os
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from membrain_seg.segmentation import finetune
from membrain_seg.segmentation.dataloading.memseg_dataset import CryoETMemSegDataset
from membrain_seg.segmentation.dataloading.memseg_pl_datamodule import MemBrainSegDataModule
from membrain_seg.segmentation.networks import unet

CHANNELS = [4, 8, 8, 8, 8, 8]


def read_every_case(folder: Path) -> None:
    for part, train in (("Tr", True), ("Val", False)):
        images, labels = folder / f"images{part}", folder / f"labels{part}"
        dataset = CryoETMemSegDataset(
            img_folder=str(images), label_folder=str(labels), train=train, on_the_fly_loading=True
        )
        wanted = len(list(labels.iterdir()))
        assert len(dataset) == wanted
        for number in range(len(dataset)):
            item = dataset[number]
            image, label = item["image"], item["label"]
            label = label[0] if isinstance(label, list) else label
            assert tuple(image.shape)[-3:] == (160, 160, 160), image.shape
            assert np.isfinite(np.asarray(image)).all()
            assert set(np.unique(np.round(np.asarray(label))).tolist()) <= {0.0, 1.0, 2.0}
        print(f"CryoETMemSegDataset reads all {wanted} cases of {images.name}")


def load_by_module(folder: Path) -> None:
    module = MemBrainSegDataModule(
        str(folder), batch_size=1, num_workers=0, on_the_fly_dataloading=True
    )
    module.setup("fit")
    batch = next(iter(module.val_dataloader()))
    print(f"MemBrainSegDataModule gives a validation batch of shape {tuple(batch['image'].shape)}")


def one_and_one(folder: Path, out: Path) -> Path:
    """One training and one validation patch, so that an epoch takes a minute."""
    for part in ("Tr", "Val"):
        label = sorted((folder / f"labels{part}").iterdir())[0]
        image = folder / f"images{part}" / label.name.replace(".nii.gz", "_0000.nii.gz")
        for path in (image, label):
            (out / path.parent.name).mkdir(parents=True)
            shutil.copy(path, out / path.parent.name / path.name)
    return out


class Thin(unet.SemanticSegmentationUnet):  # type: ignore[misc]  # it is not installed here
    """MemBrain-seg's network with thinner filters, so that an epoch takes a minute on a CPU."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"channels": CHANNELS, **options})


def fine_tune(folder: Path, out: Path) -> None:
    """MemBrain-seg's own fine_tune for one epoch."""
    small = one_and_one(folder, out / "small")
    model, checkpoint = Thin(), out / "thin.ckpt"
    torch.save(
        {
            "state_dict": model.state_dict(),
            "pytorch-lightning_version": pl.__version__,
            "epoch": 0,
            "global_step": 0,
        },
        checkpoint,
    )
    finetune.SemanticSegmentationUnet = Thin
    os.chdir(out)
    with redirect_stdout(sys.stderr):
        finetune.fine_tune(
            str(checkpoint),
            str(small),
            log_dir=str(out / "logs"),
            batch_size=1,
            num_workers=0,
            max_epochs=1,
        )
    made = sorted(path.name for path in (out / "finetuned_checkpoints").iterdir())
    assert made, "no checkpoint"
    print(f"fine_tune runs one epoch on 1 + 1 patches and saves {len(made)} checkpoint(s)")


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    facts = json.loads((folder / "dataset.json").read_text())
    print(f"{facts['numTraining']} cases in dataset.json")
    read_every_case(folder)
    load_by_module(folder)
    fine_tune(folder, out)


if __name__ == "__main__":
    main()
