"""From the name of a model to its weights: found, downloaded, read, matched, converted, written."""
