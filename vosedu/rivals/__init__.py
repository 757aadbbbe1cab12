"""The field: small, readable implementations of the families of methods that the paper compares itself with (Section 2).

Each learns from a first frame, scores a frame and learns from masks: `protocols.Targets`, which D is too, so that one engine
runs all of them on one F, before one R. `field` lists them with the paper's figures; `offline` learns what they need before any
video. `fine_tuning` alone is an engine of its own, for it changes R. Notebook 11 shows them side by side.
"""
