"""The questions that the command asks after indexing, and that the home page suggests."""

QUESTIONS = [
    "send an email when something goes wrong",
    "speed up slow database queries",
    "protect my site from attackers",
    "store uploaded pictures in the cloud",
]
