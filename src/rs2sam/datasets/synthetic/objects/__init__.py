"""What stands on the ground, each thing drawn with its exact mask."""
