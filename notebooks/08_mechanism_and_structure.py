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
# # 08 Mechanism and structure
#
# **Question.** Do compounds that act alike look alike, and does the picture of a cell carry the structure of the molecule?
#
# **Reads** the profiles that report 02 chose (`centred.zarr`) and what report 04 says of compounds and doses (`hits.tsv`, `treatments.tsv`, `wells_scored.tsv`).
# **Writes** `mechanism_summary.tsv`, `mechanism_calls.tsv`, `structure_tests.tsv`, `structure_retrieval.tsv` and, where there is a disease, `library_ranked.tsv`.
#
# Compounds with one mechanism of action tend to look alike in cells, and they tend to be built alike, since chemists vary what works. So a profile that knows the mechanism seems to know the structure too.
# Cell2Structure saw dark squares in a heat map and took them for structure. Here the squares get their numbers, and structure is asked for where mechanism is held.

# %% tags=["parameters"]
run: str = "simulated"  # the run whose screen is read
seed: int = 0  # of permutations, draws, folds and weights
cell_type: str = ""  # cells that are looked at; blank: those with most compounds
fdr: float = 0.05  # largest q of an active dose, a found mechanism, a call [0.001..0.5]
n_permutations: int = 999  # permutations of a test [99..99999]
n_planted: int = 40  # plantings at each strength, to see what the tests can see [0..1000]
encoders: list[str] = ["fingerprint", "smiles"]  # how structures are read by two towers; empty: not
library: str = ""  # table of structures never imaged (compound, smiles); blank: the run's own
published: list[str] = []  # results of others on this screen: "method | NSC | NSCB | source"

# %% tags=["setup"]
import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from screenbook.errors import known_name
from screenbook.figures import mechanism_geometry as pictures
from screenbook.figures import structure_tests as tested
from screenbook.figures import structure_towers as towers_drawn
from screenbook.paths import base_run, build_dir, find
from screenbook.profiles.treatment_means import treatment_means
from screenbook.report import answer, gate, headline, reads, save_table, say, show, show_table  # fmt: skip
from screenbook.screen import read_screen, roles_of
from screenbook.sources.structure_library import find_library, read_library
from screenbook.structure.compound_profiles import compound_profiles
from screenbook.structure.findings import summarise_findings
from screenbook.structure.held_out_structure import OVERALL, held_out_table
from screenbook.structure.held_out_towers import train_held_out
from screenbook.structure.imaged_compounds import match_structures
from screenbook.structure.library_ranking import rank_library
from screenbook.structure.mantel import RESTRICTED, mantel_table
from screenbook.structure.mechanism_calls import call_mechanisms, calls_checked
from screenbook.structure.mechanism_geometry import (
    askable,
    confusion,
    cosine_distances,
    mechanism_measures,
    mechanism_table,
)
from screenbook.structure.mechanism_matches import match_scores, match_treatments, published_scores
from screenbook.structure.neighbour_structure import neighbour_table
from screenbook.structure.own_mean import own_mean_distances
from screenbook.structure.planted import Planting, rejection_rates
from screenbook.structure.score_prediction import judge_predictions, predict_held_out
from screenbook.structure.similarity import compound_set
from screenbook.structure.structure_retrieval import retrieve_structures
from screenbook.threads import cores, side_by_side

chosen = read_screen(reads(find(run, "centred.zarr", made_by="02")))
disease = roles_of(chosen).has_disease
as_text = dict.fromkeys(("id", "batch", "experiment", "cell_type", "compound", "compound_key", "names", "smiles", "moa", "role"), str)  # fmt: skip
tables = {n: pd.read_csv(reads(find(run, f"tables/{n}.tsv", made_by="04")), sep="\t", dtype=as_text, keep_default_na=False, na_values=[""]) for n in ("hits", "treatments", "wells_scored")}  # fmt: skip
jobs = (
    max(1, cores() // side_by_side()) if n_planted > 20 else 1
)  # a process takes seconds to start
cells = known_name(cell_type, tables["hits"]["cell_type"], "cell_type") or tables["hits"].groupby("cell_type").size().idxmax()  # fmt: skip
hits, treatments, wells = (t[t["cell_type"] == cells].fillna({"moa": "", "smiles": ""} if n == "hits" else {}).reset_index(drop=True) for n, t in tables.items())  # fmt: skip

# %% [markdown]
# ## Which way each compound changes cells
#
# A compound's profile is the direction in which it moves its wells away from the untreated wells of the same plates: the mean of unit vectors over the doses at which its replicates find each other on different plates (report 04). Nothing of mechanism or structure goes into that choice.
# Distances are cosine distances: 0 is the same direction, 1 is unrelated, 2 is opposite.

# %%
used = wells[wells["used"].astype(bool)].reset_index(drop=True)
points = np.asarray(chosen.X[chosen.obs_names.get_indexer(pd.Index(used["id"]))])
means = treatment_means(points, used, "diseased" if disease else "vehicle")
everyone = compound_profiles(means, hits, treatments, fdr)
active = everyone.subset(everyone.table["active"].to_numpy())
known = active.subset(askable(active.table["moa"].to_numpy()))
n_moa, n_known = known.table["moa"].nunique(), len(known)
say(f"**{cells}**: {len(everyone):,} compounds, {len(active):,} of them active at one dose or more ({int(active.table['n_active'].sum()):,} doses; replicate mAP with q of {fdr:g} or less). {n_known} active compounds have a mechanism that another active compound shares: {n_moa} mechanisms.")  # fmt: skip
gate(n_moa > 1, f"Mechanisms can only be told apart if two of them have two active compounds each; here {n_moa} do.")  # fmt: skip
spread, own = own_mean_distances(active.plate_profiles, active.on_plates["compound"].to_numpy(), seed=seed)  # fmt: skip
own = own.join(active.table[["compound", "moa"]], on="group")
tight = int((own["p"] <= 0.05).sum())
fig = pictures.own_mean_rows(own, title=f"Plates of an active compound are {own['median'].median():.2f} from the mean of its others, random ones {own['chance'].median():.2f}" if len(own) else "No active compound is on two plates", subtitle=f"medians, one dot a compound; {tight} of {len(own)} have p of 0.05 or less by themselves")  # fmt: skip
show(fig, "How well each active compound's plates agree on a direction. A plate is held against the mean of the *other* plates: a mean that holds the plate itself would be near to it by construction. Active compounds were chosen because replicates agree, so most of this was to be expected.", wide=True)  # fmt: skip

# %% [markdown]
# ## Do compounds of one mechanism look alike?
#
# The heat map orders compounds by mechanism; dark squares along the diagonal are what one looks for. Beside it stand the numbers, each held against the same compounds with their mechanisms dealt out anew.

# %%
distance = cosine_distances(known.profiles)
measures = mechanism_measures(distance, known.table["moa"].to_numpy(), n_permutations=n_permutations, seed=seed)  # fmt: skip
by_measure = measures.set_index("measure") if len(measures) else measures
squares = f"Within mechanisms compounds are {by_measure.loc['ratio', 'value']:.2f} times as far apart as between them" if n_moa > 1 else "No two mechanisms can be compared"  # fmt: skip
fig = pictures.distance_heat(distance, known.table, title=squares, subtitle=f"{n_known} active compounds of {n_moa} mechanisms; white boxes are mechanisms")  # fmt: skip
show(fig, "Cosine distances of all pairs of compounds whose mechanism another shares, ordered by mechanism.", wide=True, thumbnail=True)  # fmt: skip
if n_moa > 1:
    show_table(measures.drop(columns="measure").round(4), f"Four ways to put the squares into numbers, beside {n_permutations:,} deals of the mechanisms to the same compounds (mean and middle 95 %).", file="mechanism_measures")  # fmt: skip
    r = by_measure.loc["ratio"]
    say(f"Dealt out at random, the ratio would be {r['chance']:.2f} ({r['chance_low']:.2f} to {r['chance_high']:.2f}); it is {r['value']:.2f} (p = {r['p']:.2g}). The nearest other compound has the mechanism in {by_measure.loc['nearest', 'value']:.0%} of cases (chance {by_measure.loc['nearest', 'chance']:.0%}).")  # fmt: skip

# %%
mechanisms = mechanism_table(distance, known.table["moa"].to_numpy(), seed=seed) if n_moa > 1 else pd.DataFrame()  # fmt: skip
if n_moa > 1:
    found = mechanisms[mechanisms["q"] <= fdr]
    fig = pictures.mechanism_rows(mechanisms, fdr, title=f"{len(found)} of {n_moa} mechanisms hold together", subtitle=f"q of {fdr:g} or less; in brackets: active compounds")  # fmt: skip
    show(fig, "Mean average precision of each mechanism: 1 if its compounds are nearer to each other than to any other compound.", wide=True)  # fmt: skip
    show_table(mechanisms.round(4), "Every mechanism, with the one it is nearest to. A mechanism of two compounds has little to be told by: its smallest possible p is limited.", rows=20, file="mechanisms")  # fmt: skip
else:
    say("There is no mechanism to ask.")

# %% [markdown]
# ## The nearest treatment of another compound
#
# The measure of the field, from Ljosa et al. 2013 on: a treatment (a compound at a dose) is matched rightly if the nearest treatment *not of the same compound* has its mechanism (NSC), or *not of the same compound or batch* (NSCB), where a batch is an experiment. Treatments whose mechanism no other compound has there are left out, as the literature does.

# %%
where = dict(zip(chosen.obs["batch"].astype(str), chosen.obs["experiment"].astype(str), strict=True))  # fmt: skip
is_active = (means.treatments.merge(treatments[["compound_key", "dose", "replicate_q"]], how="left")["replicate_q"] <= fdr).to_numpy()  # fmt: skip
matched = {name: match_treatments(means, hits, where, rows, seed=seed) for name, rows in (("all treatments", None), ("active treatments", is_active))}  # fmt: skip
told = {name: match_scores(m, means, where, seed=seed).assign(which=name) for name, m in matched.items() if m is not None}  # fmt: skip
matches = pd.concat(told.values(), ignore_index=True) if told else pd.DataFrame()
if told:
    show_table(matches[["which", "rule", "value", "low", "high", "chance", "n", "n_compounds", "n_left_out"]].round(3), "Share of treatments matched rightly, with 95 % intervals over compounds; chance is the mean over permutations of mechanisms among compounds.", file="mechanism_matches")  # fmt: skip
    which = list(told)[-1]
    nsc = told[which].set_index("rule").loc["NSC"]
    fig = pictures.confusion_heat(confusion(matched[which].table), title=f"{nsc['value']:.0%} of {which} are matched to their mechanism", subtitle=f"rows: mechanism of the treatment; chance {nsc['chance']:.0%}")  # fmt: skip
    show(fig, f"Which mechanism the nearest treatment of another compound has, {which}; rows are shares of a mechanism's treatments.", wide=True)  # fmt: skip
else:
    say("No two mechanisms have two compounds each: there is nothing to match.")

# %% [markdown]
# ## What an unknown compound may be doing
#
# Every compound ranks the active compounds of known mechanism by distance, its own annotation set aside. A mechanism is called where its compounds stand together at the top, more so than random groups of that size would (q of `fdr` or less, paid for all mechanisms tried), *and* where the compound is as near to them as they are to each other: what lies anywhere near a tight cluster has that cluster at the top.
# Support is the share of plates that point to the same mechanism each by itself. What calls are worth is seen on compounds whose mechanism is known: as they are, and with every compound of their mechanism taken out of the library, so that each call is wrong.

# %%
calls = call_mechanisms(everyone, fdr=fdr, seed=seed)
checked = calls_checked(calls, call_mechanisms(everyone, fdr=fdr, without_own=True, seed=seed))
unknown = calls[calls["moa"] == ""]
shown = calls.loc[calls["active"], ["compound", "moa", "mechanism", "verdict", "p", "q", "support", "distance", "nearest"]]  # fmt: skip
show_table(shown.round(4), "Active compounds; those without a known mechanism first. Nearest: the three nearest active compounds of known mechanism, with their cosine distances.", rows=12, file="mechanism_calls")  # fmt: skip
c, e, w = checked.to_dict("records")
worth = f"Of {c['n']} calls on compounds of known mechanism {c['right']} are right" + (f" ({c['share']:.0%})" if c["n"] else "")  # fmt: skip
say(f"{len(unknown)} compounds have no known mechanism: {int(unknown['active'].sum())} of them are active, and {int((unknown['verdict'] == 'called').sum())} get a call. {worth}; the likeliest mechanism, called or not, is right for {e['right']} of {e['n']}. With their own mechanism taken out of the library, {w['right']} of {w['n']} still get a call: so often is an unknown mechanism mistaken for a known one.")  # fmt: skip

# %% [markdown]
# ## Is structure in the picture, beyond the mechanism?
#
# Asked are active compounds with a readable structure; salts count as their parent molecule, and two names of one parent as one compound. Structures are compared by Morgan fingerprints (radius 2, Tanimoto), MACCS keys (Tanimoto) and physico-chemical descriptors.
#
# A Mantel test asks whether pairs of compounds that are built alike look alike, over all pairs, against permutations of whole compounds. It rejects as well if structure tells the mechanism and the mechanism the picture. Two ways hold the mechanism: the partial Mantel test takes it out of both sides by regression, and rejects too often where mechanism and structure are as tangled as in a drug library; the **restricted permutation** exchanges compounds within mechanisms only, which is exact if compounds of one mechanism could change places. The verdict rests on that.

# %%
compounds = compound_set(active.table["compound"], active.table["smiles"], active.table["moa"], active.profiles, active.table["strength"])  # fmt: skip
asked = not compounds.refusal
say(f"{len(compounds)} of {len(active)} active compounds can be asked, on {compounds.table['scaffold'].nunique()} scaffolds." if asked else f"**Structure is not asked for:** {compounds.refusal}.")  # fmt: skip
if len(compounds.left_out):
    show_table(compounds.left_out, "Active compounds without a structure of their own, and why.", rows=8, file="structure_left_out")  # fmt: skip
if asked:
    pairs = mantel_table(compounds, n_permutations=n_permutations, seed=seed)
    by_test = pairs[pairs["representation"] == "Morgan"].set_index("test")
    plain, strict, tried = by_test.loc["Mantel"], by_test.loc[RESTRICTED], pairs.loc[pairs["beyond"], "p"]  # fmt: skip
    verdict = "Structure beyond the mechanism could not be asked for" if strict["note"] else f"Beyond the mechanism, structure {'shows' if strict['p'] <= 0.05 else 'is not shown'} in the picture (p = {strict['p']:.2g})"  # fmt: skip
    shown = pairs.drop(columns=["beyond", "null_mean"]).round(4)
    fig = tested.correlations_beside_nulls(pairs, title=verdict, subtitle=f"{len(compounds)} active compounds; grey: middle 95 % of permutations")  # fmt: skip
    show(fig, "Rank correlation of similarity in structure with similarity in the picture, over pairs of compounds, with 95 % intervals (jackknife over compounds), beside what permutations give.", wide=True)  # fmt: skip
    show_table(shown, "Every test. p is one-sided: structure that is alike going with pictures that are alike.", rows=12, file="structure_tests")  # fmt: skip
    say(f"All pairs: r = {plain['r']:.3f} (p = {plain['p']:.2g}; Morgan, n = {plain['n_compounds']} compounds). {verdict}." + (f" The smallest p of the {int(tried.count())} tests beyond the mechanism is {tried.min():.2g}; one in twenty is below 0.05 by chance." if tried.count() else ""))  # fmt: skip

# %% [markdown]
# ## What these tests could have seen
#
# A test that finds nothing says little until one knows what it would find. On this run's own structures and mechanisms, pictures are planted: of noise, of a mechanism's effect, and of an effect of the structure itself, at rising strength. The share of plantings that a test rejects is its false alarm rate where nothing is planted, and its power elsewhere.

# %%
if asked and n_planted:
    rates = rejection_rates(compounds, Planting(n_plantings=n_planted, seed=seed), jobs=jobs)
    alarms = rates[(rates["scenario"] == "mechanism only") & rates["beyond"] & rates["rejected"].notna()]  # fmt: skip
    seen = rates[(rates["test"] == RESTRICTED) & (rates["scenario"] == "mechanism and structure")].dropna(subset=["rejected"])  # fmt: skip
    fig = tested.power_curves(rates, title=f"Planted structure is seen by the restricted permutation in {seen['rejected'].iloc[-1]:.0%} of cases at {seen['share'].iloc[-1]:.0%} of the profile" if len(seen) else "The restricted permutation cannot be asked here", subtitle=f"{n_planted} plantings at each strength, on the {len(compounds)} compounds of this run; level 5 %")  # fmt: skip
    show(fig, "Share of plantings in which each test rejects at 5 %, over the strength of the planted structure; left end: nothing of structure is planted.", wide=True)  # fmt: skip
    worst = alarms.loc[alarms["rejected"].idxmax()] if len(alarms) else None
    say((f"Where the picture follows the mechanism and nothing else, the highest of {len(alarms)} false alarm rates beyond the mechanism is that of *{worst['test']}*, {worst['rejected']:.0%} (level 5 %; by itself {worst['low']:.0%} to {worst['high']:.0%}, and the highest of so many is higher by chance)." if worst is not None else "") + (f" The restricted permutation sees structure that makes up {' / '.join(f'{s:.0%}' for s in seen['share'])} of the profile's variance in {' / '.join(f'{s:.0%}' for s in seen['rejected'])} of plantings." if len(seen) else ""))  # fmt: skip

# %% [markdown]
# ## Nearest neighbours, and prediction on scaffolds that were held out
#
# Two questions with less to average over. Are close analogues among each other's nearest in the picture? And do profiles foretell bits of the fingerprint and properties of the molecule, for scaffolds that the model has not seen (ridge regression, whole Bemis-Murcko scaffolds held out)?

# %%
if asked:
    near = neighbour_table(compounds, n_permutations=n_permutations, seed=seed)
    told_by = held_out_table(compounds, n_permutations=min(n_permutations, 199), seed=seed)
    whole = told_by[(told_by["property"] == OVERALL) & told_by["permuted"].eq("all compounds")].set_index("kind")  # fmt: skip
    show_table(near.drop(columns=["beyond", "null_mean"]).round(4), "Close analogues as neighbours in the picture, and the other way round; permuted over all compounds, and within mechanisms.", file="structure_neighbours")  # fmt: skip
    fig = tested.held_out_properties(told_by, title="; ".join(f"{kind}: {r['measure']} {r['value']:.2f} (p = {r['p']:.2g})" for kind, r in whole.dropna(subset=["p"]).iterrows()) or "No scaffold can be held out", subtitle=f"scaffolds held out; {len(compounds)} compounds; grey: permutations")  # fmt: skip
    show(fig, "How well the profile foretells parts of the structure on scaffolds that were not learned from.", wide=True)  # fmt: skip

# %% [markdown]
# ## SMILES beside embeddings: two towers
#
# One network reads profiles, another structures, and both are trained until a compound's profile and its structure point the same way (InfoNCE). Structures are read as fingerprints, or as the letters of their SMILES. Then each compound that was held out looks for its own molecule among all held out with it, and each molecule for its profile. Holding out compounds leaves their analogues in training; holding out whole scaffolds does not, though a mechanism may have several scaffolds (rings of side groups count), so relatives may stay. *Mechanism mean* is told the mechanism; *ridge* and *nearest compound* train no network.

# %%
score = means.treatments.merge(treatments[["compound_key", "dose", "on_score"]], how="left")["on_score"]  # fmt: skip
usable = score.notna().to_numpy() | (not disease)
imaged = match_structures(means.profiles[usable], means.treatments.loc[usable, "compound_key"], hits) if asked else None  # fmt: skip
if imaged is not None and imaged.refusal:
    say(f"**No tower is trained:** {imaged.refusal}.")
    imaged = None
if imaged is not None:
    towers = train_held_out(imaged, encoders=encoders, seed=seed)
    retrieved, _ = retrieve_structures(imaged, towers, seed=seed)
    ranks = retrieved[retrieved["metric"] == "reciprocal_rank"]
    new = ranks[(ranks["rule"] == "scaffold") & (ranks["direction"] == "image to molecule") & ~ranks["method"].isin(["random", "mechanism mean"])]  # fmt: skip
    better = new[(false_discovery_control(new["p"]) <= 0.05) & (new["low"] > new["chance"])]["method"].tolist()  # fmt: skip
    fig = towers_drawn.retrieval_rows(retrieved, metric="reciprocal_rank", title=f"On new scaffolds {len(better)} of {len(new)} methods find the molecule better than a random order", subtitle=f"{len(imaged.table)} compounds, five folds; 95 % intervals over scaffolds")  # fmt: skip
    show(fig, "Mean reciprocal rank of the compound's own molecule (and of the molecule's own profile) among those held out with it.", wide=True)  # fmt: skip
    show_table(retrieved.round(4), "All metrics of both directions; hit@k: share whose own is among the first k.", rows=12, file="structure_retrieval")  # fmt: skip

# %% [markdown]
# ## Ranking what was never imaged
#
# If structure tells how near to health a compound brings cells, a library can be ranked before it is bought. Whether it does is asked first, of compounds held out with their scaffolds: predicted against measured on-axis score (1 diseased, 0 healthy; mean over doses). Structure alone carried a Spearman correlation of about 0.15 against the published hit scores of RxRx19a, so nobody should expect much.

# %%
judged = pd.DataFrame()
if imaged is not None and disease:
    foretold = predict_held_out(imaged, score[usable].to_numpy(), towers)
    judged = judge_predictions(foretold, seed=seed)
    best = judged[judged["rule"] == "scaffold"].sort_values("low", na_position="first").iloc[-1]
    fig = towers_drawn.predicted_scores(foretold, title=f"New scaffolds: the best, {best['method']}, reaches a Spearman of {best['spearman']:.2f} ({best['low']:.2f} to {best['high']:.2f})", subtitle=f"predicted from structure alone against measured; {best['n']} compounds")  # fmt: skip
    show(fig, "Predicted against measured mean on-axis score of compounds whose scaffolds were held out.", wide=True)  # fmt: skip
    show_table(judged.round(4), "Spearman correlation of predicted and measured score; 95 % intervals over scaffolds; p by permutation.", file="structure_scores")  # fmt: skip
else:
    say("Without a disease there is no health to be near to; nothing is ranked." if not disease else "There are too few structures to learn from.")  # fmt: skip

# %%
file = find_library(library, run)
ranking = rank_library(read_library(reads(file)), imaged, score[usable].to_numpy(), foretold, method=best["method"]) if file and len(judged) else None  # fmt: skip
if ranking is not None:
    sure = best["low"] > 0 and best["p"] <= 0.05
    say(f"{len(ranking.table):,} structures of `{file.name}` are ranked by {best['method']}; {len(ranking.left_out):,} could not be. " + ("" if sure else "**On new scaffolds this order is not shown to be better than chance.** It may still hold for close analogues of what was measured; the note says which are not."))  # fmt: skip
    show_table(ranking.table.round(3), "Never imaged, nearest to health first. The interval holds 90 % of the errors on held-out scaffolds; it is the same for all.", rows=10, file="library_ranked")  # fmt: skip
elif disease:
    say("There is no library to rank: name a table with the columns compound and smiles as `library`.")  # fmt: skip

# %% [markdown]
# ## Against the truth
#
# The simulation knows the mechanism of every compound, annotated or not, and what each never-imaged structure would have done. Its structures carry the mechanism, by their scaffold, and nothing else: what a compound does beside its mechanism is drawn without a look at its substituents. So tests of structure *beyond the mechanism* should find nothing here.

# %%
truth = build_dir(base_run(run)) / "truth"
if (truth / "compounds.tsv").is_file():
    from screenbook.structure.structure_against_truth import calls_against, ranking_against

    known_of = pd.read_csv(reads(truth / "compounds.tsv"), sep="\t", keep_default_na=False)
    held = calls_against(calls, known_of)
    right = held[held["verdict"] == "called"]["right"]
    show_table(held.round(4), "Active compounds whose mechanism the metadata do not give, and what it is.")  # fmt: skip
    say(f"{int(right.sum())} of {len(right)} calls on unannotated compounds are right; their likeliest mechanism, called or not, is right for {int(held['right'].sum())} of {len(held)}.")  # fmt: skip
    if ranking is not None:
        future = pd.read_csv(reads(truth / "library.tsv"), sep="\t", keep_default_na=False)
        f = ranking_against(ranking.table, future, cells)
        say(f"Of the {f['n']} ranked structures {f['n_rescuers']} would rescue {cells} cells; of the first tenth ({f['n_top']}) {f['top_rescuers']} would. AUC {f['auc']:.2f}; 0.5 is chance. They are analogues of what was screened ({f['like']:.0%} have a like compound among the measured ones), so this is the easier question; on new scaffolds see above.")  # fmt: skip
else:
    say("There is no truth beside this screen.")

# %% [markdown]
# ## What we found

# %%
others = published_scores(published)
if len(others):
    show_table(others, "What others reported on this screen. Features and recipes differ, and some were chosen by this very score; this report's profiles were chosen by controls and replicates alone (report 02).")  # fmt: skip
summary = summarise_findings(measures, matches, mechanisms, pairs if asked else None, others, fdr)
show_table(summary.round(4), "The findings in one table, beside what others reported on this screen where the run names it.", file="mechanism_summary")  # fmt: skip
columns = {"measure": "what was measured", "value": "this run", "low": "95 % interval", "high": "95 % interval", "chance": "what chance gives", "p": "p, or q over mechanisms", "n": "what it was counted over", "published": "results of others, with their source"}  # fmt: skip
save_table(summary, run, "mechanism_summary", columns)
told_of = {"compound_key": "InChIKey of the parent, or name", "compound": "name", "moa": "mechanism in the metadata", "active": "whether a dose does anything (report 04)", "mechanism": "the likeliest", "p": "paid for all mechanisms tried", "q": "Benjamini-Hochberg", "support": "share of plates that point there by themselves", "n_plates": "plates", "nearest": "nearest active compounds of known mechanism, with cosine distance", "distance": "to the nearest of the mechanism", "reach": "how near to each other compounds of the mechanism are, at the farthest", "verdict": "called, no call, inactive, not testable"}  # fmt: skip
save_table(calls, run, "mechanism_calls", told_of)
if asked:
    save_table(pairs, run, "structure_tests", {"test": "test", "representation": "of the structure", "beyond": "whether mechanism is held", "permuted": "what is exchanged", "r": "rank correlation", "low": "95 % interval", "high": "95 % interval", "null_mean": "of permutations", "null_low": "middle 95 %", "null_high": "middle 95 %", "p": "one-sided", "n_compounds": "compounds", "n_pairs": "pairs", "note": "why there is no answer"})  # fmt: skip
if imaged is not None:
    save_table(retrieved, run, "structure_retrieval", {"rule": "what is held out", "direction": "who looks for whom", "method": "by what", "metric": "how it is counted", "n": "queries", "value": "result", "low": "95 % interval over scaffolds", "high": "95 % interval over scaffolds", "chance": "of a random order", "p": "of the mean reciprocal rank"})  # fmt: skip
if ranking is not None:
    save_table(ranking.table, run, "library_ranked", {"rank": "1 is nearest to health", "compound": "name", "smiles": "structure", "predicted": "on-axis score, 0 healthy", "low": "90 % of errors on held-out scaffolds", "high": "90 % of errors on held-out scaffolds", "nearest_compound": "most alike of the measured", "tanimoto": "to it", "note": "why not to trust it"})  # fmt: skip

# %%
rules = "; ".join(f"{m['rule']} {m['value']:.2f}" for m in matches.to_dict("records") if m["which"] == "all treatments" and m["n"])  # fmt: skip
alike = f"Compounds of one mechanism {'look alike' if by_measure.loc['ratio', 'p'] <= 0.05 else 'are not shown to look alike'}: {squares[0].lower() + squares[1:]} (p = {by_measure.loc['ratio', 'p']:.2g}, {n_moa} mechanisms, {n_known} compounds; {rules}), and {len(found)} of {n_moa} mechanisms hold together at q of {fdr:g}. " if n_moa > 1 else "Too few mechanisms have two active compounds to ask whether they look alike. "  # fmt: skip
power = f", where planted structure of {seen['share'].iloc[-1]:.0%} of the variance would be seen in {seen['rejected'].iloc[-1]:.0%} of cases" if asked and n_planted and len(seen) else ""  # fmt: skip
beyond = f"Structure and picture go together over all pairs at r = {plain['r']:.2f} (p = {plain['p']:.2g}). {verdict}: {len(compounds)} compounds{power}. " if asked else "Structure could not be asked for. "  # fmt: skip
towers_say = f"On new scaffolds the molecule is found from the picture better than by chance by {'; '.join(better) or 'no method'}. " if imaged is not None else ""  # fmt: skip
health = f"From structure alone the best prediction of nearness to health on new scaffolds has a Spearman of {best['spearman']:.2f} ({best['low']:.2f} to {best['high']:.2f})." if len(judged) else ""  # fmt: skip
answer(alike + beyond + towers_say + health)
numbers = {f"mechanism_{m}": round(float(r["value"]), 4) for m, r in by_measure.iterrows()} if len(measures) else {}  # fmt: skip
numbers |= {f"{r['rule'].lower()}_{r['which'].split()[0]}": round(float(r["value"]), 4) for _, r in matches.iterrows()}  # fmt: skip
numbers |= {"mantel": round(float(plain["r"]), 4), "mantel_p": float(plain["p"]), "restricted_p": float(strict["p"])} if asked else {}  # fmt: skip
headline(n_active=len(active), n_mechanisms=n_moa, n_calls=int(calls["verdict"].eq("called").sum()), **numbers)  # fmt: skip

# %% [markdown]
# ## What could be wrong
#
# - **Which compounds were asked.** Only active ones: a compound that does nothing has no direction. The choice is made by replicates, but a screen in which one mechanism is more potent than others is asked more about that one.
# - **Annotations.** One mechanism a compound, as the metadata give it. A compound that does two things, or a name that covers two, counts against the mechanism.
# - **Who could change places.** The restricted permutation takes compounds of one mechanism to be exchangeable. Analogues that were plated together, or are all stronger than the rest of their mechanism, are not.
# - **Mechanisms of one batch.** Where all compounds of a mechanism were imaged in one experiment, likeness may be that of the experiment; NSCB leaves these out, the ratio and the heat map do not.
# - **Nothing found is not nothing there.** The planted structures say how strong an effect these compounds could have shown. They are linear in the fingerprint, and the planted effect of the mechanism is as large as the noise whatever it is in this run; structure may matter in ways that no fingerprint says.
# - **The partial Mantel test** is printed because it is what others print. Its false alarms are in the figure of plantings.
# - **Two towers** see some hundred compounds here; published models were trained on tens of thousands, and find the molecule first in some 3 % of 2,000 (CLOOME).
# - **The best of four predictions** of nearness to health is the best on these same compounds, so its interval is on the bright side. The order of a library depends on that choice.
# - **A ranking of structures** carries over what the measured analogues did. It cannot know what a new scaffold does, and says so where there is no like compound.
#
# ## Methods and citations
#
# - Cell2Structure: Hübscher & Gillet 2024 (capstone report). Distances to a compound's mean are taken to the mean of its *other* plates here; the original's hold the vector itself.
# - NSC: Ljosa et al. 2013, doi:10.1177/1087057113503553. NSCB: Ando et al. 2017, doi:10.1101/161422.
# - Mean average precision: Kalinin et al. 2025, doi:10.1038/s41467-025-60306-2. Silhouette: Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7.
# - Mantel 1967, PMID 6018555; partial Mantel: Smouse et al. 1986, doi:10.2307/2413122; its false alarms: Guillot & Rousset 2013, doi:10.1111/2041-210x.12018.
# - Morgan fingerprints: Rogers & Hahn 2010, doi:10.1021/ci100050t. Scaffolds: Bemis & Murcko 1996, doi:10.1021/jm9602928.
# - Two towers: CLIP, Radford et al. 2021, arXiv:2103.00020; for cell images CLOOME, Sanchez-Fernandez et al. 2023, doi:10.1038/s41467-023-42328-w.

# %% [markdown]
# ## Provenance
