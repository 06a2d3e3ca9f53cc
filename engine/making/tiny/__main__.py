"""`python -m earmark.engine.making.tiny`: parse, train, write the folder."""

import argparse
import sys
from pathlib import Path

import torch

from earmark.engine.errors import EarmarkError
from earmark.engine.making.tiny.training_run import train


def main(arguments: list[str] | None = None) -> int:
    """Train one embedded answerer on one thread."""
    parser = argparse.ArgumentParser(prog="python -m earmark.engine.making.tiny", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the weights and of the clips (default 0: tiny-a)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--work", type=Path, help="folder of the checkpoint (default: OUT with .work behind it)")
    parser.add_argument("--length", type=float, default=1.0, help="times the steps of every stage (default 1)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default 1)")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    work = chosen.work or chosen.out.with_name(chosen.out.name + ".work")
    try:
        train(chosen.seed, chosen.out, work, _say, length=chosen.length)
    except EarmarkError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
