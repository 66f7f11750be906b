#!/usr/bin/env bash
# The real unit under a real systemd: boots a container with the release binary and puts it through what happens on a
# wall. One line per scenario; the result goes into docs/device-tests.md. Needs root on Debian: `make test-systemd`.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$PWD/target/nspawn root=$PWD/target/nspawn/root results=$PWD/target/nspawn/results
binary=${AFFECTD_BINARY:-target/release/affectd}
port=${AFFECTD_TEST_PORT:-18931}
[[ $(id -u) -eq 0 ]] || { echo "nspawn: run as root" >&2; exit 1; }
missing=()
for tool in systemd-nspawn mmdebstrap mosquitto mosquitto_sub; do
    PATH=$PATH:/usr/sbin command -v "$tool" >/dev/null || missing+=("$tool")
done
if [[ ${#missing[@]} -gt 0 ]]; then
    echo "nspawn: missing ${missing[*]}: apt-get install systemd-container mmdebstrap mosquitto mosquitto-clients" >&2
    exit 1
fi
mkdir -p "$work"

# A small Debian 12, from the sources that this machine uses itself; kept for the next time.
if [[ ! -f $work/root.tar ]]; then
    shopt -s nullglob
    sources=(/etc/apt/sources.list.d/debian.sources /etc/apt/sources.list)
    [[ -f ${sources[0]} ]] || sources=("${sources[1]}")
    [[ -s ${sources[-1]} ]] || unset 'sources[-1]'
    echo "nspawn: building a container (once) ..."
    mmdebstrap --quiet --variant=minbase --include=systemd-sysv,dbus,procps bookworm "$work/new.tar" "${sources[@]}" \
        >"$work/mmdebstrap.log" 2>&1 || { tail -5 "$work/mmdebstrap.log" >&2; exit 1; }
    mv "$work/new.tar" "$work/root.tar"
fi
rm -rf "$root"
mkdir -p "$root"
tar --extract --file "$work/root.tar" --directory "$root"

# What the package will install.
install -D -m 755 "$binary" "$root/usr/bin/affectd"
install -D -m 644 "runtime/$(uname -m)/libtensorflowlite_c.so" "$root/usr/lib/affectd/libtensorflowlite_c.so"
install -D -m 644 systemd/affectd.service "$root/usr/lib/systemd/system/affectd.service"
install -D -m 644 systemd/affectd.sysusers "$root/usr/lib/sysusers.d/affectd.conf"
install -D -m 644 systemd/60-affectd.rules "$root/usr/lib/udev/rules.d/60-affectd.rules"
install -D -m 644 tests/data/clip.mjpeg "$root/usr/share/affectd/clip.mjpeg"
cp -r models "$root/usr/share/affectd/models"
install -D -m 600 /dev/stdin "$root/etc/credstore/affectd.mqtt-password" <<<"secret"
install -D -m 644 /dev/stdin "$root/etc/affectd/affectd.toml" <<TOML
config_version = 1
[deployment]
site = "test"
device = "nspawn"
place = "other"
purpose = "Tests of affectd under systemd"
controller = "the developers"
[camera]
name = "door"
source = "/usr/share/affectd/clip.mjpeg"
fps = 4.0
repeat = true
[window]
length = "5s"
[mqtt]
port = $port
username = "camera"
password_file = "/run/credentials/affectd.service/affectd.mqtt-password"
[status]
health_interval = "10s"
TOML
# Shorter times than the unit's own, so that the test is over in minutes; nothing else is changed.
install -D -m 644 /dev/stdin "$root/etc/systemd/system/affectd.service.d/test.conf" <<'UNIT'
[Service]
WatchdogSec=6
RestartSec=1
UNIT
ln -s /usr/lib/systemd/system/affectd.service "$root/etc/systemd/system/multi-user.target.wants/affectd.service"
for unneeded in systemd-networkd systemd-resolved systemd-timesyncd console-getty getty@tty1; do
    ln -sf /dev/null "$root/etc/systemd/system/$unneeded.service"
done

# A broker that wants the password.
mosquitto_passwd -c -b "$work/passwords" camera secret 2>/dev/null
mosquitto_passwd -b "$work/passwords" reader reader 2>/dev/null
printf 'listener %s 127.0.0.1\nallow_anonymous false\npassword_file %s\nuser root\n' "$port" "$work/passwords" >"$work/broker.conf"
PATH=$PATH:/usr/sbin mosquitto -c "$work/broker.conf" >"$work/broker.log" 2>&1 &
broker=$!
until mosquitto_pub -p "$port" -u reader -P reader -t test/up -m up 2>/dev/null; do sleep 0.1; done
mosquitto_sub -p "$port" -u reader -P reader -v -t 'affectd/#' >"$work/messages" 2>/dev/null &
reader=$!
systemd-nspawn --quiet --rlimit=RLIMIT_MEMLOCK=infinity --register=no --keep-unit --boot --directory "$root" --console=pipe </dev/null >"$work/console" 2>&1 &
container=$!
# The container's first process is ended before nspawn, which would leave it behind.
finish() { kill -KILL "$(leader)" "$container" "$reader" "$broker" 2>/dev/null || true; }
trap finish EXIT

leader() { pgrep -P "$container" | head -1; }
inside() { nsenter --all --target "$(leader)" -- "$@"; }
property() { inside systemctl show affectd --property "$1" --value; }
# Waits up to $1 seconds for a command to succeed.
within() {
    local end=$((SECONDS + $1)); shift
    until "$@" 2>/dev/null; do ((SECONDS < end)) || return 1; sleep 0.2; done
}
is() { [[ $(property "$1") == "$2" ]]; }
# The daemon's process as this machine numbers it, not the container.
outer_pid() {
    local inner; inner=$(property MainPID)
    grep --files-with-matches --extended-regexp "^NSpid:.*[[:space:]]$inner\$" /proc/[0-9]*/status 2>/dev/null |
        cut -d/ -f3 | while read -r pid; do [[ $(cat "/proc/$pid/comm") == affectd ]] && echo "$pid"; done | head -1
}
failed=0
: >"$results"
report() { printf '%-7s %s\n' "$@" | tee -a "$results"; [[ $1 == ok ]] || failed=1; }
scenario() { local words=$1; shift; if detail=$("$@"); then report ok "$words: $detail"; else report FAILED "$words: $detail"; fi; }
# After something that kills it, the daemon is back under another number and works.
comes_back() {
    local before=$1 restarts=$2 patience=$3 began=$SECONDS
    within "$patience" eval "is ActiveState active && is SubState running && ! is MainPID $before && ! is MainPID 0" ||
        { echo "not back after $patience s: $(property ActiveState) $(property Result)"; return 1; }
    echo "back after $((SECONDS - began)) s, restart number $(property NRestarts)"
    (($(property NRestarts) > restarts))
}

ready() {
    within 60 is ActiveState active || { echo "$(property ActiveState) $(property StatusText)"; inside journalctl -u affectd --no-pager | tail -5; return 1; }
    within 20 eval '[[ $(property StatusText) == Streaming:* ]]' || { property StatusText; return 1; }
    echo "\"$(property StatusText)\""
}
password() { within 10 grep -q '/status online' "$work/messages" && echo "the broker let it in by LoadCredential"; }
# With the daemon beside it, which keeps its user and its folder.
checked() {
    local said pid; pid=$(property MainPID)
    said=$(inside affectd check --service -c /etc/affectd/affectd.toml 2>&1) || { echo "$said"; return 1; }
    said=$(sed -z 's/\n        / /g' <<<"$said")
    grep -o 'tried as the service: .*' <<<"$said"
    grep -q '^ok      broker: .* lets us in' <<<"$said" && grep -q 'user [0-9]\{5\}.* affectd.mqtt-password' <<<"$said" || { echo "$said"; return 1; }
    # Root looks into what the service cannot, and says so where the password is not in the store.
    mv "$root/etc/credstore/affectd.mqtt-password" "$root/etc/credstore/kept"
    said=$(inside affectd check --service -c /etc/affectd/affectd.toml 2>&1) && { echo "a credential that is not there is not missed"; return 1; }
    mv "$root/etc/credstore/kept" "$root/etc/credstore/affectd.mqtt-password"
    said=$(sed -z 's/\n    */ /g' <<<"$said")
    grep -q 'systemd hands the service no such credential' <<<"$said" || { echo "$said"; return 1; }
    is MainPID "$pid" || { echo "the daemon was disturbed"; return 1; }
}
confined() {
    local pid; pid=$(outer_pid)
    local uid core swap nonewprivs
    uid=$(awk '/^Uid:/ {print $2}' "/proc/$pid/status")
    core=$(awk '/^Max core file size/ {print $5}' "/proc/$pid/limits")
    swap=$(property MemorySwapMax)
    nonewprivs=$(awk '/^NoNewPrivs:/ {print $2}' "/proc/$pid/status")
    local locked; locked=$(awk '/^VmLck:/ {print $2}' "/proc/$pid/status")
    echo "uid $uid, core limit $core, MemorySwapMax $swap, locked $locked kB, NoNewPrivs $nonewprivs"
    # A container can raise no limit that the machine around it keeps; tests/arm/systemd.sh boots a machine of its own.
    (ulimit -l unlimited) 2>/dev/null || { locked=unknown; echo "(this machine lets nobody lock more than $(ulimit -Hl) kB)"; }
    [[ $locked == unknown || $locked -gt 10000 ]] && ((uid > 1000)) && [[ $core == 0 && $swap == 0 && $nonewprivs == 1 ]]
}
killed() {
    local pid restarts; pid=$(property MainPID); restarts=$(property NRestarts)
    inside kill -KILL "$pid"
    comes_back "$pid" "$restarts" 20
}
watchdogs() { inside journalctl --unit affectd --no-pager | grep --count 'Watchdog timeout' || true; }
stopped_by_signal() {
    local pid restarts before; pid=$(property MainPID); restarts=$(property NRestarts); before=$(watchdogs)
    inside kill -STOP "$pid"
    comes_back "$pid" "$restarts" 40 && (($(watchdogs) == before + 1))
}
hung() {
    local pid restarts before; pid=$(property MainPID); restarts=$(property NRestarts); before=$(watchdogs)
    sleep infinity | python3 tests/hold_thread.py "$(outer_pid)" "$1" >/dev/null &
    local holder=$!
    local result=0
    comes_back "$pid" "$restarts" 60 || result=1
    kill "$holder" 2>/dev/null || true
    (($(watchdogs) == before + 1)) || { echo "but not by the watchdog"; return 1; }
    return "$result"
}
bad_config() {
    printf '[mqqt]\nport = 1\n' | install -D -m 644 /dev/stdin "$root/etc/affectd/conf.d/bad.toml"
    local restarts; inside systemctl restart affectd 2>/dev/null || true
    within 20 is ActiveState failed || { echo "$(property ActiveState)"; return 1; }
    restarts=$(property NRestarts)
    sleep 8
    echo "exit $(property ExecMainStatus), $(property ActiveState), $(property NRestarts) restarts, \"$(property StatusText)\""
    [[ $(property NRestarts) == "$restarts" && $(property ExecMainStatus) == 78 && $(property StatusText) == *mqqt* ]] && is ActiveState failed
}
mended() {
    rm "$root/etc/affectd/conf.d/bad.toml"
    inside systemctl start affectd && echo "started again after the file was mended"
}
# A camera's command, in the unit's confinement, reaches what the presets' programs need.
presets() {
    # The Jetson's drop-in: its socket is made up, its devices are not there.
    install -m 644 systemd/jetson.conf "$root/etc/systemd/system/affectd.service.d/jetson.conf"
    inside systemctl daemon-reload
    # As the real one, it counts as started before it has its socket.
    inside systemd-run --quiet --unit nvargus-daemon perl -MSocket -e 'sleep 3; socket(S, AF_UNIX, SOCK_STREAM, 0) or die; bind(S, sockaddr_un("/tmp/argus_socket")) or die; chmod 0777, "/tmp/argus_socket"; listen(S, 5); sleep 600'
    # Netlink's number is 16; 15 are the kernel's news of devices.
    cat >"$root/usr/local/bin/camera" <<'PERL'
#!/usr/bin/perl
use Socket;
socket(N, 16, 3, 15) and print STDERR "netlink reached\n" or print STDERR "no netlink: $!\n";
socket(A, AF_UNIX, SOCK_STREAM, 0) and connect(A, sockaddr_un("/tmp/argus_socket")) and print STDERR "argus reached\n" or print STDERR "no argus: $!\n";
open(P, "<", "/proc/$$/status"); while (<P>) { print STDERR "command $_" if /^NoNewPrivs/ }
exec "cat", "/usr/share/affectd/clip.mjpeg";
PERL
    chmod 755 "$root/usr/local/bin/camera"
    install -D -m 644 /dev/stdin "$root/etc/affectd/conf.d/camera.toml" <<<$'[camera]\nsource = ""\ncommand = ["/usr/local/bin/camera"]'
    inside systemctl restart affectd
    local said; said() { inside journalctl --unit affectd --no-pager --output cat | grep -a 'camera: '; }
    within 20 eval 'said | grep -q "argus"' || true
    rm "$root/etc/affectd/conf.d/camera.toml" "$root/etc/systemd/system/affectd.service.d/jetson.conf"
    inside systemctl daemon-reload
    inside systemctl restart affectd
    echo "$(said | grep -o 'camera: .*' | sed 's/camera: //' | sort -u | paste -sd, -)"
    said | grep -q 'netlink reached' && said | grep -q 'argus reached'
}
stops() {
    # In the middle of a window, where its first frames are in: at its edge there may be nothing to close.
    local windows; windows=$(grep -c '/door/window' "$work/messages" || true)
    within 20 eval '[[ $(grep -c "/door/window" "$work/messages") -gt '"$windows"' ]]' || { echo "no window came"; return 1; }
    sleep 2
    local began; began=$(date +%s%N)
    inside systemctl stop affectd
    local took=$((($(date +%s%N) - began) / 1000000))
    sleep 0.5
    local partial; partial=$(grep '/door/window' "$work/messages" | tail -1 | grep -c '"partial":true' || true)
    echo "$took ms, result $(property Result), last message \"$(tail -1 "$work/messages" | cut -d/ -f4)\", partial window: $partial"
    [[ $took -lt 5000 && $partial == 1 && $(tail -1 "$work/messages") == *"/status stopped" ]] && is Result success
}

within 60 inside systemctl is-system-running --quiet || within 5 inside systemctl show --value --property Version >/dev/null ||
    { tail -20 "$work/console" >&2; echo "nspawn: the container does not boot" >&2; exit 1; }
scenario "starts and is READY after a first frame" ready
scenario "password as a systemd credential" password
scenario "affectd check --service" checked
scenario "confined" confined
scenario "a command reaches what presets need" presets
scenario "kill -9" killed
scenario "kill -STOP of the whole process" stopped_by_signal
for thread in capture vision:affectd group publish board; do
    scenario "thread ${thread%:*} stands still" hung "${thread#*:}"
done
scenario "stop" stops
scenario "wrong configuration" bad_config
scenario "configuration mended" mended
inside systemctl poweroff >/dev/null 2>&1 || true
within 30 eval '! kill -0 "$container"' || echo "nspawn: the container does not power off" >&2

commit=$(git describe --always --dirty --abbrev=10 --exclude='*')
cat >docs/device-tests.md <<DOC
# The unit under systemd

What \`make test-systemd\` found last: $(date --utc +%F), commit \`$commit\`, systemd $(dpkg-query --root "$root" -f '${Version}' -W systemd) in a container, on $(uname -m), with \`$binary\`.
The unit is \`systemd/affectd.service\` as it is installed, with \`WatchdogSec=6\` and \`RestartSec=1\` instead of 30 and 5. A thread stands still
because a debugger holds it (\`tests/hold_thread.py\`); the binary knows nothing of the test.

\`\`\`
$(cat "$results")
\`\`\`
DOC
exit "$failed"
