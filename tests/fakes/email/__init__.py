"""Mail servers on this machine: a real IMAP server (pymap) and a real SMTP server (aiosmtpd).

The second one keeps what it takes, and can refuse, hesitate or leave in any phase.
"""

from tests.fakes.email.imap import ImapServer, imap_served
from tests.fakes.email.smtp import Leave, Say, SmtpServer, smtp_served

__all__ = ["ImapServer", "Leave", "Say", "SmtpServer", "imap_served", "smtp_served"]
