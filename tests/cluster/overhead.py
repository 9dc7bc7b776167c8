"""`.venv/cluster/bin/python tests/cluster/overhead.py [PHOTOS] [MB]`: what sending a photo to a cluster of this machine and fetching its result
costs, with stations that do nothing: seconds a photo, MB a second. Not a test."""

import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]
import conftest  # noqa: E402


def main(count: int, megabytes: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        farm = conftest.Farm(Path(folder)).start(2)
        photos = farm.photos(*(f"{i:05d}.jpg" for i in range(count)))
        for photo in photos:
            photo.write_bytes(photo.name.encode() + bytes(int(megabytes * 1e6 / 5)))       # five files of a result hold the photo each
        for shared in (False, True):
            farm.out = Path(folder) / f"out-{shared}"
            farm.run(photos[:4], shared)                       # the stations start
            began = time.monotonic()
            assert set(farm.run(photos, shared).values()) == {("done", ""), ("skipped", "")}
            seconds = (time.monotonic() - began) / (count - 4)
            print(f"{'shared folder' if shared else 'sent and fetched'}: {seconds * 1000:.1f} ms a photo, {megabytes / seconds:.0f} MB/s of results")
        farm.cluster.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, float(sys.argv[2]) if len(sys.argv) > 2 else 0.001)
