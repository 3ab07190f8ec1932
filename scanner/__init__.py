"""What a person at the keyboard uses: commands, producer, keeper, reports."""
