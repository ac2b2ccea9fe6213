"""The edges to this machine: clock, processes, HTTP, git, files, CI."""
