"""How good, and how fast: J and F (Section 4), scoring of data sets, speed and memory."""
