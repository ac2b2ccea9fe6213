"""Make a repository ready to be released."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from deploylib.environment import Environment
from deploylib.scaffold import (
    FileChange,
    InitOptions,
    Repository,
    Tree,
    compare_file,
    describe,
    propose_files,
    write_all,
)

__all__ = ["Initialisation", "prepare_init", "write_init"]

RELEASING = tuple(f".github/workflows/deploy{name}.yml" for name in ("", "-staging-first", "-parallel"))
NPM = '"deploy:test": "inv tests", "deploy:migrate": "inv migrate", "deploy:rollback": "inv rollback"'


@dataclass(frozen=True)
class Initialisation:
    """What a repository would get, or has got.

    Attributes:
        product: what was concluded of it.
        changes: what becomes of each file.
        written: whether that was done.
        steps: what a person does next.
        unmet: flags that add nothing here: why, and what would let them.
    """

    product: Repository
    changes: tuple[FileChange, ...]
    written: bool = False
    steps: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[FileChange, ...]:
        """The changes that there are to be written."""
        return tuple(each for each in self.changes if each.after is not None)


def prepare_init(env: Environment, asked: InitOptions) -> Initialisation:
    """Find out what a repository is, and what it lacks.

    Nothing is written.

    Raises:
        SettingsError: it is no git repository, a file cannot be read, or nothing of it says what could be released.
    """
    root = env.git.top()
    tree = Tree(root, frozenset(name for name in env.git.lying() if _is_file(root / name)))
    staging = asked.staging or "staging" in env.config.settings.environments
    apart = "deploylib.toml" in tree.names or "pyproject.toml" not in tree.names
    product = describe(
        tree,
        asked,
        name=root.name,
        branch=env.git.branch() or "main",
        blueprint=env.config.settings.blueprint,
        settings_file="deploylib.toml" if apart else "pyproject.toml",
        environments=("staging", "production") if staging else ("production",),
    )
    changes = tuple(compare_file(root, each) for each in propose_files(product, tree))
    steps = tuple(_steps(product, tree, changes))
    return Initialisation(product, changes, steps=steps, unmet=tuple(_list_unmet(product, tree)))


def _is_file(path: Path) -> bool:
    """Tell whether there is a file that we may look at."""
    with suppress(OSError):
        return path.is_file()
    return False


def write_init(env: Environment, prepared: Initialisation) -> Initialisation:
    """Write what was prepared: all of it, or nothing.

    Raises:
        SettingsError: a place cannot be written, or was changed meanwhile.
    """
    write_all(env.git.top(), prepared.changes)
    return replace(prepared, written=True)


def _steps(product: Repository, tree: Tree, changes: tuple[FileChange, ...]) -> list[str]:
    """List, in order, the steps that only a person can take."""
    steps = ["git add --all && git commit --message 'Release with deploylib'", "inv deploy: here, with no account"]
    health_files = _list_added_by("health", product, tree)
    if taken := [each.path for each in changes if each.path in health_files and each.after is not None]:
        use = f"use {', '.join(taken)} in your program, as the first lines show; then healthCheckPath: /api/health/live"
        steps.insert(0, f"{use} in {product.blueprint_file}")
    blueprint_files = {product.blueprint_file, "render.staging.yaml"}
    if new := [each.path for each in changes if each.path in blueprint_files and each.after is not None]:
        which = ", and again ".join(new)
        steps.append(
            f"at Render, once and by hand (no API makes a Blueprint): New > Blueprint, this repository, {which}"
        )
    if _lacks_staging(product, changes):
        where = product.settings_file
        steps.append(f"add [environments.staging] to {where}, which is yours: deploylib init --staging shows its lines")
    keys = [f"gh secret set RENDER_API_KEY --env {name}" for name in product.environments]
    steps += [*keys, "gh variable set DEPLOYLIB_STORE --body s3://bucket/prefix"]
    if ".ci/deploylib.txt" not in tree.names:
        steps.append("the locks of the workflow, into .ci: deploylib's docs/ci.md has the lines")
    (releasing,) = (each.path for each in changes if each.path in RELEASING)
    if others := [path for path in RELEASING if path in tree.names and path != releasing]:
        steps.append(f"git rm {' '.join(others)}: {Path(releasing).name} takes its place")
    lacking = [each for each in health_files if each not in tree.names]
    if lacking and not product.asked.health:
        steps.append(f"deploylib init --health adds health answers and a graceful shutdown: {', '.join(lacking)}")
    if "package.json" in tree.names and not product.asked.npm:
        steps.append(f"deploylib init --npm adds to package.json: {NPM}")
    return [*steps, f"inv check --environment {product.environments[0]}"]


def _lacks_staging(product: Repository, changes: tuple[FileChange, ...]) -> bool:
    """Tell whether kept settings lack the staging that is asked for."""
    kept = next((each for each in changes if each.path == product.settings_file and each.after is None), None)
    return kept is not None and any(re.match(r"\+\[.*environments\.staging\]", line) for line in kept.diff)


def _list_unmet(product: Repository, tree: Tree) -> Iterator[str]:
    """List the flags that add nothing here."""
    why = {
        "health": f"no web service of {product.blueprint_file} is in Python or Node; once one has that runtime there",
        "status": f"no service of {product.blueprint_file} is a static site; once one is there (runtime: static); or into any "
        "folder: inv local.health --write DIR --language browser",
        "npm": "no package.json is at the top of the repository; once one is there (npm init --yes)",
    }
    for flag, reason in why.items():
        if getattr(product.asked, flag) and not _list_added_by(flag, product, tree):
            cause, _, possible = reason.partition("; ")
            yield f"--{flag} adds nothing: {cause}; deploylib init --{flag} does {possible}"


def _list_added_by(flag: str, product: Repository, tree: Tree) -> list[str]:
    """List the files that are proposed because of a flag."""
    plain, asked = (replace(product, asked=replace(product.asked, **{flag: value})) for value in (False, True))
    others = {each.path for each in propose_files(plain, tree)}
    return [each.path for each in propose_files(asked, tree) if each.path not in others]
