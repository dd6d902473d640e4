"""Run by nnU-Net's and MONAI's environment: verify, plan, preprocess; and MONAI's datalist."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


def plan_and_preprocess(folder: Path, out: Path) -> None:
    names = {name: out / name for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    for path in names.values():
        path.mkdir(parents=True)
    shutil.copytree(folder, names["nnUNet_raw"] / "Dataset501_Membranes")
    program = Path(sys.executable).with_name("nnUNetv2_plan_and_preprocess")
    done = subprocess.run(
        [
            program,
            "-d",
            "501",
            "--verify_dataset_integrity",
            "-c",
            "3d_fullres",
            "-np",
            "1",
            "-npfp",
            "1",
        ],
        env=os.environ | {name: str(path) for name, path in names.items()},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    print("nnUNetv2_plan_and_preprocess --verify_dataset_integrity passes")
    made = names["nnUNet_preprocessed"] / "Dataset501_Membranes"
    own = json.loads((folder / "splits_final.json").read_text())
    if (made / "splits_final.json").is_file():
        assert json.loads((made / "splits_final.json").read_text()) == own
        print("nnU-Net takes our splits_final.json over as it is")
    else:
        sys.exit("nnU-Net did not take splits_final.json over")
    cases = {case for fold in own for case in (*fold["train"], *fold["val"])}
    ready = {
        path.name.partition(".")[0] for path in (made / "nnUNetPlans_3d_fullres").glob("*.pkl")
    }
    assert ready == cases, ready ^ cases
    print(f"all {len(ready)} cases are preprocessed")


def load_datalist(folder: Path) -> None:
    from monai.data import load_decathlon_datalist
    from monai.transforms import LoadImaged

    for part in ("training", "validation"):
        items = load_decathlon_datalist(folder / "dataset.json", True, part)
        loaded = LoadImaged(keys=["image", "label"])(items[0])
        assert loaded["image"].shape == loaded["label"].shape
        print(f"MONAI's datalist gives {len(items)} {part} cases; the first one loads")


if __name__ == "__main__":
    load_datalist(Path(sys.argv[1]))
    plan_and_preprocess(Path(sys.argv[1]), Path(sys.argv[2]))
