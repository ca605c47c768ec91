"""A recording client for devices, in MicroPython that CPython runs too. docs/device-clients.md goes through it.

`handshake(session)` gives the bytes of the request, with a token that is valid now. `source()` gives the next Opus packet with its
capture time, `(unix_ms, packet)`; `()` while there is none; None from the end on. It must never wait. `record` comes back with the
close code when everything is safe (1000), or where trying again cannot help.
"""

# Short functions, as they go into a device's flash:
# ruff: noqa: ANN001, ANN201, C901, D103, E401, I001, INP001, S311
import json, os, random, select, socket, struct, time

STOPS = (1000, 1002, 1003, 1007, 1009, 4400, 4403, 4404, 4409)
KEEP_BYTES = 64 * 1024  # of RAM, for what is not acked: 20 s of Opus at 24 kbit/s


def record(address, handshake, source):
    # `kept[0]` is the packet at the offset `base` of the session, `kept[sent]` the next one to send
    kept, base, session, safe_ms, pause_ms, code = [], 0, "", 0, 0, 1006
    while code not in STOPS:
        for _ in range(int(pause_ms / 10 * random.uniform(1, 1.5))):  # a pause, but for the first try
            keep(source, kept)
            time.sleep(0.01)
        line, head, sent, pause_ms = socket.socket(), b"", float("inf"), min(60_000, 2 * pause_ms or 1000)
        try:
            line.settimeout(30)
            line.connect(address)
            line.sendall(handshake(session))
            while not head.endswith(b"\r\n\r\n"):
                head += take(line, 1)
            code = 4000 + int(head.split()[1])  # HTTP 401 counts as 4401, and so on; 101 is the upgrade
            while code == 4101:
                reads, sends, _ = select.select([line], [line] if sent < keep(source, kept) else [], [], 0.02)
                if reads:
                    kind, size = take(line, 2)
                    data = take(line, struct.unpack(">H", take(line, 2))[0] if size == 126 else size)
                    code = struct.unpack(">H", data[:2] or b"\x03\xee")[0] if kind == 0x88 else code  # close
                    _ = kind == 0x89 and send(line, 10, data)  # a ping is answered
                    said = json.loads(data) if kind == 0x81 else {}
                    safe = max(said.get(key, 0) for key in ("offset", "resume_offset", "previous_offset"))
                    while kept and base < safe:  # what is safe need not be kept
                        base, sent, pause_ms, safe_ms = base + len(kept[0][1]), sent - 1, 1000, kept.pop(0)[0]
                    if "session" in said:  # ready: go on from there; in a new session that is 0
                        lost = said["session"] == session and said["resume_offset"] < base  # and not kept
                        session, code = ("", 1013) if lost else (said["session"], code)
                        base, sent, last_ms = said["resume_offset"], 0, safe_ms
                    pause_ms = said.get("reconnect_after_ms") or said.get("retry_after_ms") or pause_ms
                elif sends and sent == len(kept):
                    send(line, 1, b'{"type":"close"}')
                    sent += 1
                elif sends:
                    at_ms, packet = kept[sent]
                    if base + sent == 0 or at_ms - last_ms > 70:  # the first, or after a hole
                        send(line, 1, b'{"type":"mark","at_ms":%d}' % at_ms)
                    send(line, 2, packet)
                    sent, last_ms = sent + 1, at_ms
        except OSError:
            code = 1006
        line.close()
    return code


def keep(source, kept):  # the microphone goes on, whatever the line does
    while got := source():
        if sum(len(packet) for _, packet in kept) < KEEP_BYTES:
            kept.append(got)  # else a hole in the recording, which the next mark tells
    return len(kept) + (got is None)  # how much there is to send, with `close` at the end


def send(line, kind, data):  # a frame, masked as a client's must be
    mask, size = os.urandom(4), len(data)
    length = bytes([128 | size]) if size < 126 else struct.pack(">BH", 254, size)
    line.sendall(bytes([128 | kind]) + length + mask + bytes(b ^ mask[at & 3] for at, b in enumerate(data)))


def take(line, size):
    part = line.recv(size)
    if size and not part:  # the end of the line
        raise OSError
    return part if len(part) == size else part + take(line, size - len(part))
