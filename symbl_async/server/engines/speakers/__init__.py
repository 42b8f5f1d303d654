"""Who speaks: the voices in one channel told apart.

Data flows one way: samples become spectra (:mod:`.spectra`), stretches of speech vectors of voice (:mod:`.network`),
these groups (:mod:`.grouping`), and the words of the segments get the number of a group each (:mod:`.turns`).
"""
