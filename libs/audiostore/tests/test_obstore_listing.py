import pytest

from audiostore.errors import StoreConfigurationError
from audiostore.obstore_listing import Listing


class Bucket:
    """Answers listings as obstore does: whole folders, an offset, pages; and in the order it was given."""

    def __init__(self, *names, page=2):
        self.names, self.page, self.asked = names, page, []
        self.fail_at = None

    def list(self, prefix, *, offset, chunk_size):
        self.asked.append((prefix, offset))
        wanted = [
            {"path": name, "size": len(name)}
            for name in self.names
            if (prefix is None or name.startswith(f"{prefix}/")) and (offset is None or name > offset)
        ]
        return self.stream([wanted[i : i + self.page] for i in range(0, len(wanted), self.page)])

    async def stream(self, pages):
        for number, page in enumerate(pages):
            if number == self.fail_at:
                self.fail_at = None
                raise ConnectionError
            yield page


async def told(bucket, prefix="", after="", root=""):
    listing = Listing(bucket, root, prefix, after)
    names = []
    while True:
        try:
            page = await listing.page()
        except ConnectionError:
            continue
        if page is None:
            return names
        names += [name for name, _size in page]


async def test_a_prefix_may_end_anywhere():
    bucket = Bucket("a-b/x", "a/b-c/1", "a/b/c", "a/c", "b/z")
    assert await told(bucket, "a/b") == ["a/b-c/1", "a/b/c"]
    assert await told(bucket, "a") == ["a-b/x", "a/b-c/1", "a/b/c", "a/c"]
    assert await told(bucket, "a/b/") == ["a/b/c"]
    assert await told(bucket, "", "a/b-c/1") == ["a/b/c", "a/c", "b/z"]


async def test_no_more_is_read_than_has_to_be():
    bucket = Bucket("u/a", "u/b1", "u/b2", "u/c", "u/d", "u/e", "u/f")
    listing = Listing(bucket, "", "u/b", "")
    assert [await listing.page(), await listing.page()] == [[("u/b1", 4)], [("u/b2", 4)]]
    assert await listing.page() is None
    assert bucket.asked == [("u", "u")]


@pytest.mark.parametrize("fail_at", [0, 1, 2])
async def test_after_an_error_it_goes_on_behind_the_last_name(fail_at):
    bucket = Bucket("r/u/1", "r/u/2", "r/u/3", "r/u/4", "r/u/5")
    bucket.fail_at = fail_at
    assert await told(bucket, "u/", root="r/") == ["u/1", "u/2", "u/3", "u/4", "u/5"]
    assert len(bucket.asked) == 2


@pytest.mark.parametrize("after", ["a/", "a//", "../", "\udc80", "a/b/"])
async def test_after_may_be_no_objects_name(after):
    every = ["a/b/1", "b/1", "ä/1"]
    assert await told(Bucket(*every), "", after) == [name for name in every if name > after]


@pytest.mark.parametrize("names", [("u/2", "u/1"), ("u/1", "u/3", "u/2", "u/4"), ("u/1", "u/1")])
async def test_a_bucket_without_order_is_refused(names):
    with pytest.raises(StoreConfigurationError, match="name order"):
        await told(Bucket(*names), "u/")
