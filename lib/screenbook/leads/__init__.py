"""Hits weighed against each other: consensus, stability, dossiers."""
