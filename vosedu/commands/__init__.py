"""The command line: python -m vosedu COMMAND. Each command is a module here with `add_flags(parser)` and `run(args)`."""

import argparse
import importlib
import sys
from pathlib import Path

from ..beyond.waiting import wait_quietly
from ..errors import InputError, file_error

COMMANDS = {
    "segment": "segment one video",
    "evaluate": "score a data set",
    "table1": "the paper's ablation",
    "table3": "the paper's rivals on the same features",
    "demo": "segment a bundled scene",
    "train": "train the refinement network",
    "average": "the mean of several trainings",
    "rivals": "learn what the rivals need before any video",
    "distill": "make a compact backbone",
    "export": "write the networks as ONNX, for a browser",
    "bench": "measure speed and memory here",
    "download": "fetch a data set",
    "doctor": "check this machine",
    "grade": "check students' exercises",
    "notebooks": "copy the notebooks to a folder of yours",
    "settings": "list every setting and preset",
}
"""Module -> what it does, in one line."""


def build_parser(chosen: str = "") -> argparse.ArgumentParser:
    """The command line with the flags of one command: others are not imported, so that each starts quickly."""
    parser = argparse.ArgumentParser(prog="vosedu", description="Segment objects in video from a first mask, by "
                                     "discriminative online learning (Robinson et al. 2019).")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name == chosen:
            module = importlib.import_module(f".{name}", __package__)
            command.description = module.run.__doc__
            module.add_flags(command)
            command.set_defaults(run=module.run)
    return parser


def _at_home(value: object) -> object:
    """A path with ~ as the user's own folder, which a shell leaves alone in --out=~/masks; other values as they are."""
    if isinstance(value, list):
        return [_at_home(one) for one in value]
    return value.expanduser() if isinstance(value, Path) else value


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 where it went well, 2 with one line on stderr where the input cannot be used."""
    argv = sys.argv[1:] if argv is None else argv
    wait_quietly()  # before a command imports PyTorch
    for stream in (sys.stdout, sys.stderr):  # redirected on Windows they take its own code page, which lacks most letters
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        args = build_parser(argv[0] if argv else "").parse_args(argv)
        for name, value in vars(args).items():
            setattr(args, name, _at_home(value))
        return args.run(args)
    except InputError as error:
        print(f"vosedu: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        reason = " ".join(str(error).split())[:160]
        print(f"vosedu: a package that this needs cannot be imported ({reason}): `python -m vosedu doctor` says what to do",
              file=sys.stderr)
        return 2
    except OSError as error:
        print(f"vosedu: {file_error(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vosedu: stopped; what is finished is whole and kept, and the same command goes on from there (evaluate: with "
              "--out)", file=sys.stderr)
        return 130
