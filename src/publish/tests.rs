//! What the daemon's side sees of the publishing thread.

use super::*;

fn publisher(publish: impl FnOnce(&Shared) + Send + 'static) -> (Publisher, Arc<Progress>) {
    let progress = Arc::new(Progress::new(Arc::default()));
    let outbox = Outbox::new(1, Duration::from_secs(1));
    let publisher =
        Publisher::spawn("base".to_owned(), outbox, Arc::clone(&progress), publish).expect("a thread");
    (publisher, progress)
}

#[test]
fn a_publishing_thread_that_dies_ends_the_run() {
    let (publisher, progress) = publisher(|_| panic!("on purpose"));
    let began = Instant::now();
    while !progress.stop().load(Ordering::Relaxed) {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the run goes on without it"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    // Nobody waits for it, and it is told.
    assert!(publisher.stop(Status::Stopped, Duration::from_secs(60)).is_err());
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_publishing_thread_that_was_asked_to_end_has_not_died() {
    let (publisher, _) = publisher(|shared| {
        while shared.lock().farewell.is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    assert!(publisher.stop(Status::Stopped, Duration::from_secs(60)).is_ok());
}
