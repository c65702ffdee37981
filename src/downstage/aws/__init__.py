"""AWS itself: boto3 for everything off the hot path, our own bytes on it."""
