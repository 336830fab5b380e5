"""Other people's Telegram, Slack and model servers, spoken to over real HTTP.

Our own fakes (`tests/fakes`) know limits and faults; these say whether the fakes are honest.
"""
