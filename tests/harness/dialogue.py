"""Plays an SMTP dialogue, in the clear or under TLS: HOST PORT SOURCE; the dialogue comes on standard input.

C: a line to send, with its CRLF        R: octets to send, as Python writes them (\\r, \\n, \\0)
S: how the next line has to begin       EOF as such a line is the end of the connection
L: how the last line of a reply has to begin, whatever stands before it
TLS: the handshake of a client          DROP: an end without a word
"""

import socket
import ssl
import sys

host, port, source = sys.argv[1], int(sys.argv[2]), sys.argv[3]
connection = socket.create_connection((host, port), 20, (source, 0))
connection.settimeout(20)
unread = b""


def line():
    global unread
    while b"\n" not in unread:
        piece = connection.recv(65536)
        if not piece:
            return "EOF" if not unread else "half a line: " + repr(unread)
        unread += piece
    found, unread = unread.split(b"\n", 1)
    return found.decode("utf-8", "replace").rstrip("\r")


for number, step in enumerate(sys.stdin.read().splitlines(), 1):
    step = step.strip()
    if not step:
        continue
    word, _, text = step.partition(":")
    text = text.removeprefix(" ")
    if word == "C":
        connection.sendall(text.encode() + b"\r\n")
    elif word == "R":
        connection.sendall(text.encode().decode("unicode_escape").encode("latin-1"))
    elif word == "S":
        found = line()
        if not found.startswith(text):
            sys.exit(f"line {number}: expected `{text}`, got `{found}`")
    elif word == "L":
        found = line()
        while found[3:4] == "-":
            found = line()
        if not found.startswith(text):
            sys.exit(f"line {number}: expected `{text}` at the end, got `{found}`")
    elif word == "TLS":
        if unread:
            sys.exit(f"line {number}: {unread!r} came in the clear before the handshake")
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = context.wrap_socket(connection)
        print(connection.version())
    elif word == "DROP":
        break
    else:
        sys.exit(f"line {number}: what is `{step}`?")
connection.close()
