"""What trains a model: inputs, feeding, checkpoints, one trainer per framework."""
