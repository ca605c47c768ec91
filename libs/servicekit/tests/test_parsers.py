import pytest

from servicekit.parsers import existing_file, key_prefix, key_url, number, one_of, url, whole, words


@pytest.mark.parametrize(
    ("parse", "given", "value"),
    [
        (whole(1, 5), "5", 5),
        (whole(-3), "-3", -3),
        (number(0, 1), "0.75", 0.75),
        (number(), "25", 25.0),
        (one_of("jwt", "dev"), "dev", "dev"),
        (words, " a,b ,, c", ("a", "b", "c")),
        (url("redis", "redis+cluster"), "redis+cluster://h:1/0", "redis+cluster://h:1/0"),
        (url("memory"), "memory:", "memory:"),
        (key_url, "https://issuer.example/jwks", "https://issuer.example/jwks"),
        (key_url, "http://127.0.0.1:5/jwks", "http://127.0.0.1:5/jwks"),
        (key_prefix, "td:", "td:"),
        (key_prefix, "größe/1.2-3_4:", "größe/1.2-3_4:"),
        (key_prefix, "x" * 64, "x" * 64),
    ],
)
def test_values(parse, given, value):
    assert parse(given) == value


@pytest.mark.parametrize(
    ("parse", "given"),
    [
        (whole(1, 5), "6"),
        (whole(1, 5), "0"),
        (whole(), "1.5"),
        (whole(), "nine"),
        (number(0, 1), "1.01"),
        (number(), "nan"),
        (number(), "inf"),
        (number(), "-1"),
        (one_of("jwt", "dev"), "none"),
        (url("redis"), "http://h"),
        (url("redis"), "http://[h"),
        (url("redis"), "redis"),
        (key_url, "http://issuer.example/jwks"),
        (key_url, "file:///etc/passwd"),
        (key_url, "https://"),
        *((key_prefix, f"td{one}:") for one in "*?[]\\{} \t\n\0\x7f\u00a0\u2028\udc80"),
        (key_prefix, "x" * 65),
        (key_url, "https://issuer.example:port/jwks"),
        (key_url, "https://me:h℀@issuer.example/jwks"),
    ],
)
def test_refusals(parse, given):
    with pytest.raises(ValueError, match=r"^must "):
        parse(given)


def test_files(tmp_path):
    path = tmp_path / "f"
    path.write_text("x")
    assert existing_file(str(path)) == path
    for wrong in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ValueError, match="must name a file that can be read"):
            existing_file(str(wrong))
