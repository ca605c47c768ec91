"""Settings: a frozen struct, read from the environment once, all mistakes reported together.

Owns how a field says its variable, its parser and its help, and how structs of such fields are loaded and described. The
groups that services share are in `groups`, the parsers in `parsers`. Must not connect to anything.

A service's settings are a struct that includes groups as fields and adds its own:

    class ListenSettings(msgspec.Struct, frozen=True, kw_only=True):
        redis: RedisSettings
        auth: AuthSettings
        bind: Annotated[Bind, Setting("TAPEDECK_LISTEN_BIND", Bind.parse, "where clients connect",
                                      default_in_dev=Bind("127.0.0.1", 8080))] = Bind("0.0.0.0", 8080)
        max_sockets: Annotated[int, Setting("TAPEDECK_MAX_SOCKETS", whole(1), "sockets in a process")] = 5000

    settings = load(ListenSettings, os.environ)

A field without a default is required. A struct may have a method `mistakes(self, unknown: frozenset[str]) -> Iterable[str]`
for what concerns several of its fields. It is asked though some of them are wrong: their names are in `unknown` (of a group's field `redis` and
`redis.url`), their values stand-ins, and what follows from those is not to be told: each mistake once, and no false one. (No `from __future__ import annotations` in modules with settings: the annotations are read at run time.)
"""

import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import msgspec
import msgspec.structs

from servicekit.bind import Bind
from servicekit.errors import SettingsError
from servicekit.secret import shown_address

S = TypeVar("S", bound=msgspec.Struct)

DEV_MODE: Final = ("TAPEDECK_AUTH", "dev")  # in dev mode every address must be loopback


class Setting(msgspec.Struct, frozen=True):
    """What belongs to a field besides its type and default; stands in its `Annotated`."""

    variable: str
    """The environment variable; an empty one counts as not set."""
    parse: Callable[[str], object]
    """From the variable's text to the field's value; ValueError says what is wrong, as in "must be a whole number"."""
    help: str
    """One line for --help and docs/settings.md, with the unit."""
    secret: bool = False
    """The value is never shown, in no mistake and no table. Of others a mistake shows what of an address may be shown."""
    default_in_dev: object = None
    """The default in dev mode (TAPEDECK_AUTH=dev), where it differs."""


class Row(msgspec.Struct, frozen=True):
    """One setting, for a table: `default` is "" where there is none, `required` whether it must be given."""

    variable: str
    default: str
    help: str
    required: bool


def load(struct: type[S], environ: Mapping[str, str]) -> S:
    """The settings in `environ`; SettingsError with every mistake in them, before anything has been connected."""
    mistakes: list[str] = []
    loaded, _ = _load(struct, environ, environ.get(DEV_MODE[0]) == DEV_MODE[1], mistakes)
    if mistakes:
        raise SettingsError(list(dict.fromkeys(mistakes)))  # a variable that two groups read is reported once
    return loaded


def describe(struct: type[msgspec.Struct]) -> list[Row]:
    """A row for each setting, in the order of the fields, groups opened; each variable once."""
    rows: dict[str, Row] = {}
    for field, annotation in _fields(struct):
        setting = _setting(annotation)
        if setting is None:
            for row in describe(annotation):
                rows.setdefault(row.variable, row)
        else:
            default = _default(field)
            row = Row(setting.variable, _shown(default), setting.help, default is msgspec.NODEFAULT)
            rows.setdefault(row.variable, row)
    return list(rows.values())


def usage(command: str, struct: type[msgspec.Struct]) -> str:
    """The text of `--help`: the command, and its settings with their defaults."""
    rows = describe(struct)
    width = max((len(row.variable) for row in rows), default=0)
    lines = [
        f"usage: {command} [--help | --check]",
        "",
        "Settings, from the environment (--check reads them, says what is wrong, and ends):",
        "",
    ]
    for row in rows:
        note = " (required)" if row.required else f" [{row.default}]" if row.default else ""
        lines.append(f"  {row.variable:<{width}}  {row.help}{note}")
    return "\n".join(lines) + "\n"


def markdown(struct: type[msgspec.Struct]) -> str:
    """The table of docs/settings.md: variable, default, meaning."""
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for row in describe(struct):
        default = "required" if row.required else f"`{row.default}`" if row.default else ""
        lines.append(f"| `{row.variable}` | {default} | {row.help.replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"


def _load(struct: type[S], environ: Mapping[str, str], dev: bool, mistakes: list[str]) -> tuple[S, set[str]]:  # noqa: FBT001 - internal, one caller
    """The settings, and which are wrong: those have their default, or UNSET where there is none. Their mistakes are appended to `mistakes`."""
    values: dict[str, object] = {}
    unknown: set[str] = set()
    for field, annotation in _fields(struct):
        before = len(mistakes)
        setting = _setting(annotation)
        if setting is None:
            values[field.name], inside = _load(annotation, environ, dev, mistakes)
            unknown |= {f"{field.name}.{name}" for name in inside}
        else:
            values[field.name], mistake = _read(setting, _default(field), environ, dev=dev)
            if mistake:
                mistakes.append(mistake)
                values[field.name] = _stand_in(field)
        if len(mistakes) > before:
            unknown.add(field.name)
    loaded = struct(**values)
    check = getattr(loaded, "mistakes", None)
    if check is not None:
        mistakes.extend(check(frozenset(unknown)))
    return loaded, unknown


def _read(setting: Setting, default: object, environ: Mapping[str, str], *, dev: bool) -> tuple[object, str]:
    """The value of one setting and "", or None and the mistake."""
    text = environ.get(setting.variable, "").strip()
    if text:
        try:
            value = setting.parse(text)
        except ValueError as error:
            shown = "" if setting.secret else f" (it is {shown_address(text)[:100]!r})"
            return None, f"{setting.variable} {error}{shown}: {setting.help}"
    elif dev and setting.default_in_dev is not None:
        value = setting.default_in_dev
    elif default is msgspec.NODEFAULT:
        return None, f"{setting.variable} must be set: {setting.help}"
    else:
        value = default
    if dev and isinstance(value, Bind) and not value.loopback:
        return None, (
            f"{setting.variable} is {value}, but {'='.join(DEV_MODE)} serves this machine only: use 127.0.0.1:{value.port}"
        )
    return value, ""


def _fields(struct: type[msgspec.Struct]) -> Iterator[tuple[msgspec.structs.FieldInfo, Any]]:
    """The fields with their annotations, `Annotated` kept."""
    hints = typing.get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        yield field, hints[field.name]


def _setting(annotation: Any) -> Setting | None:
    """The Setting of a field; None for a field that is a group. TypeError for a field that is neither."""
    for extra in getattr(annotation, "__metadata__", ()):
        if isinstance(extra, Setting):
            return extra
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return None
    raise TypeError(f"a field of settings has neither a Setting nor is it a group: {annotation!r}")


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _stand_in(field: msgspec.structs.FieldInfo) -> object:
    default = _default(field)
    return msgspec.UNSET if default is msgspec.NODEFAULT else default


def _shown(default: object) -> str:
    if default is msgspec.NODEFAULT or default is None:
        return ""
    if isinstance(default, tuple):
        return ",".join(str(one) for one in default)
    return str(default)
