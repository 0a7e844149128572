"""Call control: one call is one task that runs a flow over the verbs of `Call`."""
