import subprocess
import sys

import audiocodec


def test_every_public_name_is_there():
    assert [name for name in audiocodec.__all__ if not hasattr(audiocodec, name)] == []


def test_importing_is_cheap_and_loads_no_libopus():
    script = (
        "import sys, audiocodec\n"
        "heavy = {'opuslib', 'av', 'numpy', 'asyncio'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "maps = '/proc/self/maps'\n"
        "import os\n"
        "assert not os.path.exists(maps) or 'libopus' not in open(maps).read()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
