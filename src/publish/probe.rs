//! One look at the broker, for `check` and `doctor`: whether it lets us in, and what it takes.

use super::client::CONNECTING;
use super::dial::Dialer;
use super::link::Link;
use super::packets::Limits;
use super::{Settings, packets};
use crate::config::Protocol;

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
    runtime.block_on(async {
        let stream = Dialer::default()
            .dial(&settings.host, settings.port, CONNECTING)
            .await
            .map_err(anyhow::Error::msg)?;
        let link = Link::open(stream, &settings, None, CONNECTING)
            .await
            .map_err(|lost| anyhow::Error::msg(lost.explain(&settings)))?;
        let text = describe(&settings, &link.limits);
        link.close().await;
        Ok(text)
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
