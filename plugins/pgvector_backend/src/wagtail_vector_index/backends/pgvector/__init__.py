"""The PostgreSQL vector backend. Importing this package imports no client library."""
