"""ferreira2026: are feature directions privileged? Contours in the plane of two directions."""
