run *ARGS:
    cargo run --release -- {{ARGS}}
test *SUITES:
    tests/run {{SUITES}}
check:
    cargo run -- check
