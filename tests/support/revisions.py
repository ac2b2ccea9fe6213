"""A migration as a product's next commit brings it."""

from __future__ import annotations

REVISION = '''
"""{title}.

Revision ID: {revision}
Revises: {before}
"""

from alembic import op

revision = "{revision}"
down_revision = "{before}"
{more}

def upgrade() -> None:
    op.execute("{sql}")
'''
