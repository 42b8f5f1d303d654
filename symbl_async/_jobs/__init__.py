"""Waiting: one scheduler polls for everybody; handles and watchers are views of what it knows."""
