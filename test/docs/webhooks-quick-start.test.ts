import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EXAMPLES, missing, run, startReceiver } from '../examples/running.ts';
import { REPOSITORY } from '../support/cache-folder.ts';
import { startService } from '../support/processes.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

interface Delivery {
  readonly status: string;
  readonly event: { readonly id: string; readonly type: string };
  readonly attempts: readonly { readonly status: number | null }[];
}

const page = await readFile(join(REPOSITORY, 'docs/webhooks.md'), 'utf8');
const section = page.split('\n## Quick start\n')[1]?.split('\n## ')[0] ?? '';
const [start = '', register = '', receive = '', tryIt = ''] = [...section.matchAll(/```sh\n(.*?)```/gs)].map(
  ([, block]) => block ?? '',
);

test('what the page says under “Quick start” has a test event arrive', async ({ skip }) => {
  const absent = missing('curl');
  if (absent !== undefined) skip(absent);
  const allowed = /^WEBHOOK_ALLOW_CIDRS=(\S+) npm start\n$/.exec(start)?.[1] ?? '';
  expect(receive).toBe('WEBHOOK_SECRET=whsec_YOURS PORT=9000 npx node examples/webhooks/receiver.ts\n');
  const folder = await makeTemporaryFolder('quick-start');
  try {
    await using service = await startService({
      service: 'standalone',
      env: { DATA_DIR: join(folder, 'data'), PORT: '0', WEBHOOK_ALLOW_CIDRS: allowed },
      readyMs: 60_000,
    });
    // The receiver takes a free port, so it is started first: the secret is brought along.
    const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    await using receiver = await startReceiver([process.execPath, join(EXAMPLES, 'receiver.ts')], secret);
    const shell = async (block: string) => {
      const { code, output } = await run(['sh', '-c', block.replaceAll('http://127.0.0.1:8080', service.url)], {});
      expect([code, output]).toEqual([0, expect.any(String)]);
      return output;
    };
    const withSecret = register
      .replace('http://127.0.0.1:9000', receiver.url)
      .replace(/\]\}'\n$/, `], "secret": "${secret}"}'\n`);
    const webhook = JSON.parse(await shell(withSecret)) as { readonly id: string; readonly secret: string };
    expect(webhook).toMatchObject({ id: expect.stringMatching(/^whk_/), secret, state: 'enabled' });

    const [send = '', list = ''] = tryIt.replaceAll('whk_YOURS', webhook.id).trim().split('\n');
    const made = JSON.parse(await shell(send)) as Delivery;
    expect(made.event.type).toBe('webhook.test');
    await receiver.untilHandled(1);
    expect(receiver.handled).toEqual([`${made.event.id} webhook.test`]);
    const listed = async () => (JSON.parse(await shell(list)) as { readonly data: readonly Delivery[] }).data;
    await expect
      .poll(listed, { timeout: 10_000 })
      .toMatchObject([{ status: 'succeeded', attempts: [{ status: 204 }] }]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 90_000);
