"""What can be asked of a study: its settings, checked before any weight is read. Loads no torch."""
