"""The pages of the section "Vector indexes", and the similar pages of one page."""
