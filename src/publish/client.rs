//! The publishing thread: connect, send, wait for the acknowledgement, and again; back off while the broker is away.

use std::time::{Duration, Instant};

use affect_core::report::Status;

use super::link::{Link, LinkEvent};
use super::{Kind, Message, Settings, Shared};
use crate::progress::Stage;

/// The first wait after a failed attempt.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A connection that lived at least this long was a good one: the next wait is short again.
const GOOD_CONNECTION: Duration = Duration::from_secs(30);
/// After this long the broker counts as back; one that comes and goes is logged once.
const STEADY: Duration = Duration::from_secs(3);
/// How long connecting and an acknowledgement may take.
const ANSWER: Duration = Duration::from_secs(20);

/// How a connection ended.
enum End {
    /// All was said and `stopped` is out.
    Stopped,
    /// Why it broke off.
    Lost(String),
}

/// Publishes until stopped.
pub(super) async fn publish_loop(settings: &Settings, shared: &Shared) {
    let mut wait = FIRST_WAIT;
    let mut told: Option<String> = None;
    loop {
        let began = Instant::now();
        let end = tokio::select! {
            end = connection(settings, shared, &mut told) => end,
            () = past_deadline(shared) => End::Stopped,
        };
        shared.lock().connected = false;
        let End::Lost(why) = end else { return };
        // Once per outage, and again only if the reason changes.
        if told.as_ref() != Some(&why) {
            log::warn!(
                "The MQTT broker {}:{} is not reached: {why}. affectd keeps trying.",
                settings.host,
                settings.port
            );
            told = Some(why);
        }
        if began.elapsed() > GOOD_CONNECTION {
            wait = FIRST_WAIT;
        }
        tokio::select! {
            () = tokio::time::sleep(jittered(wait)) => {}
            () = past_deadline(shared) => return,
        }
        wait = (wait * 2).min(settings.retry_max);
    }
}

/// Between three quarters and all of the wait, so that devices do not come back all at once.
fn jittered(wait: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(0);
    wait.mul_f64(0.75 + 0.25 * f64::from(random) / f64::from(u32::MAX))
}

/// Returns when publishing shall be over, whatever is still waiting. Until then it tells that the thread comes round.
async fn past_deadline(shared: &Shared) {
    loop {
        shared.progress.beat(Stage::Publish);
        let deadline = shared.lock().deadline;
        match deadline {
            Some(deadline) => return tokio::time::sleep_until(deadline.into()).await,
            // A short look now and then, so that the other waiter on `changed` misses nothing.
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// One connection from its begin to its end.
async fn connection(settings: &Settings, shared: &Shared, told: &mut Option<String>) -> End {
    let mut link = Link::open(settings);
    match tokio::time::timeout(ANSWER, link.events.recv()).await {
        Ok(Some(LinkEvent::Connected)) => {}
        Ok(Some(LinkEvent::Lost(why))) => return End::Lost(why),
        Ok(Some(LinkEvent::Closed) | None) => return End::Lost("it closed the connection".to_owned()),
        Err(_) => return End::Lost("it does not answer".to_owned()),
    }
    shared.lock().begin_connection();
    let since = Instant::now();
    if told.is_none() {
        log::info!(
            "Connected to the MQTT broker {}:{}.",
            settings.host,
            settings.port
        );
    }
    loop {
        if since.elapsed() > STEADY && told.take().is_some() {
            log::info!("The MQTT broker {}:{} is back.", settings.host, settings.port);
        }
        let (next, stopping) = {
            let state = shared.lock();
            (state.next(), state.deadline.is_some())
        };
        let sent = match next {
            Some(message) => send(&mut link, shared, &message).await,
            None if stopping => return goodbye(&mut link, settings, shared).await,
            None => tokio::select! {
                () = shared.changed.notified() => Ok(()),
                () = tokio::time::sleep(Duration::from_millis(200)) => Ok(()),
                event = link.events.recv() => Err(reason(event)),
            },
        };
        if let Err(why) = sent {
            return End::Lost(why);
        }
    }
}

/// Sends a message and waits for its acknowledgement.
async fn send(link: &mut Link, shared: &Shared, message: &Message) -> Result<(), String> {
    let acknowledgement = link.publish(message)?;
    tokio::select! {
        acknowledged = acknowledgement => {
            if !acknowledged {
                return Err("it does not take the message, or the connection broke".to_owned());
            }
            shared.lock().acknowledged(message);
            Ok(())
        }
        event = link.events.recv() => Err(reason(event)),
        () = tokio::time::sleep(ANSWER) => Err("it does not acknowledge messages".to_owned()),
    }
}

/// Says `stopped`, then disconnects, so that the last will does not come.
async fn goodbye(link: &mut Link, settings: &Settings, shared: &Shared) -> End {
    let stopped = Message {
        topic: settings.status_topic(),
        payload: Status::Stopped.word().into(),
        kind: Kind::Retained,
    };
    if let Err(why) = send(link, shared, &stopped).await {
        return End::Lost(why);
    }
    link.disconnect();
    // What comes now can only be the end.
    while let Some(LinkEvent::Connected) = link.events.recv().await {}
    End::Stopped
}

fn reason(event: Option<LinkEvent>) -> String {
    match event {
        Some(LinkEvent::Lost(why)) => why,
        _ => "the connection ended".to_owned(),
    }
}
