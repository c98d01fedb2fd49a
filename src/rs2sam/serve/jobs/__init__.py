"""Scenes as jobs: recorded, run one after another, continued after a kill."""
