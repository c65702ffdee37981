"""What is compiled where there is a C compiler. Without one the loops in Python, which say the same, are used."""

from glob import glob

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            f"downstage.{package}._kernel",
            [f"src/downstage/{package}/_kernel.pyx"],
            depends=glob(f"src/downstage/{package}/*.pxi"),
            optional=True,
        )
        for package in ("masking", "proof")
    ]
)
