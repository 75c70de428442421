#!/usr/bin/env python3
"""What apps/python believes of the C interface, as check_layout.py reads it. Needs the shared library: $CARDINAL_LIBRARY."""
import ctypes
import importlib.util
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# _c.py alone: the package wants NumPy, its structures do not
spec = importlib.util.spec_from_file_location("cardinal_vk._c", os.path.join(ROOT, "apps/python/cardinal_vk/_c.py"))
c = importlib.util.module_from_spec(spec)
c.__package__ = "cardinal_vk"
spec.loader.exec_module(c)

KINDS = {None: "void", ctypes.c_int: "int", ctypes.c_uint32: "u32", ctypes.c_uint64: "u64", ctypes.c_size_t: "u64",
         ctypes.c_bool: "bool", ctypes.c_float: "float", ctypes.c_double: "double"}

for struct in c.STRUCTURES:
    print("struct", struct.__name__, ctypes.sizeof(struct))
    for name, _ in struct._fields_:
        field = getattr(struct, name)
        print("field", struct.__name__, name, field.offset, field.size)
for name, value in c.CONSTANTS.items():
    print("constant", name, value)
for name, (result, arguments) in c.FUNCTIONS.items():
    print("function", name, *(KINDS.get(kind, "pointer") for kind in [result, *arguments]))
