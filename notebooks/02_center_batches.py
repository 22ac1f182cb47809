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
# # 02 Center batches
#
# **Question.** What does batch do to the profiles, and what takes it away without taking the biology?
#
# **Reads** the screen of the run (`screen.zarr`, `wells.zarr`).
# **Writes** `centred.zarr` (all wells, as the chosen method leaves them), `methods.tsv` (every method, every measure) and `replicates.tsv` (replicate mAP of every treatment).
#
# A plate that was stained on another day looks different, and that difference can be larger than anything a compound does.
# Many recipes promise to remove it; each can be too weak, and each can remove what the screen was made to find.
# So all of them are put to the same questions here, on control wells they have not seen, and one is chosen by a stated rule, which sees controls and replicates only.

# %% tags=["parameters"]
run: str = "simulated"  # the run whose screen is read
seed: int = 0  # of random halves, permutations, samples and bootstraps
method: str = "auto"  # which method goes on {auto|none|sequence|sequence_standard|control_center|control_standard|control_robust|control_shrunk|bulk_robust|tvn|tvn_coral|bulk_tvn|harmony}
n_components: int = 50  # principal components kept by every method [2..500]
clip: float = 10.0  # robust SD beyond which a scaled feature is held [3..1000]
pca_wells: int = 3000  # wells of a cell type that components are learned from [100..100000]
n_permutations: int = 20  # permuted labels behind each classifier's null [5..1000]
n_neighbours: int = 15  # neighbours of a control well, for kBET [5..200]
max_treatments: int = 300  # treatments whose replicates are compared between methods [20..100000]
null_size: int = 10000  # random rankings behind each p-value of a replicate mAP [100..1000000]

# %% tags=["setup"]
import numpy as np
import pandas as pd

from screenbook.figures import batches as pictures
from screenbook.figures import replicates as replicate_pictures
from screenbook.paths import base_run, build_dir
from screenbook.profiles import comparison, reference_noise
from screenbook.profiles.batches import batch_codes, cell_type_parts
from screenbook.profiles.centering import site_shift
from screenbook.profiles.centred import center_screen, control_views, follow_latent
from screenbook.profiles.judge import Questions, covariance_before_whitening
from screenbook.profiles.mechanism import match_part
from screenbook.profiles.methods import METHODS, Settings, feature_units
from screenbook.profiles.selection import choose_method
from screenbook.report import (
    answer,
    gate,
    headline,
    reads,
    save_table,
    say,
    show,
    show_table,
    writes,
)
from screenbook.screen import roles_of, write_screen
from screenbook.sources import open_screen, open_wells

wells, screen = open_wells(run), open_screen(run)
roles, parts = roles_of(wells), cell_type_parts(wells)
folder = build_dir(base_run(run))
inputs = [reads(folder / name) for name in ("screen.zarr", "wells.zarr")]
settings = Settings(n_components, clip, pca_wells, seed=seed)
questions = Questions(n_permutations, n_neighbours, max_treatments=max_treatments, seed=seed)
asked = {"settings": settings, "questions": questions}
controls = " and ".join(roles.controls)

# %% [markdown]
# ## The questions, and who is asked
#
# Every number below is measured on **control wells**, because only there is it known that wells of different plates ought to be alike.
# Wells that served as the reference of a centring lie at the centre by construction, so they must not be asked whether centring worked.
# Therefore the control wells of each plate are split in halves: a method refers to one half and is judged on the other, then the halves change places.
# Cell types are analysed apart.

# %%
compared = comparison.compare_methods(parts, **asked)
table, choice = compared.table, choose_method(compared.table, method)
chosen = METHODS[choice.method]
before = table[table["method"] == "none"].set_index("cell_type", drop=False)
after = table[table["method"] == chosen.name].set_index("cell_type", drop=False)
sentence = "in {cell_type} a classifier puts {plate_accuracy:.0%} of {n_controls:,} held-out control wells on the right one of {n_plates} plates (chance {plate_chance:.1%}), and plates explain {pcr:.0%} of their variance"  # fmt: skip
say(
    "**Before anything is done**, " + "; ".join(sentence.format(**row) for row in before.to_dict("records"))
    + f". Neighbourhoods that mix plates as they should number {before['kbet'].mean():.0%}; 95 % would if there were no batch."
)  # fmt: skip

# %% [markdown]
# ## The first public analysis, keyed rightly
#
# It subtracted from every feature the mean of each experiment, then of each site position, then of each plate (and could divide by the standard deviation).
# Two things need saying before it is judged.
# *Plate* was a number there that recurs in every experiment; here a plate is the plate of its experiment.
# And centring the site position happens before the sites of a well are averaged: where all wells have all sites, it shifts all wells alike.

# %%
left = {p.cell_type: [max(reference_noise.plates_left(p, key), 0) for key in ("plate", "batch")] for p in parts}  # fmt: skip
say(
    "How much of the controls' variance do plates explain after experiments and then plates were centred, by the number of the plate and by the plate of its experiment? "
    + "; ".join(f"In {c} {number:.1%} and {right:.1%}" for c, (number, right) in left.items())
    + ". The two agree only where plate names do not recur; otherwise the wrong key leaves plates in place."
)  # fmt: skip
if screen.uns["level"] == "site":
    address = pd.factorize(screen.obs[["experiment", "plate", "well"]].agg("/".join, axis=1))[0]
    moved = site_shift(screen.X, batch_codes(screen.obs, "site")[0], address, feature_units(wells.X))  # fmt: skip
    say(f"Centring the site position moves no well by more than {max(moved, 1e-6):.1g} SD of any feature relative to the others, so well means stand for it below.")  # fmt: skip
else:
    say("This screen has one profile per well and no sites, so there is no site to be centred.")

# %% [markdown]
# ## Every method, the same questions
#
# - **Plate told**: the share of held-out controls that a classifier puts on the right plate. Grey ticks mark what it reaches when labels are permuted. Less is better.
# - **kBET**: the share of held-out controls whose nearest neighbours come from all plates as they should; 0.95 if plates are mixed.
# - **iLISI**: how many plates there are around a control well, from 0 (one) to 1 (all equally); grey ticks mark what mixed wells would reach.
# - **Control AUC**: a shrunken linear discriminant learned on all other plates tells diseased from healthy controls; AUC over all plates together, interval over plates. More is better.
# - **Replicate mAP**: do replicates of a treatment on *other* plates come before held-out untreated wells (diseased ones, or vehicle) when wells are ranked by similarity? Mean over treatments, with one standard error. More is better.
#
# Methods in grey are for comparison, and the rule does not choose them: the original's sequences, whose means mix controls with treated wells, so that a plate with another share of controls is shifted; and Harmony, where it is installed, which corrects the wells it learns from and so cannot be judged on wells it has not seen.

# %%
shown = table.assign(map_low=table["map"] - table["map_se"], map_high=table["map"] + table["map_se"])  # fmt: skip
measures = [
    {"column": "plate_accuracy", "title": "plate told", "reference": "plate_chance"},
    {"column": "kbet", "title": "kBET"}, {"column": "ilisi", "title": "iLISI", "reference": "ilisi_mixed"},
    {"column": "auc", "title": "control AUC", "low": "auc_low", "high": "auc_high"},
    {"column": "map", "title": "replicate mAP", "low": "map_low", "high": "map_high"},
]  # fmt: skip
measures = [m for m in measures if shown[m["column"]].notna().any()]
title = f"{chosen.title}: plates told fall from {before['plate_accuracy'].mean():.0%} to {after['plate_accuracy'].mean():.0%}, replicate mAP rises from {before['map'].mean():.2f} to {after['map'].mean():.2f}"  # fmt: skip
n = table.drop_duplicates("cell_type")
fig = pictures.method_scores(shown, measures, chosen=chosen.name, title=title, subtitle=f"{n['n_controls'].sum():,} held-out {controls} wells, {n['n_treatments'].sum():.0f} treatments; shares from 0 to 1")  # fmt: skip
caption = "Each row is a method, each dot a cell type, each panel a measure from 0 to 1; grey ticks are the level without batch, and the chosen method is in bold. Uncentred, plates are told in {:.0%} of cases on average; under the chosen method in {:.1%}, with chance at {:.1%}."  # fmt: skip
show(fig, caption.format(before["plate_accuracy"].mean(), after["plate_accuracy"].mean(), after["plate_chance"].mean()), wide=True, thumbnail=True)  # fmt: skip

# %%
listed = table.drop(columns="title").dropna(axis=1, how="all")
show_table(listed, "Every method by every measure; the table's dictionary describes the columns.", rows=13, file="methods")  # fmt: skip
save_table(table, run, "methods", comparison.COLUMNS)
for (name, why), some in compared.refused.groupby(["method", "why"], sort=False):
    say(f"*{name}* cannot be had here ({', '.join(some['cell_type'])}): {why}.")

# %% [markdown]
# ## A warning: centring on the condition
#
# The first public analysis also subtracted the mean of each disease condition, by default.
# It argued that infection may have been prepared in batches; but the condition *is* the contrast that hits are measured against.
# What that does is measured in the only way that counts: learn healthy against diseased on all other plates, and ask the plate left out.

# %%
names = list(dict.fromkeys(("none", "sequence", "sequence_condition", chosen.name)))
by_plate = comparison.separation_by_plate(compared, parts, names)
pooled = table[table["method"].isin(names) & table["auc"].notna()]
warned, plain = (pooled[pooled["method"] == m].set_index("cell_type") for m in ("sequence_condition", "sequence"))  # fmt: skip
if len(warned):
    fell = "; ".join(f"{c}: {plain.loc[c, 'auc']:.3f} without, {w.auc:.3f} ({w.auc_low:.3f} to {w.auc_high:.3f}) with" for c, w in warned.iterrows())  # fmt: skip
    title = f"Centring on the condition takes the control AUC from {plain['auc'].mean():.2f} to {warned['auc'].mean():.2f}"  # fmt: skip
    fig = pictures.separation_by_plate(by_plate, pooled, title=title, subtitle=f"held-out {controls} wells; the dashed line is chance")  # fmt: skip
    show(fig, f"Leave-plate-out AUC of healthy against diseased controls under {len(names)} ways of centring; grey dots are single plates, diamonds all plates together with a 95 % interval over plates. With the condition centred, most of what tells diseased from healthy is gone: {fell}.")  # fmt: skip
    say(f"With the condition as a further batch the AUC falls ({fell}). Might the rest be biology that centring rightly spares? No: untreated diseased wells differ from the mean of *all* wells under that condition because most of those are treated, and that remainder is what the classifier still sees. "
        "Every function of this series therefore refuses `disease_condition`, `treatment`, `compound` and their like as a batch, with a sentence that says why; this row was made with a switch that exists for this demonstration.")  # fmt: skip
else:
    say("This screen has no diseased condition, or too few plates with both controls, so there is no separation to lose and nothing to warn of: its methods are judged by replicates and by how well plates can be told.")  # fmt: skip

# %% [markdown]
# ## Whitening, held to account
#
# Whitening turns and stretches the axes until control wells have unit covariance, so that directions in which controls vary anyway count less.
# On the wells it was learned from it must succeed; with too few of them it succeeds on noise.
# The test is the other half of the controls: their covariance should come out near the identity too.

# %%
pick = chosen if chosen.whiten else METHODS["tvn"]
whitened = table[(table["method"] == pick.name) & table["white_variance"].notna()]
if len(whitened):
    part = max((p for p in parts if p.cell_type in set(whitened["cell_type"])), key=lambda p: p.layout.control.sum())  # fmt: skip
    check = compared.coverings[part.cell_type, pick.name][0]
    panels = {"before whitening": covariance_before_whitening(part, pick, **asked), "after": check.covariance}  # fmt: skip
    near = "; ".join(f"{r.cell_type}: mean variance {r.white_variance:.2f}, correlations {r.white_off_diagonal:.3f} (root mean square; {r.white_expected:.3f} by chance)" for r in whitened.itertuples())  # fmt: skip
    title = f"Held-out controls come out with a mean variance of {check.mean_variance:.2f} and correlations of {check.off_diagonal:.2f}"  # fmt: skip
    fig = pictures.covariances(panels, limit=2.0, title=title, subtitle=f"{part.cell_type}, {pick.title}: {check.n:,} control wells that the whitening has not seen, {len(check.covariance)} axes")  # fmt: skip
    show(fig, f"Covariance of held-out control wells about the mean of their kind, before whitening (in units of its mean variance; the first axes may run off the scale) and after. The identity would be a diagonal of ones on an empty ground. Over both halves, {near}.", wide=True)  # fmt: skip
    say(f"Held-out controls after {pick.name}: {near}. A variance below 1 is the price of shrinkage, which keeps axes with little control variance from being blown up; one above 1 says that held-out wells scatter more than those learned from.")  # fmt: skip
else:
    say("No method that whitens can be had in this screen.")  # fmt: skip

# %% [markdown]
# ## The choice
#
# The rule: of the methods that refer to control wells or to the treated bulk of the same plate and lose no control separation (AUC not below the uncentred one by more than its standard error), take those whose replicate mAP is within one standard error of the best; of these, those whose plates are told least, within one standard error again; and of these the one that separates controls best (without a disease, the one with the highest replicate mAP).
# It looks at controls and replicates, and at no mechanism, no hit and no known drug.
# The later reports compute with the wells as the chosen method leaves them, then with all control wells as reference.

# %%
row = choice.table.set_index("method").loc[chosen.name]
title = f"{chosen.name} goes on: replicate mAP {row['map']:.2f}, plates told {row['plate_excess']:+.3f} above chance"  # fmt: skip
fig = pictures.selection(choice.table, title=title, subtitle=f"{int(choice.table['candidate'].sum())} candidates; mean over {len(parts)} cell type{'s' * (len(parts) > 1)}, bars are one standard error over treatments")  # fmt: skip
show(fig, f"Left, replicate mAP across plates of every candidate, and in grey of what is shown for comparison; the band is one standard error below the best. Right, how much better than chance the plate of a held-out control is told. {choice.reason}")  # fmt: skip
floor = [reference_noise.told_if_plates_only_shift(part, chosen, **asked) for part in parts]
sentence = "In {cell_type}, {plate_accuracy:.1%} of held-out controls are put on their plate; permuted labels give {plate_chance:.1%} on average and {plate_null_high:.1%} at the 95th percentile, and plates that differ by a shift and nothing else would leave {floor:.1%} under the same method."  # fmt: skip
say(f"{choice.reason} Is what is left of the plates a failure of the method? " + " ".join(sentence.format(**r) for r in after.assign(floor=floor).to_dict("records")) + " A centre that is estimated on few wells is off by chance, and the whole plate inherits the error; that part is nobody's fault but the design's.")  # fmt: skip

# %%
views = control_views(parts, list(dict.fromkeys((METHODS["none"], chosen))), settings)
fig = pictures.controls_before_after(views, title=f"Control wells as they came, and under {chosen.title}", subtitle=f"{len(views) // views['panel'].nunique():,} control wells on their first two principal components")  # fmt: skip
show(fig, "Control wells on the first two principal components of all control wells of their cell type, before and after; colour is the experiment (colours repeat after eight), shape the kind of control. A picture shows two of many directions, so it can only illustrate what the measures above have said.", wide=True)  # fmt: skip
centred = center_screen(wells, chosen, settings)
write_screen(centred, writes(build_dir(run) / "centred.zarr"))
say(f"`centred.zarr` holds {centred.n_obs:,} wells on {centred.n_vars} axes, made by **{chosen.name}**: it takes off {chosen.what}.")  # fmt: skip

# %% [markdown]
# ## Replicates on other plates
#
# The chosen method is now applied to all treatments, again held against controls that were no part of the centring: the kind that a treatment without effect would equal.
# The null is simulated for each design: as many replicates on as many plates among as many controls, with all similarities exchangeable and each similarity of two replicates counted by both.
# q controls the false discovery rate over all treatments of a cell type.

# %%
treatments = comparison.replicate_table(parts, chosen, **asked, null_size=null_size)
save_table(treatments, run, "replicates", comparison.TREATMENT_COLUMNS)
found, rises = treatments["q"] < 0.05, treatments["map"] > treatments["map_uncentred"]
if len(treatments):
    title = f"{found.mean():.0%} of treatments find their replicates on other plates (q < 0.05)"
    fig = replicate_pictures.replicate_gain(treatments, title=title, subtitle=f"{len(treatments):,} treatments (compound and dose) with replicates on two plates or more; dashed: no change")  # fmt: skip
    show(fig, f"Replicate mAP across plates of every treatment, uncentred against centred; diamonds have q < 0.05 (Benjamini-Hochberg over the treatments of a cell type). Centring raises it for {rises.mean():.0%} of them.")  # fmt: skip
    show_table(treatments.drop(columns="compound_key"), "Replicate mAP of every treatment, best first.", units={"treatment_conc": "µM"}, file="replicates")  # fmt: skip
    say(
        f"{int(found.sum()):,} of {len(treatments):,} treatments have q < 0.05: their replicates on other plates come before untreated wells more often than chance allows. "
        f"Would the others, had they more wells? A perfect ranking would give p = {treatments['p_least'].median():.2g} in the median design, and {(treatments['p_least'] >= 0.05).mean():.0%} of treatments have too few wells for any p below 0.05; what is not found may also be inert, which in a library is the usual case."
    )  # fmt: skip
else:
    say("No treatment stands on two plates, so replicates across plates cannot be asked for.")  # fmt: skip

# %% [markdown]
# ## Mechanisms, which had no say in the choice
#
# Where mechanisms of action (MoA) are known, one more question can be asked of every method: does a treatment's nearest neighbour have its mechanism?
# *NSC* bars neighbours of the same compound; *NSCB* also bars those that shared an experiment with it.
# A treatment without an eligible neighbour counts as wrong.
# Mechanisms are opened here for the first time, after the choice was made.

# %%
known = table.dropna(subset="nsc")
if len(known):
    rules = [{"column": c, "title": c.upper()} for c in ("nsc", "nscb") if known[c].notna().any()]
    best = known[known["method"] == chosen.name]
    title = "Nearest neighbours share a mechanism in " + " and ".join(f"{best[m['column']].mean():.1%} ({m['title']})" for m in rules) + " of treatments"  # fmt: skip
    fig = pictures.method_scores(known, rules, chosen=chosen.name, title=title, subtitle=f"{known.drop_duplicates('cell_type')['n_mechanism'].sum():.0f} treatments with a known mechanism, all counted; share from 0 to 1")  # fmt: skip
    told = " ".join(f"{r.title} ({r.cell_type}): " + ", ".join(f"{m['title']} {getattr(r, m['column']):.3f}" for m in rules) + "." for r in known.itertuples() if r.method in ("none", chosen.name))  # fmt: skip
    show(fig, f"Share of treatments whose nearest neighbour (cosine of mean profiles) has their mechanism, by method, with all control wells as reference. {told}", wide=True)  # fmt: skip
else:
    say("The metadata name no mechanisms, or too few compounds share one, so this is not asked.")  # fmt: skip

# %%
matches = {p.cell_type: match_part(p, centred.X[p.rows], seed=seed) for p in parts}
for name, match in ((name, match) for name, match in matches.items() if match):
    rule = "nscb" if np.isfinite(match.nscb) else "nsc"
    away = f"NSCB {match.nscb:.3f} (by chance {match.chance_nscb:.3f})" if rule == "nscb" else "NSCB not defined, since every treatment shares an experiment with every other"  # fmt: skip
    say(f"**{name}**: NSC {match.nsc:.3f} (by chance {match.chance_nsc:.3f}), {away}, of {len(match.table)} treatments. One treatment more or less is {1 / len(match.table):.3f}, so methods that differ by a few of them do not differ.")  # fmt: skip
    if match.nsc < 0.5:
        say("Most treatments of this library may do nothing, and what does nothing has no mechanism to be found by.")  # fmt: skip
        continue
    pairs = match.table.rename(columns={f"{rule}_mechanism": "neighbour"})
    missed = pairs.loc[pairs["mechanism"] != pairs["neighbour"], "mechanism"].value_counts()
    title = f"{name}: {rule.upper()} fails most for {missed.index[0]}" if len(missed) else f"{name}: every neighbour has the mechanism"  # fmt: skip
    fig = replicate_pictures.mechanism_confusion(pairs, title=title, subtitle=f"{len(pairs)} treatments; nearest neighbour by {rule.upper()}; numbers are treatments")  # fmt: skip
    show(fig, f"Mechanism of each treatment (rows) against that of its nearest eligible neighbour (columns) under {chosen.title}. {len(pairs) - int(missed.sum())} of {len(pairs)} lie on the diagonal.")  # fmt: skip

# %% [markdown]
# ## Against the truth
#
# In a simulated screen it is known how infected every well really is, what a compound undid of it, and by how much every plate was shifted.

# %%
truth, address = folder / "truth", ["experiment", "plate", "well"]
if (truth / "compounds.tsv").is_file():
    true = pd.read_csv(reads(truth / "wells.tsv"), sep="\t", dtype=dict.fromkeys(address, str)).set_index(address)  # fmt: skip
    true = true.reindex(pd.MultiIndex.from_frame(wells.obs[address].astype(str)))
    latent = pd.DataFrame({"rescue": -true["rescue"], "infection": true["infection"]}).mask(true[["outlier", "empty"]].astype(bool).any(axis=1))  # fmt: skip
    tried = list(dict.fromkeys(METHODS[m] for m in ("none", "sequence_condition", "control_center", "tvn", chosen.name)))  # fmt: skip
    recovered = follow_latent(parts, latent, tried, settings)
    rescue, infection = (recovered.groupby("method", sort=False)[c].mean() for c in latent)
    title = f"An axis learned on other plates' controls follows the true rescue of treated wells at r = {rescue[chosen.name]:.2f}; uncentred, {rescue['none']:.2f}"  # fmt: skip
    fig = pictures.method_scores(recovered, [{"column": "rescue", "title": "r with true rescue"}, {"column": "infection", "title": "r with true infection"}], chosen=chosen.name, title=title, subtitle=f"Pearson correlation over {int((wells.obs['role'] == 'treated').sum()):,} treated wells without accidents; all controls as reference")  # fmt: skip
    show(fig, "How well each method lets controls of other plates tell what a compound undoes in a treated well (left, sign turned), and how infected the well is (right); the truth was not used before this section. " + " ".join(f"{METHODS[m].title}: {rescue[m]:.3f} and {infection[m]:.3f}." for m in rescue.index), wide=True)  # fmt: skip
    say(f"Of {len(tried)} methods, {rescue.idxmax()} follows the true rescue best (r = {rescue.max():.3f}); the rule, which knew nothing of it, chose {chosen.name} (r = {rescue[chosen.name]:.3f}). The true infection is followed best by {infection.idxmax()} (r = {infection.max():.3f}; {chosen.name} {infection[chosen.name]:.3f}). The two differ where plates differ: on a plate whose virus was weak all wells are less infected, which is true and no compound's doing; a reference made of treated wells takes all of that away, one made of healthy and diseased controls half of it. Centring on the condition follows the rescue at r = {rescue['sequence_condition']:.3f}.")  # fmt: skip
    headline(rescue_r=round(float(rescue[chosen.name]), 4), rescue_r_uncentred=round(float(rescue["none"]), 4), rescue_r_best=round(float(rescue.max()), 4))  # fmt: skip
else:
    say("This screen was not simulated, so there is no truth to hold the choice against.")  # fmt: skip

# %%
if (truth / "compounds.tsv").is_file():
    plates = pd.read_csv(reads(truth / "plates.tsv"), sep="\t", dtype={"experiment": str, "plate": str})  # fmt: skip
    plates = plates.assign(batch=plates["experiment"] + "/" + plates["plate"]).set_index("batch")
    first, last = (reference_noise.plate_distances(parts, m, **asked).set_index("batch") for m in (METHODS["none"], chosen))  # fmt: skip
    offsets = last.assign(before=first["distance"], after=last["distance"], injected=plates["shift"]).dropna(subset="injected").reset_index()  # fmt: skip
    title = f"Plates stood {offsets['before'].mean():.1f} SD apart; {offsets['after'].mean():.2f} SD is left, where chance alone gives {offsets['expected'].mean():.2f}"  # fmt: skip
    fig = pictures.plate_offsets(offsets, title=title, subtitle=f"{len(offsets)} plates; held-out control wells, root mean square over axes")  # fmt: skip
    show(fig, f"Distance of each plate's held-out controls from those of all plates of its cell type, against the length of the shift that was put in. After {chosen.title}, {offsets['after'].mean():.2f} SD is left on average, where as few control wells would give {offsets['expected'].mean():.2f} if plates did not differ at all.")  # fmt: skip
    say(f"Before, plates lie {offsets['before'].mean():.2f} SD from the middle of their cell type; after, {offsets['after'].mean():.2f}. Of that, {offsets['expected'].mean():.2f} is what the scatter of a handful of held-out wells gives by itself, so {np.sqrt(max((offsets['after'] ** 2 - offsets['expected'] ** 2).mean(), 0)):.2f} SD is what centring leaves of the plates.")  # fmt: skip

# %% [markdown]
# ## What we found

# %%
told = "; ".join(f"{c} {before.loc[c, 'plate_accuracy']:.1%} before, {a.plate_accuracy:.1%} after (chance {a.plate_chance:.1%})" for c, a in after.iterrows())  # fmt: skip
aucs = "; ".join(f"{c} {before.loc[c, 'auc']:.3f} before, {a.auc:.3f} ({a.auc_low:.3f} to {a.auc_high:.3f}) after" for c, a in after.iterrows() if np.isfinite(a.auc))  # fmt: skip
shares = "; ".join(f"{c} NSC {m.nsc:.3f}" + f", NSCB {m.nscb:.3f}" * bool(np.isfinite(m.nscb)) for c, m in matches.items() if m)  # fmt: skip
facts = [f"Plates told from held-out controls: {told}.", f"Replicate mAP across plates: {before['map'].mean():.3f} before, {after['map'].mean():.3f} after; {int(found.sum()):,} of {len(treatments):,} treatments have q < 0.05."]  # fmt: skip
facts += [f"Leave-plate-out AUC of the controls: {aucs}; centring on the condition would leave {warned['auc'].mean():.3f}."] if aucs else []  # fmt: skip
facts += [f"Nearest neighbours share a mechanism: {shares}."] if shares else []
answer(" ".join((f"**{chosen.name}** ({chosen.title}) goes on.", *facts)))
say("\n".join(f"- {line}" for line in (f"**{chosen.name}** ({chosen.title}) goes on. {choice.reason}", *facts)))  # fmt: skip
apart = bool(after["auc_low"].gt(0.5).all()) if roles.has_disease else bool(found.any())
gate(apart, f"Healthy and diseased controls {'are' if apart else 'are **not**'} told apart on plates not seen: {aucs or 'not testable'}." if roles.has_disease else f"{int(found.sum())} of {len(treatments)} treatments find their replicates on other plates (q < 0.05).")  # fmt: skip
numbers = {f"{m}_{c}": round(float(a[m]), 4) for c, a in after.iterrows() for m in ("plate_accuracy", "plate_chance", "auc", "map", "nsc", "nscb") if np.isfinite(a[m])}  # fmt: skip
headline(method=chosen.name, map_before=round(float(before["map"].mean()), 4), map_after=round(float(after["map"].mean()), 4), treatments_found=int(found.sum()), treatments=len(treatments), **numbers)  # fmt: skip

# %% [markdown]
# ## What could be wrong
#
# - **Controls stand in few places.** If a plate differs where its controls do not stand, no measure here sees it; the position maps of report 01 do.
# - **Shared positions.** Replicates that return to the same well on every plate resemble each other by position too, and mAP counts that in their favour.
# - **The bulk as reference** is safe while most compounds do little and plates carry a similar mix. A plate of one compound class is pulled to the centre; the rule notices by its replicates, not by name. A plate whose disease was weak is made to look as diseased as the others, controls included: compare with the controls of the same plate before calling a well healthy.
# - **Halves are small.** Judged with half of the controls as reference, every control-referenced method looks worse than it will be with all of them; bulk methods do not.
# - **One number for a plate.** A linear classifier sees shifts. Plates that differ in scatter or in shape only are seen by kBET, with little power when a plate has few controls.
# - **The rule maximises agreement.** Replicates that share a systematic error agree as well; control separation and the truth of a simulated screen are the counterweights.
# - **Settings** (50 components, clipping at 10 robust SD, Ledoit-Wolf shrinkage) are conventions, and were not tuned on any screen's mechanisms; changing them moves NSC and NSCB by several treatments. BBBC021 was at hand while the series was built, so its NSC and NSCB are a check of these methods, not a blind test.
#
# ## Methods and citations
#
# - **Sequential centring**: [github.com/cjmielke/RxRx19-analysis](https://github.com/cjmielke/RxRx19-analysis), here with the plate within its experiment as key. Labels inside a correction: [10.1093/biostatistics/kxv027](https://doi.org/10.1093/biostatistics/kxv027).
# - **Control-referenced centring**: mean over kinds of control of the plate's mean (or median). *Shrunken* centres are pulled towards the experiment's by the share of their scatter that chance explains (empirical Bayes, [10.1080/01621459.1973.10481350](https://doi.org/10.1080/01621459.1973.10481350)).
# - **TVN**: [10.1101/161422](https://doi.org/10.1101/161422), on principal components, with Ledoit-Wolf shrinkage ([10.1016/S0047-259X(03)00096-4](https://doi.org/10.1016/S0047-259X%2803%2900096-4)); alignment by plate as in EFAAR, [10.1371/journal.pcbi.1012463](https://doi.org/10.1371/journal.pcbi.1012463).
# - **Harmony**: [10.1038/s41592-019-0619-0](https://doi.org/10.1038/s41592-019-0619-0), which also defines iLISI. **kBET** and PC regression: [10.1038/s41592-018-0254-1](https://doi.org/10.1038/s41592-018-0254-1), its null drawn by simulation since plates are many and neighbours few.
# - **Which corrections hold up in cell painting**: [10.1038/s41467-024-50613-5](https://doi.org/10.1038/s41467-024-50613-5).
# - **Replicate mAP**: copairs, [10.1038/s41467-025-60306-2](https://doi.org/10.1038/s41467-025-60306-2); replicates on other plates only, negatives are held-out untreated wells of the same plate (of the same experiment where plates have fewer than eight of them). Its p is not copairs' own, which takes the ranking of a single well as null for a mean over wells and loses most of the power. False discovery rate: [10.1111/j.2517-6161.1995.tb02031.x](https://doi.org/10.1111/j.2517-6161.1995.tb02031.x).
# - **NSC and NSCB**: [10.1177/1087057113503553](https://doi.org/10.1177/1087057113503553), [10.1101/161422](https://doi.org/10.1101/161422).

# %% [markdown]
# ## Provenance
