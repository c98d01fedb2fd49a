"""New samples out of those that are there: varied, put together, pasted, drawn without end."""
