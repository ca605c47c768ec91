import json

from tapedeck.up.log_lines import MOST_CHARACTERS, TAIL_BYTES, TAIL_LINES, last_lines, told


def test_what_a_line_says():
    assert told("# Fatal error") == "# Fatal error"
    assert told("123") == "123"
    assert told('{"no": "message"}') == '{"no": "message"}'
    assert told(json.dumps({"message": "cannot start", "reason": "port taken"})) == "cannot start: port taken"
    failed = {"message": "the process failed", "exception": "Traceback\n  x\nOSError: away\n"}
    assert told(json.dumps(failed)) == "the process failed: OSError: away"
    assert len(told("x" * 9_999)) == MOST_CHARACTERS


def test_the_last_lines_of_this_run_alone(tmp_path):
    log = tmp_path / "log"
    assert last_lines(log, 0) == []
    log.write_text("a former run\n")
    size = log.stat().st_size
    assert last_lines(log, size) == []
    with log.open("a") as file:
        file.write("".join(f"line {n}\n" for n in range(20)))
    assert last_lines(log, size) == [f"line {n}" for n in range(20 - TAIL_LINES, 20)]
    assert last_lines(log, 10**9) == []  # it was emptied meanwhile


def test_of_a_long_log_only_the_end_is_read(tmp_path):
    log = tmp_path / "log"
    log.write_text("x" * TAIL_BYTES + "\nthe end\n")
    assert last_lines(log, 0) == ["the end"]
    log.write_text("x" * (TAIL_BYTES + 9))
    assert len(last_lines(log, 0)) == 1
