"""Results made again from kept probabilities, without the model."""
