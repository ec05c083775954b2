import type { PartProblem } from '@renderyard/api/errors/problem-error';
import { readEventTypes } from '@renderyard/api/webhooks/read-event-types';
import { EVENT_TYPES } from '@renderyard/shared/webhook/event-type';
import fc from 'fast-check';
import { describe, expect, inject, test } from 'vitest';
import { openApi, sharedApi } from '../api/running-api.ts';

const URL_A = 'https://93.184.215.14/hooks/a';
const SHORT = `whsec_${Buffer.alloc(23, 1).toString('base64')}`;

describe('a webhook that cannot be', () => {
  const shared = sharedApi();
  const ofUrl = (url: unknown) => ({ url });

  test.each([
    ['nothing', undefined, '', 'required', /^The body must be a JSON object with at least \{"url"/],
    ['a list', [], '', 'wrong_type', /^The body must be a JSON object/],
    ['no url', {}, '/url', 'required', /^url is where events are sent/],
    ['an url of null', ofUrl(null), '/url', 'required', /^url is where events are sent/],
    ['a number', ofUrl(7), '/url', 'wrong_type', /^url must be a URL/],
    ['no URL', ofUrl('example.com/hook'), '/url', 'invalid_format', /such as https:\/\/example\.com/],
    ['another scheme', ofUrl('ftp://example.com/'), '/url', 'invalid_format', /^url must be a URL/],
    ['a space', ofUrl('https://example.com/a b'), '/url', 'invalid_format', /^url must be a URL/],
    ['a long URL', ofUrl(`https://example.com/${'a'.repeat(2000)}`), '/url', 'invalid_format', /at most 2000 char/],
    [
      'a URL that is long as it is sent',
      ofUrl(`https://example.com/${'ä'.repeat(400)}`),
      '/url',
      'invalid_format',
      /2420 as/,
    ],
    ['a user', ofUrl('https://u:p@example.com/'), '/url', 'webhook_url_refused', /no user name and no password/],
    ['an unknown field', { url: URL_A, urls: [] }, '/urls', 'unknown_field', /known here: url, events, desc/],
    ['no events', { url: URL_A, events: [] }, '/events', 'out_of_range', /at least one. The types are job\.succ/],
    ['a text of events', { url: URL_A, events: 'job.failed' }, '/events', 'wrong_type', /must be a list/],
    [
      'an unknown event',
      { url: URL_A, events: ['job.failed', 'job.success'] },
      '/events/1',
      'unknown_event_type',
      /^There is no event type "job\.success" here\. Did you mean job\.succeeded\?$/,
    ],
    [
      'one event twice',
      { url: URL_A, events: ['job.failed', 'job.failed'] },
      '/events/1',
      'duplicate_name',
      /^job\.failed is named more than once/,
    ],
    [
      'endless events',
      { url: URL_A, events: Array(51).fill('job.faild') },
      '/events',
      'out_of_range',
      /^events names 51/,
    ],
    ['a test event', { url: URL_A, events: ['webhook.test'] }, '/events/0', 'unknown_event_type', /no event type/],
    ['an empty description', { url: URL_A, description: ' ' }, '/description', 'invalid_format', /1 to 500/],
    ['lines of description', { url: URL_A, description: 'a\nb' }, '/description', 'invalid_format', /one line/],
    ['a short secret', { url: URL_A, secret: SHORT }, '/secret', 'invalid_format', /whsec_ and 24 to 64 bytes/],
    ['a secret without whsec_', { url: URL_A, secret: SHORT.slice(6) }, '/secret', 'invalid_format', /whsec_ and/],
  ])('is refused with %s', async (_name, body, pointer, code, detail) => {
    const { json } = await shared().post('/v1/webhooks', body);
    expect(json).toMatchObject({ status: 400, code: 'invalid_request', detail: expect.stringMatching(detail) });
    expect(json.errors).toMatchObject([{ pointer, code, detail: expect.stringMatching(detail) }]);
    expect(JSON.stringify(json)).not.toContain(SHORT.slice(6));
  });

  test('is told of everything at once', async () => {
    const body = { url: 'x', events: ['x'], description: 5, secret: 5, more: 1 };
    const { json } = await shared().post('/v1/webhooks', body);
    expect(json.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      ...['/more', '/url', '/events/0', '/description', '/secret'],
    ]);
  });

  test.each([
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://[::1]/',
    'http://[::ffff:10.0.0.1]/',
    'http://10.1.2.3:8080/',
    'http://169.254.169.254/latest/meta-data',
    'http://localhost:6379/',
    'http://printer/',
    'http://metadata.google.internal/',
  ])('is refused at %s, with a text that tells nothing of what is there', async (url) => {
    const { json } = await shared().post('/v1/webhooks', { url });
    expect(json.errors).toEqual([
      {
        pointer: '/url',
        code: 'webhook_url_refused',
        detail:
          'url is refused. Webhooks are sent to public addresses only. Give a URL whose host is reachable from the internet, or ask the operator to allow its network in WEBHOOK_ALLOW_CIDRS.',
      },
    ]);
  });
});

test('a PATCH is refused where it makes no sense, and changes nothing', async () => {
  await using api = await openApi();
  const { id } = (await api.post('/v1/webhooks', { url: URL_A })).json;
  const ask = (body: unknown) =>
    api.call('PATCH', `/v1/webhooks/${id}`, {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();
  const enabled = (recover_since: unknown) => ({ state: 'enabled', recover_since });
  for (const [body, pointer, code] of [
    [[], '', 'wrong_type'],
    [{ secret: 'x' }, '/secret', 'unknown_field'],
    [{ url: null }, '/url', 'required'],
    [{ url: 'http://10.0.0.1/' }, '/url', 'webhook_url_refused'],
    [{ state: 'off' }, '/state', 'invalid_format'],
    [{ state: null }, '/state', 'wrong_type'],
    [{ recover: true }, '/state', 'required'],
    [{ state: 'disabled', recover: true }, '/state', 'invalid_format'],
    [{ state: 'enabled', recover: 'yes' }, '/recover', 'wrong_type'],
    [{ ...enabled(daysAgo(1)), recover: 'yes' }, '/recover', 'wrong_type'],
    [enabled(5), '/recover_since', 'wrong_type'],
    [enabled('yesterday'), '/recover_since', 'invalid_format'],
    [enabled('2026-02-30T00:00:00Z'), '/recover_since', 'invalid_format'],
    [enabled(daysAgo(30.1)), '/recover_since', 'out_of_range'],
    [enabled(daysAgo(-1)), '/recover_since', 'out_of_range'],
  ] as const)
    expect((await ask(body)).json).toMatchObject({ status: 400, errors: [{ pointer, code }] });
  for (const overlap_hours of [-1, 169, 0.5, '1'])
    expect((await api.post(`/v1/webhooks/${id}/rotate-secret`, { overlap_hours })).json.errors).toMatchObject([
      { pointer: '/overlap_hours', detail: 'overlap_hours must be a whole number of hours from 0 to 168.' },
    ]);
  expect((await ask(enabled(daysAgo(29.9)))).json).toMatchObject({ url: URL_A, state: 'enabled', secrets: [{}] });
});

describe('a network that WEBHOOK_ALLOW_CIDRS names', () => {
  test('is open, but not where the installation itself answers, and the log says so at the start', async () => {
    await using api = await openApi({ env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8,fd00::/8' } });
    const register = async (url: string) => (await api.post('/v1/webhooks', { url })).status;
    expect(await register('http://127.0.0.1:9/hook')).toBe(201);
    expect(await register('http://localhost:9/hook')).toBe(201);
    expect(await register('http://10.0.0.1:9/hook')).toBe(400);
    for (const port of [new URL(api.url).port, new URL(inject('redisUrl')).port]) {
      expect(port).toMatch(/^\d+$/);
      expect(await register(`http://127.0.0.1:${port}/`)).toBe(400);
    }
    expect(api.logs).toContainEqual(
      expect.objectContaining({
        ...{ level: 40, networks: ['127.0.0.0/8', 'fd00::/8'] },
        msg: 'webhooks may reach private networks, as WEBHOOK_ALLOW_CIDRS says',
      }),
    );
  });

  test('is not there by default, and nothing is said', async () => {
    await using api = await openApi();
    expect(JSON.stringify(api.logs)).not.toContain('WEBHOOK_ALLOW_CIDRS');
  });
});

test('any list of event types is read as it is, or refused with a place for each that is wrong', () => {
  const anything = fc.oneof(fc.constantFrom(...EVENT_TYPES), fc.string(), fc.anything());
  fc.assert(
    fc.property(fc.array(anything, { maxLength: 6 }), (list) => {
      const problems: PartProblem[] = [];
      const types = readEventTypes(list, '/events', EVENT_TYPES, problems);
      const isRight = list.length > 0 && list.every((each) => EVENT_TYPES.some((type) => type === each));
      if (isRight && new Set(list).size === list.length) expect([types, problems]).toEqual([list, []]);
      else {
        expect(types).toBeNull();
        expect(problems.length).toBeGreaterThan(0);
        for (const { pointer = '', detail } of problems) {
          expect(pointer).toMatch(list.length === 0 ? /^\/events$/ : /^\/events\/\d$/);
          expect(detail.length).toBeLessThan(500);
        }
      }
    }),
  );
});
