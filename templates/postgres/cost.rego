# What a database costs, by the items of the price table.
package cost

# A database, and the connections that it may hold open.
items contains {"item": "postgres_database", "quantity": 1}

items contains {"item": "postgres_connection", "quantity": input.inputs.connection_limit}

# A dump that outlives it is kept like a backup.
items contains {"item": "backup_copy", "quantity": 1} if input.inputs.keep_last_dump
