"""Whether a model, and each SAE on it, is measured right."""
