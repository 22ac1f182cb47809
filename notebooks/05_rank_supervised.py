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
# # 05 Rank by a classifier
#
# **Question.** Would a model that tells healthy from diseased mistake this treated well for a healthy one?
#
# **Reads** the profiles that report 02 chose (`centred.zarr`), the screen, verdicts on plates and wells (report 01) and the on-axis scores of report 04 (`treatments.tsv`).
# **Writes** `classifier.tsv` (compounds, ranked), `classifier_treatments.tsv`, `classifier_wells.tsv` (every well) and `classifier_models.tsv` (how good the models are).
#
# The first public analysis of RxRx19a trained a small neural network to tell infected wells from healthy ones, and listed the drugs whose wells it took for healthy.
# The idea is good: the network may use any pattern of the embedding, not only one direction.
# What it says is worth as much as the test it has passed. Here that test comes first.

# %% tags=["parameters"]
run: str = "simulated"  # the run whose profiles are read
seed: int = 0  # of folds, starting weights, dropout, permutations and bootstraps
model: str = "net"  # whose probabilities rank the compounds {net|logistic|lda}
n_folds: int = 9  # folds of plates at most; all plates of a fold are held out together [2..100]
n_parts: int = 5  # parts of the other plates; each is held back by one part of the ensemble [2..20]
n_seeds: int = 1  # nets for each part, from different seeds [1..20]
n_hidden: int = 8  # hidden units of the net [1..256]
dropout: float = 0.5  # share of hidden units silent in a training step [0..0.9]
calibration: str = "platt"  # from scores to probabilities {platt|isotonic}
top: float = 0.03273  # share of all wells counted by name: 10,000 of 305,520 sites [0.0001..1]
keep_flagged: bool = False  # let plates and wells that report 01 flagged take part
n_permutations: int = 19  # permuted labels behind the null of the AUC [5..1000]

# %% tags=["setup"]
import numpy as np
import pandas as pd

from screenbook.figures import classify as pictures
from screenbook.figures import classify_ranking as rank_pictures
from screenbook.paths import base_run, build_dir, find
from screenbook.classifier import calibration as calibrating
from screenbook.classifier import classifier_doubts as doubts
from screenbook.classifier import classifier_ranking as ranks
from screenbook.classifier import classifier_screen as classifier
from screenbook.classifier.classifier_models import MODELS, Settings
from screenbook.classifier.classifier_net import NetSettings
from screenbook.hits.hit_tables import wells_left_out
from screenbook.hits.name_counts import count_by_name, follows_replicates
from screenbook.profiles.design import compound_table
from screenbook.report import answer, gate, headline, reads, save_table, say, show, show_table
from screenbook.screen import read_screen, roles_of
from screenbook.sources import open_screen, open_wells

chosen = read_screen(reads(find(run, "centred.zarr", made_by="02")))
obs, roles, folder = chosen.obs, roles_of(chosen), build_dir(base_run(run))
made_by = {"plates": "01", "wells_flagged": "01", "treatments": "04"}
text = {"batch": str, "well": str, "compound": str, "compound_key": str, "cell_type": str}
before = {name: pd.read_csv(reads(find(run, f"tables/{name}.tsv", made_by=by)), sep="\t", dtype=text, keep_default_na=False, na_values=[""]) for name, by in made_by.items()}  # fmt: skip
settings = Settings(n_folds=n_folds, n_parts=n_parts, n_seeds=n_seeds, calibration=calibration, net=NetSettings(n_hidden=n_hidden, dropout=dropout), seed=seed)  # fmt: skip
aliases = compound_table(chosen.obs).drop_duplicates("compound_key").set_index("compound_key")["aliases"]  # fmt: skip
titles = {name: MODELS[name] for name in (model, *MODELS)}

# %% [markdown]
# ## Who teaches, and who is asked
#
# Only **untreated** wells teach: healthy ones, and diseased ones without a compound. A treated well has no known class; to call all of them infected, as the first analysis did, teaches the model the answer that the screen is there to question.
# Cell types are learned apart, and both kinds of control weigh the same.
#
# **Folds are plates.** A well is scored by models that have seen no well of its plate. The other plates are cut into parts; each member of the ensemble holds one part back, which tells it when to stop, and whose scores later teach the calibration. So neither a model nor its calibration has seen the plate of the well that it judges; the code refuses to go on if one has.
#
# Three models answer: the *net* of the first analysis (one hidden layer, tanh, dropout, sigmoid; Adam, binary cross-entropy), *logistic regression* with a penalty, and a *linear discriminant* with a shrunken covariance.

# %%
used = ~wells_left_out(obs, before["plates"], before["wells_flagged"], keep_flagged=keep_flagged)
answers, reasons = classifier.ask_screen(chosen, used, model, settings, n_permutations=n_permutations)  # fmt: skip
for cell_type, why in reasons.items():
    say(
        f"**{cell_type}**: {why}. Its tables below stay empty; report 04 says what can be said of its treatments."
    )
measures = pd.concat([one.measures for one in answers.values()], ignore_index=True) if answers else pd.DataFrame(columns=list(classifier.MEASURE_COLUMNS))  # fmt: skip
for cell_type, one in answers.items():
    held, task = one.held[model], one.task
    taught, alone = np.unique(task.plate[task.teach]), len(one.part.layout.batches)
    say(f"**{cell_type}**: {int((task.label[task.teach] == 1).sum()):,} healthy and {int((task.label[task.teach] == 0).sum()):,} untreated diseased wells of {len(taught)} plates teach; {len(held.limit)} folds of {alone} plates are asked, {len(held.members)} models each. {alone - len(taught)} plate{'s' * (alone - len(taught) != 1)} and {int((~used[one.part.rows]).sum()):,} wells in all are kept out by the verdicts of report 01; they are scored all the same, and marked.")  # fmt: skip

# %% [markdown]
# ## Healthy from diseased, on plates not seen
#
# The AUC is the chance that a healthy well scores above an untreated diseased one of the screen: 0.5 is guessing.
# Holding out plates asks whether the next plate would work. Holding out whole experiments asks whether the next *experiment* would, which is the claim that counts.
# The null repeats the training on labels that were shuffled among the controls of each plate.

# %%
if answers:
    main = measures[measures["model"] == model]
    by_plate, by_experiment = (main[main["held_out"] == h].set_index("cell_type") for h in ("plate", "experiment"))  # fmt: skip
    null_high = max(float(one.null_auc.max()) for one in answers.values())
    single = pd.concat([one.plates for one in answers.values()], ignore_index=True)
    title = "On plates not seen, the " + titles[model] + " tells them apart with an AUC of " + ", ".join(f"{a:.3f} ({c})" for c, a in by_plate["auc"].items())  # fmt: skip
    fig = pictures.auc_by_plate(single, measures, titles, null_high=null_high, title=title, subtitle=f"{by_plate['n'].sum():,} control wells on {by_plate['n_plates'].sum()} plates; shuffled labels reach {null_high:.3f} at most")  # fmt: skip
    show(fig, "AUC of healthy against untreated diseased wells for three models. Grey dots are single plates, large marks all plates together with a 95 % interval from resampled plates; crosses are plates that report 01 flagged and that taught nothing.", wide=True, thumbnail=True)  # fmt: skip
    listed = measures[[c for c in measures if not c.endswith(("_low", "_high", "_chance")) or c.startswith("auc")]]  # fmt: skip
    show_table(listed, "Every model, with plates and with experiments held out: AUC with its 95 % interval over plates, average precision of healthy wells, Matthews correlation of calls at p = 0.5, Brier score, calibration error.", rows=12, file="classifier_models")  # fmt: skip

# %%
for cell_type, one in answers.items():
    plate, null = by_plate.loc[cell_type], one.null_auc
    say(f"**{cell_type}**, {titles[model]}; plates held out: AUC {plate['auc']:.3f} (95 % {plate['auc_low']:.3f} to {plate['auc_high']:.3f}), average precision {plate['average_precision']:.3f}, Matthews correlation {plate['mcc']:.2f}, Brier score {plate['brier']:.3f} (n = {plate['n']:,} wells, {plate['n_plates']} plates). Shuffled labels give {null.mean():.3f} on average and {null.max():.3f} at most ({len(null)} shuffles, p = {(1 + (null >= plate['auc']).sum()) / (1 + len(null)):.2g}).")  # fmt: skip
    if cell_type not in by_experiment.index:
        say(f"Experiments cannot be held out: {one.no_experiment}. What is said of {cell_type} holds for other plates of this experiment.")  # fmt: skip
        continue
    other = by_experiment.loc[cell_type]
    drop = plate["auc"] - other["auc"]
    say(f"Experiments held out: AUC {other['auc']:.3f} ({other['auc_low']:.3f} to {other['auc_high']:.3f}), {abs(drop):.3f} {'below' if drop > 0 else 'above'} that of held-out plates. " + ("The model carries over to an experiment that it has not seen." if drop <= 0.05 else f"That is more than 0.05: part of what the model uses belongs to the experiment. Here {len(one.part.layout.experiments)} experiments are few to learn from."))  # fmt: skip
if answers:
    gate(bool((by_plate["auc_low"] > null_high).all()), "On plates not seen, healthy and untreated diseased wells are told apart better than under any shuffled label: " + "; ".join(f"{c} AUC {r.auc:.3f} ({r.auc_low:.3f} to {r.auc_high:.3f})" for c, r in by_plate.iterrows()) + f"; shuffled at most {null_high:.3f}.")  # fmt: skip

# %% [markdown]
# ## Does 70 % mean 70 %?
#
# A net's output is a number between 0 and 1, and not yet a probability.
# A curve fitted on other plates' held-out scores turns it into one; whether that worked is asked on the plates that neither has seen.
# The *calibration error* is the mean gap between predicted and observed share over ten bins of equally many wells. It is not zero even for perfect probabilities, since a bin of some fifty wells scatters; what perfect ones would give stands beside it.

# %%
if answers:
    tables = {c: calibrating.reliability_table(one.probabilities[model].p[one.task.teach], one.task.label[one.task.teach]) for c, one in answers.items()}  # fmt: skip
    wells, treatments, compounds = classifier.rank_screen(answers, used, model, aliases, top=top, seed=seed)  # fmt: skip
    known = wells[wells["used"] & wells["role"].isin(["healthy", "diseased"])]
    title = "Probabilities are off by " + " and ".join(f"{e:.3f} ({c})" for c, e in by_plate["calibration_error"].items()) + " on plates not seen"  # fmt: skip
    fig = pictures.reliability(tables, known, title=title, subtitle=f"{len(known):,} control wells; ten bins of equally many wells, {calibration} calibration, nested")  # fmt: skip
    show(fig, "Above, the observed share of healthy wells against the predicted probability, with 95 % intervals; on the dashed line it is what was said. Below, where the predictions of either kind of control lie.")  # fmt: skip
    for cell_type, r in by_plate.iterrows():
        far = by_experiment.loc[cell_type] if cell_type in by_experiment.index else None
        verdict = "no more than chance gives" if r.calibration_error <= r.calibration_by_chance_high else "more than chance gives"  # fmt: skip
        say(f"**{cell_type}**: calibration error {r.calibration_error:.3f} (n = {r.n:,} wells), {verdict}: exactly right probabilities would show {r.calibration_by_chance:.3f} on average and {r.calibration_by_chance_high:.3f} at the 95th percentile. The aim of 0.03 is {'met' if r.calibration_error <= 0.03 else '**not met**'}." + (f" With experiments held out the error is {far['calibration_error']:.3f} (right probabilities: {far['calibration_by_chance']:.3f}, 95th percentile {far['calibration_by_chance_high']:.3f})" + (": on another experiment the probabilities are less to be trusted than the order of the wells." if far["calibration_error"] > far["calibration_by_chance_high"] else ".") if far is not None else ""))  # fmt: skip
else:
    wells, treatments, compounds = classifier.rank_screen(answers, used, model, aliases)

# %% [markdown]
# ## When the model should not answer
#
# A model of two classes gives an answer to anything, also to a well of dying cells.
# Two checks let it abstain.
# A well is **outside** if it lies further from the line between healthy and diseased than 99 % of held-out controls do, in standard deviations of controls.
# And a class is excluded if fewer than 5 % of held-out controls of that class score as extremely (a conformal prediction); where neither class can be excluded the answer is *either*, where both can it is *neither*.

# %%
if answers:
    shares = classifier.class_table(wells)
    show_table(shares, "How wells of each role are taken by models that did not see their plate: mean probability of healthy, and the share of wells left with each class at an error of 5 %. *outside*: unlike any control, whatever the class.", rows=10, file="classifier_calls")  # fmt: skip
    for cell_type, some in shares.set_index("role").groupby("cell_type", sort=False):
        miss = [some.loc["healthy", ["diseased", "neither"]].sum(), some.loc["diseased", ["healthy", "neither"]].sum()]  # fmt: skip
        say(f"**{cell_type}**: {miss[0]:.1%} of healthy and {miss[1]:.1%} of untreated diseased wells lose their own class, where 5 % are meant to; {some.loc[['healthy', 'diseased'], 'outside'].mean():.1%} of controls are outside, where 1 % is. Of treated wells {some.loc['treated', 'outside']:.1%} are outside ({some.loc['treated', 'n']:,} wells): on these the probability is a guess far from anything learned.")  # fmt: skip

# %% [markdown]
# ## What the model says of the drugs
#
# The histogram of the first analysis, with two changes: a well's probability comes from models that never saw its plate, and no treated well was used for training.

# %%
if answers:
    counted = wells[wells["used"] & (wells["role"] != "blank")]
    taken = {c: (g["p_healthy"] > 0.5).mean() for c, g in counted[counted["role"] == "treated"].groupby("cell_type", sort=False)}  # fmt: skip
    title = "The model takes " + " and ".join(f"{share:.1%} of treated {c} wells" for c, share in taken.items()) + " for healthy"  # fmt: skip
    fig = pictures.probability_histogram(counted, title=title, subtitle=f"{len(counted):,} wells, plate held out; share of the wells of each role, logarithmic")  # fmt: skip
    wrong = {c: (g["p_healthy"] > 0.5).mean() for c, g in counted[counted["role"] == "diseased"].groupby("cell_type", sort=False)}  # fmt: skip
    show(fig, "Probability of being healthy, by role. Most treated wells look like untreated disease; what counts is how many more of them than of the untreated lie on the right.")  # fmt: skip
    say("Taken for healthy at p > 0.5: " + "; ".join(f"in {c} {share:.1%} of treated wells, and {wrong[c]:.1%} of untreated diseased ones" for c, share in taken.items()) + ". The second number is what a treatment without effect would give: no single well is a hit.")  # fmt: skip

# %% [markdown]
# ## The ranking
#
# A treatment's probability is the mean of its wells, each plate counted alike, with an interval over plates.
# A compound stands where the *lower end* of its best dose puts it, so that one lucky well lifts nobody.
# Doses of which more than half the wells are outside do not count.
# Compounds whose lower end does not exceed the mean of untreated disease are no healthier than nothing at all: they follow, ordered by how few of their wells are outside, then by the mean over all their wells.

# %%
if answers:
    levels = classifier.class_table(wells).pivot_table(index="cell_type", columns="role", values="p_healthy", sort=False, observed=True).reset_index()  # fmt: skip
    above = compounds[compounds["above"]]
    number = above.groupby("cell_type", sort=False).size().reindex(list(answers), fill_value=0)
    title = "Above untreated disease with their whole interval: " + ", ".join(f"{n} of {(compounds['cell_type'] == c).sum()} compounds ({c})" for c, n in number.items())  # fmt: skip
    fig = rank_pictures.ranking(compounds, levels, most=20, title=title, subtitle="best dose of each compound, mean over plates; dashed: mean of untreated disease and of healthy wells")  # fmt: skip
    show(fig, "The first 20 compounds of each cell type by the lower end of the 95 % interval of their best dose. A click on a compound lights it in all figures and tables of this page.", wide=True)  # fmt: skip
    show_table(compounds.drop(columns="compound_key").rename(columns={"names": "aliases"}), "All compounds, ranked within their cell type.", units={"best_dose": "µM"}, rows=15, file="classifier")  # fmt: skip

# %%
if answers:
    follow = {c: (follows_replicates(g, "count_top"), ranks.rank_correlation(g["n_wells"], -g["rank"])) for c, g in compounds.groupby("cell_type", sort=False)}  # fmt: skip
    title = "Counted by name: " + ", ".join(f"the first is {g.nlargest(1, 'count_top')['compound'].iloc[0]} ({c})" for c, g in compounds.groupby("cell_type", sort=False))  # fmt: skip
    fig = rank_pictures.count_against_wells(compounds, title=title, subtitle=f"treated wells among the {top:.1%} of all wells with the highest probability, counted by name as in the first analysis")  # fmt: skip
    show(fig, "Wells of each compound among the top, against the number of wells it has in the screen. A compound with more wells can be counted more often, whatever it does; red compounds lie above untreated disease in the fair ranking.")  # fmt: skip
    say("The first analysis took the 10,000 sites of 305,520 with the highest probability and counted them by drug name. " + "; ".join(f"In {c} that count goes with the number of a compound's wells at Spearman's rho = {a:.2f}, the fair ranking at {b:.2f}" for c, (a, b) in follow.items()) + ". A rho near 0 only says that most compounds have equally many wells in this screen; what the count does with those that have more is on the right of the figure.")  # fmt: skip

# %% [markdown]
# ## What else drives the model
#
# Among wells of one role the score should not depend on where a well lies. Each factor is asked which share of the variance of the scores (log odds) it explains, and the same after shuffling, within plates for what varies within plates.
# Dose, compound and distance from the controls may explain something: that is what a treatment is.

# %%
if answers:
    raw = open_wells(run)[chosen.obs_names]
    cells = doubts.cell_counts(list(raw.var_names), raw.X)
    driven = classifier.driver_table(answers, wells, cells, seed=seed)
    placed = driven[driven["factor"].isin(["plate", "experiment", "row", "column", "edge", "cell count"])]  # fmt: skip
    real = placed[placed["share"] > placed["null_high"]].nlargest(4, "share")
    most = driven[driven["role"] == "treated"].nlargest(1, "share").iloc[0]
    title = f"Of treated wells' scores, {most['factor']} explains most ({most['share']:.0%} in {most['panel']})"  # fmt: skip
    fig = pictures.drivers(driven, title=title, subtitle="log odds of healthy, plates held out; grey ticks: 95 % of shuffles lie below")  # fmt: skip
    show(fig, "Share of the variance of the scores that each factor explains among healthy, untreated diseased and treated wells. A mark right of its tick explains more than chance.", wide=True)  # fmt: skip
    say("Of what should not matter, most is explained by " + ("; ".join(f"{r.factor} among {r.role} {r.panel} wells ({r.share:.1%}, shuffled up to {r.null_high:.1%}, n = {r.n:,})" for r in real.itertuples()) if len(real) else "nothing beyond chance") + ". " + ("The features count no cells, so cell density cannot be asked directly; distance from the controls stands in for it." if cells is None else "The features count cells, and the count was asked too."))  # fmt: skip

# %% [markdown]
# ## A warning: the original's training
#
# The first analysis labelled every treated well as infected, split sites at random, and had centred the profiles on the disease condition.
# That is repeated here on the profiles as they came, and mended step by step; every row but the first is asked about the same untreated controls.

# %%
if answers:
    largest = max(answers, key=lambda name: len(answers[name].task.label))
    screen = open_screen(run)
    mine = np.flatnonzero((screen.obs["cell_type"].astype(str) == largest).to_numpy())
    mine = mine[doubts.sample_wells(screen.obs.iloc[mine], 6000, seed)]
    sites = screen.obs.iloc[mine]
    scheme = doubts.original_scheme(np.asarray(screen.X[mine]), sites, seed=seed)
    auc = scheme.table["auc"].tolist()
    title = f"The original's scheme: AUC {auc[0]:.2f} as reported, {auc[2]:.2f} on plates not seen; mended {auc[-1]:.2f}"  # fmt: skip
    fig = pictures.schemes(scheme.table, title=title, subtitle=f"{largest}, {len(sites):,} {'sites' if screen.uns['level'] == 'site' else 'wells'} on 50 components; one net for each of three folds")  # fmt: skip
    show(fig, "AUC of healthy against diseased by the way of training. An AUC below 0.5 means that the model has learned the disease with the wrong sign.")  # fmt: skip
    say(f"Centred on the condition, the net reports {auc[0]:.3f}, and puts controls of plates it has not seen in order with {auc[2]:.3f}: the means that were taken off held the disease, and what is left points the wrong way. Without that step and still split at random the AUC is {auc[3]:.3f}, on plates not seen {auc[4]:.3f}, learned from controls only {auc[5]:.3f}. With the profiles that report 02 chose it is {by_plate.loc[largest, 'auc']:.3f}.")  # fmt: skip

# %% [markdown]
# ## Agreement with the on-axis scores
#
# Report 04 scores the same treatments by one direction and knows nothing of this model. The two should agree where both have learned the disease, and part where a well leaves the line between healthy and diseased.

# %%
if answers:
    joined = ranks.compare_treatments(treatments, before["treatments"])
    rho = {c: ranks.rank_correlation(g["p_healthy"], -g["on_score"]) for c, g in joined.groupby("cell_type", sort=False)}  # fmt: skip
    title = "Both rank treatments alike: " + ", ".join(f"rho = {r:.2f} ({c})" for c, r in rho.items())  # fmt: skip
    fig = rank_pictures.against_on_axis(joined, title=title, subtitle=f"{len(joined):,} treatments (compound and dose)")  # fmt: skip
    show(fig, "Probability of healthy against the on-axis score of report 04, a dot for each treatment; orange crosses are treatments of which most wells are unlike any control. Dots off the curve are where one direction and a classifier disagree.")  # fmt: skip
    say("Spearman's rho of the two over treatments is " + ", ".join(f"{r:.2f} in {c} (n = {(joined['cell_type'] == c).sum():,})" for c, r in rho.items()) + ". Most treatments do nothing, and those rank by noise; the noise is partly shared, since both look at the same wells.")  # fmt: skip

# %% [markdown]
# ## Against the truth

# %%
truth = folder / "truth"
if (truth / "compounds.tsv").is_file() and answers:
    true = pd.read_csv(reads(truth / "compounds.tsv"), sep="\t")
    by_name = count_by_name(sites, ranks.among_top(sites.assign(p=scheme.p), top, "p")).set_index("compound_key")["count"]  # fmt: skip
    held_against = []
    for cell_type, g in compounds.set_index("compound_key").groupby("cell_type", sort=False):
        known = true[true["cell_type"] == cell_type].set_index("compound_key").loc[g.index]
        rankings = {f"fair ranking, {titles[m]}": classifier.ranking_of(answers[cell_type], used, m, seed) for m in titles}  # fmt: skip
        rankings |= {"count by name, same model": g["count_top"]} | ({"count by name, original's training": by_name} if cell_type == largest else {})  # fmt: skip
        found = ranks.rankings_against(rankings, known["rescues"].astype(bool), known["class"].isin(["toxic", "aggravator"]))  # fmt: skip
        held_against.append(found.assign(cell_type=cell_type, rescuers=int(known["rescues"].sum())))
    quality = pd.concat(held_against, ignore_index=True)
    show_table(quality[["cell_type", "ranking", "average_precision", "by_chance", "recall", "rescuers", "toxic_top", "most"]], "Rankings held against the planted rescuers: average precision (by chance: the share of rescuers), share of rescuers among as many first places as there are rescuers (*recall*), and how many toxic or aggravating compounds are among the first *most* places.", rows=10, file="classifier_truth")  # fmt: skip
elif answers:
    say("This screen was not simulated, so there is no truth to hold the ranking against.")

# %%
if (truth / "compounds.tsv").is_file() and answers:
    ours = quality[quality["ranking"] == f"fair ranking, {titles[model]}"].set_index("cell_type")
    count = quality[quality["ranking"] == "count by name, same model"].set_index("cell_type")
    say("**Rescuers.** " + " ".join(f"{c}: average precision {r.average_precision:.3f} (counted by name {count.loc[c, 'average_precision']:.3f}, by chance {r.by_chance:.3f}); {r.recall:.0%} of {r.rescuers} rescuers are among the first {r.rescuers}; of toxic or aggravating compounds {r.toxic_top:.0f} are among the first {r.most:.0f} (counted by name {count.loc[c, 'toxic_top']:.0f})." for c, r in ours[ours["rescuers"] > 0].iterrows()) + ("" if ours["rescuers"].any() else "none was planted."))  # fmt: skip
    cured = pd.read_csv(reads(truth / "wells.tsv"), sep="\t", dtype={"experiment": str, "plate": str, "well": str})  # fmt: skip
    cured.index = cured[["experiment", "plate", "well"]].agg("/".join, axis=1)
    part = wells[(wells["role"] == "treated") & wells["used"]].set_index("id").join(cured["rescue"])
    bins = pd.cut(part["rescue"], [-0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 1.01], labels=["none", "5 to 25 %", "25 to 50 %", "50 to 75 %", "75 to 95 %", "over 95 %"])  # fmt: skip
    steps = part.groupby(["cell_type", bins.rename("rescued")], sort=False, observed=True)["p_healthy"].agg(["mean", "size"]).reset_index().sort_values(["cell_type", "rescued"])  # fmt: skip
    show_table(steps.assign(rescued=steps["rescued"].astype(str)), "Mean probability of healthy of treated wells, by how much of the disease the treatment truly undoes there.", rows=12, file="classifier_rescue")  # fmt: skip
    say("A classifier says whether a well is on the healthy side, not how much of the disease is gone: wells rescued by half lie between the classes, where the probability is steep. Report 04 gives the size of the effect.")  # fmt: skip
    headline(**{f"average_precision_{c}": round(float(r.average_precision), 4) for c, r in ours.iterrows()}, **{f"toxic_top_{c}": int(r.toxic_top) for c, r in ours.iterrows()})  # fmt: skip

# %% [markdown]
# ## What we found

# %%
facts = [f"**{c}**: no ranking by a classifier, because {why}." for c, why in reasons.items()]
for cell_type in answers:
    plate, first = by_plate.loc[cell_type], compounds[(compounds["cell_type"] == cell_type) & compounds["above"]]  # fmt: skip
    away = f", experiments held out {by_experiment.loc[cell_type, 'auc']:.3f}" if cell_type in by_experiment.index else ""  # fmt: skip
    facts.append(f"**{cell_type}**: AUC {plate['auc']:.3f} on plates not seen{away}; calibration error {plate['calibration_error']:.3f}; {taken[cell_type]:.1%} of treated wells are taken for healthy, {wrong[cell_type]:.1%} of untreated diseased ones; {len(first)} compound{'s lie' if len(first) != 1 else ' lies'} above untreated disease with the whole interval" + (f", first {', '.join(first['compound'].head(3))}." if len(first) else "."))  # fmt: skip
    headline(**{f"{name}_{cell_type}": round(float(plate[name]), 4) for name in ("auc", "brier", "calibration_error")}, **{f"above_{cell_type}": len(first)})  # fmt: skip
if answers:
    facts.append(f"Trained as in the first analysis, the same net puts controls of plates not seen in order with an AUC of {auc[2]:.2f}.")  # fmt: skip
    headline(**{f"auc_experiment_{c}": round(float(r.auc), 4) for c, r in by_experiment.iterrows()}, auc_original=round(auc[2], 4))  # fmt: skip
say("\n".join(f"- {line}" for line in facts))
answer(" ".join(facts))
save_table(compounds, run, "classifier", ranks.COMPOUND_COLUMNS)
save_table(treatments, run, "classifier_treatments", ranks.TREATMENT_COLUMNS)
save_table(wells, run, "classifier_wells", ranks.WELL_COLUMNS)
save_table(measures, run, "classifier_models", classifier.MEASURE_COLUMNS)

# %% [markdown]
# ## What could be wrong
#
# - **Not diseased is not healthy.** The model knows two kinds of well. A compound that kills the infected cells, or dyes them, may land on the healthy side; *outside* catches what is unlike any control, not what is like one for another reason.
# - **Centring saw the plate.** Models and calibration never see a plate that they judge, but the profiles of that plate were centred on wells of the same plate (report 02), as they would be for any new plate.
# - **Untreated is not vehicle.** If compounds come in a solvent that the untreated wells did not get, what the solvent does counts as an effect.
# - **The interval is of plates.** It does not hold what another experiment would add; where experiments were held out above, the drop in AUC says how much that may be. The ensemble's spread (`p_low` to `p_high` of a well) says only how much the models disagree.
# - **The best of several doses** is chosen on the data that rank it, so `p_low` is a rule for an order, and no test. Tests with p and q are in report 04.
# - **A probability refers to the controls**: it says which share of control wells with such a score are healthy, at the mix of controls in this screen.
#
# ## Methods and citations
#
# - **The net and the count by name** are those of the first public analysis of RxRx19a ([github.com/cjmielke/RxRx19-analysis](https://github.com/cjmielke/RxRx19-analysis)); here with controls as the only teachers. Dropout: [10.5555/2627435.2670313](https://dl.acm.org/doi/10.5555/2627435.2670313). Why treated wells are a different population: [10.1007/978-3-031-43993-3_65](https://doi.org/10.1007/978-3-031-43993-3_65).
# - **Leakage by random splits**: [10.1016/j.patter.2023.100804](https://doi.org/10.1016/j.patter.2023.100804).
# - **Shrunken discriminant**: Ledoit and Wolf ([10.1016/S0047-259X(03)00096-4](https://doi.org/10.1016/S0047-259X%2803%2900096-4)).
# - **Calibration**: Platt's and isotonic curves, [10.1145/1102351.1102430](https://doi.org/10.1145/1102351.1102430); what chance gives in a reliability plot, [10.1175/WAF993.1](https://doi.org/10.1175/WAF993.1).
# - **Conformal classes**: each class calibrated by itself, [arXiv:1209.2673](https://arxiv.org/abs/1209.2673).
# - **Intervals**: percentiles of a bootstrap over plates; for means of treatments widened to match Student's t ([10.1080/00031305.2015.1089789](https://doi.org/10.1080/00031305.2015.1089789)).

# %% [markdown]
# ## Provenance
