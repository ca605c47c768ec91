"""What the figures were measured on: hardware, systems and versions. Owns no figure."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from audiocodec import libopus
from tapedeck.up import redis_server

PACKAGES = ("starlette", "hypercorn", "uvicorn", "picows", "websockets", "uvloop", "redis", "msgspec")


def facts() -> dict[str, str]:
    """Names and values, for people."""
    opus, redis = libopus.load(), redis_server.find()
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": sys.version.split()[0],
        "libopus": f"{'.'.join(map(str, opus.version))} ({opus.source}: {opus.path})",
        "redis": f"{redis.major} ({redis.path.name}), AOF everysec",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "load average before": load_average(),
    }


def load_average() -> str:
    """Of the last minute: above 1 before the run, somebody else was busy too."""
    return f"{os.getloadavg()[0]:.2f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
