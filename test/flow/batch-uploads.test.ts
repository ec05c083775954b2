import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';

const ROWS = 2200;
const CSV = `prompt\n${Array.from({ length: ROWS }, (_, i) => `picture ${i + 1}`).join('\n')}\n`;

test('an API that is killed at half an upload has made nothing; the same upload again makes one batch, and each row is paid for once', async () => {
  await using yard = await startInstallation({
    workers: 1,
    env: { SEGMIND_CONCURRENCY: '16', SEGMIND_RPM: '60000' },
  });
  const path = `/v1/batches?defaults=${encodeURIComponent('{"width":64,"height":64}')}`;
  const headers = { 'content-type': 'text/csv', 'idempotency-key': 'upload-1' };
  const half = request(new URL(path, yard.api.url), { method: 'POST', headers });
  half.on('error', () => undefined);
  half.write(CSV.slice(0, CSV.length / 2));
  const batches = join(yard.folder, 'store/batches');
  await yard.until('a part of it is written', async () => {
    const files = await readdir(batches, { recursive: true }).catch(() => []);
    return files.some((file) => file.includes('/rows/'));
  });
  yard.api.kill('SIGKILL');
  await yard.restartApi();
  expect(await (await yard.call('GET', '/v1/batches')).json()).toMatchObject({ data: [], has_more: false });

  let id = '';
  // While the lease of the run that broke off lasts, the key is in use.
  await yard.until('the key is free', async () => {
    const answer = await fetch(new URL(path, yard.api.url), { method: 'POST', headers, body: CSV });
    if (answer.status === 409) return false;
    expect(answer.status).toBe(202);
    ({ id } = (await answer.json()) as { id: string });
    return true;
  });
  expect(await yard.batchEnded(id, 90_000)).toMatchObject({
    status: 'completed',
    counts: { total: ROWS, succeeded: ROWS },
  });
  expect((await yard.upstream.ledger()).billed_count).toBe(ROWS);
  const rows = await yard.results(id);
  expect(rows.map((row) => row.input.prompt)).toEqual(Array.from({ length: ROWS }, (_, i) => `picture ${i + 1}`));
  expect(await (await yard.call('GET', '/v1/batches')).json()).toMatchObject({ data: [{ id }], has_more: false });
}, 180_000);
