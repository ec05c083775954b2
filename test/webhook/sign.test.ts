import { createHmac } from 'node:crypto';
import { newWebhookSecret } from '@renderyard/shared/webhook/sealed-secret';
import { signWebhook } from '@renderyard/shared/webhook/sign';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';

/** HMAC as the specification words it, without the library. */
const signature = (secret: string, signed: string) =>
  `v1,${createHmac('sha256', Buffer.from(secret.slice('whsec_'.length), 'base64'))
    .update(signed)
    .digest('base64')}`;

describe('the signature of a webhook', () => {
  it('is that of the example which Standard Webhooks publishes', () => {
    expect(
      signWebhook({
        id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
        atMs: 1_614_265_330_000,
        body: '{"test": 2432232314}',
        secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
      }),
    ).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('is HMAC-SHA256 over id, whole seconds and body, whatever they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 0, max: 4e12 }), (body, atMs) => {
        const secret = newWebhookSecret();
        const headers = signWebhook({ id: 'evt_1', atMs, body, secrets: [secret] });
        expect(headers['webhook-timestamp']).toBe(String(Math.floor(atMs / 1000)));
        expect(headers['webhook-signature']).toBe(signature(secret, `evt_1.${Math.floor(atMs / 1000)}.${body}`));
      }),
    );
  });

  it('is made with each secret during an overlap, so that receivers verify with either', () => {
    const [newer, older] = [newWebhookSecret(), newWebhookSecret()];
    const body = '{"type":"webhook.test"}';
    const headers = signWebhook({ id: 'evt_1', atMs: Date.now(), body, secrets: [newer, older] });
    expect(headers['webhook-signature'].split(' ')).toHaveLength(2);
    for (const secret of [newer, older])
      expect(new Webhook(secret).verify(body, { ...headers })).toEqual({ type: 'webhook.test' });
    expect(() => new Webhook(newWebhookSecret()).verify(body, { ...headers })).toThrow('No matching signature');
    expect(() => new Webhook(newer).verify(`${body} `, { ...headers })).toThrow('No matching signature');
  });

  it('is not made without a secret', () => {
    expect(() => signWebhook({ id: 'evt_1', atMs: 0, body: '', secrets: [] })).toThrow('no secret to sign evt_1');
  });
});
