# cython: language_level=3, wraparound=False, cdivision=True
"""The masking's inner loops, compiled: the gate over an item's bytes, and the addresses of a text that is all plain.

An accelerator and nothing else: `gate`, `clean_runs`, `escapes` and `address` say the same in Python, and are asked
wherever this module is not there or answers None. So None is always right here, and whatever is not written as nearly
everybody writes it gets it. No byte is read but through `_at`, which has an answer beyond either end too.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    const char* PyBytes_AS_STRING(object raw)

SIGNS = frozenset("@\uff20\ufe6b\\%&=\0")
"""What all that can be found begins with, as far as this module knows. Who has a decoder for anything else does not
use it."""

include "_kernel_text.pxi"
include "_kernel_runs.pxi"
include "_kernel_gate.pxi"
include "_kernel_apart.pxi"
include "_kernel_views.pxi"
