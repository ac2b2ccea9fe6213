"""The library and the local Render read a Blueprint alike: by one schema, in words of their own."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import deploylib
import localrender
from deploylib.errors import SettingsError
from deploylib.render import blueprint_schema, blueprints
from deploylib.render.yaml12 import Document, load_yaml
from localrender.blueprint import read as read_by_local_render
from localrender.errors import LocalRenderError
from localrender.yaml12 import load_yaml as load_by_local_render
from tests.support.blueprint_cases import CASES, NO_YAML, Case

Read = Callable[[str, str], tuple[Any, list[str]]]
READERS = pytest.mark.parametrize(
    "read", [blueprints.load_document, read_by_local_render], ids=["library", "local Render"]
)
SHARED = Path(__file__).resolve().parents[3] / "shared"
SCHEMA, BLUEPRINTS = SHARED / "render" / "render.yaml.schema.json", SHARED / "cases" / "blueprints"
WITH_SCHEMA = pytest.mark.skipif(not SCHEMA.is_file(), reason="Render's schema is not beside this repository")


def said(read: Read, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Errors and notes, without the file's name."""
    lines: tuple[str, ...]
    try:
        lines = tuple(f"note {one}" for one in read(text, "f")[1])
    except (SettingsError, LocalRenderError) as error:
        lines = (error.message, *error.details)
    notes = tuple(one for one in lines if is_note(one))
    errors = tuple(one for one in lines if one not in notes)
    return tuple(one.removeprefix("f:") for one in errors), tuple(
        one.removeprefix("note ").removeprefix("f:") for one in notes
    )


def is_note(text: str) -> bool:
    """Whether it is one that is told beside errors."""
    return text.startswith("note ") or "unknown key" in text or "older word" in text


@READERS
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_each_case_is_told_word_for_word(read: Read, case: Case) -> None:
    """Errors with line, place and what would be right; unknown keys and references out of the file as notes."""
    assert (case.errors, case.notes) == said(read, case.text)


@READERS
@pytest.mark.parametrize("text", NO_YAML.values(), ids=NO_YAML)
def test_what_is_no_document_is_refused(read: Read, text: str) -> None:
    """Within a moment, and with no error of the parser's own."""
    [told], _ = said(read, text)

    assert "YAML" in told or "empty" in told or "stands twice" in told or "100,000 values" in told


@READERS
@pytest.mark.parametrize(
    ("what", "bound"),
    [
        ("lists in each other without an end", "64 levels"),
        ("lists that do not end", "64 levels"),
        ("mappings in each other without an end", "64 levels"),
        ("aliases in each other", "64 levels"),
        ("more than 1 MB", "larger than 1 MB"),
    ],
)
def test_what_is_too_large_or_too_deep_is_told_with_the_bound(read: Read, what: str, bound: str) -> None:
    """Before the parser takes its time: this is ten times what it needs for it."""
    began = time.process_time()
    [told], _ = said(read, NO_YAML[what])

    assert bound in told
    assert time.process_time() - began < 4


@READERS
def test_what_is_as_deep_as_the_bound_is_read(read: Read) -> None:
    """The bound is beyond whatever a Blueprint means: its shape refuses it, and not the parser."""
    [told], _ = said(read, f"services: {'[' * 61}{']' * 61}")

    assert "levels" not in told


@pytest.mark.parametrize("load", [load_yaml, load_by_local_render], ids=["library", "local Render"])
def test_of_several_merged_mappings_the_first_wins(load: Callable[[str, str], Any]) -> None:
    """In its value as in how it is written."""
    document = load_yaml("a: &a {key: 3.10}\nb: &b {key: 3.20}\nc: {<<: [*a, *b]}\n", "f")

    assert (document.data["c"]["key"], document.written["c", "key"]) == (3.1, "3.10")


@READERS
def test_a_value_is_never_quoted(read: Read) -> None:
    """That of a variable may be a secret, whatever is wrong with it."""
    text = "services:\n- {type: web, name: a, runtime: go, startCommand: x, envVars: [{key: A, value: [s3cr3t]}]}"

    assert "s3cr3t" not in repr(said(read, text))


def test_both_programs_carry_the_same_schema() -> None:
    """Byte for byte: they meet in no code, so each has its own file."""
    mine, other = (
        Path(str(deploylib.__file__)).with_name("render") / "blueprint.schema.json",
        Path(str(localrender.__file__)).with_name("blueprint.schema.json"),
    )

    assert mine.read_bytes() == other.read_bytes()


@pytest.mark.skipif(not BLUEPRINTS.is_dir(), reason="the Blueprints are not beside this repository")
def test_the_blueprints_beside_this_repository_are_read_alike() -> None:
    """Whatever is in them: the same errors and the same notes; in other words only where it is no YAML."""
    texts = {path.name: path.read_bytes().decode() for path in BLUEPRINTS.glob("*.yaml")}
    texts |= json.loads((BLUEPRINTS / "small.json").read_text(encoding="utf-8"))
    for name, text in texts.items():
        first, second = said(blueprints.load_document, text), said(read_by_local_render, text)
        assert first == second or ("YAML" in repr(first) and second[0]), name


@WITH_SCHEMA
@pytest.mark.skipif(not BLUEPRINTS.is_dir(), reason="the Blueprints are not beside this repository")
def test_what_renders_schema_takes_is_read() -> None:
    """All but what Render documents to be wrong beyond it."""
    texts: dict[str, str] = json.loads((BLUEPRINTS / "small.json").read_text(encoding="utf-8"))
    refused = set()
    for name, text in texts.items():
        try:
            document = load_yaml(text, name)
        except SettingsError:
            continue
        if published().is_valid(document.data) and said(blueprints.load_document, text)[0]:
            refused.add(name)
    assert refused == {
        "db disk 7",
        "db two same",
        "disk and numInstances 2",
        "duplicate service",
        "fromService neither",
        "fromService property and envVarKey",
        "fromService wrong type",
        "key with space",
        "rootDir ..",
    }


def published() -> Any:
    """The validator of Render's own schema."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


NAMES = {"server": "serverService", "static": "staticService", "cron": "cronService", "workflow": "workflowService"}
NAMES |= {"keyValue": "redisServer", "database": "database", "group": "envVarGroup", "ownValue": "envVarFromKeyValue"}
NAMES |= {"wholeGroup": "envVarFromGroup", "ofDatabase": "envVarFromDatabase", "ofService": "envVarFromService"}
NAMES |= {"buildFilter": "buildFilter", "buildSource": "buildSource", "gitSource": "buildSourceGit", "disk": "disk"}
NAMES |= {"image": "image", "registryCredential": "registryCredential", "header": "header", "route": "route"}
NAMES |= {"servicePreviews": "servicePreviews", "staticPreviews": "staticServicePreviews", "project": "project"}


@WITH_SCHEMA
@pytest.mark.parametrize(("ours", "theirs"), NAMES.items(), ids=NAMES)
def test_our_schema_has_the_keys_and_values_of_renders(ours: str, theirs: str) -> None:
    """Shape by shape: keys, which of them are required, types, limits, and the words that a value may be."""
    ours_whole = json.loads(
        (Path(str(deploylib.__file__)).with_name("render") / "blueprint.schema.json").read_text(encoding="utf-8")
    )
    theirs_whole = json.loads(SCHEMA.read_text(encoding="utf-8"))
    mine, other = ours_whole["$defs"][ours], theirs_whole["definitions"][theirs]

    assert mine["properties"].keys() == other["properties"].keys()
    assert sorted(mine.get("required", [])) == sorted(other.get("required", []))
    for key, value in mine["properties"].items():
        assert limits(ours_whole, value) == limits(theirs_whole, other["properties"][key]), key


def limits(whole: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What a schema says of a value itself, once references are followed."""
    while "$ref" in schema:
        target: Any = whole
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    kinds = {"string", "number"} if {"type": "string"} in schema.get("anyOf", []) else schema.get("type")
    kinds = None if "const" in schema or "enum" in schema else kinds
    found = {key: schema.get(key) for key in ("enum", "const", "minimum", "maximum")}
    return found | {"type": set(kinds) if isinstance(kinds, list) else kinds}


SAMPLES = (
    "services: [{type: web, name: a, runtime: node, plan: free, numInstances: 2, scaling: {minInstances: 1, maxInstances: 2}}]",
    "services: [{type: worker, name: a, runtime: image, image: {url: u, creds: {fromRegistryCreds: {name: c}}}}]",
    "services: [{type: web, name: a, buildSource: s, maintenanceMode: {enabled: true}}]",
    "services: [{type: web, name: a, runtime: static, staticPublishPath: d, headers: [{path: p, name: n, value: v}]}]",
    "services: [{type: web, name: a, runtime: static, routes: [{type: rewrite, source: s, destination: d}]}]",
    "services: [{type: cron, name: a, runtime: go, schedule: s, buildFilter: {paths: [p]}}]",
    "services: [{type: keyvalue, name: a, ipAllowList: [{source: s}], persistenceMode: snapshot}]",
    "services: [{type: workflow, name: a, runtime: node, region: ohio, startCommand: x}]",
    "services: [{type: web, name: a, runtime: go, envVars: [{key: A, value: 1, sync: false}, {fromGroup: g}]}]",
    "services: [{type: pserv, name: a, runtime: go, envVars: [{key: A, fromDatabase: {name: d, property: host}}]}]",
    "services: [{type: web, name: a, runtime: go, envVars: [{key: A, fromService: {name: d, type: web, property: host}}]}]",
    "databases: [{name: d, plan: free, highAvailability: {enabled: true}, readReplicas: [{name: r}], ipAllowList: []}]",
    "envVarGroups: [{name: g, envVars: [{key: A, generateValue: true}]}]",
    "buildSources: [{name: b, git: {repo: r, runtime: docker, baseDir: d}}, {name: c, image: {url: u}}]",
    "projects: [{name: p, environments: [{name: e, services: [], networking: {isolation: enabled}}], buildSources: []}]",
    "ungrouped: {services: [], databases: [], buildSources: []}\npreviews: {generation: off, expireAfterDays: 1}",
)
OPEN = ("headers", "routes", "ipAllowList", "scaling", "fromDatabase", "fromService")  # Render's takes any key there
BEYOND = ("one of property or envVarKey", "is no name of a variable", "must not be empty")


def changed(node: Any) -> Iterator[Any]:
    """Copies of a document with one thing changed: taken away, of another type, another word, a key too much."""
    if isinstance(node, dict):
        for extra in ("zzz", "plan", "runtime", "region", "key", "value", "fromGroup", "image"):
            if extra not in node:
                yield {**node, extra: "free"}
        for key in node:
            yield {other: value for other, value in node.items() if other != key}
            for new in (None, 0, "zzz", [], {}, *changed(node[key])):
                yield {**node, key: new}
    elif isinstance(node, list):
        for number in range(len(node)):
            for new in (None, 0, "zzz", *changed(node[number])):
                yield [*node[:number], new, *node[number + 1 :]]


@WITH_SCHEMA
@pytest.mark.parametrize("sample", SAMPLES)
def test_both_schemas_refuse_the_same(sample: str) -> None:
    """Each sample is taken, and of everything that is nearly one of them both say the same."""
    theirs = published()
    assert theirs.is_valid(load_yaml(sample, "f").data)
    assert blueprint_schema.check_schema(load_yaml(sample, "f")) == []
    for wrong in changed(load_yaml(sample, "f").data):
        found = blueprint_schema.check_schema(Document(copy.deepcopy(wrong), {}, {}))
        found = [one for one in found if not any(text in one.text for text in BEYOND)]
        found = [one for one in found if not (one.is_note and any(key in one.place for key in OPEN))]
        ours_takes = not found or all(
            one.text.startswith("must be a mapping") and one.place == "envVarGroups[0]" for one in found
        )
        assert theirs.is_valid(wrong) is ours_takes, (wrong, found)


def test_services_of_projects_and_ungrouped_ones_are_released() -> None:
    """They are services as any other; where an environment of ours has its like in a project, the others are not meant."""
    one = "{{type: worker, name: {0}, runtime: go, startCommand: x}}".format
    environments = f"[{{name: Production, services: [{one('b')}]}}, {{name: staging, services: [{one('c')}], databases: [{{name: d}}]}}]"
    text = f"services: [{one('a')}]\nungrouped: {{services: [{one('u')}]}}\nprojects: [{{name: p, environments: {environments}}}]"
    found = blueprints.parse(text)

    assert [each.name for each in found.deployable] == ["a", "u", "b", "c"]
    assert [each.name for each in found.of("local").deployable] == ["a", "u", "b", "c"]
    assert [each.name for each in found.of("production").deployable] == ["a", "u", "b"]
    assert found.of("production").databases == ()
    assert found.of("production").notes == ("of other environments, so not of this release: c (staging)",)
    assert found.of("local").notes == ()
    assert [each.name for each in found.of("staging").databases] == ["d"]
