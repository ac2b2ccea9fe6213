"""Find the program in the command that starts it.

So nothing stands between it and a signal. Facts: npm-run-script(1) (``pre`` scripts, ``node_modules/.bin``), sh(1) (``exec``). bashlex takes
a command apart, and knows no script of a package.json; the few words that stand before a program need no grammar.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import dropwhile
from posixpath import basename

__all__ = ["take_option", "tell_direct"]

PIECE = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\$\([^()]*\)|\\.|\d?>&\d|&&|\|\||[;|&\n]|.""", re.DOTALL)
OPERATORS = ("&&", "||", ";", "|", "&", "\n")
SHELL = re.compile(r"(?:\S*/)?(?:ba|da|z|a)?sh\s+(-\w+\s+)*?-\w*c\s+(['\"])(?P<inner>.*)\2\s*", re.DOTALL)
SCRIPT = re.compile(r"(?:(?:\S*/)?(?:ba|da|z)?sh\s+)?(?P<file>\S+\.sh)\b")
VARIABLES = re.compile(r"(?P<set>(?:[A-Za-z_]\w*=\S*\s+)+)(?P<rest>.*)", re.DOTALL)
RUNNERS = {"npm", "pnpm", "yarn", "bun", "npx", "bunx"}
WATCHERS = {"nodemon": "node", "ts-node-dev": "ts-node", "supervisor": "node"}
OWN = {"node", "python", "python3", "deno", "java", "ruby", "sh", "bash", "env"}  # not of node_modules/.bin
FLAGS = {"-y", "--yes", "--", "-s", "--silent"}  # of a package runner itself
TRIVIAL = {"true", "wait", "echo", "exit", "sleep", ":"}
DEEP = 4  # scripts that start each other


def tell_direct(command: str, scripts: Mapping[str, str], server: str = "") -> str:
    """Tell the start command that becomes the program itself.

    Args:
        scripts: of the package.json beside it.
        server: the name of the process that serves, where one was seen.
    """
    before, program, after = _split(_unwrap(command), server)
    moved = any(re.match(r"\s*cd\b", one) for one in before)
    line, hint = _resolve(program, {} if moved else scripts, server, DEEP)
    if not line:
        return hint
    changed = f"startCommand: {' '.join([*before, line])}"
    return f"{changed}{hint}{', with nothing after it' if after else ''}"


def take_option(command: str, *options: str) -> str:
    """Give the program of a command these options for its own."""
    before, program, _ = _split(_unwrap(command), "")
    line = program.strip().removeprefix("exec ").strip()
    for option in options:
        line = re.sub(rf"\s{re.escape(option.split()[0])}(?:=|\s+)\S+", "", line)
    return f"startCommand: {' '.join([*before, 'exec', line, *options])}"


def _split(command: str, server: str) -> tuple[list[str], str, bool]:
    """Split a command into what precedes the server, it, and more.

    What is not separated by ``&&`` or ``;`` from it (a pipe, a background) cannot stay before it.
    """
    parts, operators, text = list[str](), list[str](), ""
    for piece in PIECE.findall(command):
        if piece in OPERATORS:
            parts.append(text.strip())
            operators.append(piece)
            text = ""
        else:
            text += piece
    parts.append(text.strip())
    chosen = max((number for number, part in enumerate(parts) if part and part.split()[0] not in TRIVIAL), default=0)
    while chosen and operators[chosen - 1] == "|":  # what is piped into a log is the program
        chosen -= 1
    for number, part in enumerate(parts):
        if server and any(_is_named(word, server) for word in part.split()):
            chosen = number
            break
    before = [word for part, operator in zip(parts[:chosen], operators, strict=False) for word in (part, operator)]
    return before, parts[chosen], any(parts[chosen + 1 :])


def _is_named(word: str, server: str) -> bool:
    return re.fullmatch(rf"{re.escape(server.rstrip('0123456789.'))}[\d.]*", basename(word.strip("'\""))) is not None


def _unwrap(command: str) -> str:
    """Take the command out of ``sh -c '…'``, however often."""
    while wrapped := SHELL.fullmatch(command.strip().removeprefix("exec ").strip()):
        command = wrapped["inner"]
    return command.strip()


def _resolve(
    program: str, scripts: Mapping[str, str], server: str, left: int, *, packaged: bool = False
) -> tuple[str, str]:
    """Resolve one program to the line that becomes it, and a hint.

    No line: the hint says it all.

    Args:
        packaged: it is a script of a package, which finds what is in node_modules by its name.
    """
    program, given = _unwrap(program).removeprefix("exec ").strip(), ""
    if assigned := VARIABLES.fullmatch(program):
        given, program = f"env {assigned['set'].strip()} ", assigned["rest"].strip()
    words = program.split() or ["PROGRAM"]
    first = basename(words[0])
    if first in RUNNERS:
        return _resolve_script(words, scripts, server, left, given)
    if script := SCRIPT.match(program):
        return "", f"in {script['file']}: exec before the line that starts the program"
    if first in WATCHERS:
        return f"exec {given}{' '.join([WATCHERS[first], *words[1:]])}", f": {first} is for development"
    own = "node_modules/.bin/" if packaged and first not in OWN and first == words[0] else ""
    return f"exec {given}{own}{' '.join(words)}", ""


def _resolve_script(
    words: list[str], scripts: Mapping[str, str], server: str, left: int, given: str
) -> tuple[str, str]:
    """Resolve what a package runner starts.

    A script of package.json, or a program of node_modules.
    """
    rest = list(dropwhile(FLAGS.__contains__, words[1:]))
    if words[0] in {"npx", "bunx"} or rest[:1] == ["exec"]:
        line, hint = _resolve(" ".join(rest).removeprefix("exec "), {}, server, left, packaged=True)
        return line.replace("exec ", f"exec {given}", 1), hint
    rest = rest[1:] if rest[:1] in (["run"], ["run-script"]) else rest
    name = rest[0] if rest else "start"
    text = "node server.js" if name == "start" and scripts and words[0] == "npm" else ""  # npm's own default
    text = scripts.get(name, text)
    if name.startswith("-") or not text or not left:  # also of a package elsewhere: --prefix, -C, --workspace
        return "", "startCommand: the program itself that the script of package.json starts, as in exec node server.js"
    before, program, _ = _split(_unwrap(text), server)
    line, hint = _resolve(program, scripts, server, left - 1, packaged=True)
    if not line:
        return line, hint
    first_of_all = [f"{words[0]} run pre{name} &&"] if f"pre{name}" in scripts else []
    return " ".join([*first_of_all, *before, line.replace("exec ", f"exec {given}", 1)]), hint
