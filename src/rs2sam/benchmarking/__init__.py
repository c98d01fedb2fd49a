"""What a model costs here: time, memory, share of the machine's limit, and whether the masks stay the same."""
