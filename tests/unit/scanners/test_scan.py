"""Environment variables, the Blueprint, and what all examiners say together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import msgspec
import pytest

from deploylib.models.findings import AcceptedFinding, Examined, Finding, Gap, Scanned, Verdict
from deploylib.scanners import Product, Services, credential_rules, list_files, scan
from deploylib.scanners.blueprint import scan_blueprint
from deploylib.scanners.variables import scan_variables
from deploylib.settings import ScanSettings, Variable
from tests.support.fakes import FakeClock, RecordingRunner, write

FINDING = Finding(tool="t", rule="R1", where="a.py:1", text="bad", remedy="mend", path="a.py")
GAP = Gap("a.py", "unreadable", "mend")
SOUND = (
    "services:\n  - {type: web, name: web, runtime: static, staticPublishPath: dist, autoDeployTrigger: off}\n"
    "databases:\n  - {name: db, ipAllowList: []}\n"
)
FREE = "{type: worker, name: job, plan: free, runtime: go, startCommand: ./job, autoDeployTrigger: off}"
API = (
    "services:\n  - type: worker\n    name: api\n    runtime: go\n    startCommand: ./api\n    autoDeployTrigger: off\n"
    "    envVars:\n      - "
)


def examined(
    name: str = "x", *, findings: tuple[Finding, ...] = (), gaps: tuple[Gap, ...] = (), **counted: int
) -> Examined:
    """What an examiner says."""
    return Examined(name=name, findings=findings, gaps=gaps, counted=counted)


def compared(declared: tuple[Variable, ...], values: Mapping[str, Mapping[str, str]]) -> Examined:
    """What is said of variables."""
    return scan_variables(Product(Path(), services=Services(declared, values)))


def told(root: Path, text: str, *, local: bool = False) -> list[tuple[str, bool]]:
    """The rules that a Blueprint breaks, and whether each blocks."""
    write(root, {"render.yaml": text})
    return [(one.rule, one.blocks) for one in scan_blueprint(Product(root, services=Services(local=local))).findings]


def test_findings_beat_gaps_and_gaps_beat_clean() -> None:
    """One bad word is enough; nobody's word is not clean."""
    clean, gap, found = examined(), examined(gaps=(GAP,)), examined(findings=(FINDING,), gaps=(GAP,))
    note = examined(findings=(msgspec.structs.replace(FINDING, blocks=False),))

    assert [Verdict.CLEAN, Verdict.NOT_EXAMINED, Verdict.FINDINGS, Verdict.CLEAN] == [
        one.verdict for one in (clean, gap, found, note)
    ]
    assert Scanned(examined=(clean, note)).verdict is Verdict.CLEAN
    assert Scanned(examined=(clean, gap)).verdict is Verdict.NOT_EXAMINED
    assert Scanned(examined=(clean, gap, found)).verdict is Verdict.FINDINGS
    assert Scanned().verdict is Verdict.NOT_EXAMINED


def test_all_of_it_fits_in_one_line() -> None:
    """What was counted, and what came of it."""
    looked = (examined(package=42), examined(file=98), examined(file=118))
    note = examined("notes", findings=(msgspec.structs.replace(FINDING, blocks=False),))

    assert Scanned(examined=looked).line == "42 packages, 118 files: clean"
    assert Scanned(examined=(*looked, note)).line == "42 packages, 118 files: clean · 1 note"
    assert Scanned(examined=(*looked, examined(findings=(FINDING,)))).line == "42 packages, 118 files: 1 finding"
    assert Scanned(examined=(examined("code", gaps=(GAP,)),)).line == "nothing to look at: not examined: code"


def test_an_acceptance_holds_for_its_rule_its_path_and_its_time() -> None:
    """The last day counts; one that has run out is none, and the finding says so."""
    today = date(2026, 3, 1)

    def stands(**more: object) -> list[str]:
        accepted = msgspec.convert({"rule": "R1", "reason": "ours", **more}, AcceptedFinding)
        return [one.text for one in examined(findings=(FINDING,)).judge([accepted], today).findings]

    assert [] == stands() == stands(path="*.py") == stands(until="2026-03-01")
    assert ["bad"] == stands(path="b/**") == stands(rule="R2")
    assert ["bad (accepted until 2026-02-28)"] == stands(until="2026-02-28")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"rule": "R1", "reason": " "}, "without a reason"),
        ({"rule": "CVE-2020-28493", "reason": "ours"}, "without an end"),
        ({"rule": "R1"}, "reason"),
        ({"rule": "R1", "reason": "ours", "expires": "2026-03-01"}, "expires"),
    ],
    ids=["empty", "advisory", "none", "unknown"],
)
def test_an_acceptance_needs_a_reason_and_an_advisory_an_end(table: dict[str, str], said: str) -> None:
    """What is known of an advisory changes."""
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(table, AcceptedFinding)


def test_a_pattern_that_is_none_is_refused() -> None:
    """Where the settings are read, not in the middle of a run."""
    with pytest.raises(msgspec.ValidationError, match="its pattern is no regular expression"):
        msgspec.convert({"name": "A", "pattern": "("}, Variable)


def test_only_files_of_the_product_are_listed(tmp_path: Path) -> None:
    """Not git's, not other people's, not what the settings leave out."""
    write(tmp_path, {"a.py": "", ".git/config": "", "web/node_modules/x.js": "", ".env": "", "docs/b.md": ""})

    assert (".env", "a.py", "docs/b.md") == list_files(tmp_path)
    assert (".env", "a.py") == list_files(tmp_path, ["docs/**"])


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        ("text", "eu-west", ""),
        ("text", "  ", "missing"),
        ("text", "changeme", "placeholder"),
        ("text", "TODO: ask Ada", "placeholder"),
        ("text", "<the region>", "placeholder"),
        ("text", "xxx", "placeholder"),
        ("text", "your-region", "placeholder"),
        ("integer", "-12", ""),
        ("integer", "12.5", "wrong-kind"),
        ("boolean", "True", ""),
        ("boolean", "maybe", "wrong-kind"),
        ("url", "https://api.shop.internal/x", ""),
        ("url", "api.shop.internal", "wrong-kind"),
        ("url", "https://api.example.com", "placeholder"),
        ("url", "https://[::1", "wrong-kind"),
        ("url", "https://host:port", "wrong-kind"),
        ("postgres-url", "postgresql+psycopg://app@db:5432/shop", ""),
        ("postgres-url", "postgres:///shop?host=/run/postgresql", ""),
        ("postgres-url", "mysql://app@db/shop", "wrong-kind"),
        ("postgres-url", "postgres://db", "wrong-kind"),
        ("secret", "0f9b" * 8, ""),
        ("secret", "0f9b2c7d", "too-short"),
        ("secret", "a" * 40, "placeholder"),
        ("secret", "your-secret-key-here", "placeholder"),
    ],
)
def test_a_variable_holds_a_value_of_its_kind(kind: str, value: str, rule: str) -> None:
    """No stand-in, no other kind; and the value itself is never said."""
    declared = msgspec.convert({"name": "A", "kind": kind}, Variable)

    said = compared((declared,), {"api": {"A": value}})

    assert [rule] * bool(rule) == [one.rule for one in said.findings]
    assert not value.strip() or value not in repr(said)
    assert {"variable": 1} == said.counted


def test_a_variable_may_be_optional_longer_or_of_a_pattern() -> None:
    """As it is declared."""
    values = {"api": {"A": "abc"}}

    def rules(**more: object) -> list[str]:
        declared = msgspec.convert({"name": "A", **more}, Variable)
        return [one.rule for one in compared((declared,), values).findings]

    assert [] == rules(pattern="[a-c]+")
    assert ["pattern"] == rules(pattern="[a-b]+")
    assert ["too-short"] == rules(minimum_length=4)
    assert ["missing"] == rules(name="B")
    assert [] == rules(name="B", required=False)


def test_a_service_that_could_not_be_asked_is_not_examined() -> None:
    """The others are."""
    declared = (Variable(name="A", services=("api", "worker")),)

    said = compared(declared, {"api": {"A": "x1"}})

    assert (Verdict.NOT_EXAMINED, {"variable": 1}) == (said.verdict, said.counted)
    assert ["worker: A"] == [gap.what for gap in said.gaps]
    assert compared((Variable(name="A"),), {}).verdict is Verdict.NOT_EXAMINED
    assert compared((), {}).verdict is Verdict.CLEAN


def test_a_variable_is_asked_of_its_services_or_of_all() -> None:
    """Each is a finding of its own."""
    values: dict[str, dict[str, str]] = {"api": {}, "worker": {}}

    assert ["api: A", "worker: A"] == [one.where for one in compared((Variable(name="A"),), values).findings]
    [found] = compared((Variable(name="A", services=("api",)),), values).findings
    assert "api" in found.remedy


def test_a_sound_blueprint_is_clean(tmp_path: Path) -> None:
    """And one that is not there is nobody's fault here."""
    assert [] == told(tmp_path, SOUND)
    assert scan_blueprint(Product(tmp_path, services=Services(blueprint="other.yaml"))).verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("{key: SECRET_KEY, value: s3cr3t-0f9b2c7d}", "plain-secret"),
        ("{key: SMTP_PASSWORD, value: weak}", "plain-secret"),
        ("{key: STRIPE_API_KEY, value: abc}", "plain-secret"),
        ("{key: SECRET_KEY, generateValue: true}", ""),
        ("{key: SECRET_KEY, sync: false}", ""),
        ("{key: PASSWORD_MIN_LENGTH, value: '12'}", ""),
        ("{key: ACCESS_TOKEN, value: ''}", ""),
        ("{key: TOKEN, value: '3600'}", ""),
        ("{key: REGION, value: eu}", ""),
        ("{fromGroup: shared}", ""),
        ("{key: A}", "schema"),
        ("{key: A, value: b, sync: false}", "schema"),
    ],
)
def test_a_secret_in_plain_sight_is_found(tmp_path: Path, entry: str, rule: str) -> None:
    """By the variable's name; its value is not said."""
    assert [(rule, True)] * bool(rule) == told(tmp_path, API + entry)
    assert "0f9b2c7d" not in repr(scan_blueprint(Product(tmp_path)))


def test_secrets_are_found_wherever_variables_are_declared(tmp_path: Path) -> None:
    """In groups, and in the environments of projects."""
    group = "envVarGroups:\n  - {name: shared, envVars: [{key: API_TOKEN, value: abc}]}\n"
    project = (
        "projects:\n  - name: p\n    environments:\n      - name: e\n        services:\n"
        "          - {type: worker, name: w, runtime: go, startCommand: x, envVars: [{key: API_TOKEN, value: abc}]}\n"
    )
    assert [("plain-secret", True)] == told(tmp_path, SOUND + group)
    assert [("autodeploy", True), ("plain-secret", True)] == told(tmp_path, SOUND + project)


@pytest.mark.parametrize(
    "trigger", ["", "autoDeployTrigger: commit, ", "autoDeploy: false, autoDeployTrigger: checksPass, "]
)
def test_a_push_must_not_deploy(tmp_path: Path, trigger: str) -> None:
    """Before any check of ours; where nobody pushes it is only worth a note."""
    text = f"services:\n  - {{type: web, name: web, {trigger}runtime: static, staticPublishPath: dist}}\n"

    assert [("autodeploy", True)] == told(tmp_path, text)
    assert [("autodeploy", False)] == told(tmp_path, text, local=True)


@pytest.mark.parametrize(
    ("text", "rule", "blocks"),
    [
        (SOUND.replace(", ipAllowList: []", ""), "open-database", False),
        (SOUND.replace("[]", "[{source: 0.0.0.0/0}]"), "open-database", False),
        (SOUND.replace("name: db", "name: db, plan: free"), "free-plan", False),
        (SOUND.replace("databases:", f"  - {FREE}\ndatabases:"), "free-plan", False),
        (SOUND.replace("databases:", "  - {type: keyvalue, name: kv}\ndatabases:"), "invalid", True),
        (
            SOUND.replace("databases:", "  - {type: keyvalue, name: kv, ipAllowList: [{source: '::/0'}]}\ndatabases:"),
            "open-keyvalue",
            True,
        ),
        (API + "{key: A, fromDatabase: {name: other, property: host}}", "unknown-database", False),
        ("services: [", "invalid", True),
        ("services:\n  - {type: web, name: a}\n", "invalid", True),
    ],
    ids=["default", "everyone", "free database", "free service", "no list", "open", "unknown", "no YAML", "refused"],
)
def test_open_doors_and_free_plans_are_told(tmp_path: Path, text: str, rule: str, *, blocks: bool) -> None:
    """What a release can live with is a note."""
    assert [(rule, blocks)] == told(tmp_path, text)


def test_a_blueprint_that_cannot_be_read_is_not_quoted(tmp_path: Path) -> None:
    """Not even the piece that the parser stumbled over."""
    write(tmp_path, {"render.yaml": "services: *s3cr3t-0f9b2c7d\n"})

    assert "0f9b2c7d" not in repr(scan_blueprint(Product(tmp_path)))


def test_an_accepted_finding_of_the_blueprint_is_told(tmp_path: Path) -> None:
    """The same table serves all examiners; without tools the others say what is missing."""
    write(tmp_path, {"render.yaml": API + "{key: ACCESS_KEY, value: public}"})
    settings = ScanSettings(accepted=(AcceptedFinding(rule="plain-secret", reason="it is public", path="render.yaml"),))

    said = scan(
        tmp_path, settings, Services((Variable(name="A"),), {"api": {}}), runner=RecordingRunner(), clock=FakeClock()
    )

    by_name = {one.name: one for one in said.examined}
    assert ["dependencies", "code", "secrets", "variables", "blueprint"] == list(by_name)
    assert by_name["blueprint"].verdict is Verdict.CLEAN
    assert "it is public" in by_name["blueprint"].accepted[0]
    assert ["missing"] == [one.rule for one in said.blocking]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("//npm.shop.internal/:_authToken=VALUE", True),
        ("//npm.shop.internal/team/:_auth = VALUE", True),
        ("//npm.shop.internal/:_password=VALUE", True),
        ("_authToken=VALUE", True),
        ("//npm.shop.internal/:_authToken=${NPM_TOKEN}", False),
        ("//npm.shop.internal/:always-auth=true", False),
    ],
)
def test_a_login_to_any_registry_of_packages_is_a_secret(line: str, *, found: bool) -> None:
    """Also to a registry whose tokens have no form of their own; what stands for a variable is none."""
    text = line.replace("VALUE", "q7Zt" + "0Vb3Xk9Lr2Wm8Ns5")
    assert [one.rule for one in credential_rules.find_marked("web/.npmrc", text)] == ["npmrc"] * found
    assert not list(credential_rules.find_marked("web/notes.txt", text))
