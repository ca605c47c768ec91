"""A recording client for devices, in MicroPython that CPython runs too. docs/device-clients.md goes through it.

`handshake(session)` gives the bytes of the request, with a token that is valid now. `source()` gives the next Opus packet with its
capture time, `(unix_ms, packet)`; `()` while there is none; None from the end on. It must never wait. `record` comes back with the
close code when everything is safe (1000), or where trying again cannot help.
"""

# One short function, as it goes into a device's flash:
# ruff: noqa: ANN001, ANN201, C901, D103, E401, I001, INP001, PLR0912, PLR0915, S311, TRY301
import json, os, random, select, socket, struct, time

STOPS = (1000, 1002, 1003, 1007, 1009, 4400, 4403, 4404, 4409)
KEEP_BYTES = 64 * 1024  # of RAM, for what is not acked: 20 s of Opus at 24 kbit/s
PACKET_MS = 20


def record(address, handshake, source):
    kept, base, session, after_ms, pause_s, line, steps, code = [], 0, "", 0, 1, None, 0, 1006
    while code not in STOPS:
        while got := source():  # the microphone goes on, whatever the line does
            if sum(len(packet) for _, packet in kept) < KEEP_BYTES:
                kept.append(got)  # else a hole in the recording, which the next mark tells
        try:
            if steps:  # a pause before the next try
                steps -= 1
                time.sleep(0.01)
            elif line is None:
                line, poll, sent, head = socket.socket(), select.poll(), None, b""
                line.settimeout(30)
                line.connect(address)
                line.sendall(handshake(session))
                while not head.endswith(b"\r\n\r\n"):
                    head += take(line, 1)
                code = 4000 + int(head.split()[1])  # HTTP 401 counts as 4401, and so on; 101 is the upgrade
                if code != 4101:
                    raise OSError
            else:
                more = sent is not None and sent < len(kept) + (got is None)
                poll.register(line, select.POLLIN | (select.POLLOUT if more else 0))
                for _, event in poll.poll(20):
                    if event & ~select.POLLOUT:
                        kind, size = take(line, 2)
                        data = take(line, struct.unpack(">H", take(line, 2))[0] if size == 126 else size)
                        if kind == 0x88:  # close
                            code = struct.unpack(">H", data[:2])[0] if data else 1006
                            raise OSError
                        if kind == 0x89:  # ping
                            send(line, 10, data)
                        said = json.loads(data) if kind == 0x81 else {}
                        safe, fresh = said.get("offset", 0), said.get("session", session) != session
                        if said.get("type") == "ready":
                            safe, sent = said.get("previous_offset", 0) if fresh else said["resume_offset"], 0
                        while kept and base < safe:  # what is safe need not be kept
                            at_ms, packet = kept.pop(0)
                            base, after_ms, sent, pause_s = base + len(packet), at_ms + PACKET_MS, sent - 1, 1
                        if said.get("type") == "ready":
                            session, base, sent = said["session"], 0 if fresh else base, 0
                            due_ms = 0 if fresh else after_ms
                        pause_ms = said.get("reconnect_after_ms") or said.get("retry_after_ms")
                        pause_s = pause_ms / 1000 if pause_ms else pause_s
                    elif sent == len(kept):
                        sent += 1
                        send(line, 1, b'{"type":"close"}')
                    else:
                        at_ms, packet = kept[sent]
                        if at_ms - due_ms > 50:  # the first of a session, or the first after a hole
                            send(line, 1, b'{"type":"mark","at_ms":%d}' % at_ms)
                        send(line, 2, packet)
                        sent, due_ms = sent + 1, at_ms + PACKET_MS
        except OSError:
            line and line.close()
            line, steps, pause_s = None, int(100 * pause_s * random.uniform(1, 1.5)), min(60, 2 * pause_s)
    return code


def send(line, kind, data):  # a frame, masked as a client's must be
    mask, size = os.urandom(4), len(data)
    length = bytes([128 | size]) if size < 126 else struct.pack(">BH", 254, size)
    masked = bytes([byte ^ mask[at & 3] for at, byte in enumerate(data)])
    line.sendall(bytes([128 | kind]) + length + mask + masked)


def take(line, size):
    data = b""
    while len(data) < size:
        part = line.recv(size - len(data))
        if not part:
            raise OSError
        data += part
    return data
