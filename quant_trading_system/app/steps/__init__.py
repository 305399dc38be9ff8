"""The eight steps of the start, one a file, each an async context manager that says what is ready."""
