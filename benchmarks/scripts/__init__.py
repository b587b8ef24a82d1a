"""Short programs that the bench starts as processes of their own, so that each is measured whole."""
