"""The files that a repository may get, in their order."""

from __future__ import annotations

from deploylib.scaffold.blueprint_file import BlueprintFile
from deploylib.scaffold.drill_workflow import DrillWorkflow
from deploylib.scaffold.load_test import LoadTestFile
from deploylib.scaffold.npm_scripts import NpmScripts
from deploylib.scaffold.pending_file import PendingFile
from deploylib.scaffold.repository import Member, Proposal, Repository, Tree
from deploylib.scaffold.runbook import Runbook
from deploylib.scaffold.settings_file import SettingsFile
from deploylib.scaffold.taken_along import TakenAlong
from deploylib.scaffold.tasks_file import TasksFile
from deploylib.scaffold.workflow import Workflow

__all__ = ["MEMBERS", "propose_files"]

MEMBERS: tuple[Member, ...] = (
    BlueprintFile(),
    TasksFile(),
    SettingsFile(),
    PendingFile(),
    Workflow(),
    DrillWorkflow(),
    LoadTestFile(),
    Runbook(),
    TakenAlong(),
    NpmScripts(),
)


def propose_files(product: Repository, tree: Tree) -> tuple[Proposal, ...]:
    """Propose all files of a product.

    Raises:
        SettingsError: a file that says what to propose cannot be read.
    """
    return tuple(each for member in MEMBERS for each in member.propose(product, tree))
