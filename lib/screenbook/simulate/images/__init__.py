"""Simulated fluorescence fields of cells: six stains, four cell types, twelve compounds, batches.

A small procedural model of what a cell-painting microscope sees, drawn with NumPy and SciPy. It is
no simulation of light or life: it draws what tells cell types, treatments and batches apart, and
notes down what it drew. Lengths are in um; a field is `size_px` times `um_per_px` wide (140 um by
default), and the same cells can be drawn finer, or more of them.

**Who is where** (:mod:`.design`). An experiment is one plate is one batch. On it stand all cell
types untreated, and one of them under each compound, all at random places of 384 wells, a few
fields a well. Batch, cell type and treatment are crossed. Wells differ in every biology knob
(`well_spread`) and in stain uptake (`stain_spread`), fields in their number of cells.

**Cells** (:mod:`.cells`, :mod:`.field`). So many for the area; centres are pushed apart until
cells have room, or are drawn together into islands. A cell is an ellipse with bays (waves around
its outline); where cells meet, a pixel belongs to the one that it is nearest to in that cell's own
elliptic measure, which gives the polygons of a confluent layer. Nuclei are ellipses with dents,
off the centre a little; some cells have two or three. A cell in mitosis is round, with its
chromosomes in one plate or two.

**Stains** (:mod:`.stains`). 1 is a well stained structure; texture is Gaussian noise of a period.

- *DNA*: nuclei, with chromatin texture, darker where nucleoli are; chromosomes 1.7 times as bright.
- *ER*: cytoplasm with a fine texture, falling exponentially with the distance from the nucleus.
- *actin*: diffuse, stress fibres along the cell (a random line across them, of uneven strength
  and spacing), and a cortex along outlines and borders.
- *RNA*: like ER but smoother, and nucleoli as bright spots within nuclei.
- *mitochondria*: a network (the zero lines of noise) that breaks into grains (its peaks), around
  the nucleus.
- *Golgi*: a ribbon on one side of the nucleus that disperses into specks; membranes, weakly.

**Biology knobs** (:mod:`.knobs`, :mod:`.treatments`). A cell type is a value for each of them. A
mechanism shifts some, on the logarithm or (shares) the log odds; a compound is a strength of its
mechanism and quirks of its own, and acts on a share of the cells only.

**Batch knobs** (:mod:`.optics`). Gain of stain and camera, and offset, are affine in each channel,
and standardising by a plate's controls takes them off. Not so blur, haze (light from 14 um around),
stain that is bound to nothing and fills cells evenly, misalignment of channels, bleed-through
between neighbours in the spectrum, the response curve's gamma, uneven illumination, photon noise,
seeding density and shrinkage: `batch_strength` is their factor (`illumination` that of the lamp).

**Single cells**. :class:`CellSpec` is the same at finer pixels, with one compound that acts on 15 %
of the cells; :func:`nucleus_table` says where every nucleus is, and whether a compound acts on it.

**Order**: stains, uptake, blur and haze and misalignment at once (in Fourier space), bleed-through,
illumination and gain, gamma, photon and read noise, offset, 8 bits.

**Random numbers**. Every plate, batch, well and field has a stream of its own, found by its name
(cell type, compound, replicate and site within the batch) and not by its place in a list: any
subset of fields, any number of processes, and a smaller design with the same seed give the same
pictures.
"""

from screenbook.simulate.images.design import Design, design_images
from screenbook.simulate.images.knobs import CELL_TYPES, KNOBS
from screenbook.simulate.images.render import (
    SimulatedImages,
    nucleus_table,
    render_fields,
    simulate_images,
    truth_table,
)
from screenbook.simulate.images.spec import CHANNELS, CellSpec, ImageSpec
from screenbook.simulate.images.treatments import COMPOUNDS, MECHANISMS

__all__ = [
    "CELL_TYPES",
    "CHANNELS",
    "COMPOUNDS",
    "KNOBS",
    "MECHANISMS",
    "CellSpec",
    "Design",
    "ImageSpec",
    "SimulatedImages",
    "design_images",
    "nucleus_table",
    "render_fields",
    "simulate_images",
    "truth_table",
]
