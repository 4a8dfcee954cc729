"""PostgreSQL and Valkey of our own, for who has configured none: started, supervised and stopped by the process that needs them.

`attach` is what a service uses; `start_embedded` what tests use.
"""

from libs.common.embedded.attach import Attachment, Endpoints, attach, open_attachment
from libs.common.embedded.errors import BinariesMissing, DataDirUnusable, EmbeddedError, StartFailed
from libs.common.embedded.servers import Embedded, start_embedded

__all__ = [
    "Attachment",
    "BinariesMissing",
    "DataDirUnusable",
    "Embedded",
    "EmbeddedError",
    "Endpoints",
    "StartFailed",
    "attach",
    "open_attachment",
    "start_embedded",
]
