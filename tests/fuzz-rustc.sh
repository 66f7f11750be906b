#!/usr/bin/env bash
# What compiles this workspace's crates for the fuzzer: the compiler, with coverage for all but build scripts.
case " $* " in
    *" build_script_build "*) exec "$@" ;;
    *) exec "$@" $AFFECTD_COVERAGE ;;
esac
