// Verifies a webhook that lies in a file. Node 22.18 or newer runs this file as it is.
//
//   WEBHOOK_SECRET=whsec_… node verify-file.ts ID TIMESTAMP SIGNATURE BODY_FILE
//
// exits with 0 if the signature is right, with 1 if not. ID, TIMESTAMP and SIGNATURE are the headers webhook-id,
// webhook-timestamp and webhook-signature; BODY_FILE holds the body as it came, byte for byte.

import { readFileSync } from 'node:fs';
import { argv, env, exit, stderr } from 'node:process';
import { verifyWebhook } from './verify.ts';

const [id, timestamp, signature, file] = argv.slice(2);
if (id === undefined || timestamp === undefined || signature === undefined || file === undefined) {
  stderr.write('usage: WEBHOOK_SECRET=whsec_… node verify-file.ts ID TIMESTAMP SIGNATURE BODY_FILE\n');
  exit(2);
}
try {
  verifyWebhook({ id, timestamp, signature, body: readFileSync(file) }, env.WEBHOOK_SECRET ?? '');
} catch (error) {
  stderr.write(`${String(error)}\n`);
  exit(1);
}
