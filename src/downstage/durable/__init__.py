"""Who carries a workflow through: the implementations of `ports.Durable`."""
