"""What happens on a call, as straight-line coroutines over `Call`."""
