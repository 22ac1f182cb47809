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
# # 06b Learn across batches
#
# **Question.** When a network learns from cell images without labels, does it learn the treatment or the batch?
#
# **Reads** the image set of the run (`images.zarr`).
# **Writes** `image_scores.tsv` (every score of every variant), `image_classes.tsv` (every treatment) and `image_results.json`.
#
# Self-distillation asks a network to say the same of two views of one image. Stain, lamp and focus are the same in both views too, so a network that recognises its batch solves the task as well as one that sees the cells.
# CDCL and its relatives take the second view from *another batch* with the same treatment: then only the cells can agree. Here each of these methods is trained on the same images, and asked on experiments that none of them has seen.

# %% tags=["parameters"]
run: str = "simulated"  # the run whose images are read
seed: int = 0  # of the split, weights, views and draws
cell_type: str = "U2OS"  # cells that are looked at; cell types are learned apart
variants: list[str] = ["DINO", "BYOL", "DINO-CB", "BYOL-CB", "CDCL", "supervised"]  # methods
n_seeds: int = 1  # trainings of each, from different seeds [1..20]
n_steps: int = 300  # steps of a training [1..1000000]
encoder: str = "cnn"  # the network {cnn|vit}
normalisation: str = "plate"  # whose controls scale the pixels {global|plate}
subset: str = "all"  # fields that train: one of screenbook.images.positives.SUBSETS
pool: int = 2  # pixels averaged to one, each way [1..16]
test_share: float = 0.2  # share of the experiments held out [0.05..0.8]
ablation: bool = False  # train the other combinations of CDCL's ingredients too

# %% tags=["setup"]
import json
import shutil

import pandas as pd

from screenbook.checkpoints import Checkpoints
from screenbook.figures import distillation as curves
from screenbook.figures import embedding_scores as pictures
from screenbook.figures.image_fields import field_gallery
from screenbook.images import compare_variants as comparing
from screenbook.images.collapse import CollapseLimits
from screenbook.images.composite import composite, display_limits
from screenbook.images.embedding_scores import MEASURES, differences, score_table, variant_table
from screenbook.images.evaluate import Questions
from screenbook.images.normalise import normalise
from screenbook.images.splits import (
    leaks,
    refuse_single_class,
    rows_where,
    split_experiments,
    split_sites,
)
from screenbook.training import pick_device
from screenbook.images.variants import ABLATION, DistillationSettings, quick
from screenbook.images.views import ViewSettings
from screenbook.paths import base_run, build_dir, replacing
from screenbook.report import (
    answer,
    gate,
    headline,
    reads,
    save_table,
    say,
    show,
    show_table,
    tell,
    writes,
)
from screenbook.sources.images import open_images
from screenbook.threads import cores, side_by_side

folder = build_dir(base_run(run))
images = open_images(run)
reads(folder / "images.zarr")
images = images.subset(rows_where(images.obs, "cell_type", cell_type))
refuse_single_class(images.obs, "treatment")
obs = images.obs
split = split_experiments(obs, test=test_share, seed=seed)
batch, control = obs["batch"].astype(str).to_numpy(), (obs["role"] == "control").to_numpy()

# %% [markdown]
# ## What was photographed
#
# The negative controls of every batch look different before any treatment: that is the batch effect. What a treatment does has to be seen through it.
# The composites below share one brightness scale, so that differences between batches stay visible.

# %%
n_of = obs.groupby("treatment", observed=True).size()
say(f"{len(images):,} fields of **{cell_type}** in {obs['batch'].nunique()} batches of {obs['experiment'].nunique()} experiments: {int(control.sum()):,} of negative controls and {int((~control).sum()):,} of {obs.loc[~control, 'treatment'].nunique()} treatments ({n_of[n_of.index != 'control'].min() if (~control).any() else 0} fields or more each), with the channels {', '.join(images.channels)}.")  # fmt: skip
two, both = sorted(set(batch))[:2], obs.groupby("treatment", observed=True)["batch"]
both = both.agg(lambda of: set(two) <= set(of.astype(str)))  # treatments that both of them have
some = obs["batch"].astype(str).isin(two) & obs["treatment"].map(both).astype(bool)
drawn = obs[some].sort_values(["batch", "role", "treatment"], kind="stable").groupby(["batch", "treatment"], observed=True, sort=False).head(1)  # fmt: skip
drawn = drawn.groupby("batch", observed=True, sort=False).head(8)
pixels = images.load(obs.index.get_indexer(drawn.index))
limits = display_limits(pixels)
fig = field_gallery(composite(pixels, images.channels, limits), drawn.assign(batch=drawn["batch"].astype(str), treatment=drawn["treatment"].astype(str)), group="batch", label="treatment", columns=8, title="The same treatments in two batches", subtitle="composites of all channels, on one scale of brightness; for the eye only")  # fmt: skip
show(fig, "One field of the negative control and of some treatments in two batches. Networks get all channels apart, not these colours.", wide=True, thumbnail=True)  # fmt: skip

# %% [markdown]
# ## Who is learned from, and who is asked
#
# Whole experiments are held out. A split of fields would put one site of a well into training and the other into the test; the table shows what such a split shares, and how much.

# %%
shared = pd.concat({"by experiment (used here)": leaks(obs, split), "by field (the classic leak)": leaks(obs, split_sites(obs, test=test_share, seed=seed))}, names=["split"]).reset_index(level=0)  # fmt: skip
show_table(shared, "Wells, plates and experiments with fields on both sides of a split, and the share of held-out fields that they concern.", file="image_split")  # fmt: skip
say(f"{int(split.train.sum()):,} fields of {obs.loc[split.train, 'experiment'].nunique()} experiments are learned from; {int(split.test.sum()):,} of {obs.loc[split.test, 'experiment'].nunique()} ({', '.join(sorted(obs.loc[split.test, 'experiment'].astype(str).unique()))}) are only asked.")  # fmt: skip

# %% [markdown]
# ## Training
#
# A student network is trained to match its teacher, the moving average of its own weights. **DINO** compares soft assignments to prototypes, **BYOL** predicts features; **-CB** takes the second view from another batch with the same treatment; **CDCL** adds a centre of the teacher for every batch and a term against redundant features. **Supervised** is told the treatment outright.
# Cross-batch methods are told which fields share a treatment, so they are to be held against *supervised* as well as against DINO.
#
# Views are crops, quarter turns, mirror images and small shifts of each channel: what a microscope may do to the same cells. Nothing is blurred and no channels are mixed.
# A training that collapses, where all images get the same features, is stopped, and says so.

# %%
fields = normalise(images.load(), batch, control & split.train if normalisation == "global" else control, normalisation, pool=pool, channels=images.channels)  # fmt: skip
more = [name for name in ABLATION if name not in variants] if ablation else []
views = ViewSettings(size=8 * max(2, round(0.6 * fields.shape[-1] / 8)))  # of any field, 60 %
settings = quick(DistillationSettings(encoder=encoder, views=views), n_steps=n_steps, seed=seed, warmup_steps=min(20, n_steps // 4), record_every=max(1, n_steps // 40))  # fmt: skip
trial = comparing.Trial(fields, obs, split, settings, subset, Questions(seed=seed))
comparing.check_trial(trial, [*variants, *more])
keep = folder / "checkpoints" / trial.digest()
one = n_steps < 50 or pick_device("auto").type == "cuda"  # starting a process takes seconds
jobs = 1 if one else max(1, cores() // side_by_side())
results = comparing.compare_variants(trial, [*comparing.BASELINES, *variants, *more], [seed + i for i in range(n_seeds)], jobs=jobs, keep=lambda name: Checkpoints(keep / f"{name}.pt"), tell=tell)  # fmt: skip

# %%
stopped = {key: r.stopped for key, r in results.items() if r.stopped}
for (name, s), why in stopped.items():
    say(f"**{name}**, seed {s}, was stopped: {why}. Its scores below are those of a collapsed network.")  # fmt: skip
noted = dict.fromkeys(f"- {name}: {note}" for (name, _), r in results.items() for note in r.evaluation.notes)  # fmt: skip
if noted:
    say("What was left out while asking:\n\n" + "\n".join(noted))
alone = max(e.n_alone for e in results.values())
if alone:
    say(f"{alone:,} training fields have a treatment that no other batch has: where views come from two batches, they are paired with themselves.")  # fmt: skip
say(f"{sum(len(r.history) > 0 for r in results.values())} trainings of at most {n_steps:,} steps on a {pick_device('auto').type.upper()}; {len(stopped)} collapsed.")  # fmt: skip

# %%
limits = CollapseLimits()
fig = curves.training_curves(comparing.histories(results), limits={"dino": limits.loss_share, "spread": limits.spread, "rank": limits.rank}, title=f"{len(stopped)} trainings collapsed" if stopped else "No training collapsed" if n_steps > limits.grace else "Too few steps to tell a collapse", subtitle="beyond a dashed line a training counts as collapsed")  # fmt: skip
show(fig, "Training of each variant: its loss, DINO's loss over the logarithm of the number of prototypes (1: it says nothing), how far features of different fields point apart, and how many directions they fill.", wide=True)  # fmt: skip

# %% [markdown]
# ## Treatment or batch?
#
# On held-out experiments: is the treatment told by the nearest training fields (weighted, ten of them)? Among training experiments: is the *batch* told by the nearest fields of other wells, and do neighbourhoods look like a random mix of batches (kBET: share of neighbourhoods that pass at 5 %; 95 % pass where batches mix)?
# A good embedding is up, and on the left for the batch, on the right for kBET.

# %%
asked = [r.evaluation for r in results.values()]
table = variant_table(asked)
main = table[table["variant"].isin([*comparing.BASELINES, *variants])]
plain, scaled = (
    main[main["standardised"] == how].set_index("variant") for how in ("none", "plate")
)
free = [
    n for n in variants if n not in ("supervised", *comparing.BASELINES)
]  # of treatment as a target
best = plain.loc[free or list(plain.index), "knn"].idxmax()
fig = curves.accuracy_against_batches(main, runs=score_table(asked) if n_seeds > 1 else None, title=f"{best} tells {plain.loc[best, 'knn']:.0%} of the fields of unseen experiments right, {comparing.UNTRAINED} {plain.loc[comparing.UNTRAINED, 'knn']:.0%}", subtitle=f"{int(split.test.sum()):,} held-out fields, {n_seeds} seed{'s' * (n_seeds > 1)}")  # fmt: skip
show(fig, "Treatment accuracy on held-out experiments against how well the batch is told (left) and how well batches mix (right). Dotted lines are chance, and what perfect mixing would give.", wide=True)  # fmt: skip
show_table(main.round(4), "Every variant, as it is (none) and after each plate was put on the scale of its negative controls (plate). Intervals are over held-out experiments; _sd is over training seeds.", rows=20, file="image_variants")  # fmt: skip

# %% [markdown]
# ## What a plate's controls already mend
#
# The simplest remedy needs no network: give every feature of every plate the mean and spread of that plate's own controls. It is applied to the finished embeddings here, to the channel statistics as to the networks.

# %%
measures = {"knn": "nearest neighbours", "linear": "linear probe", "batch_id": "batch told"}
gain = scaled["knn"] - plain["knn"]
first = scaled["knn"].idxmax()
fig = pictures.standardisation_gain(main, measures, title=f"On the scale of the controls, {first} is first with {scaled.loc[first, 'knn']:.0%}", subtitle="as it is, and after every plate was standardised by its negative controls; 95 % over held-out experiments")  # fmt: skip
show(fig, "Accuracy for treatments and for batches before and after standardisation by plate.", wide=True)  # fmt: skip
say(f"Standardising gains {gain.max():+.2f} ({gain.idxmax()}) to {gain.min():+.2f} ({gain.idxmin()}). Without any network, channel statistics reach {plain.loc[comparing.PIXELS, 'knn']:.2f} as they are and {scaled.loc[comparing.PIXELS, 'knn']:.2f} standardised; the batch is then told at {scaled.loc[comparing.PIXELS, 'batch_id']:.2f} (chance {scaled.loc[comparing.PIXELS, 'batch_id_chance']:.2f}): shift and scale take off {'only a part' if scaled.loc[comparing.PIXELS, 'batch_id'] > 2 * scaled.loc[comparing.PIXELS, 'batch_id_chance'] else 'nearly all'} of what these statistics know of the batch.")  # fmt: skip
against = differences([e for e in asked if e.variant in set(main["variant"])], comparing.PIXELS)
side = against[against["standardised"] == "plate"]
fig = pictures.differences_from(against, comparing.PIXELS, title=f"{int((side['low'] > 0).sum())} of {len(side)} embeddings beat channel statistics once both are standardised" if side["low"].notna().any() else "One experiment is held out: differences have no interval", subtitle="paired by held-out experiment, 95 % interval")  # fmt: skip
show(fig, "Accuracy by nearest neighbours less that of channel statistics treated likewise.", wide=True)  # fmt: skip

# %% [markdown]
# ## Which treatments
#
# Chance is the same for every treatment; weak ones stay near it.

# %%
classes = pd.concat([e.per_class.assign(variant=e.variant, seed=e.training_seed) for e in asked], ignore_index=True)  # fmt: skip
chosen = classes[(classes["by"] == "knn") & (classes["standardised"] == "none") & classes["variant"].isin(list(plain.index))]  # fmt: skip
wide = chosen.pivot_table("recall", "class", "variant", sort=False)[list(plain.index)]
moa = obs.assign(treatment=obs["treatment"].astype(str)).groupby("treatment")["moa"].first().astype(str) if "moa" in obs else None  # fmt: skip
fig = pictures.treatment_accuracy(wide, moa, title=f"{wide.mean(axis=1).idxmax()} is told most easily, {wide.mean(axis=1).idxmin()} least", subtitle="share of the held-out fields of each treatment told right by nearest neighbours")  # fmt: skip
show(fig, "Accuracy by treatment and variant, treatments of one mechanism together.", wide=True)
if "mechanism_nsc" in plain:
    say("The nearest profile of *another* compound has the same mechanism (NSC): " + ", ".join(f"{n} {v:.2f}" for n, v in plain["mechanism_nsc"].items()) + f" (chance {plain['mechanism_nsc_chance'].mean():.2f}).")  # fmt: skip

# %% [markdown]
# ## Which ingredient does it?
#
# CDCL differs from DINO by three things: positives from another batch, a teacher centre for each batch, and the redundancy term. Trained one by one (`ablation`), they show which of them pays.

# %%
parts = table[table["variant"].isin(list(ABLATION)) & (table["standardised"] == "none")]
crossed = [name for name, variant in ABLATION.items() if variant.cross_batch]
if ablation:
    told = parts.set_index("variant")["knn"]
    gains = [told[name] - told["DINO-CB"] for name in ("DINO-CB + centres", "DINO-CB + redundancy", "CDCL")]  # fmt: skip
fig = pictures.ablation(parts, {"knn": "treatment, held-out experiments", "batch_id": "batch told", "kbet": "kBET acceptance"}, cross_batch=crossed, title=f"Added to partners, centres change the accuracy by {gains[0]:+.2f}, redundancy by {gains[1]:+.2f}, both by {gains[2]:+.2f}" if ablation else "What was trained of them: " + (", ".join(parts["variant"]) or "nothing"), subtitle=f"{n_seeds} seed{'s' * (n_seeds > 1)}" + ("" if ablation else "; the parameter ablation trains the others"))  # fmt: skip
show(fig, "Treatment accuracy, batch accuracy and kBET acceptance for combinations of CDCL's three ingredients; colour marks those with partners from another batch.", wide=True)  # fmt: skip

# %%
tidy = score_table(asked)
columns = {"variant": "method", "training_seed": "seed of the training", "target": "what is told", "standardised": "none: as it is; plate: each plate on the scale of its controls", "measure": "what is measured: " + "; ".join(f"{k}: {v}" for k, v in MEASURES.items()), "value": "score", "low": "95 % interval", "high": "95 % interval", "chance": "score without the signal; for kbet, of perfect mixing", "n": "fields or profiles", "n_groups": "groups behind the interval", "groups": "what the interval is over"}  # fmt: skip
save_table(tidy, run, "image_scores", columns)
save_table(classes, run, "image_classes", {"standardised": "none or plate", "by": "knn: nearest neighbours; linear: linear probe", "class": "treatment", "n": "held-out fields", "recall": "share of them told right", "precision": "share of the fields called so that are", "confused_with": "what it is most often taken for", "confused_share": "how often", "variant": "method", "seed": "seed of the training"})  # fmt: skip
with replacing(writes(folder / "image_results.json")) as part:
    part.write_text(json.dumps([e.results() for e in asked], indent=1), encoding="utf-8")

# %% [markdown]
# ## Against the truth
#
# The simulation knows of every field how large its nuclei were drawn, how dispersed the Golgi, and how wide the point spread of its microscope. A ridge regression from each embedding, trained on the training experiments and judged on the others, shows what is in there: knobs of the cells, or of the batch.

# %%
truth_file = folder / "truth" / "images.tsv"
if truth_file.is_file():
    from screenbook.images.knob_recovery import knob_recovery, knob_tables

    drawn = pd.read_csv(reads(truth_file), sep="\t", index_col=0).loc[obs.index]
    drawn = drawn[[c for c in drawn if c.startswith("biology_") or c in ("batch_psf_um_actin", "batch_haze_actin", "batch_gamma_actin", "batch_illumination_depth_actin", "batch_gain_actin", "batch_photons")]]  # fmt: skip
    embeddings = {name: r.embedding for (name, s), r in results.items() if s == seed and name in plain.index}  # fmt: skip
    told = {name: knob_recovery(x, drawn, obs, seed=seed) for name, x in embeddings.items()}
    for kind, knobs in knob_tables(told).items():
        fig = pictures.knob_recovery({kind: knobs}, title=f"What the embeddings know: knobs that vary {kind}", subtitle="R² of a ridge regression on experiments held out in turn; 0 is what the mean would give")  # fmt: skip
        show(fig, f"How well each knob of the simulation that varies {kind} is told from each embedding.", wide=True)  # fmt: skip
else:
    say("These images are real: no truth is known of them.")

# %% [markdown]
# ## What we found

# %%
cb, free = ([n for n in names if n in plain.index] for names in (("DINO-CB", "BYOL-CB", "CDCL"), ("DINO", "BYOL")))  # fmt: skip
between = plain.apply(lambda r: f" ({r['knn_low']:.2f} to {r['knn_high']:.2f})" if r["knn_low"] == r["knn_low"] else "", axis=1)  # fmt: skip
lines = [f"{name}: treatment {plain.loc[name, 'knn']:.2f}{between[name]}, batch {plain.loc[name, 'batch_id']:.2f}, kBET {plain.loc[name, 'kbet']:.2f}; standardised by plate {scaled.loc[name, 'knn']:.2f}" for name in plain.index]  # fmt: skip
say("\n".join(f"- {line}" for line in lines))
chance = f"chance {plain['knn_chance'].iloc[0]:.2f} for the treatment and {plain['batch_id_chance'].iloc[0]:.2f} for the batch"  # fmt: skip
paid = f"With partners from other batches ({', '.join(cb)}) the treatment is told in {plain.loc[cb, 'knn'].mean():.2f} of the held-out fields and the batch in {plain.loc[cb, 'batch_id'].mean():.2f}; without ({', '.join(free)}) in {plain.loc[free, 'knn'].mean():.2f} and {plain.loc[free, 'batch_id'].mean():.2f} ({chance}). " if cb and free else f"Levels: {chance}. "  # fmt: skip
extra = f"CDCL's further ingredients change DINO-CB by {plain.loc['CDCL', 'knn'] - plain.loc['DINO-CB', 'knn']:+.2f}. " if {"CDCL", "DINO-CB"} <= set(plain.index) else ""  # fmt: skip
others = scaled["knn"].drop(comparing.PIXELS)
simple = f"Channel statistics on the scale of each plate's controls reach {scaled.loc[comparing.PIXELS, 'knn']:.2f}, the best network treated likewise {others.max():.2f} ({others.idxmax()}), an untrained network {scaled.loc[comparing.UNTRAINED, 'knn']:.2f}."  # fmt: skip
answer(paid + extra + simple)
learned = plain.loc[list(variants), "knn"]
gate(bool(learned.max() > 2 * plain["knn_chance"].iloc[0]), f"The best training must tell the treatment twice as often as chance; {learned.idxmax()} tells {learned.max():.2f} (chance {plain['knn_chance'].iloc[0]:.2f}).")  # fmt: skip
headline(**{f"knn_{n}": round(float(v), 4) for n, v in plain["knn"].items()}, **{f"batch_id_{n}": round(float(v), 4) for n, v in plain["batch_id"].items()}, **{f"kbet_{n}": round(float(v), 4) for n, v in plain["kbet"].items()}, **{f"knn_plate_{n}": round(float(v), 4) for n, v in scaled["knn"].items()})  # fmt: skip

shutil.rmtree(keep, ignore_errors=True)  # all is trained and told: nothing is left to resume

# %% [markdown]
# ## What could be wrong
#
# - Cross-batch methods know which fields share a treatment. What they gain over DINO they partly owe to that knowledge, as *supervised* does.
# - One training is one draw. Unless `n_seeds` is 3 or more, differences of a few points between methods are not differences; the intervals are over held-out experiments, not over trainings.
# - Trainings of a minute are short, and the network is small. That a method does not pay here does not say that it never does.
# - kBET and batch accuracy look at training experiments. An embedding may mix batches it has learned from and still take a new batch for something else; the table holds both.
# - On the simulated images the batch effect is drawn by us. It has the kinds of cause that microscopes have, in amounts that we chose.
#
# ## Methods and citations
#
# - DINO: Caron et al. 2021, doi:10.1109/ICCV48922.2021.00951. BYOL: Grill et al. 2020, arXiv:2006.07733. Redundancy term (Barlow Twins): Zbontar et al. 2021, arXiv:2103.03230.
# - CDCL, cross-batch positives, centres by batch: Haslum et al. 2022, arXiv:2212.11595.
# - Weighted nearest neighbours: Wu et al. 2018, doi:10.1109/CVPR.2018.00393. kBET: Büttner et al. 2019, doi:10.1038/s41592-018-0254-1. Grit: Way et al. 2022, doi:10.1016/j.cels.2022.10.001.
# - Not-same-compound matching: Ljosa et al. 2013, doi:10.1177/1087057113503553.

# %% [markdown]
# ## Provenance
