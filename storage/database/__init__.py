"""The database of a store: engine, schema, transactions, migrations, backup."""
