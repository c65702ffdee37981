"""The refresh as steps in an order. Knows ports; knows nothing of AWS, of processes, or of who shows progress."""
