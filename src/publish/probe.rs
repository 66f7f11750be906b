//! One look at the broker, for `check` and `doctor`: whether it lets us in, and what it takes.

use std::time::Duration;

use anyhow::Error;

use super::client::ASKING;
use super::dial::Dialer;
use super::link::{Link, Lost};
use super::packets::Limits;
use super::{Settings, explain, packets};
use crate::config::Protocol;

/// How long name, connection and answer may take here, each: somebody waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects once and leaves again, without a last will and under a name of its own, so that a daemon that runs is not
/// disturbed. What the broker takes, or why it does not let us in.
pub(crate) fn probe(settings: &Settings) -> anyhow::Result<String> {
    let settings = Settings {
        client_id: format!("{}-check", settings.client_id),
        ..settings.clone()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let Settings { host, port, .. } = &settings;
    runtime.block_on(async {
        let mut dialer = Dialer::default();
        let stream = dialer.dial(host, *port, PATIENCE).await.map_err(Error::msg)?;
        match Link::open(stream, &settings, None, PATIENCE).await {
            Ok(link) => {
                let text = describe(&settings, &link.limits);
                link.close().await;
                Ok(text)
            }
            Err(Lost::ShutOut) if dialer.speaks_tls(host, *port, ASKING).await => {
                Err(Error::msg(explain::tls(&settings)))
            }
            Err(lost) => Err(Error::msg(lost.explain(&settings))),
        }
    })
}

fn describe(settings: &Settings, limits: &packets::Limits) -> String {
    let Limits {
        longest,
        acknowledges,
        retains,
        ..
    } = limits;
    let mut text = format!("{}:{} lets us in", settings.host, settings.port);
    if let Some(longest) = longest {
        text += &format!("; messages of up to {longest} bytes");
    }
    if !acknowledges {
        text += "; QoS 0 only, so nobody tells whether windows arrive";
    }
    if !retains {
        text += "; it keeps no retained messages";
    }
    if settings.protocol == Protocol::V311 {
        text += "; with MQTT 3.1.1 a broker cannot tell that it drops messages for want of access rights, so subscribe once and see them arrive";
    }
    text
}
