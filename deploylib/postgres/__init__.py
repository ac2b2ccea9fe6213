"""All that knows Postgres: connections, errors, grants, and its programs."""
