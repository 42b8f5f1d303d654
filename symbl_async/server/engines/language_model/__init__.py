"""Insights, topics and summaries by a language model behind an address that the operator names.

The rules of ``engines.language`` read everything first. The model then reads the conversation in ``windows``, is asked
in the words of ``prompts``, and what it answers is read in ``answers`` and believed only as far as ``grounding`` finds
it in what was said; ``engine`` puts that in the place of what the rules found. Where the model is no help, the rules'
results stand.
"""
