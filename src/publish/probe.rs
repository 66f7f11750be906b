//! One look at the broker, for `check` and `doctor`: whether it lets us in, what it takes, and whether a message arrives.

use std::time::{Duration, SystemTime};

use anyhow::Error;
use tokio::time::timeout;

use super::dial::Dialer;
use super::link::{Answer, Link, Lost};
use super::packets::Limits;
use super::refusal::{name, remedy};
use super::{Kind, Settings, certificates, explain};
use crate::clock::for_people;
use crate::config::Protocol;
use crate::tls::{Expiry, Whose};

/// How long name, connection and answer may take here, each: somebody waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the message may take back to us.
const WAY_BACK: Duration = Duration::from_secs(3);
/// After this long nobody needs the message any more.
const EXPIRY: Duration = Duration::from_secs(60);

/// What was found.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) text: String,
    /// Whether it works with less than it could.
    pub(crate) remark: bool,
}

/// Connects once and leaves again, without a last will and under a name of its own, so that a daemon that runs is not
/// disturbed. With `message`, publishes one on `<base>/check` and listens whether it comes back. What the broker takes, or
/// why it does not let us in.
pub(crate) fn probe(settings: &Settings, message: bool) -> anyhow::Result<Probe> {
    let settings = Settings {
        client_id: format!("{}-check", settings.client_id),
        ..settings.clone()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut dialer = Dialer::default();
        let connection = dialer.connect(&settings, PATIENCE).await.map_err(Error::msg)?;
        let mut link = match Link::open(connection.stream, &settings, None, PATIENCE).await {
            Ok(link) => link,
            Err(Lost::ShutOut) if settings.tls.is_none() && dialer.speaks_tls(&settings).await => {
                return Err(Error::msg(explain::tls(&settings)));
            }
            Err(lost) => return Err(Error::msg(lost.explain(&settings))),
        };
        let mut found = Probe {
            text: format!("{} lets us in", settings.address()),
            remark: false,
        };
        found.limits(&link.limits);
        found.certificates(&connection.certificates);
        if message {
            let topic = format!("{}/check", settings.base);
            let came_back = exchange(&mut link, &topic, &settings).await.map_err(Error::msg)?;
            found.message(&topic, came_back, settings.protocol);
        }
        link.close().await;
        Ok(found)
    })
}

/// Publishes a message on `topic`. Whether it came back, or why it did not get away.
async fn exchange(link: &mut Link<'_>, topic: &str, settings: &Settings) -> Result<bool, String> {
    let refused = |why: &str, code: u8| {
        format!(
            "it lets us in, but does not take a message on `{topic}` ({why}).{}",
            remedy(code, settings)
        )
    };
    let token = getrandom::u64().unwrap_or(0);
    let payload = format!("{{\"check\":\"{token:016x}\"}}").into_bytes();
    // Whether we may listen is no matter of life: what is not heard did not come back.
    let lost = |lost: Lost| match lost {
        Lost::Goodbye(notice) => refused(&name(notice.code), notice.code),
        Lost::Closed => refused("it closes the connection over it", super::refusal::NOT_AUTHORISED),
        lost => lost.explain(settings),
    };
    link.listen(vec![topic.to_owned()]).map_err(lost)?;
    match link
        .publish(topic, payload.clone(), Kind::Window, Some(EXPIRY))
        .await
    {
        Ok(Answer::Taken) => {}
        Ok(Answer::Refused(notice)) => return Err(refused(&name(notice.code), notice.code)),
        Err(why) => return Err(lost(why)),
    }
    let began = tokio::time::Instant::now();
    while began.elapsed() < WAY_BACK {
        if link
            .kept()
            .iter()
            .any(|heard| heard.payload.as_deref() == Some(payload.as_slice()))
        {
            return Ok(true);
        }
        match timeout(Duration::from_millis(50), link.idle()).await {
            // A broker may end the connection over what it has acknowledged.
            Ok(Lost::Goodbye(notice)) => return Err(refused(&name(notice.code), notice.code)),
            Ok(_) => return Err(lost(Lost::Closed)),
            Err(_) => {}
        }
    }
    Ok(false)
}

impl Probe {
    fn say(&mut self, text: &str, remark: bool) {
        self.text += "; ";
        self.text += text;
        self.remark |= remark;
    }

    fn limits(&mut self, limits: &Limits) {
        if let Some(longest) = limits.longest {
            self.say(
                &format!("messages of up to {longest} bytes"),
                longest < super::client::REMARKABLE,
            );
        }
        if !limits.acknowledges {
            self.say("QoS 0 only, so nobody tells whether windows arrive", true);
        }
        if !limits.retains {
            self.say("it keeps no retained messages", true);
        }
    }

    fn certificates(&mut self, expiries: &[Expiry]) {
        let now = SystemTime::now();
        for expiry in expiries {
            if expiry.is_soon(now) {
                let sentence = certificates::sentence(expiry, now);
                self.say(sentence.trim_end_matches('.'), true);
            } else if expiry.whose == Whose::Broker {
                self.say(
                    &format!("its certificate is valid until {}", for_people(expiry.end)),
                    false,
                );
            }
        }
    }

    fn message(&mut self, topic: &str, came_back: bool, protocol: Protocol) {
        match (came_back, protocol) {
            (true, _) => self.say(&format!("a message on `{topic}` was taken and read back"), false),
            (false, Protocol::V5) => self.say(
                &format!("a message on `{topic}` was taken; this login may not read it back, which only commands need"),
                false,
            ),
            (false, Protocol::V311) => self.say(
                &format!(
                    "a message on `{topic}` was acknowledged and did not come back: either this login may not read there, which does no harm, or it may not write there, and with MQTT 3.1.1 a broker cannot tell that it drops messages; subscribe with another login and see them arrive"
                ),
                true,
            ),
        }
    }
}
