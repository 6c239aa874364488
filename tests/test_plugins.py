"""Plugins are found by their entry points, selected, imported and configured."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fps_lite import HookType, PluginConfig, PluginError, hookimpl
from fps_lite.config import from_mapping
from fps_lite.errors import ConfigError
from fps_lite.plugins import Discovery, Loaded, discover, from_objects, load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import Site

GROUP = HookType.PLUGIN.value
ROUTES = """
    from fps_lite import hookimpl

    @hookimpl
    def routes():
        return []
"""


def loaded(
    config: Mapping[str, Any] | None = None,
    discovery: Discovery | None = None,
    groups: list[str] | None = None,
) -> Loaded:
    found = discover() if discovery is None else discovery
    return load(from_mapping(config or {}, directory=Path.cwd()), found, groups)


def lines(subject: Loaded | Discovery) -> list[str]:
    return [problem for error in subject.errors for problem in error.problems]


def hooks(subject: Loaded, name: str) -> list[str]:
    return [hook.name for hook in subject.plugins[name].hooks]


def ours(subject: Discovery) -> list[str]:
    """Return the names that were found, but for what else this Python has installed."""
    return [name for name in subject.found if "test" in name or name in "abcz"]


# Where they come from


def test_a_plugin_is_named_after_its_entry_point(site: Site) -> None:
    site.plugin("a", ROUTES, version="1.2")
    found = discover().found["a"]
    assert (found.name, found.distribution, found.version) == ("a", "a", "1.2")
    assert str(found) == 'plugin "a" (a 1.2)'
    assert "a_plugin" not in sys.modules


def test_a_hyphen_in_a_name_is_an_underscore(site: Site) -> None:
    site.install("d", {GROUP: {"my-test": "m"}}, {"m": ROUTES})
    assert ours(discover()) == ["my_test"]
    assert loaded({"my-test": {"prefix": "/x"}}).plugins["my_test"].settings.prefix == "/x"


def test_each_group_collects_its_hooks_from_the_object_it_names(site: Site) -> None:
    config = """
        from fps_lite import PluginConfig
        from fps_lite.hooks import register_config

        config = register_config(PluginConfig)
    """
    lives = "from fps_lite import hookimpl\n@hookimpl\nasync def lifespan():\n    yield"
    points = {
        HookType.CONFIG.value: {"a": "a_pkg.conf"},
        HookType.ROUTES.value: {"a": "a_pkg.pages"},
        HookType.LIFESPAN.value: {"a": "a_pkg.lives"},
    }
    modules = {"a_pkg.conf": config, "a_pkg.pages": ROUTES, "a_pkg.lives": lives}
    site.install("a", points, modules)
    assert sorted(hooks(loaded(), "a")) == ["config", "lifespan", "routes"]
    assert lines(loaded()) == []


def test_only_the_groups_that_are_wanted_are_imported(site: Site) -> None:
    light = "from fps_lite.hooks import register_config\nfrom fps_lite import PluginConfig\n"
    light += "config = register_config(PluginConfig)"
    points = {HookType.CONFIG.value: {"a": "a_light"}, HookType.ROUTES.value: {"a": "a_heavy"}}
    site.install("a", points, {"a_light": light, "a_heavy": "raise ImportError('heavy')"})
    assert lines(loaded(groups=["config"])) == []
    assert "a_heavy" not in sys.modules
    assert "heavy" in lines(loaded())[0]


def test_one_object_may_be_named_in_several_groups(site: Site) -> None:
    source = """
        from fps_lite import hookimpl

        made = []

        class Plugin:
            def __init__(self):
                made.append(self)

            @hookimpl
            def routes(self):
                return []

            @hookimpl
            def commands(self):
                return []
    """
    points = {GROUP: {"a": "a_mod:Plugin"}, HookType.CLI.value: {"a": "a_mod:Plugin"}}
    site.install("a", points, {"a_mod": source})
    subject = loaded()
    assert lines(subject) == []
    assert sorted(hooks(subject, "a")) == ["commands", "routes"]
    assert len(sys.modules["a_mod"].made) == 1


def test_one_object_under_two_references_is_inspected_once(site: Site) -> None:
    source = ROUTES + "\n    @hookimpl\n    def commands():\n        return []\n"
    source += "    import sys\n    this = sys.modules[__name__]\n"
    site.install(
        "a", {GROUP: {"a": "a_mod"}, HookType.CLI.value: {"a": "a_mod:this"}}, {"a_mod": source}
    )
    assert sorted(hooks(loaded(), "a")) == ["commands", "routes"]


def test_a_hook_of_another_group_is_refused(site: Site) -> None:
    site.install("a", {HookType.LIFESPAN.value: {"a": "a_mod"}}, {"a_mod": ROUTES})
    (said,) = lines(loaded())
    assert said.startswith('plugin "a" (a 1.0): a_mod: hook "routes" is collected from the group')


def test_one_name_from_two_distributions_is_refused_naming_both(site: Site) -> None:
    site.install("one", {GROUP: {"a": "m"}}, version="1.0")
    site.install("two", {HookType.CLI.value: {"a": "m"}}, version="2.0")
    assert lines(discover()) == ['two distributions name a plugin "a": one 1.0, two 2.0']
    assert "a" not in discover().found


def test_two_spellings_of_one_name_in_a_group_are_refused(site: Site) -> None:
    site.install("d", {GROUP: {"my-test": "m", "my_test": "n"}})
    assert lines(discover()) == ['plugin "my_test" is named twice in one group: d 1.0']


@pytest.mark.parametrize("name", ["Upper", "a__b", "_a", "a_", "a.b", "ä", "a b"])
def test_a_name_that_is_none_is_refused(site: Site, name: str) -> None:
    site.install("d", {GROUP: {name: "m"}})
    assert "use lower-case letters, digits and single _: d 1.0" in lines(discover())[0]


@pytest.mark.parametrize("name", ["fps", "pyproject"])
def test_a_reserved_name_is_refused(site: Site, name: str) -> None:
    site.install("d", {GROUP: {name: "m"}})
    assert lines(discover()) == [f'"{name}" is reserved and cannot name a plugin: d 1.0']


def test_a_distribution_twice_on_the_path_counts_once(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.plugin("a", ROUTES)
    other = type(site)(tmp_path)
    other.plugin("a", ROUTES, version="0.9")
    monkeypatch.syspath_prepend(str(tmp_path))
    discovery = discover()
    assert lines(discovery) == []
    assert discovery.found["a"].version == "0.9"
    monkeypatch.setattr(sys, "path", [*sys.path, str(site.path)])
    assert discover().found["a"].version == "0.9"


def test_discovery_does_not_depend_on_the_order_of_the_file_system(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("z_test", "a_test", "m_test"):
        points = {GROUP: {name: f"{name}_m"}, HookType.CLI.value: {name: f"{name}_c"}}
        site.install(name, points, {f"{name}_m": ROUTES})
    real = os.listdir
    seen = []
    for key in (sorted, lambda names: sorted(names, reverse=True)):
        monkeypatch.setattr(os, "listdir", lambda path=".", key=key: key(real(path)))
        sys.path_importer_cache.clear()
        __import__("importlib").invalidate_caches()
        found = discover().found
        seen.append([(one, [source.reference for source in found[one].sources]) for one in found])
    assert seen[0] == seen[1]
    assert ours(discover()) == ["a_test", "m_test", "z_test"]


def test_a_disabled_plugin_is_not_imported(site: Site) -> None:
    site.plugin("a", "raise SystemExit('imported')")
    for config in (
        {"a": {"enabled": False, "anything": "goes"}},
        {"fps": {"disabled_plugins": ["a"]}},
        {"fps": {"enabled_plugins": ["b_test"]}},
        {"fps": {"enabled_plugins": ["a"], "disabled_plugins": ["a"]}},
    ):
        subject = loaded(config)
        assert [line for line in lines(subject) if "b_test" not in line] == []
        assert subject.plugins["a"].disabled
        assert "a" not in subject.order.names
    assert "a_plugin" not in sys.modules


@pytest.mark.parametrize(
    "source, reason",
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of"),
        ("def broken(:", "SyntaxError: "),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise ValueError('a\\nb')", "ValueError: a b"),
    ],
)
def test_a_plugin_that_fails_to_import_is_named_with_its_reason(
    site: Site, source: str, reason: str
) -> None:
    site.plugin("a", source, version="2.1")
    site.plugin("b", ROUTES)
    subject = loaded()
    (said,) = lines(subject)
    assert said.startswith(f'plugin "a" (a 2.1): cannot import a_plugin: {reason}')
    assert "a_plugin.py:1" in said
    assert hooks(subject, "b") == ["routes"]


def test_an_object_that_is_not_there_is_an_import_error(site: Site) -> None:
    site.install("a", {GROUP: {"a": "a_mod:Missing"}}, {"a_mod": ROUTES})
    assert "cannot import a_mod:Missing: AttributeError: " in lines(loaded())[0]


def test_all_that_fail_are_named_at_once(site: Site) -> None:
    for name in "abc":
        site.plugin(name, "1 / 0")
    assert [line[:10] for line in lines(loaded())] == ['plugin "a"', 'plugin "b"', 'plugin "c"']


def test_an_isolated_plugin_that_fails_is_no_error(site: Site) -> None:
    site.plugin("a", "1 / 0")
    subject = loaded({"a": {"on_failure": "isolate"}})
    assert lines(subject) == []
    assert "ZeroDivisionError" in subject.plugins["a"].failure
    assert subject.order.names == tuple(subject.plugins)


def test_a_class_is_made_without_arguments_and_must_be(site: Site) -> None:
    source = """
        class Plugin:
            def __init__(self, path):
                pass
    """
    site.install("a", {GROUP: {"a": "a_mod:Plugin"}}, {"a_mod": source})
    (said,) = lines(loaded())
    assert "a_mod:Plugin: cannot be made without arguments: TypeError" in said


# Plugins without packaging


def test_a_module_is_a_plugin_without_packaging(site: Site) -> None:
    site.module("notes_mod", ROUTES)
    site.module("pkg.sub", ROUTES + "\n    class Plugin:\n        routes = staticmethod(routes)\n")
    config = {"fps": {"plugins": {"notes": "notes_mod", "obj": "pkg.sub:Plugin"}}}
    subject = loaded(config)
    assert lines(subject) == []
    assert hooks(subject, "notes") == hooks(subject, "obj") == ["routes"]
    assert str(subject.plugins["notes"].found) == 'plugin "notes"'


def test_a_second_instance_has_its_own_table(site: Site) -> None:
    site.install("a", {GROUP: {"a": "a_mod"}}, {"a_mod": ROUTES})
    tables = {"a": {"prefix": "/a"}, "blog": {"prefix": "/blog"}}
    subject = loaded({"fps": {"plugins": {"blog": "a_mod"}}, **tables})
    assert lines(subject) == []
    assert [subject.plugins[name].settings.prefix for name in tables] == ["/a", "/blog"]


@pytest.mark.parametrize(
    "name, reference, said",
    [
        ("a", "m", 'there is already a plugin "a" (a 1.0)'),
        ("fps", "m", '"fps" is reserved'),
        ("Upper", "m", "use lower-case letters"),
        ("notes", "no module", 'expected "module" or "module:object"'),
        ("notes", "m:", 'expected "module" or "module:object"'),
        ("notes", "./m.py", 'expected "module" or "module:object"'),
    ],
)
def test_a_faulty_line_of_fps_plugins_is_a_config_error(
    site: Site, name: str, reference: str, said: str
) -> None:
    site.plugin("a", ROUTES)
    subject = loaded({"fps": {"plugins": {name: reference}}})
    (error,) = subject.errors
    assert isinstance(error, ConfigError)
    assert str(error).startswith(f"config: fps.plugins.{name}: ")
    assert said in str(error)


def test_a_module_that_is_not_there_is_a_plugin_error(site: Site) -> None:  # noqa: ARG001
    (said,) = lines(loaded({"fps": {"plugins": {"notes": "no_such_module"}}}))
    assert said.startswith('plugin "notes": cannot import no_such_module: ModuleNotFoundError')


# As objects


def plugin(**marked: Any) -> Any:
    return SimpleNamespace(**{name: hookimpl(function) for name, function in marked.items()})


def test_objects_are_named_by_their_key_their_hook_or_their_module() -> None:
    class Widget:
        @hookimpl
        def routes(self) -> list[Any]:
            return []

    made = ModuleType("some.where.fps_notes")
    made.routes = hookimpl(lambda: None)  # type: ignore[attr-defined]
    Widget.__name__ = "widget"
    named = plugin(plugin_name=lambda: "my-own")
    assert sorted(from_objects([made, named, Widget]).found) == ["my_own", "notes", "widget"]
    assert list(from_objects({"x-y": named}).found) == ["x_y"]


def test_two_objects_of_one_name_are_refused() -> None:
    same = [plugin(plugin_name=lambda: "a"), plugin(plugin_name=lambda: "a")]
    assert "two plugins are named" in lines(from_objects(same))[0]


def test_an_object_without_a_name_is_refused_with_what_is_wrong_with_it() -> None:
    assert "cannot name a plugin" in lines(from_objects([plugin(routes=lambda: None)]))[0]
    assert "no hook" in lines(from_objects([plugin(routs=lambda: None)]))[0]


def test_a_class_in_a_list_that_needs_arguments_is_refused() -> None:
    class Plugin:
        def __init__(self, path: str) -> None: ...

    (error,) = from_objects([Plugin]).errors
    assert isinstance(error, PluginError)
    assert "cannot be made without arguments" in str(error)


def test_a_class_in_a_list_is_made_once() -> None:
    made: list[object] = []

    class Plugin:
        def __init__(self) -> None:
            made.append(self)

        @hookimpl
        def plugin_name(self) -> str:
            return "p"

    assert hooks(loaded({}, from_objects([Plugin])), "p") == ["plugin_name"]
    assert len(made) == 1


# What a plugin says of itself


def one(table: Mapping[str, Any] | None = None, /, **marked: Any) -> Loaded:
    return loaded(table, from_objects({"a": plugin(**marked)}))


def test_a_plugin_behind_an_entry_point_must_not_name_itself_otherwise(site: Site) -> None:
    source = "from fps_lite.hooks import *\nname = register_plugin_name('{}')"
    site.plugin("my_test", source.format("my-test"))
    assert lines(loaded()) == []
    site.plugin("a", source.format("b"))
    assert lines(loaded()) == [
        'plugin "a" (a 1.0): its hook "plugin_name" says "b", its entry point "a"'
    ]


class Open(PluginConfig, frozen=True, forbid_unknown_fields=False):
    pass


class Again(PluginConfig, frozen=True):
    prefix: str = "/mine"


class Greeting(PluginConfig, frozen=True):
    greeting: str = "hello"


@pytest.mark.parametrize(
    "marked, said",
    [
        ({"plugin_name": lambda: 5}, 'hook "plugin_name" returned 5, not a name'),
        ({"config": lambda: dict}, "hook \"config\" returned <class 'dict'>, not a subclass"),
        ({"config": lambda: Greeting(prefix="/x")}, 'hook "config" returned Greeting('),
        ({"config": lambda: Open}, "Open must stay frozen and forbid unknown fields"),
        ({"config": lambda: Again}, "Again redefines prefix"),
        ({"config": lambda: 1 / 0}, 'hook "config": ZeroDivisionError: division by zero'),
        ({"dependencies": lambda: ["b"]}, "returned ['b'], not Dependencies(…)"),
    ],
)
def test_a_wrong_answer_is_named(marked: dict[str, Any], said: str) -> None:
    (line,) = lines(one(**marked))
    assert line.startswith('plugin "a": ')
    assert said in line


@pytest.mark.parametrize("names", ["b", [1]])
def test_dependencies_are_lists_of_names(names: Any) -> None:
    from fps_lite import Dependencies

    (line,) = lines(one(dependencies=lambda: Dependencies(requires=names)))
    assert "Dependencies(requires=…) is no list of names" in line


def test_a_table_is_decoded_to_what_the_plugin_declares() -> None:
    subject = one({"a": {"greeting": "hi", "prefix": "/x"}}, config=lambda: Greeting)
    assert subject.plugins["a"].config == Greeting(greeting="hi", prefix="/x")
    assert subject.plugins["a"].settings == PluginConfig(prefix="/x")


def test_every_plugin_has_its_three_keys_whether_it_declares_a_config_or_not() -> None:
    subject = one({"a": {"prefix": "/x"}}, routes=lambda: None)
    assert subject.plugins["a"].config == PluginConfig(prefix="/x")
    (line,) = lines(one({"a": {"greeting": "hi"}}, routes=lambda: None))
    assert line.startswith("config: a.greeting: unknown key")


def test_dependencies_may_follow_from_the_config() -> None:
    from fps_lite import Dependencies

    subject = one(
        {"a": {"greeting": "b"}},
        config=lambda: Greeting,
        dependencies=lambda config: Dependencies(requires=[config.greeting]),
    )
    assert lines(subject) == ['plugin "a" requires "b", which no enabled plugin provides']


def test_config_of_gives_the_one_config_of_a_type() -> None:
    both = {name: plugin(config=lambda: Greeting) for name in ("a", "b")}
    subject = loaded(
        {"a": {"greeting": "hi"}}, from_objects({**both, "c": plugin(routes=lambda: None)})
    )
    assert subject.config_of(Greeting, "a").greeting == "hi"
    with pytest.raises(PluginError, match='several plugins have one: "a", "b"'):
        subject.config_of(Greeting)
    with pytest.raises(PluginError, match="no enabled plugin has one"):
        subject.config_of(Again)
    with pytest.raises(PluginError, match="no enabled plugin has one"):
        subject.config_of(Greeting, "c")
    off = loaded({"b": {"enabled": False}}, from_objects(both))
    assert off.config_of(Greeting) == Greeting()


# The lists


@pytest.mark.parametrize("key", ["enabled_plugins", "disabled_plugins"])
def test_an_unknown_name_in_a_list_is_refused(key: str) -> None:
    subject = loaded({"fps": {key: ["a", "aa"]}}, from_objects({"a": plugin(routes=lambda: None)}))
    (error,) = subject.errors
    assert isinstance(error, ConfigError)
    assert str(error) == f'config: fps.{key}[1]: no plugin "aa" (did you mean "a"?)'


@pytest.mark.parametrize(
    "required, said",
    [
        ("a", ""),
        ("A", ""),
        ("a>=1.2,<2", ""),
        ("a>=2", "is required as >=2, installed is 1.3"),
        ("b", "is required and not installed"),
        ("off", "is required and not enabled: off.enabled is false"),
        (">=2", "expected a name and a version range"),
    ],
)
def test_a_required_plugin_must_be_there_in_its_version(
    site: Site, required: str, said: str
) -> None:
    site.plugin("a", ROUTES, version="1.3")
    site.plugin("off", ROUTES)
    config = {"fps": {"required_plugins": [required]}, "off": {"enabled": False}}
    found = lines(loaded(config))
    assert bool(found) is bool(said)
    assert not said or said in found[0]


def test_nothing_is_imported_while_the_lists_are_faulty(site: Site) -> None:
    site.plugin("a", "raise SystemExit('imported')")
    (error,) = loaded({"fps": {"disabled_plugins": "a"}}).errors
    assert isinstance(error, ConfigError)
    assert "a_plugin" not in sys.modules


def test_the_table_of_a_plugin_that_failed_is_not_checked_further(site: Site) -> None:
    site.plugin("a", "1 / 0")
    (said,) = lines(loaded({"a": {"whatever": 1}}))
    assert "ZeroDivisionError" in said
