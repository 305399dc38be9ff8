"""Every precondition of a start, looked at without starting anything: what is well, what is not, and each fix."""
