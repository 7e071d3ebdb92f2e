"""Writes changes outside of requests: one attempt, and the thread that makes attempts."""
