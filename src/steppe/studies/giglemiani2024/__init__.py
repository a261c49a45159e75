"""Giglemiani et al. 2024: do activations composed of SAE latents behave like the model's own?

`study` is the study; `settings` is kept apart, so that options are shown without loading torch.
"""
