#!/usr/bin/env bash
# The main job on real input: runs programs under `vmaple run --check every` and wants their own
# exit status, no difference and no re-seed. --short takes the programs that need a few seconds;
# without it come larger programs, servers under load, a browser, and random memory calls over many
# seeds (NR_SEEDS, default 25, for each of the profiles).
set -uo pipefail
cd "$(dirname "$0")/.." || exit
source ci/lib.sh

short=false
is_short "$@" && short=true
cargo build --release -p vmaple-cli || exit
vmaple="$(target_dir)/release/vmaple"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kept="$(target_dir)/real-programs"
mkdir -p "$kept"
nr_run=0
failed=()

# field NAME: the number with that name in the result's outermost object.
field() {
  sed -n "s/^  \"$1\": \\([0-9]*\\),*\$/\\1/p" "$work/result.json"
}

# expect STATUS PROGRAM…: one program; its output goes nowhere, that of vmaple only if it fails.
expect() {
  local wanted=$1 status=0 verdict=ok
  shift
  have "$1" || { skip "$1 is not installed"; return; }
  rm -f "$work/result.json"
  timeout "${PATIENCE:-300}" "$vmaple" run --check every --json "$work/result.json" -- "$@" \
    >/dev/null 2>"$work/messages" </dev/null || status=$?
  nr_run=$((nr_run + 1))
  if [ "$status" != "$wanted" ] || [ "$(field differences)" != 0 ] || [ "$(field reseeds)" != 0 ]; then
    verdict=FAILED
    failed+=("$*")
  fi
  printf '%-6s status %3d, %6s calls, %s differences, %s re-seeds: %.90s\n' "$verdict" "$status" \
    "$(field calls)" "$(field differences)" "$(field reseeds)" "${*//$'\n'/ }"
  if [ $verdict = FAILED ]; then
    cp "$work/messages" "$kept/$nr_run"
    printf '  all messages: %s\n' "$kept/$nr_run"
    tail -n 25 "$work/messages"
  fi
}

everyday_programs() {
  expect 0 ls -lR /usr/share/doc
  expect 0 bash -c 'for i in 1 2 3; do (echo $i | tr 1-3 a-c) | cat; done; wait'
  expect 0 python3 -c '
import json, threading
def work():
    for i in range(20):
        blocks = [bytearray(300_000) for _ in range(8)]
        json.dumps(list(range(2000)))
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]'
  expect 0 perl -e 'my @a = map { $_ x 1000 } 1..2000; fork or exit 0; wait'
}

larger_programs() {
  expect 0 node -e '
const { Worker } = require("worker_threads");
const work = "const a = []; for (let i = 0; i < 2e4; i++) a.push({ i, s: `x${i}` });";
for (let i = 0; i < 3; i++) new Worker(work, { eval: true });'
  expect 0 cargo --version
  expect 0 git log --oneline -n 50
  printf '#include <stdio.h>\nint main(void) { return puts("hi") < 0; }\n' >"$work/hello.c"
  expect 0 cc -O2 -o "$work/hello" "$work/hello.c"
}

# Programs under load, minutes each on a busy machine. What is not installed is passed over.
heavy_programs() {
  local PATIENCE=1200
  mkdir -p "$work/crate/src"
  printf '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n' \
    >"$work/crate/Cargo.toml"
  printf '%s\n' 'use std::collections::BTreeMap;' 'fn main() {' \
    '    let names: BTreeMap<u64, String> = (0..1000).map(|n| (n, format!("x{n}"))).collect();' \
    '    println!("{}", names.values().map(String::len).sum::<usize>());' '}' \
    >"$work/crate/src/main.rs"
  expect 0 env CARGO_TARGET_DIR="$work/crate/target" \
    cargo build --release --offline --manifest-path "$work/crate/Cargo.toml"
  java_programs
  redis_server
  postgres_server
  printf '<html><script>const a = []; for (let i = 0; i < 1e5; i++) a.push({ i });%s' \
    'document.title = a.length;</script></html>' >"$work/page.html"
  expect 0 chromium-headless-shell --no-sandbox --disable-gpu --dump-dom "file://$work/page.html"
}

java_programs() {
  cat >"$work/Busy.java" <<'EOF_JAVA'
import java.util.*;

public class Busy {
    public static void main(String[] args) throws Exception {
        List<byte[]> blocks = new ArrayList<>();
        for (int i = 0; i < 2000; i++) blocks.add(new byte[100_000]);
        Thread[] threads = new Thread[4];
        for (int k = 0; k < threads.length; k++) {
            threads[k] = new Thread(() -> {
                Map<Integer, String> names = new HashMap<>();
                for (int i = 0; i < 50_000; i++) names.put(i, "x" + i);
            });
            threads[k].start();
        }
        for (Thread thread : threads) thread.join();
        System.gc();
    }
}
EOF_JAVA
  expect 0 javac -d "$work" "$work/Busy.java"
  expect 0 java -cp "$work" Busy
}

# A server under load, with a background save and a rewrite of its log, which fork.
redis_server() {
  have redis-benchmark || { skip "redis-server is not installed"; return; }
  mkdir -p "$work/redis"
  expect 0 env at="$work/redis" bash -c '
    redis-server --port 0 --unixsocket "$at/socket" --dir "$at" --save 60 1 --appendonly yes &
    server=$!
    ask() { redis-cli -s "$at/socket" "$@"; }
    for _ in $(seq 300); do ask ping && break; sleep 0.1; done
    redis-benchmark -s "$at/socket" -n 20000 -c 20 -d 1000 -r 5000 \
      -t set,get,lpush,sadd,zadd,hset -q || exit
    ask bgsave; sleep 1; ask bgrewriteaof; sleep 2
    ask flushall; ask memory purge
    ask shutdown nosave; wait $server'
}

# Clients beside each other, a parallel query, an index, a rewritten table. It will not run as root.
postgres_server() {
  local bin as=()
  bin=$(find /usr/lib/postgresql/*/bin -maxdepth 0 2>/dev/null | tail -n 1)
  [ -n "$bin" ] || { skip "postgres is not installed"; return; }
  mkdir -p "$work/postgres"
  if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    chown postgres "$work/postgres"
    chmod 711 "$work"
  fi
  expect 0 env at="$work/postgres" PATH="$bin:$PATH" ${as[@]+"${as[@]}"} bash -c '
    cd "$at" && initdb -D data -A trust || exit
    pg_ctl -D data -w -t 300 -l log \
      -o "-c listen_addresses= -c unix_socket_directories=$at -c max_connections=20" start || exit
    pgbench -h "$at" -i -s 1 postgres && pgbench -h "$at" -c 4 -j 2 -t 50 postgres || exit
    psql -h "$at" -d postgres -v ON_ERROR_STOP=1 -c "set parallel_setup_cost = 0" \
      -c "set parallel_tuple_cost = 0" -c "set min_parallel_table_scan_size = 0" \
      -c "select count(*), sum(abalance) from pgbench_accounts" \
      -c "create index on pgbench_accounts (abalance)" \
      -c "vacuum full analyze pgbench_accounts" || exit
    pg_ctl -D data -m fast -w -t 300 stop'
}

# Programs of our own; see the headers of their sources.
own_programs() {
  local source name profile seed
  have cc || { skip "own programs: there is no C compiler"; return; }
  for source in crates/cli/tests/programs/*.c; do
    name=$(basename "$source" .c)
    cc -O1 -pthread -o "$work/$name" "$source" || { failed+=("cc $source"); continue; }
  done
  expect 0 "$work/kitchen_sink"
  expect 0 "$work/pages"
  expect 0 "$work/threads"
  expect 0 "$work/forks"
  expect 0 "$work/rename_unlink"
  for name in alarm altstack stop-child restart; do expect 0 "$work/signals" $name; done
  expect 139 "$work/signals" die SEGV
  expect 137 "$work/signals" die KILL
  expect 42 "$work/signals" exit 42
  for profile in merge mremap mlock brk fork files stack mixed; do
    for seed in $(seq "$($short && echo 1 || echo "${NR_SEEDS:-25}")"); do
      expect 0 "$work/random_ops" "$seed" 1500 $profile
    done
  done
}

everyday_programs
$short || { larger_programs; heavy_programs; }
own_programs
if [ ${#failed[@]} -gt 0 ]; then
  printf 'real programs: %d of %d failed:\n' ${#failed[@]} "$nr_run"
  printf '  %.120s\n' "${failed[@]//$'\n'/ }"
  exit 1
fi
printf 'real programs: %d ran, each equal to the kernel call by call\n' "$nr_run"
