"""Which SAE of a release, and which latent of one, does most to the model?"""
