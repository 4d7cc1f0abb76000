"""Events, the calls they come to, how far files were read; hosts and what they answer for."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "events",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("writer", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_table(
        "calls",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("agent", sa.Text),
        sa.Column("room", sa.Text),
        sa.Column("host", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("began", moment, nullable=False),
        sa.Column("offered", moment),
        sa.Column("joined", moment),
        sa.Column("ended", moment),
        sa.Column("outcome", sa.Text),
        sa.Column("code", sa.Text),
    )
    op.create_index("calls_began", "calls", ["began"])
    op.create_index("calls_room", "calls", ["room"])
    op.create_index("calls_outcome", "calls", ["outcome"])
    op.create_table(
        "dispatches",
        sa.Column("dispatch_id", sa.Text, primary_key=True),
        sa.Column("call_id", sa.Text, nullable=False),
    )
    op.create_index("dispatches_call", "dispatches", ["call_id"])
    op.create_table(
        "spools",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("read", sa.Integer, nullable=False),
    )
    op.create_table(
        "hosts",
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("agents", sa.JSON, nullable=False),
        sa.Column("live", sa.Integer, nullable=False),
        sa.Column("load", sa.Float, nullable=False),
        sa.Column("draining", sa.Boolean, nullable=False),
        sa.Column("seen", moment, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("job", sa.JSON, nullable=False),
    )
    op.create_index("leases_host", "leases", ["host"])
