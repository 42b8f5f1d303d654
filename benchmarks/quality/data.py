"""Where the labelled data is."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
MEDIA = (ROOT / "examples" / "media", DATA / "media", DATA / "diarization")


def media(name: str) -> Path:
    """Return the shipped recording of that file name.

    Raises:
        FileNotFoundError: There is none.
    """
    for folder in MEDIA:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"There is no recording {name} in {' or '.join(map(str, MEDIA))}.")


def references() -> dict[str, str]:
    """Return what is said in each recording, by the name of its file without the ending."""
    lines = (DATA / "references.tsv").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines if line)
