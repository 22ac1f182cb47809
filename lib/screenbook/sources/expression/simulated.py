"""The embedded expression screen with a known truth: :mod:`screenbook.simulate.expression`."""
