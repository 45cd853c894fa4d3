"""Pure: from what a server said or did to a code, and when to try again."""
