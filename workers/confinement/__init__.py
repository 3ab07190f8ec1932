"""What a process that handles hostile files gives up: files, network, other processes."""
