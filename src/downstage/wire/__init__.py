"""Protocol without I/O: bytes to send, bytes received, faults classified."""
