"""Pure decisions: what the time is, when to try again, who is due, how much is allowed. Nothing here does I/O."""
