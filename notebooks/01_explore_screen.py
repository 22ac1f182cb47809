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
# # 01 Explore the screen
#
# **Question.** What is in this screen, and which of its plates and wells can be trusted?
#
# **Reads** the screen of the run (`screen.zarr`, `wells.zarr`).
# **Writes** `plates.tsv` (a verdict on every plate), `wells_flagged.tsv`, `compounds.tsv` and `positions.tsv`.
#
# Whatever comes after this report rests on two things: controls that differ in a way which holds on plates never seen, and counts that are not mistaken for effects.
# Both are measured here, on the data as they came, before anything is corrected.

# %% tags=["parameters"]
run: str = "simulated"  # the run whose screen is read
seed: int = 0  # of permutations, bootstraps and random choices
n_components: int = 50  # principal components of what differs within plates [2..500]
standardise: bool = False  # give features unit variance first: for features of different units
min_auc: float = 0.5  # the lower limit of a plate's AUC must lie above this; 0.5 is chance [0..1]
min_gap: float = 0.5  # least gap between a plate's controls, over that of the median plate [0..1]
max_spread: float = 1.75  # widest spread of a plate's controls, over the median plate's [1..100]
max_tilt: float = 0.5  # largest difference between two sides of a plate, over its gap [0..100]
well_z: float = 3.5  # robust z from which a well's distance is remarkable [2..20]
n_permutations: int = 999  # in the tests of row, column and edge [19..100000]
n_site_wells: int = 400  # wells of each cell type whose sites are compared [10..100000]
n_structures: int = 12  # structures drawn, most replicated compounds first [0..200]

# %% tags=["setup"]
import numpy as np
import pandas as pd

from screenbook import report
from screenbook.chemistry import molecule_svg
from screenbook.figures import counts, palette, plates
from screenbook.figures import quality as pictures
from screenbook.paths import base_run, build_dir
from screenbook.profiles import control_axis, design, outliers, position, sites
from screenbook.profiles import quality as plate_quality
from screenbook.profiles.plate_space import fit_plate_space
from screenbook.report import reads, save_table, say, show, show_table
from screenbook.screen import notes_of, roles_of
from screenbook.sources import open_screen, open_wells

wells, screen = open_wells(run), open_screen(run)
obs, roles = wells.obs, roles_of(wells)
disease = roles.has_disease
cell_types = list(dict.fromkeys(obs["cell_type"]))
folder = build_dir(base_run(run))
inputs = [reads(folder / name) for name in ("screen.zarr", "wells.zarr")]

# %% [markdown]
# ## What is in it, what is missing, what is there twice
#
# The unit of all that follows is the *well*: the sites of a well share cells, medium and staining, and are averaged first.
# Wells whose condition is blank in the metadata are shown as a class of their own, and no report uses them as a control.
# A gap is harmless where it is random and known; rows that are there twice look like replicates that agree to the last digit.

# %%
stock = design.plate_counts(obs)
n_role = obs["role"].astype(str).value_counts()
n_controls, n_treated = int(n_role.reindex(roles.controls).sum()), int(n_role.get("treated", 0))
n_blank = int(n_role.get("blank", 0))
title = f"{n_treated / n_controls:.1f} treated wells for every control well"
size = f"{len(obs):,} wells, {screen.n_obs:,} rows, {wells.n_vars:,} features"
caption = f"Wells by each column of the metadata; the bars of one panel add up to {len(obs):,} wells. There are {n_controls:,} control wells beside {n_treated:,} treated ones; {n_blank:,} wells have a blank condition."
tables = design.breakdowns(obs, screen.obs)
fig = counts.breakdown_bars(tables, roles.healthy, roles.diseased, title=title, subtitle=size)
show(fig, caption, wide=True)
title = f"{len(stock)} plates, {stock['wells'].median():.0f} wells on the median one"
least = stock[[f"n_{role}" for role in roles.controls]].sum(axis=1).min()
caption = f"Wells of every plate by role, stacked, experiments side by side. A plate carries {least} control wells or more, and {stock['compounds'].median():.0f} compounds in the median."
show(counts.plate_composition(stock, title=title), caption, wide=True)

# %%
always = obs["disease_condition"].isin(roles.diseased).sum() / (len(obs) - n_blank)
blank = "No well has a blank condition."
if n_blank:
    blank = f"{n_blank:,} wells have a blank condition; what they hold is not documented, so they are neither control nor treated."
several = "s" if len(cell_types) > 1 else ""
measure = f"Always answering *diseased* would be right for {always:.1%} of the wells that have a condition, so accuracy measures nothing here; areas under the curve are used instead."
if not disease:
    measure = "There is no diseased condition: the screen can speak of *activity against control*, not of rescue."
text = f"The screen **{screen.uns['name']}** has {len(obs):,} wells on {len(stock)} plates in {obs['experiment'].nunique()} experiments, of {len(cell_types)} cell type{several} ({', '.join(cell_types)}). {blank} {measure}"
say(text)
for note in notes_of(screen):
    say(f"A note from reading the files: {note}.")

# %%
gaps = design.missing(obs, wells.X, roles.controls)
twice = design.repeated(screen.obs, screen.X)
caption = "Gaps and repetitions, and how many were looked at."
show_table(pd.concat([gaps, twice], ignore_index=True), caption, rows=15, file="gaps")
widest = gaps.nlargest(1, "share").iloc[0]
text = "No row is there twice, neither by its place nor by its features."
if twice["n"].any():
    text = f"{twice['n'].iloc[0]:,} rows share their place and {twice['n'].iloc[1]:,} their features with another row; they are left in, and named here."
say(
    f"{text} The widest gap is *{widest['what']}*: {widest['n']:,} of {widest['of']:,} ({widest['share']:.1%})."
)

# %% [markdown]
# ## Compounds, and what unequal replication does
#
# Names that mean one structure are one compound here; the other spellings are kept as aliases.
# Reference compounds are tried many times more often than others, which is good for judging the assay and dangerous for ranking.
# How dangerous can be computed: pick hits *blindly*, count names, and see who is on the list.

# %%
compounds = design.compound_table(obs, roles.references)
n_compounds = compounds["compound_key"].nunique()
given = obs[obs["compound_key"].astype(str) != ""]
n_treatments = len(given[["compound_key", "treatment_conc"]].drop_duplicates())
n_mechanisms = given["moa"].astype(str).replace("", np.nan).nunique() if "moa" in obs else 0
report.headline(treatments=n_treatments, mechanisms=n_mechanisms)
typical = compounds.groupby("cell_type")["wells"].median()
most = compounds.iloc[compounds["wells"].argmax()]
times = most["wells"] / typical[most["cell_type"]]
title = f"The most replicated compound has {times:.1f} times the wells of the median one"
medians = ", ".join(f"{n:.0f} wells in {cell_type}" for cell_type, n in typical.items())
caption = f"Compounds in the order of their number of wells, each cell type in its own panel; diamonds are reference compounds. The median compound has {medians}; {most['compound']} has {most['wells']:,} in {most['cell_type']}."
subtitle = f"{n_compounds:,} compounds; wells of all doses together"
show(counts.replicate_ranks(compounds, title=title, subtitle=subtitle), caption)

# %%
listed = max(10, int(compounds.groupby("cell_type")["reference"].sum().max()))
blind = design.blind_listing(compounds, top_share=0.05, listed=listed, n_draws=2000, seed=seed)
often = blind[blind["often"]].groupby("cell_type")["probability"].mean()
others = blind[~blind["often"]].groupby("cell_type")["probability"].mean()
title = "Replicates are even enough that counting names favours no compound much"
text = f"No compound has more than {design.OFTEN:g} times the median number of wells; blind counting lists compounds in {blind['probability'].min():.0%} to {blind['probability'].max():.0%} of draws."
if len(often):
    title = f"Counting names lists the often-tried compounds in {often.max():.0%} of blind draws"
    shares = "; ".join(
        f"{c} {often[c]:.0%} against {others.get(c, np.nan):.0%}" for c in often.index
    )
    text = f"Compounds with more than {design.OFTEN:g} times the median number of wells are listed more often than the others **although no compound did anything** (share of blind draws: {shares})."
caption = f"5 % of the treated wells are drawn at random as hits, and the {listed} names met most often are listed, 2,000 times. Chance of a compound to be listed, against its number of wells; the dashed line is the chance that every compound would have if all had equally many wells."
show(counts.listing_chances(blind, title=title), caption)
say(f"{text} So no report of this series ranks by a count of names; means over wells do it.")

# %%
save_table(compounds, run, "compounds", design.COMPOUND_COLUMNS)
brief = compounds.drop(columns=["compound_key", "SMILES"])
caption = "Every compound in every cell type, most replicated first; structures and keys are in `compounds.tsv`."
show_table(brief, caption, units={"dose_low": "µM", "dose_high": "µM"}, file="compounds")
known = compounds[compounds["SMILES"] != ""].drop_duplicates("compound_key").head(n_structures)
cards = [(molecule_svg(c.SMILES), c.compound, f"{c.wells:,} wells") for c in known.itertuples()]
cards = [card for card in cards if card[0]]
if cards:
    report.gallery(cards, f"The {len(cards)} most replicated compounds, drawn from their SMILES.")
elif n_structures:
    say("The metadata hold no structure that can be read, so compounds are known by name alone.")

# %% [markdown]
# ## Where things stand on the plate
#
# Controls that all stand in one column cannot tell a position effect from a biological one.
# The first plate of each experiment is shown; the menu switches between them.

# %%
n_layouts = len(np.unique(position.layout_of(obs)))
places = position.control_places(obs, roles.controls)
fullest = {palette.ROLE_NAMES[role]: table["share"].max() for role, table in places.items()}
if places:
    first = stock.groupby("experiment", sort=False)["batch"].first()
    title = f"{n_layouts} layouts on {len(stock)} plates"
    caption = f"Plate map: the shape and the colour of a well tell its role. Of {len(stock)} plates, {n_layouts} differ in what stands where."
    show(plates.layout_map(obs[obs["batch"].isin(first)], title=title), caption)
    returns = max(fullest.values()) > 0.9
    title = "Controls return to the same wells" if returns else "Controls change places"
    shares = "; ".join(f"{share:.0%} for {role} wells" for role, share in fullest.items())
    caption = f"Share of the {len(stock)} plates on which a position holds a control, one panel for each kind. The position used most holds one on this share of plates: {shares}."
    show(plates.control_places(places, title=title), caption, wide=True)

# %% [markdown]
# ## Do the controls separate?
#
# One number per well is needed before a plate can be judged, and it must not be fitted to the plate that it judges.
# In a screen with a disease it is the place of the well on the axis from healthy to untreated disease, fitted on the controls of all *other* plates of the cell type: 0 is the plate's own median healthy well, 1 the usual gap between the controls.
# In a screen without a disease it is the distance of the well from the vehicle wells of its plate, in units of how far vehicle wells lie from each other; there Z′ and SSMD, which ask for two controls, are not defined.
#
# The rules are parameters of this report, and look at controls only.
# A plate is flagged if it has fewer than four wells of a control, if their AUC cannot be told from chance, if their gap is far below the usual one, if they spread far wider than usual, or if one side of the plate differs from the other by much of the gap (the last only at a false discovery rate of 5 % over plates).
# Without a disease, only the number and the spread of the controls count: a plate of inactive compounds is no bad plate.
# A flag is a reason to look, not an order to discard.

# %%
space = fit_plate_space(wells.X, obs, n_components=n_components, standardise=standardise)
points = space.points(wells.X, obs)
score = control_axis.control_scores(points, obs, has_disease=disease)
rules = plate_quality.PlateRules(4, min_auc, min_gap, max_spread, max_tilt)
judged = plate_quality.assess_plates(score, obs, rules, has_disease=disease, seed=seed)
separation = plate_quality.mean_auc(judged, n_boot=1000, seed=seed)
kinds = "healthy and untreated diseased" if disease else "treated and vehicle"
separates = len(separation) == len(cell_types) and bool((separation["auc_low"] > 0.5).all())
verdict = f"The score tells {kinds} wells apart on plates that it was not fitted on."
if not separates:
    verdict = f"It cannot be shown in every cell type that the score tells {kinds} wells apart on plates that it was not fitted on. No ranking of compounds means anything there: read the later reports as descriptions."
verdict += f" Mean AUC of a plate, with 95 % interval over plates: {plate_quality.auc_in_words(separation) or 'not testable'}; chance is 0.5."
report.gate(separates, verdict)

# %%
controls = obs.assign(score=score)[obs["role"].isin(roles.controls)]
axis = "place on the axis, 0 healthy to 1 diseased" if disease else "distance from vehicle (SD)"
title = f"Mean AUC of {separation['auc'].min():.2f} between {kinds} wells"
reading = f"vehicle wells lie at {judged['low'].median():.2f} and treated wells at {judged['high'].median():.2f}"
if disease:
    at = judged["treated"].median()
    doubt = "most compounds do little, as is expected of a library"
    if at < 0.75:
        doubt = "treated wells as a whole lie off untreated disease, which inert compounds do not explain; ask for solvent and position"
    reading = f"treated wells lie at {at:.2f}, where 1 is untreated disease: {doubt}"
caption = f"Score of {len(controls):,} control wells (points) and {n_treated:,} treated wells (boxes: 5, 25, 50, 75 and 95 %), plate by plate; each plate was scored without its own controls. In the median plate {reading}."
fig = pictures.scores_by_plate(controls, judged, roles.controls, axis=axis, title=title)
show(fig, caption, wide=True, thumbnail=True)

# %%
save_table(judged, run, "plates", plate_quality.PLATE_COLUMNS)
flagged = judged[judged["verdict"] == "flag"]
title = f"{len(judged) - len(flagged)} of {len(judged)} plates are kept, {len(flagged)} flagged"
subtitle = "AUC with 95 % bootstrap interval over wells; dashed: chance, zero or the rule's limit"
caption = f"Measures of every plate side by side; triangles mark flagged plates, and hovering gives the reason. The AUC of the median plate is {judged['auc'].median():.2f}; on {(judged['auc'] == 1).sum()} plates no well of one kind lies among the other, and the lower limit there comes from the number of wells alone."
limits = {"auc": 0.5, "relative_gap": min_gap, "spread": max_spread, "z_prime": 0, "ssmd": 0}
fig = pictures.plate_verdicts(judged, limits, title=title, subtitle=subtitle)
show(fig, caption, wide=True)
brief = judged[["batch", "cell_type", "verdict", "n_low", "n_high", "auc", "spread", "reason"]]
brief = brief.sort_values("verdict", kind="stable")
caption = f"Every plate with its verdict, flagged ones first, and its numbers of {'healthy (low) and untreated diseased' if disease else 'vehicle (low) and treated'} (high) wells; all measures are in `plates.tsv`."
show_table(brief, caption, rows=12, file="plates")
text = f"Robust Z′ is {judged['z_prime'].median():.2f} in the median plate, and SSMD {judged['ssmd'].median():.2f}. Z′ asks whether *single wells* can be called, and its usual bar is 0.5; this series calls means over replicates, for which the AUC is the fairer measure."
say(text if disease else "Z′ and SSMD are not defined here: there is one control, not two.")

# %% [markdown]
# ## Does it matter where a well stands?
#
# Scores are taken about the mean of their plate and role, so that neither batch nor the places of the controls count as position.
# Then wells are permuted within plate and role: if position did not matter, rows, columns and the outermost ring would explain as much after permutation as before.
# Among *all* wells a row may owe its mean to the compounds that stand in it; among the *controls* it cannot, so they are tested alone as well.

# %%
name = "axis" if disease else "distance"
shown = [f"PC{i + 1}" for i in range(min(10, points.shape[1]))]
scores = pd.DataFrame(points[:, : len(shown)], columns=shown, index=obs.index)
scores[name] = score if disease else np.log(score)
effects = position.screen_position_effects(
    scores, obs, roles.controls, pooled=shown, n_permutations=n_permutations, seed=seed
)
save_table(effects, run, "positions", position.EFFECT_COLUMNS)
sure = effects[effects["q"] < 0.05].sort_values("share", ascending=False, kind="stable")
n_sure, n_tests = (t["among"].value_counts().to_dict() for t in (sure, effects))
maps = position.position_maps(scores[name].to_numpy(), obs)
if maps:
    title = f"The {name} score over plate positions"
    caption = f"Mean {name} score at every position of the plate, about the mean of plate and role, in standard deviations between wells; one panel for each cell type. Rows, columns or a frame of one colour would be a position effect; the test below says how much of this could be chance."
    show(plates.position_heatmaps(maps, title=title), caption, wide=True)

# %%
if len(effects):
    title = "No effect of position can be told from chance"
    top = "None has q < 0.05."
    if len(sure):
        title = f"Position explains up to {sure['share'].iloc[0]:.1%} of the variance of a score"
        row = sure.iloc[0]
        top = f"The largest with q < 0.05 is that of the {row['effect']} on {row['score']} in {row['cell_type']} ({row['among']} wells; p = {row['p']:.3g}, q = {row['q']:.3g}, n = {row['wells']:,} wells)."
    subtitle = f"beyond what permuted positions explain, {n_permutations} permutations; filled bars: q < 0.05 (Benjamini-Hochberg within the panel)"
    caption = f"Share of the variance between wells of a plate that rows, columns and the edge explain, for {len(shown)} principal components, these pooled, and the {name} score. {top}"
    fig = plates.position_effect_bars(effects, level=0.05, title=title, subtitle=subtitle)
    show(fig, caption, wide=True)
    text = f"Of {n_tests['controls']} tests among control wells alone, {n_sure.get('controls', 0)} have q < 0.05; of {n_tests['all']} among all wells, {n_sure.get('all', 0)}. An effect on a row is partly one on the edge, to which the first and last row belong: the three are not to be added up."
    say(text)

# %% [markdown]
# ## Wells that stand alone
#
# A toxic compound throws all its wells far from the others, and that is a finding.
# An accident throws one well, and its replicates stay behind.
# So each well is asked two things: how far it lies from wells of its role, and how far from its own replicates.
# Where there are sites, a third is asked: a well whose sites differ widely shows a different handful of cells at each, which is what few cells look like.
# No well is removed: a flagged well is one to look at, and medians and replicates carry what follows.

# %%
spread = outliers.screen_site_spread(space, screen.X, screen.obs)
odd = obs.join(outliers.find_outliers(points, obs, spread, well_z))
n_flagged, n_kind = int(odd["flagged"].sum()), odd["kind"].value_counts()
title = f"{n_flagged:,} of {len(odd):,} wells are flagged ({n_flagged / len(odd):.1%})"
subtitle = f"robust z of log distances within cell type; dashed: the limit, {well_z:g}"
met = [f"*{k}* ({n_kind[k]:,}): {t}." for k, t in outliers.KINDS.items() if k and k in n_kind]
caption = f"Every well by its distance from wells of its role (across) and from its replicates (up). {' '.join(met)} An extreme treatment is not flagged; wells without a replicate are drawn at 0, and at most 10,000 unremarkable wells are drawn."
drawn = outliers.thin_out(odd, 10_000, seed).fillna({"alone": 0.0})
fig = pictures.outlier_scatter(drawn, threshold=well_z, title=title, subtitle=subtitle)
show(fig, caption, wide=True)
alone = odd.loc[odd["flagged"], list(outliers.WELL_COLUMNS)]
alone = alone.sort_values("alone", ascending=False, kind="stable")
save_table(alone, run, "wells_flagged", outliers.WELL_COLUMNS)
caption = "Flagged wells, farthest from their replicates first; none is removed."
show_table(alone, caption, units={"treatment_conc": "µM"}, rows=8, file="wells_flagged")

# %% [markdown]
# ## The sites of a well
#
# The first public look at RxRx19a saw that a network can sometimes tell which corner of a well it is shown, and wondered whether it spots the walls.
# How well can it be told?
# The mean of the well is taken off each site, so that only the position within the well is left, and a classifier that has seen some plates is tried on others.

# %%
told = sites.predict_sites(screen.X, screen.obs, n_wells=n_site_wells, seed=seed)
readings = sites.told_in_words(told)
text = "There are no sites to compare: the screen comes as one profile for each well."
if told:
    best = max(told.values(), key=lambda t: t.accuracy)
    can = "can" if best.low > best.chance else "cannot"
    title = f"The position of a site {can} be told: {best.accuracy:.0%} right, where guessing gives {best.chance:.0%}"
    caption = f"Where a classifier (principal components, shrunk linear discriminant, whole plates held out) puts the sites of each position; rows add up to 100 %. Shares put right, with 95 % interval over plates: {readings}. With positions shuffled within wells it is right in {max(t.null for t in told.values()):.1%} at most."
    confusion = {cell_type: t.confusion for cell_type, t in told.items()}
    show(pictures.site_confusion(confusion, chance=best.chance, title=title), caption)
    text = f"Position explains {', '.join(f'{t.position_share:.1%} ({c})' for c, t in told.items())} of the variance between the sites of a well. It is the same in every well, so averaging all sites of a well cancels it, as long as none is missing."
say(text)

# %% [markdown]
# ## Against the truth
#
# Only a simulated screen knows what went wrong on which plate and in which well.
# It says whether the verdicts above can be believed; nothing above has read it.

# %%
from screenbook.profiles import against_truth

truth = {p.stem: pd.read_csv(reads(p), sep="\t") for p in sorted(folder.glob("truth/*.tsv"))}
if truth:
    held = against_truth.plates_against(judged, truth["plates"])
    faulty, sound = held[held["faulty"]], held[~held["faulty"]]
    odd_plates = held[held["faulty"] | held["flagged"]].drop(columns=["faulty", "flagged"])
    caption = f"Plates with a fault or a flag; *gradient* is the rank of the plate's position gradient among {len(held)} plates. {faulty['flagged'].sum()} of {len(faulty)} faulty plates are flagged, and {sound['flagged'].sum()} of {len(sound)} sound ones."
    show_table(odd_plates, caption)
    edge = effects.query("effect == 'edge' and among == 'all' and score == 'pooled'")
    form = "{}: {:.2%} of the pooled variance (p = {:.3g}, q = {:.3g}, n = {:,} wells)".format
    found = "; ".join(form(r.cell_type, r.share, r.p, r.q, r.wells) for r in edge.itertuples())
    put = truth["plates"]["edge"].iloc[0]
    say(f"An edge effect of {put:g} SD between like wells was put in. Found: {found}.")

# %%
if truth:
    state = against_truth.well_states(obs, truth["wells"])
    caption = f"Wells by what happened to them (rows) and what they are called here (columns). *Dying* wells have lost more than {against_truth.DYING:.0%} of their cells to a compound."
    show_table(against_truth.wells_against(odd["kind"], state), caption)
    hit = odd["flagged"].groupby(state).agg(["sum", "size"])
    parts = [f"{r['sum']} of {r['size']:,} *{k}*" for k, r in hit.iterrows()]
    text = f"Flagged are, by what happened to them: {', '.join(parts)}. A dying well is flagged where its replicates lived: real, but no accident."
    report.headline(faulty_plates=len(faulty), faulty_plates_flagged=faulty["flagged"].sum())
    report.headline(sound_plates_flagged=sound["flagged"].sum())
    names = {k: f"{k.replace(' ', '_')}_wells" for k in hit.index}
    report.headline(**{names[k]: r["size"] for k, r in hit.iterrows()})
    report.headline(**{f"{names[k]}_flagged": r["sum"] for k, r in hit.iterrows()})
say(text if truth else "This screen was not simulated: there is no truth to hold it against.")

# %% [markdown]
# ## What we found

# %%
content = f"{len(obs):,} wells on {len(judged)} plates hold {n_compounds:,} compounds ({n_treatments:,} with their doses, {n_mechanisms} known mechanisms) in {len(cell_types)} cell type{several}."
trust = f"{len(judged) - len(flagged)} plates are kept and {len(flagged)} flagged; {n_flagged:,} wells ({n_flagged / len(odd):.1%}) are flagged, and none is removed."
place = f"Position: {n_sure.get('controls', 0)} of {n_tests.get('controls', 0)} tests among controls have q < 0.05, and {n_sure.get('all', 0)} of {n_tests.get('all', 0)} among all wells."
findings = [content, verdict, trust, place]
findings += [f"Sites are told by their position in the well: {readings}."] if told else []
findings += ["Replication is uneven enough to make a ranking of its own."] if len(often) else []
say("\n".join(f"- {finding}" for finding in findings))
report.answer(f"{content} {verdict} {trust}")
report.headline(wells=len(obs), plates=len(judged), compounds=n_compounds)
report.headline(plates_flagged=len(flagged), wells_flagged=n_flagged, controls_separate=separates)
report.headline(**{f"auc_{r.cell_type}": round(float(r.auc), 4) for r in separation.itertuples()})
report.headline(**{f"site_accuracy_{c}": round(t.accuracy, 4) for c, t in told.items()})

# %% [markdown]
# ## What could be wrong
#
# - **Plates share more than they seem to.** Plates of one experiment were stained and imaged together; an axis that holds on other *plates* need not hold in other *experiments*. Later reports hold out whole experiments.
# - **Controls are not treated wells.** They stand in other places and, where there is no vehicle control, have seen no solvent. The boxes of treated wells beside the controls are the check for it.
# - **The axis sees one direction.** A plate may differ in others and still be kept.
# - **Flags compare a plate with the median plate** of its cell type: if most plates are bad, bad looks usual.
# - **A well that stands alone is not explained by that.** Steep doses make honest replicates disagree, and the site spread speaks of few cells only by way of sampling.
# - **Position and compound are confounded** where a compound returns to the same wells. Plates of one layout are averaged before the test, and controls are tested alone; with few controls the test is weak, and *not found* is not *not there*. Where controls always stand in the same wells, rows and columns cannot be told apart.
#
# ## Methods and citations
#
# - **Profiles** are means over sites. Principal components are those of what differs within plates: the mean of each plate is taken off first, and no label is looked at.
# - **Axis.** Linear discriminant with Ledoit-Wolf shrinkage ([10.1016/S0047-259X(03)00096-4](https://doi.org/10.1016/S0047-259X%2803%2900096-4)) on the controls of all other plates, each centred on the midpoint of its two control means. **Distance** (no disease): Mahalanobis distance from the plate's other vehicle wells, with the shrunk covariance of the vehicle wells of the other plates.
# - **Z′** with median and MAD: [10.1177/108705719900400206](https://doi.org/10.1177/108705719900400206), [10.1038/nmeth.1351](https://doi.org/10.1038/nmeth.1351). **SSMD**: [10.1016/j.ygeno.2006.12.014](https://doi.org/10.1016/j.ygeno.2006.12.014).
# - **AUC** of a plate: percentile bootstrap over wells within each control, or 0.025^(1/m) as lower limit where the groups do not overlap, m being the smaller group. Of a cell type: bootstrap over plates.
# - **Position**: permutation within plate (or layout) and role, on scores winsorised at four robust SD; false discovery rate after Benjamini and Hochberg ([10.1111/j.2517-6161.1995.tb02031.x](https://doi.org/10.1111/j.2517-6161.1995.tb02031.x)). Pooled scores: [10.1111/j.1442-9993.2001.01070.pp.x](https://doi.org/10.1111/j.1442-9993.2001.01070.pp.x). When positions can be corrected for safely: [10.1177/1087057113516003](https://doi.org/10.1177/1087057113516003).
# - **Outliers**: robust z of log distances; 3.5 is the limit of Iglewicz and Hoaglin, *How to Detect and Handle Outliers* (1993).
# - **Sites**: the question is that of the first public analysis of RxRx19a ([github.com/cjmielke/RxRx19-analysis](https://github.com/cjmielke/RxRx19-analysis)).
#
# ## Provenance
