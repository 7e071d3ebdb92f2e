"""What the command asks after indexing, and what the home page suggests."""

QUESTIONS = [
    "send an email when something goes wrong",
    "speed up slow database queries",
    "protect my site from attackers",
    "store uploaded pictures in the cloud",
]
