"""The shared record's pure rules: events, signatures, locks, queries, assignments, rights."""
