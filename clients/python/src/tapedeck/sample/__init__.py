"""The speech that comes with Tapedeck: 98 s, 16 kHz mono, seven synthetic speakers (made by clients/python/sample/make.sh)."""

from pathlib import Path

PATH = Path(__file__).with_name("speech.flac")
