"""The command line: one thin file a command; parse, call, print. Loads nothing heavy on import."""
