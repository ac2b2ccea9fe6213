"""The runbook is ours, with the product's own services.

It has nothing of what the product does not have.
"""

from __future__ import annotations

import re

from deploylib.scaffold.repository import Member, Proposal, Repository, Tree
from deploylib.scaffold.templates import read_template

__all__ = ["Runbook"]

FILE = "docs/runbook.md"
# Of a product with a database.
DATABASE = re.compile(
    r"\b(?:backup|restores?|restored|restoring|migrations?|database|Data is lost|shared memory)\b", re.IGNORECASE
)
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([\w./-]+\.md)(?:#[\w-]+)?\)")


class Runbook(Member):
    """Proposes ``docs/runbook.md``."""

    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:  # noqa: ARG002
        """Propose our sections, under a list of the services."""
        head, *sections = re.split(r"^(?=## )", read_template(FILE), flags=re.MULTILINE)
        dropped = [] if product.blueprint.databases else [each for each in sections if DATABASE.search(_title(each))]
        first, *others = [each for each in sections if each not in dropped]
        text = _without_links("".join([head, first, _made_of(product), *others]), {_anchor(each) for each in dropped})
        text = text.replace("typed by a test,", "typed by a test of deploylib,")
        text = LINK.sub(r"\1 (deploylib, docs/\2)", text).replace("docs/../", "")
        return (Proposal(FILE, text),)


def _title(section: str) -> str:
    return section.partition("\n")[0].removeprefix("## ")


def _anchor(section: str) -> str:
    """Make the name by which GitHub links to a heading."""
    return re.sub(r"[^\w -]", "", _title(section).lower()).replace(" ", "-")


def _without_links(text: str, gone: set[str]) -> str:
    """Unlink sections that are not there.

    Of a table their rows go, elsewhere the words stay.
    """
    lines = [
        line
        for line in text.splitlines()
        if not (line.startswith("|") and gone & set(re.findall(r"\(#([\w-]+)\)", line)))
    ]
    kept = "\n".join(lines) + "\n"
    return re.sub(r"\[([^\]]+)\]\(#([\w-]+)\)", lambda link: link[1] if link[2] in gone else link[0], kept)


def _made_of(product: Repository) -> str:
    """Tell the services, the database, and where they are released."""
    rows = [
        f"| {service.name} | {service.type}, {service.runtime or 'no runtime'} | {_health(service.health_check_path)} |"
        for service in product.blueprint.deployable
    ]
    rows += [
        f"| {database.name} | Postgres | `inv backup.list --environment production` |"
        for database in product.blueprint.databases
    ]
    where = ", then ".join(product.environments)
    lines = ["## What this product is made of", "", "| name | is | asked at |", "|---|---|---|", *rows, ""]
    return "\n".join(
        [*lines, f"Released to {where}, as `{product.blueprint_file}` says. Write here whom to call.", "", ""]
    )


def _health(path: str) -> str:
    return f"`{path}`" if path else "no health path: Render only sees that its port is open"
