//! One connection to a broker: one message at a time, each with its answer; windows several at a time.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::dial::Stream;
use super::packets::{self, Limits, Notice, Outgoing, Reply, Will};
use super::refusal::{SUCCESS, TOO_LARGE};
use super::skip::{Skip, Start};
use super::{Kind, Message, Settings, explain};
use crate::command::{Desk, Heard};
use crate::tls;

/// How long the broker may take for an answer, once it has let us in.
const ANSWER: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 20 });
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// A connection in which the broker has accepted us.
pub(super) struct Link<'a> {
    settings: &'a Settings,
    stream: Stream,
    inbox: BytesMut,
    outbox: BytesMut,
    pub(super) limits: Limits,
    /// The longest silence from us.
    silence: Duration,
    /// When we last said something.
    said: Instant,
    /// When we asked whether the broker is there, if it has not answered yet.
    asked: Option<Instant>,
    /// How many such questions are not answered yet.
    questions: u32,
    last_id: u16,
    /// Long messages from others.
    skip: Skip,
    /// What becomes of messages from others.
    inbound: Inbound<'a>,
    /// The topics that we listen to.
    listening: Vec<String>,
    /// Topics that we asked to listen to last, until the broker has answered.
    asking: Option<(u16, Vec<String>)>,
    /// Windows that were sent and are not answered, oldest first.
    flights: VecDeque<Flight>,
}

/// A window that is not answered yet.
struct Flight {
    id: u16,
    /// When it was sent.
    since: Instant,
    message: Message,
}

/// What becomes of messages from others.
pub(super) enum Inbound<'a> {
    /// They are judged.
    Desk(&'a Desk),
    /// They are kept, up to a number.
    Kept(Vec<Heard>),
}

/// So many messages from others are kept at most.
const MOST_KEPT: usize = 10_000;

/// Whether a message is taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Taken,
    Refused(Notice),
}

impl Answer {
    fn of(notice: Notice) -> Self {
        match notice.code {
            // Also codes that nobody has thought of yet are a success below this.
            SUCCESS..0x80 => Self::Taken,
            _ => Self::Refused(notice),
        }
    }
}

/// How a connection ends that nobody wanted to end.
#[derive(Debug)]
pub(super) enum Lost {
    /// The broker does not let us in.
    Refused(Notice),
    /// The broker says why it ends the connection.
    Goodbye(Notice),
    /// The connection was closed before the broker said whether it lets us in.
    ShutOut,
    /// The connection was closed without a word.
    Closed,
    /// The broker does not answer a message.
    Unanswered,
    /// What the broker says cannot be understood: for people.
    Garbled(String),
    /// Anything else, for people.
    Other(String),
}

impl Lost {
    /// Why, for people.
    pub(super) fn explain(&self, settings: &Settings) -> String {
        match self {
            Self::Refused(notice) => explain::refused(notice, settings),
            Self::Goodbye(notice) => explain::goodbye(notice, settings),
            Self::ShutOut => explain::closed_at_once(settings),
            Self::Closed => explain::CLOSED.to_owned(),
            Self::Unanswered => "it does not acknowledge messages".to_owned(),
            Self::Garbled(why) | Self::Other(why) => why.clone(),
        }
    }
}

impl<'a> Link<'a> {
    /// Asks the broker at the other end of `stream` to let us in; waits for its answer up to `limit`.
    pub(super) async fn open(
        stream: Stream,
        settings: &'a Settings,
        will: Option<Will>,
        limit: Duration,
    ) -> Result<Self, Lost> {
        let mut link = Self {
            settings,
            stream,
            inbox: BytesMut::new(),
            outbox: packets::connect(settings, will).map_err(Lost::Other)?,
            limits: Limits::default(),
            silence: settings.keep_alive,
            said: Instant::now(),
            asked: None,
            questions: 0,
            last_id: 0,
            skip: Skip::default(),
            inbound: Inbound::Kept(Vec::new()),
            listening: Vec::new(),
            asking: None,
            flights: VecDeque::new(),
        };
        match timeout(limit, link.shake_hands()).await {
            Ok(limits) => link.limits = limits?,
            Err(_) => return Err(Lost::Other(explain::silent(settings, limit.as_secs()))),
        }
        if let Some(will) = will {
            // A broker of 3.1.1 tells its limits in no other way.
            link.limits.acknowledges &= will.acknowledged;
            link.limits.retains &= will.retained;
        }
        if let Some(seconds) = link.limits.keep_alive.filter(|seconds| *seconds > 0) {
            link.silence = Duration::from_secs(seconds.into());
        }
        // Before the time is over: the question needs time to arrive.
        link.silence = link.silence * 3 / 4;
        Ok(link)
    }

    async fn shake_hands(&mut self) -> Result<Limits, Lost> {
        self.flush().await?;
        let mut first = Vec::new();
        loop {
            let count = match self.stream.read_buf(&mut self.inbox).await {
                Ok(count) => count,
                Err(error) => self.nothing_more(&error).map_or(Ok(0), Err)?,
            };
            let new = self.inbox.len() - count..;
            first.extend_from_slice(&self.inbox[new]);
            // Some say what they are in more than one piece.
            let whole = count == 0 || first.len() >= 4;
            if whole && let Some(why) = explain::stranger(&first, self.settings) {
                return Err(Lost::Other(why));
            }
            match packets::read(self.settings.protocol, &mut self.inbox) {
                Ok(Some(Reply::Accepted(limits))) => return Ok(limits),
                Ok(Some(Reply::Refused(notice))) => return Err(Lost::Refused(notice)),
                Ok(Some(Reply::Goodbye(notice))) => return Err(Lost::Goodbye(notice)),
                Ok(Some(_)) => {
                    return Err(Lost::Other(
                        "it answers with something else than it was asked for".to_owned(),
                    ));
                }
                Ok(None) if count == 0 => return Err(Lost::ShutOut),
                Ok(None) => {}
                Err(error) => return Err(self.garbled(&error)),
            }
        }
    }

    /// Sends a message, which is worth something for as long as is `left`, and waits for its answer. What is not acknowledged (QoS 0) is followed by a question whether the
    /// broker is there: it reads in order, so its answer says that it has had the message.
    pub(super) async fn publish(
        &mut self,
        topic: &str,
        payload: Vec<u8>,
        kind: Kind,
        left: Option<Duration>,
    ) -> Result<Answer, Lost> {
        let acknowledged = kind != Kind::Passing && self.limits.acknowledges;
        let id = acknowledged.then(|| self.next_id());
        match self.write(topic, payload, kind, left, id)? {
            None => {}
            Some(refused) => return Ok(Answer::Refused(refused)),
        }
        if id.is_none() {
            self.ask()?;
        }
        let answer = timeout(ANSWER, async {
            loop {
                match self.hear().await? {
                    Reply::Acknowledged { id: of, notice } if Some(of) == id => {
                        return Ok(Answer::of(notice));
                    }
                    Reply::Pong if id.is_none() && self.questions == 0 => return Ok(Answer::Taken),
                    // An answer to something that we did not send.
                    _ => {}
                }
            }
        });
        answer.await.unwrap_or(Err(Lost::Unanswered))
    }

    /// Sends a window, of which [`Self::answer`] says what became; or says why it cannot be sent.
    pub(super) fn begin(
        &mut self,
        message: &Message,
        payload: Vec<u8>,
        left: Duration,
    ) -> Result<Option<Notice>, Lost> {
        let id = self.next_id();
        let refused = self.write(&message.topic, payload, message.kind, Some(left), Some(id))?;
        if refused.is_none() {
            self.flights.push_back(Flight {
                id,
                since: Instant::now(),
                message: message.clone(),
            });
        }
        Ok(refused)
    }

    /// What becomes of one of the windows that were sent. Keeps the connection alive meanwhile, and if there are none, until it
    /// ends. May be dropped at any time.
    pub(super) async fn answer(&mut self) -> Result<(Message, Answer), Lost> {
        loop {
            let oldest = self.flights.front().map(|flight| flight.since + ANSWER);
            let until = oldest.unwrap_or_else(|| Instant::now() + ANSWER);
            match timeout_at(until, self.hear()).await {
                Ok(reply) => {
                    if let Reply::Acknowledged { id, notice } = reply?
                        && let Some(index) = self.flights.iter().position(|flight| flight.id == id)
                        && let Some(flight) = self.flights.remove(index)
                    {
                        return Ok((flight.message, Answer::of(notice)));
                    }
                }
                Err(_) if oldest.is_some() => return Err(Lost::Unanswered),
                Err(_) => {}
            }
        }
    }

    /// The windows that are not answered, oldest first.
    pub(super) fn unanswered(self) -> Vec<Message> {
        self.flights.into_iter().map(|flight| flight.message).collect()
    }

    /// Whether all windows are answered.
    pub(super) fn is_answered(&self) -> bool {
        self.flights.is_empty()
    }

    /// Writes a message; one that is longer than the broker takes is refused.
    fn write(
        &mut self,
        topic: &str,
        payload: Vec<u8>,
        kind: Kind,
        left: Option<Duration>,
        id: Option<u16>,
    ) -> Result<Option<Notice>, Lost> {
        let message = Outgoing {
            topic: topic.to_owned(),
            payload,
            id,
            retain: kind == Kind::Retained && self.limits.retains,
            expiry: left.map(|left| u32::try_from(left.as_secs().max(1)).unwrap_or(u32::MAX)),
        };
        let packet = packets::publish(self.settings.protocol, &message).map_err(Lost::Other)?;
        if let Some(longest) = self.limits.longest
            && packet.len() > longest as usize
        {
            return Ok(Some(Notice {
                code: TOO_LARGE,
                words: Some(format!(
                    "it has {} bytes, and the broker takes {longest}",
                    packet.len()
                )),
                server: None,
            }));
        }
        self.say(&packet);
        Ok(None)
    }

    /// Lays messages from others on `desk`.
    pub(super) fn lay_on(&mut self, desk: &'a Desk) {
        self.inbound = Inbound::Desk(desk);
    }

    /// Listens to these topics and to no others.
    pub(super) fn listen(&mut self, topics: Vec<String>) -> Result<(), Lost> {
        if topics == self.listening {
            return Ok(());
        }
        let gone: Vec<String> = without(&self.listening, &topics);
        let new: Vec<String> = without(&topics, &self.listening);
        if !gone.is_empty() {
            let id = self.next_id();
            let packet = packets::unsubscribe(self.settings.protocol, id, &gone).map_err(Lost::Other)?;
            self.say(&packet);
        }
        if !new.is_empty() {
            let id = self.next_id();
            let packet = packets::subscribe(self.settings.protocol, id, &new).map_err(Lost::Other)?;
            self.say(&packet);
            self.asking = Some((id, new));
        }
        self.listening = topics;
        Ok(())
    }

    /// Asks whether the broker is there, and waits for the answer: it has read by then what we said before.
    pub(super) async fn round_trip(&mut self) -> Result<(), Lost> {
        self.ask()?;
        let answered = timeout(ANSWER, async {
            while self.questions > 0 {
                self.hear().await?;
            }
            Ok(())
        });
        answered.await.unwrap_or(Err(Lost::Unanswered))
    }

    /// Messages from others that were kept.
    pub(super) fn kept(&mut self) -> Vec<Heard> {
        match &mut self.inbound {
            Inbound::Kept(kept) => std::mem::take(kept),
            Inbound::Desk(_) => Vec::new(),
        }
    }

    fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }

    /// A message from others has come.
    fn take_in(&mut self, heard: Heard, id: Option<u16>) -> Result<(), Lost> {
        if let Some(id) = id {
            let packet = packets::acknowledge(self.settings.protocol, id).map_err(Lost::Other)?;
            self.say(&packet);
        }
        match &mut self.inbound {
            Inbound::Desk(desk) => desk.hear(&heard, std::time::Instant::now()),
            Inbound::Kept(kept) if kept.len() < MOST_KEPT => kept.push(heard),
            Inbound::Kept(_) => {}
        }
        Ok(())
    }

    /// The broker says which topics it lets us listen to.
    fn may_listen(&mut self, id: u16, codes: &[u8]) {
        let Some((_, topics)) = self.asking.take_if(|(asked, _)| *asked == id) else {
            return;
        };
        for (topic, _) in topics.iter().zip(codes).filter(|(_, code)| **code >= 0x80) {
            log::warn!("{}", explain::may_not_listen(topic, self.settings));
        }
    }

    /// The next thing that was read whole, long messages from others aside.
    fn read(&mut self) -> Result<Option<Reply>, Lost> {
        match self.skip.look(&mut self.inbox) {
            Start::Part => Ok(None),
            Start::Long(reply) => Ok(Some(reply)),
            Start::Readable => {
                packets::read(self.settings.protocol, &mut self.inbox).map_err(|error| self.garbled(&error))
            }
        }
    }

    /// Keeps the connection alive until it ends. May be dropped at any time.
    pub(super) async fn idle(&mut self) -> Lost {
        loop {
            if let Err(lost) = self.hear().await {
                return lost;
            }
        }
    }

    /// Disconnects, so that the last will does not come.
    pub(super) async fn close(mut self) {
        let Ok(packet) = packets::disconnect(self.settings.protocol) else {
            return;
        };
        self.say(&packet);
        let _ = timeout(GOODBYE, async {
            self.flush().await?;
            let _ = self.stream.shutdown().await;
            // What comes now can only be the end.
            while self
                .stream
                .read_buf(&mut self.inbox)
                .await
                .is_ok_and(|count| count > 0)
            {
                self.inbox.clear();
            }
            Ok::<_, Lost>(())
        })
        .await;
    }

    /// The next thing that the broker says, asking it now and then whether it is there.
    async fn hear(&mut self) -> Result<Reply, Lost> {
        loop {
            self.flush().await?;
            match self.read()? {
                Some(Reply::Goodbye(notice)) => return Err(Lost::Goodbye(notice)),
                Some(Reply::Message { heard, id }) => {
                    self.take_in(heard, id)?;
                    continue;
                }
                Some(Reply::Listening { id, codes }) => {
                    self.may_listen(id, &codes);
                    continue;
                }
                Some(reply) => {
                    if reply == Reply::Pong {
                        self.questions = self.questions.saturating_sub(1);
                        self.asked.take_if(|_| self.questions == 0);
                    }
                    return Ok(reply);
                }
                None => {}
            }
            let due = self
                .asked
                .map_or(self.said + self.silence, |asked| asked + ANSWER);
            tokio::select! {
                read = self.stream.read_buf(&mut self.inbox) => match read {
                    Ok(1..) => {}
                    Ok(0) => return Err(Lost::Closed),
                    Err(error) => return Err(self.nothing_more(&error).unwrap_or(Lost::Closed)),
                },
                () = sleep_until(due) => match self.asked {
                    Some(_) => return Err(Lost::Other("it does not answer any more".to_owned())),
                    None => self.ask()?,
                },
            }
        }
    }

    /// Asks the broker whether it is there.
    fn ask(&mut self) -> Result<(), Lost> {
        let packet = packets::ping(self.settings.protocol).map_err(Lost::Other)?;
        self.say(&packet);
        self.asked.get_or_insert_with(Instant::now);
        self.questions += 1;
        Ok(())
    }

    fn say(&mut self, packet: &[u8]) {
        self.outbox.extend_from_slice(packet);
        self.said = Instant::now();
    }

    /// Sends what is to be said. Dropped in between, it goes on where it was.
    async fn flush(&mut self) -> Result<(), Lost> {
        while self.outbox.has_remaining() {
            match self.stream.write_buf(&mut self.outbox).await {
                Ok(1..) => {}
                // What the broker said before it closed the connection says why.
                Ok(0) | Err(_) => return Err(self.last_words().await),
            }
        }
        // TLS and WebSocket hold back what they have put into their own shape.
        match self.stream.flush().await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.last_words().await),
        }
    }

    /// What the broker said last on a connection that takes nothing more.
    async fn last_words(&mut self) -> Lost {
        let end = timeout(GOODBYE, async {
            loop {
                match self.stream.read_buf(&mut self.inbox).await {
                    Ok(1..) => {}
                    Ok(0) => return None,
                    Err(error) => return self.nothing_more(&error),
                }
            }
        });
        if let Ok(Some(lost)) = end.await {
            return lost;
        }
        loop {
            match packets::read(self.settings.protocol, &mut self.inbox) {
                Ok(Some(Reply::Goodbye(notice))) => return Lost::Goodbye(notice),
                Ok(Some(Reply::Refused(notice))) => return Lost::Refused(notice),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Lost::Closed,
            }
        }
    }

    /// The connection has failed: what TLS says of it, if anything. Of a client certificate, for one, a broker tells only
    /// after the handshake whether it takes it.
    fn nothing_more(&self, error: &std::io::Error) -> Option<Lost> {
        let files = self.settings.tls.as_ref()?;
        tls::in_words(error, &self.settings.host, files).map(Lost::Other)
    }

    fn garbled(&self, error: &str) -> Lost {
        Lost::Garbled(format!(
            "what it says is not MQTT ({error}): check that a broker listens on port {}",
            self.settings.port
        ))
    }
}

/// Those of `all` that are not among `others`.
fn without(all: &[String], others: &[String]) -> Vec<String> {
    all.iter()
        .filter(|topic| !others.contains(topic))
        .cloned()
        .collect()
}
