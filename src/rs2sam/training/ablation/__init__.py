"""The paper's ablations as a grid of runs."""
