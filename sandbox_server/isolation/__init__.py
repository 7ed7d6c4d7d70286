"""The walls around sandboxes as the host builds them: bubblewrap outside, system call filter, control groups."""
