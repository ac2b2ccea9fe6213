"""The health file of a service, the element of a page."""

from __future__ import annotations

from pathlib import PurePosixPath

from deploylib.health import Language
from deploylib.scaffold.repository import Member, Proposal, Repository, Tree, path_in

__all__ = ["TakenAlong"]

LANGUAGES = {"python": Language.PYTHON, "node": Language.NODE}


class TakenAlong(Member):
    """Proposes copies of the health files, which are asked for."""

    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:
        """Propose one for each web service and each site."""
        proposed = {}
        for service in product.blueprint.deployable:
            language = Language.BROWSER if service.runtime == "static" else LANGUAGES.get(service.runtime)
            wanted = product.asked.status if language is Language.BROWSER else product.asked.health
            if service.type == "web" and language is not None and wanted:
                path = path_in(_folder(service.root_dir, service.settings, language, tree), language.file.name)
                proposed[path] = Proposal(path, language.file.read_text(encoding="utf-8"))
        return tuple(proposed.values())


def _folder(root: str, settings: dict[str, object], language: Language, tree: Tree) -> str:
    """Choose where a file of a service belongs.

    In a site that is where what is published is copied from.
    """
    folder = "" if root in {"", "."} else str(PurePosixPath(root))
    published = str(settings.get("staticPublishPath", ""))
    choices = [path_in(folder, name) for name in ("public", "static", published) if name]
    if language is Language.BROWSER:
        return next((each for each in choices if tree.within(each, "", 9)), folder)
    return folder
