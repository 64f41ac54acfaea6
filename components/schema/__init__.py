"""What rows should look like: values, files, inference, a person's edits, TFX's format."""
