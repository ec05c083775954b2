import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newWebhookSecret } from '@renderyard/shared/webhook/sealed-secret';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyWebhook } from '../../examples/webhooks/verify.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { EXAMPLES, missing, PUBLISHED, rightOnes, run, type Sent, wrongOnes } from './running.ts';

const SECRET = newWebhookSecret();
let folder = '';
beforeAll(async () => {
  folder = await makeTemporaryFolder('verify');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** `python3 -c`: the function of the receiver, without the server. */
const PYTHON = `
import os, sys
sys.path.insert(0, ${JSON.stringify(EXAMPLES)})
sys.dont_write_bytecode = True
import receiver
names = ("webhook-id", "webhook-timestamp", "webhook-signature")
now = float(os.environ["NOW"]) if "NOW" in os.environ else None
try:
    receiver.verify(dict(zip(names, sys.argv[1:4])), open(sys.argv[4], "rb").read(), os.environ.get("WEBHOOK_SECRET", ""), now)
except ValueError as error:
    sys.exit(str(error))
`;

async function verifyFile(
  command: readonly string[],
  { headers, body }: Sent,
  env: Readonly<Record<string, string | undefined>>,
) {
  const file = join(folder, 'body.json');
  await writeFile(file, body);
  const given = [headers['webhook-id'], headers['webhook-timestamp'], headers['webhook-signature'], file];
  return run([...command, ...given], env);
}

// Of the receivers all cases are tried over HTTP: see receivers.test.ts.
const WAYS = [
  { name: 'verify-file.ts', needs: [], command: [process.execPath, join(EXAMPLES, 'verify-file.ts')] },
  { name: 'verify.sh', needs: ['openssl'], command: [join(EXAMPLES, 'verify.sh')] },
] as const;

describe.each(WAYS)('$name', ({ needs, command }) => {
  const absent = missing(...needs);
  const verify = (sent: Sent, secret: string | undefined) => verifyFile(command, sent, { WEBHOOK_SECRET: secret });

  test.for(Object.keys(rightOnes(SECRET)))('takes what is %s', async (what, { skip }) => {
    if (absent !== undefined) skip(absent);
    // Made now: it is a matter of seconds.
    expect(await verify(rightOnes(SECRET)[what] as Sent, SECRET)).toEqual({ code: 0, output: '' });
  });

  test.for(Object.keys(wrongOnes(SECRET)))('refuses what is %s', async (what, { skip }) => {
    if (absent !== undefined) skip(absent);
    const { code, output } = await verify(wrongOnes(SECRET)[what] as Sent, SECRET);
    expect(code).toBe(1);
    expect(output).toMatch(/webhook-timestamp is|No signature is right/);
  });

  test('refuses the published example for its age alone', async ({ skip }) => {
    if (absent !== undefined) skip(absent);
    const { code, output } = await verify(PUBLISHED, PUBLISHED.secret);
    expect([code, output]).toEqual([1, expect.stringContaining('more than five minutes away')]);
  });

  test('verifies nothing without a secret, or with one that holds no key', async ({ skip }) => {
    if (absent !== undefined) skip(absent);
    const [sent] = Object.values(rightOnes(SECRET));
    for (const secret of [undefined, '', 'whsec_', 'whsec_AAAA', 'whsec_!!!!', SECRET.slice('whsec_'.length)]) {
      const { code, output } = await verify(sent as Sent, secret);
      expect([secret, code]).toEqual([secret, expect.toSatisfy((each) => each === 1 || each === 2)]);
      expect(output).toContain('WEBHOOK_SECRET must be the secret of the webhook');
    }
  });
});

describe('the example that Standard Webhooks publishes', () => {
  const tampered = { ...PUBLISHED, body: PUBLISHED.body.replace('4', '5') };

  test('is right by verify.ts at its time', () => {
    const [id, timestamp, signature] = Object.values(PUBLISHED.headers) as [string, string, string];
    const check = (body: string) =>
      verifyWebhook({ id, timestamp, signature, body: Buffer.from(body) }, PUBLISHED.secret, PUBLISHED.at + 1);
    expect(() => check(PUBLISHED.body)).not.toThrow();
    expect(() => check(tampered.body)).toThrow('No signature is right');
  });

  test('is right by receiver.py at its time', async ({ skip }) => {
    const absent = missing('python3');
    if (absent !== undefined) skip(absent);
    const env = { WEBHOOK_SECRET: PUBLISHED.secret, NOW: String(PUBLISHED.at + 1) };
    expect(await verifyFile(['python3', '-c', PYTHON], PUBLISHED, env)).toMatchObject({ code: 0 });
    expect(await verifyFile(['python3', '-c', PYTHON], tampered, env)).toMatchObject({ code: 1 });
  });

  test('is right by verify.sh at its time', async ({ skip }) => {
    const absent = missing('openssl');
    if (absent !== undefined) skip(absent);
    const date = join(folder, 'date');
    await writeFile(date, `#!/bin/sh\necho ${PUBLISHED.at + 1}\n`);
    await chmod(date, 0o755);
    const env = { WEBHOOK_SECRET: PUBLISHED.secret, PATH: `${folder}:${process.env.PATH}` };
    expect(await verifyFile([join(EXAMPLES, 'verify.sh')], PUBLISHED, env)).toMatchObject({ code: 0 });
    expect(await verifyFile([join(EXAMPLES, 'verify.sh')], tampered, env)).toMatchObject({ code: 1 });
  });
});
