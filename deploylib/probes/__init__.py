"""Requests to the public addresses: the proof of a deploy, and the downtime that visitors see."""
