"""shinkle2025: which parts of a model make its activation plateaus."""
