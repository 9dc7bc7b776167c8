"""Peak memory of a stage, per platform."""

from __future__ import annotations

import sys
from pathlib import Path

_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


_beside = 0.0


def beside(mb: float) -> None:
    """A process that worked for this one had this peak: the larger of such peaks is added to our own (an upper bound)."""
    global _beside
    _beside = max(_beside, mb)


def reset_peak() -> None:
    """Start a new measurement where the system can (Linux); elsewhere the peak is that of the whole process."""
    global _beside
    _beside = 0.0
    try:
        _REFS.write_text("5")
    except OSError:
        return


def peak_mb() -> float:
    """Peak resident memory in MB since `reset_peak` (Linux) or since the process began, and that of processes `beside`."""
    return _own_peak_mb() + _beside


def _own_peak_mb() -> float:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass                                   # not Linux: ask the next way
    if sys.platform == "win32":
        return _windows_peak_mb()
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _windows_peak_mb() -> float:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = [("cb", wintypes.DWORD), ("faults", wintypes.DWORD), ("peak", ctypes.c_size_t),
                    *((f"rest{i}", ctypes.c_size_t) for i in range(7))]

    counters = Counters(cb=ctypes.sizeof(Counters))
    kernel = ctypes.windll.kernel32
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    kernel.K32GetProcessMemoryInfo(wintypes.HANDLE(kernel.GetCurrentProcess()), ctypes.byref(counters), counters.cb)
    return counters.peak / (1 << 20)
