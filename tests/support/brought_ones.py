"""Compressors as users bring them, in a module that is written to a folder: what works, and all that goes wrong."""

from pathlib import Path

import numpy as np

from earmark.engine.compressors.waves.wave_method import WaveRecipe

CLIP = (0.1 * np.sin(np.arange(32_000) / 7)).astype(np.float32)  # 2 s

MODULE = """
import os, signal, sys, time
import numpy as np
from json import dumps

def halves(waveform, rate, budget):
    assert rate == 16_000 and waveform.dtype == np.float32
    waveform *= 0.5  # a copy of its own
    return waveform, 100

def plain(waveform, rate, budget): return list(waveform)
def coded(waveform, rate, budget): return np.round(waveform * 2**15).astype(np.int16), b"12345"
def doubles(waveform, rate, budget): return waveform.astype(float) * budget, None
def shorter(waveform, rate, budget): return waveform[:-1000]
def longer(waveform, rate, budget): return np.append(waveform, np.ones(1000, np.float32))
def halved_rate(waveform, rate, budget): return waveform[::2]

def prints(waveform, rate, budget):
    print("x" * 1_000_000); sys.stdout.flush(); os.write(1, b"garbage" * 1000); os.system("echo shouts")
    assert sys.stdin.read() == ""
    return waveform

def raises(waveform, rate, budget): raise ValueError("no\\x1b[31m such\\nthing")
def leaves(waveform, rate, budget): sys.exit(3)
def interrupts(waveform, rate, budget): raise KeyboardInterrupt
def hangs(waveform, rate, budget): time.sleep(1000)
def exits(waveform, rate, budget): os._exit(7)
def exits_when_loud(waveform, rate, budget): return waveform if waveform.max() < 0.5 else os._exit(7)
def crashes(waveform, rate, budget): os.kill(os.getpid(), signal.SIGSEGV)

def spawns_and_hangs(waveform, rate, budget):
    import subprocess, tempfile
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    path = os.path.join(os.environ["PIDS"], "pids")
    with open(path, "w") as file:
        file.write(f"{child.pid} {os.getpid()} {tempfile.mkdtemp()}")
    os.rename(path, path + ".txt")
    time.sleep(1000)

def fork_returns(waveform, rate, budget):
    child = os.fork()
    if child == 0:
        return waveform / 4
    os.waitpid(child, 0)
    return waveform / 2

def fork_returns_late(waveform, rate, budget):
    if os.fork() == 0:
        time.sleep(0.2)
        return waveform / 4
    return waveform / 2

def fork_raises(waveform, rate, budget):
    child = os.fork()
    if child == 0:
        sys.exit(3)
    os.waitpid(child, 0)
    return waveform / 2

def holds_pipes(waveform, rate, budget):
    child = os.fork()
    if child == 0:
        os.setsid()
        time.sleep(1000)
    with open(os.path.join(os.environ["PIDS"], "holder"), "w") as file:
        file.write(str(child))

def holds_and_hangs(waveform, rate, budget): holds_pipes(waveform, rate, budget); time.sleep(1000)
def holds_and_exits(waveform, rate, budget): holds_pipes(waveform, rate, budget); os._exit(5)

def empties_replies(waveform, rate, budget):
    import json
    json.dumps = lambda *_, **__: "{}"
    return waveform

def old_replies(waveform, rate, budget):
    import json
    dumps = json.dumps
    json.dumps = lambda words: dumps(words | {"number": words["number"] - 1})
    return waveform

def spoils_process(waveform, rate, budget):
    os.chdir("/")
    np.seterr(all="raise")
    np.round = None
    return waveform

def nothing(waveform, rate, budget): pass
def empty(waveform, rate, budget): return np.zeros(0)
def text(waveform, rate, budget): return "text"
def a_dict(waveform, rate, budget): return {"a": 1}
def flags(waveform, rate, budget): return waveform > 0
def complexes(waveform, rate, budget): return waveform.astype(complex)
def ragged(waveform, rate, budget): return [[1.0], [1.0, 2.0]]
def stereo(waveform, rate, budget): return np.stack([waveform, waveform])
def number(waveform, rate, budget): return 1.0
def wide(waveform, rate, budget): return np.ones(32_000, np.int64)
def silent(waveform, rate, budget): return np.zeros_like(waveform)
def not_a_number(waveform, rate, budget): waveform[7] = np.nan; return waveform
def infinite(waveform, rate, budget): waveform[7] = -np.inf; return waveform
def overflows(waveform, rate, budget): return np.full(32_000, 1e300)
def huge(waveform, rate, budget): return np.zeros(1 << 28, np.float32)
def unscaled(waveform, rate, budget): return waveform * 2**15
def unscaled_below(waveform, rate, budget): return -abs(waveform) * 2**15
def big_endian(waveform, rate, budget): return np.round(waveform * 2**15).astype(">i2")
def with_rate(waveform, rate, budget): return waveform / 2, rate
def no_bits(waveform, rate, budget): return waveform, 0
def no_bytes(waveform, rate, budget): return waveform, b""
class Wordless(Exception):
    def __str__(self): raise RuntimeError
def wordless(waveform, rate, budget): raise Wordless
def odd_bits(waveform, rate, budget): return waveform, "many"
def negative_bits(waveform, rate, budget): return waveform, -1
def true_bits(waveform, rate, budget): return waveform, True

class Maker:
    def __call__(self, waveform, rate, budget): return waveform
maker = Maker()
borrowed = dumps
no_function = 3
"""


def write_module(folder: Path, text: str = MODULE) -> None:
    """The module `mine` in a folder."""
    folder.joinpath("mine.py").write_text(text)


def brought(name: str, axis: str = "own", timeout_s: float = 20.0) -> WaveRecipe:
    """A recipe of one of its functions."""
    return WaveRecipe(f"mine:{name}", timeout_s=timeout_s, axis=axis)
