"""What a run is defined by, as validated values."""
