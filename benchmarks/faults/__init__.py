"""Parts of the fault campaign: what is done to runs, and what is expected to survive."""
