"""Kinds of places, composed of objects."""
