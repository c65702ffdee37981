"""Notifications: the implementations of `ports.Notifier`."""
