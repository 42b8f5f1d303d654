"""The only place that meets the network: sources of bytes, the upload body, one attempt, tokens, one call."""
