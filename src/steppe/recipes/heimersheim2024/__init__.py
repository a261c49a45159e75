"""Heimersheim and Mendel 2024: are real activations on plateaus, and which ways lead off them?

`settings` says what can be asked, `outputs` which kinds and parts there are. `material` loads what
all samples share, `bench` runs paths and searches crossings; `plateaus`, `sensitivity`,
`landscape`, `optima`, `ascent`, `artificial`, `controls` and `encoding` measure; `study` is all of
it as shards. `analysis`, `columns`, `tables`, `claims`, `curve_pictures`, `pictures` and `outcome`
make the report and need no model.
"""
