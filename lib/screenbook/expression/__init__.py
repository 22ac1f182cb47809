"""Expression signatures: from a change to the drugs that make it, and from a drug to its change."""
