"""`python -m book`: build the site, the slides, the PDF and the poster."""

import argparse
import os
import sys
from pathlib import Path

from vosedu.errors import InputError

from .beside import lay_beside
from .execute import NOTEBOOKS, all_executed
from .moving import record
from .pdf import print_book
from .poster import draw_poster
from .site import build_site


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="python -m book", description=__doc__)
    found.add_argument("--out", type=Path, default=Path("out/book"), help="folder of all that is made (default: out/book)")
    found.add_argument("--stored", action="store_true",
                       help="take the notebooks' stored outputs and do not run them: minutes faster, and widgets are pictures")
    found.add_argument("--repository", default=os.environ.get("GITHUB_REPOSITORY"),
                       help="owner/name on GitHub, for the links to Colab and Binder (default: $GITHUB_REPOSITORY)")
    found.add_argument("--pdf", action="store_true", help="also print book.pdf; needs Playwright and Chromium")
    found.add_argument("--poster", action="store_true", help="also draw poster.pdf and poster.png, Figure 2 with real maps")
    found.add_argument("--moving", action="store_true", help="also record book.webp, two sliders being moved; needs Chromium")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Build what the flags ask for; returns the exit status."""
    args = parser().parse_args(arguments)
    try:
        copies = {} if args.stored else all_executed(NOTEBOOKS, args.out / "executed")
        pages = build_site(args.out, copies, args.repository)
        if args.moving:
            record(pages.resolve(), args.out / "book.webp")
        if args.poster:
            draw_poster(args.out)
        if args.pdf:
            print(f"{args.out / 'book.pdf'}: {print_book(pages.resolve(), args.out / 'book.pdf')} sheets")
        lay_beside(pages, args.out)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    files = [path for path in pages.rglob("*") if path.is_file()]
    print(f"{pages / 'index.html'}: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
