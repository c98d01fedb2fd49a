"""The REST service: an image is encoded once and asked any number of sentences; scenes are jobs.

`rs2sam serve` starts it, `rs2sam.client` talks to it, docs/serve.md describes it.
"""
