"""The first Blueprint, and that of staging."""

from __future__ import annotations

from typing import Any

from deploylib.render import blueprints
from deploylib.scaffold.repository import Member, Proposal, Repository, Tree

__all__ = ["STAGING", "BlueprintFile", "make_staging"]

STAGING = "render.staging.yaml"
SUFFIX = "-staging"
SMALLEST = {"services": "starter", "databases": "basic-256mb"}  # a free one sleeps, or ends after thirty days
SIZES = ("numInstances", "scaling", "disk", "diskSizeGB", "domain", "domains", "readReplicas", "highAvailability")
BY_HAND = "# The first time it is applied by hand: Render's Dashboard, New > Blueprint, this repository, this file.\n"
REFERENCE = "# Every key: https://render.com/docs/blueprint-spec\n\n"


class BlueprintFile(Member):
    """Proposes what Render reads."""

    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:  # noqa: ARG002
        """Propose a Blueprint where there is none, and that of staging."""
        proposed = []
        if product.first:
            proposed.append(
                Proposal(product.blueprint_file, BY_HAND + REFERENCE + blueprints.dump_blueprint(product.document))
            )
        if product.asked.staging and not product.has_staging:
            head = f"# Staging: {product.blueprint_file} with other names, on the smallest plans that do not sleep.\n"
            proposed.append(
                Proposal(
                    STAGING, head + BY_HAND + REFERENCE + blueprints.dump_blueprint(make_staging(product.document))
                )
            )
        return tuple(proposed)


def make_staging(document: dict[str, Any]) -> dict[str, Any]:
    """Make the Blueprint of staging.

    Each name gets a suffix, each plan is small, and no address of production's is left. A group of variables that the
    file does not make keeps its name: it is of the Dashboard, and there is none of staging's.
    """
    staging, _ = blueprints.load_document(blueprints.dump_blueprint(document), STAGING)
    scopes = tuple(blueprints.scopes(staging))
    groups = [group for scope in scopes for group, _ in scope.each("envVarGroups")]
    groups_here = {group["name"] for group in groups}
    for group in groups:
        group["name"] += SUFFIX
    for scope in scopes:
        if scope.environment:
            scope.keys["name"] = "staging"
        for kind, plan in SMALLEST.items():
            for mapping, _ in scope.each(kind):
                mapping["name"] += SUFFIX
                if "plan" in mapping or kind == "databases":
                    mapping["plan"] = plan
                for key in SIZES:
                    mapping.pop(key, None)
                _take_from_staging(mapping, groups_here)
    data: dict[str, Any] = staging.data
    return data


def _take_from_staging(service: dict[str, Any], groups: set[str]) -> None:
    """Have its variables come from staging's own services, databases and groups."""
    for variable in service.get("envVars", ()):
        for source in {"fromService", "fromDatabase"} & variable.keys():
            variable[source]["name"] += SUFFIX
        if variable.get("fromGroup") in groups:
            variable["fromGroup"] += SUFFIX
