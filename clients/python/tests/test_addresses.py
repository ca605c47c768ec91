from tapedeck.addresses import is_loopback, listen_address


def test_addresses():
    assert listen_address("ws://h:1", {"codec": "opus"}) == "ws://h:1/v4/listen?codec=opus"
    assert listen_address("ws://h:1/", {"a": "b c"}) == "ws://h:1/v4/listen?a=b+c"
    assert listen_address("wss://h/p/v4/listen?x=1", {"a": "b"}) == "wss://h/p/v4/listen?x=1&a=b"
    assert is_loopback("ws://127.0.0.1:1")
    assert is_loopback("ws://[::1]:1")
    assert is_loopback("ws://localhost")
    assert not is_loopback("wss://example.org")
