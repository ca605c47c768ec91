"""What listen measures: the row of docs/operations. Every label value is known here and zeroed at start."""

from typing import Final, get_args

from listen import close_codes
from listen.audio_format import CODECS
from listen.errors import Reason
from listen.messages import ErrorCode, UsageState
from servicekit.metrics import OTHER, Metrics

ACK_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)


class ListenMetrics:
    """The families of this service."""

    def __init__(self, metrics: Metrics) -> None:
        codes = get_args(ErrorCode)
        self.connections = metrics.gauge(
            "connections", "Open sockets, whose clients were let in: what pods are scaled by"
        )
        self.received = metrics.counters("messages_received_total", "Binary messages, by codec", codec=CODECS)
        self.rejected = metrics.counters(
            "messages_rejected_total", "Messages that were left out, by reason", reason=[*codes, OTHER]
        )
        self.closes = metrics.counters(
            "closes_total",
            "Sockets that ended, by close code (1006: the client went)",
            code=[*map(str, close_codes.ALL), OTHER],
        )
        self.refused = metrics.counters(
            "refused_total",
            "Handshakes, requests for tickets, and sessions in a socket that was open, that were refused, by reason",
            reason=[*codes, *get_args(Reason), OTHER],
        )
        self.resumes = metrics.counters(
            "resumes_total",
            "Sessions opened: fresh, resumed, or superseded (a fresh one where resuming was asked for)",
            outcome=["fresh", "resumed", "superseded"],
        )
        self.backpressure = metrics.counters(
            "backpressure_total", "Sockets that were not read for a while", action=["paused", "resumed"]
        )
        self.floods = metrics.counter(
            "floods_total",
            "Pauses of sockets that had the process work for so long that the others come first: not for Redis' sake",
        )
        self.redis_failures = metrics.counters(
            "redis_failures_total",
            "Commands for a session that Redis did not do: it is away, full (maxmemory), or refuses our user, password or rights",
            reason=["away", "full", "refused"],
        )
        self.hints_left_out = metrics.counter(
            "hints_left_out_total", "Hints that were not placed, as too many of their socket's were under way"
        )
        self.handshakes = metrics.gauge(
            "handshakes", "Sockets whose client is not known yet, but for strangers"
        )
        self.strangers = metrics.gauge(
            "strangers", "Sockets without a token, whose first message is waited for"
        )
        self.waiting_bytes = metrics.gauge(
            "waiting_bytes",
            "About what all sockets hold in memory: for Redis, for writing it again, or for clients to read",
        )
        self.waiting_limit_bytes = metrics.gauge(
            "waiting_limit_bytes", "What they may hold: TAPEDECK_MAX_WAITING_MIB"
        )
        self.redis_memory = metrics.gauge(
            "redis_memory_ratio",
            "What Redis has taken of its maxmemory, of a cluster the fullest master; 0: no limit",
        )
        self.spoiled = metrics.counter(
            "messages_spoiled_total",
            "Packets and frames that did not decode: silence of their length is stored",
        )
        self.user_looks = metrics.counters(
            "user_looks_total",
            "Looks at a user's settings and use, which write what was used: done; unwritten (Redis took no write); failed",
            outcome=["done", "unwritten", "failed"],
        )
        self.usage_told = metrics.counters(
            "usage_told_total", "Clients that were told of their daily limit", state=get_args(UsageState)
        )
        self.usage_late = metrics.counters(
            "usage_late_total",
            "Users whose ended sessions' use was written after their end, or left to whoever opens or drains them next",
            outcome=["written", "left"],
        )
        self.usage_waiting = metrics.gauge(
            "usage_waiting", "Users of whose ended sessions something is still to be written"
        )
        self.append_seconds = metrics.histogram(
            "append_seconds", "From handing a chunk over to Redis' answer"
        )
        self.ack_seconds = metrics.histogram(
            "ack_seconds", "From closing a chunk to its acknowledgement", ACK_BUCKETS
        )
        self.audio_received = metrics.counter(
            "audio_received_seconds_total", "Audio that Redis has confirmed, in seconds"
        )
        self.audio_left = metrics.counter(
            "audio_left_seconds_total",
            "Audio that was not safe when this process had to end, about, in seconds: its clients send it again, plain ones cannot",
        )
        self.audio_lost = metrics.counter(
            "audio_lost_seconds_total", "Audio that Redis had confirmed and lost, about, in seconds"
        )
