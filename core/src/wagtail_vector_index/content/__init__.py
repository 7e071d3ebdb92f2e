"""What a site declares, and reading it: fields, filter values, keys, visibility, text."""
