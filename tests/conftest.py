"""What every test shares."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest


def _share_scorers() -> None:
    """Let tests import ``benchmarks``, whose scorers they share.

    By its place: a dependency installs a package of the same name, and the root of the repository ahead on the path
    would have the sources tested in place of what is installed.
    """
    folder = Path(__file__).parents[1] / "benchmarks"
    spec = spec_from_file_location("benchmarks", folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["benchmarks"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)


_share_scorers()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run on asyncio alone: aiohttp and aiofiles know no other back end. PYTHONASYNCIODEBUG=1 turns its checks on."""
    return "asyncio"
