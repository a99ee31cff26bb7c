"""What comes by itself: subscriptions, device streams, posted and dropped files. All of it ends in the raw store."""
