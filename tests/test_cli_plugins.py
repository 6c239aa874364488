"""`plugins`, and the two of its commands that write a file."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from fps_lite.cli.edit import switch_in_file
from fps_lite.config import read

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]

NOTES = """
from fps_lite import hookimpl

@hookimpl
def routes():
    return []
"""


def names(directory: Path) -> list[str]:
    return sorted(one.name for one in directory.iterdir())


def listed(cli: Cli, *argv: str) -> dict[str, dict[str, Any]]:
    found = cli("plugins", "--json", *argv)
    return {row["name"]: row for row in json.loads(found.stdout)}


def test_list_says_what_is_installed_and_what_became_of_it(cli: Cli, site: Site) -> None:
    site.plugin("notes", NOTES, version="2.1")
    site.plugin("broken", "import nowhere")
    site.plugin("off", "raise SystemExit('imported')")
    found = cli("plugins", "--off.enabled=false", "--notes.enabled=true")
    assert (found.returncode, found.stderr) == (0, "")
    head, *rows = (re.split(r"  +", line) for line in found.stdout.splitlines())
    assert head == ["name", "state", "distribution", "hooks", "reason"]
    by_name = {row[0]: row[1:] for row in rows}
    assert list(by_name) == sorted(by_name)
    assert {"broken", "hello", "notes", "off", "static"} <= set(by_name)
    assert by_name["notes"] == ["enabled", "notes 2.1", "routes"]
    assert by_name["off"] == ["disabled", "off 1.0", "off.enabled is false (--off.enabled)"]
    assert by_name["broken"][:2] == ["failed", "broken 1.0"]
    assert "No module named 'nowhere'" in by_name["broken"][2]


def test_list_as_json_has_the_same_facts(cli: Cli, site: Site, work: Path) -> None:
    site.plugin("notes", NOTES, version="2.1")
    (work / "loose.py").write_text(NOTES)
    rows = listed(cli, "--fps.plugins.loose=loose", "--disable=hello")
    assert rows["notes"] == {
        "name": "notes", "state": "enabled", "reason": "", "distribution": "notes",
        "version": "2.1", "source": ["notes_plugin"], "hooks": ["routes"],
    }  # fmt: skip
    assert rows["hello"]["state"] == "disabled"
    assert rows["hello"]["reason"].startswith("in fps.disabled_plugins (")
    assert (rows["loose"]["distribution"], rows["loose"]["source"]) == ("", ["loose"])


def test_list_tells_of_faults_that_are_no_single_plugins(cli: Cli, site: Site) -> None:
    site.install("one", {"fps_lite.plugins": {"same": "one_plugin"}}, {"one_plugin": NOTES})
    site.install("two", {"fps_lite.plugins": {"same": "two_plugin"}}, {"two_plugin": NOTES})
    found = cli("plugins")
    assert found.returncode == 4
    assert "hello" in found.stdout
    assert re.search(r"\bone\b.*\btwo\b", found.stderr)


def test_list_is_shown_although_configuration_is_wrong(cli: Cli, work: Path) -> None:
    (work / "fps.toml").write_text("[fps]\nprot = 1\n")
    found = cli("plugins", "--json")
    assert found.returncode == 3
    assert {row["name"] for row in json.loads(found.stdout)} >= {"hello", "static"}
    assert found.stderr.startswith("fps.toml:2:1: fps.prot: unknown key")


COMMENTED = """\
# The server.
[fps]  # core
port = 9000   # high
disabled_plugins = [
    "static",   # not yet
    # until the disk is there
]

[hello]
greeting = 'hi' # short
"""


def test_edit_keeps_comments_layout_and_mode(cli: Cli, work: Path) -> None:
    file = work / "fps.toml"
    file.write_text(COMMENTED)
    file.chmod(0o640)
    found = cli("plugins", "disable", "hello")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == 'fps.toml: plugin "hello" is disabled\n'
    text = file.read_text()
    assert [line for line in COMMENTED.splitlines() if line not in text.splitlines()] == []
    assert tomllib.loads(text)["fps"]["disabled_plugins"] == ["static", "hello"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert listed(cli)["hello"]["state"] == "disabled"
    assert cli("plugins", "enable", "hello").returncode == 0
    assert listed(cli)["hello"]["state"] == "enabled"
    assert tomllib.loads(file.read_text()) == tomllib.loads(COMMENTED)
    assert names(work) == ["fps.toml"]


@pytest.mark.parametrize("verb", ["enable", "disable"])
@pytest.mark.parametrize("text", [COMMENTED, "", COMMENTED.replace("\n", "\r\n"), "\ufeff[fps]\n"])
def test_second_edit_leaves_the_bytes_alone(cli: Cli, work: Path, verb: str, text: str) -> None:
    file = work / "fps.toml"
    file.write_bytes(text.encode())
    assert cli("plugins", verb, "hello").returncode == 0
    once, inode = file.read_bytes(), file.stat().st_ino
    if verb == "enable":
        assert once == text.encode()
    assert cli("plugins", verb, "hello").returncode == 0
    assert file.read_bytes() == once
    assert file.stat().st_ino == inode
    assert set(text.encode().split(b"\n")) - {b""} <= set(once.split(b"\n"))


def test_nothing_to_say_makes_no_file(cli: Cli, work: Path) -> None:
    assert cli("plugins", "enable", "hello").returncode == 0
    assert names(work) == []
    assert cli("plugins", "disable", "hello").returncode == 0
    assert tomllib.loads((work / "fps.toml").read_text()) == {
        "fps": {"disabled_plugins": ["hello"]}
    }


@pytest.mark.parametrize(
    "before, verb, after",
    [
        ("[fps]\nenabled_plugins = ['static']\n", "enable",
         {"fps": {"enabled_plugins": ["static", "hello"]}}),
        ("[fps]\nenabled_plugins = []\n", "enable", {"fps": {"enabled_plugins": []}}),
        ("[fps]\nenabled_plugins = ['hello']\n", "disable",
         {"fps": {"enabled_plugins": ["hello"], "disabled_plugins": ["hello"]}}),
        ("[hello]\nenabled = false # why\n", "enable", {"hello": {"enabled": True}}),
        ("fps.port = 1\n", "disable", {"fps": {"port": 1, "disabled_plugins": ["hello"]}}),
        ("fps = {port = 1}\n", "disable", {"fps": {"port": 1, "disabled_plugins": ["hello"]}}),
        ("[fps.logging]\nlevel = 'info'\n", "disable",
         {"fps": {"logging": {"level": "info"}, "disabled_plugins": ["hello"]}}),
        ("[fps]\nport = 1\n[hello]\n[fps.logging]\n", "disable",
         {"fps": {"port": 1, "logging": {}, "disabled_plugins": ["hello"]}, "hello": {}}),
        ("[hello]\nenabled = false\n[fps]\ndisabled_plugins = ['hello', 'static']", "enable",
         {"hello": {"enabled": True}, "fps": {"disabled_plugins": ["static"]}}),
    ],
)  # fmt: skip
def test_edit_says_what_is_wanted_and_no_more(
    cli: Cli, work: Path, before: str, verb: str, after: dict[str, Any]
) -> None:
    (work / "fps.toml").write_text(before)
    found = cli("plugins", verb, "hello")
    assert (found.returncode, found.stderr) == (0, "")
    assert tomllib.loads((work / "fps.toml").read_text()) == after
    assert listed(cli)["hello"]["state"] == f"{verb}d"


def test_names_may_be_spelled_with_dashes(cli: Cli, site: Site, work: Path) -> None:
    site.plugin("my_notes", NOTES)
    (work / "fps.toml").write_text(
        '[fps]\ndisabled_plugins = ["my-notes"]\n[my-notes]\nenabled = false\n'
    )
    assert cli("plugins", "enable", "my-notes").returncode == 0
    assert tomllib.loads((work / "fps.toml").read_text()) == {
        "fps": {"disabled_plugins": []},
        "my-notes": {"enabled": True},
    }
    assert listed(cli)["my_notes"]["state"] == "enabled"


def test_edit_goes_through_a_symlink(cli: Cli, work: Path) -> None:
    (work / "etc").mkdir()
    (work / "etc" / "real.toml").write_text("# kept\n")
    (work / "fps.toml").symlink_to("etc/real.toml")
    assert cli("plugins", "disable", "hello").returncode == 0
    assert (work / "fps.toml").is_symlink()
    assert (work / "etc" / "real.toml").read_text().startswith("# kept\n")
    assert "hello" in (work / "etc" / "real.toml").read_text()
    assert names(work / "etc") == ["real.toml"]


@pytest.mark.parametrize(
    "text, said",
    [
        ("[fps\n", "fps.toml:1:5: invalid TOML"),
        ("fps = 1\n", "fps.toml:1:7: fps: expected table"),
        ('[fps]\ndisabled_plugins = "x"\n', "fps.disabled_plugins: expected array"),
        ("[hello]\nenabled = 1\n", "fps.toml:2:11: hello.enabled: expected bool"),
    ],
)
@pytest.mark.parametrize("verb", ["enable", "disable"])
def test_broken_file_is_refused_and_stays_as_it_is(
    cli: Cli, work: Path, verb: str, text: str, said: str
) -> None:
    (work / "fps.toml").write_text(text)
    found = cli("plugins", verb, "hello")
    assert (found.returncode, found.stdout) == (3, "")
    assert said in found.stderr
    assert (work / "fps.toml").read_text() == text
    assert names(work) == ["fps.toml"]


def test_unknown_plugin_is_refused_with_a_hint(cli: Cli, work: Path) -> None:
    found = cli("plugins", "disable", "helo")
    assert found.returncode == 3
    assert found.stderr == 'plugins disable: no plugin "helo" (did you mean "hello"?)\n'
    assert names(work) == []


def test_file_that_a_higher_layer_beats_is_said(cli: Cli, work: Path) -> None:
    env = {**os.environ, "FPS_LITE__FPS__DISABLED_PLUGINS": "hello"}
    found = cli("plugins", "enable", "hello", env=env)
    assert found.returncode == 3
    assert "still not enabled: in fps.disabled_plugins" in found.stderr
    assert "Traceback" not in found.stderr
    assert (work / "fps.toml").exists()


@pytest.mark.skipif(os.getuid() == 0, reason="root writes everywhere")
def test_directory_that_cannot_be_written_is_said(cli: Cli, work: Path) -> None:
    work.chmod(0o500)
    found = cli("plugins", "disable", "hello")
    work.chmod(0o700)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == "fps.toml: cannot be written: permission denied\n"


def test_failed_write_leaves_the_file_and_nothing_beside_it(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fps_lite.errors import StartupError

    file = work / "fps.toml"
    file.write_text(COMMENTED)
    config = read(directory=work, environ={}, names=["hello"])
    monkeypatch.setattr(type(file), "replace", _no_space)
    with pytest.raises(StartupError, match="no space left"):
        switch_in_file(file, "hello", config, on=False)
    assert file.read_text() == COMMENTED
    assert names(work) == ["fps.toml"]


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_disabling_a_plugin_needs_no_import_of_it(cli: Cli, site: Site) -> None:
    site.plugin("broken", "import os; print('imported')")
    found = cli("plugins", "disable", "broken")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == 'fps.toml: plugin "broken" is disabled\n'
    found = cli("plugins", "enable", "broken")
    assert "imported" not in found.stdout


NAME = st.sampled_from(["hello", "static", "other"])
NAMES = st.lists(NAME, max_size=3, unique=True)


@given(
    st.fixed_dictionaries({}, optional={"enabled_plugins": NAMES, "disabled_plugins": NAMES}),
    st.one_of(st.none(), st.booleans()),
    st.booleans(),
)
def test_any_lists_end_up_as_wanted(
    tmp_path_factory: pytest.TempPathFactory,
    lists: dict[str, list[str]],
    enabled: bool | None,  # noqa: FBT001
    on: bool,  # noqa: FBT001
) -> None:
    work = tmp_path_factory.mktemp("lists")
    document: dict[str, Any] = {"fps": lists}
    if enabled is not None:
        document["hello"] = {"enabled": enabled}
    file = work / "fps.toml"
    file.write_text(tomlkit.dumps(document))
    for _ in range(2):
        config = read(directory=work, environ={}, names=["hello"], shared_directories=[])
        switch_in_file(file, "hello", config, on=on)
    after = tomllib.loads(file.read_text())
    fps = after.get("fps", {})
    wide = fps.get("enabled_plugins", [])
    takes_part = (
        "hello" not in fps.get("disabled_plugins", [])
        and (not wide or "hello" in wide)
        and after.get("hello", {}).get("enabled", True)
    )
    if on:
        assert takes_part
    else:
        assert "hello" in fps["disabled_plugins"]
    # Nobody else is touched.
    assert [n for n in wide if n != "hello"] == [
        n for n in lists.get("enabled_plugins", []) if n != "hello"
    ]
    assert [n for n in fps.get("disabled_plugins", []) if n != "hello"] == [
        n for n in lists.get("disabled_plugins", []) if n != "hello"
    ]


def test_edit_keeps_the_line_ends_of_the_file(cli: Cli, work: Path) -> None:
    (work / "fps.toml").write_bytes(b"# mine\r\n[fps]\r\nport = 1\r\n")
    assert cli("plugins", "disable", "hello").returncode == 0
    text = (work / "fps.toml").read_bytes()
    assert b"hello" in text
    assert text.count(b"\n") == text.count(b"\r\n") > 3


def test_edit_keeps_the_owner_of_the_file(cli: Cli, work: Path) -> None:
    file = work / "fps.toml"
    file.write_text("# mine\n")
    try:
        os.chown(file, 65534, 65534)
    except PermissionError:
        pytest.skip("only root can give files away")
    assert cli("plugins", "disable", "hello").returncode == 0
    assert (file.stat().st_uid, file.stat().st_gid) == (65534, 65534)


def test_edit_refuses_a_read_only_file(cli: Cli, work: Path) -> None:
    file = work / "fps.toml"
    file.write_text("# mine\n")
    file.chmod(0o444)
    found = cli("plugins", "disable", "hello")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == "fps.toml: cannot be written: it is read-only\n"
    assert file.read_text() == "# mine\n"


def test_edit_refuses_a_file_whose_table_has_other_faults(cli: Cli, work: Path) -> None:
    file = work / "fps.toml"
    file.write_text('[fps]\ndisabled-plugins = ["static"]\n')
    found = cli("plugins", "disable", "hello")
    assert found.returncode == 3
    assert 'unknown key (did you mean "disabled_plugins"?)' in found.stderr
