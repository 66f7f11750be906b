//! The server's thread: a bounded number of connections, each with a bounded time, so that nobody who is slow, or asks for
//! much, holds up anything but other visitors.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, Semaphore};

use super::Shown;
use super::site::Site;
use super::tls::Tls;
use crate::config;

/// Connections at once; the next one waits.
const MOST: usize = 16;
/// How long a request's headers may take, and how long a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may last.
const LONGEST: Duration = Duration::from_secs(60);
/// What is read of a request at most, in bytes.
const LARGEST: usize = 16 << 10;
/// How long the answer to a wrong password takes.
const SLOW: Duration = Duration::from_millis(if cfg!(any(test, feature = "fuzz")) {
    1
} else {
    1000
});
/// How long to wait before a port that is taken is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// The running server. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Server {
    over: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
    /// Where it listens; `None` while the port is taken.
    pub(crate) address: Option<SocketAddr>,
}

/// Starts the server, if metrics or page are wanted. If its port is taken, that is said, and tried again and again: the
/// daemon does not depend on it.
///
/// # Errors
/// If a thread cannot be started.
pub(crate) fn start(settings: &config::Status, shown: Arc<Shown>) -> std::io::Result<Option<Server>> {
    if !settings.metrics && !settings.page {
        return Ok(None);
    }
    // Checked with the configuration.
    let Ok(listen) = settings.listen.parse::<SocketAddr>() else {
        return Ok(None);
    };
    let bound = bind(listen);
    let address = bound.as_ref().ok().and_then(|bound| bound.local_addr().ok());
    let site = Arc::new(Site::new(settings, shown));
    let tls = Tls::of(settings);
    tell(settings, &bound, address, tls.is_some());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let over = Arc::new(Notify::new());
    let until = Arc::clone(&over);
    let thread = std::thread::Builder::new()
        .name("status".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = serve(bound.ok(), listen, site, tls) => {}
                    () = until.notified() => {}
                }
            });
            // What is still open is cut off.
            runtime.shutdown_background();
        })?;
    Ok(Some(Server {
        over,
        thread: Some(thread),
        address,
    }))
}

fn bind(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn tell(
    settings: &config::Status,
    bound: &std::io::Result<TcpListener>,
    address: Option<SocketAddr>,
    secure: bool,
) {
    let scheme = if secure { "https" } else { "http" };
    let mut what = Vec::new();
    if settings.page {
        what.push("page");
    }
    if settings.metrics {
        what.push("metrics");
    }
    let what = what.join(" and ");
    match (bound, address) {
        (Ok(_), Some(address)) => log::info!("The {what} can be read at {scheme}://{address}/."),
        (Err(error), _) => log::error!(
            "The {what} cannot be offered at {} ({error}); it is tried again and again. Another port in [status] listen helps if a program has it.",
            settings.listen
        ),
        (Ok(_), None) => {}
    }
}

async fn serve(mut bound: Option<TcpListener>, listen: SocketAddr, site: Arc<Site>, tls: Option<Tls>) {
    let listener = loop {
        let ready = bound.take().map(Ok).unwrap_or_else(|| bind(listen));
        match ready.and_then(tokio::net::TcpListener::from_std) {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    };
    let places = Arc::new(Semaphore::new(MOST));
    let mut told = None;
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // No more files may be open, for instance: others close theirs.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let acceptor = match tls.as_ref().map(Tls::acceptor).transpose() {
            Ok(acceptor) => acceptor,
            Err(why) => {
                if told.as_ref() != Some(&why) {
                    log::error!("{why}");
                }
                told = Some(why);
                continue;
            }
        };
        let site = Arc::clone(&site);
        drop(tokio::spawn(async move {
            match acceptor {
                None => visit(stream, site).await,
                Some(acceptor) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
                        visit(stream, site).await;
                    }
                }
            }
            drop(place);
        }));
    }
}

/// One connection.
async fn visit(stream: impl AsyncRead + AsyncWrite + Unpin, site: Arc<Site>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let site = Arc::clone(&site);
        async move {
            let (request, _body) = request.into_parts();
            let answer = site.answer(&request);
            if answer.wrong_password {
                tokio::time::sleep(SLOW).await;
            }
            Ok::<_, Infallible>(answer.response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .half_close(true)
        .max_buf_size(LARGEST)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service);
    // A visitor who goes, is too slow or talks nonsense is no news.
    let _ = tokio::time::timeout(LONGEST, connection).await;
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The server on a stream in memory, for tests.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod tests_only {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What the server answers to `request`, byte for byte.
    pub(crate) fn answer(settings: &config::Status, shown: Arc<Shown>, request: &[u8]) -> Vec<u8> {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
        else {
            return Vec::new();
        };
        let site = Arc::new(Site::new(settings, shown));
        runtime.block_on(async move {
            let (theirs, mut ours) = tokio::io::duplex(1 << 20);
            let server = tokio::spawn(visit(theirs, site));
            let _ = ours.write_all(request).await;
            let _ = ours.shutdown().await;
            let mut answer = Vec::new();
            let _ = ours.read_to_end(&mut answer).await;
            let _ = server.await;
            answer
        })
    }
}
