"""Notebook in, report out. Notebooks import what they say to their reader from here."""

from screenbook.report.progress import tell
from screenbook.report.show import (
    answer,
    gallery,
    gate,
    headline,
    reads,
    save_table,
    say,
    show,
    show_table,
    writes,
)

__all__ = [
    "answer",
    "gallery",
    "gate",
    "headline",
    "reads",
    "save_table",
    "say",
    "show",
    "show_table",
    "tell",
    "writes",
]
