#!/usr/bin/env bash
# The pictures of the README, made anew: docs/run.png from a run of a Python program, docs/stress.png
# from a stress load with no options. Needs python3 and a headless Chromium. Look at them before you
# commit them.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/lib.sh

need_package chromium-headless-shell chromium-headless-shell
browser=
for name in chromium-headless-shell chromium; do
  if have "$name"; then
    browser=$name
    break
  fi
done
if [ -z "$browser" ]; then
  printf 'no headless browser\n' >&2
  exit 1
fi

pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT

# picture PAGE WIDTH HEIGHT FILE: what a window of that size shows of the page.
picture() {
  "$browser" --headless --no-sandbox --hide-scrollbars --window-size="$2,$3" \
    --virtual-time-budget=2000 --screenshot="$4" "file://$1" 2>/dev/null
}

cargo build --release
vmaple="$(target_dir)/release/vmaple"

program='import json,ssl,random,subprocess
x=[bytearray(random.randrange(1000,900000)) for _ in range(400)]
subprocess.run(["ls","/"])'
"$vmaple" run --quiet --html "$pages/run.html" -- python3 -c "$program" >/dev/null
# A pointer that rests on the heap, as a reader's would.
cat >>"$pages/run.html" <<'HOVER'
<script>
addEventListener("load", () => setTimeout(() => {
  const at = { clientX: 450, clientY: 712, bubbles: true };
  const map = document.elementFromPoint(at.clientX, at.clientY);
  map.dispatchEvent(new PointerEvent("pointermove", at));
}, 300));
</script>
HOVER
picture "$pages/run.html" 1250 900 docs/run.png

"$vmaple" stress --html "$pages/stress.html"
picture "$pages/stress.html" 1080 640 docs/stress.png
