"""Errors are values until they are refused, all at once; each branch is one exit code."""

from __future__ import annotations

import pytest

from fps_lite.errors import ConfigError, FPSError, PluginError, StartupError, refuse


@pytest.mark.parametrize(
    "kind, code", [(FPSError, 1), (ConfigError, 3), (PluginError, 4), (StartupError, 1)]
)
def test_each_branch_has_its_exit_code(kind: type[FPSError], code: int) -> None:
    assert issubclass(kind, FPSError)
    assert kind.exit_code == code


def test_an_error_shows_one_line_for_each_problem() -> None:
    error = PluginError("first", "second")
    assert error.problems == ("first", "second")
    assert str(error) == "first\nsecond"


def test_nothing_wrong_is_not_refused() -> None:
    refuse([])


def test_all_problems_are_refused_at_once_and_configuration_comes_first() -> None:
    found = [StartupError("s"), PluginError("p1"), ConfigError("c1", "c2"), PluginError("p2")]
    with pytest.raises(ConfigError) as refused:
        refuse(iter(found))
    assert refused.value.problems == ("c1", "c2", "p1", "p2", "s")


@pytest.mark.parametrize("kind", [FPSError, StartupError, PluginError, ConfigError])
def test_what_is_refused_has_the_kind_of_its_gravest_error(kind: type[FPSError]) -> None:
    with pytest.raises(FPSError) as refused:
        refuse([FPSError("whatever"), kind("x")])
    assert type(refused.value) is kind
    assert sorted(refused.value.problems) == ["whatever", "x"]


def test_the_same_problem_is_said_once() -> None:
    with pytest.raises(PluginError) as refused:
        refuse([PluginError("same"), PluginError("same", "other")])
    assert refused.value.problems == ("same", "other")
