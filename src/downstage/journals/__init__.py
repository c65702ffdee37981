"""Where a run's progress lives: the implementations of `ports.Journal`."""
