"""Training: losses, parameter groups, recipes. Needs `rs2sam[train]`."""
