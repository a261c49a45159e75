"""The parts behind the three training commands: text, model, optimiser, SAEs, prompts."""
