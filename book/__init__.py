"""The book: a static site, slides, a PDF and a poster from the notebooks and the documents. `python -m book --help`."""
