"""The checkout page: a signed link by which a person pays without an application of their own."""
