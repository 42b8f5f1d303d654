"""Batches: many inputs through the slots, outcomes as they complete."""
