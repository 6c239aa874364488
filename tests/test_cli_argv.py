from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fps_lite.cli.argv import SHARED, Invocation, take_apart
from fps_lite.config import Option

KEY = st.from_regex(r"[a-z][a-z0-9_-]{0,5}", fullmatch=True)
DOTTED = st.lists(KEY, min_size=2, max_size=4).map(lambda keys: "--" + ".".join(keys))
VALUE = st.text(max_size=8).filter(lambda text: not text.startswith("--"))
PLAIN = st.one_of(
    st.from_regex(r"[a-z]{1,6}", fullmatch=True),
    st.from_regex(r"-[a-zX]", fullmatch=True),
    st.from_regex(r"--(port|host|json)(=[a-z.]*)?", fullmatch=True),
)
SHARED_FLAG = st.sampled_from(sorted(SHARED))

Part = tuple[list[str], tuple[str, str] | None, tuple[str, str] | None]


def attached(flag: str, value: str) -> list[str]:
    return [f"{flag}={value}"]


def apart(flag: str, value: str) -> list[str]:
    return [flag, value]


SPELLING = st.sampled_from([attached, apart])


@st.composite
def parts(draw: st.DrawFn) -> Part:
    """Draw words, with the dotted or the shared option that they are."""
    match draw(st.sampled_from(["plain", "dotted", "shared"])):
        case "dotted":
            flag, value = draw(DOTTED), draw(VALUE)
            return draw(SPELLING)(flag, value), (flag, value), None
        case "shared":
            flag, value = draw(SHARED_FLAG), draw(VALUE)
            return draw(SPELLING)(flag, value), None, (flag, value)
        case _:
            return [draw(PLAIN)], None, None


@given(st.lists(parts(), max_size=6), st.lists(st.text(max_size=6), max_size=3))
def test_options_leave_argv_wherever_they_are_and_all_else_stays(
    drawn: list[Part], tail: list[str]
) -> None:
    argv = [word for words, _, _ in drawn for word in words]
    found = take_apart([*argv, "--", *tail])
    kept = [words[0] for words, dotted, shared in drawn if not dotted and not shared]
    assert found.rest == (*kept, "--", *tail)
    assert [(one.flag, one.value) for one in found.dotted] == [d for _, d, _ in drawn if d]
    assert [(one.flag, one.value) for one in found.shared] == [s for _, _, s in drawn if s]
    assert take_apart(list(found.rest)) == Invocation(found.rest, found.rest)


@given(st.lists(st.text(max_size=6), max_size=4))
def test_nothing_after_two_dashes_is_touched(tail: list[str]) -> None:
    argv = ["--", "--hello.greeting=hi", "--config", *tail]
    assert take_apart(argv) == Invocation(tuple(argv), tuple(argv))


@given(st.lists(parts(), max_size=6))
def test_every_word_is_accounted_for(drawn: list[Part]) -> None:
    argv = [word for words, _, _ in drawn for word in words]
    found = take_apart(argv)
    assert found.argv == tuple(argv)
    taken = [one.position for one in (*found.dotted, *found.shared)]
    assert all(argv[at].startswith("--") for at in taken)
    assert len(set(taken)) + len(found.rest) <= len(argv)


@pytest.mark.parametrize(
    "argv, value, rest",
    [
        (["--fps.debug"], "true", ()),
        (["--fps.debug", "--json"], "true", ("--json",)),
        (["--fps.debug", "--"], "true", ("--",)),
        (["--fps.debug", "-3", "x"], "-3", ("x",)),
        (["--fps.debug", "", "x"], "", ("x",)),
        (["--fps.debug=", "x"], "", ("x",)),
        (["--fps.debug=a=b\nc"], "a=b\nc", ()),
        (["check", "--fps.debug", "yes"], "yes", ("check",)),
    ],
)
def test_value_is_attached_or_the_next_word_or_true(
    argv: list[str], value: str, rest: tuple[str, ...]
) -> None:
    found = take_apart(argv)
    assert [(one.flag, one.value) for one in found.dotted] == [("--fps.debug", value)]
    assert found.rest == rest


@pytest.mark.parametrize(
    "word", ["--port", "-a.b", "a.b", "--.b", "--a.", "--a..b", "--", "--port=a.b", "--a b.c"]
)
def test_other_words_are_not_dotted_options(word: str) -> None:
    assert take_apart([word]).rest == (word,)


@given(SHARED_FLAG, st.sampled_from([[], ["--json"], ["--"]]))
def test_shared_option_wants_a_value(flag: str, after: list[str]) -> None:
    with pytest.raises(click.UsageError, match=f"'{flag}' requires an argument"):
        take_apart(["check", flag, *after])


def test_shared_values_keep_their_order() -> None:
    found = take_apart(["--config", "a", "check", "--enable=x", "--config=b"])
    assert found.values("--config") == ["a", "b"]
    assert found.values("--enable") == ["x"]
    assert found.values("--disable") == []


@given(
    st.permutations([("--port", "1"), ("--fps.port", "2"), ("--port", "3"), ("--fps.port", "4")])
)
def test_of_named_and_dotted_options_the_later_wins(order: list[tuple[str, str]]) -> None:
    found = take_apart([word for pair in order for word in pair])
    # click keeps the last of a named option.
    port = [value for flag, value in order if flag == "--port"][-1]
    options = found.options({"--port": ("fps.port", port)})
    assert options[-1] == Option(order[-1][0], ("fps", "port"), order[-1][1])
    assert len(options) == 3
