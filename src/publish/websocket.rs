//! MQTT over WebSocket: a stream of bytes through binary messages, as brokers take it (MQTT 5, section 6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::dial::Duplex;
use super::packets::printable;

/// What MQTT is called among the protocols over WebSocket.
const MQTT: &str = "mqtt";
/// The longest message that is read. A publisher is sent short ones only.
const LONGEST: usize = 64 << 10;

/// A WebSocket as a stream of bytes.
pub(super) struct Bytestream<S> {
    socket: WebSocketStream<S>,
    /// What is left of the message that is being read.
    left: Bytes,
}

/// Asks the web server at the other end of `stream` for MQTT at `url`.
///
/// # Errors
/// A sentence part that says why there is none, or the error of the connection.
pub(super) async fn open<S: Duplex>(stream: S, url: &str) -> Result<Bytestream<S>, Refusal> {
    let mut request = url.into_client_request().map_err(|error| {
        Refusal::Words(format!(
            "`{url}` is no address for WebSocket ({error}): check [mqtt] url"
        ))
    })?;
    request
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(MQTT));
    let limits = WebSocketConfig::default()
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST));
    let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(limits)).await;
    match opened {
        Ok((socket, _)) => Ok(Bytestream {
            socket,
            left: Bytes::new(),
        }),
        Err(error) => Err(refusal(error, url)),
    }
}

/// Why there is no WebSocket.
#[derive(Debug)]
pub(super) enum Refusal {
    /// For people.
    Words(String),
    /// What is spoken at the other end is something else, or it closed the connection at once.
    NoWeb,
    /// The connection failed.
    Io(io::Error),
}

fn refusal(error: Error, url: &str) -> Refusal {
    Refusal::Words(match error {
        Error::Http(answer) => {
            let status = answer.status();
            match status.as_u16() {
                401 | 403 => format!(
                    "a web server refuses WebSocket at {url} ({status}): let it pass MQTT on without a login of its own; MQTT has one"
                ),
                404 => format!(
                    "there is no WebSocket at {url} ({status}): check the path in [mqtt] url; many brokers have /mqtt, some /ws"
                ),
                301 | 302 | 307 | 308 => {
                    let headers = answer.headers();
                    let place = headers.get("location").and_then(|place| place.to_str().ok());
                    format!(
                        "a web server sends its clients from {url} to `{}`: set [mqtt] url to the broker itself, with ws:// or wss://",
                        printable(place.unwrap_or("another place"))
                    )
                }
                _ => format!(
                    "a web server answers {status} at {url}, where MQTT over WebSocket is asked for: check port and path in [mqtt] url"
                ),
            }
        }
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => {
            format!("there is a WebSocket at {url}, but no MQTT in it: check port and path in [mqtt] url")
        }
        Error::Io(error) => return Refusal::Io(error),
        Error::Protocol(_) | Error::ConnectionClosed | Error::AlreadyClosed => return Refusal::NoWeb,
        error => format!("no WebSocket comes about at {url} ({error}): check port and path in [mqtt] url"),
    })
}

impl<S: Duplex> AsyncRead for Bytestream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.left.is_empty() {
            match ready!(Pin::new(&mut this.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => this.left = bytes,
                // The library answers pings itself; text is nothing of MQTT.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Text(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(end(error)),
            }
        }
        let count = this.left.len().min(buffer.remaining());
        buffer.put_slice(&this.left[..count]);
        this.left.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: Duplex> AsyncWrite for Bytestream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut socket = Pin::new(&mut self.get_mut().socket);
        match ready!(socket.as_mut().poll_ready(context)) {
            Ok(()) => {}
            Err(error) => return Poll::Ready(Err(broken(error))),
        }
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        if let Err(error) = socket.as_mut().start_send(message) {
            return Poll::Ready(Err(broken(error)));
        }
        // It is on its way now, or goes with the next poll: nobody else flushes after the last packet.
        match socket.poll_flush(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(broken(error))),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket)
            .poll_flush(context)
            .map_err(broken)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.get_mut().socket).poll_close(context)) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(broken(error))),
        }
    }
}

/// The end of the stream, if that is what it is.
fn end(error: Error) -> io::Result<()> {
    match error {
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ok(()),
        error => Err(broken(error)),
    }
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}
