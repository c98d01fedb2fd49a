"""English for training: what is true of an annotated image, and how to say it."""
