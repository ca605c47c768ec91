from typing import Annotated

import msgspec
import pytest

from servicekit.bind import Bind
from servicekit.errors import SettingsError
from servicekit.parsers import text, whole, words
from servicekit.settings import Setting, describe, load, markdown, usage


class Group(msgspec.Struct, frozen=True, kw_only=True):
    low: Annotated[int, Setting("T_LOW", whole(0, 10), "the low one")] = 1
    high: Annotated[int, Setting("T_HIGH", whole(0, 10), "the high one")] = 9
    step: Annotated[int, Setting("T_STEP", whole(), "between them")] = 1

    def mistakes(self, unknown):
        if self.low > self.high and not unknown & {"low", "high"}:
            yield "T_LOW is above T_HIGH"
        if self.step > 10:
            yield "T_STEP is above 10"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    group: Group
    url: Annotated[str, Setting("T_URL", whole(), "where it is", secret=True)]
    name: Annotated[str | None, Setting("T_NAME", text, "its name")] = None
    origins: Annotated[tuple[str, ...], Setting("T_ORIGINS", words, "who may")] = ()
    bind: Annotated[
        Bind, Setting("T_BIND", Bind.parse, "where clients connect", default_in_dev=Bind("127.0.0.1", 80))
    ] = Bind("0.0.0.0", 80)


def test_what_is_set_and_what_is_not():
    settings = load(Service, {"T_URL": "5", "T_LOW": " 3 ", "T_NAME": "", "T_ORIGINS": "a, b,,c"})
    assert settings == Service(group=Group(low=3), url=5, name=None, origins=("a", "b", "c"))


def test_settings_are_frozen():
    with pytest.raises(AttributeError):
        load(Service, {"T_URL": "5"}).name = "x"


def test_all_mistakes_are_reported_together_and_no_secret():
    with pytest.raises(SettingsError) as caught:
        load(Service, {"T_URL": "hush", "T_LOW": "11", "T_HIGH": "x", "T_BIND": "here"})
    assert len(caught.value.mistakes) == 4
    report = str(caught.value)
    assert "T_LOW must be a whole number from 0 to 10 (it is '11'): the low one" in report
    assert "T_HIGH" in report
    assert "T_BIND must be host:port" in report
    assert "T_URL must be a whole number, at least 0: where it is" in report
    assert "hush" not in report


def test_what_is_required_and_mistakes_between_fields():
    with pytest.raises(SettingsError) as caught:
        load(Service, {"T_LOW": "5", "T_HIGH": "4"})
    assert caught.value.mistakes == ("T_LOW is above T_HIGH", "T_URL must be set: where it is")


def test_what_is_wrong_between_fields_is_told_beside_what_is_wrong_in_one():
    with pytest.raises(SettingsError) as caught:
        load(Service, {"T_URL": "5", "T_LOW": "11", "T_HIGH": "0", "T_STEP": "11"})
    assert [mistake.split(" ")[0] for mistake in caught.value.mistakes] == ["T_LOW", "T_STEP"]


def test_a_required_field_that_is_missing_hides_nothing_between_the_others():
    class Required(msgspec.Struct, frozen=True, kw_only=True):
        name: Annotated[str, Setting("T_NAME", text, "its name")]
        group: Group

        def mistakes(self, unknown):
            yield f"unknown: {', '.join(sorted(unknown))}"

    with pytest.raises(SettingsError) as caught:
        load(Required, {"T_LOW": "11"})
    assert caught.value.mistakes[-1] == "unknown: group, group.low, name"
    assert len(caught.value.mistakes) == 3


def test_dev_mode_binds_to_loopback():
    assert load(Service, {"T_URL": "5", "TAPEDECK_AUTH": "dev"}).bind == Bind("127.0.0.1", 80)


@pytest.mark.parametrize("address", ["0.0.0.0:80", "10.0.0.1:80", ":80", "[::]:80", "example.com:80"])
def test_dev_mode_refuses_other_binds(address):
    with pytest.raises(SettingsError, match=r"T_BIND is .* serves this machine only"):
        load(Service, {"T_URL": "5", "TAPEDECK_AUTH": "dev", "T_BIND": address})


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.8.8.8:80", "[::1]:80", "localhost:80"])
def test_dev_mode_takes_any_loopback(address):
    load(Service, {"T_URL": "5", "TAPEDECK_AUTH": "dev", "T_BIND": address})


def test_the_table():
    rows = {row.variable: row for row in describe(Service)}
    assert list(rows) == ["T_LOW", "T_HIGH", "T_STEP", "T_URL", "T_NAME", "T_ORIGINS", "T_BIND"]
    assert (rows["T_LOW"].default, rows["T_LOW"].required) == ("1", False)
    assert (rows["T_URL"].default, rows["T_URL"].required) == ("", True)
    assert rows["T_BIND"].default == "0.0.0.0:80"
    shown = usage("python -m service", Service)
    assert "usage: python -m service" in shown
    assert "T_URL      where it is (required)" in shown


def test_the_table_of_the_docs():
    lines = markdown(Service).splitlines()
    assert lines[2] == "| `T_LOW` | `1` | the low one |"
    assert lines[5] == "| `T_URL` | required | where it is |"


def test_a_field_without_a_setting_is_a_mistake_of_ours():
    class Wrong(msgspec.Struct):
        field: int = 1

    with pytest.raises(TypeError, match="neither a Setting nor is it a group"):
        load(Wrong, {})


def test_a_mistake_tells_no_password_of_an_address():
    with pytest.raises(SettingsError, match=r"T_BIND .* \(it is '…@h\?…'\): where clients connect") as caught:
        load(Service, {"T_URL": "5", "T_BIND": "me:hush@h?hush"})
    assert "hush" not in str(caught.value)
