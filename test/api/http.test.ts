import { expect, test } from 'vitest';
import { sendRaw } from './raw-http.ts';
import { sharedApi } from './running-api.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const post = (head: string, body: string | Buffer) =>
  Buffer.concat([
    Buffer.from(`POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${head}\r\n\r\n`),
    Buffer.from(body),
  ]);

const shared = sharedApi();

test.each([
  ['no HTTP at all', 'hello\r\n\r\n', 400, 'malformed_http'],
  ['a control character in a header', 'GET / HTTP/1.1\r\nHost: localhost\r\nA: \u0001\r\n\r\n', 400, 'malformed_http'],
  [
    'a header that is too large',
    `GET / HTTP/1.1\r\nHost: localhost\r\nA: ${'x'.repeat(20_000)}\r\n\r\n`,
    431,
    'headers_too_large',
  ],
  [
    'two lengths',
    'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    400,
    'malformed_http',
  ],
  [
    'a length and chunks',
    'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    'malformed_http',
  ],
  [
    'a broken escape in the path',
    'GET /v1/jobs/%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    400,
    'malformed_http',
  ],
  [
    'a second host',
    'GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nhost: evil.example\r\nConnection: close\r\n\r\n',
    400,
    'malformed_http',
  ],
  ['no host', 'GET /v1/jobs HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'malformed_http'],
  [
    'a very long part of the path',
    `GET /v1/jobs/${'x'.repeat(3000)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    414,
    'uri_too_long',
  ],
])('%s is answered with a problem', async (_name, bytes, status, code) => {
  const api = shared();
  const answer = await sendRaw(api.url, bytes);
  expect(answer.status).toBe(status);
  expect(answer.head).toMatch(/content-type: application\/problem\+json/i);
  expect(JSON.parse(answer.body)).toMatchObject({ code, status, request_id: expect.stringMatching(/^req_/) });
  expect((await api.get('/health/live')).status).toBe(200);
});

test.each([
  ['a trailing comma', '{"input":{},}', 1, 13],
  ['a second line', '{"input":\n  x}', 2, 3],
  ['an early end', '{"input":', 1, 10],
])('JSON with %s is refused with its place', async (_name, body, line, column) => {
  const api = shared();
  const { status, json } = await api.call('POST', '/v1/jobs', { body, headers: JSON_TYPE });
  expect([status, json.code]).toEqual([400, 'invalid_json']);
  expect(json.errors).toEqual([{ line, column, code: 'syntax', detail: expect.any(String) }]);
});

test('bytes that are not UTF-8 are refused and not replaced', async () => {
  const api = shared();
  const body = Buffer.concat([Buffer.from('{"input":{"prompt":"caf'), Buffer.from([0xe9]), Buffer.from('"}}')]);
  const { status, json } = await api.call('POST', '/v1/jobs', { body, headers: JSON_TYPE });
  expect([status, json.code]).toEqual([400, 'invalid_encoding']);
  expect(json.detail).toContain('byte 23');
});

test('a byte order mark is allowed', async () => {
  const api = shared();
  const answer = await api.call('POST', '/v1/jobs', { body: '\ufeff{"input":{"prompt":"x"}}', headers: JSON_TYPE });
  expect(answer.status).toBe(202);
});

test.each(['{"__proto__":{"input":1}}', '{"input":{"prompt":"x"},"metadata":{"a":{"__proto__":1}}}'])(
  'names that poison prototypes are refused: %s',
  async (body) => {
    const api = shared();
    const { status, json } = await api.call('POST', '/v1/jobs', { body, headers: JSON_TYPE });
    expect(status).toBe(400);
    expect(json.errors).toContainEqual({
      pointer: expect.stringMatching(/__proto__$/),
      code: 'forbidden_name',
      detail: expect.any(String),
    });
  },
);

test.each([
  ['{"input":{"prompt":"x"},"input":{"prompt":"y"}}', ['/input']],
  [
    '{"input":{"prompt":"x","prompt":"x"},"metadata":{"a":[0,{"b/c":1,"b\\/c":2}]}}',
    ['/input/prompt', '/metadata/a/1/b~1c'],
  ],
])('names that are given twice are refused, each with its place: %s', async (body, pointers) => {
  const api = shared();
  const { status, json } = await api.call('POST', '/v1/jobs', { body, headers: JSON_TYPE });
  expect([status, json.code]).toEqual([400, 'invalid_request']);
  expect(json.errors).toEqual(
    pointers.map((pointer) => ({ pointer, code: 'duplicate_name', detail: expect.stringContaining('more than once') })),
  );
});

test.each([
  'text/plain',
  'application/x-www-form-urlencoded',
  'application/jsonx',
  'application/json; charset=latin1',
  '###',
])('the content type %s is refused', async (type) => {
  const api = shared();
  const { status, json } = await api.call('POST', '/v1/jobs', { body: '{}', headers: { 'content-type': type } });
  expect([status, json.code]).toEqual([415, 'unsupported_media_type']);
});

test('a body above 256 KiB is refused, whether it says its length or not', async () => {
  const api = shared();
  const body = JSON.stringify({ input: { prompt: 'x'.repeat(262_144) } });
  const said = await api.call('POST', '/v1/jobs', { body, headers: JSON_TYPE });
  expect([said.status, said.json.code]).toEqual([413, 'payload_too_large']);
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  const chunked = await sendRaw(api.url, post('Content-Type: application/json\r\nTransfer-Encoding: chunked', chunk));
  expect([chunked.status, JSON.parse(chunked.body).code]).toEqual([413, 'payload_too_large']);
});

test('a body at the limits of every parameter fits', async () => {
  const api = shared();
  const prompt = '😀'.repeat(10_000);
  const { status, json } = await api.post('/v1/jobs', { input: { prompt, negative_prompt: '日'.repeat(20_000) } });
  expect(status).toBe(202);
  expect(json.input.prompt).toBe(prompt);
});

test.each([
  ['PUT', '/v1/jobs', 405, 'POST, GET, HEAD'],
  ['DELETE', '/v1/credits', 405, 'GET, HEAD, PATCH'],
  ['GET', '/v1/credits/hold', 405, 'POST'],
  ['POST', '/', 405, 'GET, HEAD'],
  ['GET', '/v1/nothing', 404, null],
  ['GET', '/v2/jobs', 404, null],
])('%s %s is answered with %i', async (method, path, status, allow) => {
  const api = shared();
  const answer = await api.call(method, path);
  expect(answer.status).toBe(status);
  expect(answer.headers.get('allow')?.split(', ').sort() ?? null).toEqual(allow?.split(', ').sort() ?? null);
});

test('every answer has the security headers and a request id of ours', async () => {
  const api = shared();
  for (const path of ['/', '/health/live', '/v1/jobs', '/v1/nothing', '/v1/jobs/%zz', '/v1/jobs?x=1']) {
    const { headers } = await api.get(path, { 'x-request-id': 'theirs', 'request-id': 'theirs' });
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('x-request-id')).toMatch(/^req_[0-9a-z]{26}$/);
  }
});

test('a page for people stands at /', async () => {
  const api = shared();
  const { headers, json } = await api.get('/');
  expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(json).toContain('<h1>Renderyard</h1>');
});
