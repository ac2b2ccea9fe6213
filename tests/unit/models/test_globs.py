"""Which files a filter names, in Render's glob rules."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deploylib.models import PathFilter
from deploylib.models.globs import matches, within

PARTS = st.lists(st.sampled_from(["a", "b", "ab", "readme.md"]), min_size=1, max_size=4)
PATTERN = st.lists(st.sampled_from(["a", "b", "*", "?", "a*", "*b", "**", "*.md"]), min_size=1, max_size=4)


def reference(pattern: list[str], parts: list[str]) -> bool:
    """The rules, part by part: slow and plain."""
    if not pattern:
        return not parts
    first, *rest = pattern
    if first == "**" and rest:
        return any(reference(rest, parts[n:]) for n in range(len(parts) + 1))
    if first == "**":
        return bool(parts)
    return bool(parts) and one(first, parts[0]) and reference(rest, parts[1:])


def one(pattern: str, part: str) -> bool:
    """One part of a path."""
    if not pattern:
        return not part
    if pattern[0] == "*":
        return any(one(pattern[1:], part[n:]) for n in range(len(part) + 1))
    return bool(part) and pattern[0] in {"?", part[0]} and one(pattern[1:], part[1:])


@given(PATTERN, PARTS)
def test_a_glob_agrees_with_the_plain_rules(pattern: list[str], parts: list[str]) -> None:
    """``*`` and ``?`` stop at a slash; ``**`` spans folders and may be none of them."""
    chosen = PathFilter(paths=("/".join(pattern),))

    assert reference(pattern, parts) == matches("/".join(parts), chosen)


@example("[?--]", "?")
@example("[a--b]", "a")
@given(st.text(alphabet="ab/*?[]^-!\\.{}()+$", max_size=12), st.text(alphabet="ab/[]^-!\\.{}", max_size=8))
def test_any_text_is_a_pattern(pattern: str, path: str) -> None:
    """None makes the library fail, however odd."""
    assert matches(path, PathFilter(paths=(pattern,))) in {True, False}


def expression(pattern: str) -> re.Pattern[str]:
    """The rules as a regular expression: plain, and slow where there are many wildcards."""
    parts, rest = [], pattern.removeprefix("./").lstrip("/")
    plain = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    while rest:
        wildcard = next((one for one in plain if rest.startswith(one)), None)
        found = re.match(r"\[\^?[ab/]+\]", rest)
        length = len(wildcard) if wildcard else found.end() if found else 1
        parts.append(plain[wildcard] if wildcard else f"(?!/){found[0]}" if found else re.escape(rest[0]))
        rest = rest[length:]
    return re.compile("".join(parts), re.DOTALL)


@settings(max_examples=2000)
@example(["**/", "b"], "a//b")
@example(["**/", "b"], "/b")
@example(["**", "**/", "b"], "a//b")
@example(["*", "*", "b"], "aab")
@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "**", "**/", "?", "[ab]", "[^a]", "[^/]", "[a/]"]), max_size=8),
    st.text(alphabet="ab/", max_size=8),
)
def test_a_glob_takes_what_its_expression_takes(parts: list[str], path: str) -> None:
    """Also where wildcards stand side by side, and slashes do."""
    pattern = "".join(parts)

    assert bool(expression(pattern).fullmatch(path)) == matches(path, PathFilter(paths=(pattern,))) or not parts


@pytest.mark.parametrize(
    "pattern",
    [
        f"{'**a' * 12}z",
        f"{'**a' * 12}z?**",
        f"{'*a' * 12}z",
        f"{'**/*a' * 12}z",
        f"{'*' * 3000}a{'*' * 3000}z",
        f"{'**/' * 3000}z",
        "[" * 3000,
        f"{'[ab]*' * 600}z",
    ],
)
def test_a_glob_of_many_wildcards_is_decided_at_once(pattern: str) -> None:
    """It grows with the pattern and the path: a stranger's Blueprint hangs no command."""
    code = (
        "from deploylib.models import PathFilter\nfrom deploylib.models.globs import matches, reaches\n"
        f"chosen = PathFilter(paths=({pattern!r},))\n"
        "assert not matches('alpha/' + 'a' * 60, chosen)\nassert not matches('a/' * 2000, chosen)\n"
        "reaches('alpha/' + 'a' * 60, chosen)\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)


@given(st.text(alphabet="ab/.+$(){}|\\", min_size=1, max_size=10).filter(lambda text: text[0] not in "./"))
def test_a_pattern_without_wildcards_is_that_file(text: str) -> None:
    """What means something to a regular expression means nothing here."""
    assert matches(text, PathFilter(paths=(text,)))
    assert not matches(f"{text}x", PathFilter(paths=(text,)))


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("**/readme.md", "readme.md", True),
        ("**/readme.md", "a/b/readme.md", True),
        ("src/**", "src/a/b.c", True),
        ("src/**", "srcs/a", False),
        ("src/*", "src/a/b", False),
        ("src/?.c", "src/a.c", True),
        ("a?b", "a/b", False),
        ("[abc].c", "b.c", True),
        ("[^abc].c", "b.c", False),
        ("[^abc].c", "d.c", True),
        ("x[^abc]y", "x/y", False),
        ("[a-c]", "c", True),
        ("[^a-c]", "c", False),
        ("[z-a]", "[z-a]", True),
        ("[", "[", True),
        ("./src/*", "src/a", True),
        ("/src/*", "src/a", True),
        ("src/a\nb", "src/a\nb", True),
    ],
)
def test_the_examples_of_renders_page(pattern: str, path: str, *, expected: bool) -> None:
    """Sets, negated sets, and patterns from the top, however they begin."""
    assert expected == matches(path, PathFilter(paths=(pattern,)))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (PathFilter(), True),
        (PathFilter(paths=("src/**",)), True),
        (PathFilter(paths=("docs/**",)), False),
        (PathFilter(ignored=("**/*.md",)), False),
        (PathFilter(paths=("src/**",), ignored=("src/*.md",)), False),
        (PathFilter(paths=("docs/**", "src/**"), ignored=("docs/**",)), True),
    ],
    ids=["everything", "included", "elsewhere", "ignored", "ignored wins", "another ignored"],
)
def test_a_file_belongs_when_it_is_included_and_not_ignored(chosen: PathFilter, *, expected: bool) -> None:
    """No paths means everything, and what is ignored wins."""
    assert expected == matches("src/readme.md", chosen)


@pytest.mark.parametrize(
    ("folder", "paths"),
    [
        ("", ()),
        (".", ()),
        ("./", ()),
        ("/", ()),
        ("a", ("a/**",)),
        ("./a/b/", ("a/b/**",)),
        (".github", (".github/**",)),
    ],
)
def test_a_folder_is_everything_in_it(folder: str, paths: tuple[str, ...]) -> None:
    """However it is written; the top is no filter at all."""
    assert PathFilter(paths=paths) == within(folder)
