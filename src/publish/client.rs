//! The publishing thread: connect, send, wait for the answer, and again; back off while the broker is away.

use std::time::{Duration, Instant};

use affect_core::report::Status;

use super::certificates::Warned;
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
/// A limit for the size of messages that is worth a word; ours have one or two thousand bytes.
pub(super) const REMARKABLE: u32 = 64 << 10;
/// What is left of the time of a stop for the last word, even if windows wait.
const PARTING: Duration = Duration::from_millis(800);
/// A message with which the connection was closed so often is the cause.
const CLOSED_OVER: u32 = 3;
/// How long nothing is looked for at most, and at least, while nothing goes on.
const LOOK: Duration = Duration::from_millis(200);
const SHORTEST_LOOK: Duration = Duration::from_millis(1);

/// How a connection ended.
enum End {
    /// All was said and `stopped` is out.
    Stopped,
    /// Why it broke off.
    Lost(String),
    /// The broker wants something else in our connect, which it gets at once.
    Again,
    /// Another connection is wanted.
    Changed(Box<Settings>),
}

/// Publishes until stopped, by the first settings and then by those that follow them.
pub(super) async fn publish_loop(first: Settings, shared: &Shared) {
    let mut settings = first;
    while let Some(changed) = publish_by(&settings, shared).await {
        settings = changed;
    }
}

/// Publishes until stopped, or until another connection is wanted: by which settings.
async fn publish_by(settings: &Settings, shared: &Shared) -> Option<Settings> {
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
        retry_max: settings.retry_max,
        warned: Warned::default(),
    };
    let mut wait = FIRST_WAIT;
    loop {
        let began = Instant::now();
        let end = tokio::select! {
            end = client.connection() => end,
            () = past_deadline(shared) => End::Stopped,
            changed = changed_while_away(settings, shared) => End::Changed(Box::new(changed)),
        };
        shared.lock().end_connection();
        match end {
            End::Stopped => return None,
            End::Again => continue,
            End::Changed(changed) => return Some(*changed),
            End::Lost(why) => client.complain(why),
        }
        if began.elapsed() > GOOD_CONNECTION {
            wait = FIRST_WAIT;
        }
        tokio::select! {
            () = tokio::time::sleep(jittered(wait)) => {}
            // A certificate that was not valid yet may be so now.
            () = clock_is_set() => {}
            () = past_deadline(shared) => return None,
            changed = changed_while_away(settings, shared) => return Some(changed),
        }
        wait = (wait * 2).min(client.retry_max);
    }
}

/// Between three quarters and all of the wait, so that devices do not come back all at once.
fn jittered(wait: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(0);
    wait.mul_f64(0.75 + 0.25 * f64::from(random) / f64::from(u32::MAX))
}

/// Returns when the system's clock becomes reliable that was not.
async fn clock_is_set() {
    if system_clock_synced() {
        return std::future::pending().await;
    }
    while !system_clock_synced() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
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

/// Returns when there are other settings, and no connection stands that could be ended well.
async fn changed_while_away(settings: &Settings, shared: &Shared) -> Settings {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut state = shared.lock();
        if !state.connected
            && let Some(changed) = state.change.take_if(|changed| changed != settings)
        {
            return changed;
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
    /// What can change while a connection stands.
    retry_max: Duration,
    suspect: Option<Suspect>,
    /// Which certificates were said to end soon.
    warned: Warned,
}

/// The message with which the last connection was closed, and how often in a row.
#[derive(Debug, Clone, Copy)]
struct Suspect {
    kind: Kind,
    version: u64,
    times: u32,
}

impl Suspect {
    fn is(&self, message: &Message) -> bool {
        (self.kind, self.version) == (message.kind, message.version)
    }
}

impl Client<'_> {
    /// Says why the broker is not reached: once per outage, and again only if the reason changes.
    fn complain(&mut self, why: String) {
        if self.outage.as_ref() != Some(&why) {
            let broker = self.settings.address();
            log::warn!("The MQTT broker {broker} is not reached: {why}. affectd keeps trying.");
            self.outage = Some(why);
        }
    }

    /// One connection from its begin to its end.
    async fn connection(&mut self) -> End {
        let (settings, shared) = (self.settings, self.shared);
        let connection = match self.dialer.connect(settings, CONNECTING).await {
            Ok(connection) => connection,
            Err(why) => return End::Lost(why),
        };
        let certificates = connection.certificates;
        shared.lock().certificates.clone_from(&certificates);
        let mut link = match Link::open(connection.stream, settings, Some(self.will), CONNECTING).await {
            Ok(link) => link,
            Err(lost) => return self.not_let_in(&lost).await,
        };
        (self.will, self.shut_out, self.tls) = (Will::LADDER[0], 0, None);
        // What is not acknowledged goes one at a time, each with its question.
        let at_once = if link.limits.acknowledges {
            link.limits.at_once
        } else {
            1
        };
        shared.lock().begin_connection(at_once.into());
        let since = Instant::now();
        let broker = settings.address();
        if self.outage.is_none() {
            log::info!("Connected to the MQTT broker {broker}.");
        }
        self.tell_limits(&link.limits);
        let mut clock_known = system_clock_synced();
        link.lay_on(&shared.desk);
        loop {
            if let Some(changed) = self.look_for_change() {
                return self.leave(link, changed).await;
            }
            if shared.desk.announces(Instant::now()) {
                shared.lock().announce();
            }
            if let Err(lost) = link.listen(shared.desk.ear().topics()) {
                return End::Lost(lost.explain(settings));
            }
            if !clock_known && system_clock_synced() {
                clock_known = true;
                shared.lock().outbox.clock_is_known();
            }
            if since.elapsed() > STEADY && self.outage.take().is_some() {
                log::info!("The MQTT broker {broker} is back.");
            }
            self.warned.look(&certificates);
            let (now, clocks) = (Instant::now(), Clocks::now());
            let (next, farewell, rests, late) = {
                let mut state = shared.lock();
                let late = state.deadline.is_some_and(|deadline| now + PARTING >= deadline);
                if state.farewell.is_some() {
                    // What is on its way must be answered before there is time for the last word.
                    state.outbox.go_slowly();
                }
                let next = (!late).then(|| state.outbox.next(now, &clocks)).flatten();
                // What waits only for its turn is waited for, as long as there is time.
                let is_done = late || next.is_none() && state.outbox.is_done(now);
                let farewell = state.farewell.filter(|_| is_done);
                (next, farewell, state.outbox.rests(now), late)
            };
            let sent = match (next, farewell) {
                (Some(message), _) if message.kind == Kind::Window && link.limits.acknowledges => {
                    self.begin(&mut link, &message)
                }
                (Some(message), _) if link.is_answered() => self.send(&mut link, &message).await,
                (None, Some(word)) if late || link.is_answered() => return self.goodbye(link, word).await,
                (Some(_), _) => link.answer().await.map(|(of, answer)| self.answered(&of, answer)),
                (None, _) => tokio::select! {
                    () = shared.changed.notified() => Ok(()),
                    () = tokio::time::sleep(rests.unwrap_or(LOOK).clamp(SHORTEST_LOOK, LOOK)) => Ok(()),
                    answer = link.answer() => answer.map(|(of, answer)| self.answered(&of, answer)),
                },
            };
            if let Err(lost) = sent {
                self.lost_with(link.unanswered(), &lost);
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
            if self.tls.is_none() && self.settings.tls.is_none() {
                self.tls = Some(self.dialer.speaks_tls(self.settings).await);
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

    /// What of a message is to go out, and how long that is worth something; nothing if it is worth nothing any more.
    fn ready(&mut self, message: &Message) -> Option<(Vec<u8>, Duration)> {
        let clocks = Clocks::now();
        let age = message.payload.age(&clocks);
        let left = self.settings.limits.age.saturating_sub(age);
        if message.kind != Kind::Retained && left.is_zero() {
            self.shared.lock().outbox.expired(message, &clocks);
            return None;
        }
        match message.payload.bytes(&clocks) {
            Ok(payload) => Some((payload, left)),
            Err(error) => {
                log::error!(
                    "A message for `{}` cannot be written as JSON: {error}",
                    message.topic
                );
                self.settle(message, &Notice::of(PAYLOAD_INVALID), false);
                None
            }
        }
    }

    /// Sends a window; what becomes of it comes later.
    fn begin(&mut self, link: &mut Link<'_>, message: &Message) -> Result<(), Lost> {
        if let Some((payload, left)) = self.ready(message)
            && let Some(notice) = link.begin(message, payload, left)?
        {
            self.settle(message, &notice, false);
        }
        Ok(())
    }

    /// Sends a message and settles what becomes of it.
    async fn send(&mut self, link: &mut Link<'_>, message: &Message) -> Result<(), Lost> {
        let Some((payload, left)) = self.ready(message) else {
            return Ok(());
        };
        let left = Some(left).filter(|_| message.kind != Kind::Retained);
        match link.publish(&message.topic, payload, message.kind, left).await {
            Ok(answer) => {
                self.answered(message, answer);
                Ok(())
            }
            Err(lost) => {
                self.lost_with(vec![message.clone()], &lost);
                Err(lost)
            }
        }
    }

    /// The broker has answered a message.
    fn answered(&mut self, message: &Message, answer: Answer) {
        match answer {
            Answer::Taken => {
                self.suspect.take_if(|suspect| suspect.is(message));
                if self.shared.lock().outbox.taken(message, &Clocks::now()) {
                    log::info!("The MQTT broker takes `{}` again.", message.topic);
                }
            }
            Answer::Refused(notice) => self.settle(message, &notice, false),
        }
    }

    /// The connection is lost with these messages on their way, the oldest first.
    fn lost_with(&mut self, messages: Vec<Message>, lost: &Lost) {
        let Some(oldest) = messages.first() else {
            return;
        };
        match lost {
            Lost::Goodbye(notice) if is_about_the_message(notice.code) && messages.len() == 1 => {
                self.settle(oldest, notice, true);
            }
            // A message that waits for a broker that is busy or restarted, or for another client of the same name, is not to
            // blame.
            Lost::Goodbye(notice) if is_about_something_else(notice.code) => {}
            Lost::Goodbye(_) | Lost::Closed | Lost::Garbled(_) if messages.len() == 1 => self.suspect(oldest),
            Lost::Goodbye(_) | Lost::Closed | Lost::Garbled(_) => {
                self.shared.lock().outbox.be_careful(messages.len())
            }
            // Next time others go first: it may be about this message alone.
            Lost::Unanswered => self.settle(oldest, &Notice::of(NO_ANSWER), false),
            Lost::Refused(_) | Lost::ShutOut | Lost::Other(_) => {}
        }
    }

    /// The broker refuses a message, and may have ended the connection over it: what follows, and a word about it once.
    fn settle(&mut self, message: &Message, notice: &Notice, ended: bool) {
        let refused =
            self.shared
                .lock()
                .outbox
                .refused(message, notice.code, ended, Instant::now(), &Clocks::now());
        if refused.news {
            log::warn!("{}", sentence(message, notice, refused.treatment, self.settings));
        }
    }

    /// The broker closed the connection while it had this message: some say so in this way that they do not take it.
    fn suspect(&mut self, message: &Message) {
        let before = self.suspect.filter(|suspect| suspect.is(message));
        let times = before.map_or(0, |suspect| suspect.times) + 1;
        self.suspect = Some(Suspect {
            kind: message.kind,
            version: message.version,
            times,
        });
        if times >= CLOSED_OVER || self.shared.lock().outbox.is_refused(message) {
            self.settle(message, &Notice::of(CLOSES), true);
        }
    }

    /// Other settings for which another connection is needed. The rest of a change is taken over.
    fn look_for_change(&mut self) -> Option<Settings> {
        let changed = self.shared.lock().change.take()?;
        if !self.settings.is_connected_like(&changed) {
            return Some(changed);
        }
        self.retry_max = changed.retry_max;
        None
    }

    /// Ends the connection for another one. A broker that we leave is told that nobody is there any more.
    async fn leave(&mut self, mut link: Link<'_>, changed: Settings) -> End {
        if !self.settings.is_to_same_broker(&changed) {
            let word = Status::Stopped.word().into();
            let _ = link
                .publish(&self.settings.status_topic(), word, Kind::Retained, None)
                .await;
        }
        link.close().await;
        End::Changed(Box::new(changed))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_do_not_come_back_all_at_once() {
        let wait = Duration::from_secs(60);
        let waits: Vec<Duration> = (0..200).map(|_| jittered(wait)).collect();
        assert!(
            waits.iter().all(|one| *one >= wait * 3 / 4 && *one <= wait),
            "{waits:?}"
        );
        let (least, most) = (waits.iter().min(), waits.iter().max());
        assert!(
            most.zip(least)
                .is_some_and(|(most, least)| *most - *least > Duration::from_secs(10))
        );
    }
}
