//! A network camera (RTSP, or MJPEG and video over HTTP), read through ffmpeg.
//!
//! Every user of a machine can see the arguments of a running program. So the address, which holds user name and
//! password, is not among them: ffmpeg reads it from its standard input, as a list of one file (its format `concat`).

use std::time::Duration;

use super::{Output, PipeSettings};
use crate::config::Secret;

/// What ffmpeg may open to get there: none of it is another camera's or a file's business.
const PROTOCOLS: &str = "pipe,rtsp,rtsps,rtp,udp,tcp,http,https,tls,httpproxy,crypto";

/// ffmpeg with the camera at `address`. Its frames are made smaller, but no smaller than `size`.
pub(crate) fn network_camera(
    address: &Secret,
    size: (u32, u32),
    fps: f64,
    frame_timeout: Duration,
) -> PipeSettings {
    let (width, height) = size;
    let frames = format!("fps={fps},scale=w='min(iw,max({width},ceil({height}*iw/ih)))':h=-2");
    let arguments = [
        "ffmpeg",
        "-nostdin",
        "-loglevel",
        "error",
        "-f",
        "concat",
        "-safe",
        "0",
        "-protocol_whitelist",
        PROTOCOLS,
        "-i",
        "pipe:0",
        "-an",
        "-sn",
        "-vf",
        &frames,
        "-c:v",
        "mjpeg",
        "-q:v",
        "4",
        "-f",
        "mjpeg",
        "pipe:1",
    ];
    PipeSettings {
        command: arguments.map(str::to_owned).into(),
        url: None,
        input: Some(Secret::around(list(address.reveal()))),
        output: Output::Jpegs,
        fps,
        frame_timeout,
    }
}

/// The list that ffmpeg reads. RTSP comes over TCP: over UDP, lost packets are grey stripes.
fn list(address: &str) -> String {
    let option = if address.starts_with("rtsp") {
        "option rtsp_transport tcp\n"
    } else {
        ""
    };
    format!("ffconcat version 1.0\nfile '{address}'\n{option}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_no_argument() {
        let camera = network_camera(
            &Secret::around("rtsp://a:hunter2@cam/x?channel=1"),
            (1280, 720),
            5.0,
            Duration::from_secs(5),
        );
        assert!(!format!("{camera:?}").contains("hunter2"));
        assert!(!camera.command.iter().any(|argument| argument.contains("cam")));
        assert_eq!(
            camera.input.as_ref().map(Secret::reveal),
            Some(
                "ffconcat version 1.0\nfile 'rtsp://a:hunter2@cam/x?channel=1'\noption rtsp_transport tcp\n"
            )
        );
        assert_eq!(
            list("http://cam/x"),
            "ffconcat version 1.0\nfile 'http://cam/x'\n"
        );
    }
}
