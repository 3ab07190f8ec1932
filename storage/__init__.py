"""What lasts: the schema, the store and the records that cross it."""
