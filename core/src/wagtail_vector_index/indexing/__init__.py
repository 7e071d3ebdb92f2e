"""From source objects to the record, and from the record to vector backends."""
