import { createKnownSecrets } from '@renderyard/shared/known-secrets';
import { createLogger } from '@renderyard/shared/logger';
import { describe, expect, it } from 'vitest';

describe('known secrets', () => {
  it('are hidden from the moment on in which they become known', () => {
    const secrets = createKnownSecrets(['first-secret', undefined]);
    expect(secrets.hide('first-secret, second-secret')).toBe('[redacted], second-secret');
    secrets.add('second-secret');
    expect(secrets.hide('first-secret, second-secret')).toBe('[redacted], [redacted]');
  });

  it('leave nothing over of one that holds another, whichever came first', () => {
    for (const order of [
      ['abcdefgh', 'abcdefghijkl'],
      ['abcdefghijkl', 'abcdefgh'],
    ]) {
      const secrets = createKnownSecrets(order);
      expect(secrets.hide('-abcdefghijkl-abcdefgh-')).toBe('-[redacted]-[redacted]-');
    }
  });

  it('are passed over when they cannot be told from words', () => {
    expect(createKnownSecrets(['', 'abc']).hide('abcabc')).toBe('abcabc');
  });

  it('are found in JSON as it writes them', () => {
    const secrets = createKnownSecrets(['quote"back\\slash']);
    expect(secrets.hideInJson(JSON.stringify({ key: 'quote"back\\slash' }))).toBe('{"key":"[redacted]"}');
  });

  it('are kept out of the lines of a logger that was made before they were known', () => {
    const lines: string[] = [];
    const secrets = createKnownSecrets();
    const logger = createLogger({
      service: 'test',
      level: 'info',
      secrets,
      destination: { write: (line: string) => void lines.push(line) },
    });
    for (const key of ['unlike-any-shape', 'SG_0123456789abcdef-and.more']) {
      secrets.add(key);
      logger.info({ nested: { key } }, `with ${key}`);
      expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ nested: { key: '[redacted]' }, msg: 'with [redacted]' });
    }
  });
});
