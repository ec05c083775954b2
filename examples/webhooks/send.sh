#!/bin/sh
# Signs a body as Renderyard does, with openssl, and sends it to a receiver, with curl: to try one without Renderyard.
#
#   WEBHOOK_SECRET=whsec_… ./send.sh URL BODY_FILE [ID]
#
# prints the status of the answer, and exits with 0 if it was 2xx. ID is the id of the event, evt_… and a random number
# where it is left out. Others on the same machine may see the key while openssl runs.
set -euf

fail() { echo "$2" >&2; exit "$1"; }
[ $# -eq 2 ] || [ $# -eq 3 ] || fail 2 'usage: WEBHOOK_SECRET=whsec_… ./send.sh URL BODY_FILE [ID]'
url=$1 body=$2 id=${3-evt_$(openssl rand -hex 13)}
[ -r "$body" ] || fail 2 "There is no file $body that can be read."

case ${WEBHOOK_SECRET-} in whsec_*) ;; *) fail 2 'WEBHOOK_SECRET must be the secret of the webhook: whsec_ and base64.' ;; esac
key=$(printf %s "${WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
[ ${#key} -ge 48 ] || fail 2 'WEBHOOK_SECRET must be the secret of the webhook: whsec_ and base64.'

timestamp=$(date +%s)
signature=$({ printf '%s.%s.' "$id" "$timestamp"; cat "$body"; } |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)

status=$(curl -s -o /dev/null -w '%{http_code}' --max-time 15 "$url" \
  -H 'content-type: application/json' \
  -H "webhook-id: $id" -H "webhook-timestamp: $timestamp" -H "webhook-signature: v1,$signature" \
  --data-binary "@$body") || true
echo "$status"
case $status in 2??) ;; *) exit 1 ;; esac
