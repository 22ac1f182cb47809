"""Self-distillation across batches, beyond what one report has the time for.

Each experiment is an image set, a scale of its pixels, methods and a budget; every training is
done from three seeds. Sets called *fresh* are of seeds on which nothing was chosen.

    python tests/benchmarks/bench_images.py                  all, about an hour on two cores
    python tests/benchmarks/bench_images.py batches budget   those whose names start so
"""

import os
import sys
import time
from dataclasses import dataclass, field

os.environ.setdefault("OMP_NUM_THREADS", "1")

SETS = {
    "default": {},
    "fresh": {"seed": 7},
    # As in params/batches.yml: a batch effect that is left in the pixels.
    "one scale": {"gain_strength": 0.5, "batch_strength": 0.5},
    "one scale, fresh": {"seed": 7, "gain_strength": 0.5, "batch_strength": 0.5},
    "one scale, 8 experiments": {
        **{"gain_strength": 0.5, "batch_strength": 0.5},
        **{"n_experiments": 8, "n_control_fields": 70, "n_treated_fields": 20},
    },
}
"""Fields of :class:`screenbook.simulate.images.ImageSpec`; all of U2OS cells alone."""

ALL = ("untrained", "channel statistics")
ALL += ("DINO", "BYOL", "DINO-CB", "BYOL-CB", "CDCL", "supervised")
PARTS = ("DINO", "DINO + centres", "DINO + redundancy", "DINO-CB")
PARTS += ("DINO-CB + centres", "DINO-CB + redundancy", "CDCL")
PAY = PARTS[3:]
PAPER = {"redundancy_weight": 0.75}
"""Of the redundancy term, as CDCL has it."""


@dataclass(frozen=True)
class Experiment:
    """What is trained on what; seeds are those of the trainings."""

    images: str
    scale: str
    variants: tuple[str, ...]
    n_steps: int = 300
    settings: dict = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)


EXPERIMENTS = {
    "plate": Experiment("default", "plate", ALL),
    "plate, fresh": Experiment("fresh", "plate", ALL),
    "batches": Experiment("one scale", "global", tuple(dict.fromkeys(ALL + PARTS))),
    "batches, fresh": Experiment("one scale, fresh", "global", ALL),
    "budget, 1,200 steps": Experiment("one scale", "global", PAY, 1200),
    "budget, 1,200 steps, weight 0.75": Experiment("one scale", "global", ("CDCL",), 1200, PAPER),
    "weight 0.75": Experiment("one scale", "global", ("CDCL",), 300, PAPER),
    "few batches": Experiment("one scale, 8 experiments", "global", PAY),
}


def measure(experiment):
    """Train and ask; a table with a row for each variant."""
    from screenbook.images.compare_variants import Trial, compare_variants
    from screenbook.images.embedding_scores import variant_table
    from screenbook.images.evaluate import Questions
    from screenbook.images.normalise import normalise
    from screenbook.images.splits import split_experiments
    from screenbook.images.variants import DistillationSettings, quick
    from screenbook.simulate.images import ImageSpec, simulate_images
    from screenbook.threads import cores

    made = simulate_images(ImageSpec(cell_types=("U2OS",), **SETS[experiment.images]), jobs=cores())
    obs = made.obs
    split = split_experiments(obs, test=0.2, seed=0)
    control = (obs["role"] == "control").to_numpy()
    if experiment.scale == "global":
        control &= split.train
    batch = obs["batch"].astype(str).to_numpy()
    fields = normalise(
        made.pixels, batch, control, experiment.scale, pool=2, channels=made.channels
    )
    settings = quick(
        DistillationSettings(**experiment.settings),
        n_steps=experiment.n_steps,
        record_every=max(1, experiment.n_steps // 40),
    )
    trial = Trial(fields, obs, split, settings, "all", Questions(seed=0))
    results = compare_variants(trial, experiment.variants, experiment.seeds, jobs=cores())
    table = variant_table([r.evaluation for r in results.values()]).set_index("variant")
    plain, scaled = (table[table["standardised"] == how] for how in ("none", "plate"))
    chosen = {"knn": "kNN", "linear": "linear", "batch_id": "batch told", "kbet": "kBET"}
    found = plain[[*chosen]].rename(columns=chosen)
    found.insert(1, "SD", plain.get("knn_sd"))
    found.insert(5, "SD of batch", plain.get("batch_id_sd"))
    found["kNN, plate scale"] = scaled["knn"]
    found["collapsed"] = [
        sum(bool(r.stopped) for (name, _), r in results.items() if name == v) for v in found.index
    ]
    return found


def main(wanted):
    """Print a table for every experiment whose name starts with one of those wanted."""
    for name, experiment in EXPERIMENTS.items():
        if wanted and not name.startswith(tuple(wanted)):
            continue
        start = time.monotonic()
        table = measure(experiment)
        print(
            f"\n{name}: {experiment.images} images, pixels on the scale of {experiment.scale},"
            f" {experiment.n_steps} steps, {len(experiment.seeds)} seeds,"
            f" {time.monotonic() - start:.0f} s"
        )
        print(table.round(3).to_string(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
