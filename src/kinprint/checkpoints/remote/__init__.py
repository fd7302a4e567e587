"""Models that lie elsewhere: on a hub, behind a URL or in a bucket, read by byte ranges through sparse copies on this disk."""
