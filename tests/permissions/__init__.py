"""What the tests of the policies share: who calls what, what a call needs, whether that is allowed."""
