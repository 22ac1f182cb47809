"""Embedded screens with a known truth.

Nothing here knows the analysis, and no analysis may import it: the truth must not leak.
"""

from screenbook.simulate.screen import Simulated, simulate_screen
from screenbook.simulate.shapes import SHAPES, screen_spec, spec_from_options
from screenbook.simulate.spec import ScreenSpec

__all__ = [
    "SHAPES",
    "ScreenSpec",
    "Simulated",
    "screen_spec",
    "simulate_screen",
    "spec_from_options",
]
