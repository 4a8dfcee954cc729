"""The gateway between teams and the channels: content, limits, sends, webhooks in and out."""
