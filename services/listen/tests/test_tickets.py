from listen.tickets import TICKET_S, Tickets
from servicekit.auth import Claims


async def test_a_ticket_is_taken_once_and_stands_for_30_s(one_bus):
    tickets = Tickets(one_bus)
    claims = Claims("alice", 1.5)
    ticket = await tickets.issue(claims)
    keys = await one_bus.command("KEYS", f"{one_bus.keys.prefix}ticket:*")
    assert len(keys) == 1
    assert ticket.encode() not in keys[0]
    assert 0 < await one_bus.command("TTL", keys[0]) <= TICKET_S
    assert await tickets.take(ticket) == claims
    assert await tickets.take(ticket) is None
    assert await tickets.take("x" * 10_000) is None
