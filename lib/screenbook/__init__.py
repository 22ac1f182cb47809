"""Screenbook: from a high-content screen to ranked hits, as notebook reports."""

__version__ = "0.1.0"
