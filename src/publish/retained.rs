//! What a broker keeps (retained messages): found, and taken away, over a short connection of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Error, bail};

use super::dial::Dialer;
use super::link::{Answer, Link, Lost};
use super::{Kind, Settings};

/// How long name, connection and answer may take, each: somebody waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// After this long without a message the broker has sent what it keeps: it has answered a question that came after the wish.
const QUIET: Duration = Duration::from_millis(500);

/// Connects under a name of its own, so that a daemon that runs is not disturbed. What the broker keeps on the topics: these, and
/// all that a filter such as `a/#` stands for.
///
/// # Errors
/// Why the broker is not reached, or does not let us in.
pub(crate) fn kept(settings: &Settings, topics: &[String]) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    with_link(settings, async |link: &mut Link<'_>| {
        link.listen(topics.to_vec())?;
        link.round_trip().await?;
        let mut kept = BTreeMap::new();
        loop {
            if let Ok(lost) = tokio::time::timeout(QUIET, link.idle()).await {
                return Err(lost);
            }
            let heard = link.kept();
            if heard.is_empty() {
                return Ok(kept);
            }
            for message in heard.into_iter().filter(|message| message.retained) {
                kept.insert(message.topic, message.payload.unwrap_or_default());
            }
        }
    })
}

/// Takes away what the broker keeps on these topics.
///
/// # Errors
/// Why the broker is not reached, or does not let us in, or does not let us take it away.
pub(crate) fn remove(settings: &Settings, topics: &[String]) -> anyhow::Result<()> {
    let refused = with_link(settings, async |link: &mut Link<'_>| {
        let mut refused = Vec::new();
        for topic in topics {
            match link.publish(topic, Vec::new(), Kind::Retained, None).await? {
                Answer::Taken => {}
                Answer::Refused(notice) => {
                    refused.push(format!("`{topic}` ({})", super::refusal::name(notice.code)))
                }
            }
        }
        Ok(refused)
    })?;
    if !refused.is_empty() {
        bail!(
            "The broker does not let {} take away {}: let it write there in the broker's access rules.",
            settings.username.as_deref().unwrap_or("anonymous clients"),
            refused.join(", ")
        );
    }
    Ok(())
}

fn with_link<T>(
    settings: &Settings,
    work: impl AsyncFnOnce(&mut Link<'_>) -> Result<T, Lost>,
) -> anyhow::Result<T> {
    let settings = Settings {
        client_id: format!("{}-retire", settings.client_id),
        ..settings.clone()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let reached = |why: String| {
        Error::msg(format!(
            "The MQTT broker {} is not reached: {why}.",
            settings.address()
        ))
    };
    runtime.block_on(async {
        let mut dialer = Dialer::default();
        let connection = dialer.connect(&settings, PATIENCE).await.map_err(reached)?;
        let mut link = Link::open(connection.stream, &settings, None, PATIENCE)
            .await
            .map_err(|lost| reached(lost.explain(&settings)))?;
        let done = work(&mut link).await;
        match done {
            Ok(done) => {
                link.close().await;
                Ok(done)
            }
            Err(lost) => Err(reached(lost.explain(&settings))),
        }
    })
}
