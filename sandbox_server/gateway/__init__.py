"""The gateway: every request for a sandbox goes through it, to the guest's own services or to a port inside."""
