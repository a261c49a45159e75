"""Studies as data and wiring: which subject, site, kinds, paths, readouts, tables and figures.

A recipe uses every package below it. `catalogue` and each recipe's `settings` load no torch.
"""
