"""Readers of referring data sets and of annotated imagery."""
