import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SETTINGS } from '@renderyard/shared/config';
import { MOST_FAILING_MS } from '@renderyard/shared/webhook/delivery-store';
import { DISABLED_REASONS, MOST_ENDPOINTS, MOST_SECRETS } from '@renderyard/shared/webhook/endpoint';
import { EVENT_TYPES } from '@renderyard/shared/webhook/event-type';
import { BODY_BYTES } from '@renderyard/shared/webhook/fit-body';
import { signWebhook } from '@renderyard/shared/webhook/sign';
import { nextWait } from '@renderyard/worker/webhook/schedule';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { openComposeBench } from '../webhook/composing.ts';
import { composeToldJob, SENT_AT, TOLD_JOB } from './told-job.ts';

const root = join(import.meta.dirname, '../..');
const page = await readFile(join(root, 'docs/webhooks.md'), 'utf8');
const text = page.replace(/\s+/g, ' ');
const source = (file: string) => readFile(join(root, file), 'utf8');
const section = (heading: string) => page.split(`\n## ${heading}\n`)[1]?.split(/\n##+ /)[0] ?? '';
const cells = (table: string) =>
  [...table.matchAll(/^\| (.*) \|$/gm)].map(([, row = '']) => row.split(' | ').map((cell) => cell.trim()));
const block = (language: string, within: string) =>
  [...within.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, code = '']) => code);
const told = (amount: number) => amount.toLocaleString('en');

test('the page names every type that is sent, in the order of the code, and no other', () => {
  const types = cells(section('Events')).map(([type]) => type?.replaceAll('`', ''));
  expect(types).toEqual(['type', ...EVENT_TYPES, 'webhook.test']);
  const named = new Set(page.match(/(?<=`)(?:job|batch|credits|endpoint|webhook)\.[a-z]+(?=`)/g));
  expect([...named].filter((type) => !types.includes(type))).toEqual([]);
});

test('the page names every setting of webhooks, and no setting that there is not', () => {
  const named = new Set([...page.matchAll(/\b[A-Z]+(?:_[A-Z]+)+\b/g)].map(([name]) => name));
  const settings = Object.keys(SETTINGS).filter((name) => name.startsWith('WEBHOOK_'));
  expect(settings).toHaveLength(5);
  expect([...named]).toEqual(expect.arrayContaining(settings));
  expect([...named].filter((name) => !(name in SETTINGS))).toEqual(['YOUR_KEY']);
});

test('the schedule is that of the code, with its totals', () => {
  const seconds = (said = '') =>
    [...said.matchAll(/(\d+) (h|min|s)\b/g)].reduce(
      (sum, [, count, unit]) => sum + Number(count) * { h: 3600, min: 60, s: 1 }[unit as 'h' | 'min' | 's'],
      0,
    );
  const rows = cells(section('When it fails')).slice(1);
  let total = 0;
  const expected = SETTINGS.WEBHOOK_SCHEDULE_S.fallback.map((wait, i) => {
    total += wait;
    return [i + 1, wait, total];
  });
  expect(rows.map(([attempt, wait, after]) => [Number(attempt), seconds(wait), seconds(after)])).toEqual(expected);
});

test('the numbers that the page tells are those of the code', async () => {
  const number = async (file: string, pattern: RegExp) => {
    const found = pattern
      .exec((await source(file)).replaceAll('_', ''))
      ?.slice(1)
      .map(Number);
    if (found === undefined) throw new Error(`${file} has nothing like ${pattern}.`);
    return found;
  };
  const tell = 'packages/shared/src/webhook/tell.lua';
  const receivers = 'packages/shared/src/webhook/receivers.lua';
  const deliverer = 'services/worker/src/webhook/deliverer.ts';
  const answer = 'services/worker/src/webhook/read-answer.ts';
  const fields = 'services/api/src/webhooks/webhook-fields.ts';
  const webhooking = 'services/worker/src/webhook/webhooking.ts';
  const [percent = 0, progressMs = 0] = await number(tell, /PROGRESSPERCENT, PROGRESSMS = (\d+), (\d+)/);
  const [waiting = 0, ended = 0] = await number(receivers, /MOSTWAITING, MOSTENDED = (\d+), (\d+)/);
  const [atOnce = 0] = await number(receivers, /local ATONCE = (\d+)/);
  const [whileFailing = 0] = await number(receivers, /return failing and (\d+) or ATONCE/);
  const [share = 0] = await number('packages/shared/src/webhook/take-catch-up.lua', /< MOSTWAITING \/ (\d+)/);
  const [sending = 0] = await number(deliverer, /MOSTSENDING = (\d+)/);
  const [failing = 0] = await number(deliverer, /MOSTFAILING = (\d+)/);
  const [slowMs = 0] = await number(deliverer, /\bSLOWMS = (\d+)/);
  const [open = 0] = await number(deliverer, /MOSTOPEN = (\d+)/);
  const [marginMs = 0] = await number(deliverer, /LEASEMARGINMS = (\d+)/);
  const [readKiB = 0] = await number(answer, /MOSTBYTES = (\d+) \* 1024/);
  const [kept = 0] = await number(answer, /MOSTCHARACTERS = (\d+)/);
  const [overlap = 0] = await number(fields, /\bOVERLAPHOURS = (\d+)/);
  const [mostOverlap = 0] = await number(fields, /MOSTOVERLAPHOURS = (\d+)/);
  const [days = 0] = await number(fields, /RECOVERABLEDAYS = (\d+)/);
  const [connectMs = 0] = await number(webhooking, /MOSTCONNECTMS = (\d+)/);
  const [notesMs = 0] = await number(webhooking, /NOTESMS = (\d+)/);
  const [noteMarginMs = 0] = await number('packages/shared/src/webhook/owed-note.ts', /MARGINMS = (\d+)/);
  const [urlLength = 0] = await number('packages/shared/src/webhook/address-guard.ts', /MOSTCHARACTERS = (\d+)/);
  const [logged = 0] = await number('packages/shared/src/webhook/record-attempt.lua', /local MOSTATTEMPTS = (\d+)/);
  const words = ['zero', 'one', 'two', 'three', 'four', 'five'];
  const mostDays = MOST_FAILING_MS / 86_400_000;
  // A wait of a second, at most, and with a Retry-After of a year.
  const jitter = (nextWait([1], 0, undefined, () => 1) ?? 0) / 1000 - 1;
  expect(nextWait([1], 0, 365 * 86_400_000)).toBe(86_400_000);
  for (const said of [
    `${percent} % of its rows more have ended, and ${progressMs / 1000} s have passed since the last: at most ${100 / percent - 1} in a run`,
    `at most ${MOST_ENDPOINTS}) hears`,
    `| webhooks of an account | ${MOST_ENDPOINTS} |`,
    `There are at most ${MOST_SECRETS} at once`,
    `| secrets of one webhook | ${MOST_SECRETS} |`,
    `A body is under ${told(BODY_BYTES)} bytes`,
    `| a body | under ${told(BODY_BYTES)} bytes |`,
    `| a URL | ${told(urlLength)} characters |`,
    `**At most ${told(waiting)} wait** for one receiver`,
    `as soon as fewer than ${told(waiting / share)} wait`,
    `| deliveries waiting for one receiver | ${told(waiting)} |`,
    `the latest ${told(ended)} that succeeded and the latest ${told(ended)} that failed`,
    `its latest ${logged} attempts`,
    `| on their way to one receiver | ${atOnce}; ${whileFailing} while it fails |`,
    `${words[atOnce]?.replace('f', 'F')} deliveries are on their way to one receiver at a time`,
    `Workers deliver: ${sending} at a time each, ${failing} of these to receivers that fail`,
    `lasts for longer than ${slowMs / 1000} seconds does not count any more`,
    `until a worker has ${open} open`,
    `failing receivers share a quarter of the places`,
    `| read of an answer; kept of it | ${readKiB} KiB; ${kept} characters |`,
    `first ${kept} characters of the answer`,
    `for ${overlap} more hours, or \`overlap_hours\` (0 to ${mostOverlap})`,
    `for ${overlap} hours after a rotation`,
    `at a time of the last ${days} days`,
    `after ${SETTINGS.WEBHOOK_TIMEOUT_MS.fallback / 1000} seconds (\`WEBHOOK_TIMEOUT_MS\``,
    `${connectMs / 1000} of them at most for connecting`,
    `anew every ${notesMs / 1000} seconds`,
    `from ${noteMarginMs / 1000} seconds before that note`,
    `after the timeout and ${marginMs / 1000} seconds`,
    `for ${words[mostDays]} days (\`failing\`)`,
    `| until a failing webhook is disabled | ${mostDays} days |`,
    `| attempts | ${SETTINGS.WEBHOOK_SCHEDULE_S.fallback.length}, or as many`,
    `longer by up to ${Math.round(jitter * 100)} %`,
  ])
    expect(text).toContain(said);
  expect(failing * 4).toBe(sending);
  expect(SETTINGS.WEBHOOK_SCHEDULE_S.parse(Array(20).fill('1').join())).toHaveLength(20);
  expect(SETTINGS.WEBHOOK_SCHEDULE_S.parse(Array(21).fill('1').join())).toBeUndefined();
  for (const reason of ['gone', 'failing'] as const) {
    expect(DISABLED_REASONS).toContain(reason);
    expect(page).toContain(`(\`${reason}\`)`);
  }
});

describe('the example of a delivery', () => {
  const [json = ''] = block('json', section('What is sent'));
  const headers = Object.fromEntries(
    [...(block('http', section('What is sent'))[0] ?? '').matchAll(/^([a-z-]+): (.*)$/gm)].map(([, name, value]) => [
      name,
      value,
    ]),
  );
  const secret = /`(whsec_[A-Za-z0-9+/=]{20,})`/.exec(page)?.[1] ?? '';

  test('is what is made of such an event', async () => {
    const url = new URL((JSON.parse(json) as { data: { urls: { self: string } } }).data.urls.self).origin;
    const body = await composeToldJob(url);
    expect(JSON.parse(json)).toEqual(JSON.parse(body));
    const signed = signWebhook({ id: TOLD_JOB.id, atMs: SENT_AT, body, secrets: [secret] });
    expect(headers).toMatchObject(signed);
    const now = Date.now;
    try {
      // The library knows of no other clock.
      Date.now = () => SENT_AT;
      expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toEqual(JSON.parse(json));
    } finally {
      Date.now = now;
    }
  });

  test('has the headers that are sent', async () => {
    const send = await source('services/worker/src/webhook/send.ts');
    for (const name of ['content-type', 'user-agent']) expect(send).toContain(`'${headers[name]}'`);
  });

  test('has the fields of a job that ends in a running installation', async () => {
    await using bench = await openComposeBench();
    const { json: job } = await bench.api.post('/v1/jobs', { input: { prompt: 'A lighthouse' } });
    await bench.api.succeed(job.id);
    const event = (await bench.told()).at(-1);
    if (event === undefined) throw new Error('Nothing was told.');
    expect(shape(JSON.parse(json))).toEqual({
      ...shape(JSON.parse(await bench.compose(event))),
      '.data.metadata.order': true,
    });
    expect(event.id).toMatch(/^evt_[0-9a-f]{26}$/);
  });
});

/** The paths of all that an object holds. */
function shape(value: unknown, path = ''): Record<string, true> {
  if (typeof value !== 'object' || value === null) return { [path]: true };
  const inner = Object.entries(value).map(([name, each]) => shape(each, `${path}.${name}`));
  return Object.assign({}, ...inner) as Record<string, true>;
}

test('the lines that show how to verify are those of the examples', async () => {
  const part = page.split('\n## Verify the signature\n')[1]?.split('\n### ')[0] ?? '';
  const [library = '', typescript = ''] = block('ts', part);
  const shown = [
    [typescript, 'verify.ts'],
    [block('python', part)[0] ?? '', 'receiver.py'],
    [block('sh', part)[0] ?? '', 'verify.sh'],
  ] as const;
  for (const [lines, file] of shown) {
    const example = (await source(`examples/webhooks/${file}`)).replace(/^ +/gm, '');
    expect(lines.length).toBeGreaterThan(80);
    expect(example).toContain(lines);
  }
  expect(library).toContain('new Webhook(secret).verify(rawBody, headers)');
});
