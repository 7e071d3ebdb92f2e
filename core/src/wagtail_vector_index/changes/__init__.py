"""Notes the changes that editors make in the outbox, and starts a drain after the commit."""
