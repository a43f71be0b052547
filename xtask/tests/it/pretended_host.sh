#!/bin/sh
# What a trading host would print, chosen by the market, which stands last.
for market in "$@"; do :; done
case $market in
  ok) echo "{\"asked\": \"$*\", \"invariants\": [{\"ok\": false}], \"ok\": true}" ;;
  broken) echo '{"invariants": [{"ok": true}], "ok": false}' ;;
  failing) echo '{"ok": true}'; exit 1 ;;
  moody) echo "{\"process\": $$, \"ok\": true}" ;;
  slow) printf '{\n  "elapsed_ms": %s,\n  "ok": true\n}\n' $$ ;;
  silent) ;;
esac
