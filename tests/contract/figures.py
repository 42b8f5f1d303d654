"""What the tests of this folder have to tell besides whether they passed."""

FIGURES: list[str] = []
