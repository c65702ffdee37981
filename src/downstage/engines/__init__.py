"""What runs lanes. Engines know ports, never each other, and nothing of DynamoDB or S3."""
