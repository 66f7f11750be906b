//! Certificates of made-up authorities, as files.
#![allow(dead_code, unreachable_pub)] // not every test file needs everything

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// Somebody who signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// The files of a certificate and its key.
#[derive(Debug, Clone)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// How a certificate is to be.
pub struct Wish<'a> {
    pub name: &'a str,
    pub hosts: &'a [&'a str],
    pub begin: SystemTime,
    pub end: SystemTime,
    pub is_ca: bool,
}

impl<'a> Wish<'a> {
    /// A good one for the broker of a test.
    pub fn good(name: &'a str) -> Self {
        let now = SystemTime::now();
        Self {
            name,
            hosts: &["localhost", "127.0.0.1"],
            begin: now - DAY,
            end: now + 90 * DAY,
            is_ca: false,
        }
    }
}

impl Authority {
    /// A new one, whose files lie in `folder`.
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = (SystemTime::now() + 365 * DAY).into();
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self {
            issuer,
            folder: folder.to_owned(),
        };
        std::fs::write(authority.file(), authority.issuer.pem()).unwrap();
        authority
    }

    /// Its own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// Signs a certificate.
    pub fn sign(&self, wish: &Wish<'_>) -> Pair {
        let hosts: Vec<String> = wish.hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, wish.name);
        (params.not_before, params.not_after) = (wish.begin.into(), wish.end.into());
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        if wish.is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pair = Pair {
            certificate: self.folder.join(format!("{}.pem", wish.name)),
            key: self.folder.join(format!("{}.key", wish.name)),
        };
        std::fs::write(&pair.certificate, certificate.pem()).unwrap();
        std::fs::write(&pair.key, key.serialize_pem()).unwrap();
        pair
    }
}

/// A real mosquitto with several ports.
pub struct Ports {
    process: Child,
}

impl Drop for Ports {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The lines of a port of mosquitto that shows this certificate.
pub fn secure(port: u16, pair: &Pair) -> String {
    format!(
        "listener {port} 127.0.0.1\ncertfile {}\nkeyfile {}\n",
        pair.certificate.display(),
        pair.key.display()
    )
}

impl Ports {
    /// Starts it with these lines, and waits for all of `ports`.
    pub fn open(folder: &Path, lines: &str, ports: &[u16]) -> Self {
        let config = folder.join("ports.conf");
        std::fs::write(&config, format!("allow_anonymous true\nuser root\n{lines}")).unwrap();
        let program = [
            "/usr/sbin/mosquitto",
            "/usr/local/sbin/mosquitto",
            "/usr/bin/mosquitto",
        ];
        let program = program.iter().find(|path| Path::new(path).exists());
        let log = std::fs::File::create(folder.join("ports.log")).unwrap();
        let process = Command::new(program.expect("mosquitto is missing: run `make setup`"))
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let broker = Self { process };
        let began = Instant::now();
        for port in ports {
            while std::net::TcpStream::connect(("127.0.0.1", *port)).is_err() {
                let log = || std::fs::read_to_string(folder.join("ports.log")).unwrap();
                assert!(
                    began.elapsed() < Duration::from_secs(20),
                    "no port {port}: {}",
                    log()
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        broker
    }
}
