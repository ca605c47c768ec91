import asyncio
import os
import sys


async def test_the_bundled_speech_goes_through_and_comes_back(tmp_path):
    """What `make run` does, up to the proof."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TAPEDECK_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tapedeck.demo", "--exit", "--data-dir", str(tmp_path / "data")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environ,
    )
    out, _ = await process.communicate()
    text = out.decode()
    assert process.returncode == 0, text
    assert "Everything held" in text
    assert "FAILED" not in text
    assert text.count("  ok ") == 13
    assert not (tmp_path / "data" / "ready.json").exists()
