"""The money path: append order, slots, what may be sent again, and the answer that becomes a handle."""
