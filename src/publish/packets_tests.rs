//! Packets as brokers send them, byte by byte.

use super::*;

fn replies(protocol: Protocol, bytes: &[u8]) -> Result<Option<Reply>, String> {
    read(protocol, &mut BytesMut::from(bytes))
}

#[test]
fn limits_are_read_and_none_is_the_default() {
    let accepted = b"\x20\x03\0\0\0";
    assert_eq!(
        replies(Protocol::V5, accepted),
        Ok(Some(Reply::Accepted(Limits::default())))
    );
    let limited = b"\x20\x18\x00\x00\x15\x27\0\0\x02\x58\x24\0\x25\0\x13\0\x0a\x21\0\x07\x12\0\x03abc";
    assert_eq!(
        replies(Protocol::V5, limited),
        Ok(Some(Reply::Accepted(Limits {
            longest: Some(600),
            acknowledges: false,
            at_once: 7,
            retains: false,
            keep_alive: Some(10),
            client_id: Some("abc".to_owned()),
        })))
    );
    assert_eq!(
        replies(Protocol::V311, b"\x20\x02\0\0"),
        Ok(Some(Reply::Accepted(Limits::default())))
    );
}

#[test]
fn refusals_have_their_code_words_and_server() {
    let moved = b"\x20\x10\x00\x9d\x0d\x1c\0\x04b:99\x1f\0\x03go\n";
    assert_eq!(
        replies(Protocol::V5, moved),
        Ok(Some(Reply::Refused(Notice {
            code: 0x9d,
            words: Some("go".to_owned()),
            server: Some("b:99".to_owned()),
        })))
    );
    for (code, of_5) in [
        (1, OTHER_VERSION),
        (2, BAD_CLIENT_ID),
        (3, UNAVAILABLE),
        (4, BAD_PASSWORD),
        (5, NOT_AUTHORISED),
    ] {
        let refused = Reply::Refused(Notice::of(of_5));
        assert_eq!(
            replies(Protocol::V311, &[0x20, 2, 0, code]),
            Ok(Some(refused)),
            "{code}"
        );
    }
}

#[test]
fn an_acknowledgement_says_whether_the_message_is_taken() {
    let notice = |code| Notice::of(code);
    for (bytes, code) in [
        (&b"\x40\x02\0\x07"[..], 0),
        (b"\x40\x03\0\x07\x10", 0x10),
        (b"\x40\x04\0\x07\x87\0", 0x87),
    ] {
        let expected = Reply::Acknowledged {
            id: 7,
            notice: notice(code),
        };
        assert_eq!(replies(Protocol::V5, bytes), Ok(Some(expected)));
    }
}

#[test]
fn half_a_packet_is_waited_for_and_another_language_is_not() {
    assert_eq!(replies(Protocol::V5, b"\x20"), Ok(None));
    assert_eq!(replies(Protocol::V5, b"\x20\x03\0\0"), Ok(None));
    assert!(
        replies(Protocol::V5, b"\x15\x03\x03\0\x02\x02\x28").is_err(),
        "a TLS alert"
    );
    assert!(
        replies(Protocol::V5, b"\x30\xff\xff\x7f").is_err(),
        "two megabytes"
    );
}

#[test]
fn what_others_wrote_cannot_begin_a_line_of_its_own() {
    assert_eq!(printable(" a\r\nERROR b\x1b[31m"), "a  ERROR b [31m");
    assert_eq!(printable(&"x".repeat(1000)).len(), 200);
}

/// What a subscriber of MQTT 5 can rely on, as bytes on the wire: properties by their identifiers.
#[test]
fn a_message_has_its_expiry_and_its_content_type_and_the_will_its_delay() {
    let message = |payload: &[u8], expiry| Outgoing {
        topic: "t".to_owned(),
        payload: payload.to_vec(),
        id: Some(1),
        retain: false,
        expiry,
    };
    let has = |packet: &[u8], property: &[u8]| packet.windows(property.len()).any(|part| part == property);
    let json = publish(Protocol::V5, &message(b"{}", Some(3600))).expect("a packet");
    assert!(has(&json, b"\x01\x01"), "text as UTF-8");
    assert!(has(&json, b"\x02\x00\x00\x0e\x10"), "an hour");
    assert!(has(&json, b"\x03\x00\x10application/json"));
    let word = publish(Protocol::V5, &message(b"online", None)).expect("a packet");
    assert!(
        !has(&word, b"application/json") && !has(&word, b"\x02\x00"),
        "{word:?}"
    );
    let settings = super::super::tests::settings(1883);
    let hello = connect(&settings, Some(Will::LADDER[0])).expect("a packet");
    assert!(
        has(&hello, b"\x18\x00\x00\x00\x05"),
        "the will waits five seconds"
    );
    assert!(
        has(&hello, b"\x11\x00\x00\x00\x0a"),
        "and the session lives longer"
    );
    assert!(has(&hello, b"affectd/test/unit/status") && has(&hello, b"offline"));
    let old = publish(Protocol::V311, &message(b"{}", Some(3600))).expect("a packet");
    assert_eq!(old[..], *b"\x32\x07\x00\x01t\x00\x01{}");
}

#[test]
fn codes_that_are_in_no_list_and_answers_without_properties_are_read() {
    let read = |bytes: &[u8]| super::read(Protocol::V5, &mut BytesMut::from(bytes));
    let acknowledged = |code| Reply::Acknowledged {
        id: 7,
        notice: Notice::of(code),
    };
    for (bytes, reply) in [
        (&b"\x40\x02\0\x07"[..], acknowledged(SUCCESS)),
        (b"\x40\x03\0\x07\x87", acknowledged(NOT_AUTHORISED)),
        (b"\x40\x04\0\x07\xc1\0", acknowledged(0xc1)),
        (b"\xe0\0", Reply::Goodbye(Notice::of(SUCCESS))),
        (b"\xe0\x01\x8e", Reply::Goodbye(Notice::of(0x8e))),
        (b"\xe0\x02\xc1\0", Reply::Goodbye(Notice::of(0xc1))),
    ] {
        assert_eq!(read(bytes), Ok(Some(reply)), "{}", bytes.escape_ascii());
        assert_eq!(
            read(&bytes[..bytes.len() - 1]),
            Ok(None),
            "{}",
            bytes.escape_ascii()
        );
    }
    let both = b"\xe0\x15\x9d\x13\x26\0\x01a\0\x01b\x1f\0\x02hi\x1c\0\x04cam2";
    let notice = Notice {
        code: 0x9d,
        words: Some("hi".to_owned()),
        server: Some("cam2".to_owned()),
    };
    assert_eq!(read(both), Ok(Some(Reply::Goodbye(notice))));
    for broken in [
        &b"\x40\0"[..],
        b"\x40\x01\0",
        b"\xe0\xff\xff\xff\xff",
        b"\xe0\xff\xff\xff\x7f",
    ] {
        assert!(read(broken).is_err(), "{}", broken.escape_ascii());
    }
}
