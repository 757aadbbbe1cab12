"""The command line: python -m vosedu COMMAND. Each command is a module here with `add_flags(parser)` and `run(args)`."""

import argparse
import importlib
import sys

from ..errors import InputError, file_error

COMMANDS = {
    "segment": "segment one video",
    "evaluate": "score a data set",
    "table1": "the paper's ablation",
    "demo": "segment a bundled scene",
    "train": "train the refinement network",
    "distill": "make a compact backbone",
    "export": "write the networks as ONNX, for a browser",
    "bench": "measure speed and memory here",
    "download": "fetch a data set",
    "doctor": "check this machine",
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


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 where it went well, 2 with one line on stderr where the input cannot be used."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        args = build_parser(argv[0] if argv else "").parse_args(argv)
        return args.run(args)
    except InputError as error:
        print(f"vosedu: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"vosedu: {file_error(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vosedu: stopped; what is finished is whole and kept, and the same command goes on from there (evaluate: with "
              "--out)", file=sys.stderr)
        return 130
