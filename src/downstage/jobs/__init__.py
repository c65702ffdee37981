"""Programs that run elsewhere: what AWS Glue and `spark-submit` are given."""
