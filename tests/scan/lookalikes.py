"""What looks like a secret and is none: the files of ordinary repositories that make scanners cry wolf."""

from __future__ import annotations

import base64
import json

from tests.scan.corpus import ALNUM, BASE64, HEX, LOWER, UPPER, Maker

__all__ = ["lookalikes"]


def lookalikes() -> dict[str, str]:
    """File name → content; none of them holds a secret."""
    rng = Maker("nothing secret")
    sha1, sha256 = rng.of(HEX, 40), rng.of(HEX, 64)
    sha512 = rng.of(BASE64, 86) + "=="
    picture = base64.b64encode(bytes(rng.randrange(256) for _ in range(900))).decode()
    short = [rng.of(LOWER, 1) + rng.of(LOWER + UPPER, 2) for _ in range(400)]
    minified = ";".join(f"var {a}=function(t,e){{return t.token=e.password||'{rng.of(ALNUM, 6)}'}}" for a in short)
    certificate = "\n".join(rng.of(BASE64, 64) for _ in range(16))
    return {
        "package-lock.json": json.dumps(
            {
                "packages": {
                    f"node_modules/{name}": {
                        "version": "1.2.3",
                        "resolved": f"https://npm.example.com/{name}/-/{name}-1.2.3.tgz",
                        "integrity": f"sha512-{rng.of(BASE64, 86)}==",
                    }
                    for name in ("js-tokens", "secret-key", "password-hash", "api-key-auth")
                }
            },
            indent=2,
        ),
        "yarn.lock": f'js-tokens@^4.0.0:\n  version "4.0.0"\n  resolved "https://registry.yarnpkg.com/js-tokens/-/js-tokens-4.0.0.tgz#{sha1}"\n  integrity sha512-{sha512}\n',
        "poetry.lock": f'[[package]]\nname = "secretstorage"\nversion = "3.3.3"\nfiles = [\n    {{file = "a.whl", hash = "sha256:{sha256}"}},\n]\n',
        "requirements.txt": f"itsdangerous==2.2.0 \\\n    --hash=sha256:{sha256} \\\n    --hash=sha256:{rng.of(HEX, 64)}\n",
        "go.sum": f"github.com/golang-jwt/jwt/v5 v5.2.1 h1:{rng.of(BASE64, 43)}=\n",
        "Cargo.lock": f'[[package]]\nname = "secrecy"\nversion = "0.8.0"\nchecksum = "{sha256}"\n',
        "SHA256SUMS": f"{sha256}  deploylib-0.1.0.tar.gz\n",
        ".github/workflows/ci.yml": (
            f"permissions: {{}}\njobs:\n  test:\n    env:\n      PGPASSWORD: postgres\n      API_KEY: ${{{{ secrets.API_KEY }}}}\n"
            f"    steps:\n      - uses: actions/checkout@{sha1} # v5.0.0\n      - uses: docker/login-action@{rng.of(HEX, 40)}\n"
            "        with:\n          password: ${{ secrets.GITHUB_TOKEN }}\n          token: ${{ github.token }}\n"
        ),
        ".env.example": (
            "DATABASE_URL=postgresql://user:password@localhost:5432/shop\nSECRET_KEY=change-me-to-a-long-random-string\n"
            "RENDER_API_KEY=rnd_xxxxxxxxxxxxxxxxxxxxxxxx\nSTRIPE_KEY=sk_live_your_key_here\nSMTP_PASSWORD=<your password>\n"
            "API_TOKEN=your-token-goes-here-1234\nJWT_SECRET=********************\nREDIS_URL=redis://localhost:6379/0\n"
        ),
        "migrations/versions/4f1d2c3b5a69_tokens.py": (
            '"""add token table\n\nRevision ID: 4f1d2c3b5a69\n"""\n\nrevision = "4f1d2c3b5a69"\ndown_revision = "9c8b7a6d5e4f"\n\n\n'
            'def upgrade():\n    op.add_column("users", sa.Column("password_hash", sa.String(128)))\n'
            '    op.create_index("ix_api_key_token", "api_keys", ["token"], postgresql_using="btree")\n'
        ),
        "static/app.min.js": minified,
        "static/app.js.map": json.dumps(
            {"version": 3, "mappings": rng.of(ALNUM + "+/;,", 4000), "names": ["password", "token"]}
        ),
        "notebook.ipynb": json.dumps({"cells": [{"outputs": [{"data": {"image/png": picture}}]}]}),
        "logo.css": f".logo {{ background: url(data:image/png;base64,{picture}) }}\n.token-a1B2c3D4e5F6 {{ color: red }}\n",
        "tests/test_login.py": (
            'TOKEN = "test-token-1234567890abcdef"\nAPI_KEY = "fake-api-key-9f8e7d6c5b4a"\n\n\ndef test_login(client):\n'
            '    client.login(username="ada", password="test-password-1")\n    assert client.token == "dummy-9a8b7c6d5e4f3a2b"\n'
        ),
        "settings.py": (
            'SECRET_KEY = os.environ["SECRET_KEY"]\nDB_PASSWORD = os.getenv("DB_PASSWORD", "")\n'
            'DATABASE_URL = f"postgresql://{user}:{password}@{host}:5432/{name}"\nPASSWORD_RESET_TIMEOUT = 259200\n'
            'AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]\n'
            'PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]\nTOKEN_URL = "https://auth.example.com/token"\n'
        ),
        "docker-compose.yml": (
            "services:\n  db:\n    image: postgres:16@sha256:"
            + sha256
            + "\n    environment:\n      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set it}\n"
            "      POSTGRES_USER: postgres\n  web:\n    environment:\n      DATABASE_URL: postgres://postgres:postgres@db:5432/postgres\n"
        ),
        "render.yaml": (
            "services:\n  - type: web\n    name: api\n    envVars:\n      - key: SECRET_KEY\n        generateValue: true\n"
            "      - key: STRIPE_API_KEY\n        sync: false\n      - key: PASSWORD_MIN_LENGTH\n        value: '12'\n"
        ),
        "README.md": (
            "    export RENDER_API_KEY=rnd_…\n    curl -X POST 'https://api.render.com/deploy/srv-xxxxxxxxxxxxxxxxxxxx?key=xxxxxxxxxxx'\n"
            "    psql postgresql://USER:PASSWORD@HOST:5432/DATABASE\n    git clone https://token:x-oauth-basic@github.com/o/r.git\n"
            "    AKIAIOSFODNN7EXAMPLE is Amazon's own example\n"
        ),
        "certs/server.crt": f"-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n",
        "certs/server.pub": f"-----BEGIN PUBLIC KEY-----\n{certificate}\n-----END PUBLIC KEY-----\n",
        "deploy/authorized_keys": f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{rng.of(BASE64, 43)} ada@laptop\n",
        "openapi.json": json.dumps(
            {
                "components": {
                    "schemas": {
                        "Login": {"properties": {"password": {"type": "string", "format": "password", "minLength": 12}}}
                    },
                    "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
                }
            },
            indent=2,
        ),
        "locale/fr.json": json.dumps(
            {"password": "Votre phrase oubliée ?", "token": "Jeton d'accès", "secret": "Question secrète"}
        ),
        "login.html": '<input type="password" name="password" autocomplete="current-password" placeholder="At least 12 characters">\n',
        "main.tf": 'variable "db_password" { sensitive = true }\nresource "x" "db" {\n  password = var.db_password\n  token    = "${var.api_token}"\n}\n',
        "k8s/deployment.yaml": (
            "env:\n  - name: DB_PASSWORD\n    valueFrom:\n      secretKeyRef:\n        name: shop-db-credentials\n        key: password\n"
            "volumes:\n  - secret:\n      secretName: shop-tls-2026\n"
        ),
        "backup.sh": (
            'mysqldump --password="$MYSQL_PASSWORD" shop\nPGPASSWORD=$(cat /run/secrets/pg) pg_dump shop\n'
            "createuser --password-file=/run/secrets/admin\nexport TOKEN=$(vault read -field=token secret/ci)\n"
        ),
        "roles.sql": "ALTER ROLE app PASSWORD NULL;\nALTER ROLE app PASSWORD :'app_password';\n-- PASSWORD 'changeme' in development\n",
        "store.ts": (
            "export interface Login { password: string; apiKey?: string }\nconst token = await getToken(request);\n"
            "const secretName = 'shop/production/database-credentials-v2';\nconst tokenKey = 'auth.session.token.v1';\n"
            "setError('password', { message: 'passwords.do.not.match' });\n"
        ),
        "flags.json": json.dumps(
            {"id": "3f2b8a64-1c9d-4e7f-8a5b-6d7c8e9f0a1b", "api_key_id": "b1946ac9-2492-4d23-8c1b-3f7f6f0e5a11"}
        ),
        "commits.txt": f"{sha1} Rotate the API token\n{rng.of(HEX, 40)} Ask for the password twice\n",
        "__snapshots__/page.snap": f'exports[`page 1`] = `<div class="css-{rng.of(ALNUM, 7)}" data-token="{rng.of(HEX, 8)}">`;\n',
        "setup.cfg": "[tool:pytest]\nenv =\n    SECRET_KEY=test-secret-key-for-unit-tests-1\n    DATABASE_URL=sqlite:///:memory:\n",
        "auth.py": (
            'def login(*, password: str = "", token: str | None = None) -> None:\n    """password: the user\'s; token: "access" or "refresh"."""\n'
            'OAUTH_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"\nheaders = {"Authorization": f"Bearer {token}"}\n'
            'password_field = "user[password_confirmation]"\nerror = "invalid_client_secret"\n'
        ),
    }
