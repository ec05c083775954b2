import { createHmac } from 'node:crypto';
import {
  defaultSecret,
  newWebhookSecret,
  sealSecret,
  UnsealError,
  unsealSecret,
} from '@renderyard/shared/webhook/sealed-secret';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const secretKey = Buffer.alloc(32, 1);
const endpointId = 'whk_1';
const options = { secretKey, endpointId };

describe('a sealed secret', () => {
  it('is opened again with its key and its endpoint', () => {
    const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), key, fc.string(), (secret, bytes, id) => {
        const its = { secretKey: bytes, endpointId: id };
        const sealed = sealSecret(secret, its);
        expect(sealed).toMatch(/^v1\.[\w-]{16}\.[\w-]+\.[\w-]{22}$/);
        expect(unsealSecret(sealed, its)).toBe(secret);
      }),
      { numRuns: 50 },
    );
  });

  it('is another text each time, which does not hold the secret', () => {
    const secret = newWebhookSecret();
    const sealed = [sealSecret(secret, options), sealSecret(secret, options)];
    expect(new Set(sealed).size).toBe(2);
    for (const text of sealed)
      expect(Buffer.from(text.split('.')[2] ?? '', 'base64url').toString()).not.toContain('whsec');
  });

  it('is not opened with another key, or for another endpoint, and the error tells nothing of it', () => {
    const secret = newWebhookSecret();
    const sealed = sealSecret(secret, options);
    for (const others of [
      { secretKey: Buffer.alloc(32, 2), endpointId },
      { secretKey, endpointId: 'whk_2' },
    ]) {
      const unseal = () => unsealSecret(sealed, others);
      expect(unseal).toThrow(UnsealError);
      expect(unseal).toThrow(/another SECRET_KEY or for another endpoint, or was changed/);
      expect(unseal).not.toThrow(secret);
    }
  });

  it('is not opened when any character of it was changed, or taken away', () => {
    const sealed = sealSecret('whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQ=', options);
    for (let i = 0; i < sealed.length; i++) {
      const other = sealed[i] === 'A' ? 'B' : 'A';
      expect(() => unsealSecret(sealed.slice(0, i) + other + sealed.slice(i + 1), options)).toThrow(UnsealError);
      expect(() => unsealSecret(sealed.slice(0, i) + sealed.slice(i + 1), options)).toThrow(UnsealError);
    }
  });

  it.each(['', 'v1', 'v1...', 'v2.AAAA.AAAA.AAAA', 'whsec_AAAA'])('is not %j', (text) => {
    expect(() => unsealSecret(text, options)).toThrow(/not of the form v1/);
  });
});

describe('a secret of webhooks', () => {
  it('is made of 32 random bytes', () => {
    const secrets = new Set(Array.from({ length: 20 }, newWebhookSecret));
    expect(secrets.size).toBe(20);
    for (const secret of secrets) {
      expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
      expect(Buffer.from(secret.slice(6), 'base64')).toHaveLength(32);
    }
  });

  it('is the one of the settings by default, else follows from SECRET_KEY and the account', () => {
    expect(defaultSecret({ setting: 'whsec_abc', secretKey, account: 'a' })).toBe('whsec_abc');
    const own = defaultSecret({ setting: undefined, secretKey, account: 'a' });
    expect(defaultSecret({ setting: undefined, secretKey, account: 'a' })).toBe(own);
    expect(defaultSecret({ setting: undefined, secretKey, account: 'b' })).not.toBe(own);
    expect(defaultSecret({ setting: undefined, secretKey: Buffer.alloc(32, 2), account: 'a' })).not.toBe(own);
    // HKDF by its definition (RFC 5869): extract with a salt of zeros, expand to one block.
    const prk = createHmac('sha256', Buffer.alloc(32)).update(secretKey).digest();
    const okm = createHmac('sha256', prk).update('renderyard webhooks of a\u0001').digest('base64');
    expect(own).toBe(`whsec_${okm}`);
  });
});
