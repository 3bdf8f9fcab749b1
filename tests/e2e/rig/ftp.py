"""An FTP server (RFC 959, RFC 4217): pyftpdlib as Debian has it, with what the tests ask of it.

usage: ftp.py ADDRESS FOLDER [tls=FILE] [rate=BYTES] [buffer=BYTES]

tls     certificate and key; nothing goes in the clear then, and, as vsftpd and FileZilla ask for, a connection for a file
        must resume the session of the one for commands
rate    how many bytes of a file it takes a second
buffer  how many bytes the kernel keeps of what it has not taken yet
"""

import socket
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import DTPHandler, FTPHandler, PassiveDTP, ThrottledDTPHandler, TLS_DTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

address, folder = sys.argv[1:3]
options = dict(word.split("=", 1) for word in sys.argv[3:])


class Resumed(TLS_DTPHandler):
    def handle_ssl_established(self):
        from OpenSSL._util import lib

        if not lib.SSL_session_reused(self.socket._ssl):
            self.cmd_channel.respond("522 SSL connection failed: session reuse required")
            self.close()
            return
        super().handle_ssl_established()


class Narrow(PassiveDTP):
    def listen(self, backlog):
        if "buffer" in options:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(options["buffer"]))
        super().listen(backlog)


class Throttled(ThrottledDTPHandler):
    read_limit = int(options.get("rate", 0))


if "tls" in options:
    handler = TLS_FTPHandler
    handler.certfile = options["tls"]
    handler.tls_control_required = handler.tls_data_required = True
    handler.dtp_handler = Resumed
else:
    handler = FTPHandler
    handler.dtp_handler = Throttled if "rate" in options else DTPHandler
handler.passive_dtp = Narrow
handler.authorizer = DummyAuthorizer()
handler.authorizer.add_user("keeper", "right horse", folder, perm="elradfmwMT")
FTPServer((address, 21), handler).serve_forever()
