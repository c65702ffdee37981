"""What is compiled where there is a C compiler. Without one the loops in Python, which say the same, are used."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(f"downstage.{package}._kernel", [f"src/downstage/{package}/_kernel.pyx"], optional=True)
        for package in ("masking", "proof")
    ]
)
