"""Networks with the state-dict names of the checkpoints that they load. Written from their descriptions; weights come from the user alone."""
