#!/usr/bin/env bash
# Fetches packages of Debian 12 for any architecture and unpacks them below a folder. Nothing is installed, no
# maintainer script runs, and the machine's own packages and sources stay as they are.
#
#   cross/debian.sh [--alone] ARCH DEST PACKAGE...       ARCH: amd64 | arm64 | armhf
#
# A PACKAGE/bookworm-backports comes from there. With everything the packages depend on, or, with --alone, without.
# apt checks Debian's signatures as ever; its mirrors are those of this machine, its lists are kept in target/arm/apt.
# What is already unpacked is kept, so the second call needs no network.
set -euo pipefail
cd "$(dirname "$0")/.."

alone=
if [[ ${1:-} == --alone ]]; then alone=1 && shift; fi
[[ $# -ge 3 ]] || { echo "usage: cross/debian.sh [--alone] amd64|arm64|armhf DEST PACKAGE..." >&2; exit 1; }
arch=$1 dest=$2
shift 2
stamp=$dest/.unpacked/$(printf '%s\n' "$@" | sha256sum | cut -c 1-16)
[[ ! -f $stamp ]] || exit 0

apt=$PWD/target/arm/apt/$arch
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$dest/.unpacked"
: >"$apt/status"
# shellcheck disable=SC2016 # apt's own fields
sites() { apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' | awk '$1 == "Debian" { print $2 }' | sort -u; }
mirror=$(sites | grep -v security | head -n 1 || true)
security=$(sites | grep security | head -n 1 || true)
mirror=${mirror:-http://deb.debian.org/debian}
for line in "$mirror bookworm" "$mirror bookworm-backports" "${security:-http://deb.debian.org/debian-security} bookworm-security"; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $line main"
done >"$apt/sources.list"
cat >"$apt/apt.conf" <<CONF
APT::Architecture "$arch"; APT::Architectures {"$arch";}; APT::Install-Recommends "false"; APT::Sandbox::User "root";
Dir::State::lists "$apt/lists"; Dir::State::status "$apt/status"; Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list"; Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
CONF
export APT_CONFIG=$apt/apt.conf

echo "debian: fetching for $arch: $*"
if [[ -z $(find "$apt/updated" -mmin -600 2>/dev/null) ]]; then
    # An index that is out of step with its mirror is said, but does not stop what the others have.
    apt-get update -qq || echo "debian: not every index of $arch could be fetched (see above)" >&2
    touch "$apt/updated"
fi
rm -rf "$apt/new" && mkdir -p "$apt/new"
if [[ $alone ]]; then
    (cd "$apt/new" && apt-get download -qq "$@")
else
    apt-get install -qq --download-only --yes "$@" >"$apt/log" || { tail "$apt/log" >&2; exit 1; }
    mv "$apt"/cache/archives/*.deb "$apt/new/"
fi
# Merged /usr, as every Debian 12 has it: packages still bring files below /lib and /bin.
for folder in bin sbin lib; do
    mkdir -p "$dest/usr/$folder"
    [[ -e $dest/$folder ]] || ln -s "usr/$folder" "$dest/$folder"
done
for package in "$apt"/new/*.deb; do
    dpkg-deb --fsys-tarfile "$package" |
        tar -x -C "$dest" --keep-directory-symlink --exclude './usr/share/doc*' --exclude './usr/share/man*' --exclude './usr/share/locale*'
done
echo "debian: unpacked $(find "$apt/new" -name '*.deb' | wc -l) packages into $dest"
rm -r "$apt/new"
touch "$stamp"
