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
# # 09 Leads
#
# **Question.** What should be tested next, and why?
#
# **Reads** the tables of the hit search (`hits.tsv`, `treatments.tsv`, `wells_scored.tsv`, and `searches.tsv` where it is there), those of the classifier (`classifier.tsv`, `classifier_treatments.tsv`, `classifier_wells.tsv`, where they are there), and the profiles that report 02 chose (`centred.zarr`).
# **Writes** `leads.tsv` (every compound in every cell type, with its consensus rank and the doubts about it).
#
# Earlier reports measured; this one weighs.
# It puts the compounds in one order, says how sure that order is and what it hangs on, and gives each lead a dossier that ends with the result that would change our mind.
# At the end stand the questions that the owner of a screen asks of its score.

# %% tags=["parameters"]
run: str = "simulated"  # the run whose tables are read
seed: int = 0  # of draws of plates and of random halves
n_leads: int = 10  # compounds that get a dossier [1..60]
n_top: int = 20  # what counts as the top of the list; at most a quarter of it [1..500]
n_draws: int = 1000  # times that plates are drawn anew [100..20000]
n_neighbours: int = 5  # compounds listed as like a lead [1..30]
least: float = 0.2  # share of the way to healthy that counts as having the score [0..1]
reference_scores: str = ""  # table of scores that others gave; blank: none
reference_hit: float = 0.6  # reference score from which a compound is a hit
reference_harm: float = -0.2  # reference score below which it does harm

# %% tags=["setup"]
import pandas as pd

from screenbook.chemistry import molecule_svg
from screenbook.figures import lead_questions as question_pictures
from screenbook.figures import leads as pictures
from screenbook.paths import base_run, build_dir, find, root
from screenbook.leads import lead_views, reference_check, score_questions
from screenbook.hits.contrasts import cell_type_contrasts
from screenbook.leads.dossiers import dose_curve, doubt_words, write_dossiers
from screenbook.leads.doubts import literal
from screenbook.leads.lead_neighbours import neighbours_of_leads
from screenbook.leads.leads import COLUMNS, choose_leads, lead_table, rank_cell_type
from screenbook.report import answer, gallery, gate, headline, reads, save_table, say, show, show_table  # fmt: skip
from screenbook.screen import read_screen, roles_of
from screenbook.sources.reference_scores import read_reference_scores

chosen = read_screen(reads(find(run, "centred.zarr", made_by="02")))
roles, disease = roles_of(chosen), roles_of(chosen).has_disease
folders = [build_dir(r) / "tables" for r in dict.fromkeys((run, base_run(run)))]
names = {"hits": "04", "treatments": "04", "wells_scored": "04"}
paths = {n: find(run, f"tables/{n}.tsv", made_by=by) for n, by in names.items()}
optional = ("searches", "classifier", "classifier_treatments", "classifier_wells")
paths |= {n: next(p for p in (f / f"{n}.tsv" for f in folders) if p.exists()) for n in optional if any((f / f"{n}.tsv").exists() for f in folders)}  # fmt: skip
as_text = dict.fromkeys(("id", "batch", "experiment", "cell_type", "compound", "compound_key", "names", "smiles", "moa", "flags", "call", "verdict", "role"), str)  # fmt: skip
tables = {n: pd.read_csv(reads(p), sep="\t", dtype=as_text, keep_default_na=False, na_values=[""]) for n, p in paths.items()}  # fmt: skip
hits, treatments, wells = (tables[n] for n in names)
classified, by_compound = tables.get("classifier_wells"), tables.get("classifier")
cell_types = sorted(hits["cell_type"].unique())

# %% [markdown]
# ## May anything be concluded?
#
# A score that cannot tell healthy from untreated diseased wells cannot tell what a compound does between them.
# Every control well is scored by what the controls of other plates teach.

# %%
apart = (
    score_questions.control_separation(wells, classified, seed=seed) if disease else pd.DataFrame()
)
told = [f"{r.cell_type}, {r.score}: AUC {r.auc:.3f} ({r.auc_low:.3f} to {r.auc_high:.3f}; n = {r.n:,} wells on {r.n_plates} plates)" for r in apart.itertuples()]  # fmt: skip
passed = len(apart) > 0 and bool((apart["auc_low"] > 0.5).all())
if disease:
    gate(passed, f"Healthy and untreated diseased wells {'are' if passed else 'are **not** all'} told apart on plates that were not learned from: {literal('; '.join(told))}.")  # fmt: skip
else:
    gate(False, "This screen has no diseased condition. A lead would be a compound that brings diseased cells back, so **nothing here can be a lead**; what stands is which compounds do anything at all, and that is listed below.")  # fmt: skip
if "classifier_wells" not in tables:
    say("No classifier was run, so the on-axis score alone has a vote.")

# %% [markdown]
# ## One order, and how sure it is
#
# **Who is ranked.** Compounds that report 04 could test and that it calls *rescue* or *no call*. Those it calls off-axis or aggravating are out before ranking starts, and so is every single dose it finds off-axis. A **lead** is a ranked compound that is called a rescue.
#
# **The rule.** Two methods vote: the on-axis score (recovery is 1 minus it) and, where report 05 ran, the classifier's probability of being healthy. Each scores a compound by its best dose, each plate counted alike, and ranks all candidates of the cell type; the consensus is the mean of the normalised ranks.
#
# **How sure.** Plates are drawn anew (Bayesian bootstrap), both methods score and rank again, and ranks are aggregated again. Before that, scores are pulled towards the mean of all candidates by the share of their scatter that noise explains: otherwise the luckiest compound of a screen without a single rescuer would top nearly every draw.
# The list is ordered by mean rank over the draws.

# %%
ranking = {"n_top": n_top, "n_draws": n_draws, "seed": seed}
found = {c: rank_cell_type(c, hits, treatments, wells, classified, tables.get("searches"), **ranking) for c in cell_types} if disease else {}  # fmt: skip
ranked = {c: r for c, r in found.items() if r is not None}
leads = lead_table(hits, ranked, by_compound)
n_experiments = wells[wells["used"]].groupby("cell_type")["experiment"].nunique().to_dict()
leads["doubts"] = doubt_words(leads, treatments, n_experiments)
mine = leads[leads["is_lead"]]
counted = mine.groupby("cell_type").size().reindex(cell_types, fill_value=0)
sure = mine[mine["top_share"] >= 0.9]
for c in [c for c, r in found.items() if r is None]:
    say(
        f"In {literal(c)} fewer than two candidates stand on two plates or more: nothing can be ranked."
    )

# %%
if ranked:
    per_type = "; ".join(f"{c}: {counted[c]} leads of {r.consensus.n_ranked} ranked" for c, r in ranked.items())  # fmt: skip
    title = f"{len(sure)} of {len(mine)} leads stay at the top in nine of ten draws of plates"
    fig = pictures.rank_intervals(leads, title=title, subtitle=f"{per_type}; bars: 90 % of {n_draws:,} draws; logarithmic")  # fmt: skip
    chance = "; ".join(f"{c} first {r.consensus.n_top}, {r.consensus.chance:.0%} by chance" for c, r in ranked.items())  # fmt: skip
    show(fig, f"The first candidates of each cell type by consensus rank, with the middle 90 % of their ranks over draws of plates; the dashed line ends the top ({literal(chance)}). {len(sure)} of {len(mine)} leads are at the top in at least 90 % of draws; where intervals overlap, the order within them means little.", wide=True, thumbnail=True)  # fmt: skip
    noise = "; ".join(f"{c}, {n.replace('_', '-')}: {b.mean():.0%}" for c, r in ranked.items() for n, b in zip(r.consensus.names, (pd.Series(b) for b in r.consensus.reliability), strict=True))  # fmt: skip
    say(f"**How much of the scores' scatter is no noise**, mean over candidates: {literal(noise)}. The lower it is, the further scores are pulled in, and the wider ranks become.")  # fmt: skip
    left = leads[leads["rank"].isna()].groupby("call").size()
    say("Not ranked, by what report 04 calls them: " + (", ".join(f"{literal(c)} {n}" for c, n in left.items()) or "none") + ".")  # fmt: skip
else:
    say("There is no order of rescuers to draw up.")

# %% [markdown]
# ## What the list hangs on
#
# The same ranking with one thing left out at a time: each plate, each experiment, each method.
# Methods that give one number for all plates together cannot be drawn anew, so they have no vote; here each is heard once, as one more voice (the earth mover's distance and the share of healthy neighbours, from report 04).

# %%
stability = lead_views.stability_tables(ranked, leads)
hang = mine[mine["doubts"].str.contains("hangs on one part")]
if stability:
    tops = {c: r.consensus.n_top for c, r in ranked.items()}
    title = f"{len(hang)} of {len(mine)} leads hang on a single plate, experiment or method"
    fig = pictures.rank_stability(stability, title=title, subtitle=f"{len(mine)} leads; rank among all candidates, logarithmic", n_top=tops)  # fmt: skip
    show(fig, f"Rank of every lead with one plate, one experiment or one method left out, or one witness heard; the open circle is the rank with everything. A lead hangs on one part if, without it, it leaves the top and more than doubles its rank: {len(hang)} of {len(mine)} do.", wide=True)  # fmt: skip
if ranked:
    show_table(lead_views.stability_summary(ranked), "The whole list with one thing left out, candidates that do nothing included, whose order is noise: how many things there are to leave out, Spearman's rho with the full order, and the share of the top that stays (mean, and the least).", rows=8, file="stability")  # fmt: skip

# %% [markdown]
# ## The leads
#
# Search the page for a compound, or click it in any figure, and it lights everywhere.

# %%
listed = mine.assign(n_doubts=mine["doubts"].str.count(";") + mine["doubts"].ne(""), gravest_doubt=mine["doubts"].str.split(";").str[0]).sort_values(["cell_type", "rank"])  # fmt: skip
columns = ["compound", "cell_type", "rank", "rank_low", "rank_high", "top_share", "n_doubts", "gravest_doubt", "best_dose", "on_score", "on_low", "on_high", "p_healthy", "moa"]  # fmt: skip
if len(mine):
    show_table(listed[columns], "All leads: consensus rank with the middle 90 % of draws, share of draws at the top, how many things speak against it and the gravest of them (`leads.tsv` has all), best dose, on-axis score with 95 % interval, and the classifier's probability of being healthy.", units={"best_dose": "µM"}, rows=12, file="leads")  # fmt: skip
elif disease:
    say("**There is no lead.** No compound that can be ranked is called a rescue, so no dossier follows. The screen had the power to find one only as far as report 04 says.")  # fmt: skip
else:
    act = hits.sort_values("rank")[[c for c in ("compound", "cell_type", "call", "best_dose", "off_score", "q", "replicate_map", "replicate_q", "moa") if c in hits]]  # fmt: skip
    show_table(act, "No leads; compounds by the strength of what they do, as report 04 ranks them: distance from the vehicle wells of the plate at the best dose, its q, and replicate mAP.", units={"best_dose": "µM"}, rows=15, file="activity")  # fmt: skip
    say(f"{int((hits['call'] == 'active').sum())} of {len(hits)} compounds are called active: their replicates find each other on other plates. Which of these effects is wanted, the screen cannot say, since there is no diseased state to come back from.")  # fmt: skip

# %%
used = wells[wells["used"] & (wells["role"] == "treated")]
contrasts = cell_type_contrasts(used, hits) if disease else cell_type_contrasts(used.iloc[:0], hits.iloc[:0])  # fmt: skip
near = neighbours_of_leads(chosen, wells, leads, "diseased", n_neighbours)
keys = choose_leads(leads, n_leads)
dossiers = write_dossiers(keys, leads, treatments, contrasts, near, n_experiments)
bands = lead_views.evidence_bands(wells, classified, treatments["n_wells"].median())
only = contrasts[contrasts["finding"].str.endswith(" only")] if len(contrasts) else contrasts
if len(contrasts):
    say(f"**Cell types.** {len(contrasts)} compounds were tested in two cell types at one dose. {len(only)} rescue in one only (q ≤ 0.05 for the difference): " + (", ".join(f"{literal(r.compound)} ({literal(r.finding.removeprefix('rescues in '))})" for r in only.itertuples()) or "none") + ". Such a compound is a finding, and no average of two cell types would show it.")  # fmt: skip

# %% [markdown]
# ## Dossiers
#
# One for each of the first leads, best share of its list first.
# Figures: dots are means over plates with 95 % intervals, hollow where a dose was barred; dotted lines are fitted curves; shaded bands are where means of as many healthy (green) and untreated diseased (red) wells lie.
# *On the way* is the on-axis score, *off the way* the shift at right angles to it that plates share.

# %%
classified_doses = tables.get("classifier_treatments")
for d in dossiers:
    say(d.opening)
    drawing = molecule_svg(d.smiles) if d.smiles else ""
    gallery([(drawing, d.compound, "; ".join(d.cell_types))], f"Structure of {literal(d.compound)}.") if drawing else say("No structure is given.")  # fmt: skip
    doses = lead_views.dose_table(d.compound_key, treatments, classified_doses)
    rows = leads[leads["compound_key"] == d.compound_key].set_index("cell_type", drop=False)
    curves = {c: dose_curve(rows.loc[c], doses.loc[doses["cell_type"] == c, "dose"]) for c in rows.index}  # fmt: skip
    fig = pictures.evidence_strip(doses, curves, bands, cell_types, title=d.title, subtitle=f"{len(doses)} treatments, {doses['n_wells'].sum():,.0f} wells")  # fmt: skip
    show(fig, d.caption, wide=True)
    say("\n\n".join(part for part in (d.facts, d.context, d.doubts) if part))

# %% [markdown]
# ## What the owner of the screen asks
#
# **How well does the score tell healthy from diseased** is answered by the gate above.
# **Does it hold elsewhere?** Candidates are scored on one part of the plates and on another, and the two orders are compared.
# Most candidates do nothing, and the order of what does nothing is noise: a low rho over all candidates is compatible with a list whose top comes back every time. So the top is asked as well.

# %%
held = score_questions.repeats(ranked, seed=seed)
if len(held):
    halves, whole = held[held["asked"] == "plates"], held[held["asked"] == "plates, all"]
    spans = "; ".join(f"{r.cell_type}, {r.score.replace('_', '-')}: {r.rho:.2f} between halves, {w.rho:.2f} for all plates" for r, w in zip(halves.itertuples(), whole.itertuples(), strict=True))  # fmt: skip
    title = "Between halves of the plates, candidates' on-axis scores correlate with rho = " + ", ".join(f"{r.rho:.2f} ({r.cell_type})" for r in halves[halves["score"] == "on_axis"].itertuples())  # fmt: skip
    fig = question_pictures.repeat_figure(held, title=title, subtitle="all candidates; bars: 90 % of 100 random halvings")  # fmt: skip
    show(fig, f"Spearman's rho of candidates' scores between disjoint halves of the plates, extrapolated to all plates (Spearman-Brown), between experiments, and between cell types. {literal(spans)}.")  # fmt: skip
    across = held[held["asked"] == "cell types"]
    if len(across):
        say("**Other cells.** " + " ".join(f"Between {literal(r.across.replace(', ', ' and '))} candidates' scores ({literal(r.score.replace('_', '-'))}) correlate with rho = {r.rho:.2f} (n = {r.n})." for r in across.itertuples()) + " What differs between cell types may be biology, so this is no test of the score.")  # fmt: skip
else:
    say("Without a ranking there is nothing to repeat.")

# %%
told_next = score_questions.foretold(ranked, counted.to_dict(), seed=seed)
if len(told_next):
    mean = told_next.groupby(["cell_type", "n_top"], sort=False)[["overlap", "chance", "chosen", "held"]].mean()  # fmt: skip
    real = told_next.groupby("cell_type")["is_experiment"].first()
    lines = [f"- {literal(c)}, first {n}: {row['overlap']:.0%} of them are again among the first {n} of {'the experiment' if real[c] else 'the half of the plates'} left out ({row['chance']:.0%} by chance); their mean recovery was {row['chosen']:.2f} where they were chosen and {row['held']:.2f} where they were not" for (c, n), row in mean.iterrows()]  # fmt: skip
    kept = (mean["held"] / mean["chosen"]).groupby("cell_type").last()
    say("**What would happen in the next experiment?** Each experiment is foretold from the others, with the list and the best doses chosen without it (where there is one experiment only, halves of its plates stand in):\n\n" + "\n".join(lines))  # fmt: skip
    say("If the next experiment is like these, about " + ", ".join(f"{v:.0%} ({literal(c)})" for c, v in kept.items()) + " of the recoveries printed in the dossiers should come back; the rest is the luck of having been chosen. The true share may be a little larger, since the dossiers had one experiment more to choose by.")  # fmt: skip
    show_table(told_next, "Every experiment foretold from the others: share of the top foretold that is at the top there, share expected by chance, and mean recovery of those compounds where they were chosen and where they were not.", rows=8, file="next_experiment")  # fmt: skip

# %%
if disease:
    needed = score_questions.necessity(leads, roles.references, least)
    have = needed.groupby("compound")["has_score"].any()
    without = [literal(n) for n in have.index[~have]]
    say(f"**Is the score necessary?** The screen names {len(roles.references)} reference compounds. {int(have.sum())} of the {len(have)} found recover at least {least:.0%} of the way at their best dose in some cell type" + (f"; {lead_views.listed(without)} do not" if without else "") + ". If one of these is known to work in such cells, the score missed it; which of them ought to rescue is knowledge that this screen does not hold.")  # fmt: skip
    if len(needed):
        show_table(needed, "Reference compounds: what they were called, and whether they have the score.", rows=8, file="references")  # fmt: skip
    stands = score_questions.sufficiency(leads, least)
    lines = [f"- {words}: {int((stands[check] == True).sum())} of {int(stands[check].notna().sum())}" for check, words in score_questions.CHECKS.items()]  # noqa: E712  # fmt: skip
    firm = stands[stands["call"] == "rescue"]
    say(f"**Is it sufficient?** {len(stands)} compounds (in one cell type or another) recover at least {least:.0%} of the way at their best dose, {len(firm)} of them called. Of all that have the score, those that stand up to each check:\n\n" + "\n".join(lines) + f"\n\nAll checks are passed by {int(stands['all'].sum())} of {len(stands)}, and by {int(firm['all'].sum())} of the {len(firm)} that are called. " + ("The score alone is not sufficient." if not stands["all"].all() else "Here the score was sufficient."))  # fmt: skip
else:
    say("Necessary and sufficient for what? Without a diseased state the questions have no answer.")

# %% [markdown]
# ## What others found
#
# Scores that somebody else gave the same compounds are opened once, here, after everything above was fixed; nothing was chosen by them.
# For RxRx19a, hit scores are published (ChEMBL document CHEMBL4303122).

# %%
orders = {"consensus": "rank", "on-axis score": "rank_on_axis", "classifier": "rank_classifier", "earth mover": "rank_earth_mover", "healthy neighbours": "rank_kNN"}  # fmt: skip
given = bool(reference_scores) and bool(ranked)
if given:
    match = reference_check.match_references(leads, read_reference_scores(reads(root() / reference_scores)))  # fmt: skip
    say(f"{len(match.table)} compounds have a reference score. {len(match.unmatched)} rows name what this screen does not have: {lead_views.listed([literal(n) for n in match.unmatched['compound']], 20) or 'none'}.")  # fmt: skip
else:
    say("No reference scores were given (`reference_scores:`)." if ranked else "Without a ranking there is nothing to hold against other scores.")  # fmt: skip

# %%
if given and len(match.table):
    checked = reference_check.compare_orders(match.table, orders, hit=reference_hit, harm=reference_harm)  # fmt: skip
    ours = checked[checked["method"] == "consensus"].set_index("cell_type")
    title = "; ".join(f"{c}: Spearman {r.spearman:.2f}, average precision {r.average_precision:.2f}" for c, r in ours.iterrows()) or "No ranked compound has a reference score"  # fmt: skip
    panels = {c: part.assign(place=part["rank"]) for c, part in match.table.groupby("cell_type")}
    fig = question_pictures.reference_figure(panels, reference_hit, reference_harm, title=title, subtitle=f"{len(match.table)} compounds; dashed: hit and harm")  # fmt: skip
    show(fig, f"Reference score of every compound by our rank. {literal(title)}.", wide=True)
    show_table(checked, f"Agreement with the reference (hit: score ≥ {reference_hit:g}, harm: < {reference_harm:g}): Spearman's rho, average precision and its level by chance, share of reference hits among our first 10, 25 and 50, and harmful compounds among our first 50 and among our leads.", rows=10, file="reference")  # fmt: skip

# %% [markdown]
# ## Against the truth

# %%
truth = build_dir(base_run(run)) / "truth"
if (truth / "compounds.tsv").is_file() and ranked:
    planted = pd.read_csv(reads(truth / "compounds.tsv"), sep="\t")
    true = reference_check.match_references(leads, reference_check.scores_from_effects(planted)).table  # fmt: skip
    checked = reference_check.compare_orders(true, orders, hit=least, harm=reference_harm)
    ours = checked[checked["method"] == "consensus"].set_index("cell_type")
    panels = {c: part.assign(place=part["rank"]) for c, part in true.groupby("cell_type")}
    title = "; ".join(f"{c}: average precision {r.average_precision:.2f}, {r.recall_10:.0%} of {r.n_hits:.0f} planted rescuers in the first 10" for c, r in ours.iterrows())  # fmt: skip
    fig = question_pictures.reference_figure(panels, least, reference_harm, title=title, subtitle=f"{len(true)} compounds; planted share of the disease undone, or minus the cells lost; dashed: rescue and harm")  # fmt: skip
    show(fig, f"What was planted, by our rank: the largest share of the disease that a compound undoes, or minus the share of cells it kills. {literal(title)}; {ours['harm_in_leads'].sum():.0f} of {int(counted.sum())} leads do harm.", wide=True)  # fmt: skip
    show_table(checked, "Every order against the truth: the consensus, each voter alone, and the witnesses. Compounds that report 04 barred come last in the consensus and have no place in it.", rows=10, file="leads_truth")  # fmt: skip
else:
    say("This screen was not simulated, or nothing could be ranked, so there is no truth to hold the list against.")  # fmt: skip

# %%
if (truth / "compounds.tsv").is_file() and ranked:
    right = true[true["is_lead"]]
    surest = right[right["top_share"] >= 0.9]
    ap = checked.groupby("method", sort=False)["average_precision"].mean()
    say(f"{int((right['reference'] >= least).sum())} of {len(right)} leads were planted as rescuers of their cell type, and of the {len(surest)} that stay at the top in nine of ten draws {int((surest['reference'] >= least).sum())}. Mean average precision over cell types: " + ", ".join(f"{literal(m)} {v:.2f}" for m, v in ap.items()) + f". {'No order is better than the consensus' if ap.idxmax() == 'consensus' or ap.max() <= ap['consensus'] else f'The consensus is not the best: {ap.idxmax()} is'} on this screen.")  # fmt: skip
    harms = true[(true["reference"] < reference_harm) & (true["rank"] <= 50)]
    worst = [f"{literal(r.compound)} in {literal(r.cell_type)} (rank {r.rank:.0f} of {r.n_ranked:.0f}, {literal(r.call)}, planted {r.reference:.2f})" for r in harms.itertuples()]  # fmt: skip
    say(f"**Harm.** Compounds that kill cells or add to the disease, among the first 50 of a list: {lead_views.listed(worst) or 'none'}; among the leads: {int(ours['harm_in_leads'].sum())}. The first 50 of so few candidates reach far into those that do nothing.")  # fmt: skip
    seen = dict(zip(zip(true["cell_type"], true["compound_key"], strict=True), true["reference"] >= least, strict=True))  # fmt: skip
    verdicts = [bool(seen.get((row.first if side == "first" else row.second, row.compound_key), False)) for row in only.itertuples() for side in ("first", "second")]  # fmt: skip
    right_side = sum(a != b for a, b in zip(verdicts[::2], verdicts[1::2], strict=True))
    say(f"**Cell types.** {right_side} of the {len(only)} compounds said to rescue in one cell type only do so.")  # fmt: skip
    headline(truth_average_precision=round(float(ap["consensus"]), 4), truth_leads_right=int((right["reference"] >= least).sum()), truth_harm_in_leads=int(ours["harm_in_leads"].sum()))  # fmt: skip

# %% [markdown]
# ## What we found

# %%
first = [f"{literal(d.compound)} ({literal(leads.loc[(leads['compound_key'] == d.compound_key) & leads['is_lead'], 'cell_type'].str.cat(sep=' and '))})" for d in dossiers[:3]]  # fmt: skip
facts = [f"{len(mine)} leads ({', '.join(f'{literal(c)} {n}' for c, n in counted.items())}), {len(sure)} of them at the top of their list in nine of ten draws of plates."] if disease else ["This screen has no disease, so there is nothing to rescue and no lead; the strongest activities are listed."]  # fmt: skip
facts += [f"To be tested first: {', '.join(first)}."] if first else []
facts += [f"Leads that hang on a single plate, experiment or method: {len(hang)}; that nothing speaks against: {int((mine['doubts'] == '').sum())}. Every dossier says what would change our mind."] if stability else []  # fmt: skip
at_leads = {c: (n, row) for (c, n), row in mean.iterrows()} if len(told_next) else {}
facts += ["Foretold from the others, an experiment gives back " + ", ".join(f"{row['overlap']:.0%} of the first {n} in {literal(c)} (chance {row['chance']:.0%})" for c, (n, row) in at_leads.items()) + "."] if at_leads else []  # fmt: skip
facts += [f"Compounds that rescue in one cell type only: {len(only)}."] if len(contrasts) else []
say("\n".join(f"- {line}" for line in facts))
answer(" ".join(facts))
headline(
    leads=len(mine), leads_sure=len(sure), dossiers=len(dossiers), one_cell_type_only=len(only)
)

# %%
save_table(leads.reindex(columns=list(COLUMNS)), run, "leads", COLUMNS)

# %% [markdown]
# ## What could be wrong
#
# - **Votes are not independent.** Both voters see the same wells, so their agreement is no proof: noise in a well moves both.
# - **Plates are drawn, experiments are not.** Intervals say what other plates of the same experiments would have given. The next experiment differs by more; how much more is measured above, where there is more than one.
# - **The best dose is chosen.** The best of several doses flatters every compound. Draws choose anew and ranks allow for it; the scores and intervals printed in a dossier do not.
# - **Pulling in assumes alike noise** within a cell type and one spread of true effects. A few strong rescuers widen that spread for all, so that among compounds which do nothing ranks look a little surer than they are.
# - **Report 04's calls come first.** A rescuer that it takes for off-axis is never ranked.
# - **Neighbours** say that two compounds move cells alike. All rescuers move cells away from disease, so a rescuer's neighbours are rescuers whatever their mechanism.
# - **The forecast of a repeat** takes plates to be independent and alike; another batch of cells or virus is outside it.
# - A lead is a reason for the next experiment in a dish, and nothing more.
#
# ## Methods and citations
#
# - **Aggregation**: mean of normalised ranks (Borda's count); of robust alternatives [10.1093/bioinformatics/btr709](https://doi.org/10.1093/bioinformatics/btr709) is the best known, which asks for many rankers.
# - **Uncertainty of ranks**: Bayesian bootstrap over plates, [10.1214/aos/1176345338](https://doi.org/10.1214/aos/1176345338), with weights' variance corrected for few plates; empirical Bayes ranks, [10.3102/10769986014001029](https://doi.org/10.3102/10769986014001029). Why a plain bootstrap is too sure of ranks: [10.1214/09-AOS699](https://doi.org/10.1214/09-AOS699).
# - **Split halves**: Spearman, [10.1111/j.2044-8295.1910.tb00206.x](https://doi.org/10.1111/j.2044-8295.1910.tb00206.x), and Brown, [10.1111/j.2044-8295.1910.tb00207.x](https://doi.org/10.1111/j.2044-8295.1910.tb00207.x).
# - **Contrast of cell types**: Welch's t over plate means, [10.1093/biomet/34.1-2.28](https://doi.org/10.1093/biomet/34.1-2.28), with Benjamini-Hochberg q, [10.1111/j.2517-6161.1995.tb02031.x](https://doi.org/10.1111/j.2517-6161.1995.tb02031.x).
# - **On-axis and off-axis scores**, and the questions of the owner of RxRx19a: [10.1101/2020.04.21.054387](https://doi.org/10.1101/2020.04.21.054387). Earth mover's distance to healthy wells: [10.64898/2026.04.15.718737](https://doi.org/10.64898/2026.04.15.718737).

# %% [markdown]
# ## Provenance
