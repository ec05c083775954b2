import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newWebhookSecret } from '@renderyard/shared/webhook/sealed-secret';
import { describe, expect, test } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import {
  EXAMPLES,
  missing,
  PUBLISHED,
  rightOnes,
  run,
  type Sent,
  signed,
  startReceiver,
  wrongOnes,
} from './running.ts';

const SECRET = newWebhookSecret();
const SEND = join(EXAMPLES, 'send.sh');

async function post(url: string, { headers, body }: Sent): Promise<number> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body,
  });
  await response.arrayBuffer();
  return response.status;
}

describe.each([
  { name: 'receiver.ts', needs: [], command: [process.execPath, join(EXAMPLES, 'receiver.ts')] },
  { name: 'receiver.py', needs: ['python3'], command: ['python3', join(EXAMPLES, 'receiver.py')] },
] as const)('$name', ({ needs, command }) => {
  const absent = missing(...needs);

  test('answers 204 to what is signed and 401 to all else', async ({ skip }) => {
    if (absent !== undefined) skip(absent);
    await using receiver = await startReceiver(command, SECRET);
    const right = rightOnes(SECRET);
    for (const [what, sent] of Object.entries(right))
      expect([what, await post(receiver.url, sent)]).toEqual([what, 204]);
    const wrong = { ...wrongOnes(SECRET), 'the published example, of long ago': PUBLISHED };
    for (const [what, sent] of Object.entries(wrong))
      expect([what, await post(receiver.url, sent)]).toEqual([what, 401]);
    // One of them has the id of another.
    const ids = new Set(Object.values(right).map(({ headers }) => headers['webhook-id']));
    await receiver.untilHandled(ids.size);
    expect(receiver.handled).toEqual([...ids].map((id) => `${id} webhook.test`));
  });

  test('takes an event that comes twice, and handles it once', async ({ skip }) => {
    if (absent !== undefined) skip(absent);
    await using receiver = await startReceiver(command, SECRET);
    const id = 'evt_twice';
    for (const ageS of [10, 0]) expect(await post(receiver.url, signed({ secrets: [SECRET], id, ageS }))).toBe(204);
    expect(await post(receiver.url, signed({ secrets: [SECRET], id: 'evt_last' }))).toBe(204);
    await receiver.untilHandled(2);
    expect(receiver.handled).toEqual(['evt_twice webhook.test', 'evt_last webhook.test']);
  });

  test('refuses a body that is larger than any of ours, and goes on', async ({ skip }) => {
    if (absent !== undefined) skip(absent);
    await using receiver = await startReceiver(command, SECRET);
    const body = JSON.stringify({ type: 'webhook.test', data: 'a'.repeat(70_000) });
    expect(await post(receiver.url, signed({ secrets: [SECRET], body }))).toBe(413);
    expect(await post(receiver.url, signed({ secrets: [SECRET] }))).toBe(204);
  });

  test('does not start without a secret', async ({ skip }) => {
    if (absent !== undefined) skip(absent);
    for (const secret of ['', 'whsec_AAAA']) {
      const { code, output } = await run(command, { WEBHOOK_SECRET: secret, PORT: '0' });
      expect(code).not.toBe(0);
      expect(output).toContain('WEBHOOK_SECRET must be the secret of the webhook');
    }
  });

  test('takes what send.sh signs and sends, and nothing that it signs with another secret', async ({ skip }) => {
    const none = missing(...needs, 'openssl', 'curl');
    if (none !== undefined) skip(none);
    const folder = await makeTemporaryFolder('send');
    try {
      const file = join(folder, 'body.json');
      await writeFile(file, '{"type":"webhook.test"}\n');
      await using receiver = await startReceiver(command, SECRET);
      const send = (secret: string) => run([SEND, receiver.url, file, 'evt_hand'], { WEBHOOK_SECRET: secret });
      expect(await send(newWebhookSecret())).toEqual({ code: 1, output: '401\n' });
      expect(await send(SECRET)).toEqual({ code: 0, output: '204\n' });
      await receiver.untilHandled(1);
      expect(receiver.handled).toEqual(['evt_hand webhook.test']);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
