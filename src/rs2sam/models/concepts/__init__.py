"""Concept models of transformers: a picture is encoded once, short noun phrases are asked about it.

`sam3` finds every object of a phrase, `clipseg` a mask of it. Both are transformers' own classes, loaded as they are.
"""
