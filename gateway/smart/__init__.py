"""The SMART authorization server: who may log in, which apps there are, and which tokens they get."""
