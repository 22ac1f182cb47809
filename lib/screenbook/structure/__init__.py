"""What compounds do and how they are built: mechanism, structure, and what links the two."""
