"""The views of the section "Vector indexes", and the view of the pages similar to a page."""
