"""What is made of libFuzzer's words, of findings, and of the runs so far."""

import json

from tapedeck_fuzz import tally
from tapedeck_fuzz.report import Outcome, as_json, read_log, table
from tapedeck_fuzz.shrink import fault, shrink

LOG = """INFO: Running with entropic power schedule (0xFF, 100).
#14	INITED cov: 102 ft: 189 corp: 13/10833b exec/s: 0 rss: 43Mb
#146654	NEW    cov: 103 ft: 190 corp: 14/10955b lim: 4096 exec/s: 36663 rss: 43Mb L: 123/3940 MS: 4 CMP-Custom-
#338449	DONE   cov: 105 ft: 190 corp: 14/10924b lim: 4096 exec/s: 30768 rss: 43Mb
stat::number_of_executed_units: 338449
stat::peak_rss_mb:              43
"""
CRASH = """#14	INITED cov: 102 ft: 189 corp: 13/10833b exec/s: 0 rss: 43Mb

 === Uncaught Python exception: ===
RecursionError: maximum recursion depth exceeded
Traceback (most recent call last):
  File "x.py", line 1, in one

==55== ERROR: libFuzzer: fuzz target exited
#52 CRASH cov: 102
"""


def test_a_good_run():
    assert read_log("ogg", LOG, 0) == Outcome("ogg", 338_449, 105, 3, 43, None)


def test_a_crash_says_what_it_was():
    assert read_log("ogg", CRASH, 77).crash == "RecursionError: maximum recursion depth exceeded"
    assert (
        read_log("ogg", "ERROR: libFuzzer: out-of-memory (used: 600Mb)\n", 71).crash
        == "out-of-memory (used: 600Mb)"
    )
    assert read_log("ogg", "Killed", -9).crash == "ended with -9: Killed"
    assert read_log("ogg", "", 1).crash == "ended with 1: it said nothing"


def test_the_table_adds_up():
    outcomes = [Outcome("ogg", 1_000, 5, 1, 43, None), Outcome("chunk", 234, 5, 0, 43, "boom")]
    lines = table(outcomes).splitlines()
    assert "1,234" in lines[-1]
    assert [line.split()[0] for line in lines] == ["target", "ogg", "chunk", "all"]
    assert json.loads(json.dumps(as_json(outcomes)))[1]["crash"] == "boom"


def test_the_tally_counts_good_runs_only(tmp_path):
    path = tmp_path / "runs.jsonl"
    for outcome in (
        Outcome("ogg", 1_000, 5, 1, 43, None),
        Outcome("ogg", 500, 5, 0, 43, None),
        Outcome("ogg", 7, 5, 0, 43, "boom"),
    ):
        tally.note(path, outcome)
    found = tally.sums(path.read_text().splitlines())
    assert found == {"ogg": (1_500, 2, 1)}
    assert "1,500" in tally.text(found)


def breaks(data):
    if b"ab" in data and len(data) > 3:
        raise ValueError("found")


def test_findings_are_made_small_and_stay_the_same():
    small = shrink(breaks, b"xxxxxxxxabyyyyyyyyyyyyyyyyyyyyyyyyyyyyy")
    assert len(small) == 4
    assert fault(breaks, small) == fault(breaks, b"zzabz" * 9)
    assert shrink(breaks, b"nothing") == b"nothing"
