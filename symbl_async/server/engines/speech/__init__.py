"""Speech recognition: one engine a file, found by entry point; what they share stands beside them.

``passages`` cuts a recording where nobody speaks, ``sanity`` knows output that is no speech, ``alignment`` times the
words, ``vocabulary`` corrects them by what the caller expects. ``plugins``, beside this package, finds the engine that
the settings name.
"""
