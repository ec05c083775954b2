import { type LinkGrant, signLink, verifyLink } from '@renderyard/shared/store/signed-link';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const KEY = Buffer.alloc(32, 1);
const NOW = 1_800_000_000_000;
const grant: LinkGrant = { key: 'a/b.png', expires: NOW / 1000 + 60, contentType: 'image/png', filename: 'b.png' };

describe('a signed link', () => {
  it('gives back what was granted, whatever the key and the name are', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 });
    fc.assert(
      fc.property(text, text, (key, filename) => {
        const query = new URLSearchParams(signLink({ ...grant, key, filename }, KEY).toString());
        expect(verifyLink(key, query, KEY, NOW)).toEqual({ ok: true, grant: { ...grant, key, filename } });
      }),
    );
  });

  it('is good until its second comes, and not in it', () => {
    const query = signLink(grant, KEY);
    expect(verifyLink(grant.key, query, KEY, grant.expires * 1000 - 1).ok).toBe(true);
    expect(verifyLink(grant.key, query, KEY, grant.expires * 1000)).toEqual({ ok: false, reason: 'expired' });
  });

  it.each([
    ['key', (query: URLSearchParams) => verifyLink('a/c.png', query, KEY, NOW)],
    ['signing key', (query: URLSearchParams) => verifyLink(grant.key, query, Buffer.alloc(32, 2), NOW)],
  ])('is bad for another %s', (_, verify) => {
    expect(verify(signLink(grant, KEY))).toEqual({ ok: false, reason: 'signature' });
  });

  it.each(['expires', 'type', 'filename', 'signature'])('is bad without its %s, or with another', (name) => {
    for (const change of ['remove', 'empty', 'other'] as const) {
      const query = signLink(grant, KEY);
      if (change === 'remove') query.delete(name);
      else query.set(name, change === 'empty' ? '' : `${query.get(name)}0`);
      expect(verifyLink(grant.key, query, KEY, NOW)).toEqual({ ok: false, reason: 'signature' });
    }
  });

  it('is bad with a type where none was signed', () => {
    const query = signLink({ key: 'a', expires: grant.expires }, KEY);
    expect(verifyLink('a', query, KEY, NOW).ok).toBe(true);
    query.set('type', 'text/html');
    expect(verifyLink('a', query, KEY, NOW)).toEqual({ ok: false, reason: 'signature' });
  });
});
