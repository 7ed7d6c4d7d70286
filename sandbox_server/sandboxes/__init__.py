"""Sandboxes as the host sees them: what each is, how long it lives, and the channel to its guest."""
