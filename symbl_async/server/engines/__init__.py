"""The engines: decoding, speech recognition and language analysis, and the vocabulary they share."""
