"""Sources of image files: folders, URLs, and the hub's share."""
