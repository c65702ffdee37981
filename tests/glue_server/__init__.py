"""A Glue that does as it is told, with just enough of S3 and STS beside it, on loopback."""
