"""What is learned before any video is seen: R (Section 3.3), the Base net (4.1), and the bundled backbone."""
