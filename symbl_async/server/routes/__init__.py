"""Request handlers: parse, call, render. No rules of their own."""

from __future__ import annotations

from aiohttp import web

from . import conversations, documents, findings, health, jobs, people, submissions, token, trackers

__all__ = ["add_routes"]


def add_routes(app: web.Application) -> None:
    """Register every operation; the name of each route is its operation id."""
    for module in (token, submissions, jobs, conversations, people, findings, trackers, health, documents):
        module.add_routes(app)
