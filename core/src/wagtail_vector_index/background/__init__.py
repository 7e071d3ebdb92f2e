"""Writes changes outside of requests: a single attempt, and the thread that makes attempts."""
