"""The rooms of the library: a face for each, imports that go through it, one word for one thing."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.support.rooms import LIBRARY, MODULES, ROOMS, ROOT, Module, circles

VOCABULARY = (
    "models"  # its values are what all rooms speak with: as many as there are words, imported from where they are
)
DONE = [room for room in ROOMS if room != VOCABULARY]

# Public names that two modules may define, each with its reason.
TWICE = {
    "Backup": "the value, and the stage that makes one: stages bear the names that are typed and recorded",
    "Changes": "the value, and the stage that decides it",
    "Deploy": "the platform's deploy, and the stage that makes some",
    "restore": "the verb of the surface, and the primitive of `backups`",
    "scan": "the verb of the surface, and the primitive of `scanners`",
    "verify": "the verb of the surface, and the primitive of `probes`",
}

# Functions that bear a participle, each with its reason.
PARTICIPLES = {
    "began": "an event that a view is told of",
    "ended": "an event that a view is told of",
    "opened": "an event that a view is told of",
    "transferred": "an event that a view is told of",
    "wrote": "an event that a view is told of",
}
IRREGULAR = re.compile(
    "begun|bought|built|done|drawn|fallen|felt|found|given|gone|held|hidden|kept|known|left|lent|lost|made|met|paid|said|"
    "seen|sent|shown|spent|spoken|taken|thought|told|torn|understood|waited|woken|written"
)
IMPERATIVES = frozenset({"embed", "exceed", "feed", "heed", "need", "proceed", "seed", "shed", "speed"})

WORDS = 12
NO_VERBS = re.compile(
    "An?|All|Each|Every|How|Its?|No|Nobody|Nothing|One|Somebody|The|Their|Those|Two|What(ever)?|When|Where|Whether|"
    "Which|Who(ever|se)?|Why"
)

VAGUE = frozenset({"one", "found", "said", "told", "made"})  # for a line of a comprehension, where they are seen whole


def faces() -> list[Module]:
    """The faces that are done."""
    return [MODULES[f"deploylib.{room}"] for room in DONE]


def test_only_a_handful_of_modules_stands_beside_the_rooms() -> None:
    """The surface, the handle, the settings, the errors."""
    beside = {path.name for path in LIBRARY.iterdir() if path.is_file()}

    assert beside == {"__init__.py", "environment.py", "settings.py", "errors.py", "py.typed"}


@pytest.mark.parametrize("face", faces(), ids=lambda face: face.room)
def test_a_face_has_at_most_eight_names(face: Module) -> None:
    """What nobody can keep in mind is no face."""
    assert 1 <= len(face.all) <= 8


@pytest.mark.parametrize("face", faces(), ids=lambda face: face.room)
def test_a_face_tells_its_room(face: Module) -> None:
    """What it is for, in three to ten lines, with each of its names."""
    text = ast.get_docstring(face.tree) or ""

    assert 3 <= len(text.splitlines()) <= 10
    assert [] == [name for name in face.all if name not in text]


@pytest.mark.parametrize("face", faces(), ids=lambda face: face.room)
def test_no_module_bears_the_name_of_a_symbol_of_its_face(face: Module) -> None:
    """Where it does, importing the module takes the place of the symbol."""
    files = {path.stem for path in face.path.parent.iterdir() if path.suffix == ".py" or path.is_dir()}
    symbols = {name for module, name, _ in face.imports if f"{module}.{name}" not in MODULES} | set(face.defined)

    assert not files & symbols & set(face.all)


@pytest.mark.parametrize("module", MODULES.values(), ids=lambda module: module.name)
def test_a_room_is_entered_by_its_face(module: Module) -> None:
    """Nothing deeper is imported from outside; the surface alone leads to every command."""
    deeper = []
    for source, name, line in module.imports:
        _, _, inside = source.partition(".")
        room, _, below = inside.partition(".")
        if module.name == "deploylib" or room not in DONE or room == module.room:
            continue
        if below or not name or name not in MODULES[f"deploylib.{room}"].all:
            deeper.append(f"{module.path.relative_to(ROOT)}:{line}: {source} {name}")

    assert [] == deeper


def test_no_module_leads_back_to_itself() -> None:
    """Imports have no circle, at whatever depth of a function they stand."""
    assert [] == circles()


def test_the_contract_names_every_room_in_at_most_twelve_layers() -> None:
    """Layer by layer, for import-linter; a room that comes is named in it, or nothing of it is allowed."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    named = {name.strip(" ()") for layer in contract["layers"] for name in layer.replace("|", ":").split(":")}

    assert contract["type"] == "layers"
    assert contract["exhaustive"] is True
    assert len(contract["layers"]) <= 12
    assert named >= {*ROOMS, "environment", "errors", "settings"}


def test_a_public_name_has_one_meaning() -> None:
    """It is defined in one module; who reads it elsewhere knows it already."""
    where = defaultdict[str, list[str]](list)
    for module in MODULES.values():
        for name in module.public:
            where[name].append(module.name)
    twice = {name: modules for name, modules in where.items() if len(modules) > 1}

    assert len(TWICE) <= 10
    assert twice.keys() == TWICE.keys(), twice


def test_a_function_is_named_by_what_it_does() -> None:
    """An imperative; a participle is a property, which has no effect."""
    named, used = [], set()
    for module in MODULES.values():
        for name, function in module.functions():
            own = name.rpartition(".")[2]
            word = own.split("_")[0]
            if own.startswith("_") or any("property" in ast.unparse(each) for each in function.decorator_list):
                continue
            if IRREGULAR.fullmatch(word) or (word.endswith("ed") and word not in IMPERATIVES) or word in PARTICIPLES:
                used.add(own)
                if own not in PARTICIPLES:
                    named.append(f"{module.name}: {name}")

    assert set(PARTICIPLES) <= used, "no such function any more"
    assert [] == named


def first_lines() -> Iterator[tuple[str, ast.AST, str]]:
    """Where the first line of each docstring stands, whose it is, and the line."""
    for module in MODULES.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                yield f"{module.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}", node, first


def test_the_first_line_of_a_docstring_is_short() -> None:
    """At most twelve words; reasons stand below."""
    assert [] == [f"{where}: {line}" for where, _, line in first_lines() if len(line.split()) > WORDS]


def test_the_first_line_of_a_function_says_what_it_does() -> None:
    """It begins with a verb; a property and a class are things."""
    things = [
        f"{where}: {line}"
        for where, node, line in first_lines()
        if isinstance(node, ast.FunctionDef) and NO_VERBS.fullmatch(line.partition(" ")[0])
        if not any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]

    assert [] == things


@pytest.mark.parametrize("module", MODULES.values(), ids=lambda module: module.name)
def test_a_variable_names_the_thing_that_it_is(module: Module) -> None:
    """What is on one line may have a short name; a field is known by whose it is."""
    short = {
        inner
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Lambda)
        and getattr(node, "lineno", 0) == getattr(node, "end_lineno", 1)
        for inner in ast.walk(node)
    }
    fields = {inner for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef) for inner in _targets(node)}
    vague = [
        f"{module.path.relative_to(ROOT)}:{node.lineno}: {name}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name | ast.arg) and node not in short | fields
        if (name := node.arg if isinstance(node, ast.arg) else node.id) in VAGUE
        if not isinstance(node, ast.Name) or isinstance(node.ctx, ast.Store)
    ]

    assert [] == vague


def _targets(declared: ast.ClassDef) -> Iterator[ast.expr]:
    for statement in declared.body:
        if isinstance(statement, ast.AnnAssign):
            yield statement.target
