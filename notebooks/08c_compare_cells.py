# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08c Compare single cells
#
# **Question.** Which compounds change some cells of a well and leave the others as they were?
#
# **Reads** the images of the run (`cells.zarr`, a finer set, where the run has one; else `images.zarr`).
# **Writes** `cell_tests.tsv` (every treatment by every test), `cell_shares.tsv` (share of cells that responded) and `cell_accuracy.tsv`.
#
# A mean over the cells of a well that shifts a little may be all cells changing a little, or one in seven changing much. The mean cannot tell, and where the shift is small it does not see it either.
# Here fields are cut into cells, a network learns to tell treatments cell by cell (a triplet or contrastive loss, as the author of RxRx19-analysis proposed), and wells are compared by the share of cells that left the range of the controls.

# %% tags=["parameters"]
run: str = "simulated"  # the run whose images are read
seed: int = 0  # of folds, reference wells, weights and permutations
cell_type: str = ""  # cells that are looked at; blank: those with most treatments
nuclear: str = ""  # channel of the nuclei; blank: the one whose name says so
nucleus_px: float = 18.0  # diameter of a typical nucleus, pixels [3..500]
loss: str = "contrastive"  # what the network learns by {contrastive|triplet}
n_steps: int = 300  # steps of a training [1..1000000]
share: float = 0.03  # of the reference cells that count as out of range [0.001..0.5]
n_permutations: int = 1999  # permutations of wells within plates [99..99999]
n_draws: int = 60  # draws of the check of false alarms and of power [0..10000]
show_treatment: str = ""  # whose most changed cells are shown; blank: one that the means miss

# %% tags=["setup"]
from dataclasses import replace

import numpy as np
import pandas as pd

from screenbook.cells.cell_features import cell_features
from screenbook.cells.cell_metric import MetricSettings, cross_fit, experiment_folds
from screenbook.cells.crops import cut_crops, normalise_crops
from screenbook.cells.segmentation import SegmentationSettings, segment_images
from screenbook.cells.subpopulations import CHANGED, LEARNED, MEANS, hidden_changes, null_rejections, power_by_wells  # fmt: skip
from screenbook.cells.well_accuracy import measured, well_accuracy
from screenbook.cells.wells_compared import reference_wells, well_names
from screenbook.figures import cells as pictures
from screenbook.figures.interval_rows import Axis, interval_rows
from screenbook.images.composite import composite, display_limits
from screenbook.images.pixel_statistics import channel_statistics
from screenbook.images.splits import rows_where
from screenbook.paths import base_run, build_dir
from screenbook.report import answer, gate, headline, reads, save_table, say, show, show_table  # fmt: skip
from screenbook.sources.images import open_cells
from screenbook.threads import cores, side_by_side

folder = build_dir(base_run(run))
images = open_cells(run)
reads(next(p for p in (folder / "cells.zarr", folder / "images.zarr") if p.exists()))
most = images.obs.groupby("cell_type", observed=True)["treatment"].nunique().idxmax()
images = images.subset(rows_where(images.obs, "cell_type", cell_type or str(most)))
jobs = max(1, cores() // side_by_side()) if n_steps > 20 else 1  # a process takes seconds to start

# %% [markdown]
# ## From fields to cells
#
# Nuclei are found in the DNA channel, split where they touch, and cells are grown around them in the other channels. Cells that touch the border of a field are left out: part of them is missing.

# %%
settings = SegmentationSettings(nucleus_px=nucleus_px, nuclear=nuclear)
found = segment_images(images, settings, jobs=jobs)
raw = cut_crops(images, found, side=int(2 * nucleus_px), mask_others=True)
obs = raw.obs
rows = images.obs.reset_index(drop=True).drop_duplicates("treatment").index.to_numpy()[:4]
pixels = images.load(rows)
drawn = composite(pixels, images.channels, display_limits(pixels))
per_field = found.table.groupby("row").size()
fig = pictures.outlined_fields(drawn, found.nuclei[rows], found.cells[rows], images.obs["treatment"].astype(str).iloc[rows].tolist(), title=f"{len(found.table):,} cells in {len(images):,} fields", subtitle="outlines of nuclei (white) and cells (amber)")  # fmt: skip
show(fig, "One field of some treatments with the outlines of what was found.", wide=True)
say(f"{len(images):,} fields of {images.obs['cell_type'].iloc[0]} cells, {len(found.table):,} cells ({per_field.median():.0f} in the median field; {len(images) - len(per_field)} fields without any), {len(obs):,} of them whole. {obs['treatment'].nunique()} treatments with the control, {obs['experiment'].nunique()} experiments, {len(np.unique(well_names(obs)))} wells.")  # fmt: skip

# %% [markdown]
# ## A space in which cells of one treatment are neighbours
#
# Two cells of one treatment *from different plates* are pulled together, cells of different treatments apart; so what is alike by plate does not help. Experiments are split in two halves, and every cell is looked at by the network that learned from the other half. Half of the control wells of each plate are the reference that sets its scale, and are in no test.

# %%
reference, fold = reference_wells(obs, seed=seed), experiment_folds(obs, seed=seed)
features = cell_features(images, found, obs, jobs=jobs)
crops = normalise_crops(raw, reference, pool=2)
metric = MetricSettings(loss=loss)
metric = replace(metric, training=replace(metric.training, n_steps=n_steps, seed=seed))
untrained = cross_fit(crops, fold, replace(metric, training=replace(metric.training, n_steps=0)))
fitted = cross_fit(crops, fold, metric, jobs=jobs)
of_fields = np.isin(well_names(images.obs), np.unique(well_names(obs)[reference]))
whole = measured(channel_statistics(images.load()), experiment_folds(images.obs, seed=seed))
accuracy = well_accuracy({"network on cells": (fitted, obs, reference), "untrained network on cells": (untrained, obs, reference), "measured features of cells": (measured(features.to_numpy(), fold), obs, reference), "statistics of whole fields": (whole, images.obs, of_fields)})  # fmt: skip
best = accuracy.loc[accuracy["value"].idxmax()]
fig = interval_rows(accuracy.rename(columns={"space": "row", "measure": "series"}), Axis("wells told right (0 to 1), mean over treatments"), title=f"Wells of unseen experiments are told in {best['value']:.0%} of cases at best, by the {best['space']}", subtitle=f"{int(best['n'])} wells, {int(best['n_groups'])} experiments; chance {best['chance']:.0%}")  # fmt: skip
show(fig, "Can the treatment of a well be told from the mean of its cells, in experiments that were not learned from? Nearest neighbours and a linear probe.", wide=True)  # fmt: skip

# %% [markdown]
# ## Means and cells
#
# Each treatment's wells are compared with control wells of the same plates, by permutation of wells within plates, in three ways: by the mean of measured features, which is what reports on wells rest on; by the mean in the learned space, which was taught to set changed cells apart and may show what the first mean hides; and by the **share of changed cells**: cells that lie nearer to treated cells of other experiments than nearly all reference cells do. q is over treatments.

# %%
sub = hidden_changes(features, fitted, obs, reference, share=share, n_permutations=n_permutations, seed=seed)  # fmt: skip
by_test = sub.table.pivot_table(index="treatment", columns="test", values="q", sort=False)
hidden = by_test[(by_test[CHANGED] < 0.05) & (by_test[MEANS] >= 0.05)].index.tolist()
fig = pictures.effects_by_test(sub.table, title=f"{', '.join(hidden)}: found by its cells, missed by the mean" if hidden else "No treatment is found by its cells and missed by the mean", subtitle="difference from control wells of the same plates; 95 % intervals over wells")  # fmt: skip
show(fig, "Standardised difference of each treatment's wells from control wells, by each test.", wide=True, thumbnail=True)  # fmt: skip
show_table(sub.table.round(4), "Every treatment by every test; q over treatments, found at q below 0.05.", file="cell_tests")  # fmt: skip

# %%
shown = list(sub.responding.sort_values("responding", ascending=False)["treatment"])
threshold = float(sub.cells.loc[sub.cells["marked"], "score"].min())
fig = pictures.score_distributions(sub.cells, [c for c in obs["treatment"].unique() if c not in shown] + shown[:5], title="Where the cells of each treatment lie", subtitle="score of a cell: how much nearer to treated than to control cells of other experiments", threshold=threshold)  # fmt: skip
show(fig, f"Distribution of the score over cells. Beyond the dotted line lie {share:.0%} of the reference cells.", wide=True)  # fmt: skip
told = sub.responding.set_index("treatment")
say("Share of cells that left the range of controls, at least: " + "; ".join(f"{n} {r['responding']:.0%} ({r['low']:.0%} to {r['high']:.0%})" for n, r in told.iterrows()) + ".")  # fmt: skip

# %% [markdown]
# ## The cells themselves
#
# The most changed cells of one treatment beside control cells drawn at random: if the score follows an artefact, it is seen here.

# %%
whose = show_treatment or (hidden[0] if hidden else shown[0])
ranked = sub.cells[sub.cells["treatment"] == whose].sort_values("score", ascending=False).index[:16]
plain = sub.cells[(sub.cells["role"] == "control") & ~sub.cells["reference"]].sample(16, random_state=seed, replace=True).index  # fmt: skip
at = {name: obs.index.get_indexer(ids) for name, ids in {f"{whose}: most changed cells": ranked, "control: random cells": plain}.items()}  # fmt: skip
limits = display_limits(raw.pixels[np.concatenate(list(at.values()))])
fig = pictures.cell_gallery({name: composite(raw.pixels[rows], raw.channels, limits) for name, rows in at.items()}, title=f"Most changed cells of {whose}, and cells of the control", subtitle="composites of all channels on one scale; other cells are blanked")  # fmt: skip
show(fig, f"Single cells of {whose} with the highest score, and control cells drawn at random.", wide=True)  # fmt: skip

# %% [markdown]
# ## False alarms, and how many wells it takes
#
# Control wells pose as a treatment, one of each plate, and everything but the network is worked out anew: how often is the pose found? And with fewer wells of a treatment, how often would each test have found it? With enough wells a mean finds a small shift too; the question is what it takes.

# %%
if n_draws:
    alarms = null_rejections(features, fitted, obs, n_draws=n_draws, share=share, seed=seed)
    show_table(alarms.round(3), f"Share of {n_draws} draws in which control wells that pose as a treatment are found at 5 %, with 95 % intervals.", file="cell_alarms")  # fmt: skip
    most_wells = int(sub.table["n_wells"].max())
    power = power_by_wells(sub.wells, sorted({n for n in (2, 4, 6, 8, 12, 24) if n <= most_wells}), n_draws=n_draws, seed=seed)  # fmt: skip
    fig = pictures.power_curves(power, title=f"False alarms: {', '.join(f'{r.test} {r.rejected:.0%}' for r in alarms.itertuples())}", subtitle="share of draws of wells in which each test finds each treatment at 5 %")  # fmt: skip
    show(fig, "How often each test would find each treatment with so many of its wells. Draws overlap: this is about these wells.", wide=True)  # fmt: skip

# %% [markdown]
# ## Against the truth
#
# The simulation knows where it drew every nucleus, and on which cells a compound acted.

# %%
drawn_nuclei = folder / "truth" / "nuclei.tsv"
if drawn_nuclei.is_file():
    from screenbook.cells.cells_against_truth import found_nuclei, responders_against_truth

    nuclei = pd.read_csv(reads(drawn_nuclei), sep="\t")
    seen = found_nuclei(found.table, nuclei, reach=nucleus_px / 2)
    acted = responders_against_truth(sub.cells, obs, nuclei, reach=nucleus_px / 2)
    say(f"Of {seen['n_drawn']:,} drawn nuclei {seen['recall']:.0%} are found; {seen['precision']:.0%} of the cells found were drawn.")  # fmt: skip
    fig = pictures.responding_shares(sub.responding, title="Share of cells that responded, and what was drawn", subtitle="95 % intervals over wells", truth=acted.set_index("treatment")["true_share"].to_dict())  # fmt: skip
    show(fig, "The share of cells that each treatment is seen to have changed, a lower bound, beside the share on which it was drawn to act.", wide=True)  # fmt: skip
    show_table(acted.round(3), "How well scores tell the cells that a compound acted on from the others of the same wells (AUC).", file="cell_truth")  # fmt: skip
else:
    say("There is no truth beside these images.")

# %% [markdown]
# ## What we found

# %%
save_table(sub.table, run, "cell_tests", {"test": "how wells are compared", "treatment": "treatment", "n_wells": "of the treatment", "n_control_wells": "of the same plates, not reference", "n_plates": "plates", "p": "permutation of wells within plates", "effect": "standardised difference, SD between control wells", "low": "95 % interval", "high": "95 % interval", "q": "Benjamini-Hochberg over treatments", "found": "q below 0.05"})  # fmt: skip
save_table(sub.responding, run, "cell_shares", {"treatment": "treatment", "marked": "share of its cells out of range", "control_marked": "of control cells", "responding": "share of cells that responded, at least", "low": "95 % interval", "high": "95 % interval"})  # fmt: skip
save_table(accuracy, run, "cell_accuracy", {"space": "representation", "measure": "nearest neighbours or linear probe", "value": "wells told right", "low": "95 % interval over experiments", "high": "95 % interval over experiments", "chance": "of a guess", "n": "wells", "n_groups": "experiments"})  # fmt: skip
counts = {t: int(sub.table[(sub.table["test"] == t) & sub.table["found"]].shape[0]) for t in (MEANS, CHANGED)}  # fmt: skip
both = by_test[(by_test[CHANGED] < 0.05) & (by_test[MEANS] < 0.05)].index.tolist()
one = sub.table.set_index(["treatment", "test"])
words = [f"**{t}** is found by its cells (effect {one.loc[(t, CHANGED), 'effect']:.1f}, q = {one.loc[(t, CHANGED), 'q']:.2g}; {told.loc[t, 'responding']:.0%} of its cells or more) and missed by the mean of measured features (effect {one.loc[(t, MEANS), 'effect']:.1f}, q = {one.loc[(t, MEANS), 'q']:.2g}); the mean in the learned space {'finds' if one.loc[(t, LEARNED), 'found'] else 'misses'} it (effect {one.loc[(t, LEARNED), 'effect']:.1f}, q = {one.loc[(t, LEARNED), 'q']:.2g})" for t in hidden]  # fmt: skip
gate(len(by_test) > 0 and max(counts.values()) > 0, f"At least one treatment must differ from controls by some test; {counts[MEANS]} do by well means, {counts[CHANGED]} by the share of changed cells.")  # fmt: skip
answer(f"{'; '.join(words) or 'No treatment is found by its cells alone'}. Both ways find {', '.join(both) or 'none'}; neither finds {', '.join(by_test.index[(by_test[CHANGED] >= 0.05) & (by_test[MEANS] >= 0.05)]) or 'none left'}. {len(obs):,} cells of {len(np.unique(well_names(obs)))} wells.")  # fmt: skip
headline(n_cells=len(obs), found_by_means=counts[MEANS], found_by_cells=counts[CHANGED], n_hidden=len(hidden), accuracy=round(float(accuracy.set_index(["space", "measure"]).loc[("network on cells", "knn"), "value"]), 4))  # fmt: skip

# %% [markdown]
# ## What could be wrong
#
# - The network is told treatments, and the score is learned from treated cells of other experiments. A compound whose changed cells look like nothing any compound did elsewhere is seen less well.
# - Part of what the cells gain over the measured mean is the learned space, which was told treatments; a stronger compound with the same effect may have been among them. The mean in that space stands beside it for that reason. Effects of different tests are in units of their own.
# - Segmentation decides what a cell is. A compound that makes cells touch, or die, changes who is counted.
# - The share of responding cells is a lower bound: a changed cell within the range of controls is not counted.
# - Wells are the unit, and there are few of a treatment. Power is drawn from these wells and says little of others.
# - Whether the mean misses a treatment depends on the number of wells; the figure of power says from where on it does not.
#
# ## Methods and citations
#
# - Per-cell embeddings by triplet loss: an idea of the README of RxRx19-analysis. Triplets: Hermans et al. 2017, arXiv:1703.07737. Contrastive loss with labels: Khosla et al. 2020, arXiv:2004.11362.
# - Threshold: Otsu 1979, doi:10.1109/TSMC.1979.4310076. Watershed: Meyer 1994, doi:10.1016/0165-1684(94)90060-4.
# - Ratio of densities by neighbours: Loftsgaarden & Quesenberry 1965, doi:10.1214/aoms/1177700079.
# - False discovery rate: Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.

# %% [markdown]
# ## Provenance
