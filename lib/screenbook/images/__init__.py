"""Cell images: what networks learn from them without labels, and whose signal it is."""
