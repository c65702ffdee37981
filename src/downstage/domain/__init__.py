"""The words of the field as frozen dataclasses: standard library only, no I/O, hardly any behaviour."""
