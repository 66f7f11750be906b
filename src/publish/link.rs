//! One connection to a broker, in MQTT 5 or 3.1.1, with the differences of the two kept in here.

use std::pin::Pin;

use affect_core::report::Status;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::{Kind, Message, Settings};
use crate::config::Protocol;

/// Seconds that the broker waits before it publishes the last will, so that a short break of the network does
/// not show (MQTT 5).
const WILL_DELAY: u32 = 5;
/// Requests between us and the client library.
const CAPACITY: usize = 8;

/// Turns true when the broker has acknowledged, false if the message was lost with the connection.
pub(super) type Acknowledgement = Pin<Box<dyn Future<Output = bool> + Send>>;

/// What a connection tells.
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// The broker has accepted us.
    Connected,
    /// Our DISCONNECT is sent.
    Closed,
    /// The connection is gone or did not come about; why, for people.
    Lost(String),
}

/// A connection, living or coming about.
pub(super) struct Link {
    client: Client,
    pub(super) events: Receiver<LinkEvent>,
    pump: JoinHandle<()>,
}

enum Client {
    V5 { client: mqtt5::AsyncClient, expiry: u32 },
    V311(mqtt311::AsyncClient),
}

impl Link {
    /// Begins to connect.
    pub(super) fn open(settings: &Settings) -> Self {
        let (sender, events) = channel(CAPACITY);
        let (client, pump) = match settings.protocol {
            Protocol::V5 => open_v5(settings, sender),
            Protocol::V311 => open_v311(settings, sender),
        };
        Self { client, events, pump }
    }

    /// Gives a message to the connection.
    pub(super) fn publish(&self, message: &Message) -> Result<Acknowledgement, String> {
        let (topic, payload) = (message.topic.clone(), message.payload.clone());
        match &self.client {
            Client::V5 { client, expiry } => {
                let retain = message.kind == Kind::Retained;
                let properties = mqtt5::mqttbytes::v5::PublishProperties {
                    payload_format_indicator: Some(1),
                    message_expiry_interval: (!retain).then_some(*expiry),
                    content_type: Some("application/json".to_owned()).filter(|_| payload.starts_with(b"{")),
                    ..Default::default()
                };
                let options = match message.kind {
                    Kind::Passing => mqtt5::PublishOptions::at_most_once(),
                    Kind::Retained | Kind::Window => mqtt5::PublishOptions::at_least_once(),
                };
                let options = options.retain(retain).properties(properties);
                let notice = client
                    .try_publish_tracked(topic, payload, options)
                    .map_err(|e| e.to_string())?;
                Ok(Box::pin(async move { notice.wait_async().await.is_ok() }))
            }
            Client::V311(client) => {
                let options = match message.kind {
                    Kind::Passing => mqtt311::PublishOptions::at_most_once(),
                    Kind::Retained | Kind::Window => mqtt311::PublishOptions::at_least_once(),
                };
                let options = options.retain(message.kind == Kind::Retained);
                let notice = client
                    .try_publish_tracked(topic, payload, options)
                    .map_err(|e| e.to_string())?;
                Ok(Box::pin(async move { notice.wait_async().await.is_ok() }))
            }
        }
    }

    /// Says goodbye, so that the broker does not publish the last will.
    pub(super) fn disconnect(&self) {
        // If the request finds no room, the connection is gone anyway.
        let _ = match &self.client {
            Client::V5 { client, .. } => client.try_disconnect().map_err(|e| e.to_string()),
            Client::V311(client) => client.try_disconnect().map_err(|e| e.to_string()),
        };
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Keeps a client library going and hands on what it tells, up to the connection's end.
async fn pump(sender: Sender<LinkEvent>, mut next: impl AsyncFnMut() -> Option<LinkEvent>) {
    loop {
        let Some(event) = next().await else { continue };
        let last = !matches!(event, LinkEvent::Connected);
        if sender.send(event).await.is_err() || last {
            break;
        }
    }
}

fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn open_v5(settings: &Settings, sender: Sender<LinkEvent>) -> (Client, JoinHandle<()>) {
    use mqtt5::mqttbytes::v5::{LastWill, LastWillProperties, Packet};
    use mqtt5::{Event, Outgoing};
    let mut options = mqtt5::MqttOptions::new(
        &settings.client_id,
        mqtt5::Broker::tcp(&settings.host, settings.port),
    );
    options.set_keep_alive(u16::try_from(settings.keep_alive.as_secs()).unwrap_or(u16::MAX));
    options.set_clean_start(true);
    if let Some(username) = &settings.username {
        let password = settings
            .password
            .as_ref()
            .map(|p| p.reveal().to_owned())
            .unwrap_or_default();
        options.set_credentials(username, password);
    }
    let delay = LastWillProperties {
        delay_interval: Some(WILL_DELAY),
        payload_format_indicator: Some(1),
        message_expiry_interval: None,
        content_type: None,
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
    };
    let will = Status::Offline.word();
    let qos = mqtt5::mqttbytes::QoS::AtLeastOnce;
    options.set_last_will(LastWill::new(
        settings.status_topic(),
        will,
        qos,
        true,
        Some(delay),
    ));
    // The delay counts within the session's life, so the session must live a little longer.
    options.set_session_expiry_interval(Some(WILL_DELAY * 2));
    let (client, mut events) = mqtt5::AsyncClient::builder(options).capacity(CAPACITY).build();
    let pump = tokio::spawn(pump(sender, async move || match events.poll().await {
        Ok(Event::Incoming(Packet::ConnAck(_))) => Some(LinkEvent::Connected),
        Ok(Event::Incoming(Packet::Disconnect(goodbye))) => {
            let words = goodbye
                .properties
                .as_ref()
                .and_then(|p| p.reason_string.as_deref());
            Some(LinkEvent::Lost(explain_disconnect(goodbye.reason_code, words)))
        }
        Ok(Event::Outgoing(Outgoing::Disconnect)) => Some(LinkEvent::Closed),
        Ok(_) => None,
        Err(error) => Some(LinkEvent::Lost(explain_v5(&error))),
    }));
    (
        Client::V5 {
            client,
            expiry: seconds(settings.message_expiry),
        },
        pump,
    )
}

fn open_v311(settings: &Settings, sender: Sender<LinkEvent>) -> (Client, JoinHandle<()>) {
    use mqtt311::{Event, LastWill, Outgoing, Packet};
    let mut options = mqtt311::MqttOptions::new(
        &settings.client_id,
        mqtt311::Broker::tcp(&settings.host, settings.port),
    );
    options.set_keep_alive(u16::try_from(settings.keep_alive.as_secs()).unwrap_or(u16::MAX));
    options.set_clean_session(true);
    if let Some(username) = &settings.username {
        let password = settings
            .password
            .as_ref()
            .map(|p| p.reveal().to_owned())
            .unwrap_or_default();
        options.set_credentials(username, password);
    }
    let will = Status::Offline.word();
    options.set_last_will(LastWill::new(
        settings.status_topic(),
        will,
        mqtt311::QoS::AtLeastOnce,
        true,
    ));
    let (client, mut events) = mqtt311::AsyncClient::builder(options).capacity(CAPACITY).build();
    let pump = tokio::spawn(pump(sender, async move || match events.poll().await {
        Ok(Event::Incoming(Packet::ConnAck(_))) => Some(LinkEvent::Connected),
        Ok(Event::Outgoing(Outgoing::Disconnect)) => Some(LinkEvent::Closed),
        Ok(_) => None,
        Err(error) => Some(LinkEvent::Lost(explain_v311(&error))),
    }));
    (Client::V311(client), pump)
}

const WRONG_PASSWORD: &str =
    "it refuses user name or password; check [mqtt] username and the file named by password_file";
const NOT_ALLOWED: &str =
    "it does not allow this client to connect; check [mqtt] username and the broker's access rules";
const TAKEN_OVER: &str = "another client connected with the same client id (a cloned SD card?); give each device its own [mqtt] client_id";
const OTHER_VERSION: &str = "it does not speak this version of MQTT; set [mqtt] protocol = \"3.1.1\"";
const CLOSED: &str = "it closed the connection without a word; if this goes on, another client may use the same client id, so give each device its own [mqtt] client_id";
const BAD_ID: &str = "it does not accept the client id; set [mqtt] client_id to letters and digits";

fn explain_v5(error: &mqtt5::ConnectionError) -> String {
    use mqtt5::mqttbytes::v5::ConnectReturnCode as Code;
    use mqtt5::{ConnectionError, StateError};
    match error {
        ConnectionError::ConnectionRefused(code)
        | ConnectionError::MqttState(StateError::ConnFail { reason: code }) => match code {
            Code::BadUserNamePassword => WRONG_PASSWORD.to_owned(),
            Code::NotAuthorized | Code::Banned => NOT_ALLOWED.to_owned(),
            Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => OTHER_VERSION.to_owned(),
            Code::BadClientId | Code::ClientIdentifierNotValid => BAD_ID.to_owned(),
            other => format!("it refuses the connection ({other:?})"),
        },
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code,
            reason_string,
        }) => explain_disconnect(*reason_code, reason_string.as_deref()),
        ConnectionError::MqttState(StateError::ConnectionAborted) => CLOSED.to_owned(),
        other => other.to_string(),
    }
}

fn explain_disconnect(code: mqtt5::mqttbytes::v5::DisconnectReasonCode, words: Option<&str>) -> String {
    use mqtt5::mqttbytes::v5::DisconnectReasonCode as Reason;
    match code {
        Reason::SessionTakenOver => TAKEN_OVER.to_owned(),
        Reason::NotAuthorized => NOT_ALLOWED.to_owned(),
        other => {
            let words = words.map(|words| format!(": {words}")).unwrap_or_default();
            format!("it closed the connection ({other:?}{words})")
        }
    }
}

fn explain_v311(error: &mqtt311::ConnectionError) -> String {
    use mqtt311::{ConnectReturnCode as Code, ConnectionError, StateError};
    match error {
        ConnectionError::MqttState(StateError::ConnectionAborted) => CLOSED.to_owned(),
        ConnectionError::ConnectionRefused(code) => match code {
            Code::BadUserNamePassword => WRONG_PASSWORD.to_owned(),
            Code::NotAuthorized => NOT_ALLOWED.to_owned(),
            Code::BadClientId => BAD_ID.to_owned(),
            other => format!("it refuses the connection ({other:?})"),
        },
        other => other.to_string(),
    }
}
