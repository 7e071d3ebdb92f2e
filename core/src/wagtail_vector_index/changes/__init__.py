"""From what an editor does to the outbox, and from there, after the commit, to a drain."""
