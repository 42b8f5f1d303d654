"""The journal of a run: what was sent, what came of it, and what a later run may do about it."""
