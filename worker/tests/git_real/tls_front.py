#!/usr/bin/env python3
"""A TLS door in front of a plain server on this machine, for tests.

    tls_front.py CERTIFICATE-AND-KEY.pem PORT-OF-THE-SERVER

Prints `ready PORT`, and ends when its standard input ends.
"""

import os
import socket
import ssl
import sys
import threading


def copy(source, sink):
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side hung up


def serve(raw, context, port):
    try:
        client = context.wrap_socket(raw, server_side=True)
    except OSError:
        return  # a client that does not trust the certificate
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        answers = threading.Thread(target=copy, args=(server, client), daemon=True)
        answers.start()
        copy(client, server)
        answers.join()


def accept(door, context, port):
    while True:
        raw, _ = door.accept()
        threading.Thread(target=serve, args=(raw, context, port), daemon=True).start()


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    door = socket.create_server(("127.0.0.1", 0))
    print(f"ready {door.getsockname()[1]}", flush=True)
    threading.Thread(target=accept, args=(door, context, int(sys.argv[2])), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
