"""Drills of what the database holds."""

from __future__ import annotations

from deploylib.commands import backups
from deploylib.drills import shop
from deploylib.drills.definition import Drill, DrillStep
from deploylib.drills.scene import Scene
from deploylib.errors import MigrationFailed, NotExamined

__all__ = ["BAD_MIGRATION", "RESTORE"]

CUSTOMERS = ("Ann", "Bob", "Cid", "Dora", "Emil")
COLUMN = "select 1 from information_schema.columns where table_name = 'orders' and column_name = 'note'"
NOTE = '''\
"""A note to an order."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.execute("alter table orders add column note text{more}")
'''


def _sell(scene: Scene) -> None:
    """Let all customers order."""
    if not all(map(scene.order, CUSTOMERS)):
        raise NotExamined("the shop takes no orders, so there is nothing to practise", remedy="the same again")


def _refuse_migration(scene: Scene) -> None:
    _sell(scene)
    scene.change("A note to an order", {shop.MIGRATION: NOTE.format(more=" not null")})
    scene.branch("mended", "The note may be left out", {shop.MIGRATION: NOTE.format(more="")})
    scene.release(MigrationFailed.exit_code)


def _has_notes(scene: Scene) -> str:
    """Find what keeps orders from having notes."""
    if not scene.query(COLUMN):
        return "orders have no notes yet"
    if not set(CUSTOMERS) <= set(scene.orders()):
        return "orders are missing"
    return scene.unrest if scene.serves(scene.head) else "the newest commit is not released"


def _lose_orders(scene: Scene) -> None:
    _sell(scene)
    scene.expect(backups.backup(scene.enter()))
    scene.query("delete from orders")


def _is_restored(scene: Scene) -> str:
    """Find which orders are missing."""
    missing = [name for name in CUSTOMERS if name not in scene.orders()]
    return f"the orders of {', '.join(missing)} are missing" if missing else scene.unrest


BAD_MIGRATION = Drill(
    name="bad-migration",
    learns="read why a migration is refused, and mend it",
    minutes=15,
    section="A migration is refused",
    situation=(
        'The newest commit gives orders a note. Its release has just ended with exit code 6, "migration '
        'failed". Nothing is broken, but the note is wanted today. Mend the migration and commit it; or '
        "take what a colleague has left on the branch mended:\n"
        "    git merge --ff-only mended"
    ),
    begin=_refuse_migration,
    find_fault=_has_notes,
    steps=(
        DrillStep("inv migrate --dry-run", MigrationFailed.exit_code),
        DrillStep("git merge --quiet --ff-only mended"),
        DrillStep("inv deploy"),
        DrillStep("inv status"),
    ),
    cures=("deploy",),
    database=True,
)
RESTORE = Drill(
    name="restore",
    learns="restore what was lost, first beside, then in place",
    minutes=15,
    section="Data is lost",
    situation=(
        "Somebody has tidied up in the wrong database: the shop shows no orders. Five were there an hour "
        "ago, those of Ann, Bob, Cid, Dora and Emil."
    ),
    begin=_lose_orders,
    find_fault=_is_restored,
    steps=(
        DrillStep("inv hold --reason 'orders are missing'"),
        DrillStep("inv backup.list"),
        DrillStep("inv backup.restore"),
        DrillStep("inv backup.restore --into database --force --confirm local"),
        DrillStep("inv verify"),
        DrillStep("inv hold.lift"),
    ),
    cures=("hold", "backup.restore"),
    database=True,
)
