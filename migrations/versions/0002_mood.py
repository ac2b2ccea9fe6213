"""A mood, for those who want to give one.

An expand step: the column may be null, so it is added without rewriting the table, and code that does not
know it goes on as before.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-09 09:00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("entries", sa.Column("mood", sa.Text, nullable=True))


def downgrade() -> None:
    op.drop_column("entries", "mood")
