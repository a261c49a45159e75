"""One small reader for each format in which SAEs are published, beside SAELens' own."""
