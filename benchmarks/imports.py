"""What importing the package costs, against importing aiohttp."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from .report import Figure, Result

RUNS = 25
AIM = "<= 1.15"
CASES = {
    "import symbl_async": "import symbl_async",
    "import symbl_async and touch SymblClient": "import symbl_async; symbl_async.SymblClient",
}
UNWANTED = ("sqlite3", "numpy", "av", "rich", "cyclopts", "sqlalchemy", "moonshine_voice", "symbl_async.server")


def _seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def _loaded(code: str) -> list[str]:
    probe = f"{code}; import sys; print([name for name in {UNWANTED!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    return [] if done.stdout.strip() == "[]" else [done.stdout.strip()]


def measure() -> Result:
    """Start a fresh interpreter 25 times for each case, interleaved, and compare medians."""
    codes = {"import aiohttp": "import aiohttp", **CASES}
    for code in codes.values():
        _seconds(code)  # writes the byte code, fills the page cache
    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(RUNS):
        for name, code in codes.items():
            times[name].append(_seconds(code))
    base = statistics.median(times["import aiohttp"])
    figures = [Figure("import aiohttp", base * 1000, "ms")]
    for name, code in CASES.items():
        value = statistics.median(times[name])
        figures.append(Figure(name, value * 1000, "ms", "import aiohttp", value / base, AIM))
        figures.append(Figure(f"{name}: unwanted modules loaded", len(_loaded(code)), "", aim="0"))
    return Result("imports", f"Medians of {RUNS} interleaved fresh interpreters.", figures)
