"""Whose address it is behind proxies."""

import pytest

from listen.proxies import TrustedProxies

PROXIES = TrustedProxies.parse("10.0.0.0/8, 2001:db8::/32,192.0.2.1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "1.1.1.1", "203.0.113.9"),
        ("10.1.2.3", None, "10.1.2.3"),
        ("10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "198.51.100.7, 10.9.9.9 ,192.0.2.1", "198.51.100.7"),
        ("10.1.2.3", "10.4.4.4, 10.9.9.9", "10.4.4.4"),
        ("10.1.2.3", "nonsense, 10.9.9.9", "10.9.9.9"),
        ("10.1.2.3", "nonsense", "10.1.2.3"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "198.51.100.7:4711", "198.51.100.7"),
        ("10.1.2.3", "[2001:470::7]:4711", "2001:470::7"),
        ("2001:db8::1", "2001:470::7", "2001:470::7"),
        ("::ffff:10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("fe80::1%eth0", "198.51.100.7", "fe80::1"),
        ("10.1.2.3", ",".join(["6.6.6.6"] + ["10.0.0.1"] * 5_000), "10.0.0.1"),
        ("", "198.51.100.7", ""),
    ],
)
def test_the_rightmost_that_no_trusted_proxy_has(peer, forwarded, client):
    assert PROXIES.client_of(peer, forwarded) == client


def test_without_proxies_nobody_is_believed():
    assert TrustedProxies().client_of("10.1.2.3", "198.51.100.7") == "10.1.2.3"


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "certain"),
    [
        (TrustedProxies(), "203.0.113.9", None, True),
        (TrustedProxies(), "203.0.113.9", "1.1.1.1", False),
        (TrustedProxies(), "203.0.113.9", "", False),
        (PROXIES, "203.0.113.9", None, True),
        (PROXIES, "203.0.113.9", "1.1.1.1", True),
        (PROXIES, "192.0.2.1", "198.51.100.7", True),
        (PROXIES, "192.0.2.1", "6.6.6.6, 198.51.100.7", True),
    ],
)
def test_a_header_makes_an_address_uncertain_only_where_no_proxy_is_named(proxies, peer, forwarded, certain):
    assert proxies.certain(proxies.client_of(peer, forwarded), forwarded) is certain


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"])
@pytest.mark.parametrize("forwarded", [None, "", "nonsense", "198.51.100.7, nonsense", "10.9.9.9"])
def test_a_proxy_that_does_not_say_whom_it_speaks_for_is_no_sure_client(peer, forwarded):
    assert not PROXIES.certain(PROXIES.client_of(peer, forwarded), forwarded)


def test_networks_are_read_and_written():
    assert str(PROXIES) == "10.0.0.0/8,2001:db8::/32,192.0.2.1/32"
    assert TrustedProxies.parse(str(PROXIES)) == PROXIES
    assert TrustedProxies.parse("") == TrustedProxies()
    for wrong in ("10.0.0.1/8", "x", "10.0.0.0/33"):
        with pytest.raises(ValueError, match="must be networks"):
            TrustedProxies.parse(wrong)
