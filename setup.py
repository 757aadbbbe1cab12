"""Packages and where they lie; all else is in pyproject.toml, which has no way to say this."""

from setuptools import find_packages, setup

OUTSIDE = {"vosedu.data.weights": "data/weights", "vosedu.data.scenes": "data/scenes", "vosedu.notebooks": "notebooks",
           "vosedu.docs": "docs"}
"""What lies beside the package in a clone, and within it once it is installed."""

setup(packages=[*find_packages(include=["vosedu*"]), *OUTSIDE], package_dir=OUTSIDE)
