"""What is trained on, on its way into the model."""
