"""Brings saved conversations into a data folder, under the ids they had."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import anyio
import sqlalchemy as sa
from attrs import evolve, frozen
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import ConfigurationError
from .app import data_folder
from .database import VALUES, Database
from .ids import new_number
from .instants import now_ms
from .saved import UNSERVED, Piece, SavedRows, find_files, merge, name_pieces, plan, read_pieces
from .saved_values import NotImportableError
from .schema import apps, conversations, detections, imports, insights, members, mentions, messages, summaries, topics

ImportState = Literal["imported", "unchanged", "refused"]


@frozen
class ImportedFile:
    """What became of a file.

    Attributes:
        path: The file.
        conversation_id: The conversation it belongs to, as far as that is known.
        state: ``unchanged`` is what had been imported before, all the same.
        note: Why it was refused, or what of it was left out.
    """

    path: Path
    conversation_id: str | None
    state: ImportState
    note: str = ""


async def import_conversations(
    paths: Iterable[str | os.PathLike[str]], data_dir: str | os.PathLike[str], *, app_id: str | None = None
) -> list[ImportedFile]:
    """Import conversations that were saved as the JSON of the Conversation API.

    A conversation and its messages keep their ids. What a conversation has under its id is written in one transaction,
    or nothing of it. Importing the same again changes nothing; other content under an id that is there is refused.

    Args:
        paths: Files, and folders whose JSON files are all looked at.
        data_dir: Data folder of a server that is not running.
        app_id: Account that is to own them; ``None`` is the one of the folder.

    Returns:
        Each file with what became of it; a file with several conversations more than once.

    Raises:
        ConfigurationError: The data folder cannot be used, or has several accounts.
    """
    pieces, report = await anyio.to_thread.run_sync(_read_all, [Path(path) for path in paths])
    async with (
        data_folder(Path(data_dir)) as folder,
        Database.open(folder / "server.sqlite") as database,
    ):
        async with database.write() as connection:
            account = await _account(connection, app_id)
        for conversation_id, belonging in name_pieces(pieces).items():
            if conversation_id is None:
                note = (
                    "which conversation it belongs to is not known: name the file or its folder after the id, or put "
                    "the conversation itself beside it"
                )
                report += [ImportedFile(piece.path, None, "refused", note) for piece in belonging]
                continue
            state, note = await _import_one(database, account, conversation_id, belonging)
            report += [ImportedFile(piece.path, conversation_id, state, note) for piece in belonging]
    return report


def _read_all(paths: Sequence[Path]) -> tuple[list[Piece], list[ImportedFile]]:
    pieces: list[Piece] = []
    refused: list[ImportedFile] = []
    for path in dict.fromkeys(find_files(paths)):
        try:
            found = read_pieces(path, follow=path in paths)
        except NotImportableError as exc:
            refused.append(ImportedFile(path, None, "refused", str(exc)))
        else:
            if not found:
                refused.append(ImportedFile(path, None, "refused", "a list without a conversation"))
            # Of a whole history only what would otherwise be read again and again stays in memory.
            pieces += found if len(found) > 1 else [evolve(piece, parts=None) for piece in found]
    return pieces, refused


async def _import_one(
    database: Database, account: str, conversation_id: str, pieces: Sequence[Piece]
) -> tuple[ImportState, str]:
    try:
        rows = await anyio.to_thread.run_sync(lambda: plan(conversation_id, merge(pieces)))
        async with database.write() as connection:
            if not await _is_new(connection, account, rows):
                return "unchanged", ""
            await _write(connection, account, await _with_free_ids(connection, rows))
    except NotImportableError as exc:
        return "refused", str(exc)
    notes = [f"left out: {what}" for what in rows.left_out]
    unserved = [name for name in rows.rest if name in UNSERVED]
    if unserved:
        notes.append(f"kept, but not served: {', '.join(unserved)}")
    return "imported", "; ".join(notes)


async def _account(connection: AsyncConnection, app_id: str | None) -> str:
    known = (await connection.execute(sa.select(apps.c.app_id, apps.c.generated).order_by(apps.c.created_at))).all()
    if app_id is None:
        # The one that a server started without credentials would take.
        made_up = [row.app_id for row in known if row.generated]
        if made_up or len(known) == 1:
            return str(made_up[0] if made_up else known[0].app_id)
        if known:
            raise ConfigurationError("The data folder has several accounts; name one with app_id or SYMBL_APP_ID.")
    elif app_id in [row.app_id for row in known]:
        return app_id
    account = app_id or uuid.uuid4().hex
    # No secret has this hash; the server sets its own when it starts.
    await connection.execute(
        apps.insert().values(
            app_id=account, salt=os.urandom(16), secret_hash=b"", generated=app_id is None, created_at=now_ms()
        )
    )
    return account


async def _is_new(connection: AsyncConnection, account: str, rows: SavedRows) -> bool:
    """Tell whether a conversation is not there yet.

    Raises:
        NotImportableError: Something else has its id, or that of one of its messages.
    """
    conversation_id = rows.conversation["id"]
    there = (
        await connection.execute(
            sa.select(conversations.c.app_id, imports.c.digest)
            .outerjoin(imports, imports.c.conversation_id == conversations.c.id)
            .where(conversations.c.id == conversation_id)
        )
    ).one_or_none()
    if there is not None:
        if there.app_id == account and there.digest == rows.digest:
            return False
        raise NotImportableError("a conversation with this id is there already, with other content; delete it first")
    taken = await _taken(connection, messages.c.id, [message["id"] for message in rows.messages])
    if taken:
        raise NotImportableError(f"message {min(taken)} belongs to another conversation that is there already")
    return True


async def _with_free_ids(connection: AsyncConnection, rows: SavedRows) -> SavedRows:
    """Members, insights, topics and paragraphs whose id is taken get another one: nobody asks for them by it."""
    taken = await _taken(connection, members.c.id, [member["id"] for member in rows.members])
    renamed = {old: str(uuid.uuid4()) for old in taken}

    def freed(row: dict[str, Any], names: Sequence[str], ids: dict[str, str]) -> dict[str, Any]:
        return {**row, **{name: ids[row[name]] for name in names if row[name] in ids}}

    numbers: dict[sa.Table, dict[str, str]] = {}
    for table, found in ((insights, rows.insights), (topics, rows.topics), (summaries, rows.summary)):
        taken = await _taken(connection, table.c.id, [row["id"] for row in found])
        numbers[table] = {old: new_number() for old in taken}
    return evolve(
        rows,
        members=[freed(row, ("id",), renamed) for row in rows.members],
        messages=[freed(row, ("member_id",), renamed) for row in rows.messages],
        insights=[
            freed(freed(row, ("id",), numbers[insights]), ("member_id", "assignee_member_id"), renamed)
            for row in rows.insights
        ],
        topics=[freed(row, ("id",), numbers[topics]) for row in rows.topics],
        detections=[freed(row, ("insight_id",), numbers[insights]) for row in rows.detections],
        summary=[freed(row, ("id",), numbers[summaries]) for row in rows.summary],
    )


async def _taken(connection: AsyncConnection, column: sa.Column[str], ids: Sequence[str]) -> set[str]:
    taken: set[str] = set()
    for place in range(0, len(ids), VALUES):
        found = await connection.execute(sa.select(column).where(column.in_(ids[place : place + VALUES])))
        taken.update(found.scalars())
    return taken


async def _write(connection: AsyncConnection, account: str, rows: SavedRows) -> None:
    conversation_id = rows.conversation["id"]
    await connection.execute(conversations.insert().values(app_id=account, **rows.conversation))
    for table, found in (
        (members, rows.members),
        (messages, rows.messages),
        (insights, rows.insights),
        (topics, rows.topics),
        (mentions, rows.mentions),
        (detections, rows.detections),
        (summaries, rows.summary),
    ):
        if found:
            await connection.execute(table.insert(), [{**row, "conversation_id": conversation_id} for row in found])
    await connection.execute(
        imports.insert().values(
            conversation_id=conversation_id, digest=rows.digest, imported_at=now_ms(), rest=rows.rest
        )
    )
