"""Does a trunk trained on language help with signals that are not language? `PLAN.md` came first."""
