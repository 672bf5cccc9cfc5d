"""Questions asked of Underlay, each with its plan, its runs and its page."""
