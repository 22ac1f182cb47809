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
# # 07 Retrieve drugs by expression
#
# **Question.** Which drug does an expression change come from, and what would a drug do to these cells?
#
# **Reads** the expression profiles of the run (`expression.zarr`).
# **Writes** `expression_replicates.tsv`, `expression_models.tsv`, `expression_rankings.tsv` and the fitted model (`expression_model.pt`).
#
# A *signature* is the expression change of one line under one dose of one drug, against its vehicle. Two questions are asked of signatures: forward, what a drug will do to a line; inverse, which drug a signature comes from.
# Both are easy to answer too well. A model that is shown the signature it predicts needs no drug; a split that leaves a drug's other names in training tests memory. So every score here stands beside what simple means reach, and beside itself when it is told the wrong drug.

# %% tags=["parameters"]
run: str = "simulated"  # the run whose profiles are read
seed: int = 0  # of splits, nets and resamples
reference: str = "adjusted"  # controls that changes are measured against {adjusted|plate|pooled}
min_cells: int = 20  # conditions of fewer cells are left out [0..]
min_pair_cells: int = 0  # pairs of drug and line of fewer cells are left out [0..]
splits: list[str] = ["pair", "line", "scaffold"]  # held out n_seeds times
splits_once: list[str] = ["drug", "mechanism", "drug_line"]  # held out once
n_seeds: int = 3  # draws of each split, each with a net of its own [1..50]
n_steps: int = 200  # steps of each net's training [1..1000000]
n_variant_steps: int = 200  # steps of each other formulation [1..1000000]
ways: str = "few"  # ways to compare signatures that are chosen from {all|few}
n_top: int = 50  # genes that changed most, of which scores are given too [2..]

# %% tags=["setup"]
from dataclasses import replace

import numpy as np
import pandas as pd

from screenbook.checkpoints import Checkpoints
from screenbook.expression.comparison import Method, candidate_methods
from screenbook.fingerprints import morgan_fingerprints
from screenbook.expression.forward import ForwardSettings
from screenbook.expression.imbalance import (
    apply_thresholds,
    condition_counts,
    lorenz_curves,
    measure_imbalance,
    pair_matrix,
    plate_doses,
)
from screenbook.expression.inverse import InverseSettings
from screenbook.expression.leaks import kept_share
from screenbook.expression.model import rank_drugs, save_model, ship
from screenbook.expression.name_traps import find_name_traps
from screenbook.expression.rankings import (
    by_part,
    hit_table,
    ranking_table,
    study_rankings,
    target_rankings,
)
from screenbook.expression.replicates import (
    chance_scores,
    cross_fitted_scores,
    plain_scores,
    reference_table,
    replicate_tasks,
)
from screenbook.retrieval_metrics import grade_relevance, summarise
from screenbook.expression.signatures import REFERENCES, reliability, signatures
from screenbook.expression.spaces import Space
from screenbook.expression.split_study import (
    FORWARD,
    FUSED,
    askable_rules,
    clearest_condition,
    effect_table,
    explained,
    replicate_ceiling,
    study_split,
    training_rows,
)
from screenbook.expression.variants import imputed, leak_table, train_variant
from screenbook.figures import expression_counts as counted
from screenbook.figures import expression_models as drawn
from screenbook.figures import expression_retrieval as found
from screenbook.figures.interval_rows import Axis
from screenbook.paths import base_run, build_dir
from screenbook.processes import run_each
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
from screenbook.screen import notes_of
from screenbook.sources.expression import open_counts, open_expression
from screenbook.threads import cores, side_by_side

folder = build_dir(base_run(run))
profiles = open_expression(run)
reads(folder / "expression.zarr")
jobs = max(1, cores() // side_by_side()) if n_steps > 20 else 1  # a process takes seconds to start

# %% [markdown]
# ## What there is, and how unevenly
#
# Cells of each drug, line and pair of both. What is rare is measured badly, and a score that averages over conditions averages over that too. Names can lie as well: a blank behind a name breaks a join, and two names of one parent make a test drug a training drug.

# %%
counts = open_counts(run)
whose = "this run" if counts is None else "the table that the run names under `counts:`"
counts = condition_counts(profiles.obs) if counts is None else counts
unit = "cells" if counts["n_cells"].max() > 1 else "wells"
uneven, matrix = measure_imbalance(counts), pair_matrix(counts)
by_level = uneven.set_index("level")
say(f"{profiles.n_obs:,} profiles of {profiles.n_vars:,} genes ({profiles.uns['scale']}): {profiles.obs['compound_key'].replace('', np.nan).nunique():,} drugs, {profiles.obs['cell_line'].nunique()} lines, {profiles.obs['plate'].nunique()} plates, {int(profiles.obs['role'].eq('control').sum()):,} controls. Counts of {whose}: {int(counts['n_cells'].sum()):,} {unit}, {int(by_level.loc['drug', 'n']):,} treatments with the vehicle, {int(by_level.loc['line', 'n'])} lines, {int(by_level.loc['pair', 'n']):,} pairs; the richest pair has {by_level.loc['pair', 'max_over_min']:,.0f} times the {unit} of the poorest. " + " ".join(notes_of(profiles)))  # fmt: skip
curves = lorenz_curves(counts)
of_pairs = curves[curves["level"] == "pair"]
fig = counted.lorenz_curves(curves, {level: f"Gini {row['gini']:.2f}" for level, row in by_level.iterrows()}, title=f"The poorer half of the pairs holds {np.interp(0.5, of_pairs['groups'], of_pairs['cells']):.0%} of the {unit}", subtitle=f"{unit} of drugs, lines and pairs; {whose}")  # fmt: skip
show(fig, f"Lorenz curves: share of the {unit} that the poorest groups hold together. The diagonal would be an even spread.", wide=True, thumbnail=True)  # fmt: skip
if matrix.shape[1] > 1:
    fig = counted.cells_heatmap(matrix, title=f"{unit.capitalize()} of every drug in every line", subtitle=f"{matrix.shape[0]:,} treatments by {matrix.shape[1]} lines, richest first")  # fmt: skip
    show(fig, f"{unit.capitalize()} of every pair of treatment and line, all doses together, on a logarithmic scale.", wide=True)  # fmt: skip
show_table(uneven, f"How uneven {unit} are: Gini coefficient, effective number of equal groups, richest and poorest.", file="expression_imbalance")  # fmt: skip

# %%
kept = apply_thresholds(counts)
thousand = kept[kept["threshold"] == 1000]
if unit == "cells":
    fig = counted.threshold_curves(kept, title=f"Asking for 1,000 {unit} a pair keeps {int(thousand['pairs'].sum()):,} of {int(by_level.loc['pair', 'n']):,} pairs", subtitle="what is left at each threshold")  # fmt: skip
    show(fig, f"Share of pairs, drugs, lines and {unit} that is left when pairs of fewer {unit} are dropped.", wide=True)  # fmt: skip
layout = plate_doses(counts if {"plate", "dose"} <= set(counts) else condition_counts(profiles.obs))
if layout.table.shape[1] <= 12:
    fig = counted.plate_dose_table(layout.table, title=f"{layout.single_dose:.0%} of the plates carry one dose only", subtitle="treatments on each plate at each dose, plate controls left out")  # fmt: skip
    show(fig, "Which dose stands on which plate. Where a plate is a dose, a difference between plates looks like an effect of the dose.", wide=True)  # fmt: skip
drugs = profiles.obs[profiles.obs["role"] == "treated"].drop_duplicates("treatment")
traps = find_name_traps({"profiles": drugs["treatment"], "counts": counts["treatment"]}, drugs[["treatment", "SMILES"]])  # fmt: skip
say(f"The plate tells {np.nan_to_num(layout.told):.0%} of the entropy of the dose. On every plate: {', '.join(layout.plate_controls[:3]) or 'no treatment'}{f' and {len(layout.plate_controls) - 3} more' if len(layout.plate_controls) > 3 else ''}. Names that agree only when trimmed or case-folded: {len(traps.spellings)}. Treatments without a readable structure: {len(traps.structures)}. Parents with several names: {len(traps.parents)}, {int(traps.parents['n_names'].sum()) if len(traps.parents) else 0} names together; they are one drug in everything below.")  # fmt: skip
if len(traps.parents):
    show_table(traps.parents, "Names that share a parent structure.", file="expression_parents")

# %% [markdown]
# ## Against which control
#
# A signature is a difference, and no better than what is subtracted. *Plate* takes the vehicle wells of the same line on the same plate. *Pooled* takes all vehicle wells of the line, as the public project that this improves on did. *Adjusted* is *plate* less what all treatments of a line on a plate share beyond the plate's and the line's own share, which is mostly the error of that reference. It is found over all treatments of a plate, whatever is held out later, without their names; where a plate has few treatments it takes part of their effects with it.

# %%
measured = {name: signatures(profiles, reference=name, min_cells=min_cells, min_pair_cells=min_pair_cells) for name in REFERENCES}  # fmt: skip
compared = reference_table(measured, profiles)
chosen = measured[reference]
show_table(compared.round(4), "Ways to subtract controls: share of the squared change that line and plate tell, correlation of replicates on two plates, and how replicates find each other by plain cosine.", file="expression_references")  # fmt: skip
told = compared.set_index("reference")
say(f"Against pooled controls, line and plate tell {told.loc['pooled', 'told_by_plate']:.0%} of all squared change, against controls of the plate {told.loc['plate', 'told_by_plate']:.0%}, adjusted {told.loc['adjusted', 'told_by_plate']:.0%}. " + (f"Replicates on two plates correlate at {told.loc['pooled', 'replicate_pearson']:.2f}, {told.loc['plate', 'replicate_pearson']:.2f} and {told.loc['adjusted', 'replicate_pearson']:.2f}. " if told["replicate_pearson"].notna().all() else "") + f"What follows is {reference}: {len(chosen):,} signatures. " + "; ".join(chosen.notes))  # fmt: skip
controls_hold = told.loc[reference, "hit@10"]

# %% [markdown]
# ## Do replicates find each other
#
# If a drug's signature does not find the same drug measured again, no ranking of drugs means anything. Each query ranks all signatures of its line on other plates (or at the next dose, where nothing comes twice).
# There are many ways to compare signatures, and the best of them on these queries would be partly the luckiest. So the way is chosen by the compounds of other folds than the query's, the three best averaged.

# %%
pairs = replicate_tasks(chosen, profiles)
plain = plain_scores(pairs.tasks, {"cosine": Method(), "cosine, plate-centred": Method(centre=True), "Spearman": Method(score="spearman"), "Spearman of z-scores": Method(Space("control"), "spearman"), "weighted connectivity": Method(score="wtcs"), "XSum": Method(score="xsum"), "Zhang": Method(score="zhang")})  # fmt: skip
some = [m for m in candidate_methods(with_controls=all(t.controls is not None for t in pairs.tasks)) if ways == "all" or (m.score in ("cosine", "spearman") and m.space.whiten == m.space.remove == 0)]  # fmt: skip
best, choice = cross_fitted_scores(pairs.tasks, some, seed=seed)
scored = pd.concat([plain, best], ignore_index=True)
depths, asks = [c for c in scored if c.startswith("hit@")], ["hit@1", "hit@10", "own_reciprocal_rank"]  # fmt: skip
replicates = pd.concat([summarise(part[[*depths, "own_reciprocal_rank", "own_rank"]], part["compound"], seed=seed).assign(ranking=way, median_rank=part["own_rank"].median()) for way, part in scored.groupby("method", sort=False)], ignore_index=True)  # fmt: skip
gain = summarise(best[asks].reset_index(drop=True) - scored.loc[scored["method"] == "cosine, plate-centred", asks].reset_index(drop=True), best["compound"], seed=seed).set_index("metric")  # fmt: skip
n_library, luck = int(np.median([len(t.library.delta) for t in pairs.tasks])), chance_scores(pairs.tasks).mean(numeric_only=True)  # fmt: skip
one, first = (replicates[replicates["metric"] == m].set_index("ranking") for m in ("hit@1", "hit@10"))  # fmt: skip
fig = found.hit_curves(hit_table(replicates[replicates["ranking"].isin(["cosine", "cosine, plate-centred", "Spearman", "chosen"])], {int(d[4:]): luck[d] for d in depths}), title=f"{first.loc['chosen', 'mean']:.0%} of the queries find their drug among the first ten", subtitle=f"{len(best):,} queries, about {n_library} candidates each; 95 % over drugs", y="own drug among the first K")  # fmt: skip
show(fig, f"How often a drug finds itself measured again ({pairs.told}), for several ways to compare and for the way chosen by other drugs.", wide=True)  # fmt: skip
show_table(replicates[replicates["metric"].isin(["hit@1", "hit@10", "own_reciprocal_rank"])][["ranking", "metric", "mean", "low", "high", "median_rank", "n", "n_groups"]].round(4), "Every way to compare, with 95 % intervals over drugs; n queries of n_groups drugs.", rows=21, file="expression_replicates")  # fmt: skip
say(f"By plain cosine hit@1 is {one.loc['cosine', 'mean']:.3f} and hit@10 {first.loc['cosine', 'mean']:.3f} (median rank {first.loc['cosine', 'median_rank']:.0f} of {n_library}); chosen by other drugs {one.loc['chosen', 'mean']:.3f} ({one.loc['chosen', 'low']:.3f} to {one.loc['chosen', 'high']:.3f}) and {first.loc['chosen', 'mean']:.3f} ({first.loc['chosen', 'low']:.3f} to {first.loc['chosen', 'high']:.3f}). Beyond plate-centred cosine, in pairs: hit@1 {gain.loc['hit@1', 'mean']:+.3f} ({gain.loc['hit@1', 'low']:+.3f} to {gain.loc['hit@1', 'high']:+.3f}), hit@10 {gain.loc['hit@10', 'mean']:+.3f} ({gain.loc['hit@10', 'low']:+.3f} to {gain.loc['hit@10', 'high']:+.3f}). Chosen most: {choice.loc[choice['place'] == 1, 'method'].mode().iloc[0]}.")  # fmt: skip
save_table(replicates.drop(columns="n_missing"), run, "expression_replicates", {"metric": "hit@K, reciprocal rank or rank of the own drug", "n": "queries", "n_groups": "drugs", "mean": "mean over queries", "low": "95 % interval over drugs", "high": "95 % interval over drugs", "ranking": "way to compare; chosen: by other drugs' queries", "median_rank": "median rank of the own drug"})  # fmt: skip

# %% [markdown]
# ## What is held out
#
# *Pair*: drug and line are both known, not together. *Line*: the line was never treated. *Drug*, *scaffold*, *mechanism*: no drug of that parent, ring system or mechanism was. *Drug + line*: neither. All doses, plates and names of a drug go together. What test drugs still share with training drugs is counted, because a split only holds out what its rule names.

# %%
parents = chosen.obs.drop_duplicates("compound_key")
bits = morgan_fingerprints(parents["compound_key"], parents["SMILES"]).bits
settings = ForwardSettings(training=replace(ForwardSettings().training, n_steps=n_steps, warmup_steps=min(20, n_steps // 4)))  # fmt: skip
askable = askable_rules(chosen.obs, [*splits, *splits_once], seed)
asked = {(rule, draw): (chosen, bits, rule, seed + draw, replace(settings, training=replace(settings.training, seed=seed + draw))) for rule in askable if not askable[rule] for draw in range(n_seeds if rule in splits else 1)}  # fmt: skip
studies = run_each(study_split, asked, jobs=jobs, tell=lambda done, n: tell(f"{done} of {n} splits predicted"))  # fmt: skip
by_rule = {rule: [studies[key] for key in studies if key[0] == rule] for rule in askable if not askable[rule]}  # fmt: skip
overlap = pd.concat([group[0].overlap for group in by_rule.values()], ignore_index=True)
fig = drawn.overlap_table(overlap, title="What test drugs share with the drugs learned from", subtitle="first draw of each split; shares of test drugs, and Tanimoto similarity to the nearest")  # fmt: skip
show(fig, "For each split: share of test drugs with the same parent, with an analogue (Tanimoto 0.7 and above) and with the same mechanism among training drugs, similarity to the nearest one, and whether their lines were seen.", wide=True)  # fmt: skip
if refused := {rule: why for rule, why in askable.items() if why}:
    say("Not asked here: " + "; ".join(f"**{rule}**: {why}" for rule, why in refused.items()))

# %% [markdown]
# ## What would a drug do
#
# Models are scored by the share of the squared change that they explain on conditions they have not seen: 0 for a prediction of no change, and below 0 for one that is worse. A model cannot gain here by getting a direction right at the wrong size.
# *Joined baselines* weighs the simple predictions by how they do out of fold. The *forward model* adds what a transformer learns to correct in them, in the share that helped on a held-back part of the training conditions; *net without a brake* adds all of it. Told more than they could know: the mechanism mean, and the cell count. The ceiling is the share that comes again on another plate; noise that all lines of a well share does not, and can still be learned from its other lines.

# %%
ceiling, n_ceiling = replicate_ceiling(chosen)
ladder = pd.concat([explained(group, chosen.delta, chosen.obs, seed=seed).assign(split=rule.replace("_", " + "), n_draws=len(group), share=np.mean([s.predictor.share for s in group])) for rule, group in by_rule.items()], ignore_index=True)  # fmt: skip
ladder = ladder.assign(ceiling=ceiling)
main = ladder[ladder["model"] == FORWARD].set_index("split")
low = max(-0.1, float(ladder["value"].min()) * 1.2)
fig = drawn.model_ladder(ladder.drop(columns="model").rename(columns={"label": "model"}).assign(value=lambda t: t["value"].clip(lower=low), low=lambda t: t["low"].clip(lower=low), high=lambda t: t["high"].clip(lower=low)), Axis("share explained", (low, max(0.02, float(ladder["high"].max()) * 1.1))), title="; ".join(f"{rule}: {row['value']:.3f}, {row['ahead']:+.3f} against the best baseline" for rule, row in list(main.iterrows())[:3]), subtitle="95 % over drugs (lines, scaffolds, mechanisms, where those are held out)" + (f"; ceiling: {n_ceiling:,} repeated conditions, rough for others" if n_ceiling else "") + f"; cut at {low:.2f}")  # fmt: skip
show(fig, "Share of the squared expression change that each prediction explains on held-out conditions, for every way to hold out. Open circles are baselines; crosses are told the mechanism or the cell count.", wide=True)  # fmt: skip
show_table(ladder.drop(columns=["label", "ceiling"])[["split", "model", "kind", "value", "low", "high", "sd", "ahead", "ahead_low", "ahead_high", "share", "n_draws"]].round(4), "The same in numbers. ahead: beyond the best baseline that is not told, paired; sd: over draws of the split; share: of the net's correction that the forward model takes.", rows=13, file="expression_models")  # fmt: skip
say("\n".join(f"- **{rule}**: forward model {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f}), {row['ahead']:+.4f} ({row['ahead_low']:+.4f} to {row['ahead_high']:+.4f}) against the best baseline, with {row['share']:.0%} of the net's correction: " + ("better than every baseline." if row["ahead_low"] > 0 else "no better than the best baseline." if row["ahead_high"] >= 0 else "worse than the best baseline.") for rule, row in main.iterrows()))  # fmt: skip
save_table(ladder, run, "expression_models", {"model": "prediction", "kind": "baseline, told, fusion or model", "label": "in words", "value": "share of squared change explained, held-out conditions", "low": "95 % interval", "high": "95 % interval", "sd": "over draws of the split", "ahead": "beyond the best baseline that is not told", "ahead_low": "95 % interval", "ahead_high": "95 % interval", "split": "what is held out", "n_draws": "draws of the split", "share": "of the net's correction that is taken, 0 to 1", "ceiling": "share that comes again in replicates"})  # fmt: skip

# %%
rule = next(iter(by_rule))
effects = effect_table(by_rule[rule][0], chosen, top=n_top)
show_table(effects.round(4), f"Every score of predicted changes at the highest doses, split *{rule}*, first draw: over all genes, over the {n_top} that changed most in standard errors (top), and less the mean change of the line (centred). discrimination: 0.5 is a constant. Blank: undefined, as the correlation of a constant.", rows=13, file="expression_effects")  # fmt: skip
name, genes = clearest_condition(by_rule[rule][0], chosen)
fig = drawn.predicted_against_observed(genes, title=f"{name}: correlation {genes['observed'].corr(genes['predicted']):.2f}", subtitle="the held-out condition that stands out of its noise most; not a typical one", scale="expression change")  # fmt: skip
show(fig, f"Predicted against observed change of each gene for {name}, a condition held out by the split *{rule}*; bars are standard errors.", wide=True)  # fmt: skip

# %% [markdown]
# ## Does it know the drug
#
# The same test conditions, predicted with the drugs exchanged and with the lines exchanged. What is left was not earned by knowing them. *Leaky* is the formulation of the public project: tokens carry the change of the very condition that is asked for. *Query* knows the line by number only, *masked* fills in what is withheld, *basal* is the net alone without baselines below it. *Input copied* predicts what a leaky model is shown, and 0 elsewhere.

# %%
modes = ["leaky", "basal", "query", "masked"]
brief = replace(settings, training=replace(settings.training, n_steps=n_variant_steps, warmup_steps=min(20, n_variant_steps // 4)))  # fmt: skip
trained = run_each(train_variant, {mode: (chosen, bits, by_rule[rule][0], replace(brief, mode=mode)) for mode in modes}, jobs=jobs)  # fmt: skip
leaks = leak_table(chosen, by_rule[rule][0], trained, seed=seed)
blind = float(effects.set_index("model").loc["global_mean", "pearson"])
told_right = leaks.pivot_table(index="model", columns="question", values="value")
kept_of = {m: kept_share(r["right drug"], r["drug shuffled"], blind) for m, r in told_right.iterrows()}  # fmt: skip
told_kept = {m: "no skill to lose" if np.isnan(v) else f"{v:.0%}" for m, v in kept_of.items()}
fig = drawn.leak_tests(leaks.assign(chance=blind, detail=leaks["model"].map(lambda m: f"kept: {told_kept[m]}")), Axis("mean correlation with the observed change", (min(-0.05, float(leaks["low"].min())), 1.0)), title=f"Skill that survives the wrong drug: leaky model {told_kept['leaky']}, forward model {told_kept['forward model']}", subtitle=f"split {rule}, highest doses; 95 % over drugs; dotted: a prediction that knows no drug")  # fmt: skip
show(fig, "Mean correlation over genes of predicted and observed change, with the right drug, with drugs exchanged and with lines exchanged.", wide=True)  # fmt: skip
filled = imputed(chosen, by_rule[rule][0], trained["masked"], seed=seed)
say(f"Above a prediction that knows no drug ({blind:.2f}), this much skill survives when drugs are exchanged: forward model {told_kept['forward model']} (bound 25 %), leaky model {told_kept['leaky']} (60 % and more make a leak plain): {told_right.loc['leaky', 'right drug']:.2f} with the right drug, {told_right.loc['leaky', 'drug shuffled']:.2f} with a wrong one. Copying what the leaky model is shown scores {told_right.loc['leaky', 'input copied']:.2f} with no model at all. The masked formulation reaches {filled['some shown']:.2f} on withheld genes when others are shown, {filled['none shown']:.2f} when none is: the first would be imputation, only the second is prediction." + ("" if bits.to_numpy().any() else " Without structures no prediction depends on a new drug, so the test says nothing here."))  # fmt: skip

# %% [markdown]
# ## Which drug is it
#
# Every held-out condition at its drug's highest dose ranks all drugs. *Observed*: against mean signatures of training drugs in the same line (over lines where there is none). *Neighbour-filled*: a drug never profiled takes the mean of its neighbours by structure. *Predicted*: what the forward model says of every drug. *f_p* places the signature among structures. Ties count by their expected value, names of one parent are one drug; a shared mechanism or target is a weaker match.
# *Structure* is told the structure of the drug that it looks for, and is no method: it shows what a score by similarity of structures would be worth. *f_p* also names target genes. Beside it stand two ways that see no signature: the targets of drugs of like structure, which is told which drug it is and is no rival, and the most frequent targets.

# %%
known = next((r for r in ("pair", "line") if r in by_rule), None)
new = next((r for r in ("scaffold", "drug", "mechanism") if r in by_rule), None)
reader = InverseSettings(training=replace(InverseSettings().training, n_steps=max(2, min(500, 5 * n_steps // 2)), warmup_steps=min(30, n_steps // 4)))  # fmt: skip
found_by = run_each(study_rankings, {r: (chosen, by_rule[r][0], bits, reader, seed) for r in (known, new) if r}, jobs=jobs)  # fmt: skip
ranked, reading = ({r: each[part] for r, each in found_by.items()} for part in (0, 1))
tables = {r: ranking_table(x, seed=seed)[0] for r, x in ranked.items()}
unseen = {} if new is None else {f"{new}, only drugs never profiled": ranking_table(ranked[new], [x for x in ("predicted", "neighbour-filled", "f_p", "random") if x in ranked[new].scores], pool=~ranked[new].candidates["profiled"].to_numpy(), seed=seed)[0]}  # fmt: skip

# %%
shown = ["observed", "predicted", "neighbour-filled", "f_p", "random"]
curves = pd.concat([hit_table(t[t["ranking"].isin(shown)]).assign(panel=r) for r, t in (tables | unseen).items()], ignore_index=True)  # fmt: skip
hits = {r: t[t["metric"] == "hit@10"].set_index("ranking")["mean"] for r, t in (tables | unseen).items()}  # fmt: skip
fig = found.hit_curves(curves, title="; ".join(f"{r}: predicted {h['predicted']:.2f}" + (f", observed {h['observed']:.2f}" if "observed" in h else f", neighbours {h['neighbour-filled']:.2f}") for r, h in hits.items()) + " (hit@10)", subtitle="; ".join(f"{r}: {len(x.queries):,} queries, {len(x.candidates)} drugs" for r, x in ranked.items()) + "; 95 % over drugs", y="own drug among the first K")  # fmt: skip
show(fig, "How often the drug of a held-out signature is among the first K, for the library it is compared with.", wide=True)  # fmt: skip
wide = {r: t.pivot_table(index="ranking", columns="metric", values="mean", sort=False)[["hit@1", "hit@10", "own_reciprocal_rank", "ndcg@10", "precision@10", "recall@10", "ap@10"]] for r, t in tables.items()}  # fmt: skip
r = known or new
fig = found.score_table(wide[r].rename(columns={"own_reciprocal_rank": "MRR", "ap@10": "mAP@10"}), title=f"Rankings of split {r} by every score", subtitle="hit@K and MRR ask for the drug itself; NDCG, precision, recall and mAP count shared mechanism and targets too")  # fmt: skip
show(fig, "Every way to rank drugs by every metric, mean over queries.", wide=True)
rankings = pd.concat([t.assign(split=r) for r, t in (tables | unseen).items()], ignore_index=True)
show_table(rankings[rankings["metric"].isin(["hit@1", "hit@10", "own_reciprocal_rank", "ndcg@10", "ap@10"])].drop(columns="n_groups").round(4), "Rankings in numbers, with 95 % intervals over drugs.", rows=20, file="expression_rankings")  # fmt: skip
save_table(rankings, run, "expression_rankings", {"metric": "as in score_rankings of screenbook.retrieval_metrics: hit@K and own_* ask for the drug itself, the others for shared mechanism and targets too", "n": "queries", "n_missing": "queries with nothing to find", "n_groups": "drugs", "mean": "over queries", "low": "95 % interval over drugs", "high": "95 % interval over drugs", "ranking": "library (by cosine), library and score, f_p, or a baseline", "split": "what was held out, and which candidates were ranked"})  # fmt: skip

# %%
queries = ranking_table(ranked[r], ["predicted" if known is None else "observed"], seed=seed)[1]
way, each = next(iter(queries.items()))
per_line, per_drug = (by_part(each, ranked[r].queries.obs, c, "hit@10") for c in ("cell_line", "compound"))  # fmt: skip
place = int(np.argmax(reliability(ranked[r].queries)))
row = ranked[r].queries.obs.iloc[place]
order = np.argsort(-np.nan_to_num(ranked[r].scores[way][place], nan=-np.inf), kind="stable")[:15]
listed = ranked[r].candidates.iloc[order].assign(score=ranked[r].scores[way][place][order])
grades = grade_relevance(ranked[r].queries.obs.iloc[[place]], ranked[r].candidates)[0, order]
fig = found.ranked_candidates(listed.assign(grade=grades, detail=listed["moa"].replace("", "mechanism not known")), title=f"Who made this change? {row['compound']} did", subtitle=f"{row['dose']:g} µM in {row['cell_line']}, held out; library: {way}; not a typical query: it stands out most")  # fmt: skip
show(fig, "The first fifteen candidates for one held-out signature, coloured by what they share with its drug.")  # fmt: skip
show_table(per_line.round(3), f"hit@10 by line ({way}, split {r}).", file="expression_hits_by_line")
show_table(per_drug.round(3), f"hit@10 by drug ({way}, split {r}).", file="expression_hits_by_drug")

# %%
named = {r: target_rankings(reading[r], x, by_rule[r][0], bits, chosen) for r, x in ranked.items() if reading[r] is not None and x.queries.obs["targets"].ne("").any()}  # fmt: skip
aims = pd.concat([summarise(part[["recall@5", "ap@5", "ndcg@5"]], part["compound_key"], seed=seed).assign(split=r, way=w) for r, t in named.items() for w, part in t.groupby("way", sort=False)]) if named else pd.DataFrame()  # fmt: skip
if len(aims):
    show_table(aims[["split", "way", "metric", "mean", "low", "high", "n", "n_groups"]].round(4), "Target genes among the first five, with 95 % intervals over drugs.", rows=20, file="expression_targets")  # fmt: skip
    recall = aims[aims["metric"] == "recall@5"]
    say("; ".join(f"{t['split']}, {t['way']}: {t['mean']:.2f} ({t['low']:.2f} to {t['high']:.2f})" for _, t in recall.iterrows()) + " (recall of targets among the first five).")  # fmt: skip
else:
    say("No drug here has a known target.")

# %% [markdown]
# ## Undo a signature
#
# A query may be a state that is to be undone, as that of a disease: then drugs are ranked by the reverse of it. Here the query is what sets one line apart from the others; where there is one line, the clearest signature. The model that answers is written to a file, and can be asked without this notebook (`screenbook.expression`).

# %%
whole = np.ones(len(chosen), dtype=bool)
model = ship({r: by_rule[r][0] for r in by_rule}, {r: training_rows(chosen, bits, r, whole) for r in by_rule}, chosen.genes)  # fmt: skip
keeper = Checkpoints(build_dir(run) / "expression_model.pt")
save_model(model, keeper)
writes(keeper.path)
basal = chosen.basal
odd = str(((basal - basal.mean()) ** 2).mean(axis=1).idxmax())
state = basal.loc[odd] - basal.drop(index=odd).mean() if len(basal) > 1 else genes.set_index("gene")["observed"]  # fmt: skip
undo = rank_drugs(model, state, basal=odd, reverse=True)
show_table(undo.drop(columns=["compound_key", "SMILES"]).head(50).round(4), f"Drugs whose predicted change in {odd} opposes {'what sets this line apart from the others' if len(basal) > 1 else name} most, of {len(undo)}.", file="expression_reversal")  # fmt: skip
say(f"First: {', '.join(undo['compound'].head(3))}. A line is no disease, and opposing its state is no cure: the ranking shows how such a question is asked.")  # fmt: skip

# %% [markdown]
# ## Against the truth
#
# The simulated screen knows the change of every condition without noise. The same predictions are held against it: what is learned of a plate, a well or a reference counts as wrong here.

# %%
true_file = folder / "truth" / "expression_change.npy"
if true_file.is_file():
    change = np.load(reads(true_file), allow_pickle=False)[profiles.obs_names.get_indexer(chosen.obs.index)]  # fmt: skip
    true = pd.concat([explained(group, change, chosen.obs, seed=seed).assign(split=rule.replace("_", " + ")) for rule, group in by_rule.items()], ignore_index=True)  # fmt: skip
    fig = drawn.model_ladder(true.drop(columns="model").rename(columns={"label": "model"}).assign(value=lambda t: t["value"].clip(lower=-0.3), low=lambda t: t["low"].clip(lower=-0.3)), Axis("true share explained", (-0.32, 1.0)), title="Against the change without noise", subtitle="share of the squared change without noise; 95 % over what is held out; cut at -0.3")  # fmt: skip
    show(fig, "Share of the true squared change that each prediction explains, on the same held-out conditions.", wide=True)  # fmt: skip
    facts = true[true["model"] == FORWARD].set_index("split")
    error = (chosen.delta - change) / chosen.error
    say("; ".join(f"{rule} {row['value']:.2f} ({row['ahead']:+.2f} against the best baseline, {row['ahead_low']:+.2f} to {row['ahead_high']:+.2f})" for rule, row in facts.iterrows()) + f". The noise of one measured signature is {((chosen.delta - change) ** 2).sum() / (change**2).sum():.1f} times as large as the squared change itself, so a prediction may well be nearer to the truth than one measurement. (measured - true) / error has a standard deviation of {np.nanstd(error):.2f}; 1 if errors are as large as stated.")  # fmt: skip
    lines = pd.read_csv(reads(folder / "truth" / "expression_lines.tsv"), sep="\t", index_col="cell_line")  # fmt: skip
    acts = pd.read_csv(reads(folder / "truth" / "expression_drugs.tsv"), sep="\t").drop_duplicates("structure").set_index("treatment")  # fmt: skip
    of_drug = pd.Series(lines.loc[odd].filter(like="sensitivity_").astype(float).to_numpy()[acts["mechanism"]], index=acts.index).reindex(undo["compound"])  # fmt: skip
    say(f"Drugs that undo {odd}: the line's sensitivity to the mechanism of the first ten is {of_drug.head(10).mean():.2f}, to that of all drugs {of_drug.mean():.2f} (share of the largest effect); {acts['active'].reindex(undo['compound'].head(10)).mean():.0%} of the first ten are active at all, of all {acts['active'].mean():.0%}.")  # fmt: skip
else:
    say("These profiles are real: the change without noise is not known.")

# %% [markdown]
# ## What we found

# %%
words = {"pair": "pairs", "line": "lines", "scaffold": "scaffolds", "drug": "drugs", "mechanism": "mechanisms", "drug + line": "drugs in new lines"}  # fmt: skip
ahead = [words[rule] for rule, row in main.iterrows() if row["ahead_low"] > 0]
level = [words[rule] for rule, row in main.iterrows() if row["ahead_low"] <= 0]
joined = ladder[ladder["model"] == FUSED].set_index("split")
say(f"- Replicates: hit@10 {first.loc['chosen', 'mean']:.2f} of {n_library} by the way chosen on other drugs, {first.loc['cosine', 'mean']:.2f} by plain cosine; against plate-centred cosine {gain.loc['hit@10', 'mean']:+.3f} ({gain.loc['hit@10', 'low']:+.3f} to {gain.loc['hit@10', 'high']:+.3f}), in pairs.\n- Forward: better than every baseline for new {', '.join(ahead) or '(nothing)'}" + (f"; no better than the best one for new {', '.join(level)}" if level else "") + ". Of that, joining the baselines gives " + ", ".join(f"{joined.loc[rule, 'ahead']:+.4f} of {row['ahead']:+.4f} ({rule})" for rule, row in main.iterrows()) + "; the rest is the net."  f"\n- Skill that survives the wrong drug: forward model {told_kept['forward model']}, leaky model {told_kept['leaky']}.\n" + ("" if known is None else f"- A drug that was profiled: hit@10 {hits[known]['observed']:.2f} by its observed signatures, {hits[known]['predicted']:.2f} by predicted ones.\n") + ("" if new is None else f"- A drug never profiled ({new}): among such drugs hit@10 {hits[f'{new}, only drugs never profiled']['predicted']:.2f} predicted, {hits[f'{new}, only drugs never profiled']['neighbour-filled']:.2f} by neighbours; among all drugs {hits[new]['predicted']:.2f} and {hits[new]['neighbour-filled']:.2f}. Twice the neighbours was hoped for; among all drugs that is {'reached' if hits[new]['predicted'] >= 2 * hits[new]['neighbour-filled'] else 'not reached'}."))  # fmt: skip
answer(f"Measured again, a drug is among the first ten of {n_library} in {first.loc['chosen', 'mean']:.0%} of the cases (plain cosine {first.loc['cosine', 'mean']:.0%}, chance {luck['hit@10']:.0%}; {best['compound'].nunique()} drugs in {len(pairs.tasks)} line{'s' if len(pairs.tasks) > 1 else ''}). What a drug would do is predicted better than by every simple mean for {f'{len(ahead)} of {len(main)} kinds of novelty (new ' + ', '.join(ahead) + ')' if ahead else 'no kind of novelty'}" + (f", and no better than by the best of them for new {', '.join(level)}" if level else "") + f". Of its skill, this much survives being told the wrong drug: {told_kept['forward model']}; of a model that is shown what it predicts, {told_kept['leaky']}.")  # fmt: skip
gate(bool(one.loc["chosen", "low"] > luck["hit@1"]), f"Replicates must find each other beyond chance, with their interval: hit@1 {one.loc['chosen', 'mean']:.2f} ({one.loc['chosen', 'low']:.2f} to {one.loc['chosen', 'high']:.2f}), chance {luck['hit@1']:.3f}.")  # fmt: skip
headline(**{f"replicates_{m.replace('@', '')}": round(float(v["mean"]), 4) for m, v in (("hit@1", one.loc["chosen"]), ("hit@10", first.loc["chosen"]))}, **{f"explained_{r.replace(' + ', '_')}": round(float(row["value"]), 4) for r, row in main.iterrows()}, **{f"ahead_{r.replace(' + ', '_')}": round(float(row["ahead"]), 4) for r, row in main.iterrows()}, **{f"kept_{m.replace(' ', '_')}": round(float(v), 4) for m, v in kept_of.items() if np.isfinite(v)})  # fmt: skip

# %% [markdown]
# ## What could be wrong
#
# - **Noise that comes again is no effect.** All lines of a well share that well's noise, and all treatments of a plate its controls'. A model that is scored on the same wells can earn by learning it; replicates on other plates, and the truth of the simulation, do not pay for that.
# - **Neighbouring wells.** On real plates doses of one drug lie side by side, and replicates in the same well of two plates: position makes them look more alike than they are.
# - **The ways to compare were listed by people who had seen such data.** The choice among them is cross-fitted, the list is not.
# - **Mechanisms are annotated for some drugs only.** Unknown mechanisms count as no match, so precision and NDCG are lower bounds.
# - **The screen is simulated** in the default run, and kind to structure: a mechanism has a functional group. Real structures say less.
#
# ## Methods and citations
#
# - Tahoe-100M, whose design the simulation follows: Zhang et al. 2025, [10.1101/2025.02.20.639398](https://doi.org/10.1101/2025.02.20.639398). The project whose forward and inverse models this improves on: [github.com/aiffel-babayakga/drug_ranking](https://github.com/aiffel-babayakga/drug_ranking).
# - Simple baselines hold: Ahlmann-Eltze, Huber and Anders 2025, [10.1038/s41592-025-02772-6](https://doi.org/10.1038/s41592-025-02772-6). Centred scores: Viñas Torné et al. 2025, [10.1038/s41587-025-02777-8](https://doi.org/10.1038/s41587-025-02777-8).
# - Joined baselines: Wolpert 1992, [10.1016/S0893-6080(05)80023-1](https://doi.org/10.1016/S0893-6080(05)80023-1). Contrasts: [arXiv:1807.03748](https://arxiv.org/abs/1807.03748), [arXiv:2103.00020](https://arxiv.org/abs/2103.00020).
# - Connectivity: Lamb et al. 2006, [10.1126/science.1132939](https://doi.org/10.1126/science.1132939); NCS and tau: Subramanian et al. 2017, [10.1016/j.cell.2017.10.049](https://doi.org/10.1016/j.cell.2017.10.049).

# %% [markdown]
# ## Provenance
