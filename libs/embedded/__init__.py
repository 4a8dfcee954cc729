"""PostgreSQL and Valkey of our own, for those who have configured none.

They are started, watched and stopped by the first process that needs them.

`attach` is what a service uses; `start_embedded` what tests use.
"""

from libs.common.servers import Endpoints
from libs.embedded.attach import Attachment, attach, open_attachment, published_dsn
from libs.embedded.datadir import secret_key
from libs.embedded.errors import (
    BinariesMissingError,
    DataDirUnusableError,
    EmbeddedError,
    StartFailedError,
)
from libs.embedded.servers import Embedded, start_embedded

__all__ = [
    "Attachment",
    "BinariesMissingError",
    "DataDirUnusableError",
    "Embedded",
    "EmbeddedError",
    "Endpoints",
    "StartFailedError",
    "attach",
    "open_attachment",
    "published_dsn",
    "secret_key",
    "start_embedded",
]
