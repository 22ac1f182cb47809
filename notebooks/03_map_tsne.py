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
# # 03 Map the wells
#
# **Question.** Which wells look alike, and which of that may be read off a two-dimensional map?
#
# **Reads** the screen of the run (`wells.zarr` or `screen.zarr`) and the profiles that report 02 chose (`centred.zarr`).
# **Writes** `map.tsv` (the place of every well), `map_quality.tsv` and `map_questions.tsv`.
#
# A t-SNE map puts wells that are neighbours in many dimensions side by side in two.
# It is drawn here before and after centring, and beside the picture stands what was measured on it: how many neighbours it kept, whether it comes back, and what its distances are worth.
# No hit in this series is called on a map.

# %% tags=["parameters"]
run: str = "simulated"  # the run whose screen is read
seed: int = 0  # of starts, landmarks and the wells that are asked
level: str = "well"  # what the maps before and after centring in sequence show {well|site}
n_components: int = 50  # principal components kept at most [2..500]
perplexity: float = 0.0  # neighbours that attract each well; 0 fits it to their number [0..500]
n_early: int = 125  # iterations with attraction exaggerated [20..5000]
n_iter: int = 200  # iterations after these [20..5000]
max_points: int = 30000  # fitted at most; wells beyond are placed among them [500..400000]
n_neighbors: int = 15  # size of a neighbourhood [2..200]
n_queries: int = 1000  # wells that are asked for their neighbours [100..100000]
n_seeds: int = 3  # times the map is drawn again from either start [3..20]
n_again: int = 800  # wells in a map that is drawn again [100..10000]

# %% tags=["setup"]
import numpy as np
import pandas as pd

from screenbook.figures import map_evidence as draw_evidence
from screenbook.figures.colouring import by_number, metadata_colourings
from screenbook.figures.maps import MOST_SHOWN, Panel, map_figure
from screenbook.paths import base_run, build_dir, find
from screenbook.profiles import map_evidence
from screenbook.profiles.control_axis import control_scores
from screenbook.profiles.map_quality import stability
from screenbook.profiles.methods import feature_units
from screenbook.profiles.nearest import sample_rows
from screenbook.profiles.neighbour_questions import Question, ask_all, label_codes, screen_questions
from screenbook.profiles.reduce import tsne_map
from screenbook.profiles.views import ENOUGH, SIGNAL, view_as_it_came, view_chosen, view_in_sequence
from screenbook.report import answer, headline, reads, save_table, say, show, show_table
from screenbook.screen import read_screen, roles_of
from screenbook.sources import open_screen, open_wells

chosen = read_screen(reads(find(run, "centred.zarr", made_by="02")))
wells = open_wells(run)[chosen.obs_names].copy()
screen = open_screen(run) if level == "site" else wells
reads(build_dir(base_run(run)) / ("screen.zarr" if level == "site" else "wells.zarr"))
obs, roles = wells.obs, roles_of(wells)
rows_are = {"well": "wells", "site": "sites"}[level]
settings = {"perplexity": perplexity, "n_early": n_early, "n_iter": n_iter}
drawing = {**settings, "max_points": max_points, "seed": seed}
asking = {"n_queries": n_queries, "seed": seed}

# %% [markdown]
# ## Fewer numbers for each well
#
# Neighbours are looked for in principal components: thousands of noisy features would blur every distance.
# Three sets of profiles are reduced.
# *Before centring*: the features as they came, each in units of its own standard deviation over the screen, so that none counts more for its unit.
# *Centred in sequence*: the mean of each experiment, site position and plate taken off, all wells together, as the first public analysis of RxRx19a did, but with plates told apart by experiment and with no look at the condition.
# *Chosen profiles*: what report 02 chose, each cell type by itself; of these only the leading components are kept in which wells vary clearly more than control wells of one kind do, since whitening gives noise as much variance as it gives effects.

# %%
keys = ["experiment", *["site"] * (level == "site"), "batch"]
before = view_as_it_came(screen.X, most=n_components)
sequence = view_in_sequence(screen.X, screen.obs, keys, most=n_components)
after = view_chosen(chosen, roles, most=n_components)
main_type, cell_types = next(iter(after.rows)), list(after.rows)
explained = {"before centring": before.components.explained, "centred in sequence": sequence.components.explained}  # fmt: skip
figure = draw_evidence.variance_figure(
    explained,
    ENOUGH,
    title=f"The first component alone holds {before.components.explained[0]:.0%} of the variance before centring, and {sequence.components.explained[0]:.0%} after it",
    subtitle=f"{screen.n_obs:,} {rows_are}, {screen.n_vars:,} features; fewest components that hold {ENOUGH:.0%}, at most {n_components}",
)
show(figure, f"Share of the variance that the first components hold together, before centring and after centring in sequence, of {screen.n_obs:,} {rows_are}. {len(before.components.variance)} components are kept before centring and {len(sequence.components.variance)} after it.")  # fmt: skip
kept = ", ".join(f"{len(c.variance)} for {name} wells ({c.explained.sum():.0%} of the variance)" for name, c in after.components.items())  # fmt: skip
say(f"Of the chosen profiles, components are kept as long as wells vary {SIGNAL:g} times as much as like controls: {kept}. What is left out is mostly noise, but not only: an effect of few compounds in a direction of its own has little variance, and is the first to go.")  # fmt: skip

# %% [markdown]
# ## All wells on one map, before and after centring
#
# The menu colours both maps by any column of the metadata, and by where a well lies between the controls.
# The search at the top of the page lights up a compound.
# Both maps start from the first two components; nothing about plates or treatments is told to them.
#
# Control wells of one kind differ by noise, position and batch only, so they are asked: which share of a control's nearest like controls on the map comes from its own plate?

# %%
map_before, map_sequence = tsne_map(before.scores, **drawing), tsne_map(sequence.scores, **drawing)
asked = sample_rows(screen.n_obs, max_points, seed)
spaces_before = {
    "all features": np.asarray(screen.X[asked]) / feature_units(screen.X),
    "components": before.scores[asked],
    "2 components": before.scores[asked, :2],
    "t-SNE map": map_before.coordinates[asked],
}
plates = {"clusters": label_codes(screen.obs["batch"])[asked]}
questions = screen_questions(screen.obs.iloc[asked], roles)
answers_before = ask_all(spaces_before, questions, n_neighbors, **asking, **plates)
answers_sequence = ask_all({"t-SNE map": map_sequence.coordinates[asked]}, [*questions, Question("its cell type", label_codes(screen.obs["cell_type"])[asked])], n_neighbors, **asking, **plates).set_index("question")  # fmt: skip
on_map = answers_before.query("space == 't-SNE map'").set_index("question")
own, left = (told.loc["its plate, among like controls"] for told in (on_map, answers_sequence))
spans = [f"95 % interval {t['low']:.0%} to {t['high']:.0%}" if t["low"] <= t["high"] else "no interval" for t in (own, left)]  # fmt: skip

# %%
axis_name = "on-axis score (0 healthy, 1 diseased)" if roles.has_disease else "distance from vehicle (control SD)"  # fmt: skip
on_axis = pd.Series(control_scores(after.scores, obs, has_disease=roles.has_disease), obs.index)
address = screen.obs[["experiment", "plate", "well"]].agg("/".join, axis=1)
score = pd.Series(on_axis.reindex(address).to_numpy(), screen.obs.index)
colourings, left_out = metadata_colourings(screen.obs, roles, extra=[by_number(axis_name, score, trim=0.01)])  # fmt: skip
drawn = sample_rows(screen.n_obs, MOST_SHOWN // 2, seed)
panels = [Panel(name, flat.coordinates[drawn], drawn) for name, flat in {"before centring": map_before, "centred in sequence": map_sequence}.items()]  # fmt: skip
title = f"Before centring {own['shared']:.0%} of a control's nearest like controls are from its plate, after it {left['shared']:.0%}"
subtitle = f"{screen.n_obs:,} {rows_are}, {len(drawn):,} drawn; chance {own['chance']:.0%}; perplexity {map_before.settings.perplexity:g}"
figure = map_figure(panels, screen.obs, colourings, title=title, subtitle=subtitle)
show(figure, f"Two t-SNE maps of the same {screen.n_obs:,} {rows_are}, before and after centring in sequence; the menu colours both, and a click on a well selects its compound. Of the {n_neighbors} nearest controls of the same kind and cell type on the map, {own['shared']:.0%} ({spans[0]}) are from the same plate before and {left['shared']:.0%} ({spans[1]}) after; {own['chance']:.0%} would be by chance.", wide=True, thumbnail=True)  # fmt: skip
say(f"Before centring a control shares its plate with {own['shared'] / own['chance']:.1f} times as many of its neighbours on the map as chance would have it, centred in sequence with {left['shared'] / left['chance']:.1f} times.")  # fmt: skip
mixed = answers_sequence.loc["its cell type"] if len(cell_types) > 1 else None
say("There is one cell type here, so nothing is mixed that should be apart." if mixed is None else f"The two panels look at cell types together, as the original did, and the right one shows why the rest of this report does not: taking off the mean of each experiment takes off the cell type as well, and now {mixed['shared']:.0%} of neighbours are of the same type where chance is {mixed['chance']:.0%}. Two wells side by side there may have nothing in common but their place relative to their own experiment.")  # fmt: skip
say("Columns that colour nothing: " + "; ".join(f"`{c}` is {why}" for c, why in left_out.items()) + ".")  # fmt: skip

# %% [markdown]
# ## The chosen profiles, each cell type by itself
#
# Report 02 chose a centring by its controls and replicates, for each cell type.
# Its profiles of different cell types have no common axes, so each cell type has a map of its own.
# Beside it stands the other picture one could draw of the same numbers, their first two components: a projection, in which distances are never larger than the true ones and the axes mean the same everywhere.

# %%
maps, places = after.draw(**drawing)
some = sample_rows(len(obs), max_points, seed)
spaces_after = {"all features": chosen.X, "components": after.scores, "2 components": after.scores[:, :2], "t-SNE map": places}  # fmt: skip
plates_after = {"clusters": label_codes(obs["batch"])[some]}
sampled = {name: space[some] for name, space in spaces_after.items()}
answers_after = ask_all(sampled, screen_questions(obs.iloc[some], roles), n_neighbors, **asking, **plates_after)  # fmt: skip
on_apart = answers_after.query("space == 't-SNE map'").set_index("question")
first = ("its control", "its mechanism", "its compound", "its")
asks = [q for start in first for q in on_apart.index if q.startswith(start)]
lost, now = on_map.loc[asks[0]], on_apart.loc[asks[0]]
span = f"95 % interval {now['low']:.0%} to {now['high']:.0%}" if now["low"] <= now["high"] else "no interval"  # fmt: skip
still = on_apart.loc["its plate, among like controls"]

# %%
parts = {c: i[sample_rows(len(i), MOST_SHOWN // 3, seed)] for c, i in list(after.rows.items())[:3]}
of_wells = colourings if level == "well" else metadata_colourings(obs, roles, extra=[by_number(axis_name, on_axis, trim=0.01)])[0]  # fmt: skip
gained = f"{now['shared']:.0%} of neighbours share {asks[0].split(',')[0].replace('its', 'the')}, chance {now['chance']:.0%}"
panels = [Panel(f"{c} ({len(after.rows[c]):,} wells)", places[i], i) for c, i in parts.items()]
subtitle = f"{len(obs):,} wells; perplexity {', '.join(f'{m.settings.perplexity:g} ({c})' for c, m in maps.items())}"
figure = map_figure(panels, obs, of_wells, title=f"With the chosen profiles {gained}", subtitle=subtitle)  # fmt: skip
show(figure, f"A t-SNE map of the chosen profiles for each cell type; the menu colours them, by the position between the controls (*{axis_name}*) for instance. The plate is shared by {still['shared']:.0%} of a control's nearest like controls, where chance is {still['chance']:.0%}.", wide=True)  # fmt: skip
say(f"Neighbours that share {asks[0]}: {lost['shared']:.0%} before centring (chance {lost['chance']:.0%}), {now['shared']:.0%} ({span}, {now['n_queries']:,} wells asked) with the chosen profiles. An even cloud is no failure: most compounds of a library do nothing, and wells that differ by noise alone have no clusters to form. Where the map does break up, ask the menu first whether plates or positions break with it.")  # fmt: skip

# %%
held = {c: found.explained[:2].sum() for c, found in after.components.items()}
panels = [Panel(f"chosen, {c}", after.scores[i, :2], i) for c, i in parts.items()]
title = f"Two components hold {' and '.join(f'{v:.0%} ({c})' for c, v in held.items())} of the variance of the chosen profiles"
figure = map_figure(
    panels,
    obs,
    of_wells[:7],
    title=title,
    subtitle=f"{len(obs):,} wells on the first two principal components",
    axes=("component 1 (profile units)", "component 2 (profile units)"),
)
show(figure, f"Wells on the first two principal components of the chosen profiles; the menu colours all panels. What lies in the remaining components, {' and '.join(f'{1 - v:.0%} ({c})' for c, v in held.items())} of the variance, is not in the picture at all.", wide=True)  # fmt: skip

# %% [markdown]
# ## The same questions in every space
#
# What do a well's neighbours share with it?
# The same wells are asked in all features, in the components, in two components and on the map, before centring and with the chosen profiles.
# A well with fewer partners than neighbours is asked for as many as it has partners, so that 100 % always means *all that could be*.

# %%
both = {"before centring": answers_before, "chosen profiles": answers_after}
same = pd.concat(both, names=["profiles"]).reset_index("profiles")
table = same.set_index(["profiles", "question", "space"])["shared"].unstack()  # noqa: PD010
off = (table["t-SNE map"] - table["components"]).dropna()
gap, worst = off.abs().groupby("profiles").max(), off.abs().idxmax()
title = f"Maps answer as their components do within {100 * gap['chosen profiles']:.1f} percentage points on the chosen profiles, {100 * gap['before centring']:.1f} before centring"
subtitle = f"up to {n_queries:,} {rows_are} asked for {n_neighbors} neighbours; bars: 95 % bootstrap over plates; dashed: chance"
figure = draw_evidence.question_figure(both, title=title, subtitle=subtitle, x="neighbours that agree (0 to 1)")  # fmt: skip
show(figure, f"Share of a well's {n_neighbors} neighbours that agree with it, in four spaces, before centring and with the chosen profiles; candidates are of the same cell type, and of other plates where the question says so. A map is furthest from its components, by {100 * off[worst]:+.0f} percentage points, {worst[0]} for *{worst[1]}*.", wide=True)  # fmt: skip
plate = table.xs("its plate, among like controls", level="question")["components"]
say(f"**The plate** is shared by {plate['before centring']:.0%} of a control's like neighbours in the components before centring, and by {plate['chosen profiles']:.0%} with the chosen profiles ({still['chance']:.0%} by chance): what the map shows of batch is in the data, and so is its absence. A map that is torn into plates cannot answer for other plates, though: its clusters lie in any order, and the nearest well of another plate is nearest by accident.")  # fmt: skip
shares = table.loc["chosen profiles"]
say("With the chosen profiles, neighbours share\n\n" + "\n".join(f"- *{q}*: {shares.loc[q, 'components']:.1%} in the components, {shares.loc[q, 't-SNE map']:.1%} on the map, {shares.loc[q, '2 components']:.1%} in two components; {on_apart.loc[q, 'chance']:.1%} by chance." for q in on_apart.index[1:]))  # fmt: skip

# %% [markdown]
# ## Which neighbours did the map keep?
#
# *Recall*: of a well's nearest in the components, the share that are its nearest on the map.
# *Trustworthiness* punishes neighbours that the map invents, *continuity* those it tears apart; 1 is perfect, and a random map gets about 0.5.
# Above `max_points` only so many wells are fitted as landmarks and the others placed among them; what that costs is measured too, by leaving half of a sample out of the fit.

# %%
of_before = {"before centring, map": (before.scores, map_before.coordinates), "before centring, 2 components": (before.scores, before.scores[:, :2])}  # fmt: skip
of_main = {f"chosen, {c}, map": (after.scores[i], places[i]) for c, i in after.rows.items()}
of_main |= {f"chosen, {c}, 2 components": (after.scores[i], after.scores[i, :2]) for c, i in after.rows.items()}  # fmt: skip
of_all = {f"chosen, {c}, map against all axes": (chosen.X[i], places[i]) for c, i in after.rows.items()}  # fmt: skip
recalls, quality = map_evidence.keep_neighbours(of_before | of_main | of_all, k=n_neighbors, most=max_points, **asking)  # fmt: skip
by_drawing = quality.set_index("drawing")
main, flat = by_drawing.loc[f"chosen, {main_type}, map"], by_drawing.loc[f"chosen, {main_type}, 2 components"]  # fmt: skip
lines = [d for d in (*of_before, *of_main) if d.startswith(("before", f"chosen, {main_type},"))]
title = f"The map keeps {main['recall']:.0%} of the {n_neighbors} nearest wells, two components keep {flat['recall']:.0%}"
figure = draw_evidence.recall_figure(recalls[recalls["drawing"].isin(lines)], title=title, subtitle=f"up to {n_queries:,} {rows_are} asked; true neighbours: those in the components")  # fmt: skip
show(figure, f"Share of the k nearest {rows_are} in the components that are among the k nearest in the drawing, for maps and for two components; dashed: a random map. For {main_type} wells the map keeps {main['recall']:.0%} of {n_neighbors} neighbours, {main['recall'] / main['chance']:.0f} times what a random map would.")  # fmt: skip
show_table(quality, f"Quality of every drawing at k = {n_neighbors}, against the components it was made from, or all axes where it says so; *chance* is the recall of a random map.", rows=12, file="map_quality")  # fmt: skip

# %%
mine = after.rows[main_type]
again = mine[sample_rows(len(mine), n_again, seed)]
whole = by_drawing.loc[f"chosen, {main_type}, map against all axes"]
say(f"For {main_type} wells: recall {main['recall']:.2f}, trustworthiness {main['trustworthiness']:.2f}, continuity {main['continuity']:.2f} (n = {main['wells']:,.0f} wells). So of {n_neighbors} wells around a point about {n_neighbors * main['recall']:.0f} are its nearest in the components: a single neighbour on the map is no evidence, the majority in a region is. Against all {chosen.n_vars} axes of the chosen profiles, noise included, recall is {whole['recall']:.2f}.")  # fmt: skip
say(f"Before centring recall was {by_drawing.loc['before centring, map', 'recall']:.2f}. A better recall there is no praise: plates make neighbours too, and strong clusters are easily kept, whatever made them.")  # fmt: skip
landmarks = {"before centring": map_before, "centred in sequence": map_sequence, **maps}
used = [f"{name} {m.is_landmark.sum():,} of {len(m.is_landmark):,}" for name, m in landmarks.items() if not m.is_landmark.all()]  # fmt: skip
say(f"Landmarks were used here: {'; '.join(used)}." if used else f"No map here has more than {max_points:,} points, so every one of them was fitted.")  # fmt: skip
cost = map_evidence.cost_of_placing(after.scores[again], n_neighbors, seed=seed, **settings)
say("There are too few wells here to measure what placing would cost." if cost is None else f"Of {len(again):,} wells with {cost[0]:,} left out of the fit, those placed keep {cost[2]:.0%} of their {n_neighbors} neighbours; fitted themselves, the same wells keep {cost[1]:.0%}. A placed well finds its neighbourhood and cannot move it: a kind of well that no landmark belongs to is put among strangers.")  # fmt: skip

# %% [markdown]
# ## Would the same map come back?
#
# The same wells are drawn again from other seeds, once from the components with a small jitter, as above, and once from random places.

# %%
names = map_evidence.name_groups(obs, roles)
kind = "healthy" if roles.has_disease else "vehicle"
is_kind, is_treated = (obs["role"] == kind).to_numpy(), (obs["role"] == "treated").to_numpy()
near = {"anchors": np.flatnonzero(is_kind[again]), "others": np.flatnonzero(is_treated[again])}
near["count"] = max(round(0.05 * len(near["others"])), 1)
redrawn = stability(after.scores[again], label_codes(names.iloc[again]), seeds=range(seed, seed + n_seeds), k=n_neighbors, **settings, **near)  # fmt: skip
measured = {"neighbours": f"share of {n_neighbors} neighbours in common", "selected": f"share of the {near['count']} treated wells nearest to {kind} ones in common", "distances": "Spearman's rho of the distances between groups"}  # fmt: skip
steady = redrawn.groupby("start")[list(measured)].agg(["mean", "std"])
calm, wild = steady.loc["pca"], steady.loc["random"]
columns = {"from components": calm[:, "mean"], "SD over pairs": calm[:, "std"], "from random places": wild[:, "mean"], "SD over those pairs": wild[:, "std"]}  # fmt: skip
shown = pd.DataFrame(columns).rename(index=measured).rename_axis("pairs of maps").reset_index()
show_table(shown, f"Agreement between maps of the same {len(again):,} {main_type} wells, over all pairs of {n_seeds} seeds from either start. One is perfect agreement.", file="map_stability")  # fmt: skip
say(f"From the components two maps give a well {calm['neighbours', 'mean']:.0%} of the same neighbours (SD over pairs {calm['neighbours', 'std']:.1%}), from random places {wild['neighbours', 'mean']:.0%} (SD {wild['neighbours', 'std']:.1%}): regions come back, single neighbours need not. Distances between groups on one map agree with those on the next with rho = {calm['distances', 'mean']:.2f} from the components, and {wild['distances', 'mean']:.2f} from random places. A map that comes back is not thereby true: the components start it alike each time.")  # fmt: skip

# %% [markdown]
# ## What distances on the map do not mean
#
# Far apart on the map is not far apart in the data, and a circle around the healthy wells is no score.
# Both are measured: distances between groups of wells (controls, and compounds at their highest dose) against those in the components, and the list of wells that a radius around the controls would select against the list by distance in the components.

# %%
flats = {"t-SNE map": places[mine], "first two components": after.scores[mine, :2]}
pairs, rho = map_evidence.compare_distances(after.scores[mine], flats, names.iloc[mine])
rho_map, rho_flat = rho.loc["t-SNE map"], rho.loc["first two components"]
some_pairs = sample_rows(len(pairs["t-SNE map"]), 1500, seed)
panels = {f"{n}: rho = {rho.loc[n, 'rho']:.2f}": p.iloc[some_pairs] for n, p in pairs.items()}
title = f"Distances between groups agree with the true ones with rho = {rho_map['rho']:.2f} on the map, {rho_flat['rho']:.2f} in two components"
subtitle = f"{names.iloc[mine].replace('', np.nan).nunique()} groups of {main_type} wells, {len(pairs['t-SNE map']):,} pairs, {len(some_pairs):,} drawn"
reference = f"distance in {len(after.components[main_type].variance)} components (profile units)"
figure = draw_evidence.distance_figure(panels, title=title, subtitle=subtitle, reference=reference)
show(figure, f"Distance between the centres of two groups in the drawing against that in the components, for the map and for the first two components. Spearman's rho is {rho_map['rho']:.2f} for the map and {rho_flat['rho']:.2f} for two components over all pairs, and {rho_map['rho_far']:.2f} and {rho_flat['rho_far']:.2f} over the half that is further apart.", wide=True)  # fmt: skip

# %%
anchors, others = mine[is_kind[mine]], mine[is_treated[mine]]
count, agree = map_evidence.radius_agreement(places, after.scores, anchors, others)
say(f"**Between groups.** {rho_map['rho'] ** 2:.0%} of the variation in the ranks of distances is kept by the map (two components: {rho_flat['rho'] ** 2:.0%}), and among the half of the pairs that is further apart rho is {rho_map['rho_far']:.2f} ({rho_flat['rho_far']:.2f}). The empty space between clusters, their size and their density carry no measure at all.")  # fmt: skip
say(f"**A radius.** The first analysis of RxRx19a listed treated wells within a radius of the healthy ones on the map. Here the radius that selects {count:,} of {len(others):,} treated {main_type} wells (5 %) around {len(anchors):,} {kind} wells agrees with the {count:,} closest in the components in {agree:.0%}; a random choice would in 5 %. Drawn again from random places, a map of {len(again):,} of these wells selects {wild['selected', 'mean']:.0%} of the same wells (from the components {calm['selected', 'mean']:.0%}). A list that comes back with the map can still be another list than that of the closest wells. Hits are called in the full space, in later reports.")  # fmt: skip

# %% [markdown]
# ## Against the truth

# %%
truth = build_dir(base_run(run)) / "truth"
if (truth / "compounds.tsv").is_file():
    hidden = {"infection": "infection", "off_axis": "effect off the axis", "cell_loss": "cell loss", "glow": "fluorescence"}  # fmt: skip
    true_wells = pd.read_csv(reads(truth / "wells.tsv"), sep="\t", dtype={"experiment": str, "plate": str, "well": str})  # fmt: skip
    true_wells = true_wells.set_index(true_wells[["experiment", "plate", "well"]].agg("/".join, axis=1)).reindex(obs.index)[list(hidden)].rename(columns=hidden)  # fmt: skip
    panels = [Panel(f"{c} ({len(after.rows[c]):,} wells)", places[i], i) for c, i in parts.items()]
    hidden_colours = [by_number(f"true {name}", values, trim=0.005) for name, values in true_wells.items()]  # fmt: skip
    figure = map_figure(panels, obs, hidden_colours, title="The map, coloured by what was put in", subtitle=f"{len(obs):,} wells; hidden quantities of the simulation")  # fmt: skip
    show(figure, "The maps of the chosen profiles, coloured by hidden quantities of the simulation: infection, effects off the axis, cell loss and fluorescence. A quantity whose colours run smoothly is laid out by the map; one whose colours are mixed is in the profiles only, or nowhere.", wide=True)  # fmt: skip
    known = map_evidence.neighbours_know({n: s[mine] for n, s in spaces_after.items()}, true_wells.iloc[mine], n_neighbors, **asking)  # fmt: skip
    show_table(known.rename_axis("hidden quantity").reset_index(), f"Share of the variance of a hidden quantity that the mean of a well's {n_neighbors} neighbours predicts (R²; 0 is no better than the overall mean), {len(mine):,} {main_type} wells.", file="map_truth")  # fmt: skip
    say(f"**Infection** of a well is predicted by its neighbours with R² = {known.loc['infection', 'components']:.2f} in the components, {known.loc['infection', 't-SNE map']:.2f} on the map and {known.loc['infection', '2 components']:.2f} in two components. Where R² is near 0, few wells carry the quantity, and neither picture nor neighbours are the tool to find it.")  # fmt: skip
    headline(infection_r2_map=round(known.loc["infection", "t-SNE map"], 4), infection_r2_components=round(known.loc["infection", "components"], 4))  # fmt: skip
else:
    say("This screen was not simulated, so there is no truth to hold the map against.")

# %% [markdown]
# ## What we found
#
# The map is for looking: report 04 lights its hits on `map.tsv`, and takes its numbers from the profiles.

# %%
findings = [
    f"Before centring {own['shared']:.0%} of a control's nearest like controls on the map are from its own plate, with the chosen profiles {still['shared']:.0%}, where chance is {still['chance']:.0%}.",
    f"With the chosen profiles {gained}; before centring {lost['shared']:.0%}.",
    f"The map of {main_type} wells keeps {main['recall']:.0%} of {n_neighbors} neighbours (two components: {flat['recall']:.0%}); drawn again it gives {calm['neighbours', 'mean']:.0%} of the same ones.",
    f"Its distances are worth less: between groups rho = {rho_map['rho']:.2f} with the true ones, and a radius around the {kind} wells finds {agree:.0%} of the {count:,} closest.",
]
say("\n".join(f"- {line}" for line in findings))
answer(" ".join(findings))
headline(wells=len(obs), perplexity=float(maps[main_type].settings.perplexity), components=len(after.components[main_type].variance))  # fmt: skip
headline(plate_shared_before=round(own["shared"], 4), plate_shared_after=round(still["shared"], 4), plate_chance=round(own["chance"], 4))  # fmt: skip
headline(recall=round(main["recall"], 4), recall_two_components=round(flat["recall"], 4), trustworthiness=round(main["trustworthiness"], 4), continuity=round(main["continuity"], 4))  # fmt: skip
headline(same_neighbours_again=round(calm["neighbours", "mean"], 4), distances_rho=round(rho_map["rho"], 4), radius_agreement=round(agree, 4))  # fmt: skip

# %%
described = {"id": "experiment/plate/well", "cell_type": "cell type: each has a map of its own", "experiment": "experiment", "plate": "plate of the experiment", "well": "well address", "role": "role in the analysis", "compound": "compound, blank if none", "treatment_conc": "dose (µM), blank if none"}  # fmt: skip
placed = obs.rename_axis("id").reset_index()[list(described)].assign(x=places[:, 0], y=places[:, 1], on_axis=on_axis.to_numpy())  # fmt: skip
described |= {"x": "first map coordinate, chosen profiles (no unit)", "y": "second map coordinate, chosen profiles (no unit)", "on_axis": axis_name}  # fmt: skip
save_table(placed, run, "map", described)
save_table(quality, run, "map_quality", {"drawing": "what was drawn", "wells": "points", "recall": f"share of {n_neighbors} neighbours kept (0 to 1)", "chance": "recall of a random map (0 to 1)", "trustworthiness": "0 to 1", "continuity": "0 to 1"})  # fmt: skip
save_table(same, run, "map_questions", {"profiles": "before centring, or chosen", "question": "what a neighbour shares", "space": "where neighbours were looked for", "shared": "share of neighbours that agree (0 to 1)", "low": "95 % interval, lower end", "high": "95 % interval, upper end", "chance": "share by chance", "n_queries": "wells asked"})  # fmt: skip

# %% [markdown]
# ## What could be wrong
#
# - **The components decide.** Whatever they leave out no map can show; recall and trustworthiness are measured against the components, not against the biology.
# - **The menu invites stories.** A score of columns coloured one after another will show a pattern somewhere. The questions above were fixed beforehand, and each stands beside its chance.
# - **Intervals are of plates.** They say what other plates of these experiments would give, not what another experiment would.
# - **Perplexity is a choice.** It is fitted to the number of wells by a rule; other values break clouds up or merge them. Try `P="perplexity=10"` and `P="perplexity=60"`, and believe what stays.
# - **Centring in sequence uses all wells of a plate**, so that a plate full of active compounds is pulled towards the others; it is drawn for comparison with the first analysis, and nothing is computed from it.

# %% [markdown]
# ## Methods and citations
#
# - **t-SNE**: openTSNE ([10.18637/jss.v109.i03](https://doi.org/10.18637/jss.v109.i03)) with exact neighbours, started on two components at small scale ([10.1038/s41587-020-00809-z](https://doi.org/10.1038/s41587-020-00809-z)); learning rate n, exaggeration 12 in the early iterations ([10.1038/s41467-019-13055-y](https://doi.org/10.1038/s41467-019-13055-y)); perplexity √n / 2, between 5 and 30; exaggeration 4 to the end above 100,000 points ([10.1038/s41467-019-13056-x](https://doi.org/10.1038/s41467-019-13056-x)). Repulsion by Barnes-Hut trees below 5,000 points, by interpolation above ([10.1038/s41592-018-0308-4](https://doi.org/10.1038/s41592-018-0308-4)).
# - **Trustworthiness and continuity**: Venna and Kaski ([10.1007/3-540-44668-0_68](https://doi.org/10.1007/3-540-44668-0_68)).
# - **What such maps distort**: [10.1371/journal.pcbi.1011288](https://doi.org/10.1371/journal.pcbi.1011288); and what they are good for all the same: [10.1371/journal.pcbi.1012403](https://doi.org/10.1371/journal.pcbi.1012403).
# - **Intervals**: percentile bootstrap over plates (500 samples).
# - **Centring in sequence and the radius** are those of the first public analysis of RxRx19a ([github.com/cjmielke/RxRx19-analysis](https://github.com/cjmielke/RxRx19-analysis)), without the centring on the condition, which removes what is looked for.

# %% [markdown]
# ## Provenance
