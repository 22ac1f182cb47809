"""A procedural model of six-channel fluorescence fields, with a known truth."""

from screenbook.simulate.images.design import Design, design_images
from screenbook.simulate.images.knobs import CELL_TYPES, KNOBS
from screenbook.simulate.images.render import (
    SimulatedImages,
    render_fields,
    simulate_images,
    truth_table,
)
from screenbook.simulate.images.spec import CHANNELS, ImageSpec
from screenbook.simulate.images.treatments import COMPOUNDS, MECHANISMS

__all__ = [
    "CELL_TYPES",
    "CHANNELS",
    "COMPOUNDS",
    "KNOBS",
    "MECHANISMS",
    "Design",
    "ImageSpec",
    "SimulatedImages",
    "design_images",
    "render_fields",
    "simulate_images",
    "truth_table",
]
