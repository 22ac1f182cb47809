"""Single cells, beyond what one report has the time for.

    python tests/benchmarks/bench_cells.py masks      real fields against masks shipped with them
    python tests/benchmarks/bench_cells.py power      the rare compound in fresh simulated sets
    python tests/benchmarks/bench_cells.py level      an inert compound in 200 planted sets

Settings of the segmentation were looked at on fields B7 and D6; the three others were not.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

DATA = Path(__file__).parents[3] / "shared/data/nf1_jump_images"
PLATE = DATA / "NF1_cellpainting_data_shrunken"
SEEN, UNSEEN = ("B7", "D6"), ("D7", "F7", "H12")
NUCLEUS_PX = {"NF1": 60, "JUMP": 32, "paediatric": 26}


def masks():
    """Print counts and agreement with masks, field by field."""
    import pandas as pd

    from screenbook.cells.mask_agreement import mask_agreement
    from screenbook.cells.segmentation import SegmentationSettings, find_cells, find_nuclei

    rows = []
    settings = SegmentationSettings(nucleus_px=NUCLEUS_PX["NF1"])
    for well in (*SEEN, *UNSEEN):
        planes = {c: _plane(PLATE / "Plate_2_images", f"{well}_*_{c}_*") for c in ("DAPI", "RFP")}
        start = time.monotonic()
        nuclei = find_nuclei(planes["DAPI"], settings)
        cells = find_cells(planes["RFP"][None], nuclei, settings)
        seconds = time.monotonic() - start
        for what, labels in (("Nuclei", nuclei), ("Cells", cells)):
            mask = _plane(PLATE / "Plate_2_masks", f"{well}_*Mask{what}*")
            # The masks leave out what touches the border, so that is left out here.
            agreed = mask_agreement(labels, mask, whole_only=True)
            rows.append({"field": well, "what": what, **agreed, "seconds": seconds})
    for name, folder, ours, drawn in _outlined():
        nuclei = find_nuclei(ours, SegmentationSettings(nucleus_px=NUCLEUS_PX[name]))
        agreed = mask_agreement(nuclei, drawn)
        rows.append({"field": f"{name} ({folder})", "what": "Nuclei, filled outlines", **agreed})
    table = pd.DataFrame(rows)
    print(table.round(3).to_string(index=False))
    for group in (SEEN, UNSEEN):
        some = table[table["field"].isin(group)].groupby("what")[["dice", "f1"]].mean()
        print(f"\nmean of {', '.join(group)}\n{some.round(3).to_string()}")


def _plane(folder, pattern):
    import numpy as np
    from PIL import Image

    (path,) = folder.glob(pattern)
    return np.asarray(Image.open(path))


def _outlined():
    """Nuclear planes of the other fields, and their outlines filled."""
    from scipy import ndimage

    sets = {
        "JUMP": ("JUMP_plate_BR00117006", "*ch5sk1fk1fl1.tiff", "*nuclei_outlines.png"),
        "paediatric": ("pediatric_cancer_atlas_profiling", "*ch5sk1fk1fl1.tiff", "Nuclei*"),
    }
    for name, (folder, image, outline) in sets.items():
        lines = _plane(DATA / folder / "images/outlines", outline)
        lines = lines.max(axis=-1) if lines.ndim == 3 else lines
        outside, _ = ndimage.label(lines == 0)
        filled = outside.copy()
        filled[(lines > 0) | (outside == _largest(outside))] = 0
        yield name, folder, _plane(DATA / folder / "images/orig", image), filled


def _largest(labels):
    import numpy as np

    return int(np.bincount(labels.ravel())[1:].argmax()) + 1


def power(seeds=(1, 2, 3)):
    """Print what each test finds in sets that nothing was chosen on."""
    import pandas as pd

    from screenbook.cells.cell_features import cell_features
    from screenbook.cells.cell_metric import MetricSettings, cross_fit, experiment_folds
    from screenbook.cells.crops import cut_crops, normalise_crops
    from screenbook.cells.segmentation import SegmentationSettings, segment_images
    from screenbook.cells.subpopulations import hidden_changes
    from screenbook.cells.wells_compared import reference_wells
    from screenbook.image_set import ImageSet
    from screenbook.simulate.images import CellSpec, simulate_images
    from screenbook.threads import cores

    parts = []
    for seed in seeds:
        made = simulate_images(CellSpec(seed=seed), jobs=cores())
        images = ImageSet(made.pixels, made.obs, made.channels)
        found = segment_images(images, SegmentationSettings(nucleus_px=18), jobs=cores())
        raw = cut_crops(images, found, 36, mask_others=True)
        reference, fold = reference_wells(raw.obs), experiment_folds(raw.obs)
        features = cell_features(images, found, raw.obs)
        crops = normalise_crops(raw, reference, pool=2)
        for loss in ("contrastive", "triplet"):
            settings = MetricSettings(loss=loss)
            settings = replace(settings, training=replace(settings.training, seed=seed))
            fitted = cross_fit(crops, fold, settings, jobs=cores())
            sub = hidden_changes(features, fitted, raw.obs, reference, seed=seed)
            parts.append(sub.table.assign(seed=seed, loss=loss))
            columns = ["loss", "test", "treatment", "p", "q", "effect", "low", "high"]
            print(f"\nseed {seed}\n{parts[-1][columns].round(3).to_string()}", flush=True)
    table = pd.concat(parts)
    print(table.groupby(["loss", "test", "treatment"])[["found", "effect"]].mean().round(2))


def level(n_sets=200):
    """Print how often an inert treatment is found in measured cells of fresh sets."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from planted_cells import null_p_values

    p = null_p_values(n_sets)
    error = (0.05 * 0.95 / len(p)) ** 0.5
    print((p <= 0.05).mean().round(3).to_string(), f"\nof {len(p)} sets, SE {error:.3f} at 0.05")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or ("masks", "power", "level"):
        {"masks": masks, "power": power, "level": level}[wanted]()
