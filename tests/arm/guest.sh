#!/usr/bin/env bash
# Makes the ARM guest of the scenarios: Debian 12's arm64 kernel, an initial RAM disk with Python, v4l-utils and a
# broker, the test driver `vivid`, and two modules built for that kernel: `v4l2loopback`, and `gpiosim`, which Debian
# leaves out. All of it lies in target/arm; made once.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly MODULES=(virtio_pci virtio_net virtio_rng virtio_blk ext4 crc32c_generic 9pnet_virtio 9p vivid v4l2loopback gpiosim)
say() { echo "guest: $*"; }

tests/setup-packages.sh arm
root=$PWD/target/arm/root-arm64 kernel=$PWD/target/arm/kernel
cross/debian.sh arm64 "$root" libc6 libgcc-s1 libstdc++6 python3 v4l-utils busybox-static kmod mosquitto mosquitto-clients
# Builds the module $1 of the sources in $2.
build_module() {
    say "building $1 for Linux $version"
    make -s -C "$kernel/usr/src/linux-headers-$version" M="$2" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- CC=aarch64-linux-gnu-gcc \
        modules >"$2/log" 2>&1 || { cat "$2/log" >&2; exit 1; }
    install -D -m 644 "$2/$1.ko" "$kernel/lib/modules/$version/extra/$1.ko"
}
if [[ ! -f target/arm/vmlinuz ]]; then
    image=$(APT_CONFIG=$PWD/target/arm/apt/arm64/apt.conf apt-cache depends linux-image-arm64 | awk '/Depends: linux-image-/ { print $2; exit }')
    version=${image#linux-image-}
    cross/debian.sh --alone arm64 "$kernel" "$image" "linux-headers-$version" "linux-headers-${version%-arm64}-common" v4l2loopback-dkms
    # The tools with which modules are built, for this machine.
    cross/debian.sh --alone amd64 "$kernel" "linux-kbuild-$(echo "$version" | cut -d . -f 1-2)"
    sed -i "s|^include /usr/src|include $kernel/usr/src|" "$kernel/usr/src/linux-headers-$version/Makefile"
    build_module v4l2loopback "$(echo "$kernel"/usr/src/v4l2loopback-*)"
    # A bank of pins that is read and set from outside. Its interrupts are simulated by the kernel's own irq_sim.
    cross/debian.sh --alone amd64 "$kernel" "linux-source-$(echo "$version" | cut -d . -f 1-2)"
    (cd "$kernel/usr/src" && tar -xJf linux-source-*.tar.xz --strip-components 1 --one-top-level=gpiosim \
        --wildcards '*/drivers/gpio/gpio-sim.c' '*/drivers/gpio/gpiolib.h' '*/kernel/irq/irq_sim.c')
    # irq_to_desc() is not for modules; this one is the same.
    sed -i 's/irq_to_desc(irqnum)/irq_data_to_desc(irq_get_irq_data(irqnum))/' "$kernel/usr/src/gpiosim/kernel/irq/irq_sim.c"
    cat >"$kernel/usr/src/gpiosim/Makefile" <<'MAKE'
obj-m := gpiosim.o
gpiosim-y := drivers/gpio/gpio-sim.o kernel/irq/irq_sim.o
MAKE
    build_module gpiosim "$kernel/usr/src/gpiosim"
    PATH=$PATH:/usr/sbin depmod -b "$kernel" "$version"
    cp "$kernel/boot/vmlinuz-$version" target/arm/vmlinuz
fi
if [[ ! -f target/arm/initrd.gz || tests/arm/init -nt target/arm/initrd.gz || tests/arm/guest.sh -nt target/arm/initrd.gz ]]; then
    say "packing the initial RAM disk"
    version=$(ls "$kernel/lib/modules")
    disk=target/arm/initrd
    rm -rf "$disk" && cp -a "$root" "$disk"
    # Only the modules that are used, with what they need themselves.
    for module in "${MODULES[@]}"; do
        PATH=$PATH:/usr/sbin modprobe -d "$kernel" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
    done | sort -u | while read -r file; do
        install -D -m 644 "$file" "$disk/lib/modules/$version/${file#*"/lib/modules/$version/"}"
    done
    cp "$kernel/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$disk/lib/modules/$version/"
    PATH=$PATH:/usr/sbin depmod -b "$disk" "$version"
    find "$disk" -name '*.ko' -exec aarch64-linux-gnu-strip --strip-debug {} +
    rm -rf "$disk"/usr/share/{zoneinfo,i18n,bash-completion,python3/debpython} "$disk"/usr/lib/*/{gconv,perl-base} "$disk/.unpacked"
    install -m 755 tests/arm/init "$disk/init"
    (cd "$disk" && find . | cpio --quiet -o -H newc | gzip -1) >target/arm/initrd.new
    mv target/arm/initrd.new target/arm/initrd.gz
    rm -r "$disk"
fi
# The clip's first scene as a camera gives it that knows no JPEG: raw frames, called CODE-WIDTHxHEIGHT (scenario `raw_formats`).
raw=target/arm/raw
if [[ ! -d $raw || tests/data/clip.mjpeg -nt $raw || tests/arm/guest.sh -nt $raw ]]; then
    rm -rf "$raw" "$raw.new" && mkdir "$raw.new"
    while read -r code size pixels; do
        ffmpeg -nostdin -loglevel error -i tests/data/clip.mjpeg -frames:v 8 -vf "scale=${size/x/:}" -pix_fmt "$pixels" -f rawvideo "$raw.new/$code-$size"
    done <<<$'YUYV 638x478 yuyv422\nNV12 638x478 nv12\nGREY 639x479 gray\nRGB3 639x479 rgb24'
    mv "$raw.new" "$raw"
fi
say "$(stat -c '%n, %s bytes' target/arm/vmlinuz target/arm/initrd.gz | paste -sd ';')"
