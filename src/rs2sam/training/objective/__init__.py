"""What is trained, and towards what."""
