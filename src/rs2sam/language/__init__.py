"""Reading English: what a sentence asks of a tile, and what only the scene can decide. Text and numbers alone."""
