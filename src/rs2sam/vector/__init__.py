"""Masks to regions, regions to polygons, polygons to files."""
