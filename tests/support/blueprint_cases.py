"""Blueprints that both programs read, the library and the local Render: what each says of them, word for word.

The programs share no code; these cases are what holds them to one reading.
"""

from __future__ import annotations

from typing import NamedTuple

NODE = "runtime: node, buildCommand: npm ci, startCommand: npm start"
WEB = f"services:\n- {{type: web, name: a, {NODE}}}\n"


class Case(NamedTuple):
    """A Blueprint, and what is said of it.

    Attributes:
        what: it is about.
        text: the file.
        errors: each error as it is told, without the file's name; none where it is taken.
        notes: each note.
    """

    what: str
    text: str
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def web(more: str) -> str:
    """A Blueprint of one web service, with more keys."""
    return f"services:\n- {{type: web, name: a, {NODE},\n   {more}}}\n"


def site(more: str) -> str:
    """A Blueprint of one static site, with more keys."""
    return f"services:\n- {{type: web, name: s, runtime: static, staticPublishPath: dist,\n   {more}}}\n"


def variable(text: str, more: str = "") -> str:
    """A Blueprint of one web service with one variable."""
    return f"{WEB[:-2]},\n   envVars: [{text}]}}\n{more}"


def database(text: str) -> str:
    """A Blueprint with a database."""
    return f"{WEB}databases:\n- {{name: d, {text}}}\n"


ENV = "services[0].env (a): env is the older word for runtime, which Render still reads"
PLACE = "services[0].envVars[0]"
AT = "so Render looks for it in the account"

CASES = (
    # What is taken as it is.
    Case("a byte order mark and line ends of Windows", "\ufeff" + WEB.replace("\n", "\r\n")),
    Case("tabs between a key and its value, and behind it", WEB.replace("services:", "services:\t# a\t").replace("type: web", "type:\tweb")),
    Case("a service that is merged into another", f"services:\n- &a {{type: web, name: a, {NODE}}}\n- {{<<: *a, name: b}}\n"),
    Case("True is true", web("autoDeploy: True")),
    Case("FALSE is false", web("autoDeploy: FALSE")),
    Case("off is a word", web("autoDeployTrigger: off, previews: {generation: off}")),
    Case("off is a word for the file", f"previews: {{generation: off}}\n{WEB}"),
    Case("off is the value of a variable", variable("{key: A, value: off}")),
    Case("a number is the value of a variable", variable("{key: A, value: 3.10}")),
    Case("a number with an underscore is a word", variable("{key: A, value: 1_000}")),
    Case("a worker", f"services: [{{type: worker, name: a, {NODE}, healthCheckPath: /}}]"),
    Case("a private service", f"services: [{{type: pserv, name: a, {NODE}, disk: {{name: d, mountPath: /d}}}}]"),
    Case("a cron job", f"services: [{{type: cron, name: a, {NODE}, schedule: '0 * * * *'}}]"),
    Case("a workflow", "services: [{type: workflow, name: a, runtime: node, region: oregon, startCommand: x}]"),
    Case("a Key Value instance", "services: [{type: keyvalue, name: a, ipAllowList: []}]"),
    Case("its older name", "services: [{type: redis, name: a, ipAllowList: [], maxmemoryPolicy: noeviction}]"),
    Case("a Key Value instance and a service of one name", f"{WEB}- {{type: keyvalue, name: a, ipAllowList: []}}\n"),
    Case("docker, which knows how it is started", "services: [{type: web, name: a, runtime: docker}]"),
    Case("an image", "services: [{type: web, name: a, runtime: image, image: {url: docker.io/a/b}}]"),
    Case("a static site", site("headers: [{path: /*, name: X, value: y}], routes: [{type: rewrite, source: /*, destination: /}]")),
    Case("a build source", "services: [{type: web, name: a, buildSource: s}]\nbuildSources: [{name: s, git: {repo: r, runtime: go}}]"),
    Case("what stands under ungrouped", f"ungrouped: {{services: [{{type: web, name: a, {NODE}}}]}}"),
    Case("what stands in a project", f"projects: [{{name: p, environments: [{{name: e, services: [{{type: web, name: a, {NODE}}}]}}]}}]"),
    Case("a group that stands below", f"{WEB[:-2]}, envVars: [{{fromGroup: g}}]}}\nenvVarGroups: [{{name: g, envVars: [{{key: A, value: b}}]}}]"),
    Case("previews of a file and of a service", f"previews: {{generation: automatic, expireAfterDays: 3}}\n{web('previews: {generation: manual}')}"),
    Case("the version", f'version: "1"\n{WEB}'),
    Case("a path without a slash", web("healthCheckPath: health, rootDir: /x, numInstances: 20, domains: [a.example.com]")),
    Case("hooks", web("initialDeployHook: npm run seed, preDeployCommand: npm run migrate")),
    Case("a name with a slash or a blank", database("user: u").replace("name: a", "name: a/b").replace("name: d", "name: the data")),
    Case("a site as the web service that it is", f"{site('envVars: []')}- {{type: web, name: b, {NODE}, envVars: [{{key: A, fromService: {{name: s, type: static, property: host}}}}]}}"),
    Case("an address of a service of the same file", variable("{key: A, fromService: {name: a, type: web, envVarKey: RENDER_EXTERNAL_URL}}")),
    # What is taken, with a note.
    Case("env for runtime", WEB.replace("runtime", "env"), notes=(f"2: {ENV}",)),
    Case("env beside the same runtime", web("env: node"), notes=(f"3: {ENV}",)),
    Case("an unknown key of the file", f"{WEB}servces: []\n", notes=("3: servces: unknown key servces, and Render's schema has none of that name; did you mean services?",)),
    Case("an extension", f"x-env: &e [{{key: A, value: b}}]\n{WEB[:-2]}, envVars: *e}}\n", notes=("1: x-env: unknown key x-env, and Render's schema has none of that name",)),
    Case("an unknown key of a service", web("healtCheckPath: /"), notes=("3: services[0].healtCheckPath (a): unknown key healtCheckPath, and Render's schema has none of that name; did you mean healthCheckPath?",)),
    Case("a key that is written in another way", "services: [{type: web, name: s, runtime: static, publish_path: dist}]", notes=("1: services[0] (s): staticPublishPath is missing, which Render documents as required", "1: services[0].publish_path (s): unknown key publish_path, and Render's schema has none of that name; did you mean staticPublishPath?")),
    Case("an unknown key in a project", f"projects: [{{name: p, environments: [{{name: e, services: [{{type: web, name: a, {NODE}, bogus: 1}}]}}]}}]", notes=("1: projects[0].environments[0].services[0].bogus (p, e, a): unknown key bogus, and Render's schema has none of that name",)),
    Case("an unknown key of a variable", variable("{key: A, value: b, scope: build}"), notes=(f"3: {PLACE}.scope (a, A): unknown key scope, and Render's schema has none of that name",)),
    Case("an unknown key of a database", database("type: postgres"), notes=("4: databases[0].type (d): unknown key type, and Render's schema has none of that name",)),
    Case("a database of the account", variable("{key: A, fromDatabase: {name: x, property: host}}"), notes=(f"3: {PLACE} (a, A): the database 'x' is not in this file, {AT}",)),
    Case("a service of the account", variable("{key: A, fromService: {name: x, type: keyvalue, property: host}}"), notes=(f"3: {PLACE} (a, A): the service 'x' is not in this file, {AT}",)),
    Case("a group of the account", variable("{fromGroup: x}"), notes=(f"3: {PLACE} (a): the group of variables 'x' is not in this file, {AT}",)),
    Case("a start that is missing", "services: [{type: worker, name: a, runtime: python}]", notes=("1: services[0] (a): startCommand is missing, which Render documents as required for python",)),
    Case("a publish path that is missing", "services: [{type: web, name: s, runtime: static}]", notes=("1: services[0] (s): staticPublishPath is missing, which Render documents as required",)),
    # Wrong types.
    Case("a list as the file", "- a\n", ("1: the file: must be a mapping, not a list",)),
    Case("services as a mapping", "services:\n  a: {type: web}\n", ("2: services: must be a list, not a mapping",)),
    Case("an empty service", "services:\n-\n", ("2: services[0]: must be a mapping, not empty",)),
    Case("a boolean as a command", web("preDeployCommand: true"), ("3: services[0].preDeployCommand (a): must be text, not true or false: put it in quotes",)),
    Case("yes as a boolean", web("autoDeploy: yes"), ("3: services[0].autoDeploy (a): must be true or false, not text",)),
    Case("a number as a name", WEB.replace("name: a", "name: 123"), ("2: services[0].name: must be text, not a number: put it in quotes",)),
    Case("text as a number", web("numInstances: '2'"), ("3: services[0].numInstances (a): must be a whole number, not text",)),
    Case("text as a list", web("domains: a.example.com"), ("3: services[0].domains (a): must be a list, not text",)),
    Case("text as a mapping", web("scaling: lots"), ("3: services[0].scaling (a): must be a mapping, not text",)),
    Case("no list of variables", web("envVars: "), ("3: services[0].envVars (a): must be a list, not empty",)),
    Case("variables as a mapping", web("envVars: {A: b}"), ("3: services[0].envVars (a): must be a list, not a mapping",)),
    Case("a variable as text", variable("A=b"), (f"3: {PLACE} (a): must be a mapping, not text",)),
    Case("a variable without a value", variable("{key: A, value: }"), (f"3: {PLACE}.value (a, A): must be text or a number, not empty",)),
    Case("a version as a number", database("postgresMajorVersion: 16"), ("4: databases[0].postgresMajorVersion (d): must be text, not a number: put it in quotes",)),
    # Wrong values.
    Case("an unknown type", WEB.replace("type: web", "type: webb"), ("2: services[0].type (a): 'webb' is none of web, worker, pserv, cron, keyvalue, redis, workflow; did you mean web?",)),
    Case("static as a type", WEB.replace("type: web", "type: static"), ("2: services[0].type (a): 'static' is none of web, worker, pserv, cron, keyvalue, redis, workflow: a static site is of type web, with runtime: static",)),
    Case("a plan in capitals", database("plan: Basic-1gb"), ("4: databases[0].plan (d): 'Basic-1gb' is none of the 50 values that Render takes (free, starter, standard, …); did you mean basic-1gb?",)),
    Case("a plan that nothing is like", web("plan: owl"), ("3: services[0].plan (a): 'owl' is none of the 21 values that Render takes (free, starter, standard, …)",)),
    Case("an unknown region", web("region: mars"), ("3: services[0].region (a): 'mars' is none of oregon, ohio, frankfurt, singapore, virginia",)),
    Case("an unknown trigger", web("autoDeployTrigger: Off"), ("3: services[0].autoDeployTrigger (a): 'Off' is none of off, commit, checksPass; did you mean off?",)),
    Case("an unknown runtime", WEB.replace("node,", "perl,"), ("2: services[0].runtime (a): 'perl' is none of docker, elixir, go, image, node, python, ruby, rust, static",)),
    Case("a number that is too small", web("maxShutdownDelaySeconds: 0, numInstances: 0"), ("3: services[0].maxShutdownDelaySeconds (a): 0 must be from 1 to 300", "3: services[0].numInstances (a): 0 must be 1 or more")),
    Case("a number that is too large", web("scaling: {minInstances: 1, targetCPUPercent: 95}"), ("3: services[0].scaling.targetCPUPercent (a): 95 must be from 1 to 90",)),
    Case("a version that nobody has", f'version: "2"\n{WEB}', ("1: version: '2' is none of 1",)),
    Case("a Postgres that is too old", database("postgresMajorVersion: '9'"), ("4: databases[0].postgresMajorVersion (d): '9' is none of 10, 11, 12, 13, 14, 15, 16, 17, 18",)),
    Case("a size that no disk has", database("diskSizeGB: 7"), ("4: databases[0].diskSizeGB (d): must be 1 or a multiple of 5",)),
    Case("a property that no database has", variable("{key: A, fromDatabase: {name: d, property: url}}"), (f"3: {PLACE}.fromDatabase.property (a, A): 'url' is none of connectionString, connectionPoolString, host, port, user, password, database",)),
    Case("a name that no variable has", variable("{key: A B, value: c}"), (f"3: {PLACE}.key (a, A B): is no name of a variable: letters, digits, _ - and ., no digit first",)),
    Case("a folder outside", web("rootDir: ../x"), ("3: services[0].rootDir (a): must lie inside the repository",)),
    Case("a health check of two lines", web('healthCheckPath: "/health\\r\\nX: y"'), ("3: services[0].healthCheckPath (a): is no path: it is printable ASCII without a space",)),
    Case("a health check with a line break at its end", web('healthCheckPath: "/health\\n"'), ("3: services[0].healthCheckPath (a): is no path: it is printable ASCII without a space",)),
    Case("a health check with a space", web("healthCheckPath: /health check"), ("3: services[0].healthCheckPath (a): is no path: it is printable ASCII without a space",)),
    # Wrong combinations of keys, and keys that are missing.
    Case("a service without a name", WEB.replace("name: a, ", ""), ("2: services[0]: name is missing",)),
    Case("a service without a type", WEB.replace("type: web, ", ""), ("2: services[0] (a): type is missing",)),
    Case("a service without a runtime", "services: [{type: web, name: a, startCommand: x}]", ("1: services[0] (a): runtime is missing",)),
    Case("a cron job without a schedule", f"services: [{{type: cron, name: a, {NODE}}}]", ("1: services[0] (a): schedule is missing",)),
    Case("a Key Value instance that says nothing of addresses", "services: [{type: redis, name: r}]", ("1: services[0] (r): ipAllowList is missing",)),
    Case("a static site with a region", site("region: oregon"), ("3: services[0].region (s): region does not go with a static site",)),
    Case("a static site with instances and a path", site("numInstances: 2, healthCheckPath: /"), ("3: services[0].healthCheckPath (s): healthCheckPath does not go with a static site", "3: services[0].numInstances (s): numInstances does not go with a static site")),
    Case("a header without a value", site("headers: [{path: /*, name: X}]"), ("3: services[0].headers[0] (s, X): value is missing",)),
    Case("a publish path of a program", web("staticPublishPath: dist"), ("3: services[0].staticPublishPath (a): staticPublishPath does not go with a web service, private service or worker",)),
    Case("a build source and a runtime", web("buildSource: s"), ("2: services[0].buildCommand (a): does not go with buildSource", "2: services[0].runtime (a): does not go with buildSource")),
    Case("an empty filter", web("buildFilter: {}"), ("3: services[0].buildFilter (a): needs paths or ignoredPaths",)),
    Case("a disk and two instances", web("disk: {name: d, mountPath: /d}, numInstances: 2"), ("2: services[0] (a): a service with a disk has one instance: numInstances does not go with disk",)),
    Case("env and another runtime", web("env: go"), ("3: services[0].env (a): env says 'go' and runtime 'node'",), (f"3: {ENV}",)),
    Case("a group and a key", variable("{fromGroup: g, key: A}"), (f"3: {PLACE}.key (a, A): key does not go with fromGroup",)),
    Case("neither property nor variable", variable("{key: A, fromService: {name: a, type: web}}"), (f"3: {PLACE}.fromService (a, A): needs one of property or envVarKey alone",)),
    Case("both property and variable", variable("{key: A, fromService: {name: a, type: web, property: host, envVarKey: B}}"), (f"3: {PLACE}.fromService (a, A): needs one of property or envVarKey alone",)),
    Case("a reference without a type", variable("{key: A, fromService: {name: a, property: host}}"), (f"3: {PLACE}.fromService (a, A): type is missing",)),
    Case("a reference to another type", variable("{key: A, fromService: {name: a, type: pserv, property: host}}"), (f"3: {PLACE}.fromService.type (a, A): a is of type web here, not pserv",)),
    Case("two services of one name", f"{WEB}- {{type: worker, name: a, {NODE}}}\n", ("3: services[1].name (a): two services are called 'a'",)),
    Case("two databases of one name", f"{WEB}databases:\n- name: d\n- name: d\n", ("5: databases[1].name (d): two databases are called 'd'",)),
    Case("several things at once", f"{web('region: mars, foo: 1')}- {{type: cron, name: c, {NODE}}}\n", ("3: services[0].region (a): 'mars' is none of oregon, ohio, frankfurt, singapore, virginia", "4: services[1] (c): schedule is missing"), ("3: services[0].foo (a): unknown key foo, and Render's schema has none of that name",)),
)  # fmt: skip

NO_YAML = {
    "nothing": "",
    "a remark": "# nothing\n",
    "a tab": f"{WEB}\tfoo: 1\n",
    "an object of Python": web("plan: !!python/object/apply:os.system ['true']"),
    "a key that stands twice": web("plan: free, plan: starter"),
    "two documents": f"{WEB}---\nfoo: 1\n",
    "a character that is none": f"{WEB}# \x00\n",
    "a character that no command can have": web('name: "a\\0b"'),
    "lists in each other without an end": "a: " + "[" * 3000 + "]" * 3000,
    "lists that do not end": "a: " + "[" * 5000,
    "mappings in each other without an end": "{a: " * 5000,
    "aliases in each other": "a0: &a0 [x]\n" + "".join(f"a{new}: &a{new} [*a{new - 1}]\n" for new in range(1, 70)),
    "more than 1 MB": f"{WEB}# {'x' * 1_000_000}\n",
    "an alias of itself": "a: &a [*a]",
    "aliases that explode": "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)),
}
