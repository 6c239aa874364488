"""The pipeline as the commands use it: each is cut at one stage."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fps_lite.config import Config, read
from fps_lite.config.layers import plugins_named
from fps_lite.config.wording import did_you_mean
from fps_lite.effects import Effects
from fps_lite.errors import ConfigError, PluginError, StartupError, refuse, system_reason
from fps_lite.plugins import Discovery, Loaded, discover, load

from .argv import Invocation, take_apart
from .garbage import kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from fps_lite.contributions import Collected
    from fps_lite.logs import Turns
    from fps_lite.settings import FPSConfig, PluginConfig

    from .worker import Worker

C = TypeVar("C", bound="PluginConfig")
FILES = "FPS_CONFIG_FILE"
CONFIG_HOOKS = ("config", "plugin_name", "dependencies")


class Session:
    """One invocation of the command; what a plugin's command gets as `click.pass_obj`."""

    def __init__(self, invocation: Invocation, worker: Worker | None = None) -> None:
        self.invocation = invocation
        self.worker = worker
        """This process, if it is a worker of `serve`."""
        self.began_in = Origin.here()
        self._named: dict[str, tuple[str, str]] = {}
        self.root_app: str | None = None
        self.effects = Effects()
        self.turns: Turns | None = None
        """What this process takes turns by with others, to write its log."""
        self.logs_to_file = False
        """Whether `fps.logging.file` is meant for this command."""

    def enter_directory(self) -> None:
        """Change to `--directory` and put it first on `sys.path`, before anything is read."""
        for directory in self.invocation.values("--directory")[-1:]:
            try:
                os.chdir(directory)
            except OSError as error:
                message = f"--directory: {directory}: {(error.strerror or str(error)).lower()}"
                raise ConfigError(message) from None
        try:
            here = os.getcwd()  # noqa: PTH109 - sys.path holds strings
        except FileNotFoundError:
            message = "the working directory does not exist any more"
            raise StartupError(message) from None
        if here not in sys.path[:1]:
            sys.path.insert(0, here)

    def take_named(self, named: Mapping[str, tuple[str, str]]) -> None:
        """Take a command's own options as configuration: flag to dotted key and text."""
        self._named.update(named)

    def add_option(self, key: str, text: str) -> None:
        """Take a dotted option that was not given, and read the configuration anew."""
        self.invocation = take_apart([f"--{key}={text}", *self.invocation.argv])
        vars(self).pop("config", None)

    @cached_property
    def discovery(self) -> Discovery:
        """The installed plugins, not imported."""
        return discover()

    @cached_property
    def config(self) -> Config:
        """Every layer, merged; the plugins' switches are the highest."""
        files = self.invocation.values("--config")
        read_already = self.worker.config() if self.worker else None
        if read_already is not None:
            _hand_down(self.began_in.files, files)
            return read_already
        merged = read(
            directory=Path.cwd(),
            names=self.discovery.found,
            files=files,
            environ=os.environ,
            options=self.invocation.options(self._named),
        )
        _hand_down(self.began_in.files, files)
        return self._switched(merged)

    def _switched(self, config: Config) -> Config:
        for word in self.invocation.shared:
            if word.flag in ("--enable", "--disable"):
                name = known_plugin(word.value, config, self.discovery, word.flag)
                config = config.with_values(
                    word.flag, switch(config, name, on=word.flag == "--enable")
                )
        return config

    def load(self, hooks: Iterable[str] | None = None) -> Loaded:
        """Load the plugins; with `hooks`, import only what may have one of these."""
        with kept(), redirect_stdout(sys.stderr):  # what plugins print is no result
            return load(self.config, self.discovery, hooks, watch=self.effects.watch)

    @cached_property
    def loaded(self) -> Loaded:
        """Every plugin, loaded whole."""
        return self.load()

    @cached_property
    def collected(self) -> Collected:
        """Every plugin's contribution; from here on plugins may log, secrets masked."""
        from fps_lite.contributions import collect  # noqa: PLC0415 - imports Starlette

        loaded = self.loaded
        names = frozenset(one.name for one in loaded.enabled)
        self.log_as(loaded.settings, secrets=loaded.secrets, plugins=names)
        with kept(), redirect_stdout(sys.stderr):
            return collect(loaded, root=self.root_app, watches=self.effects.watches)

    def log_as(
        self,
        settings: FPSConfig,
        *,
        secrets: frozenset[str] = frozenset(),
        plugins: frozenset[str] = frozenset(),
    ) -> None:
        """Log from now on as `settings` say; raise `ConfigError` for a file that cannot be."""
        from fps_lite.logs import About, configure  # noqa: PLC0415 - not needed for less

        number = self.worker.job.number if self.worker else None
        about = About(number, settings.workers <= 1, plugins)
        to_file, turns = self.logs_to_file, self.turns
        try:
            configure(settings.logging, secrets=secrets, about=about, turns=turns, to_file=to_file)
        except OSError as error:
            where = self.config.where("fps", "logging", "file")
            reason = system_reason(error)
            message = f"{where}: fps.logging.file: {settings.logging.file}: {reason}"
            raise ConfigError(message) from None

    def config_of(self, kind: type[C], name: str | None = None) -> C:
        """Return the config of the one enabled plugin whose config is a `kind`."""
        loaded = self.load(CONFIG_HOOKS)
        refuse(loaded.errors)
        found: C = loaded.config_of(kind, name)
        return found

    @asynccontextmanager
    async def running(self, *names: str) -> AsyncIterator[Mapping[str, Any]]:
        """Run the lifespans of the named plugins and of what they require; yield the state."""
        from fps_lite.app import problems  # noqa: PLC0415 - imports Starlette
        from fps_lite.composition import lifespans_of  # noqa: PLC0415 - as above

        refuse(problems(self.collected))
        known = [known_plugin(name, self.config, self.discovery, "running") for name in names]
        refuse(self._not_running(known))
        lifespans = lifespans_of(self.collected, names=known)
        async with lifespans.running():
            yield lifespans.state

    def _not_running(self, names: Iterable[str]) -> list[PluginError]:
        plugins = [self.loaded.plugins[name] for name in names]
        return [
            PluginError(f"{one.found} does not run: {one.disabled or one.failure}")
            for one in plugins
            if one.disabled or one.failure
        ]


@dataclass(frozen=True)
class Origin:
    """What a process finds, and changes for its children: a second one begins with this."""

    directory: str
    files: str | None
    """`FPS_CONFIG_FILE`."""

    @classmethod
    def here(cls) -> Origin:
        """Return what this process has now."""
        try:
            directory = os.getcwd()  # noqa: PTH109 - as above
        except FileNotFoundError:
            directory = ""
        return cls(directory, os.environ.get(FILES))

    def environ(self) -> dict[str, str]:
        """Return the environment, for one that reads the same files."""
        now = {name: value for name, value in os.environ.items() if name != FILES}
        return now if self.files is None else {**now, FILES: self.files}


def known_plugin(written: str, config: Config, discovery: Discovery, where: str) -> str:
    """Return the plugin's name as it is spelled, or raise `ConfigError` with a hint."""
    name = written.replace("-", "_")
    known = [*discovery.found, *plugins_named(config.layers)]
    if name in known:
        return name
    message = f'{where}: no plugin "{written}"{did_you_mean(name, known)}'
    raise ConfigError(message)


def switch(config: Config, name: str, *, on: bool) -> dict[str, Any]:
    """Return the values that enable or disable a plugin on top of `config`."""
    from fps_lite.settings import Selection  # noqa: PLC0415

    selection = config.decode("fps", Selection, only_known=True).value or Selection()
    disabled = [one for one in selection.disabled_plugins if one.replace("-", "_") != name]
    if not on:
        return {"fps": {"disabled_plugins": [*disabled, name]}}
    lists: dict[str, Any] = {"disabled_plugins": disabled}
    enabled = selection.enabled_plugins
    if enabled and name not in (one.replace("-", "_") for one in enabled):
        lists["enabled_plugins"] = [*enabled, name]
    return {"fps": lists, name: {"enabled": True}}


def _hand_down(old: str | None, files: list[str]) -> None:
    """Let child processes read the same files: `FPS_CONFIG_FILE`, absolute."""
    if files:
        absolute = [str(Path(file).absolute()) for file in files]
        os.environ[FILES] = os.pathsep.join([*([old] if old else []), *absolute])
