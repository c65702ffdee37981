"""The composition root: where ports meet their implementations. The library's own API is `downstage.app.runs`."""
