#!/bin/bash
# In the guest with systemd: puts affectd.service through what happens on a wall. One line a check on the serial line;
# `CUT` there asks for the power to be cut (tests/arm/systemd.sh). Which boot this is stands on the kernel's command line.
exec >/dev/ttyAMA0 2>&1 </dev/null
boot=$(sed 's/.*BOOT=\([a-z]*\).*/\1/' /proc/cmdline)
messages=/run/messages
state=/var/lib/private/affectd
echo "guest: boot $boot, $(uname -rm), $(systemctl --version | head -1), up $(cut -d ' ' -f 1 /proc/uptime) s"
mosquitto_sub -h 10.0.2.2 -p "$(sed 's/.*PORT=\([0-9]*\).*/\1/' /proc/cmdline)" -u reader -P reader -v -t 'affectd/#' >>$messages & # appended, since it is emptied in between

property() { systemctl show affectd --property "$1" --value; }
is() { [[ $(property "$1") == "$2" ]]; }
says() { [[ $(property StatusText) == $1 ]]; }
# Waits up to $1 seconds of the guest's clock for a command to succeed.
within() {
    local end=$((SECONDS + $1)); shift
    until "$@"; do ((SECONDS < end)) || return 1; sleep 1; done
}
check() {
    local words=$1 word=PASS detail; shift
    detail=$("$@" 2>&1) || word=FAIL
    echo "$word  $words: ${detail//$'\n'/; }"
}
# The simulated bank of pins (pins.sh): lamp on 3, button on 4.
pin() { echo /sys/devices/platform/"$(cat /sys/kernel/config/gpio-sim/board/dev_name)"/gpiochip*/sim_gpio"$1"/"$2"; }
press() { echo pull-down >"$(pin 4 pull)"; sleep 0.3; echo pull-up >"$(pin 4 pull)"; }
exec 9<> <(:) # nothing ever comes from here, so that to read from it with -t is to sleep, without a process for each look
lit() {
    local file level looks on=0; file=$(pin 3 value)
    for looks in {1..200}; do
        read -r level <"$file"
        on=$((on + level))
        read -rt 0.03 -u 9
    done
    echo $((on * 100 / looks))
}
journal() { journalctl --unit affectd --boot --no-pager --output cat; }

ready() {
    within 90 is ActiveState active || { echo "$(property ActiveState) \"$(property StatusText)\""; journal | tail -4; return 1; }
    within 60 says "$1" || { property StatusText; return 1; }
    echo "$(systemctl is-active affectd), \"$(property StatusText)\", up $(cut -d ' ' -f 1 /proc/uptime) s"
}
windows() {
    within 60 grep -q '/door/window' $messages || { echo "none came"; journal | tail -4; return 1; }
    grep '/door/window' $messages | tail -1 | cut -c -190
}
confined() {
    local pid uid; pid=$(property MainPID)
    uid=$(sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' "/proc/$pid/status")
    echo "uid $uid, $(grep NoNewPrivs "/proc/$pid/status" | tr -s '\t' ' '), $(grep Seccomp: "/proc/$pid/status" | tr -s '\t' ' '), core limit $(grep '^Max core' "/proc/$pid/limits" | tr -s ' ' | cut -d ' ' -f 5), locked $(sed -n 's/^VmLck:[^0-9]*//p' "/proc/$pid/status")"
    ((uid > 1000 && $(sed -n 's/^VmLck:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status") > 10000)) && grep -q 'NoNewPrivs:.1' "/proc/$pid/status" && grep -q 'Seccomp:.2' "/proc/$pid/status" && grep -q '^Max core file size *0 ' "/proc/$pid/limits"
}
lamp() {
    local chip; chip=/dev/$(cat /sys/kernel/config/gpio-sim/board/bank0/chip_name)
    local share; share=$(lit)
    echo "$chip is $(stat -c '%A %U:%G' "$chip"); the lamp is on $share% of the time"
    ((share >= $1 && share <= $2))
}
# After something that kills it, the daemon is back under another number and works.
back_from() {
    local before restarts begin=$SECONDS; before=$(property MainPID) restarts=$(property NRestarts)
    "$@" "$before"
    changed() { is ActiveState active && is SubState running && ! is MainPID "$before" && ! is MainPID 0; }
    within 90 changed || { echo "not back after 90 s: $(property ActiveState) $(property Result)"; return 1; }
    echo "back after $((SECONDS - begin)) s, restart number $(property NRestarts)"
    (($(property NRestarts) == restarts + 1))
}
watchdogs() { journal | grep 'Watchdog timeout'; }
# The same, and it was systemd's watchdog that ended it.
ended_by_watchdog() {
    local before; before=$(watchdogs | wc -l)
    back_from "$@" || { cat /run/holder 2>/dev/null; return 1; }
    watchdogs | tail -1
    (($(watchdogs | wc -l) == before + 1)) || { echo "but not by the watchdog"; return 1; }
}
# A debugger holds the thread $1 of process $2, so that it stands still; the program knows nothing of it.
hold() { python3 /usr/local/lib/hold_thread.py "$2" "$1" <&9 >/dev/null 2>/run/holder & }
pause() {
    press
    within 20 says 'Paused*' || { property StatusText; return 1; }
    systemctl restart affectd
    within 60 says 'Paused*' || { echo "after a restart: $(property StatusText)"; return 1; }
    [[ -e $state/paused ]] || { echo "there is no $state/paused"; return 1; }
    echo "after a restart \"$(property StatusText)\", $(stat -c '%A %n' $state/paused)"
}
resume() {
    press
    within 60 says 'Streaming:*' || { property StatusText; return 1; }
    [[ ! -e $state/paused ]] && echo "\"$(property StatusText)\", the file is gone"
}
stops() {
    : >$messages
    within 60 grep -q '/door/window' $messages || { echo "no window came"; return 1; }
    sleep 2
    local begin took; begin=$(date +%s%N)
    systemctl stop affectd
    took=$((($(date +%s%N) - begin) / 1000000))
    within 5 grep -q '/status stopped' $messages
    local partial; partial=$(grep '/door/window' $messages | tail -1 | grep -c '"partial":true')
    echo "$took ms, result $(property Result), last message \"$(tail -1 $messages | cut -d / -f 4-)\", partial windows: $partial"
    ((took < 5000 && partial == 1)) && is Result success && tail -1 $messages | grep -q '/status stopped'
}
wrong_configuration() {
    printf '[mqqt]\nport = 1\n' >/etc/affectd/conf.d/bad.toml
    local restarts; restarts=$(property NRestarts)
    systemctl restart affectd 2>/dev/null
    within 30 is ActiveState failed || { property ActiveState; return 1; }
    sleep 8
    echo "$(property ActiveState), exit $(property ExecMainStatus), $(property NRestarts) restarts, \"$(property StatusText)\""
    is ActiveState failed && is ExecMainStatus 78 && ((0$(property NRestarts) <= restarts)) && says '*mqqt*'
}
mended() { rm /etc/affectd/conf.d/bad.toml; systemctl start affectd && ready 'Streaming:*'; }
security() {
    local level; level=$(systemd-analyze security --no-pager affectd.service | tail -1 | sed 's/.*: \([0-9.]*\) .*/\1/')
    echo "systemd-analyze security: $level"
    ((${level/./} <= 20))
}

case $boot in
    first)
        check "READY after a first frame" ready 'Streaming:*'
        check "a window at the broker, let in by its credential" windows
        check "confined" confined
        check "lamp, by group gpio" lamp 99 100
        check "kill -9" back_from kill -KILL
        check "kill -STOP, ended by the watchdog" ended_by_watchdog kill -STOP
        for thread in capture vision:affectd group publish board; do
            check "thread ${thread%:*} stands still, ended by the watchdog" ended_by_watchdog hold "${thread#*:}"
        done
        check "stop" stops
        check "wrong configuration" wrong_configuration
        check "configuration mended" mended
        check "button: a pause outlives a restart" pause
        check "button: goes on" resume
        check "security" security
        echo CUT
        ;;
    second)
        check "power cut while streaming: READY again" ready 'Streaming:*'
        check "a window at the broker" windows
        press
        within 20 says 'Paused*'
        echo CUT
        ;;
    third)
        check "power cut right after the button: READY again, paused" ready 'Paused*'
        check "the lamp shows the pause" lamp 1 8
        check "button: goes on" resume
        check "a window at the broker" windows
        echo END
        systemctl poweroff
        ;;
esac
