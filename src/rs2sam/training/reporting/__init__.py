"""What a person sees of a run: figures, curves, sheets, the model card."""
