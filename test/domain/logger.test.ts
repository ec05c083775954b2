import { createLogger } from '@renderyard/shared/logger';
import { redact } from '@renderyard/shared/redact';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const KEY = 'SG_0123456789abcdef';
const OURS = 'ry_live-0123456789_abcdef';
const WEBHOOK = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const PASSWORD = 'hunter2hunter2';

/** A logger, and what it wrote. */
function listen(secrets: readonly (string | undefined)[] = []) {
  const lines: string[] = [];
  const logger = createLogger({
    service: 'test',
    level: 'trace',
    secrets,
    destination: { write: (line: string) => void lines.push(line) },
  });
  const last = (): Record<string, unknown> => JSON.parse(lines.at(-1) ?? '') as Record<string, unknown>;
  return { logger, lines, last };
}

describe('redact', () => {
  it.each([
    ['Segmind’s key', `x-api-key: ${KEY}.`, KEY],
    ['Segmind’s key in an encoded URL', `?key%3D${KEY}%26a`, KEY],
    ['Segmind’s key behind an underscore', `old_${KEY};`, KEY],
    ['our key', `Authorization: Bearer ${OURS}.`, OURS],
    ['our key in an encoded URL', `?token%3D${OURS}%26a`, OURS],
    ['a webhook’s secret', `secret=${WEBHOOK},`, WEBHOOK],
    ['the password of a URL', `rediss://user:${PASSWORD}@host:6379/0`, PASSWORD],
    ['the password of a URL without a user', `redis://:${PASSWORD}@host`, PASSWORD],
    ['a password with an @ in it', 'redis://:first@second@host', 'second'],
    ['the signature of a link', 'https://b/k?X-Amz-Signature=abcdef0123&x=1', 'abcdef0123'],
    ['the credential of a link', 'https://b/k?X-Amz-Credential=AKIAEXAMPLE%2F2026&x=1', 'AKIAEXAMPLE'],
  ])('removes %s and leaves what stands around it', (_, text, secret) => {
    const cleaned = redact(text);
    expect(cleaned).not.toContain(secret);
    expect(cleaned).toContain('[redacted]');
    expect(cleaned.slice(0, 4)).toBe(text.slice(0, 4));
    expect(cleaned.slice(-1)).toBe(text.slice(-1));
  });

  it('takes a moment, whatever the text', () => {
    const began = performance.now();
    for (const piece of ['a+', 'a1+', 'a:', 'http://a:', '[1;', '%41ry_', 'SG_', 'x-amz-signature=', '@'])
      redact(piece.repeat(64_000 / piece.length));
    expect(performance.now() - began).toBeLessThan(500);
  });

  it.each([
    'a render of 17.5 s cost 0.0138 credits',
    'query_parameters and memory_limit_bytes are names',
    'http://127.0.0.1:8080/v1/jobs',
    'mail to someone@example.com about https://example.com:8443/path',
  ])('leaves %j as it is', (text) => {
    expect(redact(text)).toBe(text);
  });
});

describe('a log line', () => {
  const secrets = [KEY, OURS, WEBHOOK, PASSWORD];
  const places: readonly (readonly [string, (text: string) => object])[] = [
    ['a field', (text) => ({ text })],
    ['a nested field', (text) => ({ a: { b: [{ c: text }] } })],
    ['the name of a field', (text) => ({ [text]: 1 })],
    ['a later line of a text', (text) => ({ text: `first\n${text}\n${text}\tmore\r${text}` })],
    ['a text in colour', (text) => ({ text: `\u001b[32m${text}\u001b[0m` })],
    ['JSON within a text', (text) => ({ text: JSON.stringify({ inner: JSON.stringify({ text }) }) })],
    ['an error', (text) => ({ err: new Error(`failed: ${text}`) })],
    ['a field of an error', (text) => ({ err: Object.assign(new Error('failed'), { command: { args: [text] } }) })],
    ['the cause of an error', (text) => ({ err: new Error('outer', { cause: new Error('inner', { cause: text }) }) })],
    ['an error of several', (text) => ({ err: new AggregateError([new Error(text)], 'several') })],
  ];

  it.each(places)('holds no secret in %s', (_, put) => {
    const { logger, lines, last } = listen([PASSWORD]);
    for (const secret of secrets) {
      logger.info(put(secret), 'said');
      expect(lines.at(-1)).not.toContain(secret);
      expect(last()).toMatchObject({ service: 'test', msg: 'said' });
    }
  });

  it('holds no secret in its message', () => {
    const { logger, last } = listen();
    logger.warn(`refused with ${KEY}`);
    expect(last().msg).toBe('refused with SG_[redacted]');
  });

  it('holds no further member of an error, such as the arguments of a command', () => {
    const { logger, lines, last } = listen();
    const command = { name: 'auth', args: ['not-known-as-a-secret'] };
    logger.info({ err: Object.assign(new Error('failed'), { command, code: 'EAUTH' }) }, 'said');
    expect(lines.at(-1)).not.toContain('not-known-as-a-secret');
    expect(last().err).toMatchObject({ message: 'failed', code: 'EAUTH' });
  });

  it('holds none that a child logger was given', () => {
    const { logger, lines } = listen();
    logger.child({ url: `redis://:${PASSWORD}@host` }).info('said');
    expect(lines.at(-1)).not.toContain(PASSWORD);
  });

  it.each(['quote"back\\slash', 'tab\tinside', 'ümläut-é', 'slash/plus+equals=', 'dollar$&dollar'])(
    'does not hold the exact text %j, however JSON writes it',
    (secret) => {
      const { logger, lines, last } = listen([secret]);
      logger.info({ a: { b: `before ${secret} after` } }, secret);
      expect(lines.at(-1)).not.toContain(JSON.stringify(secret).slice(1, -1));
      expect(last()).toMatchObject({ a: { b: 'before [redacted] after' }, msg: '[redacted]' });
    },
  );

  it('passes over secrets that are missing or too short to be told from words', () => {
    const { logger, last } = listen([undefined, '', 'abc']);
    logger.info('abcdef');
    expect(last().msg).toBe('abcdef');
  });

  it('stays JSON with all its fields, whatever stands in them', () => {
    const piece = fc.constantFrom(
      ...['http://', 'redis://u', ':', '@', '/', '"', '\\', '\n', ' ', 'a', '8080', '%40', '{', '}', ','],
      ...['SG_', 'ry_', 'whsec_', 'abcdefgh', 'x-amz-signature=', 'é', '\u2028', '\ud83d', "'"],
    );
    const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
    const { logger, last } = listen();
    fc.assert(
      fc.property(text, text, text, (a, b, c) => {
        logger.info({ a, nested: { b }, list: [c, a], last: true }, c);
        const line = last();
        expect(Object.keys(line)).toEqual(['level', 'time', 'service', 'a', 'nested', 'list', 'last', 'msg']);
        expect(line.last).toBe(true);
        expect(line.list).toHaveLength(2);
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps two fields apart though one is a URL with a port and the other an address', () => {
    const { logger, last } = listen();
    logger.info({ url: 'http://host:8080', mail: 'a@b.example' });
    expect(last()).toMatchObject({ url: 'http://host:8080', mail: 'a@b.example' });
  });
});
