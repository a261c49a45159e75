"""Heimersheim and Mendel 2024: plateaus around real activations, and directions that lead off them.

`study` is the whole as one object. `paths`, `sensitivity`, `optima`, `ascent` and `latents`
measure; `quantities`, `tables`, `claims` and `figures` make the report and need no model.
"""
