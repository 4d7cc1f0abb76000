"""Which plugins and settings serve a call: Hydra composes, a stored snapshot is what everything else reads."""
