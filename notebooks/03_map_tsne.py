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
variance: float = 0.95  # share of the variance that is enough [0.1..1]
signal: float = 1.5  # chosen profiles: least variance of a component, over like controls' [0..50]
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

from screenbook.figures import map_evidence
from screenbook.figures.colouring import by_class, by_number, metadata_colourings
from screenbook.figures.maps import MOST_SHOWN, Panel, map_figure
from screenbook.figures.palette import ROLE_NAMES
from screenbook.paths import base_run, build_dir, find
from screenbook.profiles.centering import center_in_sequence
from screenbook.profiles.map_quality import (
    group_distances,
    neighbour_recall,
    rank_correlation,
    stability,
    trustworthiness,
)
from screenbook.profiles.methods import feature_units
from screenbook.profiles.nearest import nearest_to, sample_rows
from screenbook.profiles.neighbour_questions import (
    Question,
    ask_all,
    label_codes,
    neighbour_r2,
    screen_questions,
)
from screenbook.profiles.control_axis import control_scores
from screenbook.profiles.reduce import count_above_noise, principal_components, tsne_map
from screenbook.report import answer, headline, reads, save_table, say, show, show_table
from screenbook.screen import read_screen, roles_of
from screenbook.sources import open_screen, open_wells

chosen = read_screen(reads(find(run, "centred.zarr", made_by="02")))
wells = open_wells(run)[chosen.obs_names].copy()
screen = open_screen(run) if level == "site" else wells
reads(build_dir(base_run(run)) / ("screen.zarr" if level == "site" else "wells.zarr"))
obs, roles = wells.obs, roles_of(wells)
cell_types = list(obs["cell_type"].value_counts().index)
of_type = {c: np.flatnonzero(obs["cell_type"] == c) for c in cell_types}
plural = {"well": "wells", "site": "sites"}[level]
settings = {"perplexity": perplexity, "n_early": n_early, "n_iter": n_iter}
drawing = {**settings, "max_points": max_points, "seed": seed}

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
unit = feature_units(screen.X)
before = principal_components(screen.X, most=n_components, share=variance, standardise=True)
in_sequence = center_in_sequence(screen.X, screen.obs, keys) / unit
sequence = principal_components(in_sequence, most=n_components, share=variance)
scores_before, scores_sequence = before.scores(screen.X), sequence.scores(in_sequence)
kinds = label_codes(obs["role"].astype(str).where(obs["role"].isin(roles.controls)))
apart = {}
for cell_type, i in of_type.items():
    found = principal_components(chosen.X[i], most=n_components, share=variance)
    apart[cell_type] = found.first(count_above_noise(found.scores(chosen.X[i]), kinds[i], signal))
scores = np.zeros((len(obs), max(len(found.variance) for found in apart.values())), np.float32)
for cell_type, i in of_type.items():
    scores[i, : len(apart[cell_type].variance)] = apart[cell_type].scores(chosen.X[i])

# %%
explained = {"before centring": before.explained, "centred in sequence": sequence.explained}
kept = ", ".join(f"{len(a.variance)} for {c} wells ({a.explained.sum():.0%} of the variance)" for c, a in apart.items())  # fmt: skip
show(
    map_evidence.variance_figure(
        explained,
        variance,
        title=f"The first component alone holds {before.explained[0]:.0%} of the variance before centring, and {sequence.explained[0]:.0%} after it",
        subtitle=f"{screen.n_obs:,} {plural}, {screen.n_vars:,} features; fewest components that hold {variance:.0%}, at most {n_components}",
    ),
    f"Share of the variance that the first components hold together, before centring and after centring in sequence, of {screen.n_obs:,} {plural}. "
    f"{len(before.variance)} components are kept before centring ({before.explained.sum():.0%} of the variance) and {len(sequence.variance)} after it ({sequence.explained.sum():.0%}).",
)
say(
    f"Of the chosen profiles, components are kept as long as wells vary {signal:g} times as much as like controls: {kept}. "
    "What is left out is mostly noise, but not only: an effect of few compounds in a direction of its own has little variance, and is the first to go."
)

# %% [markdown]
# ## All wells on one map, before and after centring
#
# The menu colours both maps by any column of the metadata, and by where a well lies between the controls.
# The search at the top of the page lights up a compound.
# Both maps start from the first two components; nothing about plates or treatments is told to them.

# %%
map_before = tsne_map(scores_before, **drawing)
map_sequence = tsne_map(scores_sequence, **drawing)
axis_name = "on-axis score (0 healthy, 1 diseased)" if roles.has_disease else "distance from vehicle (control SD)"  # fmt: skip
on_axis = pd.Series(control_scores(scores, obs, has_disease=roles.has_disease), obs.index)
address = screen.obs[["experiment", "plate", "well"]].agg("/".join, axis=1)
score_of = pd.Series(on_axis.reindex(address).to_numpy(), screen.obs.index)
colourings, left_out = metadata_colourings(screen.obs, roles, extra=[by_number(axis_name, score_of, trim=0.01)])  # fmt: skip
shown = sample_rows(screen.n_obs, MOST_SHOWN // 2, seed)
thinned = "" if len(shown) == screen.n_obs else f", {len(shown):,} of them drawn, at random"

# %%
asked = sample_rows(screen.n_obs, max_points, seed)
raw = np.asarray(screen.X[asked]) / unit
spaces_before = {
    "all features": raw,
    "components": scores_before[asked],
    "2 components": scores_before[asked, :2],
    "t-SNE map": map_before.coordinates[asked],
}
options = {
    "n_queries": n_queries,
    "seed": seed,
    "clusters": label_codes(screen.obs["batch"])[asked],
}
questions = screen_questions(screen.obs.iloc[asked], roles)
before_answers = ask_all(spaces_before, questions, n_neighbors, **options)
space_sequence = {"t-SNE map": map_sequence.coordinates[asked]}
its_type = Question("its cell type", label_codes(screen.obs["cell_type"])[asked])
sequence_answers = ask_all(space_sequence, [*questions, its_type], n_neighbors, **options)
on_map = before_answers.query("space == 't-SNE map'").set_index("question")
on_sequence = sequence_answers.set_index("question")

# %%
own, left = (answers.loc["its plate, among like controls"] for answers in (on_map, on_sequence))
show(
    map_figure(
        [
            Panel("before centring", map_before.coordinates[shown], shown),
            Panel("centred in sequence", map_sequence.coordinates[shown], shown),
        ],
        screen.obs,
        colourings,
        title=f"Before centring {own['shared']:.0%} of a control's nearest like controls are from its plate, after it {left['shared']:.0%}",
        subtitle=f"{screen.n_obs:,} {plural}{thinned}; chance {own['chance']:.0%}; perplexity {map_before.settings.perplexity:g}",
    ),
    f"Two t-SNE maps of the same {screen.n_obs:,} {plural}, before centring and after centring experiments{', sites' * (level == 'site')} and plates in sequence; the menu colours both, and a click on a well selects its compound. "
    f"Of the {n_neighbors} nearest controls of the same kind and cell type on the map, {own['shared']:.0%} (95 % interval {own['low']:.0%} to {own['high']:.0%}) are from the same plate before and {left['shared']:.0%} ({left['low']:.0%} to {left['high']:.0%}) after; {own['chance']:.0%} would be by chance.",
    wide=True,
    thumbnail=True,
)
types_mix = on_sequence.loc["its cell type"] if len(cell_types) > 1 else None
say(
    f"Control wells of one kind differ by noise, position and batch only, so they are asked: before centring {own['shared']:.0%} of their neighbours on the map share the plate, {own['shared'] / own['chance']:.1f} times chance. "
    f"Centring in sequence {'brings that to' if left['shared'] < 0.8 * own['shared'] else 'hardly changes that, with'} {left['shared']:.0%}, {left['shared'] / left['chance']:.1f} times chance. "
    + (
        f"The two panels look at cell types together, as the original did, and the right one shows why the rest of this report does not: "
        f"taking off the mean of each experiment takes off the cell type as well, and now {types_mix['shared']:.0%} of neighbours are of the same type where chance is {types_mix['chance']:.0%}. Two wells side by side there may have nothing in common but their place relative to their own experiment."
        if types_mix is not None
        else "There is one cell type here, so nothing is mixed that should be apart."
    )
)
say(
    "Columns that colour nothing: "
    + "; ".join(f"`{c}` is {why}" for c, why in left_out.items())
    + "."
)

# %% [markdown]
# ## The chosen profiles, each cell type by itself
#
# Report 02 chose a centring by its controls and replicates, for each cell type.
# Its profiles of different cell types have no common axes, so each cell type has a map of its own.

# %%
maps = {c: tsne_map(scores[i, : len(apart[c].variance)], **drawing) for c, i in of_type.items()}
places = np.zeros((len(obs), 2), np.float32)
for cell_type, i in of_type.items():
    places[i] = maps[cell_type].coordinates
well_colourings = (
    colourings
    if level == "well"
    else metadata_colourings(obs, roles, extra=[by_number(axis_name, on_axis, trim=0.01)])[0]
)
parts = {c: i[sample_rows(len(i), MOST_SHOWN // 3, seed)] for c, i in list(of_type.items())[:3]}
spaces_after = {"all features": chosen.X, "components": scores, "2 components": scores[:, :2], "t-SNE map": places}  # fmt: skip
some = sample_rows(len(obs), max_points, seed)
questions_after = screen_questions(obs.iloc[some], roles)
options["clusters"] = label_codes(obs["batch"])[some]
after_answers = ask_all({n: x[some] for n, x in spaces_after.items()}, questions_after, n_neighbors, **options)  # fmt: skip
on_apart = after_answers.query("space == 't-SNE map'").set_index("question")

# %%
wanted = [q for q in on_apart.index if q.startswith(("its control", "its mechanism"))]
wanted = [*wanted, "its compound and dose, another plate"]
lead = on_apart.loc[wanted[0]]
still = on_apart.loc["its plate, among like controls"]
gained = f"{lead['shared']:.0%} of neighbours share {wanted[0].split(',')[0].replace('its', 'the')}, chance {lead['chance']:.0%}"
show(
    map_figure(
        [Panel(f"{c} ({len(of_type[c]):,} wells)", places[i], i) for c, i in parts.items()],
        obs,
        well_colourings,
        title=f"With the chosen profiles {gained}",
        subtitle=f"{len(obs):,} wells; perplexity {', '.join(f'{m.settings.perplexity:g} ({c})' for c, m in maps.items())}",
    ),
    f"A t-SNE map of the chosen profiles for each cell type; the menu colours them, by the position between the controls (*{axis_name}*) for instance. "
    f"The plate is shared by {still['shared']:.0%} of a control's nearest like controls, where chance is {still['chance']:.0%}.",
    wide=True,
)
lost, now = on_map.loc[wanted[0]], on_apart.loc[wanted[0]]
say(
    f"Neighbours that share {wanted[0]}: {lost['shared']:.0%} before centring (chance {lost['chance']:.0%}), {now['shared']:.0%} (95 % interval {now['low']:.0%} to {now['high']:.0%}, {now['n_queries']:,} wells asked) with the chosen profiles. "
    "An even cloud is no failure: most compounds of a library do nothing, and wells that differ by noise alone have no clusters to form. "
    "Where the map does break up, ask the menu first whether plates or positions break with it."
)

# %% [markdown]
# ## The same map as two principal components
#
# Two components are the other picture one could draw of the same numbers.
# They are a projection: distances in them are never larger than the true ones, and the axes mean the same everywhere.

# %%
two = [Panel("before centring", scores_before[shown, :2], shown)] if level == "well" else []
pairs_of_axes = [
    *two,
    *(Panel(f"chosen, {c}", scores[i, :2], i) for c, i in list(parts.items())[:2]),
]
held = {c: a.explained[:2].sum() for c, a in apart.items()}
show(
    map_figure(
        pairs_of_axes,
        obs,
        well_colourings[:7],
        title=f"Two components hold {' and '.join(f'{v:.0%} ({c})' for c, v in held.items())} of the variance of the chosen profiles",
        subtitle=f"{len(obs):,} wells on the first two principal components",
        axes=("component 1 (profile units)", "component 2 (profile units)"),
    ),
    f"Wells on their first two principal components{', before centring and' * bool(two)} with the chosen profiles; the menu colours all panels. "
    f"What lies in the remaining components, {' and '.join(f'{1 - v:.0%} ({c})' for c, v in held.items())} of the variance, is not in the picture at all.",
    wide=True,
)

# %% [markdown]
# ## The same questions in every space
#
# What do a well's neighbours share with it?
# The same wells are asked in all features, in the components, in two components and on the map, before centring and with the chosen profiles.
# A well with fewer partners than neighbours is asked for as many as it has partners, so that 100 % always means *all that could be*.

# %%
both = {"before centring": before_answers, "chosen profiles": after_answers}
same = pd.concat(both, names=["profiles"]).reset_index("profiles")
table = same.set_index(["profiles", "question", "space"])["shared"].unstack()  # noqa: PD010
off = (table["t-SNE map"] - table["components"]).dropna()
gap, worst = off.groupby("profiles").agg(lambda d: d.abs().max()), off.abs().idxmax()
show(
    map_evidence.question_figure(
        both,
        title=f"Maps answer as their components do within {100 * gap['chosen profiles']:.1f} percentage points on the chosen profiles, {100 * gap['before centring']:.1f} before centring",
        subtitle=f"up to {n_queries:,} {plural} asked for {n_neighbors} neighbours; bars: 95 % bootstrap over plates; dashed: chance",
        x="neighbours that agree (0 to 1)",
    ),
    f"Share of a well's {n_neighbors} neighbours that agree with it, in four spaces, before centring and with the chosen profiles; candidates are of the same cell type, and of other plates where the question says so. "
    f"A map is furthest from its components, by {100 * off[worst]:+.0f} percentage points, {worst[0]} for *{worst[1]}*.",
    wide=True,
)
plate = table.xs("its plate, among like controls", level="question")
say(
    f"**The plate** is shared by {plate.loc['before centring', 'components']:.0%} of a control's like neighbours in the components before centring, and by {plate.loc['chosen profiles', 'components']:.0%} with the chosen profiles ({still['chance']:.0%} by chance): what the map shows of batch is in the data, and so is its absence. "
    "A map that is torn into plates cannot answer for other plates, though: its clusters lie in any order, and the nearest well of another plate is nearest by accident."
)
say(
    "With the chosen profiles, neighbours share\n\n"
    + "\n".join(
        f"- *{q}*: {table.loc[('chosen profiles', q), 'components']:.1%} in the components, {table.loc[('chosen profiles', q), 't-SNE map']:.1%} on the map, {table.loc[('chosen profiles', q), '2 components']:.1%} in two components; {on_apart.loc[q, 'chance']:.1%} by chance."
        for q in on_apart.index[1:]
    )
)

# %% [markdown]
# ## Which neighbours did the map keep?
#
# *Recall*: of a well's nearest in the components, the share that are its nearest on the map.
# *Trustworthiness* punishes neighbours that the map invents, *continuity* those it tears apart; 1 is perfect, and a random map gets about 0.5.

# %%
drawn = {
    "before centring, map": (scores_before, map_before.coordinates),
    "before centring, 2 components": (scores_before, scores_before[:, :2]),
    **{f"chosen, {c}, map": (scores[i], places[i]) for c, i in of_type.items()},
    **{f"chosen, {c}, 2 components": (scores[i], scores[i, :2]) for c, i in of_type.items()},
    **{f"chosen, {c}, map against all axes": (chosen.X[i], places[i]) for c, i in of_type.items()},
}
kept, quality = [], []
for name, (space, flat) in drawn.items():
    here = sample_rows(len(space), max_points, seed)
    space, flat = space[here], flat[here]
    queries = sample_rows(len(space), n_queries, seed)
    ks = sorted({k for k in (5, n_neighbors, 50, 150) if k < len(space) / 2})
    kept.append(neighbour_recall(space, flat, ks, queries).assign(drawing=name))
    trust = trustworthiness(space, flat, n_neighbors, queries), trustworthiness(flat, space, n_neighbors, queries)  # fmt: skip
    quality.append(
        (
            name,
            len(space),
            *kept[-1].query("k == @n_neighbors")[["recall", "chance"]].iloc[0],
            *trust,
        )
    )
recalls = pd.concat(kept, ignore_index=True)
quality = pd.DataFrame(
    quality, columns=["drawing", "wells", "recall", "chance", "trustworthiness", "continuity"]
)

# %%
first = f"chosen, {cell_types[0]}"
by_drawing = quality.set_index("drawing")
main, flat = by_drawing.loc[f"{first}, map"], by_drawing.loc[f"{first}, 2 components"]
whole = by_drawing.loc[f"{first}, map against all axes"]
lines = [d for d in drawn if d.startswith(("before", first)) and "against" not in d]
show(
    map_evidence.recall_figure(
        recalls[recalls["drawing"].isin(lines)],
        title=f"The map keeps {main['recall']:.0%} of the {n_neighbors} nearest wells, two components keep {flat['recall']:.0%}",
        subtitle=f"up to {n_queries:,} {plural} asked; truth: {len(before.variance)} components before centring, {len(apart[cell_types[0]].variance)} of the chosen profiles",
    ),
    f"Share of the k nearest {plural} in the components that are among the k nearest in the drawing, for maps and for two components; dashed: a random map. "
    f"For {cell_types[0]} wells the map keeps {main['recall']:.0%} of {n_neighbors} neighbours, {main['recall'] / main['chance']:.0f} times what a random map would.",
)
show_table(
    quality,
    f"Quality of every drawing at k = {n_neighbors}, against the components it was made from, or all axes where it says so; *chance* is the recall of a random map.",
    rows=12,
    file="map_quality",
)
say(
    f"For {cell_types[0]} wells: recall {main['recall']:.2f}, trustworthiness {main['trustworthiness']:.2f}, continuity {main['continuity']:.2f} (n = {main['wells']:,.0f} wells). "
    f"So of {n_neighbors} wells around a point about {n_neighbors * main['recall']:.0f} are its nearest in the components, and the others come {'from just outside' if main['trustworthiness'] > 0.9 else 'from further away'}: a single neighbour on the map is no evidence, the majority in a region is. "
    f"Against all {chosen.n_vars} axes of the chosen profiles recall is {whole['recall']:.2f}"
    + (
        ": most of a well's neighbours there are decided by noise, which no picture should keep. "
        if whole["recall"] < 0.5 * main["recall"]
        else ", so little was lost with the components left out. "
    )
    + f"Before centring recall was {by_drawing.loc['before centring, map', 'recall']:.2f}. A better recall there is no praise: plates make neighbours too, and strong clusters are easily kept, whatever made them."
)

# %% [markdown]
# ## Would the same map come back?
#
# The same wells are drawn again from other seeds, once from the components with a small jitter, as above, and once from random places.

# %%
mine = of_type[cell_types[0]]
again = mine[sample_rows(len(mine), n_again, seed)]
top = (
    obs.groupby("compound", observed=True)["treatment_conc"].transform("max")
    == obs["treatment_conc"]
)
role, kind = obs["role"].astype(str), "healthy" if roles.has_disease else "vehicle"
names = role.map(ROLE_NAMES).where(
    role.isin(roles.controls), obs["compound"].astype(str).where(top, "")
)
healthy, treated = role.isin(["healthy", "vehicle"]).to_numpy(), (role == "treated").to_numpy()
near = {"anchors": np.flatnonzero(healthy[again]), "others": np.flatnonzero(treated[again])}
near["count"] = max(round(0.05 * len(near["others"])), 1)
seeds = range(seed, seed + n_seeds)
redrawn = stability(scores[again], label_codes(names.iloc[again]), seeds=seeds, k=n_neighbors, **settings, **near)  # fmt: skip

# %%
measured = {"neighbours": f"share of {n_neighbors} neighbours in common", "selected": f"share of the {near['count']} treated wells nearest to {kind} ones in common", "distances": "Spearman's rho of the distances between groups"}  # fmt: skip
calm, wild = (redrawn[redrawn["start"] == start][list(measured)] for start in ("pca", "random"))
steady = pd.DataFrame({"pairs of maps": list(measured.values()), "from components": calm.mean().to_numpy(), "SD over pairs": calm.std().to_numpy(), "from random places": wild.mean().to_numpy(), "SD over those pairs": wild.std().to_numpy()})  # fmt: skip
show_table(
    steady,
    f"Agreement between maps of the same {len(again):,} {cell_types[0]} wells: {len(calm)} pairs of {n_seeds} seeds from either start. One is perfect agreement.",
    file="map_stability",
)
calm, wild = calm.agg(["mean", "std"]), wild.agg(["mean", "std"])
same_place = calm.loc["mean", "neighbours"]
say(
    f"From the components two maps give a well {same_place:.0%} of the same neighbours (SD over pairs {calm.loc['std', 'neighbours']:.1%}), from random places {wild.loc['mean', 'neighbours']:.0%} (SD {wild.loc['std', 'neighbours']:.1%}). "
    + (
        "Neighbourhoods come back. "
        if same_place > 0.6
        else "Which of many equally near wells ends up beside another is partly an accident: regions come back, single neighbours need not. "
    )
    + f"Distances between groups on one map agree with those on the next with rho = {calm.loc['mean', 'distances']:.2f} (SD {calm.loc['std', 'distances']:.2f}) from the components, and {wild.loc['mean', 'distances']:.2f} (SD {wild.loc['std', 'distances']:.2f}) from random places"
    + (
        ": which cluster lies beside which is decided by the start. "
        if wild.loc["mean", "distances"] < calm.loc["mean", "distances"] - 0.05
        else ". "
    )
    + "A map that comes back is not thereby true: the components start it alike each time."
)

# %% [markdown]
# ## What distances on the map do not mean
#
# Far apart on the map is not far apart in the data, and a circle around the healthy wells is no score.
# Both are measured: distances between groups of wells against those in the components, and the list of wells that a radius around the controls would select against the list by distance in the components.

# %%
groups = label_codes(names.iloc[mine])
label_of = dict(zip(groups, names.iloc[mine], strict=True))
n_groups = int(groups.max()) + 1
flat_views = {"t-SNE map": places[mine], "first two components": scores[mine, :2]}
pairs = {
    name: group_distances(scores[mine], view, groups, n_groups) for name, view in flat_views.items()
}
rho = {
    name: rank_correlation(p["reference"].to_numpy(), p["drawn"].to_numpy())
    for name, p in pairs.items()
}
far = {n: p[p["reference"] >= p["reference"].quantile(0.5)] for n, p in pairs.items()}
rho_far = {
    n: rank_correlation(p["reference"].to_numpy(), p["drawn"].to_numpy()) for n, p in far.items()
}
some_pairs = sample_rows(len(pairs["t-SNE map"]), 1500, seed)
panels = {
    f"{n}: rho = {rho[n]:.2f}": p.iloc[some_pairs].assign(
        a_name=p["a"].map(label_of), b_name=p["b"].map(label_of)
    )
    for n, p in pairs.items()
}

# %%
show(
    map_evidence.distance_figure(
        panels,
        title=f"Distances between groups agree with the true ones with rho = {rho['t-SNE map']:.2f} on the map, {rho['first two components']:.2f} in two components",
        subtitle=f"{n_groups} groups of {cell_types[0]} wells (controls, and compounds at their highest dose), {len(pairs['t-SNE map']):,} pairs, {len(some_pairs):,} drawn",
        reference=f"distance in {len(apart[cell_types[0]].variance)} components (profile units)",
    ),
    f"Distance between the centres of two groups in the drawing against that in the components, for the map and for the first two components; {len(some_pairs):,} of {len(pairs['t-SNE map']):,} pairs. "
    f"Spearman's rho is {rho['t-SNE map']:.2f} for the map and {rho['first two components']:.2f} for two components over all pairs, and {rho_far['t-SNE map']:.2f} and {rho_far['first two components']:.2f} over the half that is further apart.",
    wide=True,
)

# %%
anchors, others = mine[healthy[mine]], mine[treated[mine]]
count = max(round(0.05 * len(others)), 1)
by_radius, by_distance = (nearest_to(s, anchors, others, count) for s in (places, scores))
agree = len(np.intersect1d(by_radius, by_distance)) / count
say(
    f"**Between groups.** {rho['t-SNE map'] ** 2:.0%} of the variation in the ranks of distances is kept by the map (two components: {rho['first two components'] ** 2:.0%}). "
    f"Among the half of the pairs that is further apart, rho is {rho_far['t-SNE map']:.2f} on the map and {rho_far['first two components']:.2f} in two components"
    + (
        ": of two groups that are both far, the map does not tell which is further. "
        if rho_far["t-SNE map"] < 0.5
        else ": far groups keep some of their order here, which only this check could tell. "
    )
    + "The empty space between clusters, their size and their density carry no measure at all."
)
say(
    f"**A radius.** The first analysis of RxRx19a listed treated wells within a radius of the healthy ones on the map. Here the radius that selects {count:,} of {len(others):,} treated {cell_types[0]} wells (5 %) around {len(anchors):,} {kind} wells agrees with the {count:,} closest in the components in {agree:.0%}; a random choice would in 5 %. "
    f"On a map of {len(again):,} of these wells drawn again from random places, {wild.loc['mean', 'selected']:.0%} of the selected wells are selected again (from the components {calm.loc['mean', 'selected']:.0%}). "
    + (
        "The list that a radius gives is the map's own: it comes back when the map is drawn again, and still it is not the list of the closest wells. "
        if agree < 0.8 < wild.loc["mean", "selected"]
        else ""
    )
    + "Hits are called in the full space, in later reports."
)

# %% [markdown]
# ## More wells than a map can take
#
# Above `max_points` so many wells are drawn as landmarks, the map is fitted on these, and the others are placed among them one by one.
# What that costs is measured on the sample that was drawn again: half of it is fitted, and the other half placed.

# %%
half = tsne_map(scores[again], **settings, seed=seed, max_points=len(again) // 2)
whole = tsne_map(scores[again], **settings, seed=seed)
placed = np.flatnonzero(~half.is_landmark)
cost = [neighbour_recall(scores[again], m.coordinates, [n_neighbors], placed)["recall"].item() for m in (whole, half)] if len(placed) else []  # fmt: skip
landmarks = {"before centring": map_before, **maps}
used = [f"{name}: {int(m.is_landmark.sum()):,} of {len(m.is_landmark):,}" for name, m in landmarks.items() if not m.is_landmark.all()]  # fmt: skip
say(
    (
        f"Landmarks were used here ({'; '.join(used)}). "
        if used
        else f"No map here has more than {max_points:,} points, so every one of them was fitted. "
    )
    + (
        f"Of {len(again):,} wells with {len(placed):,} left out of the fit, those placed keep {cost[1]:.0%} of their {n_neighbors} neighbours; fitted themselves, the same wells keep {cost[0]:.0%}. "
        "A placed well finds its neighbourhood and cannot move it: a kind of well that no landmark belongs to is put among strangers."
        if cost
        else f"There are too few wells of {cell_types[0]} cells here to measure what placing would cost."
    )
)

# %% [markdown]
# ## What later reports read
#
# The map is for looking: report 04 lights its hits on it.
# Numbers are taken from the components.

# %%
placed_wells = obs[
    ["cell_type", "experiment", "plate", "well", "role", "compound", "treatment_conc"]
]
placed_wells = placed_wells.rename_axis("id").reset_index()
placed_wells = placed_wells.assign(x=places[:, 0], y=places[:, 1], on_axis=on_axis.to_numpy(), landmark=np.concatenate([maps[c].is_landmark for c in of_type])[np.argsort(np.concatenate(list(of_type.values())))])  # fmt: skip
described = {
    "id": "experiment/plate/well", "cell_type": "cell type: each has a map of its own", "experiment": "experiment", "plate": "plate of the experiment",
    "well": "well address", "role": "role in the analysis", "compound": "compound, blank if none", "treatment_conc": "dose (µM), blank if none",
    "x": "first map coordinate, chosen profiles (no unit)", "y": "second map coordinate, chosen profiles (no unit)", "on_axis": axis_name,
    "landmark": "the map was fitted on this well (else it was placed)",
}  # fmt: skip
flat_maps = {"before": map_before, "sequence": map_sequence}
extra = {f"{a}_{n}": m.coordinates[:, j] for n, m in flat_maps.items() for j, a in enumerate("xy")}
told = {f"{a}_{n}": f"map coordinate {a} {'before centring' if n == 'before' else 'after centring in sequence'}, all cell types together (no unit)" for n in flat_maps for a in "xy"}  # fmt: skip
if level == "well":
    placed_wells, described = placed_wells.assign(**extra), described | told
else:
    sites = (
        screen.obs[["experiment", "plate", "well", "site"]]
        .rename_axis("id")
        .reset_index()
        .assign(**extra)
    )
    save_table(sites, run, "map_sites", {"id": "site", "experiment": "experiment", "plate": "plate of the experiment", "well": "well address", "site": "site of the well"} | told)  # fmt: skip
save_table(placed_wells, run, "map", described)
save_table(quality, run, "map_quality", {"drawing": "what was drawn", "wells": "points", "recall": f"share of {n_neighbors} neighbours kept (0 to 1)", "chance": "recall of a random map (0 to 1)", "trustworthiness": "0 to 1", "continuity": "0 to 1"})  # fmt: skip
save_table(same, run, "map_questions", {"profiles": "before centring, or chosen", "question": "what a neighbour shares", "space": "where neighbours were looked for", "shared": "share of neighbours that agree (0 to 1)", "low": "95 % interval, lower end", "high": "95 % interval, upper end", "chance": "share by chance", "n_queries": "wells asked"})  # fmt: skip

# %% [markdown]
# ## Against the truth

# %%
truth = build_dir(base_run(run)) / "truth"
if truth.is_dir():
    true_wells = pd.read_csv(reads(truth / "wells.tsv"), sep="\t", dtype={"experiment": str, "plate": str, "well": str})  # fmt: skip
    true_wells = true_wells.set_index(true_wells[["experiment", "plate", "well"]].agg("/".join, axis=1)).reindex(obs.index)  # fmt: skip
    true_compounds = pd.read_csv(reads(truth / "compounds.tsv"), sep="\t", keep_default_na=False)
    classes = true_compounds.query("cell_type == @cell_types[0]").set_index("compound_key")["class"]
    true_class = obs["compound_key"].astype(str).map(classes).where(top, "").fillna("")
    hidden = {"infection": "infection", "off_axis": "effect off the axis", "cell_loss": "cell loss", "glow": "fluorescence"}  # fmt: skip
    show(
        map_figure(
            [Panel(f"{c} ({len(of_type[c]):,} wells)", places[i], i) for c, i in parts.items()],
            obs,
            [by_number(f"true {name}", true_wells[c], trim=0.005) for c, name in hidden.items()]
            + [by_class("true class, highest dose", true_class)],
            title="The map, coloured by what was put in",
            subtitle=f"{len(obs):,} wells; hidden quantities of the simulation",
        ),
        "The maps of the chosen profiles, coloured by hidden quantities of the simulation: infection, effects off the axis, cell loss, fluorescence, and the class of each compound at its highest dose. "
        "A quantity whose colours run smoothly is laid out by the map; one whose colours are mixed is in the profiles only, or nowhere.",
        wide=True,
    )
else:
    say("This screen was not simulated, so there is no truth to hold the map against.")

# %%
if truth.is_dir():
    flat_before = scores_before if level == "well" else None
    smooth = {}
    for column, name in hidden.items():
        values = true_wells[column].to_numpy(float)[mine]
        looked = {
            "components": scores[mine],
            "2 components": scores[mine, :2],
            "t-SNE map": places[mine],
        }
        smooth[name] = {s: neighbour_r2(x, values, n_neighbors, n_queries=n_queries, seed=seed) for s, x in looked.items()}  # fmt: skip
    smooth = pd.DataFrame(smooth).T.rename_axis("hidden quantity").reset_index()
    show_table(smooth, f"Share of the variance of a hidden quantity that the mean of a well's {n_neighbors} neighbours predicts (R²; 0 is no better than the overall mean), {len(mine):,} {cell_types[0]} wells.", file="map_truth")  # fmt: skip
    active = true_class.where(~true_class.isin(["inert", ""]), "").iloc[mine]
    options["clusters"] = label_codes(obs["batch"].iloc[mine])
    kin = Question("its true class, another compound", label_codes(active), None, label_codes(obs["compound"].iloc[mine]))  # fmt: skip
    found = ask_all(
        {n: x[mine] for n, x in spaces_after.items()}, [kin], n_neighbors, **options
    ).set_index("space")
    smooth = smooth.set_index("hidden quantity")
    say(
        f"**Infection** of a well is predicted by its neighbours with R² = {smooth.loc['infection', 'components']:.2f} in the components, {smooth.loc['infection', 't-SNE map']:.2f} on the map and {smooth.loc['infection', '2 components']:.2f} in two components: the map {'keeps' if smooth.loc['infection', 't-SNE map'] > 0.8 * smooth.loc['infection', 'components'] else 'loses part of'} what the components hold. "
        f"**Class**: of the neighbours of an active compound at its highest dose, among all such wells of other compounds, {found.loc['t-SNE map', 'shared']:.0%} on the map and {found.loc['components', 'shared']:.0%} in the components share its true class; {found.loc['components', 'chance']:.0%} would by chance (n = {found.loc['components', 'n_queries']:,} wells)."
    )
    unseen = [name for name, r2 in smooth["t-SNE map"].items() if r2 < 0.05]
    if unseen:
        say(
            f"Nothing is seen of {' and '.join(unseen)} (R² below 0.05 on the map, at best {smooth.loc[unseen].max().max():.2f} in any space): few wells carry it, and neither picture nor neighbours are the tool to find it."
        )
    headline(infection_r2_map=round(smooth.loc["infection", "t-SNE map"], 4), infection_r2_components=round(smooth.loc["infection", "components"], 4))  # fmt: skip

# %% [markdown]
# ## What we found

# %%
findings = [
    f"Before centring {own['shared']:.0%} of a control's nearest like controls on the map are from its own plate, centred in sequence {left['shared']:.0%}, and with the chosen profiles {still['shared']:.0%}, where chance is {still['chance']:.0%}.",
    f"On that map {gained} (before centring {lost['shared']:.0%}; in two components of the same profiles {table.loc[('chosen profiles', wanted[0]), '2 components']:.0%}).",
    f"The map of {cell_types[0]} wells keeps {main['recall']:.0%} of {n_neighbors} neighbours (two components: {flat['recall']:.0%}), with trustworthiness {main['trustworthiness']:.2f}; drawn again it gives {calm.loc['mean', 'neighbours']:.0%} of the same neighbours.",
    f"Its distances are worth less: between groups they agree with those in the components with rho = {rho['t-SNE map']:.2f}, and the {count:,} treated wells that a radius around the {kind} controls selects share {agree:.0%} with the {count:,} closest in the components.",
]
say("\n".join(f"- {line}" for line in findings))
answer(" ".join(findings))
headline(
    wells=len(obs), perplexity=float(maps[cell_types[0]].settings.perplexity), components=len(apart[cell_types[0]].variance),
    plate_shared_before=round(own["shared"], 4), plate_shared_after=round(still["shared"], 4), plate_chance=round(own["chance"], 4),
    recall=round(main["recall"], 4), recall_two_components=round(flat["recall"], 4), trustworthiness=round(main["trustworthiness"], 4), continuity=round(main["continuity"], 4),
    same_neighbours_again=round(calm.loc["mean", "neighbours"], 4), distances_rho=round(rho["t-SNE map"], 4), radius_agreement=round(agree, 4),
)  # fmt: skip

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
