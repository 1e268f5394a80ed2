"""Tables as they come, and the numbers that a network is given of them."""
