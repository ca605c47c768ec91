import socket
from pathlib import Path

import pytest

from tapedeck.errors import PortTakenError
from tapedeck.up.ports import free_port, hold

HERE = "127.0.0.1"


def listener(port, *, reuse_port):
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind((HERE, port))
    listening.listen()
    return listening


@pytest.mark.parametrize(("reuse_port", "workers"), [(False, 1), (True, 3)])
def test_children_listen_on_a_held_port_and_come_again(reuse_port, workers):
    held = hold(HERE, 0)
    for _ in range(2):
        children = [listener(held.number, reuse_port=reuse_port) for _ in range(workers)]
        for _ in range(20):
            socket.create_connection(
                (HERE, held.number)
            ).close()  # never reaches the holder: it does not listen
        for child in children:
            child.close()
    held.release()


def test_a_port_that_somebody_listens_on_is_refused():
    other = listener(0, reuse_port=True)
    with pytest.raises(PortTakenError, match="is taken") as caught:
        hold(HERE, other.getsockname()[1])
    assert "--listen-port" in caught.value.hint
    other.close()


def test_the_kept_port_is_taken_again_unless_somebody_has_it():
    first = hold(HERE, 0)
    number = first.number
    first.release()
    again = hold(HERE, 0, kept=number)
    assert again.number == number
    assert again.bind == f"{HERE}:{number}"
    again.release()
    other = listener(number, reuse_port=False)
    elsewhere = hold(HERE, 0, kept=number)
    assert elsewhere.number != number
    assert free_port(HERE, number) != number
    elsewhere.release()
    other.close()


def test_chosen_ports_are_none_that_the_kernel_gives_to_clients():
    ranges = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not ranges.exists():
        pytest.skip("the range is read from /proc")
    lowest = int(ranges.read_text().split()[0])
    held = [hold(HERE, 0) for _ in range(5)]
    assert all(port.number < lowest for port in held)
    assert len({port.number for port in held}) == 5
    for port in held:
        port.release()


def test_a_chosen_port_is_nobody_elses(monkeypatch):
    """Held ports do not listen: without care two children, or two systems, would be given the same one."""
    first = hold(HERE, 0)
    monkeypatch.setattr("tapedeck.up.ports._candidates", lambda: [first.number, *range(10_300, 10_400)])
    second = hold(HERE, 0)
    assert second.number != first.number
    first.release()
    second.release()
