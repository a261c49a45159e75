"""Giglemiani et al. 2024: do activations composed of SAE latents behave like the model's own?

`settings` says what can be asked, `outputs` which table or figure is made from what, `scales` in
which units. `material` loads what all samples share, `draws` draws bases and targets,
`sensitivity`, `plateaus` and `latents` measure, `study` is all of it as shards. `steps`, `claims`
and `outcome` make the report and need no model.
"""
