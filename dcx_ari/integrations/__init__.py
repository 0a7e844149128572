"""What DCX talks to over the network: mail, webhooks, Slack."""
