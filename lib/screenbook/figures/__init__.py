"""Results in, plotly figures out: nothing is computed here, and one palette serves all."""
