"""Packages that commands, Dockerfiles and heads of scripts bring, by name.

A list of exact versions says nothing of what a command installs beside it. No shell is run: what a variable holds, or
what another program downloads, is not seen here.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from deploylib.models import decoding

__all__ = ["Brought", "by_command", "by_dockerfile", "by_script"]

Kind = Literal["python", "node", "other", "list", "script", "run"]
SIGNS = ";&|()<>"
BEFORE = {"sudo", "exec", "env", "time", "nohup", "command", "if", "then", "else", "do", "!", "{"}
SHELLS = {"sh", "bash", "dash", "zsh"}
INSTRUCTIONS = re.compile(
    r"(?:FROM|COPY|ADD|ENV|ARG|LABEL|EXPOSE|USER|WORKDIR|VOLUME|STOPSIGNAL|HEALTHCHECK|SHELL|MAINTAINER)\s",
    re.IGNORECASE,
)
RUNS = re.compile(r"(?:ONBUILD\s+)?(?:RUN|CMD|ENTRYPOINT)\s+(?:--\w+=\S+\s+)*", re.IGNORECASE)
HEAD = re.compile(r"(?m)^# /// script[ \t]*\n(?P<content>(?:#(?:[ \t].*)?\n)+?)# ///[ \t]*$")  # PEP 723
# The words of a command → whose packages it brings, and whether all its words are packages, or only the first.
COMMANDS: dict[tuple[str, ...], tuple[Kind, bool]] = {
    **dict.fromkeys((("pip", "install"), ("pip", "download"), ("uv", "pip", "install")), ("python", True)),
    **dict.fromkeys((("uv", "add"), ("poetry", "add"), ("pdm", "add"), ("pipenv", "install")), ("python", True)),
    **dict.fromkeys((("pipx", "install"), ("uv", "tool", "install"), ("easy_install",)), ("python", True)),
    **dict.fromkeys((("uvx",), ("uv", "tool", "run"), ("pipx", "run")), ("python", False)),
    ("uv", "run"): ("python", False),
    **{("npm", word): ("node", True) for word in ("install", "i", "add")},
    **{(tool, "add"): ("node", True) for tool in ("yarn", "pnpm", "bun")},
    **{("pnpm", word): ("node", True) for word in ("install", "i")},
    **{("bun", word): ("node", True) for word in ("install", "i")},
    **{(tool, "dlx"): ("node", False) for tool in ("yarn", "pnpm")},
    **dict.fromkeys((("yarn", "global", "add"), ("corepack", "prepare"), ("corepack", "install")), ("node", True)),
    **dict.fromkeys((("npx",), ("bunx",), ("pnpx",), ("npm", "exec"), ("npm", "x"), ("bun", "x")), ("node", False)),
    **{(tool, "install"): ("other", True) for tool in ("apt", "apt-get", "aptitude", "yum", "dnf", "microdnf", "brew")},
    **{(tool, "install"): ("other", True) for tool in ("gem", "go", "cargo", "conda", "mamba", "luarocks")},
    **dict.fromkeys((("apk", "add"), ("composer", "require"), ("bundle", "add"), ("go", "get")), ("other", True)),
}
# Options with a value of their own: of a package, of a list of packages, or of something else.
CHOSEN = {"--from", "--package", "--spec"}
PACKAGE = {*CHOSEN, "--with", "--preinstall"}
LISTS = {"-r", "--requirement", "--requirements", "--with-requirements"}
VALUES = {
    "-i", "--index-url", "--extra-index-url", "--find-links", "-t", "--target", "--prefix", "--root",
    "--python", "-c", "--platform", "--python-version", "--implementation", "--abi", "--no-binary",
    "--only-binary", "--constraint", "--cache-dir", "--timeout", "--retries", "--proxy", "--cert",
    "--trusted-host", "--log", "--src", "--call", "--upgrade-strategy", "--config-settings", "-C", "--index",
    "--default-index", "--group", "--extra", "--optional", "-w", "--workspace", "--registry", "--cwd", "--dir",
    "--filter", "-F", "--omit", "--include", "--loglevel", "--tag", "-o", "--option", "--repository",
    "--virtual", "-n", "--name", "--path", "--root-user-action", "--features",
}  # fmt: skip
SHORT: dict[str, set[str]] = {"python": {"-f", "-p"}, "node": set(), "other": {"-v", "--version"}}


class Brought(NamedTuple):
    """A package that a command brings, or a file that says which.

    Attributes:
        kind: whose package it is; ``list`` and ``script`` are files, and ``run`` a script of package.json, of *folder*.
        name: as the command writes it, with its version.
        apart: it comes into a place of its own, so that no list beside it says its version.
    """

    kind: Kind
    name: str
    folder: str = ""
    apart: bool = False


def by_command(text: str, folder: str = "") -> Iterator[Brought]:
    """Find what the lines of a shell bring.

    Args:
        folder: where they are run, as the commit names it.
    """
    lines = (line for line in re.sub(r"\\\r?\n", " ", text).splitlines() if not line.lstrip().startswith("#"))
    for words in _commands(" ; ".join(lines)):
        if words[0] == "cd" and len(words) > 1:
            folder = posixpath.normpath(posixpath.join(folder, words[1]))
        elif words[0] in SHELLS and "-c" in words[:-1]:
            yield from by_command(words[words.index("-c") + 1], folder)
        else:
            yield from _by_words(words, folder)


def by_dockerfile(text: str) -> Iterator[tuple[int, Brought]]:
    """Find what a Dockerfile's instructions bring, each with its line."""
    number = 1
    for block in re.findall(r"(?:[^\n]*\\[ \t]*\n(?:[ \t]*#[^\n]*\n)*)*[^\n]*\n?", text):
        line = re.sub(r"\\[ \t]*\n", " ", re.sub(r"(?m)^[ \t]*#.*\n?", "", block)).strip()
        if line and not INSTRUCTIONS.match(line):
            command = RUNS.sub("", line, 1)
            yield from ((number, one) for one in by_command(_exec_form(command)))
        number += block.count("\n")


def by_script(text: str) -> str:
    """Read the TOML head of a script; empty where it has none."""
    head = HEAD.search(text)
    return "".join(line[2:] or "\n" for line in head["content"].splitlines(keepends=True)) if head else ""


def _exec_form(command: str) -> str:
    """Turn a command that is a JSON list into a shell's."""
    if not command.startswith("["):
        return command
    try:
        words = decoding.json(command.encode(), list[Any])
    except decoding.Undecodable:
        return command
    return shlex.join(map(str, words))


def _commands(line: str) -> Iterator[list[str]]:
    """Split a line into commands, each beginning with its program."""
    splitter = shlex.shlex(line, posix=True, punctuation_chars=SIGNS)
    splitter.whitespace_split, splitter.commenters = True, ""
    try:
        tokens = list(splitter)
    except ValueError:  # a quote without an end
        tokens = line.replace("'", " ").replace('"', " ").split()
    words: list[str] = []
    aside = False  # the next word is a file that is written or read
    for token in [*tokens, ";"]:
        if token and set(token) <= set(SIGNS):
            aside = bool({"<", ">"} & set(token))
            if aside and words and words[-1].isdigit():
                words.pop()
            elif not aside and (known := _plain(words)):
                yield known
            words = words if aside else []
        elif aside:
            aside = False
        else:
            words.append(token)


def _plain(words: Sequence[str]) -> list[str]:
    """Name a command's program: ``python3 -m pip`` and ``.venv/bin/pip3`` are pip."""
    left = list(words)
    while left and (left[0] in BEFORE or re.match(r"\w+=", left[0])):
        left.pop(0)
    if not left:
        return []
    program = posixpath.basename(left[0])
    if re.fullmatch(r"(?:python|py|pypy)[\d.]*", program) and left[1:2] == ["-m"] and len(left) > 2:
        return [left[2], *left[3:]]
    name = re.sub(r"^(pip|pipx)[\d.]+$", r"\1", program)
    return [name, *left[1:]] if name in {one[0] for one in COMMANDS} | SHELLS | {"cd"} else left


def _by_words(words: Sequence[str], folder: str) -> Iterator[Brought]:
    verbs = [word for word in words if not word.startswith("-")]
    verb_phrase = next((one for length in (3, 2, 1) if (one := tuple(verbs[:length])) in COMMANDS), None)
    if verb_phrase is None:
        yield from _followed(verbs, folder)
        return
    kind, every = COMMANDS[verb_phrase]
    given = ["--package" if word == "-p" and kind == "node" and not every else word for word in words]
    for verb in verb_phrase:
        given.remove(verb)
    chosen = verb_phrase == ("uv", "run")  # its first word is a program of the project, or a script
    for option, value in _options(given, PACKAGE | LISTS | VALUES | SHORT[kind]):
        if option in {"--no", "--no-install"} and kind == "node":
            return
        if option in LISTS:
            yield Brought("list", value, folder)
        elif option in PACKAGE and not every:
            chosen = chosen or option in CHOSEN
            yield Brought(kind, value, folder, apart=True)
        elif not option:
            if not chosen and _names(value, kind):
                yield Brought(kind, value, folder, apart=not every and kind == "python")
            if not every:
                return


def _options(words: Sequence[str], valued: Collection[str]) -> Iterator[tuple[str, str]]:
    """Pair each option with its value.

    A word that is no option is the value of none.
    """
    left = iter(words)
    for word in left:
        option, sign, value = word.partition("=") if word.startswith("-") else ("", "", word)
        yield option, next(left, "") if option in valued and not sign else value


def _followed(verbs: Sequence[str], folder: str) -> Iterator[Brought]:
    """Follow a shell script, or one of package.json, that is run."""
    program, *others = verbs
    file = next(iter(others), "") if program in {*SHELLS, "source", "."} else program
    if program in {"npm", "pnpm", "yarn", "bun"} and others:
        name = others[1] if others[0] in {"run", "run-script"} and len(others) > 1 else others[0]
        yield Brought("run", name, folder)
    elif file.endswith((".sh", ".bash")):
        yield Brought("script", file, folder)


def _names(word: str, kind: str) -> bool:
    """Tell whether a word may name a package.

    A folder or a file of the commit is none.
    """
    if "/" in word and "://" not in word and kind == "python":
        return False
    return bool(re.match(r"@?\$?\{?[A-Za-z0-9]", word)) and not word.startswith("file:")
