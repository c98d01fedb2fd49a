"""What a shell is told of the command line: names to complete, and what was probably meant."""
