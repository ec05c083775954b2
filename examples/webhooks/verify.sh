#!/bin/sh
# Verifies a webhook of Renderyard with openssl:
#
#   WEBHOOK_SECRET=whsec_… ./verify.sh ID TIMESTAMP SIGNATURE BODY_FILE
#
# exits with 0 if the signature is right, with 1 if not. ID, TIMESTAMP and SIGNATURE are the headers webhook-id,
# webhook-timestamp and webhook-signature; BODY_FILE holds the body as it came, byte for byte. It is made for looking
# into one webhook by hand: openssl is given the key as an argument, which others on the same machine may see.
set -euf

fail() { echo "$2" >&2; exit "$1"; }
[ $# -eq 4 ] || fail 2 'usage: WEBHOOK_SECRET=whsec_… ./verify.sh ID TIMESTAMP SIGNATURE BODY_FILE'
id=$1 timestamp=$2 signature=$3 body=$4
[ -r "$body" ] || fail 2 "There is no file $body that can be read."

hex() { od -An -v -tx1 | tr -d ' \n'; }
case ${WEBHOOK_SECRET-} in whsec_*) ;; *) fail 2 'WEBHOOK_SECRET must be the secret of the webhook: whsec_ and base64.' ;; esac
key=$(printf %s "${WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A | hex)
# 24 bytes. An empty key would let anybody sign.
[ ${#key} -ge 48 ] || fail 2 'WEBHOOK_SECRET must be the secret of the webhook: whsec_ and base64.'

case $timestamp in *[!0-9]* | '' | ?????????????*) fail 1 'webhook-timestamp is no number of seconds.' ;; esac
now=$(date +%s)
# In seconds, either way. What is older may be somebody's recording. Without zeros in front, which would make it octal.
seconds=$(printf %s "$timestamp" | sed 's/^0*//')
age=$((now - ${seconds:-0}))
[ "${age#-}" -le 300 ] || fail 1 'webhook-timestamp is more than five minutes away from our clock.'

mac() { openssl dgst -sha256 -mac HMAC -macopt "hexkey:$1" -binary; }
expected=$({ printf '%s.%s.' "$id" "$timestamp"; cat "$body"; } | mac "$key" | openssl base64 -A)

# Two texts are compared by what a random key makes of them, so that the time it takes tells nothing of either.
blind=$(openssl rand -hex 32)
blinded() { printf %s "$1" | mac "$blind" | hex; }
# Several signatures stand there while a secret is replaced by another: one of them is ours.
for each in $signature; do
  case $each in v1,*) ;; *) continue ;; esac
  [ "$(blinded "${each#v1,}")" != "$(blinded "$expected")" ] || exit 0
done
fail 1 'No signature is right: the body, a header or the secret is another.'
