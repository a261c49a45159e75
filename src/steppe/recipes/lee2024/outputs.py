"""Names of this study's datasets."""

DIRECTIONS = "directions"
SUBSTITUTIONS = "substitutions"
SAES = "saes"
