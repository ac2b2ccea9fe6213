"""The health file of a service, the element of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deploylib.health import Language
from deploylib.models.globs import within
from deploylib.render import blueprints
from deploylib.scaffold.repository import Member, Proposal, Repository, Tree, path_in

__all__ = ["TakenAlong"]

LANGUAGES = {"python": Language.PYTHON, "node": Language.NODE}
MANIFESTS = {
    Language.PYTHON: ("requirements.txt", "pyproject.toml", "Pipfile", "setup.py", "manage.py"),
    Language.NODE: ("package.json",),
    Language.BROWSER: ("package.json", "index.html", "public/index.html"),
}
OURS = re.compile(r"\A(?:#|//) deploylib [\w.-]+ \d+ sha256:")
# By which a command of a service that is built from the top of the repository names its own folder.
NAMED = re.compile(
    r"(?:\bcd|--cwd|--dir|--prefix|--directory|--workspace|-w|--filter|--app-dir|-C)[ =](?:\./)?([\w./-]+)"
    r"|\b(?:node|python3?|tsx|bun|deno run)\s+(?:\./)?([\w.-]+(?:/[\w.-]+)*)/[\w.-]+\.\w+"
)


class TakenAlong(Member):
    """Proposes copies of the health files, which are asked for."""

    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:
        """Propose one for each web service and each site."""
        proposed = {}
        for service in product.blueprint.deployable:
            language = _find_language(service, tree)
            wanted = product.asked.status if language is Language.BROWSER else product.asked.health
            if service.type == "web" and language is not None and wanted:
                path = _place(service, language, tree)
                proposed[path] = Proposal(path, language.file.read_text(encoding="utf-8"))
        return tuple(proposed.values())


def _find_language(service: blueprints.BlueprintService, tree: Tree) -> Language | None:
    """Find a service's language; of an image by its folder's files."""
    if service.runtime == "static":
        return Language.BROWSER
    if service.runtime != "docker":
        return LANGUAGES.get(service.runtime)
    fitting = [
        language for language in LANGUAGES.values() if tree.first(_home(service, (), tree), *MANIFESTS[language])
    ]
    return fitting[0] if len(fitting) == 1 else None


def _place(service: blueprints.BlueprintService, language: Language, tree: Tree) -> str:
    """Choose where the file of a service belongs.

    Where it has one already; in a site that is where what is published is copied from.
    """
    home, name = _home(service, MANIFESTS[language], tree), language.file.name
    copies = (path for path in tree.within(home, f"/{name}") if home and OURS.search(tree.read(path)))
    if (there := next(copies, "")) and path_in(home, name) not in tree.names:
        return there
    published = str(service.settings.get("staticPublishPath", ""))
    inside = published.removeprefix(f"{home}/") if not service.root_dir else published
    choices = [path_in(home, each) for each in ("public", "static", inside) if each]
    if language is Language.BROWSER:
        return path_in(next((each for each in choices if tree.within(each, "", 9)), home), name)
    return path_in(home, name)


def _home(service: blueprints.BlueprintService, manifests: tuple[str, ...], tree: Tree) -> str:
    """Find a service's own folder; empty: the top.

    Its rootDir, or what is built for it; in a workspace that is built from the top, the one that its filter or its
    commands name, if that is a folder of its language.
    """
    context = str(service.settings.get("dockerContext", "")) if service.runtime == "docker" else ""
    if stated := _plain(context or service.root_dir):
        return stated
    candidates = (place for each in _named_folders(service) if (place := _plain(each)))
    fitting = [each for each in dict.fromkeys(candidates) if tree.first(each, *manifests)]
    return fitting[0] if fitting else ""


def _named_folders(service: blueprints.BlueprintService) -> Iterator[str]:
    for command in (service.start_command, service.build_command):
        yield from (named[1] or named[2] for named in NAMED.finditer(command))
    for path in service.build_filter.paths if service.build_filter is not None else ():
        yield path.partition("*")[0]


def _plain(folder: str) -> str:
    """Write a folder as the repository has it; empty: the top."""
    return next(iter(within(folder).paths), "").removesuffix("/**")
