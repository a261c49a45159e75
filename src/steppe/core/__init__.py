"""Words and rules every other package shares: sites, axes, errors, seeds, provenance.

Depends on the standard library and numpy only, and on no other package of steppe.
"""
