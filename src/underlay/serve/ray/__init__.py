"""The same server with its models on several machines: replicas that Ray starts, watches and scales."""
