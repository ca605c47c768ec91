"""What commands print, whatever names there are."""

from tapedeck.commands import terminal
from tapedeck.errors import NoSuchThingError


def test_nothing_that_is_printed_does_anything_but_show(capsys):
    red = "\x1b[31mred\r\x07\u202e"
    terminal.print_table(["name"], [[f"{red}\nx"]], empty="")
    terminal.print_result(red)
    terminal.report(NoSuchThingError(red, hint=red))
    said = capsys.readouterr()
    shown = "\\x1b[31mred\\r\\x07\\u202e"
    assert said.out == f"name\n{shown}\\nx\n{shown}\n"
    assert said.err == f"tapedeck: {shown}\n  {shown}\n"


def test_what_can_be_printed_is():
    assert terminal.visible("Grüße, 東京 🙂\nx") == "Grüße, 東京 🙂\nx"
