"""Heart and circulation: the loop, its drugs, states and prostheses, and the evidence for them."""
