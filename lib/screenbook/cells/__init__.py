"""Single cells: where they are, what each looks like, which share a compound changes."""
