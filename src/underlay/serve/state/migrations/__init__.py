"""How a state came to its tables, a file a step."""
