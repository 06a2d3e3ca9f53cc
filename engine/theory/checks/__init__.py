"""The statements of the theory as checks, grouped as the paper groups them."""
