"""Watch a folder: put what is new or changed on the queue, and report new findings."""
