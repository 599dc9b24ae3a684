"""tls_engine: an engine behind TLS with client certificates, as dockerd --tlsverify is.

    tls_engine.py DIR SOCKET ADDRESS PORT    DIR has ca.pem, server.pem, server-key.pem

Takes TLS off and passes bytes on to the unix socket, both ways, until it is killed. Prints "ready".
"""

import select
import socket
import ssl
import sys
import threading


def take_from_client(client, engine):
    """False at the client's end."""
    try:
        data = client.recv(65536)
    except ssl.SSLWantReadError:
        return True
    if data:
        engine.sendall(data)
    else:
        engine.shutdown(socket.SHUT_WR)
    return bool(data)


def give_to_client(client, engine):
    """False at the engine's end, which the client gets as Go's server gives it: with a close_notify."""
    data = engine.recv(65536)
    client.settimeout(10)
    if data:
        client.sendall(data)
        client.setblocking(False)
        return True
    client.unwrap()
    return False


def serve(raw, context, path):
    """One thread a connection: a TLS object is not for two at a time."""
    try:
        with context.wrap_socket(raw, server_side=True) as client, socket.socket(socket.AF_UNIX) as engine:
            engine.connect(path)
            client.setblocking(False)
            watched = [client, engine]
            while True:
                ready = watched if client.pending() else select.select(watched, [], [])[0]
                if client in ready and not take_from_client(client, engine):
                    watched = [engine]
                if engine in select.select([engine], [], [], 0)[0] and not give_to_client(client, engine):
                    return
    except OSError:
        pass


def main():
    where, path, address, port = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{where}/server.pem", f"{where}/server-key.pem")
    context.load_verify_locations(f"{where}/ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server((address, int(port))) as listener:
        print("ready", flush=True)
        while True:
            raw, _ = listener.accept()
            threading.Thread(target=serve, args=(raw, context, path), daemon=True).start()


main()
