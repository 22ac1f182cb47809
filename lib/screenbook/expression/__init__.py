"""Expression signatures: which drug does a change come from, and what would a drug do?"""
