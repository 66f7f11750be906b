//! Which video devices there are, and by which names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folders of names that stay the same, the better ones first: by the device itself, and by where it is plugged in.
const STABLE: [&str; 2] = ["v4l/by-id", "v4l/by-path"];

/// A video device and its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// Its file, such as `/dev/video0`. Its number may change.
    pub(crate) node: PathBuf,
    /// Names that stay the same, the best first. Empty for devices that have none, such as virtual ones.
    pub(crate) stable: Vec<PathBuf>,
}

impl Names {
    /// The name to configure.
    pub(crate) fn best(&self) -> &Path {
        self.stable.first().unwrap_or(&self.node)
    }
}

/// The video devices under `dev`, which is `/dev` but for tests, in the order of their numbers.
pub(crate) fn devices(dev: &Path) -> Vec<Names> {
    let mut found: BTreeMap<(usize, PathBuf), Names> = BTreeMap::new();
    for node in listed(dev) {
        let name = node
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(number) = name.strip_prefix("video").and_then(|number| number.parse().ok()) else {
            continue;
        };
        let stable = Vec::new();
        found.insert((number, node.clone()), Names { node, stable });
    }
    for name in STABLE.iter().flat_map(|folder| listed(&dev.join(folder))) {
        let Ok(target) = name.canonicalize() else { continue };
        let device = found
            .values_mut()
            .find(|names| names.node.canonicalize().is_ok_and(|node| node == target));
        if let Some(device) = device {
            device.stable.push(name);
        }
    }
    found.into_values().collect()
}

/// What lies in a folder, sorted; nothing if there is none.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn devices_have_their_stable_names_the_best_first() {
        let dev = tempfile::tempdir().unwrap();
        let at = |name: &str| dev.path().join(name);
        for name in ["video10", "video2", "video0", "videodev", "vide", "null"] {
            std::fs::write(at(name), b"").unwrap();
        }
        for folder in STABLE {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        symlink("../../video2", at("v4l/by-path/pci-usb-0:2:1.0-video-index0")).unwrap();
        symlink("../../video2", at("v4l/by-id/usb-Cam_2-video-index0")).unwrap();
        symlink("../../video10", at("v4l/by-path/platform-csi-video-index0")).unwrap();
        symlink("../../video77", at("v4l/by-id/usb-gone-video-index0")).unwrap();
        let devices = devices(dev.path());
        let names: Vec<(PathBuf, PathBuf)> = devices
            .iter()
            .map(|names| (names.node.clone(), names.best().to_owned()))
            .collect();
        assert_eq!(
            names,
            [
                (at("video0"), at("video0")),
                (at("video2"), at("v4l/by-id/usb-Cam_2-video-index0")),
                (at("video10"), at("v4l/by-path/platform-csi-video-index0")),
            ]
        );
        assert_eq!(devices[1].stable.len(), 2);
    }

    #[test]
    fn no_folder_is_no_device() {
        let dev = tempfile::tempdir().unwrap();
        assert_eq!(devices(&dev.path().join("none")), []);
    }
}
