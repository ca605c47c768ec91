from listen.early_messages import LIMIT, EarlyMessages
from listen.messages import CloseSession, Finalize


def test_so_many_are_kept_in_order_and_a_close_always():
    early = EarlyMessages()
    assert all(early.put(Finalize()) for _ in range(LIMIT))
    assert not early.put(Finalize())
    assert early.put(CloseSession())
    assert early.take() == [*[Finalize()] * LIMIT, CloseSession()]
    assert early.take() == []
