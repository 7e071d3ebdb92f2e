"""From a query to source objects."""
