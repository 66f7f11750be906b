//! The publishing thread: connect, send, wait for the answer, and again; back off while the broker is away.

use std::time::{Duration, Instant};

use affect_core::report::Status;

use super::dial::Dialer;
use super::link::{Answer, Link, Lost};
use super::packets::{Limits, Notice, Will};
use super::refusal::{
    CLOSES, NO_ANSWER, NO_QOS, NO_RETAIN, PAYLOAD_INVALID, is_about_something_else, is_about_the_message,
    sentence,
};
use super::{Kind, Message, Settings, Shared, explain};
use crate::clock::{Clocks, system_clock_synced};
use crate::config::Protocol;
use crate::progress::Stage;

/// The first wait after a failed attempt.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A connection that lived at least this long was a good one: the next wait is short again.
const GOOD_CONNECTION: Duration = Duration::from_secs(30);
/// After this long the broker counts as back; one that comes and goes is logged once.
const STEADY: Duration = Duration::from_secs(3);
/// How long the name, the connection and the broker's answer may take, each: slow links have round trips of seconds.
const CONNECTING: Duration = Duration::from_secs(30);
/// How long it may take to find out what a port speaks.
pub(super) const ASKING: Duration = Duration::from_secs(5);
/// A limit for the size of messages that is worth a word; ours have one or two thousand bytes.
const REMARKABLE: u32 = 64 << 10;
/// What is left of the time of a stop for the last word, even if windows wait.
const PARTING: Duration = Duration::from_millis(800);
/// A message with which the connection was closed so often is the cause.
const CLOSED_OVER: u32 = 3;

/// How a connection ended.
enum End {
    /// All was said and `stopped` is out.
    Stopped,
    /// Why it broke off.
    Lost(String),
    /// The broker wants something else in our connect, which it gets at once.
    Again,
}

/// Publishes until stopped.
pub(super) async fn publish_loop(settings: &Settings, shared: &Shared) {
    let mut client = Client {
        settings,
        shared,
        dialer: Dialer::default(),
        will: Will::LADDER[0],
        shut_out: 0,
        tls: None,
        outage: None,
        limits: Limits::default(),
        suspect: None,
    };
    let mut wait = FIRST_WAIT;
    loop {
        let began = Instant::now();
        let end = tokio::select! {
            end = client.connection() => end,
            () = past_deadline(shared) => End::Stopped,
        };
        shared.lock().end_connection();
        match end {
            End::Stopped => return,
            End::Again => continue,
            End::Lost(why) => client.complain(why),
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
        let deadline = shared.look_for_stop();
        match deadline {
            Some(deadline) => return tokio::time::sleep_until(deadline.into()).await,
            // A short look now and then, so that the other waiter on `changed` misses nothing.
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// What is remembered from connection to connection.
struct Client<'a> {
    settings: &'a Settings,
    shared: &'a Shared,
    dialer: Dialer,
    /// The last will that the next connection is opened with.
    will: Will,
    /// How often in a row the broker closed the connection before it let us in.
    shut_out: usize,
    /// Whether the port speaks TLS, since it was asked.
    tls: Option<bool>,
    /// Why the broker is not reached, as far as it was logged.
    outage: Option<String>,
    /// The broker's limits, as far as they were logged.
    limits: Limits,
    /// The message with which the last connection was closed, and how often in a row.
    suspect: Option<(u64, u32)>,
}

impl Client<'_> {
    /// Says why the broker is not reached: once per outage, and again only if the reason changes.
    fn complain(&mut self, why: String) {
        if self.outage.as_ref() != Some(&why) {
            let Settings { host, port, .. } = self.settings;
            log::warn!("The MQTT broker {host}:{port} is not reached: {why}. affectd keeps trying.");
            self.outage = Some(why);
        }
    }

    /// One connection from its begin to its end.
    async fn connection(&mut self) -> End {
        let (settings, shared) = (self.settings, self.shared);
        let stream = match self.dialer.dial(&settings.host, settings.port, CONNECTING).await {
            Ok(stream) => stream,
            Err(why) => return End::Lost(why),
        };
        let mut link = match Link::open(stream, settings, Some(self.will), CONNECTING).await {
            Ok(link) => link,
            Err(lost) => return self.not_let_in(&lost).await,
        };
        (self.will, self.shut_out, self.tls) = (Will::LADDER[0], 0, None);
        shared.lock().begin_connection();
        let since = Instant::now();
        let Settings { host, port, .. } = settings;
        if self.outage.is_none() {
            log::info!("Connected to the MQTT broker {host}:{port}.");
        }
        self.tell_limits(&link.limits);
        let mut clock_known = system_clock_synced();
        loop {
            if !clock_known && system_clock_synced() {
                clock_known = true;
                shared.lock().outbox.clock_is_known();
            }
            if since.elapsed() > STEADY && self.outage.take().is_some() {
                log::info!("The MQTT broker {host}:{port} is back.");
            }
            let now = Instant::now();
            let (next, farewell) = {
                let mut state = shared.lock();
                let late = state.deadline.is_some_and(|deadline| now + PARTING >= deadline);
                let next = (!late).then(|| state.outbox.next(now)).flatten();
                (next, state.farewell)
            };
            let sent = match (next, farewell) {
                (Some(message), _) => self.send(&mut link, &message).await,
                (None, Some(word)) => return self.goodbye(link, word).await,
                (None, None) => tokio::select! {
                    () = shared.changed.notified() => Ok(()),
                    () = tokio::time::sleep(Duration::from_millis(200)) => Ok(()),
                    lost = link.idle() => Err(lost),
                },
            };
            if let Err(lost) = sent {
                return End::Lost(lost.explain(settings));
            }
        }
    }

    /// A broker that cannot keep our last will gets a plainer one: at once if it says so (MQTT 5), or on one of the next
    /// attempts if it closes the connection instead, as brokers of 3.1.1 do, for this reason or any other.
    async fn not_let_in(&mut self, lost: &Lost) -> End {
        let code = match lost {
            Lost::Refused(notice) | Lost::Goodbye(notice) => notice.code,
            Lost::ShutOut | Lost::Closed | Lost::Unanswered | Lost::Garbled(_) | Lost::Other(_) => 0,
        };
        if matches!(lost, Lost::ShutOut) {
            if self.tls.is_none() {
                let Settings { host, port, .. } = self.settings;
                self.tls = Some(self.dialer.speaks_tls(host, *port, ASKING).await);
            }
            if self.tls == Some(true) {
                return End::Lost(explain::tls(self.settings));
            }
            if self.settings.protocol == Protocol::V311 {
                self.shut_out += 1;
                self.will = Will::LADDER[self.shut_out / 2 % Will::LADDER.len()];
            }
        }
        let plainer = match code {
            NO_RETAIN => std::mem::take(&mut self.will.retained),
            NO_QOS => std::mem::take(&mut self.will.acknowledged),
            _ => false,
        };
        match plainer {
            true => End::Again,
            false => End::Lost(lost.explain(self.settings)),
        }
    }

    /// Sends a message and settles what becomes of it.
    async fn send(&mut self, link: &mut Link<'_>, message: &Message) -> Result<(), Lost> {
        let clocks = Clocks::now();
        let left = (message.kind != Kind::Retained).then(|| {
            self.settings
                .message_expiry
                .saturating_sub(message.payload.age(&clocks))
        });
        if left.is_some_and(|left| left.is_zero()) {
            self.shared.lock().outbox.expired(message);
            return Ok(());
        }
        let payload = match message.payload.bytes(&clocks) {
            Ok(payload) => payload,
            Err(error) => {
                log::error!(
                    "A message for `{}` cannot be written as JSON: {error}",
                    message.topic
                );
                self.settle(message, &Notice::of(PAYLOAD_INVALID), false);
                return Ok(());
            }
        };
        match link.publish(&message.topic, payload, message.kind, left).await {
            Ok(Answer::Taken) => {
                self.suspect.take_if(|(suspect, _)| *suspect == message.version);
                if self.shared.lock().outbox.taken(message) {
                    log::info!("The MQTT broker takes `{}` again.", message.topic);
                }
                Ok(())
            }
            Ok(Answer::Refused(notice)) => {
                self.settle(message, &notice, false);
                Ok(())
            }
            Err(lost) => {
                match &lost {
                    Lost::Goodbye(notice) if is_about_the_message(notice.code) => {
                        self.settle(message, notice, true)
                    }
                    // A message that waits for a broker that is busy or restarted, or for another client of the same name,
                    // is not to blame.
                    Lost::Goodbye(notice) if is_about_something_else(notice.code) => {}
                    Lost::Goodbye(_) | Lost::Closed | Lost::Garbled(_) => self.suspect(message),
                    // Next time others go first: it may be about this message alone.
                    Lost::Unanswered => self.settle(message, &Notice::of(NO_ANSWER), false),
                    Lost::Refused(_) | Lost::ShutOut | Lost::Other(_) => {}
                }
                Err(lost)
            }
        }
    }

    /// The broker refuses a message, and may have ended the connection over it: what follows, and a word about it once.
    fn settle(&mut self, message: &Message, notice: &Notice, ended: bool) {
        let refused = self
            .shared
            .lock()
            .outbox
            .refused(message, notice.code, ended, Instant::now());
        if refused.news {
            log::warn!("{}", sentence(message, notice, refused.treatment, self.settings));
        }
    }

    /// The broker closed the connection while it had this message: some say so in this way that they do not take it.
    fn suspect(&mut self, message: &Message) {
        let before = self.suspect.filter(|(suspect, _)| *suspect == message.version);
        let times = before.map_or(0, |(_, times)| times) + 1;
        self.suspect = Some((message.version, times));
        if times >= CLOSED_OVER || self.shared.lock().outbox.is_refused(message) {
            self.settle(message, &Notice::of(CLOSES), true);
        }
    }

    /// Says the last word on the status topic, then disconnects, so that the last will does not come.
    async fn goodbye(&mut self, mut link: Link<'_>, word: Status) -> End {
        let topic = self.settings.status_topic();
        let said = link
            .publish(&topic, word.word().into(), Kind::Retained, None)
            .await;
        match said {
            Ok(_) => link.close().await,
            Err(lost) => return End::Lost(lost.explain(self.settings)),
        }
        End::Stopped
    }

    /// Says with what less this broker works, once per change.
    fn tell_limits(&mut self, limits: &Limits) {
        let before = std::mem::replace(&mut self.limits, limits.clone());
        if !limits.acknowledges && before.acknowledges {
            log::warn!(
                "The MQTT broker takes QoS 0 only: a window counts as delivered when the broker has read it, and may be lost on its way to subscribers. Allow QoS 1 at the broker to mend this."
            );
        }
        if !limits.retains && before.retains {
            log::warn!(
                "The MQTT broker keeps no retained messages: who subscribes later learns status, info and camera state only when they are sent anew. Allow retained messages at the broker to mend this."
            );
        }
        if limits.longest != before.longest
            && let Some(longest) = limits.longest.filter(|longest| *longest < REMARKABLE)
        {
            log::info!("The MQTT broker takes messages of up to {longest} bytes.");
        }
        if limits.client_id != before.client_id
            && let Some(id) = &limits.client_id
        {
            log::info!("The MQTT broker calls this client `{id}`.");
        }
    }
}
