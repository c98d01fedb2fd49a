"""The model that reads a picture once for any number of sentences: its trunk knows no text."""
