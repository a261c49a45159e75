"""janiak2024: stable regions between two real activations."""
