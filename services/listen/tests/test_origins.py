import pytest

from listen.admission import Admission
from listen.origins import origins, same_origin


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", ()),
        ("https://app.example.com", ("https://app.example.com",)),
        ("https://a.example, http://b.example:8080,", ("https://a.example", "http://b.example:8080")),
        ("HTTPS://App.Example.com", ("https://app.example.com",)),
        ("https://a.example:443,http://a.example:80", ("https://a.example", "http://a.example")),
        ("https://a.example:80,http://a.example:443", ("https://a.example:80", "http://a.example:443")),
        ("https://a.example,https://A.example:0443", ("https://a.example",)),
        ("http://[::1]:8080", ("http://[::1]:8080",)),
        ("https://xn--bcher-kva.example", ("https://xn--bcher-kva.example",)),
        ("http://localhost:3000", ("http://localhost:3000",)),
        (
            "chrome-extension://abcdefgh,capacitor://localhost",
            ("chrome-extension://abcdefgh", "capacitor://localhost"),
        ),
    ],
)
def test_origins_as_browsers_send_them(value, found):
    assert origins(value) == found


@pytest.mark.parametrize(
    "word", ["app://MyApp", "https://App.example.com:443", "https://a.example:8443", "file://", "FILE://"]
)
def test_what_a_client_sends_is_compared_as_it_is_written_here(word):
    assert origins(word) == (same_origin(word),)
    admission = Admission(None, None, None, origins(word), None)
    assert not admission.foreign(word)
    assert admission.foreign("https://other.example")
    assert admission.foreign("null")


@pytest.mark.parametrize("header", ["null", "*", "", "https://a.example/", "a.example", "file:///etc"])
def test_what_is_no_origin_is_nobodys(header):
    assert same_origin(header) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("https://a.example/", "has more than its origin, 'https://a.example'"),
        ("https://A.example:443/app?x#y", "has more than its origin, 'https://a.example'"),
        ("https://a.example?hush", "'https://a.example?…' has more than its origin, 'https://a.example'"),
        ("a.example", "lacks its scheme, as in 'https://a.example'"),
        ("//a.example", "'//a.example' is none"),
        ("*", "each page's is to be named"),
        ("https://*.a.example", "each page's is to be named"),
        ("http://localhost:*", "each page's is to be named"),
        ("null", "each page's is to be named"),
        ("https://me:hush@a.example", "'https://…@a.example' has a user"),
        ("https://a.example:0", "has no port from 1 to 65535"),
        ("https://a.example:65536", "has no port from 1 to 65535"),
        ("https://a.example:port", "is none"),
        ("https://", "is none"),
        ("https://a b", "is none"),
        ("https://bücher.example", "is sent as 'https://xn--bcher-kva.example'"),
        ("https://good.example,https://a.example/", "'https://a.example/' has more than"),
    ],
)
def test_what_no_page_can_have(value, said):
    with pytest.raises(
        ValueError, match=r"^must hold origins, as https://app\.example\.com, with commas: "
    ) as caught:
        origins(value)
    assert said in str(caught.value)
    assert "hush" not in str(caught.value)
