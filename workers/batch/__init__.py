"""What a process does with a batch: task, runner, result sinks, retry, sandbox."""
