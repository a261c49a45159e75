"""The study of Lee and Heimersheim 2024 (arXiv 2410.12555): sensitive directions and SAEs."""
