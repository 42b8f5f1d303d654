"""The tables. Instants are integer milliseconds, ids are text, lists are JSON."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

REVOKED = b"revoked"
"""Stands for the hash of a secret that has been ended."""

SCHEMA_VERSION = 4

apps = sa.Table(
    "apps",
    metadata,
    sa.Column("app_id", sa.Text, primary_key=True),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    # Empty until there is a secret, or REVOKED: no secret has such a hash.
    sa.Column("secret_hash", sa.LargeBinary, nullable=False),
    # Made up by the server, so that a restart without credentials finds the same account again.
    sa.Column("generated", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

# Of those applications whose limit is not the server's. A table of its own: older files get it without a migration.
app_limits = sa.Table(
    "app_limits",
    metadata,
    sa.Column("app_id", sa.ForeignKey("apps.app_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("job_limit", sa.Integer, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("token_hash", sa.LargeBinary, primary_key=True),
    sa.Column("app_id", sa.ForeignKey("apps.app_id", ondelete="CASCADE"), nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)

conversations = sa.Table(
    "conversations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("app_id", sa.ForeignKey("apps.app_id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger, nullable=False),
    # Until a first job completes, start and end only stand in for what that job will say.
    sa.Column("settled", sa.Boolean, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Index("conversations_by_start", "app_id", "started_at"),
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("conversation_id", sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text),
)

jobs = sa.Table(
    "jobs",
    metadata,
    # Order of acceptance; never reused.
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("conversation_id", sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("app_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, index=True),
    sa.Column("reason", sa.Text),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("messages", sa.JSON),
    sa.Column("url", sa.Text),
    # Name of the recording inside the spool, never a path.
    sa.Column("media", sa.Text),
    sa.Column("accepted_at", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.BigInteger),
    sa.Column("finished_at", sa.BigInteger),
    sqlite_autoincrement=True,
)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("app_id", sa.ForeignKey("apps.app_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    # SHA-256 of method, path and query, and of the body.
    sa.Column("target", sa.LargeBinary, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    # No foreign keys: a late repeat must not bring back what was deleted.
    sa.Column("conversation_id", sa.Text, nullable=False),
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("accepted_at", sa.BigInteger, nullable=False, index=True),
)

messages = sa.Table(
    "messages",
    metadata,
    # Also the order of reading: jobs of a conversation complete in order and continue in time.
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("conversation_id", sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("member_id", sa.Text),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger, nullable=False),
    sa.Column("sentiment", sa.Float, nullable=False),
    sa.Column("phrases", sa.JSON, nullable=False),
    # [text, started_at, ended_at, confidence or null] of each word.
    sa.Column("words", sa.JSON, nullable=False),
)

insights = sa.Table(
    "insights",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("conversation_id", sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("member_id", sa.Text),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("definitive", sa.Boolean, nullable=False),
    sa.Column("phrases", sa.JSON, nullable=False),
    sa.Column("assignee_member_id", sa.Text),
    sa.Column("assignee_name", sa.Text),
    sa.Column("assignee_user_id", sa.Text),
    sa.Column("due_at", sa.BigInteger),
    # All messages that it comes from, where it was imported with several; else empty.
    sa.Column("message_ids", sa.JSON, nullable=False, server_default=sa.text("'[]'")),
    # What its text names, as the entities of the answer; of people the name only.
    sa.Column("mentions", sa.JSON, nullable=False, server_default=sa.text("'[]'")),
)

topics = sa.Table(
    "topics",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("conversation_id", sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("message_ids", sa.JSON, nullable=False),
    # Texts of the topics that it is a part of.
    sa.Column("parents", sa.JSON, nullable=False, server_default=sa.text("'[]'")),
)

mentions = sa.Table(
    "mentions",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("conversation_id", sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("custom_type", sa.Text),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("offset", sa.Integer, nullable=False),
    # Ranges have a start and an end instead.
    sa.Column("value", sa.Text),
    sa.Column("range_start", sa.Text),
    sa.Column("range_end", sa.Text),
)

trackers = sa.Table(
    "trackers",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("app_id", sa.ForeignKey("apps.app_id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("vocabulary", sa.JSON, nullable=False),
    sa.Column("excluded", sa.JSON, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("categories", sa.JSON(none_as_null=True)),
    sa.Column("languages", sa.JSON(none_as_null=True)),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("app_id", "name"),
)

detections = sa.Table(
    "detections",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("conversation_id", sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    # Found in the one or the other.
    sa.Column("message_id", sa.Text),
    sa.Column("insight_id", sa.Text),
    # No foreign key: what was found stays when the tracker is changed or deleted.
    sa.Column("tracker_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("phrase", sa.Text, nullable=False),
    sa.Column("offset", sa.Integer, nullable=False),
)

summaries = sa.Table(
    "summaries",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("conversation_id", sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("text", sa.Text, nullable=False),
    # Messages it is made of, and those it stands for.
    sa.Column("message_ids", sa.JSON, nullable=False),
    sa.Column("covered", sa.JSON, nullable=False),
    # How it was made; not known of those that were imported.
    sa.Column("method", sa.Text, server_default=sa.text("'extractive'")),
)

hooks = sa.Table(
    "hooks",
    metadata,
    # Order of making, which is the order of sending for one job.
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("conversation_id", sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("url", sa.Text, nullable=False),
    # Host and port of the address: how many requests go there at once is limited.
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    # Sent or given up. The rows of a job stay until its last one is, so that a job that runs again is told of once.
    sa.Column("done", sa.Boolean, nullable=False, default=False),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    # Whose it is; empty in older files until a server looks.
    sa.Column("app_id", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.UniqueConstraint("job_id", "status"),
    sa.Index("hooks_by_due", "host", "due_at", sqlite_where=sa.text("done = 0")),
    sa.Index("hooks_by_account", "app_id", sqlite_where=sa.text("done = 0")),
    sqlite_autoincrement=True,
)

imports = sa.Table(
    "imports",
    metadata,
    sa.Column("conversation_id", sa.ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True),
    # SHA-256 of what was imported: the same again is no change.
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("imported_at", sa.BigInteger, nullable=False),
    # What came with the conversation and has no table.
    sa.Column("rest", sa.JSON, nullable=False),
)
