"""Images as files and pixels: formats, containers, decoding, orientation, faces."""
