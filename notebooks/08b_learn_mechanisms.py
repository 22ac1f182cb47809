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
# # 08b Learn mechanisms from images
#
# **Question.** Told the mechanism of some compounds, does a network see it in the cells of others?
#
# **Reads** the image set of the run (`images.zarr`).
# **Writes** `mechanism_networks.tsv` (every network and split), `mechanism_layers.tsv` and `mechanism_fields.tsv` (the call of every field by a network that never saw its compound).
#
# Cell2Structure fine-tuned a network on images of some compounds and asked it about others: 95 % right in training, 60 % at best in validation, whatever was tried. It went on with the embeddings of that network, those of its training images among them.
# Here the same is done with the gap taken apart, and every embedding that is looked at comes from a network that never learned from that compound.

# %% tags=["parameters"]
run: str = "simulated"  # the run whose images are read
seed: int = 0  # of folds, weights, views and permutations
channels: list[str] = []  # of the images; empty: all of them
backbone: str = "cnn"  # the network {cnn|resnet18}
weights: str = ""  # file or address of its weights (resnet18-f37072fd.pth); blank: cell types first
normalisation: str = "plate"  # whose controls scale the pixels {global|plate}
pool: int = 3  # pixels averaged to one, each way [1..16]
n_steps: int = 100  # most steps of a training [1..1000000]
n_folds: int = 0  # folds of compounds; 0: as many as the largest mechanism has compounds [0..20]
n_permutations: int = 999  # deals of the mechanisms to the compounds [99..99999]

# %% tags=["setup"]
import numpy as np
import pandas as pd

from screenbook.figures import finetuning as pictures
from screenbook.figures.heat_tables import heat_tables, row_shares
from screenbook.figures.mechanism_geometry import distance_heat, own_mean_rows
from screenbook.finetune import ladder_tables as told
from screenbook.finetune.activation_maps import INPUT, map_pictures, mean_maps
from screenbook.finetune.fine_tuning import Tuning, quick
from screenbook.finetune.ladder import climb
from screenbook.finetune.mechanism_folds import known_mechanisms
from screenbook.finetune.pretraining import starting_backbone
from screenbook.images.normalise import normalise
from screenbook.paths import base_run, build_dir
from screenbook.report import answer, gate, headline, reads, save_table, say, show, show_table, tell  # fmt: skip
from screenbook.sources.images import open_images
from screenbook.sources.weights import find_weights
from screenbook.structure.embedding_geometry import averaged_distances, embedding_measures
from screenbook.structure.own_mean import own_mean_distances
from screenbook.threads import cores, side_by_side

folder = build_dir(base_run(run))
images = open_images(run)
reads(folder / "images.zarr")
images = images.select_channels(channels) if channels else images
obs = images.obs
batch, control = obs["batch"].astype(str).to_numpy(), (obs["role"] == "control").to_numpy()
jobs = max(1, cores() // side_by_side()) if n_steps > 20 else 1  # a process takes seconds to start

# %% [markdown]
# ## Who is told, and who is asked
#
# Every mechanism leaves one compound out of training at a time, so that every compound is asked once by a network that has never seen it; another compound of each mechanism decides when to stop. A mechanism with one compound cannot be asked, and compounds without a known mechanism take no part.

# %%
known = known_mechanisms(obs)
show_table(known.table(), "Mechanisms that are told, with their compounds.", file="mechanism_compounds")  # fmt: skip
if known.notes:
    say("\n".join(f"- {note}" for note in known.notes))
fields = normalise(images.load(), batch, control, normalisation, pool=pool, channels=images.channels)  # fmt: skip
bits = {"uint8": 8, "uint16": 16}[str(images.pixels.dtype)]
say(f"{int((known.code >= 0).sum()):,} fields of {len(set(known.compound[known.code >= 0]))} compounds and {len(known.names)} mechanisms; {fields.shape[1]} channels of {bits} bits, {fields.shape[2]} pixels wide after pooling, each plate on the scale of its negative controls.")  # fmt: skip

# %% [markdown]
# ## Where the network starts, and what its layers see
#
# Layers that are shut keep the weights they start with, so these decide what opening one can add. The original looked at averaged activation maps of a cat, a lighthouse and cells, and opened the two layers that saw nothing in cells. The same look, with a number: how well each layer's averaged map follows the stains of the field (correlation over pixels), and how much a linear probe of that layer tells of the mechanism, on training compounds alone.

# %%
tuning = quick(Tuning(), n_steps=n_steps, seed=seed)
state, origin = find_weights(weights) if weights else (None, "")
start = starting_backbone(fields, obs, backbone, weights=state, origin=origin, tuning=tuning)
say(start.note)
one_each = pd.Series(known.compound[known.code >= 0], np.flatnonzero(known.code >= 0))
one_each = one_each.drop_duplicates().iloc[:: max(1, one_each.nunique() // 6)][:6]
maps = map_pictures(mean_maps(start.backbone, fields[one_each.index]))
fig = pictures.activation_pictures(maps, list(one_each), title="What each layer makes of six fields", subtitle=f"mean over the maps of a layer; '{INPUT}' is the field itself")  # fmt: skip
show(fig, "Averaged activation maps of the backbone before it is told any mechanism, layer by layer; each picture on its own scale.", wide=True)  # fmt: skip

# %% [markdown]
# ## Opening layer by layer
#
# From nothing but the head to all layers; each rung is trained in every fold, with augmentation (crops, turns, mirror images, channel shifts), weight decay and early stopping, and all layers once without any of these. Beside them stand linear models, taught on the same compounds, on channel statistics and on the backbone untrained and as it starts.

# %%
ladder = climb(fields, obs, known, start, tuning, n_folds=n_folds, jobs=jobs, tell=tell)
if ladder.notes:
    say("\n".join(f"- {note}" for note in ladder.notes))
accuracy = told.accuracy_table(ladder)
honest = accuracy[accuracy["split"] == "compounds"].set_index("model")
rungs = honest[honest["kind"] == "rung"]
best = honest.loc[told.BY_VALIDATION]
bare = honest[honest["kind"] == "baseline"]["test"]
fig = pictures.unfreezing_ladder(accuracy, title=f"On compounds it never saw the chosen network tells {best['test']:.0%}, a linear model on {bare.idxmax()} {bare.max():.0%}", subtitle=f"mean recall over mechanisms; {int(best['n_folds'])} folds, {int(best['n_groups'])} compounds; 95 % intervals over compounds; chance {best['chance']:.0%}")  # fmt: skip
show(fig, "Accuracy of every rung on the fields it learned from, on the compound that stopped it, and on compounds it never saw.", wide=True, thumbnail=True)  # fmt: skip
show_table(accuracy.drop(columns=["augmented", "weight_decay", "early_stopping", "n_folds"]).round(3), "Every network and baseline, by what was held out. Gap: training less test.", rows=12, file="mechanism_networks")  # fmt: skip

# %%
layers = told.layer_means(ladder)
chosen = told.chosen_rungs(ladder).groupby(["choice", "rung"], sort=False).size().rename("folds").reset_index()  # fmt: skip
fig = pictures.layer_rows(layers, title=f"{layers.loc[layers['sees'].idxmin(), 'layer']} follows the stains least, {layers.loc[layers['probe'].idxmax(), 'layer']} tells most of the mechanism", subtitle="before tuning; training compounds only, mean over folds; dotted: chance of the probe")  # fmt: skip
show(fig, "Correlation of each layer's averaged map with the stains, and accuracy of a linear probe on it.", wide=True)  # fmt: skip
show_table(chosen, "Which layers each rule opens, and in how many folds: layers whose maps lose sight of the cells (as the original chose), those behind the best probe, and what validation compounds say.", file="mechanism_choices")  # fmt: skip
by_rule = ", ".join(f"{name}: {honest.loc[name, 'test']:.2f}" for name in told.CHOICES)
say(f"Accuracy on unseen compounds by rule: {by_rule}. The best rung itself reaches {rungs['test'].max():.2f} ({rungs['test'].idxmax()}), which nobody knows beforehand.")  # fmt: skip

# %% [markdown]
# ## What the gap is made of
#
# The same network, asked about compounds, about experiments, and about fields it has not seen. Where fields are split at random, other fields of the same well, and of the same compound, are in training; where experiments are held out, still the same compound.

# %%
everything = rungs.index[-1]
plain = [m for m in accuracy["model"].unique() if m.endswith("no remedy")]
at = accuracy[accuracy["model"] == everything].set_index("split")
fig = pictures.gap_by_split(accuracy, [everything, *plain], title="Training less test: " + ", ".join(f"{s} held out {g:+.2f}" for s, g in at["gap"].items()), subtitle=f"{everything}, with remedies and without")  # fmt: skip
show(fig, "The same two networks under three splits: compounds, experiments and fields held out.", wide=True)  # fmt: skip
say("; ".join(f"{split} held out: training {r['train']:.2f}, test {r['test']:.2f}" for split, r in at.iterrows()) + (f". Without augmentation, weight decay and early stopping, on unseen compounds: training {honest.loc[plain[0], 'train']:.2f}, test {honest.loc[plain[0], 'test']:.2f}." if plain else "."))  # fmt: skip

# %%
curves = told.learning_curves(ladder)
last = curves[curves["model"] == everything].sort_values("step").groupby("fold").tail(1)
fig = pictures.learning_curves(curves, title=f"All layers open, at the end: training {last['train'].mean():.2f}, validation {last['validation'].mean():.2f}", subtitle="one line for each fold; compounds held out")  # fmt: skip
show(fig, "Accuracy while training, on what is learned from and on the validation compounds.", wide=True)  # fmt: skip

# %% [markdown]
# ## Which mechanisms, which compounds
#
# Calls of the network that validation compounds chose, each by the fold that never saw the compound.

# %%
calls = told.call_table(ladder)
by_compound = told.compound_table(calls)
right = by_compound["called"] == by_compound["mechanism"]
fig = heat_tables({"called": row_shares(told.confusion(calls))}, title=f"{int(right.sum())} of {len(by_compound)} unseen compounds are called rightly", subtitle="by the largest mean share over their fields; rows: mechanism; columns: what its fields are called", value="share")  # fmt: skip
show(fig, "Share of the fields of each mechanism that are called one or another, compounds never seen.", wide=True)  # fmt: skip
show_table(by_compound.round(3), "Every compound: share of its fields that are called rightly, and what most are called.", rows=12, file="mechanism_by_compound")  # fmt: skip

# %% [markdown]
# ## The embeddings, with and without having seen the compound
#
# The mean vector of each compound, and the distances between them. Networks of different folds have spaces of their own, so each is measured by itself, on the compounds it did not learn from, and the measures are averaged. Beside them: a network that learned from fields of *every* compound, which is what one looks at when training images are among the embeddings.

# %%
mine = ladder.obs
spaces = told.embeddings(ladder)
names = list(dict.fromkeys(e.name for e in spaces))
views = {n: [(e.points, e.unseen if e.name == told.TOLD else np.ones(len(mine), dtype=bool)) for e in spaces if e.name == n] for n in names}  # fmt: skip
geometry = pd.concat([embedding_measures(v, mine, n_permutations=n_permutations, seed=seed).assign(embedding=n) for n, v in views.items()], ignore_index=True)  # fmt: skip
show_table(geometry[["embedding", "title", "value", "chance", "chance_low", "chance_high", "p"]].round(4), f"How near compounds of one mechanism lie in each embedding, beside {n_permutations:,} deals of the mechanisms to the compounds.", rows=12, file="mechanism_geometry")  # fmt: skip
ratio = geometry[geometry["measure"] == "ratio"].set_index("embedding")
compounds, distance = averaged_distances(views[told.TOLD], mine)
fig = distance_heat(distance, compounds, title=f"Within mechanisms unseen compounds are {ratio.loc[told.TOLD, 'value']:.2f} times as far apart as between (p = {ratio.loc[told.TOLD, 'p']:.2g})", subtitle=f"mean over folds in which both were unseen; {ratio.loc[told.ALL_SEEN, 'value']:.2f} times where every compound was learned from")  # fmt: skip
show(fig, "Cosine distances between the mean vectors of compounds that the network had not learned from, ordered by mechanism.", wide=True)  # fmt: skip

# %%
first = next(e for e in spaces if e.name == told.TOLD)
asked = np.flatnonzero(first.unseen)
code = pd.factorize(mine["compound"].astype(str).to_numpy()[asked], sort=True)
per = pd.DataFrame(first.points[asked] - first.points[asked].mean(axis=0)).groupby([code[0], mine["experiment"].astype(str).to_numpy()[asked]]).mean()  # fmt: skip
_, own = own_mean_distances(per.to_numpy(), per.index.get_level_values(0).to_numpy(), seed=seed)
own = own.assign(compound=code[1][own["group"]]).merge(compounds, on="compound")
fig = own_mean_rows(own, title=f"{int((own['p'] <= 0.05).sum())} of {len(own)} unseen compounds keep their direction from experiment to experiment", subtitle="first fold; one dot a compound: distance of an experiment to the mean of the others")  # fmt: skip
show(fig, "How far the experiments of each unseen compound lie from the mean of its other experiments.", wide=True)  # fmt: skip

# %% [markdown]
# ## Against the truth
#
# The simulation drew every compound as a way of turning knobs of the cell, the same knobs for compounds of one mechanism, with quirks of its own. So mechanisms can be told across compounds in principle; an error is the network's, not the label's.

# %%
truth = folder / "truth" / "images.tsv"
if truth.is_file():
    drawn = pd.read_csv(reads(truth), sep="\t", index_col=0).loc[mine.index]
    share = drawn.groupby(mine["compound"].astype(str))["responders"].first()
    joined = by_compound.assign(responders=by_compound["compound"].map(share))
    show_table(joined[["compound", "mechanism", "right", "called", "responders"]].round(2), "Share of cells that each compound acts on, beside how often it is told.", file="mechanism_truth")  # fmt: skip
else:
    say("There is no truth beside these images.")

# %% [markdown]
# ## What we found

# %%
save_table(accuracy, run, "mechanism_networks", {"split": "what is held out", "model": "network or baseline", "kind": "rung, choice, no remedy, baseline", "n_open": "layers opened", "augmented": "views", "weight_decay": "of the training", "early_stopping": "by validation compounds", "steps": "mean over folds", "train": "mean recall on what was learned from", "validation": "mean recall on validation compounds", "test": "mean recall on what was held out", "low": "95 % interval", "high": "95 % interval", "gap": "train less test", "chance": "of a guess", "n": "fields asked", "groups": "what the interval is over", "n_groups": "how many", "n_folds": "folds"})  # fmt: skip
save_table(layers, run, "mechanism_layers", {"layer": "layer, stains: the input", "sees": "correlation of its mean map with the stains", "low": "quartile", "high": "quartile", "probe": "accuracy of a linear probe", "chance": "of the probe", "by_maps": "share of folds that open it by its maps", "by_probe": "share of folds that open it by the probe"})  # fmt: skip
save_table(calls.rename_axis("field").reset_index(), run, "mechanism_fields", {"field": "id", "compound": "compound", "mechanism": "its mechanism", "experiment": "experiment", "fold": "fold that never saw it", "called": "call", "share": "of the call", **{str(n): "share of this mechanism" for n in known.names}})  # fmt: skip
sure = best["low"] > best["chance"]
gate(bool(sure), f"A network told mechanisms must tell unseen compounds better than a guess: {best['test']:.2f} ({best['low']:.2f} to {best['high']:.2f}), chance {best['chance']:.2f}.")  # fmt: skip
flatter = ratio.loc[told.ALL_SEEN, "value"]
answer(f"Told some compounds, the network that validation chose tells {best['test']:.0%} of the fields of compounds it never saw ({best['low']:.0%} to {best['high']:.0%}, chance {best['chance']:.0%}), {best['train']:.0%} of those it learned from; a linear model on {bare.idxmax()} tells {bare.max():.0%}. {int(right.sum())} of {len(by_compound)} compounds are called rightly. In the embeddings of the network with all layers open, unseen compounds of one mechanism are {ratio.loc[told.TOLD, 'value']:.2f} times as far apart as others (p = {ratio.loc[told.TOLD, 'p']:.2g}); had every compound been learned from, it would seem {flatter:.2f}.")  # fmt: skip
headline(test=round(float(best["test"]), 4), train=round(float(best["train"]), 4), gap=round(float(best["gap"]), 4), best_baseline=round(float(bare.max()), 4), compounds_right=int(right.sum()), ratio_unseen=round(float(ratio.loc[told.TOLD, "value"]), 4), ratio_all_seen=round(float(flatter), 4), p_unseen=float(ratio.loc[told.TOLD, "p"]))  # fmt: skip

# %% [markdown]
# ## What could be wrong
#
# - With three compounds of a mechanism a network learns from two, the second of which said when to stop, and is asked about one. What one compound of a mechanism has of its own is learned as the mechanism; more compounds would help more than more fields.
# - Intervals are over compounds, and there are few. Differences between rungs are mostly smaller than that.
# - The stand-in for pretraining learned cell types of the same images. ImageNet weights (`weights`) have seen more, and nothing of cells.
# - The rule by activation maps follows the original. That a layer sees cells does not mean that it sees what compounds do to them.
# - All embeddings are of one training each; seeds differ.
#
# ## Methods and citations
#
# - Cell2Structure: Hübscher & Gillet 2024 (capstone report): Inception-v3 on BBBC021, training above 95 %, validation about 60 %.
# - BBBC021: Caie et al. 2010, doi:10.1158/1535-7163.MCT-09-1148; Ljosa et al. 2012, doi:10.1038/nmeth.2083.
# - ResNet-18: He et al. 2016, doi:10.1109/CVPR.2016.90. Group norm: Wu & He 2018, arXiv:1803.08494.
# - Transfer layer by layer: Yosinski et al. 2014, arXiv:1411.1792.

# %% [markdown]
# ## Provenance
