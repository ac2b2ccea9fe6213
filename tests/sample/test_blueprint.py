"""render.yaml: valid for Render, and true about this repository."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sample.product import ROOT

SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "render" / "render.yaml.schema.json"


@pytest.fixture
def blueprint() -> Any:
    """Give the Blueprint as plain values."""
    return yaml.safe_load((ROOT / "render.yaml").read_text())


@pytest.mark.skipif(not SCHEMA.parent.is_dir(), reason="Render's schema is not beside this repository")
def test_it_fits_renders_schema(blueprint: Any) -> None:
    """Render's published schema accepts the file."""
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))

    assert [error.message for error in validator.iter_errors(blueprint)] == []


def test_its_folders_exist(blueprint: Any) -> None:
    """Every root folder and every filtered folder is one of this repository."""
    for service in blueprint["services"]:
        folders = [service["rootDir"], *service["buildFilter"]["paths"]]
        assert [folder for folder in folders if not (ROOT / folder.removesuffix("/**")).is_dir()] == []


def test_its_references_lead_somewhere(blueprint: Any) -> None:
    """Every variable that is taken from a database or a service names one of the file."""
    databases = {database["name"] for database in blueprint["databases"]}
    services = {service["name"] for service in blueprint["services"]}
    variables = [variable for service in blueprint["services"] for variable in service["envVars"]]

    assert {variable["key"] for variable in variables} == {"DATABASE_URL", "API_URL"}
    for variable in variables:
        assert variable.get("fromDatabase", {"name": "guestbook"})["name"] in databases
        assert variable.get("fromService", {"name": "backend"})["name"] in services


def test_no_push_deploys(blueprint: Any) -> None:
    """Autodeploy is off for every service: a push may not pass the gates of a deployment."""
    assert {service["autoDeployTrigger"] for service in blueprint["services"]} == {"off"}
