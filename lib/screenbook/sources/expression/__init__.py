"""Where expression profiles come from."""
