"""Giglemiani et al. 2024: do activations composed of SAE latents behave like the model's own?

`settings` says what can be asked, `tables` which table or figure is made from what, `material`
draws bases and targets, `sensitivity`, `plateaus` and `latents` measure, `outcome` reports.
"""
