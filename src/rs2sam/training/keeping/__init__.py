"""What a run leaves on disk, whole whenever it is killed."""
