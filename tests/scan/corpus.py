"""Secrets of many kinds, made at run time from parts, so that the repository itself holds none; and what only looks so.

Each kind is a file as a person would write it, with one fresh value in it. A third of the kinds is held back: rules
are written without looking at them, so that their recall says something about secrets that nobody has thought of.
"""

from __future__ import annotations

import base64
import json
import string
import zlib
from collections.abc import Callable
from random import Random

__all__ = ["KINDS", "Planted", "held_back", "planted"]

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALNUM = LOWER + UPPER + DIGITS
HEX = "0123456789abcdef"
BASE64 = ALNUM + "+/"
SYMBOLS = "!#%*-_.^~"

Planted = tuple[str, str]
"""A file's name and content."""


class Maker(Random):
    """Fresh values of given shapes."""

    def of(self, alphabet: str, length: int) -> str:
        """*length* characters, at least one of them a digit where the alphabet has any."""
        chars = [self.choice(alphabet) for _ in range(length)]
        if length > 3 and any(char in DIGITS for char in alphabet):
            chars[self.randrange(length)] = self.choice(DIGITS)
        return "".join(chars)

    def password(self, length: int = 14) -> str:
        """As a person or a password manager makes one."""
        body = self.of(ALNUM, length - 3)
        return body + self.choice("!#*-_") + self.choice(UPPER) + self.choice(DIGITS)

    def uuid(self) -> str:
        """A random UUID."""
        return "-".join(self.of(HEX, length) for length in (8, 4, 4, 4, 12))

    def pem(self, label: str, lines: int = 12) -> str:
        """A private key's armour around random bytes."""
        body = "\n".join(self.of(BASE64, 64) for _ in range(lines))
        head, tail = (f"-----{word} {label} " + "KEY-----" for word in ("BEGIN", "END"))
        return f"{head}\n{body}\n{tail}\n"


def _github(rng: Maker) -> str:
    """A classic token with its right checksum."""
    body = rng.of(ALNUM, 30)
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = (DIGITS + UPPER + LOWER)[rest] + digits
    return "gh" + "p_" + body + digits


def _aws(rng: Maker) -> str:
    key = "AK" + "IA" + rng.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)
    return f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {rng.of(BASE64, 40)}\n"


def _gcp(rng: Maker) -> str:
    account = {
        "type": "service_account",
        "project_id": "shop-291827",
        "private_key_id": rng.of(HEX, 40),
        "private_key": rng.pem("PRIVATE", 24),
        "client_email": "deploy@shop-291827.iam.gserviceaccount.com",
    }
    return json.dumps(account, indent=2)


def _jwt(rng: Maker) -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    head = part({"alg": "HS256", "typ": "JWT"})
    body = part({"sub": rng.of(DIGITS, 10), "name": "ops", "iat": 1767225600, "role": "admin"})
    return f"const session = '{head}.{body}.{rng.of(ALNUM + '-_', 43)}';\n"


def _docker(rng: Maker) -> str:
    auth = base64.b64encode(f"deployer:{rng.password(20)}".encode()).decode()
    return json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": auth}}}, indent=2)


def _telegram(rng: Maker) -> str:
    return f"TELEGRAM_BOT_TOKEN = '{rng.of('123456789', 10)}:AA{rng.of(ALNUM + '-_', 33)}'\n"


def _openai(rng: Maker) -> str:
    return "sk-" + "proj-" + rng.of(ALNUM + "-_", 74) + "T3Blbk" + "FJ" + rng.of(ALNUM + "-_", 74)


def _hook(rng: Maker) -> str:
    return "https://api.render" + f".com/deploy/srv-{rng.of(LOWER + DIGITS, 20)}?key={rng.of(ALNUM + '-_', 11)}"


def _workflow(rng: Maker) -> str:
    return (
        "on: push\njobs:\n  test:\n    runs-on: ubuntu-24.04\n    env:\n"
        f"      DB_PASSWORD: {rng.password(16)}\n    steps:\n      - run: make test\n"
    )


def _kubernetes(rng: Maker) -> str:
    return (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n"
        f"  username: app\n  password: {rng.password(18)}\n"
    )


KINDS: dict[str, Callable[[Maker], Planted]] = {
    # keys with a maker's mark
    "aws": lambda r: ("ops/credentials", _aws(r)),
    "github-classic": lambda r: ("deploy.sh", f"export GH_AUTH={_github(r)}\n"),
    "github-fine": lambda r: ("bot.py", 'GITHUB = "github_' + f'pat_{r.of(ALNUM, 22)}_{r.of(ALNUM, 59)}"\n'),
    "gitlab": lambda r: (".env", "GITLAB_TOKEN=gl" + f"pat-{r.of(ALNUM + '-_', 20)}\n"),
    "slack-bot": lambda r: (
        "notify.py",
        'token = "xo' + f'xb-{r.of(DIGITS, 12)}-{r.of(DIGITS, 13)}-{r.of(ALNUM, 24)}"\n',
    ),
    "slack-webhook": lambda r: (
        "alerts.yaml",
        "url: https://hooks.slack" + f".com/services/T{r.of(UPPER, 8)}/B{r.of(UPPER, 8)}/{r.of(ALNUM, 24)}\n",
    ),
    "stripe": lambda r: ("pay.js", "const stripe = require('stripe')('sk_" + f"live_{r.of(ALNUM, 24)}');\n"),
    "sendgrid": lambda r: (".env", "SENDGRID_API_KEY=S" + f"G.{r.of(ALNUM + '-_', 22)}.{r.of(ALNUM + '-_', 43)}\n"),
    "twilio": lambda r: ("sms.py", f'Client("AC{r.of(HEX, 32)}", "{r.of(HEX, 32)}")  # twilio auth token\n'),
    "openai": lambda r: ("ask.py", f'client = OpenAI(api_key="{_openai(r)}")\n'),
    "anthropic": lambda r: ("ask.ts", "const apiKey = 'sk-" + f"ant-api03-{r.of(ALNUM + '-_', 93)}AA';\n"),
    "google": lambda r: ("map.js", "loader({ key: 'AI" + f"za{r.of(ALNUM + '-_', 35)}' }});\n"),
    "gcp-account": lambda r: ("ops/account.json", _gcp(r)),
    "azure-storage": lambda r: (
        "appsettings.json",
        '{"Storage": "DefaultEndpointsProtocol=https;AccountName=shopfiles;AccountKey=' + f'{r.of(BASE64, 86)}=="}}\n',
    ),
    "npm": lambda r: (".npmrc", "//npm.example.com/:_authToken=np" + f"m_{r.of(ALNUM, 36)}\n"),
    "npm-registry": lambda r: (".npmrc", f"//npm.shop.internal/:_authToken={r.of(ALNUM, 40)}\n"),
    "npm-registry-password": lambda r: ("web/.npmrc", f"//npm.shop.internal/:_password={r.of(BASE64, 24)}\n"),
    "pypi": lambda r: (
        ".pypirc",
        "[pypi]\nusername = __token__\npassword = py" + f"pi-AgEIcHlwaS5vcmc{r.of(ALNUM + '-_', 140)}\n",
    ),
    "digitalocean": lambda r: ("main.tf", 'provider "digitalocean" {\n  token = "dop_' + f'v1_{r.of(HEX, 64)}"\n}}\n'),
    "heroku": lambda r: (".env", f"HEROKU_API_KEY={r.uuid()}\n"),
    "discord-webhook": lambda r: (
        "ping.py",
        'HOOK = "https://discord' + f'.com/api/webhooks/{r.of("123456789", 18)}/{r.of(ALNUM + "-_", 68)}"\n',
    ),
    "telegram": lambda r: ("bot.py", _telegram(r)),
    "mailgun": lambda r: ("mail.rb", f"Mailgun::Client.new 'key-{r.of(HEX, 32)}'\n"),
    "datadog": lambda r: (
        "compose.yaml",
        f"services:\n  agent:\n    environment:\n      DD_API_KEY: {r.of(HEX, 32)}\n",
    ),
    "huggingface": lambda r: ("train.py", 'login(token="h' + f'f_{r.of(ALNUM.replace("0", ""), 34)}")\n'),
    "shopify": lambda r: (".env.production", "SHOPIFY_ACCESS_TOKEN=shp" + f"at_{r.of(HEX, 32)}\n"),
    "linear": lambda r: ("sync.ts", "new LinearClient({ apiKey: 'lin_" + f"api_{r.of(ALNUM, 40)}' }})\n"),
    "postman": lambda r: (
        "api.sh",
        "curl -H 'X-Api-Key: PM" + f"AK-{r.of(HEX, 24)}-{r.of(HEX, 34)}' https://api.getpostman.com/me\n",
    ),
    "newrelic": lambda r: ("newrelic.ini", "api_key = NR" + f"AK-{r.of(UPPER + DIGITS, 27)}\n"),
    "vault": lambda r: ("unseal.sh", "export VAULT_TOKEN=hv" + f"s.{r.of(ALNUM + '-_', 95)}\n"),
    "databricks": lambda r: (
        "job.yaml",
        "host: https://dbc-1f2e3d4c-5b6a.cloud.databricks.com\ntoken: da" + f"pi{r.of(HEX, 32)}\n",
    ),
    "doppler": lambda r: ("run.sh", "doppler run --token dp." + f"pt.{r.of(ALNUM, 43)} -- ./serve\n"),
    "supabase": lambda r: ("seed.ts", "const accessToken = 'sb" + f"p_{r.of(HEX, 40)}';\n"),
    # Render
    "render-hook": lambda r: (
        ".github/workflows/ship.yml",
        f"jobs:\n  ship:\n    steps:\n      - run: curl -fsS '{_hook(r)}'\n",
    ),
    "render-hook-json": lambda r: ("package.json", json.dumps({"scripts": {"ship": f"curl {_hook(r)}"}}, indent=2)),
    "render-key": lambda r: ("ship.py", 'KEY = "rn' + f'd_{r.of(ALNUM, 28)}"\n'),
    "render-key-env": lambda r: (".env", "RENDER_API_KEY=rn" + f"d_{r.of(ALNUM, 28)}\n"),
    # private keys and tokens
    "pem-rsa": lambda r: ("server.key", r.pem("RSA PRIVATE", 25)),
    "pem-ec": lambda r: ("ec.pem", r.pem("EC PRIVATE", 4)),
    "pem-openssh": lambda r: ("id_ed25519", r.pem("OPENSSH PRIVATE", 6)),
    "pem-in-yaml": lambda r: (
        "values.yaml",
        "tls:\n  key: |\n    " + r.pem("PRIVATE", 20).replace("\n", "\n    ").rstrip() + "\n",
    ),
    "jwt": lambda r: ("client.ts", _jwt(r)),
    # addresses with a password
    "postgres-url": lambda r: (
        "settings.py",
        'URL = "postgres' + f'ql://app:{r.of(ALNUM, 24)}@dpg-{r.of(LOWER, 20)}-a.oregon-postgres.render.com/shop"\n',
    ),
    "postgres-url-symbols": lambda r: (
        "alembic.ini",
        f"sqlalchemy.url = postgresql+psycopg://app:{r.password(16)}@db.shop.internal:5432/shop\n",
    ),
    "mysql-url": lambda r: ("config.rb", f"url = 'mysql2://root:{r.password(12)}@10.1.4.7/shop'\n"),
    "mongodb-url": lambda r: (
        "db.js",
        f"mongoose.connect('mongodb+srv://shop:{r.of(ALNUM, 16)}@cluster0.ab1cd.mongodb.net/shop')\n",
    ),
    "redis-url": lambda r: (".env", f"REDIS_URL=rediss://default:{r.of(ALNUM, 32)}@oregon-keyvalue.render.com:6379\n"),
    "amqp-url": lambda r: ("worker.py", f'broker = "amqps://shop:{r.password(18)}@rabbit.shop.internal/prod"\n'),
    "basic-url": lambda r: (
        "pip.conf",
        f"[global]\nindex-url = https://ci:{r.of(ALNUM, 20)}@pypi.shop.internal/simple\n",
    ),
    # what frameworks sign with
    "django": lambda r: (
        "shop/settings.py",
        f"SECRET_KEY = 'django-insecure-{r.of(LOWER + DIGITS + '!@#$%^&*(-_=+)', 50)}'\n",
    ),
    "django-symbols": lambda r: (
        "shop/settings/base.py",
        f'SECRET_KEY = "{r.of(LOWER + DIGITS + "!@#$%^&*(-_=+)", 50)}"\n',
    ),
    "flask": lambda r: (
        "app.py",
        f"app.config['SECRET_KEY'] = '{r.of(HEX, 48)}'\napp.secret_key = '{r.of(HEX, 32)}'\n",
    ),
    "rails": lambda r: ("config/secrets.yml", f"production:\n  secret_key_base: {r.of(HEX, 128)}\n"),
    "jwt-secret": lambda r: ("server.ts", f"const JWT_SECRET = '{r.of(ALNUM, 32)}';\n"),
    "session-secret": lambda r: ("server.js", f"app.use(session({{ secret: '{r.password(24)}', resave: false }}));\n"),
    "laravel": lambda r: (".env", f"APP_NAME=Shop\nAPP_KEY=base64:{r.of(BASE64, 43)}=\n"),
    # passwords as people write them down
    "netrc": lambda r: (".netrc", f"machine api.shop.internal\n  login deploy\n  password {r.password(16)}\n"),
    "pgpass": lambda r: (".pgpass", f"db.shop.internal:5432:shop:app:{r.password(16)}\n"),
    "docker-config": lambda r: (".docker/config.json", _docker(r)),
    "sql": lambda r: ("roles.sql", f"CREATE ROLE app LOGIN PASSWORD '{r.password(14)}';\n"),
    "sql-mysql": lambda r: ("users.sql", f"CREATE USER 'app'@'%' IDENTIFIED BY '{r.password(14)}';\n"),
    "flag": lambda r: ("load.sh", f"mysqldump --user=root --password={r.password(14)} shop > shop.sql\n"),
    "flag-python": lambda r: ("tasks.py", f'run("createuser --username=admin --db-password={r.password(14)}")\n'),
    "env-password": lambda r: (".env", f"POSTGRES_USER=app\nPOSTGRES_PASSWORD={r.password(16)}\n"),
    "env-pgpassword": lambda r: ("dump.sh", f"PGPASSWORD={r.password(16)} pg_dump -h db.shop.internal shop\n"),
    "compose": lambda r: (
        "docker-compose.yml",
        f"services:\n  db:\n    environment:\n      - MYSQL_ROOT_PASSWORD={r.password(14)}\n",
    ),
    "dockerfile": lambda r: ("Dockerfile", f"FROM python:3.12-slim\nENV SMTP_PASSWORD={r.password(14)}\n"),
    "workflow": lambda r: (".github/workflows/test.yml", _workflow(r)),
    "kubernetes": lambda r: ("k8s/secret.yaml", _kubernetes(r)),
    "python-password": lambda r: ("mail.py", f'smtp.login("shop@shop.internal", password="{r.password(14)}")\n'),
    "python-constant": lambda r: ("db.py", f'DB_PASSWORD = "{r.password(12)}"\n'),
    "json-password": lambda r: (
        "config/production.json",
        json.dumps({"db": {"user": "app", "password": r.password(15)}}, indent=2),
    ),
    "properties": lambda r: (
        "application.properties",
        f"spring.datasource.username=app\nspring.datasource.password={r.password(14)}\n",
    ),
    "terraform": lambda r: ("db.tf", f'resource "render_postgres" "db" {{\n  password = "{r.password(20)}"\n}}\n'),
    "generic-api-key": lambda r: ("client.py", f'API_KEY = "{r.of(ALNUM, 40)}"\n'),
    "generic-token": lambda r: ("settings.toml", f'[search]\naccess_token = "{r.of(ALNUM, 36)}"\n'),
    "bearer": lambda r: (
        "call.sh",
        f"curl -H 'Authorization: Bearer {r.of(ALNUM, 40)}' https://api.shop.internal/orders\n",
    ),
    "client-secret": lambda r: (
        "auth.yaml",
        f"oauth:\n  client_id: shop-web\n  client_secret: {r.of(ALNUM + '-_', 40)}\n",
    ),
    # other ways of writing a password
    "xml": lambda r: (
        "settings.xml",
        f"<server><username>ci</username><password>{r.password(14)}</password></server>\n",
    ),
    "ado": lambda r: (
        "app.config",
        f'connectionString="Server=db;Database=shop;User Id=app;Password={r.password(14)};"\n',
    ),
    "libpq": lambda r: ("db.py", f'connect("host=db.shop.internal dbname=shop user=app password={r.password(14)}")\n'),
    "curl-user": lambda r: ("fetch.sh", f"curl -u deploy:{r.password(14)} https://files.shop.internal/x\n"),
    "sshpass": lambda r: ("push.sh", f"sshpass -p '{r.password(14)}' scp x root@10.0.0.4:/srv\n"),
    "ansible": lambda r: ("hosts.ini", f"db1 ansible_user=root ansible_become_pass={r.password(14)}\n"),
    "environ": lambda r: ("conftest.py", f'os.environ["SEARCH_TOKEN"] = "{r.of(ALNUM, 32)}"\n'),
    "ruby-hash": lambda r: (
        "mail.rb",
        f"smtp_settings = {{ :user_name => 'shop', :password => '{r.password(14)}' }}\n",
    ),
    "go-struct": lambda r: ("main.go", f'cfg := Config{{User: "app", Password: "{r.password(14)}"}}\n'),
    "call": lambda r: ("mail.java", f'mailer.setPassword("{r.password(14)}");\n'),
    "tuple": lambda r: ("sync.py", f'session.auth = ("deploy", "{r.password(16)}")\n'),
    "yaml-list": lambda r: ("render.yaml", f"envVars:\n  - key: ADMIN_PASSWORD\n    value: {r.password(16)}\n"),
    "dockerfile-old": lambda r: ("Dockerfile", f"FROM debian\nENV SMTP_PASSWORD {r.password(14)}\n"),
    "comment": lambda r: ("deploy.md", f"The staging password is `{r.password(14)}`, ask Ada if it changed.\n"),
    "php-define": lambda r: ("wp-config.php", f"define('DB_PASSWORD', '{r.password(16)}');\n"),
    "php-salt": lambda r: ("wp-config.php", f"define('AUTH_KEY', '{r.of(ALNUM + '!@#%^&*()-_', 64)}');\n"),
    "toml": lambda r: ("config.toml", f'[database]\nuser = "app"\npassword = "{r.password(14)}"\n'),
    "helm": lambda r: ("values.yaml", f"postgresql:\n  auth:\n    postgresPassword: {r.password(14)}\n"),
    "make": lambda r: ("Makefile", f"DB_PASS := {r.password(14)}\nserve:\n\t./serve\n"),
    "dsn": lambda r: ("main.go", f'sql.Open("mysql", "app:{r.password(14)}@tcp(10.0.0.7:3306)/shop")\n'),
    "typescript": lambda r: ("db.ts", f"new Pool({{ host: 'db', user: 'app', password: '{r.password(14)}' }});\n"),
    "jdbc": lambda r: ("app.yml", f"url: jdbc:postgresql://db.shop.internal/shop?user=app&password={r.password(14)}\n"),
    "header": lambda r: ("call.js", f"fetch(url, {{ headers: {{ 'X-Api-Key': '{r.of(ALNUM, 32)}' }} }});\n"),
    "query": lambda r: ("feed.py", f'get("https://feeds.shop.internal/v1?api_key={r.of(ALNUM, 32)}")\n'),
    "systemd": lambda r: ("shop.service", f"[Service]\nEnvironment=SMTP_PASSWORD={r.password(14)}\n"),
    "mysql-p": lambda r: ("dump.sh", f"mysql -u root -p{r.password(14)} shop < shop.sql\n"),
    "redis-a": lambda r: ("flush.sh", f"redis-cli -h cache.shop.internal -a {r.password(20)} FLUSHALL\n"),
    "login-call": lambda r: ("mail.py", f'smtp.login("shop@shop.internal", "{r.password(14)}")\n'),
    "python-default": lambda r: ("settings.py", f'KEY = os.environ.get("SECRET_KEY", "{r.of(ALNUM, 40)}")\n'),
}

LATER: dict[str, Callable[[Maker], Planted]] = {
    # thought of when the rules were done; none has been changed for them
    "env-db-pass": lambda r: ("app.env", f"DB_HOST=db\nDB_PASS='{r.password(14)}'\n"),
    "json-token": lambda r: ("sync.json", json.dumps({"remote": {"apiToken": r.of(ALNUM, 36)}})),
    "yaml-quoted": lambda r: ("config.yml", f'smtp:\n  user: shop\n  pass: "{r.password(14)}"\n'),
    "kwargs": lambda r: ("db.py", f'psycopg.connect(host="db", user="app", password="{r.password(18)}")\n'),
    "elixir": lambda r: ("config/prod.exs", f'config :shop, Shop.Repo, password: "{r.password(14)}"\n'),
    "elixir-base": lambda r: ("config/prod.exs", f'config :shop, secret_key_base: "{r.of(ALNUM, 64)}"\n'),
    "csharp": lambda r: ("appsettings.json", json.dumps({"Db": f"Host=db;Username=app;Password={r.password(14)}"})),
    "powershell": lambda r: ("ship.ps1", f'$env:API_TOKEN = "{r.of(ALNUM, 40)}"\n'),
    "render-hook-py": lambda r: ("ship.py", f'httpx.post("{_hook(r)}")\n'),
    "pg-uri-query": lambda r: (
        "db.ini",
        f"dsn = postgresql://db.shop.internal/shop?user=app&password={r.password(16)}\n",
    ),
    "ssh-passphrase": lambda r: ("keys.sh", f"ssh-keygen -N '{r.password(16)}' -f id\n"),
    "htpasswd": lambda r: ("users.sh", f"htpasswd -b .htpasswd ada {r.password(12)}\n"),
    "prose": lambda r: ("NOTES.md", f"- admin login: ada / {r.password(12)}\n"),
    "docker-run": lambda r: ("up.sh", f"docker run -e POSTGRES_PASSWORD={r.password(14)} postgres:16\n"),
}
KINDS |= LATER


def held_back(kind: str) -> bool:
    """Whether the rules were written without looking at it: later, or chosen by its name alone."""
    shuffled = sorted(KINDS.keys() - LATER.keys(), key=lambda name: zlib.crc32(name.encode()))
    return kind in LATER or kind in shuffled[: len(shuffled) // 3]


def planted(kind: str, number: int) -> Planted:
    """The file of this kind with its value of this *number*: the same in every run."""
    return KINDS[kind](Maker(f"{kind}/{number}"))
