"""Where the bytes of images come from: folders, URLs, the hub."""
