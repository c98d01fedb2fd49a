"""Annotated imagery, referring expressions made from it, and datasets that come with their own sentences."""
