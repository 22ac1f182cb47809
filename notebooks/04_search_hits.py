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
# # 04 Search hits
#
# **Question.** Which treatments bring diseased wells among the healthy ones, and which of them should be believed?
#
# **Reads** the profiles that report 02 chose (`centred.zarr`), the screen (`wells.zarr`), verdicts on plates and wells (report 01), replicate mAP (report 02) and the map (report 03).
# **Writes** `hits.tsv` (one row per compound and cell type), `treatments.tsv` (the same per dose), `wells_scored.tsv` and `searches.tsv`.
#
# A list of hits is easily made: draw a circle around the healthy wells and count names.
# Such lists name what was tested most often, and what kills cells.
# So every treatment is weighed here on wells, plate by plate, with what speaks for it and what speaks against it; the original's own searches stand beside that, with their failures measured.

# %% tags=["parameters"]
run: str = "simulated"  # the run whose screen is read
seed: int = 0  # of resampled plates and of the searches
hold_out: str = "batch"  # whose controls a plate's axis is not learned from {batch|experiment}
keep_flagged: bool = False  # let plates and wells that report 01 flagged take part
fdr: float = 0.1  # false discovery rate of calls [0.001..0.5]
least: float = 0.2  # share of the way to healthy that a rescue covers at least [0..1]
radius: float = 0.0  # around healthy wells on the map, in its units; 0 fits it to them [0..1000]
n_neighbors: int = 15  # neighbours asked in the original's searches [1..500]
components: int = 6  # Gaussians at most in the mixture of healthy wells [1..50]
threshold: float = 0.9  # share of held-out healthy wells that the mixture keeps [0.5..0.999]
n_draws: int = 2000  # resamples of plates behind each interval [200..100000]
n_shown: int = 12  # compounds shown one by one [1..60]

# %% tags=["setup"]
import numpy as np
import pandas as pd

from screenbook.chemistry import molecule_svg
from screenbook.figures import hits as draw
from screenbook.figures.dose_curves import DoseTables, chosen_dose_curve, dose_curves
from screenbook.figures.enrichment import enrichment_bars
from screenbook.figures.hit_context import cell_type_contrast, hits_on_map
from screenbook.figures.searches import search_comparison, search_ranks
from screenbook.paths import base_run, build_dir, find
from screenbook.hits import hit_tables, hit_views
from screenbook.profiles.batches import cell_type_parts
from screenbook.hits.calls import Rule
from screenbook.hits.contrasts import cell_type_contrasts
from screenbook.hits.enrichment import class_enrichment, scaffolds_of
from screenbook.hits.hit_search import search_hits
from screenbook.hits.searches import SearchSettings, Spaces, places_of, search_screen
from screenbook.profiles.views import leading_components
from screenbook.report import (
    answer,
    gallery,
    gate,
    headline,
    reads,
    save_table,
    say,
    show,
    show_table,
)
from screenbook.screen import read_screen, roles_of
from screenbook.sources import open_wells

chosen = read_screen(reads(find(run, "centred.zarr", made_by="02")))
wells = open_wells(run)[chosen.obs_names].copy()
reads(build_dir(base_run(run)) / "wells.zarr")
obs, roles, disease = wells.obs, roles_of(wells), roles_of(wells).has_disease
made_by = {"plates": "01", "wells_flagged": "01", "replicates": "02", "map": "03"}
names = dict.fromkeys(["batch", "well", "id", "plate", "experiment"], str)
before = {name: pd.read_csv(reads(find(run, f"tables/{name}.tsv", made_by=by)), sep="\t", dtype=names) for name, by in made_by.items()}  # fmt: skip
rule = Rule(fdr=fdr, least=least)

# %% [markdown]
# ## Who takes part, and whether the controls allow the question
#
# The unit is the well; sites were averaged.
# Plates and wells that report 01 flagged are left out, unless `keep_flagged` says otherwise.
# With a disease, every well is placed on the way from the healthy to the untreated diseased wells **of its own plate**: 0 and 1 are their means.
# The direction of that way, and the standard deviation that lengths are measured in, come from the controls of *other* plates (or, with `hold_out`, of other experiments), so that a treated well and an untreated one of its plate stand on equal terms.
# If the controls do not part there, no list below means anything.

# %%
parts = cell_type_parts(chosen)
left_out = hit_tables.wells_left_out(obs, before["plates"], before["wells_flagged"], keep_flagged=keep_flagged)  # fmt: skip
search = search_hits(parts, cell_type_parts(wells), left_out, before["replicates"], rule, hold_out=hold_out, n_draws=n_draws, seed=seed)  # fmt: skip
hits, treatments = hit_tables.hit_table(search, obs), hit_tables.treatment_table(search)
scored, power = hit_tables.well_table(search, parts), hit_views.power_of_design(search)
control = scored[scored["role"].isin(roles.controls) & scored["used"]]
lines = [f"**{p.cell_type}**: {p.treated:,} treated wells, {p.testable:,} of {p.treatments:,} treatments can be tested" + (f", healthy and diseased wells lie {p.gap:.1f} control SD apart" if disease else "") + f"; the least p that a typical design reaches is {p.p_least:.1g}" for p in power.itertuples()]  # fmt: skip
lines += [f"**{name}** is not scored: {why}" for name, why in search.refused.items()]
say(f"{left_out.sum():,} of {len(obs):,} wells are left out.\n\n" + "\n".join(f"- {line}." for line in lines))  # fmt: skip
unscaled = {plate: why for found in search.scores.values() for plate, why in found.unscaled.items() if why != "left out"}  # fmt: skip
say("Plates without a scale of their own: " + ("; ".join(f"{p} ({why})" for p, why in unscaled.items()) or "none") + ".")  # fmt: skip
apart = power["gap"].min() if disease else float("nan")
gate(not search.refused and not apart < 1.5, f"Healthy and untreated diseased wells must lie 1.5 control SD apart in every cell type, on plates that did not teach the axis; the least is {apart:.1f}." if disease else "There is no disease in this screen: vehicle wells on every plate are the reference for activity.")  # fmt: skip

# %%
zones = {name: found.zones for name, found in search.scores.items() if len(found.zones)}
taken = [f"in {name} wells the outermost ring scores {z['effect'][0]:+.2f} and the next {z['effect'][1]:+.2f} (p = {z['p'][0]:.2g}, {z['controls'][0]:,} and {z['controls'][1]:,} controls there)" + ("; this is taken off" if z["taken_off"].any() else "; left as it is") for name, z in zones.items()]  # fmt: skip
say("**Place on the plate.** Held against control wells inside the plate, " + "; ".join(taken) + "." if taken else "Effects of place are not asked without a disease; see report 01.")  # fmt: skip
spread = control.groupby(["cell_type", "role"])["on_score" if disease else "off_score"].std()
say("Single control wells scatter by " + ", ".join(f"{sd:.2f} ({c}, {role})" for (c, role), sd in spread.items()) + (" of the way from healthy to diseased: one well proves nothing, six are a beginning." if disease else " control SD of distance from the vehicle."))  # fmt: skip

# %% [markdown]
# ## Along the way to health, and off it
#
# *On-axis*: 0 healthy, 1 untreated; recovery is 1 minus that.
# *Off-axis*: how far a treatment moves cells somewhere else, in control SD; only what its plates agree on counts, so noise alone gives 0.
# A compound that kills cells may well move them towards healthy in some features; it also moves them far off the way, and that is what tells it from a rescue.
# The dashed line is the gate: right of it a treatment moves cells further off the way than along it, and is not called a rescue, however small its p.

# %%
called = treatments["verdict"].value_counts()
n_rescue, n_off = int(called.get("rescue", 0)), int(called.get("off-axis", 0))
if disease:
    title = f"{n_rescue} of {len(treatments):,} treatments move cells to health, {n_off} move them elsewhere"
    fig = draw.on_off_plane(treatments, title=title, subtitle=f"{len(treatments):,} treatments (compound and dose); whiskers: 95 % over plates", controls=hit_views.control_boxes(search, parts), gate=hit_views.gate_lines(search))  # fmt: skip
    show(fig, f"On-axis score (0 healthy, 1 untreated) of every treatment against its off-axis score in control SD, one panel for each cell type. Boxes are where treatments of the typical number of wells would lie that healed completely or did nothing. {n_rescue} treatments are called a rescue and {n_off} off-axis at a false discovery rate of {fdr:g}.", wide=True, thumbnail=True)  # fmt: skip
else:
    weak = hit_views.activity_by_mechanism(treatments, hits)
    show_table(weak, "Mechanisms, the weakest phenotype first: how many of their treatments are active, and their median distance from the vehicle and replicate mAP.", units={"distance": "control SD"}, rows=15, file="mechanisms")  # fmt: skip
    say(f"There is no way to health here, so distance from the vehicle wells of the plate stands for effect: {treatments['off_score'].median():.1f} control SD for the median treatment. The weakest phenotype is that of *{weak['mechanism'].iloc[0]}* ({weak['distance'].iloc[0]:.1f} control SD, {weak['active'].iloc[0]} of {weak['treatments'].iloc[0]} treatments active), the strongest that of *{weak['mechanism'].iloc[-1]}* ({weak['distance'].iloc[-1]:.1f}, {weak['active'].iloc[-1]} of {weak['treatments'].iloc[-1]}).")  # fmt: skip

# %% [markdown]
# ## Could nothing have done this?
#
# **Against untreated wells.** If a compound does nothing, its wells are exchangeable with the untreated diseased wells of their plates (or, without a disease, with vehicle wells).
# Ranks within plates then have a known law, and p is exact: no permutation is drawn, and a design too small to reach 0.05 is called *not testable*.
# q is Benjamini and Hochberg's over **one family**: all treatments of all cell types of this screen.
#
# **Against the bulk.** Untreated wells are not quite what an idle compound would be: they have no solvent, and places of their own.
# The second null holds each treatment against the treated wells of its plate (median and median absolute deviation), most of which do nothing.
# A treatment that passes one null and fails the other is flagged *nulls disagree*.

# %%
tested = treatments[treatments["testable"]]
both = (tested["q"] <= fdr) & (tested["q_bulk"] <= fdr)
one = (tested["q"] <= fdr) ^ (tested["q_bulk"] <= fdr)
if disease:
    fig = draw.volcano(treatments, level=fdr, title=f"{(tested['q'] <= fdr).sum()} treatments move towards healthy at q ≤ {fdr:g}; {n_rescue} of them pass the gates", subtitle=f"{len(tested):,} testable treatments; dashed: q = {fdr:g}")  # fmt: skip
    show(fig, f"Recovery (share of the way from untreated to healthy) of every treatment against its q, exact within plates. Points high up on the right are sure and large. A treatment with small q that is no rescue covers less than {least:.0%} of the way, or goes further off it than along it.", wide=True)  # fmt: skip
fig = draw.null_agreement(treatments, level=fdr, title=f"Both nulls agree on {1 - one.sum() / max(len(tested), 1):.1%} of treatments", subtitle="q against untreated wells, and against the treated bulk of the same plates")  # fmt: skip
show(fig, f"q of every treatment against the two nulls. {both.sum()} pass both, {one.sum()} pass one only. Where many pass against untreated wells and fail against the bulk, treated wells share something that untreated ones lack, or so many compounds act that the bulk is no longer idle.")  # fmt: skip
spread = tested.groupby("cell_type")["z_bulk"].median()
say("Half of all treatments lie below these robust z of the bulk: " + ", ".join(f"{z:+.2f} ({c})" for c, z in spread.items()) + f". {both.sum()} treatments pass both nulls, {one.sum()} pass one of them.")  # fmt: skip

# %% [markdown]
# ## One call for each compound
#
# Doses are joined by one stated rule.
# The p of a compound is Simes' over its doses, and a dose at which cells move further off the way than along it, or at which half of the wells are unlike any control, counts as p = 1, so that a poison's p never speaks for a rescue.
# A **rescue** has q ≤ `fdr` over all compounds and cell types, and a dose that would pass alone: p ≤ 0.05, at least `least` of the way, along rather than off it.
# Compounds are ranked by call, and then by what the interval *promises*: the recovery at its worse end, at the best dose.
# So nothing is gained by being tested more often, except a narrower interval.
# Without a disease a compound is **active** where its replicates on different plates find each other (report 02).
#
# Flags are kept apart from the call: a flagged rescue is still a rescue, and a reason to look twice.
# *Toxicity-like* is a proxy, since an embedding counts no cells: the treatment moves off the way in the direction in which many compounds go at their highest dose.
# *Fluorescence-like*: more than half of the shift in the features as they came lies in 2 % of them.

# %%
calls = pd.crosstab(hits["call"], hits["cell_type"])
say("\n".join(f"- **{call}**: " + ", ".join(f"{n} in {c}" for c, n in row.items()) for call, row in calls.iterrows()))  # fmt: skip
top = hits[hits["call"].isin(["rescue", "active"])]
if disease:
    fig = draw.rank_whiskers(hits, title=f"{len(top)} compounds are called a rescue: {', '.join(dict.fromkeys(top.sort_values('promised', ascending=False)['compound']).keys()) if 0 < top['compound'].nunique() <= 6 else str(top['compound'].nunique()) + ' different ones'}", subtitle="on-axis score at the best dose, 95 % interval over plates; hollow: flagged off-axis", top=n_shown)  # fmt: skip
    show(fig, f"The first {n_shown} compounds of each cell type, best first, with the interval of the on-axis score at the best dose; 0 is healthy, 1 untreated. A compound is not better than another whose interval it shares.", wide=True)  # fmt: skip
columns = ["rank", "compound", "names", "cell_type", "call", "best_dose", "n_wells", "n_plates", "on_score", "on_low", "on_high", "off_score", "q", "ec50", "emax", "replicate_map", "replicate_q", "flags", "moa"]  # fmt: skip
shown = hits[columns].rename(columns={"names": "aliases"}).sort_values(["rank", "cell_type"])
show_table(shown, f"All {len(hits):,} compounds and cell types. A click on a row lights the compound in every figure of this page; `hits.tsv` holds all columns and rows, `dictionary.tsv` explains them.", units={"best_dose": "µM", "ec50": "µM", "off_score": "control SD"}, rows=15, file="hits")  # fmt: skip

# %%
words = treatments.assign(flag=treatments["flags"].str.split("; ")).explode("flag")
counts = words[words["flag"] != ""].groupby("flag").agg(treatments=("dose", "size"), compounds=("compound_key", "nunique"), rescues=("verdict", lambda v: int((v == "rescue").sum())))  # fmt: skip
show_table(counts.sort_values("treatments", ascending=False), "How often each flag was raised over all treatments, over how many compounds, and on how many treatments called a rescue.", file="flags")  # fmt: skip
flagged = [f"- {row.compound} ({row.cell_type}): {row.flags}" for row in top.itertuples() if row.flags]  # fmt: skip
say("Flags on called compounds:\n\n" + ("\n".join(flagged[: 2 * n_shown]) or "- none"))
strong = (top["replicate_q"] <= fdr).sum()
say(f"Of {len(top)} compounds called, {strong} also have replicates that find each other across plates at their best dose (q ≤ {fdr:g}). A perfect rescue need not: its wells look like healthy ones, which look like one another and like nothing in particular.")  # fmt: skip

# %% [markdown]
# ## More drug, more effect; and one cell type or the other
#
# A curve with four parameters is fitted to the on-axis scores of each compound's wells: plateau, effect, EC50 and slope.
# Its EC50 has a profile interval, open where the doses do not bound it, and the curve is tested against a flat line.
# A curve that turns back is flagged as a bell and fitted up to its turn only; doses that move cells elsewhere than to health are left out of the fit, because there the on-axis score is no measure of rescue.
#
# Cell types are analysed apart and compared at one dose that both had.
# A compound that rescues in one only is a finding, not an average.

# %%
boxes, dosed = hit_views.control_boxes(search, parts), scored[(scored["role"] == "treated") & scored["used"]]  # fmt: skip
if disease and len(hits):
    tables = DoseTables(dosed, treatments, hit_views.dose_lines(search, hits["compound_key"]), hits, boxes)  # fmt: skip
    best = list(dict.fromkeys(top.sort_values("promised", ascending=False)["compound"]))
    fig = dose_curves(tables, best[:n_shown], title=f"{top['shape'].isin(['sigmoid', 'bell']).sum()} of {len(top)} rescues have a dose response", subtitle="wells (points), mean with 95 % interval over plates, fitted curve with its band")  # fmt: skip
    show(fig, "Dose response of the compounds called a rescue; 0 is healthy and 1 untreated in every panel. Bands beside the axis are where treatments of the typical number of wells would lie that healed completely or did nothing; hollow means are off-axis doses.", wide=True)  # fmt: skip
    fig = chosen_dose_curve(tables, list(dict.fromkeys(hits["compound"])), title="Any compound's curve", subtitle="chosen in the menu, or by a click anywhere on the page")  # fmt: skip
    show(fig, "The same for one compound at a time: choose it in the menu, in the search of the page, or by a click in another figure. Most curves are flat, as most compounds do nothing.")  # fmt: skip
    closed = top[["ec50_low", "ec50_high"]].notna().all(axis=1)
    say(f"Of {len(top)} rescues {top['ec50'].notna().sum()} have an EC50, from {top['ec50'].min():.2g} to {top['ec50'].max():.2g} µM; for {closed.sum()} its 95 % interval is closed at both ends. Where it is open, the doses do not bound the EC50 on that side." if len(top) else "No compound is called a rescue, so there is no EC50 to report.")  # fmt: skip
else:
    say("Without a disease there is no axis along which a dose response could be fitted.")

# %%
contrasts = cell_type_contrasts(dosed, hits, level=fdr) if disease else pd.DataFrame()
if len(contrasts):
    found = contrasts["finding"].value_counts()
    fig = cell_type_contrast(contrasts, treatments=treatments, title="; ".join(f"{n} {what}" for what, n in found.items()), subtitle="recovery at one dose in either cell type; whiskers: 95 % over plates")  # fmt: skip
    show(fig, f"Recovery of every compound in two cell types at the same dose; a compound on the diagonal acts alike in both. {len(contrasts)} compounds were tried in both.")  # fmt: skip
    told = contrasts[contrasts["finding"].str.contains("rescue") & ~contrasts["finding"].str.startswith("no ")]  # fmt: skip
    show_table(told.drop(columns="compound_key"), "Compounds that rescue in one cell type or in both, with the difference of recovery, its 95 % interval (Welch, over plates) and q over all compounds compared.", units={"dose": "µM"}, file="contrasts")  # fmt: skip
else:
    say(
        "No compound was tried in two cell types of a disease screen, so there is nothing to contrast."
    )

# %% [markdown]
# ## The original's own searches
#
# The first public analysis of RxRx19a drew circles around healthy clusters on a t-SNE map and counted the names of drugs inside; it named neighbours in PCA space (20 components here), in the full embedding, and a Gaussian mixture of healthy wells as better ideas, and the antipodal direction of connectivity maps as the idea behind it all.
# All are run here on the same wells, with their levels set by control wells alone (the original chose its centres by eye, and read its list from another table than the one it had searched).
# Beside them stands the earth mover's score of BUSCAR, the closest relative in print.
# Counts follow how often a compound was tested; *score* is the fair form: hits beyond expectation at the best dose.
# The map of report 03 closes the section, with called compounds lit. It is a picture: no call was taken from it.

# %%
if disease:
    spaces = Spaces(
        places_of(before["map"], obs.index), leading_components(chosen, 20), np.asarray(chosen.X)
    )
    settings = SearchSettings(radius, n_neighbors, components, threshold=threshold, seed=seed)
    searched = search_screen(obs, spaces, settings, used=~left_out)
    save_table(searched.compounds, run, "searches", hit_views.search_columns(searched.compounds))
    rules = searched.rules
    show_table(rules[["cell_type", "search", "asks", "level", "healthy_kept", "diseased_caught", "hits", "treated", "follows_count", "follows_score", "reason"]], "What each search asks, at which level, the share of healthy wells it keeps and of untreated diseased wells it catches, its hit wells, and how closely the count and the fair score of a compound follow its number of wells (Spearman's rho).", rows=12, file="search_rules")  # fmt: skip
    fig = search_comparison(searched.compounds, hits, against="wells", title=f"Counts follow the number of wells: rho = {rules['follows_count'].median():.2f} in the median search", subtitle="wells found, by name, against wells of the compound")  # fmt: skip
    show(fig, "Each panel is a search, each point a compound: how many of its wells were found, against how many it has. A ranking by counts puts what was tested most first, whatever it does.", wide=True)  # fmt: skip
    fig = search_ranks(searched.compounds, hits, title="Where the first compounds by evidence stand in the searches", subtitle="ranks by count of names; lines are compounds, the lowest line is beyond rank 30")  # fmt: skip
    show(fig, "The compounds ranked first by the evidence, followed through the rankings by count of names. A search that agrees with the evidence keeps its lines at the top.", wide=True)  # fmt: skip
else:
    say("Without healthy wells there is no neighbourhood to search, so the searches are not run.")

# %%
shown_map = before["map"].assign(treatment_conc=pd.to_numeric(before["map"]["treatment_conc"]))
fig = hits_on_map(shown_map, hits, calls=("aggravates", "rescue", "active"), title=f"Wells of {top['compound'].nunique()} called compounds on the map", subtitle="best dose of each; controls tinted, other treated wells grey")  # fmt: skip
show(fig, "The t-SNE map of report 03, one panel for each cell type, with the wells of called compounds at their best dose lit. Rescues should lie among the healthy wells.", wide=True)  # fmt: skip
classes = hits.assign(hit=hits["call"].isin(["rescue", "active"]), score=-hits["on_low"] if disease else hits["replicate_map"], scaffold=scaffolds_of(hits["smiles"]))  # fmt: skip
enriched = {"mechanism": class_enrichment(classes, "moa", separator="|"), "scaffold": class_enrichment(classes, "scaffold")}  # fmt: skip

# %% [markdown]
# ## Do compounds of one kind act alike?
#
# Mechanisms and scaffolds (Bemis and Murcko's) with three compounds or more are asked twice: do they hold more hits than the others (Fisher's exact test), and do their members score better (rank test)?
# q is over the classes of a cell type. A class that stands out supports its members; a lone hit in a class of idle ones deserves a second look.

# %%
for what, table in enriched.items():
    if table.empty:
        say(f"No {what} has three compounds or more, so none is tested.")
        continue
    n_found = int((table["q_score"] <= fdr).sum())
    if what == "mechanism":
        fig = enrichment_bars(table, title=f"{n_found} of {len(table)} mechanisms score above the other compounds", subtitle="AUC: chance that a member scores above another compound; 95 % interval", level=fdr)  # fmt: skip
        show(fig, f"How far compounds of one mechanism come before the others, by {'the end of the on-axis interval towards healthy' if disease else 'replicate mAP'}. Full marks have q ≤ {fdr:g}.", wide=True)  # fmt: skip
    show_table(table.drop(columns=["members"]), f"Every {what} with three compounds or more, least p first.", rows=8, file=f"enrichment_{what}")  # fmt: skip
drawn = top.drop_duplicates("compound_key").head(n_shown)
cards = [(molecule_svg(c.smiles), c.compound, c.moa or "mechanism unknown") for c in drawn.itertuples() if isinstance(c.smiles, str) and molecule_svg(c.smiles)]  # fmt: skip
if cards:
    gallery(
        cards, f"Structures of the first {len(cards)} compounds called, drawn from their SMILES."
    )

# %% [markdown]
# ## Against the truth

# %%
from screenbook.hits import hits_against_truth

folder, key = build_dir(base_run(run)) / "truth", ["cell_type", "compound_key"]
truth = pd.read_csv(reads(folder / "compounds.tsv"), sep="\t") if (folder / "compounds.tsv").is_file() and disease else None  # fmt: skip
if truth is not None:
    levels = hits_against_truth.calls_at_levels(hits, truth, eligible=hits["promised"].notna())
    show_table(levels, "Rescues called at three levels of q against planted rescuers: recall, precision and the realised share of false discoveries (fdp) with its exact 95 % interval. *Held* says whether that interval reaches down to the level.", rows=9, file="truth_calls")  # fmt: skip
    at = levels[(levels["cell_type"] == "all") & (levels["level"] == 0.1)].iloc[0]
    table = hits.sort_values(["rank", "cell_type"]).assign(place=np.arange(len(hits)) + 1)
    wrong = hits_against_truth.harmful_on_top(table, truth, top=50, rank="place")
    selective = hits_against_truth.selective_calls(hits, truth, (hits["call"] == "rescue").to_numpy())  # fmt: skip
    say(f"At q ≤ 0.1 **{at['n_right']} of {at['n_true']} planted rescuers are called**, with {at['n_called'] - at['n_right']} false ones among {at['n_called']} calls (share {at['fdp']:.1%}, interval {at['fdp_low']:.1%} to {at['fdp_high']:.1%}). Of {len(selective)} compounds that rescue one cell type only, {(selective['verdict'] == 'right').sum()} are called in the right one and in no other. Toxic or aggravating compounds among the first 50 of the table: {len(wrong)}" + (f" ({', '.join(wrong['compound'])})" if len(wrong) else "") + ".")  # fmt: skip
    headline(truth_recall=round(at["recall"], 4), truth_fdp=round(at["fdp"], 4), truth_harmful_in_top_50=len(wrong))  # fmt: skip
else:
    say("This screen was not simulated with a disease: there is no truth to hold calls against.")

# %%
if truth is not None:
    covered = hits_against_truth.on_score_coverage(treatments, truth)
    null = hits_against_truth.null_calibration(treatments, truth)
    errors = hits_against_truth.ec50_errors(hits, truth)
    within = hits_against_truth.ec50_within(errors)
    whole = covered[(covered["cell_type"] == "all") & (covered["class"] == "all")].iloc[0]
    five = null[(null["cell_type"] == "all") & (null["level"] == 0.05)].iloc[0]
    say(f"**Intervals.** {whole['share']:.1%} of {whole['n']:,} on-axis intervals hold the true score (nominal 95 %). **p.** {five['share']:.1%} of {five['n']:,} truly inert treatments have p ≤ 0.05.")  # fmt: skip
    headline(truth_coverage=round(whole["share"], 4), truth_null_at_5=round(five["share"], 4))
    for row in within[within["cell_type"] == "all"].to_dict("records"):
        say("**EC50.** {k} of {n} strong rescuers (Emax ≥ 0.6) have an EC50 within a factor of three of the true one (one without an EC50 has not); the median is off by a factor of {median_fold:.2f}.".format(**row))  # fmt: skip
        headline(truth_ec50_within_3=round(row["share"], 4))

# %%
from screenbook.hits.ranking_precision import compare_rankings

if truth is not None and truth["rescues"].any():
    ours = {"the call": -hits.set_index(key)["rank"].astype(float)}
    columns = {c: c.replace("_", " ") for c in searched.compounds.columns if c.endswith(("_count", "_score"))}  # fmt: skip
    theirs = {name: searched.compounds.set_index(key)[column].astype(float) for column, name in columns.items()}  # fmt: skip
    ranked = compare_rankings(ours | theirs, truth, seed=seed)
    mean = ranked[ranked["cell_type"] == ranked["cell_type"].iloc[-1]].set_index("ranking")
    best = mean.drop("the call")["average_precision"].idxmax()
    show_table(ranked.sort_values(["cell_type", "average_precision"], ascending=[True, False]), "Average precision of rankings of compounds for planted rescuers, with a bootstrap interval over compounds, and the paired difference to the call.", rows=13, file="truth_rankings")  # fmt: skip
    say(f"**Rankings.** Average precision of the call is {mean.loc['the call', 'average_precision']:.2f}; the best of the others, {best}, reaches {mean.loc[best, 'average_precision']:.2f} (difference {mean.loc[best, 'difference']:+.2f}, 95 % interval {mean.loc[best, 'difference_low']:+.2f} to {mean.loc[best, 'difference_high']:+.2f}); a random order would have {mean['chance'].iloc[0]:.2f}." + (" That is no margin: where a disease is one direction in the profiles, whatever measures along it comes close. What the others lack is an interval, a p and a gate." if mean.loc[best, "difference_high"] > -0.001 else ""))  # fmt: skip
    headline(truth_average_precision=round(mean.loc["the call", "average_precision"], 4))

# %% [markdown]
# ## What we found

# %%
by_type = [f"{len(group)} of {power.set_index('cell_type').loc[name, 'compounds']} compounds in {name}" for name, group in top.groupby("cell_type")]  # fmt: skip
word = "called a rescue" if disease else "told from the vehicle"
findings = [f"At a false discovery rate of {fdr:g}, " + (" and ".join(by_type) or "no compound") + f" {'are' if by_type else 'is'} {word}."]  # fmt: skip
first = top.sort_values("rank").groupby("cell_type").head(3)
if disease and len(top):
    findings += ["First by the recovery promised: " + ", ".join(f"{r.compound} ({r.cell_type}; on-axis {r.on_score:.2f}, interval {r.on_low:.2f} to {r.on_high:.2f}, at {r.best_dose:g} µM)" for r in first.itertuples()) + "."]  # fmt: skip
    findings += [f"{(hits['call'] == 'off-axis').sum()} compounds move cells elsewhere than to health, and {(hits['call'] == 'aggravates').sum()} make the disease worse."]  # fmt: skip
if len(contrasts):
    findings += [f"{contrasts['finding'].str.endswith('only').sum()} compounds rescue in one cell type only."]  # fmt: skip
say("\n".join(f"- {line}" for line in findings))
answer(" ".join(findings))
save_table(hits, run, "hits", hit_tables.HIT_COLUMNS)
save_table(treatments, run, "treatments", hit_tables.TREATMENT_COLUMNS)
save_table(scored, run, "wells_scored", hit_tables.WELL_COLUMNS)
headline(rescues=int((hits["call"] == "rescue").sum()), active=int((hits["call"] == "active").sum()), off_axis=int((hits["call"] == "off-axis").sum()), aggravates=int((hits["call"] == "aggravates").sum()), not_testable=int((hits["call"] == "not testable").sum()))  # fmt: skip
# %% [markdown]
# ## What could be wrong
#
# - **The axis is a line.** A disease that leads cells through several states is not one; a compound that stops it half way may lie off the line and be called off-axis.
# - **The best dose was picked for its score**, so its on-axis score flatters a little. The p of the compound counts all doses; the interval of the best dose does not.
# - **Untreated wells are not idle wells.** Where the two nulls disagree, look at the plates before the compound.
# - **Toxicity is a proxy.** A compound that kills cells in a direction of its own is off-axis and not toxicity-like; without a cell count no embedding can do better.
# - **A rescue with side effects may be missed.** Further off than along is the stated gate; a true rescuer with strong effects elsewhere fails it.
# - **Plates are resampled, not experiments.** An interval says what other plates of these experiments would give; `P="hold_out=experiment"` scores by other experiments' controls.
# - **On simulated screens the axis is nearly what the scores assume.** Recall there says that the method works where its picture holds.

# %% [markdown]
# ## Methods and citations
#
# - **On- and off-axis scores**: Heiser et al. 2020 ([10.1101/2020.04.21.054387](https://doi.org/10.1101/2020.04.21.054387)), in the shrunken covariance of controls of other plates ([10.1016/S0047-259X(03)00096-4](https://doi.org/10.1016/S0047-259X(03)00096-4)).
# - **p**: exact rank-sum test within plates (Mann and Whitney, [10.1214/aoms/1177730491](https://doi.org/10.1214/aoms/1177730491); van Elteren 1960). **q**: Benjamini and Hochberg ([10.1111/j.2517-6161.1995.tb02031.x](https://doi.org/10.1111/j.2517-6161.1995.tb02031.x)). **Doses joined**: Simes ([10.1093/biomet/73.3.751](https://doi.org/10.1093/biomet/73.3.751)).
# - **Intervals**: bootstrap over plates, percentiles widened to Student's ([10.1080/00031305.2015.1089789](https://doi.org/10.1080/00031305.2015.1089789)).
# - **Dose response**: four parameters with profile-likelihood intervals (Bates and Watts, [10.1002/9780470316757](https://doi.org/10.1002/9780470316757)).
# - **Replicate mAP**: [10.1038/s41467-025-60306-2](https://doi.org/10.1038/s41467-025-60306-2).
# - **Earth mover's on and off scores**: BUSCAR ([10.64898/2026.04.15.718737](https://doi.org/10.64898/2026.04.15.718737)). **Antipodal direction**: after the connectivity map ([10.1126/science.1132939](https://doi.org/10.1126/science.1132939)).
# - **The searches** are those named in the first public analysis of RxRx19a ([github.com/cjmielke/RxRx19-analysis](https://github.com/cjmielke/RxRx19-analysis)).

# %% [markdown]
# ## Provenance
