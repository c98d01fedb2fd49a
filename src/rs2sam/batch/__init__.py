"""Many scenes: inputs, a manifest of their states, engines that work through them, and what is made of all results."""
