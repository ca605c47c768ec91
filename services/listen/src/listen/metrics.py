"""What listen measures: the row of docs/operations. Every label value is known here and zeroed at start."""

from typing import Final, get_args

from listen.audio_format import CODECS
from listen.errors import Reason
from listen.messages import ErrorCode
from servicekit.metrics import OTHER, Metrics

CLOSE_CODES: Final = (
    *(1000, 1003, 1006, 1007, 1009, 1011, 1012, 1013),
    *(4400, 4401, 4403, 4404, 4409, 4429),
)
ACK_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)


class ListenMetrics:
    """The families of this service."""

    def __init__(self, metrics: Metrics) -> None:
        codes = get_args(ErrorCode)
        self.connections = metrics.gauge("connections", "Open sockets")
        self.received = metrics.counters("messages_received_total", "Binary messages, by codec", codec=CODECS)
        self.rejected = metrics.counters(
            "messages_rejected_total", "Messages that were left out, by reason", reason=[*codes, OTHER]
        )
        self.closes = metrics.counters(
            "closes_total",
            "Sockets that ended, by close code (1006: the client went)",
            code=[*map(str, CLOSE_CODES), OTHER],
        )
        self.refused = metrics.counters(
            "refused_total",
            "Handshakes that were refused, by reason",
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
        self.spoiled = metrics.counter(
            "messages_spoiled_total",
            "Packets and frames that did not decode: silence of their length is stored",
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
        self.audio_lost = metrics.counter(
            "audio_lost_seconds_total", "Audio that Redis had confirmed and lost, about, in seconds"
        )
