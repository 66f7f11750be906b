//! A network between daemon and broker: it can break, swallow everything, and be slow.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub struct Network {
    pub port: u16,
    ends: Arc<Mutex<Vec<TcpStream>>>,
    weather: Arc<Weather>,
}

#[derive(Default)]
struct Weather {
    closes: AtomicBool,
    swallows: AtomicBool,
}

impl Network {
    pub fn to(broker: u16) -> Self {
        Self::slow(broker, Duration::ZERO)
    }

    /// Every byte takes so long on its way, there and back.
    pub fn slow(broker: u16, latency: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let ends: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let weather: Arc<Weather> = Arc::default();
        let (ours, theirs) = (Arc::clone(&ends), Arc::clone(&weather));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // Without a broker the connection is closed at once.
                let Ok(server) = TcpStream::connect(("127.0.0.1", broker)) else {
                    continue;
                };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                ours.lock().unwrap().push(client.try_clone().unwrap());
                let both = (client.try_clone().unwrap(), server.try_clone().unwrap());
                for (from, to) in [(client, server), (both.1, both.0)] {
                    let weather = Arc::clone(&theirs);
                    thread::spawn(move || carry(from, to, latency, &weather));
                }
            }
        });
        Self { port, ends, weather }
    }

    /// Breaks every connection on the daemon's side; the broker notices it only if the network `closes` its side, too.
    pub fn break_off(&self, closes: bool) {
        self.weather.closes.store(closes, Ordering::Relaxed);
        for end in self.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Swallows everything that comes, for good: a black hole. Nobody is told.
    pub fn swallow(&self, swallows: bool) {
        self.weather.swallows.store(swallows, Ordering::Relaxed);
    }
}

/// Carries bytes until one end is gone.
fn carry(mut from: TcpStream, to: TcpStream, latency: Duration, weather: &Weather) {
    let (sender, pieces) = channel::<(Instant, Vec<u8>)>();
    let mut out = to.try_clone().unwrap();
    let late = thread::spawn(move || {
        for (due, piece) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if out.write_all(&piece).is_err() {
                break;
            }
        }
    });
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        if weather.swallows.load(Ordering::Relaxed) {
            // From now on there is a gap, so nothing more may follow.
            while !from.peek(&mut piece).is_ok_and(|count| count == 0)
                && weather.swallows.load(Ordering::Relaxed)
            {
                thread::sleep(Duration::from_millis(20));
            }
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
        if sender
            .send((Instant::now() + latency, piece[..count].to_vec()))
            .is_err()
        {
            break;
        }
    }
    drop(sender);
    let _ = late.join();
    // A network that is gone closes nothing.
    while !weather.closes.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(50));
    }
    let _ = to.shutdown(Shutdown::Both);
}
