"""A network camera for tests: `network_camera.py PORT rtsp|http USER PASSWORD FILE`.

Over HTTP it sends FILE, an .mjpeg, to whoever logs in (Basic). Over RTSP it asks for a login (Digest), takes TCP
alone, and plays FILE, an MPEG transport stream, as RTP between its answers.
"""

import base64
import hashlib
import re
import socket
import struct
import sys
import threading
import time

PORT, KIND, USER, PASSWORD, FILE = int(sys.argv[1]), *sys.argv[2:6]
STREAM = open(FILE, "rb").read()


def requests(connection):
    """The heads of requests, one after the other."""
    seen = b""
    while True:
        while b"\r\n\r\n" not in seen:
            try:
                piece = connection.recv(4096)
            except OSError:
                return
            if not piece:
                return
            seen += piece
        head, seen = seen.split(b"\r\n\r\n", 1)
        yield head.decode("latin-1")


def header(head, name):
    found = re.search(rf"^{name}:\s*(.*)$", head, re.MULTILINE | re.IGNORECASE)
    return found.group(1).strip() if found else ""


def http(connection):
    wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for head in requests(connection):
        if header(head, "Authorization") != wanted:
            answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"camera\"\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(answer.encode())
            continue
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/x-motion-jpeg\r\nConnection: close\r\n\r\n")
        try:
            while True:
                connection.sendall(STREAM)
                time.sleep(0.2)
        except OSError:
            return


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def logged_in(head):
    sent = header(head, "Authorization")
    field = lambda name: (re.search(rf'\b{name}="([^"]*)"', sent) or [None, ""])[1]
    method = head.split()[0]
    wanted = md5(f"{md5(f'{USER}:camera:{PASSWORD}')}:once:{md5(f'{method}:' + field('uri'))}")
    return sent.startswith("Digest") and field("response") == wanted


def play(connection):
    """RTP packets of seven transport packets each, as fast as a camera would send them, over and over."""
    size = 7 * 188
    number = 0
    try:
        while True:
            for at in range(0, len(STREAM), size):
                payload = STREAM[at:at + size]
                packet = struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, (number * 900) & 0xFFFFFFFF, 1) + payload
                connection.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
                number += 1
                time.sleep(0.002)
    except OSError:
        pass


def rtsp(connection):
    for head in requests(connection):
        method, address, _ = head.split("\r\n")[0].split(" ")
        answer = ["RTSP/1.0 200 OK", f"CSeq: {header(head, 'CSeq')}", "Session: 1"]
        body = ""
        if method == "OPTIONS":
            answer.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif not logged_in(head):
            answer[0] = "RTSP/1.0 401 Unauthorized"
            answer.append('WWW-Authenticate: Digest realm="camera", nonce="once"')
        elif method == "DESCRIBE":
            body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track1\r\n"
            answer += [f"Content-Base: {address}/", "Content-Type: application/sdp"]
        elif method == "SETUP" and "TCP" not in header(head, "Transport"):
            answer[0] = "RTSP/1.0 461 Unsupported Transport"
        elif method == "SETUP":
            answer.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        answer.append(f"Content-Length: {len(body)}")
        connection.sendall(("\r\n".join(answer) + "\r\n\r\n" + body).encode())
        if method == "PLAY" and answer[0].endswith("200 OK"):
            threading.Thread(target=play, args=(connection,), daemon=True).start()


listener = socket.create_server(("127.0.0.1", PORT))
print("ready", flush=True)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target={"http": http, "rtsp": rtsp}[KIND], args=(accepted,), daemon=True).start()
